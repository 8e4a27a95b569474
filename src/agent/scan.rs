//! One scan: gather → join → diagnose. Gathering cannot fail: what could not be seen is in the facts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;

use crate::agent::args::NodeArgs;
use crate::agent::objects::Source;
use crate::csi::plugins::Plugins;
use crate::join;
use crate::model::facts::{NodeFacts, Thresholds};
use crate::model::mount::Mount;
use crate::model::names::{DriverName, HostPath, NodeName, VolumeHandle};
use crate::model::objects::PodState;
use crate::model::observed::{Gap, Observed, Why};
use crate::model::scan::{Origin, Scan};
use crate::model::seen::{Answers, Filesystem, Seen};
use crate::model::sizes::Bytes;
use crate::model::volume::{DriverStats, Volume};
use crate::mounts::probe::{Place, Prober};
use crate::mounts::{kubelet, mountinfo, sysfs};
use crate::rules;

/// So many probes may hang at once before no more are started: each holds a thread.
const MAX_STUCK_PROBES: usize = 16;

/// What outlives a scan: the probes that hang, the plugins that are left alone, files that did not change.
pub(super) struct Scanner {
    node: NodeName,
    host_root: PathBuf,
    kubelet: HostPath,
    thresholds: Thresholds,
    objects: Source,
    patience: Duration,
    prober: Arc<Prober>,
    plugins: Plugins,
    instance: String,
    sequence: u64,
}

impl Scanner {
    /// A scanner of this node.
    pub(super) fn new(args: &NodeArgs, objects: Source) -> Self {
        let kubelet = match &args.kubelet_dir {
            Some(dir) => HostPath::from(dir.clone()),
            None => kubelet::discover_root(&args.host_root),
        };
        Self {
            node: args.node_name.as_str().into(),
            host_root: args.host_root.clone(),
            kubelet,
            thresholds: Thresholds {
                nearly_full_percent: args.nearly_full_percent,
            },
            objects,
            patience: args.probe_timeout,
            prober: Arc::new(Prober::new(
                args.host_root.clone(),
                args.probe_timeout,
                MAX_STUCK_PROBES,
            )),
            plugins: Plugins::new(args.host_root.clone(), args.probe_timeout),
            instance: format!(
                "{}-{}",
                Timestamp::now().as_nanosecond(),
                std::process::id()
            ),
            sequence: 0,
        }
    }

    /// One scan; the next is to be expected after `interval`.
    pub(super) async fn scan(&mut self, interval: Duration) -> Scan {
        let begun = Instant::now();
        let facts = self.gather().await;
        let verdicts = rules::diagnose_node(&facts);
        self.sequence += 1;
        Scan {
            origin: Origin {
                instance: self.instance.clone(),
                sequence: self.sequence,
            },
            version: env!("CARGO_PKG_VERSION").to_owned(),
            interval,
            took: begun.elapsed(),
            facts,
            verdicts,
        }
    }

    async fn gather(&mut self) -> NodeFacts {
        let seen = self.see().await;
        let mut facts = join::join(&seen);
        let answers = self.ask(&facts).await;
        join::answer(&mut facts, &answers);
        facts
    }

    /// The first round: nothing in it touches a volume.
    async fn see(&mut self) -> Seen {
        let observed_at = Timestamp::now();
        let objects = self.objects.objects(self.patience);
        let plugins = self.plugins.identify(&self.kubelet);
        let (objects, plugins) = tokio::join!(objects, plugins);
        Seen {
            node: self.node.clone(),
            observed_at,
            thresholds: self.thresholds,
            plugins,
            table: mountinfo::read_table(&self.host_root),
            kubelet: kubelet::read_kubelet_dir(&self.host_root, &self.kubelet),
            objects,
        }
    }

    /// The second round: every volume is asked, each within its deadline.
    async fn ask(&self, facts: &NodeFacts) -> Answers {
        let (filesystems, stats) = tokio::join!(self.probe(facts), self.ask_drivers(facts));
        let devices = facts
            .volumes
            .items
            .iter()
            .flat_map(mounted)
            .map(|mount| (mount.target.clone(), self.device_size(mount)));
        Answers {
            devices: devices.collect(),
            filesystems,
            stats,
        }
    }

    async fn probe(&self, facts: &NodeFacts) -> BTreeMap<HostPath, Observed<Filesystem>> {
        let places = facts
            .volumes
            .items
            .iter()
            .flat_map(mounted)
            .map(|mount| Place {
                target: mount.target.clone(),
                device: mount.device,
                fs_type: mount.fs_type.clone(),
            });
        let (prober, now, places) = (
            Arc::clone(&self.prober),
            facts.observed_at,
            places.collect(),
        );
        // The prober waits no longer than its deadline; the threads that may hang are its own.
        tokio::task::spawn_blocking(move || prober.look(now, places))
            .await
            .unwrap_or_default()
    }

    async fn ask_drivers(
        &self,
        facts: &NodeFacts,
    ) -> BTreeMap<(DriverName, VolumeHandle), Observed<DriverStats>> {
        let asked = facts.volumes.items.iter().filter_map(|volume| {
            let handle = volume.handle.known()?.clone();
            let key = (volume.driver.clone(), handle);
            Some(async move {
                let stats = self.stats(facts, volume, &key.1).await;
                (key, stats)
            })
        });
        join_all(asked).await.into_iter().collect()
    }

    async fn stats(
        &self,
        facts: &NodeFacts,
        volume: &Volume,
        handle: &VolumeHandle,
    ) -> Observed<DriverStats> {
        let driver = facts
            .drivers
            .items
            .iter()
            .find(|driver| driver.name == volume.driver);
        let (Some(driver), Some(mount)) = (driver, mounted(volume).next()) else {
            return Observed::Unknown(Gap::new(
                Why::NotFound,
                format!("volume {handle} is mounted in no pod"),
            ));
        };
        match (&driver.socket, &driver.plugin) {
            (Some(socket), Observed::Known(plugin))
                if plugin.can("GET_VOLUME_STATS") == Some(true) =>
            {
                self.plugins
                    .stats(socket, handle, &mount.target, volume.staging.as_ref())
                    .await
            }
            (_, Observed::Known(_)) => Observed::Unknown(Gap::new(
                Why::Unsupported,
                format!("driver {} does not tell usage", driver.name),
            )),
            (_, Observed::Unknown(gap)) => Observed::Unknown(gap.clone()),
        }
    }

    fn device_size(&self, mount: &Mount) -> Observed<Option<Bytes>> {
        let device = sysfs::device_of(&self.host_root, mount).unwrap_or(mount.device);
        sysfs::device_size(&self.host_root, device)
    }
}

/// The mounts of a volume in pods that may be touched: a look must not be why an unmount finds it busy.
fn mounted(volume: &Volume) -> impl Iterator<Item = &Mount> {
    let staying = volume.published.iter().filter(|published| {
        !matches!(
            published.state,
            Observed::Known(PodState::Ending | PodState::Done)
        )
    });
    staying.filter_map(|published| published.mount.known()?.as_ref())
}
