//! The kubelet's own directory: which CSI volumes of pods it holds, which stages, and what else.
//!
//! It lists directories and reads `vol_data.json`; it never stats, opens or resolves a `mount` or
//! `globalmount` path, since what is mounted there may not answer. It does not know which pods or
//! volumes there should be.
//!
//! Source of the layout: Kubernetes 1.30–1.37, `pkg/volume/csi/{csi_mounter,csi_attacher,csi_block}.go`.

use std::ffi::OsString;
use std::fs::FileType;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::model::names::HostPath;
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::seen::{
    BlockVolumeFile, InTreeDir, KubeletDir, PodVolumeDir, StageDir, VolumeData,
};

use super::file;

/// A `vol_data.json` is seven short strings; more than this is something else.
const MAX_DATA: u64 = 64 * 1024;

/// Plugins of the kubelet whose volumes are no storage of anybody's, but files that it makes itself.
const NO_STORAGE: [&str; 7] = [
    "configmap",
    "downward-api",
    "empty-dir",
    "git-repo",
    "image",
    "projected",
    "secret",
];

/// What the kubelet has on disk.
pub fn read_kubelet_dir(host_root: &Path, root: &HostPath) -> KubeletDir {
    let here = file::resolve(host_root, root);
    let mut found = KubeletDir {
        root: root.clone(),
        pod_volumes: Listing::default(),
        block_volumes: Listing::default(),
        stages: Listing::default(),
        in_tree: Listing::default(),
    };
    let reader = Reader { here, root };
    reader.read_pods(&mut found);
    reader.read_plugins(&mut found);
    found
}

/// Reads below one kubelet's root.
struct Reader<'a> {
    /// The root as we see it.
    here: PathBuf,
    /// The root as the host sees it.
    root: &'a HostPath,
}

impl Reader<'_> {
    /// The entries of a directory below the root by name; none where there is no such directory.
    fn list(&self, below: &Path, gaps: &mut Vec<Gap>) -> Vec<Entry> {
        match list(&self.here.join(below)) {
            Ok(entries) => entries,
            // A pod without volumes, one that is just going, a node without such volumes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                gaps.push(file::gap("list", &self.root.join(below), &error));
                Vec::new()
            }
        }
    }

    fn read_pods(&self, found: &mut KubeletDir) {
        let pods = match list(&self.here.join("pods")) {
            Ok(pods) => pods,
            Err(error) => {
                let path = self.root.join("pods");
                let gap = file::gap("list the pods' directories in", &path, &error);
                let gap = file::of_source(gap);
                found.pod_volumes = Listing::unknown(gap.clone());
                found.in_tree = Listing::unknown(gap);
                return;
            }
        };
        for pod in pods.iter().filter(|pod| is_directory(pod)) {
            let volumes = Path::new("pods").join(&pod.name).join("volumes");
            for plugin in self.list(&volumes, &mut found.pod_volumes.gaps) {
                let name = plugin.name.to_string_lossy();
                let Some(name) = name.strip_prefix("kubernetes.io~") else {
                    continue;
                };
                if !is_directory(&plugin) || NO_STORAGE.contains(&name) {
                    continue;
                }
                let below = volumes.join(&plugin.name);
                for volume in self.list(&below, &mut found.pod_volumes.gaps) {
                    if !is_directory(&volume) {
                        continue;
                    }
                    if name == "csi" {
                        let directory = below.join(&volume.name);
                        let one = self.pod_volume(pod, &volume, &directory);
                        found.pod_volumes.items.push(one);
                    } else {
                        found.in_tree.items.push(InTreeDir {
                            pod: text(pod).into(),
                            plugin: name.to_owned(),
                            name: text(&volume).into(),
                            path: self.root.join(below.join(&volume.name)),
                        });
                    }
                }
            }
        }
    }

    fn pod_volume(&self, pod: &Entry, volume: &Entry, directory: &Path) -> PodVolumeDir {
        PodVolumeDir {
            pod: text(pod).into(),
            spec_name: text(volume).into(),
            target: self.root.join(directory.join("mount")),
            data: self.data(&directory.join("vol_data.json")),
        }
    }

    /// Stages and block volumes.
    fn read_plugins(&self, found: &mut KubeletDir) {
        let csi = Path::new("plugins/kubernetes.io/csi");
        for driver in self.list(csi, &mut found.stages.gaps) {
            if !is_directory(&driver) {
                continue;
            }
            let below = csi.join(&driver.name);
            match &*text(&driver) {
                "volumeDevices" => self.read_block_volumes(&below, found),
                // The layout before Kubernetes 1.24: by the name of the PersistentVolume.
                "pv" => self.read_stages(&below, None, found),
                name => self.read_stages(&below, Some(name), found),
            }
        }
    }

    fn read_stages(&self, below: &Path, driver: Option<&str>, found: &mut KubeletDir) {
        for volume in self.list(below, &mut found.stages.gaps) {
            if !is_directory(&volume) {
                continue;
            }
            let directory = below.join(&volume.name);
            found.stages.items.push(StageDir {
                staging: self.root.join(directory.join("globalmount")),
                driver: driver.map(Into::into),
                data: self.data(&directory.join("vol_data.json")),
            });
        }
    }

    fn read_block_volumes(&self, below: &Path, found: &mut KubeletDir) {
        let data = |spec_name: &Entry| {
            let directory = below.join(&spec_name.name);
            self.data(&directory.join("data/vol_data.json"))
        };
        for staged in self.list(&below.join("staging"), &mut found.stages.gaps) {
            let path = below.join("staging").join(&staged.name);
            found.stages.items.push(StageDir {
                staging: self.root.join(path),
                driver: None,
                data: data(&staged),
            });
        }
        let publish = below.join("publish");
        for volume in self.list(&publish, &mut found.block_volumes.gaps) {
            if !is_directory(&volume) {
                continue;
            }
            let directory = publish.join(&volume.name);
            for pod in self.list(&directory, &mut found.block_volumes.gaps) {
                // What is mounted over an entry does not show in the listing: this is the entry itself.
                let device_node = pod.kind.is_some_and(|kind| kind.is_block_device());
                found.block_volumes.items.push(BlockVolumeFile {
                    pod: text(&pod).into(),
                    spec_name: text(&volume).into(),
                    target: self.root.join(directory.join(&pod.name)),
                    device_node,
                    data: data(&volume),
                });
            }
        }
    }

    fn data(&self, below: &Path) -> Observed<VolumeData> {
        let path = || self.root.join(below);
        match file::read_small(&self.here.join(below), MAX_DATA) {
            Ok(json) => parse_volume_data(&json).map_or_else(
                |fault| {
                    let what = format!("read {}: {fault}", path());
                    Observed::Unknown(Gap::new(Why::Malformed, what))
                },
                Observed::Known,
            ),
            Err(error) => Observed::Unknown(file::gap("read", &path(), &error)),
        }
    }
}

