//! What drivers say of the node's volumes.

use std::collections::HashMap;

use futures::future::join_all;

use crate::agent::scan::{Scanner, mounted};
use crate::join;
use crate::model::driver::Plugin;
use crate::model::facts::NodeFacts;
use crate::model::health::HealthEntry;
use crate::model::names::{DriverName, HostPath, VolumeHandle};
use crate::model::objects::VolumeMode;
use crate::model::observed::{Gap, Observed, Why};
use crate::model::volume::{DriverStats, Volume};

/// What drivers say of volumes.
#[derive(Default)]
pub(super) struct Told {
    pub(super) stats: HashMap<Key, Observed<DriverStats>>,
    pub(super) health: HashMap<Key, Observed<Vec<HealthEntry>>>,
}

/// A volume, as its driver knows it.
type Key = (DriverName, VolumeHandle);

/// What a driver says of one volume: its usage, and its health where it has a call for that.
type Answer = (Observed<DriverStats>, Observed<Vec<HealthEntry>>);

impl Told {
    fn put(&mut self, key: Key, (stats, health): Answer) {
        self.stats.insert(key.clone(), stats);
        self.health.insert(key, health);
    }
}

/// A plugin, and how a volume is named to it.
struct Question<'a> {
    plugin: &'a Plugin,
    socket: &'a HostPath,
    handle: &'a VolumeHandle,
    path: HostPath,
    staging: Option<&'a HostPath>,
}

impl Scanner {
    /// What their drivers say of the volumes, all asked at once.
    pub(super) async fn ask_drivers(&self, facts: &NodeFacts) -> Told {
        let mut told = Told::default();
        let mut asked = Vec::new();
        // Begun elsewhere each time, since a slow driver may leave no time for the last.
        let volumes = &facts.volumes.items;
        let first = usize::try_from(self.sequence).unwrap_or(0) % volumes.len().max(1);
        for volume in volumes[first..].iter().chain(&volumes[..first]) {
            let Some(handle) = volume.handle.known() else {
                continue;
            };
            let key = (volume.driver.clone(), handle.clone());
            match question(facts, volume, handle) {
                Ok(question) => {
                    asked.push(async { (key, self.told(&volume.driver, question).await) });
                }
                // Nobody is there to be waited for.
                Err(gap) => {
                    let unknown = (Observed::Unknown(gap.clone()), Observed::Unknown(gap));
                    told.put(key, unknown);
                }
            }
        }
        for (key, answer) in join_all(asked).await {
            told.put(key, answer);
        }
        told
    }

    async fn told(&self, driver: &DriverName, question: Question<'_>) -> Answer {
        let lacks = |what: &str| {
            let what = format!("driver {driver} does not {what}");
            Gap::new(Why::Unsupported, what)
        };
        let Question {
            plugin,
            socket,
            handle,
            path,
            staging,
        } = question;
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

/// What to ask a volume's driver by, or why it cannot be asked.
fn question<'a>(
    facts: &'a NodeFacts,
    volume: &'a Volume,
    handle: &'a VolumeHandle,
) -> Result<Question<'a>, Gap> {
    let mut drivers = facts.drivers.items.iter();
    let driver = drivers.find(|driver| driver.name == volume.driver);
    let (Some(driver), Some(mount)) = (driver, mounted(volume).next()) else {
        let what = format!("volume {handle} is mounted in no pod");
        return Err(Gap::new(Why::NotFound, what));
    };
    let (socket, plugin) = match (&driver.socket, &driver.plugin) {
        (Some(socket), Observed::Known(plugin)) => (socket, plugin),
        (_, Observed::Unknown(gap)) => return Err(gap.clone()),
        (None, Observed::Known(_)) => {
            let what = format!("driver {} has no socket", driver.name);
            return Err(Gap::new(Why::NotFound, what));
        }
    };
    Ok(Question {
        plugin,
        socket,
        handle,
        path: join::asked_at(volume.mode, &mount.target),
        // The kubelet leaves it out for a device.
        staging: match volume.mode {
            VolumeMode::Filesystem => volume.staging.as_ref(),
            VolumeMode::Block => None,
        },
    })
}
