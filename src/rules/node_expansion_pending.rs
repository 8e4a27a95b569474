//! `NodeExpansionPending`: the storage has grown, the node has not yet grown the volume.

use std::time::Duration;
use crate::expansion::{Case, Ground, Standing};
use crate::model::finding::Severity;
use crate::model::stage::{ExpandStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "NodeExpansionPending",
    severity: Severity::Warning,
    stage: Some(Stage::Expand(ExpandStage::NodeExpanded)),
    // With a pod running, kubelets were seen to begin up to 81 s after the controller's half.
    grace: Duration::from_mins(3),
    summary: "volumes wait for their node to expand them",
    docs: include_str!("../../docs/findings/NodeExpansionPending.md"),
    check: Check::Expansion(check),
};

fn check(case: &Case<'_>, verdicts: &mut Verdicts) {
    let trouble = match case.standing() {
        Standing::Node(trouble) if !trouble.is_failure() => trouble,
        _ => return verdicts.ok(case.subject()),
    };
    // That is another story: the bytes are there, the claim's word is missing. Of a volume that
    // several nodes have, the others' bytes are not seen here.
    if case.ground() == (Ground::Covers { grown: true }) && !case.is_shared() {
        return verdicts.ok(case.subject());
    }
    let span = case.provided();
    let message = format!(
        "Claim {} was enlarged from {} to {}, the storage has grown, and {} has not yet: {}.",
        case.claim.claim,
        span.from,
        span.to,
        case.where_it_is(),
        case.node_waits_for(&trouble)
    );
    verdicts.problem(case.subject(), case.problem(message, trouble.said()));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;

    use crate::expansion::sample::{enlarged, failed, hide_volume, offline_only};
    use crate::model::facts::NodeFacts;
    use crate::model::observed::Observed;
    use crate::model::objects::{Claim, PodState};
    use crate::model::sample;
    use crate::model::sizes::{Bytes, FilesystemSize};
    use crate::model::volume::Volume;
    use crate::rules::tests::{check, on};

    use super::*;

    fn pending(change: impl FnOnce(&mut Claim, &mut Volume)) -> NodeFacts {
        enlarged(20, 20, 10, |claim, volume| {
            claim.resize_status = Some("NodeResizePending".to_owned());
            failed(claim, "FileSystemResizePending", "Waiting for user to (re-)start a pod");
            change(claim, volume);
        })
    }

    #[test]
    fn no_expansion_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    #[test]
    fn the_node_half_missing_is_a_problem() {
        check(&RULE, &pending(|_, _| ()), expect![[r#"
            warning NodeExpansionPending: claim shop/orders-db on node node-1
              Claim shop/orders-db was enlarged from 10Gi to 20Gi, the storage has grown, and node node-1 has not yet: pod shop/orders-0 runs, so the kubelet should expand it by itself.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: NodeResizePending [claim shop/orders-db]
              > See what the kubelet and the resizer said.
                kubectl get events -n shop --field-selector involvedObject.name=orders-db --sort-by=.lastTimestamp
        "#]]);
    }

    #[test]
    fn without_recovery_data_condition_or_sizes_tell() {
        let by_condition = pending(|claim, _| claim.resize_status = None);
        check(&RULE, &by_condition, expect![[r#"
            warning NodeExpansionPending: claim shop/orders-db on node node-1
              Claim shop/orders-db was enlarged from 10Gi to 20Gi, the storage has grown, and node node-1 has not yet: pod shop/orders-0 runs, so the kubelet should expand it by itself.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: none [claim shop/orders-db]
              > See what the kubelet and the resizer said.
                kubectl get events -n shop --field-selector involvedObject.name=orders-db --sort-by=.lastTimestamp
        "#]]);
        check(&RULE, &enlarged(20, 20, 10, |_, _| ()), expect![[r#"
            warning NodeExpansionPending: claim shop/orders-db on node node-1
              Claim shop/orders-db was enlarged from 10Gi to 20Gi, the storage has grown, and node node-1 has not yet: pod shop/orders-0 runs, so the kubelet should expand it by itself.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: none [claim shop/orders-db]
              > See what the kubelet and the resizer said.
                kubectl get events -n shop --field-selector involvedObject.name=orders-db --sort-by=.lastTimestamp
        "#]]);
    }

    fn waits(change: impl FnOnce(&mut Claim, &mut Volume)) -> String {
        let text = sample::read(&on(&RULE, &pending(change)));
        let mut lines = text.lines().map(str::trim_start).skip(1);
        let line = lines.next().unwrap_or(&text);
        let advice: Vec<_> = lines.filter(|line| line.starts_with('>')).collect();
        format!("{line}\n{}\n", advice.join("\n"))
    }

    #[test]
    fn what_it_waits_for_is_named() {
        let slow = "rpc error: code = DeadlineExceeded desc = context deadline exceeded";
        let in_use = "rpc error: code = FailedPrecondition desc = volume is in use";
        let all = [
            waits(|_, volume| volume.published[0].asked_read_only = Observed::Known(Some("the pod".to_owned()))),
            waits(|_, volume| volume.published[0].state = Observed::Known(PodState::Starting)),
            waits(|_, volume| volume.published.clear()),
            waits(|claim, _| claim.resize_status = Some("NodeResizeInProgress".to_owned())),
            waits(|claim, _| failed(claim, "NodeResizeError", slow)),
            waits(|claim, _| failed(claim, "NodeResizeError", in_use)),
        ];
        expect![[r#"
            Claim shop/orders-db was enlarged from 10Gi to 20Gi, the storage has grown, and node node-1 has not yet: only pods that mount it read-only run (shop/orders-0), and the kubelet expands for writers.
            > Make the pod anew: the volume is grown when it is mounted.
            Claim shop/orders-db was enlarged from 10Gi to 20Gi, the storage has grown, and node node-1 has not yet: pod shop/orders-0 that uses it does not run.
            > Make the pod anew: the volume is grown when it is mounted.
            Claim shop/orders-db was enlarged from 10Gi to 20Gi, the storage has grown, and node node-1 has not yet: no pod uses it, and it grows when one mounts it.
            > Start a pod that uses it: the volume is grown when it is mounted.
            Claim shop/orders-db was enlarged from 10Gi to 20Gi, the storage has grown, and node node-1 has not yet: the kubelet has begun for pod shop/orders-0, and has not said how it went.
            > See what the kubelet and the resizer said.
            Claim shop/orders-db was enlarged from 10Gi to 20Gi, the storage has grown, and node node-1 has not yet: driver disk.example.com did not finish NodeExpandVolume (rpc error: code = DeadlineExceeded desc = context deadline exceeded), and the kubelet asks again.
            > See what the kubelet and the resizer said.
            Claim shop/orders-db was enlarged from 10Gi to 20Gi, the storage has grown, and node node-1 has not yet: driver disk.example.com cannot grow it while it is in use, and the kubelet asks again only when a pod mounts it anew.
            > Make the pod anew: the volume is grown when it is mounted.
        "#]].assert_eq(&all.concat());
        let offline = sample::read(&on(&RULE, &offline_only(pending(|_, _| ()))));
        expect!["  Claim shop/orders-db was enlarged from 10Gi to 20Gi, the storage has grown, and node node-1 has not yet: driver disk.example.com expands only volumes that nobody uses, and pod shop/orders-0 runs with it."].assert_eq(offline.lines().nth(1).unwrap_or_default());
    }

    #[test]
    fn bytes_that_have_grown_are_another_story() {
        let grown = |volume: &mut Volume| {
            volume.sizes.device = Observed::Known(Some(Bytes(20 << 30)));
            volume.sizes.filesystem = Observed::Known(Some(FilesystemSize {
                at_least: Bytes(19 << 30),
                at_most: Bytes(20 << 30),
            }));
        };
        check(&RULE, &pending(|_, volume| grown(volume)), expect!["1 ok\n"]);
        let shared = pending(|_, volume| {
            grown(volume);
            if let Observed::Known(Some(persistent)) = &mut volume.persistent {
                let persistent = Arc::make_mut(persistent);
                persistent.access_modes = vec!["ReadWriteMany".to_owned()];
            }
        });
        assert_eq!(on(&RULE, &shared).problems.len(), 1);
    }

    #[test]
    fn what_the_last_expansion_left_behind_is_quiet() {
        let node = pending(|claim, _| {
            claim.allocated = claim.request;
            claim.capacity = claim.request;
            claim.resize_status = None;
            claim.conditions.clear();
        });
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn a_capacity_that_was_written_by_hand_is_quiet() {
        check(&RULE, &enlarged(10, 20, 10, |_, _| ()), expect!["1 ok\n"]);
    }

    #[test]
    fn a_volume_that_was_not_seen_is_unknown() {
        check(&RULE, &hide_volume(pending(|_, _| ())), expect![[r#"
            unknown NodeExpansionPending: claim shop/orders-db on node node-1: get persistentvolume pvc-11: forbidden (Denied)
        "#]]);
    }
}
