//! Growing a volume, step by step: the resizer's half, the kubelet's half, and what each writes
//! into claim and volume, also when the driver does not do what it should.
//!
//! Sources: external-resizer `pkg/controller/expand_and_recover.go`, Kubernetes
//! `pkg/volume/util/operationexecutor/node_expander.go`.

use std::fmt::Write as _;

use anyhow::bail;
use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::lab::kubelet;
use crate::lab::laboratory::Lab;
use crate::lab::objects::About;
use crate::lab::plugin::{Manner, Record};
use crate::lab::volumes::{Condition, NAMESPACE, quantity};

/// The resizer's words, also where the node half will come by itself.
const PENDING: &str =
    "Waiting for user to (re-)start a pod to finish file system resize of volume on node.";

/// The steps of an expansion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
pub(crate) enum Step {
    /// The class allows it; nothing is asked yet
    ClassAllows,
    /// The claim asks for twice as much
    RequestRaised,
    /// The resizer has marked the claim
    ResizerSaw,
    /// The storage has grown
    ControllerExpanded,
    /// The persistent volume says so, and the claim waits for the node
    CapacityRaised,
    /// The volume has grown on the node
    NodeExpanded,
    /// The claim says so
    FilesystemGrown,
}

impl Step {
    const ALL: [Self; 7] = [
        Self::ClassAllows,
        Self::RequestRaised,
        Self::ResizerSaw,
        Self::ControllerExpanded,
        Self::CapacityRaised,
        Self::NodeExpanded,
        Self::FilesystemGrown,
    ];
}

/// How an expansion is to go.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    /// The last step to take.
    pub(crate) until: Step,
    /// How the driver behaves in the controller's half.
    pub(crate) controller: Manner,
    /// How it behaves in the node's half.
    pub(crate) node: Manner,
    /// How old what the claim says is said to be.
    pub(crate) ago: SignedDuration,
}

impl Course {
    /// As it should be, up to a step.
    pub(crate) fn well(until: Step) -> Self {
        Self {
            until,
            controller: Manner::Well,
            node: Manner::Well,
            ago: SignedDuration::ZERO,
        }
    }
}

/// An expansion that has begun.
#[derive(Debug, Clone)]
pub(crate) struct Growth {
    from: u64,
    to: u64,
    reached: Step,
    /// The last step that was really done before one that was a lie.
    true_until: Option<Step>,
}

impl Lab {
    /// Takes the steps of an expansion that are left, until one is the last or the driver refuses.
    pub(crate) async fn expand(&mut self, index: usize, course: &Course) -> anyhow::Result<String> {
        let mut did = String::new();
        for step in Step::ALL {
            let growth = self.volumes[index].growth.as_ref();
            if growth.is_some_and(|growth| step <= growth.reached) {
                continue;
            }
            if step > course.until {
                break;
            }
            let said = self.take(index, step, course).await?;
            let _ = write!(did, "{}{}", if did.is_empty() { "" } else { "; " }, said.0);
            if said.1 {
                break;
            }
            if let Some(growth) = &mut self.volumes[index].growth {
                growth.reached = step;
            }
        }
        Ok(did)
    }

    /// Lets an expansion go on to its end, with a driver that does what it should.
    pub(crate) async fn let_go_on(&mut self, index: usize) -> anyhow::Result<String> {
        let handle = self.volumes[index].handle.clone();
        self.backend.behave(&handle, &Manner::Well)?;
        self.backend
            .offline(self.volumes[index].driver.name, false)?;
        if let Some(growth) = &mut self.volumes[index].growth
            && let Some(until) = growth.true_until
        {
            growth.reached = until;
        }
        let did = self
            .expand(index, &Course::well(Step::FilesystemGrown))
            .await?;
        self.volumes[index].growth = None;
        Ok(did)
    }

    /// One step; says what was done, and whether it ended there.
    async fn take(
        &mut self,
        index: usize,
        step: Step,
        course: &Course,
    ) -> anyhow::Result<(String, bool)> {
        let since = Timestamp::now() - course.ago;
        Ok(match step {
            Step::ClassAllows => {
                self.begin(index)?;
                ("the class allows it".to_owned(), false)
            }
            Step::RequestRaised => (self.raise(index)?, false),
            Step::ResizerSaw if course.controller == Manner::Offline => {
                (self.offline_only(index)?, true)
            }
            Step::ResizerSaw => (self.mark(index, since)?, false),
            Step::ControllerExpanded => self.controller(index, &course.controller).await?,
            Step::CapacityRaised => (self.hand_over(index, since)?, false),
            Step::NodeExpanded => self.node(index, &course.node).await?,
            Step::FilesystemGrown => {
                self.finish(index)?;
                ("the claim says that it is done".to_owned(), false)
            }
        })
    }

