//! An object's way, as a `Diagnosis`.

use jiff::Timestamp;
use serde::Serialize;

use crate::model::observed::Gap;
use crate::model::way::{Mark, Way};
use crate::render::json::{API_VERSION, GapItem, print};

/// The ways of what was asked for, with the codes of what was found about each.
pub fn diagnosis(at: Timestamp, ways: &[(Way, Vec<String>)], unseen: &[Gap]) -> String {
    print(&Diagnosis {
        api_version: API_VERSION,
        kind: "Diagnosis",
        at: at.to_string(),
        ways: ways.iter().map(|(way, codes)| item(way, codes)).collect(),
        missing: unseen.iter().map(GapItem::from).collect(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Diagnosis<'a> {
    api_version: &'static str,
    kind: &'static str,
    at: String,
    ways: Vec<WayItem<'a>>,
    missing: Vec<GapItem>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WayItem<'a> {
    object: String,
    seen_by: &'a str,
    state: &'a str,
    steps: Vec<StepItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextItem<'a>>,
    codes: &'a [String],
}

#[derive(Serialize)]
struct StepItem<'a> {
    stage: &'static str,
    mark: &'static str,
    evidence: &'a str,
}

#[derive(Serialize)]
struct NextItem<'a> {
    what: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
}

fn item<'a>(way: &'a Way, codes: &'a [String]) -> WayItem<'a> {
    WayItem {
        object: way.object.to_string(),
        seen_by: &way.seen_by,
        state: &way.state,
        steps: way
            .steps
            .iter()
            .map(|step| StepItem {
                stage: step.stage.as_str(),
                mark: match step.mark {
                    Mark::Done => "done",
                    Mark::Stuck => "stuck",
                    Mark::Unknown => "unknown",
                    Mark::Ahead => "ahead",
                },
                evidence: &step.evidence,
            })
            .collect(),
        next: way.next.as_ref().map(|next| NextItem {
            what: &next.what,
            command: next.command.as_deref(),
        }),
        codes,
    }
}
