//! *mount*: from a pod that names a volume to its started containers.

use crate::model::finding::{Object, quote};
use crate::model::objects::{Pod, PodState, PodVolume, PodVolumeSource};
use crate::model::observed::Observed;
use crate::model::stage::{MountStage, Stage};
use crate::model::way::{Mark, Step, Way};
use crate::stages::place::{Place, cause, step, unknown, words};
use crate::stages::told::Told;
use crate::stages::{advice, halt, on_node};

/// The steps of one volume into one pod, and the page about where they stand.
pub fn mount(told: &Told<'_>, pod: &Pod, volume: &PodVolume) -> (Way, Option<&'static str>) {
    let place = Place::of(told, pod, volume);
    let mut steps = vec![
        place.scheduled(),
        place.attached(),
        place.registered(),
        on_node::staged(&place),
        on_node::published(&place),
        on_node::answers(&place),
        on_node::writable(&place),
        place.started(),
    ];
    if let Some(here) = steps.iter().position(|step| step.mark.is_here()) {
        for step in &mut steps[here + 1..] {
            if step.mark != Mark::Done {
                step.mark = Mark::Ahead;
                step.evidence.clear();
                step.at = None;
            }
        }
    }
    let here = steps.iter().find(|step| step.mark.is_here());
    let stage = here.and_then(|step| match step.stage {
        Stage::Mount(stage) => Some(stage),
        _ => None,
    });
    let state = match here {
        _ if pod.state == PodState::Ending => "The pod is being deleted.".to_owned(),
        Some(step) => step.stands(),
        None if pod.state == PodState::Running => {
            "It is in its pod, as far as can be seen.".to_owned()
        }
        None => "Where it stands is not known.".to_owned(),
    };
    let (next, page) = match stage {
        Some(stage) => advice::mount(&place, stage),
        None => (None, None),
    };
    let object = match &place.claim {
        Observed::Known(Some(claim)) => Object::Claim(claim.claim.clone()),
        _ => Object::Pod(pod.pod.clone()),
    };
    let way = Way {
        object,
        mounted_in: Some((pod.pod.clone(), volume.name.clone())),
        seen_by: match &place.view {
            Ok((one, _)) if one.silent => format!(
                "node {}, which is silent since {:.0}",
                one.node, one.observed_at
            ),
            Ok((one, _)) => format!("node {}", one.node),
            Err(_) => "its objects".to_owned(),
        },
        state,
        steps,
        next,
    };
    (way, page)
}

