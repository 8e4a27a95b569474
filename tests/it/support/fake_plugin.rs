//! A CSI node plugin of thirty lines with a registrar, well or in one of several ways unwell.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use csi_doctor::proto::csi::identity_server::{Identity, IdentityServer};
use csi_doctor::proto::csi::node_server::{Node, NodeServer};
use csi_doctor::proto::csi::node_service_capability::{Rpc, Type};
use csi_doctor::proto::csi::*;
use csi_doctor::proto::registration::registration_server::{Registration, RegistrationServer};
use csi_doctor::proto::registration::{
    InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse,
};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// How a call about one volume ends.
#[derive(Debug, Clone)]
pub(crate) enum Stats {
    Usage { total: i64, used: i64 },
    Error(Status),
    Never,
}

/// What a plugin answers; shared, so that a test can change it.
#[derive(Debug, Default)]
pub(crate) struct Manner {
    pub(crate) name: String,
    /// The answer to everything.
    pub(crate) error: Mutex<Option<Status>>,
    /// No answer to anything.
    pub(crate) never: std::sync::atomic::AtomicBool,
    pub(crate) volumes: Mutex<BTreeMap<String, Stats>>,
    /// What it answers to `Probe`.
    pub(crate) ready: Mutex<Option<Result<bool, Status>>>,
    /// What it says of health, by the numbers of the specification; it has the calls when there is any.
    pub(crate) health: Mutex<Option<Vec<i32>>>,
    /// How often it was asked what it calls the node.
    pub(crate) named_node: AtomicUsize,
    /// Calls that were made about volumes.
    pub(crate) calls: Mutex<Vec<String>>,
    pub(crate) at_once: AtomicUsize,
    pub(crate) most_at_once: AtomicUsize,
}

impl Manner {
    pub(crate) fn of(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            ..Self::default()
        })
    }

    async fn answer<T>(&self, answer: T) -> Result<Response<T>, Status> {
        if self.never.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let error = self.error.lock().unwrap().clone();
        error.map_or_else(|| Ok(Response::new(answer)), Err)
    }
}

/// A server that ends with the value.
pub(crate) struct Served(JoinHandle<()>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves a plugin at `<kubelet>/plugins/<directory>/csi.sock`.
pub(crate) fn serve_plugin(kubelet: &Path, directory: &str, manner: &Arc<Manner>) -> Served {
    let fake = Fake(Arc::clone(manner));
    let router = Server::builder()
        .add_service(IdentityServer::new(fake.clone()))
        .add_service(NodeServer::new(fake));
    let listener = listen(&plugin_socket(kubelet, directory));
    Served(tokio::spawn(async move {
        router.serve_with_incoming(listener).await.unwrap();
    }))
}

/// Serves a registrar at `<kubelet>/plugins_registry/<name>-reg.sock`.
pub(crate) fn serve_registrar(kubelet: &Path, kind: &str, name: &str, endpoint: &str) -> Served {
    let registrar = Registrar(PluginInfo {
        r#type: kind.to_owned(),
        name: name.to_owned(),
        endpoint: endpoint.to_owned(),
        supported_versions: vec!["1.0.0".to_owned()],
    });
    let listener = listen(&registrar_socket(kubelet, name));
    let router = Server::builder().add_service(RegistrationServer::new(registrar));
    Served(tokio::spawn(async move {
        router.serve_with_incoming(listener).await.unwrap();
    }))
}

pub(crate) fn plugin_socket(kubelet: &Path, directory: &str) -> PathBuf {
    kubelet.join("plugins").join(directory).join("csi.sock")
}

pub(crate) fn registrar_socket(kubelet: &Path, name: &str) -> PathBuf {
    kubelet
        .join("plugins_registry")
        .join(format!("{name}-reg.sock"))
}

fn listen(socket: &Path) -> UnixListenerStream {
    UnixListenerStream::new(UnixListener::from_std(listen_std(socket)).unwrap())
}

fn listen_std(socket: &Path) -> StdListener {
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(socket);
    let listener = StdListener::bind(socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

/// A socket that lets connect and never accepts, for as long as the value lives.
pub(crate) fn never_accept(socket: &Path) -> StdListener {
    listen_std(socket)
}

/// A socket file that nobody listens at any more.
pub(crate) fn leave_stale(socket: &Path) {
    drop(listen_std(socket));
}

/// A socket whose owner speaks something else than HTTP/2, and hangs up.
pub(crate) fn speak_nonsense(socket: &Path) {
    let listener = listen_std(socket);
    listener.set_nonblocking(false).unwrap();
    std::thread::spawn(move || {
        // Ends with the test's process.
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 24]);
            let _ = stream.write_all(b"HTTP/1.0 400 \xff\xfe what?\r\n\r\n");
        }
    });
}

#[derive(Clone)]
struct Fake(Arc<Manner>);

#[tonic::async_trait]
impl Identity for Fake {
    async fn get_plugin_info(
        &self,
        _: Request<GetPluginInfoRequest>,
    ) -> Result<Response<GetPluginInfoResponse>, Status> {
        let answer = GetPluginInfoResponse {
            name: self.0.name.clone(),
            vendor_version: "1.2.3\n".to_owned(),
            manifest: std::collections::HashMap::new(),
        };
        self.0.answer(answer).await
    }

    async fn get_plugin_capabilities(
        &self,
        _: Request<GetPluginCapabilitiesRequest>,
    ) -> Result<Response<GetPluginCapabilitiesResponse>, Status> {
        self.0
            .answer(GetPluginCapabilitiesResponse::default())
            .await
    }

