//! What the mount tables of other processes have: a path that is no mount of the host, and filesystems of
//! the host that a mount namespace keeps for itself.
//!
//! It is looked for only where a volume is missing or something was left. Reading a table touches no
//! filesystem of its mounts, and needs no right over the process, as reading the name of its namespace would.
//!
//! It sees what processes have, one of each namespace and root directory: no namespace of a single thread,
//! none that nobody lives in, and nothing that is open but mounted nowhere any more.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};
use nix::libc;

use crate::model::names::HostPath;
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::seen::{Holder, Search};
use crate::model::volume::Elsewhere;

use super::containers::parse_cgroup;
use super::{file, mountinfo, peers};

/// Some thirty thousand mounts; the agent's memory is small.
const MAX_TABLE: u64 = 8 * 1024 * 1024;

/// More namespaces than containers and services that a node can have.
const MAX_TABLES: usize = 4096;

/// A process's cgroups; see `containers`.
const MAX_CGROUP: u64 = 128 * 1024;

/// What was found of a search.
#[derive(Debug, Default)]
pub struct Found {
    /// Who has a mount at a path.
    pub places: HashMap<HostPath, Observed<Option<Elsewhere>>>,
    /// Who has the filesystem of a mount, by the mount's target path.
    pub holders: HashMap<HostPath, Listing<Holder>>,
}

/// Which of these paths are mounts in the table of any process of the host, and which of these mounts'
/// filesystems stay mounted in a namespace of another's when the host unmounts them.
pub fn find_elsewhere(host_root: &Path, search: &Search) -> Found {
    let mut places: HashMap<HostPath, Option<Elsewhere>> = HashMap::new();
    places.extend(search.paths.iter().map(|path| (path.clone(), None)));
    let mut kept = peers::Kept::new(&search.mounts);
    let mut gaps = Vec::new();
    each_table(host_root, &mut gaps, |process, directory, table| {
        let (table, peers) = mountinfo::parse_with_peers(table);
        for mount in &table.items {
            if let Some(place @ None) = places.get_mut(&mount.target) {
                *place = Some(Elsewhere {
                    process,
                    name: name(directory),
                    fs_type: mount.fs_type.to_string(),
                    source: mount.source.to_string(),
                });
            }
        }
        kept.take(&table.items, &peers, process == 1, || {
            let cgroup = file::read_small(&directory.join("cgroup"), MAX_CGROUP);
            let pod = cgroup.ok().and_then(|cgroup| parse_cgroup(&cgroup));
            (process, name(directory), pod.map(|group| group.pod))
        });
        table.gaps
    });
    let places = places.into_iter().map(|(path, place)| {
        let place = match (place, gaps.first()) {
            (None, Some(gap)) => Observed::Unknown(gap.clone()),
            (place, _) => Observed::Known(place),
        };
        (path, place)
    });
    let places = places.collect();
    let holders = kept.holders().map(|(target, items)| {
        let gaps = gaps.clone();
        (target, Listing { items, gaps })
    });
    Found {
        places,
        holders: holders.collect(),
    }
}

/// Looks at the table of one process of each namespace, the host's first; what cannot be read is a gap.
fn each_table(
    host_root: &Path,
    gaps: &mut Vec<Gap>,
    mut look: impl FnMut(u32, &Path, &[u8]) -> Vec<Gap>,
) {
    let proc = HostPath::from("/proc");
    let processes = match numbers(&file::below(host_root, &proc)) {
        Ok(processes) => processes,
        Err(error) => return gaps.push(file::gap("list the processes in", &proc, &error)),
    };
    // Processes of one namespace and root have one table. Its first line has the number of a mount, and no
    // two namespaces share one; the whole of each process's table would be read for nothing.
    let mut known: HashSet<Vec<u8>> = HashSet::new();
    for process in processes {
        let directory = proc.join(process.to_string());
        let here = file::below(host_root, &directory);
        let read = read_new(&here, &mut known);
        // Of a process whose first thread has ended, the others have the table.
        let read = match read {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                let tasks = here.join("task");
                let others = numbers(&tasks).unwrap_or_default().into_iter();
                let mut others = others.filter(|task| *task != process);
                let read = others
                    .find_map(|task| read_new(&tasks.join(task.to_string()), &mut known).ok());
                Ok(read.flatten())
            }
            read => read,
        };
        match read {
            // A process may end at any moment: then it has nothing.
            Ok(None) => {}
            Err(error) if is_gone(&error) => {}
            Ok(Some(_)) if known.len() > MAX_TABLES => {
                let what = format!("read more than {MAX_TABLES} mount tables of processes");
                return gaps.push(Gap::new(Why::Unsupported, what));
            }
            Ok(Some(table)) => gaps.extend(look(process, &here, &table)),
            Err(error) => {
                let path = directory.join("mountinfo");
                gaps.push(file::gap("read the mount table", &path, &error));
            }
        }
    }
}

