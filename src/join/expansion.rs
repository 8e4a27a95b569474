//! What belongs to a volume's expansion beside its sizes: its class, and what was said of it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::finding::Object;
use crate::model::objects::{Claim, Class, Event, Objects};
use crate::model::observed::{Gap, Listing, Observed};
use crate::model::volume::Volume;

/// Reasons of events about expansion: of the resizer, of the kubelet and of the expand controller
/// (external-resizer `pkg/util/util.go`, kubelet `pkg/kubelet/events`).
const REASONS: [&str; 7] = [
    "ExternalExpanding",
    "FileSystemResizeFailed",
    "FileSystemResizeRequired",
    "FileSystemResizeSuccessful",
    "Resizing",
    "VolumeResizeFailed",
    "VolumeResizeSuccessful",
];

/// So many of the latest events are kept.
const KEPT: usize = 8;

/// The class of a claim; none where it names none, or one that is known to be gone.
pub(super) fn class(objects: &Objects, claim: &Claim) -> Observed<Option<Arc<Class>>> {
    let Some(name) = &claim.class else {
        return Observed::Known(None);
    };
    let found = objects.classes.items.iter().find(|one| one.name == *name);
    match (found, objects.classes.gaps.first()) {
        (Some(found), _) => Observed::Known(Some(found.clone())),
        (None, None) => Observed::Known(None),
        (None, Some(gap)) => Observed::Unknown(gap.clone()),
    }
}

/// Puts what was said of a volume's expansion into it, and when its resizer was last heard.
pub(super) fn put_events(objects: &Objects, volume: &mut Volume) {
    volume.resizer_seen = resizer_seen(&objects.events.items, volume);
    put_said(&objects.events.items, &objects.events.gaps, volume);
}

/// When the resizer of a volume's driver was last heard to speak of any claim.
fn resizer_seen(events: &[Event], volume: &Volume) -> Option<Timestamp> {
    let of = |by: &str| by.strip_prefix("external-resizer ") == Some(volume.driver.as_str());
    let spoken = events.iter().filter(|one| of(&one.by));
    spoken.filter_map(|event| event.at).max()
}

/// Of these events those about the volume's expansion.
pub(super) fn put_said<'a>(
    events: impl IntoIterator<Item = &'a Event>,
    gaps: &[Gap],
    volume: &mut Volume,
) {
    let Some(claim) = &volume.claim else { return };
    let ours = |event: &&Event| match &event.about {
        Object::Claim(about) => {
            about.namespace == claim.claim.namespace
                && about.name == claim.claim.name
                && (about.uid == claim.claim.uid || about.uid.as_str().is_empty())
        }
        Object::Pod(about) => volume.published.iter().any(|one| one.pod.uid == about.uid),
        _ => false,
    };
    // A pod may have other volumes; its events name the PersistentVolume.
    let of_this_volume = |event: &&Event| {
        matches!(event.about, Object::Claim(_)) || event.message.contains(volume.spec_name.as_str())
    };
    let mut events: Vec<Event> = events
        .into_iter()
        .filter(|event| is_about_expansion(event))
        .filter(ours)
        .filter(of_this_volume)
        .cloned()
        .collect();
    events.sort_by_key(|event| event.at);
    events.drain(..events.len().saturating_sub(KEPT));
    volume.events = Listing {
        items: events,
        gaps: gaps.to_vec(),
    };
}

fn is_about_expansion(event: &Event) -> bool {
    REASONS.contains(&event.reason.as_str()) || event.is_about_expansion_at_mount()
}
