//! One scan: gather → join → diagnose. Gathering cannot fail: what could not be seen is in the facts.
//!
//! While the kernel signals no change of its mount table, a round reads `statfs` and sysfs only; the
//! table, the kubelet's directory and containers' tables are those of the last whole round.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::{HashSet, HashSetExt as _};
use jiff::Timestamp;

use crate::agent::objects::{self, Source};
use crate::csi::plugins::Plugins;
use crate::join;
use crate::model::facts::{NodeFacts, Thresholds};
use crate::model::mount::Mount;
use crate::model::names::{HostPath, NodeName, Uid};
use crate::model::objects::{Objects, VolumeMode};
use crate::model::observed::{Gap, Observed};
use crate::model::scan::{Origin, Scan};
use crate::model::seen::{Answers, ContainerSeen, KubeletDir, Search, Seen};
use crate::model::volume::Volume;
use crate::mounts::probe::{Place, Prober};
use crate::mounts::state::{Kernel, Looked};
use crate::mounts::watch::Watch;
use crate::mounts::{containers, elsewhere, kubelet, left, mountinfo, process, root};
use crate::rules;

/// So many probes may hang at once before no more are started: each holds a thread.
const MAX_STUCK_PROBES: usize = 16;

/// After so many rounds without a signal the table is read all the same, and what the signal missed is counted.
const SAFETY_EVERY: u32 = 20;

/// Where to look, and how patiently.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The node's name.
    pub node: NodeName,
    /// Where the host's root directory is seen from here.
    pub host_root: PathBuf,
    /// The kubelet's root; found by itself when left out.
    pub kubelet: Option<HostPath>,
    /// How long a filesystem or a plugin may take to answer.
    pub probe_timeout: Duration,
    /// What the operator set.
    pub thresholds: Thresholds,
}

/// What outlives a scan: the probes that hang, the plugins that are left alone, what did not change.
pub struct Scanner {
    node: NodeName,
    host_root: PathBuf,
    kubelet: HostPath,
    thresholds: Thresholds,
    objects: Source,
    prober: Arc<Prober>,
    kernel: Option<Kernel>,
    patience: Duration,
    pub(super) plugins: Plugins,
    watch: Option<Watch>,
    kept: Option<Kept>,
    missed: u64,
    instance: String,
    pub(super) sequence: u64,
}

/// The last whole round.
struct Kept {
    seen: Seen,
    /// Whether something was left on the node: what is said of it hangs on a kubelet that runs and on who lives,
    /// and their end signals nothing.
    left: bool,
    /// Whether a container sees something else than the host: nor does what changes inside it signal anything.
    differs: bool,
    /// The watch's count before the table was read.
    changes: u64,
    /// Rounds since then.
    rounds: u32,
    /// The targets whose filesystem did not answer well in the last round.
    failing: BTreeSet<HostPath>,
}

impl Scanner {
    /// A scanner of this node; every round of it is a whole one.
    pub fn new(settings: Settings, objects: Source) -> Self {
        let Settings {
            node,
            host_root,
            kubelet,
            probe_timeout,
            thresholds,
        } = settings;
        let prober = Prober::new(host_root.clone(), probe_timeout, MAX_STUCK_PROBES);
        Self {
            node,
            kubelet: kubelet.unwrap_or_else(|| root::discover_root(&host_root)),
            thresholds,
            objects,
            prober: Arc::new(prober),
            kernel: Some(Kernel::new(host_root.clone(), probe_timeout)),
            patience: probe_timeout,
            plugins: Plugins::new(host_root.clone(), probe_timeout),
            host_root,
            watch: None,
            kept: None,
            missed: 0,
            instance: format!(
                "{}-{}",
                Timestamp::now().as_nanosecond(),
                std::process::id()
            ),
            sequence: 0,
        }
    }

    /// From here on rounds are whole only when something changed; `woken` is called when it did.
    pub fn watch(&mut self, woken: impl Fn() + Send + 'static) -> Result<(), Gap> {
        self.watch = Some(Watch::start(&self.host_root, woken)?);
        Ok(())
    }

