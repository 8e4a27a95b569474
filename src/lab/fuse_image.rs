//! A daemon with one file, which lies on the disk below: the storage behind a loop device that can stop
//! answering. While its hold file is there it neither reads nor writes.
//!
//! When it is killed, the kernel ends what waits for it with an error, and so the device too.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use fuser::{
    BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo,
    LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyWrite,
    Request, TimeOrNow, WriteFlags,
};

use crate::lab::args;

/// The file's name.
pub(crate) const NAME: &str = "disk.img";

const TTL: Duration = Duration::from_secs(1);
const IMAGE: INodeNo = INodeNo(2);

struct Shelf {
    image: File,
    hold: PathBuf,
}

/// Serves one image until it is unmounted.
pub(crate) fn run(wanted: &args::FuseImage) -> anyhow::Result<ExitCode> {
    let image = File::options()
        .read(true)
        .write(true)
        .open(&wanted.image)
        .with_context(|| format!("could not open {}", wanted.image.display()))?;
    let shelf = Shelf {
        image,
        hold: wanted.hold.clone(),
    };
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName("shelf".to_owned()),
        MountOption::Subtype("csi-doctor-lab".to_owned()),
    ];
    fuser::mount(shelf, &wanted.at, &config)
        .with_context(|| format!("could not serve {}", wanted.at.display()))?;
    Ok(ExitCode::SUCCESS)
}

impl Shelf {
    fn wait(&self) {
        while self.hold.exists() {
            sleep(Duration::from_millis(50));
        }
    }

    fn attributes(&self, ino: INodeNo) -> Option<FileAttr> {
        let size = self.image.metadata().ok()?.len();
        let (kind, perm, size) = match ino {
            INodeNo::ROOT => (FileType::Directory, 0o700, 0),
            IMAGE => (FileType::RegularFile, 0o600, size),
            _ => return None,
        };
        let time = SystemTime::UNIX_EPOCH;
        Some(FileAttr {
            ino,
            size,
            blocks: size.div_ceil(512),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 4096,
        })
    }

    fn tell(&self, ino: INodeNo, reply: ReplyAttr) {
        match self.attributes(ino) {
            Some(attributes) => reply.attr(&TTL, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }
}

impl Filesystem for Shelf {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = (parent == INodeNo::ROOT && name == NAME).then_some(IMAGE);
        match found.and_then(|ino| self.attributes(ino)) {
            Some(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.tell(ino, reply);
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if let Some(size) = size
            && self.image.set_len(size).is_err()
        {
            return reply.error(Errno::EIO);
        }
        self.tell(ino, reply);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.wait();
        let mut bytes = vec![0; size as usize];
        match self.image.read_at(&mut bytes, offset) {
            Ok(read) => reply.data(&bytes[..read]),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.wait();
        match self.image.write_all_at(data, offset) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.wait();
        reply.ok();
    }
}
