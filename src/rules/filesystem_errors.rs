//! `FilesystemErrors`: the kernel found new errors in a filesystem that goes on being used.

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::mount::{Mount, ReadOnlySide};
use crate::model::objects::{PodState, VolumeMode};
use crate::model::observed::{Observed, Why};
use crate::model::stage::{MountStage, Stage};
use crate::model::state::FilesystemErrors;
use crate::model::volume::{Published, Volume};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "FilesystemErrors",
    severity: Severity::Critical,
    stage: Some(Stage::Mount(MountStage::Writable)),
    // Errors do not go by themselves.
    grace: Duration::ZERO,
    summary: "filesystems have new errors",
    docs: include_str!("../../docs/findings/FilesystemErrors.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in verdicts.each(&node.volumes) {
        if volume.mode == VolumeMode::Block || volume.published.is_empty() {
            continue;
        }
        let subject = volume.subject(&node.node);
        // The disk is the node's own, and so are its errors.
        if volume.is_directory_backed() || volume.published.iter().any(turned_read_only) {
            verdicts.ok(subject);
            continue;
        }
        let emergency = volume.mounts().any(|mount| mount.read_only() == Some(ReadOnlySide::Emergency));
        match &volume.state.errors {
            Observed::Known(Some(errors)) if errors.count > 0 && errors.fresh => {
                verdicts.problem(subject, problem(node, volume, Some(*errors)));
            }
            Observed::Known(errors) if emergency => verdicts.problem(subject, problem(node, volume, *errors)),
            Observed::Known(_) => verdicts.ok(subject),
            // Not mounted at all: there is no filesystem to have errors.
            Observed::Unknown(gap) if gap.why == Why::NotFound => verdicts.ok(subject),
            Observed::Unknown(_) if emergency => verdicts.problem(subject, problem(node, volume, None)),
            Observed::Unknown(gap) => verdicts.unknown(subject, gap),
        }
    }
}

/// Whether `UnexpectedReadOnly` tells it, with the errors as its evidence.
fn turned_read_only(published: &Published) -> bool {
    let leaving = matches!(published.state, Observed::Known(PodState::Ending | PodState::Done));
    let side = published.turned_read_only();
    !leaving && matches!(side, Observed::Known(Some(ReadOnlySide::Superblock | ReadOnlySide::Emergency)))
}

fn problem(node: &NodeFacts, volume: &Volume, errors: Option<FilesystemErrors>) -> Problem {
    let said = match errors.filter(|errors| errors.fresh) {
        Some(_) => "the kernel found errors in it since the node started",
        None => "the kernel made it read-only after errors",
    };
    let problem = Problem::new(format!(
        "The filesystem of volume {} on {} is damaged or its device fails: {said}.",
        volume.spec_name, node.node
    ));
    let problem = match errors {
        Some(errors) => problem.because("errors", errors.to_string(), "/sys/fs/ext4"),
        None => problem,
    };
    let problem = match volume.mounts().next() {
        Some(mount) => on_mount(problem, mount),
        None => problem,
    };
    problem
        .next("Look in the node's kernel log for the first of them.", "dmesg --ctime | grep -iE 'ext4-fs|i/o error'")
        .advise("Take a snapshot or a copy while it can still be read, find the failing layer (path, replicas, disk), and check the filesystem unmounted (e2fsck), which also sets the counter back.")
        .related(volume.related())
}

fn on_mount(problem: Problem, mount: &Mount) -> Problem {
    let number = mount.device;
    problem
        .because("filesystem", format!("{} on {}", mount.fs_type, mount.source), "host's mount table")
        .because("options", &mount.super_options, format!("host's mount table, {}", mount.target))
        .next(
            "See on the node what the filesystem remembers of the first and the last error.",
            format!("grep -H . /sys/fs/ext4/$(basename $(readlink /sys/dev/block/{number}))/*error*"),
        )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::observed::Gap;
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn erroneous(fresh: bool, change: impl FnOnce(&mut Volume)) -> NodeFacts {
        sample::degraded(|volume| {
            volume.state.errors = Observed::Known(Some(FilesystemErrors {
                count: 3,
                last: Some(sample::noon()),
                fresh,
            }));
            change(volume);
        })
    }

    fn emergency(volume: &mut Volume) {
        if let Observed::Known(Some(mount)) = &mut volume.published[0].mount {
            mount.super_options = "rw,emergency_ro".into();
        }
    }

    #[test]
    fn no_errors_are_ok() {
        check(&RULE, &sample::node(), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn new_errors_are_a_problem() {
        check(&RULE, &erroneous(true, |_| ()), expect![[r#"
            critical FilesystemErrors: claim shop/orders-db on node node-1
              The filesystem of volume pvc-11 on node-1 is damaged or its device fails: the kernel found errors in it since the node started.
              - errors: 3, the last at 2026-11-25T12:00:00Z, since the node started [/sys/fs/ext4]
              - filesystem: ext4 on /dev/sdb [host's mount table]
              - options: rw [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              > See on the node what the filesystem remembers of the first and the last error.
                grep -H . /sys/fs/ext4/$(basename $(readlink /sys/dev/block/8:16))/*error*
              > Look in the node's kernel log for the first of them.
                dmesg --ctime | grep -iE 'ext4-fs|i/o error'
              > Take a snapshot or a copy while it can still be read, find the failing layer (path, replicas, disk), and check the filesystem unmounted (e2fsck), which also sets the counter back.
        "#]]);
    }

    #[test]
    fn emergency_read_only_is_a_problem_though_nobody_meant_to_write() {
        let node = erroneous(false, |volume| {
            emergency(volume);
            volume.published[0].asked_read_only = Observed::Known(Some("the pod".to_owned()));
        });
        check(&RULE, &node, expect![[r#"
            critical FilesystemErrors: claim shop/orders-db on node node-1
              The filesystem of volume pvc-11 on node-1 is damaged or its device fails: the kernel made it read-only after errors.
              - errors: 3, the last at 2026-11-25T12:00:00Z, from before the node started [/sys/fs/ext4]
              - filesystem: ext4 on /dev/sdb [host's mount table]
              - options: rw,emergency_ro [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              > See on the node what the filesystem remembers of the first and the last error.
                grep -H . /sys/fs/ext4/$(basename $(readlink /sys/dev/block/8:16))/*error*
              > Look in the node's kernel log for the first of them.
                dmesg --ctime | grep -iE 'ext4-fs|i/o error'
              > Take a snapshot or a copy while it can still be read, find the failing layer (path, replicas, disk), and check the filesystem unmounted (e2fsck), which also sets the counter back.
        "#]]);
    }

    #[test]
    fn old_errors_are_quiet() {
        check(&RULE, &erroneous(false, |_| ()), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn what_turned_read_only_is_another_rules_matter() {
        check(&RULE, &erroneous(true, emergency), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_filesystem_that_counts_none_is_quiet() {
        let node = sample::degraded(|volume| volume.state.errors = Observed::Known(None));
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_directory_of_the_hosts_disk_is_quiet() {
        let node = erroneous(true, |volume| {
            if let Observed::Known(Some(mount)) = &mut volume.published[0].mount {
                mount.root = "/srv/volumes/vol-11".into();
            }
        });
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_counter_that_was_not_read_is_unknown() {
        let node = sample::degraded(|volume| {
            volume.state.errors = Observed::Unknown(Gap::new(Why::Denied, "read errors_count: permission denied"));
        });
        check(&RULE, &node, expect![[r#"
            unknown FilesystemErrors: claim shop/orders-db on node node-1: read errors_count: permission denied (Denied)
        "#]]);
    }
}
