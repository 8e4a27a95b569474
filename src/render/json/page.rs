//! A page of the handbook, as `Page`.

use serde::Serialize;

use crate::model::cause::CauseId;
use crate::render::json::{API_VERSION, print};

/// One page.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<'a> {
    /// The code that it is about.
    pub code: &'a str,
    /// How bad that is, if nothing else is said.
    pub severity: String,
    /// The step on an object's way that is judged, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<&'static str>,
    /// How long it must last before it counts.
    pub grace_seconds: u64,
    /// A fragment that can follow a count.
    pub summary: &'a str,
    /// All of it, in Markdown; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OnePage<'a> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    page: &'a Page<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageList<'a> {
    api_version: &'static str,
    kind: &'static str,
    items: &'a [Page<'a>],
}

/// One page as a `Page`.
pub fn page(page: &Page<'_>) -> String {
    print(&OnePage {
        api_version: API_VERSION,
        kind: "Page",
        page,
    })
}

/// The section of a cause as a `CausePage`.
pub fn cause_page(cause: CauseId, text: &str) -> String {
    print(&CausePage {
        api_version: API_VERSION,
        kind: "CausePage",
        cause: cause.as_str(),
        text,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CausePage<'a> {
    api_version: &'static str,
    kind: &'static str,
    cause: &'static str,
    text: &'a str,
}

/// All pages as a `PageList`.
pub fn pages(items: &[Page<'_>]) -> String {
    print(&PageList {
        api_version: API_VERSION,
        kind: "PageList",
        items,
    })
}
