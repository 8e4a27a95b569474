//! Pods that use volumes in every way come, restart, move on and go: nothing opens, nothing stays unknown.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::Real;
use super::machine::{BUSYBOX, DRIVER, FRAIL, images};
use super::storage::{Claim, NAMESPACE, ask_for, idle, make_namespace, pod, pod_spec, wait_for};
use crate::until;

/// For how long nothing may open: longer than most scaled graces, and several scans.
const QUIET: Duration = Duration::from_secs(20);

/// Those of the claims below, of the StatefulSet's two, of the generic and of the inline one.
const VOLUMES: u64 = 13;

/// It is larger in the end than at the start.
const GROWN: Claim<'_> = Claim {
    driver: DRIVER,
    kind: "xfs",
    mebibytes: 320,
    mode: "ReadWriteOnce",
    name: "grown",
};

/// The pods that run until they are deleted.
const LASTING: [&str; 11] = [
    "plain", "grown", "raw", "sub", "reader", "prepared", "shared-a", "shared-b", "inline",
    "generic", "frail",
];

pub(super) fn nothing_opens(real: &Real<'_>) {
    let (cluster, doctor, machine) = (real.cluster, &real.doctor, &real.machine);
    make_namespace(real);
    for claim in claims() {
        claim.make(cluster);
    }
    cluster.apply(&GROWN.order().to_string());
    for pod in pods() {
        cluster.apply(&pod.to_string());
    }
    for object in [job(), stateful_set()] {
        cluster.apply(&object.to_string());
    }
    let still = machine.static_pods().join("still.json");
    fs::write(&still, in_a_file().to_string()).unwrap();
    let all = LASTING
        .iter()
        .copied()
        .chain(["db-0", "db-1", "still-node-1"]);
    for name in all {
        wait_for(cluster, name, "Running");
    }
    until("the job is done", Duration::from_mins(1), || {
        let job = cluster.get(&["job", "once", "-n", NAMESPACE]);
        (job["status"]["succeeded"] == 1).then_some(())
    });
    doctor.stays_quiet("after creation", VOLUMES, QUIET);
    doctor.note(cluster, "healthy");

    ask_for(cluster, GROWN.name, 640);
    until("the claim has grown", Duration::from_mins(2), || {
        let claim = cluster.get(&["pvc", GROWN.name, "-n", NAMESPACE]);
        (claim["status"]["capacity"]["storage"] == "640Mi").then_some(())
    });
    doctor.stays_quiet("after an expansion", VOLUMES, QUIET);

    cluster.kubectl(&["delete", "pod", "db-0", "-n", NAMESPACE]);
    wait_for(cluster, "db-0", "Running");
    // Its only process ends, and the kubelet starts another.
    let restarted = cluster.get(&["pod", "plain", "-n", NAMESPACE]);
    cluster.kubectl(&[
        "exec", "plain", "-n", NAMESPACE, "--", "busybox", "kill", "1",
    ]);
    until(
        "the container was restarted",
        Duration::from_mins(1),
        || {
            let now = cluster.get(&["pod", "plain", "-n", NAMESPACE]);
            let count =
                |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"].as_u64();
            (count(&now) > count(&restarted)).then_some(())
        },
    );
    wait_for(cluster, "plain", "Running");
    doctor.stays_quiet("after restarts", VOLUMES, QUIET);

    machine.restart_kubelet();
    doctor.stays_quiet("after a restart of the kubelet", VOLUMES, QUIET);
    machine.restart_driver(DRIVER);
    machine.restart_driver(FRAIL);
    doctor.stays_quiet("after a roll-out of the drivers", VOLUMES, QUIET);

    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": "grown", "namespace": NAMESPACE}});
    let file = cluster.dir().join("eviction.json");
    fs::write(&file, eviction.to_string()).unwrap();
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/grown/eviction");
    cluster.kubectl(&["create", "--raw", &path, "-f", &file.display().to_string()]);
    fs::remove_file(&still).unwrap();
    cluster.kubectl(&["delete", "statefulset", "db", "-n", NAMESPACE]);
    cluster.kubectl(&["delete", "job", "once", "-n", NAMESPACE]);
    let pods: Vec<&str> = ["delete", "pod", "-n", NAMESPACE, "--ignore-not-found"]
        .into_iter()
        .chain(LASTING)
        .collect();
    cluster.kubectl(&pods);
    until("all pods are gone", Duration::from_mins(2), || {
        let pods = cluster.get(&["pods", "-n", NAMESPACE]);
        pods["items"].as_array().unwrap().is_empty().then_some(())
    });
    // The generic one went with its pod.
    let claims = ["grown", "data-db-0", "data-db-1"];
    cluster.kubectl(&[&["delete", "pvc", "-n", NAMESPACE][..], &claims].concat());
    until(
        "the driver's volumes are gone",
        Duration::from_mins(1),
        || {
            let mut left = fs::read_dir(images(DRIVER)).unwrap().flatten();
            let made = |name: &str| name.starts_with("pvc-");
            (!left.any(|one| made(&one.file_name().to_string_lossy()))).then_some(())
        },
    );
    doctor.stays_quiet("after deletion", 0, QUIET);
}

