//! The collector's interface, used by clients that know nothing of our own.

use std::time::Duration;

use csi_doctor::collector::api::PATHS;
use csi_doctor::model::finding::{Object, Subject};
use csi_doctor::proto::v1;
use csi_doctor::proto::v1::findings_client::FindingsClient;
use serde_json::Value;
use tonic::{Code, Streaming};

use crate::support::http::get;
use crate::support::running::{Running, at_once, old, scan, until, until_state, young};

const API: &str = include_str!("../../docs/api.md");
const PROTO: &str = include_str!("../../proto/csidoctor/v1/collector.proto");

async fn get_json(running: &Running, path: &str) -> (u16, Value) {
    let (status, body) = get(running.address, path).await;
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn json_tells_the_same_as_grpc() {
    let running = Running::start(at_once()).await;
    let (mut reporter, mut reader) = running.clients();
    reporter.report(&scan(1, Some(old()))).await.unwrap();
    until_state(&mut reader, "open").await;

    let (status, body) = get_json(&running, "/api/v1/status").await;
    assert_eq!((status, &body["kind"]), (200, &"Status".into()));
    assert_eq!(body["findings"]["critical"], 1);
    let (_, body) = get_json(&running, "/api/v1/findings?namespace=shop&counted=true").await;
    assert_eq!(body["kind"], "FindingList");
    assert_eq!(body["items"][0]["code"], "Sick");
    for nothing in [
        "namespace=elsewhere",
        "code=Other",
        "node=n9",
        "code=sick&severity=critical&namespace=x",
    ] {
        let (_, body) = get_json(&running, &format!("/api/v1/findings?{nothing}")).await;
        assert_eq!(body["items"], Value::Array(Vec::new()), "{nothing}");
    }
    let (_, body) = get_json(&running, "/api/v1/volumes").await;
    assert_eq!(body["items"][0]["name"], "pvc-11");
    let (_, body) = get_json(&running, "/api/v1/volumes/orders-db?namespace=shop").await;
    assert_eq!(body["kind"], "Volume");
    assert_eq!(body["volumes"][0]["node"], "node-1");
    assert_eq!(body["findings"][0]["code"], "Sick");
    let (_, body) = get_json(&running, "/api/v1/nodes").await;
    assert_eq!(body["items"][0]["volumes"], 1);
    let (_, body) = get_json(&running, "/api/v1/drivers?name=disk.example.com").await;
    assert_eq!(body["items"][0]["node"], "node-1");
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_answered_says_why() {
    let running = Running::start(at_once()).await;
    for (path, status) in [
        ("/api/v1/volumes/nobody", 404),
        ("/api/v1/elsewhere", 404),
        ("/api/v1/findings?severity=bad", 400),
        ("/api/v1/findings?unknown=1", 400),
        ("/api/v1/findings?pageToken=x", 400),
        ("/api/v1/findings?pageToken=1.1", 410),
    ] {
        let (got, body) = get_json(&running, path).await;
        assert_eq!(got, status, "{path}: {body}");
        assert_eq!(
            (&body["kind"], &body["code"]),
            (&"Error".into(), &status.into())
        );
    }
    let mut client = tonic::client::Grpc::new(running.channel().await);
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<v1::SummaryRequest, v1::SummaryResponse>::default();
    let path = "/csidoctor.v9.Findings/Summary".parse().unwrap();
    let request = tonic::Request::new(v1::SummaryRequest {});
    let status = client.unary(request, path, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    running.stop().await;
}

#[tokio::test]
async fn json_comes_in_pages_of_one_moment() {
    let running = Running::start(at_once()).await;
    let (mut reporter, mut reader) = running.clients();
    let mut many = scan(1, None);
    many.verdicts[0].problems = (0..25)
        .map(|index| {
            let subject = Subject {
                object: Object::PersistentVolume(format!("pv-{index:02}").into(), "u".into()),
                node: Some("node-1".into()),
            };
            (subject, old())
        })
        .collect();
    reporter.report(&many).await.unwrap();
    until(&mut reader, "25", |stories| stories.len() == 25).await;
    let mut names = Vec::new();
    let mut token = String::new();
    loop {
        let path = format!("/api/v1/findings?limit=10&pageToken={token}");
        let (_, body) = get_json(&running, &path).await;
        for item in body["items"].as_array().unwrap() {
            names.push(item["subject"]["name"].as_str().unwrap().to_owned());
        }
        // What changes meanwhile is in no page of this list.
        reporter.report(&scan(2, None)).await.unwrap();
        match body["nextPageToken"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => break,
        }
    }
    assert_eq!(names.len(), 25);
    assert!(names.is_sorted());
    running.stop().await;
}

async fn next(stream: &mut Streaming<v1::WatchFindingsResponse>) -> v1::WatchFindingsResponse {
    let next = tokio::time::timeout(Duration::from_secs(20), stream.message());
    next.await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn a_watcher_is_told_of_changes_alone() {
    let running = Running::start(at_once()).await;
    let (mut reporter, mut reader) = running.clients();
    let mut client = FindingsClient::new(running.channel().await);
    let request = v1::WatchFindingsRequest::default();
    let mut stream = client.watch_findings(request).await.unwrap().into_inner();
    let first = next(&mut stream).await;
    assert!(first.full && first.changed.is_empty());

    reporter.report(&scan(1, Some(young()))).await.unwrap();
    let settling = next(&mut stream).await;
    assert!(!settling.full);
    assert_eq!(settling.changed.len(), 1);
    // Nothing but the time of the last confirmation: not told.
    reporter.report(&scan(2, Some(young()))).await.unwrap();
    reporter.report(&scan(3, Some(old()))).await.unwrap();
    let open = next(&mut stream).await;
    assert_eq!(open.changed[0].finding.as_ref().unwrap().state, "open");
    drop(stream);

    reporter.report(&scan(4, None)).await.unwrap();
    until(&mut reader, "over", <[_]>::is_empty).await;
    let request = v1::WatchFindingsRequest {
        resume_token: open.resume_token,
        ..v1::WatchFindingsRequest::default()
    };
    let mut stream = client.watch_findings(request).await.unwrap().into_inner();
    let over = next(&mut stream).await;
    assert!(!over.full && over.changed.is_empty());
    assert_eq!(over.gone[0].code, "Sick");
    // A token of nobody: from the beginning.
    let request = v1::WatchFindingsRequest {
        resume_token: "1".into(),
        ..v1::WatchFindingsRequest::default()
    };
    let mut stream = client.watch_findings(request).await.unwrap().into_inner();
    assert!(next(&mut stream).await.full);
    drop(stream);
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn one_volume_and_drivers_are_told() {
    let running = Running::start(at_once()).await;
    let (mut reporter, mut reader) = running.clients();
    reporter.report(&scan(1, Some(old()))).await.unwrap();
    until_state(&mut reader, "open").await;
    let mut client = FindingsClient::new(running.channel().await);
    let request = v1::GetVolumeRequest {
        namespace: String::new(),
        name: "vol-11".into(),
    };
    let answer = client.get_volume(request).await.unwrap().into_inner();
    assert_eq!((answer.volumes.len(), answer.stories.len()), (1, 1));
    let request = v1::GetVolumeRequest::default();
    let status = client.get_volume(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let request = v1::ListDriversRequest::default();
    let answer = client.list_drivers(request).await.unwrap().into_inner();
    assert_eq!(answer.drivers[0].node, "node-1");
    drop(client);
    running.stop().await;
}

#[test]
fn the_page_tells_every_call_in_the_words_of_the_proto() {
    for path in PATHS {
        assert!(API.contains(&format!("`{path}`")), "docs/api.md: {path}");
    }
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let page = words(API);
    let mut comment = Vec::new();
    for line in PROTO.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("//") {
            comment.push(text.trim());
            continue;
        }
        if let Some(call) = line.strip_prefix("rpc ") {
            let name = call.split('(').next().unwrap();
            assert!(API.contains(&format!("`{name}`")), "docs/api.md: {name}");
            let said = words(&comment.join(" "));
            assert!(page.contains(&said), "docs/api.md of {name}: {said}");
        }
        comment.clear();
    }
}
