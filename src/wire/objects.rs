//! Kubernetes objects and references to them.

use crate::model::finding::{Object, Subject};
use crate::model::names::{ClaimRef, PodRef};
use crate::model::objects::{
    Attachment, Claim, Class, Condition, CsiSource, Event, PersistentVolume, VolumeMode,
};
use crate::model::sizes::Bytes;
use crate::proto::v1;
use crate::wire::WireError;
use crate::wire::value::{
    all, name, nanoseconds, optional, required, text, timestamp, word, words,
};

impl From<&Object> for v1::ObjectRef {
    fn from(object: &Object) -> Self {
        Self {
            kind: object.kind().to_owned(),
            namespace: object.namespace().unwrap_or_default().to_owned(),
            name: object.name().to_owned(),
            uid: object
                .uid()
                .map(|uid| uid.as_str().to_owned())
                .unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::ObjectRef> for Object {
    type Error = WireError;

    fn try_from(object: v1::ObjectRef) -> Result<Self, WireError> {
        let kind = required("kind", object.kind.clone())?;
        if object.name.is_empty() && object.uid.is_empty() {
            return Err(WireError::missing("name"));
        }
        Ok(match kind.as_str() {
            "claim" => Self::Claim(object.into()),
            "pod" => Self::Pod(object.into()),
            "volume" => Self::PersistentVolume(name(object.name).into(), name(object.uid).into()),
            "driver" => Self::Driver(name(object.name).into()),
            "node" => Self::Node(name(object.name).into()),
            "server" => Self::Server(name(object.name).into()),
            _ => {
                return Err(WireError::Unknown {
                    field: "kind".to_owned(),
                    word: word(kind),
                });
            }
        })
    }
}

impl From<v1::ObjectRef> for ClaimRef {
    fn from(object: v1::ObjectRef) -> Self {
        Self {
            namespace: name(object.namespace).into(),
            name: name(object.name).into(),
            uid: name(object.uid).into(),
        }
    }
}

impl From<v1::ObjectRef> for PodRef {
    fn from(object: v1::ObjectRef) -> Self {
        Self {
            namespace: name(object.namespace).into(),
            name: name(object.name).into(),
            uid: name(object.uid).into(),
        }
    }
}

impl From<&ClaimRef> for v1::ObjectRef {
    fn from(claim: &ClaimRef) -> Self {
        Self {
            kind: "claim".to_owned(),
            namespace: String::from(&claim.namespace),
            name: String::from(&claim.name),
            uid: claim.uid.as_str().to_owned(),
        }
    }
}

impl From<&PodRef> for v1::ObjectRef {
    fn from(pod: &PodRef) -> Self {
        Self {
            kind: "pod".to_owned(),
            namespace: String::from(&pod.namespace),
            name: String::from(&pod.name),
            uid: pod.uid.as_str().to_owned(),
        }
    }
}

impl From<&Subject> for v1::Subject {
    fn from(subject: &Subject) -> Self {
        Self {
            object: Some((&subject.object).into()),
            node: subject.node.as_ref().map(|node| node.as_str().to_owned()),
        }
    }
}

impl TryFrom<v1::Subject> for Subject {
    type Error = WireError;

    fn try_from(subject: v1::Subject) -> Result<Self, WireError> {
        Ok(Self {
            object: optional("object", subject.object)?
                .ok_or_else(|| WireError::missing("object"))?,
            node: subject
                .node
                .filter(|node| !node.is_empty())
                .map(|node| name(node).into()),
        })
    }
}

impl From<&Claim> for v1::Claim {
    fn from(claim: &Claim) -> Self {
        Self {
            namespace: String::from(&claim.claim.namespace),
            name: String::from(&claim.claim.name),
            uid: claim.claim.uid.as_str().to_owned(),
            bound: claim.bound,
            volume: claim.volume.as_ref().map(ToString::to_string),
            class: claim.class.as_ref().map(ToString::to_string),
            access_modes: claim.access_modes.clone(),
            request: claim.request.map(|bytes| bytes.0),
            allocated: claim.allocated.map(|bytes| bytes.0),
            resize_status: claim.resize_status.clone(),
            capacity: claim.capacity.map(|bytes| bytes.0),
            conditions: claim.conditions.iter().map(Into::into).collect(),
            silence: claim.silence.clone(),
            node_expansion_not_required: claim.node_expansion_not_required,
            made_from: claim.made_from.clone(),
            health: claim.health.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Claim> for Claim {
    type Error = WireError;

    fn try_from(claim: v1::Claim) -> Result<Self, WireError> {
        Ok(Self {
            claim: ClaimRef {
                namespace: name(claim.namespace).into(),
                name: name(required("name", claim.name)?).into(),
                uid: name(claim.uid).into(),
            },
            bound: claim.bound,
            volume: claim.volume.map(|volume| name(volume).into()),
            class: claim.class.map(|class| name(class).into()),
            access_modes: words(claim.access_modes),
            request: claim.request.map(Bytes),
            allocated: claim.allocated.map(Bytes),
            resize_status: claim.resize_status.map(word),
            capacity: claim.capacity.map(Bytes),
            conditions: all("conditions", claim.conditions)?,
            node_expansion_not_required: claim.node_expansion_not_required,
            made_from: claim.made_from.map(text),
            terms: None,
            silence: claim.silence.map(text),
            health: claim.health.into_iter().map(Into::into).collect(),
        })
    }
}

impl From<&Condition> for v1::ClaimCondition {
    fn from(condition: &Condition) -> Self {
        Self {
            kind: condition.kind.clone(),
            message: condition.message.clone(),
            since_ns: condition.since.map(nanoseconds),
        }
    }
}

impl TryFrom<v1::ClaimCondition> for Condition {
    type Error = WireError;

    fn try_from(condition: v1::ClaimCondition) -> Result<Self, WireError> {
        Ok(Self {
            kind: word(required("kind", condition.kind)?),
            message: text(condition.message),
            since: condition.since_ns.map(timestamp),
        })
    }
}

impl From<&PersistentVolume> for v1::PersistentVolume {
    fn from(volume: &PersistentVolume) -> Self {
        Self {
            name: volume.name.to_string(),
            uid: volume.uid.to_string(),
            capacity: volume.capacity.map(|bytes| bytes.0),
            claim: volume.claim.as_ref().map(Into::into),
            csi: volume.csi.as_ref().map(|csi| v1::CsiSource {
                driver: csi.driver.to_string(),
                handle: csi.handle.to_string(),
                read_only: csi.read_only,
            }),
            block: volume.mode == VolumeMode::Block,
            access_modes: volume.access_modes.clone(),
            mount_options: volume.mount_options.clone(),
            capacity_before_resize: volume.capacity_before_resize.map(|bytes| bytes.0),
        }
    }
}

impl TryFrom<v1::PersistentVolume> for PersistentVolume {
    type Error = WireError;

    fn try_from(volume: v1::PersistentVolume) -> Result<Self, WireError> {
        Ok(Self {
            name: name(required("name", volume.name)?).into(),
            uid: name(volume.uid).into(),
            capacity: volume.capacity.map(Bytes),
            claim: volume.claim.map(Into::into),
            csi: volume.csi.map(|csi| CsiSource {
                driver: name(csi.driver).into(),
                handle: name(csi.handle).into(),
                read_only: csi.read_only,
            }),
            mode: mode(volume.block),
            access_modes: words(volume.access_modes),
            mount_options: words(volume.mount_options),
            capacity_before_resize: volume.capacity_before_resize.map(Bytes),
            terms: None,
        })
    }
}

pub(super) fn mode(block: bool) -> VolumeMode {
    if block {
        VolumeMode::Block
    } else {
        VolumeMode::Filesystem
    }
}

impl From<&Attachment> for v1::Attachment {
    fn from(attachment: &Attachment) -> Self {
        Self {
            name: attachment.name.clone(),
            driver: attachment.driver.to_string(),
            volume: attachment.volume.as_ref().map(ToString::to_string),
            node: attachment.node.to_string(),
            attached: attachment.attached,
            error: attachment.error.clone(),
        }
    }
}

impl TryFrom<v1::Attachment> for Attachment {
    type Error = WireError;

    fn try_from(attachment: v1::Attachment) -> Result<Self, WireError> {
        Ok(Self {
            name: name(required("name", attachment.name)?),
            driver: name(attachment.driver).into(),
            volume: attachment.volume.map(|volume| name(volume).into()),
            node: name(attachment.node).into(),
            terms: None,
            attached: attachment.attached,
            error: attachment.error.map(text),
        })
    }
}

impl From<&Class> for v1::Class {
    fn from(class: &Class) -> Self {
        Self {
            name: class.name.to_string(),
            provisioner: class.provisioner.to_string(),
            expandable: class.expandable,
        }
    }
}

impl TryFrom<v1::Class> for Class {
    type Error = WireError;

    fn try_from(class: v1::Class) -> Result<Self, WireError> {
        Ok(Self {
            name: name(required("name", class.name)?).into(),
            provisioner: name(class.provisioner).into(),
            expandable: class.expandable,
            terms: None,
        })
    }
}

impl From<&Event> for v1::Event {
    fn from(event: &Event) -> Self {
        Self {
            about: Some((&event.about).into()),
            by: event.by.clone(),
            warning: event.warning,
            reason: event.reason.clone(),
            message: event.message.clone(),
            at_ns: event.at.map(nanoseconds),
        }
    }
}

impl TryFrom<v1::Event> for Event {
    type Error = WireError;

    fn try_from(event: v1::Event) -> Result<Self, WireError> {
        Ok(Self {
            about: optional("about", event.about)?.ok_or_else(|| WireError::missing("about"))?,
            by: word(event.by),
            warning: event.warning,
            reason: word(event.reason),
            message: text(event.message),
            at: event.at_ns.map(timestamp),
        })
    }
}
