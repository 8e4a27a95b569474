//! The life of findings of one source over time: settling, open, unconfirmed, over.
//!
//! One history per source (a node's agent, the rules of the cluster), with one writer. It is told
//! complete statements and moments; it knows no clock, no store and no other source. Age is judged
//! by the time of receipt; a time in the facts only ever makes a problem older, never younger than now.

#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::model::finding::{
    Code, Finding, Key, Problem, Resolution, RuleVerdicts, State, Subject,
};
use crate::model::observed::Gap;
use crate::model::scan::Scan;

/// The findings of one source that are not over.
#[derive(Debug, Clone, Default)]
pub struct History {
    findings: BTreeMap<Key, Finding>,
}

/// All that a source says at one moment.
#[derive(Debug)]
pub struct Statement<'a> {
    /// What its rules say.
    pub verdicts: &'a [RuleVerdicts],
    /// The subjects that it saw: one of these with neither problem nor unknown is ok.
    pub subjects: BTreeSet<Subject>,
}

impl<'a> From<&'a Scan> for Statement<'a> {
    fn from(scan: &'a Scan) -> Self {
        Self {
            verdicts: &scan.verdicts,
            subjects: scan.facts.subjects(),
        }
    }
}

/// A step in a finding's life, with the finding as it is after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which step.
    pub kind: ChangeKind,
    /// The finding after it.
    pub finding: Finding,
}

/// The steps of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// It was seen for the first time, and may go by itself.
    Settling,
    /// It lasts, or has no grace: it counts from now on.
    Opened,
    /// It is as before, in other words or of another severity.
    Refreshed,
    /// Nobody can tell any more.
    Unconfirmed,
    /// It can be told again, and is as before.
    Confirmed,
    /// It was open and is over.
    Resolved,
    /// It never opened and is over.
    Forgotten,
}

impl ChangeKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settling => "settling",
            Self::Opened => "opened",
            Self::Refreshed => "refreshed",
            Self::Unconfirmed => "unconfirmed",
            Self::Confirmed => "confirmed",
            Self::Resolved => "resolved",
            Self::Forgotten => "forgotten",
        }
    }

    /// Whether the finding is over after it.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Resolved | Self::Forgotten)
    }
}

/// What a statement says about one finding of before.
enum Said<'a> {
    Problem(&'a RuleVerdicts, &'a Problem),
    Unknown(String),
    Over(Resolution),
}

impl History {
    /// The history that these findings are the present of; what is over is left out.
    pub fn from_findings(findings: impl IntoIterator<Item = Finding>) -> Self {
        Self {
            findings: findings
                .into_iter()
                .filter(|finding| !matches!(finding.state, State::Resolved { .. }))
                .map(|finding| (finding.key.clone(), finding))
                .collect(),
        }
    }

    /// The findings that are not over, by key.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.values()
    }

    /// Takes a statement, received now. A problem opens when it has lasted for its rule's grace
    /// times `grace_scale`.
    pub fn apply(
        &mut self,
        statement: &Statement<'_>,
        now: Timestamp,
        grace_scale: f64,
    ) -> Vec<Change> {
        let mut rules: BTreeMap<&Code, Rule<'_>> = BTreeMap::new();
        for verdicts in statement.verdicts {
            rules
                .entry(&verdicts.code)
                .or_insert_with(|| Rule::of(verdicts));
        }
        let mut changes = Vec::new();
        self.findings.retain(|key, finding| {
            let said = said(key, rules.get(&key.code), &statement.subjects);
            let kind = step(finding, said, now, grace_scale);
            changes.extend(kind.map(|kind| Change {
                kind,
                finding: finding.clone(),
            }));
            !kind.is_some_and(ChangeKind::is_end)
        });
        for rule in rules.values() {
            for (subject, problem) in &rule.problems {
                let key = Key {
                    code: rule.verdicts.code.clone(),
                    subject: (*subject).clone(),
                };
                self.findings.entry(key).or_insert_with_key(|key| {
                    let (kind, finding) =
                        appear(key.clone(), rule.verdicts, problem, now, grace_scale);
                    changes.push(Change {
                        kind,
                        finding: finding.clone(),
                    });
                    finding
                });
            }
        }
        changes
    }

    /// The source is not heard any more, for this reason: nothing of it is certain.
    pub fn silent(&mut self, now: Timestamp, why: &str) -> Vec<Change> {
        let mut changes = Vec::new();
        for finding in self.findings.values_mut() {
            let kind = step(finding, Said::Unknown(why.to_owned()), now, 1.0);
            changes.extend(kind.map(|kind| Change {
                kind,
                finding: finding.clone(),
            }));
        }
        changes
    }
}

