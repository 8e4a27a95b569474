//! Where the kubelet keeps its files: told to a running kubelet, else seen, else known.
//!
//! It reads command lines and the mount table, and touches no volume.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::model::names::HostPath;

use super::{file, mountinfo, process};

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
    let kubelets = process::kubelets(host_root).ok()?;
    kubelets
        .iter()
        .find_map(|one| root_in_command(&one.command))
}

/// The value of `--root-dir` (kubelet), `--kubelet-root-dir` (k0s) or `--kubelet-arg=root-dir=` (k3s, RKE2).
pub fn root_in_command(command: &[u8]) -> Option<HostPath> {
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
        // Of two paths of one directory (a bind) it goes by the usual one.
        .max_by_key(|(root, count)| (*count, *root == HostPath::from(DEFAULT_ROOT)))
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
    Some(parts[..at].iter().collect::<PathBuf>().into())
}

pub(super) fn is_uuid(name: &[u8]) -> bool {
    name.len() == 36
        && name.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
            let _ = root_in_command(&bytes);
        }
    }
}
