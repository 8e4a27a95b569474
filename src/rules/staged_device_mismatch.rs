//! `StagedDeviceMismatch`: a volume's stage and its place in a pod lie on different devices, or mounts
//! lie one over another on its path.

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::mount::Mount;
use crate::model::names::NodeName;
use crate::model::objects::{PodState, VolumeMode};
use crate::model::observed::{Gap, Observed};
use crate::model::stage::{MountStage, Stage};
use crate::model::volume::{Published, Volume};
use crate::rules::{Check, Rule, Verdicts, quote};

pub(super) static RULE: Rule = Rule {
    code: "StagedDeviceMismatch",
    severity: Severity::Critical,
    stage: Some(Stage::Mount(MountStage::Published)),
    // The table is read in one go, but a driver may be between two mounts.
    grace: Duration::from_mins(1),
    summary: "volumes lie on another device in the pod than in their stage",
    docs: include_str!("../../docs/findings/StagedDeviceMismatch.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in verdicts.each(&node.volumes) {
        for published in &volume.published {
            let subject = volume.subject(&node.node);
            let passes = matches!(
                published.state,
                Observed::Known(PodState::Starting | PodState::Ending | PodState::Done)
            );
            if passes {
                verdicts.ok(subject);
                continue;
            }
            match mismatch(volume, published) {
                Ok(None) => verdicts.ok(subject),
                Ok(Some(Wrong::Devices(staged, mount))) => {
                    verdicts.problem(subject, devices(&node.node, volume, published, staged, mount));
                }
                Ok(Some(Wrong::Stacked)) => {
                    verdicts.problem(subject, stacked(&node.node, volume, published));
                }
                Err(gap) => verdicts.unknown(subject, gap),
            }
        }
    }
}

enum Wrong<'a> {
    Devices(&'a Mount, &'a Mount),
    Stacked,
}

fn mismatch<'a>(volume: &'a Volume, published: &'a Published) -> Result<Option<Wrong<'a>>, &'a Gap> {
    let mount = match &published.mount {
        Observed::Known(Some(mount)) => mount,
        // Not mounted at all, which is another rule's matter; or a device node, which needs no mount.
        Observed::Known(None) => return Ok(None),
        Observed::Unknown(gap) => return Err(gap),
    };
    if published.stacked > 1 {
        return Ok(Some(Wrong::Stacked));
    }
    // What is mounted of a raw device is its node, on the devices' own filesystem.
    if volume.mode == VolumeMode::Block {
        return Ok(None);
    }
    let staged = match &volume.staged {
        Observed::Known(Some(staged)) => staged,
        // Drivers that stage nothing.
        Observed::Known(None) => return Ok(None),
        Observed::Unknown(gap) => return Err(gap),
    };
    // Of filesystems without a block device each mount may be one of its own, by design.
    let on_devices = staged.device.major != 0 && mount.device.major != 0;
    // A driver that lays another filesystem over its stage does so on purpose.
    let differ = on_devices && staged.device != mount.device && staged.fs_type == mount.fs_type;
    Ok(differ.then_some(Wrong::Devices(staged, mount)))
}

fn devices(node: &NodeName, volume: &Volume, published: &Published, staged: &Mount, mount: &Mount) -> Problem {
    let Published { pod, target, .. } = published;
    Problem::new(format!(
        "Volume {} is staged on {node} from device {} and pod {pod} has device {}: the pod works on other data than the volume's.",
        volume.spec_name, staged.device, mount.device
    ))
    .because("in the stage", format!("{} on {} ({})", staged.fs_type, staged.source, staged.device), format!("host's mount table, {}", staged.target))
    .because("in the pod", format!("{} on {} ({})", mount.fs_type, mount.source, mount.device), format!("host's mount table, {target}"))
    .next("Compare both on the node.", format!("findmnt --mountpoint {}; findmnt --mountpoint {}", quote(&staged.target), quote(target)))
    .advise("Find out which of the two devices is the volume's: ask the storage for the serial number or the path of this volume.")
    .advise("Stop the pod before more is written to the wrong one, and copy away what is only there.")
    .next(
        "Let the kubelet unmount and mount it again by making the pod anew.",
        format!("kubectl delete pod -n {} {}", pod.namespace, pod.name),
    )
    .related(volume.related())
}

