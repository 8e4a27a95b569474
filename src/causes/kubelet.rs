//! How the kubelet words its own errors about volumes.
//!
//! Sources: Kubernetes `pkg/volume/csi`, `pkg/volume/{secret,configmap,projected,hostpath,local,
//! glusterfs}`, `pkg/kubelet/{kubelet_volumes.go,eviction,volumemanager}`,
//! `pkg/volume/util/operationexecutor`, `pkg/volume/volume_linux.go`. Knows nothing of drivers.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // `pkg/kubelet/pluginmanager` and node-driver-registrar: the registrar runs, and the socket that
    // it names is not where the kubelet looks.
    says_any(&["registerplugin error", "plugin registration failed"])
        .with(&["connect: no such file or directory"])
        .likely(
            Is::KubeletDirMismatch,
            &[Is::CsiDriverUnavailable, Is::CsiDriverNotRegistered],
        ),
    says_any(&[
        "drivernodeid must not be empty",
        "unknown service pluginregistration.registration",
    ])
    .likely(Is::DriverMisconfigured, &[Is::DriverDefect]),
    // node-driver-registrar, in the mode that checks whether the kubelet has answered.
    says(&["kubelet plugin registration hasn't succeeded yet"]).likely(
        Is::CsiDriverNotRegistered,
        &[Is::KubeletDirMismatch, Is::CsiDriverUnavailable],
    ),
    says_any(&[
        "registerplugin error",
        "plugin registration failed",
        "registration process failed with error",
    ])
    .general()
    .likely(
        Is::CsiDriverNotRegistered,
        &[Is::CsiDriverUnavailable, Is::KubeletDirMismatch],
    ),
    // runc: the file behind a subPath is gone, as happens when its ConfigMap was updated.
    says(&[
        "mounting ",
        "/volume-subpaths/",
        "no such file or directory",
    ])
    .likely(Is::ComponentStateStale, &[Is::PathInvalid, Is::StaleMount]),
    // CSI specification, NodeUnpublishVolume and NodeUnstageVolume: NOT_FOUND.
    says(&["volume", "not found"])
        .at(&[Phase::Unpublish, Phase::Unstage])
        .code(&[crate::model::cause::GrpcCode::NotFound])
        .likely(
            Is::ComponentStateStale,
            &[Is::VolumeNotFoundBackend, Is::StaleVolumeattachment],
        ),
    // `pkg/kubelet/token`: the kubelet asks the API server for a token of the pod's account.
    says(&["failed to fetch token: ", "https://"])
        .but_not(&["not found", "forbidden"])
        .at(&[Phase::Publish])
        .states(Is::ApiUnreachable),
    says(&["failed to fetch token: ", "not found"])
        .at(&[Phase::Publish])
        .states(Is::ReferencedObjectMissing),
    // `pkg/volume/hostpath` makes what is not there, unless the file system cannot be written.
    says_any(&["open /", "mkdir /"])
        .with(&[": read-only file system"])
        .at(&[Phase::Publish])
        .but_not(&["kubernetes.io/csi", "rpc error"])
        .general()
        .likely(
            Is::PathInvalid,
            &[Is::IoErrorReadonly, Is::KubeletDirMismatch],
        ),
    // `pkg/apis/core/validation` and `subpath_linux.go`.
    says_any(&["must not contain '..'", "subpath"])
        .with(&[
            "must not contain '..'",
            "must be a relative path",
            "is not allowed",
        ])
        .at(&[Phase::Publish])
        .states(Is::PathInvalid),
    // `pkg/volume/csi`: an inline volume, and no CSIDriver object says that the driver can do it.
    says(&["not supported by driver", "(no csidriver object)"]).states(Is::CsiDriverNotRegistered),
    // Secrets that a PV names for its driver, not the pod.
    says_any(&[
        "nodestagesecretref",
        "nodepublishsecretref",
        "nodeexpandsecretref",
        "controllerexpandsecretref",
    ])
    .with(&["not found", "failed to find the secret"])
    .states(Is::DriverSecretInvalid),
    // A FUSE mount whose server is gone answers every stat so.
    says_any(&["stat /", "lstat /"])
        .with(&[
            ": connection refused",
            ": transport endpoint is not connected",
            ": software caused connection abort",
        ])
        .likely(Is::MountDaemonFailed, &[Is::StaleMount]),
    // NodePublish asks for a staging path that is not there.
    says(&["globalmount", "no such file or directory"])
        .at(&[Phase::Publish])
        .likely(
            Is::ComponentStateStale,
            &[Is::KubeletDirMismatch, Is::StaleMount],
        ),
    says_any(&["not attached to node", "is not attached to the node"])
        .at(&[Phase::Stage, Phase::Publish])
        .likely(
            Is::StaleVolumeattachment,
            &[Is::ComponentStateStale, Is::DeviceNotFound],
        ),
    // The directory of a pod that was removed meanwhile.
    says(&["kubernetes.io~", ": no such file or directory"])
        .at(&[Phase::Publish])
        .general()
        .likely(
            Is::ComponentStateStale,
            &[Is::KubeletDirMismatch, Is::PathInvalid],
        ),
    // Registration of drivers.
    says(&["not found in the list of registered csi drivers"]).states(Is::CsiDriverNotRegistered),
    says(&["failed to get plugin from volumespec"]).states(Is::CsiDriverNotRegistered),
    says(&["failed to find plugin", "flexvolume"]).states(Is::CsiDriverNotRegistered),
    // Objects that a pod names.
    says(&["secret '", "' not found"])
        .but_not(&[
            "failed to provision volume",
            "failed to get secret",
            "error getting secret",
        ])
        .states(Is::ReferencedObjectMissing),
    says(&["secrets '", "' not found"])
        .at(&[Phase::Publish])
        .states(Is::ReferencedObjectMissing),
    says(&["configmap '", "' not found"]).states(Is::ReferencedObjectMissing),
    says(&["configmaps '", "' not found"])
        .at(&[Phase::Publish])
        .states(Is::ReferencedObjectMissing),
    // `pkg/volume/configmap/configmap.go`, `pkg/volume/secret/secret.go`.
    says_any(&[
        "references non-existent config key",
        "references non-existent secret key",
    ])
    .states(Is::ReferencedObjectMissing),
    // `pkg/volume/glusterfs/glusterfs.go`.
    says(&["endpoints '", "' not found"]).states(Is::ReferencedObjectMissing),
    says_any(&[
        "couldn't find key",
        "could not find key",
        "non-existent key",
    ])
    .at(&[Phase::Publish])
    .states(Is::ReferencedObjectMissing),
    says(&["secretproviderclass", "not found"]).likely(
        Is::ReferencedObjectMissing,
        &[Is::BackendPermissionDenied, Is::DriverMisconfigured],
    ),
    says(&["serviceaccount '", "' not found"])
        .general()
        .states(Is::ReferencedObjectMissing),
    says(&["serviceaccounts '", "' not found"])
        .general()
        .states(Is::ReferencedObjectMissing),
    says(&["error processing pvc", "pvc is being deleted"]).states(Is::ReferencedObjectMissing),
    says(&["error processing pvc", "is not bound"])
        .likely(Is::BindingInconsistent, &[Is::ComponentStateStale]),
    says(&["error processing pvc", "not found"])
        .likely(Is::ReferencedObjectMissing, &[Is::BindingInconsistent]),
    // The kubelet's caches of Secrets and ConfigMaps are not filled yet.
    says_any(&[
        "failed to sync secret cache",
        "failed to sync configmap cache",
        "couldn't propagate object cache",
    ])
    .likely(
        Is::TransientRetry,
        &[Is::ApiUnreachable, Is::ReferencedObjectMissing],
    ),
    says(&["object '", "not registered"]).likely(
        Is::TransientRetry,
        &[Is::ComponentStateStale, Is::ReferencedObjectMissing],
    ),
    // Paths.
    // Drivers mount the node's own tools from where they are installed.
    says(&["hostpath type check failed: "])
        .with(&[
            "/iscsiadm",
            "/etc/iscsi",
            "/multipath",
            "/sbin/mount.",
            "/sbin/nvme",
            "/bin/fusermount",
        ])
        .likely(Is::MountHelperMissing, &[Is::PathInvalid]),
    says(&["hostpath type check failed"])
        .but_not(&[
            "/iscsiadm",
            "/etc/iscsi",
            "/multipath",
            "/sbin/mount.",
            "/sbin/nvme",
            "/bin/fusermount",
        ])
        .states(Is::PathInvalid),
    says_any(&[
        "failed to prepare subpath",
        "failed to create subpath",
        "subpath",
    ])
    .with(&[
        "no such file or directory",
        "not a directory",
        "does not exist",
        "must be a relative path",
    ])
    .likely(Is::PathInvalid, &[Is::StaleMount]),
    says(&["path '", "' does not exist"])
        .at(&[Phase::Publish, Phase::Stage])
        .states(Is::PathInvalid),
    says(&["failed to stat path", "no such file or directory"])
        .likely(Is::PathInvalid, &[Is::StaleMount]),
    says(&["are you trying to mount a directory onto a file"]).states(Is::PathInvalid),
    says(&["local-storage", "does not exist"])
        .at(&[Phase::Publish])
        .likely(Is::PathInvalid, &[Is::KubeletDirMismatch]),
    // The node lacks the path; the pod may as well be on a node that never had it.
    says(&["kubernetes.io~local-volume", "does not exist"])
        .likely(Is::PathInvalid, &[Is::TopologyMismatch]),
    says_any(&[
        "path is not shared",
        "but it is not a shared mount",
        "is not a shared or slave mount",
        "is not a shared mount",
        "linux mounts: path",
    ])
    .states(Is::KubeletDirMismatch),
    // Attachments, as the kubelet waits for them.
    says(&["has get error for volume attachment", "not found"]).likely(
        Is::ComponentStateStale,
        &[Is::CsiDriverUnavailable, Is::StaleVolumeattachment],
    ),
    says(&["volumeattachments.storage.k8s.io '", "' not found"])
        .likely(Is::ComponentStateStale, &[Is::CsiDriverUnavailable]),
    says_any(&[
        "volume not attached according to node status",
        "volume attachment status is not",
        "is not attached for volume attachment",
        "not in the list of volumesattached",
    ])
    .likely(
        Is::ComponentStateStale,
        &[Is::CsiDriverUnavailable, Is::StaleVolumeattachment],
    ),
    // vsphere-csi-driver `pkg/csi/service/node.go`; other drivers alike: published before staged.
    says_any(&[
        "does not appear staged to",
        "has not been staged",
        "is not staged",
        "not staged yet",
        "staging target path is not mounted",
        "volume is not staged",
        "staging path is not mounted",
    ])
    .states(Is::ComponentStateStale),
    says_any(&["volume staging target path", "globalmount"])
        .with(&["is not a mount point", "not mounted", "is not mounted"])
        .likely(Is::ComponentStateStale, &[Is::StaleMount]),
    says(&["readwriteoncepod access mode and is already in use by another pod"])
        .states(Is::VolumeInUseElsewhere),
    says(&["mountvolume.nodeaffinity check failed"]).states(Is::TopologyMismatch),
    says(&["no matching nodeselectorterms"]).states(Is::TopologyMismatch),
    // Ownership.
    says(&[
        "setting volume ownership for",
        "taking longer than expected",
    ])
    .states(Is::FsgroupOwnership),
    // The driver mounted where the kubelet does not look: the kubelet finds no directory.
    says(&[
        "applyfsgroup failed",
        "lstat",
        "/mount: no such file or directory",
    ])
    .likely(
        Is::KubeletDirMismatch,
        &[Is::FsgroupOwnership, Is::StaleMount],
    ),
    says(&["applyfsgroup failed"])
        .likely(Is::FsgroupOwnership, &[Is::StaleMount, Is::IoErrorReadonly]),
    says(&["fsgroup is ", "the volume may not be shareable"]).states(Is::FsgroupOwnership),
    // Tear-down.
    says(&["orphaned pod", "found, but"]).states(Is::OrphanedPodDirs),
    says_any(&["orphaned pod"])
        .with(&[
            "volume paths are still present",
            "failed to rmdir",
            "volume subpaths",
            "directory not empty",
        ])
        .states(Is::OrphanedPodDirs),
    // `pkg/volume/csi/csi_util.go`: the file that names a volume's driver is gone.
    says(&["newunmounter failed for volume", "vol_data.json"]).states(Is::OrphanedPodDirs),
    says(&["vol_data.json", "no such file or directory"]).likely(
        Is::OrphanedPodDirs,
        &[Is::CsiDriverNotRegistered, Is::KubeletDirMismatch],
    ),
    // `pkg/volume/csi/csi_util.go`, when the file is there and cannot be read.
    says(&["failed to load volume data"])
        .general()
        .likely(Is::OrphanedPodDirs, &[Is::FilesystemCorruption]),
    says(&["error cleaning subpath mounts", "not a directory"]).states(Is::OrphanedPodDirs),
    // Eviction (`pkg/kubelet/eviction`).
    says(&["low on resource: ephemeral-storage"]).states(Is::DiskFull),
    says(&["exceeds the total limit of containers"]).states(Is::DiskFull),
    says(&["ephemeral local storage", "exceeds"]).states(Is::DiskFull),
    says(&["usage of emptydir volume", "exceeds the limit"]).states(Is::DiskFull),
    says_any(&["diskpressure", "disk pressure"])
        .general()
        .likely(Is::DiskFull, &[Is::IoErrorReadonly]),
    // Mount propagation as the container runtime sees it.
    says(&["requires mount propagation", "mountpropagation"]).states(Is::KubeletDirMismatch),
    // `pkg/volume/volume_linux.go` before Kubernetes 1.20.
    says_any(&["setting volume ownership"])
        .with(&["could be slow"])
        .states(Is::FsgroupOwnership),
    // CSI specification, NodePublishVolume: ALREADY_EXISTS, published with other arguments.
    says_any(&[
        "previously published with different options",
        "already published with different",
        "already staged with different",
    ])
    .states(Is::ComponentStateStale),
    // Container runtimes on a hostPath below a file system that cannot be written.
    says(&["mkdir ", "read-only file system"])
        .at(&[Phase::Publish])
        .likely(
            Is::PathInvalid,
            &[Is::IoErrorReadonly, Is::KubeletDirMismatch],
        ),
    // secrets-store-csi-driver.
    says_any(&[
        "error connecting to provider",
        "provider not found",
        "failed to find provider binary",
    ])
    .at(&[Phase::Publish])
    .likely(Is::CsiDriverUnavailable, &[Is::DriverMisconfigured]),
    says_any(&["secretnotfound", "can't find the specified secret"])
        .likely(Is::ReferencedObjectMissing, &[Is::BackendPermissionDenied]),
];
