//! Which drivers and volumes a lab has, as far as this machine lets it.

use jiff::Timestamp;

use crate::lab::site::Abilities;
use crate::lab::volumes::{Kind, Use, Volume};

/// A driver: one plugin process, one storage class.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Driver {
    pub(crate) name: &'static str,
    pub(crate) class: &'static str,
    pub(crate) attach: bool,
    pub(crate) expansion: bool,
}

/// The drivers. One plugin's death must not touch the volumes of another.
pub(crate) static DRIVERS: [Driver; 4] = [
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
    Driver {
        name: "shared.csi-doctor.io",
        class: "lab-shared",
        attach: false,
        expansion: false,
    },
];

impl Driver {
    /// The ways of life of its volumes, as its object has them.
    pub(crate) fn modes(&self) -> &'static [&'static str] {
        let inline = |plan: &Plan| plan.used == Use::Inline && DRIVERS[plan.driver] == *self;
        if PLANS.iter().any(inline) {
            &["Persistent", "Ephemeral"]
        } else {
            &["Persistent"]
        }
    }
}

/// The other pod of the volume that two pods share.
pub(super) const SECOND_POD: &str = "gallery-84d5f7c9b6-t9wdp";

/// A volume to be.
pub(super) struct Plan {
    pub(super) claim: &'static str,
    pub(super) pod: &'static str,
    pub(super) driver: usize,
    pub(super) kind: Kind,
    pub(super) used: Use,
    pub(super) mebibytes: u64,
    pub(super) read_only: bool,
}

/// Small, and each fault can have a volume of its own; the last six are there to be healthy in other ways.
static PLANS: [Plan; 15] = [
    plan("orders-db", "orders-db-0", 0, Kind::Ext4, 128),
    plan("cart-cache", "cart-cache-0", 0, Kind::Ext4, 64),
    plan("invoices", "invoices-7d9c6bb5f4-x2kqv", 0, Kind::Ext4, 64),
    plan("search-index", "search-index-0", 0, Kind::Xfs, 320),
    plan("session-store", "session-store-0", 0, Kind::Ext4, 128),
    plan("audit-log", "audit-log-0", 0, Kind::Btrfs, 160),
    plan("ledger", "ledger-0", 0, Kind::Block, 64),
    Plan {
        read_only: true,
        ..plan("reports", "reports-5c4f98d7b-m8zlp", 1, Kind::Ext4, 64)
    },
    plan("media", "media-6f7d8c9b5d-r4wtn", 2, Kind::Fuse, 512),
    Plan {
        used: Use::SubPath,
        ..plan("uploads", "resizer-5f6d7c8b9-k2x7q", 3, Kind::Ext4, 64)
    },
    Plan {
        used: Use::ReadOnlyMany,
        read_only: true,
        ..plan("catalog", "shop-front-6b8f9d7c5-h4n2z", 3, Kind::Ext4, 64)
    },
    Plan {
        used: Use::Shared,
        ..plan("photos", "gallery-84d5f7c9b6-c5rlj", 3, Kind::Fuse, 512)
    },
    Plan {
        used: Use::Inline,
        ..plan("scratch", "converter-0", 3, Kind::Tmpfs, 16)
    },
    plan("exports", "exporter-0", 3, Kind::Directory, 32),
    Plan {
        used: Use::InTree,
        ..plan("intranet", "wiki-0", 3, Kind::Tmpfs, 16)
    },
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
        used: Use::Alone,
        mebibytes,
        read_only: false,
    }
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
            Kind::Block | Kind::Directory => match &abilities.loops {
                Ok(()) => plan.kind,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_devices_filesystems_become_tmpfs() {
        let no = || Err("no".to_owned());
        let abilities = Abilities {
            loops: no(),
            xfs: no(),
            btrfs: no(),
            fuse: no(),
        };
        let (volumes, missing) = catalogue(&abilities, Timestamp::UNIX_EPOCH);
        assert!(volumes.iter().all(|volume| volume.kind == Kind::Tmpfs));
        assert_eq!(
            missing,
            ["ledger", "media", "photos", "exports"].map(|claim| (claim, "no".to_owned()))
        );
    }
}
