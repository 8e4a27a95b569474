//! What is said of a volume that is not mounted, and what to do about it.

use crate::model::finding::{Problem, Severity};
use crate::model::mount::Mount;
use crate::model::names::NodeName;
use crate::model::observed::Observed;
use crate::model::volume::{Elsewhere, Inside, Published, Volume};
use crate::rules::quote;

pub(super) fn lost_inside(node: &NodeName, volume: &Volume, published: &Published, inside: &Inside) -> Problem {
    let Published { pod, target, .. } = published;
    let (what, value) = match &inside.mount {
        None => (format!("nothing is mounted at {} in it", inside.path), "none".to_owned()),
        Some(mount) => (
            format!("at {} it has a directory of the node", inside.path),
            format!("{} of {}", mount.root, mount.source),
        ),
    };
    Problem::new(format!(
        "Container {} of pod {pod} runs on {node} without volume {}: {what}, and what it writes there goes to the node's own disk.",
        inside.container, volume.spec_name
    ))
    .because("mount in the container", value, format!("mount table of process {}, {}", inside.process, inside.path))
    .because("mount at the target path", on_host(published), format!("host's mount table, {target}"))
    .next("See on the node what the container has.", format!("grep ' {} ' /proc/{}/mountinfo", inside.path, inside.process))
    .advise("Stop the writing and copy what was written to the node's disk: it is lost with the container.")
    .next(
        "Let the kubelet publish it again by making the pod anew.",
        format!("kubectl delete pod -n {} {}", pod.namespace, pod.name),
    )
    .related(volume.related())
}

pub(super) fn unstaged(node: &NodeName, volume: &Volume, published: &Published, mount: &Mount) -> Problem {
    let Published { pod, target, .. } = published;
    let problem = Problem::new(format!(
        "Pod {pod} runs on {node} with an empty directory of the node in place of volume {}: its stage was published before the volume was mounted there, and what the pod writes goes to the node's own disk.",
        volume.spec_name
    ))
    .because("mount at the target path", format!("{} of {}", mount.root, mount.source), format!("host's mount table, {target}"));
    let problem = match (&volume.staging, &volume.staged) {
        (Some(staging), Observed::Known(None)) => problem.because("mount in the stage", "none", format!("host's mount table, {staging}")),
        (Some(staging), Observed::Known(Some(staged))) => {
            problem.because("mount in the stage", format!("{} on {}", staged.fs_type, staged.source), format!("host's mount table, {staging}"))
        }
        _ => problem,
    };
    problem
        .next("See on the node what the pod has.", format!("findmnt --mountpoint {}", quote(target)))
        .advise("Stop the writing and copy what was written away: it lies below the staging directory on the node's disk, and is hidden once the volume is mounted there.")
        .next(
            "Let the kubelet stage and publish it again by making the pod anew.",
            format!("kubectl delete pod -n {} {}", pod.namespace, pod.name),
        )
        .related(volume.related())
}

pub(super) fn lost_device(node: &NodeName, volume: &Volume, published: &Published) -> Problem {
    let Published { pod, target, .. } = published;
    Problem::new(format!(
        "Pod {pod} runs on {node}, and there is no device where the kubelet published raw block volume {}: after its next restart the pod has none.",
        volume.spec_name
    ))
    .severity(Severity::Warning)
    .because("device at the target path", "none: neither a mount nor a device node", format!("host's mount table, {target}"))
    .next("See on the node what is at the path.", format!("findmnt --mountpoint {0}; ls -l {0}", quote(target)))
    .advise("A container that runs still has its own node of the device: let it finish or save its data before it restarts.")
    .next(
        "Let the kubelet publish it again by making the pod anew.",
        format!("kubectl delete pod -n {} {}", pod.namespace, pod.name),
    )
    .related(volume.related())
}

pub(super) fn driver_only(node: &NodeName, volume: &Volume, published: &Published, place: &Elsewhere) -> Problem {
    let Published { pod, target, .. } = published;
    Problem::new(format!(
        "Volume {} of pod {pod} is mounted on {node} for process {} ({}) alone: neither the host nor the pod has it, and what the pod writes goes to the node's own disk.",
        volume.spec_name, place.process, place.name
    ))
    .because("mount at the target path", "none", format!("host's mount table, {target}"))
    .because(
        "mount elsewhere",
        format!("{} on {}", place.fs_type, place.source),
        format!("mount table of process {}", place.process),
    )
    .next("See on the node whose process it is.", format!("cat /proc/{0}/cgroup; grep ' {target} ' /proc/{0}/mountinfo", place.process))
    .advise(format!(
        "Mount the kubelet's directory with mountPropagation: Bidirectional into the container of driver {} (which needs privileged), and at the path that it has on the host.",
        volume.driver
    ))
    .advise("Copy what the pod wrote meanwhile from the node's disk: it is lost with the pod.")
    .next(
        "When the driver is mended, make the pod anew.",
        format!("kubectl delete pod -n {} {}", pod.namespace, pod.name),
    )
    .related(volume.related())
}

pub(super) fn lost_on_host(node: &NodeName, volume: &Volume, published: &Published) -> Problem {
    let Published { pod, target, .. } = published;
    let problem = Problem::new(format!(
        "Pod {pod} runs on {node}, and the host has no mount of volume {} at its target path: what the pod writes after its next restart goes to the node's own disk.",
        volume.spec_name
    ))
    .severity(Severity::Warning)
    .because("mount at the target path", "none", format!("host's mount table, {target}"));
    let held = published.inside.known().and_then(|inside| inside.first());
    let problem = match held {
        Some(held) => problem.because(
            "mount in the container",
            held.mount.as_ref().map_or_else(|| "none".to_owned(), |mount| format!("{} on {}", mount.fs_type, mount.source)),
            format!("mount table of process {}, {}", held.process, held.path),
        ),
        None => problem.because("pod", "running", format!("pod {pod}")),
    };
    let problem = problem.next("See on the node whether the path is a mount.", format!("findmnt --mountpoint {}", quote(target)));
    let problem = if held.is_some() {
        problem.advise("The container still holds the volume: let it finish or save its data before it restarts.")
    } else {
        problem.next(
            "See what the pod itself has: the container may still hold the volume.",
            format!("kubectl exec -n {} {} -- cat /proc/self/mountinfo", pod.namespace, pod.name),
        )
    };
    problem
        .next(
            "Let the kubelet publish it again by making the pod anew.",
            format!("kubectl delete pod -n {} {}", pod.namespace, pod.name),
        )
        .related(volume.related())
}

fn on_host(published: &Published) -> String {
    match &published.mount {
        Observed::Known(Some(mount)) => format!("{} on {}", mount.fs_type, mount.source),
        Observed::Known(None) => "none".to_owned(),
        Observed::Unknown(gap) => format!("not known: {gap}"),
    }
}