fn stacked(node: &NodeName, volume: &Volume, published: &Published) -> Problem {
    let Published { pod, target, stacked, .. } = published;
    Problem::new(format!(
        "{stacked} mounts lie one over another where pod {pod} has volume {} on {node}: what was written to the ones below is hidden, and one unmount will not end its use.",
        volume.spec_name
    ))
    .severity(Severity::Warning)
    .because("mounts on the path", stacked.to_string(), format!("host's mount table, {target}"))
    .next("See them all on the node.", format!("grep ' {target} ' /proc/1/mountinfo"))
    .advise("Find out who mounted over it: a driver that publishes again without looking, or a person.")
    .next(
        "When the pod can go, delete it and see whether its volume is gone from the table; the kubelet unmounts once.",
        format!("kubectl delete pod -n {} {}", pod.namespace, pod.name),
    )
    .related(volume.related())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::mount::DeviceNumber;
    use crate::model::observed::Why;
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn staged_on(major: u32, minor: u32, fs_type: &str) -> NodeFacts {
        sample::degraded(|volume| {
            if let Observed::Known(Some(staged)) = &mut volume.staged {
                staged.device = DeviceNumber { major, minor };
                staged.source = "/dev/sdc".into();
                staged.fs_type = fs_type.into();
            }
        })
    }

    #[test]
    fn one_device_is_ok() {
        check(&RULE, &sample::node(), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn another_device_in_the_stage_is_a_problem() {
        check(&RULE, &staged_on(8, 32, "ext4"), expect![[r#"
            critical StagedDeviceMismatch: claim shop/orders-db on node node-1
              Volume pvc-11 is staged on node-1 from device 8:32 and pod shop/orders-0 has device 8:16: the pod works on other data than the volume's.
              - in the stage: ext4 on /dev/sdc (8:32) [host's mount table, /var/lib/kubelet/plugins/kubernetes.io/csi/disk.example.com/4711/globalmount]
              - in the pod: ext4 on /dev/sdb (8:16) [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              > Compare both on the node.
                findmnt --mountpoint /var/lib/kubelet/plugins/kubernetes.io/csi/disk.example.com/4711/globalmount; findmnt --mountpoint /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > Find out which of the two devices is the volume's: ask the storage for the serial number or the path of this volume.
              > Stop the pod before more is written to the wrong one, and copy away what is only there.
              > Let the kubelet unmount and mount it again by making the pod anew.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn stacked_mounts_are_a_problem() {
        check(&RULE, &sample::degraded(|volume| volume.published[0].stacked = 2), expect![[r#"
            warning StagedDeviceMismatch: claim shop/orders-db on node node-1
              2 mounts lie one over another where pod shop/orders-0 has volume pvc-11 on node-1: what was written to the ones below is hidden, and one unmount will not end its use.
              - mounts on the path: 2 [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              > See them all on the node.
                grep ' /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount ' /proc/1/mountinfo
              > Find out who mounted over it: a driver that publishes again without looking, or a person.
              > When the pod can go, delete it and see whether its volume is gone from the table; the kubelet unmounts once.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn drivers_that_stage_nothing_or_something_else_are_quiet() {
        check(&RULE, &sample::degraded(|volume| volume.staged = Observed::Known(None)), expect![[r#"
            1 ok
        "#]]);
        check(&RULE, &staged_on(8, 32, "fuse.gocryptfs"), expect![[r#"
            1 ok
        "#]]);
        check(&RULE, &staged_on(0, 57, "ext4"), expect![[r#"
            1 ok
        "#]]);
        let block = sample::degraded(|volume| {
            volume.mode = VolumeMode::Block;
            volume.published[0].mount = Observed::Known(None);
            volume.published[0].device_node = true;
        });
        check(&RULE, &block, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_pod_that_starts_or_leaves_is_quiet() {
        let mut node = staged_on(8, 32, "ext4");
        node.volumes.items[0].published[0].state = Observed::Known(PodState::Starting);
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_table_with_a_gap_is_unknown() {
        let gap = Gap::new(Why::Malformed, "read line 6 of the mount table: no number");
        check(&RULE, &sample::degraded(|volume| volume.staged = Observed::Unknown(gap)), expect![[r#"
            unknown StagedDeviceMismatch: claim shop/orders-db on node node-1: read line 6 of the mount table: no number (Malformed)
        "#]]);
    }
}
