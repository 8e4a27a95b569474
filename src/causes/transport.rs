//! How block transports word a session that cannot be made or a device that does not come:
//! iSCSI, `NVMe` over fabrics, Fibre Channel, multipath, dm-crypt.
//!
//! Sources: open-iscsi `usr/{iscsiadm,initiator}.c`, nvme-cli and Linux `drivers/nvme/host`,
//! multipath-tools, cryptsetup; Kubernetes `pkg/volume/{iscsi,fc}` and csi-lib-iscsi. Knows
//! nothing of the arrays behind them.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // Kubernetes `pkg/volume/iscsi/iscsi_util.go`, when no portal gave a device.
    says(&["failed to get any path for iscsi disk"])
        .general()
        .likely(
            Is::BlockTransportLoginFailed,
            &[Is::DeviceNotFound, Is::MountHelperMissing],
        ),
    says(&["modprobe: error: could not insert '"]).states(Is::KernelSupportMissing),
    // Trident `utils/iscsi.go`: how multipath must be set up on the node.
    says_any(&[
        "unsupported find_multipaths",
        "find_multipaths",
        "multipath.conf",
    ])
    .likely(
        Is::DriverMisconfigured,
        &[Is::DeviceBusy, Is::DeviceNotFound],
    ),
    // Linux `drivers/scsi/libiscsi.c` and open-iscsi, in the logs: a session's connection broke.
    says_any(&["detected conn error", "ping timeout of "])
        .likely(Is::DataPathUnreachable, &[Is::BlockTransportLoginFailed]),
    // A block volume's staging file is not there when it is to be published.
    says(&["special device ", "volumedevices/staging", "does not exist"]).likely(
        Is::ComponentStateStale,
        &[Is::DeviceNotFound, Is::PathInvalid],
    ),
    // iscsiadm loads the kernel's transport before it logs in.
    says_any(&[
        "could not insert module tcp",
        "iscsi driver tcp is not loaded",
        "iscsi driver not found",
        "kmod error",
    ])
    .states(Is::KernelSupportMissing),
    // A bind mount whose source is not there: mount(8) calls any source a device.
    says(&["special device ", "does not exist"])
        .general()
        .likely(
            Is::PathInvalid,
            &[Is::DeviceNotFound, Is::MountDaemonFailed],
        ),
    // Drivers that run the host's tools by entering its namespaces.
    says(&["nsenter: "]).likely(
        Is::MountHelperMissing,
        &[Is::DriverDefect, Is::DriverMisconfigured],
    ),
    // Tools that are not there.
    says_any(&["iscsiadm", "open-iscsi", "iscsid", "multipathd", "nvme-cli"])
        .with(&[
            "not installed",
            "please make sure",
            "not found in $path",
            "command not found",
            "is not running",
            "not running",
            "no such file or directory",
            "can not connect to iscsi daemon",
            "could not connect to iscsid",
            "failed to start",
        ])
        .but_not(&["no records found", "fail to resolve address"])
        .likely(
            Is::MountHelperMissing,
            &[Is::BlockTransportLoginFailed, Is::DriverMisconfigured],
        ),
    says_any(&[
        "can not connect to iscsi daemon",
        "cannot connect to iscsi daemon",
        "could not connect to iscsid",
        "can't connect to iscsi daemon",
    ])
    .likely(Is::MountHelperMissing, &[Is::BlockTransportLoginFailed]),
    // Sessions.
    says_any(&[
        "failed to log in to any iscsi targets",
        "iscsiadm: could not login to",
        "could not log into all portals",
        "could not login to all portals",
        "login to the iscsi target failed",
        "initiator reported error",
        "login authentication failed",
        "iscsiadm: cannot make connection to",
        "iscsiadm: connection to discovery",
        "iscsiadm: could not perform sendtargets discovery",
        "iscsiadm: no records found",
        "iscsi: failed to sendtargets",
        "failed to sendtargets to portal",
    ])
    .but_not(&[
        "not installed",
        "device is in use",
        "iscsi daemon",
        "connect to iscsid",
        "driver not found",
        "is not loaded",
        "nsenter",
    ])
    .states(Is::BlockTransportLoginFailed),
    // Drivers that call iscsiadm put their own words before its; what it says itself goes first.
    says_any(&[
        "failed to run iscsi login",
        "failed to login with target iqn",
        "failed to login to target",
        "failed to log in to target",
        "iscsi login",
        "0 initiator",
        "iscsi initiator",
        "iscsi session",
        "no portal found",
        "no active iscsi",
        "iscsiadm: no session found",
        "iscsiadm: no active sessions",
    ])
    .but_not(&[
        "not installed",
        "iscsi daemon",
        "connect to iscsid",
        "nsenter",
        "driver not found",
        "is not loaded",
    ])
    .general()
    .likely(
        Is::BlockTransportLoginFailed,
        &[
            Is::MountHelperMissing,
            Is::DataPathUnreachable,
            Is::VolumeInUseElsewhere,
        ],
    ),
    says_any(&["iscsiadm: ", "iscsi"])
        .with(&[
            "login",
            "log in",
            "discovery",
            "portal",
            "authorization failure",
            "chap",
        ])
        .but_not(&["not installed"])
        .general()
        .likely(
            Is::BlockTransportLoginFailed,
            &[Is::DataPathUnreachable, Is::MountHelperMissing],
        ),
    // nvme-cli `fabrics.c` and libnvme: the connect or discover command failed.
    says_any(&[
        "failed to write to /dev/nvme-fabrics",
        "nvme connect failed",
        "failed to connect to nvme",
        "nvme: failed to connect",
        "nvme connect",
        "could not connect to any nvme",
        "nvmeof connect",
        "nvme discover",
    ])
    .with(&[
        "fail",
        "error",
        "refused",
        "timed out",
        "could not",
        "unable",
    ])
    .but_not(&["no such file or directory", "modprobe", "not installed"])
    .likely(
        Is::BlockTransportLoginFailed,
        &[Is::DataPathUnreachable, Is::KernelSupportMissing],
    ),
    says_any(&[
        "no fc initiator",
        "no initiators",
        "no iqn",
        "initiator name not found",
        "initiatorname",
        "no host initiators",
        "no nqn",
        "hostnqn",
        "host nqn",
        "no wwpn",
        "initiator group",
        "no iscsi initiator",
    ])
    .likely(
        Is::BlockTransportLoginFailed,
        &[Is::NodeUnknownToDriver, Is::DriverMisconfigured],
    ),
    says_any(&[
        "nvme-tcp",
        "nvme_tcp",
        "nvme-fabrics",
        "nvme_fabrics",
        "dm_crypt",
        "dm_multipath",
        "dm-multipath",
        "iscsi_tcp",
        "dm_snapshot",
        "dm_thin_pool",
        "dm-thin-pool",
    ])
    .with(&[
        "module",
        "modprobe",
        "no such file or directory",
        "no such device",
    ])
    .likely(Is::KernelSupportMissing, &[Is::BlockTransportLoginFailed]),
    // Devices that do not come, as drivers and mount(8) say it.
    says_any(&[
        "devicenotfound",
        "unable to find device after",
        "devices not found",
        "file not found for pattern /dev/",
        "is not accessible, is host /dev mounted",
        "unable to find device path",
        "could not find device path",
        "no device path for",
        "device path not found",
        "no device found",
        "failed to find device",
        "couldn't find device",
        "could not find device",
        "cannot find device",
        "can't find device",
        "unable to find device",
        "failed to find the device",
        "timeout waiting for device",
        "timed out waiting for device",
        "waiting for device path",
        "device did not appear",
        "no such device path",
        "find device path failed",
        "devicepath is empty",
        "failed to locate device",
        "unable to locate device",
        "no attached disk found",
        "no disk found",
        "nvme device not found",
        "volume device not found",
        "disk not found on node",
        "no multipath device found",
        "multipath device not found",
        "fc: no fc disk found",
        "no fc disk found",
        "timeout: device",
    ])
    .states(Is::DeviceNotFound),
    says(&["special device /dev/", "does not exist"]).states(Is::DeviceNotFound),
    says_any(&[
        "lun ",
        "/dev/disk/by-",
        "/dev/nvme",
        "/dev/sd",
        "/dev/xvd",
        "/dev/vd",
        "/dev/mapper",
        "/dev/longhorn",
        "/dev/zvol",
        "/dev/drbd",
    ])
    .with(&[
        "does not exist",
        "not found",
        "no such file or directory",
        "no such device",
    ])
    .at(&[Phase::Stage, Phase::Publish, Phase::Attach])
    .general()
    .likely(Is::DeviceNotFound, &[Is::ComponentStateStale]),
    // Devices that are held.
    says_any(&[
        "could not be deleted because the device is in use",
        "map in use",
        "device is in use",
        "device is busy",
        "device busy",
        "is held by",
        "resource busy",
        "already open",
        "volume is busy",
    ])
    .with(&[
        "multipath",
        "dmsetup",
        "device-mapper",
        "dm-",
        "cryptsetup",
        "rbd",
        "/dev/",
        "luks",
    ])
    .at(&[
        Phase::Stage,
        Phase::Attach,
        Phase::Provision,
        Phase::Publish,
        Phase::Expand,
    ])
    .likely(Is::DeviceBusy, &[Is::VolumeInUseElsewhere]),
    // Storage Plug-in for Containers of Hitachi, message HSPC0x00009026.
    says(&["could not be deleted because the device is in use"]).states(Is::DeviceBusy),
    // cryptsetup.
    says(&["no key available with this passphrase"]).states(Is::DriverSecretInvalid),
    says_any(&["is not a valid luks device", "not a luks device"]).states(Is::FilesystemMismatch),
    // The same said more loosely, by drivers of any kind.
    says_any(&[
        "device not found",
        "device to appear",
        "device path is empty",
        "failed to get device path",
        "could not get device path",
        "failed to get device",
        "does not exist and no size was specified",
        "no such device or address",
    ])
    .at(&[Phase::Stage, Phase::Publish])
    .general()
    .likely(
        Is::DeviceNotFound,
        &[Is::ComponentStateStale, Is::VolumeNotFoundBackend],
    ),
    // Drivers that wait for udev to make the device's path.
    says_any(&[
        "timeout waiting for",
        "timed out waiting for",
        "hit timeout waiting for",
    ])
    .with(&[
        "/dev/",
        "device node",
        "device path",
        "volume path",
        "device to",
    ])
    .at(&[Phase::Stage, Phase::Attach, Phase::Publish])
    .general()
    .likely(
        Is::DeviceNotFound,
        &[Is::BlockTransportLoginFailed, Is::StorageBackendDegraded],
    ),
];
