//! Claims and volumes made by hand: what keeps them apart, as the real controller judges it.
//!
//! Each volume fits but for one thing or two. The doctor names the first, the controller leaves the claim
//! Pending; that thing is mended, and so on, until the claim binds. The controller looks every fifteen
//! seconds; a claim that is touched is looked at sooner.

mod case;
mod mismatch;

use std::cell::Cell;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::Api;
use crate::cluster::Cluster;
use crate::doctor::by_caller;
use crate::until;

use case::Case;
use mismatch::Mismatch::{self, OtherClaim, Size};
use mismatch::Relation;

const NAMESPACE: &str = "by-hand";
const CLAIMS: &str = "/api/v1/namespaces/by-hand/persistentvolumeclaims";
const VOLUMES: &str = "/api/v1/persistentvolumes";

pub(super) fn each_mismatch_is_named(cluster: &Cluster) {
    cluster.apply(&named("Namespace", NAMESPACE).to_string());
    let api = &Api::of(cluster);
    let tried = Cell::new(0);
    let next = |relation, wrong: &[Mismatch]| {
        tried.set(tried.get() + 1);
        Case::make(api, tried.get(), relation, wrong).walk(wrong);
    };
    for relation in [Relation::Free, Relation::Named, Relation::Reserved] {
        let before = tried.get();
        let order = relation.looks_at();
        for (at, first) in order.iter().enumerate() {
            next(relation, &[*first]);
            // A volume has one claimRef.
            for second in &order[at + 1..] {
                next(relation, &[*first, *second]);
            }
        }
        for overlooked in relation.overlooks() {
            Case::make(api, 1000 + tried.get(), relation, &[*overlooked]).walk(&[]);
        }
        println!(
            "   {relation:?}: {} mismatches and pairs named, left Pending, mended and bound; bound in spite of {:?}",
            tried.get() - before,
            relation.overlooks()
        );
    }
    of_an_earlier_claim(api);
    of_a_class_that_only_volumes_name(api);
    on_another_node(api);
}

/// A volume that was an earlier claim's of the same name: what the doctor says to do is done.
fn of_an_earlier_claim(api: &Api<'_>) {
    api.create(VOLUMES, &volume("earlier"));
    let mut wanted = claim("earlier", "");
    wanted["spec"]["volumeName"] = "earlier".into();
    api.create(CLAIMS, &wanted);
    bound(api, "earlier");
    api.delete(&claim_path("earlier"));
    until("the volume is Released", Duration::from_secs(30), || {
        let volume = api.get(&volume_path("earlier"))?;
        (volume["status"]["phase"] == "Released").then_some(())
    });
    api.create(CLAIMS, &wanted);
    let told = until(
        "the earlier claim is named",
        Duration::from_secs(15),
        || {
            let told = diagnosed(api, "earlier");
            let words = "earlier does not fit: it is for claim by-hand/earlier with UID";
            found_volume(&told).contains(words).then_some(told)
        },
    );
    until("the controller says so", Duration::from_secs(30), || {
        (said(api, "earlier", OtherClaim.said_by_controller()) > 0).then_some(())
    });
    let command = told["ways"][0]["next"]["command"].as_str().unwrap();
    let words = command.strip_prefix("kubectl patch pv earlier --type=json -p ");
    let patch = words
        .unwrap_or_else(|| panic!("{command}"))
        .trim_matches('\'');
    api.cluster
        .kubectl(&["patch", "pv", "earlier", "--type=json", "-p", patch]);
    bound(api, "earlier");
    remove(api, "earlier");
    println!("   a volume of an earlier claim: named, let go of as the doctor says, and bound");
}

/// A class without an object is enough where volumes have its name.
fn of_a_class_that_only_volumes_name(api: &Api<'_>) {
    let mut small = volume("classed");
    small["spec"]["storageClassName"] = "only-a-name".into();
    small["spec"]["capacity"]["storage"] = "512Mi".into();
    api.create(VOLUMES, &small);
    api.create(CLAIMS, &claim("classed", "only-a-name"));
    until("the size is named", Duration::from_secs(15), || {
        let told = diagnosed(api, "classed");
        let words = found_volume(&told);
        words.contains("classed does not fit: size: ").then_some(())
    });
    let words = "storageclass.storage.k8s.io \"only-a-name\" not found";
    until(
        "the controller misses the class",
        Duration::from_secs(30),
        || (said(api, "classed", words) > 0).then_some(()),
    );
    api.patch(&volume_path("classed"), &Size.mended().unwrap());
    bound(api, "classed");
    remove(api, "classed");
    println!("   a class that only volumes name: the size is named, not the class, and it binds");
}

