//! One object as the API server sends it, turned into ours on arrival.
//!
//! Kubernetes' full types live only while an object is read: what is kept is the model's, a
//! fortieth of their size. An object that cannot be read is a value too, so that it is one gap and
//! not the end of its list. The same conversions serve the manifests directory.

use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::storage::v1 as storage;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::Resource;
use kube::core::PartialObjectMeta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::model::names::NodeName;
use crate::model::objects::{Attachment, Claim, Class, CsiNode, Event, PersistentVolume, Pod};

use super::convert;

/// A kind of objects that is kept: what it is in Kubernetes, and how it becomes ours.
pub(super) trait Kept: Clone + Send + Sync + 'static {
    /// Kubernetes' type.
    type Foreign: Resource<DynamicType = ()> + DeserializeOwned;

    /// The conversion.
    fn convert(foreign: Self::Foreign) -> Result<Self, convert::Error>;

    /// The field that Kubernetes' published types do not have yet, as a JSON pointer; none by default.
    const BEYOND: &str = "";

    /// Whether its metadata are all that is asked for.
    const METADATA_ONLY: bool = false;

    /// Takes in what stood in that field.
    fn put_beyond(&mut self, _: &Value) {}

    /// An object as the API server or a manifest has it, or what is wrong with it.
    fn read(mut value: Value) -> Result<Self, String> {
        let beyond = (!Self::BEYOND.is_empty())
            .then(|| value.pointer_mut(Self::BEYOND).map(Value::take))
            .flatten();
        let foreign = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let mut ours = Self::convert(foreign).map_err(|error| error.to_string())?;
        if let Some(beyond) = beyond {
            ours.put_beyond(&beyond);
        }
        Ok(ours)
    }

    /// Whether nothing is under way that would change it soon.
    fn is_settled(&self) -> bool {
        true
    }

    /// Whether anybody could want to know of it; else a watch lets it go at once.
    fn matters(&self) -> bool {
        true
    }

    /// The kind, for a person.
    fn kind() -> String {
        Self::Foreign::kind(&()).into_owned()
    }

    /// The resource as a rule of a role names it: `volumeattachments.storage.k8s.io`.
    fn resource() -> String {
        let plural = Self::Foreign::plural(&());
        match Self::Foreign::group(&()).as_ref() {
            "" => plural.into_owned(),
            group => format!("{plural}.{group}"),
        }
    }

    /// Where the API server has it.
    fn path(namespace: &str) -> String {
        let namespace = (!namespace.is_empty()).then_some(namespace);
        Self::Foreign::url_path(&(), namespace)
    }
}

impl Kept for Pod {
    type Foreign = core::Pod;

    const BEYOND: &str = "/status/volumeHealth";

    fn put_beyond(&mut self, beyond: &Value) {
        convert::pod_health(self, beyond);
    }

    /// Without what changes while it starts: whoever watches asks for its claims anew at each change.
    fn convert(foreign: Self::Foreign) -> Result<Self, convert::Error> {
        let pod = convert::pod(foreign)?;
        Ok(Self { terms: None, ..pod })
    }
}

/// A pod with all that it says of its start: for who reads it once.
#[derive(Debug, Clone)]
pub(super) struct PodInFull(pub(super) Pod);

impl Kept for PodInFull {
    type Foreign = core::Pod;

    const BEYOND: &str = Pod::BEYOND;

    fn put_beyond(&mut self, beyond: &Value) {
        convert::pod_health(&mut self.0, beyond);
    }

    fn convert(foreign: Self::Foreign) -> Result<Self, convert::Error> {
        convert::pod(foreign).map(Self)
    }
}

/// A pod as the whole cluster knows it: which volumes it names and how far it is. Where its containers
/// have them is its node's matter.
#[derive(Debug, Clone)]
pub(super) struct PodInShort(pub(super) Pod);

impl Kept for PodInShort {
    type Foreign = core::Pod;

    fn convert(foreign: Self::Foreign) -> Result<Self, convert::Error> {
        let mut pod = convert::pod(foreign)?;
        pod.terms = None;
        for volume in &mut pod.volumes {
            volume.places = Vec::new();
        }
        pod.volumes.shrink_to_fit();
        Ok(Self(pod))
    }

    /// Most pods have no storage.
    fn matters(&self) -> bool {
        !self.0.volumes.is_empty()
    }
}

impl Kept for Arc<Claim> {
    type Foreign = core::PersistentVolumeClaim;

    const BEYOND: &str = "/status/healthStatus";

    fn put_beyond(&mut self, beyond: &Value) {
        convert::claim_health(Arc::make_mut(self), beyond);
    }

