//! Each row of the table of a finding's life, told as a story.

mod ages;

use std::fmt::Write;
use std::time::Duration;

use expect_test::{Expect, expect};

use super::*;
use crate::model::finding::{Object, Severity};
use crate::model::observed::Why;

const GRACE: u64 = 120;

/// What the one rule says of the one subject, or why it says nothing.
#[derive(Clone, Copy)]
enum Say {
    Problem,
    ProblemSince(i64),
    Unknown,
    Ok,
    Gone,
    Unlisted,
    NoRule,
    Silence,
    End,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn subject() -> Subject {
    Subject {
        object: Object::Driver("d".into()),
        node: Some("n".into()),
    }
}

fn tell(history: &mut History, second: i64, say: Say) -> Vec<Change> {
    let now = at(second);
    let mut verdicts = RuleVerdicts {
        code: "Sick".into(),
        severity: Severity::Warning,
        stage: None,
        grace: Duration::from_secs(GRACE),
        ok: 0,
        problems: Vec::new(),
        unknowns: Vec::new(),
        gaps: Vec::new(),
    };
    let gap = Gap::new(Why::TimedOut, "asking d");
    let mut listed = true;
    match say {
        Say::Problem => verdicts
            .problems
            .push((subject(), Problem::new("d is sick."))),
        Say::ProblemSince(second) => verdicts.problems.push((
            subject(),
            Problem::new("d is sick.").since(Some(at(second))),
        )),
        Say::Unknown => verdicts.unknowns.push((subject(), gap)),
        Say::Ok => verdicts.ok = 1,
        Say::Gone => listed = false,
        Say::Unlisted => {
            listed = false;
            verdicts.gaps.push(gap);
        }
        Say::NoRule => verdicts.code = "Other".into(),
        Say::Silence => return history.silent(now, "the agent is silent"),
        Say::End => return history.end(now),
    }
    let statement = Statement {
        verdicts: &[verdicts],
        subjects: listed.then(subject).into_iter().collect(),
        observed_at: None,
    };
    history.apply(&statement, now, 1.0)
}

/// Tells a story and writes down what became of it.
fn check(story: &[(i64, Say)], expected: &Expect) {
    let mut history = History::default();
    let mut text = String::new();
    for (second, say) in story {
        let changes = tell(&mut history, *second, *say);
        let line = match changes.as_slice() {
            [] => "-".to_owned(),
            [change] => format!("{}{}", change.kind.as_str(), shown(&change.finding)),
            _ => unreachable!("one subject has one change"),
        };
        writeln!(text, "{second:>5} {line}").unwrap();
    }
    text.push_str(match history.findings().count() {
        0 => "over\n",
        _ => "goes on\n",
    });
    expected.assert_eq(&text);
}

fn shown(finding: &Finding) -> String {
    let seconds = |time: Timestamp| time.as_second() - 1_000_000;
    let state = match &finding.state {
        State::Settling => "is settling".to_owned(),
        State::Open => "is open".to_owned(),
        State::Unconfirmed { since, why } => {
            format!("is unconfirmed since {}: {why}", seconds(*since))
        }
        State::Resolved { at, how } => {
            format!("is resolved at {}: {}", seconds(*at), how.as_str())
        }
    };
    let opened = finding
        .opened
        .map_or("never".to_owned(), |opened| seconds(opened).to_string());
    let flaps = match finding.flaps {
        0 => String::new(),
        times => format!(", flapped {times}"),
    };
    format!(
        " → {state}; first seen {}, opened {opened}, confirmed {}{flaps}",
        seconds(finding.first_seen),
        seconds(finding.last_confirmed)
    )
}

#[test]
fn a_problem_settles_opens_and_resolves() {
    check(
        &[
            (0, Say::Problem),
            (60, Say::Problem),
            (120, Say::Problem),
            (180, Say::Problem),
            (240, Say::Ok),
        ],
        &expect![[r#"
                0 settling → is settling; first seen 0, opened never, confirmed 0
               60 -
              120 opened → is open; first seen 0, opened 120, confirmed 120
              180 -
              240 resolved → is resolved at 240: ok; first seen 0, opened 120, confirmed 180
            over
        "#]],
    );
}

#[test]
fn what_goes_within_its_grace_is_forgotten() {
    check(
        &[(0, Say::Problem), (60, Say::Ok)],
        &expect![[r#"
            0 settling → is settling; first seen 0, opened never, confirmed 0
           60 forgotten → is resolved at 60: ok; first seen 0, opened never, confirmed 0
        over
    "#]],
    );
    check(
        &[(0, Say::Problem), (60, Say::Gone)],
        &expect![[r#"
            0 settling → is settling; first seen 0, opened never, confirmed 0
           60 forgotten → is resolved at 60: subject gone; first seen 0, opened never, confirmed 0
        over
    "#]],
    );
}

#[test]
fn the_facts_know_since_when() {
    check(
        &[(0, Say::ProblemSince(-500))],
        &expect![[r#"
            0 opened → is open; first seen -500, opened 0, confirmed 0
        goes on
    "#]],
    );
    check(
        &[(0, Say::ProblemSince(-60)), (60, Say::ProblemSince(-60))],
        &expect![[r#"
                0 settling → is settling; first seen -60, opened never, confirmed 0
               60 opened → is open; first seen -60, opened 60, confirmed 60
            goes on
        "#]],
    );
}

#[test]
fn a_time_in_the_future_is_now() {
    check(
        &[
            (0, Say::ProblemSince(86_400)),
            (60, Say::ProblemSince(86_400)),
            (120, Say::Problem),
        ],
        &expect![[r#"
                0 settling → is settling; first seen 0, opened never, confirmed 0
               60 -
              120 opened → is open; first seen 0, opened 120, confirmed 120
            goes on
        "#]],
    );
}

#[test]
fn an_unknown_neither_opens_nor_resolves() {
    check(
        &[
            (0, Say::Problem),
            (60, Say::Unknown),
            (180, Say::Unknown),
            (240, Say::Problem),
            (300, Say::Problem),
            (360, Say::Unknown),
            (380, Say::Problem),
            (420, Say::Unknown),
            (480, Say::Ok),
        ],
        &expect![[r#"
                0 settling → is settling; first seen 0, opened never, confirmed 0
               60 unconfirmed → is unconfirmed since 60: asking d (TimedOut); first seen 0, opened never, confirmed 0
              180 -
              240 confirmed → is settling; first seen 0, opened never, confirmed 240
              300 opened → is open; first seen 0, opened 300, confirmed 300
              360 unconfirmed → is unconfirmed since 360: asking d (TimedOut); first seen 0, opened 300, confirmed 300
              380 confirmed → is open; first seen 0, opened 300, confirmed 380
              420 unconfirmed → is unconfirmed since 420: asking d (TimedOut); first seen 0, opened 300, confirmed 380
              480 resolved → is resolved at 480: ok; first seen 0, opened 300, confirmed 380
            over
        "#]],
    );
}

#[test]
fn a_settling_one_that_is_confirmed_again_goes_on_settling() {
    check(
        &[
            (0, Say::Problem),
            (30, Say::Unknown),
            (60, Say::Problem),
            (90, Say::Unknown),
            (100, Say::Ok),
        ],
        &expect![[r#"
                0 settling → is settling; first seen 0, opened never, confirmed 0
               30 unconfirmed → is unconfirmed since 30: asking d (TimedOut); first seen 0, opened never, confirmed 0
               60 confirmed → is settling; first seen 0, opened never, confirmed 60
               90 unconfirmed → is unconfirmed since 90: asking d (TimedOut); first seen 0, opened never, confirmed 60
              100 forgotten → is resolved at 100: ok; first seen 0, opened never, confirmed 60
            over
        "#]],
    );
}

#[test]
fn absence_is_recovery_only_when_the_list_is_complete() {
    let open = [(0, Say::Problem), (120, Say::Problem)];
    check(
        &[open[0], open[1], (180, Say::Gone)],
        &expect![[r#"
            0 settling → is settling; first seen 0, opened never, confirmed 0
          120 opened → is open; first seen 0, opened 120, confirmed 120
          180 resolved → is resolved at 180: subject gone; first seen 0, opened 120, confirmed 120
        over
    "#]],
    );
    check(
        &[open[0], open[1], (180, Say::Unlisted)],
        &expect![[r#"
            0 settling → is settling; first seen 0, opened never, confirmed 0
          120 opened → is open; first seen 0, opened 120, confirmed 120
          180 unconfirmed → is unconfirmed since 180: driver d on node n may exist unseen: asking d (TimedOut); first seen 0, opened 120, confirmed 120
        goes on
    "#]],
    );
    check(
        &[open[0], open[1], (180, Say::NoRule)],
        &expect![[r#"
            0 settling → is settling; first seen 0, opened never, confirmed 0
          120 opened → is open; first seen 0, opened 120, confirmed 120
          180 unconfirmed → is unconfirmed since 180: Sick was not judged; first seen 0, opened 120, confirmed 120
        goes on
    "#]],
    );
}

#[test]
fn silence_makes_all_unconfirmed() {
    check(
        &[
            (0, Say::Problem),
            (120, Say::Problem),
            (300, Say::Silence),
            (360, Say::Silence),
            (420, Say::Problem),
        ],
        &expect![[r#"
                0 settling → is settling; first seen 0, opened never, confirmed 0
              120 opened → is open; first seen 0, opened 120, confirmed 120
              300 unconfirmed → is unconfirmed since 300: the agent is silent; first seen 0, opened 120, confirmed 120
              360 -
              420 confirmed → is open; first seen 0, opened 120, confirmed 420
            goes on
        "#]],
    );
    check(
        &[(0, Say::Problem), (60, Say::Silence)],
        &expect![[r#"
            0 settling → is settling; first seen 0, opened never, confirmed 0
           60 unconfirmed → is unconfirmed since 60: the agent is silent; first seen 0, opened never, confirmed 0
        goes on
    "#]],
    );
}

#[test]
fn a_flapping_problem_is_no_younger_for_it() {
    check(
        &[
            (0, Say::Problem),
            (60, Say::Ok),
            (90, Say::Problem),
            (150, Say::Problem),
            (180, Say::Ok),
            (210, Say::Problem),
        ],
        &expect![[r#"
                0 settling → is settling; first seen 0, opened never, confirmed 0
               60 forgotten → is resolved at 60: ok; first seen 0, opened never, confirmed 0
               90 settling → is settling; first seen 90, opened never, confirmed 90, flapped 1
              150 opened → is open; first seen 90, opened 150, confirmed 150, flapped 1
              180 resolved → is resolved at 180: ok; first seen 90, opened 150, confirmed 150, flapped 1
              210 opened → is open; first seen 210, opened 210, confirmed 210, flapped 2
            goes on
        "#]],
    );
}

#[test]
fn what_was_well_for_its_grace_starts_anew() {
    check(
        &[
            (0, Say::Problem),
            (110, Say::Ok),
            (230, Say::Problem),
            (340, Say::Problem),
            (350, Say::Problem),
            (400, Say::Ok),
            (4000, Say::Problem),
        ],
        &expect![[r#"
                0 settling → is settling; first seen 0, opened never, confirmed 0
              110 forgotten → is resolved at 110: ok; first seen 0, opened never, confirmed 0
              230 settling → is settling; first seen 230, opened never, confirmed 230, flapped 1
              340 -
              350 opened → is open; first seen 230, opened 350, confirmed 350, flapped 1
              400 resolved → is resolved at 400: ok; first seen 230, opened 350, confirmed 350, flapped 1
             4000 settling → is settling; first seen 4000, opened never, confirmed 4000, flapped 2
            goes on
        "#]],
    );
}

#[test]
fn a_source_that_is_gone_takes_its_findings_along() {
    check(
        &[
            (0, Say::Problem),
            (120, Say::Problem),
            (300, Say::Silence),
            (9000, Say::End),
        ],
        &expect![[r#"
                0 settling → is settling; first seen 0, opened never, confirmed 0
              120 opened → is open; first seen 0, opened 120, confirmed 120
              300 unconfirmed → is unconfirmed since 300: the agent is silent; first seen 0, opened 120, confirmed 120
             9000 resolved → is resolved at 9000: source gone; first seen 0, opened 120, confirmed 120
            over
        "#]],
    );
}

#[test]
fn a_problem_outweighs_an_unknown_of_the_same_rule() {
    let verdicts = [RuleVerdicts {
        code: "Sick".into(),
        severity: Severity::Warning,
        stage: None,
        grace: Duration::ZERO,
        ok: 0,
        problems: vec![
            (subject(), Problem::new("first.")),
            (subject(), Problem::new("second.")),
        ],
        unknowns: vec![(subject(), Gap::new(Why::Denied, "x"))],
        gaps: Vec::new(),
    }];
    let statement = Statement {
        verdicts: &verdicts,
        subjects: BTreeSet::new(),
        observed_at: None,
    };
    let mut history = History::default();
    let changes = history.apply(&statement, at(0), 1.0);
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].finding.problem.message, "first.");
    assert!(history.apply(&statement, at(1), 1.0).is_empty());
}

#[test]
fn a_history_goes_on_after_a_restart() {
    let mut before = History::default();
    tell(&mut before, 0, Say::Problem);
    let kept: Vec<_> = before.findings().cloned().collect();
    let mut after = History::from_findings(kept);
    let changes = tell(&mut after, 120, Say::Problem);
    assert_eq!(changes[0].kind, ChangeKind::Opened);
    assert_eq!(changes[0].finding.first_seen, at(0));
}
