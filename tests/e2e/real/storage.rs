//! Volumes, claims and pods: the objects, and what the drivers' backends know of them.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::Real;
use super::machine::{BUSYBOX, DRIVER, FRAIL, images};
use crate::cluster::Cluster;
use crate::until;

/// The namespace of all claims and pods.
pub(super) const NAMESPACE: &str = "shop";

/// The process that holds a volume.
pub(super) const HOLDER: &str = "holder";

/// A volume with a claim that is bound to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) name: &'a str,
    pub(super) driver: &'a str,
    /// The filesystem, or `block`.
    pub(super) kind: &'a str,
    pub(super) mebibytes: u64,
    pub(super) mode: &'a str,
}

impl<'a> Claim<'a> {
    /// A small ext4 volume of the first driver.
    pub(super) fn new(name: &'a str) -> Self {
        Self {
            name,
            driver: DRIVER,
            kind: "ext4",
            mebibytes: 64,
            mode: "ReadWriteOnce",
        }
    }

    fn class(&self) -> String {
        class(self.driver, self.kind)
    }

    /// Records the volume in the driver's backend.
    pub(super) fn provide(&self) {
        let directory = images(self.driver);
        let bytes = self.mebibytes << 20;
        let record = json!({"kind": self.kind, "bytes": bytes}).to_string();
        fs::write(directory.join(format!("{}.json", self.name)), record).unwrap();
        let image = fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join(format!("{}.img", self.name)))
            .unwrap();
        image.set_len(bytes).unwrap();
    }

    /// The PersistentVolume, kept for this claim.
    pub(super) fn volume(&self) -> Value {
        let raw = self.kind == "block";
        let mut csi = json!({"driver": self.driver, "volumeHandle": self.name});
        if !raw {
            csi["fsType"] = self.kind.into();
        }
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("pv-{}", self.name)},
            "spec": {"accessModes": [self.mode], "capacity": {"storage": format!("{}Mi", self.mebibytes)},
                "claimRef": {"namespace": NAMESPACE, "name": self.name}, "csi": csi,
                "persistentVolumeReclaimPolicy": "Retain", "storageClassName": self.class(),
                "volumeMode": if raw { "Block" } else { "Filesystem" }}})
    }

    /// The claim, of a volume that is there: nobody is to provision another one.
    pub(super) fn claim(&self) -> Value {
        let mut claim = self.order();
        claim["spec"]["volumeName"] = format!("pv-{}", self.name).into();
        claim
    }

    /// The claim, of a volume that the driver is still to make.
    pub(super) fn order(&self) -> Value {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": self.name, "namespace": NAMESPACE}, "spec": self.spec()})
    }

    /// What the claim asks for, as a template has it too.
    pub(super) fn spec(&self) -> Value {
        json!({"accessModes": [self.mode], "storageClassName": self.class(),
            "resources": {"requests": {"storage": format!("{}Mi", self.mebibytes)}},
            "volumeMode": if self.kind == "block" { "Block" } else { "Filesystem" }})
    }

    /// Makes all of it.
    pub(super) fn make(&self, cluster: &Cluster) {
        self.provide();
        cluster.apply(&self.volume().to_string());
        cluster.apply(&self.claim().to_string());
    }
}

/// The class of a driver's volumes of some kind.
pub(super) fn class(driver: &str, kind: &str) -> String {
    match kind {
        "xfs" => format!("xfs.{driver}"),
        _ => driver.to_owned(),
    }
}