/// One rule's verdicts, by subject. Of two on one subject the first counts.
struct Rule<'a> {
    verdicts: &'a RuleVerdicts,
    problems: BTreeMap<&'a Subject, &'a Problem>,
    unknowns: BTreeMap<&'a Subject, &'a Gap>,
}

impl<'a> Rule<'a> {
    fn of(verdicts: &'a RuleVerdicts) -> Self {
        let mut rule = Self {
            verdicts,
            problems: BTreeMap::new(),
            unknowns: BTreeMap::new(),
        };
        for (subject, problem) in &verdicts.problems {
            rule.problems.entry(subject).or_insert(problem);
        }
        for (subject, gap) in &verdicts.unknowns {
            rule.unknowns.entry(subject).or_insert(gap);
        }
        rule
    }
}

fn said<'a>(key: &Key, rule: Option<&Rule<'a>>, subjects: &BTreeSet<Subject>) -> Said<'a> {
    let Some(rule) = rule else {
        return Said::Unknown(format!("{} was not judged", key.code));
    };
    if let Some(problem) = rule.problems.get(&key.subject) {
        return Said::Problem(rule.verdicts, problem);
    }
    if let Some(gap) = rule.unknowns.get(&key.subject) {
        return Said::Unknown(gap.to_string());
    }
    if subjects.contains(&key.subject) {
        return Said::Over(Resolution::Ok);
    }
    match rule.verdicts.gaps.first() {
        Some(gap) => Said::Unknown(format!("{} may exist unseen: {gap}", key.subject)),
        None => Said::Over(Resolution::SubjectGone),
    }
}

/// One row of the table: changes the finding and names the step, if it is one.
fn step(
    finding: &mut Finding,
    said: Said<'_>,
    now: Timestamp,
    grace_scale: f64,
) -> Option<ChangeKind> {
    match said {
        Said::Problem(verdicts, problem) => again(finding, verdicts, problem, now, grace_scale),
        Said::Unknown(why) => {
            if let State::Unconfirmed { why: before, .. } = &mut finding.state {
                *before = why;
                return None;
            }
            finding.state = State::Unconfirmed { since: now, why };
            Some(ChangeKind::Unconfirmed)
        }
        Said::Over(how) => {
            finding.state = State::Resolved { at: now, how };
            Some(match finding.opened {
                Some(_) => ChangeKind::Resolved,
                None => ChangeKind::Forgotten,
            })
        }
    }
}

/// The problem is still there.
fn again(
    finding: &mut Finding,
    verdicts: &RuleVerdicts,
    problem: &Problem,
    now: Timestamp,
    grace_scale: f64,
) -> Option<ChangeKind> {
    let severity = problem.severity.unwrap_or(verdicts.severity);
    let reworded = finding.problem != *problem || finding.severity != severity;
    let was_unconfirmed = matches!(finding.state, State::Unconfirmed { .. });
    finding.severity = severity;
    finding.stage = verdicts.stage;
    finding.problem = problem.clone();
    finding.last_confirmed = now;
    if finding.opened.is_some() {
        finding.state = State::Open;
    } else if is_old(
        problem,
        finding.first_seen,
        verdicts.grace,
        now,
        grace_scale,
    ) {
        finding.state = State::Open;
        finding.opened = Some(now);
        return Some(ChangeKind::Opened);
    } else {
        finding.state = State::Settling;
    }
    if was_unconfirmed {
        Some(ChangeKind::Confirmed)
    } else {
        reworded.then_some(ChangeKind::Refreshed)
    }
}

