//! What goes wrong where the kubelet says nothing: a volume is unmounted inside a container, one cannot be unmounted
//! when its pod ends, and one cannot be attached.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use super::Real;
use super::faults::{Fault, REFUSAL, expect, over, run};
use super::machine::DRIVER;
use super::storage::{
    Claim, HOLDER, NAMESPACE, behave, clear, make_namespace, pod, pod_spec, target, wait_for,
    wait_until_gone,
};
use crate::cluster::Cluster;
use crate::until;

const EXPECTED: [Fault<'_>; 4] = [
    Fault::of_claim("unmounted in the container", "VolumeNotMounted", "inside")
        .in_words("mount table of process"),
    Fault::of_claim("unpublish error", "UnmountStuck", "no-unpublish"),
    Fault::of_claim("held by another process", "UnmountStuck", "held"),
    Fault::of_claim("attach error", "PodWaitingOnVolume", "far").in_words(REFUSAL),
];

pub(super) fn each_gives_its_code(real: &Real<'_>) {
    let (cluster, doctor) = (real.cluster, &real.doctor);
    make_namespace(real);
    let start = |name: &str| cluster.apply(&pod(name, &pod_spec(name)).to_string());
    let all = ["inside", "no-unpublish", "held"];
    for name in all {
        Claim::new(name).make(cluster);
        start(name);
    }
    let [inside, _, held] = all.map(|name| wait_for(cluster, name, "Running"));
    doctor.comes_to_rest("before the faults", 3, Duration::from_secs(10));

    let begun = Instant::now();
    unmount_inside(&inside);
    behave(DRIVER, "no-unpublish", "unpublish", Some("Internal"));
    hold(cluster, &target(&held, "held"));
    for name in ["no-unpublish", "held"] {
        cluster.kubectl(&["delete", "pod", name, "-n", NAMESPACE, "--wait=false"]);
    }
    behave(DRIVER, "far", "attach", Some("Internal"));
    Claim::new("far").make(cluster);
    start("far");
    expect(real, begun, &EXPECTED, &[]);

    let begun = Instant::now();
    behave(DRIVER, "no-unpublish", "unpublish", None);
    cluster.stop(HOLDER);
    behave(DRIVER, "far", "attach", None);
    cluster.kubectl(&["delete", "pod", "inside", "-n", NAMESPACE]);
    start("inside");
    over(real, begun);
    wait_for(cluster, "far", "Running");
    for name in ["no-unpublish", "held"] {
        wait_until_gone(cluster, name);
    }
    clear(cluster);
}

/// Unmounts the volume in the mount namespace of a pod's container, where the host does not see it.
fn unmount_inside(pod: &str) {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let has = |path: &std::path::Path, file: &str, words: &str| {
        fs::read_to_string(path.join(file)).is_ok_and(|text| text.contains(words))
    };
    // The sandbox's process is in the pod's cgroup too, and has no volume.
    let process = processes
        .map(|entry| entry.path())
        .find(|path| has(path, "cgroup", pod) && has(path, "mountinfo", " /data "))
        .unwrap();
    let number = process.file_name().unwrap().to_str().unwrap().to_owned();
    run(
        env!("CARGO_BIN_EXE_csi-doctor-lab"),
        &["unmount-inside", "--process", &number, "--at", "/data"],
    );
}

/// A process in a mount namespace of its own that works in a volume.
fn hold(cluster: &Cluster, at: &str) {
    cluster.run_program(
        HOLDER,
        Command::new("unshare")
            .args(["--mount", "--propagation=slave", "sh", "-c"])
            .args([r#"cd "$0" && exec sleep 2147483647"#, at]),
    );
    until("it is there", Duration::from_secs(10), || {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let mut places = all.filter_map(|entry| fs::read_link(entry.path().join("cwd")).ok());
        places
            .any(|place| place == std::path::Path::new(at))
            .then_some(())
    });
}
