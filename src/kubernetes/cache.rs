//! Objects of one kind that are asked for one by one: kept, asked for anew in time, and let go when
//! nobody names them any more.
//!
//! It knows no network; it says what is due, and is told what came back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::observed::{Gap, Listing, Why};

use super::index::{is_stale, unreadable};
use super::kept::{Arrived, Kept, Key};
use super::patience::jittered;

/// An object under which something is under way, or that is not there yet: once in each interval.
const UNSETTLED: Duration = Duration::from_secs(20);

/// Objects by namespace and name, each with its own time.
#[derive(Debug)]
pub(super) struct Cache<M> {
    entries: BTreeMap<Key, Entry<M>>,
    /// An object under which nothing is under way is asked for anew after so long at most.
    refresh: Duration,
}

#[derive(Debug)]
struct Entry<M> {
    /// What came back last; `None` before the first answer, and where there is no such object.
    arrived: Option<Arrived<M>>,
    answered: bool,
    due: Instant,
    /// Since when asking fails, and why.
    failing: Option<(Timestamp, Gap)>,
}

impl<M: Kept> Cache<M> {
    /// Nothing is known yet.
    pub(super) fn new(refresh: Duration) -> Self {
        Self {
            entries: BTreeMap::new(),
            refresh,
        }
    }

    /// From now on these are named, and no others.
    pub(super) fn name(&mut self, named: &BTreeSet<Key>, now: Instant) {
        self.entries.retain(|key, _| named.contains(key));
        for key in named {
            self.entries.entry(key.clone()).or_insert_with(|| Entry {
                arrived: None,
                answered: false,
                due: now,
                failing: None,
            });
        }
    }

    /// Something happened around this object: it is asked for anew.
    pub(super) fn doubt(&mut self, key: &Key, now: Instant) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.due = now;
        }
    }

    /// What is to be asked for, each with the version that the answer must not be older than.
    pub(super) fn due(&self, now: Instant) -> Vec<(Key, Option<String>)> {
        let due = self.entries.iter().filter(|(_, entry)| entry.due <= now);
        due.map(|(key, entry)| {
            let version = entry
                .arrived
                .as_ref()
                .map(|arrived| arrived.version.clone());
            (key.clone(), version.filter(|version| !version.is_empty()))
        })
        .collect()
    }

    /// What came back: an object, that there is none, or a failure.
    pub(super) fn put(
        &mut self,
        key: &Key,
        answer: Result<Option<Arrived<M>>, Gap>,
        now: (Timestamp, Instant),
    ) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        match answer {
            Ok(arrived) => {
                let settled = arrived
                    .as_ref()
                    .is_some_and(|arrived| arrived.object.as_ref().is_ok_and(Kept::is_settled));
                let refresh = if settled { self.refresh } else { UNSETTLED };
                entry.due = now.1 + jittered(refresh.min(self.refresh));
                entry.arrived = arrived;
                entry.answered = true;
                entry.failing = None;
            }
            Err(gap) => {
                let since = entry.failing.as_ref().map_or(now.0, |(since, _)| *since);
                entry.failing = Some((since, gap));
                entry.due = now.1 + jittered(UNSETTLED);
            }
        }
    }

    /// It is known that there is no such object, and that nothing need be waited for.
    pub(super) fn rest(&mut self, key: &Key, now: Instant) {
        if let Some(entry) = self
            .entries
            .get_mut(key)
            .filter(|entry| entry.failing.is_none())
        {
            entry.due = now + jittered(self.refresh);
        }
    }

    /// An object, if it is known.
    pub(super) fn get(&self, key: &Key) -> Option<&M> {
        self.entries
            .get(key)?
            .arrived
            .as_ref()?
            .object
            .as_ref()
            .ok()
    }

    /// Why objects may not be as they are here, if that is so.
    pub(super) fn stale(&self, now: Timestamp) -> Option<Gap> {
        let failing = self.entries.values().filter(|entry| entry.answered);
        let mut failing = failing.filter_map(|entry| entry.failing.as_ref());
        let (since, gap) = failing.find(|(since, _)| is_stale(now, *since))?;
        Some(gap.clone().since(*since))
    }

    /// The objects, and what is missing from them.
    pub(super) fn listing(&self, now: Timestamp) -> Listing<M> {
        let mut gaps: Vec<Gap> = self.stale(now).into_iter().collect();
        let mut faults = BTreeMap::new();
        let mut items = Vec::new();
        for (key, entry) in &self.entries {
            if !entry.answered {
                let gap = entry
                    .failing
                    .as_ref()
                    .map_or_else(unasked::<M>, |(_, gap)| gap.clone());
                if !gaps.contains(&gap) {
                    gaps.push(gap);
                }
            }
            match entry.arrived.as_ref().map(|arrived| &arrived.object) {
                Some(Ok(object)) => items.push(object.clone()),
                Some(Err(fault)) => {
                    faults.insert(key.clone(), fault.clone());
                }
                None => {}
            }
        }
        gaps.extend(unreadable::<M>(faults.iter()));
        Listing { items, gaps }
    }
}

