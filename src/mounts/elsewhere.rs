//! Whether a path that is no mount of the host is one in the table of another process: what a driver
//! mounts in a container whose mounts do not propagate is seen by that container alone.
//!
//! It is looked for only when a volume is missing. Reading a table touches no filesystem of its mounts.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use crate::model::names::HostPath;
use crate::model::observed::Observed;
use crate::model::volume::Elsewhere;

use super::{file, mountinfo};

/// A container has some dozens of mounts; one that shares the host's table has all of them.
const MAX_TABLE: u64 = 64 * 1024 * 1024;

/// Which of these paths are mounts in the table of any process of the host.
pub fn find_elsewhere(
    host_root: &Path,
    paths: &BTreeSet<HostPath>,
) -> HashMap<HostPath, Observed<Option<Elsewhere>>> {
    let proc = HostPath::from("/proc");
    let entries = match std::fs::read_dir(file::below(host_root, &proc)) {
        Ok(entries) => entries,
        Err(error) => {
            let gap = file::gap("list the processes in", &proc, &error);
            let unknown = |path: &HostPath| (path.clone(), Observed::Unknown(gap.clone()));
            return paths.iter().map(unknown).collect();
        }
    };
    let mut found: HashMap<HostPath, Observed<Option<Elsewhere>>> = paths
        .iter()
        .map(|path| (path.clone(), Observed::Known(None)))
        .collect();
    // Processes of one namespace have one table: it is read into pieces once.
    let mut known: BTreeSet<Vec<u8>> = BTreeSet::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end at any moment: then there is nothing to read.
        let Ok(table) = file::read_small(&entry.path().join("mountinfo"), MAX_TABLE) else {
            continue;
        };
        if known.contains(&table) {
            continue;
        }
        for mount in mountinfo::parse_mountinfo(&table).items {
            if let Some(Observed::Known(place @ None)) = found.get_mut(&mount.target) {
                let name = file::read_small(&entry.path().join("comm"), 64).unwrap_or_default();
                *place = Some(Elsewhere {
                    process,
                    name: String::from_utf8_lossy(name.trim_ascii_end()).into_owned(),
                    fs_type: mount.fs_type.to_string(),
                    source: mount.source.to_string(),
                });
            }
        }
        known.insert(table);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_mount_that_one_process_alone_has_is_found() {
        let host = tempfile::tempdir().unwrap();
        let table = "21 1 254:0 / / rw - ext4 /dev/vda rw\n";
        let own = format!("{table}40 21 8:16 / /k/pods/u/mount rw - ext4 /dev/sdb rw\n");
        for (process, table, name) in [
            ("1", table, "init"),
            ("7", table, "sh"),
            ("812", &own, "driver"),
        ] {
            let directory = host.path().join("proc").join(process);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("mountinfo"), table).unwrap();
            fs::write(directory.join("comm"), format!("{name}\n")).unwrap();
        }
        let paths = BTreeSet::from([HostPath::from("/k/pods/u/mount"), "/k/pods/v/mount".into()]);
        let found = find_elsewhere(host.path(), &paths);
        let place = found[&paths.first().unwrap().clone()]
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
    fn processes_that_cannot_be_listed_are_a_gap() {
        let host = tempfile::tempdir().unwrap();
        let paths = BTreeSet::from([HostPath::from("/k/pods/u/mount")]);
        assert!(
            find_elsewhere(host.path(), &paths)
                .into_values()
                .all(|place| place.gap().is_some())
        );
    }
}
