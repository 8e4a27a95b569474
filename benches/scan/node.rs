//! A node as a cluster has it: pods that run, each a process with mounts of its own, with a volume each; and
//! what the API server says of them.

use std::fs;
use std::hint::black_box;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use csi_doctor::agent::objects::Source;
use csi_doctor::agent::scan::{Scanner, Settings};
use csi_doctor::kubernetes::manifests::Directory;
use csi_doctor::model::facts::Thresholds;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use serde_json::{Value, json};

use super::BASE;

const NAME: &str = "bench";
const DRIVER: &str = "disk.example.com";

/// Where a volume is in its container.
const DATA: &str = "/mnt";

/// The node, until it is dropped.
pub(crate) struct Node {
    pub(crate) targets: Vec<PathBuf>,
    containers: Vec<Child>,
}

impl Node {
    /// A node with so many pods, each with a volume; nothing runs in them and nobody knows them.
    pub(crate) fn bare(volumes: usize) -> Self {
        let mut node = Self::empty();
        node.mount_volumes(volumes);
        node
    }

    /// A node with so many pods that run, each with a volume.
    pub(crate) fn lived_in(volumes: usize) -> Self {
        let mut node = Self::empty();
        // While the table is small: each gets a copy of it.
        node.start_containers(volumes);
        node.mount_volumes(volumes);
        node.give_volumes();
        let objects: Vec<Value> = (0..volumes)
            .flat_map(objects_of)
            .chain(the_node())
            .collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        fs::create_dir_all(manifests()).unwrap();
        fs::write(manifests().join("all.json"), list.to_string()).unwrap();
        node
    }

    fn empty() -> Self {
        let none: Option<&str> = None;
        fs::create_dir_all(BASE).unwrap();
        mount(Some("bench"), BASE, Some("tmpfs"), MsFlags::empty(), none).unwrap();
        fs::create_dir_all(kubelet().join("plugins")).unwrap();
        fs::create_dir_all(kubelet().join("plugins_registry")).unwrap();
        Self {
            targets: Vec::new(),
            containers: Vec::new(),
        }
    }

    fn mount_volumes(&mut self, volumes: usize) {
        self.targets = (0..volumes)
            .map(|number| {
                let uid = pod_uid(number);
                let directory = kubelet().join(format!(
                    "pods/{uid}/volumes/kubernetes.io~csi/pvc-{number:05}"
                ));
                let target = directory.join("mount");
                fs::create_dir_all(&target).unwrap();
                let data = json!({"driverName": DRIVER, "volumeHandle": format!("vol-{number:05}"),
                    "specVolID": format!("pvc-{number:05}"), "nodeName": NAME, "volumeLifecycleMode": "Persistent"});
                fs::write(directory.join("vol_data.json"), data.to_string()).unwrap();
                mount(Some("vol"), &target, Some("tmpfs"), MsFlags::empty(), Some("size=1m")).unwrap();
                target
            })
            .collect();
    }

