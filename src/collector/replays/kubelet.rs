//! A kubelet that restarts: its process is gone for a while, mounts and containers stay, and registrars come
//! back to the new one.

use expect_test::expect;
use jiff::{SignedDuration, Timestamp};

use crate::collector::replays::{Cluster, node};
use crate::model::facts::NodeFacts;
use crate::model::objects::PodState;
use crate::model::observed::Observed;

/// A healthy node at this moment of the replay, told once in each interval.
fn tell(cluster: &mut Cluster, second: i64, change: impl FnOnce(&mut NodeFacts)) {
    cluster.wait(second);
    let mut facts = node("n1", cluster.now().at);
    change(&mut facts);
    cluster.report("life", facts);
}

/// Nobody is registered with a kubelet that is not there, and what was listed stays listed.
fn gone(facts: &mut NodeFacts) {
    facts.kubelet.running = Observed::Known(false);
}

/// Registrars end when their kubelet does, and some drivers with them.
fn registrar_gone(facts: &mut NodeFacts) {
    facts.drivers.items[0].registered_as = Observed::Known(None);
}

/// The new kubelet has set up the object anew, and has not met the driver yet.
fn not_listed(facts: &mut NodeFacts) {
    facts.drivers.items[0].csi_node = Observed::Known(None);
}

/// A pod whose time is over, and whose volume only the kubelet can unmount.
fn leaving(facts: &mut NodeFacts, ended: Timestamp) {
    let published = &mut facts.volumes.items[0].published[0];
    published.state = Observed::Known(PodState::Ending);
    published.ended = Some(ended);
    published.live = Observed::Known(false);
    published.inside = Observed::Known(Vec::new());
}

#[test]
fn a_kubelet_that_restarts_is_no_finding() {
    // In ten seconds by a person; in minutes where the new version is fetched first.
    for down in [10, 60, 180] {
        let mut cluster = Cluster::new();
        tell(&mut cluster, 0, |_| ());
        cluster.is_quiet();
        let (ends, begins) = (35, 35 + down);
        let ended = cluster.begun.at + SignedDuration::from_secs(ends);
        for second in (30..begins + 240).step_by(30) {
            let back = second >= begins;
            tell(&mut cluster, second, |facts| {
                // One of its pods was to go just then.
                if second >= ends && second < begins + 30 {
                    leaving(facts, ended);
                }
                if second >= ends && !back {
                    gone(facts);
                }
                // Its registrar notices the end, and takes a back-off to come back.
                if second >= ends && second < begins + 60 {
                    registrar_gone(facts);
                }
                if back && second < begins + 90 {
                    not_listed(facts);
                }
            });
            cluster.is_quiet();
        }
        tell(&mut cluster, begins + 240, |_| ());
        cluster.is_as_if_nothing_had_been();
    }
}

#[test]
fn what_a_kubelet_leaves_undone_for_long_is_told() {
    let mut cluster = Cluster::new();
    tell(&mut cluster, 0, |_| ());
    let ended = cluster.begun.at + SignedDuration::from_secs(30);
    for second in (30..=720).step_by(30) {
        tell(&mut cluster, second, |facts| {
            gone(facts);
            registrar_gone(facts);
            leaving(facts, ended);
        });
    }
    expect![[r#"
        open DriverNotRegistered: driver disk.example.com, 1 nodes, 0 explained
        open UnmountStuck: claim shop/orders-db, 1 nodes, 0 explained
    "#]]
    .assert_eq(&cluster.counted());
    // It comes back and does what it left undone.
    for second in [750, 780] {
        tell(&mut cluster, second, |_| ());
    }
    cluster.is_quiet();
}
