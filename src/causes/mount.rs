//! How mount(8) and its helpers word a mount that fails: nfs, cifs, fuse, lustre, glusterfs, efs.
//!
//! Sources: util-linux `sys-utils/mount.c` and libmount; nfs-utils `utils/mount/{error,stropts}.c`;
//! cifs-utils `mount.cifs.c`; efs-utils; Lustre `mount_lustre.c`; Kubernetes mount-utils. Knows
//! nothing of the servers behind them.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // mkdir(2) on a mount that is dead: stat fails, and yet the name is taken.
    says_any(&["unable to create directory", "mkdir /"])
        .with(&[": file exists"])
        .at(&[Phase::Provision])
        .likely(Is::StaleMount, &[Is::PathInvalid]),
    // umount(8) and umount2(2), EINVAL: nothing is mounted there any more.
    says_any(&["umount: ", "unmount failed", "failed to unmount"])
        .with(&[
            "mountpoint not found",
            ": not mounted",
            "no mount point specified",
            "not found.",
        ])
        .at(&[Phase::Unpublish, Phase::Unstage])
        .likely(
            Is::ComponentStateStale,
            &[Is::StaleMount, Is::TransientRetry],
        ),
    // mount_lustre.c, ENODEV and EINVAL.
    says(&["are the lustre modules loaded"]).states(Is::KernelSupportMissing),
    says(&["mount.lustre", "are the mount options correct"]).likely(
        Is::BadMountOption,
        &[Is::PathInvalid, Is::KernelSupportMissing],
    ),
    // mount(8), for an image in a file.
    says(&["failed to setup loop device"])
        .likely(Is::KernelSupportMissing, &[Is::PathInvalid, Is::DeviceBusy]),
    // util-linux `fsck.c`: the checker for the filesystem is not there.
    says(&["error 2 (no such file or directory) while executing fsck."]).likely(
        Is::MountHelperMissing,
        &[Is::FilesystemMismatch, Is::FilesystemCorruption],
    ),
    // Linux `net/sunrpc/clnt.c`, in the kernel log.
    says(&["nfs: server ", "not responding"]).likely(Is::DataPathUnreachable, &[Is::StaleMount]),
    // cifs-utils `mount.cifs.c`, on ENODEV.
    says(&["filesystem not supported by the system"]).states(Is::KernelSupportMissing),
    says_any(&[
        "an incorrect mount option was specified",
        "requested nfs version or transport protocol is not supported",
        "unrecognized mount option",
        "unknown mount option",
        "invalid mount option",
    ])
    .likely(
        Is::BadMountOption,
        &[Is::MountHelperMissing, Is::KernelSupportMissing],
    ),
    // mount_lustre.c: ENOENT and EINVAL each end in such a question.
    says_any(&[
        "is the filesystem name correct",
        "the correct filesystem name?",
    ])
    .likely(
        Is::PathInvalid,
        &[Is::BadMountOption, Is::DataPathUnreachable],
    ),
    // Helpers that are not there.
    says(&["you might need a /sbin/mount.<type> helper program"]).states(Is::MountHelperMissing),
    says(&["need a /sbin/mount."]).states(Is::MountHelperMissing),
    // The kernel got raw options because no mount.nfs was there to resolve the server.
    says(&["mount program didn't pass remote address"])
        .likely(Is::MountHelperMissing, &[Is::BadMountOption]),
    // Go `os/exec`: the program is not in the image or on the node.
    says(&["executable file not found in $path"]).states(Is::MountHelperMissing),
    // BusyBox `env` and `sh`: the program is not there.
    says(&["can't execute '", "no such file or directory"]).states(Is::MountHelperMissing),
    // Python `subprocess` around `which`: efs-utils looks for stunnel so.
    says(&["'which', '", "non-zero exit status"]).states(Is::MountHelperMissing),
    // POSIX sh: command not found.
    says(&["exit status 127"]).likely(Is::MountHelperMissing, &[Is::DriverDefect]),
    says_any(&[
        "mount.nfs",
        "mount.cifs",
        "mount.glusterfs",
        "mount.ceph",
        "mount.lustre",
        "mount.efs",
        "mkfs.",
        "nfs-common",
        "nfs-utils",
        "cifs-utils",
        "xfsprogs",
        "e2fsprogs",
        "s3fs",
        "rclone",
        "sshfs",
    ])
    .with(&[
        "command not found",
        "not installed",
        "please install",
        ": not found",
        "no such file or directory: exec",
    ])
    .likely(
        Is::MountHelperMissing,
        &[Is::BadMountOption, Is::DriverDefect],
    ),
    says_any(&[
        "unknown filesystem type 'nfs",
        "unknown filesystem type 'cifs",
        "unknown filesystem type 'smb",
        "unknown filesystem type 'glusterfs",
        "unknown filesystem type 'efs",
        "unknown filesystem type 'fuse",
        "unknown filesystem type 'azurefile",
    ])
    .likely(Is::MountHelperMissing, &[Is::KernelSupportMissing]),
    says_any(&[
        "unknown filesystem type '",
        "unsupported filesystem type",
        "filesystem type not supported by kernel",
    ])
    .general()
    .likely(
        Is::KernelSupportMissing,
        &[Is::MountHelperMissing, Is::FilesystemMismatch],
    ),
    says_any(&[
        "wrong fs type, bad option, bad superblock on //",
        "-t cifs",
        "-t nfs",
        "-t glusterfs",
    ])
    .with(&["wrong fs type, bad option, bad superblock"])
    .likely(
        Is::MountHelperMissing,
        &[Is::BadMountOption, Is::KernelSupportMissing],
    ),
    // util-linux: EINVAL for a device, with all its possible reasons in one line.
    says(&["wrong fs type, bad option, bad superblock on /dev/"])
        .general()
        .likely(
            Is::FilesystemMismatch,
            &[
                Is::FilesystemCorruption,
                Is::KernelSupportMissing,
                Is::BadMountOption,
            ],
        ),
    // Options.
    says_any(&[
        "an incorrect mount option was specified",
        "requested nfs version or transport protocol is not supported",
        "unrecognized mount option",
        "unknown mount option",
        "invalid mount option",
        "bad mount option",
        "unsupported mount option",
        "mount option is not supported",
        "unsupported nfs version",
        "bad nfs version",
        "conflicting nfs",
        "unrecognized option",
        "unknown parameter",
    ])
    .with(&["mount", "nfs", "cifs"])
    .likely(
        Is::BadMountOption,
        &[Is::DriverDefect, Is::KernelSupportMissing],
    ),
    // nfs-utils `utils/mount/error.c` and mount.cifs(8), EINVAL and EOPNOTSUPP.
    says_any(&[
        "mount.nfs: protocol not supported",
        "mount.nfs4: protocol not supported",
        "mount.nfs: invalid argument",
        "mount.nfs4: invalid argument",
        "mount error(22)",
        "mount error(95)",
        "mount.nfs: protocol family not supported",
        "mount.nfs: remote i/o error",
        "mount.nfs: mount system call failed",
        "nfs version not supported",
        "mount.nfs: operation not supported",
    ])
    .likely(
        Is::BadMountOption,
        &[Is::ExportAccessDenied, Is::DataPathUnreachable],
    ),
    // The server does not admit this client.
    says(&["access denied by server while mounting"]).likely(
        Is::ExportAccessDenied,
        &[Is::PathInvalid, Is::BadMountOption],
    ),
    says_any(&[
        "mount.nfs: operation not permitted",
        "mount.nfs4: operation not permitted",
        "mount.nfs: permission denied",
        "mount.nfs4: permission denied",
        "reason given by server: permission denied",
        "reason given by the server: permission denied",
        "clnt_create: rpc: authentication error",
    ])
    .likely(
        Is::ExportAccessDenied,
        &[Is::BadMountOption, Is::DataPathAuthFailed],
    ),
    says_any(&["root_squash", "root squash"]).likely(
        Is::ExportAccessDenied,
        &[Is::FsgroupOwnership, Is::BadMountOption],
    ),
    says_any(&["lchown", "chown", "chgrp", "chmod", "changing ownership"])
        .with(&["operation not permitted", "permission denied"])
        .likely(
            Is::ExportAccessDenied,
            &[Is::FsgroupOwnership, Is::UnsupportedCapability],
        ),
    // The server rejects the identity (cifs: EACCES, ENOKEY, EKEYREJECTED).
    says_any(&[
        "mount error(13)",
        "mount error(126)",
        "mount error(127)",
        "mount error(129)",
        "nt_status_logon_failure",
        "status_logon_failure",
        "status_access_denied",
    ])
    .likely(
        Is::DataPathAuthFailed,
        &[Is::ExportAccessDenied, Is::BadMountOption],
    ),
    says(&["required key not available"])
        .likely(Is::DataPathAuthFailed, &[Is::DriverSecretInvalid]),
    // The path on the server.
    says_any(&[
        "reason given by server: no such file or directory",
        "reason given by the server: no such file or directory",
    ])
    .but_not(&["/pvc-"])
    .states(Is::PathInvalid),
    // A directory that bears a PV's name was made by a provisioner: it is the volume itself.
    says(&[
        "/pvc-",
        "failed, reason given by server: no such file or directory",
    ])
    .likely(Is::VolumeNotFoundBackend, &[Is::PathInvalid]),
    says_any(&[
        "mount error(2)",
        "mount error(6)",
        "mount.nfs: no such file or directory",
        "mount.nfs4: no such file or directory",
        "mount.nfs: not a directory",
        "nt_status_bad_network_name",
        "status_bad_network_name",
    ])
    .likely(
        Is::PathInvalid,
        &[Is::VolumeNotFoundBackend, Is::BadMountOption],
    ),
    says_any(&["mount point does not exist", "mount point not found"])
        .likely(Is::PathInvalid, &[Is::KubeletDirMismatch]),
    // The way to the server.
    says_any(&[
        "mount.nfs: connection timed out",
        "mount.nfs4: connection timed out",
        "mount.nfs: connection refused",
        "mount.nfs4: connection refused",
        "mount.nfs: no route to host",
        "mount.nfs4: no route to host",
        "mount.nfs: network is unreachable",
        "mount.nfs4: network is unreachable",
        "mount.nfs: failed to resolve server",
        "mount.nfs4: failed to resolve server",
        "mount.nfs: host is down",
        "mount.nfs: portmap query",
        "portmap query retrying",
        "portmap query failed",
        "mount error(110)",
        "mount error(111)",
        "mount error(112)",
        "mount error(113)",
        "mount error(115)",
        "mount error(101)",
        "could not resolve address for",
        "mount error: could not resolve",
        "unable to find suitable address",
        "mount.nfs: rpc: unable to receive",
        "mount.nfs: rpc: timed out",
        "mount.nfs: rpc: remote system error",
        "is the mgs running?",
        "mount.nfs4: connection reset by peer",
        "mount.nfs: connection reset by peer",
    ])
    .states(Is::DataPathUnreachable),
    // efs-utils: the name of a mount target is made from the filesystem's and the region's.
    says(&["failed to resolve '", "check that your file system"]).likely(
        Is::DataPathUnreachable,
        &[Is::PathInvalid, Is::BackendPermissionDenied],
    ),
    says(&["failed to resolve '"]).likely(
        Is::DataPathUnreachable,
        &[Is::ApiUnreachable, Is::PathInvalid],
    ),
    says(&["mount target ip address cannot be found"]).likely(
        Is::DataPathUnreachable,
        &[Is::PathInvalid, Is::BackendPermissionDenied],
    ),
    // The mount point is taken.
    says(&["already mounted or mount point busy"]).likely(
        Is::DeviceBusy,
        &[Is::FilesystemMismatch, Is::ComponentStateStale],
    ),
    says_any(&[
        "already mounted on /",
        "is already mounted at",
        "is already mounted on",
    ])
    .at(&[Phase::Stage, Phase::Publish])
    .general()
    .likely(Is::DeviceBusy, &[Is::ComponentStateStale]),
    // umount(8) and umount2(2).
    says_any(&["target is busy", "device is busy", "resource busy"])
        .at(&[Phase::Unpublish, Phase::Unstage])
        .likely(
            Is::UnmountBusy,
            &[Is::OrphanedPodDirs, Is::KubeletDirMismatch],
        ),
    says_any(&[
        "umount: ",
        "unmount failed",
        "failed to unmount",
        "unmounting arguments",
    ])
    .with(&[
        "target is busy",
        "device is busy",
        "resource busy",
        "not responding",
        "in use",
    ])
    .likely(Is::UnmountBusy, &[Is::DataPathUnreachable, Is::DeviceBusy]),
    says_any(&[
        "rbd: unmap failed: (16)",
        "unmap failed",
        "sysfs write failed",
    ])
    .with(&["resource busy"])
    .at(&[Phase::Unpublish, Phase::Unstage, Phase::Detach])
    .likely(Is::UnmountBusy, &[Is::DeviceBusy]),
    // util-linux: `/dev/x is already mounted or /y busy`.
    says(&["already mounted or ", " busy"]).likely(
        Is::DeviceBusy,
        &[Is::FilesystemMismatch, Is::ComponentStateStale],
    ),
    // BusyBox mount prints the number alone: EINVAL is a superblock that the type does not know.
    says(&["mount: mounting /dev/", "failed: invalid argument"]).likely(
        Is::FilesystemMismatch,
        &[Is::FilesystemCorruption, Is::BadMountOption],
    ),
    // A provisioner that makes directories on a share, as an ordinary client of it.
    says_any(&[
        "mkdir ",
        "unable to create directory",
        "failed to create directory",
        "failed to make subdirectory",
        "failed to mkdir",
    ])
    .with(&[
        "permission denied",
        "operation not permitted",
        "read-only file system",
    ])
    .at(&[Phase::Provision])
    .states(Is::ExportAccessDenied),
    // What a shell says of a tool that the image or node lacks.
    says(&[": command not found"])
        .general()
        .likely(Is::MountHelperMissing, &[Is::DriverDefect]),
    // Go `os/exec` with a whole path: that program is not there.
    says(&["fork/exec ", "no such file or directory"])
        .likely(Is::MountHelperMissing, &[Is::DriverDefect]),
    // ENODEV: the kernel knows no filesystem of that type.
    says(&["mount: mounting ", "failed: no such device"]).likely(
        Is::KernelSupportMissing,
        &[Is::MountHelperMissing, Is::DeviceNotFound],
    ),
];
