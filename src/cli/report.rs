//! `report`: the cluster's storage, from the API server or a directory of manifests, and with a
//! collector what nodes know beside.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use crate::cli::args::{FailOn, ObjectsArgs, ReportArgs, ReportForm, ScopeArgs};
use crate::cli::{Answer, cure, from, kubeconfig, selector};
use crate::grpc::client::{Collector, FindingFilter, VolumeFilter};
use crate::join;
use crate::kubernetes::{client, list};
use crate::model::finding::{Object, RuleVerdicts, Severity};
use crate::model::names::PersistentVolumeName;
use crate::model::objects::Objects;
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::report::{Beside, ClaimName, Findings, OnNodes, Report};
use crate::model::view::{NodeVolume, Story};
use crate::render;
use crate::rules;

/// Of whose bytes nobody was asked, and how to get them.
const NO_COLLECTOR: &str = "used, inodes and node of claims: no collector was asked; name one with --collector ADDRESS, as a forwarded port: kubectl -n csi-doctor port-forward deployment/csi-doctor-collector 9470";

/// The report.
///
/// It is a list, and succeeds whatever is in it, unless it is told what to fail on.
pub(super) async fn report(
    args: &ReportArgs,
    collector: Option<&str>,
    fail_on: Option<FailOn>,
) -> anyhow::Result<Answer> {
    let namespace = args.scope.namespace.as_deref();
    let mut objects = objects(args).await?;
    let at = Timestamp::now();
    let beside = match collector {
        Some(address) => from_nodes(address, namespace).await?,
        None => Beside {
            on_nodes: Observed::Unknown(Gap::new(Why::NotAsked, NO_COLLECTOR)),
            findings: by_rules(&objects, at),
        },
    };
    if args.selector.is_some() {
        selector::narrow(&mut objects);
    }
    let report = join::report(at, objects, &beside, namespace);
    let is_found = fail_on.is_some_and(|least| is_reached(&report, least));
    Ok(Answer::new(print(&report, args.output), is_found))
}

/// Whether a claim has a finding that is as bad.
fn is_reached(report: &Report, least: FailOn) -> bool {
    let claims = report.claims.items.iter();
    let mut codes = claims.filter_map(|claim| claim.findings.known()).flatten();
    codes.any(|code| {
        // What a newer collector finds is at least worth a look.
        let severity =
            rules::find(&code.as_str().into()).map_or(Severity::Warning, |rule| rule.severity);
        least.reached_by(severity)
    })
}

fn print(report: &Report, form: ReportForm) -> String {
    match form {
        ReportForm::Table => render::report::table(report, false),
        ReportForm::Wide => render::report::table(report, true),
        ReportForm::Json | ReportForm::Yaml => render::json::report(report),
        ReportForm::Csv => render::report::csv(report),
        ReportForm::Markdown => render::report::markdown(report),
        ReportForm::Html => render::report::html(report),
    }
}

/// All objects of the scope; an error where none of them may be read.
async fn objects(args: &ReportArgs) -> anyhow::Result<Objects> {
    // The API server has its own words for labels that it does not understand; these come sooner.
    let labels = args.selector.as_deref();
    let wanted = labels.map_or(Ok(Vec::new()), selector::selector)?;
    let objects = match &args.objects.from {
        Some(directory) => from::objects(directory, wanted)?,
        None => of_server(&args.objects, &args.scope, labels).await?,
    };
    let lists = [
        nothing(&objects.claims),
        nothing(&objects.volumes),
        nothing(&objects.classes),
    ];
    if let [Some(gap), Some(_), Some(_)] = lists {
        bail!(
            "nothing of the cluster's storage could be read: {}{}",
            gap.what,
            cure::of_gap(gap, args.scope.namespace.is_none())
        );
    }
    Ok(objects)
}

/// Why there is nothing in a list that may have something.
fn nothing<T>(listing: &Listing<T>) -> Option<&Gap> {
    listing.gaps.first().filter(|_| listing.items.is_empty())
}

