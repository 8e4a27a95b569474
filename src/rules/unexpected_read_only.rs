//! `UnexpectedReadOnly`: a volume cannot be written, and nobody asked for that.

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::stage::{MountStage, Stage};
use crate::model::mount::{Mount, ReadOnlySide};
use crate::model::names::NodeName;
use crate::model::objects::{PodState, VolumeMode};
use crate::model::observed::Observed;
use crate::model::volume::{Published, Volume};
use crate::rules::{Check, Rule, Verdicts, quote};

pub(super) static RULE: Rule = Rule {
    code: "UnexpectedReadOnly",
    severity: Severity::Critical,
    stage: Some(Stage::Mount(MountStage::Writable)),
    // Nothing in Kubernetes makes a filesystem writable again.
    grace: Duration::ZERO,
    summary: "volumes turned read-only",
    docs: include_str!("../../docs/findings/UnexpectedReadOnly.md"),
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
            match (&published.mount, published.turned_read_only()) {
                (Observed::Known(_), _) if leaving => verdicts.ok(subject),
                (_, Observed::Unknown(gap)) => verdicts.unknown(subject, &gap),
                (Observed::Known(Some(mount)), Observed::Known(Some(side))) => {
                    verdicts.problem(subject, problem(&node.node, volume, published, mount, side));
                }
                (_, Observed::Known(_)) => verdicts.ok(subject),
            }
        }
    }
}

