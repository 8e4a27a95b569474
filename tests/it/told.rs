//! What both daemons tell on the plain port and in their logs, as processes, and that
//! `docs/metrics.md` and `docs/logs.md` say the same.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use csi_doctor::grpc::client::Collector;
use csi_doctor::model::scan::Scan;
use expect_test::expect;
use serde_json::Value;

use crate::support::http::get;
use crate::support::running::{old, scan};

const METRICS: &str = include_str!("../../docs/metrics.md");
const LOGS: &str = include_str!("../../docs/logs.md");
const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon, killed when it is dropped, and the lines that it writes.
struct Daemon {
    child: Child,
    lines: mpsc::Receiver<Value>,
    seen: Vec<Value>,
}

impl Daemon {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .args(["--http-endpoint", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (told, lines) = mpsc::channel();
        // Ends with the process, and goes on reading when nobody listens any more.
        std::thread::spawn(move || {
            for line in output.lines() {
                let _ = told.send(serde_json::from_str(&line.unwrap()).unwrap());
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// The first line from now on that is so.
    fn line(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("no line {what}"));
            self.seen.push(line.clone());
            if is(&line) {
                return line;
            }
        }
    }

    fn address(&mut self, message: &str) -> SocketAddr {
        let line = self.line(message, |line| line["message"] == message);
        line["address"].as_str().unwrap().parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn collector() -> (Daemon, SocketAddr, SocketAddr) {
    let manifests = scenario().join("manifests");
    let mut daemon = Daemon::start(
        env!("CARGO_BIN_EXE_csi-doctor-collector"),
        &[
            "--listen",
            "127.0.0.1:0",
            "--grace-scale",
            "0",
            "--manifests",
            manifests.to_str().unwrap(),
        ],
    );
    let address = daemon.address("listening");
    let plain = daemon.address("serving metrics and probes");
    (daemon, address, plain)
}

fn scenario() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/healthy")
}

fn agent(collector: SocketAddr) -> (Daemon, SocketAddr) {
    let [host, manifests] = ["host", "manifests"].map(|part| scenario().join(part));
    let mut daemon = Daemon::start(
        env!("CARGO_BIN_EXE_csi-doctor-agent"),
        &[
            "run",
            "--node-name",
            "node-9",
            "--host-root",
            host.to_str().unwrap(),
            "--manifests",
            manifests.to_str().unwrap(),
            "--kubelet-dir",
            "/var/lib/kubelet",
            "--probe-timeout",
            "500ms",
            "--collector",
            &collector.to_string(),
        ],
    );
    let plain = daemon.address("serving metrics and probes");
    (daemon, plain)
}

/// A finding that opens, a report that is refused, a node that falls silent.
async fn make_trouble(collector: SocketAddr) {
    let mut reporter = Collector::at(&collector.to_string()).unwrap().reporter();
    reporter.report(&scan(1, Some(old()))).await.unwrap();
    let mut twice = scan(2, None);
    twice.verdicts.extend(twice.verdicts.clone());
    reporter.report(&twice).await.unwrap_err();
    reporter.report(&silent()).await.unwrap();
}

/// The only word of a node that would be heard again at once.
fn silent() -> Scan {
    let mut scan = scan(1, None);
    scan.facts.node = "node-2".into();
    scan.interval = Duration::from_millis(1);
    scan
}

/// Asks until all of these are told.
async fn scraped(address: SocketAddr, told: &[&str]) -> String {
    let asking = async {
        loop {
            let (status, text) = get(address, "/metrics").await;
            assert_eq!(status, 200);
            if told.iter().all(|one| text.contains(one)) {
                return text;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_| panic!("{told:?} were not all told"))
}

/// What a scrape tells, as the rows of the documentation.
fn rows(text: &str) -> BTreeSet<String> {
    let [mut help, mut kind] = ["", ""];
    let mut rows = BTreeSet::new();
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("# HELP ") {
            help = words.split_once(' ').unwrap().1.trim_end_matches('.');
        } else if let Some(words) = line.strip_prefix("# TYPE ") {
            kind = words.split_once(' ').unwrap().1;
        } else if !line.starts_with('#') {
            let end = line.find(['{', ' ']).unwrap();
            let (name, rest) = line.split_at(end);
            let labels: Vec<&str> = match rest.strip_prefix('{') {
                Some(labels) => labels.split("\",").map(label).collect(),
                None => vec!["none"],
            };
            let labels = labels.join(", ");
            rows.insert(format!("| `{name}` | {kind} | {labels} | {help} |"));
        }
    }
    rows
}

fn label(pair: &str) -> &str {
    pair.split_once('=').unwrap().0
}

fn documented(text: &str, section: &str) -> BTreeSet<String> {
    let (_, after) = text.split_once(&format!("\n## {section}\n")).unwrap();
    let section = after.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(str::to_owned).collect()
}

fn assert_same(told: &BTreeSet<String>, documented: &BTreeSet<String>) {
    let text = |rows: &BTreeSet<String>| rows.iter().cloned().collect::<Vec<_>>().join("\n");
    assert_eq!(text(told), text(documented));
}

#[tokio::test]
async fn metrics_are_those_that_are_documented() {
    let (_collector, address, plain) = collector();
    make_trouble(address).await;
    let text = scraped(
        plain,
        &[
            "csi_doctor_nodes{state=\"silent\"} 1\n",
            "csi_doctor_findings{code=\"NodeSilent\",severity=\"warning\",state=\"open\"} 1\n",
            // A code that no rule has: it must not become a label.
            "csi_doctor_findings{code=\"other\",severity=\"critical\",state=\"open\"} 1\n",
            "csi_doctor_finding_changes_total{code=\"other\",change=\"opened\"} 1\n",
            "csi_doctor_reports_refused_total{code=\"InvalidArgument\"} 1\n",
            "csi_doctor_reports_total 2\n",
            "csi_doctor_objects{resource=\"persistentvolumeclaims\"} 2\n",
        ],
    )
    .await;
    assert!(text.ends_with("# EOF\n"));
    assert_same(&rows(&text), &documented(METRICS, "Collector"));

    let (_agent, plain) = agent(address);
    let text = scraped(
        plain,
        &[
            "csi_doctor_agent_reports_total{outcome=\"acknowledged\"}",
            "csi_doctor_agent_volumes ",
        ],
    )
    .await;
    assert_same(&rows(&text), &documented(METRICS, "Agent"));
}

#[tokio::test]
async fn probes_speak_of_the_program_itself() {
    let (collector, address, plain) = collector();
    make_trouble(address).await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(get(plain, path).await, (200, "ok\n".to_owned()), "{path}");
    }
    assert_eq!(get(plain, "/api/v1/status").await.0, 404);

    // Nobody listens there any more: the agent is well all the same.
    drop(collector);
    let (_agent, plain) = agent(address);
    scraped(plain, &["reports_total{outcome=\"failed\"}"]).await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(get(plain, path).await, (200, "ok\n".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn log_lines_have_the_fields_that_are_documented() {
    let (mut collector, address, _) = collector();
    make_trouble(address).await;
    let line = collector.line("about the finding", |line| {
        line["csi_doctor.code"] == "Sick"
    });
    let stable = |(name, value): (&String, &Value)| {
        (name != "timestamp").then(|| format!("{name}: {value}"))
    };
    let fields: Vec<String> = line
        .as_object()
        .unwrap()
        .iter()
        .filter_map(stable)
        .collect();
    expect![[r#"
        csi_doctor.change: "opened"
        csi_doctor.code: "Sick"
        csi_doctor.severity: "critical"
        csi_doctor.state: "open"
        csi_doctor.subject: "claim shop/orders-db"
        k8s.namespace.name: "shop"
        k8s.node.name: "node-1"
        k8s.persistentvolumeclaim.name: "orders-db"
        level: "INFO"
        message: "It is sick."
        target: "csi_doctor::collector::tell""#]]
    .assert_eq(&fields.join("\n"));
    collector.line("about the silent node", |line| {
        line["csi_doctor.code"] == "NodeSilent"
    });
    let (mut agent, _) = agent(address);
    agent.line("that it started", |line| line["message"] == "agent started");

    let names: BTreeSet<String> = documented(LOGS, "Fields")
        .iter()
        .map(|row| row.split('`').nth(1).unwrap().to_owned())
        .collect();
    for line in collector.seen.iter().chain(&agent.seen) {
        for name in line.as_object().unwrap().keys() {
            assert!(names.contains(name), "{name} of {line} is not documented");
        }
    }
    // What did not happen above is in the source at least.
    let sources = ["agent/mod.rs", "agent/scan.rs", "collector/mod.rs"];
    let more = [
        "collector/tell.rs",
        "collector/accept.rs",
        "collector/refused.rs",
    ];
    let read = |path: &&str| {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path)).unwrap()
    };
    let code: String = sources.iter().chain(&more).map(read).collect();
    for name in &names {
        let is_made = ["timestamp", "level", "message", "target"].contains(&name.as_str());
        let is_named = [
            format!("{name} = "),
            format!("%{name}"),
            format!("({name}, "),
        ]
        .iter()
        .any(|form| code.contains(form));
        assert!(is_made || is_named, "{name} is documented and nowhere told");
    }
}
