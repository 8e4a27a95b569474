//! Events, as far as they are about storage.

use k8s_openapi::api::core::v1 as core;

use crate::kubernetes::convert::{Error, given, name, namespace, time};
use crate::model::finding::Object;
use crate::model::names::{ClaimRef, PodRef};
use crate::model::objects::Event;

/// The words of an event that are kept, in characters.
const EVENT_WORDS: usize = 1024;

/// An event about a claim, a volume or a pod; nothing for one about anything else.
pub fn event(event: core::Event) -> Result<Option<Event>, Error> {
    name(&event.metadata)?;
    let object = event.involved_object;
    let of = |object: core::ObjectReference| {
        (
            namespace(object.namespace),
            object.name.unwrap_or_default(),
            object.uid.unwrap_or_default(),
        )
    };
    let about = match object.kind.as_deref() {
        Some("PersistentVolumeClaim") => {
            let (namespace, name, uid) = of(object);
            Object::Claim(ClaimRef {
                namespace: namespace.into(),
                name: name.into(),
                uid: uid.into(),
            })
        }
        Some("Pod") => {
            let (namespace, name, uid) = of(object);
            Object::Pod(PodRef {
                namespace: namespace.into(),
                name: name.into(),
                uid: uid.into(),
            })
        }
        Some("PersistentVolume") => {
            let (_, name, uid) = of(object);
            Object::PersistentVolume(name.into(), uid.into())
        }
        _ => return Ok(None),
    };
    let source = event.source.and_then(|source| source.component);
    let seen_last = event.series.and_then(|series| series.last_observed_time);
    Ok(Some(Event {
        about,
        by: given(source)
            .or_else(|| given(event.reporting_component))
            .unwrap_or_default(),
        warning: event.type_.as_deref() == Some("Warning"),
        reason: event.reason.unwrap_or_default(),
        message: event
            .message
            .unwrap_or_default()
            .chars()
            .take(EVENT_WORDS)
            .collect(),
        // The scheduler's have an `eventTime` only.
        at: seen_last
            .or(event.event_time)
            .map(|at| at.0)
            .into_iter()
            .chain(time(event.last_timestamp))
            .max(),
    }))
}
