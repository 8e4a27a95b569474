//! The collector's own eyes: the cluster's objects from an API server, and what it says of them.

use std::time::Duration;

use csi_doctor::collector::Config;
use csi_doctor::collector::objects::Source;
use csi_doctor::grpc::client::Reader;
use csi_doctor::kubernetes::around::{self, Wanted};
use csi_doctor::kubernetes::cluster::Cluster;
use csi_doctor::model::finding::State;
use csi_doctor::model::names::NodeName;
use csi_doctor::model::objects::Objects;
use csi_doctor::model::view::Story;
use csi_doctor::store::Location;
use expect_test::expect;
use serde_json::{Value, json};

use crate::support::apiserver::{Server, World};
use crate::support::running::{PATIENCE, Running, at_once, until};

const PODS: &str = "/api/v1/pods";
const CLAIMS: &str = "/api/v1/persistentvolumeclaims";
const VOLUMES: &str = "/api/v1/persistentvolumes";
const CLASSES: &str = "/apis/storage.k8s.io/v1/storageclasses";
const ATTACHMENTS: &str = "/apis/storage.k8s.io/v1/volumeattachments";
const EVENTS: &str = "/api/v1/events";
const NODES: &str = "/api/v1/nodes";

/// A claim of 1Gi that asks for so much.
fn claim(name: &str, wants: &str) -> Value {
    json!({"metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": "3"},
        "spec": {"volumeName": format!("pv-{name}"), "storageClassName": "fast",
            "resources": {"requests": {"storage": wants}}},
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}})
}

fn volume(claim: &str) -> Value {
    json!({"metadata": {"name": format!("pv-{claim}"), "uid": format!("pv-{claim}"), "resourceVersion": "2"},
        "spec": {"capacity": {"storage": "1Gi"}, "claimRef": {"namespace": "shop", "name": claim, "uid": claim},
            "csi": {"driver": "a.example", "volumeHandle": claim}}})
}

fn pod(name: &str, volumes: &Value) -> Value {
    json!({"metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": "5"},
        "spec": {"nodeName": "node-1", "containers": [], "volumes": volumes}})
}

/// Three claims, of which one has a pod, and a pod without storage.
fn cluster() -> Server {
    let mut world = World {
        page: 2,
        ..World::default()
    };
    let names = ["one", "three", "two"];
    let of_two = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "two"}}]);
    let pods = vec![pod("none", &json!([])), pod("two-0", &of_two)];
    let class = json!({"metadata": {"name": "fast"}, "provisioner": "a.example", "allowVolumeExpansion": true});
    let node = json!({"metadata": {"name": "node-1", "resourceVersion": "4"}});
    let attachment = json!({"metadata": {"name": "csi-1"}, "spec": {"attacher": "a.example", "nodeName": "node-1",
        "source": {"persistentVolumeName": "pv-two"}}, "status": {"attached": true}});
    world.lists.extend([
        (PODS, pods),
        (CLAIMS, names.map(|name| claim(name, "1Gi")).to_vec()),
        (VOLUMES, names.map(volume).to_vec()),
        (CLASSES, vec![class]),
        (ATTACHMENTS, vec![attachment]),
        (EVENTS, Vec::new()),
        (NODES, vec![node]),
    ]);
    Server::new(world)
}

/// The names of all objects, and all gaps.
fn shown(objects: &Objects) -> String {
    let names = |names: Vec<&str>| names.join(" ");
    let gaps: Vec<String> = objects
        .gaps()
        .iter()
        .map(|gap| format!("\n  {gap}"))
        .collect();
    format!(
        "pods: {}\nclaims: {}\nvolumes: {}\nclasses: {}\nattachments: {}\nevents: {}\nnodes: {}{}\n",
        names(
            objects
                .pods
                .items
                .iter()
                .map(|one| one.pod.name.as_str())
                .collect()
        ),
        names(
            objects
                .claims
                .items
                .iter()
                .map(|one| one.claim.name.as_str())
                .collect()
        ),
        names(
            objects
                .volumes
                .items
                .iter()
                .map(|one| one.name.as_str())
                .collect()
        ),
        names(
            objects
                .classes
                .items
                .iter()
                .map(|one| one.name.as_str())
                .collect()
        ),
        names(
            objects
                .attachments
                .items
                .iter()
                .map(|one| one.name.as_str())
                .collect()
        ),
        names(
            objects
                .events
                .items
                .iter()
                .map(|one| one.reason.as_str())
                .collect()
        ),
        names(objects.nodes.items.iter().map(NodeName::as_str).collect()),
        gaps.concat(),
    )
}

