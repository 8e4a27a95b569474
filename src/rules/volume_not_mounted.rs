//! `VolumeNotMounted`: the pod runs, and its volume is not a mount where it belongs: in the container's
//! own mount table (critical), or at the kubelet's target path alone (warning).

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::stage::{MountStage, Stage};
use crate::model::names::NodeName;
use crate::model::objects::{PodState, VolumeMode};
use crate::model::observed::{Gap, Observed, Why};
use crate::model::volume::{Inside, Published, Volume};
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
            match lost(published) {
                Ok(None) => verdicts.ok(subject),
                Ok(Some(Lost::Inside(inside))) => {
                    verdicts.problem(subject, lost_inside(&node.node, volume, published, inside));
                }
                Ok(Some(Lost::OnHost)) => {
                    verdicts.problem(subject, lost_on_host(&node.node, volume, published));
                }
                Err(gap) => verdicts.unknown(subject, gap),
            }
        }
    }
}

/// Where the volume is missing.
enum Lost<'a> {
    /// In a container that runs.
    Inside(&'a Inside),
    /// At the target path alone.
    OnHost,
}

/// Whether a pod that runs has lost the volume; a gap where that cannot be said.
fn lost(published: &Published) -> Result<Option<Lost<'_>>, &Gap> {
    if matches!(published.state, Observed::Known(PodState::Starting | PodState::Ending | PodState::Done)) {
        return Ok(None);
    }
    let runs = match &published.live {
        // Whatever the API says: after a reboot it still calls pods running.
        Observed::Known(false) => return Ok(None),
        Observed::Known(true) => true,
        // Where the agent cannot see processes at all, the pod's status has to do.
        Observed::Unknown(gap) if matches!(gap.why, Why::Unsupported | Why::NotAsked) => false,
        Observed::Unknown(gap) => return Err(gap),
    };
    if let Some(inside) = published.inside.known()
        && let Some(empty) = inside.iter().find(|inside| inside.mount.is_none())
    {
        return Ok(Some(Lost::Inside(empty)));
    }
    match (&published.mount, &published.state) {
        (Observed::Known(Some(_)), _) => match &published.inside {
            Observed::Unknown(gap) if runs => Err(gap),
            _ => Ok(None),
        },
        (Observed::Known(None), _) if runs => Ok(Some(Lost::OnHost)),
        (Observed::Known(None), Observed::Known(_)) => Ok(Some(Lost::OnHost)),
        (Observed::Unknown(gap), _) | (_, Observed::Unknown(gap)) => Err(gap),
    }
}

fn lost_inside(node: &NodeName, volume: &Volume, published: &Published, inside: &Inside) -> Problem {
    let Published { pod, target, .. } = published;
    Problem::new(format!(
        "Container {} of pod {pod} runs on {node} without volume {}: nothing is mounted at {} in it, and what it writes there goes to the node's own disk.",
        inside.container, volume.spec_name, inside.path
    ))
    .because("mount in the container", "none", format!("mount table of process {}, {}", inside.process, inside.path))
    .because("mount at the target path", on_host(published), format!("host's mount table, {target}"))
    .next("See on the node what the container has.", format!("grep ' {} ' /proc/{}/mountinfo", inside.path, inside.process))
    .advise("Stop the writing and copy what was written to the node's disk: it is lost with the container.")
    .next(
        "Let the kubelet publish it again by making the pod anew.",
        format!("kubectl delete pod -n {} {}", pod.namespace, pod.name),
    )
    .related(volume.related())
}

