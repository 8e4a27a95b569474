//! Objects and events of the real controllers: what the collector holds and shows is what `kubectl` shows.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use csi_doctor::join;
use csi_doctor::kubernetes::client;
use csi_doctor::kubernetes::cluster::Cluster as Eyes;
use csi_doctor::kubernetes::manifests::Directory;
use csi_doctor::model::objects::{Claim, Objects};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::cluster::Cluster;
use crate::doctor::{by_caller, collect_with, findings, kubeconfig, kubeconfig_of, report, tell};
use crate::node::{Node, common};
use crate::until;

const ACCOUNT: &str = "csi-doctor-collector";

/// How much later than `kubectl` the collector may know.
const LATE: Duration = Duration::from_secs(1);

/// The collector's eyes, opened in this process with the collector's token.
struct Seen {
    _runtime: Runtime,
    eyes: Eyes,
}

pub(super) fn what_the_controllers_make(cluster: &Cluster) {
    let kubeconfig = kubeconfig_of(cluster, ACCOUNT, cluster.api_port());
    let runtime = Runtime::new().unwrap();
    let guard = runtime.enter();
    let client = runtime
        .block_on(client::connect(Some(&kubeconfig), "e2e"))
        .unwrap();
    let eyes = Eyes::watch(&client);
    drop(guard);
    let seen = Seen {
        _runtime: runtime,
        eyes,
    };
    until("all kinds are listed", Duration::from_secs(30), || {
        seen.eyes.objects().gaps().is_empty().then_some(())
    });
    let (_collector, port) = collect_with(cluster, "objects", "0", &kubeconfig);

    a_class_that_does_not_exist(cluster, &seen);
    a_lost_volume(cluster, &seen);
    a_first_consumer(cluster, &seen);
    a_left_over_attachment(cluster, &seen);
    a_node_taken_out(cluster, port);
    an_expansion_that_nobody_serves(cluster, port);
    a_caller_with_the_api_alone(cluster);
    files_and_server_are_one(cluster, &seen);
}

/// Waits until `kubectl` shows it, and says how much later it was known.
fn known(what: &str, mut shown: impl FnMut() -> bool, knows: impl Fn() -> bool + Sync) {
    let (shown, known) = std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let deadline = Instant::now() + Duration::from_mins(1);
            while !knows() {
                assert!(Instant::now() < deadline, "never known: {what}");
                std::thread::sleep(Duration::from_millis(5));
            }
            Instant::now()
        });
        until(what, Duration::from_mins(1), || shown().then_some(()));
        let shown = Instant::now();
        (shown, waits.join().unwrap())
    });
    let late = known.saturating_duration_since(shown);
    println!("   {what}: {} ms after kubectl shows it", late.as_millis());
    assert!(late <= LATE, "{what}: {late:?}");
}

impl Seen {
    fn claim(&self, name: &str) -> Option<Claim> {
        let claims = self.eyes.objects().claims.items;
        let found = claims.into_iter().find(|one| one.claim.name == name);
        found.map(Arc::unwrap_or_clone)
    }

    /// Whether somebody said this of a claim.
    fn heard(&self, claim: &str, reason: &str) -> bool {
        let events = self.eyes.objects().events.items;
        let mut said = events.iter().filter(|one| one.about.name() == claim);
        said.any(|one| one.reason == reason)
    }
}

/// Whether `kubectl` shows that somebody said this of a claim.
fn said(cluster: &Cluster, claim: &str, reason: &str) -> bool {
    let of = format!("involvedObject.name={claim}");
    let events = cluster.get(&["events", "-n", "shop", "--field-selector", &of]);
    let mut events = events["items"].as_array().unwrap().iter();
    events.any(|one| one["reason"] == reason)
}

fn claim(cluster: &Cluster, name: &str) -> Value {
    cluster.get(&["pvc", name, "-n", "shop"])
}

