//! `NodeSilent`: an agent stopped reporting, and nothing about its node is certain.

use std::time::Duration;

use crate::model::facts::{ClusterFacts, HeardNode};
use crate::model::finding::{Problem, Severity, quote};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "NodeSilent",
    severity: Severity::Warning,
    stage: None,
    // A machine that reboots is back within ten minutes, its firmware included.
    grace: Duration::from_mins(10),
    summary: "nodes are not heard",
    docs: include_str!("../../docs/findings/NodeSilent.md"),
    check: Check::Cluster(check),
};

fn check(cluster: &ClusterFacts, verdicts: &mut Verdicts) {
    for node in verdicts.each(&cluster.nodes) {
        if node.silent {
            verdicts.problem(node.subject(), problem(node));
        } else {
            verdicts.ok(node.subject());
        }
    }
}

fn problem(node: &HeardNode) -> Problem {
    let name = &node.name;
    let (heard, last) = match node.heard {
        Some(heard) => (format!("since {heard:.0}"), heard.to_string()),
        None => (
            "since the collector began".to_owned(),
            "not by this collector".to_owned(),
        ),
    };
    let volumes = match node.volumes {
        0 => "nothing about it".to_owned(),
        1 => "nothing about its volume".to_owned(),
        volumes => format!("nothing about its {volumes} volumes"),
    };
    Problem::new(format!(
        "The agent on node {name} has not been heard {heard}: {volumes} is certain."
    ))
    .because("last report", last, "collector")
    .because(
        "time between two reports",
        format!("{} s", node.interval.as_secs()),
        "agent",
    )
    .next(
        "See whether the node is there and ready.",
        format!("kubectl get node {}", quote(name)),
    )
    .next(
        "See whether its agent runs, and what it says.",
        format!(
            "kubectl get pods -A -o wide --field-selector spec.nodeName={} | grep csi-doctor",
            quote(name)
        ),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use crate::model::observed::{Gap, Listing, Why};
    use crate::model::sample;

    use super::*;

    fn node(name: &str, silent: bool) -> HeardNode {
        HeardNode {
            name: name.into(),
            heard: Some(sample::noon()),
            interval: Duration::from_secs(30),
            silent,
            volumes: 3,
        }
    }

    fn check_all(nodes: Listing<HeardNode>, expected: &Expect) {
        let facts = ClusterFacts {
            nodes,
            ..ClusterFacts::unknown(sample::noon(), Gap::new(Why::NotAsked, "no objects"))
        };
        let mut verdicts = Verdicts::default();
        check(&facts, &mut verdicts);
        expected.assert_eq(&sample::read(&verdicts.of(&RULE)));
    }

    #[test]
    fn a_node_that_is_heard_is_ok() {
        check_all(
            Listing::complete(vec![node("n1", false), node("n2", false)]),
            &expect![[r#"
                2 ok
            "#]],
        );
    }

    #[test]
    fn a_silent_node_is_a_problem() {
        let mut never = node("n2", true);
        never.heard = None;
        never.volumes = 0;
        check_all(
            Listing::complete(vec![node("n1", true), never]),
            &expect![[r#"
                warning NodeSilent: node n1 on node n1
                  The agent on node n1 has not been heard since 2026-11-25T12:00:00Z: nothing about its 3 volumes is certain.
                  - last report: 2026-11-25T12:00:00Z [collector]
                  - time between two reports: 30 s [agent]
                  > See whether the node is there and ready.
                    kubectl get node n1
                  > See whether its agent runs, and what it says.
                    kubectl get pods -A -o wide --field-selector spec.nodeName=n1 | grep csi-doctor
                warning NodeSilent: node n2 on node n2
                  The agent on node n2 has not been heard since the collector began: nothing about it is certain.
                  - last report: not by this collector [collector]
                  - time between two reports: 30 s [agent]
                  > See whether the node is there and ready.
                    kubectl get node n2
                  > See whether its agent runs, and what it says.
                    kubectl get pods -A -o wide --field-selector spec.nodeName=n2 | grep csi-doctor
            "#]],
        );
    }

    #[test]
    fn a_list_with_gaps_is_incomplete() {
        let gap = Gap::new(Why::Unavailable, "the store");
        check_all(Listing::unknown(gap), &expect![[r#"
            incomplete NodeSilent: the store (Unavailable)
        "#]]);
    }
}
