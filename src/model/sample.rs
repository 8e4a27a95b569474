//! One healthy node, for every test to degrade.
//!
//! Claim `shop/orders-db`, 10Gi of ext4 on `/dev/sdb`, in pod `shop/orders-0` on `node-1`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::driver::{Driver, NodeInfo, Plugin, Registration};
use crate::model::facts::{NodeFacts, Thresholds};
use crate::model::finding::{Object, RuleVerdicts};
use crate::model::kubelet::Kubelet;
use crate::model::leftover::{Leftover, LeftoverKind};
use crate::model::mount::{DeviceNumber, Mount, Usage};
use crate::model::names::{ClaimRef, HostPath, PodRef};
use crate::model::objects::{
    Attachment, Claim, Class, CsiSource, PersistentVolume, PodState, VolumeMode,
};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::sizes::{Bytes, FilesystemSize, Sizes};
use crate::model::state::{BlockDevice, FilesystemErrors, KernelState};
use crate::model::volume::{DriverStats, Inside, Published, Volume};

const GI: u64 = 1 << 30;

/// The moment of the sample: 2026-11-25 12:00 UTC.
pub fn noon() -> Timestamp {
    Timestamp::constant(1_795_608_000, 0)
}

/// The healthy node.
pub fn node() -> NodeFacts {
    NodeFacts {
        node: "node-1".into(),
        observed_at: noon(),
        thresholds: Thresholds::DEFAULT,
        volumes: Listing::complete(vec![volume()]),
        drivers: Listing::complete(vec![driver()]),
        leftovers: Listing::default(),
        uncovered: Listing::default(),
        waiting: Listing::default(),
        kubelet: Kubelet {
            running: Observed::Known(true),
            unmirrored: Observed::Known(0),
        },
        gaps: Vec::new(),
    }
}

/// The healthy node with one thing made worse.
pub fn degraded(degrade: impl FnOnce(&mut Volume)) -> NodeFacts {
    let mut node = node();
    degrade(&mut node.volumes.items[0]);
    node
}

/// Its driver.
pub fn driver() -> Driver {
    Driver {
        name: "disk.example.com".into(),
        expected_by: vec!["CSINode node-1".into(), "pod shop/orders-0".into()],
        socket: Some("/var/lib/kubelet/plugins/disk.example.com/csi.sock".into()),
        plugin: Observed::Known(Plugin {
            version: "1.4.0".into(),
            ready: Observed::Known(true),
            capabilities: Observed::Known(vec![
                "STAGE_UNSTAGE_VOLUME".into(),
                "GET_VOLUME_STATS".into(),
                "EXPAND_VOLUME".into(),
            ]),
            services: Observed::Known(vec!["CONTROLLER_SERVICE".into(), Plugin::ONLINE.into()]),
            info: Observed::Known(NodeInfo {
                node_id: "i-0001".into(),
                max_volumes: 25,
            }),
            took: Duration::ZERO,
            storage_health: Observed::Unknown(unspoken("NodeGetStorageHealth")),
        }),
        registered_as: Observed::Known(Some("disk.example.com".into())),
        csi_node: Observed::Known(Some(Registration {
            node_id: "i-0001".into(),
            allocatable: Some(25),
        })),
        started: Some(noon()),
        attached: 1,
        reported_health: Vec::new(),
    }
}

/// Its claim.
pub fn claim() -> Claim {
    Claim {
        claim: claim_ref(),
        bound: true,
        volume: Some("pvc-11".into()),
        class: Some("fast".into()),
        access_modes: vec!["ReadWriteOnce".into()],
        request: Some(Bytes(10 * GI)),
        allocated: None,
        resize_status: None,
        capacity: Some(Bytes(10 * GI)),
        conditions: Vec::new(),
        node_expansion_not_required: false,
        made_from: None,
        silence: None,
        health: Vec::new(),
        terms: None,
    }
}

/// What a driver leaves that does not have a call.
fn unspoken(call: &str) -> Gap {
    let what = format!("driver disk.example.com does not have {call}");
    Gap::new(Why::Unsupported, what)
}

