//! `diagnose pvc|pod|pv` with an admin's rights on the real control plane.
//!
//! There is no kubelet, no driver and no sidecar in this cluster, and so no log to read: that is said.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::objects::{bound_claim, enlarge};
use crate::cluster::Cluster;
use crate::doctor::by_caller;
use crate::until;

pub(super) fn each_object_by_its_steps(cluster: &Cluster) {
    let admin = cluster.dir().join("admin.kubeconfig");
    bound_claim(cluster, "followed");
    a_pending_claim(cluster, &admin);
    a_bound_and_attached_claim(cluster, &admin);
    an_expanding_claim(cluster, &admin);
    a_released_volume(cluster, &admin);
}

/// What is printed once it has all of these words.
fn told(admin: &Path, words: &[&str], wanted: &[&str]) -> String {
    let mut last = String::new();
    let what = format!("{words:?} says {wanted:?}");
    let patience = Duration::from_secs(40);
    let words: Vec<&str> = [&["diagnose"], words].concat();
    let text = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until(&what, patience, || {
            let (text, code) = by_caller(admin, &words);
            last = format!("{text}\nexit code {code:?}");
            let all = wanted.iter().all(|one| last.contains(one));
            all.then(|| last.clone())
        })
    }));
    text.unwrap_or_else(|_| panic!("not said: {what}\n{last}"))
}

fn a_pending_claim(cluster: &Cluster, admin: &Path) {
    cluster.apply(
        "---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: never, namespace: shop}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
  storageClassName: nowhere
---
apiVersion: v1
kind: Pod
metadata: {name: never, namespace: shop}
spec:
  containers: [{name: main, image: 'app:1'}]
  tolerations: [{operator: Exists}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: never}}]
",
    );
    let wanted = [
        "✗ class exists         there is no storageclass nowhere",
        "StorageClassNotFound",
    ];
    told(admin, &["pvc", "never", "-n", "shop"], &wanted);
    let wanted = [
        "✗ class exists",
        "✗ scheduled            FailedScheduling:",
        "What to do: See which classes there are",
        // It has not waited for longer than its rule's grace.
        "exit code Some(0)",
    ];
    told(admin, &["pod/never", "-n", "shop"], &wanted);
    println!("   a pending claim and its pod: the class, and what the scheduler says");
}

fn a_bound_and_attached_claim(cluster: &Cluster, admin: &Path) {
    cluster.apply(
        "---
apiVersion: v1
kind: Pod
metadata: {name: followed, namespace: shop}
spec:
  nodeName: objects
  containers: [{name: main, image: 'app:1'}]
  tolerations: [{operator: Exists}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: followed}}]
",
    );
    // The real attach controller makes the VolumeAttachment; nobody attaches.
    let wanted = [
        "✓ bound                to persistentvolume followed, which the claim named (20",
        "✓ scheduled            on node objects",
        "is not attached, and says no error",
        "No log was read",
        "no pod was found that runs anything for driver disk.example.com",
        "kubectl debug node/objects",
    ];
    told(admin, &["pod", "followed", "-n", "shop"], &wanted);
    let all = cluster.get(&["volumeattachments"]);
    let items = all["items"].as_array().unwrap();
    let ours = items
        .iter()
        .find(|one| one["spec"]["source"]["persistentVolumeName"] == "followed");
    let name = ours.unwrap()["metadata"]["name"].as_str().unwrap();
    let refused = json!({"attached": false, "attachError": {"time": jiff::Timestamp::now().strftime("%FT%TZ").to_string(),
        "message": "rpc error: code = NotFound desc = volume followed not found"}});
    cluster.patch_status(&["volumeattachment", name], &refused);
    let wanted = [
        "✗ attached",
        "rpc error: code = NotFound desc = volume followed not found (20",
    ];
    told(admin, &["pvc", "followed", "-n", "shop"], &wanted);
    cluster.patch_status(
        &["volumeattachment", name],
        &json!({"attached": true, "attachError": null}),
    );
    let wanted = [
        "✓ attached",
        "? driver registered    CSINode objects lists disk.example.com",
        "? staged               no collector was asked",
        "Where it stands is not known.",
        "exit code Some(0)",
    ];
    told(admin, &["pvc", "followed", "-n", "shop"], &wanted);
    let running = json!({"phase": "Running", "startTime": jiff::Timestamp::now().strftime("%FT%TZ").to_string(),
        "containerStatuses": [{"name": "main", "image": "app:1", "imageID": "app", "ready": true, "restartCount": 0,
            "state": {"running": {"startedAt": jiff::Timestamp::now().strftime("%FT%TZ").to_string()}}}]});
    cluster.patch_status(&["pod", "followed", "-n", "shop"], &running);
    let wanted = [
        "✓ staged",
        "✓ published",
        "✓ pod started",
        "exit code Some(0)",
    ];
    for words in [["pvc", "followed"], ["pod", "followed"], ["pv", "followed"]] {
        told(admin, &[words[0], words[1], "-n", "shop"], &wanted);
    }
    println!(
        "   a bound claim: not attached, refused, attached, in its pod; no log, since nothing runs here"
    );
}

fn an_expanding_claim(cluster: &Cluster, admin: &Path) {
    enlarge(cluster, "followed");
    let wanted = [
        "✓ request raised       from 1Gi to 2Gi",
        "✗ resizer saw it",
        "ResizerMissing",
        "exit code Some(1)",
    ];
    for words in [["pvc", "followed"], ["pod", "followed"], ["pv", "followed"]] {
        told(admin, &[words[0], words[1], "-n", "shop"], &wanted);
    }
    let json = told(
        admin,
        &["pv/followed", "-o", "json"],
        &["\"kind\": \"Diagnosis\""],
    );
    assert!(
        json.contains("\"stage\": \"expand: resizer saw it\""),
        "{json}"
    );
    println!("   an expanding claim: by claim, by pod, by volume");
}

fn a_released_volume(cluster: &Cluster, admin: &Path) {
    bound_claim(cluster, "let-go");
    cluster.kubectl(&["delete", "pvc", "let-go", "-n", "shop"]);
    let wanted = [
        "▸ bound                claim shop/let-go is gone",
        "It is released, and kept.",
        "claimRef",
    ];
    told(admin, &["pv", "let-go"], &wanted);
    println!("   a released volume: kept, and how to use it again");
}
