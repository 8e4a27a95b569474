//! `diagnose pvc`: the way of a claim to its volume and of its expansion, from the API server, a collector
//! or a directory of manifests.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::bail;
use jiff::Timestamp;

use crate::cli::args::{DiagnoseArgs, FailOn, Output};
use crate::cli::report::has_lasted;
use crate::cli::{Answer, findings_in, found, volumes_in};
use crate::expansion::Case;
use crate::grpc::client::{Listed, Reader};
use crate::join;
use crate::kubernetes::manifests::Directory;
use crate::kubernetes::{client, list};
use crate::model::binding::Waiting;
use crate::model::finding::{Object, Problem, RuleVerdicts};
use crate::model::names::ClaimRef;
use crate::model::objects::Objects;
use crate::model::observed::{Gap, Observed};
use crate::model::view::{NodeStatus, NodeVolume};
use crate::model::volume::Volume;
use crate::model::way::Way;
use crate::render;
use crate::render::lists::is_about;
use crate::render::way::way;
use crate::rules;
use crate::stages;

/// By the objects of a directory alone.
pub(super) fn from_directory(
    directory: &Path,
    args: &DiagnoseArgs,
    fail_on: FailOn,
) -> anyhow::Result<Answer> {
    let objects = Directory::new(directory.to_owned()).read();
    from_objects(objects, &directory.display().to_string(), args, fail_on)
}

/// Whether there is an API server to ask: one that was named, or that kubectl would ask.
pub(super) fn has_server(args: &DiagnoseArgs) -> bool {
    args.objects.kubeconfig.is_some() || args.objects.context.is_some() || client::has_kubeconfig()
}

/// By the objects that the caller may read of the API server.
pub(super) async fn from_server(args: &DiagnoseArgs, fail_on: FailOn) -> anyhow::Result<Answer> {
    let kubeconfig = args.objects.kubeconfig.as_deref();
    let context = args.objects.context.as_deref();
    let client = client::as_caller(kubeconfig, context, "kubectl-csi_doctor").await?;
    let own = client.default_namespace();
    let namespace = args.scope.namespace.as_deref().unwrap_or(own);
    let (namespace, place) = if args.scope.all_namespaces {
        (None, "any namespace".to_owned())
    } else {
        (Some(namespace), format!("namespace {namespace}"))
    };
    let objects = list::around_claim(&client, namespace, args.claim()?).await;
    from_objects(objects, &place, args, fail_on)
}

/// By objects alone, wherever they were read.
fn from_objects(
    objects: Objects,
    place: &str,
    args: &DiagnoseArgs,
    fail_on: FailOn,
) -> anyhow::Result<Answer> {
    let at = Timestamp::now();
    let name = args.claim()?;
    let asked = |claim: &ClaimRef| is_asked(claim, name, args);
    let mut claims = objects.claims.items.iter().map(|one| &one.claim);
    let Some(claim) = claims.find(|one| asked(one)).cloned() else {
        if let Some(gap) = objects.claims.gaps.first() {
            bail!(
                "no claim {name} was read, and not all could be: {}",
                gap.what
            );
        }
        bail!("there is no claim {name} in {place}");
    };
    let unseen = objects.gaps();
    let facts = join::cluster(objects, &BTreeSet::new(), at);
    let verdicts = rules::diagnose_cluster(&facts);
    let volumes = facts.volumes.items.iter();
    let ours: Vec<&Volume> = volumes
        .filter(|volume| volume.claim.as_ref().is_some_and(|one| asked(&one.claim)))
        .collect();
    let binding = &facts.binding;
    let waiting = binding.claims.items.iter();
    let waiting: Vec<&Waiting> = waiting.filter(|one| asked(&one.claim.claim)).collect();
    if ours.is_empty() && waiting.is_empty() {
        if let Some(gap) = facts.volumes.gaps.first() {
            bail!("the volume of claim {claim} was not read: {}", gap.what);
        }
        bail!(
            "claim {claim} is bound to no CSI volume that was read, so there is no expansion to follow"
        );
    }
    let mut ways = Vec::new();
    let mut found = false;
    for one in waiting {
        let object = Object::Claim(one.claim.claim.clone());
        let next = problems(&verdicts, &object).find_map(|(_, problem)| problem.next.first());
        let way = stages::bind(binding, one, next.cloned());
        found |= is_found(&verdicts, &object, at, fail_on);
        ways.push((way, codes_about(&verdicts, &object)));
    }
    for volume in ours {
        let Some(case) = case_of(volume, None, at) else {
            continue;
        };
        let object = Object::Claim(case.claim.claim.clone());
        found |= is_found(&verdicts, &object, at, fail_on);
        ways.push((stages::expand(&case), codes_about(&verdicts, &object)));
    }
    Ok(Answer::new(print(at, &ways, &unseen, args), found))
}

