//! `ContainerMountStale`: the host has a healthy mount, and a container still holds the one before it.

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::{Problem, Severity};
use crate::model::mount::Mount;
use crate::model::names::NodeName;
use crate::model::objects::{PodState, VolumeMode};
use crate::model::observed::{Gap, Observed, Why};
use crate::model::stage::{MountStage, Stage};
use crate::model::volume::{Inside, Published, SubPath, Volume};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "ContainerMountStale",
    severity: Severity::Critical,
    stage: Some(Stage::Mount(MountStage::Answers)),
    // The tables of host and container are read one after the other, at times across a change.
    grace: Duration::from_mins(1),
    summary: "containers hold an older mount than the host",
    docs: include_str!("../../docs/findings/ContainerMountStale.md"),
    check: Check::Node(check),
};

fn check(node: &NodeFacts, verdicts: &mut Verdicts) {
    for volume in verdicts.each(&node.volumes) {
        if volume.mode == VolumeMode::Block {
            continue;
        }
        for published in &volume.published {
            let subject = volume.subject(&node.node);
            match left_behind(published) {
                Ok(None) => verdicts.ok(subject),
                Ok(Some((host, inside, held))) => {
                    verdicts.problem(subject, problem(&node.node, volume, published, host, inside, held));
                }
                Err(gap) => verdicts.unknown(subject, gap),
            }
        }
    }
}

/// The host's mount, the container, and what it holds instead; a gap where that cannot be said.
fn left_behind(published: &Published) -> Result<Option<(&Mount, &Inside, &Mount)>, &Gap> {
    let starts_or_leaves = matches!(
        published.state,
        Observed::Known(PodState::Starting | PodState::Ending | PodState::Done)
    );
    if starts_or_leaves || published.live == Observed::Known(false) {
        return Ok(None);
    }
    let host = match &published.mount {
        Observed::Known(Some(mount)) => mount,
        // Lost on the host, which is another rule's matter.
        Observed::Known(None) => return Ok(None),
        Observed::Unknown(gap) => return Err(gap),
    };
    let inside = match &published.inside {
        Observed::Known(inside) => inside,
        Observed::Unknown(gap) => return Err(gap),
    };
    let other = inside.iter().find_map(|inside| {
        let held = inside.mount.as_ref()?;
        // Another type was put there by the container itself, or by its image.
        // A directory of the volume that is a filesystem of its own: the kubelet bound that one.
        let bound = |one: &SubPath| one.mount.device == held.device && one.mount.root == held.root;
        let other = held.device != host.device && held.fs_type == host.fs_type;
        (other && !published.sub_paths.iter().any(bound)).then_some((host, inside, held))
    });
    match (other, &published.usage) {
        (None, _) => Ok(None),
        (Some(other), Observed::Known(_)) => Ok(Some(other)),
        // The host's mount is dead or hangs too, which is another rule's matter.
        (Some(_), Observed::Unknown(gap)) if matches!(gap.why, Why::Stale | Why::TimedOut) => Ok(None),
        (Some(_), Observed::Unknown(gap)) => Err(gap),
    }
}