/// The problem is new.
fn appear(
    key: Key,
    verdicts: &RuleVerdicts,
    problem: &Problem,
    now: Timestamp,
    grace_scale: f64,
) -> (ChangeKind, Finding) {
    let first_seen = problem.since.map_or(now, |since| since.min(now));
    let old = is_old(problem, first_seen, verdicts.grace, now, grace_scale);
    let finding = Finding {
        key,
        severity: problem.severity.unwrap_or(verdicts.severity),
        stage: verdicts.stage,
        state: if old { State::Open } else { State::Settling },
        first_seen,
        opened: old.then_some(now),
        last_confirmed: now,
        problem: problem.clone(),
    };
    let kind = if old {
        ChangeKind::Opened
    } else {
        ChangeKind::Settling
    };
    (kind, finding)
}

/// Whether it has lasted for its grace: from when the facts say it began, else from when it was
/// first seen.
fn is_old(
    problem: &Problem,
    first_seen: Timestamp,
    grace: Duration,
    now: Timestamp,
    grace_scale: f64,
) -> bool {
    let since = problem.since.map_or(first_seen, |since| since.min(now));
    // A grace beyond what can be counted never passes.
    let grace = Duration::try_from_secs_f64(grace.as_secs_f64() * grace_scale)
        .ok()
        .and_then(|grace| SignedDuration::try_from(grace).ok())
        .unwrap_or(SignedDuration::MAX);
    now.duration_since(since) >= grace
}

#[cfg(test)]
mod tests {
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
        }
        let statement = Statement {
            verdicts: &[verdicts],
            subjects: listed.then(subject).into_iter().collect(),
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
            text.push_str(&format!("{second:>5} {line}\n"));
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
        format!(
            " → {state}; first seen {}, opened {opened}, confirmed {}",
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
                (300, Say::Unknown),
                (360, Say::Problem),
                (420, Say::Unknown),
                (480, Say::Ok),
            ],
            &expect![[r#"
                    0 settling → is settling; first seen 0, opened never, confirmed 0
                   60 unconfirmed → is unconfirmed since 60: asking d (TimedOut); first seen 0, opened never, confirmed 0
                  180 -
                  240 opened → is open; first seen 0, opened 240, confirmed 240
                  300 unconfirmed → is unconfirmed since 300: asking d (TimedOut); first seen 0, opened 240, confirmed 240
                  360 confirmed → is open; first seen 0, opened 240, confirmed 360
                  420 unconfirmed → is unconfirmed since 420: asking d (TimedOut); first seen 0, opened 240, confirmed 360
                  480 resolved → is resolved at 480: ok; first seen 0, opened 240, confirmed 360
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
    fn a_flapping_problem_starts_anew_each_time() {
        check(
            &[
                (0, Say::Problem),
                (60, Say::Ok),
                (120, Say::Problem),
                (180, Say::Ok),
                (240, Say::Problem),
                (360, Say::Problem),
            ],
            &expect![[r#"
                    0 settling → is settling; first seen 0, opened never, confirmed 0
                   60 forgotten → is resolved at 60: ok; first seen 0, opened never, confirmed 0
                  120 settling → is settling; first seen 120, opened never, confirmed 120
                  180 forgotten → is resolved at 180: ok; first seen 120, opened never, confirmed 120
                  240 settling → is settling; first seen 240, opened never, confirmed 240
                  360 opened → is open; first seen 240, opened 360, confirmed 360
                goes on
            "#]],
        );
    }

    #[test]
    fn grace_is_scaled() {
        let verdicts = |subject: Subject| RuleVerdicts {
            code: "Sick".into(),
            severity: Severity::Warning,
            stage: None,
            grace: Duration::from_secs(GRACE),
            ok: 0,
            problems: vec![(subject, Problem::new("d is sick."))],
            unknowns: Vec::new(),
            gaps: Vec::new(),
        };
        let opens_after = |scale: f64, second: i64| {
            let mut history = History::default();
            let verdicts = [verdicts(subject())];
            let statement = Statement {
                verdicts: &verdicts,
                subjects: BTreeSet::from([subject()]),
            };
            history.apply(&statement, at(0), scale);
            history.apply(&statement, at(second), scale);
            history.findings().all(|one| one.state == State::Open)
        };
        assert!(opens_after(0.05, 6));
        assert!(!opens_after(0.05, 5));
        assert!(opens_after(0.0, 0));
        assert!(!opens_after(f64::MAX, 1_000_000));
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
}
