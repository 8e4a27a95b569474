//! Objects as nodes told of them, where nobody else was asked: the volumes that pods use, and no others.

use std::collections::BTreeMap;

use crate::model::names::Uid;
use crate::model::objects::{CsiNode, Objects, Pod, PodState, PodVolume, PodVolumeSource, Stale};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::view::{NodeStatus, NodeVolume};
use crate::model::volume::{Published, Volume};

/// Why there may be more.
const NODES_ALONE: &str =
    "nodes tell of what their pods use alone; without --collector all objects are read";

/// The objects behind the volumes that nodes told of.
pub fn from_nodes(volumes: &[NodeVolume], nodes: &[NodeStatus]) -> Objects {
    let mut objects = Objects::unknown(&Gap::new(Why::NotAsked, NODES_ALONE));
    objects.stale = Stale::default();
    let mut pods: BTreeMap<&Uid, Pod> = BTreeMap::new();
    for one in volumes {
        let volume = &one.volume;
        put(&mut objects.claims, volume.claim.clone());
        put(&mut objects.volumes, known(&volume.persistent));
        put(&mut objects.attachments, known(&volume.attachment));
        put(&mut objects.classes, known(&volume.class));
        for event in volume
            .events
            .items
            .iter()
            .chain(volume.published.iter().flat_map(|one| &one.events.items))
        {
            put(&mut objects.events, Some(event.clone()));
        }
        for published in &volume.published {
            let pod = pods
                .entry(&published.pod.uid)
                .or_insert_with(|| pod(one, published));
            pod.volumes.push(used(volume, published));
        }
    }
    objects.pods.items = pods.into_values().collect();
    objects.csi_nodes.items = nodes.iter().map(csi_node).collect();
    objects
}

fn known<T: Clone>(observed: &Observed<Option<T>>) -> Option<T> {
    observed.known().cloned().flatten()
}

fn put<T: PartialEq>(listing: &mut Listing<T>, item: Option<T>) {
    if let Some(item) = item.filter(|item| !listing.items.contains(item)) {
        listing.items.push(item);
    }
}

fn pod(one: &NodeVolume, published: &Published) -> Pod {
    let state = match published.state {
        Observed::Known(state) => state,
        // A process of it lives, or nobody knows.
        Observed::Unknown(_) if published.live == Observed::Known(true) => PodState::Running,
        Observed::Unknown(_) => PodState::Starting,
    };
    Pod {
        pod: published.pod.clone(),
        node: Some(one.node.clone()),
        state,
        started: published.started,
        ended: published.ended,
        volumes: Vec::new(),
        static_uid: None,
        terms: None,
    }
}

fn used(volume: &Volume, published: &Published) -> PodVolume {
    PodVolume {
        name: published.name.clone(),
        source: match &volume.claim {
            Some(claim) => PodVolumeSource::Claim(String::from(&claim.claim.name)),
            None => PodVolumeSource::InlineCsi(volume.driver.clone()),
        },
        read_only: false,
        places: Vec::new(),
        health: published.health.clone(),
    }
}

fn csi_node(status: &NodeStatus) -> CsiNode {
    let drivers = status.drivers.iter().filter_map(|driver| {
        let registration = known(&driver.csi_node)?;
        Some((driver.name.clone(), registration))
    });
    CsiNode {
        node: status.name.clone(),
        drivers: drivers.collect(),
        health: Vec::new(),
    }
}
