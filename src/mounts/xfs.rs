//! The geometry of a mounted XFS: the one ioctl for which there is no safe wrapper.
//!
//! `statfs` leaves out the log, so it never says how large the filesystem really is.

#![allow(
    unsafe_code,
    reason = "an ioctl that fills a struct has no safe form; the only unsafe code of the package"
)]

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

use crate::model::sizes::Bytes;

/// `struct xfs_fsop_geom` (`fs/xfs/libxfs/xfs_fs.h`), 256 bytes since version 5 (Linux 5.2).
#[repr(C)]
struct Geometry {
    block_size: u32,
    /// rtextsize, agblocks, agcount, logblocks, sectsize, inodesize, imaxpct.
    more: [u32; 7],
    data_blocks: u64,
    /// Everything behind it.
    rest: [u64; 27],
}

const _: () = assert!(size_of::<Geometry>() == 256);

nix::ioctl_read!(
    /// `XFS_IOC_FSGEOMETRY`.
    xfs_fsgeometry, b'X', 126, Geometry
);

/// The true size of the XFS that an open file or directory is on.
pub fn size(file: impl AsFd) -> Result<Bytes, Errno> {
    let mut geometry = Geometry {
        block_size: 0,
        more: [0; 7],
        data_blocks: 0,
        rest: [0; 27],
    };
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the kernel writes at
    // most the 256 bytes that the request number says, which is the size of the struct.
    unsafe { xfs_fsgeometry(file.as_fd().as_raw_fd(), &raw mut geometry) }?;
    let blocks = u128::from(geometry.data_blocks) * u128::from(geometry.block_size);
    u64::try_from(blocks)
        .map(Bytes)
        .map_err(|_| Errno::EOVERFLOW)
}
