//! The kubelet itself, and the pods that wait for it.

use jiff::Timestamp;

use crate::model::finding::{Object, Subject};
use crate::model::names::{NodeName, PodRef};
use crate::model::objects::Event;
use crate::model::observed::{Listing, Observed};

/// The kubelet of this node, as far as it can be seen from beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubelet {
    /// Whether its process runs.
    pub running: Observed<bool>,
    /// How many static pods it was given that have no mirror among the pods: directories of theirs
    /// belong to nobody that the API server knows.
    pub unmirrored: Observed<u32>,
}

/// A pod of this node that has not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingPod {
    /// The pod.
    pub pod: PodRef,
    /// When the kubelet took it up.
    pub since: Option<Timestamp>,
    /// What was said of volumes of it that are none of the node's listed ones (a Secret, a `ConfigMap`),
    /// oldest first.
    pub events: Listing<Event>,
}

impl WaitingPod {
    /// What findings about it are about.
    pub fn subject(&self, node: &NodeName) -> Subject {
        Subject {
            object: Object::Pod(self.pod.clone()),
            node: Some(node.clone()),
        }
    }
}
