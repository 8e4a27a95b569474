//! What the kernel says of a filesystem and of the device under it, without either being touched.

use std::fmt;

use jiff::Timestamp;

use crate::model::mount::DeviceNumber;
use crate::model::observed::Observed;

/// The state of one volume as the kernel keeps it.
///
/// `Known(None)` says that there is no such thing: a network filesystem has no device, only FUSE has requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelState {
    /// The block device under it.
    pub device: Observed<Option<BlockDevice>>,
    /// Errors that the filesystem counted; ext4 alone does.
    pub errors: Observed<Option<FilesystemErrors>>,
    /// Requests that wait for the daemon of a FUSE filesystem.
    pub waiting: Observed<Option<Waiting>>,
}

/// A block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockDevice {
    /// Which.
    pub number: DeviceNumber,
    /// Whether the kernel still has it, with a size: a device can vanish under its mount, or lose its medium.
    pub present: bool,
    /// Whether it refuses writing.
    pub read_only: bool,
    /// Reads and writes that were begun and have not ended.
    pub in_flight: u64,
    /// Since when none of those in flight has ended, where two readings saw that.
    pub frozen_since: Option<Timestamp>,
}

impl BlockDevice {
    /// A device that was there once.
    pub fn gone(number: DeviceNumber) -> Self {
        Self {
            number,
            present: false,
            read_only: false,
            in_flight: 0,
            frozen_since: None,
        }
    }
}

impl fmt::Display for BlockDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.present {
            return write!(f, "{}, which is gone or has no size any more", self.number);
        }
        write!(f, "{}", self.number)?;
        if self.read_only {
            f.write_str(", read-only")?;
        }
        match self.frozen_since {
            Some(since) => write!(
                f,
                ", {} requests in flight and none ended since {since:.0}",
                self.in_flight
            ),
            None => Ok(()),
        }
    }
}

/// Errors that a filesystem counted over its whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FilesystemErrors {
    /// How many.
    pub count: u64,
    /// When the last one happened.
    pub last: Option<Timestamp>,
    /// The last one is younger than the node's boot, or the count rose while the agent looked on:
    /// older ones are only remembered by the filesystem.
    pub fresh: bool,
}

impl fmt::Display for FilesystemErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return f.write_str("none");
        }
        write!(f, "{}", self.count)?;
        if let Some(last) = self.last {
            write!(f, ", the last at {last:.0}")?;
        }
        f.write_str(if self.fresh {
            ", since the node started"
        } else {
            ", from before the node started"
        })
    }
}

/// Requests that a FUSE daemon has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// How many, at the last of two readings.
    pub requests: u64,
    /// Since when every reading has found some.
    pub since: Option<Timestamp>,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.since {
            Some(since) => write!(f, "{} requests wait, some since {since:.0}", self.requests),
            None => f.write_str("no request waits"),
        }
    }
}
