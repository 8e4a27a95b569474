//! Drivers and what their plugins answer.

use crate::model::driver::{Driver, NodeInfo, Plugin, Registration};
use crate::model::health::{HealthEntry, Illness};
use crate::proto::v1;
use crate::wire::WireError;
use crate::wire::value::{
    duration, milliseconds, name, nanoseconds, observed, observed_option, path, path_bytes,
    required, split, split_option, text, timestamp, word, words,
};

impl From<&Driver> for v1::Driver {
    fn from(driver: &Driver) -> Self {
        let (plugin, plugin_gap) = split(&driver.plugin, Into::into);
        let (registered_as, registered_as_gap) =
            split_option(&driver.registered_as, ToString::to_string);
        let (csi_node, csi_node_gap) = split_option(&driver.csi_node, |one| v1::Registration {
            node_id: one.node_id.clone(),
            allocatable: one.allocatable,
        });
        Self {
            name: driver.name.to_string(),
            expected_by: driver.expected_by.clone(),
            socket: driver.socket.as_ref().map(path_bytes),
            plugin,
            plugin_gap,
            registered_as,
            registered_as_gap,
            csi_node,
            csi_node_gap,
            started_ns: driver.started.map(nanoseconds),
            attached: driver.attached,
            reported_health: driver.reported_health.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Driver> for Driver {
    type Error = WireError;

    fn try_from(driver: v1::Driver) -> Result<Self, WireError> {
        Ok(Self {
            name: name(required("name", driver.name)?).into(),
            expected_by: words(driver.expected_by),
            socket: driver.socket.map(path),
            plugin: observed(
                driver.plugin.map(Into::into),
                driver.plugin_gap,
                "what the plugin answers",
            ),
            registered_as: observed_option(
                driver.registered_as.map(|as_name| name(as_name).into()),
                driver.registered_as_gap,
            ),
            csi_node: observed_option(
                driver.csi_node.map(|one| Registration {
                    node_id: text(one.node_id),
                    allocatable: one.allocatable,
                }),
                driver.csi_node_gap,
            ),
            started: driver.started_ns.map(timestamp),
            attached: driver.attached,
            reported_health: driver.reported_health.into_iter().map(Into::into).collect(),
        })
    }
}

impl From<&Plugin> for v1::Plugin {
    fn from(plugin: &Plugin) -> Self {
        let (ready, ready_gap) = split(&plugin.ready, |ready| *ready);
        let (capabilities, capabilities_gap) = split(&plugin.capabilities, Clone::clone);
        let (services, services_gap) = split(&plugin.services, Clone::clone);
        let (info, info_gap) = split(&plugin.info, |info| v1::NodeInfo {
            node_id: info.node_id.clone(),
            max_volumes: info.max_volumes,
        });
        let (storage_health, storage_health_gap) = split(&plugin.storage_health, |all| {
            all.iter().map(Into::into).collect()
        });
        Self {
            version: plugin.version.clone(),
            ready: ready.unwrap_or_default(),
            ready_gap,
            capabilities: capabilities.unwrap_or_default(),
            capabilities_gap,
            services: services.unwrap_or_default(),
            services_gap,
            info,
            info_gap,
            took_ms: milliseconds(plugin.took),
            storage_health: storage_health.unwrap_or_default(),
            storage_health_gap,
        }
    }
}

impl From<v1::Plugin> for Plugin {
    fn from(plugin: v1::Plugin) -> Self {
        Self {
            version: word(plugin.version),
            ready: observed(Some(plugin.ready), plugin.ready_gap, "readiness"),
            capabilities: observed(
                Some(words(plugin.capabilities)),
                plugin.capabilities_gap,
                "capabilities",
            ),
            services: observed(
                Some(words(plugin.services)),
                plugin.services_gap,
                "services",
            ),
            info: observed(
                plugin.info.map(|info| NodeInfo {
                    node_id: text(info.node_id),
                    max_volumes: info.max_volumes,
                }),
                plugin.info_gap,
                "what the plugin calls the node",
            ),
            took: duration(plugin.took_ms),
            storage_health: observed(
                Some(plugin.storage_health.into_iter().map(Into::into).collect()),
                plugin.storage_health_gap,
                "the health of the storage",
            ),
        }
    }
}

impl From<&HealthEntry> for v1::Health {
    fn from(entry: &HealthEntry) -> Self {
        Self {
            illness: entry.illness.as_str().to_owned(),
            reason: entry.reason.clone(),
            message: entry.message.clone(),
        }
    }
}

impl From<v1::Health> for HealthEntry {
    fn from(entry: v1::Health) -> Self {
        Self {
            illness: Illness::of_word(&word(entry.illness)),
            reason: text(entry.reason),
            message: text(entry.message),
        }
    }
}
