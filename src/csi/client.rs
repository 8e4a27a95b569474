//! A client of one plugin's socket that can only ask.
//!
//! It has a method for each call that changes nothing, and none for any other: no mistake elsewhere
//! can stage, publish, expand or delete. Every call ends at its deadline, headers and body together.

use std::fs::File;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use crate::model::names::{HostPath, VolumeHandle};
use crate::proto::csi::identity_client::IdentityClient;
use crate::proto::csi::node_client::NodeClient;
use crate::proto::csi::{
    GetPluginCapabilitiesRequest, GetPluginCapabilitiesResponse, GetPluginInfoRequest,
    GetPluginInfoResponse, NodeGetCapabilitiesRequest, NodeGetCapabilitiesResponse,
    NodeGetInfoRequest, NodeGetInfoResponse, NodeGetStorageHealthRequest,
    NodeGetStorageHealthResponse, NodeGetVolumeHealthRequest, NodeGetVolumeHealthResponse,
    NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, ProbeRequest, ProbeResponse,
};
use crate::proto::registration::registration_client::RegistrationClient;
use crate::proto::registration::{InfoRequest, PluginInfo};

use super::failure::Error;
use super::sockets::below;

/// The kernel's limit for the path of a socket is 108 bytes with its end (`unix(7)`).
const MAX_PATH: usize = 107;

/// No answer that we ask for is near this.
const MAX_MESSAGE: usize = 1024 * 1024;

/// A connection to one socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: HostPath,
    channel: Channel,
    deadline: Duration,
    /// Keeps the short form of a long path valid, see `address`.
    _directory: Option<std::sync::Arc<File>>,
}

impl Client {
    /// Connects. That it succeeds says only that somebody listens, not that anybody accepts.
    pub async fn connect(
        host_root: &Path,
        socket: &HostPath,
        deadline: Duration,
    ) -> Result<Self, Error> {
        let (address, directory) =
            address(&below(host_root, socket)).map_err(|source| Error::Address {
                socket: socket.clone(),
                source,
            })?;
        let failed = |source| Error::Connect {
            socket: socket.clone(),
            source,
        };
        let endpoint = Endpoint::from_shared(address)
            .map_err(failed)?
            // What the kubelet and the sidecars say.
            .origin(Uri::from_static("http://localhost"))
            .connect_timeout(deadline);
        let channel = match tokio::time::timeout(deadline, endpoint.connect()).await {
            Ok(connected) => connected.map_err(failed)?,
            Err(_) => {
                return Err(Error::Silent {
                    call: "connect".to_owned(),
                    socket: socket.clone(),
                    deadline,
                });
            }
        };
        Ok(Self {
            socket: socket.clone(),
            channel,
            deadline,
            _directory: directory.map(std::sync::Arc::new),
        })
    }

    /// Waits for an answer until the deadline. tonic's own ends with the headers of the answer.
    async fn ask<T>(
        &self,
        call: &str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.deadline, answer).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(Error::Call {
                call: call.to_owned(),
                socket: self.socket.clone(),
                source: Box::new(status),
            }),
            Err(_) => Err(Error::Silent {
                call: call.to_owned(),
                socket: self.socket.clone(),
                deadline: self.deadline,
            }),
        }
    }

    fn identity(&self) -> IdentityClient<Channel> {
        IdentityClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    fn node(&self) -> NodeClient<Channel> {
        NodeClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// `Identity.GetPluginInfo`.
    pub async fn plugin_info(&self) -> Result<GetPluginInfoResponse, Error> {
        let mut client = self.identity();
        self.ask(
            "GetPluginInfo",
            client.get_plugin_info(GetPluginInfoRequest {}),
        )
        .await
    }

    /// `Identity.GetPluginCapabilities`.
    pub async fn plugin_capabilities(&self) -> Result<GetPluginCapabilitiesResponse, Error> {
        let mut client = self.identity();
        let request = GetPluginCapabilitiesRequest {};
        self.ask(
            "GetPluginCapabilities",
            client.get_plugin_capabilities(request),
        )
        .await
    }

    /// `Identity.Probe`.
    pub async fn probe(&self) -> Result<ProbeResponse, Error> {
        let mut client = self.identity();
        self.ask("Probe", client.probe(ProbeRequest {})).await
    }

    /// `Node.NodeGetCapabilities`.
    pub async fn node_capabilities(&self) -> Result<NodeGetCapabilitiesResponse, Error> {
        let mut client = self.node();
        let request = NodeGetCapabilitiesRequest {};
        self.ask("NodeGetCapabilities", client.node_get_capabilities(request))
            .await
    }

    /// `Node.NodeGetVolumeStats`.
    pub async fn volume_stats(
        &self,
        volume: &VolumeHandle,
        path: &HostPath,
        staging: Option<&HostPath>,
    ) -> Result<NodeGetVolumeStatsResponse, Error> {
        let mut client = self.node();
        let request = NodeGetVolumeStatsRequest {
            volume_id: volume.to_string(),
            volume_path: path.to_string(),
            staging_target_path: staging.map(ToString::to_string).unwrap_or_default(),
        };
        let call = format!("NodeGetVolumeStats for volume {volume}");
        self.ask(&call, client.node_get_volume_stats(request)).await
    }

    /// `Node.NodeGetInfo`.
    pub async fn node_info(&self) -> Result<NodeGetInfoResponse, Error> {
        let mut client = self.node();
        self.ask("NodeGetInfo", client.node_get_info(NodeGetInfoRequest {}))
            .await
    }

    /// `Node.NodeGetVolumeHealth`.
    pub async fn volume_health(
        &self,
        volume: &VolumeHandle,
        path: &HostPath,
        staging: Option<&HostPath>,
    ) -> Result<NodeGetVolumeHealthResponse, Error> {
        let mut client = self.node();
        let request = NodeGetVolumeHealthRequest {
            volume_id: volume.to_string(),
            volume_publish_path: path.to_string(),
            staging_target_path: staging.map(ToString::to_string).unwrap_or_default(),
        };
        let call = format!("NodeGetVolumeHealth for volume {volume}");
        self.ask(&call, client.node_get_volume_health(request))
            .await
    }

    /// `Node.NodeGetStorageHealth`; its secrets are never given.
    pub async fn storage_health(&self) -> Result<NodeGetStorageHealthResponse, Error> {
        let mut client = self.node();
        let request = NodeGetStorageHealthRequest {};
        self.ask(
            "NodeGetStorageHealth",
            client.node_get_storage_health(request),
        )
        .await
    }

    /// `Registration.GetInfo` of a registrar. (Never `NotifyRegistrationStatus`: that is the kubelet's verdict.)
    pub async fn registration(&self) -> Result<PluginInfo, Error> {
        let mut client =
            RegistrationClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        self.ask("GetInfo", client.get_info(InfoRequest {})).await
    }
}

/// A path as the transport takes it: text, and short enough for the kernel.
///
/// Where it is neither, it is reached through a descriptor of its directory, which must stay open
/// for as long as connections are made.
fn address(path: &Path) -> std::io::Result<(String, Option<File>)> {
    use std::os::fd::AsRawFd;

    if let Some(text) = path.to_str().filter(|text| text.len() <= MAX_PATH) {
        return Ok((format!("unix://{text}"), None));
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let (Some(directory), Some(name)) = (path.parent(), name) else {
        return Err(std::io::Error::other("the name of the socket is no text"));
    };
    let directory = File::open(directory)?;
    let short = format!("unix:///proc/self/fd/{}/{name}", directory.as_raw_fd());
    Ok((short, Some(directory)))
}
