//! `PodWaitingOnVolume`: a pod waits for a volume, and no event says why: the step that is missing.

use std::time::Duration;
use crate::causes::{Symptom, classify};
use crate::model::driver::Driver;
use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::observed::Observed;
use crate::model::stage::{MountStage, Stage};
use crate::model::volume::{Published, Volume};
use crate::mounting::{self, Wait};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "PodWaitingOnVolume",
    severity: Severity::Warning,
    stage: Some(Stage::Mount(MountStage::Attached)),
    // The kubelet waits 2m3s for all volumes of a pod before it counts that as a failure, and says nothing then.
    grace: Duration::from_mins(3),
    summary: "pods wait for volumes and nobody says why",
    docs: include_str!("../../docs/findings/PodWaitingOnVolume.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in verdicts.each(&node.volumes) {
        let driver = node.drivers.items.iter().find(|driver| driver.name == volume.driver);
        for published in &volume.published {
            let subject = volume.subject(&node.node);
            match mounting::wait(volume, published, driver) {
                // Why is another rule's to tell.
                Wait::No | Wait::Full(_) | Wait::Told(_) => verdicts.ok(subject),
                Wait::Unknown(gap) => verdicts.unknown(subject, gap),
                Wait::Silent => verdicts.problem(subject, problem(node, volume, published, driver)),
            }
        }
    }
}

