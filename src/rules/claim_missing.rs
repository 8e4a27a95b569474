//! `ClaimMissing`: pods name a claim that does not exist.

use std::time::Duration;

use crate::model::binding::Absent;
use crate::model::facts::ClusterFacts;
use crate::model::finding::{Object, Problem, Severity, quote};
use crate::model::stage::{BindStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "ClaimMissing",
    severity: Severity::Warning,
    stage: Some(Stage::Bind(BindStage::Claimed)),
    // Pod and claim of one manifest are made in any order, and ephemeral claims by a controller.
    grace: Duration::from_mins(1),
    summary: "claims that pods name do not exist",
    docs: include_str!("../../docs/findings/ClaimMissing.md"),
    check: Check::Cluster(check),
};

fn check(facts: &ClusterFacts, verdicts: &mut Verdicts) {
    let binding = &facts.binding;
    for one in verdicts.each(&binding.absent) {
        match &binding.stale {
            Some(gap) => verdicts.unknown(one.subject(), gap),
            None => verdicts.problem(one.subject(), problem(one)),
        }
    }
}

fn problem(one: &Absent) -> Problem {
    let claim = &one.claim;
    let first = one.pods.first().map(ToString::to_string);
    let first = first.unwrap_or_default();
    let who = match one.pods.len() {
        1 => format!("Pod {first} names"),
        pods => format!("{pods} pods, {first} among them, name"),
    };
    let namespace = quote(&claim.namespace);
    Problem::new(format!(
        "{who} claim {claim}, which does not exist: it cannot start."
    ))
    .because("claim", "not there", format!("claims of namespace {}", claim.namespace))
    .because("named by", first, "spec.volumes of the pod")
    .next(
        "See which claims there are: the name may be misspelt, or the claim is in another namespace.",
        format!("kubectl get pvc -n {namespace}"),
    )
    .next(
        "If a controller is to make it, see why it does not: quota, limits and webhooks are told here.",
        format!("kubectl get events -n {namespace} --field-selector type=Warning --sort-by=.lastTimestamp"),
    )
    .related(one.pods.iter().take(5).cloned().map(Object::Pod).collect())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use crate::binding::sample::{user, waiting};
    use crate::model::names::ClaimRef;
    use crate::model::observed::{Gap, Listing, Why};
    use crate::rules::tests::unbound;

    use super::*;

    fn named_by(pods: usize, change: impl FnOnce(&mut ClusterFacts), expected: Expect) {
        let mut facts = waiting(|_, _, _| {});
        let pods = (0..pods).map(|at| {
            let mut pod = user().pod;
            pod.name = format!("orders-{at}").into();
            pod
        });
        facts.binding.absent = Listing::complete(vec![Absent {
            claim: ClaimRef {
                namespace: "shop".into(),
                name: "nowhere".into(),
                uid: "".into(),
            },
            pods: pods.collect(),
        }]);
        change(&mut facts);
        unbound(&RULE, &facts, expected);
    }

    #[test]
    fn claims_that_are_there_are_no_matter() {
        unbound(&RULE, &waiting(|_, _, _| {}), expect![[r#"
            0 ok
        "#]]);
    }

    #[test]
    fn a_claim_that_is_not_there_is_a_problem() {
        named_by(1, |_| {}, expect![[r#"
            warning ClaimMissing: claim shop/nowhere
              Pod shop/orders-0 names claim shop/nowhere, which does not exist: it cannot start.
              - claim: not there [claims of namespace shop]
              - named by: shop/orders-0 [spec.volumes of the pod]
              > See which claims there are: the name may be misspelt, or the claim is in another namespace.
                kubectl get pvc -n shop
              > If a controller is to make it, see why it does not: quota, limits and webhooks are told here.
                kubectl get events -n shop --field-selector type=Warning --sort-by=.lastTimestamp
        "#]]);
    }

    #[test]
    fn many_pods_are_one_problem() {
        named_by(3, |_| {}, expect![[r#"
            warning ClaimMissing: claim shop/nowhere
              3 pods, shop/orders-0 among them, name claim shop/nowhere, which does not exist: it cannot start.
              - claim: not there [claims of namespace shop]
              - named by: shop/orders-0 [spec.volumes of the pod]
              > See which claims there are: the name may be misspelt, or the claim is in another namespace.
                kubectl get pvc -n shop
              > If a controller is to make it, see why it does not: quota, limits and webhooks are told here.
                kubectl get events -n shop --field-selector type=Warning --sort-by=.lastTimestamp
        "#]]);
    }

    #[test]
    fn claims_that_were_not_listed_are_not_missing() {
        let gap = Gap::new(Why::Denied, "list persistentvolumeclaims");
        named_by(1, |facts| facts.binding.absent = Listing::unknown(gap), expect![[r#"
            incomplete ClaimMissing: list persistentvolumeclaims (Denied)
        "#]]);
    }

    #[test]
    fn what_may_have_changed_is_unknown() {
        let gap = Gap::new(Why::Unavailable, "watch pods");
        named_by(1, |facts| facts.binding.stale = Some(gap), expect![[r#"
            unknown ClaimMissing: claim shop/nowhere: watch pods (Unavailable)
        "#]]);
    }
}
