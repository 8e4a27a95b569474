//! The one thing to do about a volume that does not come into its pod, and the page about it.

use crate::causes::{Symptom, classify};
use crate::model::cause::{CauseId, Classification, Confidence};
use crate::model::finding::{NextStep, Object, quote};
use crate::model::observed::{Observed, Why};
use crate::model::stage::MountStage;
use crate::stages::halt;
use crate::stages::place::{Place, next};

/// Where it stands, what to do, and the code of the page that says more.
pub(super) fn mount(
    place: &Place<'_>,
    stage: MountStage,
) -> (Option<NextStep>, Option<&'static str>) {
    let pod = &place.pod.pod;
    let describe = format!(
        "kubectl describe pod -n {} {}",
        quote(&pod.namespace),
        quote(&pod.name)
    );
    let next = match stage {
        MountStage::Scheduled if place.is_nowhere() => return (Some(nowhere(place)), None),
        MountStage::Scheduled => {
            let said = place.told.said(&Object::Pod(pod.clone()));
            let told = halt::unscheduled(&said).map(|event| {
                classify(&Symptom {
                    text: &event.message,
                    reason: Some("FailedScheduling"),
                    kind: Some("event"),
                    ..Symptom::default()
                })
            });
            let what = match told {
                Some(told) if told.cause.is_some() => what_to_do(&told),
                // Most of what it looks at is not storage.
                Some(_) => format!(
                    "See why the scheduler finds no node for pod {pod}: its words name what each node lacks, and none that is known is about volumes."
                ),
                None => format!("See what the scheduler says of pod {pod}."),
            };
            return (Some(next(what, describe)), None);
        }
        MountStage::Attached => return attached(place, describe),
        MountStage::DriverRegistered => return registered(place),
        MountStage::Staged | MountStage::Published => return unmounted(place, describe),
        MountStage::Answers => {
            let code = match &place.view {
                Ok((_, published))
                    if published
                        .usage
                        .gap()
                        .is_some_and(|gap| gap.why == Why::Stale) =>
                {
                    "StaleMount"
                }
                _ => "MountUnresponsive",
            };
            return (
                Some(explain(
                    "It is mounted, and what is behind it does not answer: find out whether the storage is up.",
                    code,
                )),
                Some(code),
            );
        }
        MountStage::Writable => {
            let code = "UnexpectedReadOnly";
            return (
                Some(explain(
                    "Look in the node's kernel log for the error that came before.",
                    code,
                )),
                Some(code),
            );
        }
        MountStage::PodStarted => next(
            "Its volumes are mounted; what the pod waits for is something else.",
            describe,
        ),
    };
    (Some(next), None)
}

fn explain(what: &str, code: &str) -> NextStep {
    next(what, format!("kubectl csi-doctor explain {code}"))
}

fn attached(place: &Place<'_>, describe: String) -> (Option<NextStep>, Option<&'static str>) {
    if let Observed::Known(None) = place.persistent {
        let what = match &place.claim {
            Observed::Known(Some(claim)) => next(
                "The claim has no volume: follow its binding.",
                format!(
                    "kubectl csi-doctor diagnose pvc {} -n {}",
                    quote(&claim.claim.name),
                    quote(&claim.claim.namespace)
                ),
            ),
            _ => next("The pod names a claim that is not there.", describe),
        };
        return (Some(what), None);
    }
    let attachment = place.attachment();
    let attachment = attachment.known().copied().flatten();
    let see =
        attachment.map(|one| format!("kubectl get volumeattachment {} -o yaml", quote(&one.name)));
    if place.full().is_some() {
        let what = "The node has as many volumes of the driver as it allows: let the pod go to another node, or let go of a volume there.";
        return (
            Some(next(what, see.unwrap_or(describe))),
            Some("AttachLimitReached"),
        );
    }
    let error = attachment.and_then(|one| one.error.as_deref());
    let told = error.map(|error| place.meant(error));
    let told = told.as_ref().or(place.halt.as_ref().map(|halt| &halt.told));
    if let Some(who) = place.elsewhere().filter(|_| told.is_none_or(may_be_rival)) {
        let what = format!(
            "{who}, and the volume can be attached to one node at a time (ReadWriteOnce): let both pods run on one node, or give each a claim of its own; if the other one is to go, wait until it has."
        );
        let command = format!(
            "kubectl get pods -n {} -o wide",
            quote(&place.pod.pod.namespace)
        );
        return (
            Some(next(upper(&what), command)),
            Some("PodWaitingOnVolume"),
        );
    }
    if let Some(told) = told {
        let command = see.filter(|_| error.is_some()).unwrap_or(describe);
        return (
            Some(next(what_to_do(told), command)),
            Some("PodWaitingOnVolume"),
        );
    }
    if attachment.is_none() {
        let what = "Nobody has asked for it to be attached, which Kubernetes' attach-detach controller does: see what it says, and whether kube-controller-manager runs.";
        return (Some(next(what, describe)), Some("PodWaitingOnVolume"));
    }
    let what = "Nobody says why: the log of the driver's external-attacher does; where there is none, nobody attaches.";
    (
        Some(next(what, see.unwrap_or(describe))),
        Some("PodWaitingOnVolume"),
    )
}

