//! What containers see of a volume, from the tables of their processes.

use std::collections::HashMap;

use crate::model::mount::Mount;
use crate::model::names::{HostPath, Uid};
use crate::model::objects::{ContainerPlace, PodVolume};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::seen::{ContainerSeen, Seen};
use crate::model::volume::{Inside, SubPath};

/// Containers by the UID of their pod.
pub(super) struct Index<'a> {
    pods: HashMap<&'a Uid, Vec<&'a ContainerSeen>>,
    /// Why no pod's processes could be looked for.
    gap: Option<Gap>,
}

/// A volume that is looked for in the containers of a pod.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Where the pod wants it.
    pub(super) places: &'a [ContainerPlace],
    /// All volumes of the pod: what lies at another one's place is that one's.
    pub(super) volumes: &'a [PodVolume],
    /// What the host has mounted of it.
    pub(super) host: Option<&'a Mount>,
    /// Its directories that the host binds for containers.
    pub(super) sub_paths: &'a [SubPath],
}

impl<'a> Index<'a> {
    pub(super) fn new(seen: &'a Seen) -> Self {
        let mut pods: HashMap<&Uid, Vec<&ContainerSeen>> = HashMap::new();
        let gap = match &seen.containers {
            Observed::Known(containers) if containers.is_empty() => Some(Gap::new(
                Why::Unsupported,
                "no process of any pod with a volume can be seen: the agent may not share the host's PID namespace",
            )),
            Observed::Known(containers) => {
                for container in containers {
                    pods.entry(&container.pod).or_default().push(container);
                }
                None
            }
            Observed::Unknown(gap) => Some(gap.clone()),
        };
        Self { pods, gap }
    }

    /// Whether a process of the pod lives.
    pub(super) fn live(&self, pod: &Uid) -> Observed<bool> {
        match &self.gap {
            Some(gap) => Observed::Unknown(gap.clone()),
            None => Observed::Known(self.pods.contains_key(pod)),
        }
    }

    /// What containers have at the places where the pod wants the volume.
    ///
    /// Where no pod tells the places, a mount of the same filesystem in a container's table is it.
    pub(super) fn inside(&self, pod: &Uid, wanted: Wanted<'_>) -> Observed<Vec<Inside>> {
        if let Some(gap) = &self.gap {
            return Observed::Unknown(gap.clone());
        }
        let Some(containers) = self.pods.get(pod) else {
            return Observed::Known(Vec::new());
        };
        let mut inside: Vec<Inside> = Vec::new();
        for place in wanted.places {
            let Some(container) = container_of(place, wanted.places, containers) else {
                continue;
            };
            let found = find(container, place, &wanted, &inside);
            let mut tables = tables(container);
            if let (None, Some(gap)) = (&found, tables.find_map(|(_, table)| table.gaps.first())) {
                return Observed::Unknown(gap.clone());
            }
            let (process, mount) = found.unzip();
            inside.push(Inside {
                container: place.container.clone(),
                process: process.unwrap_or(container.process),
                path: mount.map_or(&place.path, |mount| &mount.target).clone(),
                mount: mount.cloned(),
            });
        }
        if wanted.places.is_empty()
            && let Some(host) = wanted.host
        {
            for container in containers {
                inside.extend(same_filesystem(container, host));
            }
        }
        Observed::Known(inside)
    }
}

/// The container of a place: by the runtime's name for it; where its cgroup does not tell that, the
/// pod's only one.
fn container_of<'a>(
    place: &ContainerPlace,
    places: &[ContainerPlace],
    containers: &[&'a ContainerSeen],
) -> Option<&'a ContainerSeen> {
    let named = containers
        .iter()
        .find(|container| place.id.as_ref().is_some_and(|id| *id == container.id));
    let alone = places
        .iter()
        .all(|other| other.container == place.container);
    match (named, containers) {
        (Some(named), _) => Some(named),
        (None, [only]) if alone && only.id.is_empty() => Some(only),
        _ => None,
    }
}