fn a_class_that_does_not_exist(cluster: &Cluster, seen: &Seen) {
    cluster.apply(&common("objects"));
    cluster.apply(&unbound("classless", "nowhere"));
    known(
        "a claim whose class does not exist",
        || said(cluster, "classless", "ProvisioningFailed"),
        || seen.heard("classless", "ProvisioningFailed"),
    );
    assert_eq!(claim(cluster, "classless")["status"]["phase"], "Pending");
    let known = seen.claim("classless").unwrap();
    assert!(!known.bound && known.class == Some("nowhere".into()));
    let classes = seen.eyes.objects().classes;
    assert!(classes.is_complete() && !classes.items.iter().any(|one| one.name == "nowhere".into()));
}

fn a_lost_volume(cluster: &Cluster, seen: &Seen) {
    bound_claim(cluster, "lost");
    let none = json!({"metadata": {"finalizers": null}}).to_string();
    cluster.kubectl(&["delete", "pv", "lost", "--wait=false"]);
    cluster.kubectl(&["patch", "pv", "lost", "--type=merge", "-p", &none]);
    known(
        "a claim bound to a lost volume",
        || claim(cluster, "lost")["status"]["phase"] == "Lost",
        || {
            let volumes = seen.eyes.objects().volumes.items;
            let gone = !volumes.iter().any(|one| one.name == "lost".into());
            gone && seen
                .claim("lost")
                .is_some_and(|one| !one.bound && one.volume == Some("lost".into()))
        },
    );
}

fn a_first_consumer(cluster: &Cluster, seen: &Seen) {
    cluster.apply(
        "---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: late}
provisioner: disk.example.com
volumeBindingMode: WaitForFirstConsumer
",
    );
    cluster.apply(&unbound("waits", "late"));
    known(
        "a claim that waits for its first consumer",
        || said(cluster, "waits", "WaitForFirstConsumer"),
        || seen.heard("waits", "WaitForFirstConsumer"),
    );
    // A pod that no node can take: the claim goes on waiting, and the pod with it.
    cluster.apply(
        "---
apiVersion: v1
kind: Pod
metadata: {name: waits, namespace: shop}
spec:
  nodeSelector: {nowhere: 'true'}
  containers: [{name: main, image: 'app:1'}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: waits}}]
",
    );
    known(
        "a pod that waits with it",
        || cluster.get(&["pod", "waits", "-n", "shop"])["status"]["phase"] == "Pending",
        || {
            let pods = seen.eyes.objects().pods.items;
            pods.iter()
                .any(|one| one.pod.name == "waits" && one.node.is_none())
        },
    );
}

