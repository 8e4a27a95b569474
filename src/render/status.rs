//! `status`: the whole on one screen.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::model::names::NodeName;
use crate::model::view::{RuleCount, Summary};
use crate::render::moment;
use crate::render::table::table;

/// The numbers of a view, with what is not known, and each rule's verdicts.
pub fn status(at: Timestamp, summary: &Summary) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "At {}", moment(at));
    let _ = writeln!(
        text,
        "Nodes     {} heard{}",
        summary.nodes_heard,
        if summary.nodes_silent.is_empty() {
            String::new()
        } else {
            let names: Vec<&str> = summary.nodes_silent.iter().map(NodeName::as_str).collect();
            format!(", {} silent: {}", names.len(), names.join(", "))
        }
    );
    let _ = writeln!(text, "Volumes   {}", summary.volumes);
    let _ = writeln!(text, "Drivers   {}", summary.drivers);
    let _ = writeln!(
        text,
        "Findings  {} critical, {} warning, {} info; {} settling, {} unconfirmed, {} silenced",
        summary.critical,
        summary.warning,
        summary.info,
        summary.settling,
        summary.unconfirmed,
        summary.silenced
    );
    if !(summary.gaps.is_empty() && summary.cluster_gaps.is_empty()) {
        let _ = writeln!(text, "\nNot seen:");
        for gap in &summary.cluster_gaps {
            let _ = writeln!(text, "  the cluster: {gap}");
        }
        for (node, gap) in &summary.gaps {
            let _ = writeln!(text, "  {node}: {gap}");
        }
    }
    let _ = writeln!(text, "\n{}", rules(&summary.rules).trim_end());
    text
}

/// How often each rule said what.
fn rules(rules: &[RuleCount]) -> String {
    let rows = rules.iter().map(|rule| {
        [
            rule.code.to_string().into(),
            rule.ok.to_string().into(),
            rule.problem.to_string().into(),
            rule.unknown.to_string().into(),
        ]
    });
    table(
        ["RULE", "OK", "PROBLEM", "UNKNOWN"],
        &rows.collect::<Vec<_>>(),
    )
}
