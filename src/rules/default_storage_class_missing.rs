//! `DefaultStorageClassMissing`: a claim without a class waits, and there is no default one.

use std::time::Duration;
use crate::binding::{Standing, Unbound};
use crate::model::finding::{Problem, Severity, quote};
use crate::model::stage::{BindStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "DefaultStorageClassMissing",
    severity: Severity::Warning,
    stage: Some(Stage::Bind(BindStage::ClassExists)),
    // A class that is made a moment later is taken by claims that wait.
    grace: Duration::from_mins(1),
    summary: "claims wait for a default class that is not there",
    docs: include_str!("../../docs/findings/DefaultStorageClassMissing.md"),
    check: Check::Binding(check),
};

fn check(unbound: &Unbound<'_>, verdicts: &mut Verdicts) {
    let one = unbound.one;
    if unbound.standing != Standing::NoDefault {
        return verdicts.ok(one.subject());
    }
    let claim = &one.claim.claim;
    let classes = unbound.classes();
    let problem = Problem::new(format!(
        "Claim {claim} names no StorageClass, and no class of the cluster is the default one: nobody makes a volume for it."
    ))
    .because("spec.storageClassName", "not set", format!("claim {claim}"))
    .because("classes", classes, "storageclasses")
    .because("available volumes without a class that fit", "none", "persistentvolumes")
    .since(unbound.created())
    .next(
        "Make a class the default one: claims that wait take it.",
        "kubectl patch storageclass CLASS -p '{\"metadata\":{\"annotations\":{\"storageclass.kubernetes.io/is-default-class\":\"true\"}}}'",
    )
    .next(
        "Or name a class in this claim; one that has none yet may be given one.",
        format!(
            "kubectl patch pvc -n {} {} -p '{{\"spec\":{{\"storageClassName\":\"CLASS\"}}}}'",
            quote(&claim.namespace),
            quote(&claim.name)
        ),
    );
    verdicts.problem(one.subject(), problem);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;

    use crate::binding::sample::{free, waiting};
    use crate::model::observed::{Gap, Listing, Why};
    use crate::model::terms::ClassTerms;
    use crate::rules::tests::unbound;

    use super::*;

    #[test]
    fn no_class_and_no_default_is_a_problem() {
        let facts = waiting(|_, terms, _| terms.class = None);
        unbound(&RULE, &facts, expect![[r#"
            warning DefaultStorageClassMissing: claim shop/orders-db
              Claim shop/orders-db names no StorageClass, and no class of the cluster is the default one: nobody makes a volume for it.
              - spec.storageClassName: not set [claim shop/orders-db]
              - classes: fast [storageclasses]
              - available volumes without a class that fit: none [persistentvolumes]
              > Make a class the default one: claims that wait take it.
                kubectl patch storageclass CLASS -p '{"metadata":{"annotations":{"storageclass.kubernetes.io/is-default-class":"true"}}}'
              > Or name a class in this claim; one that has none yet may be given one.
                kubectl patch pvc -n shop orders-db -p '{"spec":{"storageClassName":"CLASS"}}'
        "#]]);
    }

    #[test]
    fn a_claim_that_wants_no_class_is_not_judged_so() {
        let facts = waiting(|_, terms, _| terms.class = Some(String::new()));
        unbound(&RULE, &facts, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_default_class_is_about_to_be_taken() {
        let facts = waiting(|_, terms, binding| {
            terms.class = None;
            Arc::make_mut(&mut binding.classes.items[0]).terms = Some(Box::new(ClassTerms {
                is_default: true,
                ..ClassTerms::default()
            }));
        });
        unbound(&RULE, &facts, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_volume_without_a_class_will_do() {
        let facts = waiting(|_, terms, binding| {
            terms.class = None;
            binding.free.items = vec![free("by-hand", |_, terms| terms.class = String::new())];
        });
        unbound(&RULE, &facts, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn classes_that_were_not_listed_are_unknown() {
        let facts = waiting(|_, terms, binding| {
            terms.class = None;
            binding.classes = Listing::unknown(Gap::new(Why::Denied, "list storageclasses"));
        });
        unbound(&RULE, &facts, expect![[r#"
            unknown DefaultStorageClassMissing: claim shop/orders-db: list storageclasses (Denied)
        "#]]);
    }
}