fn problem(node: &NodeName, volume: &Volume, published: &Published, mount: &Mount, side: ReadOnlySide) -> Problem {
    let Published { pod, target, .. } = published;
    let (whose, options) = match side {
        ReadOnlySide::Mount => ("options of the mount", &mount.options),
        ReadOnlySide::Superblock | ReadOnlySide::Emergency => ("options of the filesystem", &mount.super_options),
    };
    let (asked, words) = match &published.asked_read_only {
        Observed::Unknown(gap) => (gap.to_string(), "and no request makes it so"),
        Observed::Known(_) => ("no".to_owned(), "and neither the pod nor the volume asks for that"),
    };
    let problem = Problem::new(format!(
        "Pod {pod} on {node} cannot write to volume {}: {side}, {words}.",
        volume.spec_name
    ))
    .because(whose, options, format!("host's mount table, {target}"))
    .because("filesystem", format!("{} on {}", mount.fs_type, mount.source), "host's mount table")
    .because("asked to be read-only", asked, "pod, access modes, mount options, PersistentVolume");
    let problem = match &volume.state.errors {
        Observed::Known(Some(errors)) if errors.count > 0 => {
            problem.because("errors counted by the filesystem", errors.to_string(), "/sys/fs/ext4")
        }
        _ => problem,
    };
    problem
    .next("Look in the node's kernel log for the error that came before.", "dmesg --ctime | grep -iE 'i/o error|remount|ext4|xfs|btrfs|nfs'")
    .next("See both sides of the mount on the node.", format!("findmnt -o TARGET,SOURCE,FSTYPE,VFS-OPTIONS,FS-OPTIONS --mountpoint {}", quote(target)))
    .advise("After an I/O error do not remount it writable: stop the workload, find the failing layer (path, replicas, disk), check the filesystem unmounted, then make the pod anew.")
    .related(volume.related())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::observed::{Gap, Why};
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    fn with_options(options: &str, super_options: &str, change: impl FnOnce(&mut Published)) -> NodeFacts {
        sample::degraded(|volume| {
            let published = &mut volume.published[0];
            if let Observed::Known(Some(mount)) = &mut published.mount {
                mount.options = options.into();
                mount.super_options = super_options.into();
            }
            change(published);
        })
    }

    #[test]
    fn writable_on_both_sides_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    #[test]
    fn a_read_only_filesystem_is_a_problem() {
        check(&RULE, &with_options("rw,relatime", "ro,errors=remount-ro", |_| ()), expect![[r#"
            critical UnexpectedReadOnly: claim shop/orders-db on node node-1
              Pod shop/orders-0 on node-1 cannot write to volume pvc-11: the filesystem is read-only, and neither the pod nor the volume asks for that.
              - options of the filesystem: ro,errors=remount-ro [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - filesystem: ext4 on /dev/sdb [host's mount table]
              - asked to be read-only: no [pod, access modes, mount options, PersistentVolume]
              > Look in the node's kernel log for the error that came before.
                dmesg --ctime | grep -iE 'i/o error|remount|ext4|xfs|btrfs|nfs'
              > See both sides of the mount on the node.
                findmnt -o TARGET,SOURCE,FSTYPE,VFS-OPTIONS,FS-OPTIONS --mountpoint /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > After an I/O error do not remount it writable: stop the workload, find the failing layer (path, replicas, disk), check the filesystem unmounted, then make the pod anew.
        "#]]);
    }

    #[test]
    fn one_read_only_mount_is_a_problem() {
        check(&RULE, &with_options("ro,relatime", "rw", |_| ()), expect![[r#"
            critical UnexpectedReadOnly: claim shop/orders-db on node node-1
              Pod shop/orders-0 on node-1 cannot write to volume pvc-11: the mount is read-only, and neither the pod nor the volume asks for that.
              - options of the mount: ro,relatime [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - filesystem: ext4 on /dev/sdb [host's mount table]
              - asked to be read-only: no [pod, access modes, mount options, PersistentVolume]
              > Look in the node's kernel log for the error that came before.
                dmesg --ctime | grep -iE 'i/o error|remount|ext4|xfs|btrfs|nfs'
              > See both sides of the mount on the node.
                findmnt -o TARGET,SOURCE,FSTYPE,VFS-OPTIONS,FS-OPTIONS --mountpoint /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > After an I/O error do not remount it writable: stop the workload, find the failing layer (path, replicas, disk), check the filesystem unmounted, then make the pod anew.
        "#]]);
    }

    #[test]
    fn emergency_read_only_is_a_problem_though_no_option_says_ro() {
        check(&RULE, &with_options("rw,relatime", "rw,emergency_ro", |_| ()), expect![[r#"
            critical UnexpectedReadOnly: claim shop/orders-db on node node-1
              Pod shop/orders-0 on node-1 cannot write to volume pvc-11: the kernel made the filesystem read-only after errors, and neither the pod nor the volume asks for that.
              - options of the filesystem: rw,emergency_ro [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - filesystem: ext4 on /dev/sdb [host's mount table]
              - asked to be read-only: no [pod, access modes, mount options, PersistentVolume]
              > Look in the node's kernel log for the error that came before.
                dmesg --ctime | grep -iE 'i/o error|remount|ext4|xfs|btrfs|nfs'
              > See both sides of the mount on the node.
                findmnt -o TARGET,SOURCE,FSTYPE,VFS-OPTIONS,FS-OPTIONS --mountpoint /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > After an I/O error do not remount it writable: stop the workload, find the failing layer (path, replicas, disk), check the filesystem unmounted, then make the pod anew.
        "#]]);
    }

    #[test]
    fn what_somebody_asked_for_is_quiet() {
        let asked = with_options("ro", "rw", |published| published.asked_read_only = Observed::Known(Some("the pod".to_owned())));
        check(&RULE, &asked, expect!["1 ok\n"]);
    }

    #[test]
    fn without_the_volumes_object_only_an_emergency_is_a_problem() {
        let unseen = |published: &mut Published| {
            published.asked_read_only = Observed::Unknown(Gap::new(Why::Denied, "list persistentvolumes: forbidden"));
        };
        check(&RULE, &with_options("ro", "ro", unseen), expect![[r#"
            unknown UnexpectedReadOnly: claim shop/orders-db on node node-1: list persistentvolumes: forbidden (Denied)
        "#]]);
        check(&RULE, &with_options("rw", "rw", unseen), expect!["1 ok\n"]);
        check(&RULE, &with_options("rw", "rw,emergency_ro", unseen), expect![[r#"
            critical UnexpectedReadOnly: claim shop/orders-db on node node-1
              Pod shop/orders-0 on node-1 cannot write to volume pvc-11: the kernel made the filesystem read-only after errors, and no request makes it so.
              - options of the filesystem: rw,emergency_ro [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - filesystem: ext4 on /dev/sdb [host's mount table]
              - asked to be read-only: list persistentvolumes: forbidden (Denied) [pod, access modes, mount options, PersistentVolume]
              > Look in the node's kernel log for the error that came before.
                dmesg --ctime | grep -iE 'i/o error|remount|ext4|xfs|btrfs|nfs'
              > See both sides of the mount on the node.
                findmnt -o TARGET,SOURCE,FSTYPE,VFS-OPTIONS,FS-OPTIONS --mountpoint /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > After an I/O error do not remount it writable: stop the workload, find the failing layer (path, replicas, disk), check the filesystem unmounted, then make the pod anew.
        "#]]);
    }

    #[test]
    fn a_pod_that_leaves_is_quiet() {
        let leaving = with_options("ro", "ro", |published| published.state = Observed::Known(PodState::Ending));
        check(&RULE, &leaving, expect!["1 ok\n"]);
    }

    #[test]
    fn an_unmounted_path_is_another_rules_matter() {
        let unmounted = with_options("ro", "ro", |published| published.mount = Observed::Known(None));
        check(&RULE, &unmounted, expect!["1 ok\n"]);
    }

    #[test]
    fn a_table_that_was_not_seen_is_unknown() {
        let unseen = with_options("ro", "ro", |published| {
            published.mount = Observed::Unknown(Gap::new(Why::Denied, "read /proc/1/mountinfo: permission denied"));
        });
        check(&RULE, &unseen, expect![[r#"
            unknown UnexpectedReadOnly: claim shop/orders-db on node node-1: read /proc/1/mountinfo: permission denied (Denied)
        "#]]);
    }
}
