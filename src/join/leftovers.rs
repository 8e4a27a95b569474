//! What lies in the kubelet's directory and belongs to no volume in use; and what is not covered.

use std::collections::{HashMap, HashSet};

use crate::join::{add_new, missing};
use crate::model::leftover::{Leftover, LeftoverKind, Uncovered};
use crate::model::mount::Mount;
use crate::model::names::{HostPath, Uid};
use crate::model::observed::{Listing, Observed};
use crate::model::seen::{Seen, VolumeData};
use crate::model::volume::Volume;

/// What was left. Without a source of objects nothing can be called left.
pub(super) fn join(seen: &Seen, volumes: &[Volume]) -> Listing<Leftover> {
    let mut listing = Listing::default();
    let objects = &seen.objects;
    if objects.pods.items.is_empty() && !objects.pods.is_complete() {
        listing.gaps.clone_from(&objects.pods.gaps);
        return listing;
    }
    let kubelet = &seen.kubelet;
    add_new(
        &mut listing.gaps,
        missing(&objects.pods)
            .chain(missing(&objects.claims))
            .chain(missing(&objects.volumes))
            .chain(&kubelet.pod_volumes.gaps)
            .chain(&kubelet.block_volumes.gaps)
            .chain(&kubelet.stages.gaps)
            .cloned(),
    );
    let table = Table::new(seen);
    let uids = objects.pods.items.iter().flat_map(|pod| {
        let directory = pod.static_uid.as_ref();
        [Some(&pod.pod.uid), directory].into_iter().flatten()
    });
    let uids: HashSet<&Uid> = uids.collect();
    let used: HashSet<&HostPath> = volumes
        .iter()
        .filter(|volume| !volume.published.is_empty())
        .filter_map(|volume| volume.staging.as_ref())
        .collect();
    let pods = kubelet.pod_volumes.items.iter();
    let pods = pods.filter(|dir| !uids.contains(&dir.pod)).map(|dir| {
        table.leftover(
            LeftoverKind::PodVolume,
            &dir.target,
            Some(&dir.pod),
            &dir.data,
        )
    });
    let blocks = kubelet.block_volumes.items.iter();
    let blocks = blocks.filter(|file| !uids.contains(&file.pod)).map(|file| {
        let (target, pod) = (&file.target, Some(&file.pod));
        table.leftover(LeftoverKind::BlockPublish, target, pod, &file.data)
    });
    let stages = kubelet.stages.items.iter();
    let stages = stages
        .filter(|stage| !used.contains(&stage.staging))
        .map(|stage| {
            let left = table.leftover(LeftoverKind::Stage, &stage.staging, None, &stage.data);
            Leftover {
                driver: left.driver.or_else(|| stage.driver.clone()),
                ..left
            }
        });
    listing.items = pods.chain(blocks).chain(stages).collect();
    listing
}

/// Volumes of plugins that are built into the kubelet.
pub(super) fn uncovered(seen: &Seen) -> Listing<Uncovered> {
    let in_tree = &seen.kubelet.in_tree;
    let table = Table::new(seen);
    let items = in_tree.items.iter().map(|dir| Uncovered {
        pod: dir.pod.clone(),
        plugin: dir.plugin.clone(),
        name: dir.name.clone(),
        path: dir.path.clone(),
        mount: table.mounted(&dir.path),
    });
    Listing {
        items: items.collect(),
        gaps: in_tree.gaps.clone(),
    }
}

struct Table<'a> {
    seen: &'a Seen,
    mounts: HashMap<&'a HostPath, &'a Mount>,
}

impl<'a> Table<'a> {
    fn new(seen: &'a Seen) -> Self {
        let mounts = seen.table.items.iter();
        Self {
            seen,
            mounts: mounts.map(|mount| (&mount.target, mount)).collect(),
        }
    }

    fn mounted(&self, path: &HostPath) -> Observed<Option<Mount>> {
        match (self.mounts.get(path), self.seen.table.gaps.first()) {
            (Some(mount), _) => Observed::Known(Some((*mount).clone())),
            (None, None) => Observed::Known(None),
            (None, Some(gap)) => Observed::Unknown(gap.clone()),
        }
    }

    fn leftover(
        &self,
        kind: LeftoverKind,
        path: &HostPath,
        pod: Option<&Uid>,
        data: &Observed<VolumeData>,
    ) -> Leftover {
        let data = data.known();
        Leftover {
            kind,
            path: path.clone(),
            pod: pod.cloned(),
            driver: data.map(|data| data.driver.clone()),
            handle: data.map(|data| data.handle.clone()),
            mount: self.mounted(path),
        }
    }
}
