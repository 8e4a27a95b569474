//! What the collector keeps of a large cluster, beside kube-rs's stores of Kubernetes' full types, and what
//! a storage report of it takes, beside `kubectl get pv,pvc,sc`: on a real API server in the same run.
//! `make bench` runs it; the programs come from `tests/cluster/build.sh`.
//!
//! `OBJECTS=20000` sets how many pods, claims and volumes there are each. Objects are made by many
//! requests at once; no controller runs, so that nothing but the making takes time.

#![allow(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints roundly, and ends where a step fails"
)]

#[allow(
    dead_code,
    reason = "the end-to-end tests need more of it than this does"
)]
#[path = "../tests/e2e/cluster.rs"]
mod cluster;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use csi_doctor::kubernetes::client;
use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1 as core;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use cluster::{Cluster, Purpose, free_ports};

const COLLECTOR: &str = env!("CARGO_BIN_EXE_csi-doctor-collector");
const COMMAND_LINE: &str = env!("CARGO_BIN_EXE_kubectl-csi_doctor");
const NODES: usize = 1000;
/// So many requests are under way at once.
const AT_ONCE: usize = 48;
/// The aim, in KiB an object.
const AIM: f64 = 3.0;
/// So often report and kubectl are run, by turns; the median counts.
const TURNS: usize = 5;
/// The aims of a report: its time in that of kubectl, and its memory in KiB.
const REPORT_TIME: f64 = 1.5;
const REPORT_MEMORY: u64 = 150 << 10;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let runtime = Runtime::new().unwrap();
    if let Some([_, kubeconfig, objects]) = words.get(1..4).filter(|words| words[0] == "full") {
        runtime.block_on(full_types(Path::new(kubeconfig), objects.parse().unwrap()));
    }
    let objects = std::env::var("OBJECTS").map_or(20_000, |text| text.parse().unwrap());
    measure(&runtime, objects)
}

fn measure(runtime: &Runtime, objects: usize) -> ExitCode {
    let cluster = Cluster::start_alone(Purpose::Objects, "large");
    let kubeconfig = cluster.dir().join("admin.kubeconfig");
    let begun = Instant::now();
    runtime.block_on(make(&kubeconfig, objects));
    println!(
        "{objects} pods, claims and volumes each, and {NODES} nodes, made in {:.0} s",
        begun.elapsed().as_secs_f64()
    );

    let reported = report_beside_kubectl(&cluster, &kubeconfig);
    let floor = resident(&collector(&cluster, None).0);
    let begun = Instant::now();
    let (own, port) = collector(&cluster, Some(&kubeconfig));
    let kept = format!("csi_doctor_objects{{resource=\"pods\"}} {objects}\n");
    until("all is kept", Duration::from_mins(5), || {
        metrics(port).filter(|text| text.contains(&kept))
    });
    let took = begun.elapsed();
    // The rules have looked at all of it several times.
    std::thread::sleep(Duration::from_secs(30));
    let (memory, busy) = (resident(&own), processor(&own));
    std::thread::sleep(Duration::from_secs(20));
    let at_rest = processor(&own).saturating_sub(busy);

    runtime.block_on(touch(&kubeconfig, objects));
    std::thread::sleep(Duration::from_secs(5));
    let changed = resident(&own);
    drop(own);

    let full = beside(&kubeconfig, objects);
    // Nodes are not watched by the collector, and full types of them are not counted either.
    let all = 3 * objects;
    let each = |kib: u64| kib.saturating_sub(floor) as f64 / all as f64;
    println!(
        "collector: {floor} KiB with nothing; {memory} KiB with {all} objects, {:.2} KiB an object (aim {AIM}); all kept after {:.1} s",
        each(memory),
        took.as_secs_f64()
    );
    println!(
        "after every hundredth claim had changed {changed} KiB, {:.2} KiB an object; at rest {:.1} % of a core",
        each(changed),
        at_rest.as_secs_f64() / 20.0 * 100.0
    );
    println!(
        "kube-rs's full types: {full} KiB, {:.2} KiB an object",
        each(full)
    );
    let met = each(memory.max(changed)) <= AIM && reported;
    println!("{}", if met { "met" } else { "missed" });
    ExitCode::from(u8::from(!met))
}

/// Runs both by turns; whether the report keeps to its aims.
fn report_beside_kubectl(cluster: &Cluster, kubeconfig: &Path) -> bool {
    let kubectl = cluster.bin().join("kubectl");
    let mut times = [Vec::new(), Vec::new()];
    let mut peaks = [0, 0];
    for _ in 0..TURNS {
        let commands = [
            (
                kubectl.as_path(),
                &["get", "pv,pvc,sc", "-A", "-o", "json"][..],
            ),
            (Path::new(COMMAND_LINE), &["report"]),
        ];
        for (at, (program, words)) in commands.into_iter().enumerate() {
            let (time, peak) = run(cluster, program, words, kubeconfig);
            times[at].push(time);
            peaks[at] = peaks[at].max(peak);
        }
    }
    let [theirs, ours] = times.map(|mut times| {
        times.sort();
        times[TURNS / 2].as_secs_f64()
    });
    println!(
        "report: {ours:.2} s, {} KiB at most; kubectl get pv,pvc,sc -A -o json: {theirs:.2} s, {} KiB; {:.2} times (aim {REPORT_TIME}, {REPORT_MEMORY} KiB)",
        peaks[1],
        peaks[0],
        ours / theirs
    );
    ours <= REPORT_TIME * theirs && peaks[1] <= REPORT_MEMORY
}

