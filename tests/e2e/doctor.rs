//! Agent and collector as processes, with the tokens and capabilities that `deploy/` gives them, and the
//! command line that asks.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::cluster::{Cluster, Process, free_ports};
use crate::node::Node;
use crate::until;

const AGENT: &str = env!("CARGO_BIN_EXE_csi-doctor-agent");
const COLLECTOR: &str = env!("CARGO_BIN_EXE_csi-doctor-collector");
const COMMAND_LINE: &str = env!("CARGO_BIN_EXE_kubectl-csi_doctor");

/// The kubeconfig of an agent.
pub(crate) fn kubeconfig(cluster: &Cluster, port: u16) -> PathBuf {
    kubeconfig_of(cluster, "csi-doctor-agent", port)
}

/// The kubeconfig of a service account: its token, and nothing else.
pub(crate) fn kubeconfig_of(cluster: &Cluster, account: &str, port: u16) -> PathBuf {
    let name = format!("{account}-{port}");
    let token = cluster.kubectl(&[
        "create",
        "token",
        account,
        "-n",
        "csi-doctor",
        "--duration=2h",
    ]);
    let file = cluster.dir().join(format!("{name}.token"));
    fs::write(&file, token.trim()).unwrap();
    cluster.kubeconfig(&name, port, &file)
}

/// An agent's command with the capabilities of its container, where this test may take others away.
fn agent(node: &Node) -> Command {
    let limited = [
        "--bounding-set=-all,+dac_read_search",
        "--inh-caps=-all",
        "true",
    ];
    let can_limit = Command::new("setpriv")
        .args(limited)
        .status()
        .is_ok_and(|status| status.success());
    let mut command = if can_limit {
        let mut command = Command::new("setpriv");
        command.args(&limited[..2]).arg(AGENT);
        command
    } else {
        Command::new(AGENT)
    };
    command
        .env("CSI_DOCTOR_NODE_NAME", &node.name)
        .env("CSI_DOCTOR_HOST_ROOT", &node.host)
        .env("CSI_DOCTOR_KUBELET_DIR", "/var/lib/kubelet");
    command
}

/// One scan with these objects.
pub(crate) fn scan(node: &Node, source: &[&str], output: &str) -> Output {
    let output = agent(node)
        .args(["scan", "--once", "--output", output])
        .args(source)
        .output()
        .unwrap();
    assert!(
        output.status.code().is_some_and(|code| code < 2),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// An agent that reports to this collector.
pub(crate) fn report(
    cluster: &Cluster,
    node: &Node,
    kubeconfig: &Path,
    collector: u16,
    interval: &str,
) -> Process {
    let log = cluster.dir().join(format!("agent-{}.log", node.name));
    let log = File::options().create(true).append(true).open(log).unwrap();
    let child = agent(node)
        .arg("run")
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg(format!("--collector=127.0.0.1:{collector}"))
        .arg(format!("--interval={interval}"))
        .env("CSI_DOCTOR_LOG", "info,csi_doctor::kubernetes=debug")
        .stdout(Stdio::from(log))
        .spawn()
        .unwrap();
    Process::new("csi-doctor-agent", child)
}

/// A collector that knows what agents tell alone, and its port.
pub(crate) fn collect(cluster: &Cluster, name: &str, grace_scale: &str) -> (Process, u16) {
    start(cluster, name, grace_scale, &[])
}

/// A collector that sees the cluster itself, and its port.
pub(crate) fn collect_with(
    cluster: &Cluster,
    name: &str,
    grace_scale: &str,
    kubeconfig: &Path,
) -> (Process, u16) {
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    start(cluster, name, grace_scale, &[&kubeconfig])
}

/// The same with a store that outlives it.
pub(crate) fn collect_keeping(
    cluster: &Cluster,
    name: &str,
    store: &Path,
    kubeconfig: &Path,
) -> (Process, u16) {
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    let store = format!("--store={}", store.display());
    start(cluster, name, "0", &[&kubeconfig, &store])
}

fn start(cluster: &Cluster, name: &str, grace_scale: &str, more: &[&str]) -> (Process, u16) {
    let [port] = free_ports();
    let log = File::create(cluster.dir().join(format!("collector-{name}.log"))).unwrap();
    let child = Command::new(COLLECTOR)
        .args(more)
        .env("CSI_DOCTOR_LOG", "info,csi_doctor::kubernetes=debug")
        .arg(format!("--listen=127.0.0.1:{port}"))
        .arg(format!("--grace-scale={grace_scale}"))
        .stdout(Stdio::from(log))
        .spawn()
        .unwrap();
    (Process::new("csi-doctor-collector", child), port)
}

/// What the command line says as JSON; nothing while it cannot ask.
pub(crate) fn ask(collector: u16, words: &[&str]) -> Option<Value> {
    let output = Command::new(COMMAND_LINE)
        .arg(format!("--collector=127.0.0.1:{collector}"))
        .args(words)
        .args(["-o", "json"])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).ok()
}

/// What the command line says with a caller's rights and no collector, and how it ends.
pub(crate) fn by_caller(kubeconfig: &Path, words: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(COMMAND_LINE)
        .args(words)
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.code())
}

/// What the command line prints for a person.
pub(crate) fn tell(collector: u16, words: &[&str]) -> String {
    let output = Command::new(COMMAND_LINE)
        .arg(format!("--collector=127.0.0.1:{collector}"))
        .args(words)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Each finding's code, subject and state, in order.
pub(crate) fn findings(collector: u16) -> Vec<[String; 3]> {
    let answer = until("the collector answers", Duration::from_secs(10), || {
        ask(collector, &["get", "findings", "-A"])
    });
    let items = answer["items"]
        .as_array()
        .or_else(|| answer["findings"].as_array());
    let items = items
        .unwrap_or_else(|| panic!("no findings in {answer}"))
        .iter();
    let mut findings: Vec<[String; 3]> = items
        .map(|one| {
            [
                one["code"].as_str().unwrap_or_default().to_owned(),
                one["subject"].to_string(),
                one["state"].as_str().unwrap_or_default().to_owned(),
            ]
        })
        .collect();
    findings.sort();
    findings
}

/// Resident memory, in KiB.
pub(crate) fn resident(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
