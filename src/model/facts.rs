//! All that a rule may see: what was observed on one node at one moment, thresholds included.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::binding::{Absent, Binding, Waiting};
use crate::model::driver::Driver;
use crate::model::finding::{Object, Subject};
use crate::model::kubelet::{Kubelet, WaitingPod};
use crate::model::leftover::{Leftover, Uncovered};
use crate::model::names::{ClaimRef, NodeName};
use crate::model::observed::{Gap, Listing, Observed};
use crate::model::volume::Volume;

/// What was observed on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// The node.
    pub node: NodeName,
    /// When the gathering began, by the node's clock.
    pub observed_at: Timestamp,
    /// What the operator set.
    pub thresholds: Thresholds,
    /// The volumes that pods of the node use, or that are left on it.
    pub volumes: Listing<Volume>,
    /// The drivers that are here, or that somebody expects here.
    pub drivers: Listing<Driver>,
    /// What lies in the kubelet's directory and belongs to no volume in use.
    pub leftovers: Listing<Leftover>,
    /// Volumes of plugins that are built into the kubelet, which are not covered.
    pub uncovered: Listing<Uncovered>,
    /// The pods that have not started.
    pub waiting: Listing<WaitingPod>,
    /// The kubelet itself, as far as it can be seen.
    pub kubelet: Kubelet,
    /// What could not be seen and belongs to no list: a broken line of the mount table, a broken manifest.
    pub gaps: Vec<Gap>,
}

impl NodeFacts {
    /// Everything that a rule can have looked at: a subject among these without a problem and
    /// without an unknown is ok, and needs no words on the wire.
    pub fn subjects(&self) -> BTreeSet<Subject> {
        let volumes = self
            .volumes
            .items
            .iter()
            .map(|volume| volume.subject(&self.node));
        let drivers = self
            .drivers
            .items
            .iter()
            .map(|driver| driver.subject(&self.node));
        let leftovers = self.leftovers.items.iter();
        let leftovers = leftovers.map(|left| left.subject(&self.node));
        let waiting = self.waiting.items.iter();
        let waiting = waiting.map(|pod| pod.subject(&self.node));
        let objects = volumes.chain(drivers);
        objects.chain(leftovers).chain(waiting).collect()
    }
}

/// What is known of the cluster as a whole at one moment, without any node's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterFacts {
    /// The moment, by the clock of who asks.
    pub observed_at: Timestamp,
    /// The volumes of bound claims. What only a node can see of them is a gap.
    pub volumes: Listing<Volume>,
    /// The claims that a pod has on a node that is heard: the node's half of an expansion is seen
    /// there, with its bytes, and judged there.
    pub on_nodes: Observed<BTreeSet<ClaimRef>>,
    /// The nodes that the API server has; not known while it has none, as in a directory without any.
    pub standing: Observed<BTreeSet<NodeName>>,
    /// The nodes that have ever reported and are not given up.
    pub nodes: Listing<HeardNode>,
    /// The claims that are not bound, and what could be theirs.
    pub binding: Binding,
}

impl ClusterFacts {
    /// Nothing is known of its objects, for one reason.
    pub fn unknown(observed_at: Timestamp, gap: Gap) -> Self {
        Self {
            observed_at,
            volumes: Listing::unknown(gap.clone()),
            binding: Binding::unknown(&gap),
            on_nodes: Observed::Unknown(gap.clone()),
            standing: Observed::Unknown(gap),
            nodes: Listing::default(),
        }
    }

    /// Everything that a rule about the cluster itself can have looked at.
    pub fn subjects(&self) -> BTreeSet<Subject> {
        let nodes = self.nodes.items.iter().map(HeardNode::subject);
        let volumes = self.volumes.items.iter().map(|volume| Subject {
            object: volume.object(),
            node: None,
        });
        let waiting = self.binding.claims.items.iter().map(Waiting::subject);
        let absent = self.binding.absent.items.iter().map(Absent::subject);
        nodes.chain(volumes).chain(waiting).chain(absent).collect()
    }
}

/// A node, as who listens to its agent knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeardNode {
    /// The node.
    pub name: NodeName,
    /// When it was last heard; `None` when it was not, since who listens began to.
    pub heard: Option<Timestamp>,
    /// How often its agent wants to report.
    pub interval: Duration,
    /// Whether it has been silent for too long, so that nothing about it is certain.
    pub silent: bool,
    /// How many volumes it told of last.
    pub volumes: usize,
}

impl HeardNode {
    /// What findings about it are about.
    pub fn subject(&self) -> Subject {
        Subject {
            object: Object::Node(self.name.clone()),
            node: Some(self.name.clone()),
        }
    }
}

/// Limits that an operator sets; they travel with the facts, so that a recording replays with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Percent of a filesystem's space or inodes in use from which it is nearly full.
    pub nearly_full_percent: u8,
}

impl Thresholds {
    /// What an agent without flags uses: the kubelet's own default for evicting pods is 85 to 90 percent.
    pub const DEFAULT: Self = Self {
        nearly_full_percent: 90,
    };
}