async fn of_server(
    from: &ObjectsArgs,
    scope: &ScopeArgs,
    labels: Option<&str>,
) -> anyhow::Result<Objects> {
    let named = from.kubeconfig.is_some() || from.context.is_some();
    if !named && !kubeconfig::is_there()? {
        bail!(
            "there is no kubeconfig at ~/.kube/config: name one with --kubeconfig, or a directory of objects with --from"
        );
    }
    let kubeconfig = from.kubeconfig.as_deref();
    let client =
        client::as_caller(kubeconfig, from.context.as_deref(), "kubectl-csi_doctor").await?;
    let come = AtomicUsize::new(0);
    let shown = std::io::stderr().is_terminal();
    let told = |more| {
        let all = come.fetch_add(more, Ordering::Relaxed) + more;
        if shown {
            let _ = write!(std::io::stderr(), "\robjects read: {all}");
        }
    };
    let objects = list::everything(&client, scope.namespace.as_deref(), labels, &told).await;
    if shown {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    Ok(objects)
}

/// What nodes told a collector.
async fn from_nodes(address: &str, namespace: Option<&str>) -> anyhow::Result<Beside> {
    let mut reader = Collector::at(address).context("--collector")?.reader();
    let filter = VolumeFilter {
        namespace: namespace.map(ToOwned::to_owned),
        name: None,
    };
    let volumes = reader.volumes(&filter).await?.items;
    let filter = FindingFilter {
        namespace: namespace.map(ToOwned::to_owned),
        code: None,
    };
    let stories = reader.findings(&filter).await?.items;
    Ok(Beside {
        on_nodes: Observed::Known(by_claim(&volumes)),
        findings: Findings {
            codes: told(&stories),
            unjudged: BTreeMap::new(),
        },
    })
}

fn by_claim(volumes: &[NodeVolume]) -> BTreeMap<ClaimName, OnNodes> {
    let mut claims: BTreeMap<ClaimName, OnNodes> = BTreeMap::new();
    for one in volumes {
        let Some(claim) = &one.volume.claim else {
            continue;
        };
        let name = (claim.claim.namespace.clone(), claim.claim.name.clone());
        let usage = if one.silent {
            // What a silent node told last may not be so any more.
            let what = format!("node {} is silent", one.node);
            Observed::Unknown(Gap::new(Why::Unavailable, what))
        } else {
            one.volume.usage()
        };
        let told = claims.entry(name).or_insert_with(|| OnNodes {
            nodes: Vec::new(),
            usage: usage.clone(),
        });
        told.nodes.push(one.node.clone());
        if told.usage.known().is_none() {
            told.usage = usage;
        }
    }
    claims
}

fn told(stories: &[Story]) -> BTreeMap<ClaimName, Vec<String>> {
    let mut found = BTreeMap::new();
    for story in stories.iter().filter(|story| story.counts()) {
        for one in std::iter::once(&story.finding).chain(&story.explains) {
            note(&mut found, &one.key.subject.object, &one.key.code.0);
        }
    }
    found
}

fn note(found: &mut BTreeMap<ClaimName, Vec<String>>, object: &Object, code: &str) {
    if let Object::Claim(claim) = object {
        let name = (claim.namespace.clone(), claim.name.clone());
        let codes: &mut Vec<String> = found.entry(name).or_default();
        if codes.iter().all(|one| one != code) {
            codes.push(code.to_owned());
        }
    }
}

/// What the objects alone tell, as far as it has lasted longer than may be waited for.
fn by_rules(objects: &Objects, at: Timestamp) -> Findings {
    let facts = join::cluster(objects, &BTreeSet::new(), at);
    let mut found = Findings::default();
    for rule in rules::diagnose_cluster(&facts) {
        for (subject, problem) in &rule.problems {
            if has_lasted(&rule, problem.since, at) {
                note(&mut found.codes, &subject.object, &rule.code.0);
            }
        }
        // What a node alone could tell is said once, of all claims: that no collector was asked.
        let unknowns = rule.unknowns.iter();
        for (subject, gap) in unknowns.filter(|(_, gap)| gap.why != Why::NotAsked) {
            if let Object::Claim(claim) = &subject.object {
                let name = (claim.namespace.clone(), claim.name.clone());
                found.unjudged.entry(name).or_insert_with(|| gap.clone());
            }
        }
    }
    // Rules do not see a bound claim whose volume was not read.
    if let Some(gap) = objects.volumes.gaps.first() {
        let volumes = objects.volumes.items.iter();
        let read: HashSet<&PersistentVolumeName> = volumes.map(|one| &one.name).collect();
        for claim in &objects.claims.items {
            if claim
                .volume
                .as_ref()
                .is_some_and(|name| !read.contains(name))
            {
                let name = (claim.claim.namespace.clone(), claim.claim.name.clone());
                found.unjudged.entry(name).or_insert_with(|| gap.clone());
            }
        }
    }
    found
}

/// Whether a problem is older than its rule's grace, as far as is known.
pub(super) fn has_lasted(rule: &RuleVerdicts, since: Option<Timestamp>, at: Timestamp) -> bool {
    since.is_none_or(|since| {
        std::time::Duration::try_from(at.duration_since(since)).is_ok_and(|age| age >= rule.grace)
    })
}
