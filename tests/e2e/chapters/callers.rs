//! Each command that asks the API server itself, by callers who may less and less: what is missing is
//! named, the rest is shown, and who may nothing is told so.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::chapters::objects;
use crate::cluster::Cluster;
use crate::doctor::{by_caller, kubeconfig_of};
use crate::until;

/// A claim that is bound, and one that is not.
const BOUND: &str = "of-callers";
const PENDING: &str = "of-callers-pending";
/// What is said of a right that is missing.
const DENIED: &str = "a role must grant";

pub(super) fn each_command_with_less_and_less(cluster: &Cluster) {
    objects::bound_claim(cluster, BOUND);
    cluster.apply(&pending().to_string());
    cluster.apply(&user(BOUND).to_string());
    the_administrator(&cluster.dir().join("admin.kubeconfig"));
    the_owner_of_a_namespace(cluster);
    somebody_without_rights(cluster);
    tokens_that_are_not_taken(cluster);
}

fn the_administrator(kubeconfig: &Path) {
    let expect = |words: &[&str], code, has: &[&str]| says(kubeconfig, words, code, has, &[DENIED]);
    let nothing_missing = "no collector was asked";
    expect(&["report"], 0, &[BOUND, PENDING, nothing_missing]);
    let json = &["report", "-A", "-o", "json"];
    expect(json, 0, &[BOUND, "\"kind\": \"Report\""]);
    expect(&["report", "-n", "kube-system"], 0, &["None."]);
    for named in [["pvc", BOUND], ["pod", BOUND], ["pv", BOUND]] {
        expect(
            &["diagnose", named[0], named[1], "-n", "shop"],
            -1,
            &[BOUND],
        );
    }
    let pending = format!("pvc/{PENDING}");
    let wanted = ["StorageClassNotFound"];
    expect(&["diagnose", &pending, "-n", "shop"], -1, &wanted);
    let absent = "there is no claim not-there in namespace shop";
    expect(
        &["diagnose", "pvc", "not-there", "-n", "shop"],
        2,
        &[absent],
    );
    println!("   the administrator: report and diagnose pvc, pod and pv in full");
}

fn the_owner_of_a_namespace(cluster: &Cluster) {
    let kubeconfig = account(cluster, "owner-of-shop", Some("shop"));
    let volumes = "a role must grant the verb list on persistentvolumes";
    let classes = "a role must grant the verb list on storageclasses.storage.k8s.io";
    let claims = "a role must grant the verb list on persistentvolumeclaims";
    until("the owner's rights hold", Duration::from_secs(30), || {
        let (text, code) = by_caller(&kubeconfig, &["report", "-n", "shop"]);
        (code == Some(0) && text.contains(BOUND)).then_some(())
    });
    let expect = |words: &[&str], code, has: &[&str], lacks: &[&str]| {
        says(&kubeconfig, words, code, has, lacks);
    };
    let all = [BOUND, PENDING, volumes, classes];
    for form in ["table", "wide", "json", "markdown", "html"] {
        expect(&["report", "-n", "shop", "-o", form], 0, &all, &[]);
    }
    // All namespaces are more than one.
    let narrower = "names it: -n NAMESPACE";
    expect(&["report"], 2, &[claims, narrower], &[BOUND]);
    let everywhere = ["diagnose", "pvc", BOUND, "-A"];
    expect(&everywhere, 2, &[claims, narrower], &[]);
    let pending = ["diagnose", "pvc", PENDING, "-n", "shop"];
    // Whether there is such a class is not known, and so nothing is found.
    let lacks = ["StorageClassNotFound", "✗"];
    expect(&pending, 0, &[PENDING, volumes, classes], &lacks);
    let get = "a role must grant the verb get on persistentvolumes";
    for kind in ["pvc", "pod"] {
        let words = ["diagnose", kind, BOUND, "-n", "shop"];
        expect(&words, -1, &["✓ claim exists", BOUND, get], &[]);
    }
    expect(&["diagnose", "pv", BOUND], 2, &[get], &[]);
    println!("   the owner of a namespace: its claims and pods are told, and that {volumes}");
}

fn somebody_without_rights(cluster: &Cluster) {
    let kubeconfig = account(cluster, "nobody", None);
    let missing = |kind: &str, verb| format!("a role must grant the verb {verb} on {kind}");
    let claims = missing("persistentvolumeclaims", "list");
    let pods = missing("pods", "list");
    let volumes = missing("persistentvolumes", "get");
    for (words, wanted) in [
        (&["report"][..], &claims),
        (&["report", "-n", "shop"], &claims),
        (&["report", "-o", "json"], &claims),
        (&["diagnose", "pvc", BOUND, "-n", "shop"], &claims),
        (&["diagnose", "pvc", BOUND, "-A"], &claims),
        (
            &["diagnose", "pod", BOUND, "-n", "shop", "-o", "json"],
            &pods,
        ),
        (&["diagnose", "pv", BOUND], &volumes),
    ] {
        in_one_line(&kubeconfig, words, &[wanted]);
    }
    println!("   somebody without rights: exit 2, and one line that names the verb");
}

