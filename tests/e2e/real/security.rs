//! The agent's pod has the security context that `deploy/` ships and nothing beside it, and needs all of it: each
//! capability and each of the host's paths is taken away in turn, from a healthy volume and from ill ones. What is not
//! seen then is a gap; nothing opens and nothing resolves by it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Real;
use super::doctor::{INTERVAL, restart_agent};
use super::faults::{Fault, expect, over, run};
use super::storage::{Claim, NAMESPACE, clear, make_namespace, pod, pod_spec, target, wait_for};
use crate::cluster::Cluster;
use crate::until;

/// For how long nothing may open or resolve: longer than most scaled graces, and several scans.
const WATCHED: Duration = Duration::from_secs(20);

/// What is open all the time: each needs another part of what the agent sees.
const ILL: [Fault<'_>; 3] = [
    Fault::of_claim("remounted read-only", "UnexpectedReadOnly", "read-only"),
    Fault::of_claim("nearly full", "FilesystemNearlyFull", "full"),
    Fault::of_claim("errors of ext4", "FilesystemErrors", "errors"),
];

/// What is taken away, how, and words of what is unknown then.
type Taken = (&'static str, fn(&mut Value), &'static str);

const TAKEN: [Taken; 6] = [
    (
        "capability DAC_READ_SEARCH",
        |spec| spec["containers"][0]["securityContext"]["capabilities"]["add"] = Value::Null,
        "open and read the root directory",
    ),
    (
        "user 0",
        |spec| spec["containers"][0]["securityContext"]["runAsUser"] = 65534.into(),
        "ermission denied",
    ),
    ("host path /proc", |spec| without(spec, "proc"), "/proc"),
    ("host path /sys", |spec| without(spec, "sys"), "/sys"),
    (
        "host path /var/lib/kubelet",
        |spec| without(spec, "kubelet"),
        "/var/lib/kubelet",
    ),
    (
        "mount propagation",
        |spec| {
            let mounts = spec["containers"][0]["volumeMounts"].as_array_mut();
            for mount in mounts.unwrap() {
                mount.as_object_mut().unwrap().remove("mountPropagation");
            }
        },
        "HostToContainer",
    ),
];

pub(super) fn all_that_is_granted_is_needed(real: &Real<'_>) {
    let (cluster, doctor) = (real.cluster, &real.doctor);
    is_as_shipped(cluster);
    is_bounded(cluster);
    make_namespace(real);
    let closed = Claim {
        kind: "xfs",
        mebibytes: 320,
        ..Claim::new("closed")
    };
    let all = [
        closed,
        Claim::new("read-only"),
        Claim::new("full"),
        Claim::new("errors"),
    ];
    for claim in all {
        claim.make(cluster);
        cluster.apply(&pod(claim.name, &pod_spec(claim.name)).to_string());
    }
    let targets = all.map(|claim| {
        let uid = wait_for(cluster, claim.name, "Running");
        target(&uid, claim.name)
    });
    // As a database's directory is: its owner's alone.
    run("chown", &["1000:1000", &targets[0]]);
    run("chmod", &["0700", &targets[0]]);
    doctor.comes_to_rest("before the faults", 4, Duration::from_secs(10));
    let begun = Instant::now();
    run("mount", &["-n", "-o", "remount,ro", &targets[1]]);
    let fill = r#"dd if=/dev/zero of="$0"/filler bs=1M || true"#;
    run("sh", &["-c", fill, &targets[2]]);
    fail_once(&targets[3]);
    expect(real, begun, &ILL, &[]);

    let shipped = spec_of_agents(cluster);
    let mut failed = Vec::new();
    for (what, take, words) in TAKEN {
        let mut spec = shipped.clone();
        take(&mut spec);
        assert_ne!(spec, shipped, "{what}: nothing was taken");
        give(real, &spec);
        if what == "mount propagation" {
            // What was mounted before it began it has in any case.
            Claim::new("later").make(cluster);
            cluster.apply(&pod("later", &pod_spec("later")).to_string());
            wait_for(cluster, "later", "Running");
        }
        if let Err(changed) = nothing_changes(real, what, words) {
            println!("            {changed}");
            failed.push(format!("without {what}: {changed}"));
        }
    }
    give(real, &shipped);
    assert!(failed.is_empty(), "{failed:#?}");
    run("mount", &["-n", "-o", "remount,rw", &targets[1]]);
    fs::remove_file(Path::new(&targets[2]).join("filler")).unwrap();
    // A filesystem's errors are over with its next check.
    cluster.kubectl(&["delete", "pod", "errors", "-n", NAMESPACE]);
    over(real, Instant::now());
    doctor.stays_quiet("as shipped", 4, Duration::from_secs(10));
    clear(cluster);
}

