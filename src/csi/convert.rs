//! `csi.v1` to the model: the only place that does it.

use crate::model::driver::{NodeInfo, Plugin};
use crate::model::health::{HealthEntry, Illness};
use crate::model::mount::Usage;
use crate::model::volume::{Condition, DriverStats};
use crate::proto::csi::node_service_capability::{Type, rpc};
use crate::proto::csi::plugin_capability::{Type as Offer, service, volume_expansion};
use crate::proto::csi::volume_usage::Unit;
use crate::proto::csi::{
    GetPluginCapabilitiesResponse, NodeGetCapabilitiesResponse, NodeGetInfoResponse,
    NodeGetStorageHealthResponse, NodeGetVolumeHealthResponse, NodeGetVolumeStatsResponse,
    ProbeResponse, StorageHealthErrorType, VolumeHealthErrorType, VolumeUsage,
};

use super::text;

/// `Probe`: an absent answer means ready, false means still initialising.
pub fn ready(answer: &ProbeResponse) -> bool {
    answer.ready.unwrap_or(true)
}

/// What a plugin calls the node.
pub fn node_info(answer: &NodeGetInfoResponse) -> NodeInfo {
    NodeInfo {
        node_id: text::clean(&answer.node_id),
        max_volumes: natural(answer.max_volumes_per_node),
    }
}

/// What is wrong with a volume.
pub fn volume_health(answer: &NodeGetVolumeHealthResponse) -> Vec<HealthEntry> {
    let entries = answer.volume_health.as_ref();
    let entries = entries
        .into_iter()
        .flat_map(|health| &health.health_statuses);
    let entries = entries.map(|entry| HealthEntry {
        illness: match VolumeHealthErrorType::try_from(entry.status) {
            Ok(VolumeHealthErrorType::Degraded) => Illness::Degraded,
            Ok(VolumeHealthErrorType::Inaccessible) => Illness::Inaccessible,
            Ok(VolumeHealthErrorType::DataLoss) => Illness::DataLoss,
            // What the specification did not know then is its number.
            Ok(VolumeHealthErrorType::UnknownVolumeHealthType) | Err(_) => {
                Illness::Other(entry.status.to_string())
            }
        },
        reason: text::clean(&entry.reason),
        message: text::clean(&entry.message),
    });
    entries.collect()
}

/// What is wrong with the storage behind a plugin.
pub fn storage_health(answer: &NodeGetStorageHealthResponse) -> Vec<HealthEntry> {
    let entries = answer.backend_health.iter().map(|entry| HealthEntry {
        illness: match StorageHealthErrorType::try_from(entry.status) {
            Ok(StorageHealthErrorType::StorageDegraded) => Illness::Degraded,
            Ok(StorageHealthErrorType::StorageUnreachable) => Illness::Unreachable,
            Ok(StorageHealthErrorType::UnknownStorageHealthErrorType) | Err(_) => {
                Illness::Other(entry.status.to_string())
            }
        },
        reason: text::clean(&entry.reason),
        message: text::clean(&entry.message),
    });
    entries.collect()
}

/// What a plugin offers as a whole; what the specification did not know then is its number.
pub fn plugin_services(answer: &GetPluginCapabilitiesResponse) -> Vec<String> {
    let offered = answer.capabilities.iter().filter_map(|one| one.r#type);
    let mut names: Vec<String> = offered
        .map(|offer| match offer {
            Offer::Service(service) => match service::Type::try_from(service.r#type) {
                Ok(known) => known.as_str_name().to_owned(),
                Err(_) => service.r#type.to_string(),
            },
            Offer::VolumeExpansion(how) => match volume_expansion::Type::try_from(how.r#type) {
                Ok(volume_expansion::Type::Online) => Plugin::ONLINE.to_owned(),
                Ok(volume_expansion::Type::Offline) => Plugin::OFFLINE.to_owned(),
                _ => format!("EXPANSION_{}", how.r#type),
            },
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Node capabilities as the specification spells them; one that it did not know then is its number.
pub fn node_capabilities(answer: &NodeGetCapabilitiesResponse) -> Vec<String> {
    let mut names: Vec<String> = answer
        .capabilities
        .iter()
        .filter_map(|capability| capability.r#type.as_ref())
        .map(|Type::Rpc(rpc)| match rpc::Type::try_from(rpc.r#type) {
            Ok(known) => known.as_str_name().to_owned(),
            Err(_) => rpc.r#type.to_string(),
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// What a plugin said of a volume.
pub fn driver_stats(answer: &NodeGetVolumeStatsResponse) -> DriverStats {
    DriverStats {
        usage: usage(&answer.usage),
        condition: answer.volume_condition.as_ref().map(|condition| Condition {
            abnormal: condition.abnormal,
            message: text::clean(&condition.message),
        }),
    }
}

/// The first answer in bytes and the first in inodes; of any other unit nothing can be made.
fn usage(answers: &[VolumeUsage]) -> Option<Usage> {
    let first = |unit: Unit| answers.iter().find(|usage| usage.unit == unit as i32);
    let (bytes, inodes) = (first(Unit::Bytes), first(Unit::Inodes));
    if bytes.is_none() && inodes.is_none() {
        return None;
    }
    let bytes = bytes.copied().unwrap_or_default();
    let inodes = inodes.copied().unwrap_or_default();
    Some(Usage {
        total_bytes: natural(bytes.total),
        used_bytes: natural(bytes.used),
        available_bytes: natural(bytes.available),
        total_inodes: natural(inodes.total),
        used_inodes: natural(inodes.used),
    })
}

/// Less than nothing is nothing: some drivers subtract what is reserved twice.
fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::csi::{NodeServiceCapability, VolumeCondition, node_service_capability::Rpc};

    #[test]
    fn unknown_capabilities_are_numbers() {
        let capability = |number| NodeServiceCapability {
            r#type: Some(Type::Rpc(Rpc { r#type: number })),
        };
        let answer = NodeGetCapabilitiesResponse {
            capabilities: vec![
                capability(2),
                capability(99),
                capability(2),
                NodeServiceCapability { r#type: None },
            ],
        };
        assert_eq!(node_capabilities(&answer), ["99", "GET_VOLUME_STATS"]);
    }

    #[test]
    fn usage_of_every_kind() {
        let of = |unit: Unit, total, used, available| VolumeUsage {
            available,
            total,
            used,
            unit: unit as i32,
        };
        assert_eq!(usage(&[]), None);
        assert_eq!(usage(&[of(Unit::Unknown, 1, 1, 1)]), None);
        let both = [of(Unit::Inodes, 10, 3, 7), of(Unit::Bytes, 100, 60, -5)];
        assert_eq!(
            usage(&both),
            Some(Usage {
                total_bytes: 100,
                used_bytes: 60,
                available_bytes: 0,
                total_inodes: 10,
                used_inodes: 3,
            })
        );
        let block = usage(&[of(Unit::Bytes, 100, 0, 0)]);
        assert_eq!(block.map(|usage| usage.total_bytes), Some(100));
    }

    #[test]
    fn conditions_are_plain_text() {
        let stats = driver_stats(&NodeGetVolumeStatsResponse {
            usage: Vec::new(),
            volume_condition: Some(VolumeCondition {
                abnormal: true,
                message: "path\x1b[0m gone\n".to_owned(),
            }),
        });
        assert_eq!(stats.condition.unwrap().message, "path[0m gone");
    }
}
