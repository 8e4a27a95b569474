//! The collector's own process, killed in the middle of intake: what was acknowledged is kept, and no
//! Event is put twice.
//!
//! `make soak` does so with 200 agents of 100 volumes each.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use csi_doctor::grpc::client::{Collector, FindingFilter};
use csi_doctor::model::facts::{NodeFacts, Thresholds};
use csi_doctor::model::finding::{Object, Problem, RuleVerdicts, Severity, State, Subject};
use csi_doctor::model::observed::Listing;
use csi_doctor::model::sample;
use csi_doctor::model::scan::{Origin, Scan};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::support::events::EventServer;
use crate::support::is_soak;

const KILLS: usize = 10;

/// How many nodes, and how many volumes on each.
fn size() -> (usize, usize) {
    if is_soak() { (200, 100) } else { (20, 1) }
}

/// The process, killed when it is dropped.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(store: &Path, kubeconfig: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_csi-doctor-collector"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--reports-per-minute",
                "1000000",
                "--store",
            ])
            .arg(store)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .find_map(|line| {
                let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
                Some(line["address"].as_str()?.to_owned())
            })
            .unwrap();
        // Somebody must read on, or the process would wait for room in the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn scan(node: usize, sequence: u64) -> Scan {
    let volumes = (0..size().1).map(|index| {
        let mut volume = sample::node().volumes.items.remove(0);
        volume.spec_name = format!("pvc-{node}-{index}").into();
        volume
    });
    let name = format!("node-{node}");
    let subject = Subject {
        object: Object::Driver("d".into()),
        node: Some(name.as_str().into()),
    };
    Scan {
        origin: Origin {
            instance: "life".into(),
            sequence,
        },
        version: "0".into(),
        interval: Duration::from_hours(1),
        took: Duration::ZERO,
        facts: NodeFacts {
            node: name.into(),
            observed_at: Timestamp::UNIX_EPOCH,
            thresholds: Thresholds::DEFAULT,
            volumes: Listing::complete(volumes.collect()),
            leftovers: Listing::default(),
            uncovered: Listing::default(),
            waiting: Listing::default(),
            kubelet: sample::node().kubelet,
            drivers: Listing::default(),
            gaps: Vec::new(),
        },
        verdicts: vec![RuleVerdicts {
            // One code a node: each is a story of its own.
            code: format!("Sick{node}").as_str().into(),
            severity: Severity::Warning,
            stage: None,
            grace: Duration::ZERO,
            ok: 0,
            problems: vec![(subject, Problem::new(format!("Sick at scan {sequence}.")))],
            unknowns: Vec::new(),
            gaps: Vec::new(),
        }],
    }
}

/// Reports without end until the collector is gone; the last sequence that was acknowledged.
async fn report(
    address: String,
    node: usize,
    before: u64,
    begins: mpsc::Sender<()>,
) -> (usize, u64) {
    let mut begins = Some(begins);
    let mut reporter = Collector::at(&address).unwrap().reporter();
    let mut acknowledged = before;
    // What was lost with the kill may have been counted: the agent goes on beyond it.
    for sequence in before + 2.. {
        if reporter.report(&scan(node, sequence)).await.is_err() {
            break;
        }
        acknowledged = sequence;
        // The first acknowledgement is told by letting go.
        begins = None;
    }
    drop(begins);
    (node, acknowledged)
}

/// What is kept: by code, the scan that was last heard and when the finding was first seen.
async fn kept(address: &str) -> BTreeMap<String, (u64, Timestamp)> {
    let mut reader = Collector::at(address).unwrap().reader();
    let listed = reader.findings(&FindingFilter::default()).await.unwrap();
    listed
        .items
        .into_iter()
        .map(|story| {
            let finding = story.finding;
            assert_eq!(finding.state, State::Open);
            let words = finding.problem.message.trim_end_matches('.').to_owned();
            let sequence = words.rsplit(' ').next().unwrap().parse().unwrap();
            (finding.key.code.0, (sequence, finding.first_seen))
        })
        .collect()
}

async fn volumes_kept(address: &str) -> usize {
    let mut reader = Collector::at(address).unwrap().reader();
    reader.summary().await.unwrap().1.volumes
}

/// A first life in which all is well: a collector that remembers nothing tells nothing for a while.
async fn begin(store: &Path, kubeconfig: &Path) {
    let process = Process::start(store, kubeconfig);
    let mut well = scan(0, 1);
    well.verdicts.clear();
    let mut reporter = Collector::at(&process.address).unwrap().reporter();
    reporter.report(&well).await.unwrap();
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    let (nodes, volumes) = size();
    let api = EventServer::start().await;
    let kubeconfig = api.kubeconfig(folder.path());
    begin(&store, &kubeconfig).await;
    let mut acknowledged = vec![0; nodes];
    let mut first_seen: BTreeMap<String, Timestamp> = BTreeMap::new();
    for _ in 0..KILLS {
        api.change(|board| board.answers = vec![503]);
        let process = Process::start(&store, &kubeconfig);
        let mut agents = JoinSet::new();
        let (begins, mut begun) = mpsc::channel(1);
        for (node, last) in acknowledged.iter().enumerate() {
            agents.spawn(report(process.address.clone(), node, *last, begins.clone()));
        }
        drop(begins);
        // Every agent is in the middle of it.
        let all = async { while begun.recv().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(30), all)
            .await
            .unwrap();
        drop(process);
        while let Some(agent) = agents.join_next().await {
            let (node, last) = agent.unwrap();
            acknowledged[node] = last;
        }

        let process = Process::start(&store, &kubeconfig);
        let kept = kept(&process.address).await;
        for (node, last) in acknowledged.iter().enumerate() {
            assert!(*last > 0, "node {node} was never acknowledged");
            // A scan may be kept whose acknowledgement did not arrive; never the other way round.
            let (sequence, seen) = kept[&format!("Sick{node}")];
            assert!(
                sequence >= *last,
                "node {node}: {sequence} is kept of {last}"
            );
            let first = first_seen.entry(format!("Sick{node}")).or_insert(seen);
            assert_eq!(*first, seen, "node {node}");
        }
        assert_eq!(kept.len(), nodes);
        assert_eq!(volumes_kept(&process.address).await, nodes * volumes);
    }
    api.change(|board| board.answers.clear());
    let _process = Process::start(&store, &kubeconfig);
    let board = api.wait(|board| board.events.len() >= nodes).await;
    assert!(board.tries > nodes, "nothing was said again");
    let reasons: BTreeSet<&str> = board
        .events
        .values()
        .map(|event| event["reason"].as_str().unwrap())
        .collect();
    assert_eq!(board.events.len(), nodes, "an Event was put twice");
    assert_eq!(reasons.len(), nodes);
}
