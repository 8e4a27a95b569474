//! The life of findings of one source over time: settling, open, unconfirmed, over.
//!
//! One history per source (a node's agent, the rules of the cluster), with one writer. It is told
//! complete statements and moments; it knows no clock, no store and no other source. Age is judged
//! by the time of receipt; a time in the facts only ever makes a problem older, never younger than
//! now, and is not believed at all when the clock that it came from is wrong.
//!
//! What comes back soon after it had gone is counted (`Finding::flaps`), and the time for which it
//! had lasted still counts towards its grace: a problem that comes and goes is no younger for it.

#![deny(clippy::disallowed_methods)]

mod judge;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::history::judge::{Judge, Past, pause};
use crate::model::finding::{
    Code, Finding, Key, Problem, Resolution, RuleVerdicts, State, Subject,
};
use crate::model::observed::Gap;
use crate::model::scan::Scan;

/// For how long after its end a finding is remembered, so that its return is known as one.
const MEMORY: SignedDuration = SignedDuration::from_hours(1);

/// How many ends are remembered at most: far more than come back.
const MAX_PAST: usize = 1000;

/// The findings of one source that are not over, and the ends of a short time ago.
#[derive(Debug, Clone, Default)]
pub struct History {
    findings: BTreeMap<Key, Finding>,
    past: BTreeMap<Key, Past>,
}

/// All that a source says at one moment.
#[derive(Debug)]
pub struct Statement<'a> {
    /// What its rules say.
    pub verdicts: &'a [RuleVerdicts],
    /// The subjects that it saw: one of these with neither problem nor unknown is ok.
    pub subjects: BTreeSet<Subject>,
    /// When it was observed, by the clock that the times in it come from; `None` for the own clock.
    pub observed_at: Option<Timestamp>,
}

