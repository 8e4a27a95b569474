//! Five minutes without an API server, and one that has forgotten its history afterwards.

use std::time::{Duration, Instant};

use crate::chapters::objects;
use crate::chapters::slow::{found, keys};
use crate::cluster::Cluster;
use crate::doctor::{self, collect_with, findings, kubeconfig, kubeconfig_of, report, resident};
use crate::node::{Node, expansion_done, expansion_waits};
use crate::until;

const OUTAGE: Duration = Duration::from_mins(5);

/// From here on objects are too old to be judged by, in an outage.
const STALE: Duration = Duration::from_secs(75);

pub(super) fn five_minutes_without_a_server(cluster: &Cluster) {
    let node = Node::make(cluster, "outage", 3);
    expansion_waits(cluster, node.claim(1));
    objects::bound_claim(cluster, "outage-unused");
    objects::enlarge(cluster, "outage-unused");
    let own = kubeconfig_of(cluster, "csi-doctor-collector", cluster.api_port());
    let (collector, port) = collect_with(cluster, "outage", "0", &own);
    let agent = report(
        cluster,
        &node,
        &kubeconfig(cluster, cluster.api_port()),
        port,
        "3s",
    );
    // Until the agent has said so, the collector does.
    let waits = ["NodeExpansionPending", node.claim(1), &node.name];
    // What no pod uses is the collector's own to see.
    let unused = ["ResizerMissing", "outage-unused", ""];
    // Its directories of sockets are empty.
    let unreachable = ["DriverUnreachable", "", &node.name];
    until("all is found", Duration::from_mins(1), || {
        let all = [waits, unused, unreachable];
        all.iter().all(|wanted| found(port, wanted)).then_some(())
    });
    // What a first scan needs once is no growth.
    std::thread::sleep(Duration::from_secs(20));
    let before = keys(port);
    let memory = [&agent, &collector].map(resident);

    cluster.stop("kube-apiserver");
    let begun = Instant::now();
    while begun.elapsed() < OUTAGE {
        if begun.elapsed() > STALE {
            // As if the pod had ended by itself, and the kubelet could tell nobody.
            node.mount_all_but(Some(0));
        }
        assert_eq!(
            keys(port),
            before,
            "after {:?} without a server",
            begun.elapsed()
        );
        std::thread::sleep(Duration::from_secs(1));
    }
    node.mount_all_but(None);
    let unconfirmed = findings(port)
        .iter()
        .filter(|[_, _, state]| state.eq_ignore_ascii_case("unconfirmed"))
        .count();

    cluster.start_api();
    let back = Instant::now();
    expansion_done(cluster, node.claim(1));
    expansion_done(cluster, "outage-unused");
    until("all is current again", Duration::from_secs(30), || {
        (!found(port, &[waits[0], waits[1], ""]) && !found(port, &unused)).then_some(())
    });
    let current = back.elapsed();
    std::thread::sleep(Duration::from_secs(20));
    let after = [&agent, &collector].map(resident);
    println!(
        "   {} findings stayed, {unconfirmed} of them unconfirmed at last; current {:.0} s after the return; RSS of agent and collector {memory:?} → {after:?} KiB",
        before.len(),
        current.as_secs_f64()
    );
    for (before, after) in memory.into_iter().zip(after) {
        assert!(after * 100 <= before * 110, "agent or collector grew");
    }

    // A watch that must go on from a version that is gone lists anew.
    cluster.stop("kube-apiserver");
    std::thread::sleep(Duration::from_secs(2));
    cluster.compact();
    cluster.start_api();
    cluster.compact();
    cluster.kubectl(&["delete", "pod", node.claim(2), "-n", "shop", "--force"]);
    cluster.kubectl(&["delete", "pvc", "outage-unused", "-n", "shop"]);
    let listed = || doctor::tell(port, &["get", "volumes", "-A"]).contains(node.claim(2));
    until(
        "a deletion after a compaction is seen",
        Duration::from_secs(30),
        || (!listed()).then_some(()),
    );
    println!("   a deletion after a restart with a compacted history was seen");
}
