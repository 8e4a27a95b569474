//! The lab's volumes: which there are, and what the cluster believes of each.
//! Paths and names are made the way the kubelet and the sidecars make them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::lab::catalogue::{DRIVERS, Driver, Plan, SECOND_POD};
use crate::lab::expansion::Growth;
use crate::lab::faults::Fault;
use crate::lab::plugin::Record;
use crate::lab::site::{NODE, Setup};

/// The namespace of all claims and pods.
pub(crate) const NAMESPACE: &str = "shop";

/// The directory of a volume that its pod mounts alone.
pub(crate) const SUB_PATH: &str = "thumbnails";

const MIB: u64 = 1024 * 1024;

/// What a volume is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Ext4,
    Xfs,
    Btrfs,
    Tmpfs,
    Fuse,
    /// No filesystem: the pod gets the device.
    Block,
    /// A directory of a disk of the node.
    Directory,
}

/// How pods use a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// One pod, by a claim.
    Alone,
    /// The pod's container gets a single directory of it.
    SubPath,
    /// By a claim that is for readers only (ROX).
    ReadOnlyMany,
    /// Two pods (RWX).
    Shared,
    /// It lives and dies with its pod, without a claim.
    Inline,
    /// A plugin that is built into the kubelet mounts it.
    InTree,
}

impl Kind {
    /// Whether it lies on a block device.
    pub(crate) fn has_device(self) -> bool {
        matches!(self, Self::Ext4 | Self::Xfs | Self::Btrfs | Self::Block)
    }

    /// The volume mode as Kubernetes objects write it.
    pub(crate) fn mode(self) -> &'static str {
        match self {
            Self::Block => "Block",
            _ => "Filesystem",
        }
    }

    /// The filesystem type as Kubernetes objects write it.
    pub(crate) fn fs_type(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Tmpfs => "tmpfs",
            Self::Fuse => "fuse",
            Self::Block => "block",
            Self::Directory => "directory",
        }
    }
}

/// A condition of a claim.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) name: &'static str,
    pub(crate) since: Timestamp,
    pub(crate) message: String,
}

/// A volume, with the pod and claim that use it and what their objects say.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    pub(crate) claim: &'static str,
    pub(crate) pod: &'static str,
    pub(crate) driver: &'static Driver,
    pub(crate) kind: Kind,
    pub(crate) used: Use,
    pub(crate) read_only: bool,
    pub(crate) claim_uid: String,
    pub(crate) pod_uid: String,
    pub(crate) handle: String,
    /// When claim and volume were made.
    pub(crate) created: Timestamp,
    /// What the claim asks for.
    pub(crate) requested: u64,
    /// What the persistent volume says.
    pub(crate) capacity: u64,
    /// What the claim's status says.
    pub(crate) granted: u64,
    pub(crate) allocated: Option<u64>,
    pub(crate) allocated_status: Option<&'static str>,
    pub(crate) conditions: Vec<Condition>,
    /// The claim's capacity before the last growth, as the resizer notes it.
    pub(crate) pre_resize: Option<u64>,
    /// An expansion that has begun.
    pub(crate) growth: Option<Growth>,
    pub(crate) faults: BTreeSet<Fault>,
}

impl Volume {
    /// A volume as it is planned; `kind` is what the machine allows.
    pub(super) fn new(plan: &Plan, kind: Kind, now: Timestamp) -> Self {
        let size = plan.mebibytes * MIB;
        let driver = &DRIVERS[plan.driver];
        let pod_uid = uuid(&format!("pod {}", plan.pod));
        let handle = if plan.used == Use::Inline {
            inline_handle(&pod_uid, plan.claim)
        } else {
            let seed = format!("{} {}", driver.name, plan.claim);
            format!("vol-{}", &sha256(&seed)[..17])
        };
        Self {
            claim: plan.claim,
            pod: plan.pod,
            driver,
            kind,
            used: plan.used,
            read_only: plan.read_only,
            claim_uid: uuid(&format!("claim {}", plan.claim)),
            pod_uid,
            handle,
            created: now,
            requested: size,
            capacity: size,
            granted: size,
            allocated: None,
            allocated_status: None,
            conditions: Vec::new(),
            pre_resize: None,
            growth: None,
            faults: BTreeSet::new(),
        }
    }

    /// What the storage backend knows of it.
    pub(crate) fn record(&self) -> Record {
        Record {
            kind: self.kind,
            bytes: self.capacity,
        }
    }

    /// The runtime's name for the container of its pod.
    pub(crate) fn container_id(&self) -> String {
        sha256(self.pod)
    }

    /// The persistent volume's name, as the provisioner makes it; where there is none, the pod's own name for it.
    pub(crate) fn pv(&self) -> String {
        if self.has_claim() {
            format!("pvc-{}", self.claim_uid)
        } else {
            self.claim.to_owned()
        }
    }

    /// Whether it comes to its pod by a claim.
    pub(crate) fn has_claim(&self) -> bool {
        !matches!(self.used, Use::Inline | Use::InTree)
    }

