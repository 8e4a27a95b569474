//! The command line: asks a collector, the API server or files, and prints what they say.

mod args;
mod diagnose;
mod explain;
mod message;
mod report;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use crate::cli::args::{
    Cli, Command, Describable, DescribeArgs, FailOn, GetArgs, Kind, Output, OutputArgs, ScopeArgs,
};
use crate::grpc::client::{Collector, FindingFilter, Listed, Reader, VolumeFilter};
use crate::model::finding::Finding;
use crate::model::view::{NodeVolume, Story};
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
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return program::usage(&error),
    };
    let outcome = match &cli.command {
        Command::Explain(args) => explain::explain(args),
        _ => program::block_on(ask(&cli)),
    };
    let outcome = outcome.and_then(|answer| {
        program::print(&answer.text);
        match answer.failure {
            Some(failure) => Err(anyhow::anyhow!(failure)),
            None => Ok(ExitCode::from(u8::from(answer.found))),
        }
    });
    program::exit("kubectl csi-doctor", outcome)
}

async fn ask(cli: &Cli) -> anyhow::Result<Answer> {
    if let Command::Diagnose(args) = &cli.command {
        return diagnose::diagnose(args, cli.collector.as_deref(), cli.fail_on).await;
    }
    if let Command::Report(args) = &cli.command {
        return report::report(args, cli.collector.as_deref()).await;
    }
    let collector = cli.collector.as_deref().unwrap_or(COLLECTOR);
    let reader = Collector::at(collector).context("--collector")?.reader();
    match &cli.command {
        Command::Status(output) => status(reader, output, cli.fail_on).await,
        Command::Get(args) => get(reader, args, cli.fail_on).await,
        Command::Describe(args) => describe(reader, args, cli.fail_on).await,
        Command::Diagnose(args) => {
            diagnose::diagnose(args, cli.collector.as_deref(), cli.fail_on).await
        }
        Command::Report(args) => report::report(args, cli.collector.as_deref()).await,
        Command::Explain(args) => explain::explain(args),
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
        Some(Output::Json) => render::json::status(at, &summary),
        Some(Output::Wide) | None => render::status::status(at, &summary),
    };
    Ok(Answer::new(text, found(&stories, fail_on)))
}

async fn get(mut reader: Reader, args: &GetArgs, fail_on: FailOn) -> anyhow::Result<Answer> {
    let json = args.output.output == Some(Output::Json);
    let (text, found) = match args.what {
        Kind::Findings => {
            let Listed { at, items: stories } = reader.findings(&findings_in(&args.scope)).await?;
            let wide = args.output.output == Some(Output::Wide);
            let text = match (json, stories.is_empty()) {
                (true, _) => render::json::findings(at, &stories),
                (false, true) => "No findings.\n".to_owned(),
                (false, false) => render::lists::findings(at, &stories, wide),
            };
            (text, found(&stories, fail_on))
        }
        Kind::Volumes => {
            let Listed {
                at,
                items: mut volumes,
            } = reader.volumes(&volumes_in(&args.scope, None)).await?;
            volumes.sort_by(|one, other| by_name(one).cmp(&by_name(other)));
            let stories = reader.findings(&findings_in(&args.scope)).await?.items;
            let text = if json {
                render::json::volumes(at, &volumes)
            } else {
                render::lists::volumes(&volumes, &stories)
            };
            (text, false)
        }
        Kind::Nodes | Kind::Drivers => {
            let Listed { at, items: nodes } = reader.nodes().await?;
            let text = match (args.what, json) {
                (Kind::Nodes, true) => render::json::nodes(at, &nodes),
                (Kind::Nodes, false) => render::lists::nodes(at, &nodes),
                (_, true) => render::json::drivers(at, &nodes),
                (_, false) => render::lists::drivers(&nodes),
            };
            (text, false)
        }
    };
    Ok(Answer::new(text, found))
}

/// The order of volumes: the collector tells them node by node.
fn by_name(one: &NodeVolume) -> impl Ord + '_ {
    let volume = &one.volume;
    (
        volume.namespaces().next(),
        volume.names().next(),
        one.node.as_str(),
    )
}

async fn describe(
    mut reader: Reader,
    args: &DescribeArgs,
    fail_on: FailOn,
) -> anyhow::Result<Answer> {
    let stories = reader.findings(&findings_in(&args.scope)).await?;
    if args.what != Describable::Volume {
        return found_about(stories, args, fail_on);
    }
    let Listed { at, items: volumes } = reader
        .volumes(&volumes_in(&args.scope, Some(&args.name)))
        .await?;
    if volumes.is_empty() {
        // What a pod left behind is a finding about a volume that no node uses.
        return found_about(stories, args, fail_on);
    }
    let stories = stories.items;
    if args.output.output == Some(Output::Json) {
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
    let kinds: &[&str] = match args.what {
        Describable::Volume => &["claim", "volume"],
        Describable::Driver => &["driver"],
        Describable::Pod => &["pod"],
        Describable::Node => &["node"],
    };
    let is_it = |finding: &Finding| {
        let object = &finding.key.subject.object;
        kinds.contains(&object.kind()) && object.name() == args.name
    };
    let about = |story: &Story| is_it(&story.finding) || story.explains.iter().any(is_it);
    let at = stories.at;
    let stories: Vec<Story> = stories.items.into_iter().filter(about).collect();
    if stories.is_empty() {
        anyhow::bail!(
            "nothing is found about a {} named {}, and no more is told of it than `get` lists",
            kinds.join(" or "),
            args.name
        );
    }
    let text = if args.output.output == Some(Output::Json) {
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
