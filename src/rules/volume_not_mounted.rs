//! `VolumeNotMounted`: the pod runs, and its volume is not a mount where the kubelet published it.
//!
//! It looks at the host's table only; what the container itself sees is not among the facts yet,
//! so the problem is told as the milder of the two cases.

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::stage::{MountStage, Stage};
use crate::model::names::NodeName;
use crate::model::objects::{PodState, VolumeMode};
use crate::model::observed::Observed;
use crate::model::volume::{Published, Volume};
use crate::rules::{Check, Rule, Verdicts, quote};

pub(super) static RULE: Rule = Rule {
    code: "VolumeNotMounted",
    severity: Severity::Critical,
    stage: Some(Stage::Mount(MountStage::Published)),
    // After a reboot the API calls pods running that the kubelet is still setting up; its longest back-off is 2m2s.
    grace: Duration::from_mins(3),
    summary: "volumes are not mounted in their running pods",
    docs: include_str!("../../docs/findings/VolumeNotMounted.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in verdicts.each(&node.volumes) {
        if volume.mode == VolumeMode::Block {
            continue;
        }
        for published in &volume.published {
            let subject = volume.subject(&node.node);
            match (&published.mount, &published.state) {
                (Observed::Known(Some(_)), _)
                | (_, Observed::Known(PodState::Starting | PodState::Ending | PodState::Done)) => verdicts.ok(subject),
                (Observed::Unknown(gap), _) | (_, Observed::Unknown(gap)) => verdicts.unknown(subject, gap),
                (Observed::Known(None), Observed::Known(PodState::Running)) => {
                    verdicts.problem(subject, problem(&node.node, volume, published));
                }
            }
        }
    }
}

fn problem(node: &NodeName, volume: &Volume, published: &Published) -> Problem {
    let Published { pod, target, .. } = published;
    Problem::new(format!(
        "Pod {pod} runs on {node}, and the host has no mount of volume {} at its target path: what the pod writes after its next restart goes to the node's own disk.",
        volume.spec_name
    ))
    .severity(Severity::Warning)
    .because("mount at the target path", "none", format!("host's mount table, {target}"))
    .because("pod", "running", format!("pod {pod}"))
    .next("See on the node whether the path is a mount.", format!("findmnt --mountpoint {}", quote(target)))
    .next(
        "See what the pod itself has: the container may still hold the volume.",
        format!("kubectl exec -n {} {} -- cat /proc/self/mountinfo", pod.namespace, pod.name),
    )
    .next(
        "Let the kubelet publish it again by making the pod anew.",
        format!("kubectl delete pod -n {} {}", pod.namespace, pod.name),
    )
    .related(volume.related())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::observed::{Gap, Why};
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    #[test]
    fn a_mount_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    #[test]
    fn a_running_pod_without_the_mount_is_a_problem() {
        let node = sample::degraded(|volume| volume.published[0].mount = Observed::Known(None));
        check(&RULE, &node, expect![[r#"
            warning VolumeNotMounted: claim shop/orders-db on node node-1
              Pod shop/orders-0 runs on node-1, and the host has no mount of volume pvc-11 at its target path: what the pod writes after its next restart goes to the node's own disk.
              - mount at the target path: none [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - pod: running [pod shop/orders-0]
              > See on the node whether the path is a mount.
                findmnt --mountpoint /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > See what the pod itself has: the container may still hold the volume.
                kubectl exec -n shop orders-0 -- cat /proc/self/mountinfo
              > Let the kubelet publish it again by making the pod anew.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn a_pod_that_starts_or_ends_or_is_done_is_quiet() {
        for state in [PodState::Starting, PodState::Ending, PodState::Done] {
            let node = sample::degraded(|volume| {
                volume.published[0].mount = Observed::Known(None);
                volume.published[0].state = Observed::Known(state);
            });
            check(&RULE, &node, expect!["1 ok\n"]);
        }
    }

    #[test]
    fn a_table_or_a_pod_that_was_not_seen_is_unknown() {
        let gap = Gap::new(Why::Malformed, "line 12 of the mount table");
        let node = sample::degraded(|volume| volume.published[0].mount = Observed::Unknown(gap.clone()));
        check(&RULE, &node, expect![[r#"
            unknown VolumeNotMounted: claim shop/orders-db on node node-1: line 12 of the mount table (Malformed)
        "#]]);
        let node = sample::degraded(|volume| {
            volume.published[0].mount = Observed::Known(None);
            volume.published[0].state = Observed::Unknown(Gap::new(Why::Unavailable, "no answer from the API server"));
        });
        check(&RULE, &node, expect![[r#"
            unknown VolumeNotMounted: claim shop/orders-db on node node-1: no answer from the API server (Unavailable)
        "#]]);
    }

    #[test]
    fn a_block_volume_is_not_looked_at() {
        let node = sample::degraded(|volume| {
            volume.mode = VolumeMode::Block;
            volume.published[0].mount = Observed::Known(None);
        });
        check(&RULE, &node, expect!["0 ok\n"]);
    }
}
