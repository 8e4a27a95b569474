//! Every folder of `tests/scenarios/`: a situation as the world shows it → findings as a person reads them.
//!
//! `host/proc/1/mountinfo` and the kubelet's directory below `host/` are read by the edges that read
//! them on a node, `manifests/` likewise. What only a kernel or a plugin can answer is in `answers.yaml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use expect_test::expect_file;
use serde::Deserialize;

use csi_doctor::expansion::Case;
use csi_doctor::join;
use csi_doctor::kubernetes::manifests::Directory;
use csi_doctor::model::driver::{Driver, Plugin};
use csi_doctor::model::facts::{ClusterFacts, NodeFacts, Thresholds};
use csi_doctor::model::finding::{Problem, RuleVerdicts};
use csi_doctor::model::mount::Usage;
use csi_doctor::model::names::{HostPath, NodeName};
use csi_doctor::model::observed::{Gap, Listing, Observed, Why};
use csi_doctor::model::sample;
use csi_doctor::model::seen::{Answers, ContainerSeen, Filesystem, PluginSeen, Seen};
use csi_doctor::model::sizes::Bytes;
use csi_doctor::model::stage::Stage;
use csi_doctor::model::state::{BlockDevice, FilesystemErrors, KernelState};
use csi_doctor::model::volume::{Condition, DriverStats, Volume};
use csi_doctor::mounts::{kubelet, mountinfo};
use csi_doctor::render::way::way;
use csi_doctor::rules;
use csi_doctor::stages;

