//! How the APIs of the large clouds word a refusal: AWS, Google, Azure, `OpenStack`, Alibaba and
//! the like.
//!
//! Sources: the error code lists of EC2, EFS and IAM; Google Compute and `googleapi` errors; Azure
//! Resource Manager, Compute and Storage error codes; `OpenStack` Cinder and Nova `exception.py`;
//! Alibaba ECS error codes. Knows nothing of the account behind them.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // gophercloud `ErrEndpointNotFound`: no such service in the region that is configured.
    says(&["no suitable endpoint could be found in the service catalog"])
        .likely(Is::DriverMisconfigured, &[Is::BackendPermissionDenied]),
    // alibaba-cloud-csi-driver `pkg/disk`: the disk is attached, the node shows no device for it.
    says_any(&[
        "disk device cannot be found in node",
        "cannot be found by serial",
        "after attaching to disk, but got",
    ])
    .likely(Is::DeviceNotFound, &[Is::ComponentStateStale]),
    says_any(&[
        "exceed the limit attachments of disk",
        "exceeds the limit of attachments",
    ])
    .states(Is::NodeAttachLimit),
    says_any(&["should be 'pay by quantity'", "disknotportable"]).states(Is::UnsupportedCapability),
    says_any(&["disk exist or not", "check the disk region"]).likely(
        Is::VolumeNotFoundBackend,
        &[Is::BackendAuthFailed, Is::DriverMisconfigured],
    ),
    says_any(&[
        "can be only created in region",
        "volume can only be created in",
    ])
    .states(Is::TopologyMismatch),
    // oci-cloud-controller-manager `pkg/csi/driver`.
    says(&["invalid available domain", "compartment id"]).likely(
        Is::DriverMisconfigured,
        &[Is::StorageclassInvalid, Is::BackendPermissionDenied],
    ),
    says(&["is required in preferredtopologies or allowedtopologies"])
        .likely(Is::DriverMisconfigured, &[Is::NodeUnknownToDriver]),
    // Longhorn and Cinder, about the state in which a volume can grow.
    says_any(&["invalid volume state"])
        .with(&["for expansion", "expan", "resize"])
        .at(&[Phase::Expand])
        .likely(
            Is::ExpandNeedsRestart,
            &[Is::StorageBackendDegraded, Is::OperationInProgress],
        ),
    // Cinder API `Invalid volume` on delete.
    says(&["volume status must be available or error"])
        .at(&[Phase::Delete])
        .states(Is::DeleteBlockedInUse),
    says_any(&[
        "the resource is not ready",
        "resourcenotready",
        "resource_not_ready",
    ])
    .likely(
        Is::OperationInProgress,
        &[Is::TransientRetry, Is::StorageBackendDegraded],
    ),
    says_any(&[
        "googleapi: error 503",
        "googleapi: error 500",
        "backend error, backenderror",
    ])
    .likely(Is::TransientRetry, &[Is::ApiUnreachable]),
    // Nova `exception.py`, InstanceInvalidState: another task works on the instance.
    says(&["while it is in task_state"]).states(Is::OperationInProgress),
    // Cinder extends an attached volume from microversion 3.42 on; an older API needs it detached.
    says(&["version 3.42 is not supported by the api"])
        .likely(Is::ExpandNeedsRestart, &[Is::DriverDefect]),
    // Disk and machine, in any cloud's words.
    says_any(&["vm ", "instance", "machine"])
        .with(&[
            "does not support attaching",
            "disk type is not supported",
            "is not supported for instance",
            "not supported on instance",
            "not supported by instance",
        ])
        .at(&[Phase::Attach])
        .general()
        .likely(Is::TopologyMismatch, &[Is::UnsupportedCapability]),
    says_any(&["iops", "throughput"])
        .with(&[
            "ratio",
            "not supported",
            "maximum",
            "exceed",
            "invalid",
            "minimum",
        ])
        .at(&[Phase::Provision])
        .general()
        .likely(
            Is::StorageclassInvalid,
            &[Is::BackendQuotaExceeded, Is::InvalidSizeRequest],
        ),
    says_any(&["kms", "encryption key"])
        .with(&[
            "accessdenied",
            "access denied",
            "not authorized",
            "permission",
            "does not have access",
            "inaccessible",
            "invalidkmskey",
            "is not accessible",
            "disabled",
        ])
        .likely(Is::BackendPermissionDenied, &[Is::StorageclassInvalid]),
    // Every API's code for too many calls: it says so whatever was asked.
    says_any(&[
        "requestlimitexceeded",
        "throttlingexception",
        "requeststhrottled",
        "clientthrottled",
        "too many requests",
        "toomanyrequests",
        "ratelimitexceeded",
        "rate_limit_exceeded",
        "statuscode: 429",
        "error 429",
    ])
    .states(Is::TransientRetry),
    says_any(&["throttling", "throttled", "rate exceeded", "rate limit"])
        .general()
        .likely(
            Is::TransientRetry,
            &[Is::BackendQuotaExceeded, Is::ApiUnreachable],
        ),
    // ECS, EC2, Compute Engine and Cinder: the zone or pool has none left.
    says_any(&[
        "inventory is insufficient",
        "insufficientvolumecapacity",
        "insufficientinstancecapacity",
        "zone_resource_pool_exhausted",
        "does not have enough resources available to fulfill",
        "no available storage in zone",
        "overconstrainedallocationrequest",
        "operationdenied.nostock",
        "nostock",
        "resource is out of stock",
        "out of stock",
        "zonalallocationfailed",
        "allocationfailed",
        "no valid backend was found",
        "no weighed backends available",
        "no valid host was found",
    ])
    .states(Is::BackendCapacityExhausted),
    says_any(&[
        "quota_exceeded",
        "quotaexceeded",
        "quota exceeded",
        "exceeds quota",
        "exceeded quota",
        "over quota",
        "exceeds available quota",
        "quota limit",
        "resource-quota",
        "quota '",
        "exceeds allowed",
        "insufficient quota",
        "quotaexceed",
        "out of quota",
    ])
    .but_not(&[
        "exceeded quota: ",
        "persistentvolumeclaims",
        "disk quota exceeded",
        "resourcequota",
    ])
    .states(Is::BackendQuotaExceeded),
    // OpenStack.
    says_any(&[
        "maximum number of volumes allowed",
        "volumelimitexceeded",
        "volumesizeexceedsavailablequota",
        "gigabytes quota",
        "maximum number of snapshots",
    ])
    .states(Is::BackendQuotaExceeded),
    says_any(&[
        "the request you have made requires authentication",
        "authentication failed",
        "unable to authenticate",
        "invalid user / password",
        "unable to re-authenticate",
        "failed to authenticate",
        "unable to initialise openstack",
    ])
    .but_not(&["iscsi"])
    .at(&[
        Phase::Provision,
        Phase::Attach,
        Phase::Delete,
        Phase::Expand,
        Phase::Snapshot,
        Phase::Restore,
    ])
    .likely(
        Is::BackendAuthFailed,
        &[Is::BackendPermissionDenied, Is::DriverSecretInvalid],
    ),
    says_any(&[
        "failed to find object",
        "unable to find instance",
        "instance could not be found",
        "instance not found",
        "cannot find instance",
        "failed to get instance",
        "server not found",
        "no server found",
        "droplet not found",
    ])
    .at(&[Phase::Attach])
    .likely(Is::NodeUnknownToDriver, &[Is::StaleAttachmentDeadNode]),
    says(&["is not supported by the api"]).likely(Is::DriverDefect, &[Is::ExpandNeedsRestart]),
    // Smaller clouds and their products.
    says(&["volume limit (", "has been reached"]).states(Is::BackendQuotaExceeded),
    // ECS `disk … task is conflicted`, hcloud error code `locked`, and drivers' own locks.
    says_any(&[
        "still in process",
        "is locked by another",
        "(locked)",
        "server is locked",
        "locked: ",
        "previous attach action",
        "task is conflicted",
        "taskconflict",
        "incorrectdiskstatus",
        "disk is being",
        "is in another operation",
        "operationconflict",
    ])
    .likely(Is::OperationInProgress, &[Is::TransientRetry]),
    // Alibaba ECS error message.
    says(&["disk size is not supported"]).states(Is::InvalidSizeRequest),
    says_any(&[
        "forbidden.ram",
        "nopermission",
        "notapplicable.notauthorized",
    ])
    .states(Is::BackendPermissionDenied),
    // OCI says one thing of what is not there and of what may not be seen.
    says(&["notauthorizedornotfound"]).likely(
        Is::BackendPermissionDenied,
        &[Is::VolumeNotFoundBackend, Is::NodeUnknownToDriver],
    ),
    says_any(&[
        "insufficientbalance",
        "insufficient balance",
        "arrearage",
        "account balance",
        "inarrears",
        "overdue",
    ])
    .states(Is::BackendQuotaExceeded),
    // Array and software-defined storage vendors, about features that are sold apart.
    says_any(&["licence", "license"])
        .with(&[
            "required",
            "expired",
            "limit",
            "exceed",
            "invalid",
            "feature",
            "not licensed",
            "not available",
        ])
        .likely(
            Is::BackendQuotaExceeded,
            &[Is::UnsupportedCapability, Is::DriverMisconfigured],
        ),
    // Azure `InvalidParameter`; other clouds about zone, region or location.
    says_any(&[
        "can be used only with virtual machines in",
        "can be used only when",
        "must be in the same",
        "same availability zone",
        "in different region",
        "different zones",
        "not in the same location",
        "is not in the same datacenter",
    ])
    .at(&[Phase::Attach, Phase::Provision])
    .general()
    .likely(Is::TopologyMismatch, &[Is::UnsupportedCapability]),
    // Azure Compute `OperationNotAllowed`: growing a disk that a running machine holds.
    says_any(&["while it is attached to", "while attached to"])
        .at(&[Phase::Expand])
        .states(Is::ExpandNeedsRestart),
    says_any(&[
        "currently in 'in-use'",
        "but the current status is in-use",
        "current status is in-use",
        "status is in-use",
        "status is attaching",
    ])
    .at(&[Phase::Attach])
    .likely(
        Is::MultiAttachPreviousNode,
        &[Is::StorageBackendDegraded, Is::StaleVolumeattachment],
    ),
    // An access key that the object store does not know: refused where data is, or where volumes are made.
    says_any(&["invalidaccesskeyid", "signaturedoesnotmatch"])
        .at(&[Phase::Stage, Phase::Publish, Phase::Runtime])
        .states(Is::DataPathAuthFailed),
    says_any(&["invalidaccesskeyid"]).states(Is::BackendAuthFailed),
    says_any(&["quota"])
        .with(&["exceed", "exceeds", "insufficient"])
        .at(&[
            Phase::Expand,
            Phase::Provision,
            Phase::Restore,
            Phase::Snapshot,
        ])
        .but_not(&["exceeded quota: ", "resourcequota"])
        .general()
        .likely(
            Is::BackendQuotaExceeded,
            &[Is::NamespaceQuotaExceeded, Is::BackendCapacityExhausted],
        ),
];
