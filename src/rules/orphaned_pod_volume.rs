//! `OrphanedPodVolume`: a pod is gone, and its volume still lies in the kubelet's directory.

use std::time::Duration;

use crate::cleanup::{Safety, least_safe_first, safety};
use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::leftover::{Leftover, LeftoverKind};
use crate::model::observed::Observed;
use crate::model::stage::{MountStage, Stage};
use crate::rules::{Check, Rule, Verdicts, quote};

pub(super) static RULE: Rule = Rule {
    code: "OrphanedPodVolume",
    severity: Severity::Warning,
    stage: Some(Stage::Mount(MountStage::PodStarted)),
    // The kubelet clears away within seconds; one that starts first reads what it had before.
    grace: Duration::from_mins(10),
    summary: "volumes of pods that are gone were left behind",
    docs: include_str!("../../docs/findings/OrphanedPodVolume.md"),
    check: Check::Node(check),
};

/// What was looked at before it is called safe.
const SEEN: &str = "mounts of the host and of processes, files in it, its pod's processes, pods, static pods, the kubelet";

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in &node.volumes.items {
        verdicts.ok(volume.subject(&node.node));
    }
    for left in least_safe_first(node, verdicts.each(&node.leftovers)) {
        if left.kind != LeftoverKind::Stage {
            verdicts.problem(left.subject(&node.node), problem(node, left));
        }
    }
}

fn problem(node: &NodeFacts, left: &Leftover) -> Problem {
    let pod = left.pod.as_ref().map_or("", |pod| pod.as_str());
    let what = match &left.object {
        Some(object) => object.to_string(),
        None => "an inline volume".to_owned(),
    };
    let safe = safety(node, left);
    let mounted = match &left.mount {
        Observed::Known(Some(mount)) => format!("{} on {}", mount.fs_type, mount.source),
        Observed::Known(None) => "nothing".to_owned(),
        Observed::Unknown(gap) => format!("not known: {gap}"),
    };
    let problem = Problem::new(format!(
        "Pod {pod} is not on {} any more, and its volume still lies there ({what}). {}",
        node.node,
        sentence(&safe)
    ))
    .because("mounted there", mounted, format!("host's mount table, {}", left.path))
    .because("safe to clean", safe.to_string(), SEEN)
    .next("See what the kubelet says of it.", format!("journalctl -u kubelet --since -1h | grep {}", quote(pod)));
    let problem = match (&safe, &left.mount) {
        (_, Observed::Known(Some(_))) => problem.next(
            "Unmount it first, when no pod on this node needs it, and remove nothing while it is mounted: what lies there is the volume's data. What is still staged then is told by StagedWithoutPod.",
            format!("umount {}", quote(&left.path)),
        ),
        (Safety::Safe, _) if left.kind == LeftoverKind::PodVolume => problem.next(
            "Remove the empty directories, and no more than those: rmdir refuses where there is anything in them, and then nothing else is removed. Where mount itself is gone already, leave its rmdir out.",
            format!("rmdir {1} && rm -f {0}/vol_data.json && rmdir {0}", quote(left.path.directory()), quote(&left.path)),
        ),
        (Safety::Safe, _) => problem.next("Remove the file that the device was to lie over.", format!("rm {}", quote(&left.path))),
        (Safety::NotSafe(_), _) => problem.advise("Leave it alone while this speaks against it: a process may still work with the volume, and files that lie there may be all that there is of somebody's data, written while the volume was not mounted. Save them first."),
        (Safety::Unsure(_), _) => problem.advise("Leave it alone until the facts that are missing are there: nothing is lost by waiting."),
    };
    problem.advise("Where it comes back, look in the driver's log for why NodeUnpublishVolume fails.")
}

