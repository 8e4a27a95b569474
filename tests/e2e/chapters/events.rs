//! Events on a claim, as the API server takes them and kubectl shows them: once, whatever restarts.

use std::time::Duration;

use serde_json::Value;

use crate::audit::requests;
use crate::chapters::objects;
use crate::cluster::{Cluster, Process};
use crate::doctor::{collect_keeping, kubeconfig_of};
use crate::until;

const ACCOUNT: &str = "csi-doctor-collector";
const CLAIM: &str = "announced";

pub(super) fn one_event_each_and_none_twice(cluster: &Cluster) {
    let kubeconfig = kubeconfig_of(cluster, ACCOUNT, cluster.api_port());
    let store = cluster.dir().join("announced.db");
    let start = || -> (Process, u16) { collect_keeping(cluster, CLAIM, &store, &kubeconfig) };
    objects::bound_claim(cluster, CLAIM);
    objects::enlarge(cluster, CLAIM);
    // A first life remembers nothing and is quiet; the finding is in its store.
    let (first, port) = start();
    until("the claim is found", Duration::from_mins(1), || {
        let mut found = crate::doctor::findings(port).into_iter();
        found
            .any(|[code, subject, state]| {
                code == "ResizerMissing" && subject.contains(CLAIM) && state == "open"
            })
            .then_some(())
    });
    drop(first);
    assert_eq!(told(cluster), Vec::<Value>::new());
    let (second, _) = start();
    let opened = until("the claim has an Event", Duration::from_mins(1), || {
        told(cluster).into_iter().next()
    });
    assert_eq!(opened["type"], "Warning");
    drop(second);
    let described = cluster.kubectl(&["describe", "pvc", CLAIM, "-n", "shop"]);
    assert!(described.contains("ResizerMissing"), "{described}");
    // A third one says it again, and is told that it is known.
    let (_third, _) = start();
    until("it is said again", Duration::from_mins(1), || {
        let mut asked = requests(cluster, ACCOUNT).into_iter();
        asked
            .any(|one| one.right.verb == "create" && one.code == 409)
            .then_some(())
    });
    assert_eq!(told(cluster), [opened]);
    cluster.kubectl(&["delete", "pvc", CLAIM, "-n", "shop", "--wait=false"]);
    let patch = r#"{"metadata": {"finalizers": null}}"#;
    let words = [
        "patch",
        "pvc",
        CLAIM,
        "-n",
        "shop",
        "--type=merge",
        "-p",
        patch,
    ];
    // It may be gone by itself.
    let _ = cluster.try_kubectl(&words);
    let both = until("its end is told", Duration::from_mins(1), || {
        Some(told(cluster)).filter(|told| told.len() > 1)
    });
    let mut types: Vec<&str> = both.iter().filter_map(|one| one["type"].as_str()).collect();
    types.sort_unstable();
    assert_eq!(types, ["Normal", "Warning"]);
    for event in &both {
        println!("   {} {}", event["type"], event["note"]);
    }
}

/// What the doctor has put on the claim.
fn told(cluster: &Cluster) -> Vec<Value> {
    let events = cluster.get(&["events.events.k8s.io", "-n", "shop"]);
    let mut events: Vec<Value> = events["items"].as_array().unwrap().clone();
    events.retain(|one| {
        one["regarding"]["name"] == CLAIM && one["reportingController"] == "csi-doctor.io/collector"
    });
    events
}
