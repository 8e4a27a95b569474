//! The numbers of a view.

use jiff::Timestamp;
use serde::Serialize;

use crate::model::view::Summary;
use crate::render::json::{API_VERSION, print};

/// The numbers of a view as a `Status`.
pub fn status(at: Timestamp, summary: &Summary) -> String {
    print(&StatusItem {
        api_version: API_VERSION,
        kind: "Status",
        at: at.to_string(),
        nodes_heard: summary.nodes_heard,
        nodes_silent: summary
            .nodes_silent
            .iter()
            .map(ToString::to_string)
            .collect(),
        volumes: summary.volumes,
        drivers: summary.drivers,
        findings: Counts {
            critical: summary.critical,
            warning: summary.warning,
            info: summary.info,
            settling: summary.settling,
            unconfirmed: summary.unconfirmed,
            silenced: summary.silenced,
        },
        gaps: summary
            .gaps
            .iter()
            .map(|(node, what)| NodeGap {
                node: node.to_string(),
                what: what.clone(),
            })
            .collect(),
        cluster_gaps: summary.cluster_gaps.clone(),
        rules: summary
            .rules
            .iter()
            .map(|rule| RuleItem {
                code: rule.code.to_string(),
                ok: rule.ok,
                problem: rule.problem,
                unknown: rule.unknown,
            })
            .collect(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusItem {
    api_version: &'static str,
    kind: &'static str,
    at: String,
    nodes_heard: usize,
    nodes_silent: Vec<String>,
    volumes: usize,
    drivers: usize,
    findings: Counts,
    gaps: Vec<NodeGap>,
    cluster_gaps: Vec<String>,
    rules: Vec<RuleItem>,
}

#[derive(Serialize)]
struct Counts {
    critical: usize,
    warning: usize,
    info: usize,
    settling: usize,
    unconfirmed: usize,
    silenced: usize,
}

#[derive(Serialize)]
struct NodeGap {
    node: String,
    what: String,
}

#[derive(Serialize)]
struct RuleItem {
    code: String,
    ok: usize,
    problem: usize,
    unknown: usize,
}
