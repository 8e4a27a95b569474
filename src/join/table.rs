//! The host's mount table by its paths: what is seen at a path, and how many mounts lie there one over another.
//!
//! Mounts may be at the same path without lying one over another. Where a directory is bound on itself (as
//! `/var/lib/kubelet` is to be shared), what is mounted below it propagates to the directory beneath too: two
//! lines of the table with one path, of which nobody can reach the second. A stack is a mount whose parent
//! is at its own path (`proc_pid_mountinfo(5)`, `mount_namespaces(7)`).

use foldhash::{HashMap, HashMapExt as _};

use crate::model::mount::Mount;
use crate::model::names::HostPath;
use crate::model::observed::{Listing, Observed};

pub(super) struct Table<'a> {
    listing: &'a Listing<Mount>,
    /// The last mount of each path.
    last: HashMap<&'a [u8], &'a Mount>,
    /// What is seen at the paths that have several mounts.
    tops: HashMap<&'a [u8], Top<'a>>,
}

/// What is at a path.
#[derive(Clone, Copy)]
struct Top<'a> {
    mount: &'a Mount,
    /// How many mounts lie there one over another.
    height: u32,
}

impl<'a> Table<'a> {
    pub(super) fn new(listing: &'a Listing<Mount>) -> Self {
        let mut last = HashMap::with_capacity(listing.items.len());
        let mut several: HashMap<&[u8], Vec<&Mount>> = HashMap::new();
        for mount in &listing.items {
            let path = bytes(&mount.target);
            if let Some(before) = last.insert(path, mount) {
                let all = several.entry(path).or_insert_with(|| vec![before]);
                all.push(mount);
            }
        }
        let mut table = Self {
            listing,
            last,
            tops: HashMap::with_capacity(several.len()),
        };
        // What is seen at a path hangs on what is seen at the directories above it, which are shorter.
        let mut several: Vec<_> = several.into_iter().collect();
        several.sort_by_key(|(path, _)| path.len());
        for (path, all) in several {
            let top = table.reach(path, &all);
            table.tops.extend(top.map(|top| (path, top)));
        }
        table
    }

    /// What is mounted on a path; a table with a gap cannot say that nothing is.
    pub(super) fn mounted(&self, path: &HostPath) -> Observed<Option<Mount>> {
        match (self.top(bytes(path)), self.listing.gaps.first()) {
            (Some(top), _) => Observed::Known(Some(top.mount.clone())),
            (None, None) => Observed::Known(None),
            (None, Some(gap)) => Observed::Unknown(gap.clone()),
        }
    }

    /// Whether anything is mounted on a path.
    pub(super) fn has(&self, path: &HostPath) -> bool {
        self.last.contains_key(bytes(path))
    }

    /// How many mounts lie on a path, one over another.
    pub(super) fn stacked(&self, path: &HostPath) -> u32 {
        self.top(bytes(path)).map_or(0, |top| top.height)
    }

    /// Whether a mount of the table is the one that is seen at its path.
    pub(super) fn shows(&self, mount: &Mount) -> bool {
        let top = self.top(bytes(&mount.target));
        top.is_some_and(|top| top.mount.id == mount.id)
    }

    /// What is seen at a path.
    fn top(&self, path: &[u8]) -> Option<Top<'a>> {
        let alone = || {
            let mount = self.last.get(path)?;
            Some(Top { mount, height: 1 })
        };
        self.tops.get(path).copied().or_else(alone)
    }

    /// Which of these mounts at a path a walk along it ends on.
    fn reach(&self, path: &[u8], all: &[&'a Mount]) -> Option<Top<'a>> {
        let first = above(path).find_map(|directory| {
            let below = self.top(directory)?;
            on(all, below.mount)
        });
        // All of them lie beneath something, or lines are missing: the pile that the last one is of.
        let last = || all.last().map(|last| foot(all, last));
        let mut mount = first.or_else(last)?;
        let mut height = 1;
        for _ in 1..all.len() {
            let Some(over) = on(all, mount) else { break };
            mount = over;
            height += 1;
        }
        Some(Top { mount, height })
    }
}

/// Of these the mount that lies on another one; of several the last, which the kernel finds first.
fn on<'a>(all: &[&'a Mount], below: &Mount) -> Option<&'a Mount> {
    let mut mounts = all.iter().rev();
    let found = mounts.find(|mount| mount.parent == below.id && mount.id != below.id);
    found.copied()
}

