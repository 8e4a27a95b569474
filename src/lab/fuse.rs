//! The daemon of a FUSE volume: a directory with one file, served by a single
//! thread. While the backend's hold file is there it answers nothing at all,
//! like a daemon whose server is gone.
//!
//! It needs no care at the end: it dies with the namespace, and the kernel then
//! aborts the connection and frees whoever waits on it.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo, LockOwner,
    MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry, ReplyStatfs, Request,
    SessionACL,
};

use crate::lab::args;
use crate::lab::plugin::{Backend, Hold};

/// Nothing is cached by the kernel, so that every question reaches us.
const UNCACHED: Duration = Duration::ZERO;

const BLOCK: u32 = 4096;
const FILE: INodeNo = INodeNo(2);
const FILE_NAME: &str = "catalogue.txt";
const TEXT: &[u8] = b"teapots.jpg\nlamps.jpg\n";

struct Volume {
    blocks: u64,
    hold: PathBuf,
    since: SystemTime,
}

/// Serves one volume until it is unmounted.
pub(crate) fn run(wanted: &args::FuseVolume) -> anyhow::Result<ExitCode> {
    let backend = Backend::new(wanted.images.clone());
    let record = backend
        .read(&wanted.handle)?
        .ok_or_else(|| anyhow!("there is no volume {}", wanted.handle))?;
    let volume = Volume {
        blocks: record.bytes / u64::from(BLOCK),
        hold: backend.hold(&wanted.handle, Hold::Volume),
        since: SystemTime::now(),
    };
    let mut config = Config::default();
    config.acl = SessionACL::All;
    config.mount_options = vec![
        MountOption::FSName(wanted.handle.clone()),
        MountOption::Subtype("csi-doctor-lab".to_owned()),
        MountOption::DefaultPermissions,
    ];
    fuser::mount(volume, &wanted.at, &config)
        .with_context(|| format!("could not serve {}", wanted.at.display()))?;
    Ok(ExitCode::SUCCESS)
}

impl Volume {
    /// Every question waits here; there is one thread, so one wait stops all.
    fn wait(&self) {
        while self.hold.exists() {
            sleep(Duration::from_millis(50));
        }
    }

    fn attributes(&self, ino: INodeNo) -> Option<FileAttr> {
        let (kind, perm, size) = match ino {
            INodeNo::ROOT => (FileType::Directory, 0o755, 0),
            FILE => (FileType::RegularFile, 0o644, TEXT.len() as u64),
            _ => return None,
        };
        Some(FileAttr {
            ino,
            size,
            blocks: size.div_ceil(512),
            atime: self.since,
            mtime: self.since,
            ctime: self.since,
            crtime: self.since,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: BLOCK,
        })
    }
}

impl Filesystem for Volume {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.wait();
        let found = (parent == INodeNo::ROOT && name == FILE_NAME).then_some(FILE);
        match found.and_then(|ino| self.attributes(ino)) {
            Some(attributes) => reply.entry(&UNCACHED, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.wait();
        match self.attributes(ino) {
            Some(attributes) => reply.attr(&UNCACHED, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        self.wait();
        let free = self.blocks - 1;
        reply.statfs(self.blocks, free, free, 1000, 998, BLOCK, 255, BLOCK);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.wait();
        if ino != FILE {
            return reply.error(Errno::ENOENT);
        }
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| TEXT.get(offset..))
            .unwrap_or_default();
        let end = rest.len().min(size as usize);
        reply.data(&rest[..end]);
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        self.wait();
        if ino != INodeNo::ROOT {
            return reply.error(Errno::ENOENT);
        }
        let entries = [
            (INodeNo::ROOT, FileType::Directory, "."),
            (INodeNo::ROOT, FileType::Directory, ".."),
            (FILE, FileType::RegularFile, FILE_NAME),
        ];
        for ((ino, kind, name), next) in entries.into_iter().zip(1_u64..) {
            if next > offset && reply.add(ino, next, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
