//! `StorageBackendUnhealthy`: the driver, or Kubernetes for it, says that the storage behind it is ill.

use std::time::Duration;

use crate::health::{self, Health, Told};
use crate::model::driver::Driver;
use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::health::Illness;
use crate::model::names::NodeName;
use crate::model::stage::{MountStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "StorageBackendUnhealthy",
    severity: Severity::Warning,
    stage: Some(Stage::Mount(MountStage::DriverRegistered)),
    // A path that is lost for a moment is what redundant ones are for.
    grace: Duration::from_mins(2),
    summary: "storage is ill by its driver's word",
    docs: include_str!("../../docs/findings/StorageBackendUnhealthy.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for driver in verdicts.each(&node.drivers) {
        let subject = driver.subject(&node.node);
        match health::of_backend(driver) {
            Health::Well | Health::Untold => verdicts.ok(subject),
            Health::Ill(told) => verdicts.problem(subject, problem(&node.node, driver, &told)),
            Health::Unknown(gap) => verdicts.unknown(subject, gap),
        }
    }
}

fn problem(node: &NodeName, driver: &Driver, told: &[Told]) -> Problem {
    let worst = told.first().map_or_else(String::new, |told| told.entry.to_string());
    let severity = match told.first().map(|told| &told.entry.illness) {
        Some(Illness::Unreachable | Illness::Inaccessible | Illness::DataLoss) => Severity::Critical,
        _ => Severity::Warning,
    };
    let problem = Problem::new(format!(
        "Driver {} says of the storage behind it, as seen from {node}: {}.",
        driver.name,
        worst.trim_end_matches('.')
    ))
    .severity(severity);
    let problem = told.iter().fold(problem, |problem, told| {
        problem.because("said", told.entry.to_string(), told.source.clone())
    });
    problem
        .advise("Look at the storage system itself: its own health page or command says which part is ill.")
        .next("See whether other nodes see it too.", "kubectl csi-doctor get findings -A | grep StorageBackendUnhealthy")
        .advise("Seen from one node alone, it is the way from there: its network, its credentials, its initiator.")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::health::HealthEntry;
    use crate::model::observed::{Gap, Observed, Why};
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn told(health: Observed<Vec<HealthEntry>>) -> NodeFacts {
        let mut node = sample::node();
        if let Observed::Known(plugin) = &mut node.drivers.items[0].plugin {
            plugin.storage_health = health;
        }
        node
    }

    fn entry(illness: Illness) -> HealthEntry {
        HealthEntry {
            illness,
            reason: String::new(),
            message: "2 of 3 monitors do not answer".to_owned(),
        }
    }

    #[test]
    fn a_driver_that_says_nothing_or_well_is_ok() {
        check(&RULE, &sample::node(), expect![[r#"
            1 ok
        "#]]);
        check(&RULE, &told(Observed::Known(Vec::new())), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn what_the_driver_says_is_a_problem() {
        check(&RULE, &told(Observed::Known(vec![entry(Illness::Degraded)])), expect![[r#"
            warning StorageBackendUnhealthy: driver disk.example.com on node node-1
              Driver disk.example.com says of the storage behind it, as seen from node-1: Degraded: 2 of 3 monitors do not answer.
              - said: Degraded: 2 of 3 monitors do not answer [NodeGetStorageHealth]
              > Look at the storage system itself: its own health page or command says which part is ill.
              > See whether other nodes see it too.
                kubectl csi-doctor get findings -A | grep StorageBackendUnhealthy
              > Seen from one node alone, it is the way from there: its network, its credentials, its initiator.
        "#]]);
    }

    #[test]
    fn what_the_kubelet_wrote_down_counts_too() {
        let mut node = told(Observed::Known(vec![entry(Illness::Degraded)]));
        node.drivers.items[0].reported_health = vec![entry(Illness::Unreachable)];
        check(&RULE, &node, expect![[r#"
            critical StorageBackendUnhealthy: driver disk.example.com on node node-1
              Driver disk.example.com says of the storage behind it, as seen from node-1: Unreachable: 2 of 3 monitors do not answer.
              - said: Unreachable: 2 of 3 monitors do not answer [CSINode's status.storageHealth]
              - said: Degraded: 2 of 3 monitors do not answer [NodeGetStorageHealth]
              > Look at the storage system itself: its own health page or command says which part is ill.
              > See whether other nodes see it too.
                kubectl csi-doctor get findings -A | grep StorageBackendUnhealthy
              > Seen from one node alone, it is the way from there: its network, its credentials, its initiator.
        "#]]);
    }

    #[test]
    fn of_a_plugin_that_is_gone_nothing_is_known() {
        let mut node = sample::node();
        node.drivers.items[0].plugin = Observed::Unknown(Gap::new(Why::Unavailable, "connection refused"));
        check(&RULE, &node, expect![[r#"
            unknown StorageBackendUnhealthy: driver disk.example.com on node node-1: connection refused (Unavailable)
        "#]]);
    }

    #[test]
    fn a_call_that_is_not_answered_is_unknown() {
        let gap = Gap::new(Why::TimedOut, "call NodeGetStorageHealth: no answer within 5s");
        check(&RULE, &told(Observed::Unknown(gap)), expect![[r#"
            unknown StorageBackendUnhealthy: driver disk.example.com on node node-1: call NodeGetStorageHealth: no answer within 5s (TimedOut)
        "#]]);
    }
}
