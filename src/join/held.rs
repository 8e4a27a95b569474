//! What still has something that was left, or lies in it; and each thing that could and was not seen.

use crate::model::facts::NodeFacts;
use crate::model::leftover::{Leftover, LeftoverKind};
use crate::model::mount::Mount;
use crate::model::names::{HostPath, Uid};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::seen::{Answers, Holder, Search, Seen, VolumeData};

/// So many of those who hold something that was left are named.
const HOLDERS: usize = 4;

/// By what the first round saw: mounts of the host below it or of its filesystem, and processes of its pod.
/// That other processes were not looked at yet is a gap of it, which `held` takes back.
pub(super) fn by_host(
    seen: &Seen,
    kind: LeftoverKind,
    path: &HostPath,
    pod: Option<&Uid>,
    mount: &Observed<Option<Mount>>,
    data: &Observed<VolumeData>,
) -> Listing<String> {
    let mut gaps: Vec<Gap> = seen.table.gaps.first().into_iter().cloned().collect();
    gaps.extend(seen.containers.gap().cloned());
    // Without the kubelet's notes nobody knows which volume it is.
    gaps.extend(data.gap().cloned());
    let on_it = mount.known().and_then(Option::as_ref);
    if on_it.is_some() && is_device(kind, path) {
        let what = format!("see who has the raw block device at {path} open");
        gaps.push(Gap::new(Why::Unsupported, what));
    }
    gaps.push(unasked());
    let mut below = vec![path.clone()];
    if let (LeftoverKind::PodVolume, Some(pod)) = (kind, pod) {
        below.push(path.directory());
        // Directories of a volume that containers got. They have the pod's own name for it, which no notes
        // keep: each one may be of this volume.
        below.push(
            seen.kubelet
                .root
                .join(format!("pods/{pod}/volume-subpaths")),
        );
    }
    let same = |one: &Mount| on_it.is_some_and(|mount| holds(seen, kind, path, mount, one));
    let mounts = seen.table.items.iter();
    let mounts = mounts.filter(|one| one.target != *path);
    let mounts = mounts.filter(|one| {
        let target = &one.target.0;
        below.iter().any(|place| target.starts_with(&place.0)) || same(one)
    });
    let mounts = mounts.map(|one| format!("a mount at {}", one.target));
    let containers = seen.containers.known().into_iter().flatten();
    let inside = containers.filter(|container| Some(&container.pod) == pod);
    let inside = inside.map(|one| format!("process {} of pod {}", one.process, one.pod));
    Listing {
        items: mounts.chain(inside).collect(),
        gaps,
    }
}

/// Whether a mount of the same filesystem as one that was left has anything of what that one has.
///
/// - A filesystem on a device of its own is busy, and its device is, as long as any of it is mounted
///   anywhere, whichever directory.
/// - What has no device of its own can have many volumes in one superblock (the exports of an NFS server):
///   two directories of it have something in common where one contains the other.
/// - A directory of the filesystem on which the kubelet's own lies, and the node of a device among those of
///   all devices, are in what every process has: there only what is that directory, or lies in it, counts.
fn holds(seen: &Seen, kind: LeftoverKind, path: &HostPath, left: &Mount, one: &Mount) -> bool {
    if one.device != left.device {
        return false;
    }
    let of_node = || {
        let mut table = seen.table.items.iter();
        let root = &seen.kubelet.root.0;
        table.any(|mount| mount.device == left.device && root.starts_with(&mount.target.0))
    };
    let inside = one.root.0.starts_with(&left.root.0);
    if is_device(kind, path) || of_node() {
        return inside;
    }
    let on_device = left.device.major != 0 || left.source.starts_with("/dev/");
    on_device || inside || left.root.0.starts_with(&one.root.0)
}

/// Whether what was left is a device, or the stage of one.
fn is_device(kind: LeftoverKind, path: &HostPath) -> bool {
    let staging = |path: &HostPath| path.directory().0.ends_with("volumeDevices/staging");
    kind == LeftoverKind::BlockPublish || kind == LeftoverKind::Stage && staging(path)
}

fn unasked() -> Gap {
    let what = "look through the mount tables of other processes, and at what lies there";
    Gap::new(Why::NotAsked, what)
}

