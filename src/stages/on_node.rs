//! The steps of a mount that only a node sees: by its agent's word, else by what pod and events imply.

use crate::model::driver::Driver;
use crate::model::objects::{PodState, VolumeMode};
use crate::model::observed::{Gap, Observed, Why};
use crate::model::stage::MountStage;
use crate::model::way::{Mark, Step};
use crate::stages::place::{Place, step, unknown, words as reason};

/// Whether the driver is there, as its agent saw it.
pub(super) fn plugin(place: &Place<'_>, driver: &Driver) -> Step {
    let stage = MountStage::DriverRegistered;
    let name = &driver.name;
    match (&driver.csi_node, &driver.plugin) {
        (Observed::Known(None), _) => {
            step(stage, Mark::Stuck, format!("CSINode does not list {name}"))
        }
        (_, Observed::Known(plugin)) => match &plugin.ready {
            Observed::Known(false) => step(
                stage,
                Mark::Stuck,
                format!("plugin {name} answers that it is not ready"),
            ),
            _ => step(
                stage,
                Mark::Done,
                format!("plugin {name} answers, version {}", plugin.version),
            ),
        },
        (_, Observed::Unknown(gap)) if gap.why == Why::NotAsked => {
            let unknown = unknown(stage, gap);
            place.is_past(stage).unwrap_or(unknown)
        }
        (_, Observed::Unknown(gap)) => step(
            stage,
            Mark::Stuck,
            format!("plugin {name} does not answer: {gap}"),
        ),
    }
}

/// Where no agent's word says it: what somebody else's says.
fn otherwise(place: &Place<'_>, stage: MountStage, gap: &Gap) -> Step {
    if let Some(step) = place.fails(stage).or_else(|| place.is_past(stage)) {
        return step;
    }
    let words = match place.unheard.filter(|gap| gap.why != Why::NotAsked) {
        Some(unheard) => format!("{}; {unheard}", reason(gap)),
        None => reason(gap),
    };
    step(stage, Mark::Unknown, words)
}

/// Whether it is mounted for the node.
pub(super) fn staged(place: &Place<'_>) -> Step {
    let stage = MountStage::Staged;
    let (one, published) = match &place.view {
        Ok(view) => view,
        Err(gap) => return otherwise(place, stage, gap),
    };
    let at = Some(one.observed_at);
    let is_published = matches!(published.mount, Observed::Known(Some(_))) || published.device_node;
    match &one.volume.staged {
        Observed::Known(Some(mount)) => step(
            stage,
            Mark::Done,
            format!("{} on {}", mount.fs_type, mount.source),
        )
        .when(at),
        Observed::Known(None) if stages(place.driver) == Some(false) => {
            step(stage, Mark::Done, "its driver stages nothing").when(at)
        }
        Observed::Known(None) if is_published => step(
            stage,
            Mark::Done,
            "nothing is mounted at its staging path, and it is published",
        )
        .when(at),
        Observed::Known(None) => place.fails(stage).unwrap_or_else(|| {
            step(
                stage,
                place.lacks(),
                "nothing is mounted at its staging target path",
            )
            .when(at)
        }),
        Observed::Unknown(gap) => otherwise(place, stage, gap),
    }
}

/// Whether a driver mounts a volume for the node before it mounts it for a pod, where it says so.
fn stages(driver: Option<&Driver>) -> Option<bool> {
    driver?.plugin.known()?.can("STAGE_UNSTAGE_VOLUME")
}

/// Whether it is mounted for the pod.
pub(super) fn published(place: &Place<'_>) -> Step {
    let stage = MountStage::Published;
    let (one, published) = match &place.view {
        Ok(view) => view,
        Err(gap) => return otherwise(place, stage, gap),
    };
    let at = Some(one.observed_at);
    match &published.mount {
        Observed::Known(Some(mount)) => step(
            stage,
            Mark::Done,
            format!("{} on {}", mount.fs_type, mount.source),
        )
        .when(at),
        Observed::Known(None) if published.device_node => {
            step(stage, Mark::Done, "a device node").when(at)
        }
        Observed::Known(None) => place.fails(stage).unwrap_or_else(|| {
            step(
                stage,
                place.lacks(),
                format!("nothing is mounted at {}", published.target),
            )
            .when(at)
        }),
        Observed::Unknown(gap) => otherwise(place, stage, gap),
    }
}

/// Whether what is mounted answers.
pub(super) fn answers(place: &Place<'_>) -> Step {
    let stage = MountStage::Answers;
    let (one, published) = match &place.view {
        Ok(view) => view,
        Err(gap) => return unknown(stage, gap),
    };
    if one.volume.mode == VolumeMode::Block {
        return step(stage, Mark::Done, "a raw device is not touched").when(Some(one.observed_at));
    }
    let at = Some(one.observed_at);
    match &published.usage {
        Observed::Known(usage) => step(
            stage,
            Mark::Done,
            format!(
                "{} % used, {} % of its inodes",
                usage.percent_used(),
                usage.percent_inodes()
            ),
        )
        .when(at),
        Observed::Unknown(gap) if matches!(gap.why, Why::TimedOut | Why::Stale) => {
            step(stage, Mark::Stuck, gap.to_string()).when(gap.since.or(at))
        }
        Observed::Unknown(gap) => unknown(stage, gap),
    }
}

/// Whether the pod can write to it, where it wants to.
pub(super) fn writable(place: &Place<'_>) -> Step {
    let stage = MountStage::Writable;
    if place.volume.read_only {
        return step(stage, Mark::Done, "the pod asks for it read-only");
    }
    let (one, published) = match &place.view {
        Ok(view) => view,
        Err(gap) => return unknown(stage, gap),
    };
    let at = Some(one.observed_at);
    match (&published.mount, &published.asked_read_only) {
        (Observed::Known(Some(_)), Observed::Known(Some(asked))) => {
            step(stage, Mark::Done, format!("read-only, as {asked} asks")).when(at)
        }
        (Observed::Known(Some(_)), _) => match published.turned_read_only() {
            Observed::Known(Some(side)) => {
                let words = format!("{side}, and nobody asked for that");
                step(stage, Mark::Stuck, words).when(at)
            }
            Observed::Known(None) => {
                let words = "neither mount nor filesystem is read-only";
                step(stage, Mark::Done, words).when(at)
            }
            Observed::Unknown(gap) => unknown(stage, &gap),
        },
        (Observed::Known(None), _) if published.device_node => {
            step(stage, Mark::Done, "a device node").when(at)
        }
        (Observed::Known(None), _) => {
            let mark = if place.pod.state == PodState::Starting {
                Mark::Ahead
            } else {
                Mark::Unknown
            };
            step(stage, mark, "it is not mounted")
        }
        (Observed::Unknown(gap), _) => unknown(stage, gap),
    }
}
