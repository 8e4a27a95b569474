//! `VolumeNotMounted`: the pod runs, and its volume is not a mount where it belongs: in the container's
//! own mount table (critical), or at the kubelet's target path alone (warning).

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::Severity;
use crate::model::stage::{MountStage, Stage};
use crate::model::mount::Mount;
use crate::model::names::HostPath;
use crate::model::objects::{PodState, VolumeMode};
use crate::model::observed::{Gap, Observed, Why};
use crate::model::volume::{Elsewhere, Inside, Published, Volume};
use crate::rules::{Check, Rule, Verdicts};

mod words;

use words::{driver_only, lost_device, lost_inside, lost_on_host, unstaged};

pub(super) static RULE: Rule = Rule {
    code: "VolumeNotMounted",
    severity: Severity::Critical,
    stage: Some(Stage::Mount(MountStage::Published)),
    // After a reboot the API calls pods running that the kubelet is still setting up; its longest back-off is 2m2s.
    grace: Duration::from_mins(3),
    summary: "volumes are not mounted in their running pods",
    docs: include_str!("../../docs/findings/VolumeNotMounted.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in verdicts.each(&node.volumes) {
        for published in &volume.published {
            let subject = volume.subject(&node.node);
            match lost(volume, published) {
                Ok(None) => verdicts.ok(subject),
                Ok(Some(Lost::Inside(inside))) => {
                    verdicts.problem(subject, lost_inside(&node.node, volume, published, inside));
                }
                Ok(Some(Lost::Unstaged(mount))) => {
                    verdicts.problem(subject, unstaged(&node.node, volume, published, mount));
                }
                Ok(Some(Lost::OnHost)) => {
                    verdicts.problem(subject, lost_on_host(&node.node, volume, published));
                }
                Ok(Some(Lost::Device)) => {
                    verdicts.problem(subject, lost_device(&node.node, volume, published));
                }
                Ok(Some(Lost::DriverOnly(place))) => {
                    verdicts.problem(subject, driver_only(&node.node, volume, published, place));
                }
                Err(gap) => verdicts.unknown(subject, gap),
            }
        }
    }
}

