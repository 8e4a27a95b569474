//! Small files under a host root, read so that none can hold up or flood the reader.
//!
//! It does not know what the files mean.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::model::names::HostPath;
use crate::model::observed::{Gap, Why};

/// How many links a path may lead through, as the kernel has it.
const MAX_LINKS: u32 = 40;

/// Where the host's path is from here.
pub(super) fn below(host_root: &Path, path: &HostPath) -> PathBuf {
    host_root.join(path.0.strip_prefix("/").unwrap_or(&path.0))
}

/// The same, with symbolic links followed as the host would: an absolute one starts again at the host root.
///
/// Only for directories of the node's own filesystem, never for a path with a volume on it.
pub(super) fn resolve(host_root: &Path, path: &HostPath) -> PathBuf {
    let mut resolved = PathBuf::from("/");
    let mut rest: Vec<_> = path
        .0
        .components()
        .map(|part| part.as_os_str().to_owned())
        .collect();
    rest.reverse();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match part.to_str() {
            Some("/") => {
                resolved = PathBuf::from("/");
                continue;
            }
            Some(".") => continue,
            Some("..") => {
                resolved.pop();
                continue;
            }
            _ => resolved.push(&part),
        }
        let Ok(link) = below(host_root, &resolved.clone().into()).read_link() else {
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            break;
        }
        resolved.pop();
        rest.extend(
            link.components()
                .rev()
                .map(|part| part.as_os_str().to_owned()),
        );
    }
    below(host_root, &resolved.into())
}

/// The bytes of a regular file of at most `limit` bytes.
///
/// A named pipe or a device under the name of a file would hold up the reader: the file is opened
/// without waiting, and refused unless it is an ordinary one.
pub(super) fn read_small(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    match metadata.len() {
        // A file of `/proc` does not say how long it is.
        0 => read_up_to(&file, limit),
        length => read_at_once(&file, length, limit),
    }
}

/// The first line of a file of `/proc`, or as much of it as tells lines apart.
pub(super) fn read_first_line(path: &Path) -> io::Result<Vec<u8>> {
    const ENOUGH: usize = 512;
    let mut file = File::open(path)?;
    let mut line = [0_u8; ENOUGH];
    let read = file.read(&mut line)?;
    let line = &line[..read];
    let end = line.iter().position(|byte| *byte == b'\n');
    Ok(line[..end.unwrap_or(read)].to_vec())
}

/// The bytes of an attribute of sysfs, which has a page at most: no need to ask first how many.
pub(super) fn read_sysfs(path: &Path) -> io::Result<Vec<u8>> {
    const PAGE: usize = 4096;
    let mut file = File::open(path)?;
    let mut page = [0_u8; PAGE];
    let read = file.read(&mut page)?;
    Ok(page[..read].to_vec())
}

/// The bytes of a file that is so long, by one call wherever it has not grown since.
fn read_at_once(mut file: &File, length: u64, limit: u64) -> io::Result<Vec<u8>> {
    let room = usize::try_from(length.min(limit)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; room.saturating_add(1)];
    let read = file.read(&mut bytes)?;
    bytes.truncate(read);
    if read <= room {
        return Ok(bytes);
    }
    let more = read_up_to(file, limit.saturating_sub(read as u64))?;
    bytes.extend(more);
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// The bytes of an open file, if they are no more than `limit`.
fn read_up_to(file: &File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// Why an attempt failed, from the kernel's error.
pub(super) fn why(error: &io::Error) -> Why {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => Why::NotFound,
        Some(libc::EACCES | libc::EPERM) => Why::Denied,
        Some(libc::ESTALE | libc::ENOTCONN | libc::EIO) => Why::Stale,
        _ => Why::Unavailable,
    }
}

/// The gap of a place that every host has: that it is not there says nothing of what was looked for in it.
pub(super) fn of_source(gap: Gap) -> Gap {
    match gap.why {
        Why::NotFound => Gap {
            why: Why::Unavailable,
            ..gap
        },
        _ => gap,
    }
}

/// The gap for a failed attempt.
pub(super) fn gap(attempt: &str, path: &HostPath, error: &io::Error) -> Gap {
    Gap::new(why(error), format!("{attempt} {path}: {error}"))
}
