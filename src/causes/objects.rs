//! How the control plane words its refusals: PV controller, admission, quota, RBAC, API errors.
//!
//! Sources: Kubernetes `pkg/controller/volume/persistentvolume/pv_controller.go`,
//! `pkg/apis/core/validation`, `plugin/pkg/admission/{storage,resourcequota,limitranger}`,
//! `staging/src/k8s.io/apiserver` (RBAC and registry errors). Knows nothing of drivers.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // `pkg/apis/core/validation`: the two fields of a claim that name its source.
    says(&["must match datasourceref"]).states(Is::DataSourceInvalid),
    // Validation rules of a CRD (CEL), refused to a controller of another version than the CRD.
    says_any(&[
        "is invalid: spec: invalid value: 'object'",
        "is invalid: status: invalid value",
        "is invalid: <nil>: invalid value",
    ])
    .likely(Is::DriverDefect, &[Is::SnapshotApiMissing]),
    // The API server does not serve a version that a sidecar was built for.
    says(&["the server could not find the requested resource"])
        .but_not(&["snapshot"])
        .general()
        .likely(Is::DriverDefect, &[Is::ApiUnreachable]),
    // external-attacher: a VolumeAttachment whose PV is gone.
    says_any(&[
        "failed to attach: persistentvolume '",
        "failed to detach: persistentvolume '",
        "failed to detach: could not find pv",
    ])
    .with(&["not found"])
    .likely(
        Is::StaleVolumeattachment,
        &[Is::BindingInconsistent, Is::VolumeNotFoundBackend],
    ),
    // The quota admission plugin gave up waiting for its own evaluation, not for want of quota.
    says(&["resource quota evaluates timeout"]).states(Is::TransientRetry),
    says(&["user 'system:serviceaccount:", "cannot ", " resource '"]).states(Is::K8sRbacDenied),
    // In-tree plugins: the controller manager runs without a cloud provider.
    says_any(&[
        "cloudprovider with error <nil>",
        "cloud provider with error <nil>",
        "cloudprovider returned <nil>",
    ])
    .states(Is::DriverMisconfigured),
    // API server authorizer: `x is forbidden: User "…" cannot verb resource "…"`.
    says(&["is forbidden: user 'system:serviceaccount", "cannot "]).states(Is::K8sRbacDenied),
    says(&["forbidden: user 'system:serviceaccount", "cannot "]).states(Is::K8sRbacDenied),
    says(&["is forbidden: user '", "cannot "])
        .but_not(&["no relationship found"])
        .states(Is::K8sRbacDenied),
    // The node authorizer's answer when a node asks for an object that it has no business with yet.
    says(&["no relationship found between node"]).likely(
        Is::ComponentStateStale,
        &[Is::ReferencedObjectMissing, Is::K8sRbacDenied],
    ),
    // The node authorizer, about objects of a pod that is not (yet) its own.
    says(&["user 'system:node:", "no relationship found"]).likely(
        Is::ComponentStateStale,
        &[Is::ReferencedObjectMissing, Is::K8sRbacDenied],
    ),
    // The node authorizer, about objects of a pod that is not (yet) its own.
    says(&["user 'system:node:", "cannot "])
        .general()
        .likely(Is::ComponentStateStale, &[Is::K8sRbacDenied]),
    // Admission plugins ResourceQuota and LimitRanger.
    says(&["exceeded quota: "]).states(Is::NamespaceQuotaExceeded),
    says(&["storage usage per persistentvolumeclaim is"]).states(Is::NamespaceQuotaExceeded),
    says(&["forbidden: failed quota: "]).states(Is::NamespaceQuotaExceeded),
    // Admission plugin PersistentVolumeClaimResize and claim validation.
    says(&["only dynamically provisioned pvc can be resized"]).states(Is::ExpandUnsupported),
    says(&["the storageclass that provisions the pvc must support resize"])
        .states(Is::ExpandUnsupported),
    says_any(&[
        "volume expansion is not supported",
        "does not allow volume expansion",
        "does not support volume expansion",
        "allowvolumeexpansion",
    ])
    .states(Is::ExpandUnsupported),
    says_any(&[
        "field can not be less than previous value",
        "field can not be less than status.capacity",
    ])
    .states(Is::InvalidSizeRequest),
    says(&["spec is immutable after creation except resources.requests"])
        .likely(Is::BindingInconsistent, &[Is::UnsupportedCapability]),
    // Optimistic locking in the API server's registry: the next try reads anew.
    says(&["the object has been modified; please apply your changes"]).states(Is::TransientRetry),
    says(&["operation cannot be fulfilled on"]).states(Is::TransientRetry),
    // PV controller and class look-up.
    says_any(&[
        "storageclass.storage.k8s.io '",
        "storageclasses.storage.k8s.io '",
    ])
    .with(&["' not found"])
    .states(Is::StorageclassInvalid),
    says_any(&[
        "storageclass not found",
        "storage class not found",
        "can't get storageclass",
        "failed to get storageclass",
    ])
    .states(Is::StorageclassInvalid),
    says(&["storageclass '", "' not found"])
        .but_not(&["failed to provision volume", "csinode", "secret"])
        .general()
        .likely(Is::StorageclassInvalid, &[Is::DriverMisconfigured]),
    // `pv_controller.go`, event WaitForFirstConsumer.
    says(&["waiting for first consumer to be created before binding"])
        .states(Is::WaitingForConsumer),
    says_any(&["waiting for pod ", "waiting for pods "])
        .with(&["to be scheduled"])
        .states(Is::WaitingForConsumer),
    says_any(&[
        "ignoring the pvc: didn't find a plugin capable of expanding",
        "waiting for an external controller to expand this pvc",
        "waiting for an external controller to process this pvc",
        "waiting for external resizer to expand the pvc",
    ])
    .likely(
        Is::WaitingForController,
        &[Is::CsiDriverUnavailable, Is::ExpandUnsupported],
    ),
    // external-snapshotter, event CreatingSnapshot.
    says(&["waiting for a snapshot", "to be created by the csi driver"]).likely(
        Is::WaitingForController,
        &[Is::CsiDriverUnavailable, Is::SnapshotClassInvalid],
    ),
    says_any(&[
        "external provisioner is provisioning volume for claim",
        "external resizer is resizing volume",
    ])
    .likely(Is::WaitingForController, &[Is::CsiDriverUnavailable]),
    // `pv_controller.go`, event FailedBinding.
    says(&["no persistent volumes available for this claim"]).likely(
        Is::NoMatchingPv,
        &[Is::BindingInconsistent, Is::StorageclassInvalid],
    ),
    says(&["cannot bind to requested volume", "already bound"]).states(Is::BindingInconsistent),
    says(&["cannot bind to requested volume"]).states(Is::NoMatchingPv),
    says_any(&[
        "bound to a non-existing",
        "bound to non-existing",
        "already bound to a different claim",
        "two claims are bound to the same volume",
        "bound claim has lost",
        "bound to non-existent persistentvolume",
        "bound to non-existent pv",
    ])
    .states(Is::BindingInconsistent),
    says(&["volume is bound to a different pvc"]).states(Is::BindingInconsistent),
    // In-tree plugins and their manager (`pkg/volume/plugins.go`).
    says_any(&[
        "no volume plugin matched",
        "no deletable volume plugin matched",
        "no provisionable volume plugin matched",
        "no recyclable volume plugin matched",
        "no persistent volume plugin matched",
    ])
    .states(Is::CsiDriverNotRegistered),
    // `pkg/volume/hostpath`: the test plugin deletes below /tmp only.
    says(&["deleter only supports", "but received provided"]).states(Is::CsiDriverNotRegistered),
    says(&["invalid accessmodes", "are supported"]).states(Is::UnsupportedCapability),
    // `pkg/volume/*/`: the in-tree plugin asks for a cloud provider that was not configured.
    says(&[
        "failed to get ",
        "cloud provider",
        "getcloudprovider returned <nil>",
    ])
    .states(Is::DriverMisconfigured),
    says_any(&[
        "cloud provider not initialized",
        "no cloud provider",
        "failed to get cloud provider",
        "cloud provider is not",
    ])
    .general()
    .likely(Is::DriverMisconfigured, &[Is::BackendAuthFailed]),
    // Kubernetes 1.20 took `selfLink` away from objects; provisioners built before that ask for it.
    says(&["selflink was empty, can't make reference"]).states(Is::DriverDefect),
    // StatefulSet and ephemeral-volume controllers.
    says(&["ephemeral volume ", "was not created for pod"]).states(Is::BindingInconsistent),
    says(&["persistentvolumeclaim", "already exists"])
        .at(&[Phase::Provision, Phase::Bind, Phase::Restore])
        .weak()
        .likely(Is::BindingInconsistent, &[Is::TransientRetry]),
    // Deletion: protection finalizers and controllers that see a user.
    says(&["persistentvolume ", "is still attached to node"]).states(Is::DeleteBlockedInUse),
    says_any(&[
        "volume is still in use",
        "volume still in use",
        "is being used by the following",
        "is being used by pod",
    ])
    .at(&[Phase::Delete])
    .states(Is::DeleteBlockedInUse),
    // Kinds of the snapshot API that the API server does not serve.
    says(&["could not find the requested resource", "snapshot"]).states(Is::SnapshotApiMissing),
    says(&["no matches for kind 'volumesnapshot"]).states(Is::SnapshotApiMissing),
    says(&["no matches for kind 'volumegroupsnapshot"]).states(Is::SnapshotApiMissing),
    says(&["no kind 'volumesnapshot"]).states(Is::SnapshotApiMissing),
    says_any(&[
        "snapshot.storage.k8s.io/v1beta1",
        "snapshot.storage.k8s.io/v1alpha1",
    ])
    .with(&[
        "no matches for",
        "could not find",
        "not found",
        "unable to recognize",
    ])
    .states(Is::SnapshotApiMissing),
    says(&[
        "customresourcedefinition",
        "snapshot.storage.k8s.io",
        "not found",
    ])
    .states(Is::SnapshotApiMissing),
    says(&["no matches for kind '"])
        .general()
        .likely(Is::DriverDefect, &[Is::SnapshotApiMissing]),
    // A driver writes an object that the installed CRD does not accept.
    says(&["is invalid: spec.", "in body should"]).states(Is::DriverDefect),
    // API validation, of a value that an older or newer API would take.
    says(&["is invalid: spec.", "unsupported value"])
        .general()
        .likely(Is::DriverDefect, &[Is::StorageclassInvalid]),
    // A PV that a provisioner makes from the class's parameters, refused by API validation.
    says(&["persistentvolume '", "is invalid: spec."])
        .at(&[Phase::Provision])
        .likely(Is::StorageclassInvalid, &[Is::DriverDefect]),
    // The API server calls a driver's or operator's webhook before it stores an object.
    says(&["failed calling webhook"])
        .general()
        .likely(Is::CsiDriverUnavailable, &[Is::ApiUnreachable]),
    // apiextensions-apiserver: the CRD lacks a version that is asked for.
    says(&[
        "unexpected conversion version from",
        "snapshot.storage.k8s.io",
    ])
    .likely(Is::SnapshotApiMissing, &[Is::DriverDefect]),
    // apiextensions-apiserver: the CRD itself is being deleted.
    says(&["create not allowed while custom resource definition is terminating"])
        .with(&["snapshot"])
        .states(Is::SnapshotApiMissing),
];