fn a_left_over_attachment(cluster: &Cluster, seen: &Seen) {
    let node = Node::make(cluster, "left-over", 1);
    let volume = node.claim(0).to_owned();
    let attachments = cluster.get(&["volumeattachments"]);
    let mut items = attachments["items"].as_array().unwrap().iter();
    let ours = items.find(|one| one["spec"]["source"]["persistentVolumeName"] == volume.as_str());
    let name = ours.unwrap()["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    // As an attacher does that is then not there any more.
    let held =
        json!({"metadata": {"finalizers": ["external-attacher/disk-example-com"]}}).to_string();
    cluster.kubectl(&[
        "patch",
        "volumeattachment",
        &name,
        "--type=merge",
        "-p",
        &held,
    ]);
    cluster.kubectl(&["delete", "pod", &volume, "-n", "shop", "--force"]);
    known(
        "an attachment left over after its pod",
        || {
            let pods = cluster.try_kubectl(&["get", "pod", &volume, "-n", "shop"]);
            let attachment = cluster.try_kubectl(&["get", "volumeattachment", &name]);
            pods.is_err() && attachment.is_ok()
        },
        || {
            let objects = seen.eyes.objects();
            let pod = objects.pods.items.iter().any(|one| one.pod.name == volume);
            let mut attachments = objects.attachments.items.iter();
            !pod && attachments.any(|one| one.name == name && one.attached)
        },
    );
    let none = json!({"metadata": {"finalizers": null}}).to_string();
    cluster.kubectl(&[
        "patch",
        "volumeattachment",
        &name,
        "--type=merge",
        "-p",
        &none,
    ]);
}

/// Its agent ends with it: nobody is to be called for that.
fn a_node_taken_out(cluster: &Cluster, port: u16) {
    let node = Node::make(cluster, "taken-out", 1);
    let own = kubeconfig(cluster, cluster.api_port());
    let agent = report(cluster, &node, &own, port, "1s");
    let listed = || tell(port, &["get", "nodes"]).contains(&node.name);
    until("the node is heard", Duration::from_secs(30), || {
        listed().then_some(())
    });
    drop(agent);
    let silent = || {
        let nodes = tell(port, &["get", "nodes"]);
        nodes
            .lines()
            .any(|line| line.contains(&node.name) && line.contains("silent"))
    };
    until("the node is silent", Duration::from_secs(30), || {
        silent().then_some(())
    });
    cluster.kubectl(&["delete", "node", &node.name]);
    let begun = Instant::now();
    until("the node is forgotten", Duration::from_secs(30), || {
        (!listed()).then_some(())
    });
    println!(
        "   a silent node without its Node object was forgotten after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
}

fn an_expansion_that_nobody_serves(cluster: &Cluster, port: u16) {
    bound_claim(cluster, "served-by-none");
    let found = |wanted: &str| {
        let mut found = findings(port).into_iter();
        found.any(|[code, subject, _]| code == wanted && subject.contains("served-by-none"))
    };
    let phase = |field: &str| {
        claim(cluster, "served-by-none")["spec"]["resources"]["requests"]["storage"] == field
    };
    enlarge(cluster, "served-by-none");
    known(
        "an expansion asked of a driver that nobody serves",
        || phase("2Gi"),
        || found("ResizerMissing"),
    );
    // What a resizer says when it begins.
    let resizing = json!({"conditions": [{"type": "Resizing", "status": "True",
        "lastTransitionTime": jiff::Timestamp::now().strftime("%FT%TZ").to_string()}]});
    cluster.patch_status(&["pvc", "served-by-none", "-n", "shop"], &resizing);
    known(
        "the same once a resizer has begun",
        || !claim(cluster, "served-by-none")["status"]["conditions"].is_null(),
        || found("ControllerExpansionPending") && !found("ResizerMissing"),
    );
    cluster.patch_status(
        &["pvc", "served-by-none", "-n", "shop"],
        &json!({"conditions": null, "capacity": {"storage": "2Gi"}}),
    );
    known(
        "the same once it is done",
        || claim(cluster, "served-by-none")["status"]["capacity"]["storage"] == "2Gi",
        || !found("ControllerExpansionPending"),
    );
}

/// The command line without a collector: with all rights, and with those of a namespace alone.
fn a_caller_with_the_api_alone(cluster: &Cluster) {
    bound_claim(cluster, "asked-for");
    enlarge(cluster, "asked-for");
    let admin = cluster.dir().join("admin.kubeconfig");
    let words = ["diagnose", "pvc", "asked-for", "-n", "shop"];
    let (text, code) = by_caller(&admin, &words);
    assert!(text.contains("ResizerMissing") && code == Some(1), "{text}");

    let version = "rbac.authorization.k8s.io/v1";
    let items = json!([
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "owner", "namespace": "csi-doctor"}},
        {"apiVersion": version, "kind": "RoleBinding", "metadata": {"name": "owner", "namespace": "shop"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", "name": "owner", "namespace": "csi-doctor"}]},
    ]);
    cluster.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
    let owner = kubeconfig_of(cluster, "owner", cluster.api_port());
    let gap = "a role must grant the verb get on persistentvolumes";
    until("the owner's rights hold", Duration::from_secs(30), || {
        let (text, code) = by_caller(&owner, &words);
        (text.contains(gap) && text.contains("Binding of claim") && code == Some(0)).then_some(())
    });
    println!("   diagnose by the API alone: the finding; of the owner of a namespace: {gap}");
}

/// What `kubectl get -o yaml` writes of the same cluster gives the same objects and facts.
fn files_and_server_are_one(cluster: &Cluster, seen: &Seen) {
    let directory = cluster.dir().join("objects");
    fs::create_dir_all(&directory).unwrap();
    let kinds =
        "pods,persistentvolumeclaims,persistentvolumes,volumeattachments,storageclasses,events";
    let differs = || {
        let all = cluster.kubectl(&["get", kinds, "-A", "-o", "yaml"]);
        fs::write(directory.join("all.yaml"), all).unwrap();
        let files = Directory::new(directory.clone()).read();
        let [files, server] = [files, seen.eyes.objects()].map(told);
        let differing = files
            .lines()
            .zip(server.lines())
            .find(|(file, server)| file != server);
        let differing = differing.map(|(file, server)| format!("{file}\n{server}"));
        differing.or_else(|| (files != server).then(|| "one is longer".to_owned()))
    };
    // Controllers may be writing events at this moment.
    let mut last = None;
    for _ in 0..5 {
        last = differs();
        if last.is_none() {
            break;
        }
    }
    assert_eq!(last, None);
    let objects = seen.eyes.objects();
    println!("   files and server give the same: {:?}", objects.counts());
}

/// Objects and the facts made of them, one a line.
fn told(mut objects: Objects) -> String {
    objects.pods.items.retain(|pod| !pod.volumes.is_empty());
    for pod in &mut objects.pods.items {
        pod.terms = None;
        for volume in &mut pod.volumes {
            volume.places.clear();
        }
    }
    let about_claims = |kind: &str| kind == "claim";
    objects
        .events
        .items
        .retain(|one| about_claims(one.about.kind()));
    let mut lines: Vec<String> = Vec::new();
    lines.extend(objects.pods.items.iter().map(|one| format!("{one:?}")));
    lines.extend(objects.claims.items.iter().map(|one| format!("{one:?}")));
    lines.extend(objects.volumes.items.iter().map(|one| format!("{one:?}")));
    lines.extend(objects.classes.items.iter().map(|one| format!("{one:?}")));
    lines.extend(
        objects
            .attachments
            .items
            .iter()
            .map(|one| format!("{one:?}")),
    );
    lines.extend(objects.events.items.iter().map(|one| format!("{one:?}")));
    lines.sort();
    let facts = join::cluster(&objects, &BTreeSet::new(), jiff::Timestamp::UNIX_EPOCH);
    lines.extend(facts.volumes.items.iter().map(|one| format!("{one:?}")));
    lines.join("\n")
}

fn unbound(name: &str, class: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}, namespace: shop}}
spec:
  accessModes: [ReadWriteOnce]
  resources: {{requests: {{storage: 1Gi}}}}
  storageClassName: {class}
"
    )
}

/// A claim that the real controllers have bound, and that no pod uses.
pub(super) fn bound_claim(cluster: &Cluster, name: &str) {
    cluster.apply(&common("objects"));
    cluster.apply(&format!(
        "---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}}}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {{storage: 1Gi}}
  claimRef: {{namespace: shop, name: {name}}}
  csi: {{driver: disk.example.com, volumeHandle: {name}}}
  storageClassName: fast
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}, namespace: shop}}
spec:
  accessModes: [ReadWriteOnce]
  resources: {{requests: {{storage: 1Gi}}}}
  storageClassName: fast
  volumeName: {name}
"
    ));
    until(
        &format!("claim {name} is bound"),
        Duration::from_mins(1),
        || (claim(cluster, name)["status"]["phase"] == "Bound").then_some(()),
    );
}

/// Asks for more.
pub(super) fn enlarge(cluster: &Cluster, name: &str) {
    let more = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}}).to_string();
    cluster.kubectl(&[
        "patch",
        "pvc",
        name,
        "-n",
        "shop",
        "--type=merge",
        "-p",
        &more,
    ]);
}
