//! What the edges of a node bring home, before it is joined: one value an edge.
//!
//! Gathering has two rounds. The first sees what can be seen without touching a volume (`Seen`);
//! joined, it says which paths and volumes there are, and only those are asked (`Answers`).

use std::collections::BTreeSet;

use foldhash::HashMap;
use jiff::Timestamp;

use crate::model::driver::Plugin;
use crate::model::facts::Thresholds;
use crate::model::health::HealthEntry;
use crate::model::mount::{Mount, Usage};
use crate::model::names::{DriverName, HostPath, NodeName, Text, Uid, VolumeHandle};
use crate::model::objects::Objects;
use crate::model::observed::{Listing, Observed};
use crate::model::sizes::Bytes;
use crate::model::state::KernelState;
use crate::model::volume::{DriverStats, Elsewhere};

/// The first round: nothing in it touched a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The node.
    pub node: NodeName,
    /// When the round began.
    pub observed_at: Timestamp,
    /// What the operator set.
    pub thresholds: Thresholds,
    /// The host's mount table.
    pub table: Listing<Mount>,
    /// The kubelet's directory.
    pub kubelet: KubeletDir,
    /// The plugins behind the sockets that were found.
    pub plugins: Listing<PluginSeen>,
    /// Kubernetes' objects.
    pub objects: Objects,
    /// The containers of pods with volumes that have a live process.
    pub containers: Observed<Vec<ContainerSeen>>,
    /// The kubelet's process; none where it does not run.
    pub kubelet_process: Observed<Option<KubeletProcess>>,
}

/// The kubelet, by its process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletProcess {
    /// The process, by the host's numbers.
    pub process: u32,
    /// How many manifests of static pods it was given.
    pub static_pods: Observed<u32>,
}

/// A container, by the first of its live processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSeen {
    /// The pod, as its cgroup is named.
    pub pod: Uid,
    /// The runtime's name for the container; empty where the cgroup does not tell it.
    pub id: String,
    /// The process.
    pub process: u32,
    /// The mounts that it sees, but those of what the kernel tells of itself.
    pub table: Listing<Mount>,
    /// What processes of it see that have mount namespaces of their own, such as sandboxes.
    pub others: Vec<NamespaceSeen>,
}

/// A mount namespace, by one of its processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceSeen {
    /// The process.
    pub process: u32,
    /// The mounts that it sees, but those of what the kernel tells of itself.
    pub table: Listing<Mount>,
}

/// What the kubelet keeps on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletDir {
    /// Its root, as the host sees it.
    pub root: HostPath,
    /// CSI volumes of pods: `pods/<uid>/volumes/kubernetes.io~csi/<spec name>`.
    pub pod_volumes: Listing<PodVolumeDir>,
    /// Published block volumes: `plugins/kubernetes.io/csi/volumeDevices/publish/<spec name>/<pod UID>`.
    pub block_volumes: Listing<BlockVolumeFile>,
    /// Stages: `plugins/kubernetes.io/csi/<driver>/<hash>/globalmount`, older and block layouts too.
    pub stages: Listing<StageDir>,
    /// Volumes of plugins that are built into the kubelet: `pods/<uid>/volumes/kubernetes.io~<plugin>/<name>`.
    pub in_tree: Listing<InTreeDir>,
}

/// A block volume that is published for a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockVolumeFile {
    /// The pod's UID, as the file is named.
    pub pod: Uid,
    /// The directory's name.
    pub spec_name: Text,
    /// The target path.
    pub target: HostPath,
    /// It is a device node itself, which needs no mount.
    pub device_node: bool,
    /// Its `vol_data.json`.
    pub data: Observed<VolumeData>,
}

/// The directory of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageDir {
    /// The staging target path.
    pub staging: HostPath,
    /// The driver, where the path tells it.
    pub driver: Option<DriverName>,
    /// Its `vol_data.json`; since Kubernetes 1.34 there is none for drivers that stage nothing.
    pub data: Observed<VolumeData>,
}

/// The directory of a volume of a plugin that is built into the kubelet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InTreeDir {
    /// The pod's UID.
    pub pod: Uid,
    /// The plugin's name, without `kubernetes.io~`.
    pub plugin: String,
    /// The directory's name.
    pub name: Text,
    /// The directory, on which the volume is mounted.
    pub path: HostPath,
}

/// The directory of one CSI volume of one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodVolumeDir {
    /// The pod's UID, as the directory is named.
    pub pod: Uid,
    /// The directory's name.
    pub spec_name: Text,
    /// The target path: the `mount` below the directory.
    pub target: HostPath,
    /// Its `vol_data.json`.
    pub data: Observed<VolumeData>,
}

/// The pod-side `vol_data.json`, written by the kubelet just before it publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeData {
    /// `driverName`.
    pub driver: DriverName,
    /// `volumeHandle`.
    pub handle: VolumeHandle,
    /// `volumeLifecycleMode` is Ephemeral.
    pub ephemeral: bool,
}

/// The plugin behind one socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginSeen {
    /// The driver's name: the plugin's own word, else the registration's, else the socket's directory.
    pub name: DriverName,
    /// Its socket.
    pub socket: HostPath,
    /// What it answers.
    pub plugin: Observed<Plugin>,
    /// The name under which a registrar tells of it; none where none does.
    pub registered_as: Observed<Option<DriverName>>,
    /// When its socket was made.
    pub started: Option<Timestamp>,
}

/// The second round: what volumes answered when they were touched, each within its deadline.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers {
    /// What is mounted on a path, by the path that was touched.
    pub filesystems: HashMap<HostPath, Observed<Filesystem>>,
    /// The size of the block device under a mount, by its target path; `None` for filesystems without one.
    pub devices: HashMap<HostPath, Observed<Option<Bytes>>>,
    /// What the kernel says of what is mounted on a target path.
    pub states: HashMap<HostPath, KernelState>,
    /// What drivers say of the volumes, in the order of the facts; none of one that nobody was asked about.
    pub told: Vec<Option<Told>>,
    /// Who has a mount at a path that is none of the host's.
    pub elsewhere: HashMap<HostPath, Observed<Option<Elsewhere>>>,
    /// Who has the filesystem of something left in a mount namespace of its own, by the path where it was left.
    pub holders: HashMap<HostPath, Listing<Holder>>,
    /// What lies in a directory that was left and on which nothing is mounted, some of it.
    pub contents: HashMap<HostPath, Observed<Vec<HostPath>>>,
}

/// What a driver says of one volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its usage, and its condition where the driver tells it there.
    pub stats: Observed<DriverStats>,
    /// Its health, where the driver has a call for that.
    pub health: Observed<Vec<HealthEntry>>,
}

/// What has to be looked for beside the volumes, where something is missing or was left: on most nodes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// Paths that are no mounts of the host: whether they are mounts of another process.
    pub paths: BTreeSet<HostPath>,
    /// Mounts of the host: which other mount namespaces have the same filesystem.
    pub mounts: Vec<Mount>,
    /// Paths without a mount: what lies there.
    pub contents: BTreeSet<HostPath>,
}

/// A process with a mount in a namespace of its own, which stays when the host's is unmounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process, by the host's numbers: one of those that share the namespace.
    pub process: u32,
    /// Its name.
    pub name: String,
    /// The pod, where it is in the cgroup of one.
    pub pod: Option<Uid>,
    /// The mount as it sees it.
    pub mount: Mount,
}

/// What a filesystem answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filesystem {
    /// `statfs`.
    pub usage: Usage,
    /// Its true size, where it has a way to tell (`XFS_IOC_FSGEOMETRY`).
    pub true_size: Option<Bytes>,
}
