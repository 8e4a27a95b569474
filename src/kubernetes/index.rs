//! The objects of one kind as a watch told them, and whether they are still so.
//!
//! It knows no clock, no network and no task: it is told what arrived and when.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::model::observed::{Gap, Listing, Why};

use super::kept::{Arrived, Kept, Key};

/// For so long after the server was heard last, objects are taken to be as they were: shorter than
/// the grace of every rule that judges by what they say.
const FRESH_FOR: SignedDuration = SignedDuration::from_secs(60);

/// So many objects that cannot be read are named; the rest is a number.
const NAMED: usize = 5;

/// Objects, by namespace and name.
///
/// A list is taken in page by page, in place: the objects that it did not name are gone at its end,
/// and never are all objects here twice.
#[derive(Debug)]
pub(super) struct Index<M> {
    /// Each with the list in which it was named last, or after which it arrived.
    objects: BTreeMap<Key, (u32, M)>,
    unreadable: BTreeMap<Key, (u32, String)>,
    heard: Heard,
    /// Lists that were begun.
    lists: u32,
    /// Counts whatever may make it another one than before.
    revision: u64,
}

/// Whether the objects are as the server has them.
#[derive(Debug)]
enum Heard {
    /// They were never listed; the reason, once there is one.
    Never(Option<Gap>),
    /// The watch runs.
    Now,
    /// It ended then, for this reason.
    Until(Timestamp, Gap),
}

impl<M> Default for Index<M> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            heard: Heard::Never(None),
            lists: 0,
            revision: 0,
        }
    }
}

impl<M: Kept> Index<M> {
    /// A list begins; its pages are applied one by one.
    pub(super) fn begin_list(&mut self) {
        self.lists = self.lists.wrapping_add(1);
    }

    /// The list has ended: what was not in it is gone.
    pub(super) fn end_list(&mut self) {
        let current = self.lists;
        self.objects.retain(|_, (list, _)| *list == current);
        self.unreadable.retain(|_, (list, _)| *list == current);
        self.hear();
    }

    /// One object, new or changed.
    pub(super) fn apply(&mut self, arrived: Arrived<M>) {
        self.revision += 1;
        match arrived.object {
            Ok(object) if object.matters() => {
                self.unreadable.remove(&arrived.key);
                self.objects.insert(arrived.key, (self.lists, object));
            }
            Ok(_) => self.delete(&arrived.key),
            Err(fault) => {
                self.objects.remove(&arrived.key);
                self.unreadable.insert(arrived.key, (self.lists, fault));
            }
        }
    }

    /// One object is gone.
    pub(super) fn delete(&mut self, key: &Key) {
        self.revision += 1;
        self.objects.remove(key);
        self.unreadable.remove(key);
    }

    /// The server was heard: what is here is so.
    pub(super) fn hear(&mut self) {
        self.revision += 1;
        self.heard = Heard::Now;
    }

    /// Another number whenever it may be another one than before; time alone makes it stale.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// The server is not heard any more.
    pub(super) fn lose(&mut self, now: Timestamp, gap: Gap) {
        self.revision += 1;
        match &mut self.heard {
            Heard::Never(reason) => *reason = Some(gap),
            Heard::Now => self.heard = Heard::Until(now, gap),
            Heard::Until(_, reason) => *reason = gap,
        }
    }

    /// Whether asking is worth while: the server answers, or it refuses only this.
    pub(super) fn is_reachable(&self) -> bool {
        match &self.heard {
            Heard::Now => true,
            Heard::Never(None) => false,
            Heard::Never(Some(gap)) | Heard::Until(_, gap) => {
                matches!(gap.why, Why::Denied | Why::Unsupported)
            }
        }
    }

    /// Why the objects may not be so any more, if that is so.
    pub(super) fn stale(&self, now: Timestamp) -> Option<Gap> {
        match &self.heard {
            Heard::Until(since, gap) => is_stale(now, *since).then(|| gap.clone().since(*since)),
            Heard::Never(_) | Heard::Now => None,
        }
    }

