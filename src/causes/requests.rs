//! How almost any driver words that it cannot do what was asked: parameters, sizes, capabilities.
//!
//! Source: the CSI specification, `CreateVolume` and its kin: `INVALID_ARGUMENT`, `OUT_OF_RANGE` and
//! what drivers write beside them. Knows nothing of what a particular driver offers.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // Any driver or backend, in so many words.
    says_any(&[
        "not support snapshot",
        "not support volume snapshot",
        "not support clon",
        "not support volume clon",
        "snapshots are not supported",
        "snapshot is not supported",
        "snapshotting is not supported",
        "cloning is not supported",
    ])
    .at(&[Phase::Snapshot, Phase::Restore, Phase::Provision])
    .states(Is::UnsupportedCapability),
    // Parameters of the class.
    says_any(&[
        "invalid parameter",
        "unknown parameter",
        "invalid option",
        "unrecognized parameter",
        "unsupported parameter",
        "invalid storageclass parameter",
        "invalid storage class parameter",
        "parameter is required",
        "parameter must be",
        "missing required parameter",
        "required parameter",
        "missing parameter",
        "in storage class",
        "in storageclass",
        "storage class parameter",
        "storageclass parameter",
        "invalid value for parameter",
        "must be specified in the storage",
        "invalid volume type",
        "unknown volume type",
        "volume type not found",
        "parameters",
    ])
    .with(&[
        "invalid",
        "unknown",
        "unrecognized",
        "unsupported",
        "required",
        "missing",
        "must be",
        "not found",
        "not a valid",
    ])
    .but_not(&["accessmode", "access mode", "secret", "snapshot class"])
    .at(&[Phase::Provision, Phase::Restore])
    .likely(
        Is::StorageclassInvalid,
        &[Is::UnsupportedCapability, Is::DriverMisconfigured],
    ),
    // Size.
    says_any(&[
        "parameter 'size' is not valid",
        "parameter 'newsize' is not valid",
        "'size' is not valid",
        "new size",
        "newsize",
        "be resized up",
        "must be greater than",
        "bigger than",
        "multiples of",
        "multiple of",
        "less than current",
        "smaller than current",
        "larger than current",
        "size is smaller",
        "invalid capacity",
        "invalid size",
        "size must be",
        "minimum size",
        "minimum volume size",
        "maximum volume size",
        "must be at least",
        "must be between",
        "should be between",
        "smaller than the minimum",
        "less than the minimum",
        "exceeds the maximum",
        "larger than the maximum",
        "too small",
        "too large",
        "out of range",
        "capacity range",
        "size is smaller than",
        "below the minimum",
        "smaller than minimum",
        "greater than the maximum",
        "shrink",
        "cannot be smaller",
        "must be a multiple",
        "invalid disk size",
        "requested size",
    ])
    .with(&[
        "resize", "size", "capacity", "volume", "gib", "bytes", "shrink",
    ])
    .but_not(&["snapshot", "data source", "grpc: received message"])
    .at(&[Phase::Provision, Phase::Expand, Phase::Restore])
    .general()
    .likely(
        Is::InvalidSizeRequest,
        &[Is::StorageclassInvalid, Is::BackendCapacityExhausted],
    ),
    // Capabilities.
    says_any(&[
        "volume capabilities not supported",
        "volume capability not supported",
        "access mode not supported",
        "unsupported access mode",
        "not supported access mode",
        "access type not supported",
        "unsupported volume capability",
        "accessmode not supported",
        "access mode is not supported",
        "access modes are not supported",
        "unsupported accessmode",
        "invalid access mode",
        "block volume not supported",
        "block access type",
        "multi_node_multi_writer",
        "multi_node_multi_writer is only supported",
        "readwritemany",
        "volume capabilities",
        "volume capability",
        "access mode",
        "accessmode",
        "single_node_writer",
        "volume mode",
        "volumemode",
        "only readwriteonce",
        "block mode",
        "raw block",
    ])
    .with(&[
        "not supported",
        "unsupported",
        "only support",
        "is supported",
        "are supported",
        "not valid",
        "cannot",
        "doesn't support",
        "does not support",
        "invalid",
        "not allowed",
    ])
    .but_not(&["requested volume", "cannot bind to requested volume"])
    .likely(
        Is::UnsupportedCapability,
        &[Is::StorageclassInvalid, Is::DriverDefect],
    ),
    // The code alone, by the specification's tables.
    says(&["code = outofrange"])
        .at(&[Phase::Provision, Phase::Restore, Phase::Expand])
        .weak()
        .likely(Is::InvalidSizeRequest, &[Is::BackendCapacityExhausted]),
    says(&["code = unimplemented"])
        .at(&[Phase::Expand])
        .weak()
        .likely(Is::ExpandUnsupported, &[Is::DriverDefect]),
    says(&["code = unimplemented"])
        .weak()
        .likely(Is::UnsupportedCapability, &[Is::DriverDefect]),
    says_any(&[
        "volume type",
        "disk type",
        "storage type",
        "storage tier",
        "disk category",
        "sku",
    ])
    .with(&[
        "not found",
        "invalid",
        "unknown",
        "not supported",
        "unsupported",
        "does not exist",
        "not available",
    ])
    .at(&[Phase::Provision])
    .general()
    .likely(
        Is::StorageclassInvalid,
        &[Is::TopologyMismatch, Is::UnsupportedCapability],
    ),
    says(&["code = invalidargument"])
        .at(&[Phase::Provision])
        .but_not(&[
            "snapshot",
            "data source",
            "secret",
            "credential",
            "rados: ret=",
        ])
        .weak()
        .likely(
            Is::StorageclassInvalid,
            &[Is::UnsupportedCapability, Is::InvalidSizeRequest],
        ),
    says(&["code = aborted"])
        .at(&[Phase::Provision, Phase::Snapshot, Phase::Restore])
        .weak()
        .likely(
            Is::OperationInProgress,
            &[Is::StorageBackendDegraded, Is::ApiUnreachable],
        ),
    // Go `strconv`: a parameter's value is not the number that it must be.
    says_any(&["strconv.parse", "strconv.atoi"])
        .at(&[Phase::Provision])
        .general()
        .likely(Is::StorageclassInvalid, &[Is::DriverDefect]),
];
