//! Mounts, the kubelet's directory, plugins and Kubernetes' objects → the facts of a node.
//!
//! Two pure steps around the touching of volumes: `join` says which volumes there are and where,
//! `answer` puts in what they answered. It judges nothing.

#![deny(clippy::disallowed_methods)]

mod answers;
mod binding;
mod cluster;
mod containers;
mod declared;
mod drivers;
mod expansion;
mod from_nodes;
mod index;
mod leftovers;
mod paths;
mod report;
mod said;
mod stale;
mod table;
mod volumes;

pub use answers::answer;
pub use cluster::cluster;
pub use from_nodes::from_nodes;
pub use paths::{asked_at, touched_at};
pub use report::report;

use crate::model::facts::NodeFacts;
use crate::model::observed::{Gap, Listing, Why};
use crate::model::seen::Seen;

/// The facts of a node before any volume was touched.
pub fn join(seen: &Seen) -> NodeFacts {
    let mut volumes = volumes::join(seen);
    for volume in &mut volumes.items {
        stale::take_back(volume, &seen.objects.stale);
    }
    let drivers = drivers::join(seen, &volumes.items);
    for volume in &mut volumes.items {
        let mut all = drivers.items.iter();
        let driver = all.find(|driver| driver.name == volume.driver);
        let plugin = driver.and_then(|driver| driver.plugin.known());
        volume.condition_promised =
            plugin.is_some_and(|plugin| plugin.can("VOLUME_CONDITION") == Some(true));
    }
    let leftovers = leftovers::join(seen, &volumes.items);
    let uncovered = leftovers::uncovered(seen);
    let mut gaps = seen.table.gaps.clone();
    // These hide no volume, but what is said of one.
    let objects = &seen.objects;
    let details = missing(&objects.attachments)
        .chain(missing(&objects.classes))
        .chain(missing(&objects.events));
    add_new(&mut gaps, details.cloned());
    NodeFacts {
        node: seen.node.clone(),
        observed_at: seen.observed_at,
        thresholds: seen.thresholds,
        volumes,
        drivers,
        leftovers,
        uncovered,
        waiting: said::waiting(seen),
        kubelet: leftovers::kubelet(seen),
        gaps,
    }
}

/// The gaps of a list of objects that leave it incomplete: a source that is not configured leaves nothing out.
fn missing<T>(objects: &Listing<T>) -> impl Iterator<Item = &Gap> {
    objects.gaps.iter().filter(|gap| gap.why != Why::NotAsked)
}

/// Adds the gaps that are not there yet.
fn add_new(gaps: &mut Vec<Gap>, more: impl IntoIterator<Item = Gap>) {
    for gap in more {
        if !gaps.contains(&gap) {
            gaps.push(gap);
        }
    }
}
