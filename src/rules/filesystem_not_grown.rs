//! `FilesystemNotGrown`: everybody says that the expansion is done, and the filesystem is still small.

use std::time::Duration;
use crate::expansion::{Case, Ground, Standing};
use crate::model::finding::{Problem, Severity, quote};
use crate::model::mount::Mount;
use crate::model::objects::VolumeMode;
use crate::model::observed::Observed;
use crate::model::sizes::{Bytes, FilesystemSize};
use crate::model::stage::{ExpandStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "FilesystemNotGrown",
    severity: Severity::Warning,
    stage: Some(Stage::Expand(ExpandStage::FilesystemGrown)),
    // Status and filesystem are written by different hands, one after the other.
    grace: Duration::from_mins(2),
    summary: "filesystems are smaller than their expanded volumes",
    docs: include_str!("../../docs/findings/FilesystemNotGrown.md"),
    check: Check::Expansion(check),
};

fn check(case: &Case<'_>, verdicts: &mut Verdicts) {
    let told_done = matches!(case.standing(), Standing::Idle | Standing::Marked);
    // A claim made from a smaller snapshot begins with that one's filesystem; read-only it stays.
    let made = case.claim.made_from.as_ref().filter(|_| case.volume.is_written() == Observed::Known(true));
    let due = case.is_recorded() || made.is_some();
    if !told_done || !due || case.volume.mode == VolumeMode::Block {
        return verdicts.ok(case.subject());
    }
    match case.ground() {
        Ground::FilesystemSmall { filesystem, floor } => {
            verdicts.problem(case.subject(), problem(case, filesystem, floor));
        }
        Ground::Unseen(gap) => verdicts.unknown(case.subject(), &gap),
        _ => verdicts.ok(case.subject()),
    }
}

fn problem(case: &Case<'_>, filesystem: FilesystemSize, floor: Bytes) -> Problem {
    let has_device = matches!(case.volume.sizes.device, Observed::Known(Some(_)));
    let below = if has_device { "its device" } else { "its volume" };
    let (claim, place) = (&case.claim.claim, case.where_it_is());
    let told = match &case.claim.made_from {
        Some(from) if !case.is_recorded() => format!("Claim {claim} was made from {from} with {}", case.provided().to),
        _ => format!("Claim {claim} says that it was enlarged to {}", case.provided().from),
    };
    let message = format!(
        "{told}, and its filesystem on {place} still ends at {} at most, while {below} has {floor}.",
        filesystem.at_most
    );
    let mut problem = case.problem(message, None);
    let mut mounts = case.volume.published.iter();
    if let Some(mount) = mounts.find_map(|one| one.mount.known()?.as_ref()) {
        let compare = Problem::new("").next("Compare both on the node.", compare(mount, has_device));
        problem.next.splice(0..0, compare.next);
    }
    problem
}

fn compare(mount: &Mount, has_device: bool) -> String {
    if has_device {
        format!("lsblk --bytes {} ; df -B1 {}", quote(&mount.source), quote(&mount.target))
    } else {
        format!("df -B1 {}", quote(&mount.target))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;

    use crate::model::facts::NodeFacts;
    use crate::model::observed::{Gap, Why};
    use crate::model::sample;
    use crate::model::volume::Volume;
    use crate::rules::tests::{check, on};

    use super::*;

    const GI: u64 = 1 << 30;

    /// Enlarged from 10 to 20 Gi, told to be done; the device has grown.
    fn told_done(change: impl FnOnce(&mut Volume)) -> NodeFacts {
        sample::degraded(|volume| {
            if let Observed::Known(Some(persistent)) = &mut volume.persistent {
                let persistent = Arc::make_mut(persistent);
                persistent.capacity = Some(Bytes(20 * GI));
                persistent.capacity_before_resize = Some(Bytes(10 * GI));
            }
            if let Some(claim) = &mut volume.claim {
                let claim = Arc::make_mut(claim);
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
              Claim shop/orders-db says that it was enlarged to 20Gi, and its filesystem on node node-1 still ends at 10Gi at most, while its device has 20Gi.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - block device: 20Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 20Gi [claim shop/orders-db]
              - resize status: none [claim shop/orders-db]
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
              Claim shop/orders-db says that it was enlarged to 20Gi, and its filesystem on node node-1 still ends at 10Gi at most, while its volume has 20Gi.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 20Gi [claim shop/orders-db]
              - resize status: none [claim shop/orders-db]
              > Compare both on the node.
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
                let claim = Arc::make_mut(claim);
                claim.capacity = Some(Bytes(10 * GI));
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
    fn block_mode_is_quiet() {
        let node = told_done(|volume| volume.mode = VolumeMode::Block);
        check(&RULE, &node, expect!["1 ok\n"]);
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

    #[test]
    fn a_volume_restored_bigger_than_its_snapshot_is_a_problem_while_it_is_written() {
        let restored = |change: fn(&mut Volume)| {
            sample::degraded(|volume| {
                if let Observed::Known(Some(persistent)) = &mut volume.persistent {
                    let persistent = Arc::make_mut(persistent);
                    persistent.capacity = Some(Bytes(20 * GI));
                }
                if let Some(claim) = &mut volume.claim {
                    let claim = Arc::make_mut(claim);
                    claim.request = Some(Bytes(20 * GI));
                    claim.capacity = Some(Bytes(20 * GI));
                    claim.made_from = Some("VolumeSnapshot orders-nightly".to_owned());
                }
                volume.sizes.device = Observed::Known(Some(Bytes(20 * GI)));
                change(volume);
            })
        };
        check(&RULE, &restored(|_| ()), expect![[r#"
            warning FilesystemNotGrown: claim shop/orders-db on node node-1
              Claim shop/orders-db was made from VolumeSnapshot orders-nightly with 20Gi, and its filesystem on node node-1 still ends at 10Gi at most, while its device has 20Gi.
              - request of the claim: 20Gi [claim shop/orders-db]
              - capacity of the volume: 20Gi [persistentvolume pvc-11]
              - block device: 20Gi [sysfs]
              - filesystem: 9.7Gi to 10Gi [what it answers]
              - status.capacity of the claim: 20Gi [claim shop/orders-db]
              - resize status: none [claim shop/orders-db]
              > Compare both on the node.
                lsblk --bytes /dev/sdb ; df -B1 /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > Grow the filesystem by hand; this is what the driver left out.
                resize2fs /dev/sdb
        "#]]);
        let read_only = restored(|volume| volume.published[0].asked_read_only = Observed::Known(Some("the pod".to_owned())));
        check(&RULE, &read_only, expect!["1 ok\n"]);
        let grown = restored(|volume| volume.sizes.filesystem = size(19 * GI, 20 * GI));
        check(&RULE, &grown, expect!["1 ok\n"]);
    }

    #[test]
    fn a_controller_that_said_that_no_node_is_needed_is_held_to_it() {
        let node = told_done(|volume| {
            if let Observed::Known(Some(persistent)) = &mut volume.persistent {
                let persistent = Arc::make_mut(persistent);
                persistent.capacity_before_resize = None;
            }
            if let Some(claim) = &mut volume.claim {
                let claim = Arc::make_mut(claim);
                claim.allocated = None;
                claim.node_expansion_not_required = true;
            }
        });
        assert_eq!(on(&RULE, &node).problems.len(), 1);
    }

    #[test]
    fn a_device_that_stayed_small_is_another_story() {
        let node = told_done(|volume| volume.sizes.device = Observed::Known(Some(Bytes(10 * GI))));
        check(&RULE, &node, expect!["1 ok\n"]);
    }
}