/// The controller does not look at node affinity; where the class waits for a pod, the scheduler does.
fn on_another_node(api: &Api<'_>) {
    let elsewhere = json!({"required": {"nodeSelectorTerms": [{"matchExpressions":
        [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["elsewhere"]}]}]}});
    let mut volume = volume("elsewhere");
    volume["spec"]["nodeAffinity"] = elsewhere.clone();
    api.create(VOLUMES, &volume);
    api.create(CLAIMS, &claim("elsewhere", ""));
    bound(api, "elsewhere");
    remove(api, "elsewhere");

    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "local"},
        "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"});
    let mut local = self::volume("local");
    local["spec"]["nodeAffinity"] = elsewhere;
    local["spec"]["storageClassName"] = "local".into();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "local", "namespace": NAMESPACE},
        "spec": {"containers": [{"name": "main", "image": "app:1"}], "tolerations": [{"operator": "Exists"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "local"}}]}});
    let node = json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "here", "labels": {"kubernetes.io/hostname": "here"}}});
    for object in [&class, &local, &claim("local", "local"), &node] {
        api.cluster.apply(&object.to_string());
    }
    let room = json!({"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10"}, "capacity": {"cpu": "4", "memory": "8Gi", "pods": "10"}});
    api.cluster.patch_status(&["node", "here"], &room);
    until(
        "a service account is there",
        Duration::from_secs(30),
        || {
            let words = ["get", "serviceaccount", "default", "-n", NAMESPACE];
            api.cluster.try_kubectl(&words).ok()
        },
    );
    api.cluster.apply(&pod.to_string());
    let scheduler = until("the scheduler says why", Duration::from_secs(30), || {
        let of = "involvedObject.name=local,reason=FailedScheduling";
        let events = api
            .cluster
            .get(&["events", "-n", NAMESPACE, "--field-selector", of]);
        let message = events["items"][0]["message"].as_str()?.to_owned();
        message.contains("persistent volume").then_some(message)
    });
    let told = diagnosed(api, "local").to_string();
    assert!(told.contains("WaitingForFirstConsumer"), "{told}");
    assert!(!told.contains("NoMatchingVolume"), "{told}");
    remove_volume(api, "local");
    let mut here = self::volume("local");
    here["spec"]["storageClassName"] = "local".into();
    api.create(VOLUMES, &here);
    bound(api, "local");
    api.cluster
        .kubectl(&["delete", "pod", "local", "-n", NAMESPACE, "--force"]);
    remove(api, "local");
    api.cluster.kubectl(&["delete", "node", "here"]);
    println!(
        "   node affinity: overlooked by the controller; of a class that waits the scheduler says: {scheduler}"
    );
}

fn named(kind: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}})
}

/// A volume that fits.
fn volume(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {"tier": "gold"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
            "csi": {"driver": "disk.example.com", "volumeHandle": name},
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": ""}})
}

fn claim(name: &str, class: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": class,
            "resources": {"requests": {"storage": "1Gi"}}}})
}

/// What the doctor says of a claim, with all rights.
fn diagnosed(api: &Api<'_>, claim: &str) -> Value {
    let admin = api.cluster.dir().join("admin.kubeconfig");
    let words = ["diagnose", "pvc", claim, "-n", NAMESPACE, "-o", "json"];
    let (text, _) = by_caller(&admin, &words);
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// What is said at the step where a volume is looked for.
fn found_volume(told: &Value) -> &str {
    let mut steps = told["ways"][0]["steps"].as_array().into_iter().flatten();
    let step = steps.find(|step| step["stage"] == "bind: volume found");
    step.and_then(|step| step["evidence"].as_str())
        .unwrap_or_default()
}

/// Has the controller look at a claim; gives it as it is.
fn touch(api: &Api<'_>, claim: &str, times: u32) -> Value {
    let mark = json!({"metadata": {"annotations": {"touched": times.to_string()}}});
    let touched = api.patch(&claim_path(claim), &mark);
    touched.unwrap_or_else(|| panic!("no claim {claim}"))
}

fn claim_path(name: &str) -> String {
    format!("{CLAIMS}/{name}")
}

fn volume_path(name: &str) -> String {
    format!("{VOLUMES}/{name}")
}

fn bound(api: &Api<'_>, claim: &str) {
    let mut times = 0;
    until(
        &format!("{claim} is bound"),
        Duration::from_secs(40),
        || {
            times += 1;
            (touch(api, claim, times)["status"]["phase"] == "Bound").then_some(())
        },
    );
}

/// How often the controller has said this of a claim.
fn said(api: &Api<'_>, claim: &str, words: &str) -> u64 {
    let path =
        format!("/api/v1/namespaces/{NAMESPACE}/events?fieldSelector=involvedObject.name={claim}");
    let events = api.get(&path).unwrap();
    let events = events["items"].as_array().unwrap().iter();
    let says = |event: &&Value| {
        event["message"]
            .as_str()
            .is_some_and(|text| text.contains(words))
    };
    events
        .filter(says)
        .map(|event| event["count"].as_u64().unwrap_or(1))
        .sum()
}

fn remove(api: &Api<'_>, name: &str) {
    api.delete(&claim_path(name));
    remove_volume(api, name);
}

/// Takes a volume away, whoever keeps it.
fn remove_volume(api: &Api<'_>, name: &str) {
    let path = volume_path(name);
    until("the volume is gone", Duration::from_secs(20), || {
        api.delete(&path);
        // Whoever had it keep on may have it anew before it is gone.
        let none = json!({"metadata": {"finalizers": null}});
        api.patch(&path, &none).is_none().then_some(())
    });
}
