//! Which drivers are on the node: those whose plugin was found, and those that somebody expects.

use std::collections::BTreeMap;

use crate::join::{add_new, missing};
use crate::model::driver::Driver;
use crate::model::names::DriverName;
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::seen::Seen;
use crate::model::volume::Volume;

/// So many of those who expect a driver are named; the rest is a number.
const NAMED: usize = 3;

/// The drivers of the node.
pub(super) fn join(seen: &Seen, volumes: &[Volume]) -> Listing<Driver> {
    let mut expected: BTreeMap<&DriverName, Vec<String>> = BTreeMap::new();
    let objects = &seen.objects;
    for csi_node in objects
        .csi_nodes
        .items
        .iter()
        .filter(|one| one.node == seen.node)
    {
        for driver in &csi_node.drivers {
            expected
                .entry(driver)
                .or_default()
                .push(format!("CSINode {}", csi_node.node));
        }
    }
    for volume in volumes {
        for published in &volume.published {
            let by = format!("pod {} for volume {}", published.pod, volume.spec_name);
            expected.entry(&volume.driver).or_default().push(by);
        }
    }
    let found = seen.plugins.items.iter().map(|plugin| Driver {
        name: plugin.name.clone(),
        expected_by: shorten(expected.remove(&plugin.name).unwrap_or_default()),
        socket: Some(plugin.socket.clone()),
        plugin: plugin.plugin.clone(),
    });
    let mut items: Vec<Driver> = found.collect();
    items.extend(expected.into_iter().map(|(name, by)| Driver {
        name: name.clone(),
        expected_by: shorten(by),
        socket: None,
        plugin: Observed::Unknown(no_socket(seen, name)),
    }));
    items.sort_by(|one, other| one.name.cmp(&other.name));
    let mut gaps = seen.plugins.gaps.clone();
    add_new(
        &mut gaps,
        missing(&objects.csi_nodes)
            .chain(missing(&objects.pods))
            .cloned(),
    );
    Listing { items, gaps }
}

fn no_socket(seen: &Seen, driver: &DriverName) -> Gap {
    seen.plugins.gaps.first().cloned().unwrap_or_else(|| {
        Gap::new(
            Why::NotFound,
            format!("no socket of {driver} under {}", seen.kubelet.root),
        )
    })
}

fn shorten(mut by: Vec<String>) -> Vec<String> {
    let more = by.len().saturating_sub(NAMED);
    if more > 0 {
        by.truncate(NAMED);
        by.push(format!("{more} more"));
    }
    by
}
