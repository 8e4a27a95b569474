//! A year of a cluster of 200 nodes with a finding a minute: two days of it in `cargo test`, all of it
//! in `make soak`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;

use crate::collector::accept::{Accept, Settings};
use crate::collector::packed;
use crate::collector::source::Moment;
use crate::model::finding::{Problem, RuleVerdicts, Severity};
use crate::model::sample;
use crate::model::scan::{Origin, Scan};
use crate::store::{Kept, Location, Store};
use crate::wire;

const NODES: u64 = 200;
const MINUTES_OF_A_DAY: u64 = 24 * 60;

/// 100,000 changes of some 1 KiB, and the present.
const MOST_ON_DISK: u64 = 200 * 1024 * 1024;

fn scan(minute: u64, sequence: u64, sick: bool) -> Scan {
    let mut facts = sample::node();
    facts.node = format!("node-{}", minute % NODES).as_str().into();
    let subject = facts.volumes.items[0].subject(&facts.node);
    let problem = Problem::new(format!("It is sick at minute {minute}."));
    Scan {
        origin: Origin {
            instance: "life".into(),
            sequence,
        },
        version: "0".into(),
        interval: Duration::from_hours(1),
        took: Duration::ZERO,
        verdicts: vec![RuleVerdicts {
            code: "StaleMount".into(),
            severity: Severity::Critical,
            stage: None,
            grace: Duration::ZERO,
            ok: u32::from(!sick),
            problems: sick.then_some((subject, problem)).into_iter().collect(),
            unknowns: Vec::new(),
            gaps: Vec::new(),
        }],
        facts,
    }
}

/// What this process has in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let words = line.unwrap().split_whitespace().nth(1);
    words.unwrap().parse().unwrap()
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "a soak tells its figures")]
async fn a_year_fits() {
    let is_soak = std::env::var_os("CSI_DOCTOR_SOAK").is_some();
    let days = if is_soak { 365 } else { 2 };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let (store, _, writer) = Store::open(&Location::File(file.clone())).unwrap();
    let settings = Settings {
        grace_scale: 1.0,
        silent_after: 1000,
        forget_after: Duration::from_hours(24),
        reports_a_minute: 600,
        publish_every: Duration::ZERO,
    };
    let accept = Accept::new(settings, store, Kept::default());
    let begun = Moment {
        at: sample::noon(),
        clock: Instant::now(),
    };
    let packed = packed::pack(&wire::encode_scan(&scan(0, 1, true)));
    let mut first_day = 0;
    for day in 0..days {
        let mut steps = Vec::new();
        for minute in day * MINUTES_OF_A_DAY..(day + 1) * MINUTES_OF_A_DAY {
            for (half, sick) in [(0, true), (1, false)] {
                let second = minute * 60 + half * 30;
                let moment = Moment {
                    at: begun.at + SignedDuration::from_secs(second.cast_signed()),
                    clock: begun.clock + Duration::from_secs(second),
                };
                let scan = scan(minute, 2 * minute + half + 1, sick);
                steps.push(accept.apply(&scan, Arc::clone(&packed), moment).unwrap());
            }
            if minute % 60 == 0 {
                for step in steps.drain(..) {
                    accept.finish(step).await;
                }
            }
        }
        for step in steps {
            accept.finish(step).await;
        }
        if day == 0 {
            first_day = resident();
        }
    }
    let asked = Instant::now();
    let view = accept.view(Moment::now());
    let took = asked.elapsed();
    assert_eq!(view.nodes.len() as u64, NODES);
    assert_eq!(view.stories, [], "every finding is over");
    assert_eq!(accept.lost(), 0);
    drop(accept);
    writer.finish();
    let on_disk = std::fs::metadata(&file).unwrap().len();
    assert!(on_disk < MOST_ON_DISK, "{on_disk} bytes");
    let last_day = resident();
    if is_soak {
        println!(
            "{days} days: store {on_disk} bytes, view {took:?}, RSS {first_day} kB after the first day, {last_day} kB at the end"
        );
        assert!(
            last_day * 10 <= first_day * 11,
            "RSS {first_day} to {last_day} kB"
        );
        assert!(took < Duration::from_secs(1), "the view took {took:?}");
    }
}
