//! Faults of the node's layers below Kubernetes: daemons, devices, filesystems, mounts, left-overs.
//!
//! They are real like the others. Most need root of the machine, and say so where they cannot be made.

use std::path::Path;

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::lab::containers::{PLACE, container};
use crate::lab::faults::{Entry, Fault};
use crate::lab::laboratory::Lab;
use crate::lab::plugin::Hold;
use crate::lab::volumes::{Kind, Volume};
use crate::lab::{kubelet, manifests, mounts, objects, pods};

/// These faults.
pub(super) static FAULTS: [Entry; 15] = [
    Entry {
        fault: Fault::Queue,
        name: "queue",
        code: "MountUnresponsive",
        example: "",
        does: "stops the filesystem's daemon: requests queue up",
        needs: "a FUSE volume, hence /dev/fuse",
    },
    Entry {
        fault: Fault::Die,
        name: "die",
        code: "StaleMount",
        example: "",
        does: "kills the filesystem's daemon",
        needs: "a FUSE volume, hence /dev/fuse",
    },
    Entry {
        fault: Fault::Restart,
        name: "restart",
        code: "ContainerMountStale",
        example: "",
        does: "starts the daemon anew under a container that runs",
        needs: "a FUSE volume, hence /dev/fuse",
    },
    Entry {
        fault: Fault::FreezeIo,
        name: "freeze-io",
        code: "MountUnresponsive",
        example: "",
        does: "lets the storage behind the device answer nothing; `losetup -a` on the machine waits for it too",
        needs: "root, ext4, /dev/fuse",
    },
    Entry {
        fault: Fault::Emergency,
        name: "emergency",
        code: "UnexpectedReadOnly",
        example: "",
        does: "lets ext4 meet an error and stop writing",
        needs: "root, ext4, Linux 4.19",
    },
    Entry {
        fault: Fault::CountErrors,
        name: "count-errors",
        code: "FilesystemErrors",
        example: "",
        does: "lets ext4 meet an error and go on, as it does unless it is told otherwise",
        needs: "root, ext4, Linux 4.19",
    },
    Entry {
        fault: Fault::ShutDown,
        name: "shut-down",
        code: "StaleMount",
        example: "",
        does: "shuts the filesystem down, as after a lost log",
        needs: "root, xfs",
    },
    Entry {
        fault: Fault::Detach,
        name: "detach",
        code: "DeviceMissing",
        example: "",
        does: "takes the medium from under the mount",
        needs: "root, a loop device",
    },
    Entry {
        fault: Fault::Inodes,
        name: "inodes",
        code: "InodesNearlyExhausted",
        example: "",
        does: "takes all inodes with empty files",
        needs: "root, a writable ext4",
    },
    Entry {
        fault: Fault::Stack,
        name: "stack",
        code: "StagedDeviceMismatch",
        example: "",
        does: "mounts something else over the pod's path",
        needs: "nothing",
    },
    Entry {
        fault: Fault::Swap,
        name: "swap",
        code: "StagedDeviceMismatch",
        example: "",
        does: "puts another volume at the pod's path",
        needs: "another volume of its driver",
    },
    Entry {
        fault: Fault::UnmountInside,
        name: "unmount-inside",
        code: "VolumeNotMounted",
        example: "",
        does: "unmounts the volume in the container alone",
        needs: "nothing",
    },
    Entry {
        fault: Fault::Orphan,
        name: "orphan",
        code: "OrphanedPodVolume",
        example: "",
        does: "deletes the pod from the API and nothing else",
        needs: "nothing",
    },
    Entry {
        fault: Fault::LeaveStage,
        name: "leave-stage",
        code: "StagedWithoutPod",
        example: "",
        does: "deletes the pod and unpublishes, but does not unstage",
        needs: "nothing",
    },
    Entry {
        fault: Fault::StuckUnmount,
        name: "stuck-unmount",
        code: "UnmountStuck",
        example: "",
        does: "lets the pod be deleted without end",
        needs: "nothing",
    },
];

