//! What a driver says of health, in the dialect that it speaks: CSI up to 1.12 has `VolumeCondition` in
//! the answer about usage, CSI 1.13 has calls of their own.

use tonic::Status;

use super::backing::Backend;
use super::conduct::Topic;
use crate::proto::csi;
use crate::proto::csi::node_service_capability::rpc::Type as Rpc;
use crate::proto::csi::{StorageHealthErrorType, VolumeHealthErrorType};

/// Which of the two ways to tell of a volume's health a driver has: the older, the newer.
fn dialect(backend: &Backend, driver: &str) -> (bool, bool) {
    match backend.set_to(driver, Topic::Dialect).as_str() {
        "health" => (false, true),
        "both" => (true, true),
        "neither" => (false, false),
        _ => (true, false),
    }
}

/// The capabilities of these ways.
pub(super) fn capabilities(backend: &Backend, driver: &str) -> Vec<Rpc> {
    let (older, newer) = dialect(backend, driver);
    let storage = backend.set_to(driver, Topic::Storage) != "well";
    let all = [
        (older, Rpc::VolumeCondition),
        (newer, Rpc::GetVolumeHealth),
        (storage, Rpc::GetStorageHealth),
    ];
    all.into_iter()
        .filter_map(|(has, rpc)| has.then_some(rpc))
        .collect()
}

/// The older way.
pub(super) fn condition(
    backend: &Backend,
    driver: &str,
    handle: &str,
) -> Option<csi::VolumeCondition> {
    let (older, _) = dialect(backend, driver);
    let health = backend.set_to(handle, Topic::Health);
    older.then(|| match health.as_str() {
        "well" => csi::VolumeCondition {
            abnormal: false,
            message: "the volume is mounted and answers".to_owned(),
        },
        other => csi::VolumeCondition {
            abnormal: true,
            message: format!("the storage says that the volume is {other}"),
        },
    })
}

/// The newer way: what is wrong with a volume.
pub(super) async fn of_volume(
    backend: &Backend,
    driver: &str,
    handle: &str,
) -> Result<Vec<csi::VolumeHealthEntry>, Status> {
    if !dialect(backend, driver).1 {
        return Err(Status::unimplemented("this plugin speaks CSI 1.12"));
    }
    let health = backend.heed(handle, Topic::Health).await?;
    let status: i32 = match health.as_str() {
        "well" => return Ok(Vec::new()),
        "abnormal" | "degraded" => VolumeHealthErrorType::Degraded.into(),
        "inaccessible" => VolumeHealthErrorType::Inaccessible.into(),
        "data-loss" => VolumeHealthErrorType::DataLoss.into(),
        // What the specification has no name for yet.
        number => number.parse().unwrap_or_default(),
    };
    Ok(vec![csi::VolumeHealthEntry {
        status,
        reason: "ToldByStorage".to_owned(),
        message: format!("the storage says that the volume is {health}"),
    }])
}

/// What is wrong with the storage behind a driver.
pub(super) async fn of_storage(
    backend: &Backend,
    driver: &str,
) -> Result<Vec<csi::StorageBackendHealth>, Status> {
    let storage = backend.heed(driver, Topic::Storage).await?;
    let status: i32 = match storage.as_str() {
        "well" => return Err(Status::unimplemented("this plugin speaks CSI 1.12")),
        "healthy" => return Ok(Vec::new()),
        "degraded" => StorageHealthErrorType::StorageDegraded.into(),
        "unreachable" => StorageHealthErrorType::StorageUnreachable.into(),
        number => number.parse().unwrap_or_default(),
    };
    Ok(vec![csi::StorageBackendHealth {
        status,
        reason: "ToldByStorage".to_owned(),
        message: format!("the storage says that it is {storage}"),
        volume_capability: None,
    }])
}
