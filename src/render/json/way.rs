//! Objects' ways, as a `Diagnosis`.

use serde::Serialize;

use crate::model::finding::NextStep;
use crate::model::way::{Diagnosis, Followed, LogLine, Mark, Step};
use crate::render::json::{API_VERSION, GapItem, print};

/// All that is said about an object.
pub fn diagnosis(all: &Diagnosis) -> String {
    print(&Item {
        api_version: API_VERSION,
        kind: "Diagnosis",
        at: all.at.to_string(),
        ways: all.ways.iter().map(way).collect(),
        next: all.next.as_ref().map(next),
        logs: all.logs.as_ref().map(|logs| LogsItem {
            lines: logs.lines.iter().map(line).collect(),
            read: &logs.read,
            missing: logs.gaps.iter().map(GapItem::from).collect(),
            kubelet: logs.kubelet.as_deref(),
        }),
        missing: all.unseen.iter().map(GapItem::from).collect(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    api_version: &'static str,
    kind: &'static str,
    at: String,
    ways: Vec<WayItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<LogsItem<'a>>,
    missing: Vec<GapItem>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WayItem<'a> {
    object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<&'a str>,
    seen_by: &'a str,
    state: &'a str,
    steps: Vec<StepItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextItem<'a>>,
    codes: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    settling: Vec<SettlingItem<'a>>,
}

#[derive(Serialize)]
struct SettlingItem<'a> {
    code: &'a str,
    seconds: u64,
}

#[derive(Serialize)]
struct StepItem<'a> {
    stage: &'static str,
    mark: &'static str,
    evidence: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

#[derive(Serialize)]
struct NextItem<'a> {
    what: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
}

#[derive(Serialize)]
struct LogsItem<'a> {
    lines: Vec<LineItem<'a>>,
    read: &'a [String],
    missing: Vec<GapItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kubelet: Option<&'a str>,
}

#[derive(Serialize)]
struct LineItem<'a> {
    by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<&'static str>,
}

fn way(one: &Followed) -> WayItem<'_> {
    let way = &one.way;
    WayItem {
        object: way.object.to_string(),
        pod: way.mounted_in.as_ref().map(|(pod, _)| pod.to_string()),
        volume: way.mounted_in.as_ref().map(|(_, name)| name.as_str()),
        seen_by: &way.seen_by,
        state: &way.state,
        steps: way.steps.iter().map(step).collect(),
        next: way.next.as_ref().map(next),
        codes: &one.codes,
        settling: one
            .settling
            .iter()
            .map(|(code, left)| SettlingItem {
                code,
                seconds: left.as_secs(),
            })
            .collect(),
    }
}

fn step(step: &Step) -> StepItem<'_> {
    StepItem {
        stage: step.stage.as_str(),
        mark: match step.mark {
            Mark::Done => "done",
            Mark::Waiting => "waiting",
            Mark::Stuck => "stuck",
            Mark::Unknown => "unknown",
            Mark::Ahead => "ahead",
        },
        evidence: &step.evidence,
        at: step.at.map(|at| at.to_string()),
    }
}

fn next(next: &NextStep) -> NextItem<'_> {
    NextItem {
        what: &next.what,
        command: next.command.as_deref(),
    }
}

fn line(line: &LogLine) -> LineItem<'_> {
    LineItem {
        by: &line.by,
        at: line.at.map(|at| at.to_string()),
        text: &line.text,
        cause: line.cause.map(|cause| cause.id.as_str()),
        confidence: line.cause.map(|cause| cause.confidence.as_str()),
    }
}