/// The tables of a container's processes, that of its first process first.
fn tables(container: &ContainerSeen) -> impl Iterator<Item = (u32, &Listing<Mount>)> {
    let others = container.others.iter();
    let others = others.map(|other| (other.process, &other.table));
    std::iter::once((container.process, &container.table)).chain(others)
}

/// The mount of a volume for one of its places, and the process that has it.
///
/// What the runtime mounted is at the place itself, whatever it is: an older mount of the volume is told by
/// that. Where the path leads through a link of the image (`/var/run` → `/run`), it is at another path, and
/// known by its filesystem. And the volume is missing only if no namespace of the container has it: which of
/// its processes are the application, and which a supervisor or a sandbox that has put it away for itself
/// alone, cannot be seen from here. Another namespace has to have the volume itself, not just anything there.
fn find<'a>(
    container: &'a ContainerSeen,
    place: &ContainerPlace,
    wanted: &Wanted<'_>,
    before: &[Inside],
) -> Option<(u32, &'a Mount)> {
    let first = &container.table.items;
    if let Some(mount) = at(first, &place.path) {
        return Some((container.process, mount));
    }
    let volumes = wanted.volumes.iter();
    let others = volumes.flat_map(|volume| &volume.places);
    let others = others.filter(|other| other.container == place.container);
    let taken: Vec<&HostPath> = others
        .map(|other| &other.path)
        .chain(before.iter().map(|inside| &inside.path))
        .collect();
    let free = |mount: &&Mount| !taken.contains(&&mount.target);
    let moved = |mount: &&Mount| free(mount) && is_of(mount, place, wanted);
    tables(container)
        .find_map(|(process, table)| {
            let here = at(&table.items, &place.path);
            let here = here.filter(|here| wanted.host.is_none() || is_of(here, place, wanted));
            let found = here.or_else(|| table.items.iter().rev().find(moved));
            found.map(|mount| (process, mount))
        })
        .or_else(|| {
            let older = |mount: &&Mount| free(mount) && is_older(mount, place, wanted);
            let found = first.iter().rev().find(older);
            found.map(|mount| (container.process, mount))
        })
}

/// The mount at a path that no other one at this path lies on; of several the last.
fn at<'a>(mounts: &'a [Mount], path: &HostPath) -> Option<&'a Mount> {
    let here = || mounts.iter().filter(|mount| mount.target == *path);
    let covered =
        |mount: &Mount| here().any(|other| other.parent == mount.id && other.id != mount.id);
    here()
        .rfind(|mount| !covered(mount))
        .or_else(|| here().next_back())
}

/// Whether a mount is what the runtime binds for a place: the same directory of the same filesystem.
fn is_of(mount: &Mount, place: &ContainerPlace, wanted: &Wanted<'_>) -> bool {
    let same = |other: &Mount| mount.device == other.device && mount.root == other.root;
    let binds = wanted.sub_paths.iter();
    let mut binds = binds
        .filter(|bind| bind.container == place.container)
        .peekable();
    match wanted.host {
        _ if place.sub_path && binds.peek().is_some() => binds.any(|bind| same(&bind.mount)),
        Some(host) if place.sub_path => {
            mount.device == host.device && mount.root.0.starts_with(&host.root.0)
        }
        Some(host) => same(host),
        None => false,
    }
}

/// Whether a mount is one of the volume before it was mounted anew: of a filesystem that gets a new number each
/// time, by the same name, at a path that ends as the place does. A link is most often a directory's.
fn is_older(mount: &Mount, place: &ContainerPlace, wanted: &Wanted<'_>) -> bool {
    wanted.host.is_some_and(|host| {
        host.device.major == 0
            && mount.device.major == 0
            && mount.fs_type == host.fs_type
            && mount.source == host.source
            && mount.target.0.file_name() == place.path.0.file_name()
    })
}