/// Runs a program to its end: how long it took, and its largest resident memory in KiB.
fn run(cluster: &Cluster, program: &Path, words: &[&str], kubeconfig: &Path) -> (Duration, u64) {
    let begun = Instant::now();
    let child = Command::new(program)
        .args(words)
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .stdout(File::create(cluster.dir().join("out")).unwrap())
        .spawn()
        .unwrap();
    let mut child = Running(child);
    let mut peak = 0;
    loop {
        peak = in_status(&child, "VmHWM:").unwrap_or(peak);
        if let Some(status) = child.0.try_wait().unwrap() {
            assert!(status.success(), "{}", program.display());
            return (begun.elapsed(), peak);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until there is an answer.
fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A collector that has come up, and where its metrics are.
fn collector(cluster: &Cluster, kubeconfig: Option<&Path>) -> (Running, u16) {
    let [grpc, plain] = free_ports();
    let mut command = Command::new(COLLECTOR);
    command
        .arg(format!("--listen=127.0.0.1:{grpc}"))
        .arg(format!("--http-endpoint=127.0.0.1:{plain}"))
        .stdout(File::create(cluster.dir().join("collector.log")).unwrap());
    if let Some(path) = kubeconfig {
        command.arg("--kubeconfig").arg(path);
    }
    let child = Running(command.spawn().unwrap());
    until("the collector answers", Duration::from_secs(10), || {
        metrics(plain)
    });
    (child, plain)
}

/// A process that ends when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn metrics(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.contains("csi_doctor_view_timestamp").then_some(text)
}

/// Resident memory, in KiB.
fn resident(process: &Running) -> u64 {
    in_status(process, "VmRSS:").unwrap()
}

/// What the kernel says of a process's memory; nothing of one that has ended.
fn in_status(process: &Running, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.0.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

/// Processor time so far.
fn processor(process: &Running) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.0.id())).unwrap();
    let (_, after) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = after
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    // `USER_HZ` is 100 on every architecture of Linux.
    Duration::from_millis(ticks * 10)
}

/// A process that keeps the same kinds in kube-rs's own stores; its resident memory.
fn beside(kubeconfig: &Path, objects: usize) -> u64 {
    let child = Command::new(std::env::current_exe().unwrap())
        .arg("full")
        .arg(kubeconfig)
        .arg(objects.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Running(child);
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line.trim(), "kept");
    resident(&child)
}

async fn full_types(kubeconfig: &Path, objects: usize) {
    let client = connect(kubeconfig).await;
    let pods = keep(Api::<core::Pod>::all(client.clone()));
    let claims = keep(Api::<core::PersistentVolumeClaim>::all(client.clone()));
    let volumes = keep(Api::<core::PersistentVolume>::all(client));
    let all = || {
        let counts = [
            pods.state().len(),
            claims.state().len(),
            volumes.state().len(),
        ];
        counts.iter().all(|count| *count == objects)
    };
    while !all() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("kept");
    std::future::pending::<()>().await;
}

fn keep<K>(api: Api<K>) -> reflector::Store<K>
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (reader, writer) = reflector::store();
    let stream = watcher(api, watcher::Config::default().page_size(500));
    let stream = stream.default_backoff().reflect(writer);
    tokio::spawn(stream.for_each(|_| std::future::ready(())));
    reader
}

async fn connect(kubeconfig: &Path) -> Client {
    client::as_caller(Some(kubeconfig), None, "bench")
        .await
        .unwrap()
}

