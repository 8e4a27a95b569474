//! `diagnose pvc|pod|pv`: an object's way step by step, by whatever source there is.

mod logs;
mod source;
mod ways;

use std::sync::Arc;

use anyhow::bail;
use jiff::Timestamp;

use crate::cli::args::{DiagnoseArgs, FailOn, Output};
use crate::cli::diagnose::source::Source;
use crate::cli::diagnose::ways::Ways;
use crate::cli::{Answer, cure, found, near};
use crate::kubernetes::around::Wanted;
use crate::model::finding::Object;
use crate::model::names::{ClaimRef, PodRef};
use crate::model::objects::{Claim, PersistentVolume, Pod};
use crate::model::observed::Listing;
use crate::model::way::Diagnosis;
use crate::render;

/// Follows what was asked for.
pub(super) async fn diagnose(
    args: &DiagnoseArgs,
    collector: Option<&str>,
    fail_on: FailOn,
) -> anyhow::Result<Answer> {
    let wanted = args.wanted()?;
    let source = Source::ask(args, collector, wanted).await?;
    let at = source.at.unwrap_or_else(Timestamp::now);
    let mut ways = Ways::of(&source, at, fail_on);
    match wanted {
        Wanted::Claim(name) => {
            let claims = &source.objects.claims;
            let is_it = |one: &Arc<Claim>| is_claim(one, name, args);
            for claim in asked(claims, &source, "claim", name, |one| &one.claim.name, is_it)? {
                ways.claim(claim);
            }
        }
        Wanted::Pod(name) => {
            let pods = &source.objects.pods;
            let is_it = |one: &Pod| is_pod(one, name, args);
            for pod in asked(pods, &source, "pod", name, |one| &one.pod.name, is_it)? {
                ways.pod(pod);
            }
        }
        Wanted::Volume(name) => {
            let volumes = &source.objects.volumes;
            let is_it = |one: &Arc<PersistentVolume>| one.name.as_str() == name;
            for volume in asked(
                volumes,
                &source,
                "persistentvolume",
                name,
                |one| one.name.as_str(),
                is_it,
            )? {
                ways.volume(volume);
            }
        }
    }
    let is_found = ways.found || found(&ways.stories, fail_on);
    let next = ways.next();
    let diagnosis = Diagnosis {
        at,
        next,
        logs: logs::logs(&source, &ways.followed).await,
        unseen: source.objects.gaps(),
        ways: ways.followed,
    };
    let text = match args.output.output {
        Some(Output::Json | Output::Yaml) => render::json::diagnosis(&diagnosis),
        Some(Output::Wide) => render::way::diagnosis(&diagnosis, true),
        Some(Output::Name) | None => render::way::diagnosis(&diagnosis, false),
    };
    let is_for_people = !matches!(args.output.output, Some(Output::Json | Output::Yaml));
    let text = if diagnosis.ways.is_empty() && is_for_people {
        format!("It has no volume that is storage: neither claims nor inline CSI volumes.\n{text}")
    } else {
        text
    };
    Ok(Answer::new(text, is_found))
}

fn is_claim(claim: &Claim, name: &str, args: &DiagnoseArgs) -> bool {
    let ClaimRef {
        namespace,
        name: own,
        ..
    } = &claim.claim;
    own == name && in_scope(namespace, args)
}

fn is_pod(pod: &Pod, name: &str, args: &DiagnoseArgs) -> bool {
    let PodRef {
        namespace,
        name: own,
        ..
    } = &pod.pod;
    own == name && in_scope(namespace, args)
}

fn in_scope(namespace: &str, args: &DiagnoseArgs) -> bool {
    let wanted = args.scope.namespace.as_deref();
    wanted.is_none_or(|wanted| wanted == namespace)
}

/// Those of a list that were asked for; an error where there are none.
fn asked<'a, M>(
    listing: &'a Listing<M>,
    source: &Source,
    kind: &str,
    name: &str,
    name_of: fn(&M) -> &str,
    is_it: impl Fn(&M) -> bool,
) -> anyhow::Result<Vec<&'a M>> {
    let found: Vec<&M> = listing.items.iter().filter(|one| is_it(one)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    match listing.gaps.first() {
        Some(gap) if source.is_nodes_alone => bail!(
            "no node has told of a {kind} {name}; what no pod uses is on no node: {}",
            gap.what
        ),
        Some(gap) => bail!(
            "no {kind} {name} was read, and not all could be: {}{}",
            gap.what,
            cure::of_gap(gap, source.is_everywhere)
        ),
        None => {
            let all = listing.items.iter().map(name_of);
            let meant = near::meant(name, all);
            bail!("there is no {kind} {name} in {}{meant}", source.place)
        }
    }
}

/// The object that a claim is.
fn object(claim: &Claim) -> Object {
    Object::Claim(claim.claim.clone())
}
