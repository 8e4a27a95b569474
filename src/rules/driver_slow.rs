//! `DriverSlow`: a driver's plugin takes long to answer what it has in memory.

use std::time::Duration;

use crate::model::driver::{Driver, Plugin};
use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::names::NodeName;
use crate::model::observed::Observed;
use crate::model::stage::{MountStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

/// The kubelet gives a registrar one second for such a question (`pkg/kubelet/pluginmanager`).
const SLOW: Duration = Duration::from_secs(1);

pub(super) static RULE: Rule = Rule {
    code: "DriverSlow",
    severity: Severity::Warning,
    stage: Some(Stage::Mount(MountStage::DriverRegistered)),
    // A busy node makes everybody slow for a while.
    grace: Duration::from_mins(5),
    summary: "drivers answer slowly",
    docs: include_str!("../../docs/findings/DriverSlow.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for driver in verdicts.each(&node.drivers) {
        let subject = driver.subject(&node.node);
        match &driver.plugin {
            Observed::Known(plugin) if plugin.took >= SLOW && !driver.expected_by.is_empty() => {
                verdicts.problem(subject, problem(&node.node, driver, plugin));
            }
            Observed::Known(_) => verdicts.ok(subject),
            Observed::Unknown(_) if driver.expected_by.is_empty() => verdicts.ok(subject),
            Observed::Unknown(gap) => verdicts.unknown(subject, gap),
        }
    }
}

fn problem(node: &NodeName, driver: &Driver, plugin: &Plugin) -> Problem {
    let seconds = plugin.took.as_secs_f32();
    Problem::new(format!(
        "Driver {} takes {seconds:.1} s on {node} to answer what it only has to look up: mounts and unmounts of its volumes take longer still.",
        driver.name
    ))
    .because("slowest of its answers about itself", format!("{seconds:.1} s"), "GetPluginInfo, Probe, NodeGetCapabilities, GetPluginCapabilities")
    .next("See whether the node is short of processor time or memory.", format!("kubectl describe node {node} | grep -A8 'Allocated resources'"))
    .next(
        "See whether the driver's pod is held back by its limits.",
        format!("kubectl get pods -A -o wide --field-selector spec.nodeName={node} | grep -i csi"),
    )
    .advise("Look in the driver's log for what it does meanwhile: many calls that wait for a slow storage system, or for one lock.")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::observed::{Gap, Why};
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn slow(millis: u64) -> NodeFacts {
        let mut node = sample::node();
        if let Observed::Known(plugin) = &mut node.drivers.items[0].plugin {
            plugin.took = Duration::from_millis(millis);
        }
        node
    }

    #[test]
    fn a_quick_driver_is_ok() {
        check(&RULE, &slow(750), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_slow_one_is_a_problem() {
        check(&RULE, &slow(2250), expect![[r#"
            warning DriverSlow: driver disk.example.com on node node-1
              Driver disk.example.com takes 2.2 s on node-1 to answer what it only has to look up: mounts and unmounts of its volumes take longer still.
              - slowest of its answers about itself: 2.2 s [GetPluginInfo, Probe, NodeGetCapabilities, GetPluginCapabilities]
              > See whether the node is short of processor time or memory.
                kubectl describe node node-1 | grep -A8 'Allocated resources'
              > See whether the driver's pod is held back by its limits.
                kubectl get pods -A -o wide --field-selector spec.nodeName=node-1 | grep -i csi
              > Look in the driver's log for what it does meanwhile: many calls that wait for a slow storage system, or for one lock.
        "#]]);
    }

    #[test]
    fn one_that_nobody_asks_for_is_quiet() {
        let mut node = slow(2250);
        node.drivers.items[0].expected_by.clear();
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn one_that_does_not_answer_is_unknown() {
        let mut node = sample::node();
        node.drivers.items[0].plugin = Observed::Unknown(Gap::new(Why::Unavailable, "connection refused"));
        check(&RULE, &node, expect![[r#"
            unknown DriverSlow: driver disk.example.com on node node-1: connection refused (Unavailable)
        "#]]);
    }
}
