//! The cause page of the handbook, taken apart: what to do about a cause, how to tell it.
//!
//! The page is compiled in, so that people and programs read the same sentences. Knows the page's
//! form and nothing of matching.

use std::sync::LazyLock;

use crate::model::cause::CauseId;

/// The page as it is shipped.
pub const PAGE: &str = include_str!("../../docs/causes.md");

/// What is said when the cause is unknown.
pub(super) const UNKNOWN_NEXT: &str = "The text does not tell the cause: read the next log layer \
    of that stage (the sidecar, then the driver's container, then the kernel log of the node).";

/// What the handbook says about one cause.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    pub(super) tell: &'static str,
    pub(super) todo: &'static str,
}

static SECTIONS: LazyLock<Vec<Section>> =
    LazyLock::new(|| CauseId::ALL.iter().map(|id| section(*id)).collect());

/// The section of a cause.
pub(super) fn of(id: CauseId) -> Section {
    SECTIONS[id as usize]
}

fn section(id: CauseId) -> Section {
    let body = body(id).unwrap_or_default();
    Section {
        tell: paragraph(body, "**How to tell it.** "),
        todo: paragraph(body, "**What to do.** "),
    }
}

/// The section of a cause as a page of its own.
pub fn page(id: CauseId) -> String {
    format!("# {id}\n\n{}\n", body(id).unwrap_or_default().trim())
}

/// The text of the section of a cause, without its heading.
fn body(id: CauseId) -> Option<&'static str> {
    PAGE.split("\n## ").skip(1).find_map(|section| {
        let (heading, body) = section.split_once('\n')?;
        (heading.trim() == id.as_str()).then_some(body)
    })
}

fn paragraph(body: &'static str, opening: &str) -> &'static str {
    body.lines()
        .find_map(|line| line.strip_prefix(opening))
        .unwrap_or_default()
        .trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_section() {
        for id in CauseId::ALL {
            let body = body(*id).unwrap_or_else(|| panic!("{id} has no section"));
            for opening in [
                "**What it means.** ",
                "**How to tell it.** ",
                "**What to do.** ",
                "**Stages.** ",
            ] {
                assert!(!paragraph(body, opening).is_empty(), "{id}: {opening}");
            }
        }
        assert_eq!(PAGE.matches("\n## ").count(), CauseId::ALL.len());
    }
}
