//! How the kernel and libc word an error number, whichever program passes it on.
//!
//! Source: `strerror` of glibc and musl, Go `syscall` error strings (the same words in lower case). Knows only
//! what a number means at a stage: the programs that pass it on have their own files.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // Go's HTTP client names the address that it asked: `Get "https://…": dial tcp …: i/o timeout`.
    says_any(&["https://", "http://"])
        .with(&[
            "i/o timeout",
            "connection refused",
            "no route to host",
            "network is unreachable",
            "network unreachable",
            "host is unreachable",
            "operation timed out",
            "no such host",
            "tls handshake timeout",
            "client.timeout exceeded",
            "broken pipe",
            "connection reset by peer",
            "server misbehaving",
            "context deadline exceeded (client",
            "unexpected eof",
            ": eof",
        ])
        .but_not(&["-t efs", "mounting arguments"])
        .general()
        .states(Is::ApiUnreachable),
    // EIO while a device is mounted: whatever serves the device cannot read it.
    says_any(&["input/output error", "i/o error"])
        .with(&["/dev/"])
        .at(&[Phase::Stage, Phase::Publish])
        .but_not(&["rbd: map failed", "stat /"])
        .general()
        .likely(
            Is::StorageBackendDegraded,
            &[Is::FilesystemCorruption, Is::DeviceNotFound],
        ),
    // ESTALE: an NFS server that no longer knows the handle.
    says_any(&["stale file handle", "stale nfs file handle"]).states(Is::StaleMount),
    // ENOTCONN: what a FUSE mount answers when the process behind it is gone.
    says(&["transport endpoint is not connected"]).likely(Is::MountDaemonFailed, &[Is::StaleMount]),
    // ENOSPC and EDQUOT: of the node or the cache where something runs, of the pool where
    // something is made.
    says_any(&["no space left on device", "disk quota exceeded"])
        .at(&[Phase::Runtime, Phase::Publish, Phase::Stage])
        .general()
        .likely(Is::DiskFull, &[Is::BackendCapacityExhausted]),
    // ENOSPC and EDQUOT: of the node or the cache where something runs, of the pool where
    // something is made.
    says(&["no space left on device"])
        .at(&[Phase::Provision, Phase::Restore, Phase::Expand])
        .general()
        .likely(Is::BackendCapacityExhausted, &[Is::DiskFull]),
    // EIO: of a stat, the mount is dead; of a running workload, the device below it.
    says_any(&["input/output error", "host is down", "permission denied"])
        .with(&["stat /", "lstat /", "error checking if path exists"])
        .at(&[
            Phase::Stage,
            Phase::Publish,
            Phase::Unpublish,
            Phase::Unstage,
        ])
        .general()
        .likely(
            Is::StaleMount,
            &[Is::IoErrorReadonly, Is::DataPathUnreachable],
        ),
    // EIO: of a stat, the mount is dead; of a running workload, the device below it.
    says_any(&["input/output error", "read-only file system", "i/o error"])
        .at(&[Phase::Runtime])
        .general()
        .likely(
            Is::IoErrorReadonly,
            &[Is::FilesystemCorruption, Is::StaleMount],
        ),
    says(&["read-only file system"])
        .at(&[Phase::Expand])
        .general()
        .likely(Is::ExpandUnsupported, &[Is::IoErrorReadonly]),
    says_any(&["resource busy", "target is busy"])
        .at(&[Phase::Stage, Phase::Attach])
        .general()
        .likely(Is::DeviceBusy, &[Is::VolumeInUseElsewhere]),
    says_any(&[
        "connection timed out",
        "connection refused",
        "no route to host",
        "network is unreachable",
        "network unreachable",
        "host is unreachable",
        "operation timed out",
        "name or service not known",
        "temporary failure in name resolution",
        "no such host",
        "host is down",
        "i/o timeout",
    ])
    .at(&[Phase::Stage, Phase::Publish])
    .but_not(&[
        "https://",
        "http://",
        "dial unix",
        "/api/",
        "service account",
    ])
    .general()
    .likely(
        Is::DataPathUnreachable,
        &[Is::ApiUnreachable, Is::CsiDriverUnavailable],
    ),
    // Go's HTTP and gRPC clients: `Get "https://…": dial tcp …`.
    says_any(&[
        "dial tcp",
        "tls handshake timeout",
        "client.timeout exceeded",
        "x509: ",
        "no such host",
        "http: server gave http response",
    ])
    .with(&[
        "http://",
        "https://",
        "lookup",
        "i/o timeout",
        "connection refused",
        "no route to host",
        "x509: ",
        "timeout",
        "unreachable",
        "no such host",
    ])
    .general()
    .likely(
        Is::ApiUnreachable,
        &[Is::CsiDriverUnavailable, Is::DriverMisconfigured],
    ),
    says_any(&[
        "connection timed out",
        "connection refused",
        "no route to host",
        "network is unreachable",
        "network unreachable",
        "host is unreachable",
        "operation timed out",
        "name or service not known",
        "temporary failure in name resolution",
        "no such host",
        "i/o timeout",
        "could not resolve host",
        "502 bad gateway",
        "503 service unavailable",
        "504 gateway",
        "service unavailable",
        "connection reset by peer",
    ])
    .at(&[
        Phase::Provision,
        Phase::Attach,
        Phase::Detach,
        Phase::Delete,
        Phase::Expand,
        Phase::Snapshot,
        Phase::Restore,
    ])
    .general()
    .likely(
        Is::ApiUnreachable,
        &[Is::CsiDriverUnavailable, Is::StorageBackendDegraded],
    ),
    says_any(&["not a directory", "is a directory"])
        .at(&[Phase::Publish])
        .weak()
        .likely(Is::PathInvalid, &[Is::StaleMount]),
    says_any(&["lstat", "stat ", "chmod", "chown"])
        .with(&["no such file or directory"])
        .at(&[Phase::Publish])
        .but_not(&["kubernetes.io~"])
        .weak()
        .likely(Is::PathInvalid, &[Is::FsgroupOwnership, Is::StaleMount]),
];
