//! `DriverNotReady`: a driver's plugin answers, and says that it is not ready.

use std::time::Duration;

use crate::model::driver::Driver;
use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::names::NodeName;
use crate::model::observed::{Observed, Why};
use crate::model::stage::{MountStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "DriverNotReady",
    severity: Severity::Warning,
    stage: Some(Stage::Mount(MountStage::DriverRegistered)),
    // A driver that starts may say so for as long as it looks around.
    grace: Duration::from_mins(5),
    summary: "drivers say that they are not ready",
    docs: include_str!("../../docs/findings/DriverNotReady.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for driver in verdicts.each(&node.drivers) {
        let subject = driver.subject(&node.node);
        // One that nobody asks for is nobody's matter.
        if driver.expected_by.is_empty() {
            verdicts.ok(subject);
            continue;
        }
        let plugin = match &driver.plugin {
            Observed::Known(plugin) => plugin,
            // One that does not answer at all is another rule's matter, and is not known to be ready.
            Observed::Unknown(gap) => {
                verdicts.unknown(subject, gap);
                continue;
            }
        };
        match &plugin.ready {
            Observed::Known(true) => verdicts.ok(subject),
            Observed::Known(false) => {
                verdicts.problem(subject, problem(&node.node, driver, "answers that it is still starting", "ready: false"));
            }
            Observed::Unknown(gap) => match gap.why {
                // The error by which a plugin says that something it depends on is missing.
                Why::Unavailable | Why::TimedOut | Why::NotFound => {
                    verdicts.problem(subject, problem(&node.node, driver, "fails its own probe", &gap.what));
                }
                // It does not have the call, which the specification asks for, and works without.
                Why::Unsupported => verdicts.ok(subject),
                Why::Denied | Why::NotAsked | Why::Stale | Why::Malformed => verdicts.unknown(subject, gap),
            },
        }
    }
}

fn problem(node: &NodeName, driver: &Driver, how: &str, answer: &str) -> Problem {
    let problem = Problem::new(format!(
        "Driver {} {how} on {node}: the kubelet does not ask, but what it is asked for may fail.",
        driver.name
    ))
    .because("Probe", answer, driver.socket.as_ref().map_or_else(String::new, ToString::to_string));
    let problem = match driver.started {
        Some(started) => problem.because("plugin started", format!("{started:.0}"), "its socket"),
        None => problem,
    };
    problem
        .because("expected by", driver.expected_by.join(", "), "Kubernetes objects")
        .next(
            "Find the driver's pod on the node and read the log of its plugin: it says what it waits for.",
            format!("kubectl get pods -A -o wide --field-selector spec.nodeName={node} | grep -i csi"),
        )
        .advise("Look at what the plugin depends on: kernel modules, its storage system's API, its credentials.")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::observed::Gap;
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn probed(ready: Observed<bool>) -> NodeFacts {
        let mut node = sample::node();
        if let Observed::Known(plugin) = &mut node.drivers.items[0].plugin {
            plugin.ready = ready;
        }
        node
    }

    fn failed(why: Why, what: &str) -> NodeFacts {
        probed(Observed::Unknown(Gap::new(why, what)))
    }

    #[test]
    fn a_ready_driver_is_ok() {
        check(&RULE, &sample::node(), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn one_that_is_still_starting_is_a_problem() {
        check(&RULE, &probed(Observed::Known(false)), expect![[r#"
            warning DriverNotReady: driver disk.example.com on node node-1
              Driver disk.example.com answers that it is still starting on node-1: the kubelet does not ask, but what it is asked for may fail.
              - Probe: ready: false [/var/lib/kubelet/plugins/disk.example.com/csi.sock]
              - plugin started: 2026-11-25T12:00:00Z [its socket]
              - expected by: CSINode node-1, pod shop/orders-0 [Kubernetes objects]
              > Find the driver's pod on the node and read the log of its plugin: it says what it waits for.
                kubectl get pods -A -o wide --field-selector spec.nodeName=node-1 | grep -i csi
              > Look at what the plugin depends on: kernel modules, its storage system's API, its credentials.
        "#]]);
    }

    #[test]
    fn one_that_fails_its_probe_is_a_problem() {
        check(&RULE, &failed(Why::Unavailable, "call Probe at /csi.sock: FailedPrecondition: no iscsid"), expect![[r#"
            warning DriverNotReady: driver disk.example.com on node node-1
              Driver disk.example.com fails its own probe on node-1: the kubelet does not ask, but what it is asked for may fail.
              - Probe: call Probe at /csi.sock: FailedPrecondition: no iscsid [/var/lib/kubelet/plugins/disk.example.com/csi.sock]
              - plugin started: 2026-11-25T12:00:00Z [its socket]
              - expected by: CSINode node-1, pod shop/orders-0 [Kubernetes objects]
              > Find the driver's pod on the node and read the log of its plugin: it says what it waits for.
                kubectl get pods -A -o wide --field-selector spec.nodeName=node-1 | grep -i csi
              > Look at what the plugin depends on: kernel modules, its storage system's API, its credentials.
        "#]]);
    }

    #[test]
    fn one_without_the_call_is_quiet() {
        check(&RULE, &failed(Why::Unsupported, "call Probe at /csi.sock: Unimplemented"), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn one_that_nobody_asks_for_is_quiet() {
        let mut node = probed(Observed::Known(false));
        node.drivers.items[0].expected_by.clear();
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn of_one_that_is_gone_nothing_is_known() {
        let mut node = sample::node();
        node.drivers.items[0].plugin = Observed::Unknown(Gap::new(Why::Unavailable, "connection refused"));
        check(&RULE, &node, expect![[r#"
            unknown DriverNotReady: driver disk.example.com on node node-1: connection refused (Unavailable)
        "#]]);
    }

    #[test]
    fn an_answer_that_is_none_is_unknown() {
        check(&RULE, &failed(Why::Malformed, "call Probe at /csi.sock: no Protobuf"), expect![[r#"
            unknown DriverNotReady: driver disk.example.com on node node-1: call Probe at /csi.sock: no Protobuf (Malformed)
        "#]]);
    }
}
