//! One node as the collector knows it: which agent speaks for it, when it was heard, its history.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::grpc::Refusal;
use crate::history::History;
use crate::model::finding::Finding;
use crate::model::names::NodeName;
use crate::model::scan::{Origin, Scan};
use crate::model::view::NodeView;
use crate::store::KeptScan;
use crate::wire;

/// What an agent that does not say its interval is taken to have.
const DEFAULT_INTERVAL: Duration = Duration::from_mins(1);

/// An agent that says it reports once a year would never be silent.
const LONGEST_INTERVAL: Duration = Duration::from_hours(1);

/// How many lives of agents of one node are remembered, so that a late scan of an earlier one is
/// known as such.
const LIVES: usize = 4;

/// How many findings one node can have: far more volumes than a node can hold.
const MAX_FINDINGS: usize = 10_000;

/// One node.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) history: History,
    /// A batch of it was not written.
    pub(super) lost: bool,
    /// By the collector's clock, for people.
    pub(super) last_heard: Option<Timestamp>,
    /// The same by a clock that never jumps, or when this collector began.
    heard_at: Instant,
    interval: Duration,
    silent: bool,
    /// Lives of agents, the current one last.
    lives: Vec<Origin>,
    scan: Option<Arc<Scan>>,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            history: History::default(),
            lost: false,
            last_heard: None,
            heard_at: Instant::now(),
            interval: DEFAULT_INTERVAL,
            silent: false,
            lives: Vec::new(),
            scan: None,
        }
    }
}

impl Source {
    /// As an earlier life of the collector knew it.
    pub(super) fn from_scan(kept: &KeptScan) -> Option<Self> {
        // It is a cache: one that is no longer read is not missed for long.
        let scan = wire::decode_scan(&kept.bytes).ok()?;
        let mut source = Self::default();
        source.lives.push(scan.origin.clone());
        source.heard(scan, kept.received);
        Some(source)
    }

    pub(super) fn remember(&mut self, findings: Vec<Finding>) {
        self.history = History::from_findings(findings);
    }

    /// Whether the scan is newer than what is known, by the agent's own count: clocks are not asked.
    pub(super) fn is_news(&mut self, node: &NodeName, origin: &Origin) -> bool {
        let known = self
            .lives
            .iter()
            .position(|life| life.instance == origin.instance);
        let Some(index) = known else {
            if self.lives.len() == LIVES {
                self.lives.remove(0);
            }
            self.lives.push(origin.clone());
            return true;
        };
        if origin.sequence <= self.lives[index].sequence {
            return false;
        }
        if index + 1 < self.lives.len() {
            tracing::warn!(
                k8s.node.name = node.as_str(),
                "two agents report for one node by turns"
            );
        }
        self.lives.remove(index);
        self.lives.push(origin.clone());
        true
    }

    /// The scan is the latest word.
    pub(super) fn heard(&mut self, scan: Scan, now: Timestamp) {
        self.interval = match scan.interval {
            Duration::ZERO => DEFAULT_INTERVAL,
            interval => interval.min(LONGEST_INTERVAL),
        };
        self.heard_at = Instant::now();
        self.last_heard = Some(now);
        self.silent = false;
        self.scan = Some(Arc::new(scan));
    }

    /// Whether it has been silent for too long, and was not known to be.
    pub(super) fn falls_silent(&mut self, now: Instant, after: u32) -> bool {
        let late = now.duration_since(self.heard_at) > self.interval.saturating_mul(after);
        let falls = late && !self.silent;
        self.silent |= late;
        falls
    }

    pub(super) fn why_silent(&self, node: &NodeName) -> String {
        match self.last_heard {
            Some(heard) => format!("node {node} has not been heard since {heard:.0}"),
            None => format!("node {node} has not been heard since the collector began"),
        }
    }

    /// All its findings, if a batch was lost: they are written in place of what is kept.
    pub(super) fn whole_if_lost(&mut self) -> Option<Vec<Finding>> {
        std::mem::take(&mut self.lost).then(|| self.history.findings().cloned().collect())
    }

    /// As readers see it; not at all before its first scan.
    pub(super) fn view(&self, name: &NodeName) -> Option<NodeView> {
        Some(NodeView {
            name: name.clone(),
            heard: self.last_heard?,
            silent: self.silent,
            scan: Arc::clone(self.scan.as_ref()?),
        })
    }
}

/// Refuses a scan that says one thing twice, or speaks for another node than its own.
pub(super) fn contradiction(scan: &Scan) -> Result<(), Refusal> {
    let refuse = |why: String| Refusal::Contradiction { what: "scan", why };
    let own = &scan.facts.node;
    let mut codes = BTreeSet::new();
    let mut findings = 0;
    for verdicts in &scan.verdicts {
        if !codes.insert(&verdicts.code) {
            return Err(refuse(format!("{} is judged twice", verdicts.code)));
        }
        findings += verdicts.problems.len();
        let problems = verdicts.problems.iter().map(|(subject, _)| subject);
        let unknowns = verdicts.unknowns.iter().map(|(subject, _)| subject);
        for subject in problems.chain(unknowns) {
            if subject.node.as_ref().is_some_and(|node| node != own) {
                return Err(refuse(format!(
                    "{} judges {subject}, and the scan is of node {own}",
                    verdicts.code
                )));
            }
        }
    }
    if findings > MAX_FINDINGS {
        return Err(Refusal::Full(format!(
            "{findings} problems of one node are more than the {MAX_FINDINGS} that are kept"
        )));
    }
    Ok(())
}
