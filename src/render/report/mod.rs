//! A storage report as text: for a terminal, a spreadsheet, a page or a browser.
//!
//! What is not known is `-`, and why stands below; what is not there is `<none>`, as kubectl says it.

mod csv;
mod html;
mod sections;

pub use csv::csv;
pub use html::html;

use std::fmt::Write as _;

use anstyle::Style;

use crate::model::observed::Why;
use crate::model::report::Report;
use crate::render::report::sections::{Section, sections};
use crate::render::table::{Cell, grid};

/// What stands for something that is not known.
const UNKNOWN: &str = "-";

/// What stands for something that is not there.
const NONE: &str = "<none>";

/// Tables for a terminal; `wide` has more columns.
pub fn table(report: &Report, wide: bool) -> String {
    let bold = Style::new().bold();
    let mut text = String::new();
    for section in sections(report, wide) {
        let _ = writeln!(text, "{bold}{}{bold:#}", section.title);
        if section.rows.is_empty() {
            let _ = writeln!(text, "{}\n", section.nothing);
            continue;
        }
        let cells = |row: &Vec<String>| {
            let cell = |one: &String| Cell::from(one.as_str());
            row.iter().map(cell).collect::<Vec<Cell>>()
        };
        let rows: Vec<Vec<Cell>> = section.rows.iter().map(cells).collect();
        text.push_str(&grid(&section.heads, &rows));
        text.push('\n');
    }
    for note in notes(report) {
        let _ = writeln!(text, "{note}");
    }
    text
}

/// The same tables as Markdown.
pub fn markdown(report: &Report) -> String {
    let mut text = format!("# Storage report\n\n{}\n", heading(report));
    for section in sections(report, true) {
        let _ = write!(text, "\n## {}\n\n", section.title);
        if section.rows.is_empty() {
            let _ = writeln!(text, "{}", section.nothing);
            continue;
        }
        markdown_rows(&mut text, &section);
    }
    let notes = notes(report);
    if !notes.is_empty() {
        text.push('\n');
    }
    for note in notes {
        let _ = writeln!(text, "{}", plain(&note));
    }
    text
}

fn markdown_rows(text: &mut String, section: &Section) {
    let _ = writeln!(text, "| {} |", section.heads.join(" | "));
    let _ = writeln!(text, "|{}", " --- |".repeat(section.heads.len()));
    for row in &section.rows {
        let cells: Vec<String> = row.iter().map(|cell| plain(cell)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

/// Words that Markdown would take for its own.
fn plain(words: &str) -> String {
    words
        .replace('\\', r"\\")
        .replace('|', r"\|")
        .replace('<', "&lt;")
        .replace('`', r"\`")
}

/// When it was made, and of what.
fn heading(report: &Report) -> String {
    let of = match &report.namespace {
        Some(namespace) => format!("namespace {namespace}"),
        None => "all namespaces".to_owned(),
    };
    format!("{of}, at {}", super::moment(report.at))
}

/// Why something is not known, and how to get it.
fn notes(report: &Report) -> Vec<String> {
    let notes = report.missing.iter().map(|gap| {
        // The words of who was not asked say how to ask.
        match gap.why {
            Why::NotAsked | Why::NotFound => format!("{UNKNOWN}: {}", gap.what),
            _ => format!("{UNKNOWN}: not seen: {}", gap.what),
        }
    });
    notes.collect()
}
