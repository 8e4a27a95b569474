//! The collector with only the token that it is shipped with: what it asks, what it lacks, what it shows.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::audit::{Right, granted, requests};
use crate::chapters::objects;
use crate::chapters::rights::named;
use crate::cluster::Cluster;
use crate::doctor::{ask, collect_with, findings, kubeconfig_of};
use crate::until;

const ACCOUNT: &str = "csi-doctor-collector";

/// What was listed is fresh for so long without a watch (`src/kubernetes/index.rs`), and some more.
const STALE: Duration = Duration::from_secs(100);

pub(super) fn all_that_is_granted_is_used(cluster: &Cluster) {
    objects::bound_claim(cluster, "granted");
    objects::enlarge(cluster, "granted");
    let kubeconfig = kubeconfig_of(cluster, ACCOUNT, cluster.api_port());
    let (_collector, port) = collect_with(cluster, "granted", "0", &kubeconfig);
    until("the claim is found", Duration::from_mins(1), || {
        let mut found = findings(port).into_iter();
        found
            .any(|[code, subject, _]| code == "ResizerMissing" && subject.contains("granted"))
            .then_some(())
    });
    let granted = reading(granted(&cluster.get(&["clusterrole", ACCOUNT])));
    let used = || {
        let asked = requests(cluster, ACCOUNT);
        reading(asked.into_iter().map(|one| one.right).collect())
    };
    until("every right was used", Duration::from_secs(30), || {
        (used().len() >= granted.len()).then_some(())
    });
    assert_eq!(used(), granted, "used:{}", named(&used()));
    let asked = requests(cluster, ACCOUNT);
    // An Event into a namespace that goes is refused, whatever the rights.
    let reading = asked.iter().filter(|one| one.right.verb != "create");
    let forbidden: Vec<_> = reading.filter(|one| one.code >= 400).collect();
    assert!(forbidden.is_empty(), "asked for and refused: {forbidden:?}");
    assert_eq!(gaps(port), Vec::<String>::new());
    println!(
        "   {} requests, none refused; {} rights granted, each used:{}",
        asked.len(),
        granted.len(),
        named(&granted)
    );
}

/// The rights to read; whether the one to write was used here yet is a matter of moments, and the
/// chapter about Events waits for it.
fn reading(mut rights: BTreeSet<Right>) -> BTreeSet<Right> {
    rights.retain(|right| right.verb != "create");
    rights
}

/// One collector for each right, with an account of its own that lacks it.
pub(super) fn without_one_the_rest_goes_on(cluster: &Cluster) {
    let role = cluster.get(&["clusterrole", ACCOUNT]);
    let rights: Vec<Right> = reading(granted(&role)).into_iter().collect();
    let mut collectors = Vec::new();
    for (index, right) in rights.iter().enumerate() {
        let name = format!("fewer-{index}");
        cluster.apply(&account(&name, &role, right).to_string());
        let account = format!("--as=system:serviceaccount:csi-doctor:{name}");
        let other = rights.iter().find(|one| *one != right).unwrap();
        until("the account's rights hold", Duration::from_secs(30), || {
            let resource = format!("{}.{}", other.resource, other.group);
            let resource = resource.trim_end_matches('.');
            let words = ["auth", "can-i", &other.verb, resource, "-A", &account];
            cluster.try_kubectl(&words).ok()
        });
        let kubeconfig = kubeconfig_of(cluster, &name, cluster.api_port());
        collectors.push(collect_with(cluster, &name, "0", &kubeconfig));
    }
    for (right, (_, port)) in rights.iter().zip(&collectors) {
        let own = until(&format!("a gap names {right}"), STALE, || {
            let gaps = gaps(*port);
            gaps.iter()
                .any(|gap| gap.contains(&right.to_string()))
                .then_some(gaps)
        });
        assert_eq!(own.len(), 1, "without {right} also: {own:?}");
        let status = ask(*port, &["status"]).unwrap();
        println!(
            "   without {right}: said so; {} settling, {} unconfirmed",
            status["findings"]["settling"], status["findings"]["unconfirmed"]
        );
    }
}

/// A service account with the shipped role but for one right.
fn account(name: &str, role: &Value, without: &Right) -> Value {
    let mut rules = role["rules"].clone();
    for rule in rules.as_array_mut().unwrap() {
        if rule["apiGroups"] == json!([without.group])
            && rule["resources"] == json!([without.resource])
        {
            let verbs = rule["verbs"].as_array_mut().unwrap();
            verbs.retain(|verb| *verb != without.verb.as_str());
        }
    }
    let group = "rbac.authorization.k8s.io";
    let version = format!("{group}/v1");
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "csi-doctor"}},
        {"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        {"apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "csi-doctor"}]},
    ]})
}

/// What the collector could not see of the cluster.
fn gaps(port: u16) -> Vec<String> {
    let status = until("the collector answers", Duration::from_secs(10), || {
        ask(port, &["status"])
    });
    let gaps = status["clusterGaps"].as_array().unwrap().iter();
    gaps.map(|gap| gap.as_str().unwrap().to_owned()).collect()
}