/// For a while: what is open stays, nothing else opens, and what is not seen is said.
fn nothing_changes(real: &Real<'_>, what: &str, words: &str) -> Result<(), String> {
    let unknown = until(
        &format!("without {what} something is unknown: {words}"),
        Duration::from_mins(1),
        || {
            let mut unknown = real.doctor.unknowns();
            for volume in ["pv-closed", "pv-later"] {
                let told = real.doctor.tells(&["describe", "volume", volume]);
                let lines = told.lines().filter(|line| line.contains(words));
                unknown.extend(lines.map(|line| format!("{volume}: {}", line.trim())));
            }
            let told = unknown.iter().any(|one| one.contains(words));
            told.then_some(unknown)
        },
    );
    println!("   without {what}:");
    for one in &unknown {
        println!("            {one}");
    }
    let end = Instant::now() + WATCHED;
    let mut states = BTreeSet::new();
    while Instant::now() < end {
        let found = real.doctor.findings();
        for fault in ILL {
            let state = found.get(&fault.key()).map(|one| one["state"].to_string());
            let state = state.ok_or_else(|| format!("{:?} is over", fault.key()))?;
            states.insert(format!("{} {state}", fault.key().0));
        }
        for (told, one) in found {
            let known = ILL.iter().any(|fault| fault.key() == told);
            if !known && one["state"] != "settling" {
                return Err(format!("{told:?} opened: {}", one["message"]));
            }
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    let states: Vec<String> = states.into_iter().collect();
    println!("            findings: {}", states.join(", "));
    Ok(())
}

/// Takes a host path away, with the mount of it.
fn without(spec: &mut Value, name: &str) {
    let of_another = |one: &Value| one["name"] != name;
    let mounts = spec["containers"][0]["volumeMounts"].as_array_mut();
    mounts.unwrap().retain(of_another);
    spec["volumes"].as_array_mut().unwrap().retain(of_another);
}

fn spec_of_agents(cluster: &Cluster) -> Value {
    let daemons = cluster.get(&["daemonset", "csi-doctor-agent", "-n", "csi-doctor"]);
    daemons["spec"]["template"]["spec"].clone()
}

/// Gives the agent's pod this spec, and waits until a pod of it is heard.
fn give(real: &Real<'_>, spec: &Value) {
    let cluster = real.cluster;
    let patch =
        json!([{"op": "replace", "path": "/spec/template/spec", "value": spec}]).to_string();
    let before = agent(cluster)["metadata"]["uid"].clone();
    let of_agents = ["patch", "daemonset", "csi-doctor-agent", "-n", "csi-doctor"];
    let words: Vec<&str> = of_agents
        .into_iter()
        .chain(["--type=json", "-p", &patch])
        .collect();
    cluster.kubectl(&words);
    // The old one may not be ready, and is then left as it is.
    restart_agent(cluster);
    until("another agent runs", Duration::from_mins(2), || {
        let now = agent(cluster);
        let runs = !now["status"]["containerStatuses"][0]["state"]["running"].is_null();
        (now["metadata"]["uid"] != before && runs).then_some(())
    });
    // The one before is gone: whatever is heard from here on is this one's.
    let now = Timestamp::now();
    until("it is heard", Duration::from_mins(1), || {
        (real.doctor.last_heard() > now).then_some(())
    });
}

/// The agent's pod.
fn agent(cluster: &Cluster) -> Value {
    let label = "app.kubernetes.io/component=agent";
    until("there is an agent", Duration::from_mins(1), || {
        let pods = cluster.get(&["pods", "-n", "csi-doctor", "-l", label]);
        let mut pods = pods["items"].as_array()?.iter();
        let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
        pods.find(stays).cloned()
    })
}

/// What the API server makes of `deploy/` differs from the DaemonSet that runs in what `docs/real-node.md` names alone,
/// and the pod has what the DaemonSet says.
fn is_as_shipped(cluster: &Cluster) {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/base");
    let manifests = ["kustomize", &base.display().to_string()].map(ToOwned::to_owned);
    let text = cluster.kubectl(&manifests.each_ref().map(String::as_str));
    let daemons = text
        .split("\n---\n")
        .find(|one| one.contains("kind: DaemonSet"))
        .unwrap()
        .replace("\n  name: csi-doctor-agent\n", "\n  name: as-shipped\n");
    let file = cluster.dir().join("as-shipped.yaml");
    fs::write(&file, daemons).unwrap();
    let made = cluster.kubectl(&[
        "create",
        "--dry-run=server",
        "-o",
        "json",
        "-f",
        &file.display().to_string(),
    ]);
    let made: Value = serde_json::from_str(&made).unwrap();
    let (mut shipped, mut running) = (BTreeSet::new(), BTreeSet::new());
    flatten(&made["spec"]["template"]["spec"], "", &mut shipped);
    flatten(&spec_of_agents(cluster), "", &mut running);
    let differs: Vec<&String> = shipped.symmetric_difference(&running).collect();
    let interval = format!("/containers/0/env/0/value: \"{INTERVAL}\"");
    let lists = |line: &&&String| !line.starts_with("/containers/0/env/") || **line == &interval;
    let differs: Vec<&&String> = differs.iter().filter(lists).collect();
    let wanted = [
        interval.as_str(),
        "/hostAliases/0/hostnames/0: \"csi-doctor-collector.csi-doctor.svc\"",
        "/hostAliases/0/ip: \"10.0.0.10\"",
    ];
    assert!(
        differs.iter().map(|one| one.as_str()).eq(wanted),
        "other than as shipped: {differs:#?}"
    );
    let (pod, daemons) = (agent(cluster), spec_of_agents(cluster));
    for part in ["securityContext", "resources", "command", "args", "env"] {
        let (is, says) = (
            &pod["spec"]["containers"][0][part],
            &daemons["containers"][0][part],
        );
        assert_eq!(is, says, "{part}");
    }
    let (is, says) = (&pod["spec"], &daemons);
    for part in ["volumes", "containers/0/volumeMounts"] {
        let pointer = format!("/{part}");
        let list = |value: &Value| value.pointer(&pointer).unwrap().as_array().unwrap().clone();
        let mut list_of_pod = list(is);
        // Each pod gets its service account's token beside.
        list_of_pod.retain(|one| {
            !one["name"]
                .as_str()
                .unwrap()
                .starts_with("kube-api-access-")
        });
        assert_eq!(list_of_pod, list(says), "{part}");
    }
    for part in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(is[part].is_null(), "{part} of the agent's pod");
    }
    println!("   the agent's pod is as shipped but for its host alias and its interval");
}

/// Each leaf of a value with its path.
fn flatten(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, field)| flatten(field, &format!("{path}/{name}"), into)),
        Value::Array(items) => (0..)
            .zip(items)
            .for_each(|(index, item): (u32, _)| flatten(item, &format!("{path}/{index}"), into)),
        leaf => {
            into.insert(format!("{path}: {leaf}"));
        }
    }
}

