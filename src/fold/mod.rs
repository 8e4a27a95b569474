//! Findings of all sources → one story per thing that is wrong, worst first.
//!
//! The same finding from several nodes is one story with several places. Of the open findings on
//! one object's way the earliest stuck step is the story, and later ones that its places share
//! follow from it. A claim's annotation silences: shown, not counted. It knows no history and no
//! clock; the moment is given.

#![deny(clippy::disallowed_methods)]

mod silence;
mod speakers;
mod storms;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::fold::silence::silenced;
use crate::fold::speakers::Speakers;
use crate::fold::storms::by_server;
use crate::model::finding::{Code, Finding, Object, Severity, State};
use crate::model::names::{DriverName, NodeName};
use crate::model::stage::{MountStage, Stage};
use crate::model::view::{ClusterView, NodeView, Story, View};
use crate::model::volume::Volume;

/// Everything that a reader may see at this moment. `nodes` may come in any order.
pub fn fold<'a>(
    at: Timestamp,
    nodes: &[NodeView],
    cluster: &Arc<ClusterView>,
    findings: impl Iterator<Item = &'a Finding>,
) -> View {
    let mut nodes = nodes.to_vec();
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    let places = Places {
        nodes: &nodes,
        cluster,
    };
    let findings: Vec<&Finding> = findings.collect();
    let speakers = Speakers::of(&findings);
    let counted = findings.into_iter().filter(|one| speakers.may_say(one));
    let mut stories = by_place(counted);
    for story in &mut stories {
        story.silenced = silenced(story, &places, at);
    }
    let mut stories = by_server(by_stage(stories, &places), &places);
    stories.sort_by_cached_key(order);
    View {
        at,
        nodes,
        cluster: Arc::clone(cluster),
        stories,
        ended: Vec::new(),
    }
}

/// The least certain state that counts: open once, and now unconfirmed.
const COUNTED: u8 = 1;

/// How certain a state is: the most certain one speaks for all places.
fn certainty(finding: &Finding) -> u8 {
    match finding.state {
        State::Open => 0,
        State::Unconfirmed { .. } if finding.opened.is_some() => COUNTED,
        State::Settling => 2,
        State::Unconfirmed { .. } => 3,
        State::Resolved { .. } => 4,
    }
}

/// Severity, counted before silenced, state, then code and subject, so that lists stand still.
fn order(story: &Story) -> impl Ord + use<> {
    let finding = &story.finding;
    (
        Reverse(finding.severity),
        story.silenced.is_some(),
        certainty(finding),
        finding.key.clone(),
    )
}

/// One story per code and object, with the nodes that see it.
fn by_place<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<Story> {
    let mut groups: BTreeMap<(&Code, &Object), Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        groups
            .entry((&finding.key.code, &finding.key.subject.object))
            .or_default()
            .push(finding);
    }
    groups.into_values().filter_map(one_story).collect()
}

fn one_story(mut findings: Vec<&Finding>) -> Option<Story> {
    // What is over in one place says nothing of the others.
    let over = |finding: &&Finding| matches!(finding.state, State::Resolved { .. });
    if !findings.iter().all(over) {
        findings.retain(|finding| !over(finding));
    }
    findings.sort_by_key(|finding| {
        (
            certainty(finding),
            Reverse(finding.severity),
            finding.first_seen,
            &finding.key.subject.node,
        )
    });
    let mut leading = (*findings.first()?).clone();
    for finding in &findings {
        leading.first_seen = leading.first_seen.min(finding.first_seen);
    }
    let mut places: Vec<NodeName> = findings
        .iter()
        .filter_map(|finding| finding.key.subject.node.clone())
        .collect();
    places.sort();
    places.dedup();
    Some(Story {
        finding: leading,
        places,
        explains: Vec::new(),
        silenced: None,
    })
}

/// Puts stories under those that they follow from. Silenced ones take no part: what is not counted
/// must not hide what is.
fn by_stage(stories: Vec<Story>, places: &Places<'_>) -> Vec<Story> {
    let open = OpenStories::of(&stories);
    let causes: Vec<Option<usize>> = stories
        .iter()
        .map(|story| cause(story, &open, places))
        .collect();
    let roots: Vec<usize> = (0..stories.len())
        .map(|index| {
            // A cause is always an earlier step, so the chain ends.
            let mut root = index;
            while let Some(next) = causes[root] {
                root = next;
            }
            root
        })
        .collect();
    let mut explained: Vec<Vec<Finding>> = vec![Vec::new(); stories.len()];
    for (index, story) in stories.iter().enumerate() {
        if roots[index] != index {
            explained[roots[index]].push(story.finding.clone());
        }
    }
    stories
        .into_iter()
        .zip(explained)
        .enumerate()
        .filter(|(index, _)| roots[*index] == *index)
        .map(|(_, (mut story, mut explains))| {
            explains.sort_by(|one, other| (one.stage, &one.key).cmp(&(other.stage, &other.key)));
            // What it brings about can be worse than the step itself.
            let worst = explains.iter().filter(|one| certainty(one) <= COUNTED);
            let worst = worst.map(|one| one.severity).max();
            story.finding.severity = story.finding.severity.max(worst.unwrap_or(Severity::Info));
            Story { explains, ..story }
        })
        .collect()
}

