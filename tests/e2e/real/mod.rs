//! A real kubelet with containerd and two of the lab's CSI drivers, in the namespaces of `tests/cluster/node.sh`;
//! the agent as the pod that `deploy/` makes of it, and the collector beside it.

mod doctor;
mod expansions;
mod faults;
mod fifty;
mod health;
mod healthy;
mod ill;
mod machine;
mod security;
mod storage;
mod stuck;

use crate::Chapter;
use crate::cluster::{Cluster, Purpose};
use doctor::Doctor;
use machine::Machine;

/// All that a chapter needs.
struct Real<'a> {
    cluster: &'a Cluster,
    machine: Machine<'a>,
    doctor: Doctor,
}

/// In this order, since the first leaves a node on which all is well.
fn all<'a>() -> [Chapter<Real<'a>>; 7] {
    [
        ("healthy", healthy::nothing_opens),
        ("ill", ill::each_gives_its_code),
        ("stuck", stuck::each_gives_its_code),
        ("expansions", expansions::each_gives_its_code),
        ("security", security::all_that_is_granted_is_needed),
        ("health", health::statuses_and_answers_agree),
        ("fifty", fifty::the_agent_stays_within_its_limits),
    ]
}

/// Runs the chapters that are wanted; gives the names of those that failed.
pub(crate) fn run(wanted: &[String]) -> Vec<&'static str> {
    let begun = std::time::Instant::now();
    let cluster = Cluster::start(Purpose::Node);
    crate::chapters::prepare(&cluster);
    let machine = Machine::start(&cluster);
    let doctor = Doctor::start(&cluster);
    println!(
        "node ready, agent heard, in {:.1} s; logs are in {}",
        begun.elapsed().as_secs_f64(),
        cluster.dir().display()
    );
    let real = Real {
        cluster: &cluster,
        machine,
        doctor,
    };
    crate::each(&all(), wanted, &real)
}
