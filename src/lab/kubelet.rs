//! The stand-in for the kubelet: it registers plugins and brings volumes to
//! pods with the same calls, in the same order and on the same paths.
//!
//! It asks no filesystem anything, so a hung one cannot hang it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::json;
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};

use crate::lab::catalogue::Driver;
use crate::lab::objects::Registered;
use crate::lab::plugin::name;
use crate::lab::site::{NODE, Setup};
use crate::lab::volumes::{Kind, SUB_PATH, Use, Volume};
use crate::lab::{mounts, remove};
use crate::proto::csi::node_client::NodeClient;
use crate::proto::csi::node_service_capability::{Type as NodeType, rpc::Type as NodeRpc};
use crate::proto::csi::volume_capability::access_mode::Mode;
use crate::proto::csi::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
use crate::proto::csi::{
    CapacityRange, NodeExpandVolumeRequest, NodeGetCapabilitiesRequest, NodeGetInfoRequest,
    NodePublishVolumeRequest, NodeStageVolumeRequest, NodeUnpublishVolumeRequest,
    NodeUnstageVolumeRequest, VolumeCapability,
};
use crate::proto::registration::registration_client::RegistrationClient;
use crate::proto::registration::{InfoRequest, RegistrationStatus};

/// How long a plugin may take to appear after its start.
const APPEAR: Duration = Duration::from_secs(10);

/// The deadline of one CSI call, as the kubelet has it (`pkg/volume/csi/csi_plugin.go`, `csiTimeout`).
const CALL: Duration = Duration::from_mins(2);

/// The deadline of `NodeExpandVolume`: nobody wants to wait two minutes for a lab's driver that hangs.
const EXPANSION: Duration = Duration::from_secs(10);

/// Where a plugin's registrar listens.
pub(crate) fn registration_socket(kubelet: &Path, driver: &str) -> PathBuf {
    kubelet
        .join("plugins_registry")
        .join(format!("{driver}-reg.sock"))
}

/// Where a plugin itself listens.
pub(crate) fn plugin_socket(kubelet: &Path, driver: &str) -> PathBuf {
    kubelet.join("plugins").join(driver).join("csi.sock")
}

/// Waits for a plugin's registrar and registers what it names.
pub(crate) async fn register(setup: &Setup, driver: &Driver) -> anyhow::Result<Registered> {
    let socket = registration_socket(&setup.kubelet(), driver.name);
    let mut registrar = RegistrationClient::new(appear(&socket).await?);
    let info = registrar.get_info(InfoRequest {}).await?.into_inner();
    if info.r#type != "CSIPlugin" {
        bail!("{} registers something else: {info:?}", socket.display());
    }
    let mut plugin = NodeClient::new(appear(Path::new(&info.endpoint)).await?);
    let node = plugin
        .node_get_info(NodeGetInfoRequest {})
        .await?
        .into_inner();
    registrar
        .notify_registration_status(RegistrationStatus {
            plugin_registered: true,
            error: String::new(),
        })
        .await?;
    Ok(Registered {
        driver: driver.name,
        name: info.name,
        node_id: node.node_id,
        limit: (node.max_volumes_per_node > 0).then_some(node.max_volumes_per_node),
    })
}

/// Waits until a driver's plugin takes connections.
pub(crate) async fn await_plugin(setup: &Setup, driver: &Driver) -> anyhow::Result<()> {
    let socket = plugin_socket(&setup.kubelet(), driver.name);
    appear(&socket).await.map(drop)
}

/// What the kubelet says of a mount that failed, and under which reason.
pub(crate) fn failed_mount(volume: &Volume, error: &anyhow::Error) -> (&'static str, String) {
    let reason = match volume.kind {
        Kind::Block => "FailedMapVolume",
        _ => "FailedMount",
    };
    (reason, format!("{error} : {}", error.root_cause()))
}

/// The step at which a mount fails, as the kubelet names it (`pkg/volume/util/operationexecutor`).
fn step(volume: &Volume, mount: &str, map: &str) -> String {
    let step = match volume.kind {
        Kind::Block => format!("MapVolume.{map}"),
        _ => format!("MountVolume.{mount}"),
    };
    format!("{step} failed for volume \"{}\"", volume.pv())
}

async fn appear(socket: &Path) -> anyhow::Result<Channel> {
    let patience = timeout(APPEAR, async {
        loop {
            match connect(socket).await {
                Ok(channel) => return channel,
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    });
    patience
        .await
        .map_err(|_| anyhow!("nobody answered on {} within {APPEAR:?}", socket.display()))
}

async fn connect(socket: &Path) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display()))?
        .connect_timeout(Duration::from_secs(2))
        .timeout(CALL);
    endpoint
        .connect()
        .await
        .map_err(|_| anyhow!("nobody answers on {}", socket.display()))
}

