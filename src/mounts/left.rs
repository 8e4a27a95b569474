//! What lies in what pods left in the kubelet's directory, where nothing is mounted on it.
//!
//! The kernel is told to refuse wherever the way leads onto a mount (`openat2(2)`, Linux 5.6), ours or one
//! of this moment: so it reads the kubelet's own filesystem and no volume's, whatever became of the table.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use foldhash::HashMap;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::libc;
use nix::sys::stat::{SFlag, fstat};

use crate::model::names::HostPath;
use crate::model::observed::Observed;

use super::file;

/// So many entries are enough to say that a directory is not empty.
const ENOUGH: usize = 8;

/// The target path in the directory of a pod's volume; one of a device has those of other pods beside it.
const TARGET: &str = "mount";

/// What the kubelet itself has there.
const NOTES: &str = "vol_data.json";

/// Some of what lies at each of these target paths and beside it: of a directory its entries, and the path
/// itself where it is something else that is not empty.
pub fn find_contents(
    host_root: &Path,
    paths: &BTreeSet<HostPath>,
) -> HashMap<HostPath, Observed<Vec<HostPath>>> {
    let look = |path: &HostPath| {
        let found = contents(host_root, path).map_or_else(
            |error| Observed::Unknown(file::gap("look what lies in", path, &error)),
            Observed::Known,
        );
        (path.clone(), found)
    };
    paths.iter().map(look).collect()
}

fn contents(host_root: &Path, path: &HostPath) -> io::Result<Vec<HostPath>> {
    let (Some(directory), Some(name)) = (path.0.parent(), path.0.file_name()) else {
        return Ok(Vec::new());
    };
    let directory = HostPath(directory.into());
    let here = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(file::resolve(host_root, &directory));
    let here = match here {
        Ok(here) => OwnedFd::from(here),
        // The kubelet, or somebody, has taken it away by now.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found: Vec<HostPath> = match open(&here, name, OFlag::O_DIRECTORY) {
        Ok(inside) => {
            let names = list(inside, |_| true)?.into_iter();
            names.map(|name| path.join(name)).collect()
        }
        Err(Errno::ENOTDIR) => {
            let state = fstat(open(&here, name, OFlag::O_PATH)?)?;
            let kind = SFlag::from_bits_truncate(state.st_mode) & SFlag::S_IFMT;
            let of_device = name != TARGET;
            let holds = match kind {
                SFlag::S_IFREG => !of_device || state.st_size > 0,
                SFlag::S_IFBLK | SFlag::S_IFCHR => !of_device,
                _ => true,
            };
            holds.then(|| path.clone()).into_iter().collect()
        }
        Err(Errno::ENOENT) => Vec::new(),
        Err(errno) => return Err(errno.into()),
    };
    if name == TARGET {
        let beside = list(here, |other| other != TARGET && other != NOTES)?;
        found.extend(beside.into_iter().map(|name| directory.join(name)));
    }
    found.truncate(ENOUGH);
    Ok(found)
}

/// Opens an entry of a directory, if that leads onto no mount and through no link.
fn open(directory: &impl AsFd, name: &OsStr, flag: OFlag) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flag | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_SYMLINKS);
    openat2(directory, name, how)
}

/// Some of the entries of a directory.
fn list(directory: OwnedFd, wanted: impl Fn(&OsStr) -> bool) -> io::Result<Vec<OsString>> {
    let mut directory = Dir::from_fd(directory)?;
    let mut found = Vec::new();
    for entry in directory.iter() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." && wanted(name) {
            found.push(name.to_owned());
        }
        if found.len() == ENOUGH {
            break;
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MOUNT: &str = "/k/pods/u/volumes/kubernetes.io~csi/pv/mount";

    fn found(change: impl FnOnce(&Path)) -> Result<Vec<String>, String> {
        found_at(MOUNT, change)
    }

    fn found_at(path: &str, change: impl FnOnce(&Path)) -> Result<Vec<String>, String> {
        let host = tempfile::tempdir().unwrap();
        let path = HostPath::from(path);
        let here = file::below(host.path(), &path);
        fs::create_dir_all(here.parent().unwrap()).unwrap();
        change(&here);
        let all = find_contents(host.path(), &BTreeSet::from([path.clone()]));
        match &all[&path] {
            Observed::Known(paths) => Ok(paths.iter().map(ToString::to_string).collect()),
            Observed::Unknown(gap) => Err(gap.to_string()),
        }
    }

    #[test]
    fn an_empty_directory_and_the_kubelets_notes_are_nothing() {
        assert_eq!(found(|mount| fs::create_dir(mount).unwrap()), Ok(vec![]));
        // No directory, and so nothing that the kubelet made.
        let link = |mount: &Path| std::os::unix::fs::symlink("/", mount).unwrap();
        assert_eq!(found(link), Ok(vec![MOUNT.to_owned()]));
        let notes = |mount: &Path| fs::write(mount.with_file_name(NOTES), "{}").unwrap();
        assert_eq!(found(notes), Ok(vec![]));
        assert_eq!(
            found(|mount| fs::remove_dir(mount.parent().unwrap()).unwrap()),
            Ok(vec![])
        );
    }

    #[test]
    fn what_lies_there_is_named() {
        let files = |mount: &Path| {
            fs::create_dir(mount).unwrap();
            for name in ["b", "a"] {
                fs::write(mount.join(name), "").unwrap();
            }
            fs::write(mount.with_file_name("beside"), "").unwrap();
        };
        let directory = MOUNT.strip_suffix("/mount").unwrap();
        assert_eq!(
            found(files),
            Ok(vec![
                format!("{MOUNT}/a"),
                format!("{MOUNT}/b"),
                format!("{directory}/beside")
            ])
        );
        let many = |mount: &Path| {
            fs::create_dir(mount).unwrap();
            for name in 0..100 {
                fs::write(mount.join(name.to_string()), "").unwrap();
            }
        };
        assert_eq!(found(many).unwrap().len(), ENOUGH);
    }

    #[test]
    fn the_file_of_a_device_is_looked_at_alone() {
        let path = "/k/plugins/kubernetes.io/csi/volumeDevices/publish/pv/uid";
        let beside = |file: &Path| fs::write(file.with_file_name("other"), "data").unwrap();
        assert_eq!(found_at(path, beside), Ok(vec![]));
        let empty = |file: &Path| {
            beside(file);
            fs::write(file, "").unwrap();
        };
        assert_eq!(found_at(path, empty), Ok(vec![]));
        let written = |file: &Path| fs::write(file, "data").unwrap();
        assert_eq!(found_at(path, written), Ok(vec![path.to_owned()]));
    }

    #[test]
    fn what_cannot_be_looked_at_is_a_gap() {
        let no_directory = |mount: &Path| {
            fs::remove_dir(mount.parent().unwrap()).unwrap();
            fs::write(mount.parent().unwrap(), "").unwrap();
        };
        assert!(found(no_directory).is_err());
    }

    #[test]
    fn no_way_leads_onto_a_mount() {
        // The one mount that every test has: `/proc` of `/`.
        let root = OwnedFd::from(fs::File::open("/").unwrap());
        let opened = open(&root, OsStr::new("proc"), OFlag::O_DIRECTORY);
        assert_eq!(opened.err(), Some(Errno::EXDEV));
    }
}