#[test]
fn every_scenario_reads_as_expected() {
    let mut stories: Vec<PathBuf> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    stories.sort();
    assert!(!stories.is_empty());
    for story in stories {
        let situation = Situation::read(&story);
        expect_file![story.join("expected.txt")].assert_eq(&situation.findings());
        let steps = story.join("steps.txt");
        if steps.exists() {
            expect_file![steps].assert_eq(&situation.steps());
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// What a node, and who has the objects alone, would know of the situation in a folder.
struct Situation {
    node: NodeFacts,
    /// The claims that no pod uses: no node has them.
    unused: ClusterFacts,
}

impl Situation {
    fn read(story: &Path) -> Self {
        let world: World =
            serde_saphyr::from_str(&fs::read_to_string(story.join("answers.yaml")).unwrap())
                .unwrap_or_else(|error| panic!("{}/answers.yaml: {error}", story.display()));
        let host = story.join("host");
        let root = HostPath::from("/var/lib/kubelet");
        let seen = Seen {
            node: "node-1".into(),
            observed_at: sample::noon(),
            thresholds: Thresholds::DEFAULT,
            table: mountinfo::read_table(&host),
            kubelet: kubelet::read_kubelet_dir(&host, &root),
            plugins: Listing::complete(world.plugins.iter().map(PluginAnswer::seen).collect()),
            objects: Directory::new(story.join("manifests")).read(),
            containers: world.containers(),
        };
        let mut facts = join::join(&seen);
        join::answer(&mut facts, &world.answers());
        let mut unused = join::cluster(&seen.objects, sample::noon());
        unused
            .volumes
            .items
            .retain(|volume| volume.published.is_empty());
        Self {
            node: facts,
            unused,
        }
    }

    /// All verdicts on it.
    fn findings(&self) -> String {
        let facts = &self.node;
        let mut verdicts = rules::diagnose_node(facts);
        if !self.unused.volumes.items.is_empty() {
            verdicts.extend(rules::diagnose_cluster(&self.unused));
        }
        // Told once, not once a rule: then a new rule changes no story but its own.
        let mut gaps: Vec<Gap> = facts.gaps.clone();
        gaps.extend(
            verdicts
                .iter_mut()
                .flat_map(|rule| std::mem::take(&mut rule.gaps)),
        );
        gaps.sort();
        gaps.dedup();
        let mut text = String::new();
        for gap in gaps {
            let _ = writeln!(text, "gap: {gap}");
        }
        let ill = verdicts
            .iter()
            .filter(|rule| !(rule.problems.is_empty() && rule.unknowns.is_empty()));
        text.extend(ill.map(sample::read));
        text.extend(verdicts.iter().flat_map(settling));
        text.push_str("everything else is ok\n");
        one_story_a_claim(&verdicts);
        text
    }

    /// The steps of each claim's expansion.
    fn steps(&self) -> String {
        let seen = |volume, node, drivers: &[Driver]| {
            let case = case_of(volume, node, drivers)?;
            Some(way(&stages::expand(&case)))
        };
        let drivers = &self.node.drivers.items;
        let here = self.node.volumes.items.iter();
        let here = here.filter_map(|volume| seen(volume, Some(&self.node.node), drivers));
        let unused = self.unused.volumes.items.iter();
        let unused = unused.filter_map(|volume| seen(volume, None, &[]));
        here.chain(unused).collect()
    }
}

fn case_of<'a>(
    volume: &'a Volume,
    node: Option<&'a NodeName>,
    drivers: &'a [Driver],
) -> Option<Case<'a>> {
    Some(Case {
        node,
        observed_at: sample::noon(),
        volume,
        claim: volume.claim.as_ref()?,
        persistent: volume.persistent.known()?.as_ref()?,
        driver: drivers.iter().find(|driver| driver.name == volume.driver),
    })
}

/// What may still go by itself: the facts do not say that it has lasted longer than the rule's grace.
fn settling(rule: &RuleVerdicts) -> Vec<String> {
    let lasts = |problem: &Problem| {
        problem.since.is_some_and(|since| {
            let age = sample::noon().duration_since(since);
            Duration::try_from(age).is_ok_and(|age| age >= rule.grace)
        })
    };
    let expands = matches!(rule.stage, Some(Stage::Expand(_)));
    let fresh = rule
        .problems
        .iter()
        .filter(|(_, problem)| expands && !lasts(problem));
    fresh
        .map(|(subject, _)| format!("{} settles: {subject}\n", rule.code))
        .collect()
}

/// Two findings on one expansion would be two stories of one thing.
fn one_story_a_claim(verdicts: &[RuleVerdicts]) {
    let mut seen = BTreeMap::new();
    for rule in verdicts {
        for (subject, _) in &rule.problems {
            if matches!(rule.stage, Some(Stage::Expand(_))) {
                let other = seen.insert(subject.clone(), rule.code.clone());
                assert!(other.is_none(), "{subject}: {other:?} and {}", rule.code);
            }
        }
    }
}

/// What a kernel and plugins would answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct World {
    plugins: Vec<PluginAnswer>,
    #[serde(default)]
    filesystems: BTreeMap<String, FilesystemAnswer>,
    #[serde(default)]
    devices: BTreeMap<String, Option<u64>>,
    /// What the kernel keeps of a path's filesystem and device, where it is not all well.
    #[serde(default)]
    states: BTreeMap<String, StateAnswer>,
    #[serde(default)]
    stats: Vec<StatsAnswer>,
    /// What processes of pods see; nothing where the agent sees no process of a pod.
    #[serde(default)]
    containers: Vec<ContainerAnswer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContainerAnswer {
    pod: String,
    id: String,
    /// Its `/proc/<pid>/mountinfo`.
    mountinfo: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginAnswer {
    name: String,
    socket: String,
    #[serde(default)]
    capabilities: Vec<String>,
    #[serde(default)]
    services: Vec<String>,
    gap: Option<GapAnswer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GapAnswer {
    why: String,
    what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesystemAnswer {
    #[serde(default)]
    total: u64,
    #[serde(default)]
    used: u64,
    #[serde(default)]
    inodes: u64,
    #[serde(default)]
    used_inodes: u64,
    true_size: Option<u64>,
    gap: Option<GapAnswer>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct StateAnswer {
    /// The device has vanished.
    gone: bool,
    /// Errors that the filesystem counted, from before the node started or after.
    old_errors: u64,
    new_errors: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatsAnswer {
    driver: String,
    handle: String,
    abnormal: Option<String>,
    gap: Option<GapAnswer>,
}

impl World {
    fn containers(&self) -> Observed<Vec<ContainerSeen>> {
        let containers = self.containers.iter().zip(4711..);
        let containers = containers.map(|(container, process)| ContainerSeen {
            pod: container.pod.as_str().into(),
            id: container.id.clone(),
            process,
            table: mountinfo::parse_mountinfo(container.mountinfo.as_bytes()),
        });
        Observed::Known(containers.collect())
    }

    /// The kernel can tell of each path that answers anything at all.
    fn states(&self) -> BTreeMap<HostPath, KernelState> {
        let well = StateAnswer::default();
        let paths = self.filesystems.keys().chain(self.devices.keys());
        let paths = paths.chain(self.states.keys());
        paths
            .map(|path| {
                let answer = self.states.get(path).unwrap_or(&well);
                let device = self.devices.get(path).copied().flatten();
                (path.as_str().into(), answer.seen(device.is_some()))
            })
            .collect()
    }

    fn answers(&self) -> Answers {
        let path = |path: &String| HostPath::from(path.as_str());
        Answers {
            filesystems: self
                .filesystems
                .iter()
                .map(|(target, answer)| (path(target), answer.seen()))
                .collect(),
            devices: self
                .devices
                .iter()
                .map(|(target, size)| (path(target), Observed::Known(size.map(Bytes))))
                .collect(),
            states: self.states(),
            stats: self
                .stats
                .iter()
                .map(|answer| {
                    (
                        (answer.driver.as_str().into(), answer.handle.as_str().into()),
                        answer.seen(),
                    )
                })
                .collect(),
        }
    }
}

impl PluginAnswer {
    fn seen(&self) -> PluginSeen {
        let plugin = Plugin {
            version: "1.0".to_owned(),
            ready: Observed::Known(true),
            capabilities: Observed::Known(self.capabilities.clone()),
            services: Observed::Known(self.services.clone()),
        };
        PluginSeen {
            name: self.name.as_str().into(),
            socket: self.socket.as_str().into(),
            plugin: known_unless(self.gap.as_ref(), plugin),
        }
    }
}

impl FilesystemAnswer {
    fn seen(&self) -> Observed<Filesystem> {
        let filesystem = Filesystem {
            usage: Usage {
                total_bytes: self.total,
                used_bytes: self.used,
                available_bytes: self.total.saturating_sub(self.used),
                total_inodes: self.inodes,
                used_inodes: self.used_inodes,
            },
            true_size: self.true_size.map(Bytes),
        };
        known_unless(self.gap.as_ref(), filesystem)
    }
}

impl StateAnswer {
    fn seen(&self, has_device: bool) -> KernelState {
        let device = sample::volume().state.device.known().copied().flatten();
        let device = device.map(|device| BlockDevice {
            present: !self.gone,
            ..device
        });
        let count = self.old_errors + self.new_errors;
        let errors = FilesystemErrors {
            count,
            last: (count > 0).then(sample::noon),
            fresh: self.new_errors > 0,
        };
        KernelState {
            device: Observed::Known(device.filter(|_| has_device || self.gone)),
            errors: Observed::Known((count > 0).then_some(errors)),
            waiting: Observed::Known(None),
        }
    }
}

impl StatsAnswer {
    fn seen(&self) -> Observed<DriverStats> {
        let condition = self.abnormal.clone().map(|message| Condition {
            abnormal: true,
            message,
        });
        known_unless(
            self.gap.as_ref(),
            DriverStats {
                usage: None,
                condition,
            },
        )
    }
}

fn known_unless<T>(gap: Option<&GapAnswer>, fact: T) -> Observed<T> {
    match gap {
        None => Observed::Known(fact),
        Some(gap) => {
            let why = Why::ALL.into_iter().find(|why| why.as_str() == gap.why);
            Observed::Unknown(Gap::new(
                why.unwrap_or_else(|| panic!("no reason {}", gap.why)),
                gap.what.clone(),
            ))
        }
    }
}
