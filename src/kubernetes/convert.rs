//! Kubernetes' own types to the model: the little of each object that rules read.
//!
//! A conversion fails where the object says something that cannot be: then that object is missing,
//! with a reason, rather than half there.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::storage::v1 as storage;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use crate::model::finding::Object;
use crate::model::names::{ClaimRef, PodRef};
use crate::model::objects::{
    Attachment, Claim, Class, Condition, CsiNode, CsiSource, Event, PersistentVolume, Pod,
    PodState, PodVolume, PodVolumeSource, VolumeMode,
};
use crate::model::sizes::Bytes;

use super::quantity::{QuantityError, parse_bytes};

/// Where an owner says which findings about a claim are not to be counted.
const SILENCE: &str = "csi-doctor.io/silence";

/// Where the resizer says that the controller did everything (external-resizer 2.x,
/// `pkg/controller/expand_and_recover.go`).
const NODE_EXPANSION_NOT_REQUIRED: &str = "volume.kubernetes.io/node-expansion-not-required";

/// The words of an event that are kept, in characters.
const EVENT_WORDS: usize = 1024;

/// Where the resizer keeps the claim's size from before a controller expansion that needs the node
/// (external-resizer, `pkg/util`).
const PRE_RESIZE_CAPACITY: &str = "volume.alpha.kubernetes.io/pre-resize-capacity";

/// What cannot be in an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An object without a name is none.
    #[error("it has no metadata.name")]
    NoName,
    /// A quantity that is none.
    #[error("{field} is {text:?}: {source}")]
    Quantity {
        /// Where it stands.
        field: &'static str,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        source: QuantityError,
    },
}

/// A pod.
pub fn pod(pod: core::Pod) -> Result<Pod, Error> {
    let metadata = pod.metadata;
    let spec = pod.spec.unwrap_or_default();
    let status = pod.status.unwrap_or_default();
    let state = pod_state(metadata.deletion_timestamp.is_some(), &status);
    let reference = PodRef {
        name: name(&metadata)?,
        namespace: namespace(metadata.namespace),
        uid: metadata.uid.unwrap_or_default().into(),
    };
    let volumes = spec
        .volumes
        .unwrap_or_default()
        .into_iter()
        .filter_map(|volume| pod_volume(&reference.name, volume))
        .collect();
    Ok(Pod {
        pod: reference,
        node: given(spec.node_name).map(Into::into),
        state,
        started: time(status.start_time),
        volumes,
    })
}

/// How far a pod is, of its own words alone.
fn pod_state(being_deleted: bool, status: &core::PodStatus) -> PodState {
    if being_deleted {
        return PodState::Ending;
    }
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return PodState::Done;
    }
    // Volumes are mounted before the first container starts, an init container included.
    let started = status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .flatten()
        .any(was_started);
    if started {
        PodState::Running
    } else {
        PodState::Starting
    }
}

fn was_started(container: &core::ContainerStatus) -> bool {
    let is_or_was =
        |state: &core::ContainerState| state.running.is_some() || state.terminated.is_some();
    container.started == Some(true)
        || container.restart_count > 0
        || container.state.as_ref().is_some_and(is_or_was)
        || container.last_state.as_ref().is_some_and(is_or_was)
}

/// A volume that is storage; the others are none of ours.
fn pod_volume(pod: &str, volume: core::Volume) -> Option<PodVolume> {
    let (source, read_only) = if let Some(claim) = volume.persistent_volume_claim {
        (PodVolumeSource::Claim(claim.claim_name), claim.read_only)
    } else if volume.ephemeral.is_some() {
        // The claim that the controller makes for it is named so (`ephemeral.VolumeClaimName`).
        let claim = format!("{pod}-{}", volume.name);
        (PodVolumeSource::Claim(claim), None)
    } else {
        let csi = volume.csi?;
        (PodVolumeSource::InlineCsi(csi.driver.into()), csi.read_only)
    };
    Some(PodVolume {
        name: volume.name,
        source,
        read_only: read_only.unwrap_or(false),
    })
}