    fn begin(&mut self, index: usize) -> anyhow::Result<()> {
        let volume = &mut self.volumes[index];
        if !volume.driver.expansion {
            bail!(
                "only dynamically provisioned pvc can be resized and the storageclass that \
                 provisions the pvc must support resize: {} does not",
                volume.driver.class
            );
        }
        volume.growth = Some(Growth {
            from: volume.granted,
            to: volume.granted * 2,
            reached: Step::ClassAllows,
            true_until: None,
        });
        Ok(())
    }

    fn span(&self, index: usize) -> (u64, u64) {
        let growth = self.volumes[index].growth.as_ref();
        growth.map_or((0, 0), |growth| (growth.from, growth.to))
    }

    fn resizer(&self, index: usize) -> String {
        format!("external-resizer {}", self.volumes[index].driver.name)
    }

    fn raise(&mut self, index: usize) -> anyhow::Result<String> {
        let (from, to) = self.span(index);
        self.volumes[index].requested = to;
        self.write_sizes(index)?;
        let message = "waiting for an external controller to expand this PVC".to_owned();
        self.tell(
            index,
            About::Claim,
            "volume_expand",
            "ExternalExpanding",
            message,
        )?;
        Ok(format!("the claim asks for {}", Self::sizes(from, to)))
    }

    fn mark(&mut self, index: usize, since: Timestamp) -> anyhow::Result<String> {
        let (_, to) = self.span(index);
        let volume = &mut self.volumes[index];
        volume.allocated = Some(to);
        volume.allocated_status = Some("ControllerResizeInProgress");
        volume.conditions = vec![Condition {
            name: "Resizing",
            since,
            message: String::new(),
        }];
        let message = format!("External resizer is resizing volume {}", volume.pv());
        self.write_sizes(index)?;
        self.tell(
            index,
            About::Claim,
            &self.resizer(index),
            "Resizing",
            message,
        )?;
        Ok("the resizer marked the claim".to_owned())
    }

    /// What the resizer says where a driver expands only what nobody uses, before it marks anything.
    fn offline_only(&mut self, index: usize) -> anyhow::Result<String> {
        let volume = &self.volumes[index];
        self.backend.offline(volume.driver.name, true)?;
        let message = format!(
            "Unable to expand {NAMESPACE}/{} because CSI driver {} only supports offline expansion and volume is currently in-use",
            volume.claim, volume.driver.name
        );
        self.warn(
            index,
            About::Claim,
            &self.resizer(index),
            "VolumeResizeFailed",
            message,
        )?;
        Ok("the driver expands only what nobody uses".to_owned())
    }

    /// `ControllerExpandVolume`: the lab's storage gives more, or behaves as it was told to.
    async fn controller(
        &mut self,
        index: usize,
        manner: &Manner,
    ) -> anyhow::Result<(String, bool)> {
        if *manner == Manner::Lie {
            if let Some(growth) = &mut self.volumes[index].growth {
                growth.true_until = Some(Step::ResizerSaw);
            }
            return Ok(("the storage lied that it gave more".to_owned(), false));
        }
        if let Some(error) = manner.error() {
            self.refused_by_storage(index, manner, &error)?;
            return Ok((format!("ControllerExpandVolume: {error}"), true));
        }
        let (_, to) = self.span(index);
        let volume = &self.volumes[index];
        let record = Record {
            kind: volume.kind,
            bytes: to,
        };
        self.backend.provide(&volume.handle, &record).await?;
        Ok((format!("the storage gives {}", quantity(to)), false))
    }

