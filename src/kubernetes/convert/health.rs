//! Health in status fields of Kubernetes 1.37, which its published types do not have yet.
//!
//! Alpha behind the gate `CSIVolumeHealth`: read where they are, by presence, and never missed. What does
//! not have their form is left out.

use serde_json::Value;

use crate::model::health::{HealthEntry, Illness};
use crate::model::names::DriverName;
use crate::model::objects::{Claim, CsiNode, Pod};

/// More of a reason or a message is not kept, in characters: the API's own limits (KEP-1432).
const WORDS: usize = 1024;

/// `status.healthStatus` of a claim.
pub fn claim_health(claim: &mut Claim, status: &Value) {
    claim.health = entries(status);
}

/// `status.volumeHealth` of a pod: one entry a volume, by the pod's own name for it.
pub fn pod_health(pod: &mut Pod, status: &Value) {
    for told in status.as_array().into_iter().flatten() {
        let name = told.get("name").and_then(Value::as_str);
        let mut volumes = pod.volumes.iter_mut();
        if let Some(volume) = volumes.find(|volume| Some(volume.name.as_str()) == name) {
            volume.health = entries(told);
        }
    }
}

/// `status.storageHealth` of a CSINode: one entry a driver.
pub fn csi_node_health(node: &mut CsiNode, status: &Value) {
    for told in status.as_array().into_iter().flatten() {
        if let Some(name) = told.get("name").and_then(Value::as_str) {
            let of_driver = entries(told).into_iter();
            node.health
                .extend(of_driver.map(|entry| (DriverName::from(name), entry)));
        }
    }
}

/// `healthConditions[]{status, reason, message}`.
fn entries(told: &Value) -> Vec<HealthEntry> {
    let conditions = told.get("healthConditions").and_then(Value::as_array);
    let text = |condition: &Value, field: &str| -> String {
        let text = condition.get(field).and_then(Value::as_str);
        text.unwrap_or_default().chars().take(WORDS).collect()
    };
    let conditions = conditions.into_iter().flatten();
    let entries = conditions.map(|condition| HealthEntry {
        illness: Illness::of_word(&text(condition, "status")),
        reason: text(condition, "reason"),
        message: text(condition, "message"),
    });
    entries.collect()
}
