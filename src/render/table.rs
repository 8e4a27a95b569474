//! Columns as kubectl prints them: upper-case heads, three blanks between, nothing at the end of a line.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::model::finding::{Severity, State};

/// Blanks between two columns.
const GAP: usize = 3;

/// One cell.
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            style: Style::new(),
        }
    }
}

impl Cell {
    /// A severity, in its colour.
    pub(super) fn severity(severity: Severity) -> Self {
        Self {
            text: severity.to_string(),
            style: severity_style(severity),
        }
    }

    /// A state; what is certain and present stands out.
    pub(super) fn state(state: &State) -> Self {
        Self {
            text: state.as_str().to_owned(),
            style: match state {
                State::Open => Style::new().bold(),
                State::Settling | State::Unconfirmed { .. } => AnsiColor::Yellow.on_default(),
                State::Resolved { .. } => AnsiColor::Green.on_default(),
            },
        }
    }
}

/// The colour of a severity.
pub(super) fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Critical => AnsiColor::Red.on_default().bold(),
        Severity::Warning => AnsiColor::Yellow.on_default(),
        Severity::Info => AnsiColor::Cyan.on_default(),
    }
}

/// A table of these rows.
pub(super) fn table<const N: usize>(heads: [&str; N], rows: &[[Cell; N]]) -> String {
    grid(&heads, rows)
}

/// The same, of as many columns as there are heads.
pub(super) fn grid<R: AsRef<[Cell]>>(heads: &[&str], rows: &[R]) -> String {
    let mut widths: Vec<usize> = heads.iter().map(|head| head.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row.as_ref()) {
            *width = (*width).max(cell.text.chars().count());
        }
    }
    let mut text = String::new();
    let heads: Vec<Cell> = heads.iter().copied().map(Cell::from).collect();
    line(&mut text, &widths, &heads);
    for row in rows {
        line(&mut text, &widths, row.as_ref());
    }
    text
}

fn line(text: &mut String, widths: &[usize], cells: &[Cell]) {
    let last = cells
        .iter()
        .rposition(|cell| !cell.text.is_empty())
        .unwrap_or(0);
    for (at, (width, cell)) in widths.iter().zip(cells).enumerate().take(last + 1) {
        let style = cell.style;
        let _ = write!(text, "{style}{}{style:#}", cell.text);
        if at < last {
            let blanks = width - cell.text.chars().count() + GAP;
            text.extend(std::iter::repeat_n(' ', blanks));
        }
    }
    text.push('\n');
}
