//! Kubelet, containerd, drivers and sidecars: started, stopped and started again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::storage::class;
use crate::cluster::{Cluster, KUBELET, NODE};
use crate::until;

/// The driver of most volumes, and the one that comes to harm.
pub(super) const DRIVER: &str = "lab.csi-doctor.io";
pub(super) const FRAIL: &str = "frail.csi-doctor.io";

/// The image with which pods do nothing, sandboxes too.
pub(super) const BUSYBOX: &str = "docker.io/library/busybox:e2e";

const CONTAINERD: &str = r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/pause:e2e"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "CNI"
"#;

const NETWORK: &str = r#"{"cniVersion": "0.4.0", "name": "e2e", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam":
    {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}"#;

/// What stands beside a driver's plugin, with what each needs to be told. The node sees a device grow while it is used.
const SIDECARS: [(&str, &[&str]); 3] = [
    ("csi-provisioner", &[]),
    ("csi-attacher", &[]),
    ("csi-resizer", &["--handle-volume-inuse-error=false"]),
];

/// The node.
pub(super) struct Machine<'a> {
    cluster: &'a Cluster,
}

impl<'a> Machine<'a> {
    /// Starts all of it, and waits until the node is ready and knows its drivers.
    pub(super) fn start(cluster: &'a Cluster) -> Self {
        let machine = Self { cluster };
        machine.start_containerd();
        machine.import_images();
        fs::create_dir_all(machine.static_pods()).unwrap();
        machine.start_kubelet(false);
        for driver in [DRIVER, FRAIL] {
            cluster.apply(
                &json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": driver},
                    "spec": {"attachRequired": true, "podInfoOnMount": true,
                        "volumeLifecycleModes": ["Persistent", "Ephemeral"]}})
                .to_string(),
            );
            for kind in ["ext4", "xfs"] {
                let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
                    "metadata": {"name": class(driver, kind)}, "provisioner": driver,
                    "parameters": {"csi.storage.k8s.io/fstype": kind}, "allowVolumeExpansion": true});
                cluster.apply(&class.to_string());
            }
            machine.start_driver(driver);
        }
        machine.wait_for_node();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.cluster.dir().join(name)
    }

    /// Where the kubelet looks for pods that no API server knows of.
    pub(super) fn static_pods(&self) -> PathBuf {
        self.path("static")
    }

    fn start_containerd(&self) {
        let network = self.path("network");
        fs::create_dir_all(&network).unwrap();
        fs::write(network.join("e2e.conflist"), NETWORK).unwrap();
        let config = self.path("containerd.toml");
        let text = CONTAINERD.replace("CNI", &network.display().to_string());
        fs::write(&config, text).unwrap();
        self.cluster.run_program(
            "containerd",
            Command::new("containerd").arg("--config").arg(&config),
        );
        until("containerd answers", Duration::from_mins(1), || {
            let asked = Command::new("ctr").arg("version").output().ok()?;
            asked.status.success().then_some(())
        });
    }

    fn import_images(&self) {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let make = |tar: &Path, name: &str| {
            let made = Command::new(here.join("deploy/image.sh"))
                .env("IMAGE_COMMAND", r#"["busybox", "sleep", "2147483647"]"#)
                .arg(tar)
                .args([name, "/usr/bin/busybox"])
                .output()
                .unwrap();
            assert!(made.status.success(), "{made:?}");
        };
        let (busybox, pause) = (self.path("busybox.tar"), self.path("pause.tar"));
        make(&busybox, "busybox:e2e");
        make(&pause, "pause:e2e");
        let product = here.join("target/image/csi-doctor.tar");
        for tar in [&busybox, &pause, &product] {
            let imported = Command::new("ctr")
                .args(["--namespace=k8s.io", "images", "import"])
                .arg(tar)
                .output()
                .unwrap();
            assert!(imported.status.success(), "{}: {imported:?}", tar.display());
        }
    }

    fn start_kubelet(&self, hears_health: bool) {
        let token = self.path("kubelet.token");
        fs::write(&token, KUBELET).unwrap();
        let kubeconfig = self
            .cluster
            .kubeconfig("kubelet", self.cluster.api_port(), &token);
        let config = self.path("kubelet.json");
        let text = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
            "authorization": {"mode": "AlwaysAllow"},
            "failCgroupV1": false, "cgroupDriver": "cgroupfs", "cgroupRoot": "/csi-doctor-e2e",
            "failSwapOn": false, "oomScoreAdj": 0, "enforceNodeAllocatable": [],
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "staticPodPath": self.static_pods(),
            "featureGates": {"CSIVolumeHealth": hears_health},
            // It asks for health as often as for usage: a minute if nothing is said.
            "volumeStatsAggPeriod": if hears_health { "10s" } else { "1m" },
        });
        fs::write(&config, text.to_string()).unwrap();
        self.cluster.run_program(
            "kubelet",
            Command::new(self.cluster.bin().join("kubelet"))
                .arg(format!("--kubeconfig={}", kubeconfig.display()))
                .arg(format!("--config={}", config.display()))
                .arg(format!("--hostname-override={NODE}"))
                .arg(format!("--cert-dir={}", self.path("kubelet-pki").display()))
                .args(["--node-ip=10.0.0.1", "--v=2"]),
        );
    }

    /// Ends the kubelet and starts it again.
    pub(super) fn restart_kubelet(&self) {
        self.restart_kubelet_with(false);
    }

    /// The same; where it hears of health it asks drivers for it and writes it into statuses.
    pub(super) fn restart_kubelet_with(&self, hears_health: bool) {
        self.cluster.stop("kubelet");
        self.start_kubelet(hears_health);
    }

    /// Starts a driver's plugin and all that stands beside it, for the first time or again.
    pub(super) fn start_driver(&self, driver: &str) {
        let images = images(driver);
        fs::create_dir_all(&images).unwrap();
        let socket = socket(driver);
        let registration = format!("/var/lib/kubelet/plugins_registry/{driver}-reg.sock");
        for left in [&socket, &registration] {
            let _ = fs::remove_file(left);
        }
        self.cluster.run_program(
            driver,
            Command::new(env!("CARGO_BIN_EXE_csi-doctor-lab"))
                .arg("plugin")
                .arg(format!("--driver={driver}"))
                .arg(format!("--node={NODE}"))
                .arg("--kubelet-dir=/var/lib/kubelet")
                .arg(format!("--images={}", images.display())),
        );
        until("the driver listens", Duration::from_secs(20), || {
            [&socket, &registration]
                .iter()
                .all(|socket| Path::new(socket).exists())
                .then_some(())
        });
        // In the place of the plugin's own: tests/cluster/kubernetes/registrar says why.
        let mut registrar = Command::new(self.cluster.bin().join("registrar"));
        registrar.args([driver, &socket, &registration]);
        self.cluster
            .run_program(&format!("registrar-{driver}"), &mut registrar);
        self.start_sidecars(driver);
    }

    /// Ends a driver's plugin, its registrar and its sidecars; their sockets stay.
    pub(super) fn stop_driver(&self, driver: &str) {
        for (sidecar, _) in SIDECARS {
            self.cluster.stop(&format!("{sidecar}-{driver}"));
        }
        self.cluster.stop(&format!("registrar-{driver}"));
        self.cluster.stop(driver);
    }

    /// Ends a driver's plugin and starts it again, as a roll-out does.
    pub(super) fn restart_driver(&self, driver: &str) {
        self.stop_driver(driver);
        self.start_driver(driver);
    }

    /// Starts those who speak with the API server for a driver.
    fn start_sidecars(&self, driver: &str) {
        for (sidecar, arguments) in SIDECARS {
            let mut command = Command::new(self.cluster.bin().join(sidecar));
            command
                .arg(format!(
                    "--kubeconfig={}",
                    self.path("admin.kubeconfig").display()
                ))
                .arg(format!("--csi-address={}", socket(driver)))
                .args(arguments);
            self.cluster
                .run_program(&format!("{sidecar}-{driver}"), &mut command);
        }
    }

    fn wait_for_node(&self) {
        until("the node is ready", Duration::from_mins(2), || {
            let node = self
                .cluster
                .try_kubectl(&["get", "node", NODE, "-o", "json"])
                .ok()?;
            let node: serde_json::Value = serde_json::from_str(&node).ok()?;
            let mut conditions = node["status"]["conditions"].as_array()?.iter();
            conditions
                .any(|one| one["type"] == "Ready" && one["status"] == "True")
                .then_some(())
        });
        until(
            "the kubelet knows both drivers",
            Duration::from_mins(1),
            || {
                let found = self.cluster.get(&["csinode", NODE]);
                (found["spec"]["drivers"].as_array()?.len() == 2).then_some(())
            },
        );
    }
}

fn socket(driver: &str) -> String {
    format!("/var/lib/kubelet/plugins/{driver}/csi.sock")
}

/// Where a driver keeps its volumes.
pub(super) fn images(driver: &str) -> PathBuf {
    Path::new("/var/lib/csi-doctor-e2e").join(driver)
}
