//! The Node service: stage, publish, grow, and back.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::backing::{Backend, Record};
use super::conduct::Topic;
use super::device;
use super::health;
use super::internal;
use super::manner::Manner;
use super::stats::Stats;
use crate::lab::mounts;
use crate::lab::volumes::Kind;
use crate::proto::csi;
use crate::proto::csi::node_server;
use crate::proto::csi::node_service_capability::rpc::Type as Rpc;
use crate::proto::csi::node_service_capability::{Rpc as RpcCapability, Type};
use crate::proto::csi::volume_capability::access_mode::Mode;

/// The most volumes that one of these plugins takes.
const LIMIT: i64 = 16;

/// The size of an inline volume that a pod brings with it.
const INLINE: u64 = 16 << 20;

pub(super) struct Node {
    driver: String,
    id: String,
    backend: Backend,
    stats: Stats,
    /// One volume operation at a time is plenty for a lab.
    busy: Arc<tokio::sync::Mutex<()>>,
}

impl Node {
    pub(super) fn new(driver: String, id: String, backend: Backend) -> Self {
        Self {
            driver,
            id,
            backend,
            stats: Stats::default(),
            busy: Arc::default(),
        }
    }

    fn record(&self, handle: &str) -> Result<Record, Status> {
        self.backend.record(&self.driver, handle)
    }

    /// An inline volume begins with its pod: nobody recorded it before.
    async fn provide_inline(&self, handle: &str) -> Result<Record, Status> {
        let record = Record {
            kind: Kind::Tmpfs,
            bytes: INLINE,
        };
        let provided = self.backend.provide(handle, &record).await;
        provided.map_err(|error| internal(&error))?;
        Ok(record)
    }
}

/// Whether the kubelet says of a volume that it lives and dies with its pod.
fn is_inline(context: &HashMap<String, String>) -> bool {
    let ephemeral = context.get("csi.storage.k8s.io/ephemeral");
    ephemeral.is_some_and(|ephemeral| ephemeral == "true")
}

/// A path that a request must give.
fn path(name: &str, given: &str) -> Result<PathBuf, Status> {
    if Path::new(given).is_absolute() {
        Ok(given.into())
    } else {
        Err(Status::invalid_argument(format!(
            "{name} is missing or not absolute: {given:?}"
        )))
    }
}

fn make(directory: &Path) -> Result<(), Status> {
    std::fs::create_dir_all(directory)
        .map_err(|error| io(&format!("make {}", directory.display()), &error))
}

fn not_staged(handle: &str) -> Status {
    Status::failed_precondition(format!("{handle} is not staged"))
}

fn io(attempt: &str, error: &std::io::Error) -> Status {
    Status::internal(format!("could not {attempt}: {error}"))
}

#[tonic::async_trait]
impl node_server::Node for Node {
    async fn node_stage_volume(
        &self,
        request: Request<csi::NodeStageVolumeRequest>,
    ) -> Result<Response<csi::NodeStageVolumeResponse>, Status> {
        let request = request.into_inner();
        self.backend
            .heed_call(&self.driver, &request.volume_id, Topic::Stage)
            .await?;
        let record = self.record(&request.volume_id)?;
        let staging = path("staging_target_path", &request.staging_target_path)?;
        let _busy = self.busy.lock().await;
        if mounts::find(&staging).is_none() {
            let mode = request
                .volume_capability
                .and_then(|capability| capability.access_mode);
            let readers = mode.is_some_and(|mode| mode.mode() == Mode::MultiNodeReaderOnly);
            self.backend
                .stage(&request.volume_id, &record, &staging, readers)
                .await
                .map_err(|error| internal(&error))?;
        }
        Ok(Response::new(csi::NodeStageVolumeResponse {}))
    }

    async fn node_unstage_volume(
        &self,
        request: Request<csi::NodeUnstageVolumeRequest>,
    ) -> Result<Response<csi::NodeUnstageVolumeResponse>, Status> {
        let request = request.into_inner();
        self.backend
            .heed_call(&self.driver, &request.volume_id, Topic::Unstage)
            .await?;
        let staging = path("staging_target_path", &request.staging_target_path)?;
        let _busy = self.busy.lock().await;
        mounts::unmount(&staging)
            .and_then(|()| self.backend.detach_device(&request.volume_id))
            .map_err(|error| internal(&error))?;
        Ok(Response::new(csi::NodeUnstageVolumeResponse {}))
    }

