//! Expansions for tests to degrade: of the healthy node's claim, from 10Gi to 20Gi.

use std::sync::Arc;

use crate::model::driver::Plugin;
use crate::model::facts::NodeFacts;
use crate::model::finding::Object;
use crate::model::objects::{Claim, Condition, Event};
use crate::model::observed::{Gap, Observed, Why};
use crate::model::sample;
use crate::model::sizes::Bytes;
use crate::model::volume::Volume;

/// A claim that asks for so much, whose volume provides so much, and that has so much, in Gi. Device
/// and filesystem stay at 10Gi.
pub(crate) fn enlarged(
    wants: u64,
    provides: u64,
    has: u64,
    change: impl FnOnce(&mut Claim, &mut Volume),
) -> NodeFacts {
    sample::degraded(|volume| {
        let gi = |size: u64| Some(Bytes(size << 30));
        if let Observed::Known(Some(persistent)) = &mut volume.persistent {
            let persistent = Arc::make_mut(persistent);
            persistent.capacity = gi(provides);
            persistent.capacity_before_resize = gi(10).filter(|_| provides > 10);
        }
        let Some(mut claim) = volume.claim.take() else {
            return;
        };
        let changed = Arc::make_mut(&mut claim);
        (changed.request, changed.capacity) = (gi(wants), gi(has));
        change(changed, volume);
        volume.claim = Some(claim);
    })
}

/// One that is told to be done.
pub(crate) fn done(change: impl FnOnce(&mut Claim, &mut Volume)) -> NodeFacts {
    enlarged(20, 20, 20, |claim, volume| {
        claim.allocated = claim.request;
        change(claim, volume);
    })
}

/// With a condition that is True since noon.
pub(crate) fn failed(claim: &mut Claim, kind: &str, message: &str) {
    claim.conditions.push(Condition {
        kind: kind.to_owned(),
        message: message.to_owned(),
        since: Some(sample::noon()),
    });
}

/// With something that was said of the claim.
pub(crate) fn said(volume: &mut Volume, reason: &str, message: &str) {
    let about = Object::Claim(sample::claim().claim);
    tell(
        volume,
        about,
        "external-resizer disk.example.com",
        reason,
        message,
    );
}

/// With something that the kubelet said of the pod.
pub(crate) fn said_of_pod(volume: &mut Volume, reason: &str, message: &str) {
    let about = Object::Pod(volume.published[0].pod.clone());
    tell(volume, about, "kubelet", reason, message);
}

fn tell(volume: &mut Volume, about: Object, by: &str, reason: &str, message: &str) {
    volume.events.items.push(Event {
        about,
        by: by.to_owned(),
        warning: true,
        reason: reason.to_owned(),
        message: message.to_owned(),
        at: Some(sample::noon()),
    });
}

/// On a node whose driver says that it expands only what nobody uses.
pub(crate) fn offline_only(mut node: NodeFacts) -> NodeFacts {
    if let Observed::Known(plugin) = &mut node.drivers.items[0].plugin {
        plugin.services = Observed::Known(vec![Plugin::OFFLINE.into()]);
    }
    node
}

/// Where the PersistentVolume could not be seen.
pub(crate) fn hide_volume(mut node: NodeFacts) -> NodeFacts {
    let gap = Gap::new(Why::Denied, "get persistentvolume pvc-11: forbidden");
    node.volumes.items[0].persistent = Observed::Unknown(gap);
    node
}