/// A claim.
pub fn claim(claim: core::PersistentVolumeClaim) -> Result<Claim, Error> {
    let metadata = claim.metadata;
    let spec = claim.spec.unwrap_or_default();
    let status = claim.status.unwrap_or_default();
    let requests = spec.resources.and_then(|resources| resources.requests);
    let annotation = |name: &str| metadata.annotations.as_ref()?.get(name).cloned();
    let made_from = spec.data_source_ref.map(|from| (from.kind, from.name));
    let made_from = made_from.or_else(|| spec.data_source.map(|from| (from.kind, from.name)));
    Ok(Claim {
        bound: status.phase.as_deref() == Some("Bound"),
        volume: given(spec.volume_name).map(Into::into),
        class: given(spec.storage_class_name).map(Into::into),
        access_modes: spec.access_modes.unwrap_or_default(),
        request: storage_in(requests.as_ref(), "spec.resources.requests.storage")?,
        allocated: storage_in(
            status.allocated_resources.as_ref(),
            "status.allocatedResources.storage",
        )?,
        resize_status: status
            .allocated_resource_statuses
            .and_then(|mut statuses| given(statuses.remove("storage"))),
        capacity: storage_in(status.capacity.as_ref(), "status.capacity.storage")?,
        conditions: status
            .conditions
            .unwrap_or_default()
            .into_iter()
            .filter(|condition| condition.status == "True")
            .map(|condition| Condition {
                kind: condition.type_,
                message: condition.message.unwrap_or_default(),
                since: time(condition.last_transition_time),
            })
            .collect(),
        node_expansion_not_required: annotation(NODE_EXPANSION_NOT_REQUIRED).as_deref()
            == Some("true"),
        made_from: made_from.map(|(kind, name)| format!("{kind} {name}")),
        silence: annotation(SILENCE),
        claim: ClaimRef {
            name: name(&metadata)?,
            namespace: namespace(metadata.namespace),
            uid: metadata.uid.unwrap_or_default().into(),
        },
    })
}

/// A `PersistentVolume`.
pub fn persistent_volume(volume: core::PersistentVolume) -> Result<PersistentVolume, Error> {
    let metadata = volume.metadata;
    let spec = volume.spec.unwrap_or_default();
    let before = metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(PRE_RESIZE_CAPACITY))
        .map(|text| {
            bytes(
                text,
                "annotation volume.alpha.kubernetes.io/pre-resize-capacity",
            )
        })
        .transpose()?;
    Ok(PersistentVolume {
        name: name(&metadata)?.into(),
        uid: metadata.uid.unwrap_or_default().into(),
        capacity: storage_in(spec.capacity.as_ref(), "spec.capacity.storage")?,
        claim: spec.claim_ref.map(|claim| ClaimRef {
            namespace: claim.namespace.unwrap_or_default(),
            name: claim.name.unwrap_or_default(),
            uid: claim.uid.unwrap_or_default().into(),
        }),
        csi: spec.csi.map(|csi| CsiSource {
            driver: csi.driver.into(),
            handle: csi.volume_handle.into(),
            read_only: csi.read_only.unwrap_or(false),
        }),
        mode: match spec.volume_mode.as_deref() {
            Some("Block") => VolumeMode::Block,
            _ => VolumeMode::Filesystem,
        },
        access_modes: spec.access_modes.unwrap_or_default(),
        mount_options: spec.mount_options.unwrap_or_default(),
        capacity_before_resize: before,
    })
}

/// A VolumeAttachment.
pub fn attachment(attachment: storage::VolumeAttachment) -> Result<Attachment, Error> {
    let status = attachment.status.unwrap_or_default();
    Ok(Attachment {
        name: name(&attachment.metadata)?,
        driver: attachment.spec.attacher.into(),
        volume: given(attachment.spec.source.persistent_volume_name).map(Into::into),
        node: attachment.spec.node_name.into(),
        attached: status.attached,
        error: status.attach_error.and_then(|error| given(error.message)),
    })
}

/// A CSINode, which has the name of its node.
pub fn csi_node(node: storage::CSINode) -> Result<CsiNode, Error> {
    Ok(CsiNode {
        node: name(&node.metadata)?.into(),
        drivers: node
            .spec
            .drivers
            .into_iter()
            .map(|driver| driver.name.into())
            .collect(),
    })
}

/// A StorageClass.
pub fn class(class: storage::StorageClass) -> Result<Class, Error> {
    Ok(Class {
        name: name(&class.metadata)?.into(),
        provisioner: class.provisioner.into(),
        expandable: class.allow_volume_expansion.unwrap_or(false),
    })
}