impl Place<'_> {
    fn scheduled(&self) -> Step {
        let stage = MountStage::Scheduled;
        let terms = self.pod.terms.as_deref();
        let condition = terms.and_then(|terms| terms.scheduled.as_ref());
        if let Some(node) = self.pod.node.as_ref().filter(|_| self.is_nowhere()) {
            let words = format!("on node {node}, and there is no such node");
            return step(stage, Mark::Stuck, words);
        }
        if let Some(node) = &self.pod.node {
            let since = condition.and_then(|one| one.since);
            return step(stage, Mark::Done, format!("on node {node}")).when(since);
        }
        let said = self.told.said(&Object::Pod(self.pod.pod.clone()));
        if let Some(event) = halt::unscheduled(&said) {
            let words = format!("FailedScheduling: {}", event.message);
            return step(stage, Mark::Stuck, words).when(event.at);
        }
        match condition.filter(|one| !one.holds && !one.message.is_empty()) {
            Some(one) => step(stage, Mark::Stuck, one.message.clone()).when(one.since),
            None => step(
                stage,
                Mark::Waiting,
                "it is on no node, and no event says why",
            ),
        }
    }

    fn attached(&self) -> Step {
        let stage = MountStage::Attached;
        if matches!(self.volume.source, PodVolumeSource::InlineCsi(_)) {
            return step(stage, Mark::Done, "an inline volume needs no attachment");
        }
        if self.is_built_in() {
            return self.built_in(stage);
        }
        let unbound = match &self.persistent {
            Observed::Unknown(gap) => Some(unknown(stage, gap)),
            Observed::Known(None) => {
                Some(step(stage, Mark::Waiting, "its claim has no volume yet"))
            }
            Observed::Known(Some(_)) => None,
        };
        if let Some(step) = unbound {
            return self.is_past(stage).unwrap_or(step);
        }
        let (mark, words, at) = match self.attachment() {
            Observed::Known(Some(one)) => {
                let terms = one.terms.as_deref();
                let failed = terms.and_then(|terms| terms.failed);
                let created = terms.and_then(|terms| terms.created);
                let leaving = terms.is_some_and(|terms| terms.deleting);
                match (&one.error, one.attached) {
                    _ if leaving => (
                        Mark::Waiting,
                        format!("VolumeAttachment {} is being deleted", one.name),
                        created,
                    ),
                    (_, true) => (
                        Mark::Done,
                        format!("VolumeAttachment {} says so", one.name),
                        created,
                    ),
                    (Some(error), false) => (
                        Mark::Stuck,
                        format!(
                            "VolumeAttachment {}{}: {error}{}",
                            one.name,
                            cause(&self.meant(error)),
                            self.rival()
                        ),
                        failed,
                    ),
                    (None, false) => (
                        match self.full() {
                            Some(_) => Mark::Stuck,
                            None => Mark::Waiting,
                        },
                        format!(
                            "VolumeAttachment {} is not attached, and says no error{}{}",
                            one.name,
                            self.room(),
                            self.rival()
                        ),
                        created,
                    ),
                }
            }
            Observed::Known(None) => {
                if let Some(step) = self.fails(stage).or_else(|| self.is_past(stage)) {
                    return step;
                }
                return self.unasked();
            }
            Observed::Unknown(gap) => match self.fails(stage).or_else(|| self.is_past(stage)) {
                Some(step) => return step,
                None => (Mark::Unknown, words(&gap), None),
            },
        };
        step(stage, mark, words).when(at)
    }

    /// Of a volume that nobody has asked to be attached.
    fn unasked(&self) -> Step {
        let stage = MountStage::Attached;
        let driver = self
            .driver_name()
            .map(ToString::to_string)
            .unwrap_or_default();
        match self.csi_driver() {
            Observed::Known(Some(one)) if !one.attaches => {
                let words =
                    format!("CSIDriver {driver} needs no attachment (attachRequired: false)");
                step(stage, Mark::Done, words)
            }
            Observed::Known(Some(_)) => {
                let words = format!(
                    "there is no VolumeAttachment, and CSIDriver {driver} needs one (attachRequired){}",
                    self.rival()
                );
                step(stage, Mark::Stuck, words)
            }
            // Without a CSIDriver Kubernetes attaches (`skipAttach`, `pkg/volume/csi/csi_plugin.go`).
            Observed::Known(None) => {
                let words = format!(
                    "there is no VolumeAttachment, and no CSIDriver {driver} that says that none is needed{}",
                    self.rival()
                );
                step(stage, Mark::Stuck, words)
            }
            Observed::Unknown(gap) => {
                let words = format!(
                    "there is no VolumeAttachment; whether its driver wants one: kubectl get csidriver {} ({}){}",
                    quote(&driver),
                    gap.what,
                    self.rival()
                );
                step(stage, Mark::Unknown, words)
            }
        }
    }

    fn rival(&self) -> String {
        match self.elsewhere() {
            Some(who) => format!("; {who}, and ReadWriteOnce is one node at a time"),
            None => String::new(),
        }
    }

    fn registered(&self) -> Step {
        let stage = MountStage::DriverRegistered;
        if self.is_built_in() {
            return self.built_in(stage);
        }
        let (Some(node), Some(name)) = (&self.pod.node, self.driver_name()) else {
            return step(
                stage,
                Mark::Unknown,
                "which driver on which node is not known yet",
            );
        };
        if let Some(driver) = self.driver {
            return on_node::plugin(self, driver);
        }
        if let Some(step) = self.fails(stage) {
            return step;
        }
        match self.registration(node) {
            Observed::Known(None) => {
                let words = format!("CSINode {node} does not list {name}");
                step(stage, Mark::Stuck, words)
            }
            Observed::Known(Some(_)) if self.is_past(stage).is_some() => {
                step(stage, Mark::Done, format!("CSINode {node} lists {name}"))
            }
            Observed::Known(Some(_)) => {
                let words = format!(
                    "CSINode {node} lists {name}, as it does after the kubelet has lost it too; whether its plugin answers its agent knows: name a collector with --collector ADDRESS"
                );
                step(stage, Mark::Unknown, words)
            }
            Observed::Unknown(gap) => match self.is_past(stage) {
                Some(step) => step,
                None => unknown(stage, &gap),
            },
        }
    }

    fn started(&self) -> Step {
        let stage = MountStage::PodStarted;
        let waits = self
            .pod
            .terms
            .as_deref()
            .and_then(|terms| terms.waits.as_deref());
        match self.pod.state {
            PodState::Running => {
                step(stage, Mark::Done, "a container was started").when(self.pod.started)
            }
            PodState::Ending => {
                step(stage, Mark::Unknown, "the pod is being deleted").when(self.pod.ended)
            }
            PodState::Done => step(stage, Mark::Done, "it has ended").when(self.pod.ended),
            PodState::Starting => {
                let words = match waits {
                    Some(waits) => format!("no container was started: {waits}"),
                    None => "no container was started".to_owned(),
                };
                let mark = if self.mounted().is_some() {
                    Mark::Waiting
                } else {
                    Mark::Ahead
                };
                step(stage, mark, words).when(self.pod.started)
            }
        }
    }
}
