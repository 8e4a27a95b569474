//! A server that answers slowly: nothing opens or resolves because of it.

use std::time::{Duration, Instant};

use crate::chapters::objects;
use crate::cluster::Cluster;
use crate::doctor::{collect_with, findings, kubeconfig, kubeconfig_of, report};
use crate::node::{Node, expansion_done, expansion_waits};
use crate::proxy::Proxy;
use crate::until;

/// Each piece of an answer comes so late: longer than a scan waits.
const DELAY: Duration = Duration::from_secs(7);

/// For so long: longer than objects are taken to be fresh.
const SLOW: Duration = Duration::from_secs(100);

pub(super) fn a_slow_server_changes_nothing(cluster: &Cluster) {
    let node = Node::make(cluster, "slow", 3);
    expansion_waits(cluster, node.claim(1));
    let proxy = Proxy::to(cluster.api_port());
    objects::bound_claim(cluster, "slow-unused");
    objects::enlarge(cluster, "slow-unused");
    let own = kubeconfig_of(cluster, "csi-doctor-collector", proxy.port);
    let (_collector, port) = collect_with(cluster, "slow", "0", &own);
    let _agent = report(cluster, &node, &kubeconfig(cluster, proxy.port), port, "3s");
    // Until the agent has said so, the collector does.
    let waits = ["NodeExpansionPending", node.claim(1), &node.name];
    // What no pod uses is the collector's own to see.
    let unused = ["ResizerMissing", "slow-unused", ""];
    // Its directories of sockets are empty.
    let unreachable = ["DriverUnreachable", "", &node.name];
    until("all is found", Duration::from_mins(1), || {
        let all = [waits, unused, unreachable];
        all.iter().all(|wanted| found(port, wanted)).then_some(())
    });
    let before = keys(port);
    proxy.delay(DELAY);
    let begun = Instant::now();
    while begun.elapsed() < SLOW {
        assert_eq!(
            keys(port),
            before,
            "after {:?} of slowness",
            begun.elapsed()
        );
        std::thread::sleep(Duration::from_secs(1));
    }
    proxy.delay(Duration::ZERO);
    expansion_done(cluster, node.claim(1));
    expansion_done(cluster, "slow-unused");
    let begun = Instant::now();
    until("all is current again", Duration::from_secs(40), || {
        (!found(port, &[waits[0], waits[1], ""]) && !found(port, &unused)).then_some(())
    });
    cluster.kubectl(&["delete", "pvc", "slow-unused", "-n", "shop"]);
    println!(
        "   {} findings stayed for {} s; current {:.0} s after it",
        before.len(),
        SLOW.as_secs(),
        begun.elapsed().as_secs_f64()
    );
}

/// Findings without their states: what is unconfirmed has neither opened nor resolved.
pub(super) fn keys(port: u16) -> Vec<[String; 2]> {
    findings(port)
        .into_iter()
        .map(|[code, subject, _]| [code, subject])
        .collect()
}

/// Whether there is a finding with this code, about an object with this name on this node.
pub(super) fn found(port: u16, [wanted, name, node]: &[&str; 3]) -> bool {
    let says = |subject: &str, field: &str, value: &str| {
        value.is_empty() || subject.contains(&format!("\"{field}\":\"{value}\""))
    };
    keys(port).iter().any(|[code, subject]| {
        code == wanted && says(subject, "name", name) && says(subject, "node", node)
    })
}
