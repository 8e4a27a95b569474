//! The live API server and a directory of what `kubectl get` wrote give the same findings.

use serde_json::Value;

use crate::cluster::Cluster;
use crate::doctor::{kubeconfig, scan};
use crate::node::{Node, dump, expansion_waits};

pub(super) fn files_and_server_say_the_same(cluster: &Cluster) {
    let node = Node::make(cluster, "answers", 3);
    expansion_waits(cluster, node.claim(1));
    node.mount_all_but(Some(2));
    let directory = cluster.dir().join("answers");
    dump(cluster, &directory);
    let manifests = format!("--manifests={}", directory.display());
    let server = format!(
        "--kubeconfig={}",
        kubeconfig(cluster, cluster.api_port()).display()
    );
    let read = |source: &str| -> Value {
        serde_json::from_slice(&scan(&node, &[source], "json").stdout).unwrap()
    };
    let (from_files, from_server) = (timeless(read(&manifests)), timeless(read(&server)));
    let codes: Vec<&Value> = from_server["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["code"])
        .collect();
    for expected in ["NodeExpansionPending", "VolumeNotMounted"] {
        assert!(
            codes.iter().any(|code| *code == expected),
            "{expected} is not among {codes:?}"
        );
    }
    let print = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    assert_eq!(print(&from_files), print(&from_server));
    println!("   the same {} findings", codes.len());
}

/// Without the moments of the scan itself.
fn timeless(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for moment in [
                "at",
                "firstSeen",
                "lastConfirmed",
                "opened",
                "stateSince",
                "observedAt",
            ] {
                fields.remove(moment);
            }
            for field in fields.values_mut() {
                *field = timeless(field.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = timeless(item.take());
            }
        }
        _ => {}
    }
    value
}
