//! The ordinary life of pods: what happens all day on a node that is well, in the order in which API server
//! and kubelet do it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::lab::laboratory::Lab;
use crate::lab::volumes::{Kind, Use, inline_handle, uuid};
use crate::lab::{kubelet, objects, pods, remove};

/// How long each of a pod's states lasts, so that somebody can see it.
const STATE: Duration = Duration::from_millis(400);

/// What can happen to a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub(crate) enum Way {
    /// Its container ends and is started again
    Restart,
    /// It is deleted, and another one takes its place
    Delete,
    /// It is evicted, and another one takes its place
    Evict,
    /// Its work is done, and later there is another one
    Finish,
}

impl Lab {
    /// `pod`: lets something ordinary happen to the pod of a volume.
    pub(crate) async fn live(&mut self, claim: &str, way: Way) -> anyhow::Result<String> {
        let index = self.find(claim)?;
        let volume = &self.volumes[index];
        if !volume.faults.is_empty() {
            bail!("{claim} has a fault: heal it first");
        }
        if matches!(volume.used, Use::Shared | Use::InTree) {
            bail!("{claim} is not its pod's alone");
        }
        let now = Timestamp::now();
        match way {
            Way::Restart => {
                self.stop_container(index).await?;
                self.start_container(index).await?;
                self.write(&pods::restarted(&self.volumes[index], now))?;
                return Ok(format!(
                    "the container of {} was restarted",
                    self.volumes[index].pod
                ));
            }
            Way::Delete => {
                self.write(&pods::ending(volume, now))?;
                sleep(STATE).await;
                self.stop_container(index).await?;
            }
            Way::Evict | Way::Finish => {
                let how = match way {
                    Way::Evict => pods::End::Evicted,
                    _ => pods::End::Done,
                };
                self.stop_container(index).await?;
                self.write(&pods::ended(&self.volumes[index], how, now))?;
            }
        }
        sleep(STATE).await;
        self.take_from_pod(index).await?;
        sleep(STATE).await;
        self.forget_pod(index)?;
        sleep(STATE).await;
        self.bring_to_new_pod(index).await?;
        Ok(format!("{} was replaced", self.volumes[index].pod))
    }

    /// Unmounts a volume and removes its directories, as the kubelet does.
    async fn take_from_pod(&self, index: usize) -> anyhow::Result<()> {
        let volume = &self.volumes[index];
        kubelet::unmount(&self.setup, volume).await?;
        let mut files = vec![];
        let mut directories = vec![];
        if volume.kind == Kind::Block {
            files.push(volume.block_data(&self.setup).join("vol_data.json"));
        } else {
            let (global, own) = (
                volume.global_directory(&self.setup),
                volume.pod_directory(&self.setup),
            );
            files.extend([&global, &own].map(|path| path.join("vol_data.json")));
            directories.extend([volume.staging(&self.setup), global, own]);
        }
        for file in files {
            remove(&file)?;
        }
        // Only what is empty: whatever else lies there is data.
        for directory in directories {
            remove_empty(&directory)?;
        }
        Ok(())
    }

    async fn bring_to_new_pod(&mut self, index: usize) -> anyhow::Result<()> {
        let volume = &mut self.volumes[index];
        volume.pod_uid = uuid(&format!("after {}", volume.pod_uid));
        if volume.used == Use::Inline {
            volume.handle = inline_handle(&volume.pod_uid, volume.claim);
        }
        let volume = self.volumes[index].clone();
        let record = volume.record();
        self.backend.provide(&volume.handle, &record).await?;
        self.write(&pods::starting(&volume))?;
        sleep(STATE).await;
        kubelet::mount(&self.setup, &volume).await?;
        self.start_container(index).await?;
        self.write(&objects::pod(&volume))
    }
}

fn remove_empty(directory: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}
