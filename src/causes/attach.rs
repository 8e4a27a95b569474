//! How attaching and detaching are refused: the attach/detach controller and what it hears.
//!
//! Sources: Kubernetes `pkg/controller/volume/attachdetach/reconciler`,
//! `pkg/volume/csi/csi_attacher.go`. Knows nothing of a particular cloud: see `clouds`.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // ECS, EC2 and Cinder name the state that a volume passes through.
    says_any(&[
        " is attaching",
        " is detaching",
        "status is detaching",
        "in state detaching",
        "in state attaching",
    ])
    .at(&[Phase::Attach, Phase::Detach])
    .general()
    .likely(
        Is::OperationInProgress,
        &[Is::StorageBackendDegraded, Is::StaleVolumeattachment],
    ),
    // Kubernetes `pkg/volume/{awsebs,gcepd}`: attached, and no device came.
    says(&[
        "could not find attached ",
        "timeout waiting for mount paths",
    ])
    .states(Is::DeviceNotFound),
    // `pkg/volume/csi/csi_attacher.go`: the watch on a VolumeAttachment broke.
    says(&["watch error:", "volumeattachments"]).likely(
        Is::ComponentStateStale,
        &[Is::ApiUnreachable, Is::TransientRetry],
    ),
    // API server: the name is still taken by an object that waits for its finalizers.
    says_any(&["object is being deleted"])
        .with(&["volumeattachment"])
        .likely(Is::StaleVolumeattachment, &[Is::StaleAttachmentDeadNode]),
    says(&["multi-attach error", "volume is already used by"]).likely(
        Is::VolumeInUseElsewhere,
        &[Is::MultiAttachPreviousNode, Is::StaleAttachmentDeadNode],
    ),
    says(&[
        "multi-attach error",
        "already exclusively attached to one node",
    ])
    .likely(
        Is::MultiAttachPreviousNode,
        &[
            Is::VolumeInUseElsewhere,
            Is::StaleAttachmentDeadNode,
            Is::StaleVolumeattachment,
        ],
    ),
    says(&["volume attachment is being deleted"]).states(Is::StaleVolumeattachment),
    says(&["timed out waiting for external-attacher"]).likely(
        Is::CsiDriverUnavailable,
        &[
            Is::StorageBackendDegraded,
            Is::ApiUnreachable,
            Is::OperationInProgress,
        ],
    ),
    // Any driver, about a volume that hangs on another node.
    says_any(&[
        "is already attached to node",
        "already attached to another node",
        "is attached to another node",
        "is attached to a different node",
        "attached to different node",
        "attached to a different instance",
        "already attached to a different",
        "already published to node",
        "is already published at",
        "already published on node",
        "already attached to an instance",
        "already in use by another node",
    ])
    .likely(
        Is::MultiAttachPreviousNode,
        &[
            Is::VolumeInUseElsewhere,
            Is::StaleVolumeattachment,
            Is::StaleAttachmentDeadNode,
        ],
    ),
    says_any(&[
        "still attached to node",
        "is still attached to",
        "failed to detach",
        "could not detach",
        "cannot detach",
    ])
    .at(&[Phase::Attach, Phase::Detach])
    .general()
    .likely(
        Is::StaleVolumeattachment,
        &[Is::MultiAttachPreviousNode, Is::StaleAttachmentDeadNode],
    ),
    says_any(&[
        "node is down",
        "node is not ready",
        "node not ready",
        "is shut down",
        "node is unreachable",
        "node is offline",
    ])
    .at(&[Phase::Attach, Phase::Detach])
    .likely(
        Is::StaleAttachmentDeadNode,
        &[Is::StorageBackendDegraded, Is::CsiDriverUnavailable],
    ),
    // CSI specification, ControllerPublishVolume: "max volumes attached".
    says_any(&[
        "maximum number of volumes attached",
        "max number of volumes attached",
        "attachment limit",
        "attach limit",
        "maximum number of attached",
        "maximum volumes per",
        "max volume attachments",
        "maximum number of disks",
        "maximum number of data disks",
        "too many volumes attached",
        "volumes per node",
        "volumes per droplet",
        "max volumes per node",
        "no available device slots",
        "no free slots",
        "limit of volumes attached",
    ])
    .states(Is::NodeAttachLimit),
    says(&["has reached", "limit", "attached"])
        .at(&[Phase::Attach, Phase::Stage])
        .general()
        .likely(Is::NodeAttachLimit, &[Is::BackendQuotaExceeded]),
];
