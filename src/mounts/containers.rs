//! One live process of each container, and the mounts that it sees.
//!
//! Processes are found as the kubelet arranges them: the cgroup of a container lies below one whose
//! name has the pod's UID. It does not know which pods there should be. Reading a process's cgroup
//! and mount table touches no filesystem of its mounts.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::model::names::{HostPath, Uid};
use crate::model::observed::Observed;
use crate::model::seen::ContainerSeen;

use super::{file, mountinfo, root};

/// A cgroup's path has at most 4096 bytes, and a process of cgroup v1 is in a dozen.
const MAX_CGROUP: u64 = 128 * 1024;

/// A container has some dozens of mounts; one that shares the host's table has all of them.
const MAX_TABLE: u64 = 64 * 1024 * 1024;

/// Characters of the runtime's name for a container: a SHA-256 in hex.
const ID_LENGTH: usize = 64;

/// One process of each container of these pods.
///
/// None is found where no process of a pod lives, or where processes of pods cannot be seen: where
/// `/proc` is another PID namespace's, no process is in a pod's cgroup.
pub fn read_containers(host_root: &Path, pods: &BTreeSet<Uid>) -> Observed<Vec<ContainerSeen>> {
    let proc = HostPath::from("/proc");
    let entries = match std::fs::read_dir(file::below(host_root, &proc)) {
        Ok(entries) => entries,
        Err(error) => return Observed::Unknown(file::gap("list the processes in", &proc, &error)),
    };
    let mut found: BTreeMap<(Uid, String), (u32, PathBuf)> = BTreeMap::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(process) = number(name.as_bytes()) else {
            continue;
        };
        // A process may end at any moment: then there is nothing to read.
        let Ok(cgroup) = file::read_small(&entry.path().join("cgroup"), MAX_CGROUP) else {
            continue;
        };
        let Some((pod, id)) = parse_cgroup(&cgroup) else {
            continue;
        };
        if !pods.contains(&pod) {
            continue;
        }
        // Of several the oldest, which a container's first process usually is.
        let oldest = found.entry((pod, id)).or_insert((process, entry.path()));
        if process < oldest.0 {
            *oldest = (process, entry.path());
        }
    }
    let tables = found
        .into_iter()
        .filter_map(|((pod, id), (process, path))| {
            let table = file::read_small(&path.join("mountinfo"), MAX_TABLE).ok()?;
            // A process that has just ended has no mounts.
            (!table.is_empty()).then(|| ContainerSeen {
                pod,
                id,
                process,
                table: mountinfo::parse_mountinfo(&table),
            })
        });
    Observed::Known(tables.collect())
}

fn number(name: &[u8]) -> Option<u32> {
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// The pod's UID and the runtime's name of the container, from a process's cgroups of either version.
///
/// `/kubepods/burstable/pod<uid>/<id>` with the kubelet's own driver; with systemd's
/// `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid with _>.slice/cri-containerd-<id>.scope`
/// (`pkg/kubelet/cm/cgroup_manager_linux.go`).
pub fn parse_cgroup(cgroup: &[u8]) -> Option<(Uid, String)> {
    for line in cgroup.split(|byte| *byte == b'\n') {
        // hierarchy:controllers:path
        let Some(path) = line.splitn(3, |byte| *byte == b':').nth(2) else {
            continue;
        };
        let Ok(path) = std::str::from_utf8(path) else {
            continue;
        };
        let mut parts = path.split('/');
        let Some(pod) = parts.by_ref().find_map(pod_of) else {
            continue;
        };
        let id = parts.find_map(container_of).unwrap_or_default();
        return Some((pod.into(), id));
    }
    None
}

/// The UID in the name of a pod's cgroup.
fn pod_of(part: &str) -> Option<String> {
    let part = part.strip_suffix(".slice").unwrap_or(part);
    let at = part.rfind("pod")?;
    let before = &part[..at];
    if !(before.is_empty() || before.ends_with('-')) {
        return None;
    }
    let uid = part[at + 3..].replace('_', "-");
    // Static pods' UIDs are hashes without hyphens.
    let is_hash = uid.len() == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hash || root::is_uuid(uid.as_bytes())).then_some(uid)
}

/// The runtime's name for a container in the name of its cgroup: `<id>`, `cri-containerd-<id>.scope`, `crio-<id>.scope`.
fn container_of(part: &str) -> Option<String> {
    let part = part.strip_suffix(".scope").unwrap_or(part);
    let id = part.rsplit(['-', ':']).next()?;
    let is_id = id.len() == ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UID: &str = "3f2c7e0a-1111-2222-3333-444455556666";

    #[test]
    fn cgroups_of_both_drivers_and_versions() {
        let id = "ab".repeat(32);
        let under = UID.replace('-', "_");
        let found = |cgroup: &str| {
            parse_cgroup(cgroup.as_bytes()).map(|(pod, id)| (pod.as_str().to_owned(), id))
        };
        let expected = Some((UID.to_owned(), id.clone()));
        assert_eq!(
            found(&format!("0::/kubepods/burstable/pod{UID}/{id}\n")),
            expected
        );
        assert_eq!(
            found(&format!(
                "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{under}.slice/cri-containerd-{id}.scope\n"
            )),
            expected
        );
        assert_eq!(
            found(&format!(
                "12:pids:/kubepods/pod{UID}/{id}\n1:name=systemd:/kubepods/pod{UID}/{id}\n0::/\n"
            )),
            expected
        );
        assert_eq!(
            found(&format!(
                "4:memory:/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{under}.slice/crio-{id}.scope/container"
            )),
            expected
        );
        assert_eq!(
            found(&format!("0::/kubepods/pod{UID}\n")),
            Some((UID.to_owned(), String::new()))
        );
        assert_eq!(found("0::/system.slice/podman.service\n"), None);
        assert_eq!(found("0::/\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(cgroup in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_cgroup(&cgroup);
        }

        #[test]
        fn nearly_right_paths_are_survived(path in r"0::/(kubepods|pod|[-_./a-f0-9]){0,12}") {
            let _ = parse_cgroup(path.as_bytes());
        }
    }
}
