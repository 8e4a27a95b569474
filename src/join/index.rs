//! What was seen, by what it is looked for: paths, names, pods.

use std::borrow::Cow;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};

use crate::join::said::Said;
use crate::join::table::Table;
use crate::join::{containers, paths};
use crate::model::mount::Mount;
use crate::model::names::{DriverName, HostPath, PersistentVolumeName, Uid};
use crate::model::objects::{Attachment, Claim, PersistentVolume};
use crate::model::observed::Observed;
use crate::model::seen::{BlockVolumeFile, PodVolumeDir, Seen, VolumeData};
use crate::model::volume::SubPath;

pub(super) struct Index<'a> {
    seen: &'a Seen,
    table: Table<'a>,
    /// Whether anything is staged as kubelets before 1.24 did.
    has_old_stages: bool,
    /// Binds of subPaths, by pod and by the name of the volume's directory.
    pub(super) sub_paths: HashMap<String, HashMap<String, Vec<SubPath>>>,
    dirs: HashMap<(&'a Uid, &'a str), &'a PodVolumeDir>,
    pub(super) blocks: HashMap<&'a HostPath, &'a BlockVolumeFile>,
    pub(super) claims: HashMap<(&'a str, &'a str), &'a Arc<Claim>>,
    pub(super) persistent: HashMap<&'a PersistentVolumeName, &'a Arc<PersistentVolume>>,
    attachments: HashMap<(&'a DriverName, &'a PersistentVolumeName), &'a Arc<Attachment>>,
    pub(super) containers: containers::Index<'a>,
    pub(super) said: Said<'a>,
}

impl<'a> Index<'a> {
    pub(super) fn new(seen: &'a Seen) -> Self {
        let dirs = seen.kubelet.pod_volumes.items.iter();
        let blocks = seen.kubelet.block_volumes.items.iter();
        let objects = &seen.objects;
        let claims = objects.claims.items.iter();
        let persistent = objects.volumes.items.iter();
        let attachments = objects.attachments.items.iter();
        let attachments = attachments.filter(|one| one.node == seen.node);
        let table = Table::new(&seen.table);
        let old_stages = paths::old_stages(&seen.kubelet.root);
        let mut mounts = seen.table.items.iter();
        Self {
            seen,
            has_old_stages: mounts.any(|mount| is_below(&mount.target, &old_stages)),
            said: Said::new(seen),
            sub_paths: sub_paths(seen, &table),
            table,
            dirs: dirs
                .map(|dir| ((&dir.pod, dir.spec_name.as_str()), dir))
                .collect(),
            blocks: blocks.map(|file| (&file.target, file)).collect(),
            claims: claims
                .map(|one| {
                    let claim = &one.claim;
                    ((claim.namespace.as_str(), claim.name.as_str()), one)
                })
                .collect(),
            persistent: persistent.map(|one| (&one.name, one)).collect(),
            attachments: attachments
                .filter_map(|one| Some(((&one.driver, one.volume.as_ref()?), one)))
                .collect(),
            containers: containers::Index::new(seen),
        }
    }

    /// What is mounted on a path; a table with a gap cannot say that nothing is.
    pub(super) fn mounted(&self, path: &HostPath) -> Observed<Option<Mount>> {
        self.table.mounted(path)
    }

    /// How many mounts lie on a path, one over another.
    pub(super) fn stacked(&self, path: &HostPath) -> u32 {
        self.table.stacked(path)
    }

    /// Where a volume is staged, and what is mounted there: the path of today, or that of before Kubernetes 1.24
    /// where something is mounted on it.
    pub(super) fn staged(
        &self,
        path: HostPath,
        spec_name: &str,
    ) -> (HostPath, Observed<Option<Mount>>) {
        let root = &self.seen.kubelet.root;
        let old = || paths::old_staging(root, spec_name);
        let old = self.has_old_stages.then(old);
        let path = old.filter(|old| self.table.has(old)).unwrap_or(path);
        let mount = self.mounted(&path);
        (path, mount)
    }

    pub(super) fn attachment(
        &self,
        driver: &DriverName,
        volume: &PersistentVolumeName,
    ) -> Observed<Option<Arc<Attachment>>> {
        let attachments = &self.seen.objects.attachments;
        let found = self.attachments.get(&(driver, volume)).copied();
        match (found, attachments.gaps.first()) {
            (Some(found), _) => Observed::Known(Some(found.clone())),
            (None, None) => Observed::Known(None),
            (None, Some(gap)) => Observed::Unknown(gap.clone()),
        }
    }

    /// What the kubelet wrote beside the volume of a pod.
    pub(super) fn data(&self, pod: &Uid, spec_name: &str) -> Option<&'a VolumeData> {
        self.dirs
            .get(&(pod, spec_name))
            .and_then(|dir| dir.data.known())
    }
}

/// By bytes: every mount of the node comes by here.
fn is_below(path: &HostPath, directory: &HostPath) -> bool {
    let [path, directory] = [path, directory].map(|one| one.0.as_os_str().as_encoded_bytes());
    path.strip_prefix(directory)
        .is_some_and(|below| below.first() == Some(&b'/'))
}

/// The binds of subPaths in the host's table: `pods/<uid>/volume-subpaths/<volume>/<container>/<index>`
/// (`pkg/volume/util/subpath`).
fn sub_paths(seen: &Seen, table: &Table<'_>) -> HashMap<String, HashMap<String, Vec<SubPath>>> {
    let pods = seen.kubelet.root.join("pods");
    let pods = pods.0.as_os_str().as_encoded_bytes();
    let mut found: HashMap<String, HashMap<String, Vec<SubPath>>> = HashMap::new();
    for mount in &seen.table.items {
        let target = mount.target.0.as_os_str().as_encoded_bytes();
        let Some(below) = target.strip_prefix(pods) else {
            continue;
        };
        let parts = below.split(|byte| *byte == b'/').skip(1);
        let mut parts = parts.map(String::from_utf8_lossy);
        let (Some(pod), Some(Cow::Borrowed("volume-subpaths"))) = (parts.next(), parts.next())
        else {
            continue;
        };
        if let (Some(volume), Some(container), Some(_index), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
            && table.shows(mount)
        {
            let of_pod = found.entry(pod.into_owned()).or_default();
            let binds = of_pod.entry(volume.into_owned()).or_default();
            binds.push(SubPath {
                container: container.into(),
                mount: mount.clone(),
            });
        }
    }
    found
}
