//! A real collector on the loopback, real clients: what is reported settles, opens, is over.

use std::collections::BTreeMap;
use std::time::Duration;

use csi_doctor::collector::Config;
use csi_doctor::grpc::client::{FindingFilter, VolumeFilter};
use csi_doctor::model::finding::{Object, State, Subject};
use csi_doctor::model::sample;
use csi_doctor::model::view::Story;
use csi_doctor::proto::v1;
use csi_doctor::store::Location;
use csi_doctor::wire::encode_scan;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::running::{Running, at_once, old, scan, until, until_state, young};

#[tokio::test]
async fn a_problem_settles_opens_and_is_over() {
    let running = Running::start(at_once()).await;
    let (mut reporter, mut reader) = running.clients();

    reporter.report(&scan(1, Some(young()))).await.unwrap();
    let story = until_state(&mut reader, "settling").await;
    assert!(!story.counts());
    reporter.report(&scan(2, Some(old()))).await.unwrap();
    let story = until_state(&mut reader, "open").await;
    assert_eq!(story.places, ["node-1".into()]);
    let (_, summary) = reader.summary().await.unwrap();
    assert_eq!((summary.critical, summary.nodes_heard), (1, 1));

    // Not newer: neither the same again nor an older one says anything.
    reporter.report(&scan(2, None)).await.unwrap();
    reporter.report(&scan(1, None)).await.unwrap();
    until_state(&mut reader, "open").await;

    reporter.report(&scan(3, None)).await.unwrap();
    until(&mut reader, "over", <[Story]>::is_empty).await;

    // Another life of the agent begins to count anew.
    let mut another = scan(1, Some(old()));
    another.origin.instance = "life-2".into();
    reporter.report(&another).await.unwrap();
    until_state(&mut reader, "open").await;
    // A late word of the earlier life is old.
    reporter.report(&scan(3, None)).await.unwrap();
    until_state(&mut reader, "open").await;
    running.stop().await;
}

#[tokio::test]
async fn volumes_and_nodes_are_listed() {
    let running = Running::start(at_once()).await;
    let (mut reporter, mut reader) = running.clients();
    reporter.report(&scan(1, Some(young()))).await.unwrap();
    until_state(&mut reader, "settling").await;

    let nodes = reader.nodes().await.unwrap().items;
    assert_eq!(nodes.len(), 1);
    assert_eq!((nodes[0].volumes, nodes[0].silent), (1, false));
    let all = reader.volumes(&VolumeFilter::default()).await.unwrap();
    assert_eq!(all.items[0].volume, sample::node().volumes.items[0]);
    for (namespace, name, found) in [
        (Some("shop"), None, 1),
        (None, Some("orders-db"), 1),
        (Some("shop"), Some("elsewhere"), 0),
        (Some("elsewhere"), None, 0),
    ] {
        let filter = VolumeFilter {
            namespace: namespace.map(Into::into),
            name: name.map(Into::into),
        };
        let listed = reader.volumes(&filter).await.unwrap();
        assert_eq!(listed.items.len(), found, "{filter:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_silent_node_is_unconfirmed_until_it_is_heard() {
    let config = Config {
        silent_after: 1,
        ..at_once()
    };
    let running = Running::start(config).await;
    let (mut reporter, mut reader) = running.clients();
    let mut short = scan(1, Some(old()));
    short.interval = Duration::from_millis(1);
    reporter.report(&short).await.unwrap();

    let story = until_state(&mut reader, "unconfirmed").await;
    assert!(
        story.counts(),
        "it was open, and nobody says that it is over"
    );
    let State::Unconfirmed { why, .. } = &story.finding.state else {
        unreachable!()
    };
    assert!(
        why.starts_with("node node-1 has not been heard since 2"),
        "{why}"
    );
    let (_, summary) = reader.summary().await.unwrap();
    assert_eq!(summary.nodes_silent, ["node-1".into()]);

    let settling = |story: &Story| story.finding.key.code.0 == "NodeSilent" && !story.counts();
    until(&mut reader, "told as silent", |stories| {
        stories.iter().any(settling)
    })
    .await;

    reporter.report(&scan(2, Some(old()))).await.unwrap();
    until_state(&mut reader, "open").await;
    let one = |stories: &[Story]| stories.len() == 1;
    until(&mut reader, "told as heard", one).await;
    running.stop().await;
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        store: Location::File(folder.path().join("store.db")),
        ..at_once()
    };
    let running = Running::start(config.clone()).await;
    let (mut reporter, mut reader) = running.clients();
    reporter.report(&scan(1, Some(young()))).await.unwrap();
    let before = until_state(&mut reader, "settling").await;
    running.stop().await;

    let running = Running::start(config).await;
    let (mut reporter, mut reader) = running.clients();
    let after = until_state(&mut reader, "settling").await;
    assert_eq!(after, before);
    assert_eq!(reader.nodes().await.unwrap().items[0].volumes, 1);
    // A scan that came before the restart is old after it.
    reporter.report(&scan(1, None)).await.unwrap();
    reporter.report(&scan(2, Some(old()))).await.unwrap();
    let open = until_state(&mut reader, "open").await;
    assert_eq!(open.finding.first_seen, before.finding.first_seen);
    running.stop().await;
}

/// A request whose scan is bytes, with a field that this version does not know.
#[derive(Clone, PartialEq, prost::Message)]
struct NewerReport {
    #[prost(bytes = "vec", tag = "1")]
    scan: Vec<u8>,
    #[prost(string, tag = "900")]
    new: String,
}

async fn report_raw(channel: Channel, report: NewerReport) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<NewerReport, v1::ReportResponse>::default();
    let path = "/csidoctor.v1.Intake/Report".parse().unwrap();
    client
        .unary(Request::new(report), path, codec)
        .await
        .map(drop)
}

