//! What stays mounted elsewhere when the host unmounts: the rules of `mount_namespaces(7)` on mount tables.
//!
//! Where a mount lies on one that shares with others, its copies on those go with it. So containers that
//! have the kubelet's directory from the host, as those of drivers and of the agent, hold nothing; one whose
//! copy lies on a mount of its own does.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use crate::model::mount::{DeviceNumber, Mount};
use crate::model::names::{HostPath, Uid};
use crate::model::seen::Holder;

use super::mountinfo::Peers;

/// Collects, table by table, what has the filesystems of some mounts of the host.
pub(super) struct Kept<'a> {
    wanted: &'a [Mount],
    devices: HashSet<DeviceNumber>,
    /// The host's mounts, by the numbers that the kernel gives to each mount of any namespace.
    host: HashSet<u32>,
    /// On what the wanted mounts lie, by their target path.
    places: HashMap<&'a HostPath, Place>,
    others: Vec<(Holder, Option<Place>)>,
    /// Groups that take from a group, and give it on.
    handed_on: BTreeSet<(u32, u32)>,
}

/// Where on another mount something is mounted.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    on: DeviceNumber,
    /// The path on that filesystem.
    path: PathBuf,
    peers: (Option<u32>, Option<u32>),
}

impl<'a> Kept<'a> {
    pub(super) fn new(wanted: &'a [Mount]) -> Self {
        Self {
            wanted,
            devices: wanted.iter().map(|mount| mount.device).collect(),
            host: HashSet::new(),
            places: HashMap::new(),
            others: Vec::new(),
            handed_on: BTreeSet::new(),
        }
    }

    /// Takes one table, the host's first. `who` is asked when it has something.
    pub(super) fn take(
        &mut self,
        table: &[Mount],
        peers: &[Peers],
        is_host: bool,
        who: impl FnOnce() -> (u32, String, Option<Uid>),
    ) {
        if self.wanted.is_empty() {
            return;
        }
        let chains = peers.iter().filter_map(|one| one.master.zip(one.shared));
        self.handed_on.extend(chains);
        let at = |id: u32| table.iter().position(|mount| mount.id == id);
        let place = |mount: &Mount| {
            let parent = at(mount.parent).filter(|at| table[*at].id != mount.id)?;
            let (on, peers) = (&table[parent], &peers[parent]);
            let below = mount.target.0.strip_prefix(&on.target.0).ok()?;
            Some(Place {
                on: on.device,
                path: on.root.0.join(below),
                peers: (peers.shared, peers.master),
            })
        };
        if is_host {
            self.host = table.iter().map(|mount| mount.id).collect();
            for wanted in self.wanted {
                let mut mounts = table.iter().rev();
                let found = mounts.find(|mount| mount.target == wanted.target);
                if let Some(place) = found.and_then(place) {
                    self.places.insert(&wanted.target, place);
                }
            }
            return;
        }
        // A process of the host's namespace with another root directory sees the host's own mounts.
        let mine =
            |mount: &&Mount| self.devices.contains(&mount.device) && !self.host.contains(&mount.id);
        let found: Vec<&Mount> = table.iter().filter(mine).collect();
        let Some((process, name, pod)) = (!found.is_empty()).then(who) else {
            return;
        };
        for mount in found {
            let carries = table.iter().any(|other| other.parent == mount.id);
            let holder = Holder {
                process,
                name: name.clone(),
                pod: pod.clone(),
                mount: mount.clone(),
            };
            // What something else is mounted on does not go.
            let place = place(mount).filter(|_| !carries);
            self.others.push((holder, place));
        }
    }

    /// Who has the filesystem of each wanted mount and keeps it, by the mount's target path.
    pub(super) fn holders(self) -> impl Iterator<Item = (HostPath, Vec<Holder>)> {
        let others = self.others;
        let handed_on = self.handed_on;
        let places = self.places;
        self.wanted.iter().map(move |wanted| {
            let place = places.get(&wanted.target);
            let reached = place
                .and_then(|place| place.peers.0)
                .map(|group| reached(group, &handed_on));
            let goes = |other: &Place| {
                let (Some(place), Some(reached)) = (place, &reached) else {
                    return false;
                };
                let (shared, master) = other.peers;
                let takes = [shared, master].into_iter().flatten();
                (other.on, &other.path) == (place.on, &place.path)
                    && takes.into_iter().any(|group| reached.contains(&group))
            };
            let mine = others
                .iter()
                .filter(|(holder, _)| holder.mount.device == wanted.device);
            let stay = mine.filter(|(_, place)| !place.as_ref().is_some_and(goes));
            (
                wanted.target.clone(),
                stay.map(|(holder, _)| holder.clone()).collect(),
            )
        })
    }
}

/// The groups that what happens in a group reaches.
fn reached(group: u32, handed_on: &BTreeSet<(u32, u32)>) -> BTreeSet<u32> {
    let mut reached = BTreeSet::from([group]);
    let mut rest = vec![group];
    while let Some(from) = rest.pop() {
        let next = handed_on.range((from, 0)..=(from, u32::MAX));
        rest.extend(next.map(|(_, to)| *to).filter(|to| reached.insert(*to)));
    }
    reached
}
