//! A storage report as one file for a browser: no script, and nothing fetched from anywhere.

use std::fmt::Write as _;

use crate::model::observed::Observed;
use crate::model::report::{Report, Total};
use crate::model::sizes::Bytes;
use crate::render::report::sections::sections;
use crate::render::report::{heading, notes};

const STYLE: &str = "
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff }
table { border-collapse: collapse; margin-bottom: 2em }
th, td { text-align: left; padding: .25em .9em .25em 0; border-bottom: 1px solid #ddd }
th { font-size: 12px; color: #555 }
svg text { font: 12px system-ui, sans-serif; fill: #222 }
.notes { color: #555 }
";

/// A bar as long as the longest sum.
const LONGEST: u64 = 420;

/// The page.
pub fn html(report: &Report) -> String {
    let mut text = String::from("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
    let _ = writeln!(
        text,
        "<title>Storage report</title>\n<style>{STYLE}</style>"
    );
    let _ = writeln!(
        text,
        "<h1>Storage report</h1>\n<p>{}</p>",
        escape(&heading(report))
    );
    text.push_str("<h2>Used against requested, by class</h2>\n");
    text.push_str(&picture(&report.by_class));
    for section in sections(report, true) {
        let _ = writeln!(text, "<h2>{}</h2>", section.title);
        if section.rows.is_empty() {
            let _ = writeln!(text, "<p>{}</p>", section.nothing);
            continue;
        }
        text.push_str("<table>\n<tr>");
        for head in &section.heads {
            let _ = write!(text, "<th>{head}</th>");
        }
        text.push_str("</tr>\n");
        for row in &section.rows {
            text.push_str("<tr>");
            for cell in row {
                let _ = write!(text, "<td>{}</td>", escape(cell));
            }
            text.push_str("</tr>\n");
        }
        text.push_str("</table>\n");
    }
    text.push_str("<ul class=\"notes\">\n");
    for note in notes(report) {
        let _ = writeln!(text, "<li>{}</li>", escape(&note));
    }
    text.push_str("</ul>\n</html>\n");
    text
}

/// One pair of bars a class: what is asked for, and in it what is used.
fn picture(totals: &[Total]) -> String {
    let bytes = |sum: &Observed<Bytes>| sum.known().map(|bytes| bytes.0);
    let each = totals.iter().flat_map(|one| [&one.requested, &one.used]);
    let largest = each.filter_map(bytes).max().unwrap_or_default().max(1);
    let width = |bytes: u64| {
        let scaled = u128::from(bytes) * u128::from(LONGEST) / u128::from(largest);
        scaled.max(u128::from(bytes > 0))
    };
    let mut text = format!(
        "<svg role=\"img\" aria-label=\"used against requested, by class\" width=\"860\" height=\"{}\">\n",
        totals.len() * 34 + 4
    );
    for (at, one) in totals.iter().enumerate() {
        let top = at * 34 + 4;
        let name = one.of.as_deref().unwrap_or("no class");
        let _ = writeln!(
            text,
            "<text x=\"0\" y=\"{}\">{}</text>",
            top + 16,
            escape(name)
        );
        let bars = [("#b8c9e0", &one.requested, 20), ("#2f6fb7", &one.used, 10)];
        for (colour, sum, height) in bars {
            if let Some(bytes) = bytes(sum) {
                let _ = writeln!(
                    text,
                    "<rect x=\"200\" y=\"{top}\" width=\"{}\" height=\"{height}\" fill=\"{colour}\"/>",
                    width(bytes)
                );
            }
        }
        let words = |sum: &Observed<Bytes>| match sum.known() {
            Some(bytes) => bytes.to_string(),
            None => "not known".to_owned(),
        };
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\">used {}, requested {}</text>",
            u128::from(LONGEST) + 210,
            top + 16,
            words(&one.used),
            words(&one.requested)
        );
    }
    text.push_str("</svg>\n");
    text
}

/// Names are data of strangers.
fn escape(words: &str) -> String {
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
