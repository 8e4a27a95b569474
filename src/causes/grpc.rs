//! What a gRPC status alone means in CSI, when its description says no more.
//!
//! Source: the CSI specification's tables of error codes. Knows nothing of descriptions but the
//! words that drivers borrow from those tables.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says_any};
use crate::model::cause::{CauseId as Is, GrpcCode};

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // Every driver that locks by volume answers Aborted while an earlier call runs.
    says_any(&[
        "an operation with the given volume id",
        "an operation with the given volume",
        "operation is already in progress",
        "operation already in progress",
        "operation in progress",
        "still ongoing",
        "operation pending",
        "another operation is",
        "pending for the volume",
        "being processed by another",
        "already being processed",
        "in progress operation",
        "in-flight",
        "is already in process",
        "already in progress",
        "request already in progress",
        "is in progress",
    ])
    .likely(
        Is::OperationInProgress,
        &[
            Is::StorageBackendDegraded,
            Is::ApiUnreachable,
            Is::DataPathUnreachable,
        ],
    ),
    // grpc-go: the socket of the driver.
    says_any(&[
        "transport is closing",
        "all subconns are in transientfailure",
        "connection error: desc",
        "error reading from server: eof",
        "transport: missing content-type field",
        "connection closed before server preface received",
        "still connecting to unix",
        "failed to connect to the csi driver",
        "csi driver probe failed",
        "error getting driver capabilities",
        "unable to get driver capabilities",
        "error connecting to csi driver",
        "unexpected http status code received from server",
    ])
    .general()
    .likely(
        Is::CsiDriverUnavailable,
        &[Is::DriverDefect, Is::ApiUnreachable],
    ),
    // The driver speaks CSI 1, and the caller that of before, or the other way round.
    says_any(&["unknown service csi.v0"]).states(Is::DriverDefect),
    says_any(&["unknown service csi", "unknown method", "unknown service"])
        .code(&[GrpcCode::Unimplemented])
        .at(&[Phase::Expand])
        .states(Is::ExpandUnsupported),
    says_any(&["unknown service csi", "unknown method", "unknown service"])
        .general()
        .likely(Is::UnsupportedCapability, &[Is::DriverDefect]),
    // Go's run time, when a driver falls over.
    says_any(&[
        "panic: runtime error",
        "nil pointer dereference",
        "runtime error: invalid memory address",
        "index out of range",
    ])
    .states(Is::DriverDefect),
    says_any(&[
        "json: cannot unmarshal",
        "failed to unmarshal",
        "cannot unmarshal",
        "unknown flag",
        "flag provided but not defined",
        "unexpected end of json input",
    ])
    .general()
    .likely(Is::DriverDefect, &[Is::DriverMisconfigured]),
];
