//! The little of each Kubernetes object that rules read.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::driver::Registration;
use crate::model::finding::Object;
use crate::model::health::HealthEntry;
use crate::model::names::{
    ClaimRef, ClassName, DriverName, HostPath, NodeName, PersistentVolumeName, PodRef, Text, Uid,
    VolumeHandle,
};
use crate::model::observed::{Gap, Listing, Why};
use crate::model::sizes::Bytes;
use crate::model::terms::{AttachmentTerms, ClaimTerms, ClassTerms, PodTerms, VolumeTerms};

/// All objects that a scan was made with: of the API server, or of a directory of manifests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Objects {
    /// Pods.
    pub pods: Listing<Pod>,
    /// Claims.
    pub claims: Listing<Arc<Claim>>,
    /// PersistentVolumes.
    pub volumes: Listing<Arc<PersistentVolume>>,
    /// VolumeAttachments.
    pub attachments: Listing<Arc<Attachment>>,
    /// CSINodes.
    pub csi_nodes: Listing<CsiNode>,
    /// What each CSIDriver says.
    pub drivers: Listing<CsiDriver>,
    /// The names of the Nodes.
    pub nodes: Listing<NodeName>,
    /// StorageClasses.
    pub classes: Listing<Arc<Class>>,
    /// Events about claims, volumes and pods.
    pub events: Listing<Event>,
    /// Which of these may have changed since they were read.
    pub stale: Stale,
}

/// Why objects may not be any more what they are here: they are as they were when the API server was
/// heard last. They still say which volumes there are, and nothing is judged by what changes in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stale {
    /// The pods.
    pub pods: Option<Gap>,
    /// The claims.
    pub claims: Option<Gap>,
    /// The PersistentVolumes.
    pub volumes: Option<Gap>,
    /// The VolumeAttachments.
    pub attachments: Option<Gap>,
}

impl Objects {
    /// Nothing is known, for one reason.
    pub fn unknown(gap: &Gap) -> Self {
        Self {
            pods: Listing::unknown(gap.clone()),
            claims: Listing::unknown(gap.clone()),
            volumes: Listing::unknown(gap.clone()),
            attachments: Listing::unknown(gap.clone()),
            csi_nodes: Listing::unknown(gap.clone()),
            drivers: Listing::unknown(gap.clone()),
            nodes: Listing::unknown(gap.clone()),
            classes: Listing::unknown(gap.clone()),
            events: Listing::unknown(gap.clone()),
            stale: Stale::default(),
        }
    }

    /// How many there are of each resource, by the name that roles have for it.
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("events", self.events.items.len()),
            ("nodes", self.nodes.items.len()),
            ("persistentvolumeclaims", self.claims.items.len()),
            ("persistentvolumes", self.volumes.items.len()),
            ("pods", self.pods.items.len()),
            ("storageclasses.storage.k8s.io", self.classes.items.len()),
            (
                "volumeattachments.storage.k8s.io",
                self.attachments.items.len(),
            ),
        ]
    }

    /// Whatever is missing from them, each once; a kind that nobody asks for is not missed.
    pub fn gaps(&self) -> Vec<Gap> {
        let lists = [
            &self.pods.gaps,
            &self.claims.gaps,
            &self.volumes.gaps,
            &self.attachments.gaps,
            &self.csi_nodes.gaps,
            &self.drivers.gaps,
            &self.nodes.gaps,
            &self.classes.gaps,
            &self.events.gaps,
        ];
        let mut gaps: Vec<Gap> = lists.into_iter().flatten().cloned().collect();
        gaps.retain(|gap| gap.why != Why::NotAsked);
        gaps.sort();
        gaps.dedup();
        gaps
    }
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Which.
    pub pod: PodRef,
    /// Where it was scheduled.
    pub node: Option<NodeName>,
    /// How far it is.
    pub state: PodState,
    /// When the kubelet took it up (`status.startTime`).
    pub started: Option<Timestamp>,
    /// When it was to be gone (`metadata.deletionTimestamp`, which has the grace in it), else when its
    /// last container ended, of a pod that has succeeded or failed.
    pub ended: Option<Timestamp>,
    /// Its volumes that are storage: claims and inline CSI volumes.
    pub volumes: Vec<PodVolume>,
    /// For the mirror of a static pod: the UID that its directory and its cgroup have
    /// (annotation `kubernetes.io/config.hash`).
    pub static_uid: Option<Uid>,
    /// What it says of its start; nothing where who reads it does not need it.
    pub terms: Option<Box<PodTerms>>,
}

