//! What Prometheus is told: made from the view when it asks, beside a few counts.
//! `docs/metrics.md` lists all of it.
//!
//! Nothing that an agent says becomes a label without a bound: a code that no rule has and a driver
//! beyond the first hundred are called "other".

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::watch;
use tonic::Code;

use crate::history::{Change, ChangeKind};
use crate::model::view::{Story, View};
use crate::rules;

/// How an attempt to put an Event on an object can end; all are told from the beginning.
const OUTCOMES: [&str; 5] = ["dropped", "failed", "known", "made", "refused"];

/// Names and values of one series.
type Labels<const N: usize> = [(&'static str, String); N];

/// How many drivers are told by name.
const MAX_DRIVERS: usize = 100;

/// What has a name that nobody bounds.
const OTHER: &str = "other";

/// What is counted as it happens; every clone counts the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// Reports that were acknowledged.
    pub(super) reports: Counter,
    /// Groups of findings that are in memory only, since the store cannot be written.
    pub(super) unwritten: Gauge<u64, AtomicU64>,
    refused: Family<Labels<1>, Counter>,
    events: Family<Labels<1>, Counter>,
    changes: Family<Labels<2>, Counter>,
}

impl Counts {
    /// One more report is refused; how many of that kind there were, this one with them.
    pub(super) fn refused(&self, code: Code) -> u64 {
        let label = [("code", format!("{code:?}"))];
        self.refused.get_or_create(&label).inc() + 1
    }

    /// One more attempt to put an Event on an object, and how it ended.
    pub(super) fn announced(&self, outcome: &str) {
        let label = [("outcome", outcome.to_owned())];
        self.events.get_or_create(&label).inc();
    }

    /// One more step in the life of a finding; what never opened does not count.
    pub(super) fn changed(&self, change: &Change) {
        if change.finding.opened.is_some() && change.kind != ChangeKind::Refreshed {
            let labels = [
                ("code", known_code(&change.finding.key.code.0)),
                ("change", change.kind.as_str().to_owned()),
            ];
            self.changes.get_or_create(&labels).inc();
        }
    }
}

/// All that the collector tells.
pub(super) fn registry(view: watch::Receiver<Arc<View>>, counts: &Counts) -> Registry {
    let mut registry = Registry::with_prefix("csi_doctor");
    registry.register(
        "build",
        "The version of the collector",
        Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
    );
    registry.register(
        "reports",
        "Reports of agents that were acknowledged",
        counts.reports.clone(),
    );
    registry.register(
        "reports_refused",
        "Reports that were refused, by the gRPC status of the refusal",
        counts.refused.clone(),
    );
    registry.register(
        "finding_changes",
        "Steps in the lives of findings that have been open",
        counts.changes.clone(),
    );
    for outcome in OUTCOMES {
        let label = [("outcome", outcome.to_owned())];
        drop(counts.events.get_or_create(&label));
    }
    registry.register(
        "events",
        "Attempts to put an Event on an object, by how they ended",
        counts.events.clone(),
    );
    registry.register(
        "store_unwritten",
        "Groups of findings that are in memory only because the store cannot be written",
        counts.unwritten.clone(),
    );
    registry.register_collector(Box::new(Present(view)));
    registry
}

/// The view of the moment in which somebody asks.
#[derive(Debug)]
struct Present(watch::Receiver<Arc<View>>);

impl Collector for Present {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let view = Arc::clone(&self.0.borrow());
        let encoder = &mut encoder;
        gauges(
            encoder,
            "findings",
            "Findings, folded as people see them.",
            findings(&view),
        )?;
        gauges(
            encoder,
            "nodes",
            "Nodes whose agents have reported.",
            nodes(&view),
        )?;
        gauges(
            encoder,
            "volumes",
            "Volumes on the nodes, by their driver.",
            volumes(&view),
        )?;
        gauges(
            encoder,
            "verdicts",
            "What the rules say of their subjects, over all nodes.",
            verdicts(&view),
        )?;
        gauges(
            encoder,
            "node_gaps",
            "Facts of a node that could not be seen.",
            gaps(&view),
        )?;
        gauges(
            encoder,
            "objects",
            "Objects of the API server that are kept, by their resource.",
            objects(&view),
        )?;
        let help = "Reasons why objects of the cluster could not be seen.";
        let unseen = encoder.encode_descriptor("cluster_gaps", help, None, MetricType::Gauge)?;
        ConstGauge::new(view.cluster.gaps.len()).encode(unseen)?;
        let help = "When a node was last heard, by the collector's clock.";
        let name = "node_last_heard_timestamp";
        let mut heard =
            encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for node in &view.nodes {
            let labels = [("node", node.name.as_str())];
            let value = ConstGauge::new(node.heard.as_second());
            value.encode(heard.encode_family(&labels)?)?;
        }
        let help = "When the view was made that all of this is of.";
        let unit = Some(&Unit::Seconds);
        let made = encoder.encode_descriptor("view_timestamp", help, unit, MetricType::Gauge)?;
        ConstGauge::new(view.at.as_second()).encode(made)
    }
}

