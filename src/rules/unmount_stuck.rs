//! `UnmountStuck`: a pod is ending or has ended, and its volume is still mounted.

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::mount::Mount;
use crate::model::objects::PodState;
use crate::model::observed::{Observed, Why};
use crate::model::stage::{MountStage, Stage};
use crate::model::volume::{Published, Volume};
use crate::rules::{Check, Rule, Verdicts, quote};

pub(super) static RULE: Rule = Rule {
    code: "UnmountStuck",
    severity: Severity::Warning,
    stage: Some(Stage::Mount(MountStage::PodStarted)),
    // The kubelet's longest back-off between two tries is 2m2s.
    grace: Duration::from_mins(5),
    summary: "volumes of ended pods are still mounted",
    docs: include_str!("../../docs/findings/UnmountStuck.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in verdicts.each(&node.volumes) {
        for published in &volume.published {
            let subject = volume.subject(&node.node);
            match (&published.state, &published.mount) {
                (Observed::Known(PodState::Starting | PodState::Running), _) => verdicts.ok(subject),
                // A pod whose grace has not passed may still work with it.
                (Observed::Known(PodState::Ending), _)
                    if published.ended.is_some_and(|end| end > node.observed_at) =>
                {
                    verdicts.ok(subject);
                }
                (Observed::Known(_), Observed::Known(None)) if !published.device_node => verdicts.ok(subject),
                (Observed::Known(state), Observed::Known(mount)) => {
                    verdicts.problem(subject, problem(node, volume, published, *state, mount.as_ref()));
                }
                // Whoever has a live process has not ended, whatever the API server would say.
                (Observed::Unknown(_), _) if published.live == Observed::Known(true) => verdicts.ok(subject),
                (Observed::Known(_), Observed::Unknown(gap)) | (Observed::Unknown(gap), _) => verdicts.unknown(subject, gap),
            }
        }
    }
}

fn problem(node: &NodeFacts, volume: &Volume, published: &Published, state: PodState, mount: Option<&Mount>) -> Problem {
    let Published { pod, target, .. } = published;
    let is = match state {
        PodState::Ending => "is being deleted",
        _ => "has ended",
    };
    let problem = Problem::new(format!(
        "Pod {pod} {is}, and volume {} is still mounted for it on {}: the pod cannot go, and whoever needs the volume elsewhere waits.",
        volume.spec_name, node.node
    ))
    .since(published.ended)
    .because(
        "mounted",
        mount.map_or_else(|| "a device node of the driver's own".to_owned(), |mount| format!("{} on {}", mount.fs_type, mount.source)),
        format!("host's mount table, {target}"),
    );
    let problem = holders(problem, node, volume, published);
    let process = published.inside.known().and_then(|inside| inside.first()).map(|inside| inside.process);
    let problem = match process {
        Some(process) if published.live == Observed::Known(true) => {
            problem.next("See on the node what its process is and what it waits for (state D: its filesystem).", format!("ps -o pid,stat,wchan:24,args -p {process}"))
        }
        _ => problem,
    };
    let problem = problem
        .next("See what the kubelet says of it: failing unmounts make no event.", format!("journalctl -u kubelet --since -1h | grep -E 'UnmountVolume|{}'", volume.spec_name))
        .next("See on the node who has files open on it; what lives in a mount namespace of its own is found by the table of its process.", format!("fuser --verbose --mount {0}; grep -l ' {0} ' /proc/[0-9]*/mountinfo", quote(target)))
        .next(
            "When nothing lives and nothing is open any more, restart the kubelet so that it tries again; as a last resort unmount it by hand.",
            format!("umount {}", quote(target)),
        );
    problem
        .advise("Do not delete the pod by force before the volume is unmounted: another node could write to it at the same time.")
        .related(volume.related())
}