/// The lowest of the mounts that a mount of them lies on.
fn foot<'a>(all: &[&'a Mount], mut mount: &'a Mount) -> &'a Mount {
    // No more steps than there are mounts: numbers are reused, and a table is not read at one moment.
    for _ in 1..all.len() {
        let below = |other: &&&Mount| other.id == mount.parent && other.id != mount.id;
        let Some(below) = all.iter().find(below) else {
            break;
        };
        mount = below;
    }
    mount
}

/// The directories that a path is in, the closest first.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().rev();
    let slashes = slashes.filter(|(at, byte)| **byte == b'/' && at + 1 < path.len());
    slashes.map(|(at, _)| &path[..at.max(1)])
}

fn bytes(path: &HostPath) -> &[u8] {
    path.0.as_os_str().as_encoded_bytes()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::{Expect, expect};

    use crate::model::sample;

    use super::*;

    /// Lines of number, parent and path.
    fn check(lines: &[(u32, u32, &str)], paths: &[&str], expected: &Expect) {
        let mounts = lines.iter().map(|(id, parent, target)| Mount {
            id: *id,
            parent: *parent,
            ..sample::mount((*target).into())
        });
        let listing = Listing::complete(mounts.collect());
        let table = Table::new(&listing);
        let mut text = String::new();
        for path in paths {
            let path = HostPath::from(*path);
            let mount = table.mounted(&path).known().cloned().flatten();
            let id = mount.map_or("nothing".to_owned(), |mount| mount.id.to_string());
            writeln!(text, "{path}: {id}, {} deep", table.stacked(&path)).unwrap();
        }
        expected.assert_eq(&text);
    }

    #[test]
    fn a_stack_is_a_mount_on_a_mount_of_its_own_path() {
        check(
            &[
                (21, 1, "/"),
                (30, 21, "/k/v"),
                (31, 30, "/k/v"),
                (32, 31, "/k/v"),
            ],
            &["/", "/k/v", "/k"],
            &expect![[r#"
                /: 21, 1 deep
                /k/v: 32, 3 deep
                /k: nothing, 0 deep
            "#]],
        );
    }

    #[test]
    fn the_kubelets_directory_bound_on_itself_makes_copies_and_no_stack() {
        // The copy beneath the bind comes last in the table, where propagation put it, or first.
        let expected = expect![[r#"
            /k: 30, 1 deep
            /k/v: 40, 1 deep
        "#]];
        let paths = ["/k", "/k/v"];
        check(
            &[
                (21, 1, "/"),
                (30, 21, "/k"),
                (40, 30, "/k/v"),
                (41, 21, "/k/v"),
            ],
            &paths,
            &expected,
        );
        check(
            &[
                (21, 1, "/"),
                (30, 21, "/k"),
                (41, 21, "/k/v"),
                (40, 30, "/k/v"),
            ],
            &paths,
            &expected,
        );
    }

    #[test]
    fn a_stack_that_is_copied_is_as_high_as_one_of_the_copies() {
        check(
            &[
                (21, 1, "/"),
                (30, 21, "/k"),
                (40, 30, "/k/v"),
                (41, 21, "/k/v"),
                (50, 40, "/k/v"),
                (51, 41, "/k/v"),
            ],
            &["/k/v"],
            &expect![[r#"
                /k/v: 50, 2 deep
            "#]],
        );
    }

    #[test]
    fn bound_on_itself_twice_and_a_bind_of_what_is_below() {
        check(
            &[
                (21, 1, "/"),
                (30, 21, "/k"),
                (31, 30, "/k"),
                (33, 31, "/k/pods"),
                (40, 33, "/k/pods/v"),
                (41, 31, "/k/pods/v"),
                (42, 30, "/k/pods/v"),
                (43, 21, "/k/pods/v"),
            ],
            &["/k", "/k/pods/v"],
            &expect![[r#"
                /k: 31, 2 deep
                /k/pods/v: 40, 1 deep
            "#]],
        );
    }

    #[test]
    fn what_something_was_mounted_over_is_still_found() {
        check(
            &[
                (21, 1, "/"),
                (40, 21, "/k/v"),
                (41, 40, "/k/v"),
                (50, 21, "/k"),
            ],
            &["/k/v"],
            &expect![[r#"
                /k/v: 41, 2 deep
            "#]],
        );
    }

    #[test]
    fn first_roots_and_circles_are_survived() {
        check(
            &[(1, 1, "/"), (21, 1, "/"), (7, 8, "/a"), (8, 7, "/a")],
            &["/", "/a"],
            &expect![[r#"
                /: 21, 2 deep
                /a: 8, 2 deep
            "#]],
        );
    }
}
