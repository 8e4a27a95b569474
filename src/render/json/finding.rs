//! Findings, and the objects that everything else refers to as well.

use serde::Serialize;

use crate::model::finding::{Evidence, Finding, NextStep, Object, State, Subject};
use crate::model::stage::Stage;
use crate::model::view::Story;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FindingItem {
    code: String,
    severity: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'static str>,
    subject: SubjectItem,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<&'static str>,
    message: String,
    evidence: Vec<EvidenceItem>,
    next_steps: Vec<StepItem>,
    related: Vec<ObjectItem>,
    first_seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened: Option<String>,
    last_confirmed: String,
    #[serde(skip_serializing_if = "is_zero")]
    flaps: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nodes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    explains: Vec<FindingItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    silenced: Option<String>,
}

pub(super) fn story(story: &Story) -> FindingItem {
    FindingItem {
        nodes: story.places.iter().map(ToString::to_string).collect(),
        explains: story.explains.iter().map(finding).collect(),
        silenced: story.silenced.clone(),
        ..finding(&story.finding)
    }
}

fn finding(finding: &Finding) -> FindingItem {
    let (since, reason) = match &finding.state {
        State::Settling | State::Open => (None, None),
        State::Unconfirmed { since, why } => (Some(since.to_string()), Some(why.clone())),
        State::Resolved { at, how } => (Some(at.to_string()), Some(how.as_str().to_owned())),
    };
    FindingItem {
        code: finding.key.code.to_string(),
        severity: finding.severity.as_str(),
        state: finding.state.as_str(),
        state_since: since,
        state_reason: reason,
        stage: finding.stage.map(Stage::as_str),
        subject: subject(&finding.key.subject),
        cause: finding.problem.cause.map(|cause| cause.id.as_str()),
        confidence: finding.problem.cause.map(|cause| cause.confidence.as_str()),
        message: finding.problem.message.clone(),
        evidence: finding
            .problem
            .evidence
            .iter()
            .map(EvidenceItem::from)
            .collect(),
        next_steps: finding.problem.next.iter().map(StepItem::from).collect(),
        related: finding.problem.related.iter().map(object).collect(),
        first_seen: finding.first_seen.to_string(),
        opened: finding.opened.map(|at| at.to_string()),
        last_confirmed: finding.last_confirmed.to_string(),
        flaps: finding.flaps,
        nodes: Vec::new(),
        explains: Vec::new(),
        silenced: None,
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SubjectItem {
    #[serde(flatten)]
    object: ObjectItem,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
}

pub(super) fn subject(subject: &Subject) -> SubjectItem {
    SubjectItem {
        object: object(&subject.object),
        node: subject.node.as_ref().map(ToString::to_string),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectItem {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
}

pub(super) fn object(object: &Object) -> ObjectItem {
    ObjectItem {
        kind: match object {
            Object::Claim(_) => "PersistentVolumeClaim",
            Object::PersistentVolume(..) => "PersistentVolume",
            Object::Pod(_) => "Pod",
            Object::Driver(_) => "CSIDriver",
            Object::Node(_) => "Node",
            Object::Server(_) => "Server",
        },
        namespace: object.namespace().map(ToOwned::to_owned),
        name: object.name().to_owned(),
        uid: object.uid().map(ToString::to_string),
    }
}

#[derive(Serialize)]
pub(super) struct EvidenceItem {
    fact: String,
    value: String,
    source: String,
}

impl From<&Evidence> for EvidenceItem {
    fn from(evidence: &Evidence) -> Self {
        Self {
            fact: evidence.fact.clone(),
            value: evidence.value.clone(),
            source: evidence.source.clone(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct StepItem {
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
}

impl From<&NextStep> for StepItem {
    fn from(step: &NextStep) -> Self {
        Self {
            what: step.what.clone(),
            command: step.command.clone(),
        }
    }
}