/// What the kernel says of the agent's process: one capability, no way to more, system calls filtered.
fn is_bounded(cluster: &Cluster) {
    let status = fs::read_to_string(process(cluster).join("status")).unwrap();
    let bounds = [
        "Uid:\t0\t0\t0\t0",
        // The bit of CAP_DAC_READ_SEARCH.
        "CapPrm:\t0000000000000004",
        "CapEff:\t0000000000000004",
        "CapBnd:\t0000000000000004",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t1",
        // Filtered.
        "Seccomp:\t2",
    ];
    for bound in bounds {
        assert!(
            status.lines().any(|line| line == bound),
            "{bound}:\n{status}"
        );
    }
    println!("   its process has CAP_DAC_READ_SEARCH alone, no_new_privs and a seccomp filter");
}

/// The agent's process.
pub(super) fn process(cluster: &Cluster) -> PathBuf {
    let agent = agent(cluster);
    let uid = agent["metadata"]["uid"].as_str().unwrap();
    let read = |path: &Path, file: &str| fs::read_to_string(path.join(file)).unwrap_or_default();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut processes = processes.map(|entry| entry.path());
    let is = |path: &PathBuf| {
        read(path, "cgroup").contains(uid) && read(path, "cmdline").starts_with("csi-doctor-agent")
    };
    processes.find(is).unwrap()
}

/// Makes ext4 count an error, as a bad block does.
fn fail_once(target: &str) {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = table.lines().find(|line| line.contains(target)).unwrap();
    let (_, after) = line.split_once(" - ext4 /dev/").unwrap();
    let device = after.split(' ').next().unwrap();
    let trigger = format!("/sys/fs/ext4/{device}/trigger_fs_error");
    fs::write(trigger, "of this test").unwrap();
}
