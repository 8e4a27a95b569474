//! `VolumeConditionAbnormal`: the driver, or Kubernetes for it, says that something is wrong with a volume.

use std::time::Duration;

use crate::health::{self, Health, Told};
use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::health::Illness;
use crate::model::names::NodeName;
use crate::model::stage::{MountStage, Stage};
use crate::model::volume::Volume;
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "VolumeConditionAbnormal",
    severity: Severity::Warning,
    stage: Some(Stage::Mount(MountStage::Answers)),
    // Drivers tell of a volume that is still being mounted as of an ill one.
    grace: Duration::from_mins(2),
    summary: "volumes are ill by their drivers' word",
    docs: include_str!("../../docs/findings/VolumeConditionAbnormal.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in verdicts.each(&node.volumes) {
        let subject = volume.subject(&node.node);
        match health::of_volume(volume) {
            Health::Well | Health::Untold => verdicts.ok(subject),
            Health::Ill(told) => verdicts.problem(subject, problem(&node.node, volume, &told)),
            Health::Unknown(gap) => verdicts.unknown(subject, gap),
        }
    }
}

fn problem(node: &NodeName, volume: &Volume, told: &[Told]) -> Problem {
    let worst = told.first().map_or_else(String::new, |told| told.entry.to_string());
    let severity = match told.first().map(|told| &told.entry.illness) {
        Some(Illness::DataLoss | Illness::Inaccessible | Illness::Unreachable) => Severity::Critical,
        _ => Severity::Warning,
    };
    let problem = Problem::new(format!(
        "Driver {} says of volume {} on {node}: {}.",
        volume.driver,
        volume.spec_name,
        worst.trim_end_matches('.')
    ))
    .severity(severity);
    let problem = told.iter().fold(problem, |problem, told| {
        problem.because("said", told.entry.to_string(), told.source.clone())
    });
    problem
        .advise("Read it as the storage system's own words, and look there first: the driver only passes them on.")
        .next(
            "Read the driver's log on the node around that time.",
            format!("kubectl get pods -A -o wide --field-selector spec.nodeName={node} | grep -i csi"),
        )
        .next("See what else is known of the volume.", format!("kubectl csi-doctor describe volume {}", volume.spec_name))
        .related(volume.related())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::health::HealthEntry;
    use crate::model::observed::{Gap, Observed, Why};
    use crate::model::sample;
    use crate::model::volume::Condition;
    use crate::rules::tests::check;

    use super::*;

    fn entry(illness: Illness, message: &str) -> HealthEntry {
        HealthEntry {
            illness,
            reason: "ReplicaLost".to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn a_driver_that_says_nothing_is_ok() {
        check(&RULE, &sample::node(), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn the_older_dialect_is_heard() {
        let node = sample::degraded(|volume| {
            if let Observed::Known(stats) = &mut volume.stats {
                stats.condition = Some(Condition {
                    abnormal: true,
                    message: "path to the array is down".to_owned(),
                });
            }
        });
        check(&RULE, &node, expect![[r#"
            warning VolumeConditionAbnormal: claim shop/orders-db on node node-1
              Driver disk.example.com says of volume pvc-11 on node-1: Abnormal: path to the array is down.
              - said: Abnormal: path to the array is down [NodeGetVolumeStats, volume_condition]
              > Read it as the storage system's own words, and look there first: the driver only passes them on.
              > Read the driver's log on the node around that time.
                kubectl get pods -A -o wide --field-selector spec.nodeName=node-1 | grep -i csi
              > See what else is known of the volume.
                kubectl csi-doctor describe volume pvc-11
        "#]]);
    }

    #[test]
    fn the_worst_of_the_newer_dialect_is_the_sentence() {
        let node = sample::degraded(|volume| {
            volume.health = Observed::Known(vec![
                entry(Illness::Degraded, "one of three replicas is rebuilding"),
                entry(Illness::DataLoss, "two of three replicas are lost"),
            ]);
        });
        check(&RULE, &node, expect![[r#"
            critical VolumeConditionAbnormal: claim shop/orders-db on node node-1
              Driver disk.example.com says of volume pvc-11 on node-1: DataLoss (ReplicaLost): two of three replicas are lost.
              - said: DataLoss (ReplicaLost): two of three replicas are lost [NodeGetVolumeHealth]
              - said: Degraded (ReplicaLost): one of three replicas is rebuilding [NodeGetVolumeHealth]
              > Read it as the storage system's own words, and look there first: the driver only passes them on.
              > Read the driver's log on the node around that time.
                kubectl get pods -A -o wide --field-selector spec.nodeName=node-1 | grep -i csi
              > See what else is known of the volume.
                kubectl csi-doctor describe volume pvc-11
        "#]]);
    }

    #[test]
    fn a_word_that_nobody_knows_is_shown() {
        let node = sample::degraded(|volume| {
            volume.health = Observed::Known(vec![entry(Illness::Other("7".to_owned()), "")]);
        });
        check(&RULE, &node, expect![[r#"
            warning VolumeConditionAbnormal: claim shop/orders-db on node node-1
              Driver disk.example.com says of volume pvc-11 on node-1: something that is not known here (7) (ReplicaLost).
              - said: something that is not known here (7) (ReplicaLost) [NodeGetVolumeHealth]
              > Read it as the storage system's own words, and look there first: the driver only passes them on.
              > Read the driver's log on the node around that time.
                kubectl get pods -A -o wide --field-selector spec.nodeName=node-1 | grep -i csi
              > See what else is known of the volume.
                kubectl csi-doctor describe volume pvc-11
        "#]]);
    }

    #[test]
    fn a_driver_that_does_not_answer_is_unknown() {
        let gap = Gap::new(Why::TimedOut, "call NodeGetVolumeHealth: no answer within 5s");
        check(&RULE, &sample::degraded(|volume| volume.health = Observed::Unknown(gap)), expect![[r#"
            unknown VolumeConditionAbnormal: claim shop/orders-db on node node-1: call NodeGetVolumeHealth: no answer within 5s (TimedOut)
        "#]]);
    }
}
