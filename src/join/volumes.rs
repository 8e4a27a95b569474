//! Which volumes are on the node: those that its pods name, and those that lie in the kubelet's directory.

use std::collections::{BTreeMap, HashMap};

use crate::join::{add_new, expansion, missing, paths};
use crate::model::mount::Mount;
use crate::model::names::{DriverName, HostPath, PersistentVolumeName, PodRef, Uid, VolumeHandle};
use crate::model::objects::{
    Attachment, Claim, PersistentVolume, Pod, PodVolume, PodVolumeSource, VolumeMode,
};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::seen::{PodVolumeDir, Seen, VolumeData};
use crate::model::sizes::Sizes;
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
        items: joiner.volumes.into_values().collect(),
        gaps,
    }
}

/// One entry a volume: by its PersistentVolume, or by its pod where it lives and dies with it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Persistent(PersistentVolumeName),
    Inline(Uid, String),
}

struct Joiner<'a> {
    seen: &'a Seen,
    mounts: HashMap<&'a HostPath, &'a Mount>,
    dirs: BTreeMap<(&'a Uid, &'a str), &'a PodVolumeDir>,
    volumes: BTreeMap<Identity, Volume>,
    gaps: Vec<Gap>,
}

impl<'a> Joiner<'a> {
    fn new(seen: &'a Seen) -> Self {
        // Of several mounts on one path the last one is on top.
        let mounts = seen
            .table
            .items
            .iter()
            .map(|mount| (&mount.target, mount))
            .collect();
        let dirs = seen.kubelet.pod_volumes.items.iter();
        Self {
            seen,
            mounts,
            dirs: dirs
                .map(|dir| ((&dir.pod, dir.spec_name.as_str()), dir))
                .collect(),
            volumes: BTreeMap::new(),
            gaps: Vec::new(),
        }
    }

    fn add_from_pod(&mut self, pod: &Pod, volume: &PodVolume) {
        match &volume.source {
            PodVolumeSource::InlineCsi(driver) => {
                let handle = paths::inline_handle(&pod.pod, &volume.name);
                let identity = Identity::Inline(pod.pod.uid.clone(), volume.name.clone());
                let entry = self.entry(
                    identity,
                    &volume.name,
                    driver,
                    &handle,
                    VolumeMode::Filesystem,
                );
                entry.persistent = Observed::Known(None);
                let asked = volume.read_only.then(|| "the pod".to_owned());
                self.publish(
                    pod,
                    &volume.name,
                    &Identity::Inline(pod.pod.uid.clone(), volume.name.clone()),
                    asked,
                );
            }
            PodVolumeSource::Claim(name) => self.add_claimed(pod, volume, name),
        }
    }

    fn add_claimed(&mut self, pod: &Pod, volume: &PodVolume, claim: &str) {
        let claims = &self.seen.objects.claims;
        let found = claims
            .items
            .iter()
            .find(|one| one.claim.namespace == pod.pod.namespace && one.claim.name == claim);
        let Some(claim) = found else {
            // A claim that does not exist, or is hidden by the gap that the list carries already.
            return;
        };
        // Not bound yet: there is no volume to look at on a node.
        let Some(name) = &claim.volume else { return };
        let volumes = &self.seen.objects.volumes;
        let Some(persistent) = volumes.items.iter().find(|one| one.name == *name) else {
            self.add_unseen(pod, volume, claim, name);
            return;
        };
        // In-tree volumes are not covered.
        let Some(csi) = &persistent.csi else { return };
        let identity = Identity::Persistent(name.clone());
        let attachment = self.attachment(&csi.driver, name);
        let class = expansion::class(&self.seen.objects, claim);
        let entry = self.entry(
            identity,
            name.as_str(),
            &csi.driver,
            &csi.handle,
            persistent.mode,
        );
        entry.claim = Some(claim.clone());
        entry.persistent = Observed::Known(Some(persistent.clone()));
        entry.attachment = attachment;
        entry.class = class;
        entry.sizes = declared_sizes(claim, Some(persistent));
        let asked = asked_read_only(volume, Some(persistent));
        self.publish(
            pod,
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
        claim: &Claim,
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
        let Some(data) = self.data(&pod.pod.uid, name.as_str()) else {
            add_new(&mut self.gaps, [gap]);
            return;
        };
        let identity = Identity::Persistent(name.clone());
        let entry = self.entry(
            identity,
            name.as_str(),
            &data.driver,
            &data.handle,
            VolumeMode::Filesystem,
        );
        entry.claim = Some(claim.clone());
        entry.persistent = Observed::Unknown(gap);
        entry.sizes = declared_sizes(claim, None);
        let asked = asked_read_only(volume, None);
        self.publish(
            pod,
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
                Identity::Persistent(dir.spec_name.as_str().into())
            };
            let mount = self.mounted(&dir.target);
            let entry = self.entry(
                identity,
                &dir.spec_name,
                &data.driver,
                &data.handle,
                VolumeMode::Filesystem,
            );
            entry.persistent = if data.ephemeral {
                Observed::Known(None)
            } else {
                Observed::Unknown(unasked.clone())
            };
            entry.published.push(Published {
                pod: PodRef {
                    uid: dir.pod.clone(),
                    ..PodRef::default()
                },
                state: Observed::Unknown(unasked.clone()),
                started: None,
                target: dir.target.clone(),
                mount,
                usage: untouched(),
                asked_read_only: None,
            });
        }
    }

