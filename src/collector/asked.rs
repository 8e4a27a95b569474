//! What of a view is asked for, and in which order: the same for gRPC and JSON.

use crate::model::driver::Driver;
use crate::model::finding::{Object, Severity};
use crate::model::names::VolumeHandle;
use crate::model::view::{NodeView, Story, View};
use crate::model::volume::Volume;

/// Which stories are asked for; empty for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StoryFilter {
    pub(super) namespace: String,
    pub(super) code: String,
    pub(super) node: String,
    /// This severity and worse.
    pub(super) severity: Option<Severity>,
    pub(super) counted: bool,
}

impl StoryFilter {
    pub(super) fn takes(&self, story: &Story) -> bool {
        let finding = &story.finding;
        let in_namespace = |object: &Object| object.namespace() == Some(&self.namespace);
        let explained = || {
            let mut explained = story.explains.iter();
            explained.any(|one| in_namespace(&one.key.subject.object))
        };
        (self.namespace.is_empty() || in_namespace(&finding.key.subject.object) || explained())
            && (self.code.is_empty() || finding.key.code.0.eq_ignore_ascii_case(&self.code))
            && (self.node.is_empty() || story.places.iter().any(|node| node.as_str() == self.node))
            && self.severity.is_none_or(|least| finding.severity >= least)
            && (!self.counted || story.counts())
    }
}

/// Which volumes are asked for; empty for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct VolumeFilter {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl VolumeFilter {
    fn takes(&self, volume: &Volume) -> bool {
        (self.namespace.is_empty() || namespaces(volume).any(|one| one == self.namespace))
            && (self.name.is_empty() || names(volume).any(|one| one == self.name))
    }
}

/// The stories that are asked for, worst first.
pub(super) fn stories<'a>(view: &'a View, filter: &StoryFilter) -> Vec<&'a Story> {
    let stories = view.stories.iter();
    stories.filter(|story| filter.takes(story)).collect()
}

/// Where the volumes that are asked for stand in the view, by namespace, name and node.
pub(super) fn volumes(view: &View, filter: &VolumeFilter) -> Vec<(usize, usize)> {
    let mut list = Vec::new();
    for (at_node, node) in view.nodes.iter().enumerate() {
        for (at, volume) in node.scan.facts.volumes.items.iter().enumerate() {
            if filter.takes(volume) {
                list.push((at_node, at));
            }
        }
    }
    list.sort_by_key(|place| {
        let (node, volume) = volume_at(view, *place);
        (
            namespaces(volume).next(),
            names(volume).next(),
            node.name.as_str(),
        )
    });
    list
}

/// The volume at such a place.
pub(super) fn volume_at(view: &View, (node, volume): (usize, usize)) -> (&NodeView, &Volume) {
    let node = &view.nodes[node];
    (node, &node.scan.facts.volumes.items[volume])
}

/// The drivers of this name, or all, by node and name.
pub(super) fn drivers<'a>(view: &'a View, name: &str) -> Vec<(&'a NodeView, &'a Driver)> {
    let of = |node: &'a NodeView| {
        let drivers = &node.scan.facts.drivers.items;
        drivers.iter().map(move |driver| (node, driver))
    };
    let all = view.nodes.iter().flat_map(of);
    all.filter(|(_, driver)| name.is_empty() || driver.name.as_str() == name)
        .collect()
}

/// The stories about these volumes.
pub(super) fn about<'a>(view: &'a View, volumes: &[(&NodeView, &Volume)]) -> Vec<&'a Story> {
    let is_about = |story: &&Story| {
        let subjects = std::iter::once(&story.finding)
            .chain(&story.explains)
            .map(|finding| &finding.key.subject);
        subjects.into_iter().any(|subject| {
            volumes.iter().any(|(node, volume)| {
                volume.is_known_by(&subject.object)
                    && subject.node.as_ref().is_none_or(|at| *at == node.name)
            })
        })
    };
    view.stories.iter().filter(is_about).collect()
}

/// The namespaces of its claim, else of its pods.
fn namespaces(volume: &Volume) -> impl Iterator<Item = &str> {
    let claim = volume.claim.as_ref().map(|claim| &claim.claim.namespace);
    let pods = volume.published.iter().map(|one| &one.pod.namespace);
    let pods = pods.filter(move |_| claim.is_none());
    claim.into_iter().chain(pods).map(String::as_str)
}

/// The names that it goes by: claim, persistent volume, directory, handle.
fn names(volume: &Volume) -> impl Iterator<Item = &str> {
    let claim = volume.claim.as_ref().map(|claim| claim.claim.name.as_str());
    let persistent = volume.persistent.known().and_then(Option::as_ref);
    let handle = volume.handle.known().map(VolumeHandle::as_str);
    claim
        .into_iter()
        .chain(persistent.map(|persistent| persistent.name.as_str()))
        .chain([volume.spec_name.as_str()])
        .chain(handle)
}
