//! Numbers and words of mount helpers beyond the common ones: mount.nfs, mount.cifs, FUSE, ceph-fuse.
//!
//! Sources: nfs-utils `utils/mount/{error,network,stropts}.c`; Linux `fs/smb/client` and cifs-utils
//! `mount.cifs.c`, which prints `mount error(errno)`; libfuse `util/fusermount.c`, `lib/mount.c`;
//! ceph `src/client`, `src/mon/MonClient.cc`. Knows nothing of the servers.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// Stages in which data is mounted.
const MOUNT: &[Phase] = &[Phase::Stage, Phase::Publish];

/// Stages in which a controller speaks with a management API.
const CONTROLLER: &[Phase] = &[
    Phase::Provision,
    Phase::Restore,
    Phase::Attach,
    Phase::Expand,
    Phase::Snapshot,
    Phase::Delete,
];

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // Sun RPC: the server answers, and no mountd or nfsd is registered there.
    says_any(&[
        "rpc error: program not registered",
        "program not registered",
        "rpc: program/version mismatch",
        "rpc: port mapper failure",
        "clnt_create: rpc:",
    ])
    .but_not(&["authentication error"])
    .states(Is::DataPathUnreachable),
    says_any(&[
        "mount.nfs: resource temporarily unavailable",
        "mount.nfs4: resource temporarily unavailable",
        "mount.nfs: connection closed",
        "mount.nfs: no such host",
        "mount.nfs: operation timed out",
    ])
    .likely(Is::DataPathUnreachable, &[Is::DataPathAuthFailed]),
    // Linux `net/ceph/messenger*.c` in the kernel log: no connection to a monitor or OSD.
    says_any(&["libceph: connect ", "libceph: mon", "libceph: osd"])
        .with(&["error -", "socket closed", "connect error", "socket error"])
        .likely(Is::DataPathUnreachable, &[Is::StorageBackendDegraded]),
    // nfs-utils `error.c`, EBUSY.
    says_any(&["mount.nfs: ", "mount.nfs4: ", "mount: "])
        .near(&["is busy or already mounted"])
        .likely(Is::DeviceBusy, &[Is::ComponentStateStale]),
    // ENODEV: the kernel has no such filesystem.
    says_any(&[
        "mount.nfs: no such device",
        "mount.nfs4: no such device",
        "mount error(19)",
        "mount error(38)",
        "mount error(79)",
        "mount error(95)",
        "mount error 19 =",
        "mount error 95 =",
    ])
    .likely(Is::KernelSupportMissing, &[Is::BadMountOption]),
    // cifs: the transport, by its errno.
    says_any(&[
        "mount error(11)",
        "mount error(104)",
        "mount error(103)",
        "mount error(107)",
        "mount error(32)",
    ])
    .likely(
        Is::DataPathUnreachable,
        &[Is::DataPathAuthFailed, Is::BadMountOption],
    ),
    says(&["mount error(16)"]).likely(Is::DeviceBusy, &[Is::ComponentStateStale]),
    says_any(&[
        "mount error(20)",
        "bad unc",
        "malformed unc",
        "mount error(40)",
    ])
    .likely(Is::PathInvalid, &[Is::BadMountOption]),
    // libfuse: the helper is not there; the option needs a line in its configuration.
    says_any(&[
        "failed to exec fusermount",
        "exec: 'fusermount",
        "fusermount: not found",
        "fusermount3: not found",
    ])
    .states(Is::MountHelperMissing),
    says_any(&[
        "only allowed if 'user_allow_other' is set",
        "user_allow_other",
    ])
    .states(Is::BadMountOption),
    says_any(&["mountpoint is not empty", "mount point is not empty"])
        .at(MOUNT)
        .likely(Is::DeviceBusy, &[Is::StaleMount, Is::ComponentStateStale]),
    // libfuse `lib/mount.c` on the dead mount that is still in its place.
    says(&["bad mount point '", "transport endpoint is not connected"])
        .likely(Is::StaleMount, &[Is::MountDaemonFailed]),
    // A container without the rights of a host's root.
    says_any(&[
        "must be superuser to use mount",
        "only root can do that",
        "only root can use",
        "must be superuser to unmount",
    ])
    .likely(Is::DriverMisconfigured, &[Is::DriverDefect]),
    // ceph-fuse prints what ceph_mount returned.
    says_any(&[
        "ceph mount failed with (110)",
        "ceph mount failed with (111)",
        "ceph mount failed with (113)",
    ])
    .states(Is::DataPathUnreachable),
    says_any(&["ceph mount failed with (13)", "ceph mount failed with (1)"])
        .states(Is::DataPathAuthFailed),
    says(&["ceph mount failed with (2)"]).states(Is::PathInvalid),
    // ceph `src/mon/MonClient.cc`: no monitor answered, or none in time.
    says_any(&[
        "monclient(hunting): authenticate timed out",
        "monclient: authenticate timed out",
        "authenticate timed out after",
    ])
    .at(MOUNT)
    .likely(Is::DataPathUnreachable, &[Is::DataPathAuthFailed]),
    says_any(&[
        "monclient(hunting): authenticate timed out",
        "monclient: authenticate timed out",
        "authenticate timed out after",
    ])
    .at(CONTROLLER)
    .likely(Is::ApiUnreachable, &[Is::BackendAuthFailed]),
    // ceph `src/auth/KeyRing.cc`.
    says_any(&[
        "unable to find a keyring",
        "no keyring found",
        "failed to load keyring",
    ])
    .but_not(&["did not load config file", "parse_file:"])
    .likely(Is::DriverSecretInvalid, &[Is::DriverMisconfigured]),
    // ceph `src/mon/Monitor.cc`: the key is known and its caps do not do.
    says_any(&["error eacces", "error eperm"])
        .likely(Is::BackendPermissionDenied, &[Is::BackendAuthFailed]),
    // ceph `src/mgr`: a command or argument that this release does not know.
    says_any(&[
        "error einval: invalid command",
        "error einval: unused arguments",
    ])
    .states(Is::DriverDefect),
    // ceph-csi `internal/rbd/errors.go`: a clone is being separated from its parent.
    says_any(&[
        "flatten in progress",
        "flattening is in progress",
        "flatten is still in progress",
    ])
    .states(Is::OperationInProgress),
    // ceph-csi `internal/util/errors.go` and `internal/journal`: nothing is recorded for this volume.
    says_any(&[
        "key not found: no snap source in omap",
        "no snap source in omap",
        "omap not found",
    ])
    .likely(
        Is::VolumeNotFoundBackend,
        &[Is::DataSourceInvalid, Is::DriverMisconfigured],
    ),
    // open-iscsi `usr/sysfs.c`: the transport class is not in the kernel.
    says_any(&[
        "could not scan /sys/class/iscsi_transport",
        "failed to open /dev/nvme-fabrics: no such file",
        "could not open /dev/nvme-fabrics",
        "/dev/nvme-fabrics: no such file",
    ])
    .states(Is::KernelSupportMissing),
    // A Go template that nobody filled in.
    says(&["{{ .", " }}"])
        .general()
        .likely(Is::DriverMisconfigured, &[Is::DriverDefect]),
];
