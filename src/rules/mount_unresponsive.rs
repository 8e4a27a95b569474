//! `MountUnresponsive`: the filesystem does not answer, and whoever touches it hangs.

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::stage::{MountStage, Stage};
use crate::model::mount::Mount;
use crate::model::names::NodeName;
use crate::model::objects::{PodState, VolumeMode};
use crate::model::observed::{Gap, Observed, Why};
use crate::model::volume::{Published, Volume};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "MountUnresponsive",
    severity: Severity::Critical,
    stage: Some(Stage::Mount(MountStage::Answers)),
    // A server that fails over answers again within half a minute.
    grace: Duration::from_secs(30),
    summary: "mounts do not answer",
    docs: include_str!("../../docs/findings/MountUnresponsive.md"),
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
                (Observed::Known(Some(mount)), Observed::Unknown(gap)) if gap.why == Why::TimedOut => {
                    verdicts.problem(subject, problem(&node.node, volume, published, mount, gap));
                }
                // The kernel answered that what is behind the mount is gone: it does not hang.
                (_, Observed::Unknown(gap)) if gap.why == Why::Stale || leaving => verdicts.ok(subject),
                (Observed::Unknown(gap), _) | (_, Observed::Unknown(gap)) => verdicts.unknown(subject, gap),
            }
        }
    }
}

fn problem(node: &NodeName, volume: &Volume, published: &Published, mount: &Mount, gap: &Gap) -> Problem {
    let Published { pod, target, .. } = published;
    let problem = Problem::new(format!(
        "Volume {} of pod {pod} on {node} does not answer: a look at its {} filesystem ({}) did not come back, and every process that touches it hangs.",
        volume.spec_name, mount.fs_type, mount.source
    ))
    .since(gap.since)
    .because("answer of the filesystem", &gap.what, format!("statfs {target}"))
    .because("device number", mount.device.to_string(), "host's mount table");
    let problem = if mount.fs_type.starts_with("fuse") {
        problem.next(
            "See how many requests wait for the FUSE daemon.",
            format!("cat /sys/fs/fuse/connections/{}/waiting", mount.device.minor),
        )
    } else {
        problem.next("See which processes hang, and in which kernel function.", "ps -eo pid,stat,wchan:32,cmd | awk '$2 ~ /^D/'")
    };
    problem
        .advise(format!(
            "See whether the server or daemon behind {} runs and can be reached from the node: mount pods, storage servers, network.",
            mount.source
        ))
        .next(
            "Read what the driver's plugin on this node says.",
            format!("kubectl get pods -A --field-selector spec.nodeName={node} -o wide | grep -i csi"),
        )
        .related(volume.related())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn silent(why: Why, what: &str) -> NodeFacts {
        sample::degraded(|volume| {
            volume.published[0].usage = Observed::Unknown(Gap::new(why, what).since(sample::noon()));
        })
    }

    #[test]
    fn an_answer_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    #[test]
    fn no_answer_before_the_deadline_is_a_problem() {
        check(&RULE, &silent(Why::TimedOut, "no answer within 5s"), expect![[r#"
            critical MountUnresponsive: claim shop/orders-db on node node-1
              Volume pvc-11 of pod shop/orders-0 on node-1 does not answer: a look at its ext4 filesystem (/dev/sdb) did not come back, and every process that touches it hangs.
              - answer of the filesystem: no answer within 5s [statfs /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - device number: 8:16 [host's mount table]
              > See which processes hang, and in which kernel function.
                ps -eo pid,stat,wchan:32,cmd | awk '$2 ~ /^D/'
              > See whether the server or daemon behind /dev/sdb runs and can be reached from the node: mount pods, storage servers, network.
              > Read what the driver's plugin on this node says.
                kubectl get pods -A --field-selector spec.nodeName=node-1 -o wide | grep -i csi
        "#]]);
    }

    #[test]
    fn a_hanging_fuse_filesystem_is_told_by_its_connection() {
        let mut node = silent(Why::TimedOut, "no answer within 5s");
        if let Observed::Known(Some(mount)) = &mut node.volumes.items[0].published[0].mount {
            mount.fs_type = "fuse.sshfs".into();
            mount.device.major = 0;
            mount.device.minor = 57;
        }
        check(&RULE, &node, expect![[r#"
            critical MountUnresponsive: claim shop/orders-db on node node-1
              Volume pvc-11 of pod shop/orders-0 on node-1 does not answer: a look at its fuse.sshfs filesystem (/dev/sdb) did not come back, and every process that touches it hangs.
              - answer of the filesystem: no answer within 5s [statfs /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - device number: 0:57 [host's mount table]
              > See how many requests wait for the FUSE daemon.
                cat /sys/fs/fuse/connections/57/waiting
              > See whether the server or daemon behind /dev/sdb runs and can be reached from the node: mount pods, storage servers, network.
              > Read what the driver's plugin on this node says.
                kubectl get pods -A --field-selector spec.nodeName=node-1 -o wide | grep -i csi
        "#]]);
    }

    #[test]
    fn a_stale_mount_answers_though_nothing_good() {
        check(&RULE, &silent(Why::Stale, "statfs: stale file handle"), expect!["1 ok\n"]);
    }

    #[test]
    fn a_path_without_a_mount_is_another_rules_matter() {
        let node = sample::degraded(|volume| {
            volume.published[0].mount = Observed::Known(None);
            volume.published[0].usage = Observed::Unknown(Gap::new(Why::NotFound, "nothing is mounted there"));
        });
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn the_volume_of_a_pod_that_ends_was_left_alone_and_is_quiet() {
        let mut node = silent(Why::NotAsked, "the pod is ending");
        node.volumes.items[0].published[0].state = Observed::Known(PodState::Ending);
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn a_look_that_was_not_allowed_is_unknown() {
        check(&RULE, &silent(Why::Denied, "statfs: permission denied"), expect![[r#"
            unknown MountUnresponsive: claim shop/orders-db on node node-1: statfs: permission denied (Denied)
        "#]]);
    }
}
