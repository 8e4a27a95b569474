//! Which volumes are on the node: those that its pods name, and those that lie in the kubelet's directory.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::join::containers::Wanted;
use crate::join::declared::{asked_read_only, declared_sizes, no_sizes, untouched};
use crate::join::index::Index;
use crate::join::{add_new, expansion, missing, paths};
use crate::model::names::{
    DriverName, HostPath, PersistentVolumeName, PodRef, Text, Uid, VolumeHandle,
};
use crate::model::objects::{Claim, Pod, PodVolume, PodVolumeSource, VolumeMode};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::seen::Seen;
use crate::model::state::KernelState;
use crate::model::volume::{Published, Volume};

/// The volumes of the node. Whatever hides one of them is a gap of the list.
pub(super) fn join(seen: &Seen) -> Listing<Volume> {
    let mut joiner = Joiner::new(seen);
    let here = seen
        .objects
        .pods
        .items
        .iter()
        .filter(|pod| pod.node.as_ref() == Some(&seen.node));
    for pod in here {
        for volume in &pod.volumes {
            joiner.add_from_pod(pod, volume);
        }
    }
    joiner.add_left_on_disk();
    let mut gaps = joiner.gaps;
    let objects = &seen.objects;
    for volume in joiner.volumes.values_mut() {
        expansion::put_events(objects, volume);
    }
    add_new(
        &mut gaps,
        missing(&objects.pods)
            .chain(missing(&objects.claims))
            .chain(missing(&objects.volumes))
            .cloned(),
    );
    add_new(&mut gaps, seen.kubelet.pod_volumes.gaps.iter().cloned());
    Listing {
        items: joiner.volumes.into_values().map(|one| *one).collect(),
        gaps,
    }
}

/// One entry a volume: by its PersistentVolume, or by its pod where it lives and dies with it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Persistent(PersistentVolumeName),
    Inline(Uid, Text),
}

struct Joiner<'a> {
    seen: &'a Seen,
    index: Index<'a>,
    /// Boxed: a tree moves what it holds.
    volumes: BTreeMap<Identity, Box<Volume>>,
    gaps: Vec<Gap>,
}

impl<'a> Joiner<'a> {
    fn new(seen: &'a Seen) -> Self {
        Self {
            seen,
            index: Index::new(seen),
            volumes: BTreeMap::new(),
            gaps: Vec::new(),
        }
    }

    fn add_from_pod(&mut self, pod: &Pod, volume: &PodVolume) {
        match &volume.source {
            PodVolumeSource::InlineCsi(driver) => {
                // The kubelet names it by the UID that it gave a static pod itself.
                let of = PodRef {
                    uid: pod.static_uid.as_ref().unwrap_or(&pod.pod.uid).clone(),
                    ..pod.pod.clone()
                };
                let handle = paths::inline_handle(&of, &volume.name);
                let identity = Identity::Inline(pod.pod.uid.clone(), volume.name.clone());
                let entry = self.entry(
                    identity,
                    &volume.name,
                    driver,
                    &handle,
                    VolumeMode::Filesystem,
                );
                entry.persistent = Observed::Known(None);
                let asked = Observed::Known(volume.read_only.then(|| "the pod".to_owned()));
                self.publish(
                    pod,
                    volume,
                    &volume.name,
                    &Identity::Inline(pod.pod.uid.clone(), volume.name.clone()),
                    asked,
                );
            }
            PodVolumeSource::Claim(name) => self.add_claimed(pod, volume, name),
        }
    }

