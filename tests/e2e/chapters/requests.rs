//! How much an agent asks of the API server.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::audit::requests;
use crate::cluster::Cluster;
use crate::doctor::{collect, kubeconfig, report};
use crate::node::Node;
use crate::until;

const VOLUMES: u32 = 10;
const INTERVALS: u32 = 20;
const INTERVAL: Duration = Duration::from_secs(30);

/// Objects at rest are asked for anew after 5 to 10 minutes, the CSINode after 1 to 2, and the watch
/// begins anew after 5 to 10 (`src/kubernetes/node.rs`, `watch.rs`): the soonest of each, in seconds.
const SOONEST: [u32; 3] = [300, 60, 300];

pub(super) fn twenty_intervals(cluster: &Cluster) {
    let node = Node::make(cluster, "requests", VOLUMES as usize);
    let (_collector, port) = collect(cluster, "requests", "1");
    let earlier = requests(cluster, "csi-doctor-agent").len();
    let asked = || requests(cluster, "csi-doctor-agent").split_off(earlier);
    let kubeconfig = kubeconfig(cluster, cluster.api_port());
    let _agent = report(cluster, &node, &kubeconfig, port, "30s");
    // Claim, volume and attachment of each; one class; the CSINode, a list and a watch.
    let (objects, first) = (3 * VOLUMES + 1, 3 * VOLUMES + 1 + 3);
    until("the first scan is made", Duration::from_mins(1), || {
        (asked().len() >= first as usize).then_some(())
    });
    let cold = asked().len();
    std::thread::sleep(INTERVAL * INTERVALS);
    let later = asked().split_off(cold);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for request in &later {
        *kinds.entry(request.right.to_string()).or_default() += 1;
    }
    // No list and no watch but of the own pods, and of what was said of one object.
    for request in asked().iter().filter(|one| one.right.verb != "get") {
        let own = ["spec.nodeName%3D", "involvedObject.uid%3D"];
        let own = own.map(|field| format!("fieldSelector={field}"));
        let is_own = own.iter().any(|field| request.uri.contains(field.as_str()));
        assert!(is_own, "cluster-wide: {request:?}");
    }
    let seconds = u32::try_from((INTERVAL * INTERVALS).as_secs()).unwrap();
    let [object, csi_node, watch] = SOONEST.map(|soonest| seconds.div_ceil(soonest));
    let most = objects * object + csi_node + watch;
    let warm = u32::try_from(later.len()).unwrap();
    println!("   first scan: {cold} requests with {VOLUMES} volumes of one class");
    println!(
        "   then in {INTERVALS} intervals of {INTERVAL:?}: {warm}, {:.2} an interval; {most} at most",
        f64::from(warm) / f64::from(INTERVALS)
    );
    for (kind, count) in kinds {
        println!("     {kind}: {count}");
    }
    assert_eq!(cold, first as usize);
    assert!(warm <= most);
}
