//! `ControllerExpansionPending`: the resizer has taken a request up, and the storage has not grown yet.

use std::time::Duration;

use crate::expansion::{Case, Standing, Trouble};
use crate::model::finding::Severity;
use crate::model::stage::{ExpandStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "ControllerExpansionPending",
    severity: Severity::Warning,
    stage: Some(Stage::Expand(ExpandStage::ControllerExpanded)),
    // Storage systems take minutes for it, and the resizer's call has a deadline of its own.
    grace: Duration::from_mins(5),
    summary: "claims wait for their storage to grow",
    docs: include_str!("../../docs/findings/ControllerExpansionPending.md"),
    check: Check::Expansion(check),
};

fn check(case: &Case<'_>, verdicts: &mut Verdicts) {
    let trouble = match case.standing() {
        Standing::Controller(trouble) if !trouble.is_failure() => trouble,
        Standing::Unseen if case.resizer_lives() => Trouble::OnItsWay,
        _ => return verdicts.ok(case.subject()),
    };
    let asked = case.asked();
    let message = format!(
        "Claim {} asks for {} instead of {}, and its storage has not grown yet: {}.",
        case.claim.claim,
        asked.to,
        asked.from,
        case.controller_waits_for(&trouble)
    );
    verdicts.problem(case.subject(), case.problem(message, trouble.said()));
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use jiff::SignedDuration;

    use crate::expansion::sample::{enlarged, failed, hide_volume, offline_only, said};
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    #[test]
    fn nothing_asked_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    #[test]
    fn a_resizer_at_work_is_a_problem_after_its_grace() {
        let node = enlarged(20, 10, 10, |claim, _| {
            claim.resize_status = Some("ControllerResizeInProgress".to_owned());
            failed(claim, "Resizing", "");
        });
        check(&RULE, &node, expect![[r#"
            warning ControllerExpansionPending: claim shop/orders-db on node node-1
              Claim shop/orders-db asks for 20Gi instead of 10Gi, and its storage has not grown yet: the resizer of disk.example.com has begun, and has not said how it went.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 10Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: ControllerResizeInProgress [claim shop/orders-db]
              > Read what the resizer and disk.example.com say of it.
                kubectl get events -n shop --field-selector involvedObject.name=orders-db --sort-by=.lastTimestamp
        "#]]);
    }

    #[test]
    fn without_recovery_data_the_condition_tells() {
        let node = enlarged(20, 10, 10, |claim, _| failed(claim, "Resizing", ""));
        check(&RULE, &node, expect![[r#"
            warning ControllerExpansionPending: claim shop/orders-db on node node-1
              Claim shop/orders-db asks for 20Gi instead of 10Gi, and its storage has not grown yet: the resizer of disk.example.com has begun, and has not said how it went.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 10Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: none [claim shop/orders-db]
              > Read what the resizer and disk.example.com say of it.
                kubectl get events -n shop --field-selector involvedObject.name=orders-db --sort-by=.lastTimestamp
        "#]]);
    }

    #[test]
    fn a_slow_driver_is_named() {
        let node = enlarged(20, 10, 10, |claim, volume| {
            claim.resize_status = Some("ControllerResizeInProgress".to_owned());
            said(volume, "VolumeResizeFailed", "resize volume \"pvc-11\" by resizer \"disk.example.com\" failed: rpc error: code = DeadlineExceeded desc = context deadline exceeded");
        });
        check(&RULE, &node, expect![[r#"
            warning ControllerExpansionPending: claim shop/orders-db on node node-1
              Claim shop/orders-db asks for 20Gi instead of 10Gi, and its storage has not grown yet: driver disk.example.com did not finish ControllerExpandVolume (rpc error: code = DeadlineExceeded desc = context deadline exceeded), and the resizer asks again.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 10Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: ControllerResizeInProgress [claim shop/orders-db]
              - VolumeResizeFailed: resize volume "pvc-11" by resizer "disk.example.com" failed: rpc error: code = DeadlineExceeded desc = context deadline exceeded [event of claim shop/orders-db]
              > Read what the resizer and disk.example.com say of it.
                kubectl get events -n shop --field-selector involvedObject.name=orders-db --sort-by=.lastTimestamp
        "#]]);
    }

    #[test]
    fn an_offline_only_driver_waits_for_the_pods_to_stop() {
        let told = enlarged(20, 10, 10, |_, volume| {
            said(volume, "VolumeResizeFailed", "Unable to expand shop/orders-db because CSI driver disk.example.com only supports offline expansion and volume is currently in-use");
        });
        check(&RULE, &told, expect![[r#"
            warning ControllerExpansionPending: claim shop/orders-db on node node-1
              Claim shop/orders-db asks for 20Gi instead of 10Gi, and its storage has not grown yet: driver disk.example.com expands only volumes that nobody uses, and pod shop/orders-0 uses it.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 10Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: none [claim shop/orders-db]
              - VolumeResizeFailed: Unable to expand shop/orders-db because CSI driver disk.example.com only supports offline expansion and volume is currently in-use [event of claim shop/orders-db]
              > Stop the pods that use it until the storage has grown: scale their owner down, and up again.
        "#]]);
        let asked = offline_only(enlarged(20, 10, 10, |_, _| ()));
        check(&RULE, &asked, expect![[r#"
            warning ControllerExpansionPending: claim shop/orders-db on node node-1
              Claim shop/orders-db asks for 20Gi instead of 10Gi, and its storage has not grown yet: driver disk.example.com expands only volumes that nobody uses, and pod shop/orders-0 uses it.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 10Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: none [claim shop/orders-db]
              - volume expansion: OFFLINE, not ONLINE [GetPluginCapabilities of disk.example.com]
              > Stop the pods that use it until the storage has grown: scale their owner down, and up again.
        "#]]);
    }

    #[test]
    fn a_resizer_at_work_elsewhere_is_waited_for() {
        let node = enlarged(20, 10, 10, |_, volume| {
            volume.resizer_seen = Some(sample::noon() - SignedDuration::from_mins(2));
        });
        check(&RULE, &node, expect![[r#"
            warning ControllerExpansionPending: claim shop/orders-db on node node-1
              Claim shop/orders-db asks for 20Gi instead of 10Gi, and its storage has not grown yet: the resizer of disk.example.com is at work on other claims, and has not taken up this one.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 10Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: none [claim shop/orders-db]
              > Wait for its turn; if it stays so, read the log of the resizer of disk.example.com.
                kubectl get pods -A | grep -i -e resizer -e controller
        "#]]);
    }

    #[test]
    fn a_lowered_request_is_tried_anew() {
        let node = enlarged(15, 10, 10, |claim, _| {
            claim.allocated = Some(crate::model::sizes::Bytes(20 << 30));
            claim.resize_status = Some("ControllerResizeInfeasible".to_owned());
        });
        check(&RULE, &node, expect![[r#"
            warning ControllerExpansionPending: claim shop/orders-db on node node-1
              Claim shop/orders-db asks for 15Gi instead of 10Gi, and its storage has not grown yet: the request was lowered, and the resizer tries anew.
              - request of the claim: 15Gi [claim shop/orders-db]
              - capacity of the volume: 10Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: ControllerResizeInfeasible [claim shop/orders-db]
              > Wait: a smaller request is tried by itself.
        "#]]);
    }

    #[test]
    fn a_request_that_was_taken_back_is_quiet() {
        let node = enlarged(10, 10, 10, |claim, _| {
            claim.allocated = Some(crate::model::sizes::Bytes(20 << 30));
            claim.resize_status = Some("ControllerResizeInfeasible".to_owned());
        });
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_volume_that_was_not_seen_is_unknown() {
        check(&RULE, &hide_volume(enlarged(20, 10, 10, |_, _| ())), expect![[r#"
            unknown ControllerExpansionPending: claim shop/orders-db on node node-1: get persistentvolume pvc-11: forbidden (Denied)
        "#]]);
    }
}
