//! The Controller service: volumes come, are attached to the node, grow and go.
//!
//! Nothing is attached in a lab of one node: what counts is whether the driver says so.

use tonic::{Request, Response, Status};

use super::backing::{Backend, Record};
use super::conduct::Topic;
use super::internal;
use crate::lab::volumes::Kind;
use crate::proto::csi;
use crate::proto::csi::controller_server;
use crate::proto::csi::controller_service_capability::rpc::Type as Rpc;
use crate::proto::csi::controller_service_capability::{Rpc as RpcCapability, Type};
use crate::proto::csi::volume_capability::AccessType;

/// The size of a volume for which nobody asks for one.
const USUAL: u64 = 64 << 20;

/// The largest volume that the backend makes.
const LARGEST: u64 = 16 << 30;

pub(super) struct Controller {
    driver: String,
    node: String,
    backend: Backend,
}

impl Controller {
    pub(super) fn new(driver: String, node: String, backend: Backend) -> Self {
        Self {
            driver,
            node,
            backend,
        }
    }

    fn knows_node(&self, id: &str) -> Result<(), Status> {
        if id == self.node {
            Ok(())
        } else {
            Err(Status::not_found(format!("there is no node {id}")))
        }
    }
}

/// What a volume is made of that can do all of this.
fn kind(capabilities: &[csi::VolumeCapability]) -> Result<Kind, Status> {
    let mut kinds = capabilities.iter().map(kind_of);
    let first = kinds
        .next()
        .ok_or_else(|| Status::invalid_argument("volume_capabilities are missing"))??;
    for other in kinds {
        if other? != first {
            return Err(Status::invalid_argument(
                "one volume cannot have all of the volume_capabilities",
            ));
        }
    }
    Ok(first)
}

fn kind_of(capability: &csi::VolumeCapability) -> Result<Kind, Status> {
    match &capability.access_type {
        Some(AccessType::Block(_)) => Ok(Kind::Block),
        Some(AccessType::Mount(mount)) => match mount.fs_type.as_str() {
            "" | "ext4" => Ok(Kind::Ext4),
            "xfs" => Ok(Kind::Xfs),
            "btrfs" => Ok(Kind::Btrfs),
            other => Err(Status::invalid_argument(format!("no filesystem {other}"))),
        },
        None => Err(Status::invalid_argument("access_type is missing")),
    }
}