fn same_filesystem(container: &ContainerSeen, host: &Mount) -> impl Iterator<Item = Inside> {
    let mounts = container.table.items.iter();
    let of_it = mounts
        .filter(|mount| mount.device == host.device && mount.root.0.starts_with(&host.root.0));
    of_it.map(|mount| Inside {
        container: container.id.clone(),
        process: container.process,
        path: mount.target.clone(),
        mount: Some(mount.clone()),
    })
}

#[cfg(test)]
mod tests {
    use crate::model::mount::DeviceNumber;
    use crate::model::objects::PodVolumeSource;
    use crate::model::sample;
    use crate::model::seen::NamespaceSeen;

    use super::*;

    /// A mount of a device's directory.
    fn mount(device: (u32, u32), root: &str, target: &str) -> Mount {
        let (major, minor) = device;
        Mount {
            device: DeviceNumber { major, minor },
            root: root.into(),
            ..sample::mount(target.into())
        }
    }

    fn place(path: &str) -> ContainerPlace {
        ContainerPlace {
            container: "app".to_owned(),
            id: Some("c0ffee".to_owned()),
            path: path.into(),
            sub_path: false,
        }
    }

    fn volume(places: &[ContainerPlace]) -> PodVolume {
        PodVolume {
            name: "data".to_owned(),
            source: PodVolumeSource::Claim("data".to_owned()),
            read_only: false,
            places: places.to_vec(),
            health: Vec::new(),
        }
    }

    fn container(first: Vec<Mount>, others: Vec<Vec<Mount>>) -> ContainerSeen {
        let others = others.into_iter().zip(5000..);
        let others = others.map(|(mounts, process)| NamespaceSeen {
            process,
            table: Listing::complete(mounts),
        });
        ContainerSeen {
            pod: "u".into(),
            id: "c0ffee".to_owned(),
            process: 4711,
            table: Listing::complete(first),
            others: others.collect(),
        }
    }

    const HOST: (u32, u32) = (8, 16);
    const OTHER: (u32, u32) = (8, 32);

    /// Process and path of what is found at each of a volume's places, beside other volumes' places.
    fn found(
        host: &Mount,
        places: &[ContainerPlace],
        beside: &[ContainerPlace],
        sub_paths: &[SubPath],
        seen: &ContainerSeen,
    ) -> Vec<Option<(u32, String)>> {
        let index = Index {
            pods: HashMap::from([(&seen.pod, vec![seen])]),
            gap: None,
        };
        let wanted = Wanted {
            places,
            volumes: &[volume(places), volume(beside)],
            host: Some(host),
            sub_paths,
        };
        let inside = index.inside(&seen.pod, wanted);
        let shown = |one: &Inside| {
            let mount = one.mount.as_ref()?;
            assert_eq!(mount.target, one.path);
            Some((one.process, one.path.to_string()))
        };
        inside.known().unwrap().iter().map(shown).collect()
    }

    fn in_first(path: &str) -> (u32, String) {
        (4711, path.to_owned())
    }

    #[test]
    fn a_path_through_a_link_of_the_image_is_found_where_it_leads() {
        let host = mount(HOST, "/", "/k/v");
        let linked = [place("/var/run/x")];
        let seen = |mounts| container(mounts, Vec::new());
        let there = vec![mount(OTHER, "/", "/other"), mount(HOST, "/", "/run/x")];
        assert_eq!(
            found(&host, &linked, &[], &[], &seen(there)),
            [Some(in_first("/run/x"))]
        );
        let elsewhere = vec![mount(OTHER, "/", "/run/x"), mount(HOST, "/sub", "/run/y")];
        assert_eq!(found(&host, &linked, &[], &[], &seen(elsewhere)), [None]);
    }

    #[test]
    fn what_lies_at_the_place_itself_is_told_whatever_it_is() {
        let host = mount(HOST, "/", "/k/v");
        let seen = vec![mount(OTHER, "/", "/data"), mount(HOST, "/", "/run/x")];
        let seen = container(seen, Vec::new());
        assert_eq!(
            found(&host, &[place("/data")], &[], &[], &seen),
            [Some(in_first("/data"))]
        );
    }

