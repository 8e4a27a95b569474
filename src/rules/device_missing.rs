//! `DeviceMissing`: the block device under a volume has vanished while the volume is in use.

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::names::NodeName;
use crate::model::objects::PodState;
use crate::model::observed::{Observed, Why};
use crate::model::stage::{MountStage, Stage};
use crate::model::state::BlockDevice;
use crate::model::volume::{Published, Volume};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "DeviceMissing",
    severity: Severity::Critical,
    // Before whether it can be written: a missing device is why it cannot.
    stage: Some(Stage::Mount(MountStage::Answers)),
    // A device that comes back is another one to the mount that lost it.
    grace: Duration::ZERO,
    summary: "devices of volumes in use are missing",
    docs: include_str!("../../docs/findings/DeviceMissing.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in verdicts.each(&node.volumes) {
        let subject = volume.subject(&node.node);
        let Some(published) = volume.published.iter().find(|published| !leaves(published)) else {
            verdicts.ok(subject);
            continue;
        };
        match &volume.state.device {
            Observed::Known(Some(device)) if !device.present => {
                verdicts.problem(subject, problem(&node.node, volume, published, *device));
            }
            Observed::Known(_) => verdicts.ok(subject),
            // Nothing is mounted, hence nothing rests on a device.
            Observed::Unknown(gap) if gap.why == Why::NotFound => verdicts.ok(subject),
            Observed::Unknown(gap) => verdicts.unknown(subject, gap),
        }
    }
}

/// Detaching takes the device away at the end of every pod.
fn leaves(published: &Published) -> bool {
    matches!(published.state, Observed::Known(PodState::Ending | PodState::Done))
}

fn problem(node: &NodeName, volume: &Volume, published: &Published, device: BlockDevice) -> Problem {
    let pod = &published.pod;
    let number = device.number;
    let problem = Problem::new(format!(
        "The block device {number} under volume {} of pod {pod} has vanished from {node}, and the volume is still in use.",
        volume.spec_name
    ))
    .because("device", device.to_string(), format!("/sys/dev/block/{number}"));
    let problem = match &published.mount {
        Observed::Known(Some(mount)) => problem.because(
            "mount",
            format!("{} on {}", mount.fs_type, mount.source),
            format!("host's mount table, {}", published.target),
        ),
        _ => problem,
    };
    let problem = match &volume.attachment {
        Observed::Known(Some(attachment)) => problem.because(
            "attached",
            if attachment.attached { "yes" } else { "no" },
            format!("VolumeAttachment {}", attachment.name),
        ),
        Observed::Known(None) => problem.because("attached", "there is no VolumeAttachment", "API server"),
        Observed::Unknown(gap) => problem.because("attached", format!("not known: {gap}"), "API server"),
    };
    problem
        .next("See on the node whether the kernel has it.", format!("ls -l /sys/dev/block/{number}; lsblk"))
        .next("Look in the node's kernel log for when and why it went.", "dmesg --ctime | grep -iE 'i/o error|offline|detached|removed|link|nvme|sd[a-z]'")
        .advise("Find out at the storage whether it was detached by hand, attached elsewhere, deleted, or cut off.")
        .next(
            "When the storage is well, make the pod anew, so that the volume is unmounted, attached and mounted again.",
            format!("kubectl delete pod -n {} {}", pod.namespace, pod.name),
        )
        .related(volume.related())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::observed::Gap;
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn gone(change: impl FnOnce(&mut Volume)) -> NodeFacts {
        sample::degraded(|volume| {
            let number = sample::mount("/t".into()).device;
            volume.state.device = Observed::Known(Some(BlockDevice::gone(number)));
            change(volume);
        })
    }

    #[test]
    fn a_device_that_is_there_is_ok() {
        check(&RULE, &sample::node(), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_device_that_is_gone_is_a_problem() {
        check(&RULE, &gone(|_| ()), expect![[r#"
            critical DeviceMissing: claim shop/orders-db on node node-1
              The block device 8:16 under volume pvc-11 of pod shop/orders-0 has vanished from node-1, and the volume is still in use.
              - device: 8:16, which is gone or has no size any more [/sys/dev/block/8:16]
              - mount: ext4 on /dev/sdb [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - attached: yes [VolumeAttachment csi-0011]
              > See on the node whether the kernel has it.
                ls -l /sys/dev/block/8:16; lsblk
              > Look in the node's kernel log for when and why it went.
                dmesg --ctime | grep -iE 'i/o error|offline|detached|removed|link|nvme|sd[a-z]'
              > Find out at the storage whether it was detached by hand, attached elsewhere, deleted, or cut off.
              > When the storage is well, make the pod anew, so that the volume is unmounted, attached and mounted again.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn an_attachment_that_was_not_seen_is_said() {
        let node = gone(|volume| {
            volume.attachment = Observed::Unknown(Gap::new(Why::Denied, "get volumeattachments: forbidden"));
        });
        check(&RULE, &node, expect![[r#"
            critical DeviceMissing: claim shop/orders-db on node node-1
              The block device 8:16 under volume pvc-11 of pod shop/orders-0 has vanished from node-1, and the volume is still in use.
              - device: 8:16, which is gone or has no size any more [/sys/dev/block/8:16]
              - mount: ext4 on /dev/sdb [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - attached: not known: get volumeattachments: forbidden (Denied) [API server]
              > See on the node whether the kernel has it.
                ls -l /sys/dev/block/8:16; lsblk
              > Look in the node's kernel log for when and why it went.
                dmesg --ctime | grep -iE 'i/o error|offline|detached|removed|link|nvme|sd[a-z]'
              > Find out at the storage whether it was detached by hand, attached elsewhere, deleted, or cut off.
              > When the storage is well, make the pod anew, so that the volume is unmounted, attached and mounted again.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn a_filesystem_without_a_device_is_quiet() {
        let node = sample::degraded(|volume| volume.state.device = Observed::Known(None));
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_pod_that_leaves_is_quiet() {
        let node = gone(|volume| volume.published[0].state = Observed::Known(PodState::Ending));
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_volume_that_is_not_mounted_is_another_rules_matter() {
        let node = sample::degraded(|volume| {
            volume.state.device = Observed::Unknown(Gap::new(Why::NotFound, "nothing is mounted at /t"));
        });
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_device_that_was_not_looked_at_is_unknown() {
        let node = sample::degraded(|volume| {
            volume.state.device = Observed::Unknown(Gap::new(Why::Denied, "read /sys: permission denied"));
        });
        check(&RULE, &node, expect![[r#"
            unknown DeviceMissing: claim shop/orders-db on node node-1: read /sys: permission denied (Denied)
        "#]]);
    }
}
