//! `diagnose pvc`: the way of a claim's expansion, from the API server, a collector or a directory of manifests.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::bail;
use jiff::Timestamp;

use crate::cli::args::{DiagnoseArgs, FailOn};
use crate::cli::{Answer, findings_in, found, volumes_in};
use crate::expansion::Case;
use crate::grpc::client::Reader;
use crate::join;
use crate::kubernetes::manifests::Directory;
use crate::kubernetes::{client, list};
use crate::model::finding::{Object, RuleVerdicts};
use crate::model::names::ClaimRef;
use crate::model::objects::Objects;
use crate::model::observed::Observed;
use crate::model::view::{NodeStatus, NodeVolume};
use crate::model::volume::Volume;
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
    args.kubeconfig.is_some() || args.context.is_some() || client::has_kubeconfig()
}

/// By the objects that the caller may read of the API server.
pub(super) async fn from_server(args: &DiagnoseArgs, fail_on: FailOn) -> anyhow::Result<Answer> {
    let kubeconfig = args.kubeconfig.as_deref();
    let context = args.context.as_deref();
    let client = client::as_caller(kubeconfig, context, "kubectl-csi_doctor").await?;
    let own = client.default_namespace();
    let namespace = args.scope.namespace.as_deref().unwrap_or(own);
    let (namespace, place) = if args.scope.all_namespaces {
        (None, "any namespace".to_owned())
    } else {
        (Some(namespace), format!("namespace {namespace}"))
    };
    let objects = list::around_claim(&client, namespace, &args.name).await;
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
    let asked = |claim: &ClaimRef| is_asked(claim, args);
    let mut claims = objects.claims.items.iter().map(|one| &one.claim);
    let Some(claim) = claims.find(|one| asked(one)).cloned() else {
        if let Some(gap) = objects.claims.gaps.first() {
            bail!(
                "no claim {} was read, and not all could be: {gap}",
                args.name
            );
        }
        bail!("there is no claim {} in {place}", args.name);
    };
    let unseen = objects.gaps();
    let facts = join::cluster(objects, &BTreeSet::new(), at);
    let verdicts = rules::diagnose_cluster(&facts);
    let volumes = facts.volumes.items.iter();
    let ours: Vec<&Volume> = volumes
        .filter(|volume| volume.claim.as_ref().is_some_and(|one| asked(&one.claim)))
        .collect();
    if ours.is_empty() {
        if let Some(gap) = facts.volumes.gaps.first() {
            bail!("the volume of claim {claim} was not read: {gap}");
        }
        bail!(
            "claim {claim} is bound to no CSI volume that was read, so there is no expansion to follow"
        );
    }
    let mut answer = Answer {
        text: String::new(),
        found: false,
        failure: None,
    };
    for volume in ours {
        let Some(case) = case_of(volume, None, at) else {
            continue;
        };
        let codes = codes_about(&verdicts, &case);
        append(&mut answer.text, &case, &codes);
        answer.found |= verdicts
            .iter()
            .any(|rule| is_open(rule, &case, at, fail_on));
    }
    for gap in unseen {
        answer.text.push_str("Not seen: ");
        answer.text.push_str(&gap.to_string());
        answer.text.push('\n');
    }
    Ok(answer)
}

/// By what nodes told the collector.
pub(super) async fn from_collector(
    mut reader: Reader,
    args: &DiagnoseArgs,
    fail_on: FailOn,
) -> anyhow::Result<Answer> {
    let filter = volumes_in(&args.scope, Some(&args.name));
    let volumes = reader.volumes(&filter).await?.items;
    let nodes = reader.nodes().await?.items;
    let mut stories = reader.findings(&findings_in(&args.scope)).await?.items;
    let ours: Vec<&NodeVolume> = volumes
        .iter()
        .filter(|one| {
            let claim = one.volume.claim.as_ref();
            claim.is_some_and(|claim| is_asked(&claim.claim, args))
        })
        .collect();
    if ours.is_empty() {
        bail!(
            "no node has told of a claim {}; what no pod uses is on no node: without --collector it is followed by its objects",
            args.name
        );
    }
    stories.retain(|story| {
        story.finding.stage.is_some_and(stages::is_expansion)
            && ours
                .iter()
                .any(|one| is_about(story, &one.volume.object(), &one.node))
    });
    let mut text = String::new();
    for one in ours {
        let Some(mut case) = case_of(&one.volume, Some(one), one.observed_at) else {
            bail!(
                "node {} has seen no PersistentVolume of claim {}",
                one.node,
                args.name
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
        let codes: Vec<&str> = about
            .map(|story| story.finding.key.code.0.as_str())
            .collect();
        append(&mut text, &case, &codes);
    }
    Ok(Answer {
        text,
        found: found(&stories, fail_on),
        failure: None,
    })
}

fn is_asked(claim: &ClaimRef, args: &DiagnoseArgs) -> bool {
    let namespace = args.scope.namespace.as_ref();
    claim.name == args.name && namespace.is_none_or(|one| *one == claim.namespace)
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

fn append(text: &mut String, case: &Case<'_>, codes: &[&str]) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&way(&stages::expand(case)));
    for code in codes {
        text.push_str("More: kubectl csi-doctor explain ");
        text.push_str(code);
        text.push('\n');
    }
}

fn codes_about<'a>(verdicts: &'a [RuleVerdicts], case: &Case<'_>) -> Vec<&'a str> {
    let object = Object::Claim(case.claim.claim.clone());
    let said = verdicts.iter().filter(|rule| {
        rule.problems
            .iter()
            .any(|(subject, _)| subject.object == object)
    });
    said.map(|rule| rule.code.0.as_str()).collect()
}

/// Whether a rule says so, and it has been so for longer than the rule's grace, as far as is known.
fn is_open(rule: &RuleVerdicts, case: &Case<'_>, at: Timestamp, fail_on: FailOn) -> bool {
    let lasted = |since: Timestamp| {
        std::time::Duration::try_from(at.duration_since(since)).is_ok_and(|age| age >= rule.grace)
    };
    rule.problems.iter().any(|(subject, problem)| {
        subject.object == Object::Claim(case.claim.claim.clone())
            && fail_on.reached_by(problem.severity.unwrap_or(rule.severity))
            && problem.since.is_none_or(lasted)
    })
}
