//! How long a plugin, or a volume behind it, is left alone after it did not answer.
//!
//! A call that is given up goes on inside the plugin, and the next one for the same volume would
//! only join it there. It knows neither sockets nor calls.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::names::VolumeHandle;
use crate::model::observed::{Gap, Why};

/// So many calls in a row without an answer, and it is the plugin that does not answer, not a volume.
const PLUGIN_SILENT: u32 = 3;

/// The first pause, in deadlines; each further one is twice as long.
const FIRST_PAUSE: u32 = 4;

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// What is remembered of one plugin's silence.
#[derive(Debug, Default)]
pub(super) struct Patience {
    volumes: BTreeMap<VolumeHandle, Silence>,
    plugin: Option<Silence>,
}

#[derive(Debug, Clone, Copy)]
struct Silence {
    since: Timestamp,
    /// Calls in a row.
    times: u32,
    until: Instant,
}

impl Silence {
    /// One more call without an answer; the pause begins with the `tolerated`-th.
    fn more(
        before: Option<Self>,
        now: Timestamp,
        instant: Instant,
        deadline: Duration,
        tolerated: u32,
    ) -> Self {
        let times = before.map_or(0, |silence| silence.times).saturating_add(1);
        let pause = match times.checked_sub(tolerated) {
            None => Duration::ZERO,
            Some(more) => deadline
                .saturating_mul(FIRST_PAUSE << more.min(16))
                .min(LONGEST_PAUSE),
        };
        Self {
            since: before.map_or(now, |silence| silence.since),
            times,
            until: instant + pause,
        }
    }
}

impl Patience {
    /// Why a volume is not asked for at present.
    pub(super) fn left_alone(&self, volume: &VolumeHandle, instant: Instant) -> Option<Gap> {
        if let Some(silence) = self.volumes.get(volume)
            && instant < silence.until
        {
            let what = format!(
                "call NodeGetVolumeStats for volume {volume}: no answer {}; it is left alone for a while",
                in_words(silence.times)
            );
            return Some(Gap::new(Why::TimedOut, what).since(silence.since));
        }
        let silence = self.plugin.filter(|silence| instant < silence.until)?;
        let what = format!(
            "call NodeGetVolumeStats for volume {volume}: not tried, since the plugin left the last {} calls without an answer",
            silence.times
        );
        Some(Gap::new(Why::NotAsked, what).since(silence.since))
    }

    /// A volume's call ran past the deadline; since when that is so.
    pub(super) fn silent(
        &mut self,
        volume: &VolumeHandle,
        now: Timestamp,
        instant: Instant,
        deadline: Duration,
    ) -> Timestamp {
        // Volumes that have gone are never answered for: they are forgotten by age.
        self.volumes
            .retain(|_, silence| instant < silence.until + 2 * LONGEST_PAUSE);
        let before = self.volumes.get(volume).copied();
        let silence = Silence::more(before, now, instant, deadline, 1);
        self.volumes.insert(volume.clone(), silence);
        let plugin = Silence::more(self.plugin, now, instant, deadline, PLUGIN_SILENT);
        self.plugin = Some(plugin);
        silence.since
    }

    /// A volume's call was answered, if only by an error.
    pub(super) fn answered(&mut self, volume: &VolumeHandle) {
        self.volumes.remove(volume);
        self.plugin = None;
    }
}

fn in_words(times: u32) -> String {
    match times {
        1 => "to the last call".to_owned(),
        more => format!("to the last {more} calls"),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(2);

    fn check(patience: &Patience, volume: &str, at: Instant, expected: &Expect) {
        let shown = match patience.left_alone(&volume.into(), at) {
            Some(gap) => gap.to_string(),
            None => "asked".to_owned(),
        };
        expected.assert_eq(&shown);
    }

    fn silent(patience: &mut Patience, volume: &str, at: Instant) {
        patience.silent(&volume.into(), Timestamp::UNIX_EPOCH, at, DEADLINE);
    }

    #[test]
    fn a_silent_volume_rests_and_the_others_do_not() {
        let start = Instant::now();
        let mut patience = Patience::default();
        silent(&mut patience, "a", start);
        check(
            &patience,
            "a",
            start,
            &expect![
                "call NodeGetVolumeStats for volume a: no answer to the last call; it is left alone for a while (TimedOut)"
            ],
        );
        check(&patience, "b", start, &expect!["asked"]);
        let later = start + 4 * DEADLINE;
        check(&patience, "a", later, &expect!["asked"]);
        silent(&mut patience, "a", later);
        check(
            &patience,
            "a",
            later + 7 * DEADLINE,
            &expect![
                "call NodeGetVolumeStats for volume a: no answer to the last 2 calls; it is left alone for a while (TimedOut)"
            ],
        );
        check(&patience, "a", later + 8 * DEADLINE, &expect!["asked"]);
        patience.answered(&"a".into());
        check(&patience, "a", later, &expect!["asked"]);
    }

    #[test]
    fn a_silent_plugin_rests_as_a_whole() {
        let start = Instant::now();
        let mut patience = Patience::default();
        for volume in ["a", "b", "c"] {
            check(&patience, volume, start, &expect!["asked"]);
            silent(&mut patience, volume, start);
        }
        check(
            &patience,
            "d",
            start,
            &expect![
                "call NodeGetVolumeStats for volume d: not tried, since the plugin left the last 3 calls without an answer (NotAsked)"
            ],
        );
        check(&patience, "d", start + 4 * DEADLINE, &expect!["asked"]);
        patience.answered(&"d".into());
        check(&patience, "e", start, &expect!["asked"]);
    }
}
