//! The terms on which claims and volumes are bound, attached and started with: what a claim wants beside
//! its size, what a volume offers, what a class arranges, what attachments and pods say of themselves.
//!
//! Only who reads the objects knows them: agents do not tell of them.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::model::names::NodeName;
use crate::model::objects::VolumeMode;

/// What a claim wants beside size and access modes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaimTerms {
    /// `status.phase`.
    pub phase: ClaimPhase,
    /// The class as it is written: `None` takes the default one, an empty text wants none.
    pub class: Option<String>,
    /// `spec.selector`; each of them must take a volume's labels.
    pub selector: Option<Vec<Requirement>>,
    /// `spec.volumeMode`.
    pub mode: VolumeMode,
    /// `spec.volumeAttributesClassName`.
    pub attributes_class: Option<String>,
    /// The node that the scheduler chose (`volume.kubernetes.io/selected-node`).
    pub selected_node: Option<NodeName>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// The controller chose its volume (`pv.kubernetes.io/bound-by-controller`); else the claim named it.
    pub volume_chosen: bool,
}

/// `status.phase` of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClaimPhase {
    /// Not bound yet; also where nobody has looked at it yet.
    #[default]
    Pending,
    /// Bound.
    Bound,
    /// Its volume is gone.
    Lost,
}

impl ClaimPhase {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Bound => "Bound",
            Self::Lost => "Lost",
        }
    }
}

/// What a PersistentVolume offers beside its size and access modes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumeTerms {
    /// `status.phase` as it is written; empty before anybody looked at it.
    pub phase: String,
    /// Its class; empty for none.
    pub class: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// `spec.volumeAttributesClassName`.
    pub attributes_class: Option<String>,
    /// The nodes that reach it: one of the terms must hold, and all of a term; empty for all nodes.
    pub nodes: Vec<Vec<Requirement>>,
    /// `spec.persistentVolumeReclaimPolicy`.
    pub reclaim: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// Who made it (`pv.kubernetes.io/provisioned-by`); none for what was written by hand.
    pub made_by: Option<String>,
    /// When its phase changed last (`status.lastPhaseTransitionTime`, Kubernetes 1.31).
    pub changed: Option<Timestamp>,
    /// Why it is in its phase (`status.message`).
    pub message: Option<String>,
}

/// What a VolumeAttachment says beside whether it is attached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttachmentTerms {
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When attaching failed last.
    pub failed: Option<Timestamp>,
    /// It has a deletion timestamp.
    pub deleting: bool,
}

/// What a pod says of its start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodTerms {
    /// When it was made.
    pub created: Option<Timestamp>,
    /// The condition `PodScheduled`.
    pub scheduled: Option<PodCondition>,
    /// The condition `PodReadyToStartContainers`: the kubelet makes a sandbox after it has mounted all
    /// volumes (`SyncPod`, `pkg/kubelet/kubelet.go`).
    pub sandbox: Option<PodCondition>,
    /// Why its first container that waits does so.
    pub waits: Option<String>,
}

/// A condition of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodCondition {
    /// It is True.
    pub holds: bool,
    /// Why it is not.
    pub message: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// What a StorageClass arranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClassTerms {
    /// `volumeBindingMode` is `WaitForFirstConsumer`.
    pub waits_for_consumer: bool,
    /// It is annotated as the default one.
    pub is_default: bool,
    /// `reclaimPolicy`.
    pub reclaim: String,
    /// `allowedTopologies`, for a person.
    pub topologies: Vec<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
}

impl ClassTerms {
    /// `volumeBindingMode` as Kubernetes writes it.
    pub fn binding_mode(&self) -> &'static str {
        if self.waits_for_consumer {
            "WaitForFirstConsumer"
        } else {
            "Immediate"
        }
    }
}

/// One thing that labels must fulfil.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, and of nodes also `Gt` and `Lt`.
    pub operator: String,
    /// What it is compared with.
    pub values: Vec<String>,
}

impl Requirement {
    /// Whether labels fulfil it; nothing for an operator that labels of volumes do not have.
    pub fn takes(&self, labels: &BTreeMap<String, String>) -> Option<bool> {
        let value = labels.get(&self.key);
        let is_in = value.is_some_and(|value| self.values.contains(value));
        match self.operator.as_str() {
            "In" => Some(is_in),
            "NotIn" => Some(!is_in),
            "Exists" => Some(value.is_some()),
            "DoesNotExist" => Some(value.is_none()),
            _ => None,
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            operator,
            values,
        } = self;
        match (operator.as_str(), values.as_slice()) {
            ("In", [one]) => write!(f, "{key}={one}"),
            ("Exists", _) => f.write_str(key),
            ("DoesNotExist", _) => write!(f, "!{key}"),
            _ => write!(f, "{key} {operator} ({})", values.join(",")),
        }
    }
}
