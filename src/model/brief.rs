//! What a node said last, in short: all of it that is needed often. The scan itself lies packed.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use jiff::Timestamp;

use crate::model::driver::Driver;
use crate::model::finding::{Finding, Object};
use crate::model::names::DriverName;
use crate::model::observed::Gap;
use crate::model::scan::Scan;
use crate::model::view::RuleCount;
use crate::model::volume::Volume;

/// A scan in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    /// When the node was seen so, by its own clock.
    pub observed_at: Timestamp,
    /// The version of its agent.
    pub agent_version: String,
    /// How often the agent wants to report; nothing where it does not say so.
    pub interval: Duration,
    /// How many volumes it has.
    pub volumes: usize,
    /// How many of them each driver serves.
    pub served: BTreeMap<DriverName, usize>,
    /// Its drivers.
    pub drivers: Vec<Driver>,
    /// What could not be seen, each once.
    pub gaps: BTreeSet<Gap>,
    /// How often each rule said what.
    pub rules: Vec<RuleCount>,
    /// The volumes that findings are about.
    pub judged: Vec<Volume>,
    names: Names,
}

impl Brief {
    /// The scan in short, with no finding yet.
    pub fn of(scan: &Scan) -> Self {
        let facts = &scan.facts;
        let volumes = &facts.volumes;
        let mut served = BTreeMap::new();
        for volume in &volumes.items {
            if let Some(count) = served.get_mut(&volume.driver) {
                *count += 1;
            } else {
                served.insert(volume.driver.clone(), 1);
            }
        }
        let gaps = facts.gaps.iter().chain(&volumes.gaps);
        Self {
            observed_at: facts.observed_at,
            agent_version: scan.version.clone(),
            interval: scan.interval,
            volumes: volumes.items.len(),
            served,
            drivers: facts.drivers.items.clone(),
            gaps: gaps.chain(&facts.drivers.gaps).cloned().collect(),
            rules: scan.verdicts.iter().map(RuleCount::of).collect(),
            judged: Vec::new(),
            names: Names::of(&volumes.items),
        }
    }

    /// Keeps the volumes that these findings are about: as the scan has them, else as they were known
    /// before, since a finding can outlast what is seen of its volume.
    pub fn judge<'a>(
        &mut self,
        scan: &Scan,
        findings: impl Iterator<Item = &'a Finding>,
        before: &[Volume],
    ) {
        let mut objects: BTreeSet<Object> = findings
            .map(|finding| finding.key.subject.object.clone())
            .collect();
        if objects.is_empty() {
            return;
        }
        let volumes = scan.facts.volumes.items.iter();
        let judged = volumes.filter(|volume| objects.contains(&volume.object()));
        self.judged = judged.cloned().collect();
        for volume in &self.judged {
            objects.remove(&volume.object());
        }
        let unseen = before.iter();
        let unseen = unseen.filter(|volume| objects.contains(&volume.object()));
        self.judged.extend(unseen.cloned());
    }

    /// Where in the scan the volumes are that may go by this name, in this namespace; empty for any.
    /// Who asks looks again: it may be one too many, and is never one too few.
    pub fn named(&self, namespace: &str, name: &str) -> Vec<u32> {
        match (namespace, name) {
            ("", "") => (0..u32::try_from(self.volumes).unwrap_or(u32::MAX)).collect(),
            ("", one) | (one, "") => self.names.find(one),
            _ => {
                let within = self.names.find(namespace);
                let mut named = self.names.find(name);
                named.retain(|position| within.binary_search(position).is_ok());
                named
            }
        }
    }
}

/// Which volume is known by which word, as hashes: the words themselves are ten times as long.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Names(Box<[(u32, u32)]>);

impl Names {
    fn of(volumes: &[Volume]) -> Self {
        let mut names = Vec::with_capacity(5 * volumes.len());
        for (position, volume) in (0..).zip(volumes) {
            let words = volume.namespaces().chain(volume.names());
            names.extend(words.map(|word| (hash(word), position)));
        }
        names.sort_unstable();
        names.dedup();
        Self(names.into_boxed_slice())
    }

    fn find(&self, word: &str) -> Vec<u32> {
        let wanted = hash(word);
        let begin = self.0.partition_point(|(hash, _)| *hash < wanted);
        let found = self.0[begin..].iter();
        let found = found.take_while(|(hash, _)| *hash == wanted);
        found.map(|(_, position)| *position).collect()
    }
}

fn hash(word: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    word.hash(&mut hasher);
    // Half of it is enough: who asks looks again.
    (hasher.finish() >> 32) as u32
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::finding::{Key, Problem, Severity, State};
    use crate::model::sample;
    use crate::model::scan::Origin;

    fn scan() -> Scan {
        let mut facts = sample::node();
        let mut other = facts.volumes.items[0].clone();
        other.spec_name = "pvc-22".into();
        let claim = Arc::make_mut(other.claim.as_mut().unwrap());
        claim.claim.name = "invoices".into();
        facts.volumes.items.push(other);
        let gap = facts.drivers.items[0].plugin.gap().cloned();
        facts.gaps.extend(gap);
        Scan {
            origin: Origin {
                instance: "a".into(),
                sequence: 1,
            },
            version: "1.2.3".into(),
            interval: Duration::from_mins(1),
            took: Duration::ZERO,
            verdicts: Vec::new(),
            facts,
        }
    }

    #[test]
    fn volumes_are_found_by_their_words() {
        let brief = Brief::of(&scan());
        let named = |namespace, name| brief.named(namespace, name);
        assert_eq!(named("", ""), [0, 1]);
        assert_eq!(named("shop", ""), [0, 1]);
        assert_eq!(named("", "pvc-22"), [1]);
        assert_eq!(named("shop", "orders-db"), [0]);
        assert_eq!(named("", "vol-11"), [0, 1]);
        assert!(named("hall", "orders-db").is_empty());
        assert!(named("", "nowhere").is_empty());
    }

    #[test]
    fn a_volume_out_of_sight_stays_known_to_its_finding() {
        let mut scan = scan();
        let finding = Finding {
            key: Key {
                code: "Full".into(),
                subject: scan.facts.volumes.items[1].subject(&scan.facts.node),
            },
            severity: Severity::Warning,
            stage: None,
            state: State::Open,
            first_seen: sample::noon(),
            opened: None,
            last_confirmed: sample::noon(),
            flaps: 0,
            problem: Problem::new("Full."),
        };
        let mut before = Brief::of(&scan);
        before.judge(&scan, std::iter::once(&finding), &[]);
        let names = |brief: &Brief| {
            brief
                .judged
                .iter()
                .map(|one| one.spec_name.to_string())
                .collect()
        };
        let judged: Vec<String> = names(&before);
        assert_eq!(judged, ["pvc-22"]);
        scan.facts.volumes.items.clear();
        let mut brief = Brief::of(&scan);
        brief.judge(&scan, std::iter::once(&finding), &before.judged);
        assert_eq!(names(&brief), judged);
        brief.judged.clear();
        brief.judge(&scan, std::iter::empty(), &before.judged);
        assert_eq!(brief.judged, []);
    }

    #[test]
    fn drivers_are_counted_by_volumes() {
        let brief = Brief::of(&scan());
        assert_eq!(brief.volumes, 2);
        assert_eq!(brief.served, [("disk.example.com".into(), 2)].into());
    }
}
