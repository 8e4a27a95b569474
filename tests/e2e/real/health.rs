//! A kubelet that hears of health (gate `CSIVolumeHealth`, Kubernetes 1.37) and a driver that tells of it (CSI 1.13):
//! what the kubelet writes into statuses and what the agent asks the driver for are the same words.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Real;
use super::faults::{Fault, expect, over};
use super::machine::FRAIL;
use super::storage::{
    Claim, NAMESPACE, behave, clear, conduct, make_namespace, pod, pod_spec, wait_for,
};
use crate::until;

/// Of the two who tell of each the kubelet is the later one.
const EXPECTED: [Fault<'_>; 2] = [
    Fault::of_claim("volume degraded", "VolumeConditionAbnormal", "told")
        .in_words("pod's status.volumeHealth"),
    Fault::of(
        "storage unreachable",
        "StorageBackendUnhealthy",
        "CSIDriver",
        FRAIL,
    )
    .in_words("CSINode's status.storageHealth"),
];

pub(super) fn statuses_and_answers_agree(real: &Real<'_>) {
    let (cluster, doctor, machine) = (real.cluster, &real.doctor, &real.machine);
    make_namespace(real);
    let speaks = |storage: &str| Some(format!("dialect=health\nstorage={storage}\n"));
    conduct(FRAIL, FRAIL, speaks("healthy"));
    machine.restart_driver(FRAIL);
    machine.restart_kubelet_with(true);
    let claim = Claim {
        driver: FRAIL,
        ..Claim::new("told")
    };
    claim.make(cluster);
    cluster.apply(&pod("told", &pod_spec("told")).to_string());
    wait_for(cluster, "told", "Running");
    doctor.comes_to_rest("before the faults", 1, Duration::from_secs(20));

    let begun = Instant::now();
    behave(FRAIL, "told", "health", Some("degraded"));
    conduct(FRAIL, FRAIL, speaks("unreachable"));
    expect(real, begun, &EXPECTED, &[]);
    let of_pod =
        || cluster.get(&["pod", "told", "-n", NAMESPACE])["status"]["volumeHealth"].clone();
    let of_node = || {
        let node = cluster.get(&["csinode", crate::cluster::NODE]);
        node["status"]["storageHealth"].clone()
    };
    for (written, name, status) in [
        (of_pod(), "data", "Degraded"),
        (of_node(), FRAIL, "StorageUnreachable"),
    ] {
        println!("   the kubelet wrote: {written}");
        let told = &written[0]["healthConditions"][0];
        assert_eq!(
            json!([written[0]["name"], told["status"], told["reason"]]),
            json!([name, status, "ToldByStorage"])
        );
    }
    for fault in EXPECTED {
        let finding = &doctor.findings()[&fault.key()];
        let said = finding["evidence"].as_array().unwrap().iter();
        let said: Vec<&Value> = said.filter(|one| one["fact"] == "said").collect();
        println!("   {} says: {}", fault.key().0, json!(said));
        assert_eq!(said.len(), 2, "the driver and the kubelet: {said:?}");
        assert_eq!(said[0]["value"], said[1]["value"]);
    }

    let begun = Instant::now();
    behave(FRAIL, "told", "health", None);
    conduct(FRAIL, FRAIL, speaks("healthy"));
    over(real, begun);
    until(
        "the kubelet takes its words back",
        Duration::from_mins(1),
        || {
            let none = |value: Value| {
                value[0]["healthConditions"]
                    .as_array()
                    .is_none_or(Vec::is_empty)
            };
            (none(of_pod()) && none(of_node())).then_some(())
        },
    );
    clear(cluster);
    conduct(FRAIL, FRAIL, None);
    machine.restart_driver(FRAIL);
    machine.restart_kubelet();
}
