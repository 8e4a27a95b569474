//! `ProvisioningFailed`: who makes volumes was asked, and refuses.

use std::time::Duration;

use crate::binding::{self, Standing, Unbound};
use crate::causes;
use crate::model::finding::{Problem, Severity, quote};
use crate::model::stage::{BindStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "ProvisioningFailed",
    severity: Severity::Warning,
    stage: Some(Stage::Bind(BindStage::VolumeFound)),
    // A provisioner tries again after seconds, and some backends need a second try.
    grace: Duration::from_mins(1),
    summary: "volumes could not be made",
    docs: include_str!("../../docs/findings/ProvisioningFailed.md"),
    check: Check::Binding(check),
};

fn check(unbound: &Unbound<'_>, verdicts: &mut Verdicts) {
    let one = unbound.one;
    let Standing::Provisioning(class) = unbound.standing else {
        return verdicts.ok(one.subject());
    };
    let Some(event) = binding::refusal(one) else {
        return match one.events.gaps.first() {
            Some(gap) => verdicts.unknown(one.subject(), gap),
            None => verdicts.ok(one.subject()),
        };
    };
    let told = causes::of_event(event, Some(&class.provisioner));
    let claim = &one.claim.claim;
    let mut problem = Problem::new(format!(
        "{} could not make a volume for claim {claim}, and is asked again: {}",
        class.provisioner, event.message
    ))
    .because("ProvisioningFailed", &*event.message, format!("event by {}", event.by))
    .because("class", class.name.as_str(), format!("claim {claim}"))
    .because("provisioner", class.provisioner.as_str(), format!("storageclass {}", class.name))
    .advise(told.next)
    .next(
        "Read all that was said of it.",
        format!(
            "kubectl get events -n {} --field-selector involvedObject.name={} --sort-by=.lastTimestamp",
            quote(&claim.namespace),
            quote(&claim.name)
        ),
    )
    .cause(told.cause);
    if let Some(node) = one.claim.terms.as_ref().and_then(|terms| terms.selected_node.as_ref()) {
        problem = problem.because("node that was chosen", node.as_str(), format!("claim {claim}"));
    }
    verdicts.problem(one.subject(), problem);
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::binding::sample::{said, waiting};
    use crate::model::observed::{Gap, Why};
    use crate::rules::tests::unbound;

    use super::*;

    const BY: &str = "disk.example.com_host_1";

    #[test]
    fn nobody_refused() {
        unbound(&RULE, &waiting(|_, _, _| {}), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_refusal_is_a_problem_with_its_cause() {
        let words = "failed to provision volume with StorageClass \"fast\": rpc error: code = ResourceExhausted desc = not enough free space in pool ssd";
        let facts = waiting(|one, _, _| one.events.items = vec![said(BY, "ProvisioningFailed", words)]);
        unbound(&RULE, &facts, expect![[r#"
            warning ProvisioningFailed: claim shop/orders-db
              disk.example.com could not make a volume for claim shop/orders-db, and is asked again: failed to provision volume with StorageClass "fast": rpc error: code = ResourceExhausted desc = not enough free space in pool ssd
              = backend-capacity-exhausted (stated)
              - ProvisioningFailed: failed to provision volume with StorageClass "fast": rpc error: code = ResourceExhausted desc = not enough free space in pool ssd [event by disk.example.com_host_1]
              - class: fast [claim shop/orders-db]
              - provisioner: disk.example.com [storageclass fast]
              > Add capacity or free space; check thin-pool and topology of the remaining space.
              > Read all that was said of it.
                kubectl get events -n shop --field-selector involvedObject.name=orders-db --sort-by=.lastTimestamp
        "#]]);
    }

    #[test]
    fn what_was_made_since_is_quiet() {
        let facts = waiting(|one, _, _| {
            let failed = said(BY, "ProvisioningFailed", "rpc error: code = Internal desc = x");
            let mut made = said(BY, "ProvisioningSucceeded", "Successfully provisioned volume pvc-1");
            made.at = made.at.map(|at| at + jiff::SignedDuration::from_secs(5));
            one.events.items = vec![failed, made];
        });
        unbound(&RULE, &facts, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn the_controllers_own_words_are_other_rules() {
        let words = "storageclass.storage.k8s.io \"fast\" not found";
        let facts = waiting(|one, _, _| {
            one.events.items = vec![said("persistentvolume-controller", "ProvisioningFailed", words)];
        });
        unbound(&RULE, &facts, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn events_that_were_not_read_are_unknown() {
        let gap = Gap::new(Why::Denied, "list events");
        let facts = waiting(|one, _, _| one.events.gaps = vec![gap]);
        unbound(&RULE, &facts, expect![[r#"
            unknown ProvisioningFailed: claim shop/orders-db: list events (Denied)
        "#]]);
    }
}
