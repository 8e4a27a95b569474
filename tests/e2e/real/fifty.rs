//! Ten minutes with fifty volumes: the agent's pod stays within its limits, and nothing opens.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::Real;
use super::doctor::{INTERVAL, restart_agent};
use super::machine::{DRIVER, FRAIL};
use super::security::process;
use super::storage::{Claim, clear, make_namespace, pod, pod_spec, wait_for};
use crate::cluster::{Cluster, NODE};

const PODS: usize = 10;
const VOLUMES_OF_EACH: usize = 5;
const PATIENCE: Duration = Duration::from_mins(10);

/// What `deploy/` allows the agent.
const LIMIT: u64 = 64 << 20;

pub(super) fn the_agent_stays_within_its_limits(real: &Real<'_>) {
    let (cluster, doctor) = (real.cluster, &real.doctor);
    make_namespace(real);
    for index in 0..PODS {
        make_pod(cluster, index);
    }
    for index in 0..PODS {
        wait_for(cluster, &format!("many-{index}"), "Running");
    }
    // What is measured begins with a pod of its own, which sees all of them at once.
    restart_agent(cluster);
    let volumes = u64::try_from(PODS * VOLUMES_OF_EACH).unwrap();
    doctor.comes_to_rest("at first", volumes, Duration::from_secs(20));
    let agent = process(cluster);
    let (before, begun) = (used(&agent), Instant::now());
    doctor.stays_quiet("for ten minutes", volumes, PATIENCE);
    let took = begun.elapsed();
    let cpu = used(&agent).saturating_sub(before);
    let peak = number(&group(&agent, "memory").join("memory.max_usage_in_bytes"));
    let throttled = fs::read_to_string(group(&agent, "cpu").join("cpu.stat")).unwrap();
    let resident = fs::read_to_string(agent.join("status")).unwrap();
    let told = |line: &&str| {
        ["VmHWM", "RssAnon", "RssFile"]
            .iter()
            .any(|name| line.starts_with(name))
    };
    let resident = resident.lines().filter(told);
    println!(
        "   scans {INTERVAL} apart: {:.1} thousandths of a CPU; memory at its highest {:.1} MiB of {} MiB",
        cpu.as_secs_f64() / took.as_secs_f64() * 1000.0,
        bytes(peak) / bytes(1 << 20),
        LIMIT >> 20
    );
    println!(
        "   {}",
        resident.collect::<Vec<_>>().join(", ").replace('\t', " ")
    );
    println!("   cpu.stat: {}", throttled.trim().replace('\n', ", "));
    assert!(peak < LIMIT, "{peak} bytes");
    assert_eq!(process(cluster), agent, "it was started anew");
    clear(cluster);
}

/// A pod of the node with volumes of both drivers, put there by hand: the drivers tell of a limit to the scheduler.
fn make_pod(cluster: &Cluster, index: usize) {
    let mut spec = pod_spec("none");
    spec["nodeName"] = NODE.into();
    let names: Vec<String> = (0..VOLUMES_OF_EACH)
        .map(|one| format!("many-{index}-{one}"))
        .collect();
    for (name, driver) in names.iter().zip([DRIVER, FRAIL].into_iter().cycle()) {
        let claim = Claim {
            driver,
            mebibytes: 16,
            ..Claim::new(name)
        };
        claim.make(cluster);
    }
    let volume =
        |name: &String| json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
    let mount = |name: &String| json!({"name": name, "mountPath": format!("/data/{name}")});
    spec["volumes"] = names.iter().map(volume).collect();
    spec["containers"][0]["volumeMounts"] = names.iter().map(mount).collect();
    cluster.apply(&pod(&format!("many-{index}"), &spec).to_string());
}

/// The directory of a process's group in a hierarchy of cgroup v1.
fn group(process: &Path, controller: &str) -> PathBuf {
    let groups = fs::read_to_string(process.join("cgroup")).unwrap();
    let mut lines = groups.lines().map(|line| line.splitn(3, ':'));
    let path = lines.find_map(|mut parts| {
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let ours = controllers.split(',').any(|one| one == controller);
        ours.then_some(path)
    });
    let path = path.unwrap().trim_start_matches('/');
    Path::new("/sys/fs/cgroup").join(controller).join(path)
}

/// The processor time that it has used.
fn used(process: &Path) -> Duration {
    Duration::from_nanos(number(&group(process, "cpuacct").join("cpuacct.usage")))
}

fn number(path: &Path) -> u64 {
    fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

fn bytes(number: u64) -> f64 {
    // What memory has is told exactly.
    f64::from(u32::try_from(number >> 10).unwrap_or(u32::MAX))
}
