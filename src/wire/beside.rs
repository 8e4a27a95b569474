//! What is beside the volumes in use: what was left, what is not covered, who waits, the kubelet.

use crate::model::finding::Object;
use crate::model::kubelet::{Kubelet, WaitingPod};
use crate::model::leftover::{Leftover, LeftoverKind, Uncovered};
use crate::model::observed::{Gap, Listing, Why};
use crate::proto::v1;
use crate::wire::WireError;
use crate::wire::value::{
    all, gaps, name, nanoseconds, observed, observed_option, optional, path, path_bytes, split,
    split_option, text, timestamp,
};

impl From<&Leftover> for v1::Leftover {
    fn from(left: &Leftover) -> Self {
        let (mount, mount_gap) = split_option(&left.mount, Into::into);
        Self {
            kind: left.kind.as_str().to_owned(),
            path: path_bytes(&left.path),
            pod_uid: left.pod.as_ref().map(ToString::to_string),
            driver: left.driver.as_ref().map(ToString::to_string),
            handle: left.handle.as_ref().map(ToString::to_string),
            mount,
            mount_gap,
            object: left.object.as_ref().map(Into::into),
            held_by: left.held_by.items.clone(),
            held_by_gaps: left.held_by.gaps.iter().map(Into::into).collect(),
        }
    }
}

/// A kind that this version does not know costs its entry, and is a gap of the list.
pub(super) fn leftovers(
    left: Vec<v1::Leftover>,
    list_gaps: Vec<v1::Gap>,
) -> Result<Listing<Leftover>, WireError> {
    let mut listing = Listing {
        items: Vec::new(),
        gaps: gaps(list_gaps),
    };
    for left in left {
        let known = LeftoverKind::ALL
            .into_iter()
            .find(|known| known.as_str() == left.kind);
        let Some(kind) = known else {
            let what = text(format!("the agent calls something left {}", left.kind));
            listing.gaps.push(Gap::new(Why::Malformed, what));
            continue;
        };
        listing.items.push(Leftover {
            kind,
            path: path(left.path),
            pod: left.pod_uid.map(|pod| name(pod).into()),
            driver: left.driver.map(|driver| name(driver).into()),
            handle: left.handle.map(|handle| name(handle).into()),
            mount: observed_option(optional("leftovers.mount", left.mount)?, left.mount_gap),
            // An object of a kind that this version does not know leaves the driver to be told of.
            object: left.object.and_then(|object| Object::try_from(object).ok()),
            held_by: Listing {
                items: left.held_by.into_iter().map(text).collect(),
                gaps: gaps(left.held_by_gaps),
            },
        });
    }
    Ok(listing)
}

impl From<&Uncovered> for v1::Uncovered {
    fn from(place: &Uncovered) -> Self {
        let (mount, mount_gap) = split_option(&place.mount, Into::into);
        Self {
            pod_uid: place.pod.to_string(),
            plugin: place.plugin.clone(),
            name: String::from(&place.name),
            path: path_bytes(&place.path),
            mount,
            mount_gap,
        }
    }
}

impl TryFrom<v1::Uncovered> for Uncovered {
    type Error = WireError;

    fn try_from(place: v1::Uncovered) -> Result<Self, WireError> {
        Ok(Self {
            pod: name(place.pod_uid).into(),
            plugin: name(place.plugin),
            name: name(place.name).into(),
            path: path(place.path),
            mount: observed_option(optional("mount", place.mount)?, place.mount_gap),
        })
    }
}

impl From<&WaitingPod> for v1::WaitingPod {
    fn from(waiting: &WaitingPod) -> Self {
        Self {
            pod: Some((&waiting.pod).into()),
            since_ns: waiting.since.map(nanoseconds),
            events: waiting.events.items.iter().map(Into::into).collect(),
            event_gaps: waiting.events.gaps.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::WaitingPod> for WaitingPod {
    type Error = WireError;

    fn try_from(waiting: v1::WaitingPod) -> Result<Self, WireError> {
        Ok(Self {
            pod: waiting.pod.ok_or_else(|| WireError::missing("pod"))?.into(),
            since: waiting.since_ns.map(timestamp),
            events: Listing {
                items: all("events", waiting.events)?,
                gaps: gaps(waiting.event_gaps),
            },
        })
    }
}

impl From<&Kubelet> for v1::Kubelet {
    fn from(kubelet: &Kubelet) -> Self {
        let (running, running_gap) = split(&kubelet.running, |running| *running);
        let (unmirrored, unmirrored_gap) = split(&kubelet.unmirrored, |count| *count);
        Self {
            running,
            running_gap,
            unmirrored,
            unmirrored_gap,
        }
    }
}

impl From<v1::Kubelet> for Kubelet {
    fn from(kubelet: v1::Kubelet) -> Self {
        Self {
            running: observed(
                kubelet.running,
                kubelet.running_gap,
                "whether the kubelet runs",
            ),
            unmirrored: observed(
                kubelet.unmirrored,
                kubelet.unmirrored_gap,
                "which static pods have no mirror",
            ),
        }
    }
}
