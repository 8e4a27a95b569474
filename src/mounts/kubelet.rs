//! The kubelet's own directory: where it is, and which CSI volumes of pods it holds.
//!
//! It lists directories and reads `vol_data.json`; it never stats, opens or resolves a `mount`
//! path, since what is mounted there may not answer. It does not know which pods or volumes there
//! should be.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{DirEntry, FileType};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::model::names::HostPath;
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::seen::{KubeletDir, PodVolumeDir, VolumeData};

use super::{file, mountinfo};

/// Where the kubelet keeps its files unless told otherwise (`pkg/kubelet/kubeletconfig/defaults.go`).
const DEFAULT_ROOT: &str = "/var/lib/kubelet";

/// Where distributions keep them: microk8s, k0s, TKGI, IBM, old k3s, RKE1, CCE Agile.
const KNOWN_ROOTS: [&str; 8] = [
    DEFAULT_ROOT,
    "/var/snap/microk8s/common/var/lib/kubelet",
    "/var/lib/k0s/kubelet",
    "/var/vcap/data/kubelet",
    "/var/data/kubelet",
    "/var/lib/rancher/k3s/agent/kubelet",
    "/opt/rke/var/lib/kubelet",
    "/mnt/paas/kubernetes/kubelet",
];

/// The first 15 characters of the names of programs that are a kubelet or have one inside.
const PROGRAMS: [&[u8]; 9] = [
    b"kubelet",
    b"hyperkube",
    b"kubelite",
    b"k0s",
    b"k3s",
    b"k3s-server",
    b"k3s-agent",
    b"rke2",
    b"rke2-agent",
];

/// A `vol_data.json` is seven short strings; more than this is something else.
const MAX_DATA: u64 = 64 * 1024;

/// A command line longer than this is cut by nobody, and is no kubelet's.
const MAX_COMMAND: u64 = 128 * 1024;

/// Finds the kubelet's root: told to a running kubelet, else seen in the mount table, else a known
/// place that exists, else the default. No API reports it (kubernetes/kubernetes#92664).
pub fn discover_root(host_root: &Path) -> HostPath {
    root_of_process(host_root)
        .or_else(|| root_of_table(host_root))
        .or_else(|| {
            KNOWN_ROOTS
                .into_iter()
                .map(HostPath::from)
                .find(|root| file::resolve(host_root, &root.join("pods")).is_dir())
        })
        .unwrap_or_else(|| DEFAULT_ROOT.into())
}

/// The root directory that a running kubelet was told.
fn root_of_process(host_root: &Path) -> Option<HostPath> {
    let proc = file::below(host_root, &"/proc".into());
    for entry in std::fs::read_dir(&proc).ok()?.flatten() {
        if !entry.file_name().as_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let process = entry.path();
        // The name first: reading the command line of a process that hangs in a page fault can hang too.
        let Ok(name) = file::read_small(&process.join("comm"), 64) else {
            continue;
        };
        if !PROGRAMS.contains(&name.trim_ascii_end()) {
            continue;
        }
        let Ok(command) = file::read_small(&process.join("cmdline"), MAX_COMMAND) else {
            continue;
        };
        if let Some(root) = root_in_command(&command) {
            return Some(root);
        }
    }
    None
}

/// The value of `--root-dir` (kubelet), `--kubelet-root-dir` (k0s) or `--kubelet-arg=root-dir=` (k3s, RKE2).
fn root_in_command(command: &[u8]) -> Option<HostPath> {
    let mut arguments = command.split(|byte| *byte == 0);
    while let Some(argument) = arguments.next() {
        let Some(flag) = argument.strip_prefix(b"--") else {
            continue;
        };
        let (name, value) = match flag.iter().position(|byte| *byte == b'=') {
            Some(at) => (&flag[..at], &flag[at + 1..]),
            None => (flag, arguments.clone().next().unwrap_or_default()),
        };
        let root = match name {
            b"root-dir" | b"kubelet-root-dir" => Some(value),
            b"kubelet-arg" => value
                .strip_prefix(b"--")
                .unwrap_or(value)
                .strip_prefix(b"root-dir="),
            _ => None,
        };
        let root = root.map(|root| PathBuf::from(OsStr::from_bytes(root)));
        if let Some(root) = root.filter(|root| root.is_absolute()) {
            return Some(root.into());
        }
    }
    None
}

/// The directory that has `pods/<uid>/volumes/` with something mounted; the one with the most, of several.
fn root_of_table(host_root: &Path) -> Option<HostPath> {
    let mut counted: BTreeMap<HostPath, usize> = BTreeMap::new();
    for mount in mountinfo::read_table(host_root).items {
        if let Some(root) = root_of_target(&mount.target.0) {
            *counted.entry(root).or_default() += 1;
        }
    }
    counted
        .into_iter()
        .max_by_key(|(_, count)| *count)
        .map(|(root, _)| root)
}

