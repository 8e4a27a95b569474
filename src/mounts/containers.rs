//! Live processes of each container, and the mounts that they see.
//!
//! Processes are found as the kubelet arranges them: the cgroup of a container lies below one whose
//! name has the pod's UID. It does not know which pods there should be. Reading a process's cgroup
//! and mount table touches no filesystem of its mounts.
//!
//! Processes of one container may have mount namespaces of their own: sandboxes, `unshare`, containers inside
//! the container. The first process has the one that the runtime made. Numbers of processes start anew after
//! the highest, so the first is the one that was started first.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::model::mount::Mount;
use crate::model::names::{HostPath, Uid};
use crate::model::observed::Observed;
use crate::model::seen::{ContainerSeen, NamespaceSeen};

use super::{file, mountinfo, root};

/// A cgroup's path has at most 4096 bytes, and a process of cgroup v1 is in a dozen.
const MAX_CGROUP: u64 = 128 * 1024;

/// A container has some dozens of mounts; one that shares the host's table has all of them.
const MAX_TABLE: u64 = 64 * 1024 * 1024;

/// A process's name has at most 64 bytes, and some fifty numbers follow it.
const MAX_STAT: u64 = 4096;

/// Mount namespaces of one container that are looked at; a build may have a sandbox for each of its steps.
const MAX_NAMESPACES: usize = 16;

/// Characters of the runtime's name for a container: a SHA-256 in hex.
const ID_LENGTH: usize = 64;

/// The processes of a container that are in its own cgroup, or as close to it as any.
struct Own {
    depth: usize,
    processes: Vec<(u32, PathBuf)>,
}

/// The containers of these pods, each by its first process.
///
/// None is found where no process of a pod lives, or where processes of pods cannot be seen: where
/// `/proc` is another PID namespace's, no process is in a pod's cgroup.
pub fn read_containers(host_root: &Path, pods: &BTreeSet<Uid>) -> Observed<Vec<ContainerSeen>> {
    let proc = HostPath::from("/proc");
    let entries = match std::fs::read_dir(file::below(host_root, &proc)) {
        Ok(entries) => entries,
        Err(error) => return Observed::Unknown(file::gap("list the processes in", &proc, &error)),
    };
    let mut found: BTreeMap<(Uid, String), Own> = BTreeMap::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(process) = number(name.as_bytes()) else {
            continue;
        };
        // A process may end at any moment: then there is nothing to read.
        let Ok(cgroup) = file::read_small(&entry.path().join("cgroup"), MAX_CGROUP) else {
            continue;
        };
        let Some(Group { pod, id, depth }) = parse_cgroup(&cgroup) else {
            continue;
        };
        if !pods.contains(&pod) {
            continue;
        }
        let own = found.entry((pod, id)).or_insert(Own {
            depth,
            processes: Vec::new(),
        });
        // What runs in cgroups further below is not the pod's container but one inside it (docker in docker),
        // with a root of its own: what it has is nothing that the pod's container has.
        if depth < own.depth {
            own.depth = depth;
            own.processes.clear();
        }
        if depth == own.depth {
            own.processes.push((process, entry.path()));
        }
    }
    let mut containers: Vec<ContainerSeen> = Vec::with_capacity(found.len());
    for ((pod, id), own) in found {
        let before = containers.last().map(|one| one.table.items.as_slice());
        let mut namespaces = namespaces(own.processes, before.unwrap_or_default()).into_iter();
        if let Some(NamespaceSeen { process, table }) = namespaces.next() {
            containers.push(ContainerSeen {
                pod,
                id,
                process,
                table,
                others: namespaces.collect(),
            });
        }
    }
    Observed::Known(containers)
}

/// What processes see, one process of each mount namespace, the one that was started first before all others; with the
/// table of another container, which may be much like theirs.
fn namespaces(mut processes: Vec<(u32, PathBuf)>, like: &[Mount]) -> Vec<NamespaceSeen> {
    let several = processes.len() > 1;
    if several {
        processes
            .sort_by_cached_key(|(process, path)| (started(path).unwrap_or(u64::MAX), *process));
    }
    let mut known = BTreeSet::new();
    let mut seen = Vec::new();
    for (process, path) in processes {
        if seen.len() == MAX_NAMESPACES {
            break;
        }
        let path = path.join("mountinfo");
        let first = several.then(|| first_mount(&path)).flatten();
        if several && first.is_none_or(|first| known.contains(&first)) {
            continue;
        }
        // A process that has just ended has no mounts.
        let Ok(table) = file::read_small(&path, MAX_TABLE) else {
            continue;
        };
        if table.is_empty() {
            continue;
        }
        known.extend(first);
        seen.push(NamespaceSeen {
            process,
            table: mountinfo::parse_inside(&table, like),
        });
    }
    seen
}

/// When a process was started, in ticks since the boot: field 22 of its `stat`, counted from behind its name,
/// which may have blanks and parentheses (`proc_pid_stat(5)`).
fn started(process: &Path) -> Option<u64> {
    let stat = file::read_small(&process.join("stat"), MAX_STAT).ok()?;
    let after = stat.iter().rposition(|byte| *byte == b')')? + 1;
    // The first one after the name is field 3.
    let mut fields = stat[after..].split(|byte| *byte == b' ').skip(1);
    std::str::from_utf8(fields.nth(22 - 3)?).ok()?.parse().ok()
}

/// The number of the first mount of a table, by which one namespace is told from another: a namespace is made
/// with copies of all mounts, and no number is given out twice. The link `ns/mnt` names it too, but asks for
/// the right to trace the process, which the agent does not have.
fn first_mount(table: &Path) -> Option<u32> {
    // The kernel writes no more lines than are asked for.
    let mut start = [0_u8; 16];
    let read = File::open(table).ok()?.read(&mut start).ok()?;
    let mut fields = start[..read].split(|byte| *byte == b' ');
    number(fields.next()?)
}