/// How many bytes a range asks for, and the most that it allows.
fn sizes(range: Option<csi::CapacityRange>) -> Result<(Option<u64>, u64), Status> {
    let range = range.unwrap_or_default();
    let read = |name: &str, bytes: i64| match u64::try_from(bytes) {
        Ok(0) => Ok(None),
        Ok(bytes) => Ok(Some(bytes)),
        Err(_) => Err(Status::invalid_argument(format!("{name} is {bytes}"))),
    };
    let required = read("required_bytes", range.required_bytes)?;
    let limit = read("limit_bytes", range.limit_bytes)?.unwrap_or(LARGEST);
    let least = required.unwrap_or(1);
    if least > limit.min(LARGEST) {
        let message = format!("{least} bytes: at most {} can be", limit.min(LARGEST));
        return Err(Status::out_of_range(message));
    }
    Ok((required, limit))
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[tonic::async_trait]
impl controller_server::Controller for Controller {
    async fn create_volume(
        &self,
        request: Request<csi::CreateVolumeRequest>,
    ) -> Result<Response<csi::CreateVolumeResponse>, Status> {
        let request = request.into_inner();
        self.backend
            .heed_call(&self.driver, &self.driver, Topic::Create)
            .await?;
        // It becomes the name of a file.
        if request.name.is_empty() || request.name.contains('/') {
            let message = format!("name is missing or not a name: {:?}", request.name);
            return Err(Status::invalid_argument(message));
        }
        let kind = kind(&request.volume_capabilities)?;
        let (required, limit) = sizes(request.capacity_range)?;
        let found = self.backend.read(&request.name);
        let bytes = match found.map_err(|error| internal(&error))? {
            Some(there)
                if there.kind == kind
                    && required.is_none_or(|required| required <= there.bytes)
                    && there.bytes <= limit =>
            {
                there.bytes
            }
            Some(_) => {
                let message = format!("{} is there and different", request.name);
                return Err(Status::already_exists(message));
            }
            None => {
                let bytes = required.unwrap_or(USUAL.min(limit));
                let record = Record { kind, bytes };
                let provided = self.backend.provide(&request.name, &record).await;
                provided.map_err(|error| internal(&error))?;
                bytes
            }
        };
        Ok(Response::new(csi::CreateVolumeResponse {
            volume: Some(csi::Volume {
                capacity_bytes: signed(bytes),
                volume_id: request.name,
                ..csi::Volume::default()
            }),
        }))
    }

    async fn delete_volume(
        &self,
        request: Request<csi::DeleteVolumeRequest>,
    ) -> Result<Response<csi::DeleteVolumeResponse>, Status> {
        let handle = request.into_inner().volume_id;
        self.backend
            .heed_call(&self.driver, &handle, Topic::Delete)
            .await?;
        let used = self.backend.devices(&handle);
        if !used.map_err(|error| internal(&error))?.is_empty() {
            let message = format!("{handle} is still used by the node");
            return Err(Status::failed_precondition(message));
        }
        self.backend
            .forget(&handle)
            .map_err(|error| internal(&error))?;
        Ok(Response::new(csi::DeleteVolumeResponse {}))
    }

    async fn controller_publish_volume(
        &self,
        request: Request<csi::ControllerPublishVolumeRequest>,
    ) -> Result<Response<csi::ControllerPublishVolumeResponse>, Status> {
        let request = request.into_inner();
        self.backend
            .heed_call(&self.driver, &request.volume_id, Topic::Attach)
            .await?;
        self.backend.record(&self.driver, &request.volume_id)?;
        self.knows_node(&request.node_id)?;
        Ok(Response::new(
            csi::ControllerPublishVolumeResponse::default(),
        ))
    }

    async fn controller_unpublish_volume(
        &self,
        request: Request<csi::ControllerUnpublishVolumeRequest>,
    ) -> Result<Response<csi::ControllerUnpublishVolumeResponse>, Status> {
        let request = request.into_inner();
        self.backend
            .heed_call(&self.driver, &request.volume_id, Topic::Detach)
            .await?;
        Ok(Response::new(csi::ControllerUnpublishVolumeResponse {}))
    }

    async fn validate_volume_capabilities(
        &self,
        request: Request<csi::ValidateVolumeCapabilitiesRequest>,
    ) -> Result<Response<csi::ValidateVolumeCapabilitiesResponse>, Status> {
        let request = request.into_inner();
        self.backend.heed_driver(&self.driver).await?;
        let record = self.backend.record(&self.driver, &request.volume_id)?;
        let answer = if kind(&request.volume_capabilities)? == record.kind {
            csi::ValidateVolumeCapabilitiesResponse {
                confirmed: Some(csi::validate_volume_capabilities_response::Confirmed {
                    volume_capabilities: request.volume_capabilities,
                }),
                ..Default::default()
            }
        } else {
            csi::ValidateVolumeCapabilitiesResponse {
                message: format!("the volume is {}", record.kind.fs_type()),
                ..Default::default()
            }
        };
        Ok(Response::new(answer))
    }

    async fn controller_expand_volume(
        &self,
        request: Request<csi::ControllerExpandVolumeRequest>,
    ) -> Result<Response<csi::ControllerExpandVolumeResponse>, Status> {
        let request = request.into_inner();
        let handle = request.volume_id;
        self.backend
            .heed_call(&self.driver, &handle, Topic::Grow)
            .await?;
        let there = self.backend.record(&self.driver, &handle)?;
        let (required, _) = sizes(request.capacity_range)?;
        let bytes = required.unwrap_or(there.bytes).max(there.bytes);
        let record = Record { bytes, ..there };
        let provided = self.backend.provide(&handle, &record).await;
        provided.map_err(|error| internal(&error))?;
        Ok(Response::new(csi::ControllerExpandVolumeResponse {
            capacity_bytes: signed(bytes),
            node_expansion_required: true,
        }))
    }

    async fn controller_get_capabilities(
        &self,
        _: Request<csi::ControllerGetCapabilitiesRequest>,
    ) -> Result<Response<csi::ControllerGetCapabilitiesResponse>, Status> {
        self.backend.heed_driver(&self.driver).await?;
        let rpcs = [
            Rpc::CreateDeleteVolume,
            Rpc::PublishUnpublishVolume,
            Rpc::ExpandVolume,
        ];
        let capabilities = rpcs
            .into_iter()
            .map(|rpc| csi::ControllerServiceCapability {
                r#type: Some(Type::Rpc(RpcCapability { r#type: rpc.into() })),
            });
        Ok(Response::new(csi::ControllerGetCapabilitiesResponse {
            capabilities: capabilities.collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use controller_server::Controller as _;
    use csi::volume_capability::MountVolume;
    use tonic::Code;

    use super::*;

    fn controller(images: &tempfile::TempDir) -> Controller {
        let backend = Backend::new(images.path().to_owned());
        Controller::new("d.example.com".to_owned(), "node-1".to_owned(), backend)
    }

    fn capability(fs_type: &str) -> csi::VolumeCapability {
        csi::VolumeCapability {
            access_type: Some(AccessType::Mount(MountVolume {
                fs_type: fs_type.to_owned(),
                ..MountVolume::default()
            })),
            access_mode: None,
        }
    }

    fn range(required_bytes: i64, limit_bytes: i64) -> csi::CapacityRange {
        csi::CapacityRange {
            required_bytes,
            limit_bytes,
        }
    }

    async fn create(
        controller: &Controller,
        fs_type: &str,
        range: csi::CapacityRange,
    ) -> Result<i64, Code> {
        let request = csi::CreateVolumeRequest {
            name: "pvc-1".to_owned(),
            capacity_range: Some(range),
            volume_capabilities: vec![capability(fs_type)],
        };
        let made = controller.create_volume(Request::new(request)).await;
        made.map(|made| made.into_inner().volume.unwrap().capacity_bytes)
            .map_err(|status| status.code())
    }

    #[tokio::test]
    async fn a_volume_is_made_once_grows_and_goes() {
        let images = tempfile::tempdir().unwrap();
        let controller = controller(&images);
        let mib = 1 << 20;
        assert_eq!(create(&controller, "xfs", range(mib, 0)).await, Ok(mib));
        assert_eq!(create(&controller, "xfs", range(mib, 0)).await, Ok(mib));
        let other = create(&controller, "ext4", range(mib, 0)).await;
        assert_eq!(other, Err(Code::AlreadyExists));
        let larger = create(&controller, "xfs", range(2 * mib, 0)).await;
        assert_eq!(larger, Err(Code::AlreadyExists));

        let request = csi::ControllerExpandVolumeRequest {
            volume_id: "pvc-1".to_owned(),
            capacity_range: Some(range(2 * mib, 0)),
            volume_capability: None,
        };
        let grown = controller.controller_expand_volume(Request::new(request));
        assert_eq!(grown.await.unwrap().into_inner().capacity_bytes, 2 * mib);
        let image = images.path().join("pvc-1.img");
        assert_eq!(image.metadata().unwrap().len(), 2 << 20);

        for _ in 0..2 {
            let request = csi::DeleteVolumeRequest {
                volume_id: "pvc-1".to_owned(),
            };
            controller
                .delete_volume(Request::new(request))
                .await
                .unwrap();
        }
        assert_eq!(images.path().read_dir().unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_cannot_be_is_refused_by_the_codes_of_the_specification() {
        let images = tempfile::tempdir().unwrap();
        let controller = controller(&images);
        let code = create(&controller, "nonsense", range(0, 0)).await;
        assert_eq!(code, Err(Code::InvalidArgument));
        for wrong in [range(-1, 0), range(0, -1)] {
            let code = create(&controller, "", wrong).await;
            assert_eq!(code, Err(Code::InvalidArgument), "{wrong:?}");
        }
        for impossible in [range(2, 1), range(i64::MAX, 0), range(i64::MAX, i64::MAX)] {
            let code = create(&controller, "", impossible).await;
            assert_eq!(code, Err(Code::OutOfRange), "{impossible:?}");
        }
        let attach = |volume: &str, node: &str| csi::ControllerPublishVolumeRequest {
            volume_id: volume.to_owned(),
            node_id: node.to_owned(),
            ..Default::default()
        };
        create(&controller, "", range(0, 0)).await.unwrap();
        for (volume, node, code) in [
            ("pvc-1", "node-1", Code::Ok),
            ("pvc-1", "node-2", Code::NotFound),
            ("pvc-2", "node-1", Code::NotFound),
            ("", "node-1", Code::InvalidArgument),
        ] {
            let request = Request::new(attach(volume, node));
            let answer = controller.controller_publish_volume(request).await;
            let told = answer.map_or_else(|status| status.code(), |_| Code::Ok);
            assert_eq!(told, code, "{volume} at {node}");
        }
    }
}
