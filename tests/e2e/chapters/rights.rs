//! The rights shipped are the rights used; without any one of them the rest goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::audit::{Right, granted, requests};
use crate::cluster::Cluster;
use crate::doctor::{self, ask, collect, findings, report};
use crate::node::{Node, expansion_waits};
use crate::{chapters, until};

const ACCOUNT: &str = "csi-doctor-agent";

pub(super) fn all_that_is_granted_is_used(cluster: &Cluster) {
    let node = Node::make(cluster, "rights", 2);
    expansion_waits(cluster, node.claim(1));
    let (_collector, port) = collect(cluster, "rights", "0");
    let kubeconfig = doctor::kubeconfig(cluster, cluster.api_port());
    let _agent = report(cluster, &node, &kubeconfig, port, "2s");
    until("the expansion is found", Duration::from_mins(1), || {
        let found = findings(port).into_iter().any(|[code, subject, _]| {
            code == "NodeExpansionPending" && subject.contains(node.claim(1))
        });
        found.then_some(())
    });
    let unseen = gaps(&ask(port, &["status"]).unwrap());
    let of_objects: Vec<&String> = unseen
        .iter()
        .filter(|gap| gap.contains("get ") || gap.contains("list "))
        .collect();
    assert!(
        of_objects.is_empty(),
        "with all rights there are gaps: {of_objects:?}"
    );

    let asked = requests(cluster, ACCOUNT);
    let forbidden: Vec<_> = asked.iter().filter(|one| one.code == 403).collect();
    assert!(
        forbidden.is_empty(),
        "asked for and forbidden: {forbidden:?}"
    );
    let used: BTreeSet<Right> = asked.iter().map(|one| one.right.clone()).collect();
    let granted = granted(&cluster.get(&["clusterrole", ACCOUNT]));
    assert_eq!(
        used,
        granted,
        "used:{}\n   granted:{}",
        named(&used),
        named(&granted)
    );
    println!(
        "   {} requests, none forbidden; {} rights granted, each used:{}",
        asked.len(),
        granted.len(),
        named(&granted)
    );
}

/// Rights, one a line.
pub(super) fn named(rights: &BTreeSet<Right>) -> String {
    let lines: Vec<String> = rights
        .iter()
        .map(|right| format!("\n     {right}"))
        .collect();
    lines.concat()
}

pub(super) fn without_one_the_rest_goes_on(cluster: &Cluster) {
    let node = Node::make(cluster, "fewer", 2);
    expansion_waits(cluster, node.claim(1));
    let kubeconfig = doctor::kubeconfig(cluster, cluster.api_port());
    let role = cluster.get(&["clusterrole", ACCOUNT]);
    for right in granted(&role) {
        cluster.apply(&without(&role, Some(&right)).to_string());
        let resource = if right.group.is_empty() {
            right.resource.clone()
        } else {
            format!("{}.{}", right.resource, right.group)
        };
        until(
            &format!("{right} is taken away"),
            Duration::from_secs(30),
            || (!chapters::may(cluster, &right.verb, &resource)).then_some(()),
        );
        let (_collector, port) = collect(cluster, "fewer", "0");
        let _agent = report(cluster, &node, &kubeconfig, port, "2s");
        // A watch that may not begin leaves what was listed, until it is too old to be judged by.
        until(
            &format!("a gap names {right}"),
            Duration::from_secs(100),
            || {
                everything(port, &node)
                    .contains(&right.to_string())
                    .then_some(())
            },
        );
        let seen = ask(port, &["status"]).unwrap();
        let others: Vec<String> = gaps(&seen)
            .into_iter()
            .filter(|gap| gap.contains("the right is missing") && !gap.contains(&right.to_string()))
            .collect();
        assert!(others.is_empty(), "without {right} also: {others:?}");
        println!("   without {right}: said so; {}", rest(&seen));
    }
    cluster.apply(&without(&role, None).to_string());
    until("the rights are back", Duration::from_secs(30), || {
        chapters::may(cluster, "list", "pods").then_some(())
    });
}

/// All that a person can read about the node and its volumes.
fn everything(port: u16, node: &Node) -> String {
    let volumes =
        (0..2).map(|index| doctor::tell(port, &["describe", "volume", node.claim(index)]));
    volumes.chain([doctor::tell(port, &["status"])]).collect()
}

fn rest(status: &Value) -> String {
    format!(
        "{} volumes, {} drivers",
        status["volumes"], status["drivers"]
    )
}

fn gaps(status: &Value) -> Vec<String> {
    let gaps = status["gaps"].as_array().into_iter().flatten();
    gaps.map(ToString::to_string).collect()
}

/// The role without one right, or whole.
fn without(role: &Value, right: Option<&Right>) -> Value {
    let mut rules = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        let mut kept = rule.clone();
        if let Some(right) = right
            && kept["apiGroups"] == json!([right.group])
            && kept["resources"] == json!([right.resource])
            && let Some(verbs) = kept["verbs"].as_array_mut()
        {
            verbs.retain(|verb| *verb != right.verb.as_str());
        }
        if kept["verbs"]
            .as_array()
            .is_some_and(|verbs| !verbs.is_empty())
        {
            rules.push(kept);
        }
    }
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": role["metadata"]["name"], "labels": role["metadata"]["labels"]}, "rules": rules})
}
