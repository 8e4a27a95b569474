//! `StaleMount`: the kernel still has the mount, what is behind it no longer exists.

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::mount::Mount;
use crate::model::objects::{PodState, VolumeMode};
use crate::model::observed::{Gap, Observed, Why};
use crate::model::stage::{MountStage, Stage};
use crate::model::volume::{Published, Volume};
use crate::rules::{Check, Rule, Verdicts, quote};

pub(super) static RULE: Rule = Rule {
    code: "StaleMount",
    severity: Severity::Critical,
    stage: Some(Stage::Mount(MountStage::Answers)),
    // A dead mount does not come back to life.
    grace: Duration::ZERO,
    summary: "mounts are stale",
    docs: include_str!("../../docs/findings/StaleMount.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in verdicts.each(&node.volumes) {
        if volume.mode == VolumeMode::Block {
            continue;
        }
        for published in &volume.published {
            let subject = volume.subject(&node.node);
            let leaving = matches!(published.state, Observed::Known(PodState::Ending | PodState::Done));
            match (&published.mount, &published.usage) {
                (Observed::Known(None), _) | (_, Observed::Known(_)) => verdicts.ok(subject),
                (_, Observed::Unknown(_)) if leaving => verdicts.ok(subject),
                (Observed::Known(Some(mount)), Observed::Unknown(gap)) if gap.why == Why::Stale => {
                    verdicts.problem(subject, problem(node, volume, published, mount, gap));
                }
                // It hangs, which is another rule's matter, and not stale.
                (_, Observed::Unknown(gap)) if gap.why == Why::TimedOut => verdicts.ok(subject),
                (Observed::Unknown(gap), _) | (_, Observed::Unknown(gap)) => verdicts.unknown(subject, gap),
            }
        }
    }
}

fn problem(node: &NodeFacts, volume: &Volume, published: &Published, mount: &Mount, gap: &Gap) -> Problem {
    let Published { pod, target, .. } = published;
    let problem = Problem::new(format!(
        "Volume {} of pod {pod} on {} is a dead mount: its {} filesystem ({}) is gone, and every access fails.",
        volume.spec_name, node.node, mount.fs_type, mount.source
    ))
    .since(gap.since)
    .because("answer of the filesystem", &gap.what, target.to_string())
    .because("mount", format!("{} on {}", mount.fs_type, mount.source), "host's mount table");
    // A driver that is started anew takes the daemons of its mounts with it.
    let driver = node.drivers.items.iter().find(|driver| driver.name == volume.driver);
    let problem = match driver.and_then(|driver| driver.started) {
        Some(started) if mount.fs_type.starts_with("fuse") => {
            problem.because("driver's plugin", format!("started last at {started:.0}"), format!("socket of {}", volume.driver))
        }
        _ => problem,
    };
    problem
    .next("See it fail on the node.", format!("ls {}", quote(target)))
    .advise(format!("Find what went away behind {}: a daemon or mount pod, an export, or a filesystem that the kernel shut down (dmesg).", mount.source))
    .next(
        "Make the pod anew, so that the kubelet unmounts and mounts again.",
        format!("kubectl delete pod -n {} {}", pod.namespace, pod.name),
    )
    .related(volume.related())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn failing(why: Why, what: &str) -> NodeFacts {
        sample::degraded(|volume| {
            volume.published[0].usage = Observed::Unknown(Gap::new(why, what));
        })
    }

    #[test]
    fn an_answer_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    #[test]
    fn a_mount_whose_server_is_gone_is_a_problem() {
        check(&RULE, &failing(Why::Stale, "statfs: Transport endpoint is not connected"), expect![[r#"
            critical StaleMount: claim shop/orders-db on node node-1
              Volume pvc-11 of pod shop/orders-0 on node-1 is a dead mount: its ext4 filesystem (/dev/sdb) is gone, and every access fails.
              - answer of the filesystem: statfs: Transport endpoint is not connected [/var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - mount: ext4 on /dev/sdb [host's mount table]
              > See it fail on the node.
                ls /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > Find what went away behind /dev/sdb: a daemon or mount pod, an export, or a filesystem that the kernel shut down (dmesg).
              > Make the pod anew, so that the kubelet unmounts and mounts again.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn what_hangs_or_is_not_mounted_is_another_rules_matter() {
        check(&RULE, &failing(Why::TimedOut, "no answer within 5s"), expect!["1 ok\n"]);
        let unmounted = sample::degraded(|volume| {
            volume.published[0].mount = Observed::Known(None);
            volume.published[0].usage = Observed::Unknown(Gap::new(Why::NotFound, "nothing is mounted there"));
        });
        check(&RULE, &unmounted, expect!["1 ok\n"]);
    }

    #[test]
    fn the_volume_of_a_pod_that_ends_is_quiet() {
        let mut node = failing(Why::Stale, "statfs: stale file handle");
        node.volumes.items[0].published[0].state = Observed::Known(PodState::Ending);
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn a_look_that_was_not_allowed_is_unknown() {
        check(&RULE, &failing(Why::Denied, "statfs: permission denied"), expect![[r#"
            unknown StaleMount: claim shop/orders-db on node node-1: statfs: permission denied (Denied)
        "#]]);
    }
}