fn problem(
    node: &NodeName,
    volume: &Volume,
    published: &Published,
    host: &Mount,
    inside: &Inside,
    held: &Mount,
) -> Problem {
    let Published { pod, target, .. } = published;
    Problem::new(format!(
        "Volume {} was mounted anew on {node}, and container {} of pod {pod} still holds another mount at {}: restart the pod.",
        volume.spec_name, inside.container, inside.path
    ))
    .because(
        "mount in the container",
        format!("{} on {}, filesystem {}", held.fs_type, held.source, held.device),
        format!("mount table of process {}, {}", inside.process, inside.path),
    )
    .because(
        "mount at the target path",
        format!("{} on {}, filesystem {}", host.fs_type, host.source, host.device),
        format!("host's mount table, {target}"),
    )
    .because("answer of the host's mount", "it answers", target.to_string())
    .next(
        "Compare on the node what the container has with what the host has.",
        format!("grep ' {} ' /proc/{}/mountinfo; grep ' {target} ' /proc/1/mountinfo", inside.path, inside.process),
    )
    .next(
        "Make the pod anew, so that its containers get the mount that the host has.",
        format!("kubectl delete pod -n {} {}", pod.namespace, pod.name),
    )
    .related(volume.related())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::model::mount::DeviceNumber;
    use crate::model::sample;
    use crate::rules::tests::check;

    use super::*;

    /// The driver's daemon came back, and with it a new filesystem on the host.
    fn anew(change: impl FnOnce(&mut Published)) -> NodeFacts {
        sample::degraded(|volume| {
            let published = &mut volume.published[0];
            let fuse = |minor| {
                let mut mount = sample::mount(published.target.clone());
                mount.fs_type = "fuse.files".into();
                mount.source = "files".into();
                mount.device = DeviceNumber { major: 0, minor };
                mount
            };
            published.mount = Observed::Known(Some(fuse(91)));
            let held = fuse(57);
            if let Observed::Known(inside) = &mut published.inside {
                inside[0].mount = Some(held);
            }
            change(published);
        })
    }

    fn silent(why: Why) -> Observed<crate::model::mount::Usage> {
        Observed::Unknown(Gap::new(why, "statfs: it fails"))
    }

    #[test]
    fn the_same_filesystem_on_both_sides_is_ok() {
        check(&RULE, &sample::node(), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn another_filesystem_in_the_container_is_a_problem() {
        check(&RULE, &anew(|_| ()), expect![[r#"
            critical ContainerMountStale: claim shop/orders-db on node node-1
              Volume pvc-11 was mounted anew on node-1, and container app of pod shop/orders-0 still holds another mount at /var/lib/data: restart the pod.
              - mount in the container: fuse.files on files, filesystem 0:57 [mount table of process 4711, /var/lib/data]
              - mount at the target path: fuse.files on files, filesystem 0:91 [host's mount table, /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              - answer of the host's mount: it answers [/var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount]
              > Compare on the node what the container has with what the host has.
                grep ' /var/lib/data ' /proc/4711/mountinfo; grep ' /var/lib/kubelet/pods/pod-uid-0/volumes/kubernetes.io~csi/pvc-11/mount ' /proc/1/mountinfo
              > Make the pod anew, so that its containers get the mount that the host has.
                kubectl delete pod -n shop orders-0
        "#]]);
    }

    #[test]
    fn a_pod_that_starts_or_leaves_is_quiet() {
        for state in [PodState::Starting, PodState::Ending, PodState::Done] {
            let node = anew(|published| published.state = Observed::Known(state));
            check(&RULE, &node, expect!["1 ok\n"]);
        }
    }

    #[test]
    fn a_pod_without_processes_is_quiet() {
        check(&RULE, &anew(|published| published.live = Observed::Known(false)), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_host_that_fares_no_better_is_another_rules_matter() {
        check(&RULE, &anew(|published| published.usage = silent(Why::Stale)), expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_sub_path_that_is_a_filesystem_of_its_own_is_quiet() {
        let node = anew(|published| {
            let inside = published.inside.known().and_then(|inside| inside[0].mount.clone());
            published.sub_paths.extend(inside.map(|mount| SubPath {
                container: "app".into(),
                mount,
            }));
        });
        check(&RULE, &node, expect!["1 ok\n"]);
    }

    #[test]
    fn a_mount_of_another_type_is_the_containers_own() {
        let node = anew(|published| {
            if let Observed::Known(inside) = &mut published.inside
                && let Some(mount) = &mut inside[0].mount
            {
                mount.fs_type = "tmpfs".into();
            }
        });
        check(&RULE, &node, expect![[r#"
            1 ok
        "#]]);
    }

    #[test]
    fn a_mount_that_did_not_say_how_it_is_is_unknown() {
        check(&RULE, &anew(|published| published.usage = silent(Why::Denied)), expect![[r#"
            unknown ContainerMountStale: claim shop/orders-db on node node-1: statfs: it fails (Denied)
        "#]]);
    }

    #[test]
    fn a_container_that_was_not_seen_is_unknown() {
        let node = anew(|published| {
            published.inside = Observed::Unknown(Gap::new(Why::Denied, "read /proc/4711/mountinfo: permission denied"));
        });
        check(&RULE, &node, expect![[r#"
            unknown ContainerMountStale: claim shop/orders-db on node node-1: read /proc/4711/mountinfo: permission denied (Denied)
        "#]]);
    }
}
