//! What a plugin says of itself and of the storage behind it.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::driver::{NodeInfo, Plugin};
use crate::model::health::HealthEntry;
use crate::model::names::HostPath;
use crate::model::observed::{Gap, Observed, Why};

use super::failure::Error;
use super::plugins::{Line, Plugins, lock, observed};
use super::{convert, text};

/// Milliseconds of the grain in which a plugin's slowness is told.
const QUARTER: u64 = 250;

/// A plugin that could not say what it calls the node is asked again after so long.
const ASK_AGAIN: Duration = Duration::from_mins(5);

/// A time in whole quarters of a second.
fn coarse(took: Duration) -> Duration {
    let quarters = took.as_millis() / u128::from(QUARTER);
    Duration::from_millis(
        u64::try_from(quarters)
            .unwrap_or(u64::MAX)
            .saturating_mul(QUARTER),
    )
}

impl Plugins {
    /// The plugin's own name, and what it says of itself: four questions at once, within one deadline;
    /// then what depends on the answers.
    pub(super) async fn introduce(
        &self,
        line: &Line,
        socket: &HostPath,
    ) -> Result<(String, Plugin), Error> {
        let begun = Instant::now();
        let (info, ready, capabilities, services) = self
            .ask(line, socket, |client| async move {
                let (info, ready, capabilities, services) = tokio::join!(
                    client.plugin_info(),
                    client.probe(),
                    client.node_capabilities(),
                    client.plugin_capabilities()
                );
                Ok((info?, ready, capabilities, services))
            })
            .await?;
        let took = begun.elapsed();
        let mut plugin = Plugin {
            version: text::clean(&info.vendor_version),
            ready: observed(ready).map(|answer| convert::ready(&answer)),
            capabilities: observed(capabilities).map(|answer| convert::node_capabilities(&answer)),
            services: observed(services).map(|answer| convert::plugin_services(&answer)),
            info: self.node_info(line, socket).await,
            // Coarse on purpose: what changes with every round would make every round one of its own.
            took: coarse(took),
            storage_health: Observed::Known(Vec::new()),
        };
        plugin.storage_health = self.storage_health(line, socket, &plugin).await;
        Ok((text::clean(&info.name), plugin))
    }

    /// What the plugin calls the node: asked once for each of its starts, since some plugins write when
    /// they are asked; again after a while where it failed.
    async fn node_info(&self, line: &Line, socket: &HostPath) -> Observed<NodeInfo> {
        let stamp = self.stamp(socket);
        let kept = lock(&line.info).clone();
        if let (Some(stamp), Some((kept_stamp, info, asked))) = (stamp, kept)
            && stamp == kept_stamp
            && (info.known().is_some() || asked.elapsed() < ASK_AGAIN)
        {
            return info;
        }
        let answer = self
            .ask(
                line,
                socket,
                |client| async move { client.node_info().await },
            )
            .await;
        let info = observed(answer).map(|answer| convert::node_info(&answer));
        if let Some(stamp) = stamp {
            *lock(&line.info) = Some((stamp, info.clone(), Instant::now()));
        }
        info
    }

    /// What is wrong with the storage behind the plugin, where it has a call for that.
    async fn storage_health(
        &self,
        line: &Line,
        socket: &HostPath,
        plugin: &Plugin,
    ) -> Observed<Vec<HealthEntry>> {
        match (&plugin.capabilities, plugin.can("GET_STORAGE_HEALTH")) {
            (_, Some(true)) => {}
            (Observed::Unknown(gap), _) => return Observed::Unknown(gap.clone()),
            (Observed::Known(_), _) => {
                let what = "the driver does not have NodeGetStorageHealth";
                return Observed::Unknown(Gap::new(Why::Unsupported, what));
            }
        }
        let answer = self
            .ask(line, socket, |client| async move {
                client.storage_health().await
            })
            .await;
        observed(answer).map(|answer| convert::storage_health(&answer))
    }
}