/// Of a pod on a node that is not there.
fn nowhere(place: &Place<'_>) -> NextStep {
    let node = place.pod.node.as_ref();
    let node = node.map(ToString::to_string).unwrap_or_default();
    let what = format!(
        "There is no node {node}: make pod {} anew without that nodeName, so that the scheduler chooses a node that is there.",
        place.pod.pod
    );
    next(what, "kubectl get nodes")
}

/// Whether such words may be about another node that has the volume.
fn may_be_rival(told: &Classification) -> bool {
    use CauseId::{MultiAttachPreviousNode, StaleAttachmentDeadNode, VolumeInUseElsewhere};
    told.cause.is_none_or(|cause| {
        let of_rivals = [
            MultiAttachPreviousNode,
            StaleAttachmentDeadNode,
            VolumeInUseElsewhere,
        ];
        of_rivals.contains(&cause.id)
    })
}

/// What is to be done about somebody's words; where they can mean more than one thing, of which one.
fn what_to_do(told: &Classification) -> String {
    match told.cause {
        Some(cause) if cause.confidence == Confidence::Likely => {
            format!("Likely {}: {}", cause.id, told.next)
        }
        _ => told.next.to_owned(),
    }
}

/// With a capital.
fn upper(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next();
    first
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect()
}

fn registered(place: &Place<'_>) -> (Option<NextStep>, Option<&'static str>) {
    let node = place
        .pod
        .node
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let unreachable = place
        .driver
        .is_some_and(|driver| driver.plugin.known().is_none());
    let code = if unreachable {
        "DriverUnreachable"
    } else {
        "DriverNotRegistered"
    };
    let what = "See whether the driver's pod runs on that node, and what its registrar says.";
    let command = format!(
        "kubectl get pods -A -o wide --field-selector spec.nodeName={}",
        quote(node)
    );
    (Some(next(what, command)), Some(code))
}

fn unmounted(place: &Place<'_>, describe: String) -> (Option<NextStep>, Option<&'static str>) {
    if let Some(halt) = &place.halt {
        return (
            Some(next(what_to_do(&halt.told), describe)),
            Some("MountFailed"),
        );
    }
    let node = place.pod.node.as_ref();
    let node = node.map(ToString::to_string).unwrap_or_default();
    let command = kubelet_log(&node, place.spec_name());
    let what = "No event says why: the kubelet's log on the node does.";
    (Some(next(what, command)), Some("PodWaitingOnVolume"))
}

/// The command that shows what the kubelet of a node logged of a volume.
pub fn kubelet_log(node: &str, volume: &str) -> String {
    format!(
        "kubectl debug node/{} -it --profile=sysadmin --image=busybox -- chroot /host journalctl -u kubelet --since=-1h --no-pager | grep {}",
        quote(node),
        quote(volume)
    )
}
