//! `StorageClassNotFound`: a claim waits for a class that does not exist.

use std::time::Duration;

use crate::binding::{Standing, Unbound};
use crate::model::finding::{Problem, Severity, quote};
use crate::model::stage::{BindStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "StorageClassNotFound",
    severity: Severity::Warning,
    stage: Some(Stage::Bind(BindStage::ClassExists)),
    // Class and claim of one manifest are made in any order.
    grace: Duration::from_mins(1),
    summary: "claims name a class that does not exist",
    docs: include_str!("../../docs/findings/StorageClassNotFound.md"),
    check: Check::Binding(check),
};

fn check(unbound: &Unbound<'_>, verdicts: &mut Verdicts) {
    let one = unbound.one;
    let Standing::NoClass(class) = unbound.standing else {
        return verdicts.ok(one.subject());
    };
    let claim = &one.claim.claim;
    let problem = Problem::new(format!(
        "Claim {claim} names StorageClass {class}, which does not exist: nobody makes a volume for it."
    ))
    .because("spec.storageClassName", class, format!("claim {claim}"))
    .because("classes", unbound.classes(), "storageclasses")
    .because("volumes of that class", "none that is free", "persistentvolumes")
    .since(unbound.created())
    .next(
        "See which classes there are: the name may be misspelt.",
        "kubectl get storageclass",
    )
    .next(
        format!("Make the class {class}, or make the claim anew with one that exists: the class of a claim cannot be changed."),
        format!(
            "kubectl get pvc -n {} {} -o yaml",
            quote(&claim.namespace),
            quote(&claim.name)
        ),
    );
    verdicts.problem(one.subject(), problem);
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::binding::sample::{free, waiting};
    use crate::model::observed::{Gap, Listing, Why};
    use crate::rules::tests::unbound;

    use super::*;

    #[test]
    fn a_class_that_exists_is_ok() {
        unbound(&RULE, &waiting(|_, _, _| {}), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_class_that_does_not_exist_is_a_problem() {
        let facts = waiting(|_, terms, _| terms.class = Some("fsat".to_owned()));
        unbound(&RULE, &facts, expect![[r#"
            warning StorageClassNotFound: claim shop/orders-db
              Claim shop/orders-db names StorageClass fsat, which does not exist: nobody makes a volume for it.
              - spec.storageClassName: fsat [claim shop/orders-db]
              - classes: fast [storageclasses]
              - volumes of that class: none that is free [persistentvolumes]
              > See which classes there are: the name may be misspelt.
                kubectl get storageclass
              > Make the class fsat, or make the claim anew with one that exists: the class of a claim cannot be changed.
                kubectl get pvc -n shop orders-db -o yaml
        "#]]);
    }

    #[test]
    fn a_name_that_volumes_have_needs_no_class() {
        let facts = waiting(|_, terms, binding| {
            terms.class = Some("manual".to_owned());
            binding.free.items = vec![free("by-hand", |_, terms| "manual".clone_into(&mut terms.class))];
        });
        unbound(&RULE, &facts, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn classes_that_were_not_listed_are_unknown() {
        let facts = waiting(|_, _, binding| {
            binding.classes = Listing::unknown(Gap::new(Why::Denied, "list storageclasses"));
        });
        unbound(&RULE, &facts, expect![[r#"
            unknown StorageClassNotFound: claim shop/orders-db: list storageclasses (Denied)
        "#]]);
    }
}
