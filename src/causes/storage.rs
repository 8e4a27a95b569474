//! How storage systems and their drivers word their errors: LINSTOR and DRBD, Longhorn, `OpenEBS`,
//! LVM, ZFS, `NetApp` and the like.
//!
//! Sources: LINSTOR `ApiConsts`, drbd-utils; longhorn-manager `csi` and `scheduler`; mayastor
//! control plane `SvcError`; lvm2 `lib/metadata`; `OpenZFS` `cmd/zfs`; Trident `storage_drivers`.
//! Knows nothing of the systems' own state.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // linstor-server: the satellite did not get its resource up.
    says_any(&["did not become ready on node", "check satellite for errors"]).likely(
        Is::StorageBackendDegraded,
        &[Is::DataPathUnreachable, Is::KernelSupportMissing],
    ),
    // local-path-provisioner `provisioner.go`: a class that binds at once has no node chosen.
    says(&["configuration error, no node was specified"])
        .likely(Is::StorageclassInvalid, &[Is::DriverMisconfigured]),
    // longhorn-manager `scheduler/replica_scheduler.go`.
    says(&["cannot schedule ", "more bytes to disk"]).states(Is::BackendCapacityExhausted),
    // longhorn-manager `csi/node_server.go`.
    says(&["requires shared access but is not marked for shared use"])
        .states(Is::UnsupportedCapability),
    says_any(&["missing passphrase", "passphrase is empty", "no passphrase"])
        .states(Is::DriverSecretInvalid),
    says(&["staging target path ", "is no longer valid"])
        .likely(Is::StaleMount, &[Is::ComponentStateStale]),
    // longhorn-manager: the share-manager pod that serves an RWX volume.
    says_any(&["share not yet available", "share manager", "share-manager"])
        .with(&[
            "not yet available",
            "not ready",
            "not running",
            "error",
            "fail",
        ])
        .at(&[Phase::Attach, Phase::Stage, Phase::Publish])
        .likely(
            Is::MountDaemonFailed,
            &[Is::StorageBackendDegraded, Is::DataPathUnreachable],
        ),
    says_any(&[
        "hasn't been attached yet",
        "has not been attached yet",
        "is not attached yet",
    ])
    .at(&[Phase::Stage, Phase::Publish])
    .likely(Is::ComponentStateStale, &[Is::DeviceNotFound]),
    says(&["/dev/longhorn/", "is not a block device"]).likely(
        Is::DeviceNotFound,
        &[Is::DeviceBusy, Is::ComponentStateStale],
    ),
    // longhorn-manager, on a replica that finds no disk: the volume's condition `Scheduled`.
    says_any(&[
        "replica scheduling failed",
        "failed to schedule replica",
        "cannot schedule replica",
        "precheck new replica failed",
    ])
    .with(&["storage", "space", "disk", "schedul", "node"])
    .at(&[Phase::Provision, Phase::Attach, Phase::Runtime, Phase::Bind])
    .likely(
        Is::BackendCapacityExhausted,
        &[Is::StorageBackendDegraded, Is::StorageclassInvalid],
    ),
    // DRBD: opening a resource that is primary elsewhere.
    says_any(&["wrong medium type", "multiple primaries not allowed"]).likely(
        Is::VolumeInUseElsewhere,
        &[Is::StorageBackendDegraded, Is::StaleAttachmentDeadNode],
    ),
    // Longhorn, about a node that is not fit to have the volume.
    says_any(&["node ", "nodes "])
        .near(&["is down"])
        .at(&[Phase::Attach])
        .general()
        .likely(
            Is::StaleAttachmentDeadNode,
            &[Is::NodeUnknownToDriver, Is::StorageBackendDegraded],
        ),
    says(&["is not ready/does not exist"])
        .likely(Is::NodeUnknownToDriver, &[Is::CsiDriverUnavailable]),
    // linstor-csi `pkg/client`: LINSTOR names no device for the resource on this node.
    says(&["failed to stat source device"]).likely(
        Is::StorageBackendDegraded,
        &[Is::DeviceNotFound, Is::DriverDefect],
    ),
    // LINSTOR: a satellite without the DRBD module offers no such layer.
    says(&["satellite", "does not support the following layers"]).states(Is::KernelSupportMissing),
    // LINSTOR and DRBD.
    says_any(&[
        "need access to uptodate data",
        "no quorum",
        "lost quorum",
        "quorum lost",
        "diskless",
        "is not uptodate",
        "standalone",
    ])
    .likely(
        Is::StorageBackendDegraded,
        &[Is::VolumeInUseElsewhere, Is::DataPathUnreachable],
    ),
    // drbdsetup(8) error -2 (`SS_NO_UP_TO_DATE_DISK`).
    says(&["need access to uptodate data"]).states(Is::StorageBackendDegraded),
    says_any(&[
        "not enough available nodes",
        "not enough nodes",
        "not enough suitable pools",
        "notenoughresources",
        "not enough suitable",
        "insufficient storage",
        "insufficient capacity",
        "not enough capacity",
        "insufficient free space",
        "insufficient space",
        "insufficient free extents",
        "insufficient suitable allocatable extents",
        "not enough space",
        "not enough free space",
        "not enough storage",
        "no space left in pool",
        "out of space",
        "not enough free",
        "insufficient available",
        "free space is not enough",
        "no enough space",
        "pool is full",
        "no available capacity",
        "no storage pool",
        "no available disk candidates",
        "exceeds available capacity",
        "exceeds the available",
        "no node has enough",
        "lacks space",
        "no suitable pool",
    ])
    .but_not(&["on device"])
    .at(&[
        Phase::Provision,
        Phase::Restore,
        Phase::Expand,
        Phase::Attach,
        Phase::Snapshot,
        Phase::Bind,
    ])
    .states(Is::BackendCapacityExhausted),
    // LVM and ZFS.
    says_any(&["volume group '", "vg "])
        .with(&["not found"])
        .likely(
            Is::StorageclassInvalid,
            &[Is::DriverMisconfigured, Is::TopologyMismatch],
        ),
    says_any(&[
        "dataset does not exist",
        "dataset not found",
        "cannot open '",
    ])
    .with(&["dataset", "pool", "no such"])
    .likely(Is::VolumeNotFoundBackend, &[Is::StorageclassInvalid]),
    says_any(&[
        "filesystem has children",
        "dataset is busy",
        "volume has children",
    ])
    .at(&[Phase::Delete])
    .likely(Is::DeleteBlockedInUse, &[Is::UnmountBusy]),
    // Longhorn.
    says_any(&[
        "neither healthy nor degraded",
        "no healthy replicas",
        "no online replicas",
        "not enough healthy",
        "has no healthy",
        "is not ready for workloads",
        "volume is faulted",
        "robustness is faulted",
        "robustness faulted",
        "in faulted state",
        "volume is not healthy",
        "is degraded",
        "state is faulted",
        "volume is unhealthy",
        "no healthy replica",
        "no healthy or scheduled replica",
        "all replicas are failed",
        "replicas are failed",
        "is not ready to be attached",
        "engine is not running",
        "not in healthy state",
        "is not in a healthy state",
        "volume not healthy",
        "current status is: error",
        "current status is error",
        "in 'error' state",
        "state is degraded",
        "state: degraded",
        "state is failed",
    ])
    .likely(
        Is::StorageBackendDegraded,
        &[Is::CsiDriverUnavailable, Is::OperationInProgress],
    ),
    says_any(&["volume is faulted", "is faulted", "faulted state"])
        .likely(Is::StorageBackendDegraded, &[Is::DataPathUnreachable]),
    says_any(&[
        "invalid attached node",
        "is already attached to",
        "cannot attach volume",
    ])
    .with(&["longhorn"])
    .likely(Is::MultiAttachPreviousNode, &[Is::VolumeInUseElsewhere]),
    // longhorn-manager `csi/controller_server.go`: mkfs.xfs wants 300 MiB.
    says(&["xfs filesystems with size", "are not supported"]).states(Is::InvalidSizeRequest),
    // NetApp Trident.
    says_any(&[
        "no matching storage class",
        "no available backends",
        "no suitable backend",
        "no backends",
        "no storage pools",
        "could not find any backend",
    ])
    .likely(
        Is::DriverMisconfigured,
        &[Is::StorageclassInvalid, Is::BackendCapacityExhausted],
    ),
    // Trident `utils/errors`: above limitVolumeSize, or below what the driver makes.
    says(&["unsupported capacity range"]).states(Is::InvalidSizeRequest),
    // Vendors with configuration in a file or map.
    says_any(&[
        "config doesn't contain node",
        "no default_path_for_non_listed_nodes",
        "array list",
        "no arrays",
        "arrays not found",
        "array not found",
        "configuration file",
        "invalid configuration",
        "missing configuration",
        "not configured",
        "no configuration",
        "failed to read config",
        "config map",
        "configmap is empty",
        "cluster id is not",
        "clusterid is not",
        "provisioner is not configured",
        "no default array",
    ])
    .but_not(&[
        "did not load config file",
        "configmap '",
        "mountvolume.setup failed",
    ])
    .general()
    .likely(
        Is::DriverMisconfigured,
        &[Is::StorageclassInvalid, Is::DriverSecretInvalid],
    ),
    // local-path-provisioner `provisioner.go`.
    says(&[
        "config doesn't contain node",
        "no default_path_for_non_listed_nodes",
    ])
    .states(Is::DriverMisconfigured),
    // local-path-provisioner `provisioner.go`.
    says(&["nodepath only supports"]).states(Is::UnsupportedCapability),
    // JuiceFS and other filesystems behind a token.
    says_any(&[
        "auth error",
        "token or volume is invalid",
        "invalid token",
        "invalid access key",
        "the access key id you provided does not exist",
        "access key",
        "invalidaccesskeyid",
    ])
    .at(&[Phase::Publish, Phase::Stage])
    .likely(Is::DataPathAuthFailed, &[Is::DriverSecretInvalid]),
    // Local volume provisioner (`sig-storage-local-static-provisioner`).
    says_any(&[
        "requires block mode but path was in fs mode",
        "requires filesystem mode but path was in block mode",
    ])
    .states(Is::PathInvalid),
    // Longhorn names the tag that a class asks for and no disk or node has.
    says_any(&["specified disk tag", "specified node tag"])
        .with(&["does not exist"])
        .states(Is::StorageclassInvalid),
    // DRBD: the device is open when it is to be made secondary or taken down.
    says(&["is held open by"])
        .at(&[Phase::Unstage, Phase::Unpublish])
        .states(Is::UnmountBusy),
    // drbdsetup(8) error -12 (`SS_DEVICE_IN_USE`).
    says(&["is held open by"]).likely(Is::DeviceBusy, &[Is::UnmountBusy]),
    // States in which a volume of any system hangs.
    says_any(&[
        "status is error",
        "state is error",
        "in error state",
        "status 'error'",
        "state 'error'",
        "current status is error",
        "pool is offline",
        "pool is degraded",
        "pool is suspended",
        "is in failed state",
        "in state failed",
        "backend is down",
        "is offline",
        "service is down",
        "unhealthy",
    ])
    .but_not(&["container is unhealthy", "node is offline"])
    .general()
    .likely(
        Is::StorageBackendDegraded,
        &[Is::OperationInProgress, Is::CsiDriverUnavailable],
    ),
    says(&["volume", "is not ready"])
        .at(&[Phase::Attach, Phase::Stage, Phase::Publish])
        .but_not(&["node is not ready", "fuse", "pod", "snapshot"])
        .weak()
        .likely(
            Is::StorageBackendDegraded,
            &[Is::OperationInProgress, Is::CsiDriverUnavailable],
        ),
    // A driver and a storage API of different versions.
    says_any(&[
        "field was not expected",
        "unexpected keyword",
        "unknown field",
        "unsupported api version",
        "unknown api",
        "incompatible api version",
        "unsupported version",
    ])
    .general()
    .likely(Is::DriverDefect, &[Is::StorageclassInvalid]),
];
