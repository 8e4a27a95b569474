//! Agents that are broken in every way at once: the collector stays up, and others are served.
//!
//! A second of it in `cargo test`, a minute in `make soak`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use csi_doctor::grpc::client::Collector;
use csi_doctor::model::finding::{Object, Subject};
use csi_doctor::proto::ReportRequest;
use csi_doctor::wire::encode_scan;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::support::is_soak;
use crate::support::running::{old, scan};

/// The process, killed when it is dropped.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(store: &std::path::Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_csi-doctor-collector"))
            .args(["--listen", "127.0.0.1:0", "--reports-per-minute", "1000000"])
            .arg("--store")
            .arg(store)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line: serde_json::Value =
            serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        // Somebody must read on, or the process would wait for room in the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let address = line["address"].as_str().unwrap().to_owned();
        Self { child, address }
    }

    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let words = line.unwrap().split_whitespace().nth(1);
        words.unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Numbers without end, the same each time (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.next(256)).unwrap()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.next(most);
        (0..length).map(|_| self.byte()).collect()
    }
}

/// A scan, somewhat changed: numbers become huge or negative, enums unknown, text no UTF-8. Names of
/// nodes stay, since each new one would rightly be remembered.
fn changed(random: &mut Random, whole: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let name = b"node-1";
    for _ in 0..=random.next(8) {
        let at = random.next(bytes.len());
        let from = at.saturating_sub(name.len());
        let to = (at + name.len()).min(bytes.len());
        if !bytes[from..to].windows(name.len()).any(|word| word == name) {
            bytes[at] = [0xff, 0x80, 0x00, random.byte()][random.next(4)];
        }
    }
    if random.next(4) == 0 {
        bytes.truncate(random.next(whole.len()));
    }
    bytes
}

async fn report(channel: &Channel, scan: Vec<u8>) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel.clone())
        .max_encoding_message_size(usize::MAX)
        .max_decoding_message_size(usize::MAX);
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let codec =
        tonic_prost::ProstCodec::<ReportRequest, csi_doctor::proto::v1::ReportResponse>::default();
    let path = "/csidoctor.v1.Intake/Report".parse().unwrap();
    let request = ReportRequest { scan: scan.into() };
    client
        .unary(Request::new(request), path, codec)
        .await
        .map(drop)
}

/// Bytes that are no HTTP/2, or its beginning and then none.
async fn no_protocol(address: &str, random: &mut Random) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut bytes = Vec::new();
    if random.next(2) == 0 {
        bytes.extend(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    }
    bytes.extend(random.bytes(200));
    // The other side may hang up in the middle.
    let _ = stream.write_all(&bytes).await;
}

/// One agent's word with more findings than a node can have.
fn too_many() -> Vec<u8> {
    let mut many = scan(1, None);
    many.verdicts[0].problems = (0..10_001)
        .map(|index| {
            let object = Object::PersistentVolume(format!("pv-{index}").into(), "u".into());
            let node = Some("node-1".into());
            (Subject { object, node }, old())
        })
        .collect();
    encode_scan(&many)
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "a soak tells its figures")]
async fn garbage_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder.path().join("store.db"));
    let endpoint = Channel::from_shared(format!("http://{}", process.address)).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let collector = Collector::at(&process.address).unwrap();
    let (mut reporter, mut reader) = (collector.reporter(), collector.reader());
    let length = Duration::from_secs(if is_soak() { 60 } else { 1 });
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let whole = encode_scan(&scan(1, Some(old())));
    let many = too_many();
    let [mut sequence, mut sent, mut refused, mut early] = [0; 4];
    let begun = Instant::now();
    while begun.elapsed() < length {
        for _ in 0..50 {
            let garbage = match random.next(3) {
                0 => random.bytes(2000),
                _ => changed(&mut random, &whole),
            };
            sent += 1;
            if let Err(status) = report(&channel, garbage).await {
                let code = status.code();
                let is_usual = matches!(code, Code::InvalidArgument | Code::ResourceExhausted);
                assert!(is_usual, "{status}");
                refused += 1;
            }
        }
        let status = report(&channel, many.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        no_protocol(&process.address, &mut random).await;
        // Somebody who is well, meanwhile.
        sequence += 1;
        let mut well = scan(sequence, Some(old()));
        well.facts.node = "node-7".into();
        well.verdicts[0].problems[0].0.node = Some("node-7".into());
        reporter.report(&well).await.unwrap();
        if early == 0 && begun.elapsed() > length / 3 {
            early = process.resident();
        }
    }
    let late = process.resident();
    assert!(refused > 0 && refused < sent, "{refused} of {sent}");
    // What readers see follows a moment later.
    let told = async {
        loop {
            let nodes = reader.nodes().await.unwrap().items;
            if nodes.iter().any(|node| node.name.as_str() == "node-7") {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), told)
        .await
        .unwrap();
    if is_soak() {
        println!(
            "{sent} reports of garbage, {refused} refused; RSS {early} kB after a third, {late} kB at the end"
        );
        assert!(late * 10 <= early * 11, "RSS {early} to {late} kB");
    }
}
