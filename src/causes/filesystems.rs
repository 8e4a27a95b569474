//! How tools and the kernel word the state of a filesystem: mkfs, fsck, resize, ext4, xfs, btrfs.
//!
//! Sources: e2fsprogs `e2fsck/problem.c`, `misc/mke2fs.c`, `resize/main.c`; xfsprogs; Linux
//! `fs/{ext4,xfs,btrfs}`; Kubernetes mount-utils `mount_linux.go`, `resizefs_linux.go`. Knows
//! nothing of how the device came to be.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // Linux `fs/ext4/{namei,inode,dir}.c`: a block could not be read, which is not yet damage.
    says_any(&[
        "reading directory lblock",
        "error reading directory block",
        "unable to read itable block",
        "unable to read inode block",
        "error loading journal",
        "ext4_end_bio",
        "xfs_buf_ioend",
        "metadata i/o error",
    ])
    .at(&[Phase::Runtime])
    .likely(Is::IoErrorReadonly, &[Is::FilesystemCorruption]),
    says(&["is not a mounted xfs filesystem"]).likely(
        Is::FilesystemMismatch,
        &[Is::KubeletDirMismatch, Is::ComponentStateStale],
    ),
    // mount-utils `resizefs_linux.go`.
    says(&["resize of format ", "is not supported for device"]).states(Is::ExpandUnsupported),
    // xfs_repair `repair/phase2.c`: the log must be replayed first.
    says(&["valuable metadata changes in a log"]).states(Is::FilesystemCorruption),
    // Linux `fs/ext4/resize.c`: EPERM, and this line in the kernel log, where errors are recorded.
    says(&["errors in the filesystem, so online resizing is not allowed"])
        .states(Is::FilesystemCorruption),
    says(&["resize2fs: permission denied to resize filesystem"])
        .likely(Is::FilesystemCorruption, &[Is::ExpandNeedsRestart]),
    // mount-utils, `formatAndMountSensitive`: fsck ran and gave up (exit 4), or asks for a person.
    says(&["found errors on device", "could not correct them"]).states(Is::FilesystemCorruption),
    // e2fsck `problem.c`, resize2fs `main.c`, xfs_repair: each asks for a check by hand.
    says_any(&[
        "run fsck manually",
        "run e2fsck -f",
        "run 'e2fsck -f",
        "please run e2fsck",
        "run xfs_repair",
        "use xfs_repair",
        "unmount and run xfs_repair",
    ])
    .likely(Is::FilesystemCorruption, &[Is::IoErrorReadonly]),
    // e2fsck exit messages; XFS `xfs_error.c`; btrfs: damage named as such.
    says_any(&[
        "filesystem still has errors",
        "contains a file system with errors",
        "superblock could not be read",
        "superblock corrupt",
        "corrupt superblock",
        "inode is corrupt",
        "unexpected inconsistency",
        "corrupted journal",
        "journal superblock is corrupt",
        "bad block bitmap",
        "metadata corruption detected",
        "corruption detected",
        "corruption of in-memory data",
        "log inconsistent",
        "filesystem is corrupt",
        "file system is corrupt",
        "filesystem corrupt",
    ])
    .likely(Is::FilesystemCorruption, &[Is::IoErrorReadonly]),
    // EUCLEAN, which ext4, xfs and btrfs return for damage found while reading.
    says(&["structure needs cleaning"]).states(Is::FilesystemCorruption),
    // Linux `fs/ext4/super.c`: the journal was given up because writes below it failed.
    says_any(&[
        "detected aborted journal",
        "aborting journal on device",
        "remounting filesystem read-only",
        "journal has aborted",
        "i/o error while writing superblock",
        "previous i/o error to superblock",
        "failed to convert unwritten extents",
        "delayed block allocation failed",
    ])
    .likely(
        Is::IoErrorReadonly,
        &[Is::FilesystemCorruption, Is::StorageBackendDegraded],
    ),
    says_any(&[
        "ext4-fs error (device",
        "btrfs critical (device",
        "btrfs error (device",
    ])
    .but_not(&[
        "journal",
        "i/o error",
        "io failure",
        "input/output",
        "reading directory",
        "unable to read",
    ])
    .likely(Is::FilesystemCorruption, &[Is::IoErrorReadonly]),
    says_any(&[
        "ext4-fs error (device",
        "ext4-fs (",
        "ext4-fs warning (device",
        "xfs (",
        "btrfs error (device",
        "blk_update_request",
        "buffer i/o error on dev",
        "print_req_error",
    ])
    .with(&[
        "i/o error",
        "io failure",
        "log i/o error",
        "input/output error",
        "shutting down filesystem",
    ])
    .states(Is::IoErrorReadonly),
    // Linux `drivers/scsi/scsi_lib.c` and `constants.c`: the path below the disk is gone.
    says_any(&[
        "rejecting i/o to offline device",
        "rejecting i/o to dead device",
        "did_no_connect",
        "did_transport_disrupted",
        "did_transport_failfast",
    ])
    .likely(
        Is::IoErrorReadonly,
        &[Is::StorageBackendDegraded, Is::DataPathUnreachable],
    ),
    // Linux `fs/nfs/inode.c`: the server came back with another filesystem under the mount.
    says(&["fileid changed"])
        .near(&["fsid", "expected fileid"])
        .likely(Is::StaleMount, &[Is::DriverDefect]),
    says(&["jbd2", "error"])
        .general()
        .likely(Is::IoErrorReadonly, &[Is::FilesystemCorruption]),
    says_any(&[
        "forced read-only",
        "forced readonly",
        "became read-only",
        "remounted read-only",
        "turned read-only",
        "went read-only",
    ])
    .likely(Is::IoErrorReadonly, &[Is::FilesystemCorruption]),
    // mkfs and fsck: the device is held.
    says_any(&[
        "is apparently in use by the system",
        "is in use by the system",
        "will not make a filesystem here",
        "is mounted; will not",
        "contains a mounted filesystem",
        "e2fsck: cannot continue, aborting",
        "is in use. e2fsck",
        "is in use; will not",
    ])
    .states(Is::DeviceBusy),
    // Contents that are not what was expected.
    says_any(&[
        "it already contains unknown data",
        "already contains a partition table",
        "found a dos partition table",
        "found a gpt partition table",
        "existing partition table",
        "is already formatted with",
        "already formatted as",
        "unexpected filesystem",
        "filesystem type mismatch",
        "fstype mismatch",
        "fs type mismatch",
        "contains an existing filesystem",
        "appears to contain an existing filesystem",
        "appears to contain a partition table",
    ])
    .likely(
        Is::FilesystemMismatch,
        &[Is::DriverDefect, Is::FilesystemCorruption],
    ),
    says(&["failed to mount the volume as", "it already contains"]).states(Is::FilesystemMismatch),
    says(&["failed to mount the volume as", "already contains"]).states(Is::FilesystemMismatch),
    says_any(&[
        "unknown filesystem type 'lvm",
        "unknown filesystem type 'linux_raid",
        "unknown filesystem type 'crypto",
        "unknown filesystem type 'mpath",
        "unknown filesystem type 'zfs_member",
        "unknown filesystem type 'drbd",
    ])
    .states(Is::FilesystemMismatch),
    // XFS refuses a second filesystem of the same UUID: a snapshot or clone of a mounted one.
    says_any(&["has duplicate uuid", "duplicate uuid", "nouuid"])
        .but_not(&["unrecognized mount option", "unknown mount option"])
        .states(Is::FilesystemMismatch),
    says(&["bad magic number in super-block"])
        .likely(Is::FilesystemMismatch, &[Is::FilesystemCorruption]),
    says_any(&[
        "can't read superblock",
        "cannot read superblock",
        "can't find ext4 filesystem",
        "couldn't find valid filesystem superblock",
        "superblock invalid",
        "bad superblock",
    ])
    .but_not(&["wrong fs type"])
    .general()
    .likely(
        Is::FilesystemCorruption,
        &[Is::FilesystemMismatch, Is::KernelSupportMissing],
    ),
    // A filesystem made by tools newer than the node's kernel.
    says_any(&[
        "unknown read-only compatible features",
        "unsupported optional features",
        "superblock has unknown",
        "unknown incompatible features",
        "couldn't mount because of unsupported",
    ])
    .states(Is::KernelSupportMissing),
    // e2fsprogs `resize/main.c`, `e2fsck/super.c`: the tool is older than the filesystem.
    says_any(&[
        "filesystem has unsupported feature(s)",
        "has unsupported feature(s)",
        "get a newer version of e2fsck",
    ])
    .likely(Is::DriverDefect, &[Is::KernelSupportMissing]),
    // e2fsprogs `resize2fs` on a mounted filesystem that the kernel grows only unmounted.
    says_any(&[
        "on-line resizing not supported",
        "kernel does not support online resizing",
        "does not support online resizing",
    ])
    .likely(Is::ExpandNeedsRestart, &[Is::ExpandUnsupported]),
    // Any filesystem's kernel code and tools.
    says_any(&["corruption", "corrupted", "corrupt "])
        .with(&[
            "xfs",
            "ext4",
            "ext3",
            "btrfs",
            "filesystem",
            "file system",
            "superblock",
        ])
        .at(&[Phase::Stage, Phase::Publish, Phase::Expand, Phase::Runtime])
        .general()
        .likely(
            Is::FilesystemCorruption,
            &[Is::IoErrorReadonly, Is::StorageBackendDegraded],
        ),
    says(&["superblock checksum does not match"])
        .likely(Is::FilesystemCorruption, &[Is::FilesystemMismatch]),
];
