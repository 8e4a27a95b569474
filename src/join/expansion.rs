//! What belongs to a volume's expansion beside its sizes: its class, and what was said of it; and
//! the volumes of claims as the objects alone know them.

use jiff::Timestamp;

use crate::join::declared::{asked_read_only, declared_sizes, untouched};
use crate::join::{add_new, missing};
use crate::model::facts::ClusterFacts;
use crate::model::finding::Object;
use crate::model::names::HostPath;
use crate::model::objects::{
    Claim, Class, Event, Objects, PersistentVolume, Pod, PodVolume, PodVolumeSource,
};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::state::KernelState;
use crate::model::volume::{Published, Volume};

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
pub(super) fn class(objects: &Objects, claim: &Claim) -> Observed<Option<Class>> {
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
    let resizer = format!("external-resizer {}", volume.driver);
    let spoken = objects.events.items.iter().filter(|one| one.by == resizer);
    volume.resizer_seen = spoken.filter_map(|event| event.at).max();
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
    let mut events: Vec<Event> = objects
        .events
        .items
        .iter()
        .filter(|event| is_about_expansion(event))
        .filter(ours)
        .filter(of_this_volume)
        .cloned()
        .collect();
    events.sort_by_key(|event| event.at);
    events.drain(..events.len().saturating_sub(KEPT));
    volume.events = Listing {
        items: events,
        gaps: objects.events.gaps.clone(),
    };
}

fn is_about_expansion(event: &Event) -> bool {
    REASONS.contains(&event.reason.as_str()) || event.is_about_expansion_at_mount()
}

/// The volumes of bound claims, as far as Kubernetes' objects tell.
pub fn cluster(objects: &Objects, observed_at: Timestamp) -> ClusterFacts {
    let mut gaps = Vec::new();
    let lists = missing(&objects.claims).chain(missing(&objects.volumes));
    add_new(&mut gaps, lists.chain(missing(&objects.pods)).cloned());
    let items = objects.claims.items.iter().filter_map(|claim| {
        let name = claim.volume.as_ref()?;
        let found = objects.volumes.items.iter().find(|one| one.name == *name)?;
        volume(objects, claim, found)
    });
    ClusterFacts {
        observed_at,
        volumes: Listing {
            items: items.collect(),
            gaps,
        },
        nodes: Listing::default(),
    }
}

/// One of them; in-tree volumes are not covered.
fn volume(objects: &Objects, claim: &Claim, persistent: &PersistentVolume) -> Option<Volume> {
    let csi = persistent.csi.as_ref()?;
    let published = objects.pods.items.iter().flat_map(|pod| {
        let used = pod.volumes.iter().filter(|volume| uses(pod, volume, claim));
        used.map(|volume| published(pod, volume, persistent))
    });
    let mut sizes = declared_sizes(claim, Some(persistent));
    let no_node = || Gap::new(Why::NotAsked, "no node was asked");
    sizes.device = Observed::Unknown(no_node());
    sizes.filesystem = Observed::Unknown(no_node());
    sizes.driver = Observed::Unknown(no_node());
    let mut volume = Volume {
        spec_name: persistent.name.0.clone().into(),
        driver: csi.driver.clone(),
        handle: Observed::Known(csi.handle.clone()),
        claim: Some(claim.clone()),
        persistent: Observed::Known(Some(persistent.clone())),
        attachment: Observed::Unknown(no_node()),
        class: class(objects, claim),
        events: Listing::default(),
        resizer_seen: None,
        mode: persistent.mode,
        staging: None,
        staged: Observed::Unknown(no_node()),
        published: published.collect(),
        stats: Observed::Unknown(no_node()),
        health: Observed::Unknown(no_node()),
        condition_promised: false,
        sizes,
        state: KernelState {
            device: Observed::Unknown(no_node()),
            errors: Observed::Unknown(no_node()),
            waiting: Observed::Unknown(no_node()),
        },
    };
    put_events(objects, &mut volume);
    Some(volume)
}

fn uses(pod: &Pod, volume: &PodVolume, claim: &Claim) -> bool {
    pod.pod.namespace == claim.claim.namespace
        && matches!(&volume.source, PodVolumeSource::Claim(name) if *name == claim.claim.name)
}

fn published(pod: &Pod, volume: &PodVolume, persistent: &PersistentVolume) -> Published {
    Published {
        pod: pod.pod.clone(),
        state: Observed::Known(pod.state),
        name: volume.name.clone(),
        started: pod.started,
        ended: pod.ended,
        stacked: 0,
        events: Listing::default(),
        health: volume.health.clone(),
        target: HostPath::default(),
        mount: untouched(),
        usage: untouched(),
        asked_read_only: asked_read_only(volume, Some(persistent)),
        sub_paths: Vec::new(),
        device_node: false,
        live: untouched(),
        inside: untouched(),
    }
}
