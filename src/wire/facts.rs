//! What was observed on a node: volumes, mounts, sizes, drivers.

use std::sync::Arc;

use crate::model::facts::{NodeFacts, Thresholds};
use crate::model::mount::{DeviceNumber, Mount, Usage};
use crate::model::objects::VolumeMode;
use crate::model::observed::{Listing, Observed};
use crate::model::sizes::{Bytes, FilesystemSize, Sizes};
use crate::model::volume::{Condition, DriverStats, Volume};
use crate::proto::v1;
use crate::wire::WireError;
use crate::wire::beside::leftovers;
use crate::wire::objects::mode;
use crate::wire::state::state;
use crate::wire::value::{
    all, gaps, name, nanoseconds, observed, observed_option, optional, path, path_bytes, required,
    split, split_option, text, timestamp, unsaid, word,
};

/// All but the volumes, of which there may be thousands.
pub(super) fn without_volumes(facts: &NodeFacts) -> v1::NodeFacts {
    v1::NodeFacts {
        node: facts.node.to_string(),
        observed_at_ns: nanoseconds(facts.observed_at),
        thresholds: Some(v1::Thresholds {
            nearly_full_percent: u32::from(facts.thresholds.nearly_full_percent),
        }),
        volumes: Vec::new(),
        volume_gaps: facts.volumes.gaps.iter().map(Into::into).collect(),
        drivers: facts.drivers.items.iter().map(Into::into).collect(),
        driver_gaps: facts.drivers.gaps.iter().map(Into::into).collect(),
        gaps: facts.gaps.iter().map(Into::into).collect(),
        leftovers: facts.leftovers.items.iter().map(Into::into).collect(),
        leftover_gaps: facts.leftovers.gaps.iter().map(Into::into).collect(),
        uncovered: facts.uncovered.items.iter().map(Into::into).collect(),
        uncovered_gaps: facts.uncovered.gaps.iter().map(Into::into).collect(),
        waiting: facts.waiting.items.iter().map(Into::into).collect(),
        waiting_gaps: facts.waiting.gaps.iter().map(Into::into).collect(),
        kubelet: Some((&facts.kubelet).into()),
    }
}

impl TryFrom<v1::NodeFacts> for NodeFacts {
    type Error = WireError;

    fn try_from(facts: v1::NodeFacts) -> Result<Self, WireError> {
        Ok(Self {
            node: name(required("node", facts.node)?).into(),
            observed_at: timestamp(facts.observed_at_ns),
            thresholds: facts
                .thresholds
                .map_or(Thresholds::DEFAULT, |thresholds| Thresholds {
                    nearly_full_percent: u8::try_from(thresholds.nearly_full_percent)
                        .unwrap_or(u8::MAX),
                }),
            volumes: Listing {
                items: all("volumes", facts.volumes)?,
                gaps: gaps(facts.volume_gaps),
            },
            drivers: Listing {
                items: all("drivers", facts.drivers)?,
                gaps: gaps(facts.driver_gaps),
            },
            leftovers: leftovers(facts.leftovers, facts.leftover_gaps)?,
            uncovered: Listing {
                items: all("uncovered", facts.uncovered)?,
                gaps: gaps(facts.uncovered_gaps),
            },
            waiting: Listing {
                items: all("waiting", facts.waiting)?,
                gaps: gaps(facts.waiting_gaps),
            },
            kubelet: facts.kubelet.unwrap_or_default().into(),
            gaps: gaps(facts.gaps),
        })
    }
}