    async fn node_publish_volume(
        &self,
        request: Request<csi::NodePublishVolumeRequest>,
    ) -> Result<Response<csi::NodePublishVolumeResponse>, Status> {
        let request = request.into_inner();
        self.backend
            .heed_call(&self.driver, &request.volume_id, Topic::Publish)
            .await?;
        let record = match self.backend.read(&request.volume_id) {
            Ok(None) if is_inline(&request.volume_context) => {
                self.provide_inline(&request.volume_id).await?
            }
            _ => self.record(&request.volume_id)?,
        };
        let target = path("target_path", &request.target_path)?;
        let _busy = self.busy.lock().await;
        if mounts::find(&target).is_some() {
            return Ok(Response::new(csi::NodePublishVolumeResponse {}));
        }
        if let Some(device) = self.backend.device(&request.volume_id) {
            device::publish(&device, &target, request.readonly)
                .map_err(|error| internal(&error))?;
            return Ok(Response::new(csi::NodePublishVolumeResponse {}));
        }
        // Inline: it was never staged.
        if request.staging_target_path.is_empty() && record.kind == Kind::Tmpfs {
            make(&target)?;
            mounts::mount_tmpfs(&request.volume_id, &target, record.bytes)
                .map_err(|error| internal(&error))?;
            return Ok(Response::new(csi::NodePublishVolumeResponse {}));
        }
        let staging = path("staging_target_path", &request.staging_target_path)?;
        let source = match record.kind {
            Kind::Directory => self.backend.shelf(&request.volume_id),
            _ if mounts::find(&staging).is_none() => return Err(not_staged(&request.volume_id)),
            _ => staging,
        };
        make(&target)?;
        mounts::bind(&source, &target, request.readonly).map_err(|error| internal(&error))?;
        Ok(Response::new(csi::NodePublishVolumeResponse {}))
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<csi::NodeUnpublishVolumeRequest>,
    ) -> Result<Response<csi::NodeUnpublishVolumeResponse>, Status> {
        let request = request.into_inner();
        self.backend
            .heed_call(&self.driver, &request.volume_id, Topic::Unpublish)
            .await?;
        let target = path("target_path", &request.target_path)?;
        let _busy = self.busy.lock().await;
        mounts::unmount(&target).map_err(|error| internal(&error))?;
        let removed = match std::fs::symlink_metadata(&target) {
            Ok(found) if found.is_dir() => std::fs::remove_dir(&target),
            _ => std::fs::remove_file(&target),
        };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io(&format!("remove {}", target.display()), &error))
            }
            _ => Ok(Response::new(csi::NodeUnpublishVolumeResponse {})),
        }
    }

    async fn node_get_volume_stats(
        &self,
        request: Request<csi::NodeGetVolumeStatsRequest>,
    ) -> Result<Response<csi::NodeGetVolumeStatsResponse>, Status> {
        let request = request.into_inner();
        self.backend
            .heed_call(&self.driver, &request.volume_id, Topic::Stats)
            .await?;
        let record = self.record(&request.volume_id)?;
        let volume = path("volume_path", &request.volume_path)?;
        if mounts::find(&volume).is_none() {
            let message = format!("volume path {} is not mounted", volume.display());
            return Err(Status::not_found(message));
        }
        // Where it can be told elsewhere the pod's mount is left alone: it would be busy as long as that takes.
        let staging = Path::new(&request.staging_target_path);
        let usage = match (record.kind, self.backend.device(&request.volume_id)) {
            (Kind::Block, Some(device)) => {
                device::usage(&device).map_err(|error| internal(&error))?
            }
            (Kind::Block, None) => return Err(not_staged(&request.volume_id)),
            _ => {
                let same = mounts::same(staging, &volume);
                let asked = if same { staging.into() } else { volume };
                self.stats.read(&request.volume_id, asked).await?
            }
        };
        Ok(Response::new(csi::NodeGetVolumeStatsResponse {
            usage,
            volume_condition: health::condition(&self.backend, &self.driver, &request.volume_id),
        }))
    }

    async fn node_expand_volume(
        &self,
        request: Request<csi::NodeExpandVolumeRequest>,
    ) -> Result<Response<csi::NodeExpandVolumeResponse>, Status> {
        let request = request.into_inner();
        let record = self.record(&request.volume_id)?;
        let staging = path("staging_target_path", &request.staging_target_path)?;
        if matches!(record.kind, Kind::Fuse | Kind::Directory) {
            return Err(Status::unimplemented("this volume cannot grow"));
        }
        self.backend
            .heed_call(&self.driver, &request.volume_id, Topic::Expand)
            .await?;
        match self.backend.manner(&request.volume_id) {
            Manner::Lie => {
                return Ok(Response::new(csi::NodeExpandVolumeResponse {
                    capacity_bytes: i64::try_from(record.bytes).unwrap_or(i64::MAX),
                }));
            }
            Manner::Offline => return Err(Status::failed_precondition("the volume is in use")),
            Manner::Well | Manner::Hang | Manner::Refuse(_) => {}
        }
        let wanted = request
            .capacity_range
            .map_or(0, |range| u64::try_from(range.required_bytes).unwrap_or(0));
        if wanted > record.bytes {
            let message = format!("the backend gives {} bytes, not {wanted}", record.bytes);
            return Err(Status::out_of_range(message));
        }
        let _busy = self.busy.lock().await;
        if record.kind != Kind::Block && mounts::find(&staging).is_none() {
            return Err(not_staged(&request.volume_id));
        }
        self.backend
            .grow(&request.volume_id, &record, &staging)
            .await
            .map_err(|error| internal(&error))?;
        Ok(Response::new(csi::NodeExpandVolumeResponse {
            capacity_bytes: i64::try_from(record.bytes).unwrap_or(i64::MAX),
        }))
    }

    async fn node_get_capabilities(
        &self,
        _: Request<csi::NodeGetCapabilitiesRequest>,
    ) -> Result<Response<csi::NodeGetCapabilitiesResponse>, Status> {
        self.backend.heed_driver(&self.driver).await?;
        let rpcs = [
            Rpc::StageUnstageVolume,
            Rpc::GetVolumeStats,
            Rpc::ExpandVolume,
        ];
        let health = health::capabilities(&self.backend, &self.driver);
        let capabilities = rpcs
            .into_iter()
            .chain(health)
            .map(|rpc| csi::NodeServiceCapability {
                r#type: Some(Type::Rpc(RpcCapability { r#type: rpc.into() })),
            });
        Ok(Response::new(csi::NodeGetCapabilitiesResponse {
            capabilities: capabilities.collect(),
        }))
    }

    async fn node_get_info(
        &self,
        _: Request<csi::NodeGetInfoRequest>,
    ) -> Result<Response<csi::NodeGetInfoResponse>, Status> {
        self.backend.heed_driver(&self.driver).await?;
        let node_id = match self.backend.heed(&self.driver, Topic::NodeInfo).await? {
            well if well == "well" => self.id.clone(),
            other => other,
        };
        Ok(Response::new(csi::NodeGetInfoResponse {
            node_id,
            max_volumes_per_node: LIMIT,
            accessible_topology: None,
        }))
    }

    async fn node_get_volume_health(
        &self,
        request: Request<csi::NodeGetVolumeHealthRequest>,
    ) -> Result<Response<csi::NodeGetVolumeHealthResponse>, Status> {
        let handle = request.into_inner().volume_id;
        self.backend
            .heed_call(&self.driver, &handle, Topic::Stats)
            .await?;
        self.record(&handle)?;
        let health_statuses = health::of_volume(&self.backend, &self.driver, &handle).await?;
        Ok(Response::new(csi::NodeGetVolumeHealthResponse {
            volume_health: Some(csi::VolumeHealth {
                volume_id: handle,
                health_statuses,
            }),
        }))
    }

    async fn node_get_storage_health(
        &self,
        _: Request<csi::NodeGetStorageHealthRequest>,
    ) -> Result<Response<csi::NodeGetStorageHealthResponse>, Status> {
        self.backend.heed_driver(&self.driver).await?;
        Ok(Response::new(csi::NodeGetStorageHealthResponse {
            backend_health: health::of_storage(&self.backend, &self.driver).await?,
        }))
    }
}