#[tokio::test]
async fn a_newer_agent_is_understood() {
    let running = Running::start(at_once()).await;
    let mut bytes = encode_scan(&scan(1, Some(old())));
    // Field 900, length-delimited, "new".
    bytes.extend([0xa2, 0x38, 3, b'n', b'e', b'w']);
    let report = NewerReport {
        scan: bytes,
        new: "a word of the future".into(),
    };
    report_raw(running.channel().await, report).await.unwrap();
    until_state(&mut running.clients().1, "open").await;
    running.stop().await;
}

#[tokio::test]
async fn what_is_refused_is_told_and_others_go_on() {
    let running = Running::start(at_once()).await;
    let (mut reporter, mut reader) = running.clients();
    let channel = running.channel().await;
    let mut refusals = BTreeMap::new();

    let empty = report_raw(channel.clone(), NewerReport::default()).await;
    refusals.insert("empty", empty.unwrap_err());
    let garbage = NewerReport {
        scan: vec![0xff; 64],
        new: String::new(),
    };
    refusals.insert(
        "garbage",
        report_raw(channel.clone(), garbage).await.unwrap_err(),
    );
    let large = NewerReport {
        scan: Vec::new(),
        new: "x".repeat(17 * 1024 * 1024),
    };
    refusals.insert("large", report_raw(channel, large).await.unwrap_err());

    assert_eq!(
        (refusals["empty"].code(), refusals["empty"].message()),
        (
            Code::InvalidArgument,
            "report: the required field scan is missing"
        )
    );
    assert_eq!(refusals["large"].code(), Code::ResourceExhausted);
    assert_eq!(refusals["garbage"].code(), Code::InvalidArgument);

    let mut twice = scan(1, Some(old()));
    twice.verdicts.push(twice.verdicts[0].clone());
    let error = reporter.report(&twice).await.unwrap_err();
    assert!(error.is_final());
    assert!(
        error.to_string().contains("Sick is judged twice"),
        "{error}"
    );
    let mut strange = scan(1, Some(old()));
    strange.verdicts[0].problems[0].0.node = Some("node-2".into());
    let error = reporter.report(&strange).await.unwrap_err().to_string();
    assert!(error.contains("and the scan is of node node-1"), "{error}");

    reporter.report(&scan(2, Some(old()))).await.unwrap();
    until_state(&mut reader, "open").await;
    running.stop().await;
}

#[tokio::test]
async fn a_long_list_comes_in_pages() {
    let running = Running::start(at_once()).await;
    let (mut reporter, mut reader) = running.clients();
    let mut many = scan(1, None);
    many.verdicts[0].problems = (0..1234)
        .map(|index| {
            let subject = Subject {
                object: Object::PersistentVolume(format!("pv-{index:04}").into(), "u".into()),
                node: Some("node-1".into()),
            };
            (subject, old())
        })
        .collect();
    reporter.report(&many).await.unwrap();
    let stories = until(&mut reader, "1234", |stories| stories.len() == 1234).await;
    let names: Vec<_> = stories
        .iter()
        .map(|story| story.finding.key.subject.object.name())
        .collect();
    assert!(names.is_sorted());

    let filter = FindingFilter {
        code: Some("sick".into()),
        namespace: Some("shop".into()),
    };
    assert!(reader.findings(&filter).await.unwrap().items.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn health_is_told() {
    let running = Running::start(at_once()).await;
    let mut health = HealthClient::new(running.channel().await);
    for service in ["", "csidoctor.v1.Intake", "csidoctor.v1.Findings"] {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status().as_str_name(), "SERVING", "{service}");
    }
    drop(health);
    running.stop().await;
}