/// All objects, with what controllers and kubelets would have written into their statuses.
async fn make(kubeconfig: &Path, objects: usize) {
    let client = &connect(kubeconfig).await;
    post(client, "/api/v1/namespaces", &named("load")).await;
    let class = json!({"metadata": {"name": "fast"}, "provisioner": "disk.example.com", "allowVolumeExpansion": true});
    post(client, "/apis/storage.k8s.io/v1/storageclasses", &class).await;
    post(
        client,
        "/api/v1/namespaces/load/serviceaccounts",
        &named("default"),
    )
    .await;
    each(NODES, |index| async move {
        post(client, "/api/v1/nodes", &named(&format!("node-{index}"))).await;
    })
    .await;
    each(objects, |index| async move {
        post(client, "/api/v1/persistentvolumes", &volume(index)).await;
        let claims = "/api/v1/namespaces/load/persistentvolumeclaims";
        let uid = post(client, claims, &claim(index)).await;
        let status = json!({"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "10Gi"}});
        patch(client, &format!("{claims}/{}", name(index)), "status", &status).await;
        let of = json!({"kind": "PersistentVolumeClaim", "namespace": "load", "name": name(index), "uid": uid});
        patch(client, &format!("/api/v1/persistentvolumes/{}", name(index)), "spec", &json!({"claimRef": of})).await;
        let pods = "/api/v1/namespaces/load/pods";
        post(client, pods, &pod(index)).await;
        patch(client, &format!("{pods}/{}", name(index)), "status", &pod_status(index)).await;
    })
    .await;
}

/// Changes every hundredth claim.
async fn touch(kubeconfig: &Path, objects: usize) {
    let client = &connect(kubeconfig).await;
    each(objects / 100, |index| async move {
        let path = format!(
            "/api/v1/namespaces/load/persistentvolumeclaims/{}",
            name(index * 100)
        );
        let more = json!({"resources": {"requests": {"storage": "20Gi"}}});
        patch(client, &path, "spec", &more).await;
    })
    .await;
}

async fn each<F: Future<Output = ()>>(count: usize, make: impl Fn(usize) -> F) {
    stream::iter(0..count)
        .map(make)
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
}

/// Makes an object; gives its UID.
async fn post(client: &Client, path: &str, object: &Value) -> Value {
    let request = Request::new(path)
        .create(&PostParams::default(), object.to_string().into_bytes())
        .unwrap();
    let made: Value = client
        .request(request)
        .await
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    made["metadata"]["uid"].clone()
}

async fn patch(client: &Client, path: &str, part: &str, value: &Value) {
    let change = Patch::Merge(json!({ part: value }));
    let params = PatchParams::default();
    let (list, name) = path.rsplit_once('/').unwrap();
    let request = match part {
        "status" => Request::new(list).patch_subresource(part, name, &params, &change),
        _ => Request::new(list).patch(name, &params, &change),
    };
    let _: Value = client
        .request(request.unwrap())
        .await
        .unwrap_or_else(|error| panic!("{path}: {error}"));
}

fn name(index: usize) -> String {
    format!("orders-db-{index}")
}

fn named(name: &str) -> Value {
    json!({"metadata": {"name": name}})
}

fn volume(index: usize) -> Value {
    json!({"metadata": {"name": name(index), "annotations": {"pv.kubernetes.io/provisioned-by": "disk.example.com"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "10Gi"}, "storageClassName": "fast",
            "persistentVolumeReclaimPolicy": "Delete", "volumeMode": "Filesystem",
            "csi": {"driver": "disk.example.com", "volumeHandle": format!("vol-0123456789abcdef-{index}"), "fsType": "ext4",
                "volumeAttributes": {"storage.kubernetes.io/csiProvisionerIdentity": "1700000000000-8081-disk.example.com"}}}})
}

fn claim(index: usize) -> Value {
    json!({"metadata": {"name": name(index), "labels": {"app": "orders", "tier": "db"},
            "annotations": {"volume.kubernetes.io/storage-provisioner": "disk.example.com", "pv.kubernetes.io/bind-completed": "yes"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}},
            "storageClassName": "fast", "volumeName": name(index)}})
}

fn pod(index: usize) -> Value {
    json!({"metadata": {"name": name(index), "labels": {"app": "orders", "tier": "db", "statefulset.kubernetes.io/pod-name": name(index)}},
        "spec": {"nodeName": format!("node-{}", index % NODES),
            "containers": [
                {"name": "db", "image": "registry.example/db:16.1", "env": [{"name": "DATA", "value": "/data"}, {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                    "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
                    "readinessProbe": {"tcpSocket": {"port": 5432}}, "volumeMounts": [{"name": "data", "mountPath": "/data"}]},
                {"name": "metrics", "image": "registry.example/exporter:1.2", "ports": [{"containerPort": 9187}]}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name(index)}}]}})
}

/// What a kubelet writes of a pod that runs.
fn pod_status(index: usize) -> Value {
    let at = "2026-11-01T10:00:00Z";
    let kinds = [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ];
    let conditions =
        kinds.map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": at}));
    let container = |name: &str| {
        json!({"name": name, "image": format!("registry.example/{name}:1"), "ready": true, "started": true, "restartCount": 0,
            "imageID": format!("registry.example/{name}@sha256:{index:064}"), "containerID": format!("containerd://{index:064}"),
            "state": {"running": {"startedAt": at}}})
    };
    json!({"phase": "Running", "startTime": at, "hostIP": "10.0.0.1", "podIP": "10.1.0.1", "podIPs": [{"ip": "10.1.0.1"}],
        "qosClass": "Burstable", "conditions": conditions, "containerStatuses": [container("db"), container("metrics")]})
}
