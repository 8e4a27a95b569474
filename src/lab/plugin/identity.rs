//! Who the plugin is, to callers and to the kubelet.

use std::path::Path;

use tonic::{Request, Response, Status};

use super::backing::Backend;
use super::conduct::Topic;
use crate::proto::csi;
use crate::proto::csi::identity_server;
use crate::proto::csi::plugin_capability::service::Type as Role;
use crate::proto::csi::plugin_capability::volume_expansion::Type as Expansion;
use crate::proto::csi::plugin_capability::{Service, Type, VolumeExpansion};
use crate::proto::registration;
use crate::proto::registration::registration_server;

#[derive(Debug, Clone)]
pub(super) struct Identity {
    driver: String,
    endpoint: String,
    backend: Backend,
}

impl Identity {
    pub(super) fn new(driver: String, socket: &Path, backend: Backend) -> Self {
        Self {
            driver,
            endpoint: socket.to_string_lossy().into_owned(),
            backend,
        }
    }
}

#[tonic::async_trait]
impl identity_server::Identity for Identity {
    async fn get_plugin_info(
        &self,
        _: Request<csi::GetPluginInfoRequest>,
    ) -> Result<Response<csi::GetPluginInfoResponse>, Status> {
        self.backend.heed_driver(&self.driver).await?;
        Ok(Response::new(csi::GetPluginInfoResponse {
            name: self.driver.clone(),
            vendor_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..csi::GetPluginInfoResponse::default()
        }))
    }

    async fn get_plugin_capabilities(
        &self,
        _: Request<csi::GetPluginCapabilitiesRequest>,
    ) -> Result<Response<csi::GetPluginCapabilitiesResponse>, Status> {
        self.backend.heed_driver(&self.driver).await?;
        let expansion = if self.backend.is_offline(&self.driver) {
            Expansion::Offline
        } else {
            Expansion::Online
        };
        let capabilities = [
            Type::Service(Service {
                r#type: Role::ControllerService.into(),
            }),
            Type::VolumeExpansion(VolumeExpansion {
                r#type: expansion.into(),
            }),
        ];
        let capabilities = capabilities
            .into_iter()
            .map(|one| csi::PluginCapability { r#type: Some(one) });
        Ok(Response::new(csi::GetPluginCapabilitiesResponse {
            capabilities: capabilities.collect(),
        }))
    }

    async fn probe(
        &self,
        _: Request<csi::ProbeRequest>,
    ) -> Result<Response<csi::ProbeResponse>, Status> {
        self.backend.heed_driver(&self.driver).await?;
        let ready = match self
            .backend
            .heed(&self.driver, Topic::Probe)
            .await?
            .as_str()
        {
            "absent" => None,
            "false" => Some(false),
            _ => Some(true),
        };
        Ok(Response::new(csi::ProbeResponse { ready }))
    }
}

#[tonic::async_trait]
impl registration_server::Registration for Identity {
    async fn get_info(
        &self,
        _: Request<registration::InfoRequest>,
    ) -> Result<Response<registration::PluginInfo>, Status> {
        let name = match self.backend.set_to(&self.driver, Topic::Name).as_str() {
            "well" => self.driver.clone(),
            other => other.to_owned(),
        };
        Ok(Response::new(registration::PluginInfo {
            r#type: "CSIPlugin".to_owned(),
            name,
            endpoint: self.endpoint.clone(),
            supported_versions: vec!["1.0.0".to_owned()],
        }))
    }

    async fn notify_registration_status(
        &self,
        request: Request<registration::RegistrationStatus>,
    ) -> Result<Response<registration::RegistrationStatusResponse>, Status> {
        let status = request.into_inner();
        if !status.plugin_registered {
            tracing::error!("the kubelet refused the registration: {}", status.error);
        }
        Ok(Response::new(registration::RegistrationStatusResponse {}))
    }
}
