//! `FilesystemNearlyFull`: a volume has little room left.

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::stage::{MountStage, Stage};
use crate::model::mount::Usage;
use crate::model::objects::{PodState, VolumeMode};
use crate::model::observed::{Observed, Why};
use crate::model::sizes::Bytes;
use crate::model::volume::Volume;
use crate::rules::{Check, Rule, Verdicts, quote};

/// From here on writes fail at any moment.
const FULL_PERCENT: u8 = 99;

pub(super) static RULE: Rule = Rule {
    code: "FilesystemNearlyFull",
    severity: Severity::Warning,
    stage: Some(Stage::Mount(MountStage::Writable)),
    // A file that is written and removed again is no news.
    grace: Duration::from_mins(2),
    summary: "filesystems are nearly full",
    docs: include_str!("../../docs/findings/FilesystemNearlyFull.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
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
            Observed::Known(usage) if usage.percent_used() < node.thresholds.nearly_full_percent => verdicts.ok(subject),
            Observed::Known(usage) => match written {
                Observed::Unknown(gap) => verdicts.unknown(subject, &gap),
                Observed::Known(_) => verdicts.problem(subject, problem(node, volume, usage)),
            },
            // Not mounted yet, or no more: there is no filesystem to be full.
            Observed::Unknown(gap) if gap.why == Why::NotFound && !runs(volume) => verdicts.ok(subject),
            Observed::Unknown(gap) => verdicts.unknown(subject, &gap),
        }
    }
}

/// Whether a pod that should have it runs.
fn runs(volume: &Volume) -> bool {
    let running = Observed::Known(PodState::Running);
    volume.published.iter().any(|published| published.state == running)
}

fn problem(node: &NodeFacts, volume: &Volume, usage: Usage) -> Problem {
    let percent = usage.percent_used();
    let available = Bytes(usage.available_bytes);
    let total = Bytes(usage.total_bytes);
    let problem = Problem::new(format!(
        "Volume {} on {} is {percent} % full: {available} of {total} are left.",
        volume.spec_name, node.node
    ))
    .because("space in use", format!("{percent} % ({} of {total})", Bytes(usage.used_bytes)), "statfs")
    .because("threshold", format!("{} %", node.thresholds.nearly_full_percent), "--nearly-full-percent")
    .related(volume.related());
    let problem = if percent >= FULL_PERCENT {
        problem.severity(Severity::Critical)
    } else {
        problem
    };
    let problem = match volume.published.first() {
        Some(published) => problem.next(
            "See on the node what takes the room.",
            format!("du --one-file-system --human-readable --max-depth=2 {} | sort -h | tail", quote(&published.target)),
        ),
        None => problem,
    };
    match &volume.claim {
        Some(claim) => problem.next(
            "Ask for more, if the class allows it.",
            format!(
                "kubectl patch pvc -n {} {} -p '{{\"spec\":{{\"resources\":{{\"requests\":{{\"storage\":\"NEW-SIZE\"}}}}}}}}'",
                claim.claim.namespace, claim.claim.name
            ),
        ),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::observed::Gap;
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn used(percent: u64) -> NodeFacts {
        sample::degraded(|volume| fill(volume, percent))
    }

    fn fill(volume: &mut Volume, percent: u64) {
        if let Observed::Known(usage) = &mut volume.published[0].usage {
            usage.used_bytes = usage.total_bytes / 100 * percent;
            usage.available_bytes = usage.total_bytes / 100 * (100 - percent);
        }
    }

    #[test]
    fn room_is_ok() {
        check(&RULE, &used(89), expect!["1 ok\n"]);
    }

    #[test]
    fn at_the_threshold_is_a_problem() {
        check(&RULE, &used(90), expect![[r#"
            warning FilesystemNearlyFull: claim shop/orders-db on node node-1
              Volume pvc-11 on node-1 is 90 % full: 997.9Mi of 9.7Gi are left.
              - space in use: 90 % (8.7Gi of 9.7Gi) [statfs]
              - threshold: 90 % [--nearly-full-percent]
              > See on the node what takes the room.
                du --one-file-system --human-readable --max-depth=2 /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount | sort -h | tail
              > Ask for more, if the class allows it.
                kubectl patch pvc -n shop orders-db -p '{"spec":{"resources":{"requests":{"storage":"NEW-SIZE"}}}}'
        "#]]);
    }

    #[test]
    fn no_room_at_all_is_critical() {
        check(&RULE, &used(100), expect![[r#"
            critical FilesystemNearlyFull: claim shop/orders-db on node node-1
              Volume pvc-11 on node-1 is 100 % full: 0B of 9.7Gi are left.
              - space in use: 100 % (9.7Gi of 9.7Gi) [statfs]
              - threshold: 90 % [--nearly-full-percent]
              > See on the node what takes the room.
                du --one-file-system --human-readable --max-depth=2 /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount | sort -h | tail
              > Ask for more, if the class allows it.
                kubectl patch pvc -n shop orders-db -p '{"spec":{"resources":{"requests":{"storage":"NEW-SIZE"}}}}'
        "#]]);
    }

    #[test]
    fn a_volume_that_nobody_writes_is_quiet() {
        let node = sample::degraded(|volume| {
            fill(volume, 100);
            volume.published[0].asked_read_only = Observed::Known(Some("the pod".to_owned()));
        });
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn a_full_one_of_which_it_is_not_known_whether_anybody_writes_is_unknown() {
        let full = |options: &str| {
            sample::degraded(|volume| {
                fill(volume, 100);
                let published = &mut volume.published[0];
                published.asked_read_only = Observed::Unknown(Gap::new(Why::Denied, "list persistentvolumes: forbidden"));
                if let Observed::Known(Some(mount)) = &mut published.mount {
                    mount.options = options.into();
                }
            })
        };
        check(&RULE, &full("ro"), expect![[r#"
            unknown FilesystemNearlyFull: claim shop/orders-db on node node-1: list persistentvolumes: forbidden (Denied)
        "#]]);
        // Nobody mounts it writable who was asked for less.
        let writable = crate::rules::diagnose_node(&full("rw"));
        let mine = writable.iter().find(|verdicts| verdicts.code == RULE.code.into());
        assert_eq!(mine.map(|verdicts| verdicts.problems.len()), Some(1));
    }

    #[test]
    fn a_directory_of_the_hosts_disk_is_quiet() {
        let node = sample::degraded(|volume| {
            fill(volume, 100);
            if let Observed::Known(Some(mount)) = &mut volume.published[0].mount {
                mount.root = "/srv/volumes/vol-11".into();
            }
        });
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn no_answer_is_unknown() {
        let node = sample::degraded(|volume| {
            volume.published[0].usage = Observed::Unknown(Gap::new(Why::TimedOut, "statfs: no answer within 5s"));
        });
        check(&RULE, &node, expect![[r#"
            unknown FilesystemNearlyFull: claim shop/orders-db on node node-1: statfs: no answer within 5s (TimedOut)
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