    /// Processes in the cgroups of pods, each with a mount namespace of its own.
    fn start_containers(&mut self, pods: usize) {
        fs::create_dir_all(cgroups()).unwrap();
        let hierarchy = Some("none,name=csi-doctor-bench");
        mount(
            Some("bench"),
            &cgroups(),
            Some("cgroup"),
            MsFlags::empty(),
            hierarchy,
        )
        .unwrap();
        for number in 0..pods {
            let child = Command::new("unshare")
                .args(["--mount", "--propagation=private", "sleep", "infinity"])
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            let group = cgroup(number);
            fs::create_dir_all(&group).unwrap();
            fs::write(group.join("cgroup.procs"), child.id().to_string()).unwrap();
            self.containers.push(child);
        }
        let comm =
            |child: &Child| fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap();
        while !self.containers.iter().all(|child| comm(child) == "sleep\n") {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Each volume into its container, as a runtime does: the same filesystem once more.
    fn give_volumes(&self) {
        std::thread::scope(|scope| {
            let giving = scope.spawn(|| {
                // Only who shares no working directory with others may go elsewhere.
                unshare(CloneFlags::CLONE_FS).unwrap();
                let home = fs::File::open("/proc/self/ns/mnt").unwrap();
                for (target, child) in self.targets.iter().zip(&self.containers) {
                    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
                    let tree = open_tree(CWD, target, flags).unwrap();
                    let theirs = fs::File::open(format!("/proc/{}/ns/mnt", child.id())).unwrap();
                    setns(theirs.as_fd(), CloneFlags::CLONE_NEWNS).unwrap();
                    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
                    move_mount(tree, "", CWD, DATA, flags).unwrap();
                    setns(home.as_fd(), CloneFlags::CLONE_NEWNS).unwrap();
                }
            });
            giving.join().unwrap();
        });
    }

    pub(crate) fn scanner() -> Scanner {
        let settings = Settings {
            node: NAME.into(),
            host_root: "/".into(),
            kubelet: Some(kubelet().into()),
            probe_timeout: Duration::from_secs(1),
            thresholds: Thresholds::DEFAULT,
        };
        let source = if manifests().exists() {
            Source::Manifests(Directory::new(manifests()))
        } else {
            Source::Nowhere
        };
        Scanner::new(settings, source)
    }

    /// The system calls of a whole scan, one after the other, and nothing else.
    pub(crate) fn floor(&self) {
        for manifest in list(&manifests()) {
            black_box(fs::metadata(manifest).unwrap());
        }
        for sockets in ["plugins_registry", "plugins"] {
            black_box(list(&kubelet().join(sockets)));
        }
        black_box(read(Path::new("/proc/1/mountinfo")));
        for pod in list(&kubelet().join("pods")) {
            let volumes = pod.join("volumes");
            for plugin in list(&volumes) {
                for volume in list(&plugin) {
                    black_box(read(&volume.join("vol_data.json")));
                }
            }
        }
        for file in ["cgroup", "comm"] {
            for process in list(Path::new("/proc")) {
                if process.file_name().unwrap().as_encoded_bytes()[0].is_ascii_digit() {
                    black_box(read(&process.join(file)));
                }
            }
        }
        for child in &self.containers {
            black_box(read(Path::new(&format!("/proc/{}/mountinfo", child.id()))));
        }
        black_box(fs::metadata("/sys/dev/block").unwrap());
        for target in &self.targets {
            black_box(nix::sys::statvfs::statvfs(target.as_path()).unwrap());
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for child in &mut self.containers {
            let _ = child.kill();
            let _ = child.wait();
        }
        for number in 0..self.containers.len() {
            let group = cgroup(number);
            let _ = fs::remove_dir(&group);
            let _ = fs::remove_dir(group.parent().unwrap());
        }
        let _ = umount2(&cgroups(), MntFlags::MNT_DETACH);
        for target in &self.targets {
            let _ = umount2(target.as_path(), MntFlags::MNT_DETACH);
        }
        let _ = umount2(BASE, MntFlags::MNT_DETACH);
    }
}

fn kubelet() -> PathBuf {
    Path::new(BASE).join("kubelet")
}

fn manifests() -> PathBuf {
    Path::new(BASE).join("manifests")
}

fn cgroups() -> PathBuf {
    Path::new(BASE).join("cgroups")
}

fn cgroup(number: usize) -> PathBuf {
    cgroups().join(format!("pod{}/{}", pod_uid(number), container_id(number)))
}

fn pod_uid(number: usize) -> String {
    format!("{number:08}-1111-4222-8333-444455556666")
}

fn container_id(number: usize) -> String {
    format!("{number:064x}")
}

/// What the API server knows of a pod with its volume.
fn objects_of(number: usize) -> [Value; 3] {
    let (pod, claim, volume) = (
        format!("app-{number}"),
        format!("data-app-{number}"),
        format!("pvc-{number:05}"),
    );
    let uid = format!("{number:08}-2222-4222-8333-444455556666");
    let modes = ["ReadWriteOnce"];
    let size = json!({"storage": "1Mi"});
    [
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": pod, "namespace": "shop", "uid": pod_uid(number)},
            "spec": {"nodeName": NAME, "containers": [{"name": "app", "volumeMounts": [{"name": "data", "mountPath": DATA}]}],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]},
            "status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z", "containerStatuses": [{"name": "app",
                "containerID": format!("containerd://{}", container_id(number)), "ready": true, "started": true,
                "restartCount": 0, "state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}}}]}}),
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": claim, "namespace": "shop", "uid": uid},
            "spec": {"accessModes": modes, "volumeName": volume, "volumeMode": "Filesystem", "storageClassName": "disk",
                "resources": {"requests": size}},
            "status": {"phase": "Bound", "accessModes": modes, "capacity": size}}),
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
            "spec": {"accessModes": modes, "capacity": size, "volumeMode": "Filesystem", "storageClassName": "disk",
                "claimRef": {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": claim, "uid": uid},
                "csi": {"driver": DRIVER, "volumeHandle": format!("vol-{number:05}")}},
            "status": {"phase": "Bound"}}),
    ]
}

/// What it knows of the node and of its storage.
fn the_node() -> [Value; 4] {
    [
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME}}),
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": NAME},
            "spec": {"drivers": [{"name": DRIVER, "nodeID": NAME, "topologyKeys": null}]}}),
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": DRIVER},
            "spec": {"attachRequired": false}}),
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "disk"},
            "provisioner": DRIVER, "allowVolumeExpansion": true}),
    ]
}

fn read(path: &Path) -> Vec<u8> {
    let mut file = fs::File::open(path).unwrap();
    let mut bytes = Vec::new();
    // A file of `/proc` does not say how long it is.
    match file.metadata().unwrap().len() {
        // Of a file alone its length and position would be asked for once more.
        0 => file.take(u64::MAX).read_to_end(&mut bytes).unwrap(),
        length => {
            bytes.resize(usize::try_from(length).unwrap() + 1, 0);
            file.read(&mut bytes).unwrap()
        }
    };
    bytes
}

pub(crate) fn list(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}
