//! One volume on one node, joined from mounts, the kubelet's directory, the plugin and the API.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::finding::{Object, Subject};
use crate::model::health::HealthEntry;
use crate::model::mount::{Mount, ReadOnlySide, Usage};
use crate::model::names::{DriverName, HostPath, NodeName, PodRef, Text, Uid, VolumeHandle};
use crate::model::objects::{
    Attachment, Claim, Class, Event, PersistentVolume, PodState, VolumeMode,
};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::sizes::Sizes;
use crate::model::state::KernelState;

/// A volume on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The name of its directory under a pod: the PersistentVolume's name, or the pod's own name for an inline volume.
    pub spec_name: Text,
    /// The driver that serves it.
    pub driver: DriverName,
    /// What the driver calls it.
    pub handle: Observed<VolumeHandle>,
    /// Its claim; none for inline volumes and where no source of objects is configured.
    pub claim: Option<Arc<Claim>>,
    /// Its PersistentVolume.
    pub persistent: Observed<Option<Arc<PersistentVolume>>>,
    /// Its attachment to this node; none where the driver attaches nothing.
    pub attachment: Observed<Option<Arc<Attachment>>>,
    /// The class of its claim; none where the claim names none, or one that is gone.
    pub class: Observed<Option<Arc<Class>>>,
    /// What was said of its expansion, oldest first: about the claim and the pods that use it.
    pub events: Listing<Event>,
    /// When the resizer of its driver was last heard to speak of any claim.
    pub resizer_seen: Option<Timestamp>,
    /// Filesystem or block device.
    pub mode: VolumeMode,
    /// Its staging target path.
    pub staging: Option<HostPath>,
    /// What is mounted there; drivers that stage nothing have no mount, which is no fault.
    pub staged: Observed<Option<Mount>>,
    /// Where it is published, one entry a pod.
    pub published: Vec<Published>,
    /// What the driver answers about it.
    pub stats: Observed<DriverStats>,
    /// What is wrong with it, as the driver says (`NodeGetVolumeHealth`, CSI 1.13); nothing when it is well.
    pub health: Observed<Vec<HealthEntry>>,
    /// Its driver promises to tell its condition with its usage (capability `VOLUME_CONDITION`, CSI ≤ 1.12).
    pub condition_promised: bool,
    /// Its sizes, from the request to the filesystem.
    pub sizes: Sizes,
    /// What the kernel says of its filesystem and its device.
    pub state: KernelState,
}

/// One volume in one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The pod.
    pub pod: PodRef,
    /// The pod's own name for the volume.
    pub name: Text,
    /// How far the pod is; unknown where no pod of that UID could be looked up.
    pub state: Observed<PodState>,
    /// When the kubelet took the pod up.
    pub started: Option<Timestamp>,
    /// When the pod was to be gone, of one that is being deleted; when its last container ended, of
    /// one that is done.
    pub ended: Option<Timestamp>,
    /// The target path.
    pub target: HostPath,
    /// How many mounts lie on the target path, one over another.
    pub stacked: u32,
    /// What is mounted there.
    pub mount: Observed<Option<Mount>>,
    /// What the filesystem answers there.
    pub usage: Observed<Usage>,
    /// Who asked for it to be read-only, for a person; none where nobody did.
    pub asked_read_only: Observed<Option<String>>,
    /// Binds of single directories of it into containers (`subPath`), as the host has them.
    pub sub_paths: Vec<SubPath>,
    /// A block volume whose driver made a device node at the target path, instead of a bind mount.
    pub device_node: bool,
    /// Whether a process of the pod lives: that is what running means, whatever the pod's status says.
    pub live: Observed<bool>,
    /// What containers with a live process have where the volume belongs; none of a container that has no process.
    pub inside: Observed<Vec<Inside>>,
    /// Who has it mounted at the target path though the host has not; looked for only then.
    pub elsewhere: Observed<Option<Elsewhere>>,
    /// What was said of mounting it in this pod, oldest first.
    pub events: Listing<Event>,
    /// What the kubelet wrote of its health into the pod (Kubernetes 1.37, `status.volumeHealth`).
    pub health: Vec<HealthEntry>,
}

