//! What a kernel and plugins would answer in a scenario: `answers.yaml`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use foldhash::HashMap;
use serde::Deserialize;

use csi_doctor::join;
use csi_doctor::model::driver::{NodeInfo, Plugin};
use csi_doctor::model::facts::NodeFacts;
use csi_doctor::model::health::{HealthEntry, Illness};
use csi_doctor::model::mount::{Mount, Usage};
use csi_doctor::model::names::{DriverName, HostPath, PodRef, Uid, VolumeHandle};
use csi_doctor::model::objects::{ContainerPlace, PodState, PodVolume, PodVolumeSource};
use csi_doctor::model::observed::{Gap, Listing, Observed, Why};
use csi_doctor::model::sample;
use csi_doctor::model::seen::{
    Answers, ContainerSeen, Filesystem, KubeletProcess, NamespaceSeen, PluginSeen, Seen, Told,
};
use csi_doctor::model::sizes::Bytes;
use csi_doctor::model::state::{BlockDevice, FilesystemErrors, KernelState};
use csi_doctor::model::volume::{Condition, DriverStats, Elsewhere, Published, Volume};
use csi_doctor::mounts::{elsewhere, left, mountinfo};

/// What a kernel and plugins would answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct World {
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
    /// What processes of pods see; where left out, pods that run have what the host has.
    containers: Option<Vec<ContainerAnswer>>,
    /// Processes that have a mount at a target path which is none of the host's.
    #[serde(default)]
    elsewhere: BTreeMap<String, u32>,
    /// No kubelet runs.
    #[serde(default)]
    kubelet_down: bool,
    /// Manifests of static pods that the kubelet was given.
    #[serde(default)]
    static_pods: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContainerAnswer {
    pod: String,
    id: String,
    /// The `/proc/<pid>/mountinfo` of its first process.
    mountinfo: String,
    /// Those of processes with mount namespaces of their own.
    #[serde(default)]
    others: Vec<String>,
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
    /// What it answers to `Probe`, where that is not yes.
    #[serde(default)]
    not_ready: bool,
    probe_gap: Option<GapAnswer>,
    /// No registrar tells of it, or one under another name.
    #[serde(default)]
    unregistered: bool,
    registered_as: Option<String>,
    /// What it calls the node.
    node_id: Option<String>,
    #[serde(default)]
    took_ms: u64,
    /// What it says of the storage behind it, where it has the call.
    storage_health: Option<Vec<HealthAnswer>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HealthAnswer {
    illness: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
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
    /// What it says of the volume's health, where it has the call.
    health: Option<Vec<HealthAnswer>>,
}

/// A process of each container of each pod that runs, with what the host has at the target paths.
fn as_the_host_has_it(seen: &Seen) -> Observed<Vec<ContainerSeen>> {
    let facts = join::join(seen);
    let published = |pod: &PodRef, volume: &PodVolume| {
        let of_pod = |published: &&Published| published.pod == *pod;
        let named = |one: &&Volume| match (&volume.source, &one.claim) {
            (PodVolumeSource::Claim(name), Some(claim)) => claim.claim.name == *name,
            (PodVolumeSource::InlineCsi(_), None) => one.spec_name == volume.name,
            _ => false,
        };
        let volume = facts.volumes.items.iter().find(named)?;
        volume.published.iter().find(of_pod)?.mount.known()?.clone()
    };
    let mut containers: BTreeMap<(Uid, String), ContainerSeen> = BTreeMap::new();
    let running = seen.objects.pods.items.iter();
    for pod in running.filter(|pod| pod.state == PodState::Running) {
        for volume in &pod.volumes {
            let anywhere = [ContainerPlace {
                container: "main".into(),
                id: None,
                path: HostPath::from(format!("/volumes/{}", volume.name).as_str()),
                sub_path: false,
            }];
            let places = match volume.places.as_slice() {
                [] => &anywhere[..],
                places => places,
            };
            for place in places {
                let uid = pod.static_uid.as_ref().unwrap_or(&pod.pod.uid).clone();
                let key = (uid.clone(), place.id.clone().unwrap_or_default());
                let process = 4711 + u32::try_from(containers.len()).unwrap();
                let container = containers.entry(key).or_insert_with(|| ContainerSeen {
                    pod: uid,
                    id: place.id.clone().unwrap_or_default(),
                    process,
                    table: Listing::default(),
                    others: Vec::new(),
                });
                let mount = published(&pod.pod, volume);
                container.table.items.extend(mount.map(|mount| Mount {
                    target: place.path.clone(),
                    ..mount
                }));
            }
        }
    }
    Observed::Known(containers.into_values().collect())
}

impl ContainerAnswer {
    fn seen(containers: &[Self]) -> Observed<Vec<ContainerSeen>> {
        let other = |(table, process): (&String, u32)| NamespaceSeen {
            process,
            table: mountinfo::parse_mountinfo(table.as_bytes()),
        };
        let containers = containers.iter().zip(4711..);
        let containers = containers.map(|(container, process)| ContainerSeen {
            pod: container.pod.as_str().into(),
            id: container.id.clone(),
            process,
            table: mountinfo::parse_mountinfo(container.mountinfo.as_bytes()),
            others: container
                .others
                .iter()
                .zip(process + 1000..)
                .map(other)
                .collect(),
        });
        Observed::Known(containers.collect())
    }
}

impl World {
    pub(super) fn plugins(&self) -> Vec<PluginSeen> {
        self.plugins.iter().map(PluginAnswer::seen).collect()
    }

    pub(super) fn kubelet(&self) -> Observed<Option<KubeletProcess>> {
        let process = KubeletProcess {
            process: 612,
            static_pods: Observed::Known(self.static_pods),
        };
        Observed::Known((!self.kubelet_down).then_some(process))
    }

    pub(super) fn containers(&self, seen: &Seen) -> Observed<Vec<ContainerSeen>> {
        match &self.containers {
            Some(containers) => ContainerAnswer::seen(containers),
            None => as_the_host_has_it(seen),
        }
    }

    /// The kernel can tell of each path that answers anything at all.
    fn states(&self) -> HashMap<HostPath, KernelState> {
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

    /// What filesystems answer where they are asked: a story names the pods' paths.
    fn filesystems(&self, facts: &NodeFacts) -> HashMap<HostPath, Observed<Filesystem>> {
        let volumes = facts.volumes.items.iter();
        let published =
            volumes.flat_map(|volume| volume.published.iter().map(move |one| (volume, one)));
        let answers = published.filter_map(|(volume, one)| {
            let answer = self.filesystems.get(&one.target.to_string())?;
            let mount = one.mount.known().and_then(Option::as_ref);
            let at = mount.map_or(&one.target, |mount| join::touched_at(volume, mount));
            Some((at.clone(), answer.seen()))
        });
        answers.collect()
    }

    fn told(&self, facts: &NodeFacts) -> Vec<Option<Told>> {
        let volumes = facts.volumes.items.iter();
        let told = volumes.map(|volume| {
            let handle = volume.handle.known()?;
            let mut answers = self.stats.iter();
            let answer = answers.find(|one| one.is_of(&volume.driver, handle));
            Some(match answer {
                Some(answer) => Told {
                    stats: answer.seen(),
                    health: health(answer.health.as_ref()),
                },
                None => untold(facts, volume),
            })
        });
        told.collect()
    }

    /// What is looked for beside the volumes is looked for in the story's own processes and directories.
    pub(super) fn answers(&self, facts: &NodeFacts, host: &Path) -> Answers {
        let path = |path: &String| HostPath::from(path.as_str());
        let search = join::search(facts);
        let found = elsewhere::find_elsewhere(host, &search);
        let told = self.elsewhere.iter().map(|(target, process)| {
            let place = Elsewhere {
                process: *process,
                name: "driver".to_owned(),
                fs_type: "fuse.driver".to_owned(),
                source: "driver".to_owned(),
            };
            (path(target), Observed::Known(Some(place)))
        });
        Answers {
            filesystems: self.filesystems(facts),
            devices: self
                .devices
                .iter()
                .map(|(target, size)| (path(target), Observed::Known(size.map(Bytes))))
                .collect(),
            states: self.states(),
            told: self.told(facts),
            elsewhere: found.places.into_iter().chain(told).collect(),
            holders: found.holders,
            contents: left::find_contents(host, &search.contents),
        }
    }
}

/// Of a driver of which the story tells no answer: it has no such calls, or is gone.
fn untold(facts: &NodeFacts, volume: &Volume) -> Told {
    let mut drivers = facts.drivers.items.iter();
    let driver = drivers.find(|driver| driver.name == volume.driver);
    let gone = driver.and_then(|driver| driver.plugin.gap());
    let gap = gone
        .cloned()
        .unwrap_or_else(|| Gap::new(Why::Unsupported, "the driver tells nothing of its volumes"));
    Told {
        stats: Observed::Unknown(gap.clone()),
        health: Observed::Unknown(gap),
    }
}

impl PluginAnswer {
    fn seen(&self) -> PluginSeen {
        let plugin = Plugin {
            version: "1.0".to_owned(),
            ready: known_unless(self.probe_gap.as_ref(), !self.not_ready),
            capabilities: Observed::Known(self.capabilities.clone()),
            services: Observed::Known(self.services.clone()),
            info: Observed::Known(NodeInfo {
                node_id: self.node_id.clone().unwrap_or_else(|| "node-1".to_owned()),
                max_volumes: 0,
            }),
            took: Duration::from_millis(self.took_ms),
            storage_health: health(self.storage_health.as_ref()),
        };
        let registered_as = match &self.registered_as {
            Some(name) => Some(name.as_str().into()),
            None => (!self.unregistered).then(|| self.name.as_str().into()),
        };
        PluginSeen {
            name: self.name.as_str().into(),
            socket: self.socket.as_str().into(),
            plugin: known_unless(self.gap.as_ref(), plugin),
            registered_as: Observed::Known(registered_as),
            started: Some(sample::noon()),
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

/// What is said of health; nothing by drivers that do not have the call.
fn health(told: Option<&Vec<HealthAnswer>>) -> Observed<Vec<HealthEntry>> {
    let Some(told) = told else {
        let what = "the driver does not have the call";
        return Observed::Unknown(Gap::new(Why::Unsupported, what));
    };
    let entries = told.iter().map(|answer| HealthEntry {
        illness: Illness::of_word(&answer.illness),
        reason: answer.reason.clone(),
        message: answer.message.clone(),
    });
    Observed::Known(entries.collect())
}

impl StatsAnswer {
    fn is_of(&self, driver: &DriverName, handle: &VolumeHandle) -> bool {
        self.driver == driver.as_str() && self.handle == handle.as_str()
    }

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
