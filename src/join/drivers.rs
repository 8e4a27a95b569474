//! Which drivers are on the node: those whose plugin was found, and those that somebody expects.

use std::collections::BTreeMap;

use crate::join::{add_new, missing};
use crate::model::driver::{Driver, Registration};
use crate::model::health::HealthEntry;
use crate::model::names::DriverName;
use crate::model::objects::CsiNode;
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
        for (driver, _) in &csi_node.drivers {
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
    let around = Around::new(seen);
    let found = seen.plugins.items.iter().map(|plugin| Driver {
        name: plugin.name.clone(),
        expected_by: shorten(expected.remove(&plugin.name).unwrap_or_default()),
        socket: Some(plugin.socket.clone()),
        plugin: plugin.plugin.clone(),
        registered_as: plugin.registered_as.clone(),
        csi_node: around.csi_node(&plugin.name),
        started: plugin.started,
        attached: around.attached(&plugin.name),
        reported_health: around.health(&plugin.name),
    });
    let mut items: Vec<Driver> = found.collect();
    // A name under which a plugin with another one is registered: its socket is that plugin's.
    for plugin in &seen.plugins.items {
        if let Observed::Known(Some(registered)) = &plugin.registered_as {
            expected.remove(registered);
        }
    }
    items.extend(expected.into_iter().map(|(name, by)| Driver {
        name: name.clone(),
        expected_by: shorten(by),
        socket: None,
        plugin: Observed::Unknown(no_socket(seen, name)),
        registered_as: match seen.plugins.gaps.first() {
            Some(gap) => Observed::Unknown(gap.clone()),
            None => Observed::Known(None),
        },
        csi_node: around.csi_node(name),
        started: None,
        attached: around.attached(name),
        reported_health: around.health(name),
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

/// What objects say of a driver on this node.
struct Around<'a> {
    seen: &'a Seen,
}

impl<'a> Around<'a> {
    fn new(seen: &'a Seen) -> Self {
        Self { seen }
    }

    fn own(&self) -> Option<&'a CsiNode> {
        let nodes = &self.seen.objects.csi_nodes.items;
        nodes.iter().find(|one| one.node == self.seen.node)
    }

    /// A CSINode that is not there lists nobody.
    fn csi_node(&self, driver: &DriverName) -> Observed<Option<Registration>> {
        let listed = self.own().into_iter().flat_map(|node| &node.drivers);
        let found = listed.clone().find(|(name, _)| name == driver);
        match (found, self.seen.objects.csi_nodes.gaps.first()) {
            (Some((_, registration)), _) => Observed::Known(Some(registration.clone())),
            (None, None) => Observed::Known(None),
            (None, Some(gap)) => Observed::Unknown(gap.clone()),
        }
    }

    fn health(&self, driver: &DriverName) -> Vec<HealthEntry> {
        let told = self.own().into_iter().flat_map(|node| &node.health);
        let of_it = told.filter(|(name, _)| name == driver);
        of_it.map(|(_, entry)| entry.clone()).collect()
    }

    fn attached(&self, driver: &DriverName) -> u32 {
        let attachments = self.seen.objects.attachments.items.iter();
        let here = attachments.filter(|one| one.node == self.seen.node && one.driver == *driver);
        u32::try_from(here.filter(|one| one.attached).count()).unwrap_or(u32::MAX)
    }
}

/// Why a driver was not found: only a list of sockets without a gap tells that there is none.
fn no_socket(seen: &Seen, driver: &DriverName) -> Gap {
    match seen.plugins.gaps.first() {
        Some(gap) if gap.why == Why::NotFound => Gap::new(Why::Unavailable, gap.what.clone()),
        Some(gap) => gap.clone(),
        None => Gap::new(
            Why::NotFound,
            format!("no socket of {driver} under {}", seen.kubelet.root),
        ),
    }
}

fn shorten(mut by: Vec<String>) -> Vec<String> {
    let more = by.len().saturating_sub(NAMED);
    if more > 0 {
        by.truncate(NAMED);
        by.push(format!("{more} more"));
    }
    by
}
