//! How old a problem is: which times are believed, what counts towards its grace.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::history::Said;
use crate::model::finding::{Finding, Problem, RuleVerdicts, State};

/// How far the clock of who observed may be off, the way included, for its times to be believed.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(1);

/// What is remembered of a finding's earlier lives. It goes with the process: then a return is a
/// first appearance, and waits for its whole grace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past {
    /// When the last life ended.
    pub(super) ended: Timestamp,
    /// How long it had lasted until then, as far as that counts towards the grace of the next life.
    pub(super) lasted: SignedDuration,
    /// For how long nobody could tell in the present life: that does not count.
    pub(super) paused: SignedDuration,
    pub(super) flaps: u32,
}

impl Past {
    /// What is added to the time since it was first seen.
    pub(super) fn counts(&self) -> SignedDuration {
        self.lasted.saturating_sub(self.paused)
    }
}

/// By what the age of a problem is judged.
#[derive(Clone, Copy)]
pub(super) struct Judge {
    pub(super) now: Timestamp,
    grace_scale: f64,
    /// Whether times in the facts are believed.
    believes: bool,
}

impl Judge {
    pub(super) fn new(now: Timestamp, grace_scale: f64, observed_at: Option<Timestamp>) -> Self {
        let is_near = |at: Timestamp| now.duration_since(at).abs() <= CLOCK_TOLERANCE;
        Self {
            now,
            grace_scale,
            believes: observed_at.is_none_or(is_near),
        }
    }

    /// From when the facts say that it began; never later than now.
    pub(super) fn since(&self, problem: &Problem) -> Option<Timestamp> {
        let since = problem.since.filter(|_| self.believes)?;
        Some(since.min(self.now))
    }

    /// Whether it has lasted for its grace: since it was first seen, or since the facts say that it
    /// began, whichever is longer; what it lasted before counts too.
    pub(super) fn is_old(
        &self,
        verdicts: &RuleVerdicts,
        problem: &Problem,
        first_seen: Timestamp,
        before: SignedDuration,
    ) -> bool {
        let seen = self.now.duration_since(first_seen).saturating_add(before);
        // Who knows since when has looked all the time.
        let told = self.since(problem).map(|since| {
            let before = before.max(SignedDuration::ZERO);
            self.now.duration_since(since).saturating_add(before)
        });
        told.map_or(seen, |told| told.max(seen)) >= self.grace(verdicts)
    }

    pub(super) fn grace(&self, verdicts: &RuleVerdicts) -> SignedDuration {
        // A grace beyond what can be counted never passes.
        Duration::try_from_secs_f64(verdicts.grace.as_secs_f64() * self.grace_scale)
            .ok()
            .and_then(|grace| SignedDuration::try_from(grace).ok())
            .unwrap_or(SignedDuration::MAX)
    }
}

/// For how long nobody could tell, when somebody can again while it settles: a node that boots was
/// not sick all the time that it was down.
pub(super) fn pause(finding: &Finding, said: &Said<'_>, now: Timestamp) -> Option<SignedDuration> {
    match (said, &finding.state) {
        (Said::Problem(..), State::Unconfirmed { since, .. }) if finding.opened.is_none() => {
            Some(now.duration_since(*since).max(SignedDuration::ZERO))
        }
        _ => None,
    }
}
