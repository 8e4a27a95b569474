//! The sizes of one volume, from what was asked for to what a file can use.

use std::fmt;

use crate::model::observed::Observed;

/// A number of bytes, printed as kubectl prints quantities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    /// The largest binary unit that keeps the number exact, else one decimal of the largest that is at least 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u32); 6] = [
            ("Ei", 60),
            ("Pi", 50),
            ("Ti", 40),
            ("Gi", 30),
            ("Mi", 20),
            ("Ki", 10),
        ];
        for (unit, shift) in UNITS {
            let size = 1u64 << shift;
            if self.0 < size {
                continue;
            }
            if self.0.is_multiple_of(size) {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
            let tenths = u128::from(self.0) * 10 / u128::from(size);
            return write!(f, "{}.{}{unit}", tenths / 10, tenths % 10);
        }
        write!(f, "{}B", self.0)
    }
}

/// The true size of a filesystem, as far as its answers allow to say.
///
/// `statfs` leaves out the filesystem's own overhead, which differs by type; so the size is
/// known to lie between two numbers, and a rule can say "smaller" or "as large" only when both agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilesystemSize {
    /// It is at least so large.
    pub at_least: Bytes,
    /// It is at most so large.
    pub at_most: Bytes,
}

impl fmt::Display for FilesystemSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at_least == self.at_most {
            return self.at_most.fmt(f);
        }
        write!(f, "{} to {}", self.at_least, self.at_most)
    }
}

/// Where each of the seven sizes is read, in their order.
pub const SOURCES: [&str; 7] = [
    "claim's spec",
    "claim's status",
    "volume's spec",
    "sysfs",
    "the filesystem",
    "claim's status",
    "NodeGetVolumeStats",
];

/// The seven sizes, in the order in which an expansion raises them.
///
/// `Known(None)` says that the volume has no such size: a network filesystem has no device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// `spec.resources.requests.storage` of the claim.
    pub request: Observed<Option<Bytes>>,
    /// `status.allocatedResources` of the claim: counts only beside a status of the same list.
    pub allocated: Observed<Option<Bytes>>,
    /// `spec.capacity` of the PersistentVolume.
    pub capacity: Observed<Option<Bytes>>,
    /// The block device on this node.
    pub device: Observed<Option<Bytes>>,
    /// The filesystem on it.
    pub filesystem: Observed<Option<FilesystemSize>>,
    /// `status.capacity` of the claim.
    pub status: Observed<Option<Bytes>>,
    /// What the driver answers to `NodeGetVolumeStats`.
    pub driver: Observed<Option<Bytes>>,
}
