//! The command line beside a collector of a later version: words and numbers that it does not have yet
//! are shown for what they are, and none of them passes for health. What it cannot show at all, a kind of
//! object, is one line and no answer.

use std::pin::Pin;

use csi_doctor::proto::v1;
use csi_doctor::proto::v1::findings_server::{Findings, FindingsServer};
use expect_test::expect;
use futures::Stream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::answers::ask;

/// Nobody knows it yet.
const LATER: i32 = 9;

/// Answers `ListFindings` with these, and has no other call.
struct Newer(Vec<v1::Story>);

fn unasked<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not asked for in this test"))
}

fn story(kind: &str, state: &str) -> v1::Story {
    let subject = v1::Subject {
        object: Some(v1::ObjectRef {
            kind: kind.to_owned(),
            namespace: "shop".to_owned(),
            name: "orders-db".to_owned(),
            uid: "u-1".to_owned(),
        }),
        node: None,
    };
    let problem = v1::Problem {
        message: "The snapshot waits for its content.".to_owned(),
        severity: LATER,
        cause: Some("snapshot-controller-away".to_owned()),
        confidence: Some("guessed".to_owned()),
        ..v1::Problem::default()
    };
    v1::Story {
        finding: Some(v1::Finding {
            code: "SnapshotPending".to_owned(),
            subject: Some(subject),
            severity: LATER,
            stage: Some("snapshot: cut".to_owned()),
            state: state.to_owned(),
            first_seen_ns: 1,
            opened_ns: Some(1),
            last_confirmed_ns: 1,
            problem: Some(problem),
            ..v1::Finding::default()
        }),
        ..v1::Story::default()
    }
}

#[tonic::async_trait]
impl Findings for Newer {
    type WatchFindingsStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchFindingsResponse, Status>> + Send>>;

    async fn list_findings(
        &self,
        _: Request<v1::ListFindingsRequest>,
    ) -> Result<Response<v1::ListFindingsResponse>, Status> {
        Ok(Response::new(v1::ListFindingsResponse {
            at_ns: 2,
            stories: self.0.clone(),
            next_page_token: String::new(),
        }))
    }

    async fn summary(
        &self,
        _: Request<v1::SummaryRequest>,
    ) -> Result<Response<v1::SummaryResponse>, Status> {
        unasked()
    }

    async fn watch_findings(
        &self,
        _: Request<v1::WatchFindingsRequest>,
    ) -> Result<Response<Self::WatchFindingsStream>, Status> {
        unasked()
    }

    async fn list_volumes(
        &self,
        _: Request<v1::ListVolumesRequest>,
    ) -> Result<Response<v1::ListVolumesResponse>, Status> {
        unasked()
    }

    async fn get_volume(
        &self,
        _: Request<v1::GetVolumeRequest>,
    ) -> Result<Response<v1::GetVolumeResponse>, Status> {
        unasked()
    }

    async fn list_nodes(
        &self,
        _: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        unasked()
    }

    async fn list_drivers(
        &self,
        _: Request<v1::ListDriversRequest>,
    ) -> Result<Response<v1::ListDriversResponse>, Status> {
        unasked()
    }
}

async fn asked(stories: Vec<v1::Story>, words: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let server = Server::builder().add_service(FindingsServer::new(Newer(stories)));
    tokio::spawn(server.serve_with_incoming(incoming));
    ask(address, words).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_name_yet_is_shown_and_counts() {
    let stories = || vec![story("claim", "open"), story("claim", "handed over")];
    let table = asked(stories(), "get findings").await;
    expect![[r#"
        $ kubectl csi-doctor get findings
        SEVERITY   CODE              OBJECT                 NODE   STATE         AGE
        warning   SnapshotPending   claim shop/orders-db   -   open   AGE
        warning   SnapshotPending   claim shop/orders-db   -   unconfirmed   AGE
        [exit 1]

    "#]]
    .assert_eq(&table);
    let json = asked(stories(), "get findings -o json").await;
    expect![[r#"
        $ kubectl csi-doctor get findings -o json
        {
          "apiVersion": "csi-doctor.io/v1",
          "kind": "FindingList",
          "at": "MOMENT",
          "items": [
            {
              "code": "SnapshotPending",
              "severity": "warning",
              "state": "open",
              "subject": {
                "kind": "PersistentVolumeClaim",
                "namespace": "shop",
                "name": "orders-db",
                "uid": "u-1"
              },
              "message": "The snapshot waits for its content.",
              "evidence": [],
              "nextSteps": [],
              "related": [],
              "firstSeen": "MOMENT",
              "opened": "MOMENT",
              "lastConfirmed": "MOMENT"
            },
            {
              "code": "SnapshotPending",
              "severity": "warning",
              "state": "unconfirmed",
              "stateSince": "MOMENT",
              "stateReason": "its state is given as \"handed over\"",
              "subject": {
                "kind": "PersistentVolumeClaim",
                "namespace": "shop",
                "name": "orders-db",
                "uid": "u-1"
              },
              "message": "The snapshot waits for its content.",
              "evidence": [],
              "nextSteps": [],
              "related": [],
              "firstSeen": "MOMENT",
              "opened": "MOMENT",
              "lastConfirmed": "MOMENT"
            }
          ]
        }
        [exit 1]

    "#]]
    .assert_eq(&json);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_a_later_kind_is_one_line() {
    let stories = vec![story("claim", "open"), story("snapshot", "open")];
    let told = asked(stories, "get findings").await;
    expect![[r#"
        $ kubectl csi-doctor get findings
        kubectl csi-doctor: the collector at ADDRESS answers ListFindings with something else; let both be of one version: the field finding.subject.object.kind has the unknown word "snapshot"
        [exit 2]

    "#]].assert_eq(&told);
}
