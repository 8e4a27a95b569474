//! `AttachLimitReached`: a pod waits, because its node has as many volumes attached as the driver allows.

use std::time::Duration;
use crate::model::driver::Driver;
use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::observed::Observed;
use crate::model::stage::{MountStage, Stage};
use crate::model::volume::{Published, Volume};
use crate::mounting::{self, Wait};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "AttachLimitReached",
    severity: Severity::Warning,
    stage: Some(Stage::Mount(MountStage::Attached)),
    // A pod that leaves makes room within the kubelet's and the attacher's back-off.
    grace: Duration::from_mins(3),
    summary: "pods wait since their node has no attach slot left",
    docs: include_str!("../../docs/findings/AttachLimitReached.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in verdicts.each(&node.volumes) {
        let driver = node.drivers.items.iter().find(|driver| driver.name == volume.driver);
        for published in &volume.published {
            let subject = volume.subject(&node.node);
            match mounting::wait(volume, published, driver) {
                Wait::Full(said) => verdicts.problem(subject, problem(node, volume, published, driver, said)),
                Wait::Unknown(gap) => verdicts.unknown(subject, gap),
                Wait::No | Wait::Told(_) | Wait::Silent => verdicts.ok(subject),
            }
        }
    }
}

fn problem(node: &NodeFacts, volume: &Volume, published: &Published, driver: Option<&Driver>, said: Option<&str>) -> Problem {
    let pod = &published.pod;
    let allowed = driver.and_then(|driver| match &driver.csi_node {
        Observed::Known(Some(registration)) => registration.allocatable,
        _ => None,
    });
    let allows = match allowed {
        Some(count) => format!(" ({count})"),
        None => String::new(),
    };
    let problem = Problem::new(format!(
        "Pod {pod} waits for volume {}, since {} has as many volumes of driver {} attached as it allows{allows}.",
        volume.spec_name, node.node, volume.driver
    ));
    let problem = match driver {
        Some(driver) => problem
            .because("attached for pods of the node", driver.attached.to_string(), format!("VolumeAttachments of node {}", node.node))
            .because(
                "allowed",
                allowed.map_or_else(|| "no limit is told".to_owned(), |count| count.to_string()),
                format!("CSINode {}, allocatable.count", node.node),
            ),
        None => problem,
    };
    let problem = match said {
        Some(error) => problem.because("the attacher's error", error, "VolumeAttachment, status.attachError"),
        None => problem,
    };
    problem
        .next("See what is attached to the node.", format!("kubectl get volumeattachments -o wide | grep {}", node.node))
        .next(
            "Let the pod go to another node, or move another one away.",
            format!("kubectl delete pod -n {} {}", pod.namespace, pod.name),
        )
        .advise("Where the scheduler put it here all the same, its driver tells no limit or a wrong one: set it in the driver's configuration.")
        .related(volume.related())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;

    use crate::model::objects::PodState;
    use crate::model::observed::{Gap, Why};
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn waiting(attached: u32, error: Option<&str>) -> NodeFacts {
        let mut node = sample::degraded(|volume| {
            let published = &mut volume.published[0];
            published.state = Observed::Known(PodState::Starting);
            published.mount = Observed::Known(None);
            published.live = Observed::Known(false);
            published.inside = Observed::Known(Vec::new());
            volume.staged = Observed::Known(None);
            if let Observed::Known(Some(attachment)) = &mut volume.attachment {
                let attachment = Arc::make_mut(attachment);
                attachment.attached = false;
                attachment.error = error.map(ToOwned::to_owned);
            }
        });
        node.drivers.items[0].attached = attached;
        node
    }

    #[test]
    fn a_full_node_that_nobody_waits_for_is_ok() {
        let mut node = sample::node();
        node.drivers.items[0].attached = 25;
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_pod_that_waits_for_a_full_node_is_a_problem() {
        check(&RULE, &waiting(25, None), expect![[r#"
            warning AttachLimitReached: claim shop/orders-db on node node-1
              Pod shop/orders-0 waits for volume pvc-11, since node-1 has as many volumes of driver disk.example.com attached as it allows (25).
              - attached for pods of the node: 25 [VolumeAttachments of node node-1]
              - allowed: 25 [CSINode node-1, allocatable.count]
              > See what is attached to the node.
                kubectl get volumeattachments -o wide | grep node-1
              > Let the pod go to another node, or move another one away.
                kubectl delete pod -n shop orders-0
              > Where the scheduler put it here all the same, its driver tells no limit or a wrong one: set it in the driver's configuration.
        "#]]);
    }

    #[test]
    fn the_drivers_refusal_is_enough() {
        let words = "rpc error: code = ResourceExhausted desc = attachment limit exceeded";
        check(&RULE, &waiting(3, Some(words)), expect![[r#"
            warning AttachLimitReached: claim shop/orders-db on node node-1
              Pod shop/orders-0 waits for volume pvc-11, since node-1 has as many volumes of driver disk.example.com attached as it allows (25).
              - attached for pods of the node: 3 [VolumeAttachments of node node-1]
              - allowed: 25 [CSINode node-1, allocatable.count]
              - the attacher's error: rpc error: code = ResourceExhausted desc = attachment limit exceeded [VolumeAttachment, status.attachError]
              > See what is attached to the node.
                kubectl get volumeattachments -o wide | grep node-1
              > Let the pod go to another node, or move another one away.
                kubectl delete pod -n shop orders-0
              > Where the scheduler put it here all the same, its driver tells no limit or a wrong one: set it in the driver's configuration.
        "#]]);
    }

    #[test]
    fn a_node_with_room_is_another_rules_matter() {
        check(&RULE, &waiting(3, Some("rpc error: code = Internal desc = no")), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_pod_that_was_not_seen_is_unknown() {
        let mut node = waiting(25, None);
        let gap = Gap::new(Why::Denied, "watch pods: forbidden");
        node.volumes.items[0].published[0].state = Observed::Unknown(gap);
        check(&RULE, &node, expect![[r#"
            unknown AttachLimitReached: claim shop/orders-db on node node-1: watch pods: forbidden (Denied)
        "#]]);
    }
}
