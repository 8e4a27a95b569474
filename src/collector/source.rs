//! One node as the collector knows it: which agent speaks for it, when it was heard, its history.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::collector::packed;
use crate::grpc::Refusal;
use crate::history::History;
use crate::model::brief::Brief;
use crate::model::facts::HeardNode;
use crate::model::finding::Finding;
use crate::model::names::NodeName;
use crate::model::observed::{Gap, Observed, Why};
use crate::model::scan::{Origin, Scan};
use crate::model::view::NodeView;
use crate::store::{Heard, KeptScan};

/// What an agent that does not say its interval is taken to have.
const DEFAULT_INTERVAL: Duration = Duration::from_mins(1);

/// An agent that says it reports once a year would never be silent.
const LONGEST_INTERVAL: Duration = Duration::from_hours(1);

/// How many lives of agents of one node are remembered, so that a late scan of an earlier one is
/// known as such.
const LIVES: usize = 4;

/// How many findings one node can have: far more volumes than a node can hold.
const MAX_FINDINGS: usize = 10_000;

/// A scan is kept so often; that it was taken is kept each time. After a restart an older picture
/// of a node is shown until its agent reports again, which takes one interval.
const KEEP_EVERY: Duration = Duration::from_mins(5);

/// A moment, by both clocks: one for people, one that never jumps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) clock: Instant,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            at: Timestamp::now(),
            clock: Instant::now(),
        }
    }
}

/// What a scan is, beside what is known already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Not newer.
    Old,
    /// The latest word.
    Fresh,
    /// The latest word of one of two agents that speak by turns: neither can be believed.
    Contested,
}

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
    /// The API server has nodes, and not this one.
    removed: bool,
    /// When an earlier life spoke last after a later one had.
    contested: Option<Instant>,
    /// When a scan was last given to the store.
    kept: Option<Instant>,
    /// How many reports it may send at once; filled up by time.
    allowance: f64,
    allowed_at: Instant,
    /// Lives of agents, the current one last.
    lives: Vec<Origin>,
    said: Option<Said>,
}

/// What was said last.
#[derive(Debug)]
struct Said {
    brief: Arc<Brief>,
    packed: Arc<[u8]>,
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
            removed: false,
            contested: None,
            kept: None,
            allowance: f64::INFINITY,
            allowed_at: Instant::now(),
            lives: Vec::new(),
            said: None,
        }
    }
}

impl Source {
    /// As an earlier life of the collector knew it, whose findings are remembered.
    pub(super) fn recall(&mut self, kept: &KeptScan, moment: Moment) {
        // It is a cache: one that is no longer read is not missed for long.
        let Some(scan) = packed::scan(&kept.packed) else {
            return;
        };
        let moment = Moment {
            at: kept.received,
            ..moment
        };
        self.lives.push(scan.origin.clone());
        self.heard(&scan, Brief::of(&scan), Arc::clone(&kept.packed), moment);
    }

    /// The last scan that an earlier life of the collector took, if not that of the store.
    pub(super) fn was_heard(&mut self, heard: Heard) {
        self.last_heard = Some(heard.received);
        self.lives = vec![heard.origin];
    }

    pub(super) fn remember(&mut self, findings: Vec<Finding>) {
        self.history = History::from_findings(findings);
    }

    /// Whether it may report once more: so many a minute, and as many at once.
    pub(super) fn may_report(&mut self, clock: Instant, a_minute: u32) -> bool {
        let most = f64::from(a_minute);
        let passed = clock
            .saturating_duration_since(self.allowed_at)
            .as_secs_f64();
        self.allowance = (self.allowance + passed * most / 60.0).min(most);
        self.allowed_at = clock;
        if self.allowance < 1.0 {
            return false;
        }
        self.allowance -= 1.0;
        true
    }

    /// Whether the scan is newer than what is known, by the agent's own count: clocks are not asked.
    pub(super) fn news(&mut self, origin: &Origin, moment: Moment, silent_after: u32) -> News {
        let known = self
            .lives
            .iter()
            .position(|life| life.instance == origin.instance);
        if let Some(index) = known {
            if origin.sequence <= self.lives[index].sequence {
                return News::Old;
            }
            if index + 1 < self.lives.len() {
                self.contested = Some(moment.clock);
            }
            self.lives.remove(index);
        } else if self.lives.len() == LIVES {
            self.lives.remove(0);
        }
        self.lives.push(origin.clone());
        let patience = self.interval.saturating_mul(silent_after);
        let recent = |at: Instant| moment.clock.saturating_duration_since(at) <= patience;
        if self.contested.is_some_and(recent) {
            News::Contested
        } else {
            self.contested = None;
            News::Fresh
        }
    }

    /// The scan is the latest word, and its findings have been judged.
    pub(super) fn heard(
        &mut self,
        scan: &Scan,
        mut brief: Brief,
        packed: Arc<[u8]>,
        moment: Moment,
    ) {
        self.interval = match scan.interval {
            Duration::ZERO => DEFAULT_INTERVAL,
            interval => interval.min(LONGEST_INTERVAL),
        };
        self.heard_at = moment.clock;
        self.last_heard = Some(moment.at);
        self.silent = false;
        let before = self.said.as_ref();
        let before = before.map_or(&[][..], |said| &said.brief.judged);
        brief.judge(scan, self.history.findings(), before);
        let brief = Arc::new(brief);
        self.said = Some(Said { brief, packed });
    }

    /// Whether it is time to keep a scan again; it is kept, if so.
    pub(super) fn is_to_be_kept(&mut self, clock: Instant) -> bool {
        let due = |at: Instant| clock.saturating_duration_since(at) >= KEEP_EVERY;
        let is_due = self.kept.is_none_or(due);
        if is_due {
            self.kept = Some(clock);
        }
        is_due
    }

    /// Whether it has been silent for too long, and was not known to be.
    pub(super) fn falls_silent(&mut self, clock: Instant, after: u32) -> bool {
        let late = self.unheard_for(clock) > self.interval.saturating_mul(after);
        let falls = late && !self.silent;
        self.silent |= late;
        falls
    }

    /// Since it was heard, or since this collector began.
    pub(super) fn unheard_for(&self, clock: Instant) -> Duration {
        clock.saturating_duration_since(self.heard_at)
    }

    /// Learns whether the API server still has the node; without its word it is taken to be there.
    pub(super) fn look_up(&mut self, name: &NodeName, standing: &Observed<BTreeSet<NodeName>>) {
        let standing = standing.known();
        self.removed = standing.is_some_and(|standing| !standing.contains(name));
    }

    /// Whether it is to be forgotten: silent for so long, or silent and taken out of the cluster.
    pub(super) fn is_gone(&self, clock: Instant, after: Duration) -> bool {
        self.unheard_for(clock) > after || self.silent && self.removed
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    /// As the rules of the cluster see it.
    pub(super) fn as_heard(&self, name: &NodeName) -> HeardNode {
        HeardNode {
            name: name.clone(),
            heard: self.last_heard,
            interval: self.interval,
            silent: self.silent,
            volumes: self.said.as_ref().map_or(0, |said| said.brief.volumes),
        }
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
        let said = self.said.as_ref()?;
        Some(NodeView {
            name: name.clone(),
            heard: self.last_heard?,
            silent: self.silent,
            brief: Arc::clone(&said.brief),
            packed: Arc::clone(&said.packed),
        })
    }
}

/// What the facts of a contested node lack.
pub(super) fn contested(node: &NodeName) -> Gap {
    Gap::new(
        Why::Malformed,
        format!(
            "two agents report for node {node} by turns, and neither can be believed: is --node-name right on each?"
        ),
    )
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