impl Pod {
    /// Whether it names a claim.
    pub fn uses(&self, claim: &ClaimRef) -> bool {
        self.pod.namespace == claim.namespace
            && self
                .volumes
                .iter()
                .any(|volume| volume.is_named(&claim.name))
    }
}

/// How far a pod is, as far as its volumes are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodState {
    /// No container of it has been started: the kubelet may be mounting.
    Starting,
    /// A container runs, or ran and is restarted: its volumes were mounted once.
    Running,
    /// It has a deletion timestamp: the kubelet may be unmounting.
    Ending,
    /// It has succeeded or failed.
    Done,
}

/// A volume of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodVolume {
    /// Its name in the pod.
    pub name: Text,
    /// Where it comes from.
    pub source: PodVolumeSource,
    /// Whether the pod asks for it read-only.
    pub read_only: bool,
    /// Where its containers have it.
    pub places: Vec<ContainerPlace>,
    /// What is wrong with it (Kubernetes 1.37, `status.volumeHealth`).
    pub health: Vec<HealthEntry>,
}

impl PodVolume {
    /// Whether it is the claim of this name in its pod's namespace.
    pub fn is_named(&self, claim: &str) -> bool {
        matches!(&self.source, PodVolumeSource::Claim(name) if name == claim)
    }
}

/// Where a container has a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPlace {
    /// The container.
    pub container: Text,
    /// The runtime's name for it, which its cgroup has too; none before it was created.
    pub id: Option<String>,
    /// `mountPath`, absolute and without detours.
    pub path: HostPath,
    /// It has a directory of the volume alone (`subPath`).
    pub sub_path: bool,
}

/// Where a pod's volume comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodVolumeSource {
    /// A claim in the pod's namespace, by name; generic ephemeral volumes have one too.
    Claim(String),
    /// An inline CSI volume, which lives and dies with the pod.
    InlineCsi(DriverName),
}

/// A PersistentVolumeClaim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which.
    pub claim: ClaimRef,
    /// `status.phase` is Bound.
    pub bound: bool,
    /// The PersistentVolume that it is bound to, or asks for.
    pub volume: Option<PersistentVolumeName>,
    /// Its class.
    pub class: Option<ClassName>,
    /// Its access modes, as it writes them.
    pub access_modes: Vec<String>,
    /// `spec.resources.requests.storage`.
    pub request: Option<Bytes>,
    /// `status.allocatedResources.storage`; stays after an expansion and means nothing alone.
    pub allocated: Option<Bytes>,
    /// `status.allocatedResourceStatuses.storage`; absent when no expansion runs.
    pub resize_status: Option<String>,
    /// `status.capacity.storage`.
    pub capacity: Option<Bytes>,
    /// `status.conditions` that are True.
    pub conditions: Vec<Condition>,
    /// `volume.kubernetes.io/node-expansion-not-required`: the last expansion was done by the controller alone.
    pub node_expansion_not_required: bool,
    /// The snapshot or claim that it was made from (`spec.dataSource`), for a person.
    pub made_from: Option<String>,
    /// Codes that its owner does not want to be counted (`csi-doctor.io/silence`).
    pub silence: Option<String>,
    /// What is wrong with its volume (Kubernetes 1.37, `status.healthStatus`).
    pub health: Vec<HealthEntry>,
    /// What else it wants; nothing where an agent told of it.
    pub terms: Option<Box<ClaimTerms>>,
}

