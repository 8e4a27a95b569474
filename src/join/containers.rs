//! What containers see of a volume, from the tables of their processes.

use std::collections::HashMap;

use crate::model::mount::Mount;
use crate::model::names::{HostPath, Uid};
use crate::model::objects::ContainerPlace;
use crate::model::observed::{Gap, Observed, Why};
use crate::model::seen::{ContainerSeen, Seen};
use crate::model::volume::Inside;

/// Containers by the UID of their pod.
pub(super) struct Index<'a> {
    pods: HashMap<&'a Uid, Vec<&'a ContainerSeen>>,
    /// Why no pod's processes could be looked for.
    gap: Option<Gap>,
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
    pub(super) fn inside(
        &self,
        pod: &Uid,
        places: &[ContainerPlace],
        host: Option<&Mount>,
    ) -> Observed<Vec<Inside>> {
        if let Some(gap) = &self.gap {
            return Observed::Unknown(gap.clone());
        }
        let Some(containers) = self.pods.get(pod) else {
            return Observed::Known(Vec::new());
        };
        let mut inside = Vec::new();
        for place in places {
            let Some(container) = container_of(place, places, containers) else {
                continue;
            };
            let mount = mounted(container, &place.path);
            if let (None, Some(gap)) = (&mount, container.table.gaps.first()) {
                return Observed::Unknown(gap.clone());
            }
            inside.push(Inside {
                container: place.container.clone(),
                process: container.process,
                path: place.path.clone(),
                mount,
            });
        }
        if places.is_empty()
            && let Some(host) = host
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

/// The topmost mount at a path of a container.
fn mounted(container: &ContainerSeen, path: &HostPath) -> Option<Mount> {
    let mounts = container.table.items.iter().rev();
    let mut at = mounts.filter(|mount| mount.target == *path);
    at.next().cloned()
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