async fn plugin(setup: &Setup, volume: &Volume) -> anyhow::Result<NodeClient<Channel>> {
    let socket = plugin_socket(&setup.kubelet(), volume.driver.name);
    Ok(NodeClient::new(connect(&socket).await?))
}

/// Brings a volume to its pod: stage, then publish.
pub(crate) async fn mount(setup: &Setup, volume: &Volume) -> anyhow::Result<()> {
    match volume.used {
        Use::InTree => mount_in_tree(setup, volume),
        // The kubelet stages nothing that lives and dies with its pod.
        Use::Inline => publish(setup, volume).await,
        _ => {
            stage(setup, volume).await?;
            publish(setup, volume).await
        }
    }
}

/// What a plugin that is built into the kubelet does itself: an NFS share, as far as paths and names tell.
fn mount_in_tree(setup: &Setup, volume: &Volume) -> anyhow::Result<()> {
    let target = volume.target(setup);
    std::fs::create_dir_all(&target)
        .with_context(|| format!("could not make {}", target.display()))?;
    mounts::mount_tmpfs("files.example:/wiki", &target, volume.capacity)
}

async fn stage(setup: &Setup, volume: &Volume) -> anyhow::Result<()> {
    let mut client = plugin(setup, volume).await?;
    let capabilities = client
        .node_get_capabilities(NodeGetCapabilitiesRequest {})
        .await?
        .into_inner()
        .capabilities;
    let stages = capabilities.iter().any(|capability| {
        matches!(&capability.r#type, Some(NodeType::Rpc(rpc)) if rpc.r#type() == NodeRpc::StageUnstageVolume)
    });
    if !stages {
        return Ok(());
    }
    let staging = volume.staging(setup);
    std::fs::create_dir_all(&staging)
        .with_context(|| format!("could not make {}", staging.display()))?;
    if volume.kind != Kind::Block {
        let data = json!({"volumeHandle": volume.handle, "driverName": volume.driver.name});
        write_volume_data(&volume.global_directory(setup), &data)?;
    }
    client
        .node_stage_volume(NodeStageVolumeRequest {
            volume_id: volume.handle.clone(),
            staging_target_path: text(&staging),
            volume_capability: Some(capability(volume)),
            ..NodeStageVolumeRequest::default()
        })
        .await
        .map_err(|status| in_go(&status))
        .with_context(|| step(volume, "MountDevice", "SetUpDevice"))?;
    Ok(())
}

/// The pod's side alone, as after somebody unmounted it.
pub(crate) async fn publish(setup: &Setup, volume: &Volume) -> anyhow::Result<()> {
    let mut data = json!({
        "specVolID": volume.pv(),
        "volumeHandle": volume.handle,
        "driverName": volume.driver.name,
        "nodeName": NODE,
        "attachmentID": volume.attachment(),
    });
    let directory = if volume.kind == Kind::Block {
        make_parent(&volume.target(setup))?;
        volume.block_data(setup)
    } else {
        data["volumeLifecycleMode"] = match volume.used {
            Use::Inline => "Ephemeral".into(),
            _ => "Persistent".into(),
        };
        volume.pod_directory(setup)
    };
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("could not make {}", directory.display()))?;
    write_volume_data(&directory, &data)?;
    plugin(setup, volume)
        .await?
        .node_publish_volume(NodePublishVolumeRequest {
            volume_id: volume.handle.clone(),
            staging_target_path: match volume.used {
                Use::Inline => String::new(),
                _ => text(&volume.staging(setup)),
            },
            target_path: text(&volume.target(setup)),
            volume_capability: Some(capability(volume)),
            readonly: volume.read_only,
            ..NodePublishVolumeRequest::default()
        })
        .await
        .map_err(|status| in_go(&status))
        .with_context(|| step(volume, "SetUp", "MapPodDevice"))?;
    if volume.kind == Kind::Block {
        map(setup, volume)?;
    }
    if volume.used == Use::SubPath {
        bind_sub_path(setup, volume)?;
    }
    Ok(())
}

/// The directory that a container gets, bound to a place where nobody can swap it.
fn bind_sub_path(setup: &Setup, volume: &Volume) -> anyhow::Result<()> {
    let (directory, at) = (
        volume.target(setup).join(SUB_PATH),
        volume.for_container(setup),
    );
    for path in [&directory, &at] {
        std::fs::create_dir_all(path)
            .with_context(|| format!("could not make {}", path.display()))?;
    }
    mounts::bind(&directory, &at, false)
}

