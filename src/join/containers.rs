//! What containers see of a volume, from the tables of their processes.

use foldhash::{HashMap, HashMapExt as _};

use crate::model::mount::Mount;
use crate::model::names::{HostPath, Uid};
use crate::model::objects::{ContainerPlace, PodVolume};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::seen::{ContainerSeen, Seen};
use crate::model::volume::{Inside, SubPath};

#[cfg(test)]
mod tests;

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
    let free = |mount: &&Mount| !taken.contains(&&mount.target) && !is_the_kubelets(&mount.target);
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

/// Whether a path is one of the kubelet's own, which containers see that have the host's directories, and
/// processes that came from the host: what is mounted there is there for every volume, whoever has lost it.
fn is_the_kubelets(path: &HostPath) -> bool {
    const OWN: [&str; 3] = ["kubernetes.io", "kubernetes.io~csi", "volume-subpaths"];
    let mut parts = path.0.components();
    parts.any(|part| OWN.iter().any(|own| part.as_os_str() == *own))
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
        container: container.id.as_str().into(),
        process: container.process,
        path: mount.target.clone(),
        mount: Some(mount.clone()),
    })
}
