//! How Ceph words its errors: rbd, librados, the kernel client, ceph-csi.
//!
//! Sources: ceph `src/tools/rbd`, `src/mount`, `src/krbd.cc`; Linux `drivers/block/rbd.c`,
//! `net/ceph`; ceph-csi `internal/{rbd,cephfs,util}`. Knows nothing of the cluster behind.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // ceph-csi `internal/csi-common/utils.go`: the kubelet made the path where the driver does not look.
    says_any(&["staging path ", "staging target path ", "target path "])
        .with(&[
            "does not exist on node",
            "does not exists on node",
            "does not exist on the node",
        ])
        .likely(
            Is::KubeletDirMismatch,
            &[Is::ComponentStateStale, Is::PathInvalid],
        ),
    says_any(&["rbd: map failed: (22)", "rbd: map failed: (95)"]).likely(
        Is::KernelSupportMissing,
        &[Is::BadMountOption, Is::DriverMisconfigured],
    ),
    // krbd: an exclusive lock or a read-only snapshot.
    says(&["rbd: map failed: (30)"]).likely(Is::VolumeInUseElsewhere, &[Is::KernelSupportMissing]),
    says(&["rbd: map failed: (16)"]).likely(Is::DeviceBusy, &[Is::VolumeInUseElsewhere]),
    says_any(&[
        "rbd: couldn't connect to the cluster",
        "error connecting to the cluster",
        "unable to connect to the cluster",
    ])
    .at(&[Phase::Stage, Phase::Publish])
    .general()
    .likely(
        Is::DataPathUnreachable,
        &[Is::DataPathAuthFailed, Is::DriverMisconfigured],
    ),
    says_any(&[
        "rbd: couldn't connect to the cluster",
        "error connecting to the cluster",
        "error connecting to cluster",
    ])
    .but_not(&["permission"])
    .general()
    .likely(
        Is::ApiUnreachable,
        &[Is::BackendAuthFailed, Is::DriverMisconfigured],
    ),
    // ceph-csi `internal/kms`.
    says_any(&[
        "missing encryption kms configuration",
        "failed to parse kms configuration",
        "no kms configuration",
    ])
    .states(Is::DriverMisconfigured),
    says_any(&["error opening image"])
        .with(&["input/output error", "(5)", "(110)", "connection timed out"])
        .likely(Is::StorageBackendDegraded, &[Is::DataPathUnreachable]),
    // Ceph `mon/MonClient.cc`: monitor and client share no way to prove the key.
    says(&["handle_auth_bad_method"])
        .at(&[Phase::Stage, Phase::Publish])
        .states(Is::DataPathAuthFailed),
    says(&["handle_auth_bad_method"]).states(Is::BackendAuthFailed),
    // go-ceph: connecting is where the cluster checks who asks.
    says(&["connecting failed: rados: ret=-1, operation not permitted"]).likely(
        Is::BackendAuthFailed,
        &[Is::DriverSecretInvalid, Is::BackendPermissionDenied],
    ),
    // ceph `src/pybind/mgr/volumes`: the group that the driver is configured with is not there.
    says(&["subvolume group '", "' not found"]).states(Is::DriverMisconfigured),
    // rbd(8) made the device, and the container's /dev does not show it.
    says(&["rbd: mapping succeeded but", "is not accessible"]).states(Is::DeviceNotFound),
    // The kernel client.
    says_any(&[
        "module rbd not found",
        "failed to load rbd kernel module",
        "module alias rbd not found",
        "module ceph not found",
        "modprobe: fatal",
        "modprobe: can't",
        "rbd: modprobe",
    ])
    .states(Is::KernelSupportMissing),
    // krbd.cc: the hint of rbd(8) about features; net/ceph: `missing required protocol features`.
    says_any(&[
        "image uses unsupported features",
        "rbd image feature set mismatch",
        "feature set mismatch",
        "missing required protocol features",
        "unsupported features: 0x",
        "unsupported by the kernel",
    ])
    .states(Is::KernelSupportMissing),
    says(&["rbd: map failed", "(6) no such device or address"])
        .likely(Is::KernelSupportMissing, &[Is::DriverMisconfigured]),
    says(&["rbd: map failed", "(5) input/output error"]).likely(
        Is::KernelSupportMissing,
        &[Is::StorageBackendDegraded, Is::DataPathUnreachable],
    ),
    // An old kernel that does not know the cluster's features waits in vain, as an unreachable one does.
    says(&["rbd: map failed", "connection timed out"])
        .likely(Is::KernelSupportMissing, &[Is::DataPathUnreachable]),
    // krbd.cc: the kernel refused the map request; why, only its log says.
    says(&["rbd: sysfs write failed"]).general().likely(
        Is::KernelSupportMissing,
        &[
            Is::DataPathUnreachable,
            Is::StorageBackendDegraded,
            Is::DataPathAuthFailed,
        ],
    ),
    says(&["rbd: map failed", "(1) operation not permitted"])
        .likely(Is::DataPathAuthFailed, &[Is::BackendPermissionDenied]),
    says(&["rbd: map failed", "(13) permission denied"])
        .likely(Is::DataPathAuthFailed, &[Is::BackendPermissionDenied]),
    // ESHUTDOWN is what a blocklisted client gets.
    says(&["cannot send after transport endpoint shutdown"])
        .likely(Is::ClientBlocklisted, &[Is::DataPathUnreachable]),
    says_any(&["blocklisted", "blacklisted"])
        .but_not(&["multipath", "devnode"])
        .states(Is::ClientBlocklisted),
    // Kubernetes `pkg/volume/rbd`, ceph-csi `internal/rbd`: the image has a watcher.
    says(&["rbd image ", "is still being used"]).likely(
        Is::VolumeInUseElsewhere,
        &[Is::StaleAttachmentDeadNode, Is::DeviceBusy],
    ),
    says_any(&[
        "image still has watchers",
        "image has watchers",
        "has watchers",
    ])
    .at(&[Phase::Delete])
    .states(Is::DeleteBlockedInUse),
    says_any(&[
        "image still has watchers",
        "image has watchers",
        "has watchers",
    ])
    .likely(Is::VolumeInUseElsewhere, &[Is::StaleAttachmentDeadNode]),
    says_any(&["image has snapshots", "is in use by snapshots"]).states(Is::DeleteBlockedInUse),
    // librados, as go-ceph prints it.
    says(&["rados: ret=-13, permission denied"]).states(Is::BackendAuthFailed),
    // EPERM after connecting: caps of the client.
    says(&["rados: ret=-1, operation not permitted"])
        .likely(Is::BackendPermissionDenied, &[Is::BackendAuthFailed]),
    says_any(&["rados: ret=-110", "rados: ret=-111", "rados: ret=-113"]).states(Is::ApiUnreachable),
    says(&["connecting failed: rados: ret=-2,"])
        .likely(Is::DriverMisconfigured, &[Is::DriverSecretInvalid]),
    says(&["rados: ret=-108"]).states(Is::ClientBlocklisted),
    // ceph-csi configuration, secrets and parameters.
    says_any(&[
        "missing configuration for cluster id",
        "failed to fetch monitor list using clusterid",
        "clusterid must be set",
        "error fetching configuration for cluster id",
        "monitor list empty",
        "empty monitor list",
    ])
    .states(Is::DriverMisconfigured),
    // ceph-csi `internal/util/credentials.go`.
    says(&["missing id field", "in secrets"]).states(Is::DriverSecretInvalid),
    says(&["missing key field", "in secrets"]).states(Is::DriverSecretInvalid),
    says_any(&[
        "provided secret is empty",
        "secret is empty",
        "secrets are empty",
        "secret provided is empty",
        "empty secret",
        "missing secret",
        "secret not provided",
        "no secret provided",
        "secrets not provided",
        "secret must be provided",
        "secrets must be provided",
        "secret is required",
        "secrets are required",
        "secret is missing",
        "stage secrets cannot be nil or empty",
        "secrets cannot be nil",
    ])
    .states(Is::DriverSecretInvalid),
    says_any(&[
        "pool not found",
        "no such pool",
        "error opening pool",
        "could not get pool",
        "fsname",
        "filesystem name not found",
    ])
    .with(&[
        "not found",
        "no such",
        "error opening pool",
        "does not exist",
        "fetched 0",
    ])
    .at(&[Phase::Provision, Phase::Restore])
    .likely(Is::StorageclassInvalid, &[Is::DriverMisconfigured]),
    says_any(&[
        "rbd image not found",
        "image not found",
        "error opening image",
        "volume not found: failed to",
        "rbd: error opening image",
    ])
    .likely(Is::VolumeNotFoundBackend, &[Is::DriverMisconfigured]),
    // The CephFS kernel mount.
    says_any(&[
        "no mds server is up",
        "no mds (metadata server) is up",
        "the cluster is laggy",
    ])
    .likely(
        Is::StorageBackendDegraded,
        &[Is::DriverMisconfigured, Is::BackendPermissionDenied],
    ),
    says_any(&[
        "mount error 110 =",
        "mount error 113 =",
        "mount error 101 =",
        "unable to resolve address",
        "failed to resolve source",
    ])
    .states(Is::DataPathUnreachable),
    says_any(&["mount error 13 =", "mount error 1 =", "mount error 126 ="])
        .likely(Is::DataPathAuthFailed, &[Is::BackendPermissionDenied]),
    says(&["mount error 22 ="]).likely(
        Is::BadMountOption,
        &[Is::KernelSupportMissing, Is::DataPathAuthFailed],
    ),
    says(&["mount error 2 ="]).likely(Is::PathInvalid, &[Is::VolumeNotFoundBackend]),
    says(&["mount error 5 ="]).likely(
        Is::DataPathUnreachable,
        &[Is::StorageBackendDegraded, Is::ClientBlocklisted],
    ),
    says(&["mount error 3 ="]).likely(Is::BadMountOption, &[Is::KernelSupportMissing]),
    says_any(&["libceph: ", "ceph: "])
        .with(&["unknown mount option", "bad option at", "unknown parameter"])
        .likely(Is::KernelSupportMissing, &[Is::BadMountOption]),
    // Health of the cluster.
    says_any(&[
        "health_err",
        "health_warn",
        "pgs inactive",
        "pg stuck",
        "undersized",
        "osds are down",
        "mons are down",
        "quorum",
    ])
    .general()
    .likely(Is::StorageBackendDegraded, &[Is::DataPathUnreachable]),
    // rbd(8) of another version than the driver was written for.
    says(&["rbd: unknown ", "option '"]).states(Is::DriverDefect),
    // ceph `src/pybind/mgr/volumes`: the group that the driver is configured with is not there.
    says(&["subvolume group '", "does not exist"]).states(Is::DriverMisconfigured),
    // Without monitors in its configuration a client asks the name service for them.
    says_any(&[
        "unable to get monitor info from dns srv",
        "failed for service _ceph-mon",
    ])
    .likely(
        Is::DriverMisconfigured,
        &[Is::StorageBackendDegraded, Is::DataPathUnreachable],
    ),
    says(&["rbd: map failed", "(2) no such file or directory"]).likely(
        Is::VolumeNotFoundBackend,
        &[Is::KernelSupportMissing, Is::DriverMisconfigured],
    ),
    // ESHUTDOWN by its number alone.
    says(&["rbd: map failed: (108)"]).likely(Is::ClientBlocklisted, &[Is::DataPathUnreachable]),
    says(&["rbd ", "is still being used"])
        .at(&[Phase::Delete])
        .states(Is::DeleteBlockedInUse),
    // The exit status of rbd(8) is the error number, whether or not what it printed is there.
    says_any(&["exit status 108)"])
        .with(&["running rbd", "rbd: map failed"])
        .likely(Is::ClientBlocklisted, &[Is::KernelSupportMissing]),
    says_any(&["exit status 110)"])
        .with(&["running rbd args", "running mount args: [-t ceph"])
        .general()
        .likely(Is::DataPathUnreachable, &[Is::KernelSupportMissing]),
    // The Python bindings of librados name the number before the words.
    says(&["[errno 22] error connecting to the cluster"]).likely(
        Is::DriverSecretInvalid,
        &[Is::BackendAuthFailed, Is::DriverMisconfigured],
    ),
    says_any(&[
        "[errno 13] error connecting to the cluster",
        "[errno 1] error connecting to the cluster",
        "[errno 13] rados permission denied",
    ])
    .likely(Is::BackendAuthFailed, &[Is::BackendPermissionDenied]),
];
