//! `-o json`: a promise to programs, documented in `docs/json.md`. Fields are added, never renamed or removed.
//!
//! The types here are ours alone: neither the model nor the wire is what programs are promised.

mod cause;
mod finding;
mod node;
mod page;
mod report;
mod status;
mod volume;
mod way;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::driver::Driver;
use crate::model::names::NodeName;
use crate::model::observed::Gap;
use crate::model::view::{NodeStatus, NodeVolume, Story};

pub use cause::{cause, unread};
pub use page::{Page, cause_page, page, pages};
pub use report::report;
pub use status::status;
pub use way::diagnosis;

/// The version of the promise.
const API_VERSION: &str = "csi-doctor.io/v1";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a, T> {
    api_version: &'static str,
    kind: &'static str,
    at: String,
    items: Vec<T>,
    #[serde(skip_serializing_if = "str::is_empty")]
    next_page_token: &'a str,
}

/// Stories as a `FindingList`.
pub fn findings(at: Timestamp, stories: &[Story]) -> String {
    findings_page(at, stories, "")
}

/// Some of the stories, with the token of the next page if there is one.
pub fn findings_page(at: Timestamp, stories: &[Story], next: &str) -> String {
    let items = stories.iter().map(finding::story).collect();
    list("FindingList", at, items, next)
}

/// Volumes as a `VolumeList`.
pub fn volumes(at: Timestamp, volumes: &[NodeVolume]) -> String {
    volumes_page(at, volumes, "")
}

/// Some of the volumes, with the token of the next page if there is one.
pub fn volumes_page(at: Timestamp, volumes: &[NodeVolume], next: &str) -> String {
    let items = volumes.iter().map(volume::volume).collect();
    list("VolumeList", at, items, next)
}

/// Nodes as a `NodeList`.
pub fn nodes(at: Timestamp, nodes: &[NodeStatus]) -> String {
    nodes_page(at, nodes, "")
}

/// Some of the nodes, with the token of the next page if there is one.
pub fn nodes_page(at: Timestamp, nodes: &[NodeStatus], next: &str) -> String {
    let items = nodes.iter().map(node::node).collect();
    list("NodeList", at, items, next)
}

/// Drivers of all nodes as a `DriverList`.
pub fn drivers(at: Timestamp, nodes: &[NodeStatus]) -> String {
    let of = |one: &NodeStatus| {
        let name = one.name.to_string();
        one.drivers
            .iter()
            .map(|one| node::driver(&name, one))
            .collect::<Vec<_>>()
    };
    list("DriverList", at, nodes.iter().flat_map(of).collect(), "")
}

/// Some drivers of some nodes, with the token of the next page if there is one.
pub fn drivers_page(at: Timestamp, drivers: &[(NodeName, Driver)], next: &str) -> String {
    let of = |(node, driver): &(NodeName, Driver)| node::driver(node.as_str(), driver);
    list("DriverList", at, drivers.iter().map(of).collect(), next)
}

/// One volume as a `Volume`: where it is, and the stories about it.
pub fn volume(at: Timestamp, volumes: &[NodeVolume], stories: &[Story]) -> String {
    print(&OneVolume {
        api_version: API_VERSION,
        kind: "Volume",
        at: at.to_string(),
        volumes: volumes.iter().map(volume::volume).collect(),
        findings: stories.iter().map(finding::story).collect(),
    })
}

/// Why there is no answer, as an `Error`.
pub fn error(code: u16, message: &str) -> String {
    print(&ErrorItem {
        api_version: API_VERSION,
        kind: "Error",
        code,
        message,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneVolume {
    api_version: &'static str,
    kind: &'static str,
    at: String,
    volumes: Vec<volume::VolumeItem>,
    findings: Vec<finding::FindingItem>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorItem<'a> {
    api_version: &'static str,
    kind: &'static str,
    code: u16,
    message: &'a str,
}

fn list<T: Serialize>(kind: &'static str, at: Timestamp, items: Vec<T>, next: &str) -> String {
    print(&List {
        api_version: API_VERSION,
        kind,
        at: at.to_string(),
        items,
        next_page_token: next,
    })
}

fn print(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value)
        .expect("plain structs of text and numbers always serialise");
    text.push('\n');
    text
}

#[derive(Serialize)]
struct GapItem {
    why: &'static str,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

impl From<&Gap> for GapItem {
    fn from(gap: &Gap) -> Self {
        Self {
            why: gap.why.as_str(),
            what: gap.what.to_string(),
            since: gap.since.map(|since| since.to_string()),
        }
    }
}