/// Where the volume is missing.
enum Lost<'a> {
    /// In a container that runs.
    Inside(&'a Inside),
    /// What is mounted is the empty staging directory, from the node's own disk.
    Unstaged(&'a Mount),
    /// At the target path alone.
    OnHost,
    /// The file of a raw block volume has no device over it.
    Device,
    /// Everywhere but in a namespace of the driver's own.
    DriverOnly(&'a Elsewhere),
}

/// Whether a pod that runs has lost the volume; a gap where that cannot be said.
fn lost<'a>(volume: &Volume, published: &'a Published) -> Result<Option<Lost<'a>>, &'a Gap> {
    if matches!(published.state, Observed::Known(PodState::Starting | PodState::Ending | PodState::Done)) {
        return Ok(None);
    }
    let runs = match &published.live {
        // Whatever the API says: after a reboot it still calls pods running.
        Observed::Known(false) => return Ok(None),
        Observed::Known(true) => true,
        // Where the agent cannot see processes at all, the pod's status has to do.
        Observed::Unknown(gap) if matches!(gap.why, Why::Unsupported | Why::NotAsked) => false,
        Observed::Unknown(gap) => return Err(gap),
    };
    if let Observed::Known(Some(mount)) = &published.mount
        && is_unstaged(mount)
    {
        return Ok(Some(Lost::Unstaged(mount)));
    }
    // Other containers may keep a copy of what the host has lost: it is the driver's matter when the pod
    // never had it.
    let holds = |inside: &Inside| !has_nothing(inside, &published.target);
    let held = published.inside.known().is_some_and(|all| all.iter().any(holds));
    if let Observed::Known(Some(place)) = &published.elsewhere
        && !held
    {
        return Ok(Some(Lost::DriverOnly(place)));
    }
    // A runtime makes a device node of its own in the container: of a device only the host's side tells.
    let is_file = volume.mode == VolumeMode::Filesystem;
    if is_file
        && let Some(inside) = published.inside.known()
        && let Some(empty) = inside.iter().find(|inside| has_nothing(inside, &published.target))
    {
        return Ok(Some(Lost::Inside(empty)));
    }
    let missing = if is_file { Lost::OnHost } else { Lost::Device };
    match (&published.mount, &published.state) {
        (Observed::Known(Some(_)), _) => match &published.inside {
            Observed::Unknown(gap) if runs && is_file => Err(gap),
            _ => Ok(None),
        },
        (Observed::Known(None), _) if published.device_node => Ok(None),
        (Observed::Known(None), _) if runs => Ok(Some(missing)),
        (Observed::Known(None), Observed::Known(_)) => Ok(Some(missing)),
        (Observed::Unknown(gap), _) | (_, Observed::Unknown(gap)) => Err(gap),
    }
}

/// Where the kubelet has all staging target paths below its root (`pkg/volume/csi`).
const STAGES: &str = "plugins/kubernetes.io/csi/";

/// Whether what is mounted is a directory among the stages, of the filesystem that has the kubelet's own
/// files: the volume was published before it was staged (kubernetes/kubernetes#120455, #126634).
fn is_unstaged(mount: &Mount) -> bool {
    mount.root.0.to_string_lossy().contains(STAGES)
}

/// Whether a container has no mount at its place, or the node's own directory that the volume was to
/// be mounted on: so it is when the container was started before the volume was there.
fn has_nothing(inside: &Inside, target: &HostPath) -> bool {
    match &inside.mount {
        None => true,
        Some(mount) => {
            let root = mount.root.0.strip_prefix("/").unwrap_or(&mount.root.0);
            root.components().count() > 1 && target.0.ends_with(root)
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    #[test]
    fn a_mount_is_ok() {
        check(&RULE, &sample::node(), expect!["1 ok\n"]);
    }

    /// An agent that does not share the host's PID namespace.
    fn processes_unseen(published: &mut Published) {
        let gap = Gap::new(Why::Unsupported, "no process of any pod can be seen");
        published.live = Observed::Unknown(gap.clone());
        published.inside = Observed::Unknown(gap);
    }

    #[test]
    fn a_container_without_the_mount_is_a_problem_though_the_host_has_it() {
        let node = sample::degraded(|volume| {
            let inside = Inside { mount: None, ..sample::inside() };
            volume.published[0].inside = Observed::Known(vec![inside]);
        });
        check(&RULE, &node, expect![[r#"
            critical VolumeNotMounted: claim shop/orders-db on node node-1
              Container app of pod shop/orders-0 runs on node-1 without volume pvc-11: nothing is mounted at /var/lib/data in it, and what it writes there goes to the node's own disk.
              - mount in the container: none [mount table of process 4711, /var/lib/data]
              - mount at the target path: ext4 on /dev/sdb [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              > See on the node what the container has.
                grep ' /var/lib/data ' /proc/4711/mountinfo
              > Stop the writing and copy what was written to the node's disk: it is lost with the container.
              > Let the kubelet publish it again by making the pod anew.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn a_container_that_still_holds_what_the_host_lost_is_a_warning() {
        let node = sample::degraded(|volume| volume.published[0].mount = Observed::Known(None));
        check(&RULE, &node, expect![[r#"
            warning VolumeNotMounted: claim shop/orders-db on node node-1
              Pod shop/orders-0 runs on node-1, and the host has no mount of volume pvc-11 at its target path: what the pod writes after its next restart goes to the node's own disk.
              - mount at the target path: none [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - mount in the container: ext4 on /dev/sdb [mount table of process 4711, /var/lib/data]
              > See on the node whether the path is a mount.
                findmnt --mountpoint /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > The container still holds the volume: let it finish or save its data before it restarts.
              > Let the kubelet publish it again by making the pod anew.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn where_no_process_can_be_seen_the_pods_status_has_to_do() {
        let node = sample::degraded(|volume| {
            volume.published[0].mount = Observed::Known(None);
            processes_unseen(&mut volume.published[0]);
        });
        check(&RULE, &node, expect![[r#"
            warning VolumeNotMounted: claim shop/orders-db on node node-1
              Pod shop/orders-0 runs on node-1, and the host has no mount of volume pvc-11 at its target path: what the pod writes after its next restart goes to the node's own disk.
              - mount at the target path: none [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - pod: running [pod shop/orders-0]
              > See on the node whether the path is a mount.
                findmnt --mountpoint /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > See what the pod itself has: the container may still hold the volume.
                kubectl exec -n shop orders-0 -- cat /proc/self/mountinfo
              > Let the kubelet publish it again by making the pod anew.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn a_pod_that_runs_for_the_api_alone_is_quiet() {
        let node = sample::degraded(|volume| {
            volume.published[0].mount = Observed::Known(None);
            volume.published[0].live = Observed::Known(false);
            volume.published[0].inside = Observed::Known(Vec::new());
        });
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn processes_that_may_not_be_looked_at_are_unknown() {
        let node = sample::degraded(|volume| {
            volume.published[0].live = Observed::Unknown(Gap::new(Why::Denied, "list the processes in /proc"));
        });
        check(&RULE, &node, expect![[r#"
            unknown VolumeNotMounted: claim shop/orders-db on node node-1: list the processes in /proc (Denied)
        "#]]);
    }

    #[test]
    fn a_pod_that_starts_or_ends_or_is_done_is_quiet() {
        for state in [PodState::Starting, PodState::Ending, PodState::Done] {
            let node = sample::degraded(|volume| {
                volume.published[0].mount = Observed::Known(None);
                volume.published[0].state = Observed::Known(state);
            });
            check(&RULE, &node, expect!["1 ok\n"]);
        }
    }

    #[test]
    fn a_table_or_a_pod_that_was_not_seen_is_unknown() {
        let gap = Gap::new(Why::Malformed, "line 12 of the mount table");
        let node = sample::degraded(|volume| volume.published[0].mount = Observed::Unknown(gap.clone()));
        check(&RULE, &node, expect![[r#"
            unknown VolumeNotMounted: claim shop/orders-db on node node-1: line 12 of the mount table (Malformed)
        "#]]);
        let node = sample::degraded(|volume| {
            volume.published[0].mount = Observed::Known(None);
            processes_unseen(&mut volume.published[0]);
            volume.published[0].state = Observed::Unknown(Gap::new(Why::Unavailable, "no answer from the API server"));
        });
        check(&RULE, &node, expect![[r#"
            unknown VolumeNotMounted: claim shop/orders-db on node node-1: no answer from the API server (Unavailable)
        "#]]);
    }

    #[test]
    fn a_container_that_was_started_before_the_volume_was_there_is_a_problem() {
        let node = sample::degraded(|volume| {
            let published = &mut volume.published[0];
            published.mount = Observed::Known(None);
            let mut inside = sample::inside();
            if let Some(mount) = &mut inside.mount {
                mount.root = "/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount".into();
                mount.source = "/dev/vda2".into();
            }
            published.inside = Observed::Known(vec![inside]);
        });
        check(&RULE, &node, expect![[r#"
            critical VolumeNotMounted: claim shop/orders-db on node node-1
              Container app of pod shop/orders-0 runs on node-1 without volume pvc-11: at /var/lib/data it has a directory of the node, and what it writes there goes to the node's own disk.
              - mount in the container: /lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount of /dev/vda2 [mount table of process 4711, /var/lib/data]
              - mount at the target path: none [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              > See on the node what the container has.
                grep ' /var/lib/data ' /proc/4711/mountinfo
              > Stop the writing and copy what was written to the node's disk: it is lost with the container.
              > Let the kubelet publish it again by making the pod anew.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn a_stage_that_was_published_before_it_was_mounted_is_a_problem() {
        let node = sample::degraded(|volume| {
            volume.staged = Observed::Known(None);
            if let Observed::Known(Some(mount)) = &mut volume.published[0].mount {
                mount.root = "/lib/kubelet/plugins/kubernetes.io/csi/disk.example.com/4711/globalmount/vol-11".into();
                mount.source = "/dev/vda2".into();
            }
        });
        check(&RULE, &node, expect![[r#"
            critical VolumeNotMounted: claim shop/orders-db on node node-1
              Pod shop/orders-0 runs on node-1 with an empty directory of the node in place of volume pvc-11: its stage was published before the volume was mounted there, and what the pod writes goes to the node's own disk.
              - mount at the target path: /lib/kubelet/plugins/kubernetes.io/csi/disk.example.com/4711/globalmount/vol-11 of /dev/vda2 [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - mount in the stage: none [host's mount table, /var/lib/kubelet/plugins/kubernetes.io/csi/disk.example.com/4711/globalmount]
              > See on the node what the pod has.
                findmnt --mountpoint /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > Stop the writing and copy what was written away: it lies below the staging directory on the node's disk, and is hidden once the volume is mounted there.
              > Let the kubelet stage and publish it again by making the pod anew.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn a_volume_that_the_driver_alone_has_is_a_problem() {
        let node = sample::degraded(|volume| {
            let published = &mut volume.published[0];
            published.mount = Observed::Known(None);
            published.inside = Observed::Known(Vec::new());
            published.elsewhere = Observed::Known(Some(Elsewhere {
                process: 812,
                name: "csi-files".to_owned(),
                fs_type: "fuse.files".to_owned(),
                source: "files".to_owned(),
            }));
        });
        check(&RULE, &node, expect![[r#"
            critical VolumeNotMounted: claim shop/orders-db on node node-1
              Volume pvc-11 of pod shop/orders-0 is mounted on node-1 for process 812 (csi-files) alone: neither the host nor the pod has it, and what the pod writes goes to the node's own disk.
              - mount at the target path: none [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - mount elsewhere: fuse.files on files [mount table of process 812]
              > See on the node whose process it is.
                cat /proc/812/cgroup; grep ' /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount ' /proc/812/mountinfo
              > Mount the kubelet's directory with mountPropagation: Bidirectional into the container of driver disk.example.com (which needs privileged), and at the path that it has on the host.
              > Copy what the pod wrote meanwhile from the node's disk: it is lost with the pod.
              > When the driver is mended, make the pod anew.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    fn block(change: impl FnOnce(&mut Published)) -> NodeFacts {
        sample::degraded(|volume| {
            volume.mode = VolumeMode::Block;
            volume.published[0].inside = Observed::Known(Vec::new());
            change(&mut volume.published[0]);
        })
    }

    #[test]
    fn a_block_volume_has_a_device_over_its_file_or_is_one() {
        check(&RULE, &block(|_| ()), expect!["1 ok\n"]);
        let node = block(|published| {
            published.mount = Observed::Known(None);
            published.device_node = true;
        });
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn a_block_volume_without_its_device_is_a_warning() {
        check(&RULE, &block(|published| published.mount = Observed::Known(None)), expect![[r#"
            warning VolumeNotMounted: claim shop/orders-db on node node-1
              Pod shop/orders-0 runs on node-1, and there is no device where the kubelet published raw block volume pvc-11: after its next restart the pod has none.
              - device at the target path: none: neither a mount nor a device node [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              > See on the node what is at the path.
                findmnt --mountpoint /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount; ls -l /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount
              > A container that runs still has its own node of the device: let it finish or save its data before it restarts.
              > Let the kubelet publish it again by making the pod anew.
                kubectl delete pod -n shop orders-0
        "#]]);
    }
}
