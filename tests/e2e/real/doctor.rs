//! The agent as a pod, the collector beside it, and what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cluster::{Cluster, Process};
use crate::doctor::{ask, kubeconfig_of, tell};
use crate::until;

/// The port that `deploy/` names, at every address of the node.
const PORT: u16 = 9470;

/// Graces and intervals are these parts of the shipped ones.
pub(super) const SCALE: &str = "0.1";
pub(super) const INTERVAL: &str = "3s";

/// A finding: its code, the kind and name of its subject.
pub(super) type Told = (String, String, String);

/// The collector, which watches as a process; the agent is a pod.
pub(super) struct Doctor {
    port: u16,
    _collector: Process,
}

impl Doctor {
    /// Starts the collector and waits for the agent's first scan.
    pub(super) fn start(cluster: &Cluster) -> Self {
        let kubeconfig = kubeconfig_of(cluster, "csi-doctor-collector", cluster.api_port());
        let log = File::create(cluster.dir().join("collector.log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_csi-doctor-collector"))
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(format!("--listen=0.0.0.0:{PORT}"))
            .args(["--insecure-listen", &format!("--grace-scale={SCALE}")])
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let collector = Process::new("csi-doctor-collector", child);
        // There is neither DNS nor a proxy of Services. Nobody is to wait for the shipped intervals; all else is
        // as shipped.
        let patch = json!({"spec": {"template": {"spec": {
            "hostAliases": [{"ip": "10.0.0.10", "hostnames": ["csi-doctor-collector.csi-doctor.svc"]}],
            "containers": [{"name": "agent", "env": [{"name": "CSI_DOCTOR_INTERVAL", "value": INTERVAL}]}]}}}});
        let patch = patch.to_string();
        cluster.kubectl(&[
            "patch",
            "daemonset",
            "csi-doctor-agent",
            "-n",
            "csi-doctor",
            "-p",
            &patch,
        ]);
        cluster.kubectl(&[
            "scale",
            "deployment",
            "csi-doctor-collector",
            "-n",
            "csi-doctor",
            "--replicas=0",
        ]);
        until("the agent's pod is heard", Duration::from_mins(2), || {
            let nodes = ask(PORT, &["get", "nodes"])?;
            let node = nodes["items"].as_array()?.first()?.clone();
            (node["silent"] == false).then_some(())
        });
        Self {
            port: PORT,
            _collector: collector,
        }
    }

    /// All findings that are not over, by code and subject, with their states.
    pub(super) fn findings(&self) -> BTreeMap<Told, Value> {
        let answer = until("the collector answers", Duration::from_secs(10), || {
            ask(self.port, &["get", "findings", "-A"])
        });
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let items = answer["items"].as_array().unwrap().iter();
        items
            .map(|one| {
                let subject = &one["subject"];
                let key = (
                    text(&one["code"]),
                    text(&subject["kind"]),
                    text(&subject["name"]),
                );
                (key, one.clone())
            })
            .collect()
    }

    /// Those that count: their grace is over.
    pub(super) fn open(&self) -> BTreeMap<Told, Value> {
        let mut findings = self.findings();
        findings.retain(|_, one| one["state"] != "settling");
        findings
    }

    /// What the rules cannot tell at the moment, and what is missing.
    pub(super) fn unknowns(&self) -> BTreeSet<String> {
        let status = until("the collector answers", Duration::from_secs(10), || {
            ask(self.port, &["status"])
        });
        let rules = status["rules"].as_array().unwrap().iter();
        let unknown = rules.filter(|rule| rule["unknown"] != 0);
        let mut found: BTreeSet<String> = unknown
            .map(|rule| format!("{}: {} unknown", rule["code"], rule["unknown"]))
            .collect();
        for gap in status["gaps"].as_array().unwrap() {
            found.insert(format!("gap: {}", gap["what"]));
        }
        for gap in status["clusterGaps"].as_array().unwrap() {
            found.insert(format!("gap of the cluster: {gap}"));
        }
        found
    }

    /// When the agent was heard last.
    pub(super) fn last_heard(&self) -> Timestamp {
        let nodes = until("the collector answers", Duration::from_secs(10), || {
            ask(self.port, &["get", "nodes"])
        });
        let heard = nodes["items"][0]["lastHeard"].as_str().unwrap();
        heard.parse().unwrap()
    }

    /// What the command line prints for a person.
    pub(super) fn tells(&self, words: &[&str]) -> String {
        tell(self.port, words)
    }

    /// Looks again and again for so long: whatever opens fails the test, and so does an unknown that is there at
    /// the end, or another number of volumes.
    pub(super) fn stays_quiet(&self, when: &str, volumes: u64, patience: Duration) {
        let end = Instant::now() + patience;
        let mut seen = BTreeSet::new();
        while Instant::now() < end {
            for ((code, kind, name), one) in self.findings() {
                assert!(
                    one["state"] == "settling",
                    "{when}: {code} of {kind} {name} is {}: {}\n{}",
                    one["state"],
                    one["message"],
                    tell(self.port, &["get", "findings", "-A", "-o", "wide"]),
                );
                seen.insert(format!("{code} of {kind} {name}"));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        until(
            &format!("{when}: nothing is unknown: {:?}", self.unknowns()),
            Duration::from_secs(30),
            || self.unknowns().is_empty().then_some(()),
        );
        until(
            &format!("{when}: {volumes} volumes are seen"),
            Duration::from_secs(30),
            || {
                let status = ask(self.port, &["status"])?;
                (status["volumes"] == volumes).then_some(())
            },
        );
        println!(
            "   {when}: quiet, {volumes} volumes; settled by itself: {}",
            if seen.is_empty() {
                "nothing".to_owned()
            } else {
                seen.into_iter().collect::<Vec<_>>().join(", ")
            }
        );
    }

    /// Waits until what opened while pods started is over, since the kubelet's pauses are not scaled as the graces are;
    /// then nothing may open for so long.
    pub(super) fn comes_to_rest(&self, when: &str, volumes: u64, patience: Duration) {
        until(
            &format!("{when}: it comes to rest"),
            Duration::from_mins(1),
            || self.open().is_empty().then_some(()),
        );
        self.stays_quiet(when, volumes, patience);
    }

    /// Writes all that is known beside the logs, for whoever reads why a chapter failed.
    pub(super) fn note(&self, cluster: &Cluster, name: &str) {
        let mut text = String::new();
        for words in [
            &["status"][..],
            &["get", "volumes", "-A", "-o", "wide"],
            &["get", "findings", "-A", "-o", "json"],
        ] {
            text.push_str(&tell(self.port, words));
            text.push('\n');
        }
        fs::write(cluster.dir().join(format!("{name}.txt")), text).unwrap();
    }
}

/// Ends the agent's pod; its DaemonSet makes another one.
pub(super) fn restart_agent(cluster: &Cluster) {
    let agent = "app.kubernetes.io/component=agent";
    cluster.kubectl(&["delete", "pod", "-n", "csi-doctor", "-l", agent]);
}
