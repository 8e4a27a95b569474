//! A real CSI plugin: Identity, Node and Controller on `csi.sock`, and the registrar's
//! socket beside it. One process per driver.
//!
//! It knows volumes from the storage backend's records only; nothing of pods,
//! claims or faults.

mod backing;
mod conduct;
mod controller;
mod device;
mod health;
mod identity;
mod manner;
mod node;
mod stats;

pub(crate) use backing::{Backend, Hold, Record};
pub(crate) use conduct::{Of, Topic, topics};
pub(crate) use device::hold;
pub(crate) use manner::{Manner, name};

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::Status;
use tonic::transport::Server;

use crate::lab::kubelet::{plugin_socket, registration_socket};
use crate::lab::{args, remove};
use crate::proto::csi::controller_server::ControllerServer;
use crate::proto::csi::identity_server::IdentityServer;
use crate::proto::csi::node_server::NodeServer;
use crate::proto::registration::registration_server::RegistrationServer;

/// Serves until it is killed.
pub(crate) fn run(wanted: args::Plugin) -> anyhow::Result<ExitCode> {
    let backend = Backend::new(wanted.images.clone());
    if backend.set_to(&wanted.driver, Topic::Mounts) == "unshared" {
        unshare_mounts()?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("could not start the runtime")?;
    runtime.block_on(serve(wanted))?;
    Ok(ExitCode::SUCCESS)
}

/// As in a container without `mountPropagation: Bidirectional`: what the host mounts arrives, what is mounted
/// here stays here. Before there are threads: each has its own namespace.
fn unshare_mounts() -> anyhow::Result<()> {
    let none: Option<&Path> = None;
    unshare(CloneFlags::CLONE_NEWNS).context("could not make a mount namespace")?;
    let slave = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(none, "/", none, slave, none).context("could not make the mounts slaves")
}

async fn serve(wanted: args::Plugin) -> anyhow::Result<()> {
    let socket = plugin_socket(&wanted.kubelet_dir, &wanted.driver);
    let registration = registration_socket(&wanted.kubelet_dir, &wanted.driver);
    let calls = listen(&socket)?;
    let backend = Backend::new(wanted.images);
    let identity = identity::Identity::new(wanted.driver.clone(), &socket, backend.clone());
    let alone = backend.set_to(&wanted.driver, Topic::Registrar) == "none";
    let controller =
        controller::Controller::new(wanted.driver.clone(), wanted.node.clone(), backend.clone());
    let node = node::Node::new(wanted.driver, wanted.node, backend);
    let plugin = Server::builder()
        .add_service(IdentityServer::new(identity.clone()))
        .add_service(ControllerServer::new(controller))
        .add_service(NodeServer::new(node))
        .serve_with_incoming(UnixListenerStream::new(calls));
    if alone {
        remove(&registration)?;
        return plugin.await.context("could not serve");
    }
    let registrar = Server::builder()
        .add_service(RegistrationServer::new(identity))
        .serve_with_incoming(UnixListenerStream::new(listen(&registration)?));
    tokio::try_join!(plugin, registrar).context("could not serve")?;
    Ok(())
}

/// Binds a socket that only root can reach. A file that a killed predecessor
/// left behind is in the way, as in life.
fn listen(socket: &Path) -> anyhow::Result<UnixListener> {
    let shown = socket.display();
    if let Some(directory) = socket.parent() {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("could not make the directory of {shown}"))?;
    }
    remove(socket)?;
    let listener =
        UnixListener::bind(socket).with_context(|| format!("could not listen on {shown}"))?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o700))
        .with_context(|| format!("could not protect {shown}"))?;
    Ok(listener)
}

fn internal(error: &anyhow::Error) -> Status {
    Status::internal(format!("{error:#}"))
}
