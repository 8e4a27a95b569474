//! What drivers say of the node's volumes.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::agent::scan::{Scanner, mounted};
use crate::join;
use crate::model::facts::NodeFacts;
use crate::model::health::HealthEntry;
use crate::model::names::{DriverName, VolumeHandle};
use crate::model::objects::VolumeMode;
use crate::model::observed::{Gap, Observed, Why};
use crate::model::volume::{DriverStats, Volume};

/// What drivers say of volumes.
#[derive(Default)]
pub(super) struct Told {
    pub(super) stats: BTreeMap<(DriverName, VolumeHandle), Observed<DriverStats>>,
    pub(super) health: BTreeMap<(DriverName, VolumeHandle), Observed<Vec<HealthEntry>>>,
}

impl Scanner {
    /// What their drivers say of the volumes, all asked at once.
    pub(super) async fn ask_drivers(&self, facts: &NodeFacts) -> Told {
        // Begun elsewhere each time, since a slow driver may leave no time for the last.
        let volumes = &facts.volumes.items;
        let first = usize::try_from(self.sequence).unwrap_or(0) % volumes.len().max(1);
        let in_turn = volumes[first..].iter().chain(&volumes[..first]);
        let asked = in_turn.filter_map(|volume| {
            let handle = volume.handle.known()?.clone();
            let key = (volume.driver.clone(), handle);
            Some(async move {
                let (stats, health) = self.told(facts, volume, &key.1).await;
                (key, stats, health)
            })
        });
        let mut told = Told::default();
        for (key, stats, health) in join_all(asked).await {
            told.stats.insert(key.clone(), stats);
            told.health.insert(key, health);
        }
        told
    }

    /// What a volume's driver says of it: its usage, and its health where it has a call for that.
    async fn told(
        &self,
        facts: &NodeFacts,
        volume: &Volume,
        handle: &VolumeHandle,
    ) -> (Observed<DriverStats>, Observed<Vec<HealthEntry>>) {
        let both = |gap: Gap| (Observed::Unknown(gap.clone()), Observed::Unknown(gap));
        let mut drivers = facts.drivers.items.iter();
        let driver = drivers.find(|driver| driver.name == volume.driver);
        let (Some(driver), Some(mount)) = (driver, mounted(volume).next()) else {
            let what = format!("volume {handle} is mounted in no pod");
            return both(Gap::new(Why::NotFound, what));
        };
        let (socket, plugin) = match (&driver.socket, &driver.plugin) {
            (Some(socket), Observed::Known(plugin)) => (socket, plugin),
            (_, Observed::Unknown(gap)) => return both(gap.clone()),
            (None, Observed::Known(_)) => {
                let what = format!("driver {} has no socket", driver.name);
                return both(Gap::new(Why::NotFound, what));
            }
        };
        let lacks = |what: &str| {
            let what = format!("driver {} does not {what}", driver.name);
            Gap::new(Why::Unsupported, what)
        };
        let path = join::asked_at(volume.mode, &mount.target);
        // The kubelet leaves it out for a device.
        let staging = match volume.mode {
            VolumeMode::Filesystem => volume.staging.as_ref(),
            VolumeMode::Block => None,
        };
        let stats = if plugin.can("GET_VOLUME_STATS") == Some(true) {
            self.plugins.stats(socket, handle, &path, staging).await
        } else {
            Observed::Unknown(lacks("tell usage"))
        };
        let health = if plugin.can("GET_VOLUME_HEALTH") == Some(true) {
            self.plugins.health(socket, handle, &path, staging).await
        } else {
            Observed::Unknown(lacks("have NodeGetVolumeHealth"))
        };
        (stats, health)
    }
}