    async fn probe(&self, _: Request<ProbeRequest>) -> Result<Response<ProbeResponse>, Status> {
        let ready = self.0.ready.lock().unwrap().clone().transpose()?;
        self.0.answer(ProbeResponse { ready }).await
    }
}

#[tonic::async_trait]
impl Node for Fake {
    async fn node_get_capabilities(
        &self,
        _: Request<NodeGetCapabilitiesRequest>,
    ) -> Result<Response<NodeGetCapabilitiesResponse>, Status> {
        let has_health = self.0.health.lock().unwrap().is_some();
        let health: &[i32] = if has_health { &[7, 8] } else { &[] };
        let capabilities = [2, 1, 77].iter().chain(health);
        let capabilities = capabilities.map(|number| NodeServiceCapability {
            r#type: Some(Type::Rpc(Rpc { r#type: *number })),
        });
        let answer = NodeGetCapabilitiesResponse {
            capabilities: capabilities.collect(),
        };
        self.0.answer(answer).await
    }

    async fn node_get_volume_stats(
        &self,
        request: Request<NodeGetVolumeStatsRequest>,
    ) -> Result<Response<NodeGetVolumeStatsResponse>, Status> {
        let volume = request.into_inner().volume_id;
        self.0.calls.lock().unwrap().push(volume.clone());
        let now = self.0.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_at_once.fetch_max(now, Ordering::SeqCst);
        let _leave = Leave(&self.0.at_once);
        // A chance for another call to overlap.
        tokio::task::yield_now().await;
        let stats = self.0.volumes.lock().unwrap().get(&volume).cloned();
        match stats {
            Some(Stats::Usage { total, used }) => {
                let usage = VolumeUsage {
                    available: total - used,
                    total,
                    used,
                    unit: volume_usage::Unit::Bytes as i32,
                };
                let answer = NodeGetVolumeStatsResponse {
                    usage: vec![usage],
                    volume_condition: None,
                };
                self.0.answer(answer).await
            }
            Some(Stats::Error(error)) => Err(error),
            Some(Stats::Never) => std::future::pending().await,
            None => Err(Status::not_found(format!("volume {volume} is not here"))),
        }
    }

    async fn node_stage_volume(
        &self,
        _: Request<NodeStageVolumeRequest>,
    ) -> Result<Response<NodeStageVolumeResponse>, Status> {
        Err(forbidden())
    }

    async fn node_unstage_volume(
        &self,
        _: Request<NodeUnstageVolumeRequest>,
    ) -> Result<Response<NodeUnstageVolumeResponse>, Status> {
        Err(forbidden())
    }

    async fn node_publish_volume(
        &self,
        _: Request<NodePublishVolumeRequest>,
    ) -> Result<Response<NodePublishVolumeResponse>, Status> {
        Err(forbidden())
    }

    async fn node_unpublish_volume(
        &self,
        _: Request<NodeUnpublishVolumeRequest>,
    ) -> Result<Response<NodeUnpublishVolumeResponse>, Status> {
        Err(forbidden())
    }

    async fn node_expand_volume(
        &self,
        _: Request<NodeExpandVolumeRequest>,
    ) -> Result<Response<NodeExpandVolumeResponse>, Status> {
        Err(forbidden())
    }

    async fn node_get_info(
        &self,
        _: Request<NodeGetInfoRequest>,
    ) -> Result<Response<NodeGetInfoResponse>, Status> {
        self.0.named_node.fetch_add(1, Ordering::SeqCst);
        let answer = NodeGetInfoResponse {
            node_id: "node-1".to_owned(),
            max_volumes_per_node: -1,
            accessible_topology: None,
        };
        self.0.answer(answer).await
    }

    async fn node_get_volume_health(
        &self,
        request: Request<NodeGetVolumeHealthRequest>,
    ) -> Result<Response<NodeGetVolumeHealthResponse>, Status> {
        let Some(statuses) = self.0.health.lock().unwrap().clone() else {
            return Err(forbidden());
        };
        let entry = |status: i32| VolumeHealthEntry {
            status,
            reason: "Told".to_owned(),
            message: "a\u{7}b".to_owned(),
        };
        let health = VolumeHealth {
            volume_id: request.into_inner().volume_id,
            health_statuses: statuses.into_iter().map(entry).collect(),
        };
        let answer = NodeGetVolumeHealthResponse {
            volume_health: Some(health),
        };
        self.0.answer(answer).await
    }

    async fn node_get_storage_health(
        &self,
        _: Request<NodeGetStorageHealthRequest>,
    ) -> Result<Response<NodeGetStorageHealthResponse>, Status> {
        let Some(statuses) = self.0.health.lock().unwrap().clone() else {
            return Err(forbidden());
        };
        let entry = |status: i32| StorageBackendHealth {
            status,
            ..StorageBackendHealth::default()
        };
        let answer = NodeGetStorageHealthResponse {
            backend_health: statuses.into_iter().map(entry).collect(),
        };
        self.0.answer(answer).await
    }
}

struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn forbidden() -> Status {
    Status::internal("nobody has any business calling this")
}

struct Registrar(PluginInfo);

#[tonic::async_trait]
impl Registration for Registrar {
    async fn get_info(&self, _: Request<InfoRequest>) -> Result<Response<PluginInfo>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn notify_registration_status(
        &self,
        _: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        Err(forbidden())
    }
}
