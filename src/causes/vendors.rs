//! How the drivers of smaller clouds, of arrays and of home servers word their errors.
//!
//! Sources: csi drivers of Hetzner, `DigitalOcean`, Linode, Scaleway, Vultr, Oracle, Synology,
//! Portworx, Dell, HPE, Pure, Huawei; democratic-csi (errors of Node.js and of `TrueNAS`). Knows
//! nothing of the systems' own state.

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

/// How Node.js names what it gets from the network (`libuv` error names).
const LIBUV: &[&str] = &[
    "econnrefused",
    "etimedout",
    "ehostunreach",
    "enetunreach",
    " enotfound",
    "eai_again",
    "econnreset",
];

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // ONTAP about an object of the SVM that the backend's file names: export policy, aggregate.
    says(&["api status: failed", "entry doesn't exist"])
        .at(&[Phase::Provision])
        .likely(Is::DriverMisconfigured, &[Is::StorageclassInvalid]),
    says_any(LIBUV)
        .at(CONTROLLER)
        .general()
        .states(Is::ApiUnreachable),
    says_any(LIBUV)
        .at(&[Phase::Stage, Phase::Publish])
        .general()
        .likely(Is::DataPathUnreachable, &[Is::ApiUnreachable]),
    // ssh2 of Node.js and golang.org/x/crypto/ssh: a driver that works over SSH.
    says_any(&[
        "all configured authentication methods failed",
        "ssh: unable to authenticate",
        "ssh: handshake failed",
        "host key verification failed",
    ])
    .states(Is::BackendAuthFailed),
    // Synology, `pkg/driver/controllerserver.go` and DSM error texts.
    says_any(&[
        "out of free space",
        "no free space",
        "free space not enough",
    ])
    .at(&[Phase::Provision, Phase::Restore, Phase::Expand])
    .states(Is::BackendCapacityExhausted),
    says_any(&[
        "couldn't find any host available",
        "can't find any host",
        "no dsm",
    ])
    .likely(
        Is::DriverMisconfigured,
        &[Is::BackendAuthFailed, Is::ApiUnreachable],
    ),
    // Hetzner, Scaleway, Vultr, Linode: FAILED_PRECONDITION of ControllerPublishVolume.
    says_any(&[
        "volume is attached",
        "is attached to another server",
        "attached to another instance",
        "attached to another linode",
        "attached to another droplet",
        "is already attached to a server",
        "already attached to a different",
    ])
    .at(&[Phase::Attach])
    .general()
    .likely(
        Is::MultiAttachPreviousNode,
        &[Is::VolumeInUseElsewhere, Is::StaleAttachmentDeadNode],
    ),
    // CSI specification, ControllerPublishVolume: the volume is published elsewhere.
    says(&["volume"])
        .with(&["attached", "published", "in use"])
        .at(&[Phase::Attach])
        .code(&[GrpcCode::FailedPrecondition])
        .but_not(&["not attached", "is not ", "isn't "])
        .weak()
        .likely(
            Is::MultiAttachPreviousNode,
            &[Is::VolumeInUseElsewhere, Is::StaleVolumeattachment],
        ),
    // Cloud provider IDs: the node object lacks one, or it has the wrong form.
    says_any(&[
        "missing provider id",
        "providerid is empty",
        "provider id is empty",
        "could not parse providerid",
        "invalid provider id",
        "invalid providerid",
        "failed to get providerid",
        "error parsing providerid",
    ])
    .likely(Is::NodeUnknownToDriver, &[Is::DriverMisconfigured]),
    // Portworx `api/server` and `cluster`.
    says_any(&[
        "could not find a running portworx node",
        "failed to connect to portworx",
        "portworx is not running",
        "portworx service is not",
    ])
    .likely(Is::CsiDriverUnavailable, &[Is::StorageBackendDegraded]),
    says_any(&[
        "not in quorum",
        "no quorum",
        "storage is down",
        "pools are offline",
        "pool offline",
    ])
    .likely(Is::StorageBackendDegraded, &[Is::ApiUnreachable]),
    // Dell, HPE, Pure, Huawei: the array's answer about this host.
    says_any(&["host ", "host group", "initiator"])
        .near(&[
            "is not registered",
            "not registered",
            "not logged in",
            "is offline",
            "is not online",
            "not connected to",
        ])
        .at(&[Phase::Attach, Phase::Stage])
        .but_not(&["csi driver"])
        .general()
        .likely(
            Is::BlockTransportLoginFailed,
            &[Is::NodeUnknownToDriver, Is::DataPathUnreachable],
        ),
    // Arrays that count the LUNs of a host.
    says_any(&["lun", "luns", "lun id"])
        .near(&["exhausted", "no available", "maximum", "limit", "no free"])
        .at(&[Phase::Attach, Phase::Stage])
        .general()
        .likely(Is::NodeAttachLimit, &[Is::BackendQuotaExceeded]),
    // Linode API and the like.
    says_any(&[
        "reached a limit for the number of",
        "request an increase",
        "contact support to request",
    ])
    .at(&[Phase::Provision, Phase::Restore])
    .states(Is::BackendQuotaExceeded),
    says_any(&[
        "payment required",
        "notenoughbalance",
        "not enough balance",
        "balance is not enough",
        "account is suspended",
        "account has been suspended",
        "account is locked",
        "subscription is disabled",
        "subscription is not in the",
        "readonlydisabledsubscription",
    ])
    .states(Is::BackendQuotaExceeded),
    // Trident `core/orchestrator_core.go`: a backend's configuration does not come up.
    says_any(&[
        "problem initializing storage driver",
        "could not configure storage pools",
    ])
    .likely(
        Is::DriverMisconfigured,
        &[Is::BackendAuthFailed, Is::ApiUnreachable],
    ),
];
