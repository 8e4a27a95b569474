//! Drivers and what their plugins answer.

use crate::model::driver::{Driver, Plugin};
use crate::proto::v1;
use crate::wire::WireError;
use crate::wire::value::{name, observed, path, path_bytes, required, split, word, words};

impl From<&Driver> for v1::Driver {
    fn from(driver: &Driver) -> Self {
        let (plugin, plugin_gap) = split(&driver.plugin, Into::into);
        Self {
            name: driver.name.to_string(),
            expected_by: driver.expected_by.clone(),
            socket: driver.socket.as_ref().map(path_bytes),
            plugin,
            plugin_gap,
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
        })
    }
}

impl From<&Plugin> for v1::Plugin {
    fn from(plugin: &Plugin) -> Self {
        let (ready, ready_gap) = split(&plugin.ready, |ready| *ready);
        let (capabilities, capabilities_gap) = split(&plugin.capabilities, Clone::clone);
        let (services, services_gap) = split(&plugin.services, Clone::clone);
        Self {
            version: plugin.version.clone(),
            ready: ready.unwrap_or_default(),
            ready_gap,
            capabilities: capabilities.unwrap_or_default(),
            capabilities_gap,
            services: services.unwrap_or_default(),
            services_gap,
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
        }
    }
}
