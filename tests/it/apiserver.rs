//! A node's objects from an API server, which is a router here: no socket, the real client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use expect_test::expect;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use csi_doctor::kubernetes::node::Node;
use csi_doctor::model::objects::Objects;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the server has, what it refuses, and what it was asked.
#[derive(Default)]
struct World {
    objects: BTreeMap<String, Value>,
    pods: Vec<Value>,
    refused: Vec<&'static str>,
    asked: Vec<String>,
}

#[derive(Clone)]
struct Server {
    world: Arc<Mutex<World>>,
    events: broadcast::Sender<String>,
}

impl Server {
    fn new() -> Self {
        let mut world = World::default();
        world.pods.push(pod("orders-0", "orders"));
        for (path, object) in [
            (
                "/api/v1/namespaces/shop/persistentvolumeclaims/orders",
                json!({"metadata": {"namespace": "shop", "name": "orders", "resourceVersion": "3"},
                    "spec": {"volumeName": "pvc-1"}, "status": {"phase": "Bound"}}),
            ),
            (
                "/api/v1/persistentvolumes/pvc-1",
                json!({"metadata": {"name": "pvc-1", "resourceVersion": "2"},
                    "spec": {"csi": {"driver": "a.example", "volumeHandle": "vol-1"}}}),
            ),
            (
                // sha256 of "vol-1a.examplenode-1"
                "/apis/storage.k8s.io/v1/volumeattachments/csi-dbc662a36a5c185bdb51cc98c62079fc5907ebe3eb3b95d8696f45a317c21298",
                json!({"metadata": {"name": "csi-dbc662a36a5c185bdb51cc98c62079fc5907ebe3eb3b95d8696f45a317c21298", "resourceVersion": "4"},
                    "spec": {"attacher": "a.example", "nodeName": "node-1",
                        "source": {"persistentVolumeName": "pvc-1"}},
                    "status": {"attached": true}}),
            ),
            (
                "/apis/storage.k8s.io/v1/csinodes/node-1",
                json!({"metadata": {"name": "node-1", "resourceVersion": "1"},
                    "spec": {"drivers": [{"name": "a.example", "nodeID": "1"}]}}),
            ),
        ] {
            world.objects.insert(path.to_owned(), object);
        }
        Self {
            world: Arc::new(Mutex::new(world)),
            events: broadcast::channel(16).0,
        }
    }

    fn node(&self) -> Node {
        let router = Router::new().fallback(answer).with_state(self.clone());
        Node::watch(kube::Client::new(router, "default"), "node-1".into())
    }

    fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.lock().unwrap());
    }

    fn tell(&self, kind: &str, object: &Value) {
        let line = json!({"type": kind, "object": object});
        // Nobody may be watching.
        let _ = self.events.send(format!("{line}\n"));
    }

    /// What was asked since the last time, each request once and in order.
    fn asked(&self) -> String {
        let mut asked = std::mem::take(&mut self.world.lock().unwrap().asked);
        asked.sort();
        asked.join("\n")
    }
}

fn pod(name: &str, claim: &str) -> Value {
    json!({"metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": "5"},
        "spec": {"nodeName": "node-1", "containers": [],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]}})
}

async fn answer(State(server): State<Server>, uri: Uri) -> Response {
    let query = uri.query().unwrap_or_default();
    let watches = query.contains("watch=true");
    let mut world = server.world.lock().unwrap();
    let shown = query
        .split('&')
        .filter(|one| one.starts_with("fieldSelector") || one.starts_with("watch"));
    let shown: Vec<&str> = shown.collect();
    world
        .asked
        .push(format!("{}?{}", uri.path(), shown.join("&")));
    if world.refused.iter().any(|part| uri.path().contains(part)) {
        return json_response(
            StatusCode::FORBIDDEN,
            &json!({"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no"}),
        );
    }
    if watches {
        let events = server.events.subscribe();
        let lines = futures::stream::unfold(events, |mut events| async move {
            let line = events.recv().await.ok()?;
            Some((Ok::<_, std::convert::Infallible>(line), events))
        });
        return Response::new(Body::from_stream(lines));
    }
    if uri.path() == "/api/v1/pods" {
        let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}, "items": world.pods});
        return json_response(StatusCode::OK, &list);
    }
    match world.objects.get(uri.path()) {
        Some(object) => json_response(StatusCode::OK, object),
        None => json_response(
            StatusCode::NOT_FOUND,
            &json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"}),
        ),
    }
}

fn json_response(code: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = code;
    response
}

fn shown(objects: &Objects) -> String {
    let gaps = |gaps: &[csi_doctor::model::observed::Gap]| {
        let gaps: Vec<String> = gaps
            .iter()
            .map(|gap| {
                format!(
                    "
  {gap}"
                )
            })
            .collect();
        gaps.concat()
    };
    let pods: Vec<&str> = objects
        .pods
        .items
        .iter()
        .map(|pod| pod.pod.name.as_str())
        .collect();
    format!(
        "pods {pods:?}{}\nclaims {}{}\nvolumes {}{}\nattachments {}{}\ncsinodes {}{}\n",
        gaps(&objects.pods.gaps),
        objects.claims.items.len(),
        gaps(&objects.claims.gaps),
        objects.volumes.items.len(),
        gaps(&objects.volumes.gaps),
        objects.attachments.items.len(),
        gaps(&objects.attachments.gaps),
        objects.csi_nodes.items.len(),
        gaps(&objects.csi_nodes.gaps),
    )
}