    /// The access mode as Kubernetes objects write it.
    pub(crate) fn access_mode(&self) -> &'static str {
        match self.used {
            Use::ReadOnlyMany => "ReadOnlyMany",
            Use::Shared => "ReadWriteMany",
            _ => "ReadWriteOnce",
        }
    }

    /// The same volume in the other pod that uses it.
    pub(crate) fn in_second_pod(&self) -> Option<Self> {
        (self.used == Use::Shared).then(|| Self {
            pod: SECOND_POD,
            pod_uid: uuid(&format!("pod {SECOND_POD}")),
            ..self.clone()
        })
    }

    /// The attachment's name, as the attach/detach controller makes it.
    pub(crate) fn attachment(&self) -> String {
        let parts = format!("{}{}{NODE}", self.handle, self.driver.name);
        format!("csi-{}", sha256(&parts))
    }

    /// The directory that holds `globalmount`.
    pub(crate) fn global_directory(&self, setup: &Setup) -> PathBuf {
        setup
            .kubelet()
            .join("plugins/kubernetes.io/csi")
            .join(self.driver.name)
            .join(sha256(&self.handle))
    }

    /// Where the kubelet keeps raw block volumes.
    fn block_directory(setup: &Setup) -> PathBuf {
        setup
            .kubelet()
            .join("plugins/kubernetes.io/csi/volumeDevices")
    }

    /// CSI's staging target path.
    pub(crate) fn staging(&self, setup: &Setup) -> PathBuf {
        match self.kind {
            Kind::Block => Self::block_directory(setup).join("staging").join(self.pv()),
            _ => self.global_directory(setup).join("globalmount"),
        }
    }

    /// The directory of what the kubelet notes about a raw block volume.
    pub(crate) fn block_data(&self, setup: &Setup) -> PathBuf {
        Self::block_directory(setup).join(self.pv()).join("data")
    }

    /// The kubelet's own way to the device, one a pod.
    pub(crate) fn block_map(&self, setup: &Setup) -> PathBuf {
        let volume = Self::block_directory(setup).join(self.pv());
        volume.join("dev").join(&self.pod_uid)
    }

    /// The pod's way to the device.
    pub(crate) fn block_link(&self, setup: &Setup) -> PathBuf {
        let pod = setup.kubelet().join("pods").join(&self.pod_uid);
        pod.join("volumeDevices/kubernetes.io~csi").join(self.pv())
    }

    /// The directory that holds the pod's mount.
    pub(crate) fn pod_directory(&self, setup: &Setup) -> PathBuf {
        let volumes = setup.kubelet().join("pods").join(&self.pod_uid);
        let plugin = match self.used {
            Use::InTree => "volumes/kubernetes.io~nfs",
            _ => "volumes/kubernetes.io~csi",
        };
        volumes.join(plugin).join(self.pv())
    }

    /// What the runtime mounts in the container: the kubelet's bind of a subPath
    /// (`pkg/volume/util/subpath`), or the volume itself.
    pub(crate) fn for_container(&self, setup: &Setup) -> PathBuf {
        match self.used {
            Use::SubPath => setup
                .kubelet()
                .join("pods")
                .join(&self.pod_uid)
                .join("volume-subpaths")
                .join(self.pv())
                .join("app/0"),
            _ => self.target(setup),
        }
    }

    /// CSI's target path.
    pub(crate) fn target(&self, setup: &Setup) -> PathBuf {
        match self.kind {
            Kind::Block => {
                let published = Self::block_directory(setup).join("publish");
                published.join(self.pv()).join(&self.pod_uid)
            }
            _ if self.used == Use::InTree => self.pod_directory(setup),
            _ => self.pod_directory(setup).join("mount"),
        }
    }
}

/// The handle of a volume without a claim, as the kubelet makes it up (`pkg/volume/csi`, `makeVolumeHandle`).
pub(crate) fn inline_handle(pod_uid: &str, name: &str) -> String {
    format!("csi-{}", sha256(&format!("{pod_uid}{name}")))
}

/// A size as people write it in a claim.
pub(crate) fn quantity(bytes: u64) -> String {
    const GIB: u64 = 1024 * MIB;
    if bytes.is_multiple_of(GIB) {
        format!("{}Gi", bytes / GIB)
    } else if bytes.is_multiple_of(MIB) {
        format!("{}Mi", bytes / MIB)
    } else {
        bytes.to_string()
    }
}

/// SHA-256 in hex, as the kubelet names directories.
pub(crate) fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// A UID that is the same in every lab, in the form of a random one.
pub(crate) fn uuid(seed: &str) -> String {
    let hex = sha256(&format!("csi-doctor lab: {seed}"));
    format!(
        "{}-{}-4{}-a{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..15],
        &hex[15..18],
        &hex[18..30]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_as_kubernetes_makes_them() {
        assert_eq!(
            sha256("vol-0123"),
            "f1dcc41f8f47bcb49d9e1cd26bd3aef8ebdac1e4cbe319cc4b4ac26bffe8f1e9"
        );
        assert_eq!(uuid("x").len(), 36);
    }

    #[test]
    fn sizes_are_written_as_people_write_them() {
        assert_eq!(quantity(128 * MIB), "128Mi");
        assert_eq!(quantity(2048 * MIB), "2Gi");
        assert_eq!(quantity(1000), "1000");
    }
}
