//! What a probe thread does to a filesystem: the system calls that may never return.
//!
//! It reads only, without leaving an access time where the kernel lets it, and every descriptor
//! is closed before it answers. It does not know about threads, deadlines or patience.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, major, minor, stat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, statfs};
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

/// The filesystems of disks: `statfs` answers for them from memory, and what it says of a path has the number that
/// the mount table has (btrfs numbers its subvolumes itself).
const OF_DISKS: [&str; 4] = ["ext2", "ext3", "ext4", "xfs"];

/// Whether the host's root is that of a machine that runs, and no recorded one.
pub(super) fn is_live(host_root: &Path) -> bool {
    statfs(&host_root.join("proc")).is_ok_and(|found| found.filesystem_type() == PROC_SUPER_MAGIC)
}

/// Asks the filesystem; `live` where the host's mounts are to be seen here too.
pub(super) fn touch(host_root: &Path, live: bool, task: &Task) -> Answer {
    let look = |target| match statvfs(&file::below(host_root, target)) {
        Ok(_) if live && is_another(&file::below(host_root, target), task) => {
            let what = format!(
                "see what is mounted at {target}: another filesystem is there for the agent than for the host; \
                 the kubelet's directory needs mountPropagation HostToContainer"
            );
            Observed::Unknown(Gap::new(Why::Unavailable, what))
        }
        Ok(stat) => Observed::Known(Filesystem {
            usage: usage(&stat),
            true_size: None,
        }),
        // The host has it: then it is not to be seen from here.
        Err(errno) if live => Observed::Unknown(file::of_source(gap("statfs of", target, errno))),
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

/// Whether a path leads into another filesystem here than on the host: what the kubelet mounts later shows here only
/// where mounts propagate.
fn is_another(path: &Path, task: &Task) -> bool {
    let number = |number| DeviceNumber {
        major: u32::try_from(major(number)).unwrap_or(u32::MAX),
        minor: u32::try_from(minor(number)).unwrap_or(u32::MAX),
    };
    OF_DISKS.contains(&task.fs_type.as_ref())
        && stat(path).is_ok_and(|found| number(found.st_dev) != task.device)
}

/// Opens and reads the first of the places that is a directory and may be opened; its true size,
/// where the filesystem tells it. An error is one of the filesystem, or of our rights where without them
/// nothing is known: other filesystems have answered by `statfs`, and a server may well refuse us.
fn look_inside<'a>(
    host_root: &Path,
    targets: impl Iterator<Item = &'a HostPath>,
    task: &Task,
) -> Result<Option<Bytes>, Errno> {
    let mut denied = None;
    for target in targets {
        let root = match open_directory(&file::below(host_root, target)) {
            Ok(root) => root,
            Err(errno) if is_sick(errno) => return Err(errno),
            Err(errno) => {
                // A file that is mounted alone, or a directory that is not ours to read.
                denied = denied.or((errno == Errno::EACCES).then_some(errno));
                continue;
            }
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
    match denied {
        Some(errno) if OF_DISKS.contains(&task.fs_type.as_ref()) => Err(errno),
        _ => Ok(None),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_of(device: DeviceNumber, fs_type: &str, live: bool) -> Observed<Filesystem> {
        let task = Task {
            device,
            targets: vec!["/proc".into()],
            fs_type: fs_type.into(),
            inside: false,
        };
        let mut answer = touch(Path::new("/"), live, &task);
        answer.filesystems.remove(0)
    }

    #[test]
    fn a_root_that_runs_is_told_from_a_recorded_one() {
        assert!(is_live(Path::new("/")));
        assert!(!is_live(Path::new(
            "tests/scenarios/healthy/host/var/lib/kubelet"
        )));
    }

    #[test]
    fn another_filesystem_than_the_hosts_is_no_answer() {
        let elsewhere = DeviceNumber {
            major: 7,
            minor: 4095,
        };
        let answer = answer_of(elsewhere, "ext4", true);
        assert_eq!(
            answer.gap().map(ToString::to_string).unwrap_or_default(),
            "see what is mounted at /proc: another filesystem is there for the agent than for the host; the kubelet's directory needs mountPropagation HostToContainer (Unavailable)"
        );
        // Recorded, or numbered by its filesystem itself: nothing can be compared.
        assert!(answer_of(elsewhere, "ext4", false).known().is_some());
        assert!(answer_of(elsewhere, "btrfs", true).known().is_some());
        let found = stat("/proc").unwrap().st_dev;
        let same = DeviceNumber {
            major: u32::try_from(major(found)).unwrap(),
            minor: u32::try_from(minor(found)).unwrap(),
        };
        assert!(answer_of(same, "ext4", true).known().is_some());
    }
}
