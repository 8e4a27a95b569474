//! What claims want, volumes offer and classes arrange.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::storage::v1 as storage;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use crate::kubernetes::convert::{given, time};
use crate::model::objects::VolumeMode;
use crate::model::terms::{
    AttachmentTerms, ClaimPhase, ClaimTerms, ClassTerms, PodCondition, PodTerms, Requirement,
    VolumeTerms,
};

/// Where the class stood before it had a field; it still counts before the field
/// (component-helpers, `storage/volume/helpers.go`).
const BETA_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// Where the scheduler says for which node a volume is to be made.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// Where the controller says that it chose a claim's volume (component-helpers, `storage/volume/pv_helpers.go`).
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";

/// Where a provisioner says that it made a volume (sig-storage-lib-external-provisioner).
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// Longer words of a status are cut, in characters.
const WORDS: usize = 1024;

/// What makes a class the default one, in both spellings that Kubernetes reads.
const IS_DEFAULT: [&str; 2] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];

fn annotation<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a String> {
    metadata.annotations.as_ref()?.get(name)
}

/// Of a claim.
pub(super) fn of_claim(claim: &core::PersistentVolumeClaim) -> ClaimTerms {
    let metadata = &claim.metadata;
    let spec = claim.spec.as_ref();
    let phase = claim.status.as_ref().and_then(|one| one.phase.as_deref());
    let class = spec.and_then(|spec| spec.storage_class_name.as_ref());
    ClaimTerms {
        phase: match phase {
            Some("Bound") => ClaimPhase::Bound,
            Some("Lost") => ClaimPhase::Lost,
            _ => ClaimPhase::Pending,
        },
        class: annotation(metadata, BETA_CLASS).or(class).cloned(),
        selector: spec
            .and_then(|spec| spec.selector.as_ref())
            .map(of_selector),
        mode: mode(spec.and_then(|spec| spec.volume_mode.as_deref())),
        attributes_class: given(spec.and_then(|spec| spec.volume_attributes_class_name.clone())),
        selected_node: given(annotation(metadata, SELECTED_NODE).cloned()).map(Into::into),
        created: time(metadata.creation_timestamp.clone()),
        deleting: metadata.deletion_timestamp.is_some(),
        volume_chosen: annotation(metadata, BOUND_BY_CONTROLLER).is_some(),
    }
}

/// Of a `PersistentVolume`.
pub(super) fn of_volume(volume: &core::PersistentVolume) -> VolumeTerms {
    let metadata = &volume.metadata;
    let spec = volume.spec.clone().unwrap_or_default();
    let status = volume.status.as_ref();
    let affinity = spec.node_affinity.and_then(|affinity| affinity.required);
    let terms = affinity
        .map(|required| required.node_selector_terms)
        .unwrap_or_default();
    VolumeTerms {
        phase: status
            .and_then(|status| status.phase.clone())
            .unwrap_or_default(),
        class: annotation(metadata, BETA_CLASS)
            .cloned()
            .or(spec.storage_class_name)
            .unwrap_or_default(),
        labels: metadata.labels.clone().unwrap_or_default(),
        attributes_class: given(spec.volume_attributes_class_name),
        nodes: terms.into_iter().map(of_nodes).collect(),
        reclaim: spec.persistent_volume_reclaim_policy.unwrap_or_default(),
        created: time(metadata.creation_timestamp.clone()),
        deleting: metadata.deletion_timestamp.is_some(),
        made_by: given(annotation(metadata, PROVISIONED_BY).cloned()),
        changed: time(status.and_then(|status| status.last_phase_transition_time.clone())),
        message: status.and_then(|status| words(status.message.clone())),
    }
}

/// Of a VolumeAttachment.
pub(super) fn of_attachment(attachment: &storage::VolumeAttachment) -> AttachmentTerms {
    let metadata = &attachment.metadata;
    let status = attachment.status.as_ref();
    let error = status.and_then(|status| status.attach_error.as_ref());
    AttachmentTerms {
        created: time(metadata.creation_timestamp.clone()),
        failed: error.and_then(|error| time(error.time.clone())),
        deleting: metadata.deletion_timestamp.is_some(),
    }
}

/// Of a pod.
pub(super) fn of_pod(pod: &core::Pod) -> PodTerms {
    let status = pod.status.as_ref();
    let condition = |kind: &str| {
        let mut all = status?.conditions.iter().flatten();
        let found = all.find(|one| one.type_ == kind)?;
        Some(PodCondition {
            holds: found.status == "True",
            message: words(found.message.clone()).unwrap_or_default(),
            since: time(found.last_transition_time.clone()),
        })
    };
    let lists = status.map(|status| [&status.init_container_statuses, &status.container_statuses]);
    let containers = lists.into_iter().flatten().flatten().flatten();
    let mut waits = containers.filter_map(|one| one.state.as_ref()?.waiting.as_ref());
    PodTerms {
        created: time(pod.metadata.creation_timestamp.clone()),
        scheduled: condition("PodScheduled"),
        sandbox: condition("PodReadyToStartContainers"),
        waits: waits.find_map(|one| given(one.reason.clone())),
    }
}

fn words(text: Option<String>) -> Option<String> {
    given(text).map(|text| text.chars().take(WORDS).collect())
}

/// Of a StorageClass.
pub(super) fn of_class(class: &storage::StorageClass) -> ClassTerms {
    let metadata = &class.metadata;
    let says_true = |name: &&str| annotation(metadata, name).is_some_and(|value| value == "true");
    let topologies = class.allowed_topologies.iter().flatten();
    let expressions = topologies.flat_map(|term| term.match_label_expressions.iter().flatten());
    ClassTerms {
        waits_for_consumer: class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"),
        is_default: IS_DEFAULT.iter().any(says_true),
        // The API server's own default.
        reclaim: class
            .reclaim_policy
            .clone()
            .unwrap_or_else(|| "Delete".to_owned()),
        topologies: expressions
            .map(|one| format!("{}={}", one.key, one.values.join(",")))
            .collect(),
        created: time(metadata.creation_timestamp.clone()),
    }
}

/// `volumeMode` as it is written.
pub(super) fn mode(written: Option<&str>) -> VolumeMode {
    match written {
        Some("Block") => VolumeMode::Block,
        _ => VolumeMode::Filesystem,
    }
}

fn of_selector(selector: &LabelSelector) -> Vec<Requirement> {
    let labels: &BTreeMap<_, _> = &selector.match_labels.clone().unwrap_or_default();
    let equal = labels.iter().map(|(key, value)| Requirement {
        key: key.clone(),
        operator: "In".to_owned(),
        values: vec![value.clone()],
    });
    let expressions = selector.match_expressions.iter().flatten();
    let compared = expressions.map(|one| Requirement {
        key: one.key.clone(),
        operator: one.operator.clone(),
        values: one.values.clone().unwrap_or_default(),
    });
    equal.chain(compared).collect()
}

fn of_nodes(term: core::NodeSelectorTerm) -> Vec<Requirement> {
    let expressions = term.match_expressions.into_iter().flatten();
    let fields = term.match_fields.into_iter().flatten();
    expressions
        .chain(fields)
        .map(|one| Requirement {
            key: one.key,
            operator: one.operator,
            values: one.values.unwrap_or_default(),
        })
        .collect()
}