    /// How often the table had changed and no signal came.
    pub fn missed_signals(&self) -> u64 {
        self.missed
    }

    /// One scan; the next is to be expected after `interval`.
    pub async fn scan(&mut self, interval: Duration) -> Scan {
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
        let (facts, alarmed) = self.round(false).await;
        if !alarmed {
            return facts;
        }
        // What just broke may have changed the table without a signal: `emergency_ro` does.
        self.round(true).await.0
    }

    /// One round; whether it saw something break with a table that was not fresh.
    async fn round(&mut self, whole: bool) -> (NodeFacts, bool) {
        let (mut kept, mut facts, fresh) = self.see(whole).await;
        let (mut answers, errors_rose) = self.ask(&facts).await;
        self.search(&facts, &mut answers).await;
        let failing: BTreeSet<HostPath> = answers
            .filesystems
            .iter()
            .filter(|(_, answer)| answer.known().is_none())
            .map(|(target, _)| target.clone())
            .collect();
        let news = errors_rose || kept.failing != failing;
        kept.failing = failing;
        join::answer(&mut facts, &answers);
        join::held(&mut facts, &kept.seen, &answers);
        self.kept = Some(kept);
        (facts, news && !fresh)
    }

    /// The first half: nothing in it touches a volume. What it leaves, the facts without an answer yet, and whether
    /// the table was read.
    async fn see(&mut self, whole: bool) -> (Kept, NodeFacts, bool) {
        let observed_at = Timestamp::now();
        let changes = self.watch.as_ref().map(Watch::changes);
        let objects = self.objects.read(self.patience);
        let plugins = self.plugins.identify(&self.kubelet);
        let (objects, plugins) = tokio::join!(objects, plugins);
        let known = self.kept.as_ref().map(|kept| &kept.seen.objects);
        let objects = objects.filter(|objects| Some(objects) != known);
        let silent = |kept: &Kept| changes == Some(kept.changes) && kept.rounds < SAFETY_EVERY;
        let reused = self.kept.take().map(|kept| (!whole && silent(&kept), kept));
        let (mut seen, fresh, failing) = match reused {
            Some((true, mut kept)) => {
                let seen = &mut kept.seen;
                if kept.left {
                    seen.kubelet_process = process::read_kubelet(&self.host_root);
                }
                if kept.left || kept.differs || objects.is_some() {
                    let objects = objects.as_ref().unwrap_or(&seen.objects);
                    seen.containers = self.containers(&seen.kubelet, objects);
                }
                (
                    kept.seen,
                    Some((kept.changes, kept.rounds + 1)),
                    kept.failing,
                )
            }
            Some((false, kept)) => {
                let table = mountinfo::read_table(&self.host_root);
                if changes == Some(kept.changes) && table.items != kept.seen.table.items {
                    self.missed += 1;
                    tracing::warn!(
                        missed = self.missed,
                        "the mount table changed and no signal came"
                    );
                }
                let objects = objects.as_ref().unwrap_or(&kept.seen.objects);
                let (kubelet, containers) = self.look_around(objects);
                let seen = Seen {
                    table,
                    kubelet,
                    containers,
                    kubelet_process: process::read_kubelet(&self.host_root),
                    ..kept.seen
                };
                (seen, None, kept.failing)
            }
            None => {
                let unasked = objects::nothing();
                let (kubelet, containers) = self.look_around(objects.as_ref().unwrap_or(&unasked));
                let seen = Seen {
                    node: self.node.clone(),
                    observed_at,
                    thresholds: self.thresholds,
                    table: mountinfo::read_table(&self.host_root),
                    kubelet,
                    plugins: plugins.clone(),
                    objects: unasked,
                    containers,
                    kubelet_process: process::read_kubelet(&self.host_root),
                };
                (seen, None, BTreeSet::new())
            }
        };
        seen.observed_at = observed_at;
        seen.plugins = plugins;
        if let Some(objects) = objects {
            seen.objects = objects;
        }
        let (changes, rounds) = fresh.unwrap_or((changes.unwrap_or_default(), 0));
        let facts = join::join(&seen);
        let kept = Kept {
            left: !facts.leftovers.items.is_empty(),
            differs: facts.volumes.items.iter().any(Volume::differs_inside),
            seen,
            changes,
            rounds,
            failing,
        };
        (kept, facts, fresh.is_none())
    }

