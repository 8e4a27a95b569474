//! Error codes of cloud APIs beyond the common ones, each for one kind of refusal.
//!
//! Sources: Azure Resource Manager and Storage error codes; EC2 and EFS error codes with
//! aws-efs-csi-driver `pkg/driver/controller.go`; Google API error reasons; `OpenStack` Cinder and
//! Nova `exception.py`; ECS, CBS and EVS error codes; hcloud and Scaleway API errors. Knows
//! nothing of the account.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // Azure Resource Manager, code `Conflict`: two requests came at once.
    says_any(&[
        "conflict with a concurrent request",
        "conflict with another concurrent",
    ])
    .states(Is::TransientRetry),
    // Azure `ResourceNotFound` names the kind of what is not there.
    says(&["resource 'microsoft.compute/virtualmachine", "not found"])
        .states(Is::NodeUnknownToDriver),
    says(&["resource 'microsoft.compute/disks", "not found"])
        .but_not(&["snapshots/"])
        .states(Is::VolumeNotFoundBackend),
    says(&["resource 'microsoft.compute/snapshots", "not found"]).states(Is::DataSourceInvalid),
    says_any(&["resourcegroupnotfound", "subscriptionnotfound"]).likely(
        Is::DriverMisconfigured,
        &[Is::StorageclassInvalid, Is::VolumeNotFoundBackend],
    ),
    says_any(&[
        "invalidauthenticationtoken",
        "expiredauthenticationtoken",
        "authenticationtokenexpired",
        "authentication token is expired",
    ])
    .states(Is::BackendAuthFailed),
    // A lock or a policy of the subscription forbids it, whoever asks.
    says_any(&["scopelocked", "following scope(s) are locked"]).states(Is::BackendPermissionDenied),
    // Azure Storage: what was deleted is not gone yet.
    says_any(&[
        "sharebeingdeleted",
        "share is being deleted",
        "containerbeingdeleted",
        "container is being deleted",
        "sharesnapshotinprogress",
        "accountbeingcreated",
        "storageaccountisnotprovisioned",
        "storageaccountoperationinprogress",
        "conflictingserveroperation",
        "anotheroperationinprogress",
        "operationpreempted",
    ])
    .likely(Is::OperationInProgress, &[Is::TransientRetry]),
    says_any(&["sharenotfound", "specified share does not exist"])
        .at(&[Phase::Stage, Phase::Publish, Phase::Expand, Phase::Snapshot])
        .likely(Is::VolumeNotFoundBackend, &[Is::PathInvalid]),
    says_any(&[
        "is in the process of being deleted",
        "vm is being deleted",
        "instance is being deleted",
    ])
    .at(&[Phase::Attach, Phase::Detach])
    .likely(Is::StaleAttachmentDeadNode, &[Is::NodeUnknownToDriver]),
    says_any(&[
        "failed to find disk on lun",
        "failed to find disk by lun",
        "finddiskbylun",
    ])
    .states(Is::DeviceNotFound),
    // Google: the service is not switched on in the project.
    says_any(&[
        "accessnotconfigured",
        "service_disabled",
        "has not been used in project",
        "api is not enabled",
    ])
    .likely(Is::BackendPermissionDenied, &[Is::DriverMisconfigured]),
    // EC2 names `device` what another volume of that instance has: a list of devices that is stale.
    says(&["attachment point ", "is already in use"])
        .likely(Is::DriverDefect, &[Is::OperationInProgress]),
    says_any(&[
        "unknownvolumetype",
        "unsupported volume type",
        "invalidvolumetype",
        "invalid volume type",
        "invaliddiskcategory",
        "invaliddisktype",
    ])
    .at(&[Phase::Provision])
    .likely(Is::StorageclassInvalid, &[Is::TopologyMismatch]),
    says_any(&[
        "invalidzone",
        "invalid availability zone",
        "availability zone '",
        "invalidavailabilityzone",
        "volumetypenotavailableinzone",
        "resourcesnotinsamezone",
        "resourcenotinsamezone",
        "not in the same zone",
        "not in same zone",
        "different zones",
        "region mismatch",
    ])
    .with(&[
        "invalid",
        "notfound",
        "does not exist",
        "not available",
        "notavailable",
        "not in",
        "notinsame",
        "different",
        "mismatch",
    ])
    .at(&[Phase::Provision, Phase::Attach, Phase::Restore])
    .likely(
        Is::TopologyMismatch,
        &[Is::StorageclassInvalid, Is::DriverMisconfigured],
    ),
    // aws-efs-csi-driver: what it says of an `AccessDenied`, with any gRPC code.
    says(&["please ensure you have the right aws permissions"]).states(Is::BackendPermissionDenied),
    // aws-sdk-go and EFS: `BadRequest` of what the class gave.
    says(&["failed to create access point", "validationexception"])
        .likely(Is::StorageclassInvalid, &[Is::DriverDefect]),
    says_any(&[
        "no_space_left_in_location",
        "no space left in location",
        "resource_unavailable",
        "insufficient_capacity",
    ])
    .states(Is::BackendCapacityExhausted),
    says_any(&[
        "resourceinsufficient",
        "resourcessoldout",
        "soldout",
        "sold out",
    ])
    .states(Is::BackendCapacityExhausted),
    says_any(&[
        "resource_limit_exceeded",
        "resourcelimitexceeded",
        "limitexceeded.",
        "volume limit exceeded",
        "uniqueness_error_quota",
    ])
    .at(&[
        Phase::Provision,
        Phase::Restore,
        Phase::Snapshot,
        Phase::Expand,
    ])
    .states(Is::BackendQuotaExceeded),
    says_any(&[
        "resourceunavailable.attached",
        "alreadyattached",
        "already_attached",
        "volume_already_attached",
    ])
    .at(&[Phase::Attach])
    .likely(
        Is::MultiAttachPreviousNode,
        &[Is::VolumeInUseElsewhere, Is::StaleVolumeattachment],
    ),
    // Scaleway: FAILED_PRECONDITION of a volume that a server has.
    says_any(&["resource is still in use", "resource_still_in_use"])
        .at(&[Phase::Attach])
        .likely(Is::VolumeInUseElsewhere, &[Is::MultiAttachPreviousNode]),
    says_any(&["resource is still in use", "resource_still_in_use"])
        .at(&[Phase::Delete])
        .states(Is::DeleteBlockedInUse),
    // A state that a volume passes through on its way to another.
    says_any(&[
        "state is still creating",
        "is still creating",
        "is in creating state",
        "is in state creating",
        "status is creating",
        "state: creating",
        "still being created",
        "still in progress",
        "is still in creating",
    ])
    .at(&[
        Phase::Provision,
        Phase::Restore,
        Phase::Snapshot,
        Phase::Attach,
    ])
    .general()
    .likely(
        Is::OperationInProgress,
        &[Is::TransientRetry, Is::StorageBackendDegraded],
    ),
];
