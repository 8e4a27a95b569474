//! Faults of pods on their way in and out: volumes that do not come, and volumes that stay behind.

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};

use crate::lab::faults::{Entry, Fault};
use crate::lab::laboratory::Lab;
use crate::lab::objects::{About, Told, event, unattached};
use crate::lab::plugin::Topic;
use crate::lab::volumes::Volume;
use crate::lab::{kubelet, manifests, objects, pods};

/// These faults.
pub(super) static FAULTS: [Entry; 8] = [
    entry(
        Fault::RefuseMount,
        "refuse-mount",
        "MountFailed",
        "makes the pod anew; its driver refuses with INTERNAL, or as `manner` has set stage or publish",
    ),
    entry(
        Fault::HangMount,
        "hang-mount",
        "PodWaitingOnVolume",
        "makes the pod anew; NodeStageVolume hangs, or what `manner` has set, and nobody says a word",
    ),
    entry(
        Fault::NoAttach,
        "no-attach",
        "PodWaitingOnVolume",
        "makes the pod anew; nobody attaches its volume",
    ),
    entry(
        Fault::NodeFull,
        "node-full",
        "AttachLimitReached",
        "makes the pod anew on a node that has no room for its volume",
    ),
    entry(
        Fault::ChangeOwner,
        "change-owner",
        "SlowOwnershipChange",
        "makes the pod anew; the kubelet goes on changing the owner of its files",
    ),
    entry(
        Fault::EndJob,
        "end-job",
        "UnmountStuck",
        "lets the pod's work be done and its volume stay mounted",
    ),
    entry(
        Fault::LeaveDirectory,
        "leave-directory",
        "OrphanedPodVolume",
        "deletes the pod and unmounts, and leaves the pod's directory",
    ),
    entry(
        Fault::DriverAlone,
        "driver-alone",
        "VolumeNotMounted",
        "makes the pod anew, with a driver whose mounts do not reach the host",
    ),
];

const fn entry(fault: Fault, name: &'static str, code: &'static str, does: &'static str) -> Entry {
    Entry {
        fault,
        name,
        code,
        example: "",
        does,
        needs: match fault {
            Fault::NoAttach | Fault::NodeFull => "a driver that attaches",
            _ => "nothing",
        },
    }
}

/// Whether a fault is one of these.
pub(super) fn has(fault: Fault) -> bool {
    FAULTS.iter().any(|entry| entry.fault == fault)
}

/// Says why one of these faults cannot be made on a volume.
pub(super) fn refuse(fault: Fault, volume: &Volume) -> anyhow::Result<()> {
    if matches!(fault, Fault::NoAttach | Fault::NodeFull) && !volume.driver.attach {
        bail!("{} needs no attachment", volume.claim);
    }
    Ok(())
}

impl Lab {
    /// Makes one of these faults, and says what was really done.
    pub(super) async fn fault_of_pod(
        &mut self,
        fault: Fault,
        index: usize,
    ) -> anyhow::Result<String> {
        match fault {
            Fault::RefuseMount => {
                self.back_to_start(index, fault).await?;
                self.set_unless_set(index, "Internal")?;
                let volume = &self.volumes[index];
                let Err(error) = kubelet::mount(&self.setup, volume).await else {
                    bail!("its driver did not refuse");
                };
                let (reason, message) = kubelet::failed_mount(volume, &error);
                self.warn(index, About::Pod, "kubelet", reason, message.clone())?;
                Ok(message)
            }
            Fault::HangMount => {
                self.back_to_start(index, fault).await?;
                self.set_unless_set(index, "hang")?;
                self.mount_alone(index);
                Ok("the kubelet waits for its driver".to_owned())
            }
            Fault::NoAttach => {
                self.back_to_start(index, fault).await?;
                self.write(&unattached(&self.volumes[index], None))?;
                Ok("its VolumeAttachment says attached: false, and no error".to_owned())
            }
            Fault::NodeFull => {
                self.back_to_start(index, fault).await?;
                self.fill_node(index)
            }
            Fault::ChangeOwner => {
                self.stop_container(index).await?;
                let volume = &self.volumes[index];
                self.write(&pods::starting(volume))?;
                let message = format!(
                    "Setting volume ownership for {} is taking longer than expected, consider using OnRootMismatch - https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#configure-volume-permission-and-ownership-change-policy-for-pods, processed 48211 files.",
                    volume.target(&self.setup).display()
                );
                let reason = "VolumePermissionChangeInProgress";
                self.warn(index, About::Pod, "kubelet", reason, message)?;
                Ok("the kubelet says that it changes the owner of every file".to_owned())
            }
            Fault::EndJob => {
                self.stop_container(index).await?;
                let ended = Timestamp::now() - SignedDuration::from_mins(1);
                let volume = &self.volumes[index];
                self.write(&pods::ended(volume, pods::End::Done, ended))?;
                let target = volume.target(&self.setup);
                Ok(format!(
                    "the pod has succeeded, and {} stays mounted",
                    target.display()
                ))
            }
            Fault::LeaveDirectory => {
                self.stop_container(index).await?;
                let volume = &self.volumes[index];
                kubelet::unmount(&self.setup, volume).await?;
                let target = volume.target(&self.setup);
                std::fs::create_dir_all(&target)
                    .with_context(|| format!("could not make {}", target.display()))?;
                self.forget_pod(index)?;
                Ok(format!(
                    "the pod is gone; its directory {} is still there",
                    target.display()
                ))
            }
            Fault::DriverAlone => {
                self.back_to_start(index, fault).await?;
                let driver = self.volumes[index].driver;
                let set = [(Topic::Mounts, "unshared")];
                let did = self.tell_driver(driver, None, &set).await?;
                let volume = &self.volumes[index];
                kubelet::mount(&self.setup, volume).await?;
                self.write(&objects::pod(volume))?;
                self.start_container(index).await?;
                Ok(format!(
                    "{did}; it mounted the volume where it alone sees it"
                ))
            }
            _ => bail!("it is not of these"),
        }
    }

