//! What lies in the kubelet's directory beside the volumes that pods use.

use std::fmt;

use crate::model::finding::{Object, Subject};
use crate::model::mount::Mount;
use crate::model::names::{DriverName, HostPath, NodeName, Text, Uid, VolumeHandle};
use crate::model::observed::{Listing, Observed};

/// Something of a CSI volume that nobody on the node uses, as far as the objects tell.
///
/// It may be that the kubelet is about to remove it, so by itself it is no fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub kind: LeftoverKind,
    /// Where it is: the target path or the staging target path.
    pub path: HostPath,
    /// The pod that it was for; a stage is for no single one.
    pub pod: Option<Uid>,
    /// The driver, where the kubelet's notes tell it.
    pub driver: Option<DriverName>,
    /// The volume, likewise.
    pub handle: Option<VolumeHandle>,
    /// What is mounted there.
    pub mount: Observed<Option<Mount>>,
    /// The claim or PersistentVolume that it is of, where that is known.
    pub object: Option<Object>,
    /// What still has it or lies in it, for a person: mounts below or of the same filesystem, processes,
    /// files. Its gaps are what could speak against taking it away and was not seen.
    pub held_by: Listing<String>,
}

impl Leftover {
    /// What findings about it are about: its volume, else its driver, else the node.
    pub fn subject(&self, node: &NodeName) -> Subject {
        let driver = || self.driver.clone().map(Object::Driver);
        let object = self.object.clone().or_else(driver);
        Subject {
            object: object.unwrap_or_else(|| Object::Node(node.clone())),
            node: Some(node.clone()),
        }
    }
}

/// What was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftoverKind {
    /// A volume's directory below a pod that is not there.
    PodVolume,
    /// A block volume that is published for a pod that is not there.
    BlockPublish,
    /// A stage of a volume that no pod of this node uses.
    Stage,
}

impl LeftoverKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::PodVolume, Self::BlockPublish, Self::Stage];

    /// The kind as one CamelCase word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PodVolume => "PodVolume",
            Self::BlockPublish => "BlockPublish",
            Self::Stage => "Stage",
        }
    }
}

impl fmt::Display for LeftoverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A volume of a plugin that is built into the kubelet: shown, and not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncovered {
    /// The pod.
    pub pod: Uid,
    /// The plugin: `nfs`, `iscsi`, `local-volume`.
    pub plugin: String,
    /// The name of its directory; that of the PersistentVolume, where there is one.
    pub name: Text,
    /// Where it is mounted for the pod.
    pub path: HostPath,
    /// What is mounted there.
    pub mount: Observed<Option<Mount>>,
}