/// An event about a claim, a volume or a pod; nothing for one about anything else.
pub fn event(event: core::Event) -> Result<Option<Event>, Error> {
    name(&event.metadata)?;
    let object = event.involved_object;
    let (kind, uid) = (object.kind, object.uid.unwrap_or_default().into());
    let (namespace, name) = (namespace(object.namespace), object.name.unwrap_or_default());
    let about = match kind.as_deref() {
        Some("PersistentVolumeClaim") => Object::Claim(ClaimRef {
            namespace,
            name,
            uid,
        }),
        Some("Pod") => Object::Pod(PodRef {
            namespace,
            name,
            uid,
        }),
        Some("PersistentVolume") => Object::PersistentVolume(name.into(), uid),
        _ => return Ok(None),
    };
    let source = event.source.and_then(|source| source.component);
    let seen_last = event.series.and_then(|series| series.last_observed_time);
    Ok(Some(Event {
        about,
        by: given(source)
            .or_else(|| given(event.reporting_component))
            .unwrap_or_default(),
        warning: event.type_.as_deref() == Some("Warning"),
        reason: event.reason.unwrap_or_default(),
        message: event
            .message
            .unwrap_or_default()
            .chars()
            .take(EVENT_WORDS)
            .collect(),
        // The scheduler's have an `eventTime` only.
        at: seen_last
            .or(event.event_time)
            .map(|at| at.0)
            .into_iter()
            .chain(time(event.last_timestamp))
            .max(),
    }))
}

fn name(metadata: &ObjectMeta) -> Result<String, Error> {
    given(metadata.name.clone()).ok_or(Error::NoName)
}

/// A manifest without a namespace is for the default one.
fn namespace(namespace: Option<String>) -> String {
    given(namespace).unwrap_or_else(|| "default".to_owned())
}

/// Kubernetes often writes an absent text as an empty one.
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn time(time: Option<Time>) -> Option<jiff::Timestamp> {
    time.map(|time| time.0)
}

fn storage_in(
    list: Option<&BTreeMap<String, Quantity>>,
    field: &'static str,
) -> Result<Option<Bytes>, Error> {
    list.and_then(|list| list.get("storage"))
        .map(|quantity| bytes(&quantity.0, field))
        .transpose()
}

fn bytes(text: &str, field: &'static str) -> Result<Bytes, Error> {
    parse_bytes(text).map_err(|source| Error::Quantity {
        field,
        text: text.chars().take(40).collect(),
        source,
    })
}

#[cfg(test)]
#[allow(
    clippy::needless_raw_string_hashes,
    reason = "the goldens' library writes them so"
)]
mod tests {
    use std::fmt::Write;

    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    use super::*;

    fn check(pods: &[(&str, Value)], expected: &Expect) {
        let mut shown = String::new();
        for (words, value) in pods {
            let mut value = value.clone();
            value["metadata"]["name"] = "web".into();
            let pod = pod(serde_json::from_value(value).unwrap()).unwrap();
            writeln!(shown, "{words}: {:?}", pod.state).unwrap();
        }
        expected.assert_eq(&shown);
    }

    fn container(state: &Value, more: &Value) -> Value {
        let mut container = json!({
            "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state,
        });
        if let (Some(container), Some(more)) = (container.as_object_mut(), more.as_object()) {
            container.extend(more.clone());
        }
        container
    }

    #[test]
    fn how_far_a_pod_is() {
        let status = |status: Value| json!({ "status": status });
        let of =
            |list: &str, container: Value| status(json!({ "phase": "Pending", list: [container] }));
        let waiting = json!({ "waiting": { "reason": "ContainerCreating" } });
        let running = json!({ "running": { "startedAt": "2026-11-01T10:00:00Z" } });
        let ended = json!({ "terminated": { "exitCode": 1 } });
        let none = json!({});
        check(
            &[
                ("without a status", json!({})),
                ("without containers", status(json!({ "phase": "Pending" }))),
                (
                    "waiting",
                    of("containerStatuses", container(&waiting, &none)),
                ),
                (
                    "running",
                    of("containerStatuses", container(&running, &none)),
                ),
                (
                    "ended once",
                    of("containerStatuses", container(&ended, &none)),
                ),
                (
                    "ended and waiting again",
                    of(
                        "containerStatuses",
                        container(&waiting, &json!({ "lastState": ended })),
                    ),
                ),
                (
                    "restarted",
                    of(
                        "containerStatuses",
                        container(&waiting, &json!({ "restartCount": 2 })),
                    ),
                ),
                (
                    "initialising",
                    of("initContainerStatuses", container(&running, &none)),
                ),
                ("succeeded", status(json!({ "phase": "Succeeded" }))),
                ("failed", status(json!({ "phase": "Failed" }))),
                (
                    "being deleted",
                    json!({ "metadata": { "deletionTimestamp": "2026-11-01T10:00:00Z" }, "status": { "phase": "Failed" } }),
                ),
            ],
            &expect![[r#"
                without a status: Starting
                without containers: Starting
                waiting: Starting
                running: Running
                ended once: Running
                ended and waiting again: Running
                restarted: Running
                initialising: Running
                succeeded: Done
                failed: Done
                being deleted: Ending
            "#]],
        );
    }
}
