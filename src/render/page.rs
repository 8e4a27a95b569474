//! A page of the handbook on a terminal: Markdown without its signs. A link is its text, which `explain`
//! takes; only addresses of the web are told beside it.

use std::fmt::Write as _;

use anstyle::Style;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::model::finding::Severity;
use crate::render::table::{Cell, grid, table};

const HEADING: Style = Style::new().bold();
const EMPHASIS: Style = Style::new().italic();

/// The text of a page; code stays between its ticks, and a block of it is indented, so that it can be copied.
pub fn page(markdown: &str) -> String {
    let mut writer = Writer::default();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        writer.take(event);
    }
    let mut text = writer.text.trim_end().to_owned();
    text.push('\n');
    text
}

/// The list of pages: code, severity, summary.
pub fn list<'a>(pages: impl Iterator<Item = (&'a str, Severity, &'a str)>) -> String {
    let rows: Vec<[Cell; 3]> = pages
        .map(|(code, severity, summary)| [code.into(), Cell::severity(severity), summary.into()])
        .collect();
    table(["CODE", "SEVERITY", "WHAT"], &rows)
}

#[derive(Default)]
struct Writer {
    text: String,
    /// The number of the next item of each list that is open; none for one without numbers.
    lists: Vec<Option<u64>>,
    in_code: bool,
    table: Option<Vec<Vec<String>>>,
    /// Where a link leads that is open.
    address: Option<String>,
}

impl Writer {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.in_code => {
                for line in text.lines() {
                    let indent = if line.is_empty() { "" } else { "    " };
                    let _ = writeln!(self.text, "{indent}{line}");
                }
            }
            Event::Text(text) => self.put(&text),
            Event::Code(code) => self.put(&format!("`{code}`")),
            Event::SoftBreak | Event::HardBreak => self.put("\n"),
            _ => {}
        }
    }

    /// Puts words where they belong: into the cell that is open, else into the text.
    fn put(&mut self, words: &str) {
        let cell = self
            .table
            .as_mut()
            .and_then(|rows| rows.last_mut()?.last_mut());
        cell.unwrap_or(&mut self.text).push_str(words);
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { .. } => self.put(&HEADING.to_string()),
            Tag::Emphasis | Tag::Strong if self.table.is_none() => self.put(&EMPHASIS.to_string()),
            Tag::CodeBlock(CodeBlockKind::Indented | CodeBlockKind::Fenced(_)) => {
                self.in_code = true;
            }
            Tag::List(first) => {
                self.line();
                self.lists.push(first);
            }
            Tag::Item => self.item(),
            Tag::Table(_) => self.table = Some(Vec::new()),
            Tag::TableHead | Tag::TableRow => {
                if let Some(rows) = &mut self.table {
                    rows.push(Vec::new());
                }
            }
            Tag::TableCell => {
                let row = self.table.as_mut().and_then(|rows| rows.last_mut());
                if let Some(row) = row {
                    row.push(String::new());
                }
            }
            Tag::Link { dest_url, .. } if dest_url.contains("://") => {
                self.address = Some(dest_url.to_string());
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => {
                self.put(&format!("{HEADING:#}"));
                self.text.push_str("\n\n");
            }
            TagEnd::Emphasis | TagEnd::Strong if self.table.is_none() => {
                self.put(&format!("{EMPHASIS:#}"));
            }
            TagEnd::Paragraph => self.text.push_str("\n\n"),
            TagEnd::CodeBlock => {
                self.in_code = false;
                self.text.push('\n');
            }
            TagEnd::Item => self.line(),
            TagEnd::List(_) => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.text.push('\n');
                }
            }
            TagEnd::Link => {
                if let Some(address) = self.address.take() {
                    self.put(&format!(" ({address})"));
                }
            }
            TagEnd::Table => self.table(),
            _ => {}
        }
    }

    fn item(&mut self) {
        let depth = self.lists.len().saturating_sub(1);
        let sign = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{}. ", *number - 1)
            }
            _ => "- ".to_owned(),
        };
        let _ = write!(self.text, "{}{sign}", "  ".repeat(depth));
    }

    /// Begins a line, if none was begun.
    fn line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn table(&mut self) {
        let mut rows = self.table.take().unwrap_or_default().into_iter();
        let heads = rows.next().unwrap_or_default();
        let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
        let rows: Vec<Vec<Cell>> = rows
            .map(|row| row.into_iter().map(Cell::from).collect())
            .collect();
        self.text.push_str(&grid(&heads, &rows));
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_page_has_no_signs_of_its_markup() {
        let markdown = "# NoMatchingVolume\n\nSee [ClaimLost](ClaimLost.md) and [the KEP](https://example.com/kep).\n\n## How\n\n    kubectl get pv\n\n    kubectl get pvc\n\n1. *One*, with `code`.\n2. Two:\n   - in it\n\nLast, **surely**.\n\n| What | Code |\n| --- | --- |\n| It hangs | [StaleMount](x.md) |\n| `df` too | none |\n";
        let text = anstream::adapter::strip_str(&page(markdown)).to_string();
        expect![[r#"
            NoMatchingVolume

            See ClaimLost and the KEP (https://example.com/kep).

            How

                kubectl get pv

                kubectl get pvc

            1. One, with `code`.
            2. Two:
              - in it

            Last, surely.

            What       Code
            It hangs   StaleMount
            `df` too   none
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn a_heading_stands_out() {
        assert_eq!(page("# Code"), format!("{HEADING}Code{HEADING:#}\n"));
    }
}
