//! A CSI driver on one node: who expects it, and what its plugin answers.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::finding::{Object, Subject};
use crate::model::health::HealthEntry;
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
    /// The name under which a registrar tells the kubelet of this plugin; none where none does.
    pub registered_as: Observed<Option<DriverName>>,
    /// What the node's CSINode has of it; none where it does not list it.
    pub csi_node: Observed<Option<Registration>>,
    /// When its socket was made, which is when the plugin started last.
    pub started: Option<Timestamp>,
    /// How many volumes of it are attached to this node, as far as its pods name them.
    pub attached: u32,
    /// What the kubelet wrote of its storage into the CSINode (Kubernetes 1.37, `status.storageHealth`).
    pub reported_health: Vec<HealthEntry>,
}

/// A driver in a CSINode (`spec.drivers[]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// `nodeID`: what the driver called this node when it was registered.
    pub node_id: String,
    /// `allocatable.count`: how many volumes may be attached; none where it is not limited.
    pub allocatable: Option<u32>,
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
    /// What it calls this node (`NodeGetInfo`), asked once for each start of the plugin.
    pub info: Observed<NodeInfo>,
    /// How long the slowest of its answers about itself took, in whole quarters of a second.
    pub took: Duration,
    /// What is wrong with the storage behind it (`NodeGetStorageHealth`, CSI 1.13); nothing when it is well.
    pub storage_health: Observed<Vec<HealthEntry>>,
}

/// `NodeGetInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// `node_id`.
    pub node_id: String,
    /// `max_volumes_per_node`; 0 where it is not limited, or not known.
    pub max_volumes: u64,
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
