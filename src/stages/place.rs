//! A volume on its way into a pod, with all that was said and seen of it.

use jiff::Timestamp;

use crate::model::driver::{Driver, Registration};
use crate::model::finding::{NextStep, Object};
use crate::model::names::{DriverName, NodeName};
use crate::model::objects::{
    Attachment, Claim, CsiNode, PersistentVolume, Pod, PodState, PodVolume, PodVolumeSource,
};
use crate::model::observed::{Gap, Observed, Why};
use crate::model::stage::{MountStage, Stage};
use crate::model::view::NodeVolume;
use crate::model::volume::Published;
use crate::model::way::{Mark, Step};
use crate::stages::halt::{self, Halt};
use crate::stages::told::{Told, found};

/// A volume on its way into a pod.
pub(super) struct Place<'a> {
    pub(super) told: &'a Told<'a>,
    pub(super) pod: &'a Pod,
    pub(super) volume: &'a PodVolume,
    pub(super) claim: Observed<Option<&'a Claim>>,
    pub(super) persistent: Observed<Option<&'a PersistentVolume>>,
    pub(super) view: Result<(&'a NodeVolume, &'a Published), Gap>,
    pub(super) driver: Option<&'a Driver>,
    pub(super) halt: Option<Halt<'a>>,
    /// Why there may be more words than were read.
    pub(super) unheard: Option<&'a Gap>,
}

impl<'a> Place<'a> {
    /// Puts together what is known of it.
    pub(super) fn of(told: &'a Told<'a>, pod: &'a Pod, volume: &'a PodVolume) -> Self {
        let claim = told.claim_of(pod, volume);
        let persistent = match &claim {
            Observed::Known(Some(claim)) => told.volume_of(claim),
            Observed::Known(None) => Observed::Known(None),
            Observed::Unknown(gap) => Observed::Unknown(gap.clone()),
        };
        let mut place = Self {
            told,
            pod,
            volume,
            claim,
            persistent,
            view: told.on_node(pod, volume),
            driver: None,
            halt: None,
            unheard: told.unheard(),
        };
        let driver = place.driver_name().cloned();
        if let (Some(node), Some(name)) = (&pod.node, &driver) {
            place.driver = told.driver(node, name);
        }
        // What is there was mounted: what was said before is over.
        if place.mounted().is_none() {
            let said = told.said(&Object::Pod(pod.pod.clone()));
            let name = place.spec_name();
            place.halt = halt::halt(&said, name, &volume.name, driver.as_ref());
        }
        place
    }