fn sentence(safe: &Safety) -> &'static str {
    match safe {
        Safety::Safe => "It is safe to remove by hand.",
        Safety::NotSafe(_) => "It is not safe to remove as it is.",
        Safety::Unsure(_) => "Whether it is safe to remove by hand cannot be said.",
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::observed::{Gap, Why};
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn left(change: impl FnOnce(&mut NodeFacts, &mut Leftover)) -> NodeFacts {
        let mut node = sample::node();
        let mut left = sample::leftover();
        change(&mut node, &mut left);
        node.leftovers.items.push(left);
        node
    }

    #[test]
    fn nothing_left_is_ok() {
        check(&RULE, &sample::node(), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn an_empty_directory_may_be_removed() {
        check(&RULE, &left(|_, _| ()), expect![[r#"
            warning OrphanedPodVolume: volume pvc-99 on node node-1
              Pod pod-uid-9 is not on node-1 any more, and its volume still lies there (volume pvc-99). It is safe to remove by hand.
              - mounted there: nothing [host's mount table, /var/lib/kubelet/pods/pod-uid-9/volumes/kubernetes.io~csi/pvc-99/mount]
              - safe to clean: safe [mounts of the host and of processes, files in it, its pod's processes, pods, static pods, the kubelet]
              > See what the kubelet says of it.
                journalctl -u kubelet --since -1h | grep pod-uid-9
              > Remove the empty directories, and no more than those: rmdir refuses where there is anything in them, and then nothing else is removed. Where mount itself is gone already, leave its rmdir out.
                rmdir /var/lib/kubelet/pods/pod-uid-9/volumes/kubernetes.io~csi/pvc-99/mount && rm -f /var/lib/kubelet/pods/pod-uid-9/volumes/kubernetes.io~csi/pvc-99/vol_data.json && rmdir /var/lib/kubelet/pods/pod-uid-9/volumes/kubernetes.io~csi/pvc-99
              > Where it comes back, look in the driver's log for why NodeUnpublishVolume fails.
        "#]]);
    }

    #[test]
    fn a_mounted_one_is_not_safe_to_clean() {
        let node = left(|_, left| left.mount = Observed::Known(Some(sample::mount(left.path.clone()))));
        check(&RULE, &node, expect![[r#"
            warning OrphanedPodVolume: volume pvc-99 on node node-1
              Pod pod-uid-9 is not on node-1 any more, and its volume still lies there (volume pvc-99). It is not safe to remove as it is.
              - mounted there: ext4 on /dev/sdb [host's mount table, /var/lib/kubelet/pods/pod-uid-9/volumes/kubernetes.io~csi/pvc-99/mount]
              - safe to clean: not safe: ext4 on /dev/sdb is mounted at it [mounts of the host and of processes, files in it, its pod's processes, pods, static pods, the kubelet]
              > See what the kubelet says of it.
                journalctl -u kubelet --since -1h | grep pod-uid-9
              > Unmount it first, when no pod on this node needs it, and remove nothing while it is mounted: what lies there is the volume's data. What is still staged then is told by StagedWithoutPod.
                umount /var/lib/kubelet/pods/pod-uid-9/volumes/kubernetes.io~csi/pvc-99/mount
              > Where it comes back, look in the driver's log for why NodeUnpublishVolume fails.
        "#]]);
    }

    #[test]
    fn of_several_of_a_volume_the_least_safe_speaks() {
        let mut node = left(|_, _| ());
        let mut other = node.leftovers.items[0].clone();
        other.path = "/var/lib/kubelet/pods/pod-uid-8/volumes/kubernetes.io~csi/pvc-99/mount".into();
        other.pod = Some("pod-uid-8".into());
        other.held_by.items.push("process 4711 of pod pod-uid-8".to_owned());
        node.leftovers.items.push(other);
        check(&RULE, &node, expect![[r#"
            warning OrphanedPodVolume: volume pvc-99 on node node-1
              Pod pod-uid-8 is not on node-1 any more, and its volume still lies there (volume pvc-99). It is not safe to remove as it is.
              - mounted there: nothing [host's mount table, /var/lib/kubelet/pods/pod-uid-8/volumes/kubernetes.io~csi/pvc-99/mount]
              - safe to clean: not safe: process 4711 of pod pod-uid-8 [mounts of the host and of processes, files in it, its pod's processes, pods, static pods, the kubelet]
              - mounted there: nothing [host's mount table, /var/lib/kubelet/pods/pod-uid-9/volumes/kubernetes.io~csi/pvc-99/mount]
              - safe to clean: safe [mounts of the host and of processes, files in it, its pod's processes, pods, static pods, the kubelet]
              > See what the kubelet says of it.
                journalctl -u kubelet --since -1h | grep pod-uid-8
              > Leave it alone while this speaks against it: a process may still work with the volume, and files that lie there may be all that there is of somebody's data, written while the volume was not mounted. Save them first.
              > Where it comes back, look in the driver's log for why NodeUnpublishVolume fails.
        "#]]);
    }

    #[test]
    fn an_inline_volume_is_called_so() {
        check(&RULE, &left(|_, left| left.object = None), expect![[r#"
            warning OrphanedPodVolume: driver disk.example.com on node node-1
              Pod pod-uid-9 is not on node-1 any more, and its volume still lies there (an inline volume). It is safe to remove by hand.
              - mounted there: nothing [host's mount table, /var/lib/kubelet/pods/pod-uid-9/volumes/kubernetes.io~csi/pvc-99/mount]
              - safe to clean: safe [mounts of the host and of processes, files in it, its pod's processes, pods, static pods, the kubelet]
              > See what the kubelet says of it.
                journalctl -u kubelet --since -1h | grep pod-uid-9
              > Remove the empty directories, and no more than those: rmdir refuses where there is anything in them, and then nothing else is removed. Where mount itself is gone already, leave its rmdir out.
                rmdir /var/lib/kubelet/pods/pod-uid-9/volumes/kubernetes.io~csi/pvc-99/mount && rm -f /var/lib/kubelet/pods/pod-uid-9/volumes/kubernetes.io~csi/pvc-99/vol_data.json && rmdir /var/lib/kubelet/pods/pod-uid-9/volumes/kubernetes.io~csi/pvc-99
              > Where it comes back, look in the driver's log for why NodeUnpublishVolume fails.
        "#]]);
    }

    #[test]
    fn files_in_it_are_not_safe_to_clean() {
        let node = left(|_, left| left.held_by.items.push(format!("{}/a lies there", left.path)));
        check(&RULE, &node, expect![[r#"
            warning OrphanedPodVolume: volume pvc-99 on node node-1
              Pod pod-uid-9 is not on node-1 any more, and its volume still lies there (volume pvc-99). It is not safe to remove as it is.
              - mounted there: nothing [host's mount table, /var/lib/kubelet/pods/pod-uid-9/volumes/kubernetes.io~csi/pvc-99/mount]
              - safe to clean: not safe: /var/lib/kubelet/pods/pod-uid-9/volumes/kubernetes.io~csi/pvc-99/mount/a lies there [mounts of the host and of processes, files in it, its pod's processes, pods, static pods, the kubelet]
              > See what the kubelet says of it.
                journalctl -u kubelet --since -1h | grep pod-uid-9
              > Leave it alone while this speaks against it: a process may still work with the volume, and files that lie there may be all that there is of somebody's data, written while the volume was not mounted. Save them first.
              > Where it comes back, look in the driver's log for why NodeUnpublishVolume fails.
        "#]]);
    }

    #[test]
    fn without_a_kubelet_nothing_is_safe() {
        check(&RULE, &left(|node, _| node.kubelet.running = Observed::Known(false)), expect![[r#"
            warning OrphanedPodVolume: volume pvc-99 on node node-1
              Pod pod-uid-9 is not on node-1 any more, and its volume still lies there (volume pvc-99). Whether it is safe to remove by hand cannot be said.
              - mounted there: nothing [host's mount table, /var/lib/kubelet/pods/pod-uid-9/volumes/kubernetes.io~csi/pvc-99/mount]
              - safe to clean: unsure: no kubelet runs, which alone would still know of its pods [mounts of the host and of processes, files in it, its pod's processes, pods, static pods, the kubelet]
              > See what the kubelet says of it.
                journalctl -u kubelet --since -1h | grep pod-uid-9
              > Leave it alone until the facts that are missing are there: nothing is lost by waiting.
              > Where it comes back, look in the driver's log for why NodeUnpublishVolume fails.
        "#]]);
    }

    #[test]
    fn a_stage_is_another_rules_matter() {
        check(&RULE, &left(|_, left| left.kind = LeftoverKind::Stage), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn pods_that_could_not_be_listed_leave_the_list_incomplete() {
        let mut node = sample::node();
        node.leftovers.gaps.push(Gap::new(Why::Denied, "watch pods: forbidden"));
        check(&RULE, &node, expect![[r#"
            incomplete OrphanedPodVolume: watch pods: forbidden (Denied)
        "#]]);
    }
}
