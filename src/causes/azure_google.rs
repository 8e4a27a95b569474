//! How the APIs of Azure and of Google word a refusal.
//!
//! Sources: Azure Resource Manager, Compute and Storage error codes; Entra `AADSTS` codes; Google
//! Compute and `googleapi` errors. Knows nothing of the subscription or project behind them.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // Kubernetes cloud provider for Azure, `GetInstanceIDByNodeName`.
    says(&["failed to get azure instance id for node"]).states(Is::NodeUnknownToDriver),
    // gcp-compute-persistent-disk-csi-driver `controller.go`: it waits before it asks again.
    says(&["not permitted on node", "due to backoff condition"]).states(Is::TransientRetry),
    // gcp-compute-persistent-disk-csi-driver `pkg/deviceutils`: udev made no link for the disk.
    says_any(&["error verifying gce pd", "failed to find and re-link disk"])
        .states(Is::DeviceNotFound),
    says_any(&[
        "insufficientpermissions",
        "insufficient permission",
        "insufficient permissions",
    ])
    .states(Is::BackendPermissionDenied),
    // Google.
    says_any(&[
        "does not have storage.",
        "required 'compute.",
        "required '",
        "caller does not have permission",
        "iam_permission_denied",
    ])
    .with(&["permission", "access to", "access"])
    .states(Is::BackendPermissionDenied),
    says(&["googleapi: error 403", "quota"]).states(Is::BackendQuotaExceeded),
    // OAuth 2.0 (RFC 6749, 5.2) error codes, golang.org/x/oauth2 and azidentity, when no token is
    // to be had.
    says_any(&[
        "invalid_grant",
        "oauth2: cannot fetch token",
        "could not find default credentials",
        "could not refresh access token",
        "failed to fetch token",
        "failed to refresh the token",
        "failed to retrieve token",
        "failed to get access token",
        "failed to acquire token",
        "defaultazurecredential",
        "managedidentitycredential",
        "clientsecretcredential",
        "no managed identity",
        "identity not found",
        "aadsts",
        "adal: refresh request failed",
        "invalid_client",
        "unauthorized_client",
    ])
    .but_not(&["kube-api-access", "/serviceaccounts/"])
    .states(Is::BackendAuthFailed),
    // Compute error messages of both clouds about a disk type that a machine type does not take.
    says_any(&[
        "managed disk to a vm with blob based disks",
        "cannot be used with machine type",
        "is not compatible with machine type",
        "features are not compatible for creating instance",
        "disk type cannot be used by",
        "is not supported by machine type",
        "is not supported for this machine",
        "cannot be attached to this vm size",
        "is not supported for vm size",
        "disk type is not supported by instance",
        "instancetype does not support",
        "instance type does not support",
        "instance does not support",
        "vm size does not support",
        "is not supported for the vm size",
        "invaliddatadiskcategory",
        "is not support specific disk type",
        "invalidinstancetype",
    ])
    .states(Is::TopologyMismatch),
    says_any(&[
        "exceeded limit 'maximum_persistent_disks",
        "maximum_persistent_disks",
        "maximum number of persistent disks",
        "too many attached disks",
    ])
    .states(Is::NodeAttachLimit),
    // Azure.
    says_any(&[
        "authorizationfailed",
        "does not have authorization to perform action",
        "linkedauthorizationfailed",
        "authorizationpermissionmismatch",
        "requestdisallowedbypolicy",
    ])
    .states(Is::BackendPermissionDenied),
    // Azure Storage error code `AuthorizationFailure`: the account's network rules.
    says_any(&[
        "this request is not authorized to perform this operation",
        "authorizationfailure",
        "ipauthorizationfailure",
        "networkaccessdenied",
        "key based authentication is not permitted",
        "keybasedauthenticationnotpermitted",
    ])
    .likely(
        Is::ExportAccessDenied,
        &[Is::BackendPermissionDenied, Is::DataPathAuthFailed],
    ),
    says_any(&[
        "server failed to authenticate the request",
        "authenticationfailed",
        "noauthenticationinformation",
    ])
    .likely(Is::DataPathAuthFailed, &[Is::BackendAuthFailed]),
    says_any(&[
        "ultrassdenabled is set",
        "not in the same zone as the vm",
        "because it is not in zone",
        "not in zone '",
        "not in the same zone",
        "in a different zone",
        "not in the same region",
        "different availability zone",
        "zone mismatch",
        "does not support availability zone",
        "availability zone is not supported",
        "cannot be attached to the vm because it is not in zone",
        "invalidvolume.zone",
        "in different zones",
    ])
    .states(Is::TopologyMismatch),
    says_any(&[
        "attachdiskwhilebeingdetached",
        "is being detached",
        "being detached",
        "in detaching",
        "detaching state",
    ])
    .likely(
        Is::OperationInProgress,
        &[Is::MultiAttachPreviousNode, Is::StaleVolumeattachment],
    ),
    // Azure disk drivers, Cinder and others: growing needs the volume detached.
    says_any(&[
        "is only supported on unattached disk",
        "only supported on unattached",
        "volume must be detached",
        "must be detached before",
        "must be unattached",
        "requires the volume to be detached",
        "detached to be resized",
        "should be 'available' but is 'in-use'",
        "to extend it. volume status must be",
        "status must be 'available' to extend",
        "volume status must be '{'available'}'",
        "offline volume expansion",
        "only supports offline",
        "only offline expansion",
        "online expansion is not supported",
        "not support online",
    ])
    .at(&[Phase::Expand])
    .states(Is::ExpandNeedsRestart),
    says_any(&[
        "skunotavailable",
        "sku is not available",
        "is not available in location",
        "locationnotavailable",
        "not available in zone",
        "zone does not support",
    ])
    .likely(
        Is::TopologyMismatch,
        &[Is::StorageclassInvalid, Is::BackendCapacityExhausted],
    ),
    says_any(&[
        "attached to virtualmachine",
        "already attached to vm",
        "already attached to virtual machine",
        "diskattachedtoanothervm",
        "could not be attached as it is already",
        "already attached to(",
        "already attached to /subscriptions",
    ])
    .at(&[Phase::Attach])
    .likely(
        Is::MultiAttachPreviousNode,
        &[Is::VolumeInUseElsewhere, Is::StaleVolumeattachment],
    ),
    says_any(&["storage account", "storageaccount"])
        .with(&["was not found", "not found", "does not exist"])
        .likely(Is::StorageclassInvalid, &[Is::VolumeNotFoundBackend]),
    says(&["could not get storage key"])
        .but_not(&["retriable: true", "isnotprovisioned"])
        .likely(
            Is::BackendPermissionDenied,
            &[Is::BackendAuthFailed, Is::VolumeNotFoundBackend],
        ),
    says_any(&[
        "disk already attached to node(",
        "already owned by vm",
        "already attached to node(",
    ])
    .likely(
        Is::VolumeInUseElsewhere,
        &[Is::MultiAttachPreviousNode, Is::StaleAttachmentDeadNode],
    ),
    says_any(&[
        "does not have secrets get permission",
        "does not have permission to",
    ])
    .likely(Is::BackendPermissionDenied, &[Is::BackendAuthFailed]),
    // Azure says itself whether a call may succeed when tried again.
    says_any(&["retriable: true"]).general().likely(
        Is::TransientRetry,
        &[Is::ApiUnreachable, Is::OperationInProgress],
    ),
];