fn claims() -> Vec<Claim<'static>> {
    let shared = "ReadWriteMany";
    vec![
        Claim::new("plain"),
        Claim {
            kind: "block",
            ..Claim::new("raw")
        },
        Claim::new("sub"),
        Claim::new("reader"),
        Claim::new("prepared"),
        Claim {
            mode: shared,
            ..Claim::new("shared")
        },
        Claim::new("once"),
        Claim {
            driver: FRAIL,
            ..Claim::new("frail")
        },
    ]
}

fn pods() -> Vec<Value> {
    let with = |claim: &str, change: &dyn Fn(&mut Value)| {
        let mut spec = pod_spec(claim);
        change(&mut spec);
        spec
    };
    let raw = with("raw", &|spec| {
        spec["containers"][0]["volumeMounts"] = Value::Null;
        spec["containers"][0]["volumeDevices"] =
            json!([{"name": "data", "devicePath": "/dev/xvda"}]);
    });
    let sub = with("sub", &|spec| {
        spec["containers"][0]["volumeMounts"][0]["subPath"] = "part/of/it".into();
    });
    let reader = with("reader", &|spec| {
        spec["containers"][0]["volumeMounts"][0]["readOnly"] = true.into();
        spec["volumes"][0]["persistentVolumeClaim"]["readOnly"] = true.into();
    });
    let prepared = with("prepared", &|spec| {
        spec["initContainers"] = json!([{"name": "before", "image": BUSYBOX,
            "command": ["busybox", "sh", "-c", "echo ready > /data/ready"],
            "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]);
    });
    let generic = with("unused", &|spec| {
        spec["volumes"][0] = json!({"name": "data", "ephemeral": {"volumeClaimTemplate": {
            "spec": Claim::new("generic-data").spec()}}});
    });
    vec![
        pod("plain", &pod_spec("plain")),
        pod("grown", &pod_spec("grown")),
        pod("raw", &raw),
        pod("sub", &sub),
        pod("reader", &reader),
        pod("prepared", &prepared),
        pod("shared-a", &pod_spec("shared")),
        pod("shared-b", &pod_spec("shared")),
        inline("inline"),
        pod("generic", &generic),
        pod("frail", &pod_spec("frail")),
    ]
}

/// A static pod: the kubelet takes none that names a claim or a CSI driver.
fn in_a_file() -> Value {
    let mut spec = pod_spec("unused");
    spec["volumes"][0] = json!({"name": "data", "emptyDir": {}});
    pod("still", &spec)
}

/// A pod that brings its volume with it.
fn inline(name: &str) -> Value {
    let mut spec = pod_spec("unused");
    spec["volumes"][0] = json!({"name": "data", "csi": {"driver": DRIVER}});
    pod(name, &spec)
}

fn job() -> Value {
    let mut spec = pod_spec("once");
    spec["restartPolicy"] = "Never".into();
    spec["containers"][0]["command"] = json!(["busybox", "sh", "-c", "echo done > /data/done"]);
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once", "namespace": NAMESPACE},
        "spec": {"template": {"spec": spec}}})
}

fn stateful_set() -> Value {
    let labels = json!({"app": "db"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "image": BUSYBOX, "command": idle(),
            "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}});
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": NAMESPACE},
        "spec": {"replicas": 2, "serviceName": "db", "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": labels}, "template": template,
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": Claim::new("data").spec()}]}})
}
