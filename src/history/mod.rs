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
mod tests;
