//! A storage report for a spreadsheet: one table of all objects (RFC 4180), sizes in bytes.
//!
//! Three answers: a value; `-` for what is not known; an empty cell for what the object does not have.

use crate::model::names::NodeName;
use crate::model::observed::Observed;
use crate::model::report::Report;
use crate::model::sizes::Bytes;
use crate::model::terms::ClaimPhase;
use crate::render::report::UNKNOWN;

/// The columns, of every kind of object; what a kind does not have is empty.
const HEADS: [&str; 21] = [
    "kind",
    "namespace",
    "name",
    "status",
    "class",
    "driver",
    "request_bytes",
    "capacity_bytes",
    "used_bytes",
    "total_bytes",
    "used_inodes",
    "total_inodes",
    "access_modes",
    "volume",
    "claim",
    "nodes",
    "pods",
    "reclaim_policy",
    "binding_mode",
    "expandable",
    "findings",
];

/// All rows of a report.
pub fn csv(report: &Report) -> String {
    let mut text = String::new();
    line(&mut text, HEADS.map(ToOwned::to_owned));
    let empty = String::new;
    for one in &report.classes.items {
        let mut cells = HEADS.map(|_| empty());
        "StorageClass".clone_into(&mut cells[0]);
        cells[2].clone_from(&one.name);
        if one.is_default { "default" } else { "" }.clone_into(&mut cells[3]);
        cells[5].clone_from(&one.provisioner);
        cells[17].clone_from(&one.reclaim);
        one.binding_mode.clone_into(&mut cells[18]);
        cells[19] = one.expandable.to_string();
        line(&mut text, cells);
    }
    for one in &report.volumes.items {
        let mut cells = HEADS.map(|_| empty());
        "PersistentVolume".clone_into(&mut cells[0]);
        cells[2].clone_from(&one.name);
        one.shown().clone_into(&mut cells[3]);
        cells[4].clone_from(&one.class);
        cells[5] = one.driver.clone().unwrap_or_default();
        cells[7] = size(one.capacity);
        cells[12] = one.access_modes.join(" ");
        cells[14] = one
            .claim
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        cells[17].clone_from(&one.reclaim);
        line(&mut text, cells);
    }
    for one in &report.claims.items {
        let mut cells = HEADS.map(|_| empty());
        "PersistentVolumeClaim".clone_into(&mut cells[0]);
        one.claim.namespace.as_str().clone_into(&mut cells[1]);
        one.claim.name.as_str().clone_into(&mut cells[2]);
        one.shown().clone_into(&mut cells[3]);
        cells[4] = one.class.clone().unwrap_or_default();
        cells[5] = known(&one.driver, |driver| driver.clone().unwrap_or_default());
        cells[6] = size(one.request);
        cells[7] = size(one.capacity);
        if one.phase == ClaimPhase::Bound {
            cells[8] = known(&one.usage, |usage| usage.used_bytes.to_string());
            cells[9] = known(&one.usage, |usage| usage.total_bytes.to_string());
            cells[10] = known(&one.usage, |usage| usage.used_inodes.to_string());
            cells[11] = known(&one.usage, |usage| usage.total_inodes.to_string());
        }
        cells[12] = one.access_modes.join(" ");
        cells[13] = one.volume.clone().unwrap_or_default();
        cells[15] = known(&one.nodes, |nodes| {
            let nodes: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
            nodes.join(" ")
        });
        cells[16] = known(&one.pods, |pods| pods.join(" "));
        cells[20] = known(&one.findings, |codes| codes.join(" "));
        line(&mut text, cells);
    }
    text
}

fn line(text: &mut String, cells: [String; HEADS.len()]) {
    let quoted = cells.map(|cell| quote(&cell));
    text.push_str(&quoted.join(","));
    text.push_str("\r\n");
}

/// Fields that hold a comma, a quote or a line's end are quoted. What a spreadsheet would run as a
/// formula is text: names are data of strangers.
fn quote(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '@']) || (cell.starts_with('-') && cell != UNKNOWN);
    let guard = if formula { "'" } else { "" };
    if formula || cell.contains([',', '"', '\n', '\r']) {
        format!("\"{guard}{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

fn known<T>(fact: &Observed<T>, words: impl Fn(&T) -> String) -> String {
    fact.known().map_or_else(|| UNKNOWN.to_owned(), words)
}

fn size(size: Option<Bytes>) -> String {
    size.map(|size| size.0.to_string()).unwrap_or_default()
}
