//! How vSphere and its CSI driver word their errors.
//!
//! Sources: govmomi and vim fault names; vsphere-csi-driver `pkg/csi/service`. Knows nothing of the
//! virtual machines behind them.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // vim faults and the driver's own words for a datastore that a host does not see.
    says_any(&["datastore"])
        .near(&[
            "is not accessible on the host",
            "no access to the datastore",
            "not accessible from the host",
            "is inaccessible",
        ])
        .at(&[Phase::Attach])
        .likely(
            Is::TopologyMismatch,
            &[Is::StorageBackendDegraded, Is::DriverMisconfigured],
        ),
    // The vim fault of a volume that a virtual machine has, when it is to be deleted.
    says_any(&["types.resourceinuse", "the resource 'volume' is in use"])
        .at(&[Phase::Delete])
        .states(Is::DeleteBlockedInUse),
    // CNS `VolumeMetadata.ContainerCluster`: the driver's `cluster-id` is empty or too long.
    says(&["volumemetadata has invalid cluster id"]).states(Is::DriverMisconfigured),
    // vCenter's own database, as its services word it.
    says(&["database temporarily unavailable"]).states(Is::StorageBackendDegraded),
    says_any(&["attaching ", "attachment of "])
        .near(&["is not supported", "are not supported"])
        .at(&[Phase::Attach])
        .likely(
            Is::UnsupportedCapability,
            &[Is::VolumeInUseElsewhere, Is::DriverMisconfigured],
        ),
    says_any(&["disk.enableuuid", "enableuuid"])
        .likely(Is::DriverMisconfigured, &[Is::DeviceNotFound]),
    says_any(&[
        "unitnumber",
        "no available slot",
        "no free slot",
        "controller is full",
        "no slots",
    ])
    .at(&[Phase::Attach])
    .likely(Is::NodeAttachLimit, &[Is::DriverMisconfigured]),
    // vsphere-csi-driver `pkg/csi/service/common/commonco`.
    says_any(&[
        "csinodetopology",
        "topology information for node",
        "failed to retrieve topology",
    ])
    .likely(
        Is::NodeUnknownToDriver,
        &[Is::DriverMisconfigured, Is::CsiDriverUnavailable],
    ),
    says(&["node ", "is not added to any"]).states(Is::NodeUnknownToDriver),
    // CNS lists no such volume; VSLM knows no such object.
    says(&["is not registered as", "cns volume"]).states(Is::VolumeNotFoundBackend),
    says(&["vstorageobject", "was not found"]).states(Is::VolumeNotFoundBackend),
    // vSphere CSI migration: the default datastore of the cloud configuration.
    says(&["default datastore", "not found"]).states(Is::DriverMisconfigured),
    says(&["failed to access datastore", "not found"])
        .general()
        .states(Is::DriverMisconfigured),
    // govmomi finder, about a datastore that a class names.
    says(&["datastore '", "' not found"]).states(Is::StorageclassInvalid),
    says_any(&["storage policy", "storagepolicy", "policy name"])
        .with(&[
            "not found",
            "does not exist",
            "no pbm profile found",
            "cannot find",
        ])
        .likely(Is::StorageclassInvalid, &[Is::DriverMisconfigured]),
    says(&["no pbm profile found"]).states(Is::StorageclassInvalid),
    // Cloud provider for vSphere and govmomi: no machine of that name or UUID.
    says_any(&[
        "no vm found",
        "virtual machine wasn't found",
        "virtual machine was not found",
        "couldn't find vm",
        "failed to find virtualmachine",
        "failed to find vm",
        "vm not found",
        "node wasn't found",
        "unable to find vm",
        "no virtual machine",
    ])
    .states(Is::NodeUnknownToDriver),
    says_any(&[
        "failed to get node",
        "failed to find node",
        "unable to find node",
        "failed to find virtualmachine for node",
        "node not found",
        "nodenotfound",
        "no node found",
        "could not find node",
        "node does not exist",
        "unknown node",
    ])
    .at(&[Phase::Attach])
    .general()
    .likely(Is::NodeUnknownToDriver, &[Is::StaleAttachmentDeadNode]),
    says_any(&[
        "incorrect user name or password",
        "cannot complete login",
        "invalidlogin",
        "serverfaultcode: cannot complete login",
        "notauthenticated",
        "session is not authenticated",
    ])
    .states(Is::BackendAuthFailed),
    says_any(&[
        "permission to perform this operation was denied",
        "nopermission",
    ])
    .states(Is::BackendPermissionDenied),
    says_any(&[
        "no compatible datastore",
        "not accessible to all nodes",
        "no shared datastore",
        "no datastore accessible",
        "is not accessible for node",
        "not accessible from node",
        "not present in shared",
    ])
    .likely(
        Is::TopologyMismatch,
        &[Is::DriverMisconfigured, Is::StorageclassInvalid],
    ),
    says_any(&[
        "no more device slots",
        "scsi controllers",
        "number of scsi",
        "out of unit numbers",
        "no free unit number",
        "too many devices",
    ])
    .likely(Is::NodeAttachLimit, &[Is::DriverMisconfigured]),
    says_any(&[
        "failed to lock the file",
        "the resource '",
        "file is locked",
        "unable to access file since it is locked",
        "locked file",
    ])
    .with(&["lock", "is in use"])
    .likely(
        Is::MultiAttachPreviousNode,
        &[Is::VolumeInUseElsewhere, Is::StaleAttachmentDeadNode],
    ),
    says_any(&[
        "failed to retrieve datastore for vol",
        "object or item referred to could not be found",
        "object could not be found",
        "managedobjectnotfound",
        "has already been deleted or has not been completely created",
        "volumeid not found",
        "failed to find volume",
    ])
    .likely(Is::VolumeNotFoundBackend, &[Is::NodeUnknownToDriver]),
    // vsphere-csi-driver, on a Supervisor without file services.
    says_any(&[
        "file volume not supported",
        "file volumes are not supported",
    ])
    .states(Is::UnsupportedCapability),
    says(&["no such host", "vcenter"]).states(Is::ApiUnreachable),
    says_any(&[
        "node id '",
        "node id: ",
        "node '",
        "nodes '",
        "instance '",
        "instances/",
        "server '",
        "node with id",
        "instance with id",
    ])
    .with(&[
        "' not found",
        "was not found",
        "does not exist",
        "not found",
    ])
    .at(&[Phase::Attach])
    .but_not(&[
        "volume '",
        "disk '",
        "disks/",
        "volume not found",
        "csinode",
        "volumeattachment",
        "snapshot",
    ])
    .general()
    .likely(
        Is::NodeUnknownToDriver,
        &[Is::StaleAttachmentDeadNode, Is::VolumeNotFoundBackend],
    ),
    // govmomi `find/error.go`: a name of the configuration fits none, or several.
    says(&["resolves to multiple instances, please specify"])
        .likely(Is::DriverMisconfigured, &[Is::StorageclassInvalid]),
    says_any(&["no datastores found", "no datastore found"]).likely(
        Is::DriverMisconfigured,
        &[Is::TopologyMismatch, Is::StorageclassInvalid],
    ),
];
