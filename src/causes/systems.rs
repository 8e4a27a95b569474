//! More words of storage systems and their drivers: LINSTOR and DRBD, Longhorn, `OpenEBS`, Trident,
//! Portworx, `TopoLVM`, vSphere.
//!
//! Sources: drbd `drbd_strings.c` (`drbd_set_st_err_str`); linstor-server `ApiCallRcImpl` texts;
//! longhorn-manager `manager/volume.go`, `csi/`; jiva and cStor `pkg/controllers`; ONTAP error
//! texts as Trident passes them on; `TopoLVM` `internal/lvmd`; vsphere-csi-driver
//! `pkg/csi/service`. Knows nothing of the systems' own state.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // drbdsetup(8) error -10 (`SS_CW_FAILED_BY_PEER`): the peer is primary or will not yield.
    says_any(&["was refused by peer node", "refused by peer"])
        .likely(Is::VolumeInUseElsewhere, &[Is::StorageBackendDegraded]),
    says_any(&[
        "no active connection to satellite",
        "satellite is not online",
        "no connection to satellite",
        "satellite is offline",
    ])
    .likely(
        Is::StorageBackendDegraded,
        &[Is::StaleAttachmentDeadNode, Is::DriverMisconfigured],
    ),
    // longhorn-manager `manager/volume.go`, Attach: the volume's record names another node.
    says(&["node to be attached ", "is different from previous spec"]).likely(
        Is::VolumeInUseElsewhere,
        &[Is::MultiAttachPreviousNode, Is::StaleAttachmentDeadNode],
    ),
    says_any(&[
        "backup target is not set",
        "no backup target",
        "backup target is not available",
        "backuptarget is not available",
        "backup store is not configured",
    ])
    .states(Is::DriverMisconfigured),
    // longhorn-manager: custom resources that bear the volume's name.
    says(&["volumes.longhorn.io '", "not found"]).states(Is::VolumeNotFoundBackend),
    // jiva and cStor: the target has no replica to serve.
    says_any(&[
        "replicas yet to connect",
        "replica(s) yet to connect",
        "no replicas are connected",
        "nexus is faulted",
        "pool is not online",
        "pool is not ready",
        "target is not ready",
        "targets are not ready",
    ])
    .likely(
        Is::StorageBackendDegraded,
        &[Is::CsiDriverUnavailable, Is::TransientRetry],
    ),
    says_any(&[
        "no block devices found",
        "no blockdevices found",
        "no blockdevice found",
        "no matching blockdevice",
    ])
    .likely(Is::BackendCapacityExhausted, &[Is::DriverMisconfigured]),
    // `TopoLVM` and others that name kinds of disks.
    says_any(&["device class", "deviceclass", "device-class"])
        .near(&["not found", "unknown", "does not exist", "no such"])
        .at(&[Phase::Provision])
        .likely(Is::StorageclassInvalid, &[Is::DriverMisconfigured]),
    // ONTAP: a role that lacks a command.
    says_any(&[
        "not authorized for that command",
        "insufficient privileges",
        "does not have write access to this resource",
        "does not have read access to this resource",
    ])
    .states(Is::BackendPermissionDenied),
    // Portworx `api/server/sdk`: no node or pool fits.
    says_any(&[
        "failed to find provision location",
        "not enough storage pools",
        "could not find enough nodes",
    ])
    .likely(
        Is::BackendCapacityExhausted,
        &[Is::TopologyMismatch, Is::StorageBackendDegraded],
    ),
    // vsphere-csi-driver `cnsvolumeoperation` and `vanilla/controller.go`.
    says_any(&[
        "no file service enabled vsan datastore",
        "file services are not enabled",
        "file service is not enabled",
    ])
    .likely(Is::UnsupportedCapability, &[Is::DriverMisconfigured]),
    says(&["empty list of node vms"]).states(Is::NodeUnknownToDriver),
    // Arrays that answer a host's question for targets with none.
    says_any(&[
        "at least one nvme target required",
        "at least one iscsi target required",
        "no iscsi targets found",
        "no nvme targets found",
        "no targets found",
        "unable to discover targets",
    ])
    .at(&[Phase::Stage, Phase::Publish])
    .likely(
        Is::BlockTransportLoginFailed,
        &[Is::DriverDefect, Is::DriverMisconfigured],
    ),
];