fn gauges<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: BTreeMap<Labels<N>, usize>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn findings(view: &View) -> BTreeMap<Labels<3>, usize> {
    let mut counted = BTreeMap::new();
    for story in &view.stories {
        let labels = [
            ("code", known_code(&story.finding.key.code.0)),
            ("severity", story.finding.severity.as_str().to_owned()),
            ("state", state(story).to_owned()),
        ];
        *counted.entry(labels).or_default() += 1;
    }
    counted
}

/// What never opened is settling, even while nobody can confirm it: an alarm asks for the rest.
fn state(story: &Story) -> &'static str {
    if story.silenced.is_some() {
        "silenced"
    } else if story.counts() {
        story.finding.state.as_str()
    } else {
        "settling"
    }
}

fn nodes(view: &View) -> BTreeMap<Labels<1>, usize> {
    let silent = view.nodes.iter().filter(|node| node.silent).count();
    BTreeMap::from([
        ([("state", "heard".to_owned())], view.nodes.len() - silent),
        ([("state", "silent".to_owned())], silent),
    ])
}

fn volumes(view: &View) -> BTreeMap<Labels<1>, usize> {
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    let all = view.nodes.iter().flat_map(|node| &node.brief.served);
    for (driver, volumes) in all {
        let name = driver.as_str();
        let is_told = counted.contains_key(name) || counted.len() < MAX_DRIVERS;
        let name = if is_told { name } else { OTHER };
        *counted.entry(name).or_default() += volumes;
    }
    let labelled = |(name, count): (&str, usize)| ([("driver", name.to_owned())], count);
    counted.into_iter().map(labelled).collect()
}

fn verdicts(view: &View) -> BTreeMap<Labels<2>, usize> {
    let mut counted = BTreeMap::new();
    for rule in view.summary().rules {
        let verdicts = [
            ("ok", rule.ok),
            ("problem", rule.problem),
            ("unknown", rule.unknown),
        ];
        for (verdict, count) in verdicts {
            let labels = [
                ("code", known_code(&rule.code.0)),
                ("verdict", verdict.to_owned()),
            ];
            *counted.entry(labels).or_default() += count;
        }
    }
    counted
}

fn gaps(view: &View) -> BTreeMap<Labels<1>, usize> {
    let nodes = view.nodes.iter();
    nodes
        .map(|node| {
            let label = [("node", node.name.as_str().to_owned())];
            (label, node.brief.gaps.len())
        })
        .collect()
}

fn objects(view: &View) -> BTreeMap<Labels<1>, usize> {
    let kinds = view.cluster.objects.iter();
    kinds
        .map(|(resource, count)| ([("resource", (*resource).to_owned())], *count))
        .collect()
}

/// A code that a rule of ours has; an agent may say any.
fn known_code(code: &str) -> String {
    let is_known = rules::RULES.iter().any(|rule| rule.code == code);
    if is_known { code } else { OTHER }.to_owned()
}