fn number(name: &[u8]) -> Option<u32> {
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// Where a process is among the cgroups of pods.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// The pod's UID.
    pub pod: Uid,
    /// The runtime's name of the container; empty where none of the cgroups has it.
    pub id: String,
    /// How many cgroups further down than the container's own; than the pod's, where no container is named.
    pub depth: usize,
}

/// The pod and the container of a process, from its cgroups of either version.
///
/// `/kubepods/burstable/pod<uid>/<id>` with the kubelet's own driver; with systemd's
/// `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid with _>.slice/cri-containerd-<id>.scope`
/// (`pkg/kubelet/cm/cgroup_manager_linux.go`).
pub fn parse_cgroup(cgroup: &[u8]) -> Option<Group> {
    for line in cgroup.split(|byte| *byte == b'\n') {
        // hierarchy:controllers:path
        let Some(path) = line.splitn(3, |byte| *byte == b':').nth(2) else {
            continue;
        };
        let Ok(path) = std::str::from_utf8(path) else {
            continue;
        };
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let Some(pod) = parts.by_ref().find_map(pod_of) else {
            continue;
        };
        // CRI-O's monitor of a container lies beside it, with the mounts of the host.
        if parts.clone().any(|part| part.starts_with("crio-conmon-")) {
            return None;
        }
        let below = parts.clone().count();
        let id = parts.find_map(container_of);
        return Some(Group {
            pod: pod.into(),
            depth: id.as_ref().map_or(below, |_| parts.count()),
            id: id.unwrap_or_default(),
        });
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
            parse_cgroup(cgroup.as_bytes())
                .map(|group| (group.pod.as_str().to_owned(), group.id, group.depth))
        };
        let expected = Some((UID.to_owned(), id.clone(), 0));
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
            Some((UID.to_owned(), id.clone(), 1))
        );
        for monitor in [
            format!("0::/kubepods.slice/kubepods-pod{under}.slice/crio-conmon-{id}.scope\n"),
            format!("0::/kubepods/burstable/pod{UID}/crio-conmon-{id}\n"),
        ] {
            assert_eq!(found(&monitor), None, "{monitor}");
        }
        assert_eq!(
            found(&format!(
                "0::/kubepods/pod{UID}/{id}/docker/{}\n",
                "cd".repeat(32)
            )),
            Some((UID.to_owned(), id, 2))
        );
        assert_eq!(
            found(&format!("0::/kubepods/pod{UID}\n")),
            Some((UID.to_owned(), String::new(), 0))
        );
        assert_eq!(found("0::/system.slice/podman.service\n"), None);
        assert_eq!(found("0::/\n"), None);
    }

    /// A host whose processes are given by number, name, ticks, cgroup below the pod's, and mounts.
    fn host(processes: &[(&str, &str, u64, &str, &str)]) -> tempfile::TempDir {
        let host = tempfile::tempdir().unwrap();
        for (process, name, ticks, below, table) in processes {
            let directory = host.path().join("proc").join(process);
            std::fs::create_dir_all(&directory).unwrap();
            let zeros = "0 ".repeat(18);
            let files = [
                ("cgroup", format!("0::/kubepods/pod{UID}{below}\n")),
                ("stat", format!("{process} ({name}) S {zeros}{ticks} 0 0\n")),
                ("mountinfo", (*table).to_owned()),
            ];
            for (file, text) in files {
                std::fs::write(directory.join(file), text).unwrap();
            }
        }
        host
    }

    /// Process and first mount of what is seen of the only container, the first namespace before the others.
    fn seen(processes: &[(&str, &str, u64, &str, &str)]) -> Vec<(u32, u32)> {
        let host = host(processes);
        let pods = BTreeSet::from([UID.into()]);
        let containers = read_containers(host.path(), &pods);
        let container = containers.known().and_then(|all| all.first());
        let namespaces = container.into_iter().flat_map(|container| {
            let first = (container.process, &container.table);
            let others = container.others.iter();
            std::iter::once(first).chain(others.map(|other| (other.process, &other.table)))
        });
        namespaces
            .map(|(process, table)| (process, table.items[0].id))
            .collect()
    }

    const OWN: &str = "900 800 0:88 / / rw - overlay overlay rw\n";
    const NESTED: &str = "950 850 0:88 / / rw - overlay overlay rw\n";

    #[test]
    fn the_first_process_is_the_one_that_was_started_first() {
        // Numbers went round.
        let processes = [
            ("312", "sh) 1 (x", 9000, "", NESTED),
            ("31000", "db", 50, "", OWN),
            ("400", "worker", 9100, "", OWN),
        ];
        assert_eq!(seen(&processes), [(31000, 900), (312, 950)]);
    }

    #[test]
    fn containers_inside_a_container_come_last() {
        let id = "ab".repeat(32);
        let inner = format!("/{id}/docker/{}", "cd".repeat(32));
        let processes = [
            ("300", "inner", 10, inner.as_str(), NESTED),
            ("200", "dockerd", 50, &format!("/{id}"), OWN),
        ];
        assert_eq!(seen(&processes), [(200, 900)]);
        // Nothing but what is inside is left to be seen.
        assert_eq!(seen(&processes[..1]), [(300, 950)]);
    }

    #[test]
    fn processes_that_have_ended_are_passed_over() {
        let processes = [("300", "gone", 10, "", ""), ("301", "db", 50, "", OWN)];
        assert_eq!(seen(&processes), [(301, 900)]);
        assert_eq!(seen(&processes[..1]), []);
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
