//! What is tried, one after the other.

mod answers;
mod binding;
mod callers;
mod collector;
mod diagnose;
mod events;
mod objects;
mod outage;
mod requests;
mod rights;
mod slow;
mod walkthroughs;

use std::path::Path;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::{Chapter, until};

/// All of them, cheapest first.
pub(crate) const ALL: &[Chapter<Cluster>] = &[
    // They show all classes of the cluster, which the others add to.
    ("walkthroughs", walkthroughs::each_as_it_is_written),
    ("rights", rights::all_that_is_granted_is_used),
    ("answers", answers::files_and_server_say_the_same),
    ("collector", collector::all_that_is_granted_is_used),
    ("objects", objects::what_the_controllers_make),
    ("binding", binding::each_mismatch_is_named),
    ("callers", callers::each_command_with_less_and_less),
    ("diagnose", diagnose::each_object_by_its_steps),
    ("events", events::one_event_each_and_none_twice),
    (
        "collector-missing-rights",
        collector::without_one_the_rest_goes_on,
    ),
    ("missing-rights", rights::without_one_the_rest_goes_on),
    ("slow", slow::a_slow_server_changes_nothing),
    ("requests", requests::twenty_intervals),
    ("outage", outage::five_minutes_without_a_server),
];

/// Applies `deploy/` as an operator does, and waits until its rights hold.
pub(crate) fn prepare(cluster: &Cluster) {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let base = deploy.join("base").display().to_string();
    // The namespace comes first, and everything else is judged by the server: fields, policies, names.
    cluster.kubectl(&["apply", "-k", &base]);
    cluster.kubectl(&[
        "apply",
        "-k",
        &base,
        "--server-side",
        "--force-conflicts",
        "--validate=strict",
    ]);
    for overlay in ["k0s", "microk8s"] {
        let overlay = deploy.join("overlays").join(overlay).display().to_string();
        cluster.kubectl(&[
            "apply",
            "-k",
            &overlay,
            "--dry-run=server",
            "--validate=strict",
        ]);
    }
    cluster.kubectl(&[
        "kustomize",
        &deploy.join("overlays/openshift").display().to_string(),
    ]);
    until("the agent's rights hold", Duration::from_secs(30), || {
        may(cluster, "list", "pods").then_some(())
    });
}

/// Whether the agent's account has a right, by the authorizer's own word.
fn may(cluster: &Cluster, verb: &str, resource: &str) -> bool {
    let account = "--as=system:serviceaccount:csi-doctor:csi-doctor-agent";
    cluster
        .try_kubectl(&["auth", "can-i", verb, resource, "-A", account])
        .is_ok()
}