/// Who may hold it, as far as can be seen from beside the kubelet.
fn holders(problem: Problem, node: &NodeFacts, volume: &Volume, published: &Published) -> Problem {
    let problem = match (&published.live, &published.inside) {
        (Observed::Known(true), inside) => {
            let process = inside.known().and_then(|inside| inside.first()).map(|inside| inside.process);
            let value = process.map_or_else(|| "some live".to_owned(), |process| format!("process {process} lives"));
            problem.because("processes of the pod", value, "cgroups of /proc")
        }
        (Observed::Known(false), _) => problem.because("processes of the pod", "none lives", "cgroups of /proc"),
        (Observed::Unknown(gap), _) => problem.because("processes of the pod", format!("not known: {gap}"), "cgroups of /proc"),
    };
    let problem = published.sub_paths.iter().fold(problem, |problem, sub_path| {
        problem.because("a subPath of it is mounted", &sub_path.container, sub_path.mount.target.to_string())
    });
    let problem = match &volume.state.waiting {
        Observed::Known(Some(waiting)) if waiting.since.is_some() => {
            problem.because("FUSE", waiting.to_string(), "/sys/fs/fuse/connections")
        }
        _ => problem,
    };
    let driver = node.drivers.items.iter().find(|driver| driver.name == volume.driver);
    match driver.and_then(|driver| driver.plugin.gap()) {
        Some(gap) if gap.why != Why::NotAsked => {
            problem.because("driver", format!("does not answer, and without it nothing is unmounted: {gap}"), volume.driver.to_string())
        }
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use jiff::ToSpan;

    use crate::model::observed::Gap;
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn ending(change: impl FnOnce(&mut Published)) -> NodeFacts {
        sample::degraded(|volume| {
            let published = &mut volume.published[0];
            published.state = Observed::Known(PodState::Ending);
            published.ended = Some(sample::noon() - 20.minutes());
            published.live = Observed::Known(false);
            published.inside = Observed::Known(Vec::new());
            change(published);
        })
    }

    #[test]
    fn a_pod_that_runs_is_ok() {
        check(&RULE, &sample::node(), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_pod_past_its_end_is_a_problem() {
        check(&RULE, &ending(|_| ()), expect![[r#"
            warning UnmountStuck: claim shop/orders-db on node node-1
              Pod shop/orders-0 is being deleted, and volume pvc-11 is still mounted for it on node-1: the pod cannot go, and whoever needs the volume elsewhere waits.
              - mounted: ext4 on /dev/sdb [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - processes of the pod: none lives [cgroups of /proc]
              > See what the kubelet says of it: failing unmounts make no event.
                journalctl -u kubelet --since -1h | grep -E 'UnmountVolume|pvc-11'
              > See on the node who has files open on it; what lives in a mount namespace of its own is found by the table of its process.
                fuser --verbose --mount /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount; grep -l ' /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount ' /proc/[0-9]*/mountinfo
              > When nothing lives and nothing is open any more, restart the kubelet so that it tries again; as a last resort unmount it by hand.
                umount /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > Do not delete the pod by force before the volume is unmounted: another node could write to it at the same time.
        "#]]);
    }

    #[test]
    fn who_still_lives_is_named() {
        let node = ending(|published| {
            published.state = Observed::Known(PodState::Done);
            published.live = Observed::Known(true);
            published.inside = Observed::Known(vec![sample::inside()]);
        });
        check(&RULE, &node, expect![[r#"
            warning UnmountStuck: claim shop/orders-db on node node-1
              Pod shop/orders-0 has ended, and volume pvc-11 is still mounted for it on node-1: the pod cannot go, and whoever needs the volume elsewhere waits.
              - mounted: ext4 on /dev/sdb [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - processes of the pod: process 4711 lives [cgroups of /proc]
              > See on the node what its process is and what it waits for (state D: its filesystem).
                ps -o pid,stat,wchan:24,args -p 4711
              > See what the kubelet says of it: failing unmounts make no event.
                journalctl -u kubelet --since -1h | grep -E 'UnmountVolume|pvc-11'
              > See on the node who has files open on it; what lives in a mount namespace of its own is found by the table of its process.
                fuser --verbose --mount /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount; grep -l ' /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount ' /proc/[0-9]*/mountinfo
              > When nothing lives and nothing is open any more, restart the kubelet so that it tries again; as a last resort unmount it by hand.
                umount /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > Do not delete the pod by force before the volume is unmounted: another node could write to it at the same time.
        "#]]);
    }

    #[test]
    fn a_pod_within_its_grace_is_quiet() {
        check(&RULE, &ending(|published| published.ended = Some(sample::noon() + 1.hour())), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn an_unmounted_volume_is_ok() {
        check(&RULE, &ending(|published| published.mount = Observed::Known(None)), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_table_with_a_gap_is_unknown() {
        let gap = || Gap::new(Why::Malformed, "read line 6 of the mount table: no number");
        check(&RULE, &ending(|published| published.mount = Observed::Unknown(gap())), expect![[r#"
            unknown UnmountStuck: claim shop/orders-db on node node-1: read line 6 of the mount table: no number (Malformed)
        "#]]);
    }

    #[test]
    fn a_pod_that_was_not_seen_is_unknown_unless_it_lives() {
        let gap = || Observed::Unknown(Gap::new(Why::Denied, "watch pods: forbidden"));
        check(&RULE, &ending(|published| published.state = gap()), expect![[r#"
            unknown UnmountStuck: claim shop/orders-db on node node-1: watch pods: forbidden (Denied)
        "#]]);
        let lives = ending(|published| {
            published.state = gap();
            published.live = Observed::Known(true);
        });
        check(&RULE, &lives, expect![[r#"
            1 ok
        "#]]);
    }
}
