//! The agent as a program: one whole scan, with something real at every address.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use csi_doctor::rules::{Check, RULES};
use tempfile::TempDir;

use crate::support::fake_plugin::{self, Manner, Served, serve_plugin, serve_registrar};

/// The host root of a recorded scenario, with directories where it has mounts and a device in sysfs.
struct Host {
    root: TempDir,
}

impl Host {
    fn healthy() -> Self {
        let root = tempfile::tempdir().unwrap();
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/healthy");
        copy(&scenario.join("host"), root.path());
        copy(&scenario.join("manifests"), &root.path().join("manifests"));
        let host = Self { root };
        let table = fs::read_to_string(host.path("proc/1/mountinfo")).unwrap();
        let targets = table.lines().map(|line| line.split(' ').nth(4).unwrap());
        for target in targets.filter(|target| target.starts_with("/var/lib/kubelet")) {
            fs::create_dir_all(host.path(&target[1..])).unwrap();
        }
        fs::create_dir_all(host.kubelet().join("plugins_registry")).unwrap();
        let device = host.path("sys/dev/block/8:16");
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("size"), "20971520\n").unwrap();
        host.run_container();
        host
    }

    /// The process of the pod's container, with its volumes as the host has them.
    fn run_container(&self) {
        const POD: &str = "6d5c2a10-0001-4000-8000-000000000001";
        let table = fs::read_to_string(self.path("proc/1/mountinfo")).unwrap();
        let inside = table.lines().filter_map(|line| {
            let target = line
                .split(' ')
                .nth(4)
                .filter(|target| target.contains(POD))?;
            let volume = target.rsplit('/').nth(1)?;
            Some(line.replace(target, &format!("/volumes/{volume}")) + "\n")
        });
        let process = self.path("proc/4711");
        fs::create_dir_all(&process).unwrap();
        fs::write(process.join("mountinfo"), inside.collect::<String>()).unwrap();
        let cgroup = format!("0::/kubepods/burstable/pod{POD}/{}\n", "c".repeat(64));
        fs::write(process.join("cgroup"), cgroup).unwrap();
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    fn kubelet(&self) -> PathBuf {
        self.path("var/lib/kubelet")
    }

    /// `csi-doctor-agent scan --once`; full filesystems of the machine that tests are no finding.
    fn scan(&self, output: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_csi-doctor-agent"))
            .args([
                "scan",
                "--once",
                "--node-name",
                "node-1",
                "--kubelet-dir",
                "/var/lib/kubelet",
            ])
            .args([
                "--probe-timeout",
                "500ms",
                "--nearly-full-percent",
                "100",
                "-o",
                output,
            ])
            .arg("--host-root")
            .arg(self.root.path())
            .arg("--manifests")
            .arg(self.path("manifests"))
            .output()
            .unwrap()
    }

    /// The codes and subjects that a scan finds.
    fn findings(&self) -> Vec<String> {
        let output = self.scan("json");
        let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(list["kind"], "FindingList");
        let items = list["items"].as_array().unwrap();
        let line = |item: &serde_json::Value| {
            format!(
                "{} {}",
                item["code"].as_str().unwrap(),
                item["subject"]["name"].as_str().unwrap()
            )
        };
        items.iter().map(line).collect()
    }

    fn serve(&self, driver: &str, manner: &std::sync::Arc<Manner>) -> [Served; 2] {
        let endpoint = format!("/var/lib/kubelet/plugins/{driver}/csi.sock");
        [
            serve_plugin(&self.kubelet(), driver, manner),
            serve_registrar(&self.kubelet(), "CSIPlugin", driver, &endpoint),
        ]
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_node_gives_no_finding_and_no_unknown() {
    let host = Host::healthy();
    let _disk = host.serve("disk.example.com", &Manner::of("disk.example.com"));
    let _files = host.serve("files.example.com", &Manner::of("files.example.com"));
    let output = tokio::task::block_in_place(|| host.scan("table"));
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let counts = text
        .lines()
        .skip_while(|line| !line.starts_with("RULE"))
        .skip(1);
    let counts: Vec<Vec<&str>> = counts
        .map(|line| line.split_whitespace().collect())
        .collect();
    let of_nodes = RULES
        .iter()
        .filter(|rule| !matches!(rule.check, Check::Binding(_) | Check::Cluster(_)));
    assert_eq!(counts.len(), of_nodes.count(), "{text}");
    for count in counts {
        assert_eq!(
            count[2..],
            ["0", "0"],
            "problems and unknowns of {}:\n{text}",
            count[0]
        );
    }
    assert!(!text.contains("Not seen"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_at_every_address_is_told_and_hides_nothing() {
    let host = Host::healthy();
    let mut table = fs::read(host.path("proc/1/mountinfo")).unwrap();
    table.extend(
        b"this is no line of a mount table\n830 21 0:60 / /mnt/\xff\xfe rw - tmpfs tmpfs rw\n",
    );
    fs::write(host.path("proc/1/mountinfo"), table).unwrap();
    fs::write(
        host.path("manifests/broken.yaml"),
        "kind: Pod\nmetadata: [no map\n",
    )
    .unwrap();
    let _silent = fake_plugin::never_accept(&fake_plugin::plugin_socket(
        &host.kubelet(),
        "disk.example.com",
    ));
    let failing = Manner::of("files.example.com");
    *failing.error.lock().unwrap() = Some(tonic::Status::internal("the backend is on fire"));
    let _failing = host.serve("files.example.com", &failing);

    let (output, found) = tokio::task::block_in_place(|| (host.scan("table"), host.findings()));
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(
        found,
        [
            "DriverUnreachable disk.example.com",
            "DriverUnreachable files.example.com"
        ]
    );
    for told in [
        "line 7 of the mount table",
        "manifest broken.yaml",
        "Driver disk.example.com accepts a connection and does not answer on node-1",
        "the backend is on fire",
        "Volumes   2",
    ] {
        assert!(text.contains(told), "nothing of {told:?} in:\n{text}");
    }
}

#[test]
fn what_cannot_be_understood_is_refused_in_one_line() {
    let refused = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_csi-doctor-agent"))
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr)
            .unwrap()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    expect_test::expect![[r#"error: invalid value 'soon' for '--interval <INTERVAL>': failed to parse input in the "friendly" duration format: expected duration to start with a unit value (a decimal integer) after an optional sign, but no integer was found"#]]
        .assert_eq(&refused(&["run", "--node-name", "n", "--interval", "soon"]));
    expect_test::expect!["error: the following required arguments were not provided:"]
        .assert_eq(&refused(&["scan", "--once"]));
}
