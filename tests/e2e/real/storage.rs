//! Volumes, claims and pods: the objects, and what the drivers' backends know of them.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::machine::{BUSYBOX, DRIVER, images};
use crate::cluster::Cluster;
use crate::until;

/// The namespace of all claims and pods.
pub(super) const NAMESPACE: &str = "shop";

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
                "persistentVolumeReclaimPolicy": "Retain", "storageClassName": self.driver,
                "volumeMode": if raw { "Block" } else { "Filesystem" }}})
    }

    /// The claim.
    pub(super) fn claim(&self) -> Value {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": self.name, "namespace": NAMESPACE}, "spec": self.spec()})
    }

    /// What the claim asks for, as a template has it too.
    pub(super) fn spec(&self) -> Value {
        json!({"accessModes": [self.mode], "storageClassName": self.driver,
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

/// Makes the namespace, and waits until pods can be made in it.
pub(super) fn make_namespace(cluster: &Cluster) {
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
    let path = images(driver).join(format!("{handle}.conduct"));
    match manner {
        Some(manner) => fs::write(path, format!("{call}={manner}\n")).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
}