    /// Undoes one of these faults.
    pub(super) async fn undo_of_pod(
        &mut self,
        fault: Fault,
        index: usize,
    ) -> anyhow::Result<String> {
        if fault == Fault::DriverAlone {
            self.stop_container(index).await?;
            kubelet::unmount(&self.setup, &self.volumes[index]).await?;
            let driver = self.volumes[index].driver;
            let set = [(Topic::Mounts, "well")];
            self.tell_driver(driver, None, &set).await?;
        }
        let volume = &self.volumes[index];
        let driver = volume.driver;
        self.backend.behave_well(&volume.handle)?;
        if driver.attach {
            self.write(&objects::attachment(volume))?;
        }
        if fault == Fault::NodeFull {
            self.register(driver).await?;
        }
        self.begin_anew(index).await
    }

    /// A pod that is new on the node, with nothing of its volume there yet.
    async fn back_to_start(&mut self, index: usize, fault: Fault) -> anyhow::Result<()> {
        self.stop_container(index).await?;
        let volume = &mut self.volumes[index];
        // What cannot be healed half-way is healed as a whole.
        volume.faults.insert(fault);
        let volume = &self.volumes[index];
        kubelet::unmount(&self.setup, volume).await?;
        self.write(&pods::starting(volume))
    }

    /// Sets how the driver stages a volume, unless something was set about its mount.
    fn set_unless_set(&self, index: usize, value: &str) -> anyhow::Result<()> {
        let handle = &self.volumes[index].handle;
        let set = |topic| self.backend.set_to(handle, topic) != "well";
        if set(Topic::Stage) || set(Topic::Publish) {
            return Ok(());
        }
        self.backend.set(handle, Topic::Stage, value)
    }

    /// The kubelet goes on by itself; if its driver fails in the end, it says so.
    fn mount_alone(&self, index: usize) {
        let (setup, volume) = (self.setup.clone(), self.volumes[index].clone());
        tokio::spawn(async move {
            let Err(error) = kubelet::mount(&setup, &volume).await else {
                return;
            };
            let (reason, message) = kubelet::failed_mount(&volume, &error);
            let told = Told {
                about: About::Pod,
                by: "kubelet".to_owned(),
                warning: true,
                reason,
                message,
                at: Timestamp::now(),
            };
            if let Err(error) = manifests::write(&setup.manifests(), &event(&volume, &told)) {
                tracing::warn!("an event was not written: {error:#}");
            }
        });
    }

    /// Lets the driver allow as many volumes as are attached without this one.
    fn fill_node(&mut self, index: usize) -> anyhow::Result<String> {
        let driver = self.volumes[index].driver;
        let others = self.volumes.iter().filter(|one| one.driver == driver);
        let others = i64::try_from(others.count())?.saturating_sub(1);
        let error = format!(
            "rpc error: code = ResourceExhausted desc = node has {others} volumes attached and allows no more"
        );
        self.write(&unattached(&self.volumes[index], Some(&error)))?;
        self.limit(driver, others)?;
        Ok(format!(
            "CSINode allows {others} volumes of {}, and so many are attached",
            driver.name
        ))
    }
}
