//! `NodeExpansionPending`: the storage has grown, the node has not yet grown the volume.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::stage::{ExpandStage, Stage};
use crate::model::names::NodeName;
use crate::model::objects::{Claim, PersistentVolume, PodState};
use crate::model::observed::Observed;
use crate::model::sizes::Bytes;
use crate::model::volume::{Published, Volume};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "NodeExpansionPending",
    severity: Severity::Warning,
    stage: Some(Stage::Expand(ExpandStage::NodeExpanded)),
    // With a pod running, kubelets were seen to begin up to 81 s after the controller's half.
    grace: Duration::from_mins(3),
    summary: "volumes wait for their node to expand them",
    docs: include_str!("../../docs/findings/NodeExpansionPending.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in verdicts.each(&node.volumes) {
        let Some(claim) = &volume.claim else { continue };
        let subject = volume.subject(&node.node);
        match &volume.persistent {
            Observed::Unknown(gap) => verdicts.unknown(subject, gap),
            Observed::Known(None) => verdicts.ok(subject),
            Observed::Known(Some(persistent)) => match pending(claim, persistent) {
                Some(sizes) => verdicts.problem(subject, problem(node, volume, claim, sizes)),
                None => verdicts.ok(subject),
            },
        }
    }
}

/// From and to of an expansion whose controller half is done and whose node half is not.
///
/// With recovery data the claim's status says so; without (gate off, old resizer) only the
/// condition does. `allocatedResources` alone means nothing: it stays after an expansion.
fn pending(claim: &Claim, persistent: &PersistentVolume) -> Option<(Bytes, Bytes)> {
    let (Some(has), Some(provides)) = (claim.capacity, persistent.capacity) else {
        return None;
    };
    let waits = match claim.resize_status.as_deref() {
        Some(status) => matches!(status, "NodeResizePending" | "NodeResizeInProgress"),
        None => claim.condition("FileSystemResizePending").is_some(),
    };
    (waits && has < provides).then_some((has, provides))
}

fn problem(node: &NodeFacts, volume: &Volume, claim: &Claim, (from, to): (Bytes, Bytes)) -> Problem {
    let problem = Problem::new(format!(
        "Claim {} was enlarged from {from} to {to}, the storage has grown, and {} has not yet: {}.",
        claim.claim,
        node.node,
        waits_for(&node.node, volume)
    ))
    .since(asked_at(claim))
    .because("status.capacity of the claim", from.to_string(), format!("claim {}", claim.claim))
    .because("capacity of the volume", to.to_string(), format!("persistentvolume {}", volume.spec_name));
    let problem = match &claim.resize_status {
        Some(status) => problem.because("resize status", status, format!("claim {}", claim.claim)),
        None => problem,
    };
    let problem = match claim.condition("NodeResizeError") {
        Some(error) => problem.because("NodeResizeError", &error.message, format!("claim {}", claim.claim)),
        None => problem,
    };
    problem
        .next(
            "See what the kubelet and the resizer said.",
            format!(
                "kubectl get events -n {} --field-selector involvedObject.name={} --sort-by=.lastTimestamp",
                claim.claim.namespace, claim.claim.name
            ),
        )
        .advise("If the driver can expand only volumes that are not in use, or the pods mount it read-only, make the pod anew: the expansion is done when it is mounted.")
        .related(volume.related())
}

/// What an unfinished node half waits for, as far as the node's facts tell.
fn waits_for(node: &NodeName, volume: &Volume) -> String {
    let running = |published: &&Published| {
        matches!(published.state, Observed::Known(PodState::Running))
    };
    let Some(writer) = volume.published.iter().filter(running).find(|one| one.asked_read_only.is_none()) else {
        return match volume.published.iter().find(running) {
            Some(reader) => format!("only pods that mount it read-only run ({}), and the kubelet expands for writers", reader.pod),
            None => "no pod that uses it runs there".to_owned(),
        };
    };
    format!("pod {} runs, so the kubelet of {node} should expand it by itself", writer.pod)
}

