//! Kubernetes' own types to the model: the little of each object that rules read.
//!
//! A conversion fails where the object says something that cannot be: then that object is missing,
//! with a reason, rather than half there.

mod event;
mod health;
mod pod;
mod terms;

pub use event::event;
pub use health::{claim_health, csi_node_health, pod_health};
pub use pod::pod;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::storage::v1 as storage;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::core::PartialObjectMeta;

use crate::model::driver::Registration;
use crate::model::names::{ClaimRef, NodeName};
use crate::model::objects::{
    Attachment, Claim, Class, Condition, CsiDriver, CsiNode, CsiSource, PersistentVolume,
};
use crate::model::sizes::Bytes;

use crate::kubernetes::quantity::{QuantityError, parse_bytes};

/// Where an owner says which findings about a claim are not to be counted.
const SILENCE: &str = "csi-doctor.io/silence";

/// Where the resizer says that the controller did everything (external-resizer 2.x,
/// `pkg/controller/expand_and_recover.go`).
const NODE_EXPANSION_NOT_REQUIRED: &str = "volume.kubernetes.io/node-expansion-not-required";

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

/// A claim.
pub fn claim(claim: core::PersistentVolumeClaim) -> Result<Claim, Error> {
    let terms = Some(Box::new(terms::of_claim(&claim)));
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
        health: Vec::new(),
        terms,
        claim: ClaimRef {
            name: name(&metadata)?.into(),
            namespace: namespace(metadata.namespace).into(),
            uid: metadata.uid.unwrap_or_default().into(),
        },
    })
}

/// A `PersistentVolume`.
pub fn persistent_volume(volume: core::PersistentVolume) -> Result<PersistentVolume, Error> {
    let terms = Some(Box::new(terms::of_volume(&volume)));
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
            namespace: claim.namespace.unwrap_or_default().into(),
            name: claim.name.unwrap_or_default().into(),
            uid: claim.uid.unwrap_or_default().into(),
        }),
        csi: spec.csi.map(|csi| CsiSource {
            driver: csi.driver.into(),
            handle: csi.volume_handle.into(),
            read_only: csi.read_only.unwrap_or(false),
        }),
        mode: terms::mode(spec.volume_mode.as_deref()),
        access_modes: spec.access_modes.unwrap_or_default(),
        mount_options: spec.mount_options.unwrap_or_default(),
        capacity_before_resize: before,
        terms,
    })
}

/// A VolumeAttachment.
pub fn attachment(attachment: storage::VolumeAttachment) -> Result<Attachment, Error> {
    let terms = Some(Box::new(terms::of_attachment(&attachment)));
    let status = attachment.status.unwrap_or_default();
    Ok(Attachment {
        terms,
        name: name(&attachment.metadata)?,
        driver: attachment.spec.attacher.into(),
        volume: given(attachment.spec.source.persistent_volume_name).map(Into::into),
        node: attachment.spec.node_name.into(),
        attached: status.attached,
        error: status.attach_error.and_then(|error| given(error.message)),
    })
}

/// A Node: its name.
pub fn node(node: &PartialObjectMeta<core::Node>) -> Result<NodeName, Error> {
    Ok(name(&node.metadata)?.into())
}

/// A CSINode, which has the name of its node.
pub fn csi_node(node: storage::CSINode) -> Result<CsiNode, Error> {
    Ok(CsiNode {
        node: name(&node.metadata)?.into(),
        drivers: node
            .spec
            .drivers
            .into_iter()
            .map(|driver| {
                let count = driver.allocatable.and_then(|allocatable| allocatable.count);
                let registration = Registration {
                    node_id: driver.node_id,
                    allocatable: count.and_then(|count| u32::try_from(count).ok()),
                };
                (driver.name.into(), registration)
            })
            .collect(),
        health: Vec::new(),
    })
}

/// A CSIDriver; volumes are attached where it does not say otherwise.
pub fn csi_driver(driver: &storage::CSIDriver) -> Result<CsiDriver, Error> {
    Ok(CsiDriver {
        name: name(&driver.metadata)?.into(),
        attaches: driver.spec.attach_required.unwrap_or(true),
    })
}

/// A StorageClass.
pub fn class(class: storage::StorageClass) -> Result<Class, Error> {
    let terms = Some(Box::new(terms::of_class(&class)));
    Ok(Class {
        name: name(&class.metadata)?.into(),
        provisioner: class.provisioner.into(),
        expandable: class.allow_volume_expansion.unwrap_or(false),
        terms,
    })
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
