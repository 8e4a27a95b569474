//! `FilesystemNotGrown`: everybody says that the expansion is done, and the filesystem is still small.

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::stage::{ExpandStage, Stage};
use crate::model::objects::{Claim, PersistentVolume, VolumeMode};
use crate::model::observed::{Observed, Why};
use crate::model::sizes::{Bytes, FilesystemSize};
use crate::model::volume::Volume;
use crate::rules::{Check, Rule, Verdicts, quote};

/// A filesystem that covers its device may still leave so much of it unused: a last block group
/// that is too small, alignment, overhead that its answers do not show.
const SLACK_PERCENT: u64 = 3;

pub(super) static RULE: Rule = Rule {
    code: "FilesystemNotGrown",
    severity: Severity::Warning,
    stage: Some(Stage::Expand(ExpandStage::FilesystemGrown)),
    // Status and filesystem are written by different hands, one after the other.
    grace: Duration::from_mins(2),
    summary: "filesystems are smaller than their expanded volumes",
    docs: include_str!("../../docs/findings/FilesystemNotGrown.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in verdicts.each(&node.volumes) {
        let (Some(claim), VolumeMode::Filesystem) = (&volume.claim, volume.mode) else {
            continue;
        };
        let subject = volume.subject(&node.node);
        let persistent = match &volume.persistent {
            Observed::Unknown(gap) => {
                verdicts.unknown(subject, gap);
                continue;
            }
            Observed::Known(Some(persistent)) if finished(claim, persistent) => persistent,
            Observed::Known(_) => {
                verdicts.ok(subject);
                continue;
            }
        };
        match (&volume.sizes.filesystem, &volume.sizes.device) {
            // Not mounted here: there is no filesystem to compare.
            (Observed::Unknown(gap), _) if gap.why == Why::NotFound => verdicts.ok(subject),
            (Observed::Unknown(gap), _) | (_, Observed::Unknown(gap)) => verdicts.unknown(subject, gap),
            (Observed::Known(None), _) => verdicts.ok(subject),
            (Observed::Known(Some(filesystem)), Observed::Known(device)) => {
                let floor = device.or(persistent.capacity).unwrap_or_default();
                if filesystem.at_most.0 < floor.0 - floor.0 / 100 * SLACK_PERCENT {
                    verdicts.problem(subject, problem(node, volume, claim, *filesystem, floor));
                } else {
                    verdicts.ok(subject);
                }
            }
        }
    }
}

/// Whether an expansion is recorded and told to be done.
///
/// Without a record a difference means nothing: LUKS headers and hand-written capacities are
/// smaller for ever.
fn finished(claim: &Claim, persistent: &PersistentVolume) -> bool {
    let raised = persistent
        .capacity_before_resize
        .is_some_and(|before| Some(before) < persistent.capacity);
    let recorded = raised || claim.allocated.is_some();
    let running = claim.resize_status.is_some()
        || claim.condition("FileSystemResizePending").is_some()
        || claim.condition("Resizing").is_some();
    recorded && !running && claim.capacity >= persistent.capacity
}

