//! How the tools of block devices word an error: LVM and device-mapper, ZFS, cryptsetup, mkfs.
//!
//! Sources: lvm2 `lib/{metadata,activate,device}`, `libdm`; `OpenZFS` `lib/libzfs/libzfs_{dataset,util}.c`;
//! cryptsetup `lib/{setup,utils_device,luks1}`; e2fsprogs `misc/{mke2fs,util}.c`; xfsprogs
//! `mkfs/xfs_mkfs.c`; util-linux libmount and libblkid. Knows nothing of who calls them.

use crate::causes::layers::Phase;
use crate::causes::matcher::{Matcher, says, says_any};
use crate::model::cause::CauseId as Is;

/// The matchers of this group.
pub(super) const TABLE: &[Matcher] = &[
    // lvm2 `lib/metadata/thin_manip.c` and `snapshot_manip.c`, about a pool that is (nearly) full.
    says_any(&[
        "free space in thin pool",
        "free space in pool",
        "thin pool is full",
        "thin-pool is full",
        "no free extents",
        "has insufficient free space",
        "no enough space left on vg",
    ])
    .but_not(&["on device"])
    .states(Is::BackendCapacityExhausted),
    // lvm2 `lib/activate/activate.c`: the module of a segment type is not there.
    says_any(&[
        "required device-mapper target(s) not detected",
        "target support missing from kernel",
        "is device-mapper driver missing from kernel",
        "module not found in directory /lib/modules",
    ])
    .states(Is::KernelSupportMissing),
    // lvm2 `lib/device/dev-io.c`, and the ioctls of device-mapper, EBUSY.
    says_any(&[
        "exclusively. mounted filesystem",
        "reload ioctl on",
        "dm_task_run failed",
        "device-mapper: create ioctl",
        "device-mapper: remove ioctl",
        "logical volume in use",
        "contains a filesystem in use",
    ])
    .with(&["busy", "mounted filesystem", "in use"])
    .at(&[
        Phase::Stage,
        Phase::Attach,
        Phase::Provision,
        Phase::Publish,
        Phase::Expand,
    ])
    .likely(Is::DeviceBusy, &[Is::UnmountBusy]),
    // The same where something is taken away.
    says_any(&[
        "logical volume in use",
        "contains a filesystem in use",
        "used by another device",
    ])
    .at(&[Phase::Delete])
    .states(Is::DeleteBlockedInUse),
    // lvm2 `lib/metadata/metadata.c` and `vg.c`: a physical volume of the group is gone.
    says_any(&[
        "pvs are missing",
        "pvs missing",
        "missing physical volumes",
        "couldn't find device with uuid",
        "is missing pv",
    ])
    .states(Is::StorageBackendDegraded),
    // lvm2 `tools/toollib.c`.
    says_any(&[
        "failed to find logical volume",
        "one or more specified logical volume(s) not found",
    ])
    .likely(Is::VolumeNotFoundBackend, &[Is::DriverMisconfigured]),
    // `OpenZFS` `libzfs_util.c`: EZFS_NOENT of a pool, EZFS_POOLUNAVAIL, EZFS_BADPROP.
    says_any(&["no such pool"])
        .at(&[Phase::Provision, Phase::Restore])
        .likely(Is::StorageclassInvalid, &[Is::DriverMisconfigured]),
    says_any(&[
        "pool i/o is currently suspended",
        "pool is currently unavailable",
        "one or more devices is currently unavailable",
        "one or more devices has been removed",
        "one or more devices are faulted",
    ])
    .states(Is::StorageBackendDegraded),
    says_any(&[
        "volume size must be a multiple of volume block size",
        "volume size exceeds limit",
        "volume size cannot be zero",
    ])
    .states(Is::InvalidSizeRequest),
    says_any(&[
        "invalid property '",
        "bad property list",
        "bad property value",
    ])
    .at(&[Phase::Provision])
    .states(Is::StorageclassInvalid),
    // cryptsetup `lib/utils_device.c` and `libdevmapper.c`.
    says_any(&[
        "which is in use (already mapped or mounted)",
        "cannot exclusively open",
    ])
    .states(Is::DeviceBusy),
    says(&["device ", " already exists"])
        .at(&[Phase::Stage])
        .but_not(&["snapshot", "volume with", "same name", "operation"])
        .general()
        .likely(Is::DeviceBusy, &[Is::ComponentStateStale]),
    says_any(&[
        "failed to setup dm-crypt key mapping",
        "check that kernel supports",
        "cannot initialize crypto backend",
        "kernel does not support dm-crypt",
        "cannot initialize device-mapper",
    ])
    .states(Is::KernelSupportMissing),
    // e2fsprogs `misc/mke2fs.c`: no device behind the name, or one without a size.
    says_any(&[
        "device size reported to be zero",
        "while trying to determine filesystem size",
    ])
    .with(&[
        "reported to be zero",
        "no such file or directory",
        "no such device",
    ])
    .likely(Is::DeviceNotFound, &[Is::StorageBackendDegraded]),
    says_any(&["mkfs.", "mke2fs", "wipefs", "blkid", "sgdisk"])
        .with(&["resource busy"])
        .at(&[Phase::Stage, Phase::Publish])
        .likely(Is::DeviceBusy, &[Is::FilesystemMismatch]),
    // libblkid found signatures of more than one filesystem.
    says(&["more filesystems detected on"]).states(Is::FilesystemMismatch),
    // util-linux `sys-utils/mount.c`, EUCLEAN; XFS `fs/xfs/xfs_log_recover.c` in the kernel log.
    says_any(&[
        "probably corrupted filesystem on",
        "log mount/recovery failed",
        "superblock validate failed",
        "failed to read log head",
        "failed to recover intents",
        "ext4_check_descriptors",
        "group descriptors corrupted",
        "crc error detected",
        "bad geometry: block count",
    ])
    .states(Is::FilesystemCorruption),
    // e2fsprogs `resize/main.c`: ext4 does not shrink while mounted, nor XFS at all.
    says_any(&[
        "on-line shrinking",
        "online shrinking",
        "shrinking is not supported",
        "data size too small",
    ])
    .at(&[Phase::Expand])
    .states(Is::InvalidSizeRequest),
];