/// The spec of a pod that has a claim's volume at `/data` and does nothing.
pub(super) fn pod_spec(claim: &str) -> Value {
    json!({"terminationGracePeriodSeconds": 1, "automountServiceAccountToken": false,
        "containers": [{"name": "main", "image": BUSYBOX, "command": idle(),
            "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]})
}

/// A command that ends when it is asked to.
pub(super) fn idle() -> Value {
    json!([
        "busybox",
        "sh",
        "-c",
        "trap 'exit 0' TERM; while :; do busybox sleep 1; done"
    ])
}

/// A pod of this spec.
pub(super) fn pod(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
}

/// Makes the namespace with nothing in it, and waits until pods can be made in it.
pub(super) fn make_namespace(real: &Real<'_>) {
    let cluster = real.cluster;
    cluster.apply(
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
            .to_string(),
    );
    until(
        "the namespace has its service account",
        Duration::from_mins(1),
        || {
            cluster
                .try_kubectl(&["get", "serviceaccount", "default", "-n", NAMESPACE])
                .ok()
        },
    );
    let left = cluster.kubectl(&["get", "pods,pvc", "-n", NAMESPACE, "-o", "name"]);
    if !left.is_empty() {
        println!(
            "   left by a chapter that failed: {}",
            left.replace('\n', " ")
        );
        heal(real);
    }
    clear(cluster);
}

/// Lets go of what the faults of a chapter hold, so that its pods can end.
fn heal(real: &Real<'_>) {
    real.cluster.stop(HOLDER);
    for driver in [DRIVER, FRAIL] {
        for file in fs::read_dir(images(driver)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|end| end == "conduct") {
                fs::remove_file(path).unwrap();
            }
        }
        real.machine.restart_driver(driver);
    }
}

/// Waits until a pod runs, or has done what it was to do; gives its UID.
pub(super) fn wait_for(cluster: &Cluster, name: &str, phase: &str) -> String {
    let mut last = Value::Null;
    let found = until_or(Duration::from_mins(3), || {
        let text = cluster
            .try_kubectl(&["get", "pod", name, "-n", NAMESPACE, "-o", "json"])
            .ok()?;
        last = serde_json::from_str(&text).ok()?;
        let ready = phase != "Running" || last["status"]["containerStatuses"][0]["ready"] == true;
        let ending = !last["metadata"]["deletionTimestamp"].is_null();
        (last["status"]["phase"] == phase && ready && !ending)
            .then(|| last["metadata"]["uid"].as_str().unwrap().to_owned())
    });
    found.unwrap_or_else(|| {
        let events = cluster.kubectl(&["get", "events", "-n", NAMESPACE]);
        panic!("pod {name} is not {phase}: {}\n{events}", last["status"])
    })
}

fn until_or<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = std::time::Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if std::time::Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Where a volume is mounted for a pod.
pub(super) fn target(pod_uid: &str, claim: &str) -> String {
    format!("/var/lib/kubelet/pods/{pod_uid}/volumes/kubernetes.io~csi/pv-{claim}/mount")
}

/// Has a driver treat a call on a volume like this, or well again.
pub(super) fn behave(driver: &str, handle: &str, call: &str, manner: Option<&str>) {
    conduct(
        driver,
        handle,
        manner.map(|manner| format!("{call}={manner}\n")),
    );
}

/// Has a driver, or one volume of it, behave as these lines say, or well again.
pub(super) fn conduct(driver: &str, of: &str, lines: Option<String>) {
    let path = images(driver).join(format!("{of}.conduct"));
    match lines {
        Some(lines) => fs::write(path, lines).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
}

/// Asks for a larger volume; the driver takes the kubelet's half of it in this manner.
pub(super) fn grow(cluster: &Cluster, name: &str, manner: &str, mebibytes: u64) {
    behave(DRIVER, name, "expand", Some(manner));
    ask_for(cluster, name, mebibytes);
}

/// Lets a claim ask for so much.
pub(super) fn ask_for(cluster: &Cluster, name: &str, mebibytes: u64) {
    let size = json!({"storage": format!("{mebibytes}Mi")});
    let patch = json!({"spec": {"resources": {"requests": size}}}).to_string();
    let claim = ["pvc", name, "-n", NAMESPACE];
    let words = ["patch", "--type=merge", "-p", &patch];
    cluster.kubectl(&[&words[..], &claim].concat());
}

/// Takes away all pods, claims and volumes.
pub(super) fn clear(cluster: &Cluster) {
    for kind in ["pod", "pvc"] {
        cluster.kubectl(&["delete", kind, "--all", "-n", NAMESPACE, "--timeout=3m"]);
    }
    cluster.kubectl(&["delete", "pv", "--all", "--timeout=3m"]);
}

/// Waits until a pod is gone.
pub(super) fn wait_until_gone(cluster: &Cluster, name: &str) {
    until(
        &format!("pod {name} is gone"),
        Duration::from_mins(3),
        || {
            cluster
                .try_kubectl(&["get", "pod", name, "-n", NAMESPACE])
                .is_err()
                .then_some(())
        },
    );
}