fn tokens_that_are_not_taken(cluster: &Cluster) {
    let expired = cluster.dir().join("expired.token");
    fs::write(&expired, expired_token(cluster)).unwrap();
    let invented = cluster.dir().join("invented.token");
    fs::write(&invented, "no-such-token").unwrap();
    for (name, token) in [("expired", &expired), ("invented", &invented)] {
        let kubeconfig = cluster.kubeconfig(name, cluster.api_port(), token);
        for words in [
            &["report"][..],
            &["diagnose", "pvc", BOUND, "-n", "shop"],
            &["diagnose", "pod", BOUND, "-n", "shop"],
            &["diagnose", "pv", BOUND],
        ] {
            let has = [
                "does not accept our token",
                "may have expired; get a new one",
            ];
            in_one_line(&kubeconfig, words, &has);
        }
    }
    println!("   an expired token, and one that nobody gave: exit 2, one line");
}

/// It could not be asked, and one line says why.
fn in_one_line(kubeconfig: &Path, words: &[&str], has: &[&str]) {
    let text = says(kubeconfig, words, 2, has, &[PENDING]);
    assert_eq!(text.lines().count(), 1, "{words:?}: {text}");
}

/// Runs the command line; its words, and that its exit code is this (-1: either of 0 and 1).
fn says(kubeconfig: &Path, words: &[&str], code: i32, has: &[&str], lacks: &[&str]) -> String {
    let (text, ended) = by_caller(kubeconfig, words);
    let ended = ended.unwrap();
    assert!(
        ended == code || code == -1 && (0..2).contains(&ended),
        "{words:?}: exit {ended}: {text}"
    );
    for wanted in has {
        assert!(text.contains(wanted), "{words:?}: no {wanted} in {text}");
    }
    for unwanted in lacks {
        assert!(!text.contains(unwanted), "{words:?}: {unwanted} in {text}");
    }
    text
}

fn pending() -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": PENDING, "namespace": "shop"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "no-such-class",
            "resources": {"requests": {"storage": "1Gi"}}}})
}

/// A pod on a node that uses a claim of its own name.
fn user(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"nodeName": "objects", "containers": [{"name": "main", "image": "app:1"}],
            "tolerations": [{"operator": "Exists"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]}})
}

/// A service account, with the rights to view a namespace or with none.
fn account(cluster: &Cluster, name: &str, namespace: Option<&str>) -> PathBuf {
    let group = "rbac.authorization.k8s.io";
    let mut items = vec![json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": "csi-doctor"}})];
    if let Some(namespace) = namespace {
        items.push(
            json!({"apiVersion": format!("{group}/v1"), "kind": "RoleBinding",
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "csi-doctor"}]}),
        );
    }
    cluster.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
    kubeconfig_of(cluster, name, cluster.api_port())
}

/// A token that the cluster gave, but for its times, signed with the cluster's own key.
fn expired_token(cluster: &Cluster) -> String {
    let token = cluster.kubectl(&["create", "token", "nobody", "-n", "csi-doctor"]);
    let mut parts = token.trim().split('.');
    let header = parts.next().unwrap().to_owned();
    let claims = openssl(
        &["base64", "-d", "-A"],
        standard(parts.next().unwrap()).as_bytes(),
    );
    let mut claims: Value = serde_json::from_slice(&claims).unwrap();
    let now = claims["iat"].as_i64().unwrap();
    claims["iat"] = (now - 7200).into();
    claims["nbf"] = (now - 7200).into();
    claims["exp"] = (now - 3600).into();
    let signed = format!("{header}.{}", encoded(claims.to_string().as_bytes()));
    let key = cluster.dir().join("accounts.key").display().to_string();
    let signature = openssl(&["dgst", "-sha256", "-sign", &key], signed.as_bytes());
    format!("{signed}.{}", encoded(&both_numbers(&signature)))
}

/// The two numbers of an elliptic curve's signature as tokens have them, of 32 bytes each.
fn both_numbers(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let (head, after) = rest.split_at(2);
        let (number, after) = after.split_at(head[1].into());
        let digits = number.iter().position(|byte| *byte != 0).unwrap();
        numbers.extend(vec![0; 32 - (number.len() - digits)]);
        numbers.extend(&number[digits..]);
        rest = after;
    }
    numbers
}

fn encoded(bytes: &[u8]) -> String {
    let text = String::from_utf8(openssl(&["base64", "-A"], bytes)).unwrap();
    let text = text.replace('+', "-").replace('/', "_");
    text.trim_end_matches('=').to_owned()
}

/// The alphabet that openssl reads.
fn standard(part: &str) -> String {
    let mut text = part.replace('-', "+").replace('_', "/");
    while !text.len().is_multiple_of(4) {
        write!(text, "=").unwrap();
    }
    text
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    output.stdout
}