    /// Which codes are final and which are infeasible: `pkg/util/util.go`, `expand_and_recover.go`.
    fn refused_by_storage(
        &mut self,
        index: usize,
        manner: &Manner,
        error: &str,
    ) -> anyhow::Result<()> {
        let volume = &mut self.volumes[index];
        if manner.is_infeasible() {
            volume.allocated_status = Some("ControllerResizeInfeasible");
        }
        volume
            .conditions
            .retain(|one| one.name != "ControllerResizeError");
        if manner.is_final() {
            volume.conditions.push(Condition {
                name: "ControllerResizeError",
                since: Timestamp::now(),
                message: format!("failed to expand pvc with {error}"),
            });
        }
        let message = format!(
            "resize volume \"{}\" by resizer \"{}\" failed: {error}",
            volume.pv(),
            volume.driver.name
        );
        self.write_sizes(index)?;
        self.warn(
            index,
            About::Claim,
            &self.resizer(index),
            "VolumeResizeFailed",
            message,
        )
    }

    fn hand_over(&mut self, index: usize, since: Timestamp) -> anyhow::Result<String> {
        let (from, to) = self.span(index);
        let volume = &mut self.volumes[index];
        volume.capacity = to;
        volume.pre_resize = Some(from);
        volume.allocated_status = Some("NodeResizePending");
        volume.conditions.retain(|one| one.name == "Resizing");
        volume.conditions.push(Condition {
            name: "FileSystemResizePending",
            since,
            message: PENDING.to_owned(),
        });
        self.write_sizes(index)?;
        let message = "Require file system resize of volume on node".to_owned();
        let reason = "FileSystemResizeRequired";
        self.tell(index, About::Claim, &self.resizer(index), reason, message)?;
        Ok("the persistent volume says so, and the claim waits for its node".to_owned())
    }

    /// The kubelet's half, with the plugin's call.
    async fn node(&mut self, index: usize, manner: &Manner) -> anyhow::Result<(String, bool)> {
        let handle = self.volumes[index].handle.clone();
        self.backend.behave(&handle, manner)?;
        self.volumes[index].allocated_status = Some("NodeResizeInProgress");
        self.write_sizes(index)?;
        let answer = kubelet::expand(&self.setup, &self.volumes[index]).await;
        match answer {
            Ok(()) if *manner == Manner::Lie => {
                if let Some(growth) = &mut self.volumes[index].growth {
                    growth.true_until.get_or_insert(Step::CapacityRaised);
                }
                Ok(("NodeExpandVolume lied".to_owned(), false))
            }
            Ok(()) => Ok(("called NodeExpandVolume".to_owned(), false)),
            Err(error) if *manner == Manner::Well => {
                // Some kernels let only the machine's root grow a mounted
                // ext4. Then it is done as for an offline-only driver: the
                // pod is restarted, and the volume grows before its mount.
                self.refused_by_node(index, manner, &format!("{error:#}"))?;
                self.stop_container(index).await?;
                let volume = &self.volumes[index];
                kubelet::unmount(&self.setup, volume).await?;
                kubelet::mount(&self.setup, volume).await?;
                self.start_container(index).await?;
                let how = format!(
                    "NodeExpandVolume was refused ({error:#}); took the volume from its pod, grew it, and brought it back"
                );
                self.volumes[index]
                    .conditions
                    .retain(|one| one.name != "NodeResizeError");
                self.write_sizes(index)?;
                Ok((how, false))
            }
            Err(error) => {
                self.refused_by_node(index, manner, &format!("{error:#}"))?;
                Ok((format!("NodeExpandVolume: {error:#}"), true))
            }
        }
    }

    fn refused_by_node(
        &mut self,
        index: usize,
        manner: &Manner,
        error: &str,
    ) -> anyhow::Result<()> {
        let volume = &mut self.volumes[index];
        volume
            .conditions
            .retain(|one| one.name != "NodeResizeError");
        volume.conditions.push(Condition {
            name: "NodeResizeError",
            since: Timestamp::now(),
            message: format!(
                "failed to expand pvc with Expander.NodeExpand failed to expand the volume : {error}"
            ),
        });
        if manner.is_infeasible() {
            // The kubelet's NodeResizeInfeasible is there for milliseconds; the resizer sets it back.
            volume.allocated_status = Some("NodeResizePending");
        }
        let message = format!(
            "NodeExpandVolume.NodeExpandVolume failed for volume \"{}\" : {error}",
            volume.pv()
        );
        self.write_sizes(index)?;
        self.warn(index, About::Pod, "kubelet", "VolumeResizeFailed", message)
    }

    /// What a claim says after a growth, true or not.
    fn finish(&mut self, index: usize) -> anyhow::Result<()> {
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
    fn sizes(old: u64, new: u64) -> String {
        format!("{} instead of {}", quantity(new), quantity(old))
    }
}