impl From<&Volume> for v1::Volume {
    fn from(volume: &Volume) -> Self {
        let (handle, handle_gap) = split(&volume.handle, ToString::to_string);
        let (persistent, persistent_gap) =
            split_option(&volume.persistent, |one| one.as_ref().into());
        let (attachment, attachment_gap) =
            split_option(&volume.attachment, |one| one.as_ref().into());
        let (class, class_gap) = split_option(&volume.class, |one| one.as_ref().into());
        let (staged, staged_gap) = split_option(&volume.staged, Into::into);
        let (stats, stats_gap) = split(&volume.stats, Into::into);
        let (health, health_gap) =
            split(&volume.health, |all| all.iter().map(Into::into).collect());
        Self {
            spec_name: volume.spec_name.to_string(),
            driver: volume.driver.to_string(),
            handle: handle.unwrap_or_default(),
            handle_gap,
            claim: volume.claim.as_deref().map(Into::into),
            persistent,
            persistent_gap,
            attachment,
            attachment_gap,
            class,
            class_gap,
            events: volume.events.items.iter().map(Into::into).collect(),
            event_gaps: volume.events.gaps.iter().map(Into::into).collect(),
            resizer_seen_ns: volume.resizer_seen.map(nanoseconds),
            block: volume.mode == VolumeMode::Block,
            staging: volume.staging.as_ref().map(path_bytes),
            staged,
            staged_gap,
            published: volume.published.iter().map(Into::into).collect(),
            stats,
            stats_gap,
            sizes: Some((&volume.sizes).into()),
            state: Some((&volume.state).into()),
            health: health.unwrap_or_default(),
            health_gap,
            condition_promised: volume.condition_promised,
        }
    }
}

impl TryFrom<v1::Volume> for Volume {
    type Error = WireError;

    fn try_from(volume: v1::Volume) -> Result<Self, WireError> {
        let handle = (!volume.handle.is_empty()).then(|| name(volume.handle).into());
        Ok(Self {
            spec_name: name(required("spec_name", volume.spec_name)?).into(),
            driver: name(volume.driver).into(),
            handle: observed(handle, volume.handle_gap, "the volume's handle"),
            claim: optional("claim", volume.claim)?.map(Arc::new),
            persistent: observed_option(
                optional("persistent", volume.persistent)?.map(Arc::new),
                volume.persistent_gap,
            ),
            attachment: observed_option(
                optional("attachment", volume.attachment)?.map(Arc::new),
                volume.attachment_gap,
            ),
            class: observed_option(
                optional("class", volume.class)?.map(Arc::new),
                volume.class_gap,
            ),
            events: Listing {
                items: all("events", volume.events)?,
                gaps: gaps(volume.event_gaps),
            },
            resizer_seen: volume.resizer_seen_ns.map(timestamp),
            mode: mode(volume.block),
            staging: volume.staging.map(path),
            staged: observed_option(optional("staged", volume.staged)?, volume.staged_gap),
            published: all("published", volume.published)?,
            stats: observed(
                volume.stats.map(Into::into),
                volume.stats_gap,
                "what the driver answers about the volume",
            ),
            sizes: volume.sizes.unwrap_or_default().into(),
            state: state(volume.state),
            health: observed(
                Some(volume.health.into_iter().map(Into::into).collect()),
                volume.health_gap,
                "the volume's health",
            ),
            condition_promised: volume.condition_promised,
        })
    }
}

impl From<&Mount> for v1::Mount {
    fn from(mount: &Mount) -> Self {
        Self {
            id: mount.id,
            parent: mount.parent,
            major: mount.device.major,
            minor: mount.device.minor,
            root: path_bytes(&mount.root),
            target: path_bytes(&mount.target),
            options: mount.options.to_string(),
            fs_type: mount.fs_type.to_string(),
            source: mount.source.to_string(),
            super_options: mount.super_options.to_string(),
        }
    }
}

impl TryFrom<v1::Mount> for Mount {
    type Error = WireError;

    fn try_from(mount: v1::Mount) -> Result<Self, WireError> {
        if mount.target.is_empty() {
            return Err(WireError::missing("target"));
        }
        Ok(Self {
            id: mount.id,
            parent: mount.parent,
            device: DeviceNumber {
                major: mount.major,
                minor: mount.minor,
            },
            root: path(mount.root),
            target: path(mount.target),
            options: text(mount.options).into(),
            fs_type: word(mount.fs_type).into(),
            source: text(mount.source).into(),
            super_options: text(mount.super_options).into(),
        })
    }
}

