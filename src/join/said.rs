//! What was said of mounting volumes: events of pods, by the volume that they name.
//!
//! The kubelet names a volume by its directory (`for volume "pvc-…" :`), by its path, or, where it
//! could not even take it up, by the pod's own name (`unmounted volumes=[data]`); source:
//! `pkg/volume/util/operationexecutor`, `pkg/kubelet/volumemanager`.

use foldhash::{HashMap, HashMapExt as _};

use crate::join::missing;
use crate::model::finding::Object;
use crate::model::kubelet::WaitingPod;
use crate::model::names::{PersistentVolumeName, Uid};
use crate::model::objects::{Event, PodState};
use crate::model::observed::Listing;
use crate::model::seen::Seen;

/// Reasons of events about a volume's way into a pod (`pkg/kubelet/events`, the attach/detach controller).
const REASONS: [&str; 6] = [
    "FailedMount",
    "FailedMapVolume",
    "FailedAttachVolume",
    "VolumePermissionChangeInProgress",
    "VolumeConditionAbnormal",
    "VolumeAttachmentLimitExceeded",
];

/// So many of the latest are kept of one volume in one pod.
const KEPT: usize = 4;

/// What was said, by the pod that it was said of.
pub(super) struct Said<'a> {
    pods: HashMap<&'a Uid, Vec<&'a Event>>,
    listing: &'a Listing<Event>,
}

impl<'a> Said<'a> {
    pub(super) fn new(seen: &'a Seen) -> Self {
        let listing = &seen.objects.events;
        let mut pods: HashMap<&Uid, Vec<&Event>> = HashMap::new();
        for event in &listing.items {
            if let Object::Pod(pod) = &event.about
                && REASONS.contains(&event.reason.as_str())
            {
                pods.entry(&pod.uid).or_default().push(event);
            }
        }
        for said in pods.values_mut() {
            said.sort_by_key(|event| event.at);
        }
        Self { pods, listing }
    }

    /// What was said of one volume in one pod.
    pub(super) fn of_volume(&self, pod: &Uid, name: &str, spec_name: &str) -> Listing<Event> {
        self.picked(pod, |event| names(&event.message, name, spec_name))
    }

    fn picked(&self, pod: &Uid, wanted: impl Fn(&Event) -> bool) -> Listing<Event> {
        let said = self.pods.get(pod).into_iter().flatten();
        let mut items: Vec<Event> = said
            .filter(|event| wanted(event))
            .map(|event| (*event).clone())
            .collect();
        items.drain(..items.len().saturating_sub(KEPT));
        Listing {
            items,
            gaps: self.listing.gaps.clone(),
        }
    }
}

/// The pods of the node that have not started, with what was said of their other volumes.
pub(super) fn waiting(seen: &Seen) -> Listing<WaitingPod> {
    let said = Said::new(seen);
    let pods = &seen.objects.pods;
    let here = pods
        .items
        .iter()
        .filter(|pod| pod.node.as_ref() == Some(&seen.node) && pod.state == PodState::Starting);
    let items = here.map(|pod| {
        let claims = seen.objects.claims.items.iter();
        let claims = claims.filter(|claim| claim.claim.namespace == pod.pod.namespace);
        let spec_names: Vec<&str> = claims
            .filter_map(|claim| claim.volume.as_ref().map(PersistentVolumeName::as_str))
            .collect();
        let of_a_listed_one = |event: &Event| {
            let by_name = |volume: &str| names(&event.message, volume, volume);
            pod.volumes.iter().any(|volume| by_name(&volume.name))
                || spec_names.iter().any(|spec_name| by_name(spec_name))
        };
        WaitingPod {
            pod: pod.pod.clone(),
            since: pod.started,
            events: said.picked(&pod.pod.uid, |event| !of_a_listed_one(event)),
        }
    });
    Listing {
        items: items.collect(),
        gaps: missing(pods).cloned().collect(),
    }
}

/// Whether a message names a volume: by the directory's name in quotes or in a path, or by the pod's
/// own name in the list of those that are not mounted.
fn names(message: &str, name: &str, spec_name: &str) -> bool {
    let bounded = |word: &str, before: &[char], after: &[char]| {
        message.match_indices(word).any(|(at, _)| {
            let rest = &message[at + word.len()..];
            message[..at].ends_with(before) && rest.starts_with(after)
        })
    };
    if bounded(spec_name, &['"', '/'], &['"', '/', ' ']) {
        return true;
    }
    let lists = ["unmounted volumes=[", "failed to process volumes=["];
    lists.into_iter().any(|start| {
        let list = message.split_once(start).map(|(_, rest)| rest);
        let list = list
            .and_then(|rest| rest.split_once(']'))
            .map(|(list, _)| list);
        list.is_some_and(|list| list.split([' ', ',']).any(|one| one == name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_volumes_in_three_ways() {
        let named = |message: &str| names(message, "data", "pvc-11");
        assert!(named(
            r#"MountVolume.SetUp failed for volume "pvc-11" : rpc error"#
        ));
        assert!(!named(
            r#"MountVolume.SetUp failed for volume "pvc-112" : rpc error"#
        ));
        assert!(named(
            "Setting volume ownership for /k/pods/u/volumes/kubernetes.io~csi/pvc-11/mount is taking longer than expected"
        ));
        assert!(named(
            "Unable to attach or mount volumes: unmounted volumes=[cache data], unattached volumes=[], failed to process volumes=[]: timed out waiting for the condition"
        ));
        assert!(!named(
            "Unable to attach or mount volumes: unmounted volumes=[cache], unattached volumes=[data]: timed out"
        ));
        assert!(!named(""));
    }
}
