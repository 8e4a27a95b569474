//! What was observed beside volumes' own facts: the kernel's state, what containers see, leftovers.

use crate::model::mount::DeviceNumber;
use crate::model::observed::Observed;
use crate::model::state::{BlockDevice, FilesystemErrors, KernelState, Waiting};
use crate::proto::v1;
use crate::wire::value::{nanoseconds, observed_option, split_option, timestamp, unsaid};

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
