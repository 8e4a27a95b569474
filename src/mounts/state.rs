//! The state of filesystems and devices as the kernel keeps it, read before anything is touched.
//!
//! Two readings tell busy from stuck. Block I/O in flight is compared with the round before: where
//! nothing has ended since, what was in flight then still is. Requests that wait for a FUSE daemon are
//! looked at again after a moment, unless they waited in the round before too. The clock of its memory
//! is the caller's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use foldhash::HashMap;
use jiff::{SignedDuration, Timestamp};

use crate::model::mount::{DeviceNumber, Mount};
use crate::model::names::HostPath;
use crate::model::observed::Observed;
use crate::model::sizes::Bytes;
use crate::model::state::{BlockDevice, FilesystemErrors, KernelState, Waiting};

use super::sysfs::{self, Activity};

/// Between the two readings of a round. A healthy daemon answers something in that time.
const AGAIN: Duration = Duration::from_millis(100);

/// Reads the state of what is mounted; lives as long as the program, since it compares.
#[derive(Debug)]
pub struct Kernel {
    host_root: PathBuf,
    /// How long I/O may be in flight with none ending before it counts as frozen.
    patience: SignedDuration,
    booted: Option<Timestamp>,
    /// Since when requests have waited, by FUSE connection.
    waiting: BTreeMap<u32, Timestamp>,
    /// What had ended, and since when nothing more has, by device.
    flights: BTreeMap<DeviceNumber, (u64, Timestamp)>,
    /// The errors that were counted when a filesystem was first seen, and last.
    errors: BTreeMap<DeviceNumber, (u64, u64)>,
}

/// What one round of readings found.
#[derive(Debug, Default)]
pub struct Looked {
    /// By target path.
    pub states: HashMap<HostPath, KernelState>,
    /// The size of the device under a target path.
    pub sizes: HashMap<HostPath, Observed<Option<Bytes>>>,
    /// Superblocks that had better not be touched.
    pub suspects: BTreeMap<DeviceNumber, Suspicion>,
    /// A filesystem counted an error since the last round: its options may have changed without a signal.
    pub errors_rose: bool,
}

/// A device, where there is one, and its size.
type Device = (Option<BlockDevice>, Observed<Option<Bytes>>);

/// Why a superblock had better not be touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspicion {
    /// FUSE: requests wait. It may only be busy.
    Waiting(Waiting),
    /// The device under it ends nothing.
    Frozen {
        /// The device.
        device: DeviceNumber,
        /// Its requests.
        in_flight: u64,
        /// Since when nothing has ended.
        since: Timestamp,
    },
}

