//! `DriverUnreachable`: a driver that somebody expects on this node does not answer on its socket.

use std::time::Duration;

use crate::model::driver::Driver;
use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::stage::{MountStage, Stage};
use crate::model::names::NodeName;
use crate::model::observed::{Gap, Observed, Why};
use crate::rules::{Check, Rule, Verdicts, quote};

pub(super) static RULE: Rule = Rule {
    code: "DriverUnreachable",
    severity: Severity::Warning,
    stage: Some(Stage::Mount(MountStage::DriverRegistered)),
    // A roll-out of the driver takes minutes on one node: image, start, registration.
    grace: Duration::from_mins(5),
    summary: "drivers do not answer",
    docs: include_str!("../../docs/findings/DriverUnreachable.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for driver in verdicts.each(&node.drivers) {
        let subject = driver.subject(&node.node);
        match &driver.plugin {
            Observed::Known(_) => verdicts.ok(subject),
            // A socket that nobody asks for was left behind, or is a controller's.
            Observed::Unknown(_) if driver.expected_by.is_empty() => verdicts.ok(subject),
            // It may have a socket where could not be looked.
            Observed::Unknown(gap) if driver.socket.is_none() && gap.why != Why::NotFound => verdicts.unknown(subject, gap),
            Observed::Unknown(gap) => match gap.why {
                Why::TimedOut | Why::NotFound | Why::Unavailable | Why::Malformed | Why::Unsupported => {
                    verdicts.problem(subject, problem(&node.node, driver, gap));
                }
                Why::Denied | Why::NotAsked | Why::Stale => verdicts.unknown(subject, gap),
            },
        }
    }
}

fn problem(node: &NodeName, driver: &Driver, gap: &Gap) -> Problem {
    let how = match gap.why {
        Why::TimedOut => "accepts a connection and does not answer",
        Why::NotFound => "has no socket",
        _ => "does not answer",
    };
    let problem = Problem::new(format!(
        "Driver {} {how} on {node}: no volume of it can be mounted, unmounted or expanded there until it does.",
        driver.name
    ))
    .since(gap.since)
    .because("plugin", &gap.what, match &driver.socket {
        Some(socket) => socket.to_string(),
        None => "kubelet's directory".to_owned(),
    })
    .because("expected by", driver.expected_by.join(", "), "Kubernetes objects")
    .next(
        "See whether the driver's pod runs on the node.",
        format!("kubectl get pods -A -o wide --field-selector spec.nodeName={node} | grep -i csi"),
    )
    .next("See what the kubelet has registered.", format!("kubectl get csinode {node} -o yaml"));
    match &driver.socket {
        Some(socket) => problem.next("See on the node whether anybody listens.", format!("ss --listening --unix --processes | grep {}", quote(socket))),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn silent(why: Why, what: &str) -> NodeFacts {
        let mut node = sample::node();
        node.drivers.items[0].plugin = Observed::Unknown(Gap::new(why, what));
        node
    }

    #[test]
    fn an_answer_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    #[test]
    fn a_socket_that_refuses_is_a_problem() {
        check(&RULE, &silent(Why::Unavailable, "connect: connection refused"), expect![[r#"
            warning DriverUnreachable: driver disk.example.com on node node-1
              Driver disk.example.com does not answer on node-1: no volume of it can be mounted, unmounted or expanded there until it does.
              - plugin: connect: connection refused [/var/lib/kubelet/plugins/disk.example.com/csi.sock]
              - expected by: CSINode node-1, pod shop/orders-0 [Kubernetes objects]
              > See whether the driver's pod runs on the node.
                kubectl get pods -A -o wide --field-selector spec.nodeName=node-1 | grep -i csi
              > See what the kubelet has registered.
                kubectl get csinode node-1 -o yaml
              > See on the node whether anybody listens.
                ss --listening --unix --processes | grep /var/lib/kubelet/plugins/disk.example.com/csi.sock
        "#]]);
    }

    #[test]
    fn a_plugin_that_never_answers_is_a_problem() {
        check(&RULE, &silent(Why::TimedOut, "GetPluginInfo: no answer within 5s"), expect![[r#"
            warning DriverUnreachable: driver disk.example.com on node node-1
              Driver disk.example.com accepts a connection and does not answer on node-1: no volume of it can be mounted, unmounted or expanded there until it does.
              - plugin: GetPluginInfo: no answer within 5s [/var/lib/kubelet/plugins/disk.example.com/csi.sock]
              - expected by: CSINode node-1, pod shop/orders-0 [Kubernetes objects]
              > See whether the driver's pod runs on the node.
                kubectl get pods -A -o wide --field-selector spec.nodeName=node-1 | grep -i csi
              > See what the kubelet has registered.
                kubectl get csinode node-1 -o yaml
              > See on the node whether anybody listens.
                ss --listening --unix --processes | grep /var/lib/kubelet/plugins/disk.example.com/csi.sock
        "#]]);
    }

    #[test]
    fn a_driver_without_a_socket_is_a_problem() {
        let mut node = silent(Why::NotFound, "no socket of it under /var/lib/kubelet");
        node.drivers.items[0].socket = None;
        check(&RULE, &node, expect![[r#"
            warning DriverUnreachable: driver disk.example.com on node node-1
              Driver disk.example.com has no socket on node-1: no volume of it can be mounted, unmounted or expanded there until it does.
              - plugin: no socket of it under /var/lib/kubelet [kubelet's directory]
              - expected by: CSINode node-1, pod shop/orders-0 [Kubernetes objects]
              > See whether the driver's pod runs on the node.
                kubectl get pods -A -o wide --field-selector spec.nodeName=node-1 | grep -i csi
              > See what the kubelet has registered.
                kubectl get csinode node-1 -o yaml
        "#]]);
    }

    #[test]
    fn one_whose_socket_may_be_where_could_not_be_looked_is_unknown() {
        let mut node = silent(Why::Unavailable, "look for sockets in /var/lib/kubelet/plugins_registry: input/output error");
        node.drivers.items[0].socket = None;
        check(&RULE, &node, expect![[r#"
            unknown DriverUnreachable: driver disk.example.com on node node-1: look for sockets in /var/lib/kubelet/plugins_registry: input/output error (Unavailable)
        "#]]);
    }

    #[test]
    fn a_socket_that_nobody_asks_for_is_quiet() {
        let mut node = silent(Why::Unavailable, "connect: connection refused");
        node.drivers.items[0].expected_by.clear();
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn a_socket_that_we_may_not_open_is_unknown() {
        check(&RULE, &silent(Why::Denied, "connect: permission denied"), expect![[r#"
            unknown DriverUnreachable: driver disk.example.com on node node-1: connect: permission denied (Denied)
        "#]]);
    }
}
