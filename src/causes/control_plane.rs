//! What the API server, etcd, the kubelet's tear-down and the sidecars say less often.
//!
//! Sources: external-provisioner `pkg/controller/controller.go`; external-snapshotter
//! `pkg/common-controller/snapshot_controller.go`; Kubernetes `pkg/volume/util/operationexecutor`,
//! `pkg/volume/util/subpath`; etcd `server/v3/etcdserver/api/v3rpc/rpctypes/error.go`; apimachinery
//! `pkg/api/errors`; grpc-go. Knows nothing of drivers.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // external-provisioner `checkDriverCapabilities`.
    says_any(&[
        "capability is not reported",
        "capabilities are not reported",
    ])
    .states(Is::UnsupportedCapability),
    // external-provisioner: a source of another namespace needs a `ReferenceGrant`.
    says(&["accessing ", " datasource from ", "isn't allowed"]).states(Is::DataSourceInvalid),
    says_any(&[
        "datasource not bound or invalid",
        "must be in the same storage class for cloning",
        "snapshotcontent is bound to a different",
        "is bound to a different volumesnapshot",
        "dynamically provisioned while expecting a pre-provisioned",
        "pre-provisioned while expecting a dynamically",
        "has no snapshot handle",
        "does not have a snapshot handle",
        "snapshot handle is not",
    ])
    .states(Is::DataSourceInvalid),
    // `pkg/apis/core/validation`: somebody writes to what a PV never changes.
    says(&["persistentvolumesource is immutable after creation"])
        .likely(Is::DriverDefect, &[Is::BindingInconsistent]),
    // KubeVirt's hostpath-provisioner: no pod has been scheduled with the claim.
    says(&["missing volume.kubernetes.io/selected-node annotation"])
        .likely(Is::WaitingForConsumer, &[Is::StorageclassInvalid]),
    // external-provisioner: parameters that it reads itself.
    says_any(&[
        "specified in parameters with both",
        "with reserved namespace csi.storage.k8s.io",
    ])
    .states(Is::StorageclassInvalid),
    // `operation_generator.go`, before a device is unmounted.
    says_any(&[
        "is still mounted by other references",
        "device is in use when it was no longer expected",
        "getdevicemountrefs check failed",
    ])
    .states(Is::UnmountBusy),
    // `pkg/volume/util/subpath/subpath_linux.go`.
    says_any(&[
        "not within volume path",
        "is outside of allowed base",
        "symbolic link that is not within",
        "subpath base path",
    ])
    .likely(Is::PathInvalid, &[Is::DriverDefect, Is::StaleMount]),
    // etcd and the API server, as every client of them passes it on.
    says_any(&[
        "etcdserver: request timed out",
        "etcdserver: leader changed",
        "etcdserver: no leader",
        "unable to return a response in the time allotted",
        "the server is currently unable to handle the request",
        "apiserver not ready",
        "http2: client connection lost",
        "http2: client connection force closed",
        "net/http: request canceled",
    ])
    .likely(Is::ApiUnreachable, &[Is::TransientRetry]),
    says_any(&[
        "etcdserver: request is too large",
        "received message larger than max",
        "request entity too large: limit is",
        "too long: must have at most",
        "must be no more than 63 characters",
    ])
    .states(Is::DriverDefect),
    // execve(2), ENOEXEC: an image for other processors.
    says(&["exec format error"]).states(Is::DriverDefect),
    // Go's run time and glibc, when a driver falls over.
    says_any(&[
        "sigsegv",
        "segmentation violation",
        "segmentation fault",
        "fatal error: concurrent map",
        "goroutine 1 [running]",
    ])
    .states(Is::DriverDefect),
    says_any(&["version 'glibc_", "error while loading shared libraries"])
        .likely(Is::DriverDefect, &[Is::MountHelperMissing]),
    // grpc-go before 1.13, and its balancers: no connection to the driver's socket.
    says_any(&[
        "the connection is unavailable",
        "the connection is closing",
        "the client connection is closing",
        "no healthy upstream",
    ])
    .general()
    .likely(Is::CsiDriverUnavailable, &[Is::ApiUnreachable]),
    // A claim or a pod names a driver's class that nobody serves.
    says_any(&[
        "provisioner is not supported",
        "no provisioner found",
        "unknown provisioner",
    ])
    .at(&[Phase::Provision, Phase::Bind])
    .likely(
        Is::CsiDriverNotRegistered,
        &[Is::StorageclassInvalid, Is::CsiDriverUnavailable],
    ),
    // `pv_controller.go`: what a volume that a claim names lacks; the second until Kubernetes 1.9.
    says(&[
        "cannot bind persistentvolume '",
        "to requested persistentvolumeclaim",
        "due to incompatible",
    ])
    .states(Is::NoMatchingPv),
    says(&["volume's size is smaller than requested or volume's class does not match"])
        .states(Is::NoMatchingPv),
    // client-go `reflector.go`: the list that a component lives by is refused to it.
    says_any(&["failed to list *", "failed to watch *"])
        .with(&[" is forbidden"])
        .states(Is::K8sRbacDenied),
    // `pkg/apis/core/validation`: a claim's specification is not to be edited but for its size.
    says_any(&[
        "is immutable after creation",
        "field is immutable",
        "updates to persistentvolume spec",
    ])
    .with(&["persistentvolumeclaim", "spec"])
    .at(&[Phase::Expand])
    .likely(Is::ExpandUnsupported, &[Is::InvalidSizeRequest]),
    // `kubelet_volumes.go` before Kubernetes 1.8.
    says(&["failed to remove orphaned pod"]).likely(
        Is::OrphanedPodDirs,
        &[Is::UnmountBusy, Is::KubeletDirMismatch],
    ),
    // `pkg/volume/azure_file`, `pkg/volume/util`: the Secret that an in-tree volume names.
    says_any(&["couldn't get secret ", "cannot get secret "])
        .at(&[Phase::Publish])
        .general()
        .likely(
            Is::ReferencedObjectMissing,
            &[Is::ApiUnreachable, Is::K8sRbacDenied],
        ),
    says(&["failed to create subpath directory for volumemount"])
        .likely(Is::PathInvalid, &[Is::ExportAccessDenied, Is::StaleMount]),
    // The expand controller, of a plugin that is neither CSI's nor in the tree.
    says(&["didn't find a plugin capable of expanding the volume"])
        .but_not(&["external controller"])
        .likely(Is::ExpandUnsupported, &[Is::WaitingForController]),
    // API server: a driver writes an object of its own kind that lacks what the CRD asks for.
    says(&["' is invalid: ", "spec.", "unsupported value: ''"])
        .at(&[Phase::Provision, Phase::Restore])
        .likely(Is::DriverDefect, &[Is::StorageclassInvalid]),
    says_any(&[
        "failed to pick zone",
        "no topology key matched",
        "topology requirement",
    ])
    .with(&[
        "zone",
        "topology",
        "not satisf",
        "cannot be met",
        "no matching",
    ])
    .at(&[Phase::Provision])
    .likely(
        Is::TopologyMismatch,
        &[Is::DriverMisconfigured, Is::BackendCapacityExhausted],
    ),
];
