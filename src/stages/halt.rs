//! What was said of a volume that a pod waits for: at which step it was, and what the words mean.
//!
//! Sources: Kubernetes `pkg/volume/util/operationexecutor`, `pkg/kubelet/volumemanager`,
//! `pkg/controller/volume/attachdetach/reconciler`.

use crate::causes;
use crate::model::cause::Classification;
use crate::model::names::DriverName;
use crate::model::objects::Event;
use crate::model::stage::MountStage;

/// How the kubelet begins when it gives up waiting for all volumes of a pod.
const ALL_VOLUMES: &str = "Unable to attach or mount volumes";

/// What such a message ends with when it says nothing of why.
const TIMED_OUT: &str = "timed out waiting for the condition";

/// A step at which somebody said that it fails.
pub(super) struct Halt<'a> {
    pub(super) stage: MountStage,
    pub(super) event: &'a Event,
    pub(super) told: Classification,
}

/// The last words about why a volume is not in its pod; `spec_name` is what the kubelet calls it, `name`
/// what the pod does.
pub(super) fn halt<'a>(
    said: &[&'a Event],
    spec_name: &str,
    name: &str,
    driver: Option<&DriverName>,
) -> Option<Halt<'a>> {
    let about = said
        .iter()
        .rev()
        .filter(|event| is_about(event, spec_name, name));
    for event in about {
        if event.reason == "SuccessfulAttachVolume" {
            // What was said of attaching before is over.
            return None;
        }
        if let Some(stage) = stage(event) {
            return Some(Halt {
                stage,
                event,
                told: causes::of_event(event, driver),
            });
        }
    }
    None
}

/// Whether an event of a pod is about one of its volumes: single ones are quoted, many listed in brackets.
fn is_about(event: &Event, spec_name: &str, name: &str) -> bool {
    let message = &event.message;
    let listed = |list: &str| list.split([',', ' ']).any(|one| one == name);
    let lists = message.match_indices("volumes=[").filter_map(|(at, open)| {
        let list = &message[at + open.len()..];
        list.split_once(']').map(|(list, _)| list)
    });
    message.contains(&format!("\"{spec_name}\"")) || lists.into_iter().any(listed)
}

/// The step that such an event says to fail.
fn stage(event: &Event) -> Option<MountStage> {
    let message = &event.message;
    let says = |words: &str| message.contains(words);
    if message.starts_with(ALL_VOLUMES) && message.trim_end().ends_with(TIMED_OUT) {
        return None;
    }
    match event.reason.as_str() {
        "FailedAttachVolume" if says("does not contain driver") => {
            Some(MountStage::DriverRegistered)
        }
        "FailedAttachVolume" => Some(MountStage::Attached),
        "FailedMount" | "FailedMapVolume" => Some(if says("list of registered CSI drivers") {
            MountStage::DriverRegistered
        } else if says("MountDevice failed") || says("SetUpDevice failed") {
            MountStage::Staged
        } else if says("SetUp failed") || says("Setup failed") || says("MapPodDevice failed") {
            MountStage::Published
        } else {
            MountStage::Attached
        }),
        _ => None,
    }
}

/// The last word of the scheduler that it found no node.
pub(super) fn unscheduled<'a>(said: &[&'a Event]) -> Option<&'a Event> {
    let mut said = said.iter().rev();
    said.find(|event| event.reason == "FailedScheduling")
        .copied()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::expect;

    use crate::model::finding::Object;
    use crate::model::sample;

    use super::*;

    fn event(reason: &str, message: &str) -> Event {
        Event {
            about: Object::Pod(sample::pod("orders-0", "u")),
            by: "kubelet".to_owned(),
            warning: true,
            reason: reason.to_owned(),
            message: message.to_owned(),
            at: None,
        }
    }

    #[test]
    fn words_name_the_step_that_fails() {
        let mut shown = String::new();
        for (reason, message) in [
            (
                "FailedAttachVolume",
                r#"AttachVolume.Attach failed for volume "pvc-1" : timed out waiting for external-attacher of d CSI driver to attach volume v"#,
            ),
            (
                "FailedAttachVolume",
                r#"AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = Internal desc = CSINode n does not contain driver d"#,
            ),
            (
                "FailedMount",
                r#"MountVolume.WaitForAttach failed for volume "pvc-1" : volume attachment is being deleted"#,
            ),
            (
                "FailedMount",
                r#"MountVolume.MountDevice failed for volume "pvc-1" : kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: driver name d not found in the list of registered CSI drivers"#,
            ),
            (
                "FailedMount",
                r#"MountVolume.MountDevice failed for volume "pvc-1" : rpc error"#,
            ),
            (
                "FailedMapVolume",
                r#"MapVolume.SetUpDevice failed for volume "pvc-1" : rpc error"#,
            ),
            (
                "FailedMount",
                r#"MountVolume.SetUp failed for volume "pvc-1" : rpc error"#,
            ),
            (
                "FailedMount",
                "Unable to attach or mount volumes: unmounted volumes=[logs data], unattached volumes=[], failed to process volumes=[data]: error processing PVC shop/data: not found",
            ),
            (
                "FailedMount",
                "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[]: timed out waiting for the condition",
            ),
            (
                "FailedMount",
                r#"MountVolume.SetUp failed for volume "kube-api-access" : object not registered"#,
            ),
            (
                "SuccessfulAttachVolume",
                r#"AttachVolume.Attach succeeded for volume "pvc-1" "#,
            ),
        ] {
            let said = event(reason, message);
            let halt = halt(&[&said], "pvc-1", "data", None);
            let stage = halt.map(|halt| halt.stage);
            let _ = writeln!(shown, "{stage:?}");
        }
        expect![[r#"
            Some(Attached)
            Some(DriverRegistered)
            Some(Attached)
            Some(DriverRegistered)
            Some(Staged)
            Some(Staged)
            Some(Published)
            Some(Attached)
            None
            None
            None
        "#]]
        .assert_eq(&shown);
    }
}
