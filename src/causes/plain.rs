//! How any software says in plain English that something is absent, not given, or not taken: a noun
//! and what is said of it, near each other, read with the stage.
//!
//! Source: common usage; the stages and what can fail there are the CSI specification's. These rows
//! are weak and give likely causes only: they speak where no one else does.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says_any};
use crate::causes::plain_words::{ABSENT, FAILED, NOT_GIVEN, REJECTED};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    says_any(&[
        "client secret",
        "token",
        "password",
        "username",
        "user name",
        "api key",
        "access key",
        "secret key",
    ])
    .near(REJECTED)
    .at(&[Phase::Stage, Phase::Publish])
    .but_not(&["unknown filesystem"])
    .weak()
    .likely(
        Is::DataPathAuthFailed,
        &[Is::BackendAuthFailed, Is::DriverSecretInvalid],
    ),
    says_any(&[
        "client secret",
        "token",
        "password",
        "username",
        "user name",
        "api key",
        "access key",
        "secret key",
    ])
    .near(REJECTED)
    .at(&[
        Phase::Provision,
        Phase::Attach,
        Phase::Expand,
        Phase::Snapshot,
        Phase::Delete,
        Phase::Detach,
        Phase::Restore,
    ])
    .weak()
    .likely(Is::BackendAuthFailed, &[Is::DriverSecretInvalid]),
    says_any(&["resolve", "resolving", "lookup ", "resolution"])
        .near(FAILED)
        .at(&[Phase::Stage, Phase::Publish])
        .but_not(&["symlink", "link", "https://"])
        .weak()
        .likely(
            Is::DataPathUnreachable,
            &[Is::ApiUnreachable, Is::DriverMisconfigured],
        ),
    says_any(&[
        "resolve host",
        "resolving host",
        "lookup ",
        "resolve address",
        "name resolution",
    ])
    .near(FAILED)
    .at(&[
        Phase::Provision,
        Phase::Attach,
        Phase::Expand,
        Phase::Snapshot,
        Phase::Delete,
        Phase::Detach,
        Phase::Restore,
    ])
    .weak()
    .likely(Is::ApiUnreachable, &[Is::DriverMisconfigured]),
    says_any(&[
        "device",
        "multipath",
        "wwn",
        "wwid",
        "by-id",
        "by-path",
        "lun ",
    ])
    .near(ABSENT)
    .at(&[Phase::Stage])
    .but_not(&[
        "unknown filesystem",
        "code = unknown",
        "kubernetes.io/csi",
        "mount error(",
    ])
    .weak()
    .likely(
        Is::DeviceNotFound,
        &[Is::VolumeNotFoundBackend, Is::BlockTransportLoginFailed],
    ),
    says_any(&[
        "no device",
        "no disk",
        "no path to",
        "no multipath",
        "no block device",
        "no lun",
    ])
    .at(&[Phase::Stage, Phase::Publish])
    .but_not(&["frontend"])
    .weak()
    .likely(
        Is::DeviceNotFound,
        &[Is::VolumeNotFoundBackend, Is::BlockTransportLoginFailed],
    ),
    says_any(&[
        "config",
        "clusterid",
        "cluster id",
        "monitor",
        "array id",
        "arrayid",
        "backend name",
    ])
    .near(ABSENT)
    .but_not(&["configmap", "libkmod", "code = unknown", "load config file"])
    .at(&[
        Phase::Provision,
        Phase::Stage,
        Phase::Publish,
        Phase::Attach,
        Phase::Snapshot,
    ])
    .weak()
    .likely(
        Is::DriverMisconfigured,
        &[Is::StorageclassInvalid, Is::DriverSecretInvalid],
    ),
    says_any(&[
        "different options",
        "different arguments",
        "different parameters",
        "incompatible with the existing",
        "already published",
        "already staged",
    ])
    .at(&[Phase::Stage, Phase::Publish])
    .weak()
    .likely(Is::ComponentStateStale, &[Is::DriverDefect]),
    says_any(&["secret", "credential"])
        .near(ABSENT)
        .at(&[
            Phase::Provision,
            Phase::Restore,
            Phase::Attach,
            Phase::Stage,
            Phase::Expand,
            Phase::Snapshot,
            Phase::Delete,
            Phase::Detach,
        ])
        .weak()
        .likely(
            Is::DriverSecretInvalid,
            &[Is::BackendAuthFailed, Is::ReferencedObjectMissing],
        ),
    says_any(&["secret", "credential"])
        .near(NOT_GIVEN)
        .weak()
        .likely(
            Is::DriverSecretInvalid,
            &[Is::BackendAuthFailed, Is::DataPathAuthFailed],
        ),
    says_any(&[
        "node ",
        "node'",
        "instance",
        "server ",
        "host ",
        "virtual machine",
        " vm ",
        "droplet",
        "machine ",
    ])
    .near(ABSENT)
    .at(&[Phase::Attach])
    .but_not(&[
        "volume not found",
        "disk not found",
        "mount",
        "no such host",
    ])
    .weak()
    .likely(
        Is::NodeUnknownToDriver,
        &[Is::VolumeNotFoundBackend, Is::StaleAttachmentDeadNode],
    ),
    says_any(&[
        "volume",
        "disk",
        " lun",
        "share",
        "image",
        "filesystem",
        "file system",
        "fileset",
        "bucket",
        "dataset",
        "subvolume",
        "export",
    ])
    .near(ABSENT)
    .at(&[Phase::Attach, Phase::Stage, Phase::Publish, Phase::Expand])
    .but_not(&[
        "no such file",
        "device",
        "no such host",
        "/dev/",
        "unknown filesystem",
        "unknown error",
        "code = unknown",
        "config file",
        "configuration file",
    ])
    .weak()
    .likely(
        Is::VolumeNotFoundBackend,
        &[
            Is::NodeUnknownToDriver,
            Is::ComponentStateStale,
            Is::DriverMisconfigured,
        ],
    ),
    says_any(&[
        "source volume",
        "source pvc",
        "source snapshot",
        "data source",
    ])
    .near(ABSENT)
    .at(&[Phase::Provision])
    .but_not(&["code = unknown"])
    .weak()
    .likely(Is::DataSourceInvalid, &[Is::VolumeNotFoundBackend]),
    says_any(&["snapshot", "source volume", "source pvc", "backup"])
        .near(ABSENT)
        .at(&[Phase::Restore, Phase::Snapshot])
        .but_not(&["code = unknown"])
        .weak()
        .likely(
            Is::DataSourceInvalid,
            &[Is::SnapshotClassInvalid, Is::VolumeNotFoundBackend],
        ),
    says_any(&[
        "pool",
        "storage class",
        "storageclass",
        "parameter",
        "volume type",
        "tier",
        "policy",
        "profile",
        "datastore",
        "volume group",
        "filesystem",
        "file system",
    ])
    .near(ABSENT)
    .at(&[Phase::Provision])
    .but_not(&["code = unknown", "no such file", "no such host", "secret"])
    .weak()
    .likely(
        Is::StorageclassInvalid,
        &[Is::DriverMisconfigured, Is::BackendCapacityExhausted],
    ),
    says_any(&[
        "parameter",
        "attribute",
        "option",
        "argument",
        "storage class",
        "storageclass",
    ])
    .near(NOT_GIVEN)
    .at(&[Phase::Provision])
    .but_not(&["secret", "code = invalidargument", "invalid argument"])
    .weak()
    .likely(
        Is::StorageclassInvalid,
        &[Is::DriverMisconfigured, Is::DriverSecretInvalid],
    ),
    says_any(&["zone", "region", "topology"])
        .near(ABSENT)
        .at(&[Phase::Provision])
        .but_not(&["code = unknown", "no such host"])
        .weak()
        .likely(
            Is::TopologyMismatch,
            &[Is::StorageclassInvalid, Is::DriverMisconfigured],
        ),
    says_any(&["zone", "region"])
        .near(&[
            "is invalid",
            "not valid",
            "not supported",
            "is not available",
        ])
        .at(&[Phase::Provision])
        .weak()
        .likely(
            Is::TopologyMismatch,
            &[Is::StorageclassInvalid, Is::DriverMisconfigured],
        ),
    says_any(&["zone", "region", "datacenter", "data center", "location"])
        .near(&[
            "different",
            "same ",
            "mismatch",
            "does not match",
            "not in ",
            "another",
        ])
        .at(&[Phase::Attach])
        .weak()
        .likely(
            Is::TopologyMismatch,
            &[Is::NodeUnknownToDriver, Is::StorageclassInvalid],
        ),
    says_any(&["binary", "executable", "package", "utilities"])
        .near(&[
            "not found",
            "no such",
            "failed to find",
            "not installed",
            "missing",
        ])
        .at(&[Phase::Stage, Phase::Publish, Phase::Expand])
        .but_not(&["code = unknown"])
        .weak()
        .likely(Is::MountHelperMissing, &[Is::DriverDefect]),
    says_any(&["volume", "disk", "snapshot"])
        .near(&[
            "still being",
            "is being created",
            "is being deleted",
            "is being resized",
            "is being attached",
            "is being detached",
        ])
        .at(&[
            Phase::Provision,
            Phase::Attach,
            Phase::Delete,
            Phase::Expand,
            Phase::Snapshot,
        ])
        .but_not(&["being used", "attachment is being deleted"])
        .weak()
        .likely(
            Is::OperationInProgress,
            &[Is::StorageBackendDegraded, Is::DriverDefect],
        ),
];
