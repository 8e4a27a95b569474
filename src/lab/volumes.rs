//! The lab's volumes: which there are, and what the cluster believes of each.
//! Paths and names are made the way the kubelet and the sidecars make them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::lab::expansion::Growth;
use crate::lab::faults::Fault;
use crate::lab::plugin::Record;
use crate::lab::site::{Abilities, NODE, Setup};

/// The namespace of all claims and pods.
pub(crate) const NAMESPACE: &str = "shop";

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
}

impl Kind {
    /// Whether it lies on a block device.
    pub(crate) fn has_device(self) -> bool {
        matches!(self, Self::Ext4 | Self::Xfs | Self::Btrfs)
    }

    /// The filesystem type as Kubernetes objects write it.
    pub(crate) fn fs_type(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Tmpfs => "tmpfs",
            Self::Fuse => "fuse",
        }
    }
}

/// A driver: one plugin process, one storage class.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Driver {
    pub(crate) name: &'static str,
    pub(crate) class: &'static str,
    pub(crate) attach: bool,
    pub(crate) expansion: bool,
}

/// The drivers. One plugin's death must not touch the volumes of another.
pub(crate) static DRIVERS: [Driver; 3] = [
    Driver {
        name: "lab.csi-doctor.io",
        class: "lab-block",
        attach: true,
        expansion: true,
    },
    Driver {
        name: "archive.csi-doctor.io",
        class: "lab-archive",
        attach: true,
        expansion: false,
    },
    Driver {
        name: "slow.csi-doctor.io",
        class: "lab-files",
        attach: false,
        expansion: false,
    },
];

struct Plan {
    claim: &'static str,
    pod: &'static str,
    driver: usize,
    kind: Kind,
    mebibytes: u64,
    read_only: bool,
}

/// Small, and each fault can have a volume of its own.
static PLANS: [Plan; 8] = [
    plan("orders-db", "orders-db-0", 0, Kind::Ext4, 128),
    plan("cart-cache", "cart-cache-0", 0, Kind::Ext4, 64),
    plan("invoices", "invoices-7d9c6bb5f4-x2kqv", 0, Kind::Ext4, 64),
    plan("search-index", "search-index-0", 0, Kind::Xfs, 320),
    plan("session-store", "session-store-0", 0, Kind::Ext4, 128),
    plan("audit-log", "audit-log-0", 0, Kind::Btrfs, 160),
    Plan {
        read_only: true,
        ..plan("reports", "reports-5c4f98d7b-m8zlp", 1, Kind::Ext4, 64)
    },
    plan("media", "media-6f7d8c9b5d-r4wtn", 2, Kind::Fuse, 512),
];

const fn plan(
    claim: &'static str,
    pod: &'static str,
    driver: usize,
    kind: Kind,
    mebibytes: u64,
) -> Plan {
    Plan {
        claim,
        pod,
        driver,
        kind,
        mebibytes,
        read_only: false,
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

/// The volumes that this machine lets us make, and those that it does not,
/// with the reason.
pub(crate) fn catalogue(
    abilities: &Abilities,
    now: Timestamp,
) -> (Vec<Volume>, Vec<(&'static str, String)>) {
    let mut volumes = Vec::new();
    let mut missing = Vec::new();
    for plan in &PLANS {
        let kind = match plan.kind {
            Kind::Fuse => match &abilities.fuse {
                Ok(()) => Kind::Fuse,
                Err(reason) => {
                    missing.push((plan.claim, reason.clone()));
                    continue;
                }
            },
            _ if abilities.loops.is_err() => Kind::Tmpfs,
            Kind::Xfs if abilities.xfs.is_err() => Kind::Ext4,
            Kind::Btrfs if abilities.btrfs.is_err() => Kind::Ext4,
            kind => kind,
        };
        volumes.push(Volume::new(plan, kind, now));
    }
    (volumes, missing)
}

impl Volume {
    fn new(plan: &Plan, kind: Kind, now: Timestamp) -> Self {
        let size = plan.mebibytes * MIB;
        let driver = &DRIVERS[plan.driver];
        Self {
            claim: plan.claim,
            pod: plan.pod,
            driver,
            kind,
            read_only: plan.read_only,
            claim_uid: uuid(&format!("claim {}", plan.claim)),
            pod_uid: uuid(&format!("pod {}", plan.pod)),
            handle: format!(
                "vol-{}",
                &sha256(&format!("{} {}", driver.name, plan.claim))[..17]
            ),
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

    /// The persistent volume's name, as the provisioner makes it.
    pub(crate) fn pv(&self) -> String {
        format!("pvc-{}", self.claim_uid)
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

    /// CSI's staging target path.
    pub(crate) fn staging(&self, setup: &Setup) -> PathBuf {
        self.global_directory(setup).join("globalmount")
    }

    /// The directory that holds the pod's mount.
    pub(crate) fn pod_directory(&self, setup: &Setup) -> PathBuf {
        setup
            .kubelet()
            .join("pods")
            .join(&self.pod_uid)
            .join("volumes/kubernetes.io~csi")
            .join(self.pv())
    }

    /// CSI's target path.
    pub(crate) fn target(&self, setup: &Setup) -> PathBuf {
        self.pod_directory(setup).join("mount")
    }
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

    #[test]
    fn without_devices_all_but_fuse_become_tmpfs() {
        let no = || Err("no".to_owned());
        let abilities = Abilities {
            loops: no(),
            xfs: no(),
            btrfs: no(),
            fuse: no(),
        };
        let (volumes, missing) = catalogue(&abilities, Timestamp::UNIX_EPOCH);
        assert!(volumes.iter().all(|volume| volume.kind == Kind::Tmpfs));
        assert_eq!(missing, [("media", "no".to_owned())]);
    }
}
