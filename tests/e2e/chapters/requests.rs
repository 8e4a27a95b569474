//! How much an agent asks of the API server.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::audit::requests;
use crate::cluster::Cluster;
use crate::doctor::{collect, kubeconfig, report};
use crate::node::Node;
use crate::until;

const VOLUMES: usize = 10;
const INTERVALS: u32 = 20;
const INTERVAL: Duration = Duration::from_secs(30);

/// Objects at rest are asked for anew after 5 to 10 minutes (`REFRESH`, `src/kubernetes/node.rs`).
const SOONEST: f64 = 300.0;

pub(super) fn twenty_intervals(cluster: &Cluster) {
    let node = Node::make(cluster, "requests", VOLUMES);
    let (_collector, port) = collect(cluster, "requests", "1");
    let earlier = requests(cluster, "csi-doctor-agent").len();
    let _agent = report(
        cluster,
        &node,
        &kubeconfig(cluster, cluster.api_port()),
        port,
        "30s",
    );
    let first = 1 + 1 + 1 + 3 * VOLUMES;
    until("the first scan is made", Duration::from_secs(60), || {
        (requests(cluster, "csi-doctor-agent").len() - earlier >= first).then_some(())
    });
    let cold = requests(cluster, "csi-doctor-agent").len() - earlier;
    std::thread::sleep(INTERVAL * INTERVALS);
    let all = requests(cluster, "csi-doctor-agent");
    let warm = all.len() - earlier - cold;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for request in &all[earlier + cold..] {
        *kinds.entry(request.right.to_string()).or_default() += 1;
    }
    // No list and no watch but of the own pods.
    for request in all.iter().filter(|one| one.right.verb != "get") {
        assert!(
            request.uri.contains("fieldSelector=spec.nodeName%3D"),
            "cluster-wide: {request:?}"
        );
    }
    let seconds = (INTERVAL * INTERVALS).as_secs_f64();
    let most = seconds * (3.0 * VOLUMES as f64 / SOONEST + 1.0 / 60.0 + 1.0 / 290.0) + 3.0;
    println!(
        "   first scan: {cold} requests with {VOLUMES} volumes (list, watch, CSINode, 3 for each volume)"
    );
    println!(
        "   then in {INTERVALS} intervals of {INTERVAL:?}: {warm}, {:.2} an interval, at most {most:.0} expected",
        warm as f64 / f64::from(INTERVALS)
    );
    for (kind, count) in kinds {
        println!("     {kind}: {count}");
    }
    assert_eq!(cold, first);
    assert!(warm as f64 <= most);
}