impl Lab {
    /// Makes one of these faults, and says what was really done.
    pub(super) async fn fault_of_node(
        &mut self,
        fault: Fault,
        index: usize,
    ) -> anyhow::Result<String> {
        let target = self.volumes[index].target(&self.setup);
        let shown = target.display().to_string();
        match fault {
            Fault::Queue => {
                let daemon = self.daemon(index)?;
                kill(daemon, Signal::SIGSTOP).context("could not stop the daemon")?;
                Ok(format!(
                    "kill -STOP {daemon}: the FUSE daemon takes no request any more"
                ))
            }
            Fault::Die => {
                let daemon = self.daemon(index)?;
                kill(daemon, Signal::SIGKILL).context("could not kill the daemon")?;
                Ok(format!("kill -9 {daemon}: the FUSE daemon is gone"))
            }
            Fault::Restart => {
                let daemon = self.daemon(index)?;
                kill(daemon, Signal::SIGKILL).context("could not kill the daemon")?;
                let volume = &self.volumes[index];
                mounts::detach(&target)?;
                mounts::detach(&volume.staging(&self.setup))?;
                kubelet::mount(&self.setup, volume).await?;
                Ok(format!(
                    "kill -9 {daemon}, mounted anew at {shown}; the container holds the dead mount"
                ))
            }
            Fault::FreezeIo => self.freeze(index).await,
            Fault::Emergency => {
                self.trigger_error(index, "remount-ro", "stops writing")
                    .await
            }
            Fault::CountErrors => self.trigger_error(index, "continue", "goes on").await,
            Fault::ShutDown => {
                mounts::run("xfs_io", &["-x", "-c", "shutdown", &shown]).await?;
                Ok(format!("xfs_io -x -c shutdown {shown}"))
            }
            Fault::Detach => {
                let device = self.device(index)?;
                let image = self.backend.image(&self.volumes[index].handle);
                truncate(&image, 0)?;
                mounts::run("losetup", &["-c", &device]).await?;
                Ok(format!("{device} has lost its medium"))
            }
            Fault::Inodes => {
                let taken = take_inodes(&target)?;
                Ok(format!("{taken} empty files in {shown}"))
            }
            Fault::Stack => {
                mounts::mount_tmpfs("stacked", &target, 1 << 20)?;
                Ok(format!("mount -t tmpfs stacked {shown}, over the volume"))
            }
            Fault::Swap => {
                let other = self.volumes.iter().find(|other| {
                    other.driver == self.volumes[index].driver
                        && other.claim != self.volumes[index].claim
                });
                let other = other.context("there is no other volume to swap with")?;
                let staging = other.staging(&self.setup);
                mounts::unmount(&target)?;
                mounts::bind(&staging, &target, false)?;
                Ok(format!("bound the volume of {} to {shown}", other.claim))
            }
            Fault::UnmountInside => {
                let name = container(self.volumes[index].pod);
                let process = self
                    .processes
                    .pid(&name)
                    .context("its container does not run")?;
                self.unmount_inside(process).await?;
                Ok(format!(
                    "umount {PLACE} in the mount namespace of process {process}"
                ))
            }
            Fault::Orphan => {
                self.stop_container(index).await?;
                self.forget_pod(index)?;
                Ok(format!(
                    "the pod is gone from the API, its volume is still mounted at {shown}"
                ))
            }
            Fault::LeaveStage => {
                self.stop_container(index).await?;
                let volume = &self.volumes[index];
                kubelet::unpublish(&self.setup, volume).await?;
                std::fs::remove_dir_all(volume.pod_directory(&self.setup))
                    .context("could not remove the pod's directory")?;
                self.forget_pod(index)?;
                Ok(format!(
                    "the pod is gone; nobody unstaged {}",
                    volume_stage(self, index)
                ))
            }
            Fault::StuckUnmount => {
                // Its grace has passed.
                let asked = Timestamp::now() - SignedDuration::from_mins(1);
                self.write(&pods::ending(&self.volumes[index], asked))?;
                Ok(format!(
                    "the pod is being deleted, and {shown} stays mounted"
                ))
            }
            _ => bail!("it is not of these"),
        }
    }

    /// Undoes one of these faults.
    pub(super) async fn undo_of_node(
        &mut self,
        fault: Fault,
        index: usize,
    ) -> anyhow::Result<String> {
        let target = self.volumes[index].target(&self.setup);
        match fault {
            Fault::Queue => {
                kill(self.daemon(index)?, Signal::SIGCONT)
                    .context("could not continue the daemon")?;
                Ok("the FUSE daemon goes on".to_owned())
            }
            Fault::Inodes => {
                give_inodes(&target)?;
                Ok("removed the empty files".to_owned())
            }
            Fault::StuckUnmount => {
                self.write(&objects::pod(&self.volumes[index]))?;
                Ok("the pod is not being deleted".to_owned())
            }
            Fault::FreezeIo => {
                let handle = self.volumes[index].handle.clone();
                crate::lab::remove(&self.backend.hold(&handle, Hold::Io))?;
                Ok("the storage behind the device answers again".to_owned())
            }
            Fault::Emergency | Fault::CountErrors | Fault::ShutDown | Fault::Detach => {
                // Counted errors outlive the mount; a new filesystem has none.
                if fault != Fault::ShutDown {
                    let image = self.backend.image(&self.volumes[index].handle);
                    crate::lab::remove(&image)?;
                }
                self.begin_anew(index).await
            }
            _ => self.begin_anew(index).await,
        }
    }

    /// A new pod with the volume, as after a person deleted the old one.
    pub(super) async fn begin_anew(&mut self, index: usize) -> anyhow::Result<String> {
        self.stop_container(index).await?;
        let volume = &self.volumes[index];
        for path in [volume.target(&self.setup), volume.staging(&self.setup)] {
            mounts::detach(&path)?;
        }
        let record = volume.record();
        self.backend.provide(&volume.handle, &record).await?;
        kubelet::mount(&self.setup, volume).await?;
        self.write(&objects::pod(volume))?;
        self.start_container(index).await?;
        Ok("unmounted it, mounted it anew and started the pod again".to_owned())
    }

