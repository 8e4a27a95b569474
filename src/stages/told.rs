//! All that ways are told by, whatever the source: objects, and what nodes told beside.

use std::borrow::Borrow;

use jiff::Timestamp;

use crate::model::driver::Driver;
use crate::model::finding::Object;
use crate::model::names::{DriverName, NodeName};
use crate::model::objects::{
    Claim, Event, Objects, PersistentVolume, Pod, PodVolume, PodVolumeSource,
};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::view::{NodeStatus, NodeVolume};
use crate::model::volume::Published;

/// Why nobody asked an agent, and how to.
pub const NO_AGENT: &str = "no collector was asked; name one with --collector ADDRESS";

/// What is known when somebody asks.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// When.
    pub at: Timestamp,
    /// The objects, with what is missing from them.
    pub objects: &'a Objects,
    /// What nodes told; nothing where no collector was asked.
    pub nodes: Option<OnNodes<'a>>,
}

/// What nodes told a collector.
#[derive(Debug, Clone, Copy)]
pub struct OnNodes<'a> {
    /// The volumes that are asked about.
    pub volumes: &'a [NodeVolume],
    /// The nodes with their drivers.
    pub nodes: &'a [NodeStatus],
}

impl<'a> Told<'a> {
    /// The claim of a pod's volume: none for an inline one.
    pub(super) fn claim_of(&self, pod: &Pod, volume: &PodVolume) -> Observed<Option<&'a Claim>> {
        let PodVolumeSource::Claim(name) = &volume.source else {
            return Observed::Known(None);
        };
        let is_it =
            |one: &Claim| one.claim.namespace == pod.pod.namespace && one.claim.name == *name;
        found(&self.objects.claims, is_it)
    }

    /// The PersistentVolume that a claim names.
    pub(super) fn volume_of(&self, claim: &Claim) -> Observed<Option<&'a PersistentVolume>> {
        match &claim.volume {
            Some(name) => found(&self.objects.volumes, |one: &PersistentVolume| {
                one.name == *name
            }),
            None => Observed::Known(None),
        }
    }

    /// What the node of a pod told of one of its volumes.
    pub(super) fn on_node(
        &self,
        pod: &Pod,
        volume: &PodVolume,
    ) -> Result<(&'a NodeVolume, &'a Published), Gap> {
        let Some(nodes) = self.nodes else {
            return Err(Gap::new(Why::NotAsked, NO_AGENT));
        };
        let mut all = nodes.volumes.iter().flat_map(|one| {
            let published = one.volume.published.iter();
            published.map(move |published| (one, published))
        });
        let is_it = |one: &Published| one.pod.uid == pod.pod.uid && one.name == volume.name;
        let told = all.find(|(_, published)| is_it(published));
        told.ok_or_else(|| match &pod.node {
            Some(node) if nodes.nodes.iter().all(|one| one.name != *node) => Gap::new(
                Why::Unavailable,
                format!("no agent of node {node} has told the collector anything"),
            ),
            Some(node) => Gap::new(
                Why::NotFound,
                format!("the agent of node {node} has not told of this volume in this pod"),
            ),
            None => Gap::new(Why::NotFound, "the pod is on no node"),
        })
    }

    /// A driver on a node, as its agent told.
    pub fn driver(&self, node: &NodeName, name: &DriverName) -> Option<&'a Driver> {
        let mut nodes = self.nodes?.nodes.iter();
        let status = nodes.find(|status| status.name == *node)?;
        status.drivers.iter().find(|driver| driver.name == *name)
    }

    /// What was said of an object, the latest last.
    pub(super) fn said(&self, object: &Object) -> Vec<&'a Event> {
        let events = self.objects.events.items.iter();
        let mut said: Vec<&Event> = events.filter(|event| is_about(event, object)).collect();
        said.sort_by_key(|event| event.at);
        said
    }

    /// Why something may have been said that was not read.
    pub(super) fn unheard(&self) -> Option<&'a Gap> {
        self.objects.events.gaps.first()
    }
}

/// Whether an event is about an object, in this life of it.
fn is_about(event: &Event, object: &Object) -> bool {
    let about = &event.about;
    about.kind() == object.kind()
        && about.namespace() == object.namespace()
        && about.name() == object.name()
        && match (about.uid(), object.uid()) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
}

/// The object of a list that is meant; none where the list is complete without it.
pub(super) fn found<T, M: Borrow<T>>(
    listing: &Listing<M>,
    is_it: impl Fn(&T) -> bool,
) -> Observed<Option<&T>> {
    match (
        listing
            .items
            .iter()
            .map(Borrow::borrow)
            .find(|one| is_it(one)),
        listing.gaps.first(),
    ) {
        (Some(found), _) => Observed::Known(Some(found)),
        (None, None) => Observed::Known(None),
        (None, Some(gap)) => Observed::Unknown(gap.clone()),
    }
}