    /// The entry of a volume, made if it is new.
    fn entry(
        &mut self,
        identity: Identity,
        spec_name: &str,
        driver: &DriverName,
        handle: &VolumeHandle,
        mode: VolumeMode,
    ) -> &mut Volume {
        let root = &self.seen.kubelet.root;
        let path = paths::staging(root, mode, driver, handle, spec_name);
        let (staging, staged) = self.staged(path, spec_name);
        self.volumes.entry(identity).or_insert_with(|| Volume {
            spec_name: spec_name.to_owned(),
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
            published: Vec::new(),
            stats: untouched(),
            sizes: no_sizes(),
        })
    }

    fn publish(
        &mut self,
        pod: &Pod,
        spec_name: &str,
        identity: &Identity,
        asked_read_only: Option<String>,
    ) {
        let mode = self
            .volumes
            .get(identity)
            .map_or(VolumeMode::Filesystem, |volume| volume.mode);
        let target = paths::target(&self.seen.kubelet.root, mode, &pod.pod, spec_name);
        let mount = self.mounted(&target);
        let Some(volume) = self.volumes.get_mut(identity) else {
            return;
        };
        volume.published.push(Published {
            pod: pod.pod.clone(),
            state: Observed::Known(pod.state),
            started: pod.started,
            target,
            mount,
            usage: untouched(),
            asked_read_only,
        });
    }

    /// What is mounted on a path; a table with a gap cannot say that nothing is.
    fn mounted(&self, path: &HostPath) -> Observed<Option<Mount>> {
        match (self.mounts.get(path), self.seen.table.gaps.first()) {
            (Some(mount), _) => Observed::Known(Some((*mount).clone())),
            (None, None) => Observed::Known(None),
            (None, Some(gap)) => Observed::Unknown(gap.clone()),
        }
    }

    fn staged(&self, path: HostPath, spec_name: &str) -> (HostPath, Observed<Option<Mount>>) {
        let old = paths::old_staging(&self.seen.kubelet.root, spec_name);
        let path = if self.mounts.contains_key(&old) {
            old
        } else {
            path
        };
        let mount = self.mounted(&path);
        (path, mount)
    }

    fn attachment(
        &self,
        driver: &DriverName,
        volume: &PersistentVolumeName,
    ) -> Observed<Option<Attachment>> {
        let attachments = &self.seen.objects.attachments;
        let found = attachments.items.iter().find(|one| {
            one.node == self.seen.node
                && one.driver == *driver
                && one.volume.as_ref() == Some(volume)
        });
        match (found, attachments.gaps.first()) {
            (Some(found), _) => Observed::Known(Some(found.clone())),
            (None, None) => Observed::Known(None),
            (None, Some(gap)) => Observed::Unknown(gap.clone()),
        }
    }

    fn data(&self, pod: &Uid, spec_name: &str) -> Option<&'a VolumeData> {
        self.dirs
            .get(&(pod, spec_name))
            .and_then(|dir| dir.data.known())
    }
}

/// A fact for which a volume must be touched, before that was done.
pub(super) fn untouched<T>() -> Observed<T> {
    Observed::Unknown(Gap::new(Why::NotAsked, "not looked at in this scan"))
}

/// Who asked for a volume to be read-only, if anybody did.
///
/// Only the first access mode counts: the kubelet maps no other (`pkg/volume/csi/csi_client.go`).
pub(super) fn asked_read_only(
    volume: &PodVolume,
    persistent: Option<&PersistentVolume>,
) -> Option<String> {
    if volume.read_only {
        return Some("the pod".to_owned());
    }
    let persistent = persistent?;
    let name = &persistent.name;
    if persistent.csi.as_ref().is_some_and(|csi| csi.read_only) {
        Some(format!("persistentvolume {name}: readOnly"))
    } else if persistent
        .access_modes
        .first()
        .is_some_and(|mode| mode == "ReadOnlyMany")
    {
        Some(format!("persistentvolume {name}: access mode ReadOnlyMany"))
    } else if persistent.mount_options.iter().any(|option| option == "ro") {
        Some(format!("persistentvolume {name}: mount option ro"))
    } else {
        None
    }
}

fn no_sizes() -> Sizes {
    Sizes {
        request: Observed::Known(None),
        allocated: Observed::Known(None),
        capacity: Observed::Known(None),
        device: untouched(),
        filesystem: untouched(),
        status: Observed::Known(None),
        driver: untouched(),
    }
}

pub(super) fn declared_sizes(claim: &Claim, persistent: Option<&PersistentVolume>) -> Sizes {
    Sizes {
        request: Observed::Known(claim.request),
        // Beside no status it is only what the last expansion left behind.
        allocated: Observed::Known(claim.allocated.filter(|_| claim.resize_status.is_some())),
        capacity: match persistent {
            Some(persistent) => Observed::Known(persistent.capacity),
            None => untouched(),
        },
        status: Observed::Known(claim.capacity),
        ..no_sizes()
    }
}
