//! `ControllerExpansionFailed`: the storage system refuses to make a volume larger.

use std::time::Duration;

use crate::expansion::{Case, Standing, Trouble};
use crate::model::finding::Severity;
use crate::model::stage::{ExpandStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "ControllerExpansionFailed",
    severity: Severity::Warning,
    stage: Some(Stage::Expand(ExpandStage::ControllerExpanded)),
    // One failure may be a storage system that restarts; the resizer asks again within seconds.
    grace: Duration::from_mins(1),
    summary: "claims cannot be enlarged by their storage",
    docs: include_str!("../../docs/findings/ControllerExpansionFailed.md"),
    check: Check::Expansion(check),
};

fn check(case: &Case<'_>, verdicts: &mut Verdicts) {
    let Standing::Controller(trouble) = case.standing() else {
        return verdicts.ok(case.subject());
    };
    let (asked, driver, claim) = (case.asked(), &case.volume.driver, &case.claim.claim);
    let words = trouble.said().map_or("it does not say why", |said| said.short());
    let message = match &trouble {
        Trouble::Failing(_) => format!(
            "Driver {driver} fails to enlarge the storage of claim {claim} from {} to {}, and is asked again: {words}.",
            asked.from, asked.to
        ),
        Trouble::Infeasible(_) => format!(
            "Driver {driver} says that the storage of claim {claim} cannot have {}: {words}. It keeps {} until the request is lowered.",
            asked.to, asked.from
        ),
        _ => return verdicts.ok(case.subject()),
    };
    verdicts.problem(case.subject(), case.problem(message, trouble.said()));
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::expansion::sample::{enlarged, failed, hide_volume, said};
    use crate::model::sample;
    use crate::rules::tests::{check, on};

    use super::*;

    const INTERNAL: &str = "failed to expand pvc with rpc error: code = Internal desc = pool offline";

    #[test]
    fn nothing_asked_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    #[test]
    fn a_failing_driver_is_a_problem() {
        let node = enlarged(20, 10, 10, |claim, _| {
            claim.resize_status = Some("ControllerResizeInProgress".to_owned());
            failed(claim, "ControllerResizeError", INTERNAL);
        });
        check(&RULE, &node, expect![[r#"
            warning ControllerExpansionFailed: claim shop/orders-db on node node-1
              Driver disk.example.com fails to enlarge the storage of claim shop/orders-db from 10Gi to 20Gi, and is asked again: rpc error: code = Internal desc = pool offline.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 10Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: ControllerResizeInProgress [claim shop/orders-db]
              - ControllerResizeError: failed to expand pvc with rpc error: code = Internal desc = pool offline [condition of claim shop/orders-db]
              > Read what the resizer and disk.example.com say of it.
                kubectl get events -n shop --field-selector involvedObject.name=orders-db --sort-by=.lastTimestamp
        "#]]);
    }

    #[test]
    fn without_recovery_data_the_event_tells() {
        let node = enlarged(20, 10, 10, |claim, volume| {
            failed(claim, "Resizing", "");
            said(volume, "VolumeResizeFailed", "resize volume \"pvc-11\" by resizer \"disk.example.com\" failed: rpc error: code = ResourceExhausted desc = no space in pool");
        });
        check(&RULE, &node, expect![[r#"
            warning ControllerExpansionFailed: claim shop/orders-db on node node-1
              Driver disk.example.com fails to enlarge the storage of claim shop/orders-db from 10Gi to 20Gi, and is asked again: rpc error: code = ResourceExhausted desc = no space in pool.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 10Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: none [claim shop/orders-db]
              - VolumeResizeFailed: resize volume "pvc-11" by resizer "disk.example.com" failed: rpc error: code = ResourceExhausted desc = no space in pool [event of claim shop/orders-db]
              > Read what the resizer and disk.example.com say of it.
                kubectl get events -n shop --field-selector involvedObject.name=orders-db --sort-by=.lastTimestamp
        "#]]);
    }

    #[test]
    fn what_cannot_be_is_told_apart() {
        let texts = ["ControllerResizeInfeasible", "ControllerResizeFailed"].map(|status| {
            let node = enlarged(20, 10, 10, |claim, _| {
                claim.resize_status = Some(status.to_owned());
                claim.allocated = claim.request;
                failed(claim, "ControllerResizeError", "failed to expand pvc with rpc error: code = OutOfRange desc = at most 16Gi");
            });
            sample::read(&on(&RULE, &node)).replace(status, "<infeasible>")
        });
        assert_eq!(texts[0], texts[1]);
        expect![[r#"
            warning ControllerExpansionFailed: claim shop/orders-db on node node-1
              Driver disk.example.com says that the storage of claim shop/orders-db cannot have 20Gi: rpc error: code = OutOfRange desc = at most 16Gi. It keeps 10Gi until the request is lowered.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 10Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: <infeasible> [claim shop/orders-db]
              - ControllerResizeError: failed to expand pvc with rpc error: code = OutOfRange desc = at most 16Gi [condition of claim shop/orders-db]
              > Lower the request to what the storage can give, more than 10Gi; Kubernetes tries again by itself.
                kubectl edit pvc -n shop orders-db
        "#]].assert_eq(&texts[0]);
    }

    #[test]
    fn a_failure_before_a_success_is_over() {
        let node = enlarged(20, 10, 10, |claim, volume| {
            failed(claim, "Resizing", "");
            said(volume, "VolumeResizeFailed", INTERNAL);
            said(volume, "FileSystemResizeSuccessful", "MountVolume.NodeExpandVolume succeeded");
        });
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_volume_that_was_not_seen_is_unknown() {
        check(&RULE, &hide_volume(enlarged(20, 10, 10, |_, _| ())), expect![[r#"
            unknown ControllerExpansionFailed: claim shop/orders-db on node node-1: get persistentvolume pvc-11: forbidden (Denied)
        "#]]);
    }
}
