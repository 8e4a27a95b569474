//! A CSI driver on one node: who expects it, and what its plugin answers.

use crate::model::finding::{Object, Subject};
use crate::model::names::{DriverName, HostPath, NodeName};
use crate::model::observed::Observed;

/// A driver on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// Its name.
    pub name: DriverName,
    /// Who expects it here, for a person; empty for a socket that nobody asks for.
    pub expected_by: Vec<String>,
    /// Its plugin's socket, where one was found or told.
    pub socket: Option<HostPath>,
    /// What the plugin answers.
    pub plugin: Observed<Plugin>,
}

impl Driver {
    /// What findings about it are about.
    pub fn subject(&self, node: &NodeName) -> Subject {
        Subject {
            object: Object::Driver(self.name.clone()),
            node: Some(node.clone()),
        }
    }
}

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// `vendor_version`.
    pub version: String,
    /// `Probe`: an absent answer means ready, false means still initialising.
    pub ready: Observed<bool>,
    /// Node capabilities, as the specification spells them; unknown ones as numbers.
    pub capabilities: Observed<Vec<String>>,
    /// What it offers as a whole (`GetPluginCapabilities`): services as the specification spells
    /// them, and how it expands.
    pub services: Observed<Vec<String>>,
}

impl Plugin {
    /// It expands volumes that are in use.
    pub const ONLINE: &str = "EXPANSION_ONLINE";
    /// It expands volumes that nobody uses.
    pub const OFFLINE: &str = "EXPANSION_OFFLINE";

    /// Whether it says that it expands only volumes that nobody uses.
    pub fn expands_offline_only(&self) -> bool {
        let offers = |word: &str| {
            let services = self.services.known();
            services.is_some_and(|all| all.iter().any(|one| one == word))
        };
        offers(Self::OFFLINE) && !offers(Self::ONLINE)
    }

    /// Whether it has this node capability; `None` when it could not be asked.
    pub fn can(&self, capability: &str) -> Option<bool> {
        self.capabilities
            .known()
            .map(|all| all.iter().any(|one| one == capability))
    }
}
