//! A directory of manifests as the source of objects: YAML and JSON, as `kubectl get -o yaml` writes them.
//!
//! A file that cannot be read, or an object that cannot be, is one gap, and the rest is kept. Files
//! that did not change are not read again. Of two objects with one name the later file's counts.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{DirEntry, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::model::objects::Objects;
use crate::model::observed::{Gap, Why};
use crate::model::terms::Requirement;

use super::parse::{Kind, Parsed, parse_file};
use super::saved;

/// More than any cluster's pods in one list; what is larger is no manifest.
const MAX_FILE: u64 = 256 * 1024 * 1024;

/// A directory of manifests, and what its files held when they were read last.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Labels that claims must have.
    labels: Vec<Requirement>,
    files: BTreeMap<OsString, File>,
    /// What the last reading found, whole.
    stamps: Option<Vec<(OsString, Stamp)>>,
    /// The kinds that the last reading met.
    kinds: BTreeSet<Kind>,
}

#[derive(Debug)]
struct File {
    stamp: Stamp,
    parsed: Parsed,
}

/// Tells one content of a file from the next, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Directory {
    /// The directory at a path of our own, not of the host's.
    pub fn new(path: PathBuf) -> Self {
        Self::with_labels(path, Vec::new())
    }

    /// The same, of claims those with such labels alone.
    pub fn with_labels(path: PathBuf, labels: Vec<Requirement>) -> Self {
        Self {
            path,
            labels,
            files: BTreeMap::new(),
            stamps: None,
            kinds: BTreeSet::new(),
        }
    }

    /// Notes in what was read last that a kind of which no file has anything was not saved, which is not
    /// the same as that there is none.
    ///
    /// For files that somebody saved of a cluster. A directory that is written to stand for one has all
    /// there is.
    pub fn note_unsaved(&self, objects: &mut Objects) {
        saved::note_unsaved(objects, &self.kinds, &self.path);
    }

    /// All objects in it at this moment, unless every file is what it was when they were read last.
    pub fn read_if_changed(&mut self) -> Option<Objects> {
        let stamps = self.stamps();
        if stamps.is_some() && stamps == self.stamps {
            return None;
        }
        let objects = self.read();
        // Taken before: what changed meanwhile is read again.
        self.stamps = stamps;
        Some(objects)
    }

    /// The files and their stamps; nothing where one of them cannot be looked at.
    fn stamps(&self) -> Option<Vec<(OsString, Stamp)>> {
        let entries = std::fs::read_dir(&self.path).ok()?;
        let mut stamps = Vec::new();
        for entry in entries {
            let name = entry.ok()?.file_name();
            if is_manifest(&name) {
                let metadata = std::fs::metadata(self.path.join(&name)).ok()?;
                stamps.push((name, Stamp::of(&metadata)));
            }
        }
        stamps.sort_by(|(one, _), (other, _)| one.cmp(other));
        Some(stamps)
    }

    /// All objects in it at this moment.
    pub fn read(&mut self) -> Objects {
        let listed =
            std::fs::read_dir(&self.path).and_then(Iterator::collect::<io::Result<Vec<DirEntry>>>);
        let entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                self.files.clear();
                let attempt = format!("list the manifests in {}", self.path.display());
                return Objects::unknown(&gap(&attempt, &error));
            }
        };
        let mut names: Vec<OsString> = entries.iter().map(DirEntry::file_name).collect();
        names.retain(is_manifest);
        names.sort();
        self.files
            .retain(|name, _| names.binary_search(name).is_ok());

        let mut all = Parsed::default();
        for name in names {
            match self.read_file(&name) {
                Ok(Some(parsed)) => all.absorb(parsed),
                Ok(None) => {}
                Err(error) => {
                    let attempt = format!("read manifest {}", name.display());
                    all.miss(None, &gap(&attempt, &error));
                    self.files.remove(&name);
                }
            }
        }
        self.kinds.clone_from(all.kinds());
        all.into_objects()
    }

    /// What a file holds; nothing where there is no file after all.
    fn read_file(&mut self, name: &OsString) -> io::Result<Option<&Parsed>> {
        let path = self.path.join(name);
        // Links are followed: a mounted `ConfigMap` is made of them.
        let metadata = match std::fs::metadata(&path) {
            Ok(metadata) => metadata,
            // It went away while we were looking; a link that leads nowhere is broken.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_link(&path) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if metadata.is_dir() {
            return Ok(None);
        }
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        if metadata.len() > MAX_FILE {
            return Err(io::Error::other(format!("larger than {MAX_FILE} bytes")));
        }
        let stamp = Stamp::of(&metadata);
        let known = self.files.get(name).is_some_and(|file| file.stamp == stamp);
        if !known {
            let parsed = parse_file(
                &name.to_string_lossy(),
                &std::fs::read(&path)?,
                &self.labels,
            );
            self.files.insert(name.clone(), File { stamp, parsed });
        }
        Ok(self.files.get(name).map(|file| &file.parsed))
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|metadata| metadata.is_symlink())
}

/// By its name; hidden files are those of editors and of a mounted `ConfigMap`.
fn is_manifest(name: &OsString) -> bool {
    let bytes = name.as_bytes();
    let extension = Path::new(name).extension().and_then(|end| end.to_str());
    !bytes.starts_with(b".") && matches!(extension, Some("yaml" | "yml" | "json"))
}

fn gap(attempt: &str, error: &io::Error) -> Gap {
    let why = match error.kind() {
        io::ErrorKind::NotFound => Why::NotFound,
        io::ErrorKind::PermissionDenied => Why::Denied,
        _ => Why::Unavailable,
    };
    Gap::new(why, format!("{attempt}: {error}"))
}