fn problem(node: &NodeFacts, volume: &Volume, published: &Published, driver: Option<&Driver>) -> Problem {
    let pod = &published.pod;
    let (stage, why) = mounting::missing(volume, driver);
    let step = match stage {
        MountStage::Attached => "attached to the node",
        MountStage::Staged => "staged on the node",
        _ => "published for the pod",
    };
    let error = match &volume.attachment {
        Observed::Known(Some(one)) if !one.attached => one.error.as_ref(),
        _ => None,
    };
    // Kubernetes makes an event of it too, in the same words.
    let who = if error.is_some() { "the attacher says why" } else { "no event says why" };
    let problem = Problem::new(format!(
        "Pod {pod} waits on {} for volume {}, which is not yet {step}, and {who}.",
        node.node, volume.spec_name
    ))
    .because("missing step", why, "VolumeAttachment and the host's mount table");
    let problem = match error {
        Some(error) => {
            let told = classify(&Symptom {
                text: error,
                stage: Some("attach"),
                driver: Some(volume.driver.as_str()),
                ..Symptom::default()
            });
            problem.cause(told.cause).advise(told.next)
        }
        None => problem,
    };
    let problem = match driver.map(|driver| &driver.plugin) {
        Some(Observed::Unknown(gap)) => problem.because("driver on the node", format!("does not answer: {gap}"), volume.driver.to_string()),
        Some(Observed::Known(_)) => problem.because("driver on the node", "answers", volume.driver.to_string()),
        None => problem,
    };
    let problem = if stage == MountStage::Attached {
        problem
            .next("See what the attachment says.", format!("kubectl get volumeattachments -o wide | grep {}", volume.spec_name))
            .advise("Look in the log of the driver's external-attacher; where there is none, nobody attaches.")
    } else {
        problem
            .next("See what the kubelet does about it.", format!("journalctl -u kubelet --since -10m | grep {}", volume.spec_name))
            .advise("Look in the log of the driver's node plugin for a call on this volume that has not ended.")
    };
    problem
        .next("See the pod's conditions.", format!("kubectl describe pod -n {} {}", pod.namespace, pod.name))
        .related(volume.related())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;

    use crate::model::finding::Object;
    use crate::model::objects::{Event, PodState};
    use crate::model::observed::{Gap, Listing, Why};
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn starting(change: impl FnOnce(&mut Volume)) -> NodeFacts {
        sample::degraded(|volume| {
            let published = &mut volume.published[0];
            published.state = Observed::Known(PodState::Starting);
            published.mount = Observed::Known(None);
            published.live = Observed::Known(false);
            published.inside = Observed::Known(Vec::new());
            volume.staged = Observed::Known(None);
            change(volume);
        })
    }

    fn unattached(error: Option<&str>) -> NodeFacts {
        starting(|volume| {
            if let Observed::Known(Some(attachment)) = &mut volume.attachment {
                let attachment = Arc::make_mut(attachment);
                attachment.attached = false;
                attachment.error = error.map(ToOwned::to_owned);
            }
        })
    }

    #[test]
    fn a_pod_that_runs_is_ok() {
        check(&RULE, &sample::node(), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn one_that_is_not_attached_says_so() {
        check(&RULE, &unattached(None), expect![[r#"
            warning PodWaitingOnVolume: claim shop/orders-db on node node-1
              Pod shop/orders-0 waits on node-1 for volume pvc-11, which is not yet attached to the node, and no event says why.
              - missing step: VolumeAttachment csi-0011 is not attached, and says no error [VolumeAttachment and the host's mount table]
              - driver on the node: answers [disk.example.com]
              > See what the attachment says.
                kubectl get volumeattachments -o wide | grep pvc-11
              > Look in the log of the driver's external-attacher; where there is none, nobody attaches.
              > See the pod's conditions.
                kubectl describe pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn the_attachers_error_is_told_with_its_cause() {
        let words = "rpc error: code = Internal desc = could not attach volume: VolumeInUse: vol-11 is already attached to an instance";
        check(&RULE, &unattached(Some(words)), expect![[r#"
            warning PodWaitingOnVolume: claim shop/orders-db on node node-1
              Pod shop/orders-0 waits on node-1 for volume pvc-11, which is not yet attached to the node, and the attacher says why.
              = multi-attach-previous-node (likely)
              - missing step: VolumeAttachment csi-0011 is not attached: rpc error: code = Internal desc = could not attach volume: VolumeInUse: vol-11 is already attached to an instance [VolumeAttachment and the host's mount table]
              - driver on the node: answers [disk.example.com]
              > Wait for the detach (about 6 minutes); look at the old node's unmount if it does not come.
              > See what the attachment says.
                kubectl get volumeattachments -o wide | grep pvc-11
              > Look in the log of the driver's external-attacher; where there is none, nobody attaches.
              > See the pod's conditions.
                kubectl describe pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn one_that_is_not_staged_says_so() {
        check(&RULE, &starting(|_| ()), expect![[r#"
            warning PodWaitingOnVolume: claim shop/orders-db on node node-1
              Pod shop/orders-0 waits on node-1 for volume pvc-11, which is not yet staged on the node, and no event says why.
              - missing step: nothing is mounted at its staging target path [VolumeAttachment and the host's mount table]
              - driver on the node: answers [disk.example.com]
              > See what the kubelet does about it.
                journalctl -u kubelet --since -10m | grep pvc-11
              > Look in the log of the driver's node plugin for a call on this volume that has not ended.
              > See the pod's conditions.
                kubectl describe pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn one_that_is_staged_and_not_published_says_so() {
        let node = starting(|volume| volume.staged = Observed::Known(Some(sample::mount("/stage".into()))));
        check(&RULE, &node, expect![[r#"
            warning PodWaitingOnVolume: claim shop/orders-db on node node-1
              Pod shop/orders-0 waits on node-1 for volume pvc-11, which is not yet published for the pod, and no event says why.
              - missing step: staged (ext4 on /dev/sdb), and not published [VolumeAttachment and the host's mount table]
              - driver on the node: answers [disk.example.com]
              > See what the kubelet does about it.
                journalctl -u kubelet --since -10m | grep pvc-11
              > Look in the log of the driver's node plugin for a call on this volume that has not ended.
              > See the pod's conditions.
                kubectl describe pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn where_an_event_says_why_another_rule_tells() {
        let node = starting(|volume| {
            volume.published[0].events = Listing::complete(vec![Event {
                about: Object::Pod(sample::pod("orders-0", "pod-uid-0")),
                by: "kubelet".to_owned(),
                warning: true,
                reason: "FailedMount".to_owned(),
                message: r#"MountVolume.SetUp failed for volume "pvc-11" : no"#.to_owned(),
                at: None,
            }]);
        });
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_pod_that_is_done_or_ending_is_quiet() {
        for state in [PodState::Ending, PodState::Done] {
            let node = starting(|volume| volume.published[0].state = Observed::Known(state));
            check(&RULE, &node, expect!["1 ok\n"]);
        }
    }

    #[test]
    fn a_pod_that_was_not_seen_is_unknown() {
        let gap = Gap::new(Why::Denied, "watch pods: forbidden");
        let node = starting(|volume| volume.published[0].state = Observed::Unknown(gap));
        check(&RULE, &node, expect![[r#"
            unknown PodWaitingOnVolume: claim shop/orders-db on node node-1: watch pods: forbidden (Denied)
        "#]]);
    }
}
