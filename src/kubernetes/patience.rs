//! How long to wait before asking again: longer each time, and never all at the same moment.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// The first pause after a failure.
const FIRST: Duration = Duration::from_secs(1);

/// The longest: an API server that is back is heard within half a minute.
const LONGEST: Duration = Duration::from_secs(20);

/// Failures in a row.
#[derive(Debug, Default)]
pub(super) struct Patience {
    failures: u32,
}

impl Patience {
    /// It went well.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// It failed once more: how long to wait, at least as long as the server asks.
    pub(super) fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        jittered(doubled.min(LONGEST)).max(asked.unwrap_or_default().min(LONGEST))
    }
}

/// Between half of a time and the whole of it.
pub(super) fn jittered(whole: Duration) -> Duration {
    whole.mul_f64(0.5 + fraction() / 2.0)
}

/// A number from 0 to 1. Hash keys are random, and nothing here needs a better source.
fn fraction() -> f64 {
    let random = RandomState::new().hash_one(0_u8) >> 32;
    f64::from(u32::try_from(random).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound_and_differ() {
        let mut patience = Patience::default();
        for doubled in [1, 2, 4, 8, 16, 20, 20] {
            let pause = patience.pause(None).as_secs_f64();
            let whole = f64::from(doubled);
            assert!((whole / 2.0..=whole).contains(&pause), "{pause}");
        }
        patience.reset();
        assert!(patience.pause(None) <= FIRST);
        assert_eq!(
            patience.pause(Some(Duration::from_secs(9))),
            Duration::from_secs(9)
        );
        assert!(patience.pause(Some(Duration::from_hours(1))) <= LONGEST);
    }
}
