//! What rules say, and what becomes of it: verdicts, problems, findings, stories.

use crate::model::cause::{Cause, CauseId, Confidence};
use crate::model::finding::{
    Code, Evidence, Finding, Key, NextStep, Object, Problem, Resolution, RuleVerdicts, Severity,
    State, Subject,
};
use crate::model::observed::{Gap, Why};
use crate::model::stage::Stage;
use crate::model::view::Story;
use crate::proto::v1;
use crate::wire::WireError;
use crate::wire::value::{
    all, duration, gaps, milliseconds, name, nanoseconds, optional, required, text, timestamp, word,
};

impl From<Severity> for v1::Severity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Info,
            Severity::Warning => Self::Warning,
            Severity::Critical => Self::Critical,
        }
    }
}

/// The severity of this number; `None` where nothing was said. One that this version does not
/// know is a warning: neither hidden nor an alarm.
pub(super) fn to_severity(number: i32) -> Option<Severity> {
    match v1::Severity::try_from(number) {
        Ok(v1::Severity::Unspecified) => None,
        Ok(v1::Severity::Info) => Some(Severity::Info),
        Ok(v1::Severity::Critical) => Some(Severity::Critical),
        Ok(v1::Severity::Warning) | Err(_) => Some(Severity::Warning),
    }
}

/// A step that this version does not know takes no part in folding.
fn to_stage(given: Option<String>) -> Option<Stage> {
    let given = given?;
    Stage::ALL.into_iter().find(|stage| stage.as_str() == given)
}

