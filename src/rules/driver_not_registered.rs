//! `DriverNotRegistered`: a driver's plugin answers, and the kubelet does not know it, or knows it as
//! something else.

use std::time::Duration;

use crate::model::driver::Driver;
use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::names::NodeName;
use crate::model::observed::{Gap, Observed, Why};
use crate::model::stage::{MountStage, Stage};
use crate::rules::{Check, Rule, Verdicts, quote};

pub(super) static RULE: Rule = Rule {
    code: "DriverNotRegistered",
    severity: Severity::Warning,
    stage: Some(Stage::Mount(MountStage::DriverRegistered)),
    // Plugin, registrar and kubelet take minutes to find each other when a driver is rolled out.
    grace: Duration::from_mins(5),
    summary: "drivers are not registered with the kubelet",
    docs: include_str!("../../docs/findings/DriverNotRegistered.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for driver in verdicts.each(&node.drivers) {
        let subject = driver.subject(&node.node);
        match unregistered(driver) {
            Ok(None) => verdicts.ok(subject),
            Ok(Some(how)) => verdicts.problem(subject, problem(&node.node, driver, &how)),
            Err(gap) => verdicts.unknown(subject, gap),
        }
    }
}

/// What is wrong with a driver's registration.
enum How<'a> {
    /// No registrar tells the kubelet of it.
    NoRegistrar,
    /// The registrar tells of it under another name.
    OtherName(&'a str),
    /// The registrar tells of it, and the kubelet did not take it.
    NotTaken,
    /// It was registered while it called the node something else.
    OtherNode { listed: &'a str, says: &'a str },
}

fn unregistered(driver: &Driver) -> Result<Option<How<'_>>, &Gap> {
    let plugin = match &driver.plugin {
        Observed::Known(plugin) => plugin,
        Observed::Unknown(_) if driver.expected_by.is_empty() => return Ok(None),
        // A plugin that does not answer is another rule's matter: here nothing is known of it.
        Observed::Unknown(gap) => return Err(gap),
    };
    let registered = match &driver.registered_as {
        // Left-over sockets and controllers' have no registrar, and nobody asks for them here.
        Observed::Known(None) | Observed::Unknown(_) if driver.expected_by.is_empty() => return Ok(None),
        Observed::Known(None) => return Ok(Some(How::NoRegistrar)),
        Observed::Known(Some(name)) => name,
        Observed::Unknown(gap) => return Err(gap),
    };
    if *registered != driver.name {
        return Ok(Some(How::OtherName(registered.as_str())));
    }
    match (&driver.csi_node, &plugin.info) {
        (Observed::Known(None), _) => Ok(Some(How::NotTaken)),
        (Observed::Known(Some(listed)), Observed::Known(info)) if listed.node_id != info.node_id => {
            Ok(Some(How::OtherNode {
                listed: &listed.node_id,
                says: &info.node_id,
            }))
        }
        (Observed::Known(Some(_)), _) => Ok(None),
        // Where nobody was asked for objects, the registrar's word has to do.
        (Observed::Unknown(gap), _) if gap.why == Why::NotAsked => Ok(None),
        (Observed::Unknown(gap), _) => Err(gap),
    }
}

