//! What sysfs says of block devices. Reading it touches no filesystem on them.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

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
    let path = HostPath(PathBuf::from(format!("/sys/dev/block/{device}/size")));
    let read = match std::fs::read(file::below(host_root, &path)) {
        Ok(read) => read,
        Err(error) => return Observed::Unknown(file::gap("read", &path, &error)),
    };
    match parse_size(&read) {
        Some(size) => Observed::Known(Some(size)),
        None => Observed::Unknown(Gap::new(
            Why::Malformed,
            format!("read {path}: it holds no number of sectors"),
        )),
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

/// A size in sectors.
fn parse_size(read: &[u8]) -> Option<Bytes> {
    let sectors: u64 = std::str::from_utf8(read).ok()?.trim().parse().ok()?;
    sectors.checked_mul(SECTOR).map(Bytes)
}

/// `major:minor`.
fn parse_number(read: &[u8]) -> Option<DeviceNumber> {
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

    proptest! {
        #[test]
        fn any_bytes_are_survived(read in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse_size(&read);
            let _ = parse_number(&read);
        }
    }
}