/// What is before `pods/<uuid>/volumes/` in a path.
fn root_of_target(target: &Path) -> Option<HostPath> {
    let parts: Vec<Component<'_>> = target.components().collect();
    let at = parts.windows(3).position(|three| {
        three[0].as_os_str() == "pods"
            && is_uuid(three[1].as_os_str().as_bytes())
            && three[2].as_os_str() == "volumes"
    })?;
    Some(HostPath(parts[..at].iter().collect()))
}

fn is_uuid(name: &[u8]) -> bool {
    name.len() == 36
        && name.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The CSI volumes of pods that the kubelet has on disk.
pub fn read_kubelet_dir(host_root: &Path, root: &HostPath) -> KubeletDir {
    let here = file::resolve(host_root, root);
    let mut pod_volumes = Listing::default();
    let pods = match list(&here.join("pods")) {
        Ok(pods) => pods,
        Err(error) => {
            let gap = file::gap("list the pods' directories in", &root.join("pods"), &error);
            return KubeletDir {
                root: root.clone(),
                pod_volumes: Listing::unknown(gap),
            };
        }
    };
    for pod in pods.iter().filter(|pod| is_directory(pod)) {
        let below = Path::new("pods")
            .join(pod.file_name())
            .join("volumes/kubernetes.io~csi");
        match list(&here.join(&below)) {
            Ok(volumes) => pod_volumes.items.extend(
                volumes
                    .iter()
                    .filter(|volume| is_directory(volume))
                    .map(|volume| read_volume(pod, volume, &root.join(&below))),
            ),
            // A pod without CSI volumes, or one that is just going.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let gap = file::gap("list a pod's CSI volumes in", &root.join(&below), &error);
                pod_volumes.gaps.push(gap);
            }
        }
    }
    KubeletDir {
        root: root.clone(),
        pod_volumes,
    }
}

/// The entries of a directory, by name.
fn list(directory: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = std::fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

/// From the listing itself, without touching the entry (`d_type`), wherever the filesystem keeps it there.
fn is_directory(entry: &DirEntry) -> bool {
    entry.file_type().as_ref().is_ok_and(FileType::is_dir)
}

fn read_volume(pod: &DirEntry, volume: &DirEntry, csi_volumes: &HostPath) -> PodVolumeDir {
    let directory = csi_volumes.join(volume.file_name());
    let data = directory.join("vol_data.json");
    let data = match file::read_small(&volume.path().join("vol_data.json"), MAX_DATA) {
        Ok(json) => parse_volume_data(&json).map_or_else(
            |fault| {
                let what = format!("read {data}: {fault}");
                Observed::Unknown(Gap::new(Why::Malformed, what))
            },
            Observed::Known,
        ),
        Err(error) => Observed::Unknown(file::gap("read", &data, &error)),
    };
    PodVolumeDir {
        pod: pod.file_name().to_string_lossy().into_owned().into(),
        spec_name: volume.file_name().to_string_lossy().into_owned(),
        target: directory.join("mount"),
        data,
    }
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
fn parse_volume_data(json: &[u8]) -> Result<VolumeData, String> {
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

    #[test]
    fn roots_that_command_lines_tell() {
        let root = |command: &str| {
            root_in_command(command.replace(' ', "\0").as_bytes()).map(|root| root.to_string())
        };
        let found = |path: &str| Some(path.to_owned());
        assert_eq!(root("kubelet --root-dir=/data/k --v=2"), found("/data/k"));
        assert_eq!(root("kubelet --v=2 --root-dir /data/k"), found("/data/k"));
        assert_eq!(root("k0s worker --kubelet-root-dir=/k"), found("/k"));
        assert_eq!(root("k3s server --kubelet-arg=root-dir=/k"), found("/k"));
        assert_eq!(
            root("k3s agent --kubelet-arg v=2 --kubelet-arg root-dir=/k"),
            found("/k")
        );
        assert_eq!(root("kubelet --root-dir relative"), None);
        assert_eq!(root("kubelet --root-dir"), None);
        assert_eq!(root("kubelet --config=/x"), None);
    }

    #[test]
    fn roots_that_targets_tell() {
        let root = |target: &str| root_of_target(Path::new(target)).map(|root| root.to_string());
        let uid = "3f2c7e0a-1111-2222-3333-444455556666";
        assert_eq!(
            root(&format!(
                "/data/k/pods/{uid}/volumes/kubernetes.io~csi/pv/mount"
            )),
            Some("/data/k".to_owned())
        );
        assert_eq!(root(&format!("/data/pods/{uid}/etc-hosts")), None);
        assert_eq!(root("/data/pods/x/volumes/y"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_volume_data(&bytes);
            let _ = root_in_command(&bytes);
        }
    }
}
