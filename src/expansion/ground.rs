//! What the bytes say on one node: the block device, and the filesystem on it.

use crate::expansion::Case;
use crate::model::objects::VolumeMode;
use crate::model::observed::{Gap, Observed, Why};
use crate::model::sizes::{Bytes, FilesystemSize};

/// A filesystem that covers its device may still leave so much of it unused: a last block group
/// that is too small, alignment, overhead that its answers do not show.
const SLACK_PERCENT: u64 = 3;

/// What the bytes of a volume say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ground {
    /// They could not be seen.
    Unseen(Gap),
    /// It is not mounted here: there is nothing to see.
    NotHere,
    /// They are a server's matter, or the host's disk.
    Silent,
    /// The block device has the old size.
    DeviceSmall {
        /// Its size.
        device: Bytes,
    },
    /// The filesystem ends before what it lies on.
    FilesystemSmall {
        /// Its size.
        filesystem: FilesystemSize,
        /// The size of what it lies on.
        floor: Bytes,
    },
    /// Nothing is too small.
    Covers {
        /// Whether it is certain that they have grown beyond the size before.
        grown: bool,
    },
}

impl Ground {
    /// Whether a size is too small.
    pub fn is_small(&self) -> bool {
        matches!(
            self,
            Self::DeviceSmall { .. } | Self::FilesystemSmall { .. }
        )
    }
}

impl Case<'_> {
    /// What the bytes say.
    ///
    /// A device counts as too small only if it is no larger than the size before the expansion:
    /// LUKS headers and capacities written by hand leave it smaller than the PersistentVolume for
    /// ever. A filesystem is compared with its device, never with a capacity, where there is one.
    pub fn ground(&self) -> Ground {
        let sizes = &self.volume.sizes;
        let device = match &sizes.device {
            Observed::Unknown(gap) => return not_seen(gap),
            // Its medium is gone: how big it would be cannot be said.
            Observed::Known(Some(Bytes(0))) => {
                let what = "the block device has 0 bytes: what is behind it is gone";
                return Ground::Unseen(Gap::new(Why::NotFound, what));
            }
            Observed::Known(device) => *device,
        };
        let old = self.old_size();
        if let Some(device) = device
            && old.is_some_and(|old| device <= old)
        {
            return Ground::DeviceSmall { device };
        }
        if self.volume.mode == VolumeMode::Block {
            let new = self.persistent.capacity.unwrap_or_default();
            return match device {
                None => Ground::Silent,
                Some(device) => Ground::Covers {
                    grown: old.is_some() || device >= new,
                },
            };
        }
        let filesystem = match &sizes.filesystem {
            Observed::Unknown(gap) => return not_seen(gap),
            Observed::Known(None) => return Ground::Silent,
            Observed::Known(Some(filesystem)) => *filesystem,
        };
        let floor = device.or(self.persistent.capacity).unwrap_or_default();
        if filesystem.at_most.0 < floor.0 - floor.0 / 100 * SLACK_PERCENT {
            return Ground::FilesystemSmall { filesystem, floor };
        }
        Ground::Covers {
            grown: old.is_some_and(|old| filesystem.at_least > old),
        }
    }
}

fn not_seen(gap: &Gap) -> Ground {
    match gap.why {
        Why::NotFound => Ground::NotHere,
        _ => Ground::Unseen(gap.clone()),
    }
}
