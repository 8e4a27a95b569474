//! How object stores, secret stores and what mounts them word their errors.
//!
//! Sources: S3 error codes; mountpoint-s3, goofys, s3fs, rclone, `GeeseFS`; `JuiceFS` client and
//! driver; redis and SQL clients; secrets-store-csi-driver and its providers for Vault, AWS, Azure,
//! Google. Knows nothing of block devices.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// Stages in which data is mounted.
const MOUNT: &[Phase] = &[Phase::Stage, Phase::Publish];

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // Drivers that take what they need from a secret name the field that they lack.
    says_any(&["desc = empty ", "desc = missing "])
        .at(&[Phase::Stage, Phase::Publish])
        .code(&[crate::model::cause::GrpcCode::InvalidArgument])
        .but_not(&["volume id", "target path", "capability", "volume_id"])
        .general()
        .likely(
            Is::DriverSecretInvalid,
            &[Is::DriverMisconfigured, Is::BadMountOption],
        ),
    says_any(&[
        "no signing credentials available",
        "no signing credentials found",
        "noauth authentication required",
        "wrongpass invalid username-password pair",
        "access denied for user '",
        "password authentication failed for user",
        "signature we calculated does not match",
        "token is expired",
        "requesttimetooskewed",
        "401 unauthorized",
    ])
    .at(MOUNT)
    .but_not(&["keyvault", "vault", "azure", "secretsmanager"])
    .states(Is::DataPathAuthFailed),
    says_any(&[
        "initial listobjectsv2 failed",
        "failed to create s3 client",
        "headbucket",
        "listobjects",
        "s3:listbucket",
        "s3:getobject",
    ])
    .with(&["forbidden", "access denied", "accessdenied", "403"])
    .likely(
        Is::BackendPermissionDenied,
        &[Is::DataPathAuthFailed, Is::VolumeNotFoundBackend],
    ),
    says_any(&[
        "nosuchbucket",
        "bucket does not exist",
        "bucket doesn't exist",
        "no such bucket",
    ])
    .at(&[Phase::Stage, Phase::Publish, Phase::Runtime])
    .states(Is::VolumeNotFoundBackend),
    says_any(&[
        "permanentredirect",
        "authorizationheadermalformed",
        "is in another region",
        "wrong region",
    ])
    .at(MOUNT)
    .likely(
        Is::BadMountOption,
        &[Is::DriverMisconfigured, Is::VolumeNotFoundBackend],
    ),
    // clap, the parser of arguments in Rust, and Go's flag packages.
    says_any(&[
        "error: unexpected argument '",
        "unexpected argument",
        "found argument '",
        "invalid value '",
    ])
    .with(&["argument", "for '--", "for '-"])
    .at(MOUNT)
    .likely(Is::BadMountOption, &[Is::DriverDefect]),
    // FUSE programs that read `-o` themselves.
    says_any(&[
        "fuse: unknown option",
        "fuse: invalid argument",
        "unknown option: ",
        "unknown option(s)",
        "invalid option",
    ])
    .at(MOUNT)
    .states(Is::BadMountOption),
    // JuiceFS `pkg/driver`: what its secret must hold.
    says_any(&[
        "metaurl",
        "access-key",
        "secret-key",
        "accesskey",
        "secretkey",
        "access_key",
        "secret_key",
    ])
    .near(&[
        "empty",
        "missing",
        "not found",
        "required",
        "not set",
        "must be",
        "not provided",
    ])
    .but_not(&["invalid access key"])
    .likely(Is::DriverSecretInvalid, &[Is::DriverMisconfigured]),
    // JuiceFS `pkg/meta`: the volume's record in its database.
    says_any(&[
        "database is not formatted",
        "cannot load setting",
        "volume is not formatted",
        "not formatted",
    ])
    .at(MOUNT)
    .likely(
        Is::VolumeNotFoundBackend,
        &[Is::DriverSecretInvalid, Is::DriverMisconfigured],
    ),
    // Vault: logging in, then reading.
    says_any(&[
        "v1/auth/",
        "unable to log in",
        "failed to login",
        "vault login",
        "auth/kubernetes",
    ])
    .with(&[
        "permission denied",
        "code: 403",
        "code: 400",
        "invalid role name",
        "service account name not authorized",
        "namespace not authorized",
        "claim",
        "missing client token",
    ])
    .at(&[Phase::Publish])
    .likely(
        Is::BackendAuthFailed,
        &[Is::BackendPermissionDenied, Is::DriverMisconfigured],
    ),
    says_any(&["error making api request", "vault"])
        .with(&["permission denied"])
        .at(&[Phase::Publish])
        .likely(Is::BackendPermissionDenied, &[Is::BackendAuthFailed]),
    says_any(&[
        "does not contain the secret",
        "no secret exists",
        "no value found at",
        "key '",
        "no data found",
    ])
    .with(&["vault", "secret"])
    .at(&[Phase::Publish])
    .but_not(&["kubernetes.io~secret", "permission denied"])
    .general()
    .likely(
        Is::ReferencedObjectMissing,
        &[Is::BackendPermissionDenied, Is::DriverMisconfigured],
    ),
    // Azure Key Vault provider and aad-pod-identity: no token for this pod.
    says_any(&[
        "failed to get keyvault client",
        "failed to get key vault token",
        "failed to get keyvault token",
        "failed to create auth token",
        "failed to acquire token",
        "nmi response failed",
        "failed to get authorizer",
        "failed to create keyvault client",
        "failed to get objecttype",
    ])
    .but_not(&[
        "status=403",
        "statuscode=403",
        "status code: 404 secret",
        "secretnotfound",
        "forbidden",
    ])
    .general()
    .likely(
        Is::BackendAuthFailed,
        &[Is::DriverSecretInvalid, Is::ApiUnreachable],
    ),
    // AWS provider: the pod's service account bears no role.
    says(&["an iam role must be associated with service account"]).states(Is::BackendAuthFailed),
    says(&["failed to fetch parameters from ssm"])
        .general()
        .likely(
            Is::BackendPermissionDenied,
            &[Is::ReferencedObjectMissing, Is::ApiUnreachable],
        ),
    says_any(&[
        "failed to fetch secret from all regions",
        "failed fetching secret",
    ])
    .general()
    .likely(
        Is::BackendPermissionDenied,
        &[Is::ReferencedObjectMissing, Is::ApiUnreachable],
    ),
    says_any(&["parameternotfound", "resourcenotfoundexception"])
        .at(&[Phase::Publish])
        .states(Is::ReferencedObjectMissing),
    // secrets-store-csi-driver `pkg/secrets-store/nodeserver.go`.
    says_any(&[
        "failed to get secretproviderclass",
        "secretproviderclasses.secrets-store.csi.x-k8s.io '",
    ])
    .with(&["not found"])
    .states(Is::ReferencedObjectMissing),
    says_any(&["secretproviderclass", "secret provider class"])
        .near(&["is not set", "missing", "must be set", "invalid"])
        .at(&[Phase::Publish])
        .likely(
            Is::DriverMisconfigured,
            &[Is::ReferencedObjectMissing, Is::DriverDefect],
        ),
    // s3fs `s3fs.cpp`: neither a password file nor a role.
    says(&["could not determine how to establish security credentials"])
        .likely(Is::DataPathAuthFailed, &[Is::DriverSecretInvalid]),
];
