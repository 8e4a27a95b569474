//! How the APIs of AWS word a refusal: EC2, EBS, EFS, IAM.
//!
//! Sources: the error code lists of EC2, EFS and IAM; aws-sdk-go credentials. Knows nothing of the
//! account behind them.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // EBS makes a volume and it is gone at once when the key for it may not be used.
    says_any(&[
        "could not create volume",
        "failed to get an available volume in ec2",
    ])
    .with(&["invalidvolume.notfound"])
    .at(&[Phase::Provision, Phase::Restore])
    .likely(Is::BackendPermissionDenied, &[Is::StorageclassInvalid]),
    says_any(&[
        "incorrectstate",
        "is not 'running'",
        "is not in a valid state",
        "instance is not running",
    ])
    .at(&[Phase::Attach])
    .general()
    .likely(
        Is::StaleAttachmentDeadNode,
        &[Is::NodeUnknownToDriver, Is::OperationInProgress],
    ),
    says_any(&["snapshotcreationpervolumerateexceeded"]).states(Is::ModifyCooldown),
    says_any(&["optinrequired", "pendingverification"])
        .likely(Is::BackendQuotaExceeded, &[Is::BackendPermissionDenied]),
    // AWS: the identity itself.
    says_any(&[
        "webidentityerr",
        "sts:assumerolewithwebidentity",
        "assumerolewithwebidentity",
        "nocredentialproviders",
        "no valid providers in chain",
        "no ec2 imds role found",
        "failed to refresh cached credentials",
        "invalidclienttokenid",
        "expiredtoken",
        "unrecognizedclientexception",
        "authfailure",
        "the security token included in the request is",
        "invalididentitytoken",
        "could not load credentials",
        "unable to locate credentials",
        "get credentials: ",
    ])
    .but_not(&["fusemount command", "mount command", "-t fuse"])
    .states(Is::BackendAuthFailed),
    // AWS: its rights.
    says_any(&[
        "unauthorizedoperation",
        "is not authorized to perform",
        "you are not authorized to perform this operation",
        "accessdeniedexception",
        "not authorized to perform elasticfilesystem",
    ])
    .but_not(&[
        "assumerolewithwebidentity",
        "this request is not authorized",
    ])
    .states(Is::BackendPermissionDenied),
    says(&["api error accessdenied"])
        .but_not(&["assumerolewithwebidentity"])
        .states(Is::BackendPermissionDenied),
    // EC2 and EFS error codes: limits of the account, and of one product.
    says_any(&[
        "volumelimitexceeded",
        "maxiopslimitexceeded",
        "volumeiopslimit",
        "snapshotlimitexceeded",
        "snapshotcreationperratelimit",
        "accesspointlimitexceeded",
        "filesystemlimitexceeded",
        "concurrentsnapshotlimitexceeded",
        "maximum volume count",
        "volumesizelimitexceeded",
        "volumemodificationsizelimitexceeded",
    ])
    .states(Is::BackendQuotaExceeded),
    // EC2 error code; Alibaba ECS error code and its message.
    says_any(&[
        "attachmentlimitexceeded",
        "instancedisklimitexceeded",
        "instance disk limit exceeded",
        "disk on instance in question reach its limits",
    ])
    .states(Is::NodeAttachLimit),
    says_any(&[
        "volumemodificationrateexceeded",
        "maximum modification rate per volume",
        "hours between modifications",
        "incorrectmodificationstate",
        "currently being modified",
    ])
    .states(Is::ModifyCooldown),
    // EC2, Azure and EFS error codes for a volume that is gone; while it is made it means
    // something else.
    says_any(&[
        "invalidvolume.notfound",
        "disknotfound",
        "filesystemnotfound",
        "accesspointnotfound",
        "accesspoint not found",
        "file system does not exist",
    ])
    .at(&[
        Phase::Attach,
        Phase::Stage,
        Phase::Publish,
        Phase::Expand,
        Phase::Snapshot,
        Phase::Delete,
        Phase::Detach,
        Phase::Runtime,
    ])
    .states(Is::VolumeNotFoundBackend),
    // EC2 error code.
    says_any(&["invalidsnapshot.notfound", "snapshotnotfound"]).states(Is::DataSourceInvalid),
    says_any(&[
        "invalidinstanceid.notfound",
        "instance not found",
        "invalidinstanceid",
        "instance id '",
        "node not found in cloud",
    ])
    .with(&["notfound", "not found", "does not exist"])
    .states(Is::NodeUnknownToDriver),
    says_any(&[
        "invalidvolume.zonemismatch",
        "is not in the same availability zone",
        "not in the same availability zone",
        "are not in the same availability zone",
    ])
    .states(Is::TopologyMismatch),
    says_any(&[
        "volumeinuse",
        "resource_in_use_by_another_resource",
        "resourceinusebyanotherresource",
    ])
    .at(&[Phase::Attach, Phase::Stage])
    .likely(
        Is::MultiAttachPreviousNode,
        &[Is::VolumeInUseElsewhere, Is::StaleVolumeattachment],
    ),
    says_any(&[
        "volumeinuse",
        "resource_in_use_by_another_resource",
        "resourceinusebyanotherresource",
        "currently attached to",
        "is currently attached",
    ])
    .at(&[Phase::Delete])
    .likely(Is::DeleteBlockedInUse, &[Is::OperationInProgress]),
    says_any(&[
        "169.254.169.254",
        "instance metadata",
        "ec2 metadata",
        "imds",
        "metadata service",
        "metadata server",
        "metadata.google.internal",
    ])
    .with(&[
        "timeout",
        "timed out",
        "connection refused",
        "not available",
        "could not",
        "failed to get",
        "unable to",
        "cannot",
        "deadline exceeded",
        "no route to host",
    ])
    .likely(
        Is::ApiUnreachable,
        &[Is::BackendAuthFailed, Is::DriverMisconfigured],
    ),
];
