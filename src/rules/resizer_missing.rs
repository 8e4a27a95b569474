//! `ResizerMissing`: a claim asks for more, and nobody has taken that up.

use std::time::Duration;

use crate::expansion::{Case, Standing};
use crate::model::finding::Severity;
use crate::model::stage::{ExpandStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "ResizerMissing",
    severity: Severity::Warning,
    stage: Some(Stage::Expand(ExpandStage::ResizerSaw)),
    // A resizer that starts anew first lists all claims; its back-off ends at five minutes.
    grace: Duration::from_mins(5),
    summary: "enlarged claims are taken up by nobody",
    docs: include_str!("../../docs/findings/ResizerMissing.md"),
    check: Check::Expansion(check),
};

fn check(case: &Case<'_>, verdicts: &mut Verdicts) {
    if case.standing() != Standing::Unseen || case.resizer_lives() {
        return verdicts.ok(case.subject());
    }
    let (asked, driver) = (case.asked(), &case.volume.driver);
    // Events are gone after an hour, but status and condition stay: without events it is still so.
    let message = format!(
        "Claim {} asks for {} instead of {}, and nobody has taken that up: no status, no condition and no event of a resizer of {driver} says so.",
        case.claim.claim, asked.to, asked.from
    );
    let problem = case
        .problem(message, None)
        .because(
            "heard of the resizer",
            match case.volume.resizer_seen {
                Some(at) => format!("last at {at}"),
                None => "nothing about any claim, among the events that were read".to_owned(),
            },
            format!("events of external-resizer {driver}"),
        )
        .advise("If the class is of a driver that cannot expand on its own, no sidecar will: ask its makers, and move the data to a larger claim.");
    verdicts.problem(case.subject(), problem);
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use jiff::SignedDuration;

    use crate::expansion::sample::{enlarged, failed, hide_volume};
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    #[test]
    fn nothing_asked_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    #[test]
    fn a_request_that_nobody_took_up_is_a_problem() {
        check(&RULE, &enlarged(20, 10, 10, |_, _| ()), expect![[r#"
            warning ResizerMissing: claim shop/orders-db on node node-1
              Claim shop/orders-db asks for 20Gi instead of 10Gi, and nobody has taken that up: no status, no condition and no event of a resizer of disk.example.com says so.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 10Gi [persistentvolume pvc-11]
              - block device: 10Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 10Gi [claim shop/orders-db]
              - resize status: none [claim shop/orders-db]
              - heard of the resizer: nothing about any claim, among the events that were read [events of external-resizer disk.example.com]
              > Look whether the resizer of disk.example.com runs: a sidecar csi-resizer beside the driver's controller.
                kubectl get pods -A | grep -i -e resizer -e controller
              > If the class is of a driver that cannot expand on its own, no sidecar will: ask its makers, and move the data to a larger claim.
        "#]]);
    }

    #[test]
    fn a_resizer_at_work_elsewhere_is_not_missing() {
        let node = enlarged(20, 10, 10, |_, volume| {
            volume.resizer_seen = Some(sample::noon() - SignedDuration::from_mins(2));
        });
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_resizer_that_has_begun_is_not_missing() {
        let node = enlarged(20, 10, 10, |claim, _| {
            failed(claim, "Resizing", "");
        });
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_volume_that_was_not_seen_is_unknown() {
        check(&RULE, &hide_volume(enlarged(20, 10, 10, |_, _| ())), expect![[r#"
            unknown ResizerMissing: claim shop/orders-db on node node-1: get persistentvolume pvc-11: forbidden (Denied)
        "#]]);
    }
}