fn problem(node: &NodeFacts, volume: &Volume, claim: &Claim, filesystem: FilesystemSize, floor: Bytes) -> Problem {
    let (below, told_by) = match &volume.sizes.device {
        Observed::Known(Some(_)) => ("its device", "sysfs"),
        _ => ("its volume", "PersistentVolume"),
    };
    let problem = Problem::new(format!(
        "Claim {} says that it was enlarged to {}, and its filesystem on {} still ends at {} at most, while {below} has {floor}.",
        claim.claim,
        claim.capacity.unwrap_or_default(),
        node.node,
        filesystem.at_most,
    ))
    .because("filesystem", filesystem.to_string(), "statfs, less or more the overhead of its type")
    .because(below, floor.to_string(), told_by)
    .because("status.capacity of the claim", claim.capacity.unwrap_or_default().to_string(), format!("claim {}", claim.claim))
    .because("unfinished expansion", "none recorded", format!("claim {}", claim.claim));
    let Some(mount) = volume.published.iter().find_map(|one| one.mount.known()?.as_ref()) else {
        return problem.related(volume.related());
    };
    let grow = match mount.fs_type.as_str() {
        "xfs" => Some(format!("xfs_growfs -d {}", quote(&mount.target))),
        "ext3" | "ext4" => Some(format!("resize2fs {}", quote(&mount.source))),
        "btrfs" => Some(format!("btrfs filesystem resize max {}", quote(&mount.target))),
        _ => None,
    };
    let problem = match &volume.sizes.device {
        Observed::Known(Some(_)) => problem.next(
            "Compare both on the node.",
            format!("lsblk --bytes {} ; df -B1 {}", quote(&mount.source), quote(&mount.target)),
        ),
        _ => problem.next("See its size on the node.", format!("df -B1 {}", quote(&mount.target))),
    };
    match grow {
        Some(command) => problem.next("Grow the filesystem by hand; this is what the driver left out.", command),
        None => problem.advise("Make the pod anew, so that the driver stages the volume again and grows it."),
    }
    .related(volume.related())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::observed::Gap;
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    const GI: u64 = 1 << 30;

    /// Enlarged from 10 to 20 Gi, told to be done; the device has grown.
    fn told_done(change: impl FnOnce(&mut Volume)) -> NodeFacts {
        sample::degraded(|volume| {
            if let Observed::Known(Some(persistent)) = &mut volume.persistent {
                persistent.capacity = Some(Bytes(20 * GI));
                persistent.capacity_before_resize = Some(Bytes(10 * GI));
            }
            if let Some(claim) = &mut volume.claim {
                claim.request = Some(Bytes(20 * GI));
                claim.capacity = Some(Bytes(20 * GI));
                claim.allocated = Some(Bytes(20 * GI));
            }
            volume.sizes.device = Observed::Known(Some(Bytes(20 * GI)));
            change(volume);
        })
    }

    fn size(at_least: u64, at_most: u64) -> Observed<Option<FilesystemSize>> {
        Observed::Known(Some(FilesystemSize {
            at_least: Bytes(at_least),
            at_most: Bytes(at_most),
        }))
    }

    #[test]
    fn no_expansion_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    #[test]
    fn a_filesystem_that_stayed_small_is_a_problem() {
        check(&RULE, &told_done(|_| ()), expect![[r#"
            warning FilesystemNotGrown: claim shop/orders-db on node node-1
              Claim shop/orders-db says that it was enlarged to 20Gi, and its filesystem on node-1 still ends at 10Gi at most, while its device has 20Gi.
              - filesystem: 9.7Gi to 10Gi [statfs, less or more the overhead of its type]
              - its device: 20Gi [sysfs]
              - status.capacity of the claim: 20Gi [claim shop/orders-db]
              - unfinished expansion: none recorded [claim shop/orders-db]
              > Compare both on the node.
                lsblk --bytes /dev/sdb ; df -B1 /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > Grow the filesystem by hand; this is what the driver left out.
                resize2fs /dev/sdb
        "#]]);
    }

    #[test]
    fn a_filesystem_without_a_device_is_compared_with_its_volume() {
        let node = told_done(|volume| volume.sizes.device = Observed::Known(None));
        check(&RULE, &node, expect![[r#"
            warning FilesystemNotGrown: claim shop/orders-db on node node-1
              Claim shop/orders-db says that it was enlarged to 20Gi, and its filesystem on node-1 still ends at 10Gi at most, while its volume has 20Gi.
              - filesystem: 9.7Gi to 10Gi [statfs, less or more the overhead of its type]
              - its volume: 20Gi [PersistentVolume]
              - status.capacity of the claim: 20Gi [claim shop/orders-db]
              - unfinished expansion: none recorded [claim shop/orders-db]
              > See its size on the node.
                df -B1 /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > Grow the filesystem by hand; this is what the driver left out.
                resize2fs /dev/sdb
        "#]]);
    }

    #[test]
    fn a_filesystem_that_may_have_grown_is_ok() {
        let node = told_done(|volume| volume.sizes.filesystem = size(19 * GI, 20 * GI));
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn a_difference_that_no_expansion_made_is_quiet() {
        let node = sample::degraded(|volume| volume.sizes.device = Observed::Known(Some(Bytes(20 * GI))));
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn an_expansion_under_way_is_quiet() {
        let node = told_done(|volume| {
            if let Some(claim) = &mut volume.claim {
                claim.resize_status = Some("NodeResizeInProgress".to_owned());
            }
        });
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn a_filesystem_whose_size_means_nothing_is_quiet() {
        let node = told_done(|volume| volume.sizes.filesystem = Observed::Known(None));
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn block_mode_is_not_looked_at() {
        let node = told_done(|volume| volume.mode = VolumeMode::Block);
        check(&RULE, &node, expect!["0 ok\n"]);
    }

    #[test]
    fn a_device_that_was_not_seen_is_unknown() {
        let node = told_done(|volume| {
            volume.sizes.device = Observed::Unknown(Gap::new(Why::Denied, "read /sys/dev/block/8:16/size: permission denied"));
        });
        check(&RULE, &node, expect![[r#"
            unknown FilesystemNotGrown: claim shop/orders-db on node node-1: read /sys/dev/block/8:16/size: permission denied (Denied)
        "#]]);
    }
}