fn lost_on_host(node: &NodeName, volume: &Volume, published: &Published) -> Problem {
    let Published { pod, target, .. } = published;
    let problem = Problem::new(format!(
        "Pod {pod} runs on {node}, and the host has no mount of volume {} at its target path: what the pod writes after its next restart goes to the node's own disk.",
        volume.spec_name
    ))
    .severity(Severity::Warning)
    .because("mount at the target path", "none", format!("host's mount table, {target}"));
    let held = published.inside.known().and_then(|inside| inside.first());
    let problem = match held {
        Some(held) => problem.because(
            "mount in the container",
            held.mount.as_ref().map_or_else(|| "none".to_owned(), |mount| format!("{} on {}", mount.fs_type, mount.source)),
            format!("mount table of process {}, {}", held.process, held.path),
        ),
        None => problem.because("pod", "running", format!("pod {pod}")),
    };
    let problem = problem.next("See on the node whether the path is a mount.", format!("findmnt --mountpoint {}", quote(target)));
    let problem = if held.is_some() {
        problem.advise("The container still holds the volume: let it finish or save its data before it restarts.")
    } else {
        problem.next(
            "See what the pod itself has: the container may still hold the volume.",
            format!("kubectl exec -n {} {} -- cat /proc/self/mountinfo", pod.namespace, pod.name),
        )
    };
    problem
        .next(
            "Let the kubelet publish it again by making the pod anew.",
            format!("kubectl delete pod -n {} {}", pod.namespace, pod.name),
        )
        .related(volume.related())
}

fn on_host(published: &Published) -> String {
    match &published.mount {
        Observed::Known(Some(mount)) => format!("{} on {}", mount.fs_type, mount.source),
        Observed::Known(None) => "none".to_owned(),
        Observed::Unknown(gap) => format!("not known: {gap}"),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    #[test]
    fn a_mount_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    /// An agent that does not share the host's PID namespace.
    fn processes_unseen(published: &mut Published) {
        let gap = Gap::new(Why::Unsupported, "no process of any pod can be seen");
        published.live = Observed::Unknown(gap.clone());
        published.inside = Observed::Unknown(gap);
    }

    #[test]
    fn a_container_without_the_mount_is_a_problem_though_the_host_has_it() {
        let node = sample::degraded(|volume| {
            let inside = Inside { mount: None, ..sample::inside() };
            volume.published[0].inside = Observed::Known(vec![inside]);
        });
        check(&RULE, &node, expect![[r#"
            critical VolumeNotMounted: claim shop/orders-db on node node-1
              Container app of pod shop/orders-0 runs on node-1 without volume pvc-11: nothing is mounted at /var/lib/data in it, and what it writes there goes to the node's own disk.
              - mount in the container: none [mount table of process 4711, /var/lib/data]
              - mount at the target path: ext4 on /dev/sdb [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              > See on the node what the container has.
                grep ' /var/lib/data ' /proc/4711/mountinfo
              > Stop the writing and copy what was written to the node's disk: it is lost with the container.
              > Let the kubelet publish it again by making the pod anew.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn a_container_that_still_holds_what_the_host_lost_is_a_warning() {
        let node = sample::degraded(|volume| volume.published[0].mount = Observed::Known(None));
        check(&RULE, &node, expect![[r#"
            warning VolumeNotMounted: claim shop/orders-db on node node-1
              Pod shop/orders-0 runs on node-1, and the host has no mount of volume pvc-11 at its target path: what the pod writes after its next restart goes to the node's own disk.
              - mount at the target path: none [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - mount in the container: ext4 on /dev/sdb [mount table of process 4711, /var/lib/data]
              > See on the node whether the path is a mount.
                findmnt --mountpoint /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > The container still holds the volume: let it finish or save its data before it restarts.
              > Let the kubelet publish it again by making the pod anew.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn where_no_process_can_be_seen_the_pods_status_has_to_do() {
        let node = sample::degraded(|volume| {
            volume.published[0].mount = Observed::Known(None);
            processes_unseen(&mut volume.published[0]);
        });
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
    fn a_pod_that_runs_for_the_api_alone_is_quiet() {
        let node = sample::degraded(|volume| {
            volume.published[0].mount = Observed::Known(None);
            volume.published[0].live = Observed::Known(false);
            volume.published[0].inside = Observed::Known(Vec::new());
        });
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn processes_that_may_not_be_looked_at_are_unknown() {
        let node = sample::degraded(|volume| {
            volume.published[0].live = Observed::Unknown(Gap::new(Why::Denied, "list the processes in /proc"));
        });
        check(&RULE, &node, expect![[r#"
            unknown VolumeNotMounted: claim shop/orders-db on node node-1: list the processes in /proc (Denied)
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
            processes_unseen(&mut volume.published[0]);
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
