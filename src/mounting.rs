//! How far a volume is on its way into a pod that has not started: by the objects, the mount table
//! and what the kubelet said of it; the one reading by which the rules about it judge.

#![deny(clippy::disallowed_methods)]

use crate::model::driver::Driver;
use crate::model::objects::{Event, PodState, VolumeMode};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::stage::MountStage;
use crate::model::volume::{Published, Volume};

/// How the kubelet begins when it gives up waiting for all volumes of a pod (`pkg/kubelet/volumemanager`).
const ALL_VOLUMES: &str = "Unable to attach or mount volumes";

/// What such a message ends with when it says nothing of why.
const TIMED_OUT: &str = "timed out waiting for the condition";

/// Whether a pod waits for a volume; a gap where that cannot be said.
#[derive(Debug, PartialEq, Eq)]
pub enum Wait<'a> {
    /// It does not: it has started, is ending, or has the volume.
    No,
    /// It does, and this was said of why.
    Told(&'a Event),
    /// It does, since its node has as many volumes of the driver attached as it allows; with the
    /// driver's words, where it refused.
    Full(Option<&'a str>),
    /// It does, and nobody says why.
    Silent,
    /// It cannot be said.
    Unknown(&'a Gap),
}

/// Whether a pod waits for a volume.
pub fn wait<'a>(volume: &'a Volume, published: &'a Published, driver: Option<&Driver>) -> Wait<'a> {
    match &published.state {
        Observed::Known(PodState::Starting) => {}
        Observed::Known(_) => return Wait::No,
        Observed::Unknown(_) if published.live == Observed::Known(true) => return Wait::No,
        Observed::Unknown(gap) => return Wait::Unknown(gap),
    }
    match &published.mount {
        Observed::Known(Some(_)) => return Wait::No,
        Observed::Known(None) if volume.mode == VolumeMode::Block && published.device_node => {
            return Wait::No;
        }
        Observed::Known(None) => {}
        Observed::Unknown(gap) => return Wait::Unknown(gap),
    }
    if let Some(full) = full(volume, driver) {
        return full;
    }
    // An expansion that fails at the mount is the expansion's story.
    if published
        .events
        .items
        .iter()
        .any(Event::is_about_expansion_at_mount)
    {
        return Wait::No;
    }
    match failure(&published.events) {
        Ok(Some(event)) => Wait::Told(event),
        Ok(None) => Wait::Silent,
        Err(gap) => Wait::Unknown(gap),
    }
}

/// The latest event that says why a volume cannot be mounted; a gap where there may be one that was not seen.
pub fn failure(events: &Listing<Event>) -> Result<Option<&Event>, &Gap> {
    let failed = events.items.iter().rev().find(|event| {
        matches!(event.reason.as_str(), "FailedMount" | "FailedMapVolume")
            && !is_mere_time_out(&event.message)
    });
    match (
        failed,
        events.gaps.iter().find(|gap| gap.why != Why::NotAsked),
    ) {
        (Some(event), _) => Ok(Some(event)),
        (None, None) => Ok(None),
        (None, Some(gap)) => Err(gap),
    }
}

/// A message that all volumes of a pod together took too long: the specific ones say why.
fn is_mere_time_out(message: &str) -> bool {
    message.contains(ALL_VOLUMES) && message.trim_end().ends_with(TIMED_OUT)
}

/// Whether a volume is not attached because the node has no room for it.
fn full<'a>(volume: &'a Volume, driver: Option<&Driver>) -> Option<Wait<'a>> {
    let attachment = volume.attachment.known()?.as_ref()?;
    if attachment.attached {
        return None;
    }
    // CSI specification, ControllerPublishVolume: the code for a node with the maximum of volumes.
    let refused = attachment.error.as_deref();
    let refused = refused.filter(|error| error.contains("code = ResourceExhausted"));
    let driver = driver?;
    let allowed = driver
        .csi_node
        .known()
        .and_then(|listed| listed.as_ref()?.allocatable);
    let reached = allowed.is_some_and(|allowed| driver.attached >= allowed);
    (refused.is_some() || reached).then_some(Wait::Full(refused))
}

/// Whether a driver mounts a volume for the node before it mounts it for a pod, where it says so.
fn stages(driver: Option<&Driver>) -> Option<bool> {
    driver?.plugin.known()?.can("STAGE_UNSTAGE_VOLUME")
}

/// The first step that is missing, and what says so.
pub fn missing(volume: &Volume, driver: Option<&Driver>) -> (MountStage, String) {
    match &volume.attachment {
        Observed::Known(Some(one)) if !one.attached => {
            let why = match &one.error {
                Some(error) => format!("VolumeAttachment {} is not attached: {error}", one.name),
                None => format!(
                    "VolumeAttachment {} is not attached, and says no error",
                    one.name
                ),
            };
            return (MountStage::Attached, why);
        }
        Observed::Unknown(gap) => {
            let why = format!("whether it is attached is not known: {gap}");
            return (MountStage::Attached, why);
        }
        Observed::Known(_) => {}
    }
    match &volume.staged {
        Observed::Known(Some(staged)) => (
            MountStage::Published,
            format!(
                "staged ({} on {}), and not published",
                staged.fs_type, staged.source
            ),
        ),
        _ if stages(driver) == Some(false) => (
            MountStage::Published,
            "nothing is mounted at its target path, and its driver stages nothing".to_owned(),
        ),
        _ => (
            MountStage::Staged,
            "nothing is mounted at its staging target path".to_owned(),
        ),
    }
}
