//! Everything that a reader may see at one moment: folded, immutable, shared.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::brief::Brief;
use crate::model::driver::Driver;
use crate::model::finding::{Code, Finding, Key, Resolution, RuleVerdicts, Severity, State};
use crate::model::names::{ClaimRef, NodeName};
use crate::model::observed::Gap;
use crate::model::volume::Volume;

/// What the collector, or the agent alone, shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// When it was made.
    pub at: Timestamp,
    /// The nodes, by name.
    pub nodes: Vec<NodeView>,
    /// The cluster's objects.
    pub cluster: Arc<ClusterView>,
    /// The stories, worst first.
    pub stories: Vec<Story>,
    /// What was open and ended in the last hour, the latest last.
    pub ended: Vec<Arc<Ended>>,
}

/// The end of a finding that had been open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What was wrong with what.
    pub key: Key,
    /// When it ended.
    pub at: Timestamp,
    /// How one knows.
    pub how: Resolution,
}

/// What is known of the cluster without any node's word, in short.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterView {
    /// How many objects of each resource are known, by the name that roles have for it.
    pub objects: Vec<(&'static str, usize)>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
    /// Claims whose owners do not want some codes to be counted, with their words.
    pub silences: Vec<(ClaimRef, String)>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// Its name.
    pub name: NodeName,
    /// When it was last heard, by the listener's clock.
    pub heard: Timestamp,
    /// Whether it has been silent for too long, so that nothing about it is certain.
    pub silent: bool,
    /// What it said last, in short.
    pub brief: Arc<Brief>,
    /// The same in full, as its keeper packed it; empty where nobody keeps it.
    pub packed: Arc<[u8]>,
}

/// A node that has reported, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its name.
    pub name: NodeName,
    /// When it was last heard, by the listener's clock.
    pub heard: Timestamp,
    /// Whether it has been silent for too long.
    pub silent: bool,
    /// The version of its agent.
    pub agent_version: String,
    /// How many volumes it has.
    pub volumes: u64,
    /// Its drivers.
    pub drivers: Vec<Driver>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
}

/// A volume, with the node that it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeVolume {
    /// The node.
    pub node: NodeName,
    /// When the node was seen so, by its own clock.
    pub observed_at: Timestamp,
    /// Whether the node has been silent for too long since.
    pub silent: bool,
    /// The volume.
    pub volume: Volume,
}

impl NodeView {
    /// The node in short.
    pub fn status(&self) -> NodeStatus {
        let brief = &self.brief;
        NodeStatus {
            name: self.name.clone(),
            heard: self.heard,
            silent: self.silent,
            agent_version: brief.agent_version.clone(),
            volumes: brief.volumes as u64,
            drivers: brief.drivers.clone(),
            gaps: brief.gaps.iter().cloned().collect(),
        }
    }
}

/// Findings that are one thing to a person: the earliest stuck step, and what it explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// The finding to act on.
    pub finding: Finding,
    /// The nodes that see it.
    pub places: Vec<NodeName>,
    /// Findings that follow from it.
    pub explains: Vec<Finding>,
    /// Who silenced it; shown, not counted.
    pub silenced: Option<String>,
}

impl Story {
    /// Whether it counts: open or unconfirmed after it was open, and not silenced.
    pub fn counts(&self) -> bool {
        self.silenced.is_none()
            && match self.finding.state {
                State::Open => true,
                State::Unconfirmed { .. } => self.finding.opened.is_some(),
                State::Settling | State::Resolved { .. } => false,
            }
    }
}

/// Numbers for one screen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Nodes that are heard.
    pub nodes_heard: usize,
    /// Nodes that fell silent.
    pub nodes_silent: Vec<NodeName>,
    /// Volumes on the nodes that are heard or were.
    pub volumes: usize,
    /// Drivers on the nodes, each node's counted.
    pub drivers: usize,
    /// Stories that count, by severity.
    pub critical: usize,
    /// The same.
    pub warning: usize,
    /// The same.
    pub info: usize,
    /// Stories that may go by themselves.
    pub settling: usize,
    /// Stories that nobody can confirm at present.
    pub unconfirmed: usize,
    /// Stories that somebody silenced.
    pub silenced: usize,
    /// Facts that could not be seen: their reasons.
    pub gaps: Vec<(NodeName, String)>,
    /// The same of the cluster's objects.
    pub cluster_gaps: Vec<String>,
    /// Verdicts of each rule, over all nodes.
    pub rules: Vec<RuleCount>,
}

/// How often one rule said what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleCount {
    /// The rule.
    pub code: Code,
    /// Subjects that are well.
    pub ok: usize,
    /// Subjects with a problem.
    pub problem: usize,
    /// Subjects that could not be judged.
    pub unknown: usize,
}

impl RuleCount {
    /// How often these verdicts said what.
    pub fn of(verdicts: &RuleVerdicts) -> Self {
        Self {
            code: verdicts.code.clone(),
            ok: verdicts.ok as usize,
            problem: verdicts.problems.len(),
            unknown: verdicts.unknowns.len(),
        }
    }
}

impl View {
    /// The numbers of it.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for node in &self.nodes {
            if node.silent {
                summary.nodes_silent.push(node.name.clone());
            } else {
                summary.nodes_heard += 1;
            }
            let brief = &node.brief;
            summary.volumes += brief.volumes;
            summary.drivers += brief.drivers.len();
            let gaps = brief.gaps.iter();
            summary
                .gaps
                .extend(gaps.map(|gap| (node.name.clone(), gap.to_string())));
            for count in &brief.rules {
                count_rule(&mut summary.rules, count);
            }
        }
        let gaps = self.cluster.gaps.iter();
        summary.cluster_gaps = gaps.map(ToString::to_string).collect();
        for story in &self.stories {
            count_story(&mut summary, story);
        }
        summary
    }
}

fn count_rule(rules: &mut Vec<RuleCount>, count: &RuleCount) {
    match rules.iter_mut().find(|rule| rule.code == count.code) {
        Some(rule) => {
            rule.ok += count.ok;
            rule.problem += count.problem;
            rule.unknown += count.unknown;
        }
        None => rules.push(count.clone()),
    }
}

fn count_story(summary: &mut Summary, story: &Story) {
    if story.silenced.is_some() {
        summary.silenced += 1;
    } else if story.counts() {
        match story.finding.severity {
            Severity::Critical => summary.critical += 1,
            Severity::Warning => summary.warning += 1,
            Severity::Info => summary.info += 1,
        }
    }
    match story.finding.state {
        State::Settling => summary.settling += 1,
        State::Unconfirmed { .. } => summary.unconfirmed += 1,
        State::Open | State::Resolved { .. } => {}
    }
}