    fn add_claimed(&mut self, pod: &Pod, volume: &PodVolume, claim: &str) {
        let found = self
            .index
            .claims
            .get(&(pod.pod.namespace.as_str(), claim))
            .copied();
        let Some(claim) = found else {
            // A claim that does not exist, or is hidden by the gap that the list carries already.
            return;
        };
        // Not bound yet: there is no volume to look at on a node.
        let Some(name) = &claim.volume else { return };
        let Some(persistent) = self.index.persistent.get(name).copied() else {
            self.add_unseen(pod, volume, claim, name);
            return;
        };
        // Of an in-tree volume that a CSI driver serves the kubelet's own note has driver and handle.
        let uid = pod.static_uid.as_ref().unwrap_or(&pod.pod.uid);
        let migrated = || {
            let data = self.index.data(uid, name.as_str())?;
            Some((data.driver.clone(), data.handle.clone()))
        };
        let csi = persistent.csi.as_ref();
        let csi = csi.map(|csi| (csi.driver.clone(), csi.handle.clone()));
        // Other in-tree volumes are not covered.
        let Some((driver, handle)) = csi.or_else(migrated) else {
            return;
        };
        let identity = Identity::Persistent(name.clone());
        let attachment = self.index.attachment(&driver, name);
        let class = expansion::class(&self.seen.objects, claim);
        let spec_name = Text(name.0.clone());
        let entry = self.entry(identity, &spec_name, &driver, &handle, persistent.mode);
        entry.claim = Some(claim.clone());
        entry.persistent = Observed::Known(Some(persistent.clone()));
        entry.attachment = attachment;
        entry.class = class;
        entry.sizes = declared_sizes(claim, Some(persistent));
        let asked = asked_read_only(volume, Observed::Known(persistent));
        self.publish(
            pod,
            volume,
            name.as_str(),
            &Identity::Persistent(name.clone()),
            asked,
        );
    }

    /// A volume whose PersistentVolume is not among the objects: what lies on the node still tells of it.
    fn add_unseen(
        &mut self,
        pod: &Pod,
        volume: &PodVolume,
        claim: &Arc<Claim>,
        name: &PersistentVolumeName,
    ) {
        let gap = missing(&self.seen.objects.volumes)
            .next()
            .cloned()
            .unwrap_or_else(|| {
                Gap::new(
                    Why::NotFound,
                    format!(
                        "persistentvolume {name} of claim {} is not there",
                        claim.claim
                    ),
                )
            });
        let uid = pod.static_uid.as_ref().unwrap_or(&pod.pod.uid);
        let Some(data) = self.index.data(uid, name.as_str()) else {
            add_new(&mut self.gaps, [gap]);
            return;
        };
        let identity = Identity::Persistent(name.clone());
        let spec_name = Text(name.0.clone());
        let entry = self.entry(
            identity,
            &spec_name,
            &data.driver,
            &data.handle,
            VolumeMode::Filesystem,
        );
        entry.claim = Some(claim.clone());
        entry.persistent = Observed::Unknown(gap.clone());
        entry.sizes = declared_sizes(claim, None);
        let asked = asked_read_only(volume, Observed::Unknown(gap));
        self.publish(
            pod,
            volume,
            name.as_str(),
            &Identity::Persistent(name.clone()),
            asked,
        );
    }

    /// Volumes in the kubelet's directory of pods that the objects do not have.
    ///
    /// Without a source of objects they are all there is. With one, the pod is hidden by a gap, or
    /// gone and its directory left behind.
    fn add_left_on_disk(&mut self) {
        let pods = &self.seen.objects.pods;
        let Some(unasked) = pods.gaps.iter().find(|gap| gap.why == Why::NotAsked) else {
            return;
        };
        let seen = self.seen;
        for dir in &seen.kubelet.pod_volumes.items {
            let data = match &dir.data {
                Observed::Known(data) => data,
                Observed::Unknown(gap) => {
                    add_new(&mut self.gaps, [gap.clone()]);
                    continue;
                }
            };
            let identity = if data.ephemeral {
                Identity::Inline(dir.pod.clone(), dir.spec_name.clone())
            } else {
                Identity::Persistent(PersistentVolumeName(dir.spec_name.0.clone()))
            };
            let published = self.published_on_disk(&dir.pod, &dir.target, unasked);
            let mode = VolumeMode::Filesystem;
            let entry = self.entry(identity, &dir.spec_name, &data.driver, &data.handle, mode);
            entry.persistent = if data.ephemeral {
                Observed::Known(None)
            } else {
                Observed::Unknown(unasked.clone())
            };
            entry.published.push(published);
        }
        for file in &seen.kubelet.block_volumes.items {
            let data = match &file.data {
                Observed::Known(data) => data,
                Observed::Unknown(gap) => {
                    add_new(&mut self.gaps, [gap.clone()]);
                    continue;
                }
            };
            let mut published = self.published_on_disk(&file.pod, &file.target, unasked);
            published.device_node = file.device_node;
            let identity = Identity::Persistent(PersistentVolumeName(file.spec_name.0.clone()));
            let mode = VolumeMode::Block;
            let entry = self.entry(identity, &file.spec_name, &data.driver, &data.handle, mode);
            entry.persistent = Observed::Unknown(unasked.clone());
            entry.published.push(published);
        }
    }

