//! Raw block volumes: a loop device a volume, which is gone when nobody holds it any more.
//!
//! A small process holds it, as a mounted filesystem would: it outlives the plugin and ends with the lab,
//! so that no device is left behind whatever happens.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pause};

use super::backing::Backend;
use crate::lab::mounts;
use crate::proto::csi::VolumeUsage;
use crate::proto::csi::volume_usage::Unit;

/// The process that holds a device: it got it as its standard input.
pub(crate) fn hold() -> ExitCode {
    loop {
        pause();
    }
}

impl Backend {
    fn device_path(&self, handle: &str) -> PathBuf {
        self.directory().join(format!("{handle}.device"))
    }

    /// The device of a raw block volume that is staged.
    pub(crate) fn device(&self, handle: &str) -> Option<PathBuf> {
        std::fs::read_to_string(self.device_path(handle))
            .ok()
            .map(PathBuf::from)
    }

    /// Makes the device, unless it is there.
    pub(super) async fn attach_device(&self, handle: &str) -> anyhow::Result<()> {
        if self.device(handle).is_some() {
            return Ok(());
        }
        let image = self.image(handle);
        let arguments = ["--find", "--show", &image.to_string_lossy()];
        let device = mounts::output("losetup", &arguments).await?;
        let held = File::open(&device).with_context(|| format!("could not open {device}"))?;
        // Of a device that is open it says: when the last one closes it, clear it.
        mounts::run("losetup", &["--detach", &device]).await?;
        let holder = Command::new("/proc/self/exe")
            .arg0("csi-doctor-lab")
            .arg("hold-device")
            .stdin(Stdio::from(held))
            .process_group(0)
            .spawn()
            .context("could not start the device's holder")?;
        std::fs::write(self.daemon_path(handle), holder.id().to_string())
            .and_then(|()| std::fs::write(self.device_path(handle), &device))
            .with_context(|| format!("could not note the device of {handle}"))
    }

    /// Lets the node see that the storage has grown.
    pub(super) async fn rescan_device(&self, handle: &str) -> anyhow::Result<()> {
        let device = self.device(handle).context("there is no device")?;
        mounts::run("losetup", &["--set-capacity", &device.to_string_lossy()]).await
    }

    /// Lets the device go, if there is one.
    pub(super) fn detach_device(&self, handle: &str) -> anyhow::Result<()> {
        if self.device(handle).is_none() {
            return Ok(());
        }
        let holder = Pid::from_raw(self.daemon(handle)?);
        kill(holder, Signal::SIGKILL).context("could not end the device's holder")?;
        std::fs::remove_file(self.device_path(handle)).context("could not forget the device")
    }
}

/// Puts a device at a path, as a file with the device mounted over it.
pub(super) fn publish(device: &Path, target: &Path, read_only: bool) -> anyhow::Result<()> {
    File::create(target).with_context(|| format!("could not make {}", target.display()))?;
    mounts::bind(device, target, read_only)
}

/// What can be said of a device: how big it is.
pub(super) fn usage(path: &Path) -> anyhow::Result<Vec<VolumeUsage>> {
    let size = File::open(path)
        .and_then(|mut device| device.seek(SeekFrom::End(0)))
        .with_context(|| format!("could not ask {} for its size", path.display()))?;
    Ok(vec![VolumeUsage {
        total: i64::try_from(size).unwrap_or(i64::MAX),
        unit: Unit::Bytes.into(),
        ..VolumeUsage::default()
    }])
}