/// The stories that may explain others, by what they are about: in a storm there are tens of thousands, and each
/// can follow only from one of its own object or from a driver's.
struct OpenStories<'a> {
    of_object: BTreeMap<&'a Object, Vec<(usize, &'a Story)>>,
    of_drivers: Vec<(usize, &'a Story)>,
}

impl<'a> OpenStories<'a> {
    fn of(stories: &'a [Story]) -> Self {
        let mut open = Self {
            of_object: BTreeMap::new(),
            of_drivers: Vec::new(),
        };
        for (index, story) in stories.iter().enumerate() {
            if story.silenced.is_some() || story.finding.state != State::Open {
                continue;
            }
            let object = &story.finding.key.subject.object;
            open.of_object
                .entry(object)
                .or_default()
                .push((index, story));
            if matches!(object, Object::Driver(_)) {
                open.of_drivers.push((index, story));
            }
        }
        open
    }
}

/// The story of the earliest step that explains this one.
fn cause(story: &Story, open: &OpenStories<'_>, places: &Places<'_>) -> Option<usize> {
    if story.silenced.is_some() || matches!(story.finding.state, State::Resolved { .. }) {
        return None;
    }
    let of_object = open.of_object.get(&story.finding.key.subject.object);
    let of_object = of_object.into_iter().flatten();
    let earlier = of_object.filter(|(_, other)| follows(story, other));
    let drivers = open.of_drivers.iter();
    let silent = drivers.filter(|(_, other)| waits_for_driver(story, other, places));
    earlier
        .chain(silent)
        .min_by_key(|(_, other)| (other.finding.stage, &other.finding.key))
        .map(|(index, _)| *index)
}

/// Whether it is a later step of the same object's way, nowhere else than where the earlier is stuck.
fn follows(story: &Story, earlier: &Story) -> bool {
    let (Some(stage), Some(earlier_stage)) = (story.finding.stage, earlier.finding.stage) else {
        return false;
    };
    story.finding.key.subject.object == earlier.finding.key.subject.object
        && stage.same_way(earlier_stage)
        && earlier_stage < stage
        && seen_only_there(story, earlier)
}

/// Whether it rests on what a driver answers, and that driver is not there.
fn waits_for_driver(story: &Story, driver_story: &Story, places: &Places<'_>) -> bool {
    let Object::Driver(driver) = &driver_story.finding.key.subject.object else {
        return false;
    };
    driver_story.finding.stage == Some(Stage::Mount(MountStage::DriverRegistered))
        && !matches!(story.finding.key.subject.object, Object::Driver(_))
        && rests_on_driver(&story.finding)
        && seen_only_there(story, driver_story)
        && !story.places.is_empty()
        && story
            .places
            .iter()
            .all(|node| places.serves(node, driver, &story.finding.key.subject.object))
}

/// Whether all its evidence is what the driver answered: only then is a silent driver its cause. A
/// dead mount of the same driver is evidence of its own.
fn rests_on_driver(finding: &Finding) -> bool {
    // The calls of CSI's node service; evidence names its source by the call.
    const CALLS: [&str; 6] = [
        "NodeExpandVolume",
        "NodeGetVolumeHealth",
        "NodeGetVolumeStats",
        "NodePublishVolume",
        "NodeStageVolume",
        "NodeUnpublishVolume",
    ];
    let evidence = &finding.problem.evidence;
    !evidence.is_empty()
        && evidence
            .iter()
            .all(|one| CALLS.iter().any(|call| one.source.starts_with(call)))
}

fn seen_only_there(story: &Story, there: &Story) -> bool {
    there.places.is_empty()
        || (!story.places.is_empty() && story.places.iter().all(|node| there.places.contains(node)))
}

/// The nodes, sorted by name, and the cluster around them.
struct Places<'a> {
    nodes: &'a [NodeView],
    cluster: &'a ClusterView,
}

impl<'a> Places<'a> {
    /// The volumes of a node that findings are about.
    fn volumes(&self, node: &NodeName) -> &'a [Volume] {
        self.nodes
            .binary_search_by(|view| view.name.cmp(node))
            .map_or(&[], |index| &self.nodes[index].brief.judged)
    }

    /// The volumes of a node that are known by this object.
    fn known_by(&self, node: &NodeName, object: &Object) -> impl Iterator<Item = &'a Volume> {
        self.volumes(node)
            .iter()
            .filter(move |volume| volume.is_known_by(object))
    }

    fn serves(&self, node: &NodeName, driver: &DriverName, object: &Object) -> bool {
        self.known_by(node, object)
            .any(|volume| volume.driver == *driver)
    }
}

#[cfg(test)]
mod tests;
