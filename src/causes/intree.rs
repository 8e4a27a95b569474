//! How the volume plugins inside Kubernetes, and what the kubelet starts beside them, word errors
//! that no driver has: in-tree rbd, glusterfs, iscsi, flex volumes, subPath, container runtimes.
//!
//! Sources: Kubernetes `pkg/volume/{rbd,glusterfs,iscsi,fc,flexvolume,awsebs,gcepd,csi,util}`,
//! `pkg/kubelet/kuberuntime`, `pkg/volume/plugins.go`; containerd and runc errors about mounts.
//! Knows nothing of CSI drivers.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // `pkg/volume/rbd/rbd.go`, parseStorageClass parameters.
    says_any(&[
        "missing ceph monitors",
        "invalid aws volumetype",
        "invalid option '",
        "only support imageformat",
        "invalid feature",
        "invalid value for option",
        // `pkg/volume/glusterfs`, about what a parameter or an annotation asks for.
        "when parsing value",
        "invalid value for volumetype",
        "invalid value for hacount",
    ])
    .at(&[Phase::Provision])
    .states(Is::StorageclassInvalid),
    // heketi `middleware/jwt.go`: the user of the token may only look.
    says(&["administrator access required"]).states(Is::BackendPermissionDenied),
    says_any(&[
        "failed to get admin secret from",
        "failed to get secret from [",
        "couldn't get secret ",
        "failed to parse secret",
        "secretname or secretnamespace",
    ])
    .but_not(&["forbidden", "mountvolume.setup failed"])
    .states(Is::DriverSecretInvalid),
    // `pkg/volume/glusterfs`: the log of the client, which mount prints at the end.
    says_any(&[
        "failed to fetch volume file",
        "failed to get the 'volume file' from server",
    ])
    .likely(
        Is::VolumeNotFoundBackend,
        &[Is::DataPathUnreachable, Is::ExportAccessDenied],
    ),
    says_any(&["glusterfs", "gluster"])
        .with(&[
            "dns resolution failed",
            "connection refused",
            "connection timed out",
            "no route to host",
            "failed to connect with remote-host",
            "exhausted all volfile servers",
            "all subvolumes are down",
        ])
        .at(&[Phase::Stage, Phase::Publish])
        .likely(Is::DataPathUnreachable, &[Is::StorageBackendDegraded]),
    says_any(&[
        "empty endpoint",
        "endpoint is nil",
        "endpoints is nil",
        "no endpoints",
    ])
    .with(&["gluster", "endpoint"])
    .at(&[Phase::Publish])
    .likely(
        Is::ReferencedObjectMissing,
        &[Is::DataPathUnreachable, Is::DriverMisconfigured],
    ),
    // `pkg/volume/plugins.go` and its callers: no plugin takes the volume.
    says_any(&[
        "attachvolume.findattachablepluginbyspec failed",
        "no attachable volume plugin matched",
        "failed to get plugin from volumespec",
        "no csi plugin",
        "no plugin is registered",
        "volumeplugin is not registered",
        "unknown volume plugin",
        "flexvolume driver",
    ])
    .but_not(&["succeeded"])
    .general()
    .likely(
        Is::CsiDriverNotRegistered,
        &[Is::ComponentStateStale, Is::KubeletDirMismatch],
    ),
    // runc and containerd: the source of a bind mount.
    says_any(&["error mounting '", "mounting '"])
        .with(&["not a directory", "is a directory"])
        .general()
        .likely(Is::PathInvalid, &[Is::StaleMount]),
    says_any(&[
        "bind source path does not exist",
        "invalid mount config for type 'bind'",
    ])
    .states(Is::PathInvalid),
    says_any(&["path '", "path is ", "mount path"])
        .with(&[
            "is mounted on '/' but it is not a shared",
            "is not a shared mount",
            "not shared",
        ])
        .states(Is::KubeletDirMismatch),
    // `pkg/volume/util/operationexecutor`, from the map of a block volume.
    says_any(&[
        "failed to get loopdevice",
        "losetup",
        "makeloopdevice failed",
        "loop device",
    ])
    .with(&["fail", "error", "not found", "no such"])
    .at(&[Phase::Stage, Phase::Publish])
    .general()
    .likely(
        Is::DeviceNotFound,
        &[Is::KernelSupportMissing, Is::ComponentStateStale],
    ),
    // `pkg/volume/csi/csi_mounter.go` and `csi_attacher.go`.
    says_any(&[
        "failed to get csi client",
        "failed to create newcsidriverclient",
        "driver is not ready",
    ])
    .general()
    .likely(Is::CsiDriverNotRegistered, &[Is::CsiDriverUnavailable]),
    says(&["volume mode 'ephemeral' not supported by driver"]).states(Is::CsiDriverNotRegistered),
    says(&["volume mode 'persistent' not supported by driver"]).likely(
        Is::UnsupportedCapability,
        &[Is::DriverMisconfigured, Is::CsiDriverNotRegistered],
    ),
    says_any(&[
        "does not support block volume",
        "doesn't support block volume",
        "volume has volumemode block, but is specified in volumemounts",
        "volume has volumemode filesystem, but is specified in volumedevices",
        "is a directory, not a block device",
    ])
    .likely(
        Is::UnsupportedCapability,
        &[Is::BindingInconsistent, Is::PathInvalid],
    ),
    // `pkg/volume/csi/csi_util.go` and `saveVolumeData`.
    says_any(&[
        "failed to save volume info data",
        "failed to create target dir",
        "mkdir /var/lib/kubelet",
    ])
    .with(&["file exists", "read-only file system", "not connected"])
    .at(&[Phase::Publish, Phase::Stage])
    .likely(
        Is::StaleMount,
        &[Is::KubeletDirMismatch, Is::MountDaemonFailed],
    ),
    // `volume_manager.go`, a pod that waits for tear-down or for a mount that was never asked for.
    says_any(&[
        "volume is not yet in node's volumesinuse",
        "has not been added to the list of volumesinuse",
        "hasn't yet been added to the desired state",
        "volume not in the desired state",
    ])
    .likely(
        Is::ComponentStateStale,
        &[Is::CsiDriverUnavailable, Is::StaleVolumeattachment],
    ),
    // `reconstruct.go` of the kubelet after a restart.
    says_any(&[
        "could not reconstruct volume",
        "volume reconstruction failed",
    ])
    .likely(Is::OrphanedPodDirs, &[Is::ComponentStateStale]),
    // `kubelet_getters.go` and `kubelet_volumes.go`.
    says_any(&[
        "failed to remove directory",
        "remove the volumes dir",
        "remove the pod directory",
    ])
    .with(&["orphan"])
    .likely(Is::OrphanedPodDirs, &[Is::UnmountBusy]),
    // `pkg/volume/util/nestedpendingoperations`.
    says_any(&[
        "failed to create operation with name",
        "an operation with that name",
    ])
    .with(&["already executing", "is already", "pending"])
    .likely(Is::OperationInProgress, &[Is::TransientRetry]),
    says_any(&[
        "has already been mounted by",
        "maximum number of pending operations",
        "cannot unmount due to",
    ])
    .general()
    .likely(Is::ComponentStateStale, &[Is::OperationInProgress]),
];
