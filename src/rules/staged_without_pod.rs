//! `StagedWithoutPod`: a volume is still staged on the node, and no pod there uses it.

use std::time::Duration;

use crate::cleanup::{Safety, least_safe_first, safety};
use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::leftover::{Leftover, LeftoverKind};
use crate::model::mount::Mount;
use crate::model::observed::Observed;
use crate::model::stage::{MountStage, Stage};
use crate::rules::{Check, Rule, Verdicts, quote};

pub(super) static RULE: Rule = Rule {
    code: "StagedWithoutPod",
    severity: Severity::Warning,
    stage: Some(Stage::Mount(MountStage::Staged)),
    // The kubelet unstages seconds after the last pod, and tries again for as long as the driver refuses.
    grace: Duration::from_mins(10),
    summary: "volumes are staged for no pod",
    docs: include_str!("../../docs/findings/StagedWithoutPod.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in &node.volumes.items {
        verdicts.ok(volume.subject(&node.node));
    }
    for left in least_safe_first(node, verdicts.each(&node.leftovers)) {
        if left.kind != LeftoverKind::Stage {
            continue;
        }
        let subject = left.subject(&node.node);
        // A pod's mount that was left behind keeps it staged: that one is another rule's matter, and comes first.
        if node.leftovers.items.iter().any(|other| keeps(other, left)) {
            verdicts.ok(subject);
            continue;
        }
        match &left.mount {
            Observed::Known(Some(mount)) => verdicts.problem(subject, problem(node, left, mount)),
            // An empty directory of a driver that stages nothing: the kubelet makes it all the same.
            Observed::Known(None) => verdicts.ok(subject),
            Observed::Unknown(gap) => verdicts.unknown(subject, gap),
        }
    }
}

fn keeps(other: &Leftover, stage: &Leftover) -> bool {
    let same = stage.handle.is_some() && (&other.driver, &other.handle) == (&stage.driver, &stage.handle);
    other.kind != LeftoverKind::Stage && same && other.mount != Observed::Known(None)
}

fn problem(node: &NodeFacts, left: &Leftover, mount: &Mount) -> Problem {
    let of = match (&left.handle, &left.driver) {
        (Some(handle), Some(driver)) => format!("Volume {handle} of driver {driver}"),
        (None, Some(driver)) => format!("A volume of driver {driver}"),
        _ => "A volume".to_owned(),
    };
    let safe = safety(node, left);
    let problem = Problem::new(format!(
        "{of} is still staged on {}, and no pod there uses it: it cannot be detached, and its next pod on another node may have to wait for it.",
        node.node
    ))
    .because("staged", format!("{} on {}", mount.fs_type, mount.source), format!("host's mount table, {}", left.path))
    .because("safe to unmount", safe.to_string(), "mounts of the same filesystem in the host's table and in those of processes, pods, the kubelet");
    let problem = problem
        .next("See what the kubelet says of it.", format!("journalctl -u kubelet --since -1h | grep -E 'UnmountDevice|{}'", mount_word(left)))
        .advise("Look in the log of the driver's node plugin for why NodeUnstageVolume fails, or whether it was asked at all.");
    match safe {
        Safety::Safe => problem.next(
            "When the driver has nothing under way, unmount it; the kubelet then lets it be detached.",
            format!("umount {}", quote(&left.path)),
        ),
        _ => problem.advise("Leave it mounted until nothing speaks against it any more."),
    }
}

fn mount_word(left: &Leftover) -> String {
    left.handle.as_ref().map_or_else(|| left.path.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::observed::{Gap, Why};
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn staged(change: impl FnOnce(&mut NodeFacts, &mut Leftover)) -> NodeFacts {
        let mut node = sample::node();
        let mut left = sample::leftover();
        left.kind = LeftoverKind::Stage;
        left.pod = None;
        left.object = None;
        left.path = "/var/lib/kubelet/plugins/kubernetes.io/csi/disk.example.com/0815/globalmount".into();
        left.mount = Observed::Known(Some(sample::mount(left.path.clone())));
        change(&mut node, &mut left);
        node.leftovers.items.push(left);
        node
    }

    #[test]
    fn stages_of_pods_are_ok() {
        check(&RULE, &sample::node(), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_stage_without_a_pod_is_a_problem() {
        check(&RULE, &staged(|_, _| ()), expect![[r#"
            warning StagedWithoutPod: driver disk.example.com on node node-1
              Volume vol-99 of driver disk.example.com is still staged on node-1, and no pod there uses it: it cannot be detached, and its next pod on another node may have to wait for it.
              - staged: ext4 on /dev/sdb [host's mount table, /var/lib/kubelet/plugins/kubernetes.io/csi/disk.example.com/0815/globalmount]
              - safe to unmount: safe [mounts of the same filesystem in the host's table and in those of processes, pods, the kubelet]
              > See what the kubelet says of it.
                journalctl -u kubelet --since -1h | grep -E 'UnmountDevice|vol-99'
              > Look in the log of the driver's node plugin for why NodeUnstageVolume fails, or whether it was asked at all.
              > When the driver has nothing under way, unmount it; the kubelet then lets it be detached.
                umount /var/lib/kubelet/plugins/kubernetes.io/csi/disk.example.com/0815/globalmount
        "#]]);
    }

    #[test]
    fn one_that_the_mount_of_a_pod_that_left_keeps_is_quiet() {
        let mut node = staged(|_, _| ());
        let mut kept = node.leftovers.items[0].clone();
        kept.kind = LeftoverKind::PodVolume;
        kept.path = sample::leftover().path;
        node.leftovers.items.push(kept);
        check(&RULE, &node, expect![[r#"
            2 ok
        "#]]);
    }

    #[test]
    fn one_that_is_mounted_elsewhere_is_not_safe_to_unmount() {
        let node = staged(|_, left| left.held_by.items = vec!["a mount at /mnt/rescue".to_owned()]);
        check(&RULE, &node, expect![[r#"
            warning StagedWithoutPod: driver disk.example.com on node node-1
              Volume vol-99 of driver disk.example.com is still staged on node-1, and no pod there uses it: it cannot be detached, and its next pod on another node may have to wait for it.
              - staged: ext4 on /dev/sdb [host's mount table, /var/lib/kubelet/plugins/kubernetes.io/csi/disk.example.com/0815/globalmount]
              - safe to unmount: not safe: a mount at /mnt/rescue [mounts of the same filesystem in the host's table and in those of processes, pods, the kubelet]
              > See what the kubelet says of it.
                journalctl -u kubelet --since -1h | grep -E 'UnmountDevice|vol-99'
              > Look in the log of the driver's node plugin for why NodeUnstageVolume fails, or whether it was asked at all.
              > Leave it mounted until nothing speaks against it any more.
        "#]]);
    }

    #[test]
    fn an_empty_directory_is_quiet() {
        check(&RULE, &staged(|_, left| left.mount = Observed::Known(None)), expect![[r#"
            2 ok
        "#]]);
    }

    #[test]
    fn a_table_with_a_gap_is_unknown() {
        let gap = Gap::new(Why::Malformed, "read line 6 of the mount table: no number");
        check(&RULE, &staged(|_, left| left.mount = Observed::Unknown(gap)), expect![[r#"
            unknown StagedWithoutPod: driver disk.example.com on node node-1: read line 6 of the mount table: no number (Malformed)
        "#]]);
    }
}