fn unasked<M: Kept>() -> Gap {
    Gap::new(
        Why::Unavailable,
        format!(
            "get {}: not tried, since the API server is not heard",
            M::resource()
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::sync::Arc;

    use expect_test::expect;
    use serde_json::{Value, json};

    use super::*;
    use crate::model::objects::Claim;

    const REFRESH: Duration = Duration::from_mins(10);

    fn key(name: &str) -> Key {
        ("shop".to_owned(), name.to_owned())
    }

    fn claim(name: &str, status: &Value) -> Arrived<Arc<Claim>> {
        let metadata = json!({"namespace": "shop", "name": name, "resourceVersion": "7"});
        serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap()
    }

    #[test]
    fn objects_are_asked_for_in_time() {
        let mut cache = Cache::<Arc<Claim>>::new(REFRESH);
        let now = (Timestamp::UNIX_EPOCH, Instant::now());
        let mut shown = String::new();
        let mut show = |words: &str, cache: &Cache<Arc<Claim>>, later: u64| {
            let due = cache.due(now.1 + Duration::from_secs(later));
            let due: Vec<String> = due
                .iter()
                .map(|((_, name), version)| {
                    format!("{name}@{}", version.as_deref().unwrap_or("any"))
                })
                .collect();
            let later = i64::try_from(later).unwrap();
            let listing = cache.listing(Timestamp::from_second(later).unwrap());
            let gaps: Vec<String> = listing.gaps.iter().map(ToString::to_string).collect();
            writeln!(
                shown,
                "{words}: due {due:?}, {} known, gaps {gaps:?}",
                listing.items.len()
            )
            .unwrap();
        };
        cache.name(&["done", "grows", "none"].map(key).into(), now.1);
        show("named", &cache, 0);
        cache.put(
            &key("done"),
            Ok(Some(claim("done", &json!({"phase": "Bound"})))),
            now,
        );
        let grows = json!({"phase": "Bound", "allocatedResourceStatuses": {"storage": "NodeResizePending"}});
        cache.put(&key("grows"), Ok(Some(claim("grows", &grows))), now);
        cache.put(&key("none"), Ok(None), now);
        show("answered", &cache, 0);
        show("an interval later", &cache, 30);
        show("much later", &cache, 601);
        cache.doubt(&key("done"), now.1);
        show("in doubt", &cache, 0);
        cache.put(&key("done"), Err(Gap::new(Why::Unavailable, "busy")), now);
        show("failed", &cache, 0);
        cache.put(&key("done"), Err(Gap::new(Why::Denied, "no right")), now);
        show("denied", &cache, 0);
        show("denied for long", &cache, 60);
        cache.name(&["grows"].map(key).into(), now.1);
        show("let go", &cache, 0);
        expect![[r#"
            named: due ["done@any", "grows@any", "none@any"], 0 known, gaps ["get persistentvolumeclaims: not tried, since the API server is not heard (Unavailable)"]
            answered: due [], 2 known, gaps []
            an interval later: due ["grows@7", "none@any"], 2 known, gaps []
            much later: due ["done@7", "grows@7", "none@any"], 2 known, gaps []
            in doubt: due ["done@7"], 2 known, gaps []
            failed: due [], 2 known, gaps []
            denied: due [], 2 known, gaps []
            denied for long: due ["done@7", "grows@7", "none@any"], 2 known, gaps ["no right (Denied)"]
            let go: due [], 1 known, gaps []
        "#]].assert_eq(&shown);
    }
}