fn asked_at(claim: &Claim) -> Option<Timestamp> {
    claim.condition("FileSystemResizePending").and_then(|condition| condition.since)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::objects::Condition;
    use crate::model::observed::{Gap, Why};
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    const BIGGER: Bytes = Bytes(20 << 30);

    fn enlarged(change: impl FnOnce(&mut Volume)) -> NodeFacts {
        sample::degraded(|volume| {
            if let Observed::Known(Some(persistent)) = &mut volume.persistent {
                persistent.capacity = Some(BIGGER);
            }
            if let Some(claim) = &mut volume.claim {
                claim.request = Some(BIGGER);
                claim.resize_status = Some("NodeResizePending".to_owned());
                claim.conditions.push(Condition {
                    kind: "FileSystemResizePending".to_owned(),
                    message: "Waiting for user to (re-)start a pod".to_owned(),
                    since: Some(sample::noon()),
                });
            }
            change(volume);
        })
    }

    fn with_claim(change: impl FnOnce(&mut Claim)) -> NodeFacts {
        enlarged(|volume| {
            if let Some(claim) = &mut volume.claim {
                change(claim);
            }
        })
    }

    #[test]
    fn no_expansion_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    #[test]
    fn the_node_half_missing_is_a_problem() {
        check(&RULE, &enlarged(|_| ()), expect![[r#"
            warning NodeExpansionPending: claim shop/orders-db on node node-1
              Claim shop/orders-db was enlarged from 10Gi to 20Gi, the storage has grown, and node-1 has not yet: pod shop/orders-0 runs, so the kubelet of node-1 should expand it by itself.
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - resize status: NodeResizePending [claim shop/orders-db]
              > See what the kubelet and the resizer said.
                kubectl get events -n shop --field-selector involvedObject.name=orders-db --sort-by=.lastTimestamp
              > If the driver can expand only volumes that are not in use, or the pods mount it read-only, make the pod anew: the expansion is done when it is mounted.
        "#]]);
    }

    #[test]
    fn without_recovery_data_the_condition_tells() {
        check(&RULE, &with_claim(|claim| claim.resize_status = None), expect![[r#"
            warning NodeExpansionPending: claim shop/orders-db on node node-1
              Claim shop/orders-db was enlarged from 10Gi to 20Gi, the storage has grown, and node-1 has not yet: pod shop/orders-0 runs, so the kubelet of node-1 should expand it by itself.
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              > See what the kubelet and the resizer said.
                kubectl get events -n shop --field-selector involvedObject.name=orders-db --sort-by=.lastTimestamp
              > If the driver can expand only volumes that are not in use, or the pods mount it read-only, make the pod anew: the expansion is done when it is mounted.
        "#]]);
    }

    #[test]
    fn only_readers_or_no_pod_are_named_as_what_it_waits_for() {
        let readers = enlarged(|volume| volume.published[0].asked_read_only = Some("the pod".to_owned()));
        check(&RULE, &readers, expect![[r#"
            warning NodeExpansionPending: claim shop/orders-db on node node-1
              Claim shop/orders-db was enlarged from 10Gi to 20Gi, the storage has grown, and node-1 has not yet: only pods that mount it read-only run (shop/orders-0), and the kubelet expands for writers.
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - resize status: NodeResizePending [claim shop/orders-db]
              > See what the kubelet and the resizer said.
                kubectl get events -n shop --field-selector involvedObject.name=orders-db --sort-by=.lastTimestamp
              > If the driver can expand only volumes that are not in use, or the pods mount it read-only, make the pod anew: the expansion is done when it is mounted.
        "#]]);
        let nobody = enlarged(|volume| volume.published.clear());
        check(&RULE, &nobody, expect![[r#"
            warning NodeExpansionPending: claim shop/orders-db on node node-1
              Claim shop/orders-db was enlarged from 10Gi to 20Gi, the storage has grown, and node-1 has not yet: no pod that uses it runs there.
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - resize status: NodeResizePending [claim shop/orders-db]
              > See what the kubelet and the resizer said.
                kubectl get events -n shop --field-selector involvedObject.name=orders-db --sort-by=.lastTimestamp
              > If the driver can expand only volumes that are not in use, or the pods mount it read-only, make the pod anew: the expansion is done when it is mounted.
        "#]]);
    }

    #[test]
    fn the_controllers_half_and_what_is_finished_are_quiet() {
        let controller = with_claim(|claim| claim.resize_status = Some("ControllerResizeInProgress".to_owned()));
        check(&RULE, &controller, expect!["1 ok\n"]);
        let finished = with_claim(|claim| {
            claim.capacity = Some(BIGGER);
            claim.allocated = Some(BIGGER);
            claim.resize_status = None;
            claim.conditions.clear();
        });
        check(&RULE, &finished, expect!["1 ok\n"]);
    }

    #[test]
    fn a_capacity_raised_by_hand_is_quiet() {
        let by_hand = with_claim(|claim| {
            claim.resize_status = None;
            claim.conditions.clear();
        });
        check(&RULE, &by_hand, expect!["1 ok\n"]);
    }

    #[test]
    fn a_volume_that_was_not_seen_is_unknown() {
        let unseen = enlarged(|volume| {
            volume.persistent = Observed::Unknown(Gap::new(Why::Denied, "get persistentvolume pvc-11: forbidden"));
        });
        check(&RULE, &unseen, expect![[r#"
            unknown NodeExpansionPending: claim shop/orders-db on node node-1: get persistentvolume pvc-11: forbidden (Denied)
        "#]]);
    }
}