/// An entry of a directory, as the listing has it, without a touch of what it names (`d_type`), wherever
/// the filesystem keeps that there.
struct Entry {
    name: OsString,
    kind: Option<FileType>,
}

/// The entries of a directory, by name.
fn list(directory: &Path) -> io::Result<Vec<Entry>> {
    let entries = std::fs::read_dir(directory)?.map(|entry| {
        let entry = entry?;
        Ok(Entry {
            kind: entry.file_type().ok(),
            name: entry.file_name(),
        })
    });
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

fn is_directory(entry: &Entry) -> bool {
    entry.kind.as_ref().is_some_and(FileType::is_dir)
}

fn text(entry: &Entry) -> Arc<str> {
    entry.name.to_string_lossy().into()
}

/// The file's own form (`pkg/volume/csi/csi_util.go`): a flat object of strings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VolumeDataFile {
    driver_name: String,
    volume_handle: String,
    #[serde(default)]
    volume_lifecycle_mode: String,
}

/// The bytes of a `vol_data.json`.
pub fn parse_volume_data(json: &[u8]) -> Result<VolumeData, String> {
    if json.is_empty() {
        return Err("the file is empty".to_owned());
    }
    // The parser's words can quote the file, and the file can hold anything.
    let clean = |error: serde_json::Error| -> String {
        let words = error.to_string();
        words
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect()
    };
    let file: VolumeDataFile = serde_json::from_slice(json).map_err(clean)?;
    if file.driver_name.is_empty() || file.volume_handle.is_empty() {
        return Err("driverName or volumeHandle is empty".to_owned());
    }
    Ok(VolumeData {
        driver: file.driver_name.into(),
        handle: file.volume_handle.into(),
        ephemeral: file.volume_lifecycle_mode == "Ephemeral",
    })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn check(json: &str, expected: &Expect) {
        let shown = match parse_volume_data(json.as_bytes()) {
            Ok(data) => format!(
                "{} {} ephemeral={}",
                data.driver, data.handle, data.ephemeral
            ),
            Err(fault) => fault,
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn volume_data_of_every_shape() {
        check(
            r#"{"attachmentID":"csi-07","driverName":"disk.example.com","nodeName":"n","specVolID":"pvc-1","volumeHandle":"vol-1","volumeLifecycleMode":"Persistent"}"#,
            &expect!["disk.example.com vol-1 ephemeral=false"],
        );
        check(
            r#"{"driverName":"d","volumeHandle":"csi-09","volumeLifecycleMode":"Ephemeral"}"#,
            &expect!["d csi-09 ephemeral=true"],
        );
        check("", &expect!["the file is empty"]);
        check(
            r#"{"driverName":"d"}"#,
            &expect!["missing field `volumeHandle` at line 1 column 18"],
        );
        check(
            r#"{"driverName":"","volumeHandle":"v"}"#,
            &expect!["driverName or volumeHandle is empty"],
        );
        check(
            r#"{"driverName":"d","volumeHa"#,
            &expect!["EOF while parsing a string at line 1 column 27"],
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_volume_data(&bytes);
        }
    }
}
