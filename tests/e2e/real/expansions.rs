//! Expansions whose controller's half is done and that do not end well on the node: one waits for a pod, one for a
//! pod that lets go, one cannot be, and one is said to be done.

use std::time::{Duration, Instant};

use super::Real;
use super::doctor::restart_agent;
use super::faults::{Fault, REFUSAL, expect, over, run};
use super::machine::DRIVER;
use super::storage::{
    Claim, NAMESPACE, ask_for, behave, clear, grow, make_namespace, pod, pod_spec, target,
    wait_for, wait_until_gone,
};

const PENDING: &str = "NodeExpansionPending";

const EXPECTED: [Fault<'_>; 4] = [
    Fault::of_claim("waits for a pod", PENDING, "waits").in_words("NodeResizePending"),
    Fault::of_claim("waits while it is used", PENDING, "in-use")
        .in_words("code = FailedPrecondition desc = the volume is in use"),
    Fault::of_claim("infeasible", "NodeExpansionFailed", "too-much").in_words(REFUSAL),
    Fault::of_claim("false success", "FilesystemNotGrown", "lie"),
];

/// The kubelet takes longer to begin than the scaled grace lasts.
const IN_PASSING: [(&str, &str); 2] = [(PENDING, "too-much"), (PENDING, "lie")];

pub(super) fn each_gives_its_code(real: &Real<'_>) {
    let (cluster, doctor) = (real.cluster, &real.doctor);
    make_namespace(real);
    let start = |name: &str| cluster.apply(&pod(name, &pod_spec(name)).to_string());
    let all = ["waits", "in-use", "too-much", "lie"];
    for name in all {
        let claim = Claim {
            kind: "xfs",
            mebibytes: 320,
            ..Claim::new(name)
        };
        claim.make(cluster);
        start(name);
    }
    let uids = all.map(|name| wait_for(cluster, name, "Running"));
    doctor.comes_to_rest("before the expansions", 4, Duration::from_secs(10));
    let end = |name: &str| {
        cluster.kubectl(&["delete", "pod", name, "-n", NAMESPACE]);
        wait_until_gone(cluster, name);
    };
    end("waits");

    let begun = Instant::now();
    for (name, manner) in [
        ("waits", "well"),
        ("in-use", "offline"),
        ("too-much", "OutOfRange"),
        ("lie", "lie"),
    ] {
        grow(cluster, name, manner, 640);
    }
    // A claim at rest is asked for anew after ten minutes at most, and when the agent begins.
    restart_agent(cluster);
    expect(real, begun, &EXPECTED, &IN_PASSING);

    for name in ["in-use", "too-much", "lie"] {
        behave(DRIVER, name, "expand", None);
    }
    let begun = Instant::now();
    start("waits");
    run("xfs_growfs", &[&target(&uids[3], "lie")]);
    // As a user does who was told that it cannot be: the claim asks for something else.
    ask_for(cluster, "too-much", 704);
    end("in-use");
    start("in-use");
    over(real, begun);
    clear(cluster);
}
