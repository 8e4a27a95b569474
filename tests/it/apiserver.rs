//! A node's objects from an API server.

use csi_doctor::kubernetes::node::Node;
use csi_doctor::model::objects::Objects;
use expect_test::expect;
use serde_json::{Value, json};

use crate::support::apiserver::{Server, World};
use crate::support::running::PATIENCE;

/// Where pods are listed and watched.
const PODS: &str = "/api/v1/pods";

/// One node with one pod, and what that names.
fn world() -> Server {
    let mut world = World::default();
    world.lists.insert(PODS, vec![pod("orders-0", "orders")]);
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
    Server::new(world)
}

fn node(server: &Server) -> Node {
    Node::watch(server.client(), "node-1".into())
}

/// A pod that runs: of one that does not it is asked what was said.
fn pod(name: &str, claim: &str) -> Value {
    json!({"metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": "5"},
        "spec": {"nodeName": "node-1", "containers": [],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]},
        "status": {"containerStatuses": [{"name": "main", "image": "", "imageID": "", "ready": true, "restartCount": 0,
            "state": {"running": {}}}]}})
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
    let server = world();
    let mut node = node(&server);
    let objects = node.objects(PATIENCE).await;
    server.watched(1).await;
    expect![[r#"
        pods ["orders-0"]
        claims 1
        volumes 1
        attachments 1
        csinodes 1
    "#]]
    .assert_eq(&shown(&objects));
    expect![[r#"
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
    let server = world();
    let mut node = node(&server);
    node.objects(PATIENCE).await;
    server.watched(1).await;
    server.tell(PODS, "ADDED", &pod("orders-1", "missing"));
    let objects = until(&mut node, &["orders-0", "orders-1"]).await;
    expect![[r#"
        pods ["orders-0", "orders-1"]
        claims 1
        volumes 1
        attachments 1
        csinodes 1
    "#]]
    .assert_eq(&shown(&objects));
    server.tell(PODS, "DELETED", &pod("orders-1", "missing"));
    until(&mut node, &["orders-0"]).await;
    // Its place is lost: the list says what was missed.
    server.change(|world| drop(world.lists.insert(PODS, Vec::new())));
    let expired = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"});
    server.tell(PODS, "ERROR", &expired);
    let objects = until(&mut node, &[]).await;
    assert!(objects.claims.items.is_empty());
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
        let server = world();
        server.change(|world| world.refused.push(refused));
        let objects = node(&server).objects(PATIENCE).await;
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
    let server = world();
    server.change(|world| {
        let mut broken = pod("broken", "orders");
        broken["spec"]["volumes"] = json!("none");
        world.lists.get_mut(PODS).unwrap().push(broken);
        let path = "/api/v1/persistentvolumes/pvc-1".to_owned();
        world.objects.insert(
            path,
            json!({"metadata": {"name": "pvc-1"}, "spec": {"capacity": {"storage": "much"}}}),
        );
    });
    let objects = node(&server).objects(PATIENCE).await;
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
