//! The objects of one node with volumes, and the host root that belongs to them.
//!
//! There is no kubelet: what it would write into statuses is patched, and what it and the kernel would
//! show on the host are files. Everything else is left to the real controllers.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::cluster::Cluster;
use crate::until;

/// The driver of all volumes.
const DRIVER: &str = "disk.example.com";

/// A node with one pod for each volume.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) host: PathBuf,
    pods: Vec<Pod>,
}

struct Pod {
    volume: String,
    uid: String,
}

impl Node {
    /// Makes a node with so many volumes, each bound, attached and in a running pod.
    pub(crate) fn make(cluster: &Cluster, name: &str, volumes: usize) -> Self {
        cluster.apply(&common(name));
        until(
            "the namespace has its service account",
            Duration::from_mins(1),
            || {
                cluster
                    .try_kubectl(&["get", "serviceaccount", "default", "-n", "shop"])
                    .ok()
            },
        );
        let names: Vec<String> = (0..volumes)
            .map(|index| format!("{name}-{index}"))
            .collect();
        cluster.apply(
            &names
                .iter()
                .map(|volume| manifests(name, volume))
                .collect::<String>(),
        );
        let mut node = Self {
            name: name.to_owned(),
            host: cluster.dir().join("host").join(name),
            pods: Vec::new(),
        };
        for volume in names {
            let uid = run(cluster, &volume);
            node.pods.push(Pod { volume, uid });
        }
        for (index, pod) in node.pods.iter().enumerate() {
            let directory = node
                .host
                .join(node.directory(index).trim_start_matches('/'));
            fs::create_dir_all(&directory).unwrap();
            let data = json!({"driverName": DRIVER, "nodeName": name, "specVolID": pod.volume,
                "volumeHandle": pod.volume, "volumeLifecycleMode": "Persistent"});
            fs::write(directory.join("vol_data.json"), data.to_string()).unwrap();
        }
        fs::create_dir_all(node.host.join("proc/1")).unwrap();
        // As every kubelet has them; nobody serves the driver there.
        for directory in ["plugins", "plugins_registry"] {
            fs::create_dir_all(node.host.join("var/lib/kubelet").join(directory)).unwrap();
        }
        node.mount_all_but(None);
        node
    }

    /// Writes the mount table: every volume of a running pod is mounted, but for one.
    pub(crate) fn mount_all_but(&self, missing: Option<usize>) {
        let mut table = "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n".to_owned();
        for index in (0..self.pods.len()).filter(|index| Some(*index) != missing) {
            let directory = self.directory(index);
            let minor = 16 * (index + 1);
            writeln!(
                table,
                "{} 21 8:{minor} / {directory}/mount rw,relatime shared:40 - ext4 /dev/sd rw",
                800 + index
            )
            .unwrap();
        }
        let path = self.host.join("proc/1/mountinfo");
        fs::write(path.with_extension("new"), table).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    fn directory(&self, index: usize) -> String {
        let Pod { volume, uid } = &self.pods[index];
        format!("/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~csi/{volume}")
    }

    /// The claim of a volume.
    pub(crate) fn claim(&self, index: usize) -> &str {
        &self.pods[index].volume
    }
}

/// Says of a claim that the storage has grown and the node has yet to.
pub(crate) fn expansion_waits(cluster: &Cluster, claim: &str) {
    let more = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}}).to_string();
    cluster.kubectl(&[
        "patch",
        "pvc",
        claim,
        "-n",
        "shop",
        "--type=merge",
        "-p",
        &more,
    ]);
    let more = json!({"spec": {"capacity": {"storage": "2Gi"}}}).to_string();
    cluster.kubectl(&["patch", "pv", claim, "--type=merge", "-p", &more]);
    let status = json!({"allocatedResources": {"storage": "2Gi"},
        "allocatedResourceStatuses": {"storage": "NodeResizePending"}});
    cluster.patch_status(&["pvc", claim, "-n", "shop"], &status);
}

/// Says of a claim that its node has grown it.
pub(crate) fn expansion_done(cluster: &Cluster, claim: &str) {
    let status = json!({"capacity": {"storage": "2Gi"}, "allocatedResources": null, "allocatedResourceStatuses": null});
    cluster.patch_status(&["pvc", claim, "-n", "shop"], &status);
}

/// Waits for the real controllers to bind and attach, and says what a kubelet would; gives the pod's UID.
fn run(cluster: &Cluster, volume: &str) -> String {
    until(
        &format!("claim {volume} is bound"),
        Duration::from_mins(1),
        || {
            let claim = cluster.get(&["pvc", volume, "-n", "shop"]);
            (claim["status"]["phase"] == "Bound").then_some(())
        },
    );
    let attachment = until(
        &format!("volume {volume} has an attachment"),
        Duration::from_secs(90),
        || {
            let attachments = cluster.get(&["volumeattachments"]);
            let mut items = attachments["items"].as_array()?.iter();
            let found =
                items.find(|one| one["spec"]["source"]["persistentVolumeName"] == volume)?;
            Some(found["metadata"]["name"].as_str()?.to_owned())
        },
    );
    cluster.patch_status(
        &["volumeattachment", &attachment],
        &json!({"attached": true}),
    );
    let running = json!({"phase": "Running", "startTime": "2026-11-01T10:00:00Z", "containerStatuses": [{
        "name": "main", "image": "app:1", "imageID": "", "ready": true, "restartCount": 0, "started": true,
        "state": {"running": {"startedAt": "2026-11-01T10:00:00Z"}}}]});
    cluster.patch_status(&["pod", volume, "-n", "shop"], &running);
    let pod = cluster.get(&["pod", volume, "-n", "shop"]);
    pod["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// What all nodes and claims of these tests have in common.
pub(crate) fn common(node: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: Namespace
metadata: {{name: shop}}
---
apiVersion: v1
kind: Node
metadata:
  name: {node}
  annotations: {{volumes.kubernetes.io/controller-managed-attach-detach: 'true'}}
---
apiVersion: storage.k8s.io/v1
kind: CSINode
metadata: {{name: {node}}}
spec:
  drivers: [{{name: {DRIVER}, nodeID: {node}, topologyKeys: []}}]
---
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {{name: {DRIVER}}}
spec: {{attachRequired: true}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: fast}}
provisioner: {DRIVER}
allowVolumeExpansion: true
"
    )
}

fn manifests(node: &str, volume: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {volume}}}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {{storage: 1Gi}}
  claimRef: {{namespace: shop, name: {volume}}}
  csi: {{driver: {DRIVER}, volumeHandle: {volume}}}
  storageClassName: fast
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {volume}, namespace: shop}}
spec:
  accessModes: [ReadWriteOnce]
  resources: {{requests: {{storage: 1Gi}}}}
  storageClassName: fast
  volumeName: {volume}
---
apiVersion: v1
kind: Pod
metadata: {{name: {volume}, namespace: shop}}
spec:
  nodeName: {node}
  containers: [{{name: main, image: 'app:1'}}]
  tolerations: [{{operator: Exists}}]
  volumes: [{{name: data, persistentVolumeClaim: {{claimName: {volume}}}}}]
"
    )
}

/// A directory with all objects of the kinds that an agent reads, as `kubectl` writes them.
pub(crate) fn dump(cluster: &Cluster, directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    let kinds = "pods,persistentvolumeclaims,persistentvolumes,volumeattachments,nodes,csinodes,storageclasses";
    let all = cluster.kubectl(&["get", kinds, "-A", "-o", "yaml"]);
    fs::write(directory.join("all.yaml"), all).unwrap();
}