/// The ways as they were asked for, and what was not seen.
fn print(
    at: Timestamp,
    ways: &[(Way, Vec<String>)],
    unseen: &[Gap],
    args: &DiagnoseArgs,
) -> String {
    if args.output.output == Some(Output::Json) {
        return render::json::diagnosis(at, ways, unseen);
    }
    let mut text = String::new();
    for (one, codes) in ways {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&way(one));
        for code in codes {
            text.push_str("More: kubectl csi-doctor explain ");
            text.push_str(code);
            text.push('\n');
        }
    }
    for gap in unseen {
        text.push_str("Not seen: ");
        text.push_str(&gap.to_string());
        text.push('\n');
    }
    text
}

/// By what nodes told the collector.
pub(super) async fn from_collector(
    mut reader: Reader,
    args: &DiagnoseArgs,
    fail_on: FailOn,
) -> anyhow::Result<Answer> {
    let name = args.claim()?;
    let filter = volumes_in(&args.scope, Some(name));
    let Listed { at, items: volumes } = reader.volumes(&filter).await?;
    let nodes = reader.nodes().await?.items;
    let mut stories = reader.findings(&findings_in(&args.scope)).await?.items;
    let ours: Vec<&NodeVolume> = volumes
        .iter()
        .filter(|one| {
            let claim = one.volume.claim.as_ref();
            claim.is_some_and(|claim| is_asked(&claim.claim, name, args))
        })
        .collect();
    if ours.is_empty() {
        bail!(
            "no node has told of a claim {name}; what no pod uses is on no node: without --collector it is followed by its objects"
        );
    }
    stories.retain(|story| {
        story.finding.stage.is_some_and(stages::is_expansion)
            && ours
                .iter()
                .any(|one| is_about(story, &one.volume.object(), &one.node))
    });
    let mut ways = Vec::new();
    for one in ours {
        let Some(mut case) = case_of(&one.volume, Some(one), one.observed_at) else {
            bail!(
                "node {} has seen no PersistentVolume of claim {name}",
                one.node
            );
        };
        let status = nodes
            .iter()
            .find(|node: &&NodeStatus| node.name == one.node);
        let mut drivers = status.iter().flat_map(|node| &node.drivers);
        case.driver = drivers.find(|driver| driver.name == one.volume.driver);
        let about = stories
            .iter()
            .filter(|story| is_about(story, &one.volume.object(), &one.node));
        let codes = about.map(|story| story.finding.key.code.0.clone());
        ways.push((stages::expand(&case), codes.collect()));
    }
    let text = print(at, &ways, &[], args);
    Ok(Answer::new(text, found(&stories, fail_on)))
}

fn is_asked(claim: &ClaimRef, name: &str, args: &DiagnoseArgs) -> bool {
    let namespace = args.scope.namespace.as_ref();
    claim.name == name && namespace.is_none_or(|one| *one == claim.namespace)
}

/// A volume with claim and PersistentVolume.
fn case_of<'a>(
    volume: &'a Volume,
    node: Option<&'a NodeVolume>,
    observed_at: Timestamp,
) -> Option<Case<'a>> {
    let Observed::Known(Some(persistent)) = &volume.persistent else {
        return None;
    };
    Some(Case {
        node: node.map(|one| &one.node),
        observed_at,
        volume,
        claim: volume.claim.as_ref()?,
        persistent,
        driver: None,
    })
}

/// What rules say of an object.
fn problems<'a>(
    verdicts: &'a [RuleVerdicts],
    object: &'a Object,
) -> impl Iterator<Item = (&'a RuleVerdicts, &'a Problem)> {
    verdicts.iter().flat_map(move |rule| {
        let about = rule.problems.iter();
        about
            .filter(move |(subject, _)| subject.object == *object)
            .map(move |(_, problem)| (rule, problem))
    })
}

fn codes_about(verdicts: &[RuleVerdicts], object: &Object) -> Vec<String> {
    problems(verdicts, object)
        .map(|(rule, _)| rule.code.0.clone())
        .collect()
}

/// Whether a rule says so, and it has been so for longer than the rule's grace, as far as is known.
fn is_found(verdicts: &[RuleVerdicts], object: &Object, at: Timestamp, fail_on: FailOn) -> bool {
    problems(verdicts, object).any(|(rule, problem)| {
        fail_on.reached_by(problem.severity.unwrap_or(rule.severity))
            && has_lasted(rule, problem.since, at)
    })
}