/// Looks again until the objects are so: changes come in their own time.
async fn until_so(cluster: &Cluster, are: impl Fn(&Objects) -> bool) -> Objects {
    let wait = async {
        loop {
            let objects = cluster.objects();
            if are(&objects) {
                return objects;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap()
}

#[tokio::test]
async fn every_kind_is_listed_in_pages_and_watched() {
    let server = cluster();
    let cluster = Cluster::watch(&server.client());
    assert_eq!(
        cluster.objects().gaps()[0].to_string(),
        "list the cluster's objects: no answer yet (TimedOut)"
    );
    server.watched(6).await;
    expect![[r#"
        pods: two-0
        claims: one three two
        volumes: pv-one pv-three pv-two
        classes: fast
        attachments: csi-1
        events: 
        nodes: node-1
    "#]]
    .assert_eq(&shown(&cluster.objects()));
    expect![[r#"
        /api/v1/events?fieldSelector=involvedObject.kind%3DPersistentVolumeClaim
        /api/v1/events?watch=true&fieldSelector=involvedObject.kind%3DPersistentVolumeClaim
        /api/v1/nodes?
        /api/v1/nodes?watch=true
        /api/v1/persistentvolumeclaims?
        /api/v1/persistentvolumeclaims?
        /api/v1/persistentvolumeclaims?watch=true
        /api/v1/persistentvolumes?
        /api/v1/persistentvolumes?
        /api/v1/persistentvolumes?watch=true
        /api/v1/pods?
        /api/v1/pods?watch=true
        /apis/storage.k8s.io/v1/storageclasses?
        /apis/storage.k8s.io/v1/storageclasses?watch=true
        /apis/storage.k8s.io/v1/volumeattachments?
        /apis/storage.k8s.io/v1/volumeattachments?watch=true"#]]
    .assert_eq(&server.asked());
}

#[tokio::test]
async fn what_changes_is_seen_and_a_lost_place_is_made_good() {
    let server = cluster();
    let cluster = Cluster::watch(&server.client());
    server.watched(6).await;
    let before = cluster.revision();
    let event = json!({"metadata": {"namespace": "shop", "name": "e"}, "reason": "Resizing", "message": "",
        "involvedObject": {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "one", "uid": "one"}});
    server.tell(EVENTS, "ADDED", &event);
    let objects = until_so(&cluster, |objects| !objects.events.items.is_empty()).await;
    assert_eq!(objects.events.items[0].reason, "Resizing");
    assert!(cluster.revision() > before);

    // Its place is lost, and meanwhile a claim went and another one came.
    server.change(|world| {
        let claims = world.lists.get_mut(CLAIMS).unwrap();
        claims.remove(0);
        claims.push(claim("zero", "1Gi"));
    });
    let expired = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"});
    server.tell(CLAIMS, "ERROR", &expired);
    let named = |objects: &Objects, name: &str| {
        let mut claims = objects.claims.items.iter();
        claims.any(|one| one.claim.name == name)
    };
    let objects = until_so(&cluster, |objects| !named(objects, "one")).await;
    expect![[r#"
        pods: two-0
        claims: three two zero
        volumes: pv-one pv-three pv-two
        classes: fast
        attachments: csi-1
        events: Resizing
        nodes: node-1
    "#]]
    .assert_eq(&shown(&objects));
}

#[tokio::test]
async fn a_missing_right_is_a_gap_and_the_rest_goes_on() {
    for (refused, gap) in [
        ("list /api/v1/pods", "the verb list on pods"),
        (CLAIMS, "the verb list on persistentvolumeclaims"),
        (VOLUMES, "the verb list on persistentvolumes"),
        (CLASSES, "the verb list on storageclasses.storage.k8s.io"),
        (
            ATTACHMENTS,
            "the verb list on volumeattachments.storage.k8s.io",
        ),
        (EVENTS, "the verb list on events"),
        (NODES, "the verb list on nodes"),
    ] {
        let server = cluster();
        server.change(|world| world.refused.push(refused));
        let cluster = Cluster::watch(&server.client());
        let objects = until_so(&cluster, |objects| {
            !shown(objects).contains("no answer yet")
        })
        .await;
        let gaps: Vec<String> = objects.gaps().iter().map(ToString::to_string).collect();
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert!(gaps[0].contains(gap), "{gaps:?}");
    }
}

#[tokio::test]
async fn a_server_that_fails_is_asked_again() {
    for code in [429, 500, 503] {
        let server = cluster();
        server.change(|world| world.failing = Some(code));
        let cluster = Cluster::watch(&server.client());
        let failed = |objects: &Objects| shown(objects).contains(&format!("{code}: later"));
        let objects = until_so(&cluster, failed).await;
        assert!(objects.claims.items.is_empty() && objects.gaps().len() == 7);
        server.change(|world| world.failing = None);
        let objects = until_so(&cluster, |objects| objects.gaps().is_empty()).await;
        assert_eq!(objects.claims.items.len(), 3);
    }
}

#[tokio::test]
async fn a_kind_that_is_not_served_is_a_gap() {
    let server = cluster();
    server.change(|world| drop(world.lists.remove(CLASSES)));
    let cluster = Cluster::watch(&server.client());
    let objects = until_so(&cluster, |objects| {
        !shown(objects).contains("no answer yet")
    })
    .await;
    let gaps: Vec<String> = objects.gaps().iter().map(ToString::to_string).collect();
    expect![
        "list storageclasses.storage.k8s.io: the API server does not have this kind (Unsupported)"
    ]
    .assert_eq(&gaps.join("\n"));
}

/// What a caller finds around a claim.
async fn around(server: &Server, name: &str) -> Objects {
    around::around(&server.client(), Some("shop"), Wanted::Claim(name)).await
}

#[tokio::test]
async fn a_caller_asks_once_around_one_claim() {
    let mut world = World::default();
    let of_one = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "one"}}]);
    let pods = vec![pod("one-0", &of_one), pod("none", &json!([]))];
    let class = json!({"metadata": {"name": "fast"}, "provisioner": "a.example"});
    world.lists.extend([
        ("/api/v1/namespaces/shop/pods", pods),
        (
            "/api/v1/namespaces/shop/persistentvolumeclaims",
            vec![claim("one", "2Gi")],
        ),
        ("/api/v1/namespaces/shop/events", Vec::new()),
        (ATTACHMENTS, Vec::new()),
    ]);
    world.objects.extend([
        (format!("{VOLUMES}/pv-one"), volume("one")),
        (format!("{CLASSES}/fast"), class),
    ]);
    let server = Server::new(world);
    expect![[r#"
        pods: none one-0
        claims: one
        volumes: pv-one
        classes: fast
        attachments: 
        events: 
        nodes: 
    "#]]
    .assert_eq(&shown(&around(&server, "one").await));
    expect![[r#"
        /api/v1/events?fieldSelector=involvedObject.kind%3DPersistentVolumeClaim%2Csource%3Dexternal-resizer+a.example
        /api/v1/namespaces/shop/events?fieldSelector=involvedObject.kind%3DPersistentVolumeClaim
        /api/v1/namespaces/shop/events?fieldSelector=involvedObject.uid%3Done-0
        /api/v1/namespaces/shop/persistentvolumeclaims?fieldSelector=metadata.name%3Done
        /api/v1/namespaces/shop/pods?
        /api/v1/persistentvolumes/pv-one?
        /apis/storage.k8s.io/v1/csinodes/node-1?
        /apis/storage.k8s.io/v1/storageclasses/fast?
        /apis/storage.k8s.io/v1/volumeattachments/csi-d22b5fe577cd2d1d482d9220829ab514b725dbdafabf9b24160258cf0ede8a37?
        /apis/storage.k8s.io/v1/volumeattachments?"#]]
    .assert_eq(&server.asked());

    // What is not the caller's to read is named, and the rest is there.
    server.change(|world| world.refused = vec!["get /api/v1/persistentvolumes", "/events"]);
    expect![[r#"
        pods: none one-0
        claims: one
        volumes: 
        classes: fast
        attachments: 
        events: 
        nodes: 
          get persistentvolumes: the right is missing; a role must grant the verb get on persistentvolumes (Denied)
          list events: the right is missing; a role must grant the verb list on events (Denied)
    "#]].assert_eq(&shown(&around(&server, "one").await));
    server.change(|world| world.refused = vec!["/persistentvolumeclaims"]);
    expect![[r#"
        pods: 
        claims: 
        volumes: 
        classes: 
        attachments: 
        events: 
        nodes: 
          list persistentvolumeclaims: the right is missing; a role must grant the verb list on persistentvolumeclaims (Denied)
    "#]].assert_eq(&shown(&around(&server, "one").await));
}

fn impatient() -> Config {
    Config {
        grace_scale: 0.0,
        ..at_once()
    }
}

async fn running(server: &Server, config: Config) -> (Running, Reader) {
    let objects = Source::Api(Box::new(Cluster::watch(&server.client())));
    let running = Running::start_with(objects, config).await;
    let (_, reader) = running.clients();
    (running, reader)
}

fn one_line(stories: &[Story]) -> String {
    let lines = stories.iter().map(|story| {
        let finding = &story.finding;
        let state = finding.state.as_str();
        let silenced = if story.silenced.is_some() {
            " silenced"
        } else {
            ""
        };
        format!(
            "{state} {}: {}{silenced}",
            finding.key.code, finding.key.subject
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_claim_that_no_pod_uses_is_judged_as_it_changes() {
    let server = cluster();
    let (running, mut reader) = running(&server, impatient()).await;
    server.watched(6).await;
    server.tell(CLAIMS, "MODIFIED", &claim("one", "2Gi"));
    let stories = until(&mut reader, "told", |stories| !stories.is_empty()).await;
    expect!["open ResizerMissing: claim shop/one"].assert_eq(&one_line(&stories));

    // Its owner does not want to hear of it.
    let mut silenced = claim("one", "2Gi");
    silenced["metadata"]["annotations"] = json!({"csi-doctor.io/silence": "ResizerMissing"});
    server.tell(CLAIMS, "MODIFIED", &silenced);
    let is_silent = |stories: &[Story]| stories.iter().any(|story| story.silenced.is_some());
    until(&mut reader, "silenced", is_silent).await;

    server.tell(CLAIMS, "MODIFIED", &claim("one", "1Gi"));
    until(&mut reader, "over", <[Story]>::is_empty).await;
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_seen_is_neither_found_nor_over() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        store: Location::File(folder.path().join("store.db")),
        ..impatient()
    };
    let server = cluster();
    server.change(|world| world.lists.get_mut(CLAIMS).unwrap()[0] = claim("one", "2Gi"));
    let (first, mut reader) = running(&server, config.clone()).await;
    until(&mut reader, "told", |stories| !stories.is_empty()).await;
    first.stop().await;

    for refused in [CLAIMS, VOLUMES] {
        server.change(|world| world.refused = vec![refused]);
        let (without, mut reader) = running(&server, config.clone()).await;
        let uncertain = |stories: &[Story]| {
            let mut states = stories.iter().map(|story| &story.finding.state);
            matches!(states.next(), Some(State::Unconfirmed { .. }))
        };
        // What an earlier life left uncertain is so before anything was asked.
        let gaps = async {
            loop {
                let (_, summary) = reader.summary().await.unwrap();
                if !summary.cluster_gaps.is_empty() {
                    return summary.cluster_gaps;
                }
            }
        };
        let gaps = tokio::time::timeout(PATIENCE, gaps).await.unwrap();
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert!(gaps[0].contains("the right is missing"), "{gaps:?}");
        let stories = until(&mut reader, "uncertain", uncertain).await;
        expect!["unconfirmed ResizerMissing: claim shop/one"].assert_eq(&one_line(&stories));
        without.stop().await;
    }

    server.change(|world| world.refused.clear());
    let (again, mut reader) = running(&server, config).await;
    let open = |stories: &[Story]| stories.iter().any(|one| one.finding.state == State::Open);
    until(&mut reader, "certain again", open).await;
    again.stop().await;
}

#[tokio::test]
async fn files_are_judged_like_objects_of_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let write = |claim: &Value| {
        let mut items = vec![claim.clone(), volume("one")];
        for (item, kind) in items
            .iter_mut()
            .zip(["PersistentVolumeClaim", "PersistentVolume"])
        {
            item["apiVersion"] = json!("v1");
            item["kind"] = json!(kind);
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        std::fs::write(folder.path().join("new"), list.to_string()).unwrap();
        std::fs::rename(folder.path().join("new"), folder.path().join("all.json")).unwrap();
    };
    write(&claim("one", "2Gi"));
    let objects = Source::from(folder.path().to_owned());
    let running = Running::start_with(objects, impatient()).await;
    let (_, mut reader) = running.clients();
    let stories = until(&mut reader, "told", |stories| !stories.is_empty()).await;
    expect!["open ResizerMissing: claim shop/one"].assert_eq(&one_line(&stories));
    write(&claim("one", "1Gi"));
    until(&mut reader, "over", <[Story]>::is_empty).await;
    running.stop().await;
}

#[tokio::test]
async fn nothing_is_judged_before_every_kind_has_answered() {
    let server = cluster();
    server.change(|world| {
        world.lists.get_mut(CLAIMS).unwrap()[0] = claim("one", "2Gi");
        world.page = 1;
    });
    // The claim's events say that it is taken up: without them it would be a finding at once.
    let event = json!({"metadata": {"namespace": "shop", "name": "e"}, "reason": "Resizing", "message": "",
        "reportingComponent": "external-resizer a.example", "lastTimestamp": jiff::Timestamp::now().to_string(),
        "involvedObject": {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "one", "uid": "one"}});
    server.change(|world| world.lists.get_mut(EVENTS).unwrap().push(event));
    let (running, mut reader) = running(&server, impatient()).await;
    let stories = until(&mut reader, "told", |stories| !stories.is_empty()).await;
    expect!["open ControllerExpansionPending: claim shop/one"].assert_eq(&one_line(&stories));
    tokio::time::timeout(Duration::from_secs(5), running.stop())
        .await
        .unwrap();
}
