//! What the collector answers: numbers, volumes with their node, nodes.

use jiff::Timestamp;

use crate::model::driver::Driver;
use crate::model::finding::{Code, Severity};
use crate::model::view::{NodeStatus, NodeView, NodeVolume, RuleCount, Story, Summary};
use crate::proto::v1;
use crate::wire::WireError;
use crate::wire::finding::to_severity;
use crate::wire::value::{all, gaps, name, nanoseconds, optional, required, text, timestamp, word};

impl From<NodeStatus> for v1::Node {
    fn from(node: NodeStatus) -> Self {
        Self {
            name: node.name.to_string(),
            heard_ns: nanoseconds(node.heard),
            silent: node.silent,
            agent_version: node.agent_version,
            volumes: node.volumes,
            drivers: node.drivers.iter().map(Into::into).collect(),
            gaps: node.gaps.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Node> for NodeStatus {
    type Error = WireError;

    fn try_from(node: v1::Node) -> Result<Self, WireError> {
        Ok(Self {
            name: name(required("name", node.name)?).into(),
            heard: timestamp(node.heard_ns),
            silent: node.silent,
            agent_version: word(node.agent_version),
            volumes: node.volumes,
            drivers: all("drivers", node.drivers)?,
            gaps: gaps(node.gaps),
        })
    }
}

impl From<&NodeVolume> for v1::NodeVolume {
    fn from(volume: &NodeVolume) -> Self {
        Self {
            node: volume.node.to_string(),
            observed_at_ns: nanoseconds(volume.observed_at),
            silent: volume.silent,
            volume: Some((&volume.volume).into()),
        }
    }
}

impl v1::NodeDriver {
    /// This driver of this node.
    pub fn of(node: &NodeView, driver: &Driver) -> Self {
        Self {
            node: node.name.to_string(),
            silent: node.silent,
            driver: Some(driver.into()),
        }
    }
}

impl From<&Story> for v1::StoryKey {
    fn from(story: &Story) -> Self {
        let key = &story.finding.key;
        Self {
            code: key.code.to_string(),
            object: Some((&key.subject.object).into()),
        }
    }
}

/// The least severity that is asked for; `None` for all.
pub fn least_severity(number: i32) -> Option<Severity> {
    to_severity(number)
}

impl TryFrom<v1::NodeVolume> for NodeVolume {
    type Error = WireError;

    fn try_from(volume: v1::NodeVolume) -> Result<Self, WireError> {
        Ok(Self {
            node: name(required("node", volume.node)?).into(),
            observed_at: timestamp(volume.observed_at_ns),
            silent: volume.silent,
            volume: optional("volume", volume.volume)?
                .ok_or_else(|| WireError::missing("volume"))?,
        })
    }
}

/// The numbers of a view, with the time when it was made.
impl From<(Timestamp, &Summary)> for v1::SummaryResponse {
    fn from((at, summary): (Timestamp, &Summary)) -> Self {
        Self {
            at_ns: nanoseconds(at),
            nodes_heard: count(summary.nodes_heard),
            nodes_silent: summary
                .nodes_silent
                .iter()
                .map(ToString::to_string)
                .collect(),
            volumes: count(summary.volumes),
            drivers: count(summary.drivers),
            critical: count(summary.critical),
            warning: count(summary.warning),
            info: count(summary.info),
            settling: count(summary.settling),
            unconfirmed: count(summary.unconfirmed),
            silenced: count(summary.silenced),
            gaps: summary
                .gaps
                .iter()
                .map(|(node, what)| v1::NodeGap {
                    node: node.to_string(),
                    what: what.clone(),
                })
                .collect(),
            cluster_gaps: summary.cluster_gaps.clone(),
            rules: summary
                .rules
                .iter()
                .map(|rule| v1::RuleCount {
                    code: rule.code.to_string(),
                    ok: count(rule.ok),
                    problem: count(rule.problem),
                    unknown: count(rule.unknown),
                })
                .collect(),
        }
    }
}

impl From<v1::SummaryResponse> for (Timestamp, Summary) {
    fn from(summary: v1::SummaryResponse) -> Self {
        let numbers = Summary {
            nodes_heard: to_count(summary.nodes_heard),
            nodes_silent: summary
                .nodes_silent
                .into_iter()
                .map(|node| name(node).into())
                .collect(),
            volumes: to_count(summary.volumes),
            drivers: to_count(summary.drivers),
            critical: to_count(summary.critical),
            warning: to_count(summary.warning),
            info: to_count(summary.info),
            settling: to_count(summary.settling),
            unconfirmed: to_count(summary.unconfirmed),
            silenced: to_count(summary.silenced),
            gaps: summary
                .gaps
                .into_iter()
                .map(|gap| (name(gap.node).into(), text(gap.what)))
                .collect(),
            cluster_gaps: summary.cluster_gaps.into_iter().map(text).collect(),
            rules: summary
                .rules
                .into_iter()
                .map(|rule| RuleCount {
                    code: Code(name(rule.code)),
                    ok: to_count(rule.ok),
                    problem: to_count(rule.problem),
                    unknown: to_count(rule.unknown),
                })
                .collect(),
        };
        (timestamp(summary.at_ns), numbers)
    }
}

/// A moment as the wire writes it, for the answers that are lists.
pub fn at_ns(at: Timestamp) -> i64 {
    nanoseconds(at)
}

/// The moment of a list that was answered.
pub fn at(nanoseconds: i64) -> Timestamp {
    timestamp(nanoseconds)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn to_count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
