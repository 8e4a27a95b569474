//! What a probe thread does to a filesystem: the system calls that may never return.
//!
//! It reads only, without leaving an access time where the kernel lets it, and every descriptor
//! is closed before it answers. It does not know about threads, deadlines or patience.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::statvfs::{Statvfs, statvfs};

use crate::model::mount::{DeviceNumber, Usage};
use crate::model::names::{HostPath, Text};
use crate::model::observed::{Gap, Observed, Why};
use crate::model::seen::Filesystem;
use crate::model::sizes::Bytes;

use super::{file, xfs};

/// What to look at: all places of one superblock.
#[derive(Debug, Clone)]
pub(super) struct Task {
    /// The superblock.
    pub(super) device: DeviceNumber,
    /// Where it is mounted.
    pub(super) targets: Vec<HostPath>,
    /// Its type.
    pub(super) fs_type: Text,
    /// Whether to look into its root directory too: `statfs` of a shut-down XFS, or of a
    /// filesystem whose device is gone, is answered from memory.
    pub(super) inside: bool,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    /// In the order of the task's places.
    pub(super) filesystems: Vec<Observed<Filesystem>>,
    /// The look inside failed: the next one must not be left out, or the fault would seem to come and go.
    pub(super) sick: bool,
}

/// Asks the filesystem.
pub(super) fn touch(host_root: &Path, task: &Task) -> Answer {
    let look = |target| match statvfs(&file::below(host_root, target)) {
        Ok(stat) => Observed::Known(Filesystem {
            usage: usage(&stat),
            true_size: None,
        }),
        Err(errno) => Observed::Unknown(gap("statfs of", target, errno)),
    };
    let mut filesystems: Vec<Observed<Filesystem>> = task.targets.iter().map(look).collect();
    let mut sick = false;
    if task.inside {
        let answering = task.targets.iter().zip(&filesystems);
        let answering = answering.filter(|(_, answer)| answer.known().is_some());
        let inside = look_inside(host_root, answering.map(|(target, _)| target), task);
        sick = inside.is_err();
        for (target, answer) in task.targets.iter().zip(&mut filesystems) {
            match (answer, inside) {
                (Observed::Known(filesystem), Ok(size)) => filesystem.true_size = size,
                (answer @ Observed::Known(_), Err(errno)) => {
                    let attempt = "open and read the root directory of";
                    *answer = Observed::Unknown(gap(attempt, target, errno));
                }
                (Observed::Unknown(_), _) => {}
            }
        }
    }
    Answer { filesystems, sick }
}

/// Opens and reads the first of the places that is a directory and may be opened; its true size,
/// where the filesystem tells it. An error is one of the filesystem, not of our rights.
fn look_inside<'a>(
    host_root: &Path,
    targets: impl Iterator<Item = &'a HostPath>,
    task: &Task,
) -> Result<Option<Bytes>, Errno> {
    for target in targets {
        let root = match open_directory(&file::below(host_root, target)) {
            Ok(root) => root,
            Err(errno) if is_sick(errno) => return Err(errno),
            // A file that is mounted alone, or a directory that is not ours to read.
            Err(_) => continue,
        };
        let size = (task.fs_type == "xfs")
            .then(|| xfs::size(&root).ok())
            .flatten();
        let first = Dir::from_fd(root)?.iter().next();
        return match first {
            Some(Err(errno)) if is_sick(errno) => Err(errno),
            _ => Ok(size),
        };
    }
    Ok(None)
}

/// Opens a directory to read it, without a trace where that is allowed (`O_NOATIME` is for its owner).
fn open_directory(path: &PathBuf) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY
        | OFlag::O_DIRECTORY
        | OFlag::O_NOFOLLOW
        | OFlag::O_NONBLOCK
        | OFlag::O_CLOEXEC;
    match open(path, flags | OFlag::O_NOATIME, Mode::empty()) {
        Err(Errno::EPERM) => open(path, flags, Mode::empty()),
        other => other,
    }
}

/// Whether an error is the filesystem's own.
fn is_sick(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EIO
            | Errno::ESTALE
            | Errno::ENOTCONN
            | Errno::ECONNABORTED
            | Errno::ESHUTDOWN
            | Errno::EUCLEAN
            | Errno::ENXIO
            | Errno::ENODEV
    )
}

fn gap(attempt: &str, target: &HostPath, errno: Errno) -> Gap {
    let why = if is_sick(errno) {
        Why::Stale
    } else {
        file::why(&errno.into())
    };
    Gap::new(why, format!("{attempt} {target}: {}", errno.desc()))
}

/// Usage as `df` counts it: the unit is the fragment, and what is free for root is not used.
fn usage(stat: &Statvfs) -> Usage {
    let unit = stat.fragment_size();
    // A filesystem in user space may say anything: sums of two such numbers must still be numbers.
    let bytes = |blocks: u64| blocks.saturating_mul(unit).min(u64::MAX / 2);
    let used = stat.blocks().saturating_sub(stat.blocks_free());
    Usage {
        total_bytes: bytes(stat.blocks()),
        used_bytes: bytes(used),
        available_bytes: bytes(stat.blocks_available()),
        total_inodes: stat.files(),
        used_inodes: stat.files().saturating_sub(stat.files_free()),
    }
}
