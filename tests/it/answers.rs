//! Whole command lines to a collector that knows of nothing, of a healthy node and of an ill one, as
//! written down in `tests/answers/`; and to collectors of other versions, and what is none.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use csi_doctor::model::view::Story;
use expect_test::{ExpectFile, expect, expect_file};
use tonic::transport::Server;

use crate::support::running::{Running, at_once, old, scan, until, until_state};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kubectl-csi_doctor");

/// What is asked of each.
const ASKED: &[&str] = &[
    "status",
    "status -o yaml",
    "get findings",
    "get findings -o wide",
    "get findings -o name",
    "get findings -o json",
    "get findings -n elsewhere",
    "get volumes",
    "get volumes -o name",
    "get nodes",
    "get nodes -o name",
    "get drivers",
    "get drivers -o yaml",
    "describe volume orders-db",
    "describe persistentvolumeclaim/orders-db -o wide",
    "describe node/node-1",
    "report --from tests/report/manifests",
];

#[tokio::test(flavor = "multi_thread")]
async fn of_nothing() {
    let running = Running::start(at_once()).await;
    compare(running.address, expect_file!["../answers/empty.txt"]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_healthy_node() {
    let running = Running::start(at_once()).await;
    let (mut reporter, mut reader) = running.clients();
    reporter.report(&scan(1, None)).await.unwrap();
    until(&mut reader, "none", <[Story]>::is_empty).await;
    while reader.nodes().await.unwrap().items.is_empty() {
        tokio::task::yield_now().await;
    }
    compare(running.address, expect_file!["../answers/healthy.txt"]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_ill_node() {
    let running = Running::start(at_once()).await;
    let (mut reporter, mut reader) = running.clients();
    reporter.report(&scan(1, Some(old()))).await.unwrap();
    until_state(&mut reader, "open").await;
    compare(running.address, expect_file!["../answers/ill.txt"]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_prints_what_changes() {
    let running = Running::start(at_once()).await;
    let (mut reporter, mut reader) = running.clients();
    reporter.report(&scan(1, Some(old()))).await.unwrap();
    until_state(&mut reader, "open").await;
    let mut child = Command::new(PROGRAM)
        .args(["get", "findings", "--watch", "--collector"])
        .arg(running.address.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || steady(&lines.next().unwrap().unwrap());
    let begun = [next(), next()];
    reporter.report(&scan(2, None)).await.unwrap();
    let gone = next();
    expect![[r#"
        SEVERITY   CODE   OBJECT                 NODE     STATE   AGE
        critical   Sick   claim shop/orders-db   node-1   open   AGE
        critical   Sick   claim shop/orders-db   node-1   gone   AGE
    "#]]
    .assert_eq(&format!("{}{}{gone}", begun[0], begun[1]));
    running.stop().await;
    let mut words = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut words)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(
        words.starts_with("kubectl csi-doctor: ") && words.lines().count() == 1,
        "{words}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_other_versions_and_of_what_is_none() {
    // A collector that does not have the call yet.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let older = listener.local_addr().unwrap();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(
        Server::builder()
            .add_service(health)
            .serve_with_incoming(incoming),
    );
    let web = speaks(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    // An alert of TLS: it expected a handshake.
    let tls = speaks(b"\x15\x03\x01\x00\x02\x02\x46");
    let shell = speaks(b"SSH-2.0-OpenSSH_9.6\r\n");
    let mut shown = String::new();
    for words in [
        "status",
        "get findings",
        "report --from tests/report/manifests",
        "diagnose pvc nothing",
    ] {
        write!(shown, "older: {}", ask(older, words).await).unwrap();
    }
    for (what, address) in [("web", web), ("tls", tls), ("ssh", shell)] {
        write!(shown, "{what}: {}", ask(address, "status").await).unwrap();
    }
    expect![[r#"
        older: $ kubectl csi-doctor status
        kubectl csi-doctor: the collector at ADDRESS does not know Summary: it is older than this program; let both be of one version
        [exit 2]

        older: $ kubectl csi-doctor get findings
        kubectl csi-doctor: the collector at ADDRESS does not know ListFindings: it is older than this program; let both be of one version
        [exit 2]

        older: $ kubectl csi-doctor report --from tests/report/manifests
        kubectl csi-doctor: the collector at ADDRESS does not know ListVolumes: it is older than this program; let both be of one version
        [exit 2]

        older: $ kubectl csi-doctor diagnose pvc nothing
        kubectl csi-doctor: the collector at ADDRESS does not know ListVolumes: it is older than this program; let both be of one version
        [exit 2]

        web: $ kubectl csi-doctor status
        kubectl csi-doctor: what answers at ADDRESS does not speak gRPC: it is something else than a collector, or another port of it; --collector takes the address of its gRPC port, as after: kubectl -n csi-doctor port-forward deployment/csi-doctor-collector 9470
        [exit 2]

        tls: $ kubectl csi-doctor status
        kubectl csi-doctor: what answers at ADDRESS does not speak gRPC: it is something else than a collector, or another port of it; --collector takes the address of its gRPC port, as after: kubectl -n csi-doctor port-forward deployment/csi-doctor-collector 9470
        [exit 2]

        ssh: $ kubectl csi-doctor status
        kubectl csi-doctor: what answers at ADDRESS does not speak gRPC: it is something else than a collector, or another port of it; --collector takes the address of its gRPC port, as after: kubectl -n csi-doctor port-forward deployment/csi-doctor-collector 9470
        [exit 2]

    "#]].assert_eq(&shown);
}

/// Something that says this to whoever asks, and closes; its address.
fn speaks(words: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                wait_for_question(&mut stream);
                let _ = stream.write_all(words);
                // What was sent stays readable only where nothing is left unread.
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    address
}

/// Reads until a call has come, which is HTTP/2's frame of headers: who breaks off sooner is connected to anew.
fn wait_for_question(stream: &mut TcpStream) {
    const PREFACE: usize = 24;
    const HEADERS: u8 = 1;
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        bytes.extend_from_slice(&piece[..length]);
        let mut at = PREFACE;
        while let Some(&[a, b, c, kind, ..]) = bytes.get(at..at + 9) {
            if kind == HEADERS {
                return;
            }
            let length = u32::from_be_bytes([0, a, b, c]);
            at += 9 + usize::try_from(length).unwrap();
        }
    }
}

async fn compare(address: SocketAddr, expected: ExpectFile) {
    let mut shown = String::new();
    for words in ASKED {
        shown.push_str(&ask(address, words).await);
    }
    // The same for a terminal that shows colours.
    shown.push_str(&coloured(address, "get findings").await);
    expected.assert_eq(&shown);
}

/// A command line, what it prints, and its exit code where that is not 0.
pub(crate) async fn ask(address: SocketAddr, words: &str) -> String {
    run(address, words, "0").await
}

async fn coloured(address: SocketAddr, words: &str) -> String {
    run(address, words, "1").await.replace('\x1b', "␛")
}

async fn run(address: SocketAddr, words: &str, colours: &str) -> String {
    let mut command = Command::new(PROGRAM);
    command
        .args(words.split(' '))
        .arg("--collector")
        .arg(address.to_string())
        .env("CLICOLOR_FORCE", colours)
        // Who runs the test may have a cluster.
        .env("KUBECONFIG", "/dev/null")
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let mut shown = format!("$ kubectl csi-doctor {words}\n");
    shown.push_str(&steady(&text.replace(&address.to_string(), "ADDRESS")));
    match output.status.code() {
        Some(0) => {}
        code => writeln!(shown, "[exit {}]", code.unwrap()).unwrap(),
    }
    shown.push('\n');
    shown
}

/// Without what is another at each run: moments and ages, and the columns that follow from them.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    for line in text.lines() {
        let words: Vec<String> = line.split(' ').map(steady_word).collect();
        let mut line = words.join(" ");
        if line.contains("AGE") && !line.trim_start().starts_with("SEVERITY") {
            while line.contains("    ") {
                line = line.replace("    ", "   ");
            }
        }
        steady.push_str(&line);
        steady.push('\n');
    }
    steady
}

fn steady_word(word: &str) -> String {
    let bare = word.trim_matches(|c| "\",():;".contains(c));
    let is_like = |form: &str| {
        bare.len() == form.len()
            && bare
                .chars()
                .zip(form.chars())
                .all(|(c, wanted)| c == wanted || wanted == '0' && c.is_ascii_digit())
    };
    let age = bare.trim_end_matches(|c: char| c.is_ascii_digit() || "smhd".contains(c));
    let is_age = age.is_empty()
        && bare.len() <= 6
        && bare.starts_with(|c: char| c.is_ascii_digit())
        && bare.ends_with(|c| "smhd".contains(c));
    let instead = if bare.parse::<jiff::Timestamp>().is_ok() {
        "MOMENT"
    } else if is_like("0000-00-00") {
        "DATE"
    } else if is_like("00:00:00") {
        "TIME"
    } else if is_age {
        "AGE"
    } else {
        return word.to_owned();
    };
    word.replace(bare, instead)
}