    /// A volume of a pod of which only the kubelet's directory tells.
    fn published_on_disk(&self, pod: &Uid, target: &HostPath, unasked: &Gap) -> Published {
        let mount = self.index.mounted(target);
        Published {
            pod: PodRef {
                uid: pod.clone(),
                ..PodRef::default()
            },
            state: Observed::Unknown(unasked.clone()),
            name: Text::default(),
            started: None,
            ended: None,
            stacked: self.index.stacked(target),
            events: Listing::default(),
            health: Vec::new(),
            live: self.index.containers.live(pod),
            inside: self.index.containers.inside(
                pod,
                Wanted {
                    places: &[],
                    volumes: &[],
                    host: mount.known().and_then(Option::as_ref),
                    sub_paths: &[],
                },
            ),
            target: target.clone(),
            mount,
            usage: untouched(),
            elsewhere: untouched(),
            asked_read_only: Observed::Unknown(unasked.clone()),
            sub_paths: Vec::new(),
            device_node: false,
        }
    }

    /// The entry of a volume, made if it is new.
    fn entry(
        &mut self,
        identity: Identity,
        spec_name: &Text,
        driver: &DriverName,
        handle: &VolumeHandle,
        mode: VolumeMode,
    ) -> &mut Volume {
        let root = &self.seen.kubelet.root;
        let path = paths::staging(root, mode, driver, handle, spec_name);
        let (staging, staged) = self.index.staged(path, spec_name);
        let new = || Volume {
            spec_name: spec_name.clone(),
            driver: driver.clone(),
            handle: Observed::Known(handle.clone()),
            claim: None,
            persistent: Observed::Known(None),
            attachment: Observed::Known(None),
            class: Observed::Known(None),
            events: Listing::default(),
            resizer_seen: None,
            mode,
            staging: Some(staging),
            staged,
            // Most volumes are in one pod.
            published: Vec::with_capacity(1),
            stats: untouched(),
            health: untouched(),
            condition_promised: false,
            sizes: no_sizes(),
            state: KernelState {
                device: untouched(),
                errors: untouched(),
                waiting: untouched(),
            },
        };
        let entry = self.volumes.entry(identity);
        entry.or_insert_with(|| Box::new(new()))
    }

    fn publish(
        &mut self,
        pod: &Pod,
        volume: &PodVolume,
        spec_name: &str,
        identity: &Identity,
        asked_read_only: Observed<Option<String>>,
    ) {
        let Some(entry) = self.volumes.get(identity) else {
            return;
        };
        let mode = entry.mode;
        let uid = pod.static_uid.as_ref().unwrap_or(&pod.pod.uid);
        let target = paths::target(&self.seen.kubelet.root, mode, uid, spec_name);
        let mount = self.index.mounted(&target);
        // The kubelet names their directory by the volume; older writings name it by the pod's own name for it.
        let names = [spec_name, &volume.name];
        let sub_paths = self
            .index
            .sub_paths
            .get_mut(uid.as_str())
            .and_then(|of_pod| {
                let mut names = names.into_iter();
                names.find_map(|name| of_pod.remove(name))
            });
        let sub_paths = sub_paths.unwrap_or_default();
        let device_node = self
            .index
            .blocks
            .get(&target)
            .is_some_and(|file| file.device_node);
        let host = mount.known().and_then(Option::as_ref);
        let staged = entry.staged.known().and_then(Option::as_ref);
        let published = Published {
            pod: pod.pod.clone(),
            state: Observed::Known(pod.state),
            name: volume.name.clone(),
            started: pod.started,
            ended: pod.ended,
            stacked: self.index.stacked(&target),
            events: self
                .index
                .said
                .of_volume(&pod.pod.uid, &volume.name, spec_name),
            health: volume.health.clone(),
            live: self.index.containers.live(uid),
            inside: self.index.containers.inside(
                uid,
                Wanted {
                    places: &volume.places,
                    volumes: &pod.volumes,
                    host: host.or(staged),
                    sub_paths: &sub_paths,
                },
            ),
            target,
            mount,
            usage: untouched(),
            elsewhere: untouched(),
            asked_read_only,
            sub_paths,
            device_node,
        };
        if let Some(entry) = self.volumes.get_mut(identity) {
            entry.published.push(published);
        }
    }
}