/// What has to be looked for beside the volumes.
pub fn search(facts: &NodeFacts) -> Search {
    let published = facts.volumes.items.iter().flat_map(|one| &one.published);
    // Where pods run whose volume is no mount of the host, somebody else may have it.
    let missing = published.filter(|published| {
        published.mount == Observed::Known(None)
            && published.live == Observed::Known(true)
            && !published.device_node
    });
    let left = &facts.leftovers.items;
    let unmounted = left.iter().filter(|left| is_unmounted(left));
    let unmounted = unmounted.map(|left| left.path.clone());
    let missing = missing.map(|published| published.target.clone());
    let mounts = left.iter().filter_map(|left| left.mount.known()?.clone());
    Search {
        paths: missing.chain(unmounted.clone()).collect(),
        mounts: mounts.collect(),
        contents: unmounted.collect(),
    }
}

/// The directory of a stage that nothing is mounted on is nobody's concern.
fn is_unmounted(left: &Leftover) -> bool {
    left.kind != LeftoverKind::Stage && left.mount == Observed::Known(None)
}

/// Puts what was found of the search into what is said of left-overs.
pub fn held(facts: &mut NodeFacts, seen: &Seen, answers: &Answers) {
    for left in &mut facts.leftovers.items {
        let mut found = std::mem::take(&mut left.held_by);
        found.gaps.retain(|gap| *gap != unasked());
        if let Some(mount) = left.mount.known().and_then(Option::as_ref) {
            match answers.holders.get(&left.path) {
                Some(holders) => {
                    let others = holders.items.iter();
                    // Processes of its own pod were named before.
                    let others = others.filter(|one| left.pod.is_none() || one.pod != left.pod);
                    let others =
                        others.filter(|one| holds(seen, left.kind, &left.path, mount, &one.mount));
                    found.items.extend(others.map(words));
                    found.gaps.extend(holders.gaps.iter().cloned());
                }
                None => found.gaps.push(unasked()),
            }
        }
        if is_unmounted(left) {
            match answers.elsewhere.get(&left.path) {
                Some(Observed::Known(place)) => found.items.extend(place.iter().map(|place| {
                    let (process, name) = (place.process, &place.name);
                    let (kind, source) = (&place.fs_type, &place.source);
                    format!("process {process} ({name}) has {kind} on {source} mounted there")
                })),
                Some(Observed::Unknown(gap)) => found.gaps.push(gap.clone()),
                None => found.gaps.push(unasked()),
            }
            match answers.contents.get(&left.path) {
                Some(Observed::Known(paths)) => {
                    found
                        .items
                        .extend(paths.iter().map(|path| lies(left, path)));
                }
                Some(Observed::Unknown(gap)) => found.gaps.push(gap.clone()),
                None => found.gaps.push(unasked()),
            }
        }
        let more = found.items.len().saturating_sub(HOLDERS);
        found.items.truncate(HOLDERS);
        found
            .items
            .extend((more > 0).then(|| format!("{more} more")));
        left.held_by = found;
    }
}

fn words(holder: &Holder) -> String {
    let Holder { process, name, .. } = holder;
    let pod = holder.pod.as_ref();
    let pod = pod.map_or_else(String::new, |pod| format!(" of pod {pod}"));
    let target = &holder.mount.target;
    format!("process {process} ({name}){pod} has it mounted at {target}")
}

