//! What a report costs the collector, beside its floor in the same run: a bare tonic server that
//! decodes the same message and writes the same rows with bare rusqlite in the same groups. Then how
//! long it takes to know everything again, and what is kept in memory.
//!
//! Each server is a process of its own, so that what it costs can be told from what asking costs.
//! `NODES=5000` sets how many nodes there are to know again.

#![allow(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints roundly, and ends where a step fails"
)]

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use csi_doctor::collector::{Config, serve};
use csi_doctor::grpc::MESSAGE_LIMIT;
use csi_doctor::model::mount::Mount;
use csi_doctor::model::names::VolumeHandle;
use csi_doctor::model::observed::Observed;
use csi_doctor::model::sample;
use csi_doctor::model::scan::{Origin, Scan};
use csi_doctor::model::volume::Volume;
use csi_doctor::proto::v1::ReportResponse;
use csi_doctor::proto::v1::intake_server::{Intake, IntakeServer};
use csi_doctor::proto::{ReportRequest, v1};
use csi_doctor::rules;
use csi_doctor::store::Location;
use csi_doctor::wire::encode_scan;
use prost::Message as _;
use prost::bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};

const VOLUMES: usize = 100;
/// Nodes that report again and again.
const STEADY: usize = 200;
/// How often each does.
const ROUNDS: u64 = 20;
/// How many are connected at once.
const CONNECTIONS: usize = 64;
/// As in the collector.
const GROUP: usize = 256;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match words.get(1..3) {
        Some([what, path]) if what == "collector" => runtime.block_on(collector(path)),
        Some([what, path]) if what == "floor" => runtime.block_on(floor(path)),
        _ => runtime.block_on(measure()),
    }
}

async fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    listener
}

async fn collector(path: &str) {
    let config = Config {
        store: Location::File(path.into()),
        reports_a_minute: u32::MAX,
        ..Config::default()
    };
    let listener = listen().await;
    serve(listener, config, std::future::pending())
        .await
        .unwrap();
}

// The floor.

struct Row {
    scan: v1::Scan,
    bytes: Bytes,
    done: oneshot::Sender<()>,
}

struct Bare(mpsc::Sender<Row>);

#[tonic::async_trait]
impl Intake for Bare {
    async fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> Result<Response<ReportResponse>, Status> {
        let bytes = request.into_inner().scan;
        let scan = v1::Scan::decode(bytes.clone()).unwrap();
        let (done, written) = oneshot::channel();
        self.0.send(Row { scan, bytes, done }).unwrap();
        written.await.unwrap();
        Ok(Response::new(ReportResponse {}))
    }
}

async fn floor(path: &str) {
    let database = rusqlite::Connection::open(path).unwrap();
    database
        .execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE scans (node TEXT PRIMARY KEY, received_ns INTEGER, form INTEGER, scan BLOB) WITHOUT ROWID;
             CREATE TABLE heard (node TEXT PRIMARY KEY, received_ns INTEGER, instance TEXT, sequence INTEGER) WITHOUT ROWID;",
        )
        .unwrap();
    let (rows, queue) = mpsc::channel();
    std::thread::spawn(move || write_all(&database, &queue));
    let listener = listen().await;
    Server::builder()
        .add_service(IntakeServer::new(Bare(rows)).max_decoding_message_size(MESSAGE_LIMIT))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
        .unwrap();
}

fn write_all(database: &rusqlite::Connection, queue: &mpsc::Receiver<Row>) {
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        group.extend(queue.try_iter().take(GROUP - 1));
        let transaction = database.unchecked_transaction().unwrap();
        for Row { scan, bytes, .. } in &group {
            let node = &scan.facts.as_ref().unwrap().node;
            // The collector keeps a scan at once, and then every five minutes: longer than this runs.
            if scan.sequence == 1 {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO scans VALUES (?1, ?2, 1, ?3)")
                    .unwrap()
                    .execute(rusqlite::params![node, 1_i64, &bytes[..]])
                    .unwrap();
            }
            transaction
                .prepare_cached("INSERT OR REPLACE INTO heard VALUES (?1, ?2, ?3, ?4)")
                .unwrap()
                .execute(rusqlite::params![
                    node,
                    1_i64,
                    scan.instance,
                    scan.sequence.cast_signed()
                ])
                .unwrap();
        }
        transaction.commit().unwrap();
        for row in group {
            let _ = row.done.send(());
        }
    }
}

// Asking.

struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(what: &str, folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(what)
            .arg(folder.join(format!("{what}.db")))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.next().unwrap().unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// Seconds of processor time, user and system, in hundredths.
    fn processor(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let after = text.rsplit_once(')').unwrap().1;
        let words: Vec<&str> = after.split_whitespace().collect();
        let ticks: u64 = words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap();
        ticks as f64 / 100.0
    }

    /// KiB in memory.
    fn resident(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// So many digits that nobody could guess, as identifiers have.
fn digits(node: usize, index: usize, what: &str, count: usize) -> String {
    let mut text = String::new();
    for part in 0.. {
        let mut hasher = DefaultHasher::new();
        (node, index, what, part).hash(&mut hasher);
        write!(text, "{:016x}", hasher.finish()).unwrap();
        if text.len() >= count {
            break;
        }
    }
    text.truncate(count);
    text
}

fn uid(node: usize, index: usize, what: &str) -> String {
    let digits = digits(node, index, what, 32);
    [0..8, 8..12, 12..16, 16..20, 20..32]
        .map(|part| &digits[part])
        .join("-")
}

/// A volume of a node, with names as long and as strange as those of a cluster.
fn volume(one: &Volume, node: usize, index: usize) -> Volume {
    let mut volume = one.clone();
    let claim_uid = uid(node, index, "claim");
    let pod_uid = uid(node, index, "pod");
    let name = format!("pvc-{claim_uid}");
    let handle = format!("vol-{}", digits(node, index, "handle", 17));
    let staging = format!(
        "/var/lib/kubelet/plugins/kubernetes.io/csi/disk.example.com/{}/globalmount",
        digits(node, index, "staging", 64)
    );
    let target = format!("/var/lib/kubelet/pods/{pod_uid}/volumes/kubernetes.io~csi/{name}/mount");
    let of_disk = |mount: &mut Mount| {
        mount.source = format!("/dev/nvme{index}n1").into();
        mount.device.minor = u32::try_from(index).unwrap();
    };
    let mount = |mount: &mut Observed<Option<Mount>>, target: &str| {
        if let Observed::Known(Some(mount)) = mount {
            mount.target = target.into();
            of_disk(mount);
        }
    };
    volume.spec_name = name.as_str().into();
    volume.handle = Observed::Known(VolumeHandle::from(handle.as_str()));
    if let Some(claim) = &mut volume.claim {
        let claim = Arc::make_mut(claim);
        claim.claim.name = format!("data-orders-{node}-{index}").into();
        claim.claim.uid = claim_uid.as_str().into();
        claim.volume = Some(name.as_str().into());
    }
    if let Observed::Known(Some(persistent)) = &mut volume.persistent {
        let persistent = Arc::make_mut(persistent);
        persistent.name = name.as_str().into();
        persistent.uid = uid(node, index, "volume").as_str().into();
        persistent.claim = volume.claim.as_ref().map(|claim| claim.claim.clone());
        persistent.csi.as_mut().unwrap().handle = VolumeHandle::from(handle);
    }
    if let Observed::Known(Some(attachment)) = &mut volume.attachment {
        let attachment = Arc::make_mut(attachment);
        attachment.name = format!("csi-{}", digits(node, index, "attachment", 64))
            .as_str()
            .into();
        attachment.volume = Some(name.as_str().into());
        attachment.node = format!("node-{node}").as_str().into();
    }
    mount(&mut volume.staged, &staging);
    volume.staging = Some(staging.as_str().into());
    let published = &mut volume.published[0];
    published.pod.name = format!("orders-{node}-{index}").into();
    published.pod.uid = pod_uid.as_str().into();
    mount(&mut published.mount, &target);
    published.target = target.as_str().into();
    // Its container has the same filesystem, at its own place.
    if let Observed::Known(inside) = &mut published.inside {
        inside
            .iter_mut()
            .filter_map(|one| one.mount.as_mut())
            .for_each(of_disk);
    }
    if let Observed::Known(usage) = &mut published.usage {
        usage.used_bytes += 7_654_321 * index as u64;
    }
    volume
}

/// A scan of a node with so many volumes, all well.
fn scan(node: usize, sequence: u64) -> Scan {
    let mut facts = sample::node();
    facts.node = format!("node-{node}").as_str().into();
    let one = facts.volumes.items.remove(0);
    let volumes = (0..VOLUMES).map(|index| volume(&one, node, index));
    facts.volumes.items = volumes.collect();
    Scan {
        origin: Origin {
            instance: "life".into(),
            sequence,
        },
        version: "0".into(),
        interval: Duration::from_mins(30),
        took: Duration::ZERO,
        verdicts: rules::diagnose_node(&facts),
        facts,
    }
}

/// What each node says in one round.
fn round(nodes: usize, sequence: u64) -> Arc<Vec<Bytes>> {
    Arc::new(
        (0..nodes)
            .map(|node| encode_scan(&scan(node, sequence)).into())
            .collect(),
    )
}

/// Sends all of them over as many connections; how long it took.
async fn send(channels: &[Channel], scans: &Arc<Vec<Bytes>>) -> Duration {
    let begun = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let mut senders = JoinSet::new();
    for channel in channels {
        let (scans, next) = (Arc::clone(scans), Arc::clone(&next));
        let mut client = tonic::client::Grpc::new(channel.clone());
        senders.spawn(async move {
            while let Some(scan) = scans.get(next.fetch_add(1, Ordering::Relaxed)) {
                client.ready().await.unwrap();
                let codec = tonic_prost::ProstCodec::<ReportRequest, ReportResponse>::default();
                let path = "/csidoctor.v1.Intake/Report".parse().unwrap();
                let request = Request::new(ReportRequest { scan: scan.clone() });
                client.unary(request, path, codec).await.unwrap();
            }
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender.unwrap();
    }
    begun.elapsed()
}

async fn connect(process: &Process, count: usize) -> Vec<Channel> {
    let mut channels = Vec::new();
    for _ in 0..count {
        let endpoint = Channel::from_shared(format!("http://{}", process.address)).unwrap();
        channels.push(endpoint.connect().await.unwrap());
    }
    channels
}

async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = encode_scan(&scan(0, 1)).len();
    println!(
        "{STEADY} nodes of {VOLUMES} volumes, {bytes} bytes a report, {CONNECTIONS} connections"
    );
    let [floor, ours] = ["floor", "collector"].map(|what| Process::start(what, folder.path()));
    let mut costs = Vec::new();
    let [floor_channels, our_channels] = [
        connect(&floor, CONNECTIONS).await,
        connect(&ours, CONNECTIONS).await,
    ];
    let sides = [(&floor, floor_channels), (&ours, our_channels)];
    let first = round(STEADY, 1);
    for (process, channels) in &sides {
        send(channels, &first).await;
        costs.push((process.processor(), Duration::ZERO));
    }
    // By turns, so that a busy moment of the machine is a busy moment of both.
    for sequence in 2..=ROUNDS + 1 {
        let scans = round(STEADY, sequence);
        for ((_, channels), cost) in sides.iter().zip(&mut costs) {
            cost.1 += send(channels, &scans).await;
        }
    }
    let reports = (STEADY as u64 * ROUNDS) as f64;
    let mut each = Vec::new();
    for ((process, _), (before, took)) in sides.iter().zip(&costs) {
        let processor = process.processor() - before;
        each.push(processor);
        println!(
            "  {:9} {:6.0} µs of processor a report, {:6.0} reports a second and core, {:6.0} a second as asked",
            if each.len() == 1 {
                "floor"
            } else {
                "collector"
            },
            processor / reports * 1e6,
            reports / processor,
            reports / took.as_secs_f64()
        );
    }
    println!("  ratio     {:.2}", each[1] / each[0]);
    drop(sides);
    drop((floor, ours));
    know_again(folder.path()).await;
}

/// From nothing to every node heard, and what that is in memory.
async fn know_again(folder: &Path) {
    let nodes = std::env::var("NODES").map_or(5000, |nodes| nodes.parse().unwrap());
    println!("{nodes} nodes of {VOLUMES} volumes, known from nothing");
    let scans = round(nodes, 1);
    let folder = folder.join("again");
    std::fs::create_dir(&folder).unwrap();
    let mut times = Vec::new();
    for what in ["floor", "collector"] {
        let process = Process::start(what, &folder);
        let empty = process.resident();
        let channels = connect(&process, CONNECTIONS).await;
        let took = send(&channels, &scans).await;
        times.push(took);
        println!(
            "  {what:9} {took:.1?}, {:.0} MiB",
            process.resident() / 1024.0
        );
        if what == "collector" {
            let volumes = (nodes * VOLUMES) as f64;
            let full = process.resident();
            println!("  memory    {:.2} KiB a volume", (full - empty) / volumes);
            let more = connect(&process, 1000).await;
            let idle = process.resident() - full;
            println!(
                "  memory    {:.1} KiB a connection more",
                idle / more.len() as f64
            );
        }
    }
    println!(
        "  ratio     {:.2}",
        times[1].as_secs_f64() / times[0].as_secs_f64()
    );
}
