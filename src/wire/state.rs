//! What was observed beside volumes' own facts: the kernel's state, what containers see, leftovers.

use crate::model::leftover::{Leftover, LeftoverKind, Uncovered};
use crate::model::mount::DeviceNumber;
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::state::{BlockDevice, FilesystemErrors, KernelState, Waiting};
use crate::model::volume::{Inside, SubPath};
use crate::proto::v1;
use crate::wire::WireError;
use crate::wire::value::{
    gaps, name, nanoseconds, observed_option, optional, path, path_bytes, split_option, text,
    timestamp, unsaid,
};

impl From<&KernelState> for v1::KernelState {
    fn from(state: &KernelState) -> Self {
        let (device, device_gap) = split_option(&state.device, |device| v1::BlockDevice {
            major: device.number.major,
            minor: device.number.minor,
            present: device.present,
            read_only: device.read_only,
            in_flight: device.in_flight,
            frozen_since_ns: device.frozen_since.map(nanoseconds),
        });
        let (errors, errors_gap) = split_option(&state.errors, |errors| v1::FilesystemErrors {
            count: errors.count,
            last_ns: errors.last.map(nanoseconds),
            fresh: errors.fresh,
        });
        let (waiting, waiting_gap) = split_option(&state.waiting, |waiting| v1::Waiting {
            requests: waiting.requests,
            since_ns: waiting.since.map(nanoseconds),
        });
        Self {
            device,
            device_gap,
            errors,
            errors_gap,
            waiting,
            waiting_gap,
        }
    }
}

/// An agent of an earlier version does not tell it.
pub(super) fn state(state: Option<v1::KernelState>) -> KernelState {
    let Some(state) = state else {
        let gap = || unsaid("the kernel's state");
        return KernelState {
            device: Observed::Unknown(gap()),
            errors: Observed::Unknown(gap()),
            waiting: Observed::Unknown(gap()),
        };
    };
    let device = state.device.map(|device| BlockDevice {
        number: DeviceNumber {
            major: device.major,
            minor: device.minor,
        },
        present: device.present,
        read_only: device.read_only,
        in_flight: device.in_flight,
        frozen_since: device.frozen_since_ns.map(timestamp),
    });
    let errors = state.errors.map(|errors| FilesystemErrors {
        count: errors.count,
        last: errors.last_ns.map(timestamp),
        fresh: errors.fresh,
    });
    let waiting = state.waiting.map(|waiting| Waiting {
        requests: waiting.requests,
        since: waiting.since_ns.map(timestamp),
    });
    KernelState {
        device: observed_option(device, state.device_gap),
        errors: observed_option(errors, state.errors_gap),
        waiting: observed_option(waiting, state.waiting_gap),
    }
}

impl From<&SubPath> for v1::SubPath {
    fn from(sub_path: &SubPath) -> Self {
        Self {
            container: sub_path.container.clone(),
            mount: Some((&sub_path.mount).into()),
        }
    }
}

impl TryFrom<v1::SubPath> for SubPath {
    type Error = WireError;

    fn try_from(sub_path: v1::SubPath) -> Result<Self, WireError> {
        Ok(Self {
            container: name(sub_path.container),
            mount: optional("mount", sub_path.mount)?.ok_or_else(|| WireError::missing("mount"))?,
        })
    }
}

impl From<&Inside> for v1::Inside {
    fn from(inside: &Inside) -> Self {
        Self {
            container: inside.container.clone(),
            process: inside.process,
            path: path_bytes(&inside.path),
            mount: inside.mount.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::Inside> for Inside {
    type Error = WireError;

    fn try_from(inside: v1::Inside) -> Result<Self, WireError> {
        Ok(Self {
            container: name(inside.container),
            process: inside.process,
            path: path(inside.path),
            mount: optional("mount", inside.mount)?,
        })
    }
}

impl From<&Leftover> for v1::Leftover {
    fn from(left: &Leftover) -> Self {
        let (mount, mount_gap) = split_option(&left.mount, Into::into);
        Self {
            kind: left.kind.as_str().to_owned(),
            path: path_bytes(&left.path),
            pod_uid: left.pod.as_ref().map(ToString::to_string),
            driver: left.driver.as_ref().map(ToString::to_string),
            handle: left.handle.as_ref().map(ToString::to_string),
            mount,
            mount_gap,
        }
    }
}

/// A kind that this version does not know costs its entry, and is a gap of the list.
pub(super) fn leftovers(
    left: Vec<v1::Leftover>,
    list_gaps: Vec<v1::Gap>,
) -> Result<Listing<Leftover>, WireError> {
    let mut listing = Listing {
        items: Vec::new(),
        gaps: gaps(list_gaps),
    };
    for left in left {
        let known = LeftoverKind::ALL
            .into_iter()
            .find(|known| known.as_str() == left.kind);
        let Some(kind) = known else {
            let what = text(format!("the agent calls something left {}", left.kind));
            listing.gaps.push(Gap::new(Why::Malformed, what));
            continue;
        };
        listing.items.push(Leftover {
            kind,
            path: path(left.path),
            pod: left.pod_uid.map(|pod| name(pod).into()),
            driver: left.driver.map(|driver| name(driver).into()),
            handle: left.handle.map(|handle| name(handle).into()),
            mount: observed_option(optional("leftovers.mount", left.mount)?, left.mount_gap),
        });
    }
    Ok(listing)
}

impl From<&Uncovered> for v1::Uncovered {
    fn from(place: &Uncovered) -> Self {
        let (mount, mount_gap) = split_option(&place.mount, Into::into);
        Self {
            pod_uid: place.pod.to_string(),
            plugin: place.plugin.clone(),
            name: place.name.clone(),
            path: path_bytes(&place.path),
            mount,
            mount_gap,
        }
    }
}

impl TryFrom<v1::Uncovered> for Uncovered {
    type Error = WireError;

    fn try_from(place: v1::Uncovered) -> Result<Self, WireError> {
        Ok(Self {
            pod: name(place.pod_uid).into(),
            plugin: name(place.plugin),
            name: name(place.name),
            path: path(place.path),
            mount: observed_option(optional("mount", place.mount)?, place.mount_gap),
        })
    }
}
