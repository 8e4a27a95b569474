//! Faults, all at once and each on a volume of its own: each gives its code about the right object and no other
//! story, and is over when it is healed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Real;
use super::doctor::{INTERVAL, SCALE, Told, restart_agent};
use super::machine::{DRIVER, FRAIL, images};
use super::storage::{Claim, NAMESPACE, behave, make_namespace, pod, pod_spec, target, wait_for};
use crate::cluster::Cluster;

/// The longest grace among the codes below, scaled, and the kubelet's longest pause between two tries.
const PATIENCE: Duration = Duration::from_mins(4);

/// The pod whose directory stays behind.
const GONE: &str = "0a4dbd26-4c0f-4f0e-9a37-5f1f3f5f7c11";

/// What each fault is to give.
const EXPECTED: [(&str, &str, &str, &str); 9] = [
    ("stage error", "MountFailed", CLAIM, "no-stage"),
    ("publish error", "MountFailed", CLAIM, "no-publish"),
    (
        "publish that hangs",
        "PodWaitingOnVolume",
        CLAIM,
        "slow-publish",
    ),
    ("missing secret", "MountFailed", CLAIM, "no-secret"),
    (
        "unmounted on the host",
        "VolumeNotMounted",
        CLAIM,
        "unmounted",
    ),
    (
        "remounted read-only",
        "UnexpectedReadOnly",
        CLAIM,
        "read-only",
    ),
    (
        "orphaned pod directory",
        "OrphanedPodVolume",
        "PersistentVolume",
        "pv-orphan",
    ),
    (
        "expansion that fails on the node",
        "NodeExpansionFailed",
        CLAIM,
        "no-growth",
    ),
    ("driver that hangs", "DriverUnreachable", "CSIDriver", FRAIL),
];

const CLAIM: &str = "PersistentVolumeClaim";

pub(super) fn each_gives_its_code(real: &Real<'_>) {
    let (cluster, doctor, machine) = (real.cluster, &real.doctor, &real.machine);
    println!("   graces are {SCALE} of the shipped ones, scans {INTERVAL} apart");
    make_namespace(cluster);
    let uids = make_well(cluster);
    doctor.stays_quiet("before the faults", 4, Duration::from_secs(10));

    let begun = Instant::now();
    grow(cluster, "no-growth");
    // A claim at rest is asked for anew after ten minutes at most, and when the agent begins.
    restart_agent(cluster);
    cluster.signal(FRAIL, "STOP");
    make_failing(cluster);
    run("umount", &[&target(&uids["unmounted"], "unmounted")]);
    let read_only = target(&uids["read-only"], "read-only");
    run("mount", &["-n", "-o", "remount,ro", &read_only]);
    let orphan = leave_directory();
    expect(real, begun, &EXPECTED);

    cluster.signal(FRAIL, "CONT");
    let begun = Instant::now();
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
    expect(
        real,
        begun,
        &[(
            "driver that vanishes",
            "DriverUnreachable",
            "CSIDriver",
            FRAIL,
        )],
    );
    machine.start_driver(FRAIL);
    over(real, Instant::now());
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

/// Volumes that never come into their pods.
fn make_failing(cluster: &Cluster) {
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

/// The controller's half of an expansion, as a resizer leaves it, since csi-resizer works for no driver without a
/// controller service; the driver refuses the kubelet's half.
fn grow(cluster: &Cluster, name: &str) {
    behave(DRIVER, name, "expand", Some("Internal"));
    Claim {
        kind: "xfs",
        mebibytes: 640,
        ..Claim::new(name)
    }
    .provide();
    let image = images(DRIVER).join(format!("{name}.img"));
    let devices = Command::new("losetup")
        .arg("-j")
        .arg(&image)
        .output()
        .unwrap();
    let devices = String::from_utf8(devices.stdout).unwrap();
    run("losetup", &["-c", devices.split(':').next().unwrap()]);
    let more = json!({"spec": {"resources": {"requests": {"storage": "640Mi"}}}}).to_string();
    cluster.kubectl(&[
        "patch",
        "pvc",
        name,
        "-n",
        NAMESPACE,
        "--type=merge",
        "-p",
        &more,
    ]);
    let status = json!({"allocatedResources": {"storage": "640Mi"},
        "allocatedResourceStatuses": {"storage": "NodeResizePending"}});
    cluster.patch_status(&["pvc", name, "-n", NAMESPACE], &status);
    let more = json!({"spec": {"capacity": {"storage": "640Mi"}}}).to_string();
    cluster.kubectl(&[
        "patch",
        "pv",
        &format!("pv-{name}"),
        "--type=merge",
        "-p",
        &more,
    ]);
}

/// Waits for each of these and says when it came; nothing else may be told.
fn expect(real: &Real<'_>, begun: Instant, expected: &[(&str, &str, &str, &str)]) {
    let key =
        |one: &(&str, &str, &str, &str)| (one.1.to_owned(), one.2.to_owned(), one.3.to_owned());
    let mut missing: BTreeMap<Told, &str> = expected.iter().map(|one| (key(one), one.0)).collect();
    let mut others = BTreeSet::new();
    while !missing.is_empty() && begun.elapsed() < PATIENCE {
        for (told, finding) in real.doctor.open() {
            if let Some(fault) = missing.remove(&told) {
                println!(
                    "   {:>5.1} s  {fault}: {} of {} {}",
                    begun.elapsed().as_secs_f64(),
                    told.0,
                    told.1,
                    told.2
                );
                println!(
                    "            {}",
                    finding["message"].as_str().unwrap_or_default()
                );
                if let Some(evidence) = finding["evidence"].as_array().and_then(|all| all.first()) {
                    println!("            {}", words(evidence));
                }
            } else if !expected.iter().any(|one| key(one) == told)
                && !IN_PASSING.contains(&(&told.0, &told.2))
            {
                others.insert(format!("{told:?}: {}", finding["message"]));
            }
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    real.doctor.note(real.cluster, "ill");
    assert!(
        missing.is_empty(),
        "not within {PATIENCE:?}: {missing:?}; told instead: {others:#?}; settling: {:#?}",
        real.doctor.findings().keys()
    );
    assert!(
        others.is_empty(),
        "told beside what was expected: {others:#?}"
    );
}

/// What the same story may be called for a while: after two minutes the kubelet gives up on a call that hangs, and says
/// so; and it takes up to 81 s to begin its half of an expansion, which is within the shipped grace, not the scaled one.
const IN_PASSING: [(&str, &str); 2] = [
    ("MountFailed", "slow-publish"),
    ("NodeExpansionPending", "no-growth"),
];

/// Waits until every finding is over.
fn over(real: &Real<'_>, begun: Instant) {
    let mut left = real.doctor.findings();
    while !left.is_empty() {
        let now = real.doctor.findings();
        for (told, _) in left.iter().filter(|(told, _)| !now.contains_key(*told)) {
            println!(
                "   {:>5.1} s  over: {} of {} {}",
                begun.elapsed().as_secs_f64(),
                told.0,
                told.1,
                told.2
            );
        }
        left = now;
        assert!(
            begun.elapsed() < PATIENCE,
            "healed, and still there: {left:#?}"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn words(evidence: &Value) -> String {
    let text = |name: &str| evidence[name].as_str().unwrap_or_default().to_owned();
    format!("{}: {}", text("fact"), text("value"))
}

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output().unwrap();
    assert!(done.status.success(), "{program} {arguments:?}: {done:?}");
}