    /// The objects, and what is missing from them.
    pub(super) fn listing(&self, now: Timestamp) -> Listing<M> {
        let mut gaps: Vec<Gap> = self.stale(now).into_iter().collect();
        if let Heard::Never(reason) = &self.heard {
            let waiting = || {
                Gap::new(
                    Why::TimedOut,
                    format!("list {}: no answer yet", M::resource()),
                )
            };
            gaps.push(reason.clone().unwrap_or_else(waiting));
        }
        let faults = self.unreadable.iter();
        gaps.extend(unreadable::<M>(
            faults.map(|(key, (_, fault))| (key, fault)),
        ));
        Listing {
            items: self.objects.values().map(|(_, one)| one.clone()).collect(),
            gaps,
        }
    }
}

/// Whether what was heard last is too old. A server that begins refuses what it will soon grant, so
/// that a missing right is no quicker than the rest.
pub(super) fn is_stale(now: Timestamp, since: Timestamp) -> bool {
    now.duration_since(since) >= FRESH_FOR
}

/// Objects that cannot be read, one gap each.
pub(super) fn unreadable<'a, M: Kept>(
    mut faults: impl ExactSizeIterator<Item = (&'a Key, &'a String)>,
) -> Vec<Gap> {
    let more = faults.len().saturating_sub(NAMED);
    let named = faults.by_ref().take(NAMED);
    let named = named.map(|((namespace, name), fault)| {
        let slash = if namespace.is_empty() { "" } else { "/" };
        format!("read {} {namespace}{slash}{name}: {fault}", M::kind())
    });
    let rest = (more > 0).then(|| format!("read {more} more objects of kind {}", M::kind()));
    named
        .chain(rest)
        .map(|what| Gap::new(Why::Malformed, what))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect;
    use serde_json::json;

    use crate::model::objects::CsiNode;

    use super::*;

    fn arrived(name: &str, spec: &serde_json::Value) -> Arrived<CsiNode> {
        serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn what_was_heard_stays_and_grows_old() {
        let mut index = Index::default();
        let mut shown = String::new();
        let mut show = |words: &str, index: &Index<CsiNode>, now: i64| {
            let listing = index.listing(at(now));
            let names: Vec<&str> = listing.items.iter().map(|one| one.node.as_str()).collect();
            let gaps: Vec<String> = listing.gaps.iter().map(ToString::to_string).collect();
            writeln!(
                shown,
                "{words}: {names:?} {gaps:?} ask: {}",
                index.is_reachable()
            )
            .unwrap();
        };
        let good = json!({"drivers": []});
        show("at first", &index, 0);
        index.lose(at(0), Gap::new(Why::Unavailable, "refused"));
        show("never heard", &index, 0);
        index.begin_list();
        for one in [arrived("a", &good), arrived("b", &json!(5))] {
            index.apply(one);
        }
        show("listed by half", &index, 5);
        index.apply(arrived("c", &good));
        index.end_list();
        show("listed", &index, 10);
        index.apply(arrived("b", &good));
        index.delete(&(String::new(), "a".to_owned()));
        show("changed", &index, 20);
        index.lose(at(30), Gap::new(Why::Unavailable, "refused"));
        index.lose(at(50), Gap::new(Why::TimedOut, "slow"));
        show("just lost", &index, 89);
        show("lost for long", &index, 90);
        index.hear();
        show("heard again", &index, 100);
        index.begin_list();
        index.apply(arrived("c", &good));
        show("listed anew by half", &index, 100);
        index.begin_list();
        index.apply(arrived("b", &good));
        index.end_list();
        show("listed anew", &index, 100);
        index.lose(at(110), Gap::new(Why::Denied, "no right"));
        show("denied", &index, 110);
        show("denied for long", &index, 170);
        expect![[r#"
            at first: [] ["list csinodes.storage.k8s.io: no answer yet (TimedOut)"] ask: false
            never heard: [] ["refused (Unavailable)"] ask: false
            listed by half: ["a"] ["refused (Unavailable)", "read CSINode b: invalid type: integer `5`, expected CSINodeSpec (Malformed)"] ask: false
            listed: ["a", "c"] ["read CSINode b: invalid type: integer `5`, expected CSINodeSpec (Malformed)"] ask: true
            changed: ["b", "c"] [] ask: true
            just lost: ["b", "c"] [] ask: false
            lost for long: ["b", "c"] ["slow (TimedOut)"] ask: false
            heard again: ["b", "c"] [] ask: true
            listed anew by half: ["b", "c"] [] ask: true
            listed anew: ["b"] [] ask: true
            denied: ["b"] [] ask: true
            denied for long: ["b"] ["no right (Denied)"] ask: true
        "#]].assert_eq(&shown);
    }
}