impl From<&RuleVerdicts> for v1::RuleVerdicts {
    fn from(verdicts: &RuleVerdicts) -> Self {
        Self {
            code: verdicts.code.to_string(),
            severity: v1::Severity::from(verdicts.severity).into(),
            stage: verdicts.stage.map(|stage| stage.as_str().to_owned()),
            grace_ms: milliseconds(verdicts.grace),
            ok: verdicts.ok,
            problems: verdicts
                .problems
                .iter()
                .map(|(subject, problem)| v1::SubjectProblem {
                    subject: Some(subject.into()),
                    problem: Some(problem.into()),
                })
                .collect(),
            unknowns: verdicts
                .unknowns
                .iter()
                .map(|(subject, gap)| v1::SubjectGap {
                    subject: Some(subject.into()),
                    gap: Some(gap.into()),
                })
                .collect(),
            gaps: verdicts.gaps.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::RuleVerdicts> for RuleVerdicts {
    type Error = WireError;

    fn try_from(verdicts: v1::RuleVerdicts) -> Result<Self, WireError> {
        let mut decoded = Self {
            code: Code(name(required("code", verdicts.code)?)),
            severity: to_severity(verdicts.severity).unwrap_or(Severity::Warning),
            stage: to_stage(verdicts.stage),
            grace: duration(verdicts.grace_ms),
            ok: verdicts.ok,
            problems: Vec::with_capacity(verdicts.problems.len()),
            unknowns: Vec::with_capacity(verdicts.unknowns.len()),
            gaps: gaps(verdicts.gaps),
        };
        for (index, one) in verdicts.problems.into_iter().enumerate() {
            let place = || format!("problems[{index}]");
            let problem = optional("problem", one.problem)
                .and_then(|problem| problem.ok_or_else(|| WireError::missing("problem")))
                .map_err(|error| error.within(&place()))?;
            if let Some(subject) = known_subject(one.subject, &mut decoded.gaps, place)? {
                decoded.problems.push((subject, problem));
            }
        }
        for (index, one) in verdicts.unknowns.into_iter().enumerate() {
            let place = || format!("unknowns[{index}]");
            let gap = one
                .gap
                .ok_or_else(|| WireError::missing("gap").within(&place()))?;
            if let Some(subject) = known_subject(one.subject, &mut decoded.gaps, place)? {
                decoded.unknowns.push((subject, gap.into()));
            }
        }
        Ok(decoded)
    }
}

/// The subject, if its kind is known. Of another kind a verdict cannot be kept; then the list of
/// subjects is incomplete, which is noted.
fn known_subject(
    subject: Option<v1::Subject>,
    gaps: &mut Vec<Gap>,
    place: impl Fn() -> String,
) -> Result<Option<Subject>, WireError> {
    let subject = optional("subject", subject)
        .and_then(|subject| subject.ok_or_else(|| WireError::missing("subject")));
    match subject {
        Ok(subject) => Ok(Some(subject)),
        Err(WireError::Unknown { word, .. }) => {
            let gap = Gap::new(
                Why::Malformed,
                format!("verdicts on objects of the unknown kind {word} are left out"),
            );
            if !gaps.contains(&gap) {
                gaps.push(gap);
            }
            Ok(None)
        }
        Err(error) => Err(error.within(&place())),
    }
}

impl From<&Problem> for v1::Problem {
    fn from(problem: &Problem) -> Self {
        Self {
            message: problem.message.clone(),
            evidence: problem
                .evidence
                .iter()
                .map(|evidence| v1::Evidence {
                    fact: evidence.fact.clone(),
                    value: evidence.value.clone(),
                    source: evidence.source.clone(),
                })
                .collect(),
            since_ns: problem.since.map(nanoseconds),
            next: problem
                .next
                .iter()
                .map(|step| v1::NextStep {
                    what: step.what.clone(),
                    command: step.command.clone(),
                })
                .collect(),
            related: problem.related.iter().map(Into::into).collect(),
            severity: problem
                .severity
                .map_or(v1::Severity::Unspecified, Into::into)
                .into(),
            cause: problem.cause.map(|cause| cause.id.as_str().to_owned()),
            confidence: problem
                .cause
                .map(|cause| cause.confidence.as_str().to_owned()),
        }
    }
}

/// A cause that this version does not know is left out: the words that it was told from are there.
fn to_cause(id: Option<String>, confidence: Option<String>) -> Option<Cause> {
    Some(Cause {
        id: CauseId::from_name(&id?)?,
        confidence: Confidence::from_name(&confidence?)?,
    })
}

impl TryFrom<v1::Problem> for Problem {
    type Error = WireError;

    fn try_from(problem: v1::Problem) -> Result<Self, WireError> {
        Ok(Self {
            message: text(required("message", problem.message)?),
            evidence: problem
                .evidence
                .into_iter()
                .map(|evidence| Evidence {
                    fact: text(evidence.fact),
                    value: text(evidence.value),
                    source: text(evidence.source),
                })
                .collect(),
            since: problem.since_ns.map(timestamp),
            next: problem
                .next
                .into_iter()
                .map(|step| NextStep {
                    what: text(step.what),
                    command: step.command.map(text),
                })
                .collect(),
            // An object of a kind that this version does not know is only one hint less.
            related: problem
                .related
                .into_iter()
                .filter_map(|object| Object::try_from(object).ok())
                .collect(),
            severity: to_severity(problem.severity),
            cause: to_cause(problem.cause, problem.confidence),
        })
    }
}

impl From<&Finding> for v1::Finding {
    fn from(finding: &Finding) -> Self {
        let (state_since, state_why) = match &finding.state {
            State::Settling | State::Open => (None, None),
            State::Unconfirmed { since, why } => (Some(*since), Some(why.clone())),
            State::Resolved { at, how } => (Some(*at), Some(how.as_str().to_owned())),
        };
        Self {
            code: finding.key.code.to_string(),
            subject: Some((&finding.key.subject).into()),
            severity: v1::Severity::from(finding.severity).into(),
            stage: finding.stage.map(|stage| stage.as_str().to_owned()),
            state: finding.state.as_str().to_owned(),
            first_seen_ns: nanoseconds(finding.first_seen),
            opened_ns: finding.opened.map(nanoseconds),
            last_confirmed_ns: nanoseconds(finding.last_confirmed),
            flaps: finding.flaps,
            state_since_ns: state_since.map(nanoseconds),
            state_why,
            problem: Some((&finding.problem).into()),
        }
    }
}

impl TryFrom<v1::Finding> for Finding {
    type Error = WireError;

    fn try_from(finding: v1::Finding) -> Result<Self, WireError> {
        let state = to_state(&finding);
        Ok(Self {
            key: Key {
                code: Code(name(required("code", finding.code)?)),
                subject: optional("subject", finding.subject)?
                    .ok_or_else(|| WireError::missing("subject"))?,
            },
            severity: to_severity(finding.severity).unwrap_or(Severity::Warning),
            stage: to_stage(finding.stage),
            state,
            first_seen: timestamp(finding.first_seen_ns),
            opened: finding.opened_ns.map(timestamp),
            last_confirmed: timestamp(finding.last_confirmed_ns),
            flaps: finding.flaps,
            problem: optional("problem", finding.problem)?
                .ok_or_else(|| WireError::missing("problem"))?,
        })
    }
}

/// A state that this version does not know is one that it cannot confirm.
fn to_state(finding: &v1::Finding) -> State {
    let since = timestamp(finding.state_since_ns.unwrap_or(finding.last_confirmed_ns));
    let why = text(finding.state_why.clone().unwrap_or_default());
    match finding.state.as_str() {
        "settling" => State::Settling,
        "open" => State::Open,
        "unconfirmed" => State::Unconfirmed { since, why },
        "resolved" => State::Resolved {
            at: since,
            how: Resolution::ALL
                .into_iter()
                .find(|how| how.as_str() == why)
                .unwrap_or(Resolution::Ok),
        },
        other => State::Unconfirmed {
            since,
            why: word(format!("its state is given as {other:?}")),
        },
    }
}

impl From<&Story> for v1::Story {
    fn from(story: &Story) -> Self {
        Self {
            finding: Some((&story.finding).into()),
            places: story.places.iter().map(ToString::to_string).collect(),
            explains: story.explains.iter().map(Into::into).collect(),
            silenced: story.silenced.clone(),
        }
    }
}

impl TryFrom<v1::Story> for Story {
    type Error = WireError;

    fn try_from(story: v1::Story) -> Result<Self, WireError> {
        Ok(Self {
            finding: optional("finding", story.finding)?
                .ok_or_else(|| WireError::missing("finding"))?,
            places: story
                .places
                .into_iter()
                .map(|node| name(node).into())
                .collect(),
            explains: all("explains", story.explains)?,
            silenced: story.silenced.map(text),
        })
    }
}
