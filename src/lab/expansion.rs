//! Growing a volume: the resizer's half, the kubelet's half, and what each
//! writes into claim and volume.

use anyhow::bail;
use jiff::{SignedDuration, Timestamp};

use crate::lab::kubelet;
use crate::lab::laboratory::Lab;
use crate::lab::mounts;
use crate::lab::objects::About;
use crate::lab::plugin::Record;
use crate::lab::volumes::{Condition, quantity};

/// The resizer's words, also where the node half will come by itself.
const PENDING: &str =
    "Waiting for user to (re-)start a pod to finish file system resize of volume on node.";

impl Lab {
    /// A person raises the claim's request to twice its size, and the resizer
    /// does its half: the storage gives more, the volume says so, the claim
    /// waits for the node. Returns old and new size.
    pub(crate) async fn controller_half(
        &mut self,
        index: usize,
        ago: SignedDuration,
    ) -> anyhow::Result<(u64, u64)> {
        let volume = &self.volumes[index];
        if !volume.driver.expansion {
            bail!(
                "only dynamically provisioned pvc can be resized and the storageclass that \
                 provisions the pvc must support resize: {} does not",
                volume.driver.class
            );
        }
        let (old, new) = (volume.granted, volume.granted * 2);
        let record = Record {
            kind: volume.kind,
            bytes: new,
        };
        let staged = mounts::find(&volume.staging(&self.setup));
        let device = staged
            .map(|mounted| mounted.source)
            .filter(|source| source.starts_with("/dev"));
        self.backend
            .provide(&volume.handle, &record, device.as_deref())
            .await?;
        let resizer = format!("external-resizer {}", volume.driver.name);
        let message = format!("External resizer is resizing volume {}", volume.pv());
        self.tell(index, About::Claim, &resizer, "Resizing", message)?;
        let since = Timestamp::now() - ago;
        let condition = |name, message: &str| Condition {
            name,
            since,
            message: message.to_owned(),
        };
        let volume = &mut self.volumes[index];
        volume.requested = new;
        volume.capacity = new;
        volume.pre_resize = Some(old);
        volume.allocated = Some(new);
        volume.allocated_status = Some("NodeResizePending");
        volume.conditions = vec![
            condition("Resizing", ""),
            condition("FileSystemResizePending", PENDING),
        ];
        self.write_sizes(index)?;
        let message = "Require file system resize of volume on node".to_owned();
        let reason = "FileSystemResizeRequired";
        self.tell(index, About::Claim, &resizer, reason, message)?;
        Ok((old, new))
    }

    /// The kubelet's half, with the plugin's call. Says how it went.
    pub(crate) async fn kubelet_half(&mut self, index: usize) -> anyhow::Result<String> {
        self.volumes[index].allocated_status = Some("NodeResizeInProgress");
        self.write_sizes(index)?;
        let refusal = kubelet::expand(&self.setup, &self.volumes[index])
            .await
            .err();
        let how = match &refusal {
            None => "called NodeExpandVolume".to_owned(),
            Some(error) => {
                // Some kernels let only the machine's root grow a mounted
                // ext4. Then it is done as for an offline-only driver: the
                // pod is restarted, and the volume grows before its mount.
                self.note_refusal(index, error)?;
                self.stop_container(index).await?;
                let volume = &self.volumes[index];
                kubelet::unmount(&self.setup, volume).await?;
                kubelet::mount(&self.setup, volume).await?;
                self.start_container(index).await?;
                format!(
                    "NodeExpandVolume was refused ({error:#}); took the volume from its pod, grew it, and brought it back"
                )
            }
        };
        self.finish_expansion(index)?;
        Ok(how)
    }

    fn note_refusal(&mut self, index: usize, error: &anyhow::Error) -> anyhow::Result<()> {
        let message = format!(
            "failed to expand pvc with Expander.NodeExpand failed to expand the volume : {error:#}"
        );
        self.volumes[index].conditions.push(Condition {
            name: "NodeResizeError",
            since: Timestamp::now(),
            message,
        });
        self.write_sizes(index)
    }

    /// What a claim says after a growth, true or not.
    pub(crate) fn finish_expansion(&mut self, index: usize) -> anyhow::Result<()> {
        let volume = &mut self.volumes[index];
        volume.granted = volume.capacity;
        volume.allocated_status = None;
        volume.conditions.clear();
        self.write_sizes(index)?;
        let message = format!(
            "MountVolume.NodeExpandVolume succeeded for volume \"{}\" {}",
            self.volumes[index].pv(),
            crate::lab::site::NODE
        );
        for about in [About::Pod, About::Claim] {
            let reason = "FileSystemResizeSuccessful";
            self.tell(index, about, "kubelet", reason, message.clone())?;
        }
        Ok(())
    }

    /// The sizes of a growth, for people.
    pub(crate) fn sizes(old: u64, new: u64) -> String {
        format!("{} to {}", quantity(old), quantity(new))
    }
}