    /// The name of the driver that is to mount it.
    pub(super) fn driver_name(&self) -> Option<&'a DriverName> {
        if let PodVolumeSource::InlineCsi(driver) = &self.volume.source {
            return Some(driver);
        }
        if let Ok((one, _)) = &self.view {
            return Some(&one.volume.driver);
        }
        let persistent = self.persistent.known()?.as_ref()?;
        persistent.csi.as_ref().map(|csi| &csi.driver)
    }

    /// What the kubelet calls it.
    pub(super) fn spec_name(&self) -> &'a str {
        match self.persistent.known() {
            Some(Some(persistent)) => persistent.name.as_str(),
            _ => &self.volume.name,
        }
    }

    /// Whether nobody but the kubelet itself serves it.
    pub(super) fn is_built_in(&self) -> bool {
        let persistent = self.persistent.known().and_then(Option::as_ref);
        persistent.is_some_and(|one| one.csi.is_none())
    }

    /// What says that it was mounted, without any agent's word.
    pub(super) fn mounted(&self) -> Option<(String, Option<Timestamp>)> {
        if self.pod.state == PodState::Running {
            let words = "a container of the pod was started, which comes after";
            return Some((words.to_owned(), self.pod.started));
        }
        let sandbox = self.pod.terms.as_ref()?.sandbox.as_ref();
        let sandbox = sandbox.filter(|one| one.holds && self.pod.state == PodState::Starting)?;
        let words = "the pod has a sandbox, which comes after";
        Some((words.to_owned(), sandbox.since))
    }

    /// Whether the kubelet has come as far as a later step.
    pub(super) fn is_past(&self, stage: MountStage) -> Option<Step> {
        if let Some((words, at)) = self.mounted() {
            return Some(step(stage, Mark::Done, words).when(at));
        }
        let halt = self.halt.as_ref().filter(|halt| halt.stage > stage)?;
        let words = format!("{} is about a later step", halt.event.reason);
        Some(step(stage, Mark::Done, words).when(halt.event.at))
    }

    /// Whether somebody said that this step fails.
    pub(super) fn fails(&self, stage: MountStage) -> Option<Step> {
        let halt = self.halt.as_ref().filter(|halt| halt.stage == stage)?;
        let event = halt.event;
        let cause = match halt.told.cause {
            Some(cause) => format!(", {} ({})", cause.id, cause.confidence),
            None => String::new(),
        };
        let words = format!("{} by {}{cause}: {}", event.reason, event.by, event.message);
        Some(step(stage, Mark::Stuck, words).when(event.at))
    }

    /// What it means that nothing is mounted: a pod that is starting is waited for.
    pub(super) fn lacks(&self) -> Mark {
        match self.pod.state {
            PodState::Starting => Mark::Waiting,
            _ => Mark::Stuck,
        }
    }

    /// Its attachment to the node of the pod.
    pub(super) fn attachment(&self) -> Observed<Option<&'a Attachment>> {
        if let Ok((one, _)) = &self.view
            && let Observed::Known(known) = &one.volume.attachment
        {
            return Observed::Known(known.as_deref());
        }
        let (Some(node), Some(Some(persistent))) = (&self.pod.node, self.persistent.known()) else {
            return Observed::Known(None);
        };
        let is_it =
            |one: &Attachment| one.node == *node && one.volume.as_ref() == Some(&persistent.name);
        found(&self.told.objects.attachments, is_it)
    }

    /// How many volumes a node may have of the driver and has, where that is the limit.
    pub(super) fn full(&self) -> Option<(u32, u32)> {
        let driver = self.driver_name()?;
        if let Some(told) = self.driver {
            let registration = told.csi_node.known()?.as_ref()?;
            let allowed = registration.allocatable?;
            return (told.attached >= allowed).then_some((told.attached, allowed));
        }
        let node = self.pod.node.as_ref()?;
        let allowed = self.registration(node).known().copied()??.allocatable?;
        let attachments = self.told.objects.attachments.items.iter();
        let attached =
            attachments.filter(|one| one.node == *node && one.driver == *driver && one.attached);
        let attached = u32::try_from(attached.count()).unwrap_or(u32::MAX);
        (attached >= allowed).then_some((attached, allowed))
    }

    pub(super) fn room(&self) -> String {
        match self.full() {
            Some((attached, allowed)) => format!(
                "; its node has {attached} volumes of the driver, and {allowed} are allowed"
            ),
            None => String::new(),
        }
    }

    /// What the CSINode of a node has of the driver: none where it does not list it.
    pub(super) fn registration(&self, node: &NodeName) -> Observed<Option<&'a Registration>> {
        let nodes = &self.told.objects.csi_nodes;
        let csi_node = match found(nodes, |one: &CsiNode| one.node == *node) {
            Observed::Known(Some(csi_node)) => csi_node,
            Observed::Known(None) => {
                let what = format!("there is no CSINode {node} among what was read");
                return Observed::Unknown(Gap::new(Why::NotFound, what));
            }
            Observed::Unknown(gap) => return Observed::Unknown(gap),
        };
        let name = self.driver_name();
        let mut drivers = csi_node.drivers.iter();
        let listed = drivers.find(|(driver, _)| Some(driver) == name);
        Observed::Known(listed.map(|(_, registration)| registration))
    }

    /// Of a volume that the kubelet mounts by itself.
    pub(super) fn built_in(&self, stage: MountStage) -> Step {
        match self.fails(stage).or_else(|| self.is_past(stage)) {
            Some(step) => step,
            None => step(
                stage,
                Mark::Unknown,
                "it is no CSI volume: what the kubelet mounts by itself is not covered",
            ),
        }
    }
}

pub(super) fn step(stage: MountStage, mark: Mark, evidence: impl Into<String>) -> Step {
    Step {
        stage: Stage::Mount(stage),
        mark,
        evidence: evidence.into(),
        at: None,
    }
}

/// A step that is not known, for this reason.
pub(super) fn unknown(stage: MountStage, gap: &Gap) -> Step {
    step(stage, Mark::Unknown, words(gap))
}

/// A reason: that nobody was asked goes without saying so twice.
pub(super) fn words(gap: &Gap) -> String {
    match gap.why {
        Why::NotAsked => gap.what.to_string(),
        _ => gap.to_string(),
    }
}

impl Step {
    /// With the time of its evidence.
    pub(super) fn when(self, at: Option<Timestamp>) -> Self {
        Self { at, ..self }
    }
}

/// What to do, with a command.
pub(super) fn next(what: impl Into<String>, command: impl Into<String>) -> NextStep {
    NextStep {
        what: what.into(),
        command: Some(command.into()),
    }
}