    /// The daemon behind a FUSE volume.
    fn daemon(&self, index: usize) -> anyhow::Result<Pid> {
        let pid = self.backend.daemon(&self.volumes[index].handle)?;
        Ok(Pid::from_raw(pid))
    }

    fn device(&self, index: usize) -> anyhow::Result<String> {
        let staging = self.volumes[index].staging(&self.setup);
        let mounted = mounts::find(&staging).context("it is not staged")?;
        Ok(mounted.source.to_string_lossy().into_owned())
    }

    /// Moves the image to a storage that can stop answering, writes, and stops it in the middle.
    async fn freeze(&mut self, index: usize) -> anyhow::Result<String> {
        self.stop_container(index).await?;
        let volume = &self.volumes[index];
        kubelet::unmount(&self.setup, volume).await?;
        self.backend.move_behind_daemon(&volume.handle).await?;
        kubelet::mount(&self.setup, volume).await?;
        self.start_container(index).await?;
        let volume = &self.volumes[index];
        let hold = self.backend.hold(&volume.handle, Hold::Io);
        std::fs::write(&hold, "").with_context(|| format!("could not write {}", hold.display()))?;
        let file = volume.target(&self.setup).join("journal.bin");
        mounts::begin_writing(&file)?;
        Ok(format!(
            "{} waits for a storage that does not answer",
            self.device(index)?
        ))
    }

    async fn trigger_error(
        &self,
        index: usize,
        errors: &str,
        then: &str,
    ) -> anyhow::Result<String> {
        let staging = self.volumes[index].staging(&self.setup);
        let device = self.device(index)?;
        let name = device.trim_start_matches("/dev/");
        let staging = staging.to_string_lossy();
        mounts::run(
            "mount",
            &["-n", "-o", &format!("remount,errors={errors}"), &staging],
        )
        .await?;
        let trigger = format!("/sys/fs/ext4/{name}/trigger_fs_error");
        std::fs::write(&trigger, "the lab\n")
            .with_context(|| format!("could not write {trigger}"))?;
        Ok(format!(
            "echo > {trigger}: ext4 counted an error and {then}"
        ))
    }

    async fn unmount_inside(&self, process: i32) -> anyhow::Result<()> {
        let process = process.to_string();
        mounts::run(
            "/proc/self/exe",
            &["unmount-inside", "--process", &process, "--at", PLACE],
        )
        .await
    }

    pub(super) fn forget_pod(&self, index: usize) -> anyhow::Result<()> {
        manifests::remove(&self.setup.manifests(), &objects::pod(&self.volumes[index]))
    }
}

fn volume_stage(lab: &Lab, index: usize) -> String {
    lab.volumes[index].staging(&lab.setup).display().to_string()
}

fn truncate(image: &Path, bytes: u64) -> anyhow::Result<()> {
    let file = std::fs::OpenOptions::new().write(true).open(image);
    file.and_then(|file| file.set_len(bytes))
        .with_context(|| format!("could not cut {}", image.display()))
}

/// Where the files are that take all inodes.
fn crumbs(target: &Path) -> std::path::PathBuf {
    target.join("sessions")
}

fn take_inodes(target: &Path) -> anyhow::Result<u64> {
    let directory = crumbs(target);
    std::fs::create_dir_all(&directory).context("could not make a directory")?;
    let mut taken = 0;
    loop {
        match std::fs::File::create(directory.join(format!("{taken:06}"))) {
            Ok(_) => taken += 1,
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(taken),
            Err(error) => return Err(error).context("could not make an empty file"),
        }
    }
}

fn give_inodes(target: &Path) -> anyhow::Result<()> {
    std::fs::remove_dir_all(crumbs(target)).context("could not remove the empty files")
}

/// Says why one of these faults cannot be made on a volume.
pub(super) fn refuse(fault: Fault, volume: &Volume) -> anyhow::Result<()> {
    let claim = volume.claim;
    match fault {
        Fault::Queue | Fault::Die | Fault::Restart if volume.kind != Kind::Fuse => {
            bail!("{claim} is no FUSE volume: only those have a daemon")
        }
        Fault::Emergency | Fault::CountErrors | Fault::Inodes | Fault::FreezeIo
            if volume.kind != Kind::Ext4 =>
        {
            bail!("{claim} is no ext4 on a loop device")
        }
        Fault::ShutDown if volume.kind != Kind::Xfs => bail!("{claim} is no xfs"),
        Fault::Detach if !matches!(volume.kind, Kind::Ext4 | Kind::Xfs) => {
            bail!("{claim} is not on a loop device")
        }
        Fault::Inodes | Fault::FreezeIo if volume.read_only => {
            bail!("{claim} is read-only in its pod by intention")
        }
        _ => Ok(()),
    }
}