fn lies(left: &Leftover, path: &HostPath) -> String {
    if *path == left.path {
        return format!("{path} is not empty");
    }
    // The name can be anything that somebody gave it.
    let path = path.to_string().replace(char::is_control, "?");
    format!("{path} lies there")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crate::model::facts::Thresholds;
    use crate::model::mount::DeviceNumber;
    use crate::model::objects::Objects;
    use crate::model::sample;
    use crate::model::seen::KubeletDir;
    use crate::model::volume::Elsewhere;

    use super::*;

    const STAGE: &str = "/k/plugins/kubernetes.io/csi/d/0815/globalmount";
    const POD: &str = "/k/pods/u/volumes/kubernetes.io~csi/pv/mount";

    /// A mount of superblock 0:60 or of `device`.
    fn mount(device: (u32, u32), root: &str, target: &str, source: &str) -> Mount {
        Mount {
            device: DeviceNumber {
                major: device.0,
                minor: device.1,
            },
            root: root.into(),
            source: source.into(),
            ..sample::mount(target.into())
        }
    }

    fn seen(mounts: &[Mount]) -> Seen {
        let root = mount((254, 0), "/", "/", "/dev/vda");
        Seen {
            node: "node-1".into(),
            observed_at: sample::noon(),
            thresholds: Thresholds::DEFAULT,
            table: Listing::complete([&[root], mounts].concat()),
            kubelet: KubeletDir {
                root: "/k".into(),
                pod_volumes: Listing::default(),
                block_volumes: Listing::default(),
                stages: Listing::default(),
                in_tree: Listing::default(),
            },
            plugins: Listing::default(),
            objects: Objects::unknown(&unasked()),
            containers: Observed::Known(Vec::new()),
            kubelet_process: Observed::Known(None),
        }
    }

    fn notes() -> Observed<VolumeData> {
        Observed::Known(VolumeData {
            driver: "d".into(),
            handle: "vol".into(),
            ephemeral: false,
        })
    }

    /// Whether a mount of another root of the same filesystem holds the stage, in the host's table and in
    /// that of a process alone: both answers are the same.
    fn held_as(device: (u32, u32), source: &str, left: &str, other: &str) -> bool {
        let stage = mount(device, left, STAGE, source);
        let other = mount(device, other, "/elsewhere", source);
        let path = HostPath::from(STAGE);
        let by_host = |table: &[Mount]| {
            let on_it = Observed::Known(Some(stage.clone()));
            by_host(
                &seen(table),
                LeftoverKind::Stage,
                &path,
                None,
                &on_it,
                &notes(),
            )
        };
        let in_table = by_host(&[stage.clone(), other.clone()]);
        let mut facts = sample::node();
        facts.leftovers.items.push(Leftover {
            kind: LeftoverKind::Stage,
            path: path.clone(),
            pod: None,
            mount: Observed::Known(Some(stage.clone())),
            held_by: by_host(std::slice::from_ref(&stage)),
            ..sample::leftover()
        });
        let holder = Holder {
            process: 812,
            name: "sh".to_owned(),
            pod: None,
            mount: other,
        };
        let answers = Answers {
            holders: HashMap::from_iter([(path.clone(), Listing::complete(vec![holder]))]),
            ..Answers::default()
        };
        held(&mut facts, &seen(std::slice::from_ref(&stage)), &answers);
        let in_process = &facts.leftovers.items[0].held_by;
        assert_eq!(in_process.gaps, []);
        assert_eq!(in_table.items.len(), in_process.items.len());
        !in_process.items.is_empty()
    }

    #[test]
    fn every_device_number_counts() {
        for (device, source) in [
            ((8, 16), "/dev/sdb"),
            ((0, 60), "/dev/sdb"),
            ((0, 61), "files:/exports"),
            ((0, 62), "lake"),
            ((0, 63), "tank/vol"),
            ((0, 64), "tmpfs"),
        ] {
            assert!(held_as(device, source, "/", "/"), "{source}");
            assert!(held_as(device, source, "/", "/data"), "{source}");
            assert!(held_as(device, source, "/a", "/"), "{source}");
        }
    }

    #[test]
    fn another_directory_holds_where_the_device_is_its_own_alone() {
        assert!(held_as((8, 16), "/dev/sdb", "/a", "/b"));
        assert!(held_as((0, 60), "/dev/sdb", "/a", "/b"));
        assert!(!held_as((0, 61), "files:/exports", "/a", "/b"));
        assert!(!held_as((0, 61), "files:/exports", "/a", "/ab"));
    }

    #[test]
    fn of_the_kubelets_own_filesystem_only_that_directory_counts() {
        let root = (254, 0);
        assert!(!held_as(root, "/dev/vda", "/volumes/a", "/"));
        assert!(!held_as(root, "/dev/vda", "/volumes/a", "/volumes/b"));
        assert!(held_as(root, "/dev/vda", "/volumes/a", "/volumes/a"));
        assert!(held_as(root, "/dev/vda", "/volumes/a", "/volumes/a/data"));
    }

    #[test]
    fn a_raw_device_is_never_seen_whole() {
        let path = HostPath::from("/k/plugins/kubernetes.io/csi/volumeDevices/staging/pv");
        let stage = mount((0, 5), "/sdb", &path.to_string(), "devtmpfs");
        let dev = mount((0, 5), "/", "/dev", "devtmpfs");
        let on_it = Observed::Known(Some(stage.clone()));
        let table = seen(&[dev, stage]);
        let found = by_host(&table, LeftoverKind::Stage, &path, None, &on_it, &notes());
        assert_eq!(found.items, <[String; 0]>::default());
        assert!(found.gaps[0].what.contains("raw block device"));
    }

    fn orphan(table: &[Mount], data: &Observed<VolumeData>) -> Listing<String> {
        let (kind, path) = (LeftoverKind::PodVolume, HostPath::from(POD));
        let nothing = Observed::Known(None);
        by_host(&seen(table), kind, &path, Some(&"u".into()), &nothing, data)
    }

    #[test]
    fn what_is_mounted_anywhere_for_the_volume_holds_an_orphan() {
        let beside = "/k/pods/u/volumes/kubernetes.io~csi/pv/other";
        let sub_path = "/k/pods/u/volume-subpaths/data/app/0";
        let others = "/k/pods/v/volume-subpaths/data/app/0";
        for (target, held) in [(beside, 1), (sub_path, 1), (others, 0)] {
            let table = [mount((8, 32), "/", target, "/dev/sdc")];
            assert_eq!(orphan(&table, &notes()).items.len(), held, "{target}");
        }
    }

    #[test]
    fn each_thing_that_was_not_seen_is_a_gap() {
        assert_eq!(orphan(&[], &notes()).gaps, [unasked()]);
        let no_notes = Gap::new(Why::NotFound, "read notes");
        let found = orphan(&[], &Observed::Unknown(no_notes.clone()));
        assert_eq!(found.gaps, [no_notes, unasked()]);
    }

    /// What is said of an orphan with these answers.
    fn answered(answers: &Answers) -> Listing<String> {
        let mut facts = sample::node();
        facts.leftovers.items.push(Leftover {
            path: POD.into(),
            held_by: orphan(&[], &notes()),
            ..sample::leftover()
        });
        held(&mut facts, &seen(&[]), answers);
        facts.leftovers.items[0].held_by.clone()
    }

    #[test]
    fn what_lies_in_an_orphan_is_named_and_nothing_is_guessed() {
        let path = HostPath::from(POD);
        let answers = |place, contents: Observed<&[&str]>| Answers {
            elsewhere: HashMap::from_iter([(path.clone(), place)]),
            contents: HashMap::from_iter([(
                path.clone(),
                contents.map(|names| names.iter().map(|name| path.join(name)).collect()),
            )]),
            ..Answers::default()
        };
        let empty = answers(Observed::Known(None), Observed::Known(&[]));
        assert_eq!(answered(&empty), Listing::default());
        let files = answers(
            Observed::Known(None),
            Observed::Known(&["a\n", "b", "c", "d", "e", "f"]),
        );
        assert_eq!(
            answered(&files).items,
            [
                format!("{POD}/a? lies there"),
                format!("{POD}/b lies there"),
                format!("{POD}/c lies there"),
                format!("{POD}/d lies there"),
                "2 more".to_owned(),
            ]
        );
        let place = Elsewhere {
            process: 812,
            name: "driver".to_owned(),
            fs_type: "fuse.files".to_owned(),
            source: "files".to_owned(),
        };
        let elsewhere = answers(Observed::Known(Some(place)), Observed::Known(&[]));
        assert_eq!(
            answered(&elsewhere).items,
            ["process 812 (driver) has fuse.files on files mounted there"]
        );
        let gap = |what: &str| Gap::new(Why::Denied, what);
        let unseen = answers(
            Observed::Unknown(gap("list the processes")),
            Observed::Unknown(gap("look what lies there")),
        );
        assert_eq!(
            answered(&unseen).gaps,
            [gap("list the processes"), gap("look what lies there")]
        );
        assert!(answered(&Answers::default()).gaps.contains(&unasked()));
    }
}