    #[test]
    fn one_of_two_volumes_of_a_filesystem_is_missed() {
        let host = mount(HOST, "/volumes/a", "/k/v");
        let other = || mount(HOST, "/volumes/b", "/var/lib/b");
        let seen = container(vec![other()], Vec::new());
        assert_eq!(
            found(&host, &[place("/a")], &[place("/var/lib/b")], &[], &seen),
            [None]
        );
        // A share has one root for all of its volumes.
        let host = mount(HOST, "/", "/k/v");
        let seen = container(vec![mount(HOST, "/", "/b")], Vec::new());
        assert_eq!(
            found(&host, &[place("/a")], &[place("/b")], &[], &seen),
            [None]
        );
    }

    #[test]
    fn one_of_two_places_of_a_volume_is_missed() {
        let host = mount(HOST, "/", "/k/v");
        let seen = || container(vec![mount(HOST, "/", "/run/a")], Vec::new());
        let places = [place("/run/a"), place("/b")];
        assert_eq!(
            found(&host, &places, &[], &[], &seen()),
            [Some(in_first("/run/a")), None]
        );
        let linked = [place("/var/run/a"), place("/var/run/b")];
        assert_eq!(
            found(&host, &linked, &[], &[], &seen()),
            [Some(in_first("/run/a")), None]
        );
    }

    #[test]
    fn a_directory_of_a_volume_is_known_by_its_root() {
        let host = mount(HOST, "/", "/k/v");
        let linked = [ContainerPlace {
            sub_path: true,
            ..place("/var/run/x")
        }];
        let bind = |root| SubPath {
            container: "app".to_owned(),
            mount: mount(HOST, root, "/k/sub"),
        };
        let seen = || container(vec![mount(HOST, "/thumbs", "/run/x")], Vec::new());
        let there = [Some(in_first("/run/x"))];
        assert_eq!(
            found(&host, &linked, &[], &[bind("/thumbs")], &seen()),
            there
        );
        assert_eq!(
            found(&host, &linked, &[], &[bind("/full")], &seen()),
            [None]
        );
        assert_eq!(found(&host, &linked, &[], &[], &seen()), there);
    }

    #[test]
    fn a_volume_that_another_namespace_of_the_container_has_is_there() {
        let host = mount(HOST, "/", "/k/v");
        let places = [place("/data")];
        let seen = container(Vec::new(), vec![vec![mount(HOST, "/", "/data")]]);
        let in_other = [Some((5000, "/data".to_owned()))];
        assert_eq!(found(&host, &places, &[], &[], &seen), in_other);
        let something_else = vec![mount(OTHER, "/", "/data")];
        let seen = container(Vec::new(), vec![Vec::new(), something_else]);
        assert_eq!(found(&host, &places, &[], &[], &seen), [None]);
    }

    #[test]
    fn an_older_mount_behind_a_link_is_found() {
        let host = mount((0, 91), "/", "/k/v");
        let older = |target| container(vec![mount((0, 57), "/", target)], Vec::new());
        let linked = [place("/var/run/x")];
        assert_eq!(
            found(&host, &linked, &[], &[], &older("/run/x")),
            [Some(in_first("/run/x"))]
        );
        assert_eq!(found(&host, &linked, &[], &[], &older("/run/y")), [None]);
    }

    #[test]
    fn of_mounts_one_over_another_the_topmost_counts() {
        let numbered = |id, parent, device| Mount {
            id,
            parent,
            ..mount(device, "/", "/data")
        };
        let mounts = [numbered(9, 8, OTHER), numbered(8, 1, HOST)];
        let top = at(&mounts, &"/data".into()).map(|mount| mount.id);
        assert_eq!(top, Some(9));
    }
}