fn problem(node: &NodeName, driver: &Driver, how: &How<'_>) -> Problem {
    let name = &driver.name;
    let (sentence, registrar) = match how {
        How::NoRegistrar => (
            format!("Driver {name} answers on {node}, and no registrar tells the kubelet of it: none of its volumes can be mounted there."),
            "none answers".to_owned(),
        ),
        How::OtherName(other) => (
            format!("The plugin that calls itself {name} is registered on {node} as {other}: volumes of {name} cannot be mounted there."),
            format!("tells of {other}"),
        ),
        How::NotTaken => (
            format!("The registrar of driver {name} answers on {node}, and the kubelet has not taken the driver: CSINode {node} does not list it."),
            format!("tells of {name}"),
        ),
        How::OtherNode { listed, says } => (
            format!("Driver {name} calls {node} {says:?} now, and was registered when it called it {listed:?}: its volumes are attached to another machine."),
            format!("tells of {name}"),
        ),
    };
    let problem = Problem::new(sentence)
        .because("registrar", registrar, "plugins_registry of the kubelet")
        .because(
            "CSINode",
            match &driver.csi_node {
                Observed::Known(Some(listed)) => format!("lists it, node id {}", listed.node_id),
                Observed::Known(None) => "does not list it".to_owned(),
                Observed::Unknown(gap) => format!("not known: {gap}"),
            },
            format!("CSINode {node}"),
        );
    let problem = match driver.plugin.known().map(|plugin| &plugin.info) {
        Some(Observed::Unknown(gap)) => problem.because("NodeGetInfo", format!("fails, and without it the kubelet takes no driver: {gap}"), driver.name.to_string()),
        _ => problem,
    };
    let problem = match driver.expected_by.as_slice() {
        [] => problem,
        by => problem.because("expected by", by.join(", "), "Kubernetes objects"),
    };
    let problem = match &driver.socket {
        Some(socket) => problem.next("See on the node who serves the plugin's socket.", format!("ss --listening --unix --processes | grep {}", quote(socket))),
        None => problem,
    };
    problem
        .next("See what the kubelet has registered.", format!("kubectl get csinode {node} -o yaml"))
        .next(
            "Find the driver's pod; the log of its registrar (container node-driver-registrar) has the kubelet's refusal.",
            format!("kubectl get pods -A -o wide --field-selector spec.nodeName={node} | grep -i csi"),
        )
        .advise("Restart the driver's pod on the node: its registrar makes its socket anew, and the kubelet asks again.")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn with(change: impl FnOnce(&mut Driver)) -> NodeFacts {
        let mut node = sample::node();
        change(&mut node.drivers.items[0]);
        node
    }

    #[test]
    fn a_registered_driver_is_ok() {
        check(&RULE, &sample::node(), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn one_without_a_registrar_is_a_problem() {
        check(&RULE, &with(|driver| driver.registered_as = Observed::Known(None)), expect![[r#"
            warning DriverNotRegistered: driver disk.example.com on node node-1
              Driver disk.example.com answers on node-1, and no registrar tells the kubelet of it: none of its volumes can be mounted there.
              - registrar: none answers [plugins_registry of the kubelet]
              - CSINode: lists it, node id i-0001 [CSINode node-1]
              - expected by: CSINode node-1, pod shop/orders-0 [Kubernetes objects]
              > See on the node who serves the plugin's socket.
                ss --listening --unix --processes | grep /var/lib/kubelet/plugins/disk.example.com/csi.sock
              > See what the kubelet has registered.
                kubectl get csinode node-1 -o yaml
              > Find the driver's pod; the log of its registrar (container node-driver-registrar) has the kubelet's refusal.
                kubectl get pods -A -o wide --field-selector spec.nodeName=node-1 | grep -i csi
              > Restart the driver's pod on the node: its registrar makes its socket anew, and the kubelet asks again.
        "#]]);
    }

    #[test]
    fn one_under_another_name_is_a_problem() {
        let node = with(|driver| driver.registered_as = Observed::Known(Some("old.example.com".into())));
        check(&RULE, &node, expect![[r#"
            warning DriverNotRegistered: driver disk.example.com on node node-1
              The plugin that calls itself disk.example.com is registered on node-1 as old.example.com: volumes of disk.example.com cannot be mounted there.
              - registrar: tells of old.example.com [plugins_registry of the kubelet]
              - CSINode: lists it, node id i-0001 [CSINode node-1]
              - expected by: CSINode node-1, pod shop/orders-0 [Kubernetes objects]
              > See on the node who serves the plugin's socket.
                ss --listening --unix --processes | grep /var/lib/kubelet/plugins/disk.example.com/csi.sock
              > See what the kubelet has registered.
                kubectl get csinode node-1 -o yaml
              > Find the driver's pod; the log of its registrar (container node-driver-registrar) has the kubelet's refusal.
                kubectl get pods -A -o wide --field-selector spec.nodeName=node-1 | grep -i csi
              > Restart the driver's pod on the node: its registrar makes its socket anew, and the kubelet asks again.
        "#]]);
    }

    #[test]
    fn one_that_the_kubelet_did_not_take_is_a_problem() {
        let node = with(|driver| {
            driver.csi_node = Observed::Known(None);
            driver.expected_by.clear();
        });
        check(&RULE, &node, expect![[r#"
            warning DriverNotRegistered: driver disk.example.com on node node-1
              The registrar of driver disk.example.com answers on node-1, and the kubelet has not taken the driver: CSINode node-1 does not list it.
              - registrar: tells of disk.example.com [plugins_registry of the kubelet]
              - CSINode: does not list it [CSINode node-1]
              > See on the node who serves the plugin's socket.
                ss --listening --unix --processes | grep /var/lib/kubelet/plugins/disk.example.com/csi.sock
              > See what the kubelet has registered.
                kubectl get csinode node-1 -o yaml
              > Find the driver's pod; the log of its registrar (container node-driver-registrar) has the kubelet's refusal.
                kubectl get pods -A -o wide --field-selector spec.nodeName=node-1 | grep -i csi
              > Restart the driver's pod on the node: its registrar makes its socket anew, and the kubelet asks again.
        "#]]);
    }

    #[test]
    fn one_that_calls_the_node_something_else_is_a_problem() {
        let node = with(|driver| {
            if let Observed::Known(Some(listed)) = &mut driver.csi_node {
                listed.node_id = "i-0002".to_owned();
            }
        });
        check(&RULE, &node, expect![[r#"
            warning DriverNotRegistered: driver disk.example.com on node node-1
              Driver disk.example.com calls node-1 "i-0001" now, and was registered when it called it "i-0002": its volumes are attached to another machine.
              - registrar: tells of disk.example.com [plugins_registry of the kubelet]
              - CSINode: lists it, node id i-0002 [CSINode node-1]
              - expected by: CSINode node-1, pod shop/orders-0 [Kubernetes objects]
              > See on the node who serves the plugin's socket.
                ss --listening --unix --processes | grep /var/lib/kubelet/plugins/disk.example.com/csi.sock
              > See what the kubelet has registered.
                kubectl get csinode node-1 -o yaml
              > Find the driver's pod; the log of its registrar (container node-driver-registrar) has the kubelet's refusal.
                kubectl get pods -A -o wide --field-selector spec.nodeName=node-1 | grep -i csi
              > Restart the driver's pod on the node: its registrar makes its socket anew, and the kubelet asks again.
        "#]]);
    }

    #[test]
    fn a_socket_that_nobody_asks_for_is_quiet() {
        let node = with(|driver| {
            driver.registered_as = Observed::Known(None);
            driver.csi_node = Observed::Known(None);
            driver.expected_by.clear();
        });
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn without_objects_the_registrar_has_to_do() {
        let gap = Gap::new(Why::NotAsked, "no source of Kubernetes objects");
        check(&RULE, &with(|driver| driver.csi_node = Observed::Unknown(gap)), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn what_could_not_be_asked_is_unknown() {
        let gap = |what: &str| Gap::new(Why::Denied, what);
        let node = with(|driver| driver.registered_as = Observed::Unknown(gap("connect to the registrar: permission denied")));
        check(&RULE, &node, expect![[r#"
            unknown DriverNotRegistered: driver disk.example.com on node node-1: connect to the registrar: permission denied (Denied)
        "#]]);
        let node = with(|driver| driver.csi_node = Observed::Unknown(gap("get csinodes: forbidden")));
        check(&RULE, &node, expect![[r#"
            unknown DriverNotRegistered: driver disk.example.com on node node-1: get csinodes: forbidden (Denied)
        "#]]);
    }
}
