//! Faults, all at once and each on a volume of its own: each gives its code about the right object and no other
//! story, and is over when it is healed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Real;
use super::doctor::{INTERVAL, SCALE, restart_agent};
use super::faults::{Fault, REFUSAL, expect, over, run};
use super::machine::{DRIVER, FRAIL};
use super::storage::{
    Claim, NAMESPACE, behave, clear, grow, make_namespace, pod, pod_spec, target, wait_for,
};
use crate::cluster::Cluster;

/// The pod whose directory stays behind.
const GONE: &str = "0a4dbd26-4c0f-4f0e-9a37-5f1f3f5f7c11";

/// What each fault is to give.
const EXPECTED: [Fault<'_>; 10] = [
    Fault::of_claim(
        "volume that the driver does not make",
        "ProvisioningFailed",
        "no-volume",
    )
    .in_words(REFUSAL),
    Fault::of_claim("stage error", "MountFailed", "no-stage").in_words(REFUSAL),
    Fault::of_claim("publish error", "MountFailed", "no-publish").in_words(REFUSAL),
    Fault::of_claim("publish that hangs", "PodWaitingOnVolume", "slow-publish"),
    Fault::of_claim("missing secret", "MountFailed", "no-secret")
        .in_words("\\\"keys\\\" not found"),
    Fault::of_claim("unmounted on the host", "VolumeNotMounted", "unmounted"),
    Fault::of_claim("remounted read-only", "UnexpectedReadOnly", "read-only"),
    Fault::of(
        "orphaned pod directory",
        "OrphanedPodVolume",
        "PersistentVolume",
        "pv-orphan",
    ),
    Fault::of_claim(
        "expansion that fails on the node",
        "NodeExpansionFailed",
        "no-growth",
    )
    .in_words(REFUSAL),
    Fault::of("driver that hangs", "DriverUnreachable", "CSIDriver", FRAIL),
];

/// What the same story may be called for a while: after two minutes the kubelet gives up on a call that hangs, and says
/// so; and it takes up to 81 s to begin its half of an expansion, which is within the shipped grace, not the scaled one.
const IN_PASSING: [(&str, &str); 2] = [
    ("MountFailed", "slow-publish"),
    ("NodeExpansionPending", "no-growth"),
];

pub(super) fn each_gives_its_code(real: &Real<'_>) {
    let (cluster, doctor, machine) = (real.cluster, &real.doctor, &real.machine);
    println!("   graces are {SCALE} of the shipped ones, scans {INTERVAL} apart");
    make_namespace(real);
    let uids = make_well(cluster);
    doctor.comes_to_rest("before the faults", 4, Duration::from_secs(10));

    let begun = Instant::now();
    grow(cluster, "no-growth", "Internal", 640);
    // A claim at rest is asked for anew after ten minutes at most, and when the agent begins.
    restart_agent(cluster);
    cluster.signal(FRAIL, "STOP");
    make_failing(cluster);
    run("umount", &[&target(&uids["unmounted"], "unmounted")]);
    let read_only = target(&uids["read-only"], "read-only");
    run("mount", &["-n", "-o", "remount,ro", &read_only]);
    let orphan = leave_directory();
    expect(real, begun, &EXPECTED, &IN_PASSING);

    cluster.signal(FRAIL, "CONT");
    let begun = Instant::now();
    behave(DRIVER, DRIVER, "create", None);
    behave(DRIVER, "no-stage", "stage", None);
    behave(DRIVER, "no-publish", "publish", None);
    behave(DRIVER, "slow-publish", "publish", None);
    behave(DRIVER, "no-growth", "expand", None);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": NAMESPACE}});
    cluster.apply(&secret.to_string());
    run("mount", &["-n", "-o", "remount,rw", &read_only]);
    run("umount", &[&orphan]);
    // As the finding says. Without that the kubelet fails for ever to take the directory away: "not a directory".
    fs::remove_file(Path::new(&orphan).with_file_name("vol_data.json")).unwrap();
    cluster.kubectl(&["delete", "pod", "unmounted", "-n", NAMESPACE]);
    cluster.apply(&pod("unmounted", &pod_spec("unmounted")).to_string());
    over(real, begun);

    let begun = Instant::now();
    machine.stop_driver(FRAIL);
    let vanished = Fault::of(
        "driver that vanishes",
        "DriverUnreachable",
        "CSIDriver",
        FRAIL,
    );
    expect(real, begun, &[vanished], &[]);
    machine.start_driver(FRAIL);
    over(real, Instant::now());
    clear(cluster);
}

/// Volumes that come to harm once they are in use; gives the UIDs of their pods.
fn make_well(cluster: &Cluster) -> BTreeMap<&'static str, String> {
    let growing = Claim {
        kind: "xfs",
        mebibytes: 320,
        ..Claim::new("no-growth")
    };
    let frail = Claim {
        driver: FRAIL,
        ..Claim::new("frail-too")
    };
    let claims = [
        Claim::new("unmounted"),
        Claim::new("read-only"),
        growing,
        frail,
    ];
    for claim in claims {
        claim.make(cluster);
        cluster.apply(&pod(claim.name, &pod_spec(claim.name)).to_string());
    }
    // Nobody uses it: what lies on the node is of a pod that is gone.
    Claim::new("orphan").make(cluster);
    claims
        .iter()
        .map(|claim| (claim.name, wait_for(cluster, claim.name, "Running")))
        .collect()
}

/// Volumes that never come into their pods, and one that never comes at all.
fn make_failing(cluster: &Cluster) {
    behave(DRIVER, DRIVER, "create", Some("ResourceExhausted"));
    cluster.apply(&Claim::new("no-volume").order().to_string());
    behave(DRIVER, "no-stage", "stage", Some("Internal"));
    behave(DRIVER, "no-publish", "publish", Some("Internal"));
    behave(DRIVER, "slow-publish", "publish", Some("hang"));
    for name in ["no-stage", "no-publish", "slow-publish"] {
        Claim::new(name).make(cluster);
        cluster.apply(&pod(name, &pod_spec(name)).to_string());
    }
    let claim = Claim::new("no-secret");
    claim.provide();
    let mut volume = claim.volume();
    volume["spec"]["csi"]["nodePublishSecretRef"] = json!({"name": "keys", "namespace": NAMESPACE});
    cluster.apply(&volume.to_string());
    cluster.apply(&claim.claim().to_string());
    cluster.apply(&pod("no-secret", &pod_spec("no-secret")).to_string());
}

/// What a kubelet leaves that lost its memory of a pod: a directory in which a volume is still mounted.
fn leave_directory() -> String {
    let path = target(GONE, "orphan");
    fs::create_dir_all(&path).unwrap();
    let data = json!({"driverName": DRIVER, "nodeName": "node-1", "specVolID": "pv-orphan", "volumeHandle": "orphan",
        "volumeLifecycleMode": "Persistent", "attachmentID": "csi-orphan"});
    let beside = Path::new(&path).with_file_name("vol_data.json");
    fs::write(beside, data.to_string()).unwrap();
    run("mount", &["-n", "-t", "tmpfs", "orphan", &path]);
    path
}
