//! The storage behind a plugin: a record and an image file for each volume, as
//! a storage system has its own truth about a volume's size. Formatting,
//! mounting and growing are done here.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tonic::Status;

use super::conduct::Topic;
use super::internal;
use super::manner::Manner;
use crate::lab::volumes::Kind;
use crate::lab::{fuse_image, mounts, remove};

/// The disk of the node that has directories for volumes.
const DISK: u64 = 128 << 20;

/// What the backend knows of one volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) bytes: u64,
}

/// What does not answer: a FUSE volume, or the storage behind a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    Volume,
    Io,
}

/// The directory with all records and images.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    directory: PathBuf,
}

impl Backend {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    fn record_path(&self, handle: &str) -> PathBuf {
        self.directory.join(format!("{handle}.json"))
    }

    /// The file behind a loop device.
    pub(crate) fn image(&self, handle: &str) -> PathBuf {
        self.directory.join(format!("{handle}.img"))
    }

    /// While this file is there, the daemon does not answer.
    pub(crate) fn hold(&self, handle: &str, of: Hold) -> PathBuf {
        match of {
            Hold::Volume => self.directory.join(format!("{handle}.hold")),
            Hold::Io => self.directory.join(format!("{handle}.hold-io")),
        }
    }

    /// The process without which the volume is not there: the daemon of a FUSE volume, the holder of a device.
    pub(crate) fn daemon(&self, handle: &str) -> anyhow::Result<i32> {
        let path = self.daemon_path(handle);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("could not read {}", path.display()))?;
        text.trim().parse().context("it holds no process number")
    }

    pub(super) fn daemon_path(&self, handle: &str) -> PathBuf {
        self.directory.join(format!("{handle}.pid"))
    }

    /// Puts the image of an unmounted volume behind a daemon that can stop answering.
    pub(crate) async fn move_behind_daemon(&self, handle: &str) -> anyhow::Result<()> {
        let image = self.image(handle);
        if image.is_symlink() {
            return Ok(());
        }
        let (real, shelf) = (
            self.directory.join(format!("{handle}.real")),
            self.directory.join(format!("{handle}.shelf")),
        );
        std::fs::create_dir_all(&shelf)
            .and_then(|()| std::fs::rename(&image, &real))
            .with_context(|| format!("could not move {}", image.display()))?;
        let arguments = [
            "fuse-image".as_ref(),
            "--image".as_ref(),
            real.as_os_str(),
            "--hold".as_ref(),
            self.hold(handle, Hold::Io).as_os_str(),
            "--at".as_ref(),
            shelf.as_os_str(),
        ]
        .map(ToOwned::to_owned);
        start_daemon(&arguments, &shelf).await?;
        std::os::unix::fs::symlink(shelf.join(fuse_image::NAME), &image)
            .with_context(|| format!("could not link {}", image.display()))
    }

    /// How the plugin is to behave when it is to expand a volume.
    pub(crate) fn behave(&self, handle: &str, manner: &Manner) -> anyhow::Result<()> {
        self.set(handle, Topic::Expand, &manner.to_string())
    }

    /// How it is to behave; well, where nothing was said.
    pub(super) fn manner(&self, handle: &str) -> Manner {
        let told = self.set_to(handle, Topic::Expand);
        told.parse().unwrap_or(Manner::Well)
    }

    fn offline_path(&self, driver: &str) -> PathBuf {
        self.directory.join(format!("{driver}.offline"))
    }

    /// Lets a driver say that it expands only what nobody uses, or no more.
    pub(crate) fn offline(&self, driver: &str, offline: bool) -> anyhow::Result<()> {
        let path = self.offline_path(driver);
        let done = if offline {
            std::fs::write(&path, "")
        } else {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                done => done,
            }
        };
        done.with_context(|| format!("could not change {}", path.display()))
    }

    /// Whether a driver says so.
    pub(super) fn is_offline(&self, driver: &str) -> bool {
        self.offline_path(driver).exists()
    }

    /// The record of a volume, if there is such a volume.
    pub(crate) fn read(&self, handle: &str) -> anyhow::Result<Option<Record>> {
        let path = self.record_path(handle);
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .with_context(|| format!("could not understand {}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("could not read {}", path.display())),
        }
    }

    /// The same, where there has to be one.
    pub(super) fn record(&self, driver: &str, handle: &str) -> Result<Record, Status> {
        if handle.is_empty() {
            return Err(Status::invalid_argument("volume_id is missing"));
        }
        self.read(handle)
            .map_err(|error| internal(&error))?
            .ok_or_else(|| Status::not_found(format!("{driver}: no volume {handle}")))
    }

    /// What `CreateVolume` and `ControllerExpandVolume` do: from here on the volume has this size, and so has
    /// the device below its filesystem; of a raw one the node learns when it is expanded there.
    pub(crate) async fn provide(&self, handle: &str, record: &Record) -> anyhow::Result<()> {
        let text = serde_json::to_string(record)?;
        // Renamed into place: the FUSE daemon reads it at any time.
        let temporary = self.directory.join(format!(".{handle}.json"));
        std::fs::write(&temporary, text)
            .and_then(|()| std::fs::rename(&temporary, self.record_path(handle)))
            .with_context(|| format!("could not record the volume {handle}"))?;
        if !record.kind.has_device() {
            return Ok(());
        }
        let image = self.image(handle);
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&image)
            .and_then(|file| file.set_len(record.bytes))
            .with_context(|| format!("could not size {}", image.display()))?;
        if record.kind == Kind::Block {
            return Ok(());
        }
        for device in self.devices(handle)? {
            mounts::run("losetup", &["-c", &device.to_string_lossy()]).await?;
        }
        Ok(())
    }

    /// The loop devices on a volume's image. The kernel's list tells: to ask each device waits for those that hang.
    pub(super) fn devices(&self, handle: &str) -> anyhow::Result<Vec<PathBuf>> {
        let image = self.image(handle);
        let image = std::fs::read_link(&image).unwrap_or(image);
        let all = std::fs::read_dir("/sys/block").context("could not list the block devices")?;
        let ours = all.flatten().filter(|device| {
            let file = std::fs::read_to_string(device.path().join("loop/backing_file"));
            file.is_ok_and(|file| Path::new(file.trim_end_matches('\n')) == image)
        });
        Ok(ours
            .map(|device| Path::new("/dev").join(device.file_name()))
            .collect())
    }

    /// What `DeleteVolume` does: the volume and all that is noted of it are gone.
    pub(super) fn forget(&self, handle: &str) -> anyhow::Result<()> {
        for what in ["img", "conduct", "pid", "json"] {
            remove(&self.directory.join(format!("{handle}.{what}")))?;
        }
        Ok(())
    }

    /// Formats where there is no filesystem yet, and mounts.
    pub(super) async fn stage(
        &self,
        handle: &str,
        record: &Record,
        staging: &Path,
        readers: bool,
    ) -> anyhow::Result<()> {
        match record.kind {
            Kind::Directory => self.make_shelf(handle).await,
            Kind::Tmpfs => mounts::mount_tmpfs(handle, staging, record.bytes),
            Kind::Fuse => self.start_volume_daemon(handle, staging).await,
            Kind::Block => self.attach_device(handle).await,
            Kind::Ext4 | Kind::Xfs | Kind::Btrfs => {
                let image = self.image(handle);
                if found(&image)? != Some(record.kind) {
                    format(record.kind, &image).await?;
                } else if record.kind == Kind::Ext4 {
                    grow_unmounted(&image, record.bytes).await?;
                }
                let (image, staging) = (image.to_string_lossy(), staging.to_string_lossy());
                // -n: no note of it in /run of the machine.
                let kind = record.kind.fs_type();
                let options = if readers { "loop,ro" } else { "loop" };
                mounts::run(
                    "mount",
                    &["-n", "-t", kind, "-o", options, &image, &staging],
                )
                .await
            }
        }
    }

    /// The disk of the node on which directories are volumes.
    fn disk(&self) -> PathBuf {
        self.directory.join("disk")
    }

    /// The directory that is a volume.
    pub(super) fn shelf(&self, handle: &str) -> PathBuf {
        self.disk().join(handle)
    }

    /// Makes a directory on the node's disk, and the disk where it is the first.
    async fn make_shelf(&self, handle: &str) -> anyhow::Result<()> {
        let disk = self.disk();
        if mounts::find(&disk).is_none() {
            let image = self.image("disk");
            std::fs::create_dir_all(&disk)
                .and_then(|()| File::create(&image))
                .and_then(|file| file.set_len(DISK))
                .with_context(|| format!("could not make {}", disk.display()))?;
            format(Kind::Ext4, &image).await?;
            let (image, disk) = (image.to_string_lossy(), disk.to_string_lossy());
            mounts::run("mount", &["-n", "-t", "ext4", "-o", "loop", &image, &disk]).await?;
        }
        let shelf = self.shelf(handle);
        std::fs::create_dir_all(&shelf)
            .with_context(|| format!("could not make {}", shelf.display()))
    }

    /// Grows the filesystem to the device, or to the size for a tmpfs; a raw device to what is behind it.
    pub(super) async fn grow(
        &self,
        handle: &str,
        record: &Record,
        staging: &Path,
    ) -> anyhow::Result<()> {
        let device = || {
            mounts::find(staging)
                .map(|mounted| mounted.source.to_string_lossy().into_owned())
                .with_context(|| format!("{} is not mounted", staging.display()))
        };
        match record.kind {
            Kind::Tmpfs => {
                let size = format!("size={}", record.bytes);
                mounts::remount(staging, false, Some(&size))
            }
            Kind::Xfs => mounts::run("xfs_growfs", &["-d", &staging.to_string_lossy()]).await,
            Kind::Ext4 => mounts::run("resize2fs", &[&device()?]).await,
            Kind::Btrfs => {
                let staging = staging.to_string_lossy();
                mounts::run("btrfs", &["filesystem", "resize", "max", &staging]).await
            }
            Kind::Block => self.rescan_device(handle).await,
            Kind::Fuse | Kind::Directory => Ok(()),
        }
    }

    async fn start_volume_daemon(&self, handle: &str, staging: &Path) -> anyhow::Result<()> {
        let arguments = [
            "fuse-volume".as_ref(),
            "--images".as_ref(),
            self.directory.as_os_str(),
            "--handle".as_ref(),
            handle.as_ref(),
            "--at".as_ref(),
            staging.as_os_str(),
        ]
        .map(ToOwned::to_owned);
        let pid = start_daemon(&arguments, staging).await?;
        let path = self.daemon_path(handle);
        std::fs::write(&path, pid.to_string())
            .with_context(|| format!("could not write {}", path.display()))
    }
}

