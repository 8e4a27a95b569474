//! Error text, stage, reason and driver in; cause, confidence, layers and next step out.
//!
//! A nested message is taken apart first (`layers`); then a table of matchers, grouped by who
//! words the error, is tried on it: the innermost layer that says something wins, the outer ones
//! give stage and context. Pure and linear in the length of the text. Knows nothing of the
//! objects that a message is about, of other messages, or of the time.

#![deny(clippy::disallowed_methods)]

mod clean;
mod handbook;
mod layers;
mod matcher;
mod needles;
mod table;

mod attach;
mod aws;
mod azure_google;
mod block_tools;
mod ceph;
mod cloud_codes;
mod clouds;
mod control_plane;
mod errno;
mod filesystems;
mod fuse;
mod general;
mod grpc;
mod intree;
mod kubelet;
mod mount;
mod mount_codes;
mod object_stores;
mod objects;
mod plain;
mod plain_limits;
mod plain_words;
mod requests;
mod scheduler;
mod sidecars;
mod storage;
mod systems;
mod transport;
mod vendors;
mod vsphere;
mod windows;

pub use handbook::{PAGE, page};

use crate::causes::clean::clean;
use crate::causes::layers::Phase;
use crate::model::cause::{Cause, Classification, Confidence, Other};
use crate::model::names::DriverName;
use crate::model::objects::Event;

/// What is known about an error: its text, and where it was seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Symptom<'a> {
    /// The message as it was found, in whatever wrapping.
    pub text: &'a str,
    /// The reason of the event or condition that carries it.
    pub reason: Option<&'a str>,
    /// The stage at which the object is stuck, by its kebab-case name.
    pub stage: Option<&'a str>,
    /// The driver's name.
    pub driver: Option<&'a str>,
    /// What carries the message: an event, a log, a status.
    pub kind: Option<&'a str>,
}

/// Says what an error text means, as far as it tells.
pub fn classify(symptom: &Symptom<'_>) -> Classification {
    let text = clean(symptom.text);
    let nested = layers::unwrap(&text);
    let phase = symptom
        .stage
        .and_then(Phase::from_name)
        .or(nested.phase)
        .or_else(|| symptom.reason.and_then(phase_of_reason));
    let found = table::best(&text, &nested, phase);
    let cause = found.map(|matcher| Cause {
        id: matcher.cause,
        confidence: matcher.confidence,
    });
    let others = found
        .filter(|matcher| matcher.confidence == Confidence::Likely)
        .map(|matcher| {
            matcher
                .others
                .iter()
                .map(|id| Other {
                    cause: *id,
                    how_to_tell: handbook::of(*id).tell,
                })
                .collect()
        })
        .unwrap_or_default();
    Classification {
        cause,
        layers: nested.layers,
        next: cause.map_or(handbook::UNKNOWN_NEXT, |cause| handbook::of(cause.id).todo),
        others,
    }
}

/// The stages at which errors are worded most alike, by the names that `Symptom` takes.
const STAGES: [&str; 5] = ["provision", "attach", "stage", "publish", "expand"];

/// What a text would mean that tells no cause by itself, if it was known at which stage it was said.
pub fn by_stage(text: &str) -> Vec<(&'static str, Classification)> {
    let at = |stage| {
        let told = classify(&Symptom {
            text,
            stage: Some(stage),
            ..Symptom::default()
        });
        told.cause.map(|_| (stage, told))
    };
    STAGES.into_iter().filter_map(at).collect()
}

/// Says what the words of an event mean.
pub fn of_event(event: &Event, driver: Option<&DriverName>) -> Classification {
    classify(&Symptom {
        text: &event.message,
        reason: Some(&event.reason),
        stage: None,
        driver: driver.map(DriverName::as_str),
        kind: Some("event"),
    })
}

/// The stage that an event reason names, as Kubernetes and its sidecars spell them.
fn phase_of_reason(reason: &str) -> Option<Phase> {
    Some(match reason {
        "ProvisioningFailed" => Phase::Provision,
        "FailedBinding" | "WaitForFirstConsumer" | "VolumeMismatch" => Phase::Bind,
        "FailedAttachVolume" => Phase::Attach,
        "VolumeResizeFailed" | "FileSystemResizeFailed" => Phase::Expand,
        "VolumeFailedDelete" => Phase::Delete,
        "SnapshotContentCreationFailed"
        | "SnapshotCreationFailed"
        | "SnapshotContentCheckandUpdateFailed" => Phase::Snapshot,
        _ => return None,
    })
}
