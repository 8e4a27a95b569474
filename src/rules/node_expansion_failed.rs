//! `NodeExpansionFailed`: the storage has grown, and the driver refuses to grow the volume on its node.

use std::time::Duration;

use crate::expansion::{Case, Standing, Trouble};
use crate::model::finding::Severity;
use crate::model::stage::{ExpandStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "NodeExpansionFailed",
    severity: Severity::Warning,
    stage: Some(Stage::Expand(ExpandStage::NodeExpanded)),
    // The kubelet's retries begin at half a second and double.
    grace: Duration::from_mins(1),
    summary: "volumes cannot be expanded on their node",
    docs: include_str!("../../docs/findings/NodeExpansionFailed.md"),
    check: Check::Expansion(check),
};

fn check(case: &Case<'_>, verdicts: &mut Verdicts) {
    let Standing::Node(trouble) = case.standing() else {
        return verdicts.ok(case.subject());
    };
    let (span, driver, claim) = (case.provided(), &case.volume.driver, &case.claim.claim);
    let words = trouble.said().map_or("it does not say why", |said| said.short());
    let message = match &trouble {
        Trouble::Failing(_) => format!(
            "The storage of claim {claim} has grown from {} to {}, and driver {driver} fails to grow the volume on {}; it is asked again: {words}.",
            span.from, span.to, case.where_it_is()
        ),
        Trouble::Infeasible(_) => format!(
            "The storage of claim {claim} has grown from {} to {}, and driver {driver} says that the volume cannot grow on {}: {words}. The kubelet does not ask again.",
            span.from, span.to, case.where_it_is()
        ),
        _ => return verdicts.ok(case.subject()),
    };
    verdicts.problem(case.subject(), case.problem(message, trouble.said()));
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::expansion::sample::{enlarged, failed, hide_volume, said_of_pod};
    use crate::model::sample;
    use crate::rules::tests::{check, on};

    use super::*;

    fn refused(status: Option<&str>, words: &str) -> crate::model::facts::NodeFacts {
        enlarged(20, 20, 10, |claim, _| {
            claim.resize_status = status.map(ToOwned::to_owned);
            failed(claim, "NodeResizeError", &format!("failed to expand pvc with Expander.NodeExpand failed to expand the volume : {words}"));
        })
    }

    #[test]
    fn nothing_asked_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    #[test]
    fn a_failing_driver_is_a_problem() {
        let node = refused(Some("NodeResizeInProgress"), "rpc error: code = Internal desc = resize2fs: Permission denied");
        check(&RULE, &node, expect![[r#"
            warning NodeExpansionFailed: claim shop/orders-db on node node-1
              The storage of claim shop/orders-db has grown from 10Gi to 20Gi, and driver disk.example.com fails to grow the volume on node node-1; it is asked again: rpc error: code = Internal desc = resize2fs: Permission denied.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: NodeResizeInProgress [claim shop/orders-db]
              - NodeResizeError: failed to expand pvc with Expander.NodeExpand failed to expand the volume : rpc error: code = Internal desc = resize2fs: Permission denied [condition of claim shop/orders-db]
              > See what the driver answers in full: its log on the node, and the events.
                kubectl get events -n shop --field-selector involvedObject.name=orders-db --sort-by=.lastTimestamp
        "#]]);
    }

    #[test]
    fn what_cannot_be_is_told_apart_at_rest_too() {
        let node = refused(Some("NodeResizePending"), "rpc error: code = OutOfRange desc = too large for this filesystem");
        check(&RULE, &node, expect![[r#"
            warning NodeExpansionFailed: claim shop/orders-db on node node-1
              The storage of claim shop/orders-db has grown from 10Gi to 20Gi, and driver disk.example.com says that the volume cannot grow on node node-1: rpc error: code = OutOfRange desc = too large for this filesystem. The kubelet does not ask again.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: NodeResizePending [claim shop/orders-db]
              - NodeResizeError: failed to expand pvc with Expander.NodeExpand failed to expand the volume : rpc error: code = OutOfRange desc = too large for this filesystem [condition of claim shop/orders-db]
              > Lower the request to what the storage can give, more than 10Gi; Kubernetes tries again by itself.
                kubectl edit pvc -n shop orders-db
        "#]]);
    }

    #[test]
    fn the_status_of_its_own_tells_in_old_and_new_words() {
        let texts = ["NodeResizeInfeasible", "NodeResizeFailed"].map(|status| {
            let node = enlarged(20, 20, 10, |claim, _| {
                claim.resize_status = Some(status.to_owned());
            });
            sample::read(&on(&RULE, &node)).replace(status, "<infeasible>")
        });
        assert_eq!(texts[0], texts[1]);
        expect![[r#"
            warning NodeExpansionFailed: claim shop/orders-db on node node-1
              The storage of claim shop/orders-db has grown from 10Gi to 20Gi, and driver disk.example.com says that the volume cannot grow on node node-1: it does not say why. The kubelet does not ask again.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: <infeasible> [claim shop/orders-db]
              > Lower the request to what the storage can give, more than 10Gi; Kubernetes tries again by itself.
                kubectl edit pvc -n shop orders-db
        "#]].assert_eq(&texts[0]);
    }

    #[test]
    fn without_recovery_data_the_pods_event_tells() {
        let node = enlarged(20, 20, 10, |claim, volume| {
            failed(claim, "FileSystemResizePending", "Waiting for user to (re-)start a pod");
            said_of_pod(volume, "FailedMount", "MountVolume.Setup failed while expanding volume for volume \"pvc-11\" : rpc error: code = Internal desc = no such device");
        });
        check(&RULE, &node, expect![[r#"
            warning NodeExpansionFailed: claim shop/orders-db on node node-1
              The storage of claim shop/orders-db has grown from 10Gi to 20Gi, and driver disk.example.com fails to grow the volume on node node-1; it is asked again: rpc error: code = Internal desc = no such device.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: none [claim shop/orders-db]
              - FailedMount: MountVolume.Setup failed while expanding volume for volume "pvc-11" : rpc error: code = Internal desc = no such device [event of pod shop/orders-0]
              > See what the driver answers in full: its log on the node, and the events.
                kubectl get events -n shop --field-selector involvedObject.name=orders-db --sort-by=.lastTimestamp
        "#]]);
    }

    #[test]
    fn slow_and_in_use_are_no_failures() {
        for words in ["rpc error: code = DeadlineExceeded desc = x", "rpc error: code = Aborted desc = x", "rpc error: code = FailedPrecondition desc = x"] {
            check(&RULE, &refused(Some("NodeResizeInProgress"), words), expect!["1 ok\n"]);
        }
    }

    #[test]
    fn a_lowered_request_is_tried_anew() {
        let node = enlarged(15, 20, 10, |claim, _| {
            claim.allocated = Some(crate::model::sizes::Bytes(20 << 30));
            claim.resize_status = Some("NodeResizeInfeasible".to_owned());
        });
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn a_volume_that_was_not_seen_is_unknown() {
        check(&RULE, &hide_volume(enlarged(20, 20, 10, |_, _| ())), expect![[r#"
            unknown NodeExpansionFailed: claim shop/orders-db on node node-1: get persistentvolume pvc-11: forbidden (Denied)
        "#]]);
    }
}
