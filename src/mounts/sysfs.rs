//! What sysfs says of block devices, ext4 and FUSE. Reading it touches no filesystem.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use jiff::Timestamp;

use crate::model::mount::{DeviceNumber, Mount};
use crate::model::names::HostPath;
use crate::model::observed::{Gap, Observed, Why};
use crate::model::sizes::Bytes;

use super::file;

/// The unit of `size` in sysfs, whatever the device's own sectors are
/// (`Documentation/ABI/stable/sysfs-block`).
const SECTOR: u64 = 512;

/// The size of a block device; nothing for the anonymous numbers of filesystems without one.
pub fn device_size(host_root: &Path, device: DeviceNumber) -> Observed<Option<Bytes>> {
    if device.major == 0 {
        return Observed::Known(None);
    }
    let path = HostPath::from(format!("/sys/dev/block/{device}/size"));
    let read = match file::read_sysfs(&file::below(host_root, &path)) {
        Ok(read) => read,
        Err(error) => return Observed::Unknown(gap(host_root, &path, &error)),
    };
    match parse_size(&read) {
        Some(size) => Observed::Known(Some(size)),
        None => Observed::Unknown(Gap::new(
            Why::Malformed,
            format!("read {path}: it holds no number of sectors"),
        )),
    }
}

/// What a block device is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// Reads, writes, discards and flushes that ended.
    pub completed: u64,
    /// Requests that were begun and have not ended.
    pub in_flight: u64,
}

/// Why nothing of block devices is seen, where that is so.
pub fn missing(host_root: &Path) -> Option<Gap> {
    let all = HostPath::from("/sys/dev/block");
    let error = std::fs::metadata(file::below(host_root, &all)).err()?;
    Some(file::of_source(file::gap("look into", &all, &error)))
}

/// Whether the kernel has a device; not known where sysfs itself cannot be seen.
pub fn is_present(host_root: &Path, device: DeviceNumber) -> Option<bool> {
    let all = HostPath::from("/sys/dev/block");
    let one = file::below(host_root, &all.join(device.to_string()));
    match one.symlink_metadata() {
        Ok(_) => Some(true),
        Err(_) => file::below(host_root, &all).is_dir().then_some(false),
    }
}

/// The kernel's name for a device: `sdb`, `dm-3`, `nvme0n1p1`.
pub fn name(host_root: &Path, device: DeviceNumber) -> Option<OsString> {
    let path = HostPath::from(format!("/sys/dev/block/{device}"));
    let target = file::below(host_root, &path).read_link().ok()?;
    target.file_name().map(ToOwned::to_owned)
}

/// Whether a device refuses writing.
pub fn is_read_only(host_root: &Path, device: DeviceNumber) -> Observed<bool> {
    let path = HostPath::from(format!("/sys/dev/block/{device}/ro"));
    read_number(host_root, &path).map(|flag| flag != 0)
}

/// What a device is doing.
pub fn activity(host_root: &Path, device: DeviceNumber) -> Observed<Activity> {
    let path = HostPath::from(format!("/sys/dev/block/{device}/stat"));
    read(host_root, &path, parse_stat)
}

/// Whether a device counts what ends: without, standing still says nothing.
pub fn counts(host_root: &Path, device: DeviceNumber) -> bool {
    // A partition has its disk's queue.
    ["queue/iostats", "../queue/iostats"].iter().any(|below| {
        let path = HostPath::from(format!("/sys/dev/block/{device}/{below}"));
        read_number(host_root, &path).known() == Some(&1)
    })
}

/// A counter of an ext4 filesystem, by the kernel's name of its device.
pub fn ext4_counter(host_root: &Path, device: &OsStr, counter: &str) -> Observed<u64> {
    let path = HostPath::from("/sys/fs/ext4").join(device).join(counter);
    read_number(host_root, &path)
}

/// How many requests wait for the daemon of a FUSE filesystem; nothing where fusectl is not mounted.
pub fn fuse_waiting(host_root: &Path, connection: u32) -> Observed<Option<u64>> {
    let all = HostPath::from("/sys/fs/fuse/connections");
    let path = all.join(format!("{connection}/waiting"));
    match read_number(host_root, &path) {
        Observed::Known(waiting) => Observed::Known(Some(waiting)),
        // A node that does not mount fusectl has no such number for anybody.
        Observed::Unknown(gap) if gap.why == Why::NotFound => Observed::Known(None),
        Observed::Unknown(gap) => Observed::Unknown(gap),
    }
}

/// When the machine was started, by its own clock (`proc_stat(5)`).
pub fn booted(host_root: &Path) -> Option<Timestamp> {
    let stat = std::fs::read(file::below(host_root, &"/proc/stat".into())).ok()?;
    parse_boot_time(&stat)
}

fn read_number(host_root: &Path, path: &HostPath) -> Observed<u64> {
    read(host_root, path, parse_count)
}

