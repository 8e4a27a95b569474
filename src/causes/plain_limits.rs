//! How any software says in plain English that something is full, limited, held or not possible: a
//! noun and what is said of it, near each other, read with the stage.
//!
//! Source: common usage; the stages and what can fail there are the CSI specification's. These rows
//! are weak and give likely causes only: they speak where no one else does.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says_any};
use crate::causes::plain_words::{HELD, LIMITED, NO_MORE, UNFIT, UNSUPPORTED};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    says_any(&["size", "capacity", "requested storage"])
        .near(UNFIT)
        .at(&[Phase::Provision, Phase::Expand])
        .but_not(&[
            "snapshot",
            "data source",
            "free ",
            "available",
            "batch size",
            "message size",
            "not enough",
            "insufficient",
        ])
        .weak()
        .likely(
            Is::InvalidSizeRequest,
            &[Is::StorageclassInvalid, Is::BackendCapacityExhausted],
        ),
    says_any(&[
        "space", "capacity", "storage", "pool", "nodes", "extents", "disks", "free",
    ])
    .near(NO_MORE)
    .at(&[Phase::Provision, Phase::Restore, Phase::Expand])
    .weak()
    .likely(
        Is::BackendCapacityExhausted,
        &[Is::BackendQuotaExceeded, Is::DiskFull],
    ),
    says_any(&["exceed", "reach", "over the", "too many", "hit the"])
        .near(LIMITED)
        .at(&[Phase::Provision, Phase::Restore, Phase::Snapshot])
        .but_not(&["size", "rate"])
        .weak()
        .likely(
            Is::BackendQuotaExceeded,
            &[Is::InvalidSizeRequest, Is::BackendCapacityExhausted],
        ),
    says_any(&[
        "exceed",
        "reach",
        "too many",
        "max ",
        "maximum number",
        "can only attach",
        "attach at most",
        "can attach",
    ])
    .near(LIMITED)
    .at(&[Phase::Attach, Phase::Stage])
    .but_not(&["rate", "timed out", "retries", "retry"])
    .weak()
    .likely(Is::NodeAttachLimit, &[Is::BackendQuotaExceeded]),
    says_any(&[
        "volume", "disk", "image", "device", "snapshot", "resource", "share", "dataset",
    ])
    .near(HELD)
    .at(&[Phase::Delete])
    .weak()
    .likely(Is::DeleteBlockedInUse, &[Is::OperationInProgress]),
    says_any(&["volume", "disk", "device", "filesystem", "file system"])
        .near(HELD)
        .at(&[Phase::Expand])
        .weak()
        .likely(
            Is::ExpandNeedsRestart,
            &[Is::OperationInProgress, Is::ExpandUnsupported],
        ),
    says_any(&["device", "mount point", "mountpoint", "disk", "/dev/"])
        .near(HELD)
        .at(&[Phase::Stage])
        .but_not(&["is attached", "no such disk"])
        .weak()
        .likely(Is::DeviceBusy, &[Is::VolumeInUseElsewhere]),
    says_any(&["mount", "device", "volume", "directory"])
        .near(&["in use", "being used", "busy", "held open"])
        .at(&[Phase::Unpublish, Phase::Unstage])
        .weak()
        .likely(Is::UnmountBusy, &[Is::OperationInProgress]),
    says_any(&["volume", "disk", "image"])
        .near(&[
            "in use by",
            "in-use by",
            "being used by",
            "is used by",
            "locked by",
            "is attached to",
            "already attached",
            "attached to another",
            "exclusive",
        ])
        .at(&[Phase::Attach])
        .weak()
        .likely(
            Is::MultiAttachPreviousNode,
            &[
                Is::VolumeInUseElsewhere,
                Is::StaleVolumeattachment,
                Is::StaleAttachmentDeadNode,
            ],
        ),
    says_any(&[
        "snapshot",
        "clone",
        "access mode",
        "block",
        "volume",
        "capability",
    ])
    .near(UNSUPPORTED)
    .at(&[Phase::Provision, Phase::Restore, Phase::Snapshot])
    .weak()
    .likely(
        Is::UnsupportedCapability,
        &[Is::StorageclassInvalid, Is::DriverDefect],
    ),
    says_any(&["expand", "expansion", "resize", "resizing", "extend"])
        .near(UNSUPPORTED)
        .at(&[Phase::Expand])
        .weak()
        .likely(Is::ExpandUnsupported, &[Is::ExpandNeedsRestart]),
];
