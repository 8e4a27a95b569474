//! `ProvisionerMissing`: a volume is to be made, and nobody has taken that up.

use std::time::Duration;

use jiff::SignedDuration;

use crate::binding::{self, Standing, Unbound};
use crate::model::finding::{Problem, Severity, quote};
use crate::model::stage::{BindStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "ProvisionerMissing",
    severity: Severity::Warning,
    stage: Some(Stage::Bind(BindStage::Provisioner)),
    // A provisioner that starts anew first lists all claims and waits for its lease.
    grace: Duration::from_mins(5),
    summary: "claims are taken up by no provisioner",
    docs: include_str!("../../docs/findings/ProvisionerMissing.md"),
    check: Check::Binding(check),
};

/// A provisioner that spoke of any claim so recently is alive.
const LIVES: SignedDuration = SignedDuration::from_mins(15);

fn check(unbound: &Unbound<'_>, verdicts: &mut Verdicts) {
    let one = unbound.one;
    let Standing::Provisioning(class) = unbound.standing else {
        return verdicts.ok(one.subject());
    };
    let now = unbound.facts.observed_at;
    let lives = one
        .provisioner_seen
        .is_some_and(|seen| now.duration_since(seen) < LIVES);
    if lives || binding::is_taken_up(one) {
        return verdicts.ok(one.subject());
    }
    if let Some(gap) = binding::unheard(one, class) {
        return verdicts.unknown(one.subject(), &gap);
    }
    let (claim, provisioner) = (&one.claim.claim, &class.provisioner);
    let chosen = one.claim.terms.as_ref().and_then(|terms| terms.selected_node.as_ref());
    let problem = Problem::new(format!(
        "Claim {claim} waits for provisioner {provisioner} of StorageClass {} to make its volume, and nobody has taken that up.",
        class.name
    ))
    .because("provisioner", provisioner.as_str(), format!("storageclass {}", class.name))
    .because(
        "heard of the provisioner",
        match one.provisioner_seen {
            Some(at) => format!("last at {at:.0}"),
            None => "nothing about any claim".to_owned(),
        },
        format!("events of {provisioner}"),
    )
    // When a node was chosen nobody tells: then the time counts from when it was first seen.
    .since(match chosen {
        Some(_) => Some(now),
        None => unbound.created(),
    })
    .next(
        "See whether a driver of this name is installed at all: the name in the class may be misspelt.",
        format!("kubectl get csidriver {}", quote(provisioner)),
    )
    .next(
        format!("Look whether its provisioner runs: a sidecar csi-provisioner beside the controller of {provisioner}."),
        "kubectl get pods -A | grep -i -e provisioner -e controller",
    );
    verdicts.problem(one.subject(), problem);
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::binding::sample::{class, said, waiting};
    use crate::model::observed::{Gap, Why};
    use crate::model::sample;
    use crate::rules::tests::unbound;

    use super::*;

    #[test]
    fn nobody_heard_is_a_problem() {
        let words = "Waiting for a volume to be created either by the external provisioner 'disk.example.com' or manually by the system administrator.";
        let facts = waiting(|one, _, _| {
            let event = said("persistentvolume-controller", "ExternalProvisioning", words);
            one.events.items = vec![event];
        });
        unbound(&RULE, &facts, expect![[r#"
            warning ProvisionerMissing: claim shop/orders-db
              Claim shop/orders-db waits for provisioner disk.example.com of StorageClass fast to make its volume, and nobody has taken that up.
              - provisioner: disk.example.com [storageclass fast]
              - heard of the provisioner: nothing about any claim [events of disk.example.com]
              > See whether a driver of this name is installed at all: the name in the class may be misspelt.
                kubectl get csidriver disk.example.com
              > Look whether its provisioner runs: a sidecar csi-provisioner beside the controller of disk.example.com.
                kubectl get pods -A | grep -i -e provisioner -e controller
        "#]]);
    }

    #[test]
    fn a_provisioner_at_work_is_ok() {
        let facts = waiting(|one, _, _| {
            one.events.items = vec![said("disk.example.com_host_1", "Provisioning", "External provisioner is provisioning volume")];
        });
        unbound(&RULE, &facts, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_provisioner_that_spoke_of_another_claim_lives() {
        let facts = waiting(|one, _, _| one.provisioner_seen = Some(sample::noon()));
        unbound(&RULE, &facts, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn kubernetes_own_provisioners_are_not_judged() {
        let facts = waiting(|_, _, binding| {
            binding.classes.items = vec![class("fast", "kubernetes.io/aws-ebs", false)];
        });
        unbound(&RULE, &facts, expect![[r#"
            unknown ProvisionerMissing: claim shop/orders-db: provisioner kubernetes.io/aws-ebs is Kubernetes' own or was replaced by a driver of another name (Unsupported)
        "#]]);
    }

    #[test]
    fn events_that_were_not_read_are_unknown() {
        let gap = Gap::new(Why::Denied, "list events");
        let facts = waiting(|one, _, _| one.events.gaps = vec![gap]);
        unbound(&RULE, &facts, expect![[r#"
            unknown ProvisionerMissing: claim shop/orders-db: list events (Denied)
        "#]]);
    }
}