impl Kernel {
    /// Readings under a host root; I/O that stands still counts as frozen after `patience`.
    pub fn new(host_root: PathBuf, patience: Duration) -> Self {
        Self {
            booted: sysfs::booted(&host_root),
            host_root,
            patience: SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX),
            waiting: BTreeMap::new(),
            flights: BTreeMap::new(),
            errors: BTreeMap::new(),
        }
    }

    /// One round. It sleeps for a moment where requests begin to wait, and only then.
    pub fn look(&mut self, now: Timestamp, mounts: &[Mount]) -> Looked {
        let mut looked = Looked::default();
        let devices = self.read_devices(now, mounts);
        let waiting = self.read_waiting(now, mounts);
        looked.states.reserve(mounts.len());
        looked.sizes.reserve(mounts.len());
        let blind = sysfs::missing(&self.host_root);
        for (mount, (device, size)) in mounts.iter().zip(devices) {
            looked.sizes.insert(mount.target.clone(), size);
            let connection = connection(mount);
            let waiting = connection.and_then(|number| waiting.get(&number).cloned());
            if let Some(Observed::Known(Some(waiting))) = &waiting
                && waiting.since.is_some()
            {
                let suspicion = Suspicion::Waiting(*waiting);
                looked.suspects.insert(mount.device, suspicion);
            }
            if let Some(device) = device
                && let Some(since) = device.frozen_since
            {
                let suspicion = Suspicion::Frozen {
                    device: device.number,
                    in_flight: device.in_flight,
                    since,
                };
                looked.suspects.insert(mount.device, suspicion);
            }
            let blind = blind.as_ref().filter(|_| device.is_some());
            let errors = match blind {
                Some(gap) => Observed::Unknown(gap.clone()),
                None => self.read_errors(mount, device, &mut looked.errors_rose),
            };
            let device = match blind {
                Some(gap) => Observed::Unknown(gap.clone()),
                None => Observed::Known(device),
            };
            let state = KernelState {
                device,
                errors,
                waiting: waiting.unwrap_or(Observed::Known(None)),
            };
            looked.states.insert(mount.target.clone(), state);
        }
        self.forget(&looked);
        looked
    }

    /// The device under each mount, and its size.
    fn read_devices(&mut self, now: Timestamp, mounts: &[Mount]) -> Vec<Device> {
        let mut devices: BTreeMap<DeviceNumber, Device> = BTreeMap::new();
        let mut keys = Vec::with_capacity(mounts.len());
        let mut moving: Vec<(DeviceNumber, Activity)> = Vec::new();
        for mount in mounts {
            let number = sysfs::device_of(&self.host_root, mount);
            // A device that can no longer be found by its name is known by the superblock's number.
            let key = number.unwrap_or(mount.device);
            devices
                .entry(key)
                .or_insert_with(|| self.read_device(mount, number, &mut moving));
            keys.push(key);
        }
        let flights = self.judge_flights(now, &moving);
        for (number, (in_flight, since)) in flights {
            if let Some((Some(device), _)) = devices.get_mut(&number) {
                device.in_flight = in_flight;
                device.frozen_since = since;
            }
        }
        keys.iter().map(|key| devices[key].clone()).collect()
    }

    fn read_device(
        &self,
        mount: &Mount,
        number: Option<DeviceNumber>,
        moving: &mut Vec<(DeviceNumber, Activity)>,
    ) -> Device {
        let root = self.host_root.as_path();
        let Some(number) = number else {
            // Only these name a device that may be gone from `/dev` and sysfs.
            let named = matches!(mount.fs_type.as_str(), "btrfs" | "bcachefs" | "devtmpfs");
            let gone = named.then(|| BlockDevice::gone(mount.device));
            return (gone, Observed::Known(None));
        };
        let size = sysfs::device_size(root, number);
        if size.known().is_none() && sysfs::is_present(root, number) == Some(false) {
            return (Some(BlockDevice::gone(number)), size);
        }
        // Detached from its medium, as an unplugged or a cleared one.
        if size.known() == Some(&Some(Bytes(0))) {
            return (Some(BlockDevice::gone(number)), size);
        }
        let read_only = sysfs::is_read_only(root, number);
        let activity = sysfs::activity(root, number).known().copied();
        if let Some(activity) = activity.filter(|activity| activity.in_flight > 0) {
            moving.push((number, activity));
        }
        let device = BlockDevice {
            number,
            present: true,
            read_only: read_only.known().copied().unwrap_or(false),
            in_flight: 0,
            frozen_since: None,
        };
        (Some(device), size)
    }

    /// Which of the devices with requests in flight end nothing, and since when.
    fn judge_flights(
        &mut self,
        now: Timestamp,
        moving: &[(DeviceNumber, Activity)],
    ) -> BTreeMap<DeviceNumber, (u64, Option<Timestamp>)> {
        let mut flights = BTreeMap::new();
        let mut still = BTreeMap::new();
        for (number, activity) in moving {
            let begun = match self.flights.get(number) {
                Some((completed, since)) if *completed == activity.completed => *since,
                _ => now,
            };
            still.insert(*number, (activity.completed, begun));
            let stands = now.duration_since(begun) >= self.patience
                && sysfs::counts(&self.host_root, *number);
            flights.insert(*number, (activity.in_flight, stands.then_some(begun)));
        }
        self.flights = still;
        flights
    }

    /// What waits, by FUSE connection.
    fn read_waiting(
        &mut self,
        now: Timestamp,
        mounts: &[Mount],
    ) -> BTreeMap<u32, Observed<Option<Waiting>>> {
        let connections: BTreeSet<u32> = mounts.iter().filter_map(connection).collect();
        let root = self.host_root.as_path();
        let mut read: BTreeMap<u32, Observed<Option<u64>>> = connections
            .into_iter()
            .map(|connection| (connection, sysfs::fuse_waiting(root, connection)))
            .collect();
        let before = std::mem::take(&mut self.waiting);
        let is_new = |connection: &u32, read: &Observed<Option<u64>>| {
            matches!(read, Observed::Known(Some(1..))) && !before.contains_key(connection)
        };
        if read
            .iter()
            .any(|(connection, read)| is_new(connection, read))
        {
            std::thread::sleep(AGAIN);
            for (connection, read) in &mut read {
                if is_new(connection, read) {
                    *read = sysfs::fuse_waiting(root, *connection);
                }
            }
        }
        read.into_iter()
            .map(|(connection, read)| {
                let waiting = read.map(|requests| {
                    requests.map(|requests| {
                        let since =
                            (requests > 0).then(|| before.get(&connection).copied().unwrap_or(now));
                        if let Some(since) = since {
                            self.waiting.insert(connection, since);
                        }
                        Waiting { requests, since }
                    })
                });
                (connection, waiting)
            })
            .collect()
    }

    /// The error counter of an ext4, whose files in sysfs are there as long as it is mounted.
    fn read_errors(
        &mut self,
        mount: &Mount,
        device: Option<BlockDevice>,
        rose: &mut bool,
    ) -> Observed<Option<FilesystemErrors>> {
        let Some(device) = device.filter(|_| mount.fs_type == "ext4") else {
            return Observed::Known(None);
        };
        let root = self.host_root.as_path();
        let name = sysfs::name(root, device.number);
        let Some(name) = name.filter(|_| device.present) else {
            return Observed::Known(None);
        };
        let count = match sysfs::ext4_counter(root, &name, "errors_count") {
            Observed::Known(count) => count,
            Observed::Unknown(gap) => return Observed::Unknown(gap),
        };
        let last = (count > 0)
            .then(|| sysfs::ext4_counter(root, &name, "last_error_time"))
            .and_then(|seconds| i64::try_from(*seconds.known()?).ok())
            .and_then(|seconds| Timestamp::from_second(seconds).ok());
        let (first, before) = *self.errors.entry(device.number).or_insert((count, count));
        *rose |= count > before;
        // A repair sets the counter back: from there it counts anew.
        self.errors.insert(device.number, (first.min(count), count));
        let after_boot = last
            .zip(self.booted)
            .is_some_and(|(last, boot)| last >= boot);
        Observed::Known(Some(FilesystemErrors {
            count,
            last,
            fresh: count > first || after_boot,
        }))
    }

    /// Forgets the errors of devices that are no longer mounted: their numbers will be used again.
    fn forget(&mut self, looked: &Looked) {
        let mounted: BTreeSet<DeviceNumber> = looked
            .states
            .values()
            .filter_map(|state| Some(state.device.known()?.as_ref()?.number))
            .collect();
        self.errors.retain(|number, _| mounted.contains(number));
    }
}

/// The number of a FUSE connection, which is the minor number of its superblock.
fn connection(mount: &Mount) -> Option<u32> {
    let fuse = mount.fs_type == "fuse" || mount.fs_type.starts_with("fuse.");
    (fuse && mount.device.major == 0).then_some(mount.device.minor)
}