/// Asks again until the pods are these: changes come by the watch, in their own time.
async fn until(node: &mut Node, names: &[&str]) -> Objects {
    let wait = async {
        loop {
            let objects = node.objects(PATIENCE).await;
            let pods = objects.pods.items.iter().map(|pod| pod.pod.name.as_str());
            if pods.eq(names.iter().copied()) {
                return objects;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap()
}

#[tokio::test]
async fn a_node_asks_for_what_its_pods_name() {
    let server = Server::new();
    let mut node = server.node();
    let objects = node.objects(PATIENCE).await;
    wait_for_watch(&server).await;
    expect![[r#"
        pods ["orders-0"]
        claims 1
        volumes 1
        attachments 1
        csinodes 1
    "#]]
    .assert_eq(&shown(&objects));
    expect![[r#"
        /api/v1/namespaces/shop/events?fieldSelector=involvedObject.uid%3Dorders-0
        /api/v1/namespaces/shop/persistentvolumeclaims/orders?
        /api/v1/persistentvolumes/pvc-1?
        /api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1
        /api/v1/pods?watch=true&fieldSelector=spec.nodeName%3Dnode-1
        /apis/storage.k8s.io/v1/csinodes/node-1?
        /apis/storage.k8s.io/v1/volumeattachments/csi-dbc662a36a5c185bdb51cc98c62079fc5907ebe3eb3b95d8696f45a317c21298?"#]].assert_eq(&server.asked());
    // Nothing changed and nothing is under way: nothing is asked.
    node.objects(PATIENCE).await;
    expect![[r#""#]].assert_eq(&server.asked());
}

#[tokio::test]
async fn changes_arrive_by_the_watch() {
    let server = Server::new();
    let mut node = server.node();
    node.objects(PATIENCE).await;
    wait_for_watch(&server).await;
    server.tell("ADDED", &pod("orders-1", "missing"));
    let objects = until(&mut node, &["orders-0", "orders-1"]).await;
    expect![[r#"
        pods ["orders-0", "orders-1"]
        claims 1
        volumes 1
        attachments 1
        csinodes 1
    "#]]
    .assert_eq(&shown(&objects));
    server.tell("DELETED", &pod("orders-1", "missing"));
    until(&mut node, &["orders-0"]).await;
    // Its place is lost: the list says what was missed.
    server.change(|world| world.pods.clear());
    let expired = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"});
    server.tell("ERROR", &expired);
    let objects = until(&mut node, &[]).await;
    assert!(objects.claims.items.is_empty());
}

async fn wait_for_watch(server: &Server) {
    let watched = async {
        while server.events.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, watched).await.unwrap();
}

#[tokio::test]
async fn a_missing_right_is_a_gap_and_the_rest_goes_on() {
    for refused in [
        "/pods",
        "/persistentvolumeclaims/",
        "/persistentvolumes/",
        "/volumeattachments/",
        "/csinodes/",
    ] {
        let server = Server::new();
        server.change(|world| world.refused.push(refused));
        let objects = server.node().objects(PATIENCE).await;
        match refused {
            "/pods" => expect![[r#"
                pods []
                  list pods: the right is missing; a role must grant the verb list on pods (Denied)
                claims 0
                volumes 0
                attachments 0
                csinodes 1
            "#]].assert_eq(&shown(&objects)),
            "/persistentvolumeclaims/" => expect![[r#"
                pods ["orders-0"]
                claims 0
                  get persistentvolumeclaims: the right is missing; a role must grant the verb get on persistentvolumeclaims (Denied)
                volumes 0
                attachments 0
                csinodes 1
            "#]].assert_eq(&shown(&objects)),
            "/persistentvolumes/" => expect![[r#"
                pods ["orders-0"]
                claims 1
                volumes 0
                  get persistentvolumes: the right is missing; a role must grant the verb get on persistentvolumes (Denied)
                attachments 0
                csinodes 1
            "#]].assert_eq(&shown(&objects)),
            "/volumeattachments/" => expect![[r#"
                pods ["orders-0"]
                claims 1
                volumes 1
                attachments 0
                  get volumeattachments.storage.k8s.io: the right is missing; a role must grant the verb get on volumeattachments.storage.k8s.io (Denied)
                csinodes 1
            "#]].assert_eq(&shown(&objects)),
            _ => expect![[r#"
                pods ["orders-0"]
                claims 1
                volumes 1
                attachments 1
                csinodes 0
                  get csinodes.storage.k8s.io: the right is missing; a role must grant the verb get on csinodes.storage.k8s.io (Denied)
            "#]].assert_eq(&shown(&objects)),
        }
    }
}

#[tokio::test]
async fn an_object_that_cannot_be_read_hides_no_other() {
    let server = Server::new();
    server.change(|world| {
        let mut broken = pod("broken", "orders");
        broken["spec"]["volumes"] = json!("none");
        world.pods.push(broken);
        let path = "/api/v1/persistentvolumes/pvc-1".to_owned();
        world.objects.insert(
            path,
            json!({"metadata": {"name": "pvc-1"}, "spec": {"capacity": {"storage": "much"}}}),
        );
    });
    let objects = server.node().objects(PATIENCE).await;
    expect![[r#"
        pods ["orders-0"]
          read Pod shop/broken: invalid type: string "none", expected a sequence (Malformed)
        claims 1
        volumes 0
          read PersistentVolume pvc-1: spec.capacity.storage is "much": it has no digits (Malformed)
        attachments 0
        csinodes 1
    "#]]
    .assert_eq(&shown(&objects));
}
