//! How almost any driver words almost any refusal: common English, read with the stage.
//!
//! Source: the CSI specification's descriptions of errors, whose words drivers borrow. These rows
//! are weak: they speak only where no one else does.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::{CauseId as Is, GrpcCode};

/// Stages in which a controller speaks with a management API.
const CONTROLLER: &[Phase] = &[
    Phase::Provision,
    Phase::Restore,
    Phase::Attach,
    Phase::Detach,
    Phase::Expand,
    Phase::Snapshot,
    Phase::Delete,
];

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    says_any(&[
        "401 ",
        "401: ",
        "statuscode=401",
        "status code: 401",
        "http 401",
        "error 401",
        "code 401",
        "unauthorized",
        "unauthenticated",
        "invalid credential",
        "invalid username or password",
        "bad credentials",
        "wrong password",
        "incorrect password",
        "credentials are invalid",
        "login failed",
        "authentication failure",
        "not authenticated",
        "invalid api key",
        "invalid api token",
        "token expired",
        "expired token",
    ])
    .with(&[
        "unauthorized",
        "unauthenticated",
        "401 ",
        "credential",
        "password",
        "login",
        "authent",
        "token",
        "api key",
    ])
    .at(CONTROLLER)
    .weak()
    .likely(
        Is::BackendAuthFailed,
        &[Is::BackendPermissionDenied, Is::DriverSecretInvalid],
    ),
    // Where data is mounted, the identity is that of the mount.
    says_any(&[
        "unauthorized",
        "unauthenticated",
        "invalid credential",
        "invalid username or password",
        "authentication failed",
        "failed to authenticate",
        "login failed",
        "authentication failure",
        "authentication error",
        "logon failure",
        "wrong password",
    ])
    .at(&[Phase::Stage, Phase::Publish])
    .weak()
    .likely(
        Is::DataPathAuthFailed,
        &[Is::BackendAuthFailed, Is::DriverSecretInvalid],
    ),
    says_any(&[
        "403 forbidden",
        "403: ",
        "statuscode=403",
        "status code: 403",
        "httpstatuscode: 403",
        "error 403",
        "code 403",
        "permission denied",
        "access denied",
        "accessdenied",
        "not authorized",
        "not permitted",
        "insufficient permission",
        "insufficient privileges",
        "does not have permission",
        "forbidden",
        "lacks permission",
        "no permission",
    ])
    .but_not(&["is forbidden: ", "mount.nfs", "immutable", ": forbidden: "])
    .at(CONTROLLER)
    .weak()
    .likely(
        Is::BackendPermissionDenied,
        &[Is::BackendAuthFailed, Is::ExportAccessDenied],
    ),
    says_any(&[
        "access denied",
        "accessdenied",
        "403 forbidden",
        "error 403",
        "does not have permission",
        "status code: 403",
    ])
    .at(&[Phase::Stage, Phase::Publish])
    .weak()
    .likely(
        Is::BackendPermissionDenied,
        &[Is::DataPathAuthFailed, Is::ExportAccessDenied],
    ),
    says_any(&[
        " quota",
        "quota ",
        "maximum number of",
        "limit exceeded",
        "limitexceeded",
        "limit has been reached",
        "limit reached",
        "exceeded the limit",
        "reached the limit",
        "exceeds the limit",
        "maximum allowed",
    ])
    .at(&[Phase::Provision, Phase::Snapshot, Phase::Restore])
    .weak()
    .likely(
        Is::BackendQuotaExceeded,
        &[Is::InvalidSizeRequest, Is::BackendCapacityExhausted],
    ),
    says_any(&[
        "maximum number of",
        "limit exceeded",
        "limitexceeded",
        "limit reached",
        "exceeded the limit",
        "reached the limit",
    ])
    .at(&[Phase::Attach])
    .weak()
    .likely(Is::NodeAttachLimit, &[Is::BackendQuotaExceeded]),
    // The volume behind the PV.
    says_any(&[
        "bucket doesn't exist",
        "bucket '",
        "volume not found",
        "volume is not found",
        "volume does not exist",
        "no such volume",
        "disk not found",
        "disk does not exist",
        "volume doesn't exist",
        "volume with id",
        "volume id",
        "could not find volume",
        "cannot find volume",
        "failed to find volume",
        "unable to find volume",
        "volume '",
        "disk '",
        "share not found",
        "share does not exist",
        "bucket does not exist",
        "bucket not found",
        "nosuchbucket",
        "filesystem does not exist",
        "file system not found",
    ])
    .with(&[
        "not found",
        "does not exist",
        "no such",
        "doesn't exist",
        "could not find",
        "cannot find",
        "failed to find",
        "unable to find",
        "nosuchbucket",
    ])
    .but_not(&[
        "no such file or directory",
        "no such host",
        "device",
        "snapshot ",
        "secret",
        "node '",
    ])
    .at(&[
        Phase::Attach,
        Phase::Stage,
        Phase::Publish,
        Phase::Expand,
        Phase::Runtime,
        Phase::Detach,
    ])
    .general()
    .likely(
        Is::VolumeNotFoundBackend,
        &[Is::DriverMisconfigured, Is::ComponentStateStale],
    ),
    says_any(&[
        "volume is in use",
        "volume in use",
        "is in use",
        "in-use",
        "is being used",
        "still in use",
        "in use by",
    ])
    .at(&[Phase::Delete])
    .weak()
    .likely(Is::DeleteBlockedInUse, &[Is::OperationInProgress]),
    says_any(&[
        "volume is in use",
        "volume in use",
        "in-use",
        "currently in use",
        "currently attached",
        "is attached",
    ])
    .at(&[Phase::Expand])
    .weak()
    .likely(Is::ExpandNeedsRestart, &[Is::OperationInProgress]),
    says_any(&[
        "in use by another node",
        "in use by another pod",
        "in use by another instance",
        "in use by another client",
        "in use on node",
        "in use by node",
        "used by another node",
        "used by another client",
    ])
    .at(&[Phase::Attach, Phase::Stage, Phase::Publish])
    .weak()
    .likely(
        Is::VolumeInUseElsewhere,
        &[Is::MultiAttachPreviousNode, Is::DeviceBusy],
    ),
    says_any(&["secret"])
        .with(&[
            "missing",
            "empty",
            "not provided",
            "not found",
            "required",
            "does not contain",
            "doesn't contain",
            "must be",
            "invalid",
        ])
        .at(CONTROLLER)
        .weak()
        .likely(
            Is::DriverSecretInvalid,
            &[Is::BackendAuthFailed, Is::StorageclassInvalid],
        ),
    says_any(&["snapshot"])
        .with(&["not found", "does not exist", "notfound"])
        .at(&[Phase::Restore, Phase::Snapshot])
        .weak()
        .likely(
            Is::DataSourceInvalid,
            &[Is::SnapshotClassInvalid, Is::VolumeNotFoundBackend],
        ),
    // The code alone, by the specification's tables.
    says(&["code = resourceexhausted"])
        .at(&[Phase::Provision, Phase::Restore, Phase::Expand])
        .weak()
        .likely(Is::BackendCapacityExhausted, &[Is::BackendQuotaExceeded]),
    says(&["code = resourceexhausted"])
        .at(&[Phase::Attach])
        .weak()
        .likely(
            Is::NodeAttachLimit,
            &[Is::BackendQuotaExceeded, Is::BackendCapacityExhausted],
        ),
    says(&["code = unauthenticated"])
        .weak()
        .likely(Is::BackendAuthFailed, &[Is::DataPathAuthFailed]),
    says(&["code = permissiondenied"]).weak().likely(
        Is::BackendPermissionDenied,
        &[Is::BackendAuthFailed, Is::ExportAccessDenied],
    ),
    // Drivers put the noun first: `desc = node x not found`.
    says_any(&[
        "desc = node ",
        "desc = instance ",
        "desc = server ",
        "desc = host ",
        "desc = droplet ",
        "desc = vm ",
    ])
    .with(&["not found", "does not exist"])
    .at(&[Phase::Attach])
    .general()
    .states(Is::NodeUnknownToDriver),
    says_any(&["desc = volume ", "desc = disk ", "desc = share "])
        .with(&["not found", "does not exist"])
        .at(&[
            Phase::Attach,
            Phase::Stage,
            Phase::Publish,
            Phase::Expand,
            Phase::Snapshot,
        ])
        .but_not(&["not found on node", "device"])
        .general()
        .likely(
            Is::VolumeNotFoundBackend,
            &[Is::ComponentStateStale, Is::DriverMisconfigured],
        ),
    says_any(&[
        "lack of credentials",
        "missing credentials",
        "credentials are missing",
        "credentials not provided",
        "no credentials provided",
        "credentials not found in secret",
    ])
    .likely(
        Is::DriverSecretInvalid,
        &[Is::BackendAuthFailed, Is::DataPathAuthFailed],
    ),
    says_any(&[": volume ", " volume id "])
        .with(&[" not found", " does not exist"])
        .code(&[GrpcCode::NotFound])
        .at(&[Phase::Attach, Phase::Stage, Phase::Publish, Phase::Expand])
        .but_not(&["device", "node '", "secret"])
        .weak()
        .likely(
            Is::VolumeNotFoundBackend,
            &[Is::NodeUnknownToDriver, Is::ComponentStateStale],
        ),
];