impl<'a> From<&'a Scan> for Statement<'a> {
    fn from(scan: &'a Scan) -> Self {
        Self {
            verdicts: &scan.verdicts,
            subjects: scan.facts.subjects(),
            observed_at: Some(scan.facts.observed_at),
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
            past: BTreeMap::new(),
        }
    }

    /// The findings that are not over, by key.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.values()
    }

    /// Whether nothing is known or remembered.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty() && self.past.is_empty()
    }

    /// Takes a statement, received now. A problem opens when it has lasted for its rule's grace
    /// times `grace_scale`.
    pub fn apply(
        &mut self,
        statement: &Statement<'_>,
        now: Timestamp,
        grace_scale: f64,
    ) -> Vec<Change> {
        let judge = Judge::new(now, grace_scale, statement.observed_at);
        let mut rules: BTreeMap<&Code, Rule<'_>> = BTreeMap::new();
        for verdicts in statement.verdicts {
            rules
                .entry(&verdicts.code)
                .or_insert_with(|| Rule::of(verdicts));
        }
        let mut changes = Vec::new();
        self.go_on(&judge, &mut changes, |key| {
            said(key, rules.get(&key.code), &statement.subjects)
        });
        for rule in rules.values() {
            for (subject, problem) in &rule.problems {
                let key = Key {
                    code: rule.verdicts.code.clone(),
                    subject: (*subject).clone(),
                };
                if !self.findings.contains_key(&key) {
                    changes.push(self.appear(key, rule.verdicts, problem, &judge));
                }
            }
        }
        self.past.retain(|key, past| {
            now.duration_since(past.ended) < MEMORY || self.findings.contains_key(key)
        });
        changes
    }

    /// The source is not heard any more, for this reason: nothing of it is certain.
    pub fn silent(&mut self, now: Timestamp, why: &str) -> Vec<Change> {
        self.all(now, |_| Said::Unknown(why.to_owned()))
    }

    /// The source is gone for good, and nobody else could tell: everything of it is over.
    pub fn end(&mut self, now: Timestamp) -> Vec<Change> {
        self.all(now, |_| Said::Over(Resolution::SourceGone))
    }

    fn all<'a>(&mut self, now: Timestamp, said: impl Fn(&Key) -> Said<'a>) -> Vec<Change> {
        let judge = Judge::new(now, 1.0, None);
        let mut changes = Vec::new();
        self.go_on(&judge, &mut changes, said);
        changes
    }

    /// Every finding of before takes its step.
    fn go_on<'a>(
        &mut self,
        judge: &Judge,
        changes: &mut Vec<Change>,
        said: impl Fn(&Key) -> Said<'a>,
    ) {
        let Self { findings, past } = self;
        findings.retain(|key, finding| {
            let said = said(key);
            if let Some(paused) = pause(finding, &said, judge.now) {
                let past = past.entry(key.clone()).or_insert_with(|| Past {
                    ended: judge.now,
                    lasted: SignedDuration::ZERO,
                    paused: SignedDuration::ZERO,
                    flaps: finding.flaps,
                });
                past.paused = past.paused.saturating_add(paused);
            }
            let before = past.get(key).map_or(SignedDuration::ZERO, Past::counts);
            let kind = step(finding, said, before, judge);
            changes.extend(kind.map(|kind| Change {
                kind,
                finding: finding.clone(),
            }));
            let over = kind.is_some_and(ChangeKind::is_end);
            if over && (past.len() < MAX_PAST || past.contains_key(key)) {
                let lasted = judge.now.duration_since(finding.first_seen);
                let lasted = before.saturating_add(lasted.max(SignedDuration::ZERO));
                past.insert(
                    key.clone(),
                    Past {
                        ended: judge.now,
                        lasted: lasted.max(SignedDuration::ZERO),
                        paused: SignedDuration::ZERO,
                        flaps: finding.flaps,
                    },
                );
            }
            !over
        });
    }

    /// A problem that is not among the findings.
    fn appear(
        &mut self,
        key: Key,
        verdicts: &RuleVerdicts,
        problem: &Problem,
        judge: &Judge,
    ) -> Change {
        let now = judge.now;
        let mut flaps = 0;
        let mut before = SignedDuration::ZERO;
        if let Some(past) = self.past.get_mut(&key) {
            flaps = past.flaps.saturating_add(1);
            // It was well for as long as it would have to last: its time begins anew.
            if now.duration_since(past.ended) >= judge.grace(verdicts) {
                past.lasted = SignedDuration::ZERO;
            }
            before = past.counts();
        }
        let first_seen = judge.since(problem).unwrap_or(now);
        let old = judge.is_old(verdicts, problem, first_seen, before);
        let finding = Finding {
            key: key.clone(),
            severity: problem.severity.unwrap_or(verdicts.severity),
            stage: verdicts.stage,
            state: if old { State::Open } else { State::Settling },
            first_seen,
            opened: old.then_some(now),
            last_confirmed: now,
            flaps,
            problem: problem.clone(),
        };
        self.findings.insert(key, finding.clone());
        let kind = if old {
            ChangeKind::Opened
        } else {
            ChangeKind::Settling
        };
        Change { kind, finding }
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
    before: SignedDuration,
    judge: &Judge,
) -> Option<ChangeKind> {
    match said {
        Said::Problem(verdicts, problem) => again(finding, verdicts, problem, before, judge),
        Said::Unknown(why) => {
            if let State::Unconfirmed { why: before, .. } = &mut finding.state {
                *before = why;
                return None;
            }
            finding.state = State::Unconfirmed {
                since: judge.now,
                why,
            };
            Some(ChangeKind::Unconfirmed)
        }
        Said::Over(how) => {
            finding.state = State::Resolved { at: judge.now, how };
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
    before: SignedDuration,
    judge: &Judge,
) -> Option<ChangeKind> {
    let severity = problem.severity.unwrap_or(verdicts.severity);
    let reworded = finding.problem != *problem || finding.severity != severity;
    let was_unconfirmed = matches!(finding.state, State::Unconfirmed { .. });
    finding.severity = severity;
    finding.stage = verdicts.stage;
    if reworded {
        finding.problem = problem.clone();
    }
    finding.last_confirmed = judge.now;
    if finding.opened.is_some() {
        finding.state = State::Open;
    } else if judge.is_old(verdicts, problem, finding.first_seen, before) {
        finding.state = State::Open;
        finding.opened = Some(judge.now);
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

#[cfg(test)]
mod tests;