impl From<&Usage> for v1::Usage {
    fn from(usage: &Usage) -> Self {
        Self {
            total_bytes: usage.total_bytes,
            used_bytes: usage.used_bytes,
            available_bytes: usage.available_bytes,
            total_inodes: usage.total_inodes,
            used_inodes: usage.used_inodes,
        }
    }
}

impl From<v1::Usage> for Usage {
    fn from(usage: v1::Usage) -> Self {
        Self {
            total_bytes: usage.total_bytes,
            used_bytes: usage.used_bytes,
            available_bytes: usage.available_bytes,
            total_inodes: usage.total_inodes,
            used_inodes: usage.used_inodes,
        }
    }
}

impl From<&DriverStats> for v1::DriverStats {
    fn from(stats: &DriverStats) -> Self {
        Self {
            usage: stats.usage.as_ref().map(Into::into),
            condition: stats
                .condition
                .as_ref()
                .map(|condition| v1::VolumeCondition {
                    abnormal: condition.abnormal,
                    message: condition.message.clone(),
                }),
        }
    }
}

impl From<v1::DriverStats> for DriverStats {
    fn from(stats: v1::DriverStats) -> Self {
        Self {
            usage: stats.usage.map(Into::into),
            condition: stats.condition.map(|condition| Condition {
                abnormal: condition.abnormal,
                message: text(condition.message),
            }),
        }
    }
}

impl From<&Sizes> for v1::Sizes {
    fn from(sizes: &Sizes) -> Self {
        let (filesystem, gap) = split_option(&sizes.filesystem, |size| *size);
        Self {
            request: size(&sizes.request),
            allocated: size(&sizes.allocated),
            capacity: size(&sizes.capacity),
            device: size(&sizes.device),
            filesystem: Some(v1::FilesystemSize {
                at_least: filesystem.map(|size| size.at_least.0),
                at_most: filesystem.map(|size| size.at_most.0),
                gap,
            }),
            status: size(&sizes.status),
            driver: size(&sizes.driver),
        }
    }
}

impl From<v1::Sizes> for Sizes {
    fn from(sizes: v1::Sizes) -> Self {
        Self {
            request: to_size(sizes.request),
            allocated: to_size(sizes.allocated),
            capacity: to_size(sizes.capacity),
            device: to_size(sizes.device),
            filesystem: to_filesystem_size(sizes.filesystem),
            status: to_size(sizes.status),
            driver: to_size(sizes.driver),
        }
    }
}

/// Always a message, even an empty one: that there is no such size is something said.
#[expect(clippy::unnecessary_wraps, reason = "prost wants an Option")]
fn size(fact: &Observed<Option<Bytes>>) -> Option<v1::Size> {
    let (bytes, gap) = split_option(fact, |bytes| bytes.0);
    Some(v1::Size { bytes, gap })
}

fn to_size(size: Option<v1::Size>) -> Observed<Option<Bytes>> {
    match size {
        Some(size) => observed_option(size.bytes.map(Bytes), size.gap),
        None => Observed::Unknown(unsaid("this size")),
    }
}

fn to_filesystem_size(size: Option<v1::FilesystemSize>) -> Observed<Option<FilesystemSize>> {
    let Some(size) = size else {
        return Observed::Unknown(unsaid("the filesystem's size"));
    };
    // One bound alone is no range: without the other nothing can be concluded from it.
    let range = match (size.at_least, size.at_most) {
        (Some(at_least), Some(at_most)) => Some(FilesystemSize {
            at_least: Bytes(at_least),
            at_most: Bytes(at_most),
        }),
        (None, None) => None,
        _ => return Observed::Unknown(unsaid("both bounds of the filesystem's size")),
    };
    observed_option(range, size.gap)
}