/// Its volume.
pub fn volume() -> Volume {
    let usage = Usage {
        total_bytes: 10_464_022_528,
        used_bytes: 2_000_000_000,
        available_bytes: 7_900_000_000,
        total_inodes: 655_360,
        used_inodes: 1200,
    };
    Volume {
        spec_name: "pvc-11".into(),
        driver: "disk.example.com".into(),
        handle: Observed::Known("vol-11".into()),
        claim: Some(Arc::new(claim())),
        persistent: Observed::Known(Some(Arc::new(persistent()))),
        attachment: Observed::Known(Some(Arc::new(Attachment {
            name: "csi-0011".into(),
            driver: "disk.example.com".into(),
            volume: Some("pvc-11".into()),
            node: "node-1".into(),
            attached: true,
            error: None,
            terms: None,
        }))),
        class: Observed::Known(Some(Arc::new(Class {
            name: "fast".into(),
            provisioner: "disk.example.com".into(),
            expandable: true,
            terms: None,
        }))),
        events: Listing::default(),
        resizer_seen: None,
        mode: VolumeMode::Filesystem,
        staging: Some(staging()),
        staged: Observed::Known(Some(mount(staging()))),
        published: vec![Published {
            pod: pod("orders-0", "pod-uid-0"),
            name: "data".into(),
            state: Observed::Known(PodState::Running),
            started: Some(noon()),
            ended: None,
            target: target(),
            stacked: 1,
            mount: Observed::Known(Some(mount(target()))),
            usage: Observed::Known(usage),
            asked_read_only: Observed::Known(None),
            sub_paths: Vec::new(),
            device_node: false,
            live: Observed::Known(true),
            inside: Observed::Known(vec![inside()]),
            elsewhere: Observed::Unknown(Gap::new(Why::NotAsked, "it is mounted where it belongs")),
            events: Listing::default(),
            health: Vec::new(),
        }],
        stats: Observed::Known(DriverStats {
            usage: Some(usage),
            condition: None,
        }),
        health: Observed::Unknown(unspoken("NodeGetVolumeHealth")),
        condition_promised: false,
        sizes: Sizes {
            request: Observed::Known(Some(Bytes(10 * GI))),
            allocated: Observed::Known(None),
            capacity: Observed::Known(Some(Bytes(10 * GI))),
            device: Observed::Known(Some(Bytes(10 * GI))),
            filesystem: Observed::Known(Some(FilesystemSize {
                at_least: Bytes(usage.total_bytes),
                at_most: Bytes(10 * GI),
            })),
            status: Observed::Known(Some(Bytes(10 * GI))),
            driver: Observed::Known(Some(Bytes(usage.total_bytes))),
        },
        state: KernelState {
            device: Observed::Known(Some(BlockDevice {
                number: mount(target()).device,
                present: true,
                read_only: false,
                in_flight: 0,
                frozen_since: None,
            })),
            errors: Observed::Known(Some(FilesystemErrors::default())),
            waiting: Observed::Known(None),
        },
    }
}

/// Its PersistentVolume.
pub fn persistent() -> PersistentVolume {
    PersistentVolume {
        name: "pvc-11".into(),
        uid: "pv-uid-11".into(),
        capacity: Some(Bytes(10 * GI)),
        claim: Some(claim_ref()),
        csi: Some(CsiSource {
            driver: "disk.example.com".into(),
            handle: "vol-11".into(),
            read_only: false,
        }),
        mode: VolumeMode::Filesystem,
        access_modes: vec!["ReadWriteOnce".into()],
        mount_options: Vec::new(),
        capacity_before_resize: None,
        terms: None,
    }
}

/// What a pod that is gone left behind: the empty directory of its volume.
pub fn leftover() -> Leftover {
    Leftover {
        kind: LeftoverKind::PodVolume,
        path: "/var/lib/kubelet/pods/pod-uid-9/volumes/kubernetes.io~csi/pvc-99/mount".into(),
        pod: Some("pod-uid-9".into()),
        driver: Some("disk.example.com".into()),
        handle: Some("vol-99".into()),
        mount: Observed::Known(None),
        object: Some(Object::PersistentVolume(
            "pvc-99".into(),
            "pv-uid-99".into(),
        )),
        held_by: Listing::default(),
    }
}

/// A mount of the volume's filesystem at this path.
pub fn mount(target: HostPath) -> Mount {
    Mount {
        id: 812,
        parent: 29,
        device: DeviceNumber {
            major: 8,
            minor: 16,
        },
        root: "/".into(),
        target,
        options: "rw,relatime".into(),
        fs_type: "ext4".into(),
        source: "/dev/sdb".into(),
        super_options: "rw".into(),
    }
}

/// The volume as its pod's container sees it.
pub fn inside() -> Inside {
    let path = HostPath::from("/var/lib/data");
    Inside {
        container: "app".into(),
        process: 4711,
        mount: Some(mount(path.clone())),
        path,
    }
}

/// A pod of the namespace `shop`.
pub fn pod(name: &str, uid: &str) -> PodRef {
    PodRef {
        namespace: "shop".into(),
        name: name.into(),
        uid: uid.into(),
    }
}

/// What names its claim.
pub fn claim_ref() -> ClaimRef {
    ClaimRef {
        namespace: "shop".into(),
        name: "orders-db".into(),
        uid: "claim-uid-11".into(),
    }
}

fn staging() -> HostPath {
    "/var/lib/kubelet/plugins/kubernetes.io/csi/disk.example.com/4711/globalmount".into()
}

fn target() -> HostPath {
    "/var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount".into()
}

/// A rule's verdicts as a person reads them, for tests to compare with.
pub fn read(verdicts: &RuleVerdicts) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for (subject, problem) in &verdicts.problems {
        let severity = problem.severity.unwrap_or(verdicts.severity);
        let _ = writeln!(text, "{severity} {}: {subject}", verdicts.code);
        let _ = writeln!(text, "  {}", problem.message);
        if let Some(cause) = problem.cause {
            let _ = writeln!(text, "  = {} ({})", cause.id, cause.confidence);
        }
        for evidence in &problem.evidence {
            let _ = writeln!(
                text,
                "  - {}: {} [{}]",
                evidence.fact, evidence.value, evidence.source
            );
        }
        for step in &problem.next {
            let _ = writeln!(text, "  > {}", step.what);
            if let Some(command) = &step.command {
                let _ = writeln!(text, "    {command}");
            }
        }
    }
    for (subject, gap) in &verdicts.unknowns {
        let _ = writeln!(text, "unknown {}: {subject}: {gap}", verdicts.code);
    }
    for gap in &verdicts.gaps {
        let _ = writeln!(text, "incomplete {}: {gap}", verdicts.code);
    }
    if text.is_empty() {
        let _ = writeln!(text, "{} ok", verdicts.ok);
    }
    text
}