/// Starts a daemon and waits for its mount. It outlives the plugin, as a mounted volume must.
async fn start_daemon(arguments: &[OsString], at: &Path) -> anyhow::Result<u32> {
    let mut daemon = Command::new("/proc/self/exe")
        .arg0("csi-doctor-lab")
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .context("could not start the filesystem's daemon")?;
    for _ in 0..100 {
        if mounts::find(at).is_some() {
            return Ok(daemon.id());
        }
        if let Some(status) = daemon.try_wait()? {
            bail!("the filesystem's daemon ended with {status}");
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(anyhow!("the filesystem's daemon did not mount anything"))
}

/// The filesystem that an image holds, by its magic number.
fn found(image: &Path) -> anyhow::Result<Option<Kind>> {
    let file = File::open(image).with_context(|| format!("could not open {}", image.display()))?;
    let mut start = vec![0_u8; 0x1_0048];
    file.read_exact_at(&mut start, 0)
        .with_context(|| format!("could not read {}", image.display()))?;
    Ok(if start.starts_with(b"XFSB") {
        Some(Kind::Xfs)
    } else if start[1080..1082] == [0x53, 0xEF] {
        Some(Kind::Ext4)
    } else if start.ends_with(b"_BHRfS_M") {
        Some(Kind::Btrfs)
    } else {
        None
    })
}

async fn format(kind: Kind, image: &Path) -> anyhow::Result<()> {
    let image = image.to_string_lossy();
    match kind {
        // No blocks reserved for root: it is how Kubernetes formats.
        Kind::Ext4 => mounts::run("mkfs.ext4", &["-q", "-F", "-m0", &image]).await,
        Kind::Btrfs => mounts::run("mkfs.btrfs", &["-q", "-f", &image]).await,
        _ => mounts::run("mkfs.xfs", &["-q", "-f", &image]).await,
    }
}

/// A volume that was grown while it was nowhere mounted, or whose kernel does
/// not let ext4 grow while mounted, gets its size before the next mount.
async fn grow_unmounted(image: &Path, bytes: u64) -> anyhow::Result<()> {
    let file = File::open(image).with_context(|| format!("could not open {}", image.display()))?;
    let field = |offset: u64| -> anyhow::Result<u64> {
        let mut bytes = [0_u8; 4];
        file.read_exact_at(&mut bytes, 1024 + offset)?;
        Ok(u64::from(u32::from_le_bytes(bytes)))
    };
    let block = 1024 << field(0x18)?;
    if field(0x04)? * block + block > bytes {
        return Ok(());
    }
    let image = image.to_string_lossy();
    // resize2fs insists on a check since the last mount.
    mounts::run("e2fsck", &["-f", "-p", &image]).await?;
    mounts::run("resize2fs", &[&image]).await
}
