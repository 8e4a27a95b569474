//! `-o json`: a promise to programs, documented in `docs/json.md`. Fields are added, never renamed or removed.
//!
//! The types here are ours alone: neither the model nor the wire is what programs are promised.

mod cause;
mod finding;
mod node;
mod status;
mod volume;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::observed::Gap;
use crate::model::view::{NodeStatus, NodeVolume, Story};

pub use cause::{cause, unread};
pub use status::status;

/// The version of the promise.
const API_VERSION: &str = "csi-doctor.io/v1";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<T> {
    api_version: &'static str,
    kind: &'static str,
    at: String,
    items: Vec<T>,
}

/// Stories as a `FindingList`.
pub fn findings(at: Timestamp, stories: &[Story]) -> String {
    list(
        "FindingList",
        at,
        stories.iter().map(finding::story).collect(),
    )
}

/// Volumes as a `VolumeList`.
pub fn volumes(at: Timestamp, volumes: &[NodeVolume]) -> String {
    list(
        "VolumeList",
        at,
        volumes.iter().map(volume::volume).collect(),
    )
}

/// Nodes as a `NodeList`.
pub fn nodes(at: Timestamp, nodes: &[NodeStatus]) -> String {
    list("NodeList", at, nodes.iter().map(node::node).collect())
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
    list("DriverList", at, nodes.iter().flat_map(of).collect())
}

fn list<T: Serialize>(kind: &'static str, at: Timestamp, items: Vec<T>) -> String {
    print(&List {
        api_version: API_VERSION,
        kind,
        at: at.to_string(),
        items,
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
            what: gap.what.clone(),
            since: gap.since.map(|since| since.to_string()),
        }
    }
}
