//! What lies in the kubelet's directory and belongs to no volume in use; and what is not covered.

use std::cell::{LazyCell, OnceCell};

use foldhash::{HashMap, HashSet};

use crate::join::{add_new, held, missing};
use crate::model::finding::Object;
use crate::model::kubelet::Kubelet;
use crate::model::leftover::{Leftover, LeftoverKind, Uncovered};
use crate::model::mount::Mount;
use crate::model::names::{DriverName, HostPath, Uid, VolumeHandle};
use crate::model::objects::PersistentVolume;
use crate::model::observed::{Gap, Listing, Observed, Why};
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
            .chain(&objects.stale.pods)
            .cloned(),
    );
    let table = Table::new(seen);
    let known = Known::new(seen, volumes);
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
        let of = known.named(&dir.spec_name, &dir.data);
        let (kind, pod) = (LeftoverKind::PodVolume, Some(&dir.pod));
        table.leftover(kind, &dir.target, pod, &dir.data, of)
    });
    let blocks = kubelet.block_volumes.items.iter();
    let blocks = blocks.filter(|file| !uids.contains(&file.pod)).map(|file| {
        let (target, pod) = (&file.target, Some(&file.pod));
        let of = known.named(&file.spec_name, &file.data);
        table.leftover(LeftoverKind::BlockPublish, target, pod, &file.data, of)
    });
    // What the kubelet has noted for a pod that is there is in use, though no object may name it: an inline
    // volume of an in-tree plugin that a CSI driver serves, a claim that was removed by force.
    let noted = kubelet
        .pod_volumes
        .items
        .iter()
        .map(|dir| (&dir.pod, &dir.data));
    let blocks_noted = kubelet
        .block_volumes
        .items
        .iter()
        .map(|file| (&file.pod, &file.data));
    let noted = noted
        .chain(blocks_noted)
        .filter(|(pod, _)| uids.contains(pod));
    let noted = noted.filter_map(|(_, data)| data.known().map(handle_of));
    // Of a volume that is known only its own stage is in use, and not one that an older kubelet left. Asked for
    // only where there is a stage that no volume uses.
    let noted = LazyCell::new(|| {
        let mut noted: HashSet<(&DriverName, &VolumeHandle)> = noted.collect();
        for volume in volumes {
            if let Some(handle) = volume.handle.known() {
                noted.remove(&(&volume.driver, handle));
            }
        }
        noted
    });
    let is_noted = |data: &Observed<VolumeData>| {
        data.known()
            .is_some_and(|data| noted.contains(&handle_of(data)))
    };
    let stages = kubelet.stages.items.iter();
    let stages = stages
        .filter(|stage| !used.contains(&stage.staging) && !is_noted(&stage.data))
        .map(|stage| {
            let of = known.handled(&stage.data);
            let kind = LeftoverKind::Stage;
            let left = table.leftover(kind, &stage.staging, None, &stage.data, of);
            Leftover {
                driver: left.driver.or_else(|| stage.driver.clone()),
                ..left
            }
        });
    listing.items = pods.chain(blocks).chain(stages).collect();
    listing
}

/// What a volume is to its driver.
fn handle_of(data: &VolumeData) -> (&DriverName, &VolumeHandle) {
    (&data.driver, &data.handle)
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

/// The kubelet of the node.
pub(super) fn kubelet(seen: &Seen) -> Kubelet {
    let process = &seen.kubelet_process;
    let mirrors = seen.objects.pods.items.iter();
    let mirrors = mirrors.filter(|pod| pod.node.as_ref() == Some(&seen.node));
    let mirrors = mirrors.filter(|pod| pod.static_uid.is_some()).count();
    let mirrors = u32::try_from(mirrors).unwrap_or(u32::MAX);
    let no_kubelet = || Gap::new(Why::NotFound, "look for static pods: no kubelet runs");
    Kubelet {
        running: process.as_ref().map(Option::is_some),
        unmirrored: match process {
            Observed::Known(Some(process)) => process
                .static_pods
                .clone()
                .map(|given| given.saturating_sub(mirrors)),
            Observed::Known(None) => Observed::Unknown(no_kubelet()),
            Observed::Unknown(gap) => Observed::Unknown(gap.clone()),
        },
    }
}

/// The objects that left-overs can be of: those of volumes in use, and the other PersistentVolumes.
struct Known<'a> {
    seen: &'a Seen,
    volumes: &'a [Volume],
}

impl<'a> Known<'a> {
    fn new(seen: &'a Seen, volumes: &'a [Volume]) -> Self {
        Self { seen, volumes }
    }

    /// Of a directory with the name of a PersistentVolume; an inline volume's was named by its pod. Where
    /// the kubelet's notes do not tell the two apart, it is taken for the one that outlives its pod.
    fn named(&self, spec_name: &str, data: &Observed<VolumeData>) -> Option<Object> {
        if data.known().is_some_and(|data| data.ephemeral) {
            return None;
        }
        let used = self.volumes.iter().find(|one| one.spec_name == spec_name);
        let persistent = || {
            let all = self.seen.objects.volumes.items.iter();
            let found = all.clone().find(|one| one.name.as_str() == spec_name);
            found.map(|one| of_persistent(one))
        };
        let unseen = || Object::PersistentVolume(spec_name.into(), String::new().into());
        let used = used.map(Volume::object);
        Some(used.or_else(persistent).unwrap_or_else(unseen))
    }

    /// Of a stage, which knows the driver's name for the volume alone.
    fn handled(&self, data: &Observed<VolumeData>) -> Option<Object> {
        let data = data.known()?;
        let of_driver = |volume: &&Volume| {
            volume.driver == data.driver && volume.handle.known() == Some(&data.handle)
        };
        let used = self.volumes.iter().find(of_driver).map(Volume::object);
        used.or_else(|| {
            let mut all = self.seen.objects.volumes.items.iter();
            let found = all.find(|one| {
                let csi = one.csi.as_ref();
                csi.is_some_and(|csi| csi.driver == data.driver && csi.handle == data.handle)
            });
            found.map(|one| of_persistent(one))
        })
    }
}

/// The claim that a PersistentVolume is for, else itself.
fn of_persistent(persistent: &PersistentVolume) -> Object {
    match &persistent.claim {
        Some(claim) => Object::Claim(claim.clone()),
        None => Object::PersistentVolume(persistent.name.clone(), persistent.uid.clone()),
    }
}

struct Table<'a> {
    seen: &'a Seen,
    /// Made when it is first needed: most nodes have nothing left over.
    mounts: OnceCell<HashMap<&'a HostPath, &'a Mount>>,
}

impl<'a> Table<'a> {
    fn new(seen: &'a Seen) -> Self {
        Self {
            seen,
            mounts: OnceCell::new(),
        }
    }

    fn mounted(&self, path: &HostPath) -> Observed<Option<Mount>> {
        let by_target = || {
            let mounts = self.seen.table.items.iter();
            mounts.map(|mount| (&mount.target, mount)).collect()
        };
        let mounts = self.mounts.get_or_init(by_target);
        match (mounts.get(path), self.seen.table.gaps.first()) {
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
        object: Option<Object>,
    ) -> Leftover {
        let mount = self.mounted(path);
        let held_by = held::by_host(self.seen, kind, path, pod, &mount, data);
        let data = data.known();
        Leftover {
            kind,
            path: path.clone(),
            pod: pod.cloned(),
            driver: data.map(|data| data.driver.clone()),
            handle: data.map(|data| data.handle.clone()),
            object,
            held_by,
            mount,
        }
    }
}
