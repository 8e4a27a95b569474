//! `ClaimLost`: the volume of a bound claim is gone.

use std::time::Duration;
use crate::binding::{Standing, Unbound};
use crate::model::finding::{Object, Problem, Severity, quote};
use crate::model::stage::{BindStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "ClaimLost",
    severity: Severity::Critical,
    stage: Some(Stage::Bind(BindStage::Bound)),
    // Kubernetes never takes it back by itself.
    grace: Duration::ZERO,
    summary: "claims have lost their volumes",
    docs: include_str!("../../docs/findings/ClaimLost.md"),
    check: Check::Binding(check),
};

fn check(unbound: &Unbound<'_>, verdicts: &mut Verdicts) {
    let one = unbound.one;
    if unbound.standing != Standing::Lost {
        return verdicts.ok(one.subject());
    }
    let claim = &one.claim.claim;
    let volume = one.claim.volume.as_ref().map(ToString::to_string);
    let volume = volume.unwrap_or_else(|| "that it does not name".to_owned());
    let there = one.named.as_ref().map(|named| match named {
        None => "not there".to_owned(),
        Some(found) => match &found.claim {
            Some(of) => format!("there, for claim {of} with UID {}", of.uid),
            None => "there, for no claim".to_owned(),
        },
    });
    let there = there
        .known()
        .cloned()
        .unwrap_or_else(|| "not seen".to_owned());
    let mut problem = Problem::new(format!(
        "Claim {claim} was bound to PersistentVolume {volume} and has lost it: its data is out of reach, and no pod can start with it."
    ))
    .because("status.phase of the claim", "Lost", format!("claim {claim}"))
    .because("its volume", there, format!("persistentvolume {volume}"))
    .next(
        "See whether the storage behind it still exists, before anything is deleted.",
        format!(
            "kubectl get pvc -n {} {} -o yaml",
            quote(&claim.namespace),
            quote(&claim.name)
        ),
    )
    .advise("If it does, make a PersistentVolume for its handle with reclaim policy Retain and a new claim that names it; else restore the data from a backup into a new claim.");
    if let Some(name) = &one.claim.volume {
        problem = problem.related(vec![Object::PersistentVolume(name.clone(), "".into())]);
    }
    verdicts.problem(one.subject(), problem);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;

    use crate::binding::sample::{free, waiting};
    use crate::model::binding::Waiting;
    use crate::model::observed::Observed;
    use crate::model::terms::{ClaimPhase, ClaimTerms};
    use crate::rules::tests::unbound;

    use super::*;

    fn lost(one: &mut Waiting, terms: &mut ClaimTerms) {
        terms.phase = ClaimPhase::Lost;
        Arc::make_mut(&mut one.claim).volume = Some("pvc-11".into());
    }

    #[test]
    fn a_claim_that_waits_has_lost_nothing() {
        unbound(&RULE, &waiting(|_, _, _| {}), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_lost_claim_is_a_problem() {
        let facts = waiting(|one, terms, _| lost(one, terms));
        unbound(&RULE, &facts, expect![[r#"
            critical ClaimLost: claim shop/orders-db
              Claim shop/orders-db was bound to PersistentVolume pvc-11 and has lost it: its data is out of reach, and no pod can start with it.
              - status.phase of the claim: Lost [claim shop/orders-db]
              - its volume: not there [persistentvolume pvc-11]
              > See whether the storage behind it still exists, before anything is deleted.
                kubectl get pvc -n shop orders-db -o yaml
              > If it does, make a PersistentVolume for its handle with reclaim policy Retain and a new claim that names it; else restore the data from a backup into a new claim.
        "#]]);
    }

    #[test]
    fn a_volume_of_somebody_else_is_shown() {
        let facts = waiting(|one, terms, _| {
            lost(one, terms);
            let other = free("pvc-11", |volume, _| {
                let mut of = one.claim.claim.clone();
                of.uid = "another".into();
                volume.claim = Some(of);
            });
            one.named = Observed::Known(Some(other));
        });
        unbound(&RULE, &facts, expect![[r#"
            critical ClaimLost: claim shop/orders-db
              Claim shop/orders-db was bound to PersistentVolume pvc-11 and has lost it: its data is out of reach, and no pod can start with it.
              - status.phase of the claim: Lost [claim shop/orders-db]
              - its volume: there, for claim shop/orders-db with UID another [persistentvolume pvc-11]
              > See whether the storage behind it still exists, before anything is deleted.
                kubectl get pvc -n shop orders-db -o yaml
              > If it does, make a PersistentVolume for its handle with reclaim policy Retain and a new claim that names it; else restore the data from a backup into a new claim.
        "#]]);
    }

    #[test]
    fn a_claim_that_is_being_deleted_is_quiet() {
        let facts = waiting(|one, terms, _| {
            lost(one, terms);
            terms.deleting = true;
        });
        unbound(&RULE, &facts, expect![[r#"
            1 ok
        "#]]);
    }
}