    fn convert(foreign: Self::Foreign) -> Result<Self, convert::Error> {
        convert::claim(foreign).map(Arc::new)
    }

    fn is_settled(&self) -> bool {
        self.bound
            && self.resize_status.is_none()
            && self.conditions.is_empty()
            && self.request <= self.capacity
    }
}

impl Kept for Arc<PersistentVolume> {
    type Foreign = core::PersistentVolume;

    fn convert(foreign: Self::Foreign) -> Result<Self, convert::Error> {
        convert::persistent_volume(foreign).map(Arc::new)
    }
}

impl Kept for Arc<Attachment> {
    type Foreign = storage::VolumeAttachment;

    fn convert(foreign: Self::Foreign) -> Result<Self, convert::Error> {
        convert::attachment(foreign).map(Arc::new)
    }

    fn is_settled(&self) -> bool {
        self.attached && self.error.is_none()
    }
}

impl Kept for CsiNode {
    type Foreign = storage::CSINode;

    const BEYOND: &str = "/status/storageHealth";

    fn put_beyond(&mut self, beyond: &Value) {
        convert::csi_node_health(self, beyond);
    }

    fn convert(foreign: Self::Foreign) -> Result<Self, convert::Error> {
        convert::csi_node(foreign)
    }
}

/// Of a node no more is wanted than that it is there; its kubelet writes its status every few minutes.
impl Kept for NodeName {
    type Foreign = PartialObjectMeta<core::Node>;

    const METADATA_ONLY: bool = true;

    fn convert(foreign: Self::Foreign) -> Result<Self, convert::Error> {
        convert::node(&foreign)
    }
}

impl Kept for Arc<Class> {
    type Foreign = storage::StorageClass;

    fn convert(foreign: Self::Foreign) -> Result<Self, convert::Error> {
        convert::class(foreign).map(Arc::new)
    }
}

/// What was said of an object: events come as they please, so that there is always more to hear.
#[derive(Debug, Clone)]
pub(super) struct Said(pub(super) Vec<Event>);

impl Kept for Said {
    type Foreign = core::Event;

    fn convert(foreign: Self::Foreign) -> Result<Self, convert::Error> {
        Ok(Self(convert::event(foreign)?.into_iter().collect()))
    }

    fn matters(&self) -> bool {
        !self.0.is_empty()
    }

    fn is_settled(&self) -> bool {
        false
    }
}

/// One page of a list.
#[derive(Deserialize)]
#[serde(bound = "M: Kept")]
pub(super) struct Page<M> {
    pub(super) metadata: ListMeta,
    pub(super) items: Option<Vec<Arrived<M>>>,
}

/// Namespace and name; the namespace is empty for what has none.
pub(super) type Key = (String, String);

/// An object that arrived.
#[derive(Debug, Clone)]
pub(super) struct Arrived<M> {
    /// Which.
    pub(super) key: Key,
    /// Its `resourceVersion`.
    pub(super) version: String,
    /// The object, or what is wrong with it.
    pub(super) object: Result<M, String>,
}

impl<'de, M: Kept> Deserialize<'de> for Arrived<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let text = |field: &str| {
            let found = value.pointer(field).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let key = (text("/metadata/namespace"), text("/metadata/name"));
        let version = text("/metadata/resourceVersion");
        Ok(Self {
            key,
            version,
            object: M::read(value),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_that_cannot_be_read_keeps_its_name() {
        let arrived: Arrived<Arc<Claim>> = serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": "orders", "resourceVersion": "7"},
            "spec": {"resources": {"requests": {"storage": "much"}}},
        }))
        .unwrap();
        assert_eq!(arrived.key, ("shop".to_owned(), "orders".to_owned()));
        assert_eq!(arrived.version, "7");
        assert!(
            arrived
                .object
                .unwrap_err()
                .contains("requests.storage is \"much\"")
        );
        let arrived: Arrived<Arc<Claim>> =
            serde_json::from_value(json!({"metadata": {"name": "x"}, "spec": 5})).unwrap();
        assert!(arrived.object.is_err());
    }

    #[test]
    fn resources_are_named_as_roles_name_them() {
        assert_eq!(Arc::<Claim>::resource(), "persistentvolumeclaims");
        assert_eq!(
            Arc::<Attachment>::resource(),
            "volumeattachments.storage.k8s.io"
        );
        assert_eq!(
            Arc::<Claim>::path("shop"),
            "/api/v1/namespaces/shop/persistentvolumeclaims"
        );
        assert_eq!(CsiNode::path(""), "/apis/storage.k8s.io/v1/csinodes");
    }
}
