//! Where plugins may be: the sockets in the kubelet's directory.
//!
//! It lists and does not connect; whether somebody listens is another question.

use std::fs::DirEntry;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::model::names::HostPath;
use crate::model::observed::{Gap, Listing, Why};

/// How deep the kubelet's own watch of `plugins_registry` is followed; registrars use the first level.
const DEPTH: u32 = 3;

/// A socket that a plugin may be behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// The driver's name, as far as a file or directory name tells it.
    pub driver_hint: String,
    /// Where it is.
    pub path: HostPath,
    /// Who should listen.
    pub kind: SocketKind,
}

/// Who should listen at a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SocketKind {
    /// A registrar, which tells the kubelet where a plugin is (`plugins_registry/`).
    Registration,
    /// A plugin itself (`plugins/<driver>/csi.sock`).
    Plugin,
}

/// The sockets in a kubelet's directory.
pub fn find_sockets(host_root: &Path, kubelet: &HostPath) -> Listing<Socket> {
    let mut found = Listing::default();
    find_registrations(
        host_root,
        &kubelet.join("plugins_registry"),
        DEPTH,
        &mut found,
    );
    find_plugins(host_root, &kubelet.join("plugins"), &mut found);
    found
}

/// Where the host's path is from here.
pub(super) fn below(host_root: &Path, path: &HostPath) -> PathBuf {
    host_root.join(path.0.strip_prefix("/").unwrap_or(&path.0))
}

fn find_registrations(
    host_root: &Path,
    directory: &HostPath,
    depth: u32,
    found: &mut Listing<Socket>,
) {
    for entry in list(host_root, directory, found) {
        // The kubelet ignores them (`pkg/kubelet/pluginmanager/pluginwatcher`).
        if entry.file_name().as_bytes().starts_with(b".") {
            continue;
        }
        let path = directory.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 1 => {
                find_registrations(host_root, &path, depth - 1, found);
            }
            Ok(kind) if kind.is_socket() => {
                let name = entry.file_name().to_string_lossy().into_owned();
                let name = name.strip_suffix(".sock").unwrap_or(&name);
                found.items.push(Socket {
                    driver_hint: name.strip_suffix("-reg").unwrap_or(name).to_owned(),
                    path,
                    kind: SocketKind::Registration,
                });
            }
            _ => {}
        }
    }
}

fn find_plugins(host_root: &Path, plugins: &HostPath, found: &mut Listing<Socket>) {
    for entry in list(host_root, plugins, found) {
        let path = plugins.join(entry.file_name()).join("csi.sock");
        let is_socket = below(host_root, &path)
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.file_type().is_socket());
        if is_socket {
            found.items.push(Socket {
                driver_hint: entry.file_name().to_string_lossy().into_owned(),
                path,
                kind: SocketKind::Plugin,
            });
        }
    }
}

/// The entries of a directory, by name; what hinders is a gap.
fn list(host_root: &Path, directory: &HostPath, found: &mut Listing<Socket>) -> Vec<DirEntry> {
    let listed = std::fs::read_dir(below(host_root, directory))
        .and_then(Iterator::collect::<io::Result<Vec<_>>>);
    match listed {
        Ok(mut entries) => {
            entries.sort_by_key(DirEntry::file_name);
            entries
        }
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Why::NotFound,
                io::ErrorKind::PermissionDenied => Why::Denied,
                _ => Why::Unavailable,
            };
            let what = format!("look for sockets in {directory}: {error}");
            found.gaps.push(Gap::new(why, what));
            Vec::new()
        }
    }
}
