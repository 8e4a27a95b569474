//! The table: all matchers of all files, compiled once, and the choice among those that fit.
//!
//! Knows how to weigh matchers against each other and nothing of what they say.

use std::sync::LazyLock;

use crate::causes::layers::{Nested, Phase};
use crate::causes::matcher::Matcher;
use crate::causes::needles::Needles;
use crate::causes::{
    attach, aws, azure_google, block_tools, ceph, cloud_codes, clouds, control_plane, errno,
    filesystems, fuse, general, grpc, intree, kubelet, mount, mount_codes, object_stores, objects,
    plain, plain_limits, requests, scheduler, sidecars, storage, systems, transport, vendors,
    vsphere, windows,
};

/// Every group of matchers. Among equals the earlier one wins.
const GROUPS: &[&[Matcher]] = &[
    objects::TABLE,
    sidecars::TABLE,
    scheduler::TABLE,
    kubelet::TABLE,
    attach::TABLE,
    filesystems::TABLE,
    transport::TABLE,
    ceph::TABLE,
    fuse::TABLE,
    mount::TABLE,
    aws::TABLE,
    azure_google::TABLE,
    clouds::TABLE,
    vsphere::TABLE,
    storage::TABLE,
    intree::TABLE,
    windows::TABLE,
    vendors::TABLE,
    object_stores::TABLE,
    control_plane::TABLE,
    block_tools::TABLE,
    mount_codes::TABLE,
    cloud_codes::TABLE,
    systems::TABLE,
    errno::TABLE,
    grpc::TABLE,
    requests::TABLE,
    general::TABLE,
    plain::TABLE,
    plain_limits::TABLE,
];

/// As near as a noun and what is said of it stand in one clause, a name or an identifier between.
const NEAR: usize = 90;

/// A matcher whose words are numbers.
struct Row {
    matcher: &'static Matcher,
    all: Vec<usize>,
    any: Vec<usize>,
    with: Vec<usize>,
    none: Vec<usize>,
}

struct Table {
    needles: Needles,
    rows: Vec<Row>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let matchers = || GROUPS.iter().flat_map(|group| group.iter());
    let needles = Needles::new(matchers().flat_map(|matcher| {
        [matcher.all, matcher.any, matcher.with, matcher.none]
            .into_iter()
            .flatten()
            .copied()
    }));
    let numbers = |words: &[&str]| -> Vec<usize> {
        words
            .iter()
            .filter_map(|word| needles.number(word))
            .collect()
    };
    let rows = matchers()
        .map(|matcher| Row {
            matcher,
            all: numbers(matcher.all),
            any: numbers(matcher.any),
            with: numbers(matcher.with),
            none: numbers(matcher.none),
        })
        .collect();
    Table { needles, rows }
});

/// Where a word was found: its first and its last start.
#[derive(Clone, Copy)]
struct Seen {
    first: usize,
    last: usize,
}

struct Words {
    seen: Vec<Option<Seen>>,
}

impl Words {
    fn read(needles: &Needles, text: &str) -> Words {
        let mut seen: Vec<Option<Seen>> = vec![None; needles.len()];
        needles.scan(text, |needle, start, _| match &mut seen[needle] {
            Some(seen) => seen.last = start,
            unseen => {
                *unseen = Some(Seen {
                    first: start,
                    last: start,
                });
            }
        });
        Words { seen }
    }

    /// The last place of any of these.
    fn any(&self, words: &[usize]) -> Option<usize> {
        words
            .iter()
            .filter_map(|word| self.seen[*word])
            .map(|seen| seen.last)
            .max()
    }

    /// The place of the last of these, if all are there in order.
    fn ordered(&self, words: &[usize]) -> Option<usize> {
        let mut earliest = 0;
        let mut place = None;
        for word in words {
            let seen = self.seen[*word]?;
            if seen.last < earliest {
                return None;
            }
            // Of a word that stands before and after, only a later place can follow the last one.
            earliest = seen.first.max(earliest);
            place = Some(seen.last);
        }
        place
    }

    /// Whether a noun and what is said of it stand near each other in the same layer. Of a word that
    /// is there often, the first and the last place are looked at.
    fn near(&self, layers: &Nested, nouns: &[usize], said: &[usize]) -> bool {
        let places = |words: &[usize]| -> Vec<usize> {
            words
                .iter()
                .filter_map(|word| self.seen[*word])
                .flat_map(|seen| [seen.first, seen.last])
                .collect()
        };
        let said_at = places(said);
        let joined = |noun: usize, said: usize| {
            noun.abs_diff(said) <= NEAR && layers.depth(noun) == layers.depth(said)
        };
        places(nouns)
            .into_iter()
            .any(|noun| said_at.iter().any(|said| joined(noun, *said)))
    }

    /// Where a row's words stand, if it fits.
    fn place(&self, nested: &Nested, row: &Row) -> Option<usize> {
        let all = self.ordered(&row.all);
        if all.is_none() && !row.all.is_empty() {
            return None;
        }
        let any = self.any(&row.any);
        if any.is_none() && !row.any.is_empty() {
            return None;
        }
        if !row.with.is_empty() && self.any(&row.with).is_none() {
            return None;
        }
        if row.matcher.near && !self.near(nested, &row.any, &row.with) {
            return None;
        }
        if self.any(&row.none).is_some() {
            return None;
        }
        all.max(any)
    }
}

/// The matcher that says most about a text: the strongest, of these the innermost, of these the
/// surest, of these the first.
pub(super) fn best(text: &str, nested: &Nested, phase: Option<Phase>) -> Option<&'static Matcher> {
    let table = &*TABLE;
    let words = Words::read(&table.needles, text);
    let mut best: Option<((_, _, _), &'static Matcher)> = None;
    for row in &table.rows {
        let matcher = row.matcher;
        let phase_fits =
            matcher.phases.is_empty() || phase.is_some_and(|phase| matcher.phases.contains(&phase));
        let code_fits = matcher.codes.is_empty()
            || nested
                .code
                .is_some_and(|code| matcher.codes.contains(&code));
        if !phase_fits || !code_fits {
            continue;
        }
        let Some(place) = words.place(nested, row) else {
            continue;
        };
        let rank = (
            matcher.strength,
            nested.depth(place),
            matcher.confidence == crate::model::cause::Confidence::Stated,
        );
        if best.is_none_or(|(other, _)| rank > other) {
            best = Some((rank, matcher));
        }
    }
    best.map(|(_, matcher)| matcher)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causes::needles::fold;
    use crate::model::cause::Confidence;

    /// A word that is not folded can never be found.
    #[test]
    fn words_are_written_folded() {
        for matcher in GROUPS.iter().flat_map(|group| group.iter()) {
            assert!(!matcher.all.is_empty() || !matcher.any.is_empty());
            for word in [matcher.all, matcher.any, matcher.with, matcher.none]
                .into_iter()
                .flatten()
            {
                assert!(!word.is_empty());
                assert!(word.bytes().all(|byte| fold(byte) == byte), "{word}");
                assert!(!word.contains("  "), "{word}");
            }
        }
    }

    /// A likely cause is named with the others that the wording can have.
    #[test]
    fn likely_causes_have_company() {
        for matcher in GROUPS.iter().flat_map(|group| group.iter()) {
            assert_eq!(
                matcher.confidence == Confidence::Likely,
                !matcher.others.is_empty(),
                "{:?} {:?}",
                matcher.all,
                matcher.any
            );
            assert!(!matcher.others.contains(&matcher.cause));
        }
    }
}
