//! `WaitingForFirstConsumer`: a claim is not bound before a pod that uses it has a node.

use std::time::Duration;

use crate::binding::{Standing, Unbound};
use crate::model::finding::{Object, Problem, Severity, quote};
use crate::model::stage::{BindStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "WaitingForFirstConsumer",
    severity: Severity::Info,
    stage: Some(Stage::Bind(BindStage::Consumer)),
    // Claims are often made some time before the pods that use them.
    grace: Duration::from_mins(5),
    summary: "claims wait for a pod, as their class wants",
    docs: include_str!("../../docs/findings/WaitingForFirstConsumer.md"),
    check: Check::Binding(check),
};

fn check(unbound: &Unbound<'_>, verdicts: &mut Verdicts) {
    let one = unbound.one;
    let claim = &one.claim.claim;
    let namespace = quote(&claim.namespace);
    let pods = format!("pods of namespace {}", claim.namespace);
    let users = one.users.known().map(Vec::as_slice).unwrap_or_default();
    let first = users.iter().take(5);
    let related = first.map(|user| Object::Pod(user.pod.clone())).collect();
    let (class, problem) = match &unbound.standing {
        Standing::NoPod(class) => (
            class,
            Problem::new(format!(
                "Claim {claim} waits for a pod that uses it, as StorageClass {} wants; no pod names it.",
                class.name
            ))
            .because("pods that name the claim", "none", pods)
            .since(unbound.created())
            .advise("Nothing is wrong: the volume is made when a pod that uses the claim is scheduled. Start it, or delete the claim if nobody needs it."),
        ),
        Standing::NoNode(class, user) => {
            let pod = &user.pod;
            let problem = Problem::new(format!(
                "Claim {claim} waits for pod {pod} to get a node, as StorageClass {} wants; the scheduler has not found one.",
                class.name
            ))
            .severity(Severity::Warning)
            .because("pods that name the claim", users.len().to_string(), pods)
            .because("node of the pod", "none", format!("pod {pod}"))
            .next(
                "See why the scheduler finds no node: its words name volumes, taints or resources.",
                format!("kubectl get events -n {namespace} --field-selector involvedObject.name={} --sort-by=.lastTimestamp", quote(&pod.name)),
            )
            .related(related);
            (class, problem)
        }
        Standing::Bypassed(class, pod, node) => {
            let problem = Problem::new(format!(
                "Claim {claim} waits for the scheduler to choose a node, as StorageClass {} wants; pod {pod} is on node {node} already and was never given to the scheduler.",
                class.name
            ))
            .severity(Severity::Warning)
            .because("pods that name the claim", users.len().to_string(), pods)
            .because("node of the pod", node.to_string(), format!("pod {pod}"))
            .because("annotation volume.kubernetes.io/selected-node", "none", format!("claim {claim}"))
            .next(
                format!("nodeName in the spec of pod {pod} bypasses the scheduler, and without its choice claim {claim} gets no volume: make the pod anew with nodeSelector kubernetes.io/hostname in place of nodeName."),
                format!("kubectl get pod -n {namespace} {} -o jsonpath='{{.spec.nodeName}}'", quote(&pod.name)),
            )
            .related(related);
            (class, problem)
        }
        _ => return verdicts.ok(one.subject()),
    };
    let problem = problem.because(
        "volumeBindingMode",
        "WaitForFirstConsumer",
        format!("storageclass {}", class.name),
    );
    verdicts.problem(one.subject(), problem);
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::binding::sample::{class, user, waiting};
    use crate::model::binding::Waiting;
    use crate::model::facts::ClusterFacts;
    use crate::model::observed::{Gap, Observed, Why};
    use crate::model::terms::ClaimTerms;
    use crate::rules::tests::unbound;

    use super::*;

    fn waits(change: impl FnOnce(&mut Waiting, &mut ClaimTerms)) -> ClusterFacts {
        waiting(|one, terms, binding| {
            binding.classes.items = vec![class("fast", "disk.example.com", true)];
            change(one, terms);
        })
    }

    #[test]
    fn no_pod_is_told() {
        unbound(&RULE, &waits(|_, _| {}), expect![[r#"
            info WaitingForFirstConsumer: claim shop/orders-db
              Claim shop/orders-db waits for a pod that uses it, as StorageClass fast wants; no pod names it.
              - pods that name the claim: none [pods of namespace shop]
              - volumeBindingMode: WaitForFirstConsumer [storageclass fast]
              > Nothing is wrong: the volume is made when a pod that uses the claim is scheduled. Start it, or delete the claim if nobody needs it.
        "#]]);
    }

    #[test]
    fn a_pod_without_a_node_is_a_warning() {
        let facts = waits(|one, _| one.users = Observed::Known(vec![user()]));
        unbound(&RULE, &facts, expect![[r#"
            warning WaitingForFirstConsumer: claim shop/orders-db
              Claim shop/orders-db waits for pod shop/orders-0 to get a node, as StorageClass fast wants; the scheduler has not found one.
              - pods that name the claim: 1 [pods of namespace shop]
              - node of the pod: none [pod shop/orders-0]
              - volumeBindingMode: WaitForFirstConsumer [storageclass fast]
              > See why the scheduler finds no node: its words name volumes, taints or resources.
                kubectl get events -n shop --field-selector involvedObject.name=orders-0 --sort-by=.lastTimestamp
        "#]]);
    }

    #[test]
    fn a_pod_that_bypassed_the_scheduler_is_a_warning() {
        let facts = waits(|one, _| {
            let mut placed = user();
            placed.node = Some("node-1".into());
            one.users = Observed::Known(vec![placed]);
        });
        unbound(&RULE, &facts, expect![[r#"
            warning WaitingForFirstConsumer: claim shop/orders-db
              Claim shop/orders-db waits for the scheduler to choose a node, as StorageClass fast wants; pod shop/orders-0 is on node node-1 already and was never given to the scheduler.
              - pods that name the claim: 1 [pods of namespace shop]
              - node of the pod: node-1 [pod shop/orders-0]
              - annotation volume.kubernetes.io/selected-node: none [claim shop/orders-db]
              - volumeBindingMode: WaitForFirstConsumer [storageclass fast]
              > nodeName in the spec of pod shop/orders-0 bypasses the scheduler, and without its choice claim shop/orders-db gets no volume: make the pod anew with nodeSelector kubernetes.io/hostname in place of nodeName.
                kubectl get pod -n shop orders-0 -o jsonpath='{.spec.nodeName}'
        "#]]);
    }

    #[test]
    fn a_pod_that_still_waits_is_the_schedulers() {
        let facts = waits(|one, _| {
            let mut placed = user();
            placed.pod.name = "orders-1".into();
            placed.node = Some("node-1".into());
            one.users = Observed::Known(vec![placed, user()]);
        });
        unbound(&RULE, &facts, expect![[r#"
            warning WaitingForFirstConsumer: claim shop/orders-db
              Claim shop/orders-db waits for pod shop/orders-0 to get a node, as StorageClass fast wants; the scheduler has not found one.
              - pods that name the claim: 2 [pods of namespace shop]
              - node of the pod: none [pod shop/orders-0]
              - volumeBindingMode: WaitForFirstConsumer [storageclass fast]
              > See why the scheduler finds no node: its words name volumes, taints or resources.
                kubectl get events -n shop --field-selector involvedObject.name=orders-0 --sort-by=.lastTimestamp
        "#]]);
    }

    #[test]
    fn a_node_that_was_chosen_ends_it() {
        let facts = waits(|one, terms| {
            one.users = Observed::Known(vec![user()]);
            terms.selected_node = Some("node-1".into());
        });
        unbound(&RULE, &facts, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_class_that_binds_at_once_waits_for_nobody() {
        unbound(&RULE, &waiting(|_, _, _| {}), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn pods_that_were_not_listed_are_unknown() {
        let gap = Gap::new(Why::Denied, "list pods");
        let facts = waits(|one, _| one.users = Observed::Unknown(gap));
        unbound(&RULE, &facts, expect![[r#"
            unknown WaitingForFirstConsumer: claim shop/orders-db: list pods (Denied)
        "#]]);
    }
}
