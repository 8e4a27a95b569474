//! Whether something that was left behind on a node may be taken away.
//!
//! People have deleted live data by clearing away what looked left behind
//! (kubernetes/kubernetes#60987, #45464). So *safe* is said only when every fact that could
//! contradict it was seen; each one that was not makes it *unsure*, and is named.

#![deny(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::fmt;

use crate::model::facts::NodeFacts;
use crate::model::leftover::{Leftover, LeftoverKind};
use crate::model::observed::{Gap, Observed};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Safety {
    /// Nothing uses it, and everything that could was looked at.
    Safe,
    /// Something speaks against it.
    NotSafe(Vec<String>),
    /// Something that could speak against it was not seen.
    Unsure(Vec<String>),
}

impl fmt::Display for Safety {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Safe => f.write_str("safe"),
            Self::NotSafe(why) => write!(f, "not safe: {}", why.join("; ")),
            Self::Unsure(why) => write!(f, "unsure: {}", why.join("; ")),
        }
    }
}

/// Whether something left behind may be taken away: its directory removed, or, of a stage, its mount.
pub fn safety(node: &NodeFacts, left: &Leftover) -> Safety {
    let mut against = Vec::new();
    let mut unseen = Vec::new();
    let mut not_seen = |gap: &Gap| unseen.push(format!("not known: {gap}"));
    against.extend(left.held_by.items.iter().cloned());
    left.held_by.gaps.iter().for_each(&mut not_seen);
    match &left.mount {
        // Removing the directory would remove what is on the volume.
        Observed::Known(Some(mount)) if left.kind != LeftoverKind::Stage => {
            against.push(format!(
                "{} on {} is mounted at it",
                mount.fs_type, mount.source
            ));
        }
        Observed::Known(_) => {}
        Observed::Unknown(gap) => not_seen(gap),
    }
    node.leftovers.gaps.iter().for_each(&mut not_seen);
    match &node.kubelet.running {
        Observed::Known(true) => {}
        Observed::Known(false) => {
            unseen.push("no kubelet runs, which alone would still know of its pods".to_owned());
        }
        Observed::Unknown(gap) => unseen.push(format!("not known: {gap}")),
    }
    if left.kind != LeftoverKind::Stage {
        match &node.kubelet.unmirrored {
            Observed::Known(0) => {}
            Observed::Known(count) => unseen.push(format!(
                "static pods without a mirror, whose directory it may be: {count}"
            )),
            Observed::Unknown(gap) => unseen.push(format!("not known: {gap}")),
        }
    }
    let mut named = BTreeSet::new();
    unseen.retain(|one| named.insert(one.clone()));
    if !against.is_empty() {
        Safety::NotSafe(against)
    } else if !unseen.is_empty() {
        Safety::Unsure(unseen)
    } else {
        Safety::Safe
    }
}

/// What was left, what is least safe first: where several are told of as one, it speaks for all of them.
pub fn least_safe_first<'a>(
    node: &NodeFacts,
    left: impl Iterator<Item = &'a Leftover>,
) -> Vec<&'a Leftover> {
    let mut left: Vec<&Leftover> = left.collect();
    left.sort_by_cached_key(|left| match safety(node, left) {
        Safety::NotSafe(_) => 0,
        Safety::Unsure(_) => 1,
        Safety::Safe => 2,
    });
    left
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use crate::model::observed::Why;
    use crate::model::sample;

    use super::*;

    fn check(change: impl FnOnce(&mut NodeFacts, &mut Leftover), expected: &Expect) {
        let mut node = sample::node();
        let mut left = sample::leftover();
        change(&mut node, &mut left);
        expected.assert_eq(&safety(&node, &left).to_string());
    }

    fn gap(what: &str) -> Gap {
        Gap::new(Why::Denied, what)
    }

    #[test]
    fn safe_is_said_when_everything_was_seen() {
        check(|_, _| (), &expect!["safe"]);
    }

    #[test]
    fn what_is_mounted_or_held_is_not_safe() {
        check(
            |_, left| left.mount = Observed::Known(Some(sample::mount(left.path.clone()))),
            &expect!["not safe: ext4 on /dev/sdb is mounted at it"],
        );
        check(
            |_, left| {
                left.held_by.items = vec!["process 4711 of pod pod-uid-9".to_owned()];
            },
            &expect!["not safe: process 4711 of pod pod-uid-9"],
        );
        // The mount of a stage is what is to be taken away; another of the same filesystem is not.
        check(
            |_, left| {
                left.kind = LeftoverKind::Stage;
                left.mount = Observed::Known(Some(sample::mount(left.path.clone())));
            },
            &expect!["safe"],
        );
    }

    #[test]
    fn each_missing_fact_is_named() {
        check(
            |_, left| left.mount = Observed::Unknown(gap("read the mount table: denied")),
            &expect!["unsure: not known: read the mount table: denied (Denied)"],
        );
        check(
            |_, left| left.held_by.gaps.push(gap("list the processes: denied")),
            &expect!["unsure: not known: list the processes: denied (Denied)"],
        );
        // What the list and the entry both lack is named once, and one that speaks against it outweighs all.
        check(
            |node, left| {
                left.held_by.gaps.push(gap("watch pods: denied"));
                left.held_by.gaps.push(gap("read notes: denied"));
                node.leftovers.gaps.push(gap("watch pods: denied"));
            },
            &expect![
                "unsure: not known: watch pods: denied (Denied); not known: read notes: denied (Denied)"
            ],
        );
        check(
            |_, left| {
                left.held_by.gaps.push(gap("list the processes: denied"));
                left.held_by.items.push("a mount at /mnt".to_owned());
            },
            &expect!["not safe: a mount at /mnt"],
        );
        check(
            |node, _| node.leftovers.gaps.push(gap("watch pods: denied")),
            &expect!["unsure: not known: watch pods: denied (Denied)"],
        );
        check(
            |node, _| node.kubelet.running = Observed::Known(false),
            &expect!["unsure: no kubelet runs, which alone would still know of its pods"],
        );
        check(
            |node, _| node.kubelet.running = Observed::Unknown(gap("list the processes: denied")),
            &expect!["unsure: not known: list the processes: denied (Denied)"],
        );
        check(
            |node, _| node.kubelet.unmirrored = Observed::Known(2),
            &expect!["unsure: static pods without a mirror, whose directory it may be: 2"],
        );
        check(
            |node, _| {
                node.kubelet.unmirrored = Observed::Unknown(gap("list the static pods: denied"));
            },
            &expect!["unsure: not known: list the static pods: denied (Denied)"],
        );
    }
}
