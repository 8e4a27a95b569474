//! `InodesNearlyExhausted`: a volume can hold few more files, however much room is left.

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::mount::Usage;
use crate::model::objects::VolumeMode;
use crate::model::observed::{Observed, Why};
use crate::model::stage::{MountStage, Stage};
use crate::model::volume::Volume;
use crate::rules::{Check, Rule, Verdicts, quote};

/// From here on no file can be made at any moment.
const EXHAUSTED_PERCENT: u8 = 99;

pub(super) static RULE: Rule = Rule {
    code: "InodesNearlyExhausted",
    severity: Severity::Warning,
    stage: Some(Stage::Mount(MountStage::Writable)),
    // Files that are made and removed again are no news.
    grace: Duration::from_mins(2),
    summary: "filesystems can hold few more files",
    docs: include_str!("../../docs/findings/InodesNearlyExhausted.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    let threshold = node.thresholds.nearly_full_percent;
    for volume in verdicts.each(&node.volumes) {
        if volume.mode == VolumeMode::Block || volume.published.is_empty() {
            continue;
        }
        let subject = volume.subject(&node.node);
        // A read-only one was filled on purpose; one that its pods leave is not asked any more.
        let written = volume.is_written();
        if volume.is_directory_backed() || written == Observed::Known(false) || volume.is_being_left() {
            verdicts.ok(subject);
            continue;
        }
        match volume.usage() {
            Observed::Known(usage) if usage.percent_inodes() < threshold => verdicts.ok(subject),
            // There the number of inodes shrinks with the room, which is FilesystemNearlyFull's matter.
            Observed::Known(usage) if usage.percent_used() >= threshold && !fixed(volume) => {
                verdicts.ok(subject);
            }
            Observed::Known(usage) => match written {
                Observed::Unknown(gap) => verdicts.unknown(subject, &gap),
                Observed::Known(_) => verdicts.problem(subject, problem(node, volume, usage)),
            },
            // Not mounted at all: there is no filesystem to be exhausted.
            Observed::Unknown(gap) if gap.why == Why::NotFound => verdicts.ok(subject),
            Observed::Unknown(gap) => verdicts.unknown(subject, &gap),
        }
    }
}

/// Whether its inodes were counted out when it was made. Others, as xfs, make them of the room that is left
/// (`xfs_fs_statfs` in the kernel's `fs/xfs/xfs_super.c`).
fn fixed(volume: &Volume) -> bool {
    let mut mounts = volume.mounts();
    mounts.any(|mount| matches!(mount.fs_type.as_str(), "ext2" | "ext3" | "ext4"))
}

fn problem(node: &NodeFacts, volume: &Volume, usage: Usage) -> Problem {
    let percent = usage.percent_inodes();
    let Usage { total_inodes, used_inodes, .. } = usage;
    let left = total_inodes.saturating_sub(used_inodes);
    let problem = Problem::new(format!(
        "Volume {} on {} has used {percent} % of its inodes: {left} more files can be made, and then none, however much room is left.",
        volume.spec_name, node.node
    ))
    .because("inodes in use", format!("{percent} % ({used_inodes} of {total_inodes})"), "statfs")
    .because("space in use", format!("{} %", usage.percent_used()), "statfs")
    .because("threshold", format!("{} %", node.thresholds.nearly_full_percent), "--nearly-full-percent")
    .related(volume.related());
    let problem = if percent >= EXHAUSTED_PERCENT {
        problem.severity(Severity::Critical)
    } else {
        problem
    };
    match volume.published.first() {
        Some(published) => problem.next(
            "See on the node which directories hold the most files.",
            format!("du --inodes --one-file-system --max-depth=2 {} | sort -n | tail", quote(&published.target)),
        ),
        None => problem,
    }
    .advise("Remove files that nobody needs; or enlarge the claim, if its class allows it: a filesystem that grows gains inodes.")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::objects::PodState;
    use crate::model::observed::Gap;
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn used(percent: u64) -> NodeFacts {
        sample::degraded(|volume| exhaust(volume, percent))
    }

    fn exhaust(volume: &mut Volume, percent: u64) {
        if let Observed::Known(usage) = &mut volume.published[0].usage {
            usage.total_inodes = 655_300;
            usage.used_inodes = 6553 * percent;
        }
    }

    #[test]
    fn inodes_left_are_ok() {
        check(&RULE, &used(89), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn at_the_threshold_is_a_problem() {
        check(&RULE, &used(90), expect![[r#"
            warning InodesNearlyExhausted: claim shop/orders-db on node node-1
              Volume pvc-11 on node-1 has used 90 % of its inodes: 65530 more files can be made, and then none, however much room is left.
              - inodes in use: 90 % (589770 of 655300) [statfs]
              - space in use: 21 % [statfs]
              - threshold: 90 % [--nearly-full-percent]
              > See on the node which directories hold the most files.
                du --inodes --one-file-system --max-depth=2 /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount | sort -n | tail
              > Remove files that nobody needs; or enlarge the claim, if its class allows it: a filesystem that grows gains inodes.
        "#]]);
    }

    #[test]
    fn none_left_is_critical() {
        check(&RULE, &used(100), expect![[r#"
            critical InodesNearlyExhausted: claim shop/orders-db on node node-1
              Volume pvc-11 on node-1 has used 100 % of its inodes: 0 more files can be made, and then none, however much room is left.
              - inodes in use: 100 % (655300 of 655300) [statfs]
              - space in use: 21 % [statfs]
              - threshold: 90 % [--nearly-full-percent]
              > See on the node which directories hold the most files.
                du --inodes --one-file-system --max-depth=2 /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount | sort -n | tail
              > Remove files that nobody needs; or enlarge the claim, if its class allows it: a filesystem that grows gains inodes.
        "#]]);
    }

    #[test]
    fn a_filesystem_that_counts_no_inodes_is_quiet() {
        let node = sample::degraded(|volume| {
            if let Observed::Known(usage) = &mut volume.published[0].usage {
                usage.total_inodes = 0;
                usage.used_inodes = 0;
            }
        });
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_full_filesystem_that_makes_inodes_of_its_room_is_quiet() {
        let node = sample::degraded(|volume| {
            exhaust(volume, 95);
            let published = &mut volume.published[0];
            if let Observed::Known(usage) = &mut published.usage {
                usage.used_bytes = usage.total_bytes;
                usage.available_bytes = 0;
            }
            for mount in [&mut published.mount, &mut volume.staged] {
                if let Observed::Known(Some(mount)) = mount {
                    mount.fs_type = "xfs".into();
                }
            }
        });
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_volume_that_nobody_writes_is_quiet() {
        let node = sample::degraded(|volume| {
            exhaust(volume, 100);
            volume.published[0].asked_read_only = Observed::Known(Some("the pod".to_owned()));
        });
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_directory_of_the_hosts_disk_is_quiet() {
        let node = sample::degraded(|volume| {
            exhaust(volume, 100);
            if let Observed::Known(Some(mount)) = &mut volume.published[0].mount {
                mount.root = "/srv/volumes/vol-11".into();
            }
        });
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn no_answer_is_unknown() {
        let node = sample::degraded(|volume| {
            volume.published[0].usage = Observed::Unknown(Gap::new(Why::TimedOut, "statfs: no answer within 5s"));
        });
        check(&RULE, &node, expect![[r#"
            unknown InodesNearlyExhausted: claim shop/orders-db on node node-1: statfs: no answer within 5s (TimedOut)
        "#]]);
    }

    #[test]
    fn one_that_its_pods_leave_is_not_asked_and_quiet() {
        let node = sample::degraded(|volume| {
            let published = &mut volume.published[0];
            published.state = Observed::Known(PodState::Ending);
            published.usage = Observed::Unknown(Gap::new(Why::NotAsked, "the pod is ending"));
        });
        check(&RULE, &node, expect!["1 ok\n"]);
    }
}