    fn look_around(&self, objects: &Objects) -> (KubeletDir, Observed<Vec<ContainerSeen>>) {
        let kubelet = kubelet::read_kubelet_dir(&self.host_root, &self.kubelet);
        let containers = self.containers(&kubelet, objects);
        (kubelet, containers)
    }

    /// What containers of pods with volumes see.
    fn containers(&self, kubelet: &KubeletDir, objects: &Objects) -> Observed<Vec<ContainerSeen>> {
        let here = objects.pods.items.iter();
        let here = here.filter(|pod| pod.node.as_ref() == Some(&self.node));
        let with_volumes = here.filter(|pod| !pod.volumes.is_empty());
        let uids = with_volumes.map(|pod| pod.static_uid.as_ref().unwrap_or(&pod.pod.uid));
        let on_disk = kubelet.pod_volumes.items.iter().map(|dir| &dir.pod);
        let blocks = kubelet.block_volumes.items.iter().map(|file| &file.pod);
        let pods: BTreeSet<Uid> = uids.chain(on_disk).chain(blocks).cloned().collect();
        if pods.is_empty() {
            return Observed::Known(Vec::new());
        }
        containers::read_containers(&self.host_root, &pods)
    }

    /// What is missing, or was left, is looked for beside the volumes; on most nodes nothing is.
    async fn search(&self, facts: &NodeFacts, answers: &mut Answers) {
        let search = join::search(facts);
        if search == Search::default() {
            return;
        }
        let host_root = self.host_root.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let contents = left::find_contents(&host_root, &search.contents);
            (elsewhere::find_elsewhere(&host_root, &search), contents)
        });
        // What is not answered is not known.
        if let Ok((found, contents)) = looked.await {
            answers.elsewhere = found.places;
            answers.holders = found.holders;
            answers.contents = contents;
        }
    }

    /// The second half: sysfs first, then every volume is asked, each within its deadline. Whether a
    /// filesystem counted new errors.
    async fn ask(&mut self, facts: &NodeFacts) -> (Answers, bool) {
        let volumes = &facts.volumes.items;
        let mounts: Vec<Mount> = volumes
            .iter()
            .flat_map(Volume::mounts_in_use)
            .cloned()
            .collect();
        // Of a device only sysfs tells: asking the file would ask the filesystem of all devices' nodes.
        let with_files = volumes
            .iter()
            .filter(|volume| volume.mode == VolumeMode::Filesystem);
        let mut touched = HashSet::with_capacity(mounts.len());
        let places = with_files.flat_map(|volume| {
            volume
                .mounts_in_use()
                .map(|mount| (join::touched_at(volume, mount), mount))
        });
        let places = places.filter(|(target, _)| touched.insert(*target));
        let places = places.map(|(target, mount)| Place {
            target: target.clone(),
            device: mount.device,
            fs_type: mount.fs_type.clone(),
        });
        let places = places.collect();
        let now = facts.observed_at;
        let (prober, kernel) = (Arc::clone(&self.prober), self.kernel.take());
        // Neither waits longer than its deadline; the threads that may hang are the prober's own.
        let probing = tokio::task::spawn_blocking(move || {
            let mut kernel = kernel;
            let looked = kernel
                .as_mut()
                .map_or_else(Looked::default, |kernel| kernel.look(now, &mounts));
            let filesystems = prober.look(now, places, &looked.suspects);
            (kernel, looked, filesystems)
        });
        let (probed, told) = tokio::join!(probing, self.ask_drivers(facts));
        let Ok((kernel, looked, filesystems)) = probed else {
            // It panicked: what it would have answered stays unknown, and it is made anew.
            self.kernel = Some(Kernel::new(self.host_root.clone(), self.patience));
            return (Answers::default(), false);
        };
        self.kernel = kernel;
        let answers = Answers {
            filesystems,
            devices: looked.sizes,
            states: looked.states,
            told,
            ..Answers::default()
        };
        (answers, looked.errors_rose)
    }
}
