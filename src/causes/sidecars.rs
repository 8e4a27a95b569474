//! How the CSI sidecars and the snapshot controller word their own errors.
//!
//! Sources: external-provisioner `pkg/controller`, sig-storage-lib-external-provisioner,
//! external-resizer `pkg/controller`, external-snapshotter `pkg/{common,sidecar}-controller` and
//! `pkg/utils`, external-attacher `pkg/controller`. Knows nothing of what drivers answer.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // CSI specification, CreateVolume from a source.
    says_any(&[
        "source volume size",
        "size of the source",
        "size of source",
        "source snapshot size",
        "smaller than the source",
        "smaller than source",
        "less than the source",
        "size of the snapshot",
        "snapshot's size",
        "snapshot size",
    ])
    .with(&[
        "smaller",
        "less than",
        "greater",
        "larger",
        "not match",
        "must be",
        "bigger",
        "different",
    ])
    .at(&[Phase::Provision, Phase::Restore])
    .states(Is::DataSourceInvalid),
    // external-provisioner `pkg/controller/topology.go`.
    says_any(&[
        "error getting node '",
        "error getting selected node",
        "failed to get node '",
    ])
    .with(&["not found"])
    .at(&[Phase::Provision, Phase::Restore])
    .likely(
        Is::NodeUnknownToDriver,
        &[Is::CsiDriverNotRegistered, Is::ComponentStateStale],
    ),
    // external-snapshotter `GetCredentials`, inside the parameters of a snapshot.
    says_any(&[
        "failed to get secret params",
        "cannot find secrets",
        "secret reference not specified",
    ])
    .states(Is::DriverSecretInvalid),
    says_any(&["must be in the same namespace"])
        .with(&["pvc", "claim", "source"])
        .states(Is::DataSourceInvalid),
    says_any(&[
        "leader election lost",
        "failed to renew lease",
        "stopped leading",
    ])
    .likely(Is::ApiUnreachable, &[Is::CsiDriverUnavailable]),
    // external-provisioner `--extra-create-metadata` adds these, which an older driver refuses.
    says(&["parameter", "csi.storage.k8s.io/p"])
        .at(&[Phase::Provision])
        .but_not(&["fstype", "secret"])
        .likely(Is::DriverDefect, &[Is::StorageclassInvalid]),
    // CSI capability CLONE_VOLUME, in any driver's words.
    says_any(&["clone", "cloning"])
        .with(&["not supported", "unsupported", "does not support"])
        .at(&[Phase::Provision, Phase::Restore])
        .general()
        .likely(Is::UnsupportedCapability, &[Is::DataSourceInvalid]),
    // external-provisioner: topology of a driver that has not registered on any (the chosen) node.
    says(&[
        "error generating accessibility requirements",
        "no available topology found",
    ])
    .likely(
        Is::CsiDriverNotRegistered,
        &[Is::NodeUnknownToDriver, Is::DriverMisconfigured],
    ),
    says(&["no topology key found on csinode"]).likely(
        Is::NodeUnknownToDriver,
        &[Is::CsiDriverNotRegistered, Is::DriverMisconfigured],
    ),
    // external-provisioner `pkg/controller/topology.go`.
    says(&["error getting csinode for selected node", "not found"])
        .likely(Is::CsiDriverNotRegistered, &[Is::NodeUnknownToDriver]),
    says(&[
        "error generating accessibility requirements",
        "topology labels from selected node",
        "does not match",
    ])
    .likely(
        Is::ComponentStateStale,
        &[Is::TopologyMismatch, Is::NodeUnknownToDriver],
    ),
    says(&["topology", "is not in allowed topologies"]).states(Is::TopologyMismatch),
    says(&["not in allowed topologies"]).states(Is::TopologyMismatch),
    says_any(&[
        "claim.spec.selector is not supported",
        "claim selector is not supported",
    ])
    .states(Is::UnsupportedCapability),
    // external-provisioner: names and templates of secrets in class parameters.
    says(&["both must be specified", "secret"]).states(Is::StorageclassInvalid),
    says_any(&[
        "failed to get name and namespace template from params",
        "failed to get template from params",
        "error resolving value '${",
        "invalid tokens: [",
    ])
    .states(Is::StorageclassInvalid),
    // external-provisioner and external-snapshotter `getCredentials`.
    says_any(&[
        "failed to get secret ",
        "failed to get secrets",
        "error getting secret ",
        "cannot get secret",
        "failed to fetch secret",
        "could not get secret",
        "failed to find the secret",
        "secrets '",
    ])
    .with(&["not found", "notfound"])
    .but_not(&["mountvolume."])
    .states(Is::DriverSecretInvalid),
    says_any(&["created volume capacity", "provisioned volume size"])
        .with(&["less than requested"])
        .likely(Is::DriverDefect, &[Is::InvalidSizeRequest]),
    // Sources of a new volume.
    says(&["requested volume", "modifies the mode of the source volume"])
        .states(Is::DataSourceInvalid),
    says(&["less than the size", "for the source snapshot"]).states(Is::DataSourceInvalid),
    says(&["must be greater than or equal in size to the specified pvc data source"])
        .states(Is::DataSourceInvalid),
    says(&["error getting handle for datasource type"])
        .but_not(&[
            "context deadline exceeded",
            "connection refused",
            "forbidden",
        ])
        .states(Is::DataSourceInvalid),
    says_any(&[
        "is not handled by csi driver of storageclass",
        "the claim in namespace",
        "unsupported datasource",
        "datasource kind",
    ])
    .with(&["snapshot", "claim", "datasource"])
    .at(&[Phase::Provision, Phase::Restore, Phase::Snapshot])
    .states(Is::DataSourceInvalid),
    says(&["snapshot ", " is not ready"])
        .at(&[Phase::Provision, Phase::Restore])
        .likely(
            Is::DataSourceInvalid,
            &[Is::StorageBackendDegraded, Is::WaitingForController],
        ),
    says_any(&["snapshot ", "snapshotcontent "])
        .with(&[" not bound", " is currently being deleted"])
        .at(&[Phase::Provision, Phase::Restore])
        .likely(Is::DataSourceInvalid, &[Is::WaitingForController]),
    says_any(&[
        "volume content source",
        "volumecontentsource",
        "data source",
        "datasource",
    ])
    .with(&[
        "not found",
        "does not exist",
        "not supported",
        "unsupported",
        "smaller",
        "not ready",
    ])
    .general()
    .likely(
        Is::DataSourceInvalid,
        &[Is::UnsupportedCapability, Is::DriverDefect],
    ),
    // Snapshot controller.
    says_any(&[
        "cannot find csi persistentvolumesource for volume",
        "cannot get claim from snapshot",
        "cannot find csi persistentvolume",
    ])
    .states(Is::DataSourceInvalid),
    says_any(&[
        "failed to retrieve pvc",
        "failed to get pvc",
        "volumesnapshot source pvc",
        "snapshot source pvc",
        "the persistentvolumeclaim",
    ])
    .with(&[
        "not found",
        "not yet bound",
        "is not bound",
        "does not exist",
    ])
    .at(&[Phase::Snapshot])
    .states(Is::DataSourceInvalid),
    says(&["the pvc ", " is not yet bound to a pv"]).states(Is::DataSourceInvalid),
    says(&["is not yet bound to a pv"]).states(Is::DataSourceInvalid),
    says_any(&[
        "volumesnapshotclass",
        "volumegroupsnapshotclass",
        "volume snapshot class",
        "snapshot class",
    ])
    .with(&[
        "not found",
        "mismatch",
        "no default",
        "cannot find default",
        "does not exist",
        "failed to retrieve",
        "failed to get",
        "not match",
        "is not set",
        "default snapshot class",
    ])
    .states(Is::SnapshotClassInvalid),
    says_any(&[
        "cannot find default snapshot class",
        "failed to get input parameters to create snapshot",
    ])
    .likely(
        Is::SnapshotClassInvalid,
        &[Is::DriverSecretInvalid, Is::DataSourceInvalid],
    ),
    says(&["default snapshot classes were found"]).states(Is::SnapshotClassInvalid),
    says_any(&[
        "volumesnapshotcontent is missing",
        "snapshotcontent is missing",
        "volumesnapshotcontent is not bound",
        "snapshot is bound to a volumesnapshotcontent",
    ])
    .likely(Is::DataSourceInvalid, &[Is::DeleteBlockedInUse]),
    says(&["cannot delete snapshot", "being used"]).states(Is::DeleteBlockedInUse),
    says_any(&[
        "snapshot is being used to restore",
        "being used to restore a pvc",
        "has dependent",
        "dependent clones",
        "has children",
        "snapshot is busy",
        "has snapshots",
        "volume has dependents",
    ])
    .likely(Is::DeleteBlockedInUse, &[Is::OperationInProgress]),
    // external-resizer.
    says(&["only supports offline expansion and volume is currently in-use"])
        .states(Is::ExpandNeedsRestart),
    says(&["waiting for user to (re-)start a pod to finish file system resize"])
        .states(Is::ExpandNeedsRestart),
    says(&["require file system resize of volume on node"])
        .likely(Is::ExpandNeedsRestart, &[Is::WaitingForController]),
    // `operation_generator.go`, event FileSystemResizeFailed.
    says(&["requested read-only file system"])
        .at(&[Phase::Expand])
        .states(Is::ExpandUnsupported),
    says_any(&[
        "doesn't support resizing",
        "does not support resizing",
        "doesn't support volume expansion",
        "not support expand",
        "expansion is not supported",
        "resize not supported",
        "resize is not supported",
        "not supported online resize",
    ])
    .states(Is::ExpandUnsupported),
    // Drivers that grow in the background and ask to be called again.
    says(&["volume expansion not completed yet"])
        .likely(Is::TransientRetry, &[Is::StorageBackendDegraded]),
    // external-attacher, and its lister of nodes.
    says_any(&["csinode "])
        .with(&["does not contain driver"])
        .likely(
            Is::CsiDriverNotRegistered,
            &[Is::NodeUnknownToDriver, Is::CsiDriverUnavailable],
        ),
    // external-attacher `pkg/controller/util.go`, with the annotation of old releases.
    says_any(&[
        "has no nodeid annotation",
        "no nodeid annotation",
        "node has no node id",
        "nodeid not found",
    ])
    .likely(Is::NodeUnknownToDriver, &[Is::CsiDriverNotRegistered]),
    says(&["vac ", "does not exist"]).likely(Is::StorageclassInvalid, &[Is::UnsupportedCapability]),
    // csi-lib-utils: the sidecar dials the driver's socket.
    says(&["dial unix", "connect: "]).likely(
        Is::CsiDriverUnavailable,
        &[Is::KubeletDirMismatch, Is::DriverDefect],
    ),
    says(&["lost connection to csi driver"]).likely(Is::CsiDriverUnavailable, &[Is::DriverDefect]),
    // external-attacher `pkg/controller/util.go`.
    says(&["cannot find nodeid for driver"])
        .likely(Is::NodeUnknownToDriver, &[Is::CsiDriverNotRegistered]),
    says_any(&[
        "csinode.storage.k8s.io '",
        "csinodes.storage.k8s.io '",
        "csinode '",
    ])
    .with(&["not found"])
    .likely(Is::CsiDriverNotRegistered, &[Is::NodeUnknownToDriver]),
    // external-snapshotter `pkg/sidecar-controller/snapshot_controller.go`.
    says(&["failed to remove volumesnapshotbeingcreated annotation"])
        .likely(Is::TransientRetry, &[Is::ApiUnreachable]),
    says(&["failed to set default snapshot class"]).states(Is::SnapshotClassInvalid),
];
