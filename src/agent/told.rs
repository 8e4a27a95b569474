//! What drivers say of the node's volumes.

use futures::future::join_all;

use crate::agent::scan::Scanner;
use crate::join;
use crate::model::driver::Plugin;
use crate::model::facts::NodeFacts;
use crate::model::names::{DriverName, HostPath, VolumeHandle};
use crate::model::objects::VolumeMode;
use crate::model::observed::{Gap, Observed, Why};
use crate::model::seen::Told;
use crate::model::volume::Volume;

/// A plugin, and how a volume is named to it.
struct Question<'a> {
    plugin: &'a Plugin,
    socket: &'a HostPath,
    handle: &'a VolumeHandle,
    path: HostPath,
    staging: Option<&'a HostPath>,
}

impl Scanner {
    /// What their drivers say of the volumes, in their order; all are asked at once.
    pub(super) async fn ask_drivers(&self, facts: &NodeFacts) -> Vec<Option<Told>> {
        let mut told = vec![None; facts.volumes.items.len()];
        let mut asked = Vec::new();
        // Begun elsewhere each time, since a slow driver may leave no time for the last.
        let volumes = &facts.volumes.items;
        let first = usize::try_from(self.sequence).unwrap_or(0) % volumes.len().max(1);
        for at in (first..volumes.len()).chain(0..first) {
            let volume = &volumes[at];
            let Some(handle) = volume.handle.known() else {
                continue;
            };
            match question(facts, volume, handle) {
                Ok(question) => {
                    asked.push(async move { (at, self.told(&volume.driver, question).await) });
                }
                // Nobody is there to be waited for.
                Err(gap) => {
                    told[at] = Some(Told {
                        stats: Observed::Unknown(gap.clone()),
                        health: Observed::Unknown(gap),
                    });
                }
            }
        }
        for (at, answer) in join_all(asked).await {
            told[at] = Some(answer);
        }
        told
    }

    async fn told(&self, driver: &DriverName, question: Question<'_>) -> Told {
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
        // Capabilities that were not told are not absent ones.
        if let Observed::Unknown(gap) = &plugin.capabilities {
            return Told {
                stats: Observed::Unknown(gap.clone()),
                health: Observed::Unknown(gap.clone()),
            };
        }
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
        Told { stats, health }
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
    let (Some(driver), Some(mount)) = (driver, volume.mounts_in_use().next()) else {
        let what = format!("volume {handle} is mounted in no pod");
        return Err(Gap::new(Why::NotFound, what));
    };
    let (socket, plugin) = match (&driver.socket, &driver.plugin) {
        (Some(socket), Observed::Known(plugin)) => (socket, plugin),
        // One that cannot even say who it is has not said that it lacks a call.
        (_, Observed::Unknown(gap)) if gap.why == Why::Unsupported => {
            return Err(Gap::new(Why::Unavailable, gap.what.clone()));
        }
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