impl Published {
    /// Which side makes it read-only though nobody asked for that; unknown where it was not seen whether
    /// anybody did. No request makes an ext4 read-only for an emergency.
    pub fn turned_read_only(&self) -> Observed<Option<ReadOnlySide>> {
        let mount = match &self.mount {
            Observed::Known(mount) => mount.as_ref(),
            Observed::Unknown(gap) => return Observed::Unknown(gap.clone()),
        };
        match (mount.and_then(Mount::read_only), &self.asked_read_only) {
            (None, _) | (_, Observed::Known(Some(_))) => Observed::Known(None),
            (Some(side), Observed::Known(None)) => Observed::Known(Some(side)),
            (Some(ReadOnlySide::Emergency), Observed::Unknown(_)) => {
                Observed::Known(Some(ReadOnlySide::Emergency))
            }
            (Some(_), Observed::Unknown(gap)) => Observed::Unknown(gap.clone()),
        }
    }
}

/// A directory of a volume, bound for one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubPath {
    /// The container.
    pub container: Text,
    /// The bind mount.
    pub mount: Mount,
}

/// A volume as one container sees it: its mount table is its own, and differs from the host's in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// The container.
    pub container: Text,
    /// The process whose table was read, by the host's numbers.
    pub process: u32,
    /// Where the volume belongs in the container.
    pub path: HostPath,
    /// What is mounted there.
    pub mount: Option<Mount>,
}

/// A mount that a process has in a namespace of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The process, by the host's numbers.
    pub process: u32,
    /// Its name.
    pub name: String,
    /// Filesystem type.
    pub fs_type: String,
    /// What the filesystem calls its source.
    pub source: String,
}

/// `NodeGetVolumeStats`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverStats {
    /// Usage, where the driver tells it.
    pub usage: Option<Usage>,
    /// Condition, where the driver tells it (CSI ≤ 1.12).
    pub condition: Option<Condition>,
}

/// CSI `VolumeCondition`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Something is wrong with it.
    pub abnormal: bool,
    /// What.
    pub message: String,
}

impl Volume {
    /// What findings about it are about: the claim, else the PersistentVolume, else the pod that it lives in.
    pub fn subject(&self, node: &NodeName) -> Subject {
        Subject {
            object: self.object(),
            node: Some(node.clone()),
        }
    }

    /// The most durable object that the volume is known by.
    pub fn object(&self) -> Object {
        if let Some(claim) = &self.claim {
            return Object::Claim(claim.claim.clone());
        }
        if let Some(Some(persistent)) = self.persistent.known() {
            return Object::PersistentVolume(persistent.name.clone(), persistent.uid.clone());
        }
        match self.published.first() {
            Some(published) if self.is_inline() => Object::Pod(published.pod.clone()),
            _ => Object::PersistentVolume(self.spec_name.0.clone().into(), Uid::default()),
        }
    }

    /// Whether this is the most durable object that it is known by.
    pub fn is_known_by(&self, object: &Object) -> bool {
        match (object, &self.claim) {
            (Object::Claim(subject), Some(claim)) => claim.claim == *subject,
            (_, Some(_)) => false,
            _ => self.object() == *object,
        }
    }