/// The table of a process or thread, unless one of its namespace was read.
fn read_new(directory: &Path, known: &mut HashSet<Vec<u8>>) -> io::Result<Option<Vec<u8>>> {
    let path = directory.join("mountinfo");
    let first = file::read_first_line(&path)?;
    if first.is_empty() || known.contains(&first) {
        return Ok(None);
    }
    let table = file::read_small(&path, MAX_TABLE)?;
    known.insert(first);
    Ok(Some(table))
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOENT | libc::ESRCH | libc::ENOTDIR)
    )
}

/// The entries of a directory that are numbers, in their order.
fn numbers(directory: &Path) -> io::Result<BTreeSet<u32>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        found.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(found)
}

fn name(directory: &Path) -> String {
    let name = file::read_small(&directory.join("comm"), 64).unwrap_or_default();
    String::from_utf8_lossy(name.trim_ascii_end()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A host whose first process has the first of these tables, and others the others.
    fn host(tables: &[(u32, &str, &str)]) -> tempfile::TempDir {
        let host = tempfile::tempdir().unwrap();
        for (process, name, table) in tables {
            let directory = host.path().join("proc").join(process.to_string());
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("mountinfo"), table).unwrap();
            fs::write(directory.join("comm"), format!("{name}\n")).unwrap();
        }
        host
    }

    /// Who keeps what is mounted at `/k/stage` of a host with these tables.
    fn holders(tables: &[(u32, &str, &str)]) -> Vec<String> {
        let host = host(tables);
        let table = mountinfo::read_table(host.path()).items;
        let stage = table.iter().find(|mount| mount.target == "/k/stage".into());
        let search = Search {
            mounts: vec![stage.unwrap().clone()],
            ..Search::default()
        };
        let found = find_elsewhere(host.path(), &search);
        let listing = &found.holders[&HostPath::from("/k/stage")];
        assert_eq!(listing.gaps, []);
        let words = |one: &Holder| format!("{} {} {}", one.process, one.name, one.mount.target);
        listing.items.iter().map(words).collect()
    }

    const HOST: &str = "21 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n\
        40 21 0:60 / /k/stage rw shared:40 - btrfs /dev/sdb rw\n";

    #[test]
    fn a_mount_that_one_process_alone_has_is_found() {
        let table = "21 1 254:0 / / rw - ext4 /dev/vda rw\n";
        let own = "51 50 254:0 / / rw - ext4 /dev/vda rw\n\
            52 51 8:16 / /k/pods/u/mount rw - ext4 /dev/sdb rw\n";
        let host = host(&[(1, "init", table), (7, "sh", table), (812, "driver", own)]);
        let paths = BTreeSet::from([HostPath::from("/k/pods/u/mount"), "/k/pods/v/mount".into()]);
        let search = Search {
            paths: paths.clone(),
            ..Search::default()
        };
        let found = find_elsewhere(host.path(), &search).places;
        let place = found[paths.first().unwrap()]
            .known()
            .unwrap()
            .clone()
            .unwrap();
        assert_eq!(
            (place.process, place.name.as_str(), place.source.as_str()),
            (812, "driver", "/dev/sdb")
        );
        assert_eq!(found[paths.last().unwrap()], Observed::Known(None));
    }

    #[test]
    fn processes_that_cannot_be_seen_are_a_gap() {
        let path = HostPath::from("/k/pods/u/mount");
        let search = Search {
            paths: BTreeSet::from([path.clone()]),
            mounts: mountinfo::parse_mountinfo(HOST.as_bytes()).items,
            ..Search::default()
        };
        let check = |host: &Path| {
            let found = find_elsewhere(host, &search);
            assert!(found.places[&path].gap().is_some());
            assert!(
                found
                    .holders
                    .values()
                    .all(|holders| holders.gaps.len() == 1)
            );
        };
        check(tempfile::tempdir().unwrap().path());
        // A table that cannot be read, and a line that cannot be understood.
        let one = host(&[(1, "init", HOST), (9, "sh", "")]);
        fs::remove_file(one.path().join("proc/9/mountinfo")).unwrap();
        fs::create_dir(one.path().join("proc/9/mountinfo")).unwrap();
        check(one.path());
        check(host(&[(1, "init", HOST), (9, "sh", "71 70 0:99\n")]).path());
    }

    #[test]
    fn a_private_copy_is_held_and_the_hosts_own_is_not() {
        let private = "71 70 254:0 / / rw - ext4 /dev/vda rw\n\
            72 71 0:60 / /k/stage rw - btrfs /dev/sdb rw\n";
        let chrooted = "40 21 0:60 / /stage rw shared:40 - btrfs /dev/sdb rw\n";
        let other =
            "81 80 254:0 / / rw - ext4 /dev/vda rw\n82 81 0:61 / /k rw - btrfs /dev/sdc rw\n";
        let tables = [
            (1, "init", HOST),
            (7, "sh", HOST),
            (8, "chrooted", chrooted),
            (9, "sleep", private),
            (10, "other", other),
        ];
        assert_eq!(holders(&tables), ["9 sleep /k/stage"]);
    }

    #[test]
    fn what_goes_with_the_hosts_unmount_holds_nothing() {
        // A service with a copy of all that takes what the host does, as systemd makes it.
        let slave = "71 70 254:0 / / rw master:1 - ext4 /dev/vda rw\n\
            72 71 0:60 / /k/stage rw master:40 - btrfs /dev/sdb rw\n";
        // A driver with the kubelet's directory by HostToContainer, from a runtime of its own namespace.
        let runtime = "81 80 254:0 / / rw shared:90 master:1 - ext4 /dev/vda rw\n";
        let driver = "91 90 0:70 / / rw - overlay overlay rw\n\
            92 91 254:0 /k /kubelet rw master:90 - ext4 /dev/vda rw\n\
            93 92 0:60 / /kubelet/stage rw master:91 - btrfs /dev/sdb rw\n";
        let tables = [
            (1, "init", HOST),
            (7, "service", slave),
            (8, "runtime", runtime),
            (9, "driver", driver),
        ];
        assert_eq!(holders(&tables), <[String; 0]>::default());
        // The same bound for a container lies on that container's own root.
        let container = format!("{driver}94 91 0:60 / /data rw master:91 - btrfs /dev/sdb rw\n");
        assert_eq!(
            holders(&[
                (1, "init", HOST),
                (8, "runtime", runtime),
                (9, "app", &container)
            ]),
            ["9 app /data"]
        );
        // Without the runtime's table nothing tells that group 90 takes from the host.
        assert_eq!(
            holders(&[(1, "init", HOST), (9, "driver", driver)]),
            ["9 driver /kubelet/stage"]
        );
        // What something else is mounted on stays.
        let carries = format!("{slave}73 72 0:88 / /k/stage/tmp rw - tmpfs tmpfs rw\n");
        assert_eq!(
            holders(&[(1, "init", HOST), (7, "service", &carries)]),
            ["7 service /k/stage"]
        );
        // A host that shares nothing gives nothing on.
        let private = HOST.replace(" shared:1", "");
        assert_eq!(
            holders(&[(1, "init", &private), (7, "service", slave)]),
            ["7 service /k/stage"]
        );
    }

    #[test]
    fn the_pod_of_a_container_is_told() {
        let private = "72 71 0:60 / /data rw - btrfs /dev/sdb rw\n";
        let host = host(&[(1, "init", HOST), (9, "app", private)]);
        let uid = "3f2c7e0a-1111-2222-3333-444455556666";
        fs::write(
            host.path().join("proc/9/cgroup"),
            format!("0::/kubepods/pod{uid}/x\n"),
        )
        .unwrap();
        let search = Search {
            mounts: mountinfo::read_table(host.path()).items,
            ..Search::default()
        };
        let found = find_elsewhere(host.path(), &search);
        let holder = &found.holders[&HostPath::from("/k/stage")].items[0];
        assert_eq!(holder.pod, Some(uid.into()));
    }
}