fn read<T>(
    host_root: &Path,
    path: &HostPath,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Observed<T> {
    match file::read_sysfs(&file::below(host_root, path)) {
        Ok(bytes) => match parse(&bytes) {
            Some(value) => Observed::Known(value),
            None => Observed::Unknown(Gap::new(
                Why::Malformed,
                format!("read {path}: it holds no such number"),
            )),
        },
        Err(error) => Observed::Unknown(gap(host_root, path, &error)),
    }
}

/// Why something in sysfs could not be read; without sysfs itself nothing of it is known not to be there.
fn gap(host_root: &Path, path: &HostPath, error: &std::io::Error) -> Gap {
    let gap = file::gap("read", path, error);
    match missing(host_root) {
        Some(_) => file::of_source(gap),
        None => gap,
    }
}

/// The block device under a mount, where there is one to be found.
///
/// btrfs and bcachefs show an anonymous number and name the device as their source; a raw block
/// volume is a file of `devtmpfs` bound to its place, and the root of that mount names the device.
pub fn device_of(host_root: &Path, mount: &Mount) -> Option<DeviceNumber> {
    match mount.fs_type.as_str() {
        "devtmpfs" => named(host_root, &mount.root.0),
        "btrfs" | "bcachefs" if mount.device.major == 0 => {
            // bcachefs lists all its devices: the first stands for them.
            let source = mount.source.split(':').next()?;
            named(host_root, Path::new(source).strip_prefix("/dev").ok()?)
        }
        _ => (mount.device.major != 0).then_some(mount.device),
    }
}

/// The number of the device with this name below `/dev`.
fn named(host_root: &Path, name: &Path) -> Option<DeviceNumber> {
    let name = name.strip_prefix("/").unwrap_or(name);
    number_of(host_root, name).or_else(|| {
        // `/dev/mapper/x` and `/dev/disk/by-id/x` are links to the kernel's own name.
        let link = HostPath::from("/dev").join(name);
        let target = file::below(host_root, &link).read_link().ok()?;
        number_of(host_root, Path::new(target.file_name()?))
    })
}

/// The number of the device with this name of the kernel's.
fn number_of(host_root: &Path, name: &Path) -> Option<DeviceNumber> {
    // The kernel writes `!` for a slash in a device's name.
    let bytes = name.as_os_str().as_bytes();
    let name: Vec<u8> = bytes
        .iter()
        .map(|byte| if *byte == b'/' { b'!' } else { *byte })
        .collect();
    if name.is_empty() || name == b".." {
        return None;
    }
    let path = HostPath::from("/sys/class/block")
        .join(OsString::from_vec(name))
        .join("dev");
    parse_number(&std::fs::read(file::below(host_root, &path)).ok()?)
}

/// A number alone on its line.
pub fn parse_count(read: &[u8]) -> Option<u64> {
    std::str::from_utf8(read).ok()?.trim().parse().ok()
}

/// `stat` of a block device (`Documentation/block/stat.rst`): 11 fields, 15 since Linux 4.18, 17 since 5.5.
pub fn parse_stat(read: &[u8]) -> Option<Activity> {
    const ENDED: [usize; 4] = [0, 4, 11, 15];
    const IN_FLIGHT: usize = 8;
    let text = std::str::from_utf8(read).ok()?;
    let mut activity = Activity::default();
    let mut fields = 0;
    for (index, field) in text.split_ascii_whitespace().enumerate() {
        let number: u64 = field.parse().ok()?;
        if ENDED.contains(&index) {
            activity.completed = activity.completed.wrapping_add(number);
        } else if index == IN_FLIGHT {
            activity.in_flight = number;
        }
        fields = index + 1;
    }
    (fields > IN_FLIGHT).then_some(activity)
}

/// The line `btime` of `/proc/stat`.
pub fn parse_boot_time(stat: &[u8]) -> Option<Timestamp> {
    let line = stat
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"btime "))?;
    let seconds = i64::try_from(parse_count(line)?).ok()?;
    Timestamp::from_second(seconds).ok()
}

/// A size in sectors.
pub fn parse_size(read: &[u8]) -> Option<Bytes> {
    let sectors: u64 = std::str::from_utf8(read).ok()?.trim().parse().ok()?;
    sectors.checked_mul(SECTOR).map(Bytes)
}

/// `major:minor`.
pub fn parse_number(read: &[u8]) -> Option<DeviceNumber> {
    let (major, minor) = std::str::from_utf8(read).ok()?.trim().split_once(':')?;
    Some(DeviceNumber {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_in_sectors_of_512() {
        assert_eq!(parse_size(b"2097152\n"), Some(Bytes(1 << 30)));
        assert_eq!(parse_size(b"0\n"), Some(Bytes(0)));
        assert_eq!(parse_size(b"18446744073709551615\n"), None);
        assert_eq!(parse_size(b"-1\n"), None);
        assert_eq!(parse_size(b""), None);
    }

    #[test]
    fn without_sysfs_nothing_is_known_to_be_missing() {
        let host = tempfile::tempdir().unwrap();
        let device = DeviceNumber { major: 8, minor: 0 };
        let why = |host: &Path| device_size(host, device).gap().map(|gap| gap.why);
        assert_eq!(why(host.path()), Some(Why::Unavailable));
        std::fs::create_dir_all(host.path().join("sys/dev/block")).unwrap();
        assert_eq!(why(host.path()), Some(Why::NotFound));
    }

    #[test]
    fn what_devices_do() {
        let activity = |completed, in_flight| {
            Some(Activity {
                completed,
                in_flight,
            })
        };
        // Linux 6.18, 4.18 and before.
        let new = b"  10 0 80 5 20 0 160 9 3 12 14 30 0 8 1 40 2\n";
        assert_eq!(parse_stat(new), activity(100, 3));
        assert_eq!(parse_stat(b"10 0 80 5 20 0 160 9 0 12 14"), activity(30, 0));
        assert_eq!(parse_stat(b"10 0 80 5 20 0 160 9"), None);
        assert_eq!(parse_stat(b"ten 0 80 5 20 0 160 9 0 12 14"), None);
        assert_eq!(
            parse_boot_time(b"cpu 1 2\nbtime 1795608000\n"),
            Timestamp::from_second(1_795_608_000).ok()
        );
        assert_eq!(parse_boot_time(b"cpu 1 2\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(read in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse_stat(&read);
            let _ = parse_boot_time(&read);
            let _ = parse_size(&read);
            let _ = parse_number(&read);
        }
    }
}
