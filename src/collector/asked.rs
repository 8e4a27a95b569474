//! What of a view is asked for, and in which order: the same for gRPC and JSON.

use crate::collector::packed;
use crate::grpc::Refusal;
use crate::model::driver::Driver;
use crate::model::finding::{Object, Severity};
use crate::model::view::{NodeView, NodeVolume, Story, View};
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
        (self.namespace.is_empty() || volume.namespaces().any(|one| one == self.namespace))
            && (self.name.is_empty() || volume.names().any(|one| one == self.name))
    }
}

/// The stories that are asked for, worst first.
pub(super) fn stories<'a>(view: &'a View, filter: &StoryFilter) -> Vec<&'a Story> {
    let stories = view.stories.iter();
    stories.filter(|story| filter.takes(story)).collect()
}

/// Where a volume stands in a view: the node, and the volume's position in its scan.
pub(super) type Spot = (u32, u32);

/// Where the volumes stand that may be asked for, node by node; found without unpacking any.
pub(super) fn spots(view: &View, filter: &VolumeFilter) -> Vec<Spot> {
    let nodes = (0..).zip(&view.nodes);
    let of = |(at, node): (u32, &NodeView)| {
        let positions = node.brief.named(&filter.namespace, &filter.name);
        positions.into_iter().map(move |position| (at, position))
    };
    nodes.flat_map(of).collect()
}

/// The volumes at these spots, as far as they are asked for; each node is unpacked once.
pub(super) fn volumes(
    view: &View,
    filter: &VolumeFilter,
    spots: &[Spot],
) -> Vec<(Spot, NodeVolume)> {
    let by_node = spots.chunk_by(|one, other| one.0 == other.0);
    let of = |spots: &[Spot]| {
        let at = spots[0].0;
        let node = &view.nodes[at as usize];
        let positions: Vec<u32> = spots.iter().map(|spot| spot.1).collect();
        let mut volumes = packed::volumes(node, &positions);
        volumes.retain(|(_, volume)| filter.takes(volume));
        volumes.into_iter().map(move |(position, volume)| {
            let volume = NodeVolume {
                node: node.name.clone(),
                observed_at: node.brief.observed_at,
                silent: node.silent,
                volume,
            };
            ((at, position), volume)
        })
    };
    by_node.flat_map(of).collect()
}

/// The volumes that go by the name that is asked for, wherever they are.
pub(super) fn named(view: &View, filter: &VolumeFilter) -> Result<Vec<NodeVolume>, Refusal> {
    let spots = if filter.name.is_empty() {
        Vec::new()
    } else {
        spots(view, filter)
    };
    let volumes: Vec<NodeVolume> = volumes(view, filter, &spots)
        .into_iter()
        .map(|(_, volume)| volume)
        .collect();
    if volumes.is_empty() {
        return Err(Refusal::NotFound(format!(
            "no node has told of a volume, claim or handle named {:?}",
            filter.name
        )));
    }
    Ok(volumes)
}

/// The drivers of this name, or all, by node and name.
pub(super) fn drivers<'a>(view: &'a View, name: &str) -> Vec<(&'a NodeView, &'a Driver)> {
    let of = |node: &'a NodeView| {
        let drivers = &node.brief.drivers;
        drivers.iter().map(move |driver| (node, driver))
    };
    let all = view.nodes.iter().flat_map(of);
    all.filter(|(_, driver)| name.is_empty() || driver.name.as_str() == name)
        .collect()
}

/// The stories about these volumes.
pub(super) fn about<'a>(view: &'a View, volumes: &[NodeVolume]) -> Vec<&'a Story> {
    let is_about = |story: &&Story| {
        let subjects = std::iter::once(&story.finding)
            .chain(&story.explains)
            .map(|finding| &finding.key.subject);
        subjects.into_iter().any(|subject| {
            volumes.iter().any(|one| {
                one.volume.is_known_by(&subject.object)
                    && subject.node.as_ref().is_none_or(|at| *at == one.node)
            })
        })
    };
    view.stories.iter().filter(is_about).collect()
}
