//! `diagnose`: an object's ways, one line a step, and the one thing to do.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::model::finding::{NextStep, Object};
use crate::model::stage::Stage;
use crate::model::way::{Diagnosis, Logs, Mark, Step, Way};

/// Longer words of others are cut, unless all of them are wanted, in characters.
const WORDS: usize = 200;

/// So many are kept of what is cut: who speaks stands at its beginning, what is wrong at its end.
const KEPT: (usize, usize) = (60, 139);

/// All of it as a person reads it; `wide` cuts nobody's words.
pub fn diagnosis(all: &Diagnosis, wide: bool) -> String {
    let mut text = String::new();
    for one in &all.ways {
        if !text.is_empty() {
            text.push('\n');
        }
        put(&mut text, &one.way, wide);
    }
    if let Some(found) = &all.logs {
        logs(&mut text, found, wide);
    }
    if let Some(next) = &all.next {
        let mut ways = all.ways.iter().map(|one| &one.way);
        let its = ways.find(|way| way.next.as_ref() == Some(next));
        // Where there is more than one object, the one that it is about is named.
        let first = all.ways.first().map(|one| &one.way.object);
        let others = all.ways.iter().any(|one| Some(&one.way.object) != first);
        let about = its.filter(|_| others).map(|way| &way.object);
        to_do(&mut text, next, about, its.is_some_and(is_under_way));
    }
    let mut codes: Vec<&String> = Vec::new();
    for code in all.ways.iter().flat_map(|one| &one.codes) {
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    for code in codes {
        let _ = writeln!(text, "More: kubectl csi-doctor explain {code}");
    }
    for (code, left) in all.ways.iter().flat_map(|one| &one.settling) {
        let _ = writeln!(
            text,
            "Settling: {code} counts (exit code 1) in {} s, if it is still there.",
            left.as_secs()
        );
    }
    for gap in &all.unseen {
        let _ = writeln!(text, "Not seen: {gap}");
    }
    text
}

/// One way with what to do about it.
pub fn way(way: &Way) -> String {
    let mut text = String::new();
    put(&mut text, way, true);
    if let Some(next) = &way.next {
        to_do(&mut text, next, None, is_under_way(way));
    }
    text
}

/// Whether somebody is at work, and is to be given time. A claim that waits to be bound is told what for.
fn is_under_way(way: &Way) -> bool {
    way.here()
        .is_some_and(|step| step.mark == Mark::Waiting && !matches!(step.stage, Stage::Bind(_)))
}

fn to_do(text: &mut String, next: &NextStep, about: Option<&Object>, waits: bool) {
    let about = about.map(|object| format!(" about {object}"));
    let about = about.unwrap_or_default();
    let when = if waits { ", if it lasts" } else { "" };
    let _ = writeln!(text, "What to do{about}{when}: {}", next.what);
    if let Some(command) = &next.command {
        let _ = writeln!(text, "    {command}");
    }
}

fn put(text: &mut String, way: &Way, wide: bool) {
    let _ = writeln!(text, "{}, seen by {}", title(way), way.seen_by);
    let mut before: Option<&Step> = None;
    for step in &way.steps {
        let name = step.stage.step();
        // A reason why nothing is known is often that of the steps around it.
        let same = before.is_some_and(|one| one.mark == step.mark && one.evidence == step.evidence);
        before = Some(step);
        let evidence = if same && step.mark == Mark::Unknown && !wide {
            "the same".to_owned()
        } else {
            cut(&step.evidence, wide)
        };
        let line = format!(
            "  {} {name:<20} {evidence}{}",
            step.mark.sign(),
            when(step.at)
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = writeln!(text, "{}", way.state);
}

fn title(way: &Way) -> String {
    let object = &way.object;
    match (way.steps.first().map(|step| step.stage), &way.mounted_in) {
        (_, Some((pod, name))) if object.kind() == "pod" => {
            format!("Mount of volume {name} in pod {pod}")
        }
        (_, Some((pod, name))) => format!("Mount of {object} in pod {pod}, as its volume {name}"),
        (Some(Stage::Bind(_)), None) => format!("Binding of {object}"),
        (Some(Stage::Mount(_)), None) => format!("Mount of {object}"),
        (Some(Stage::Expand(_)) | None, None) => format!("Expansion of {object}"),
    }
}

fn when(at: Option<Timestamp>) -> String {
    at.map(|at| format!(" ({at:.0})")).unwrap_or_default()
}

fn logs(text: &mut String, logs: &Logs, wide: bool) {
    text.push('\n');
    match (logs.lines.is_empty(), logs.read.is_empty()) {
        (true, true) => text.push_str("No log was read.\n"),
        (true, false) => {
            let _ = writeln!(
                text,
                "Nothing about it that matters in the logs of {}.",
                logs.read.join(", ")
            );
        }
        (false, _) => text.push_str("In logs:\n"),
    }
    let mut by = "";
    for line in &logs.lines {
        if by != line.by {
            by = &line.by;
            let _ = writeln!(text, "  {by}");
        }
        let cause = line
            .cause
            .map(|cause| format!(" ({}, {})", cause.id, cause.confidence));
        let _ = writeln!(
            text,
            "    {}{}{}",
            line.at.map(|at| format!("{at:.0} ")).unwrap_or_default(),
            cut(&line.text, wide),
            cause.unwrap_or_default()
        );
    }
    for gap in &logs.gaps {
        let _ = writeln!(text, "  Not read: {gap}");
    }
    if let Some(command) = &logs.kubelet {
        let _ = writeln!(text, "  The kubelet's log, on the node:\n    {command}");
    }
    text.push('\n');
}

/// Words of others: on one line, and not too many.
fn cut(words: &str, wide: bool) -> String {
    let words = words.trim().replace(|c: char| c.is_control(), " ");
    let count = words.chars().count();
    if wide || count <= WORDS {
        return words;
    }
    let (first, last) = KEPT;
    let head: String = words.chars().take(first).collect();
    let tail: String = words.chars().skip(count - last).collect();
    format!("{head}…{tail}")
}