    /// The namespaces of its claim, else of its pods.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        let claim = self.claim.as_ref().map(|claim| &claim.claim.namespace);
        let pods = self.published.iter().map(|one| &one.pod.namespace);
        let pods = pods.filter(move |_| claim.is_none());
        claim.into_iter().chain(pods).map(Text::as_str)
    }

    /// The names that it goes by: claim, `PersistentVolume`, directory, handle.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let claim = self.claim.as_ref().map(|claim| claim.claim.name.as_str());
        let persistent = self.persistent.known().and_then(Option::as_ref);
        let handle = self.handle.known().map(VolumeHandle::as_str);
        claim
            .into_iter()
            .chain(persistent.map(|persistent| persistent.name.as_str()))
            .chain([self.spec_name.as_str()])
            .chain(handle)
    }

    /// Its mounts, where they were seen.
    pub fn mounts(&self) -> impl Iterator<Item = &Mount> {
        let published = self.published.iter().map(|published| &published.mount);
        published
            .chain([&self.staged])
            .filter_map(|mount| mount.known()?.as_ref())
    }

    /// Whether it lives and dies with its pod.
    pub fn is_inline(&self) -> bool {
        matches!(self.persistent, Observed::Known(None))
    }

    /// Whether it is a directory of a filesystem that it shares with others, such as the host's disk:
    /// then size and use are not its own.
    pub fn is_directory_backed(&self) -> bool {
        self.published
            .iter()
            .filter_map(|published| published.mount.known()?.as_ref())
            .any(|mount| mount.device.major != 0 && mount.root != HostPath::from("/"))
    }

    /// Whether a container has something else of it than the host, or nothing.
    pub fn differs_inside(&self) -> bool {
        self.published.iter().any(|published| {
            let host = published.mount.known().and_then(Option::as_ref);
            let differs = |inside: &Inside| {
                let held = inside.mount.as_ref();
                held.map(|mount| mount.device) != host.map(|mount| mount.device)
            };
            published
                .inside
                .known()
                .is_some_and(|all| all.iter().any(differs))
        })
    }

    /// Its mounts in pods that stay, which may be touched: a look must not be why an unmount finds it busy.
    pub fn mounts_in_use(&self) -> impl Iterator<Item = &Mount> {
        self.staying()
            .filter_map(|published| published.mount.known()?.as_ref())
    }

    /// Whether no pod that stays has it mounted; unknown mounts may be there.
    pub fn is_in_use_nowhere(&self) -> bool {
        self.staying()
            .all(|published| published.mount == Observed::Known(None))
    }

    /// Whether every pod that has it is going, or is over.
    pub fn is_being_left(&self) -> bool {
        self.staying().next().is_none()
    }

    fn staying(&self) -> impl Iterator<Item = &Published> {
        let leaves = |state: &Observed<PodState>| {
            matches!(state, Observed::Known(PodState::Ending | PodState::Done))
        };
        let published = self.published.iter();
        published.filter(move |published| !leaves(&published.state))
    }

    /// Whether any of its pods may write to it.
    ///
    /// Where it was not seen what they ask for, a mount that is writable tells it too.
    pub fn is_written(&self) -> Observed<bool> {
        let mut unseen = None;
        for published in &self.published {
            match (&published.asked_read_only, published.mount.known()) {
                (Observed::Known(None), _) => return Observed::Known(true),
                (Observed::Known(Some(_)), _) => {}
                (Observed::Unknown(_), Some(Some(mount))) if mount.read_only().is_none() => {
                    return Observed::Known(true);
                }
                (Observed::Unknown(gap), _) => unseen = unseen.or(Some(gap)),
            }
        }
        match unseen {
            Some(gap) => Observed::Unknown(gap.clone()),
            None => Observed::Known(false),
        }
    }

    /// Its size and use, by whichever of its paths answers; the first reason why not, else.
    pub fn usage(&self) -> Observed<Usage> {
        let mut gap = None;
        for published in &self.published {
            match &published.usage {
                Observed::Known(usage) => return Observed::Known(*usage),
                Observed::Unknown(why) => gap = gap.or(Some(why)),
            }
        }
        Observed::Unknown(gap.cloned().unwrap_or_else(|| {
            Gap::new(
                Why::NotFound,
                format!("volume {} is published nowhere", self.spec_name),
            )
        }))
    }

    /// The objects beside the subject that a person will look for: the volume and its pods.
    pub fn related(&self) -> Vec<Object> {
        let volume = self
            .persistent
            .known()
            .and_then(Option::as_ref)
            .map(|persistent| {
                Object::PersistentVolume(persistent.name.clone(), persistent.uid.clone())
            });
        let pods = self
            .published
            .iter()
            .map(|published| Object::Pod(published.pod.clone()));
        let subject = self.object();
        volume
            .into_iter()
            .chain(pods)
            .filter(|object| *object != subject)
            .collect()
    }
}
