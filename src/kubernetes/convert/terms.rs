//! What claims want, volumes offer and classes arrange.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::storage::v1 as storage;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use crate::kubernetes::convert::{given, time};
use crate::model::objects::VolumeMode;
use crate::model::terms::{ClaimPhase, ClaimTerms, ClassTerms, Requirement, VolumeTerms};

/// Where the class stood before it had a field; it still counts before the field
/// (component-helpers, `storage/volume/helpers.go`).
const BETA_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// Where the scheduler says for which node a volume is to be made.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

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
    }
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
