//! The command line: asks a collector, the API server or files, and prints what they say.

mod args;
mod cure;
mod diagnose;
mod explain;
mod form;
mod from;
mod get;
mod kubeconfig;
mod message;
mod named;
mod near;
mod report;
mod selector;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use crate::cli::args::{
    Cli, Command, Describable, DescribeArgs, FailOn, Output, OutputArgs, ScopeArgs,
};
use crate::cli::form::Form;
use crate::grpc::client::{Collector, FindingFilter, Listed, Reader, VolumeFilter};
use crate::model::finding::Finding;
use crate::model::view::Story;
use crate::program;
use crate::render;

/// Where a collector is looked for that nobody named: where a port is forwarded to, and the lab's.
const COLLECTOR: &str = "127.0.0.1:9470";

/// What to print, and what the exit code says.
struct Answer {
    text: String,
    found: bool,
    /// What kept a part of the answer away.
    failure: Option<String>,
}

impl Answer {
    fn new(text: String, found: bool) -> Self {
        Self {
            text,
            found,
            failure: None,
        }
    }

    fn found_nothing(text: String) -> Self {
        Self::new(text, false)
    }
}

/// Parses the arguments (program name first), answers, and gives the exit code.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    program::unforce_colours();
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return program::usage(&error),
    };
    let form = cli.command.form();
    let outcome = match &cli.command {
        Command::Completion { shell } => Ok(Answer::found_nothing(form::completion(*shell))),
        command if form == Form::Name && !matches!(command, Command::Get(_)) => {
            Err(anyhow::anyhow!("-o name is for `get`"))
        }
        Command::Explain(args) => explain::explain(args),
        _ => program::block_on(ask(&cli)),
    };
    let outcome = outcome.map_err(cure::of_error).and_then(|answer| {
        program::print(&form.of(answer.text)?);
        match answer.failure {
            Some(failure) => Err(anyhow::anyhow!(failure)),
            None => Ok(ExitCode::from(u8::from(answer.found))),
        }
    });
    program::exit("kubectl csi-doctor", outcome)
}

async fn ask(cli: &Cli) -> anyhow::Result<Answer> {
    let fail_on = cli.fail_on.unwrap_or(FailOn::Warning);
    if let Command::Diagnose(args) = &cli.command {
        return diagnose::diagnose(args, cli.collector.as_deref(), fail_on).await;
    }
    if let Command::Report(args) = &cli.command {
        return report::report(args, cli.collector.as_deref(), cli.fail_on).await;
    }
    let collector = cli.collector.as_deref().unwrap_or(COLLECTOR);
    let reader = Collector::at(collector).context("--collector")?.reader();
    match &cli.command {
        Command::Status(output) => status(reader, output, fail_on).await,
        Command::Get(args) => get::get(reader, args, fail_on).await,
        Command::Describe(args) => describe(reader, args, fail_on).await,
        Command::Diagnose(args) => {
            diagnose::diagnose(args, cli.collector.as_deref(), fail_on).await
        }
        Command::Report(args) => report::report(args, cli.collector.as_deref(), cli.fail_on).await,
        Command::Explain(args) => explain::explain(args),
        Command::Completion { shell } => Ok(Answer::found_nothing(form::completion(*shell))),
    }
}

async fn status(
    mut reader: Reader,
    output: &OutputArgs,
    fail_on: FailOn,
) -> anyhow::Result<Answer> {
    let (at, summary) = reader.summary().await?;
    let stories = reader.findings(&FindingFilter::default()).await?.items;
    let text = match output.output {
        Some(Output::Json | Output::Yaml) => render::json::status(at, &summary),
        Some(Output::Wide | Output::Name) | None => render::status::status(at, &summary),
    };
    Ok(Answer::new(text, found(&stories, fail_on)))
}

async fn describe(
    mut reader: Reader,
    args: &DescribeArgs,
    fail_on: FailOn,
) -> anyhow::Result<Answer> {
    let (what, name) = args.named()?;
    let stories = reader.findings(&findings_in(&args.scope)).await?;
    if what != Describable::Volume {
        return found_about(stories, args, fail_on);
    }
    let Listed { at, items: volumes } =
        reader.volumes(&volumes_in(&args.scope, Some(name))).await?;
    if volumes.is_empty() {
        // What a pod left behind is a finding about a volume that no node uses.
        return found_about(stories, args, fail_on);
    }
    let stories = stories.items;
    if matches!(args.output.output, Some(Output::Json | Output::Yaml)) {
        return Ok(Answer::found_nothing(render::json::volumes(at, &volumes)));
    }
    let texts: Vec<String> = volumes
        .iter()
        .map(|volume| render::describe::volume(at, volume, &stories))
        .collect();
    let about: Vec<Story> = stories
        .into_iter()
        .filter(|story| {
            volumes
                .iter()
                .any(|one| render::lists::is_about(story, &one.volume.object(), &one.node))
        })
        .collect();
    Ok(Answer::new(texts.join("\n"), found(&about, fail_on)))
}

/// The findings about an object of which nothing else is told.
fn found_about(
    stories: Listed<Story>,
    args: &DescribeArgs,
    fail_on: FailOn,
) -> anyhow::Result<Answer> {
    let (what, name) = args.named()?;
    let kinds: &[&str] = match what {
        Describable::Volume => &["claim", "volume"],
        Describable::Driver => &["driver"],
        Describable::Pod => &["pod"],
        Describable::Node => &["node"],
    };
    let is_it = |finding: &Finding| {
        let object = &finding.key.subject.object;
        kinds.contains(&object.kind()) && object.name() == name
    };
    let about = |story: &Story| is_it(&story.finding) || story.explains.iter().any(is_it);
    let at = stories.at;
    let stories: Vec<Story> = stories.items.into_iter().filter(about).collect();
    if stories.is_empty() {
        anyhow::bail!(
            "nothing is found about a {} named {}, and no more is told of it than `get` lists",
            kinds.join(" or "),
            name
        );
    }
    let text = if matches!(args.output.output, Some(Output::Json | Output::Yaml)) {
        render::json::findings(at, &stories)
    } else {
        let texts: Vec<String> = stories
            .iter()
            .map(|story| render::describe::story(at, story))
            .collect();
        texts.join("\n")
    };
    Ok(Answer::new(text, found(&stories, fail_on)))
}

fn findings_in(scope: &ScopeArgs) -> FindingFilter {
    FindingFilter {
        namespace: scope.namespace.clone(),
        code: None,
    }
}

fn volumes_in(scope: &ScopeArgs, name: Option<&str>) -> VolumeFilter {
    VolumeFilter {
        namespace: scope.namespace.clone(),
        name: name.map(ToOwned::to_owned),
    }
}

fn found(stories: &[Story], fail_on: FailOn) -> bool {
    stories
        .iter()
        .any(|story| story.counts() && fail_on.reached_by(story.finding.severity))
}
