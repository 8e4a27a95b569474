//! How Windows, PowerShell and csi-proxy word errors of storage on a Windows node.
//!
//! Sources: Windows system error messages (`winerror.h`), csi-proxy `pkg/os/{smb,disk,volume}`,
//! csi-driver-smb and azurefile-csi-driver for Windows. Knows nothing of Linux mounts.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    says_any(&[
        "the specified network password is not correct",
        "the user name or password is incorrect",
        "logon failure: ",
    ])
    .at(&[Phase::Stage, Phase::Publish])
    .states(Is::DataPathAuthFailed),
    says_any(&["the network name cannot be found"]).states(Is::PathInvalid),
    says_any(&[
        "the network path was not found",
        "the specified server cannot perform the requested operation",
        "the network name is no longer available",
        "the remote computer is not available",
    ])
    .likely(
        Is::DataPathUnreachable,
        &[Is::ExportAccessDenied, Is::DataPathAuthFailed],
    ),
    says_any(&["new-smbglobalmapping", "smb mapping"])
        .with(&["access is denied"])
        .likely(Is::DataPathAuthFailed, &[Is::ExportAccessDenied]),
    says_any(&["\\\\.\\pipe\\csi-proxy", "pipe\\\\csi-proxy", "csi-proxy-"])
        .with(&[
            "cannot find the file specified",
            "open \\\\.\\pipe",
            "connection refused",
            "error while dialing",
        ])
        .states(Is::MountHelperMissing),
    says_any(&[
        "local device name is already in use",
        "multiple connections to a server or shared resource by the same user",
    ])
    .likely(Is::DeviceBusy, &[Is::ComponentStateStale]),
    says_any(&[
        "the system cannot find the path specified",
        "cannot find the file specified",
    ])
    .at(&[Phase::Publish, Phase::Stage])
    .general()
    .likely(
        Is::PathInvalid,
        &[Is::KubeletDirMismatch, Is::DeviceNotFound],
    ),
];