impl Claim {
    /// The condition of this type, if it is True.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions
            .iter()
            .find(|condition| condition.kind == kind)
    }
}

/// A condition that is True.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its type.
    pub kind: String,
    /// What it says.
    pub message: String,
    /// Since when it is True.
    pub since: Option<Timestamp>,
}

/// A PersistentVolume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersistentVolume {
    /// Its name.
    pub name: PersistentVolumeName,
    /// Its UID.
    pub uid: Uid,
    /// `spec.capacity.storage`.
    pub capacity: Option<Bytes>,
    /// The claim it is for.
    pub claim: Option<ClaimRef>,
    /// Its CSI source; `None` for in-tree volumes.
    pub csi: Option<CsiSource>,
    /// Filesystem or block device.
    pub mode: VolumeMode,
    /// Its access modes, as it writes them.
    pub access_modes: Vec<String>,
    /// `spec.mountOptions`.
    pub mount_options: Vec<String>,
    /// The claim's capacity before the last controller expansion that needs a node step
    /// (`volume.alpha.kubernetes.io/pre-resize-capacity`).
    pub capacity_before_resize: Option<Bytes>,
    /// What else it offers; nothing where an agent told of it.
    pub terms: Option<Box<VolumeTerms>>,
}

impl PersistentVolume {
    /// `status.phase`; empty where nobody has looked at it yet.
    pub fn phase(&self) -> &str {
        self.terms.as_ref().map_or("", |terms| &terms.phase)
    }

    /// Its class; empty for none.
    pub fn class(&self) -> &str {
        self.terms.as_ref().map_or("", |terms| &terms.class)
    }
}

/// `spec.csi` of a PersistentVolume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsiSource {
    /// The driver.
    pub driver: DriverName,
    /// The volume, in the driver's words.
    pub handle: VolumeHandle,
    /// `readOnly`.
    pub read_only: bool,
}

/// `volumeMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VolumeMode {
    /// A filesystem, mounted into the pod.
    #[default]
    Filesystem,
    /// A raw block device.
    Block,
}

/// A VolumeAttachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// The driver.
    pub driver: DriverName,
    /// The volume.
    pub volume: Option<PersistentVolumeName>,
    /// The node.
    pub node: NodeName,
    /// `status.attached`.
    pub attached: bool,
    /// `status.attachError.message`.
    pub error: Option<String>,
    /// What else it says; nothing where an agent told of it.
    pub terms: Option<Box<AttachmentTerms>>,
}

/// A CSINode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsiNode {
    /// The node.
    pub node: NodeName,
    /// The drivers that the kubelet registered, also long ago.
    pub drivers: Vec<(DriverName, Registration)>,
    /// What the kubelet wrote of the storage behind them (Kubernetes 1.37, `status.storageHealth`).
    pub health: Vec<(DriverName, HealthEntry)>,
}

/// A CSIDriver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsiDriver {
    /// Its name.
    pub name: DriverName,
    /// `attachRequired`: its volumes are attached to a node before they are mounted there.
    pub attaches: bool,
}

/// A StorageClass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: ClassName,
    /// Who makes its volumes.
    pub provisioner: DriverName,
    /// `allowVolumeExpansion`.
    pub expandable: bool,
    /// What else it arranges; nothing where an agent told of it.
    pub terms: Option<Box<ClassTerms>>,
}

/// What somebody said about an object. It is gone an hour later, so its absence proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// About what.
    pub about: Object,
    /// Who said it.
    pub by: String,
    /// Its type is Warning.
    pub warning: bool,
    /// Its reason.
    pub reason: String,
    /// Its words.
    pub message: String,
    /// When it was said last.
    pub at: Option<Timestamp>,
}

impl Event {
    /// Whether it tells of a mount that failed because the expansion at it did: then it belongs to the
    /// expansion (kubelet, `operation_generator.go`).
    pub fn is_about_expansion_at_mount(&self) -> bool {
        self.reason == "FailedMount" && self.message.contains("while expanding volume")
    }
}
