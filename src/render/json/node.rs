//! Nodes and their drivers.

use serde::Serialize;

use crate::model::driver::Driver;
use crate::model::view::NodeStatus;
use crate::render::json::GapItem;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeItem {
    name: String,
    last_heard: String,
    silent: bool,
    agent_version: String,
    volumes: u64,
    drivers: Vec<DriverItem>,
    gaps: Vec<GapItem>,
}

pub(super) fn node(node: &NodeStatus) -> NodeItem {
    let name = node.name.to_string();
    NodeItem {
        last_heard: node.heard.to_string(),
        silent: node.silent,
        agent_version: node.agent_version.clone(),
        volumes: node.volumes,
        drivers: node.drivers.iter().map(|one| driver(&name, one)).collect(),
        gaps: node.gaps.iter().map(GapItem::from).collect(),
        name,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DriverItem {
    name: String,
    node: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<bool>,
    capabilities: Vec<String>,
    expected_by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<GapItem>,
}

pub(super) fn driver(node: &str, driver: &Driver) -> DriverItem {
    let plugin = driver.plugin.known();
    DriverItem {
        name: driver.name.to_string(),
        node: node.to_owned(),
        socket: driver.socket.as_ref().map(ToString::to_string),
        version: plugin.map(|plugin| plugin.version.clone()),
        ready: plugin.and_then(|plugin| plugin.ready.known().copied()),
        capabilities: plugin
            .and_then(|plugin| plugin.capabilities.known().cloned())
            .unwrap_or_default(),
        expected_by: driver.expected_by.clone(),
        gap: driver.plugin.gap().map(GapItem::from),
    }
}