/// The kubelet's own ways to a published device: a bind mount and a link
/// (`pkg/volume/util/volumepathhandler`).
fn map(setup: &Setup, volume: &Volume) -> anyhow::Result<()> {
    let (target, own, link) = (
        volume.target(setup),
        volume.block_map(setup),
        volume.block_link(setup),
    );
    if mounts::find(&own).is_none() {
        make_parent(&own)?;
        std::fs::File::create(&own).with_context(|| format!("could not make {}", own.display()))?;
        mounts::bind(&target, &own, false)?;
    }
    if !link.is_symlink() {
        make_parent(&link)?;
        std::os::unix::fs::symlink(&target, &link)
            .with_context(|| format!("could not link {}", link.display()))?;
    }
    Ok(())
}

fn unmap(setup: &Setup, volume: &Volume) -> anyhow::Result<()> {
    let own = volume.block_map(setup);
    mounts::unmount(&own)?;
    remove(&own)?;
    remove(&volume.block_link(setup))
}

fn make_parent(path: &Path) -> anyhow::Result<()> {
    let directory = path.parent().unwrap_or(path);
    std::fs::create_dir_all(directory)
        .with_context(|| format!("could not make {}", directory.display()))
}

/// Takes a volume from its pod: unpublish, then unstage.
pub(crate) async fn unmount(setup: &Setup, volume: &Volume) -> anyhow::Result<()> {
    unpublish(setup, volume).await?;
    if volume.used == Use::Inline {
        return Ok(());
    }
    let mut client = plugin(setup, volume).await?;
    client
        .node_unstage_volume(NodeUnstageVolumeRequest {
            volume_id: volume.handle.clone(),
            staging_target_path: text(&volume.staging(setup)),
        })
        .await
        .map_err(|status| in_go(&status))
        .with_context(|| format!("UnmountDevice failed for {}", volume.claim))?;
    Ok(())
}

/// The pod's side alone.
pub(crate) async fn unpublish(setup: &Setup, volume: &Volume) -> anyhow::Result<()> {
    if volume.kind == Kind::Block {
        unmap(setup, volume)?;
    }
    if volume.used == Use::SubPath {
        mounts::unmount(&volume.for_container(setup))?;
    }
    let mut client = plugin(setup, volume).await?;
    client
        .node_unpublish_volume(NodeUnpublishVolumeRequest {
            volume_id: volume.handle.clone(),
            target_path: text(&volume.target(setup)),
        })
        .await
        .map_err(|status| in_go(&status))
        .with_context(|| format!("UnmountVolume.TearDown failed for {}", volume.claim))?;
    Ok(())
}

/// Asks the plugin to grow the filesystem to what the volume now has.
pub(crate) async fn expand(setup: &Setup, volume: &Volume) -> anyhow::Result<()> {
    let size = volume.allocated.unwrap_or(volume.capacity);
    let mut client = plugin(setup, volume).await?;
    let call = client.node_expand_volume(NodeExpandVolumeRequest {
        volume_id: volume.handle.clone(),
        volume_path: text(&volume.target(setup)),
        staging_target_path: text(&volume.staging(setup)),
        capacity_range: Some(CapacityRange {
            required_bytes: i64::try_from(size).context("a size beyond CSI's")?,
            limit_bytes: 0,
        }),
        volume_capability: Some(capability(volume)),
    });
    timeout(EXPANSION, call)
        .await
        .unwrap_or_else(|_| {
            Err(tonic::Status::deadline_exceeded(
                "context deadline exceeded",
            ))
        })
        .map_err(|status| in_go(&status))?;
    Ok(())
}

/// An error as Go's gRPC words it, hence as it stands in events.
fn in_go(status: &tonic::Status) -> anyhow::Error {
    anyhow!(
        "rpc error: code = {} desc = {}",
        name(status.code()),
        status.message()
    )
}

fn capability(volume: &Volume) -> VolumeCapability {
    let access = match volume.kind {
        Kind::Block => AccessType::Block(BlockVolume {}),
        kind => AccessType::Mount(MountVolume {
            fs_type: kind.fs_type().to_owned(),
            ..MountVolume::default()
        }),
    };
    VolumeCapability {
        access_type: Some(access),
        access_mode: Some(AccessMode {
            mode: match volume.used {
                Use::ReadOnlyMany => Mode::MultiNodeReaderOnly,
                Use::Shared => Mode::MultiNodeMultiWriter,
                _ => Mode::SingleNodeWriter,
            }
            .into(),
        }),
    }
}

fn write_volume_data(directory: &Path, data: &serde_json::Value) -> anyhow::Result<()> {
    let path = directory.join("vol_data.json");
    std::fs::write(&path, format!("{data}\n"))
        .with_context(|| format!("could not write {}", path.display()))
}

/// The lab's own paths are ASCII.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
