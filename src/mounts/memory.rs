//! What a prober remembers of superblocks between its rounds: who hangs since when, who is asked
//! again when, and whose root directory is due for a look.
//!
//! It has no clock and no threads: time comes with the round.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::model::mount::DeviceNumber;

use super::state::Suspicion;

/// Between two looks into the root directory of a filesystem that `statfs` does not flatter;
/// spread over the second half, so that thousands do not fall due together.
const INSIDE_EVERY: SignedDuration = SignedDuration::from_mins(5);

/// The longest pause before a filesystem that hung is asked again.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Memory {
    trouble: BTreeMap<DeviceNumber, Trouble>,
    /// When the root directory of a superblock is looked into again.
    inside_due: BTreeMap<DeviceNumber, Timestamp>,
    /// FUSE superblocks that were left alone in the last round, since requests waited.
    spared: BTreeSet<DeviceNumber>,
    /// Those that answered all the same: requests wait there because it is busy.
    busy: BTreeSet<DeviceNumber>,
}

/// A superblock whose probe ran past the deadline.
#[derive(Debug)]
struct Trouble {
    since: Timestamp,
    /// How often in a row.
    times: u32,
    /// When it may be asked again; nothing while the probe is stuck.
    rest_until: Option<Timestamp>,
}

impl Memory {
    /// A probe came back in time; a sick one is looked into again at once.
    pub(super) fn answered(&mut self, now: Timestamp, device: DeviceNumber, sick: bool) {
        self.trouble.remove(&device);
        if self.spared.remove(&device) {
            self.busy.insert(device);
        }
        if sick {
            self.inside_due.insert(device, now);
        }
    }

    /// A probe ran past the deadline; since when that is so.
    pub(super) fn hung(&mut self, now: Timestamp, device: DeviceNumber) -> Timestamp {
        self.inside_due.insert(device, now);
        let trouble = self.trouble.entry(device).or_insert(Trouble {
            since: now,
            times: 0,
            rest_until: None,
        });
        trouble.times = trouble.times.saturating_add(1);
        trouble.rest_until = None;
        trouble.since
    }

    /// A stuck probe has come back: its superblock is asked again after a pause that doubles.
    pub(super) fn returned(&mut self, now: Timestamp, device: DeviceNumber, deadline: Duration) {
        let Some(trouble) = self.trouble.get_mut(&device) else {
            return;
        };
        let doubled = deadline.saturating_mul(1 << trouble.times.saturating_sub(1).min(16));
        let pause = SignedDuration::try_from(doubled)
            .unwrap_or(LONGEST_PAUSE)
            .min(LONGEST_PAUSE);
        trouble.rest_until = Some(now.saturating_add(pause).unwrap_or(Timestamp::MAX));
    }

    /// Forgets superblocks that nobody asks for any more; their numbers will be used again.
    pub(super) fn forget_all_but(
        &mut self,
        asked: impl Fn(DeviceNumber) -> bool,
        stuck: impl Fn(DeviceNumber) -> bool,
    ) {
        self.trouble
            .retain(|device, _| asked(*device) || stuck(*device));
        self.inside_due.retain(|device, _| asked(*device));
        self.spared.retain(|device| asked(*device));
        self.busy.retain(|device| asked(*device));
    }

    /// Why a superblock is not asked in this round, and since when it hangs.
    pub(super) fn left_alone(
        &self,
        now: Timestamp,
        device: DeviceNumber,
    ) -> Option<(String, Timestamp)> {
        let trouble = self.trouble.get(&device)?;
        let reason = match trouble.rest_until {
            None => "an earlier call to this filesystem has not returned".to_owned(),
            Some(until) if now < until => {
                format!("it did not answer in time and is not asked before {until:.0}")
            }
            Some(_) => return None,
        };
        Some((reason, trouble.since))
    }

    /// Why a superblock on which suspicion fell is not asked in this round, and since when it may hang.
    ///
    /// Requests that wait for a FUSE daemon are the rule where much is read and written: the first
    /// round leaves it alone, the second asks, and from there on it is known which of the two it is.
    pub(super) fn suspected(
        &mut self,
        device: DeviceNumber,
        suspicion: Option<&Suspicion>,
    ) -> Option<(String, Timestamp)> {
        match suspicion {
            None => {
                self.spared.remove(&device);
                self.busy.remove(&device);
                None
            }
            Some(Suspicion::Frozen {
                device,
                in_flight,
                since,
            }) => {
                let what = format!(
                    "not made, since {in_flight} requests are in flight on its device {device} and none has ended"
                );
                Some((what, *since))
            }
            Some(Suspicion::Waiting(waiting)) => {
                if self.busy.contains(&device) || !self.spared.insert(device) {
                    return None;
                }
                let what = format!(
                    "not made, since {} requests wait for its daemon",
                    waiting.requests
                );
                Some((what, waiting.since?))
            }
        }
    }

    /// Whether this round looks into the root directory, and notes when the next one does.
    pub(super) fn looks_inside(
        &mut self,
        now: Timestamp,
        device: DeviceNumber,
        fs_type: &str,
    ) -> bool {
        // A shut-down XFS answers statfs as if nothing had happened.
        if fs_type == "xfs" {
            return true;
        }
        if self.inside_due.get(&device).is_some_and(|due| now < *due) {
            return false;
        }
        let half = INSIDE_EVERY / 2;
        let spread = i64::from(device.major) * 31 + i64::from(device.minor);
        let next = half + SignedDuration::from_secs(spread % half.as_secs().max(1));
        let due = now.saturating_add(next).unwrap_or(Timestamp::MAX);
        self.inside_due.insert(device, due);
        true
    }
}
