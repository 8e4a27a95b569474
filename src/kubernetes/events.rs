//! Events: the one thing that is ever written to the API server, and only by the collector.
//!
//! The name of an Event is made from what it says, so that the same word cannot be said twice: the
//! server refuses the second one, whoever sends it, and however often it was restarted.

use std::fmt::Write as _;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Error as Failure};
use sha2::{Digest as _, Sha256};

use crate::model::finding::Object;
use crate::model::notice::Notice;

/// Who says so, as the API server wants it: a qualified name.
const CONTROLLER: &str = "csi-doctor.io/collector";

/// What the API server takes (`pkg/apis/events/validation`): bytes of a note, and of who says it.
const NOTE_LIMIT: usize = 1024;
const INSTANCE_LIMIT: usize = 128;

/// Where Events about objects without a namespace live.
const DEFAULT: &str = "default";

/// An answer that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where Events are put.
#[derive(Clone)]
pub struct Events {
    client: Client,
    instance: String,
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It is there now.
    Made,
    /// It was there already.
    Known,
    /// It will never be there, for this reason.
    Refused(String),
    /// It may be, later.
    Failed(String),
}

impl Events {
    /// Events of this instance of the collector: the name of its pod or machine.
    pub fn new(client: Client, instance: &str) -> Self {
        let mut instance = instance.to_owned();
        cut(&mut instance, INSTANCE_LIMIT);
        Self { client, instance }
    }

    /// Puts this word on its object.
    pub async fn put(&self, notice: &Notice) -> Put {
        let event = event(notice, &self.instance);
        let namespace = notice.on.namespace().unwrap_or(DEFAULT);
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let params = PostParams::default();
        match tokio::time::timeout(PATIENCE, events.create(&params, &event)).await {
            Ok(Ok(_)) => Put::Made,
            Ok(Err(error)) => refused(&error),
            Err(_) => Put::Failed("the API server did not answer in time".to_owned()),
        }
    }
}

fn refused(error: &Failure) -> Put {
    let Failure::Api(status) = error else {
        return Put::Failed(error.to_string());
    };
    let message = &status.message;
    match status.code {
        409 => Put::Known,
        // The namespace goes, and what is in it.
        403 if message.contains("being terminated") => Put::Refused(message.clone()),
        403 => Put::Refused(
            "the right is missing; a role must grant the verb create on events.events.k8s.io"
                .to_owned(),
        ),
        400 | 404 | 405 | 413 | 422 => Put::Refused(message.clone()),
        code => Put::Failed(format!("{code}: {message}")),
    }
}

/// The Event of a word.
fn event(notice: &Notice, instance: &str) -> Event {
    let namespace = notice.on.namespace().unwrap_or(DEFAULT);
    let mut note = notice.note.clone();
    cut(&mut note, NOTE_LIMIT);
    Event {
        metadata: ObjectMeta {
            name: Some(name(notice)),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        action: Some(notice.turn.as_str().to_owned()),
        event_time: Some(MicroTime(notice.at)),
        note: Some(note),
        reason: Some(notice.code.to_string()),
        regarding: Some(reference(&notice.on)),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(
            if notice.is_warning {
                "Warning"
            } else {
                "Normal"
            }
            .to_owned(),
        ),
        ..Event::default()
    }
}

fn reference(object: &Object) -> ObjectReference {
    let (kind, uid) = match object {
        Object::Claim(_) => ("PersistentVolumeClaim", object.uid()),
        Object::PersistentVolume(..) => ("PersistentVolume", object.uid()),
        Object::Pod(_) => ("Pod", object.uid()),
        Object::Node(_) | Object::Driver(_) | Object::Server(_) => ("Node", None),
    };
    // The kubelet, too, says the name of a node where its UID belongs, and kubectl looks for both.
    let uid = match (kind, uid) {
        ("Node", _) => Some(object.name().to_owned()),
        (_, uid) => uid.map(|uid| uid.as_str().to_owned()),
    };
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some(kind.to_owned()),
        name: Some(object.name().to_owned()),
        namespace: object.namespace().map(ToOwned::to_owned),
        uid,
        ..ObjectReference::default()
    }
}

/// Equal for the same turn of the same episode of the same finding, and for nothing else.
fn name(notice: &Notice) -> String {
    let subject = &notice.subject;
    let uid = subject.uid().map_or("", |uid| uid.as_str());
    let episode = notice.episode.as_nanosecond().to_string();
    let words = [
        notice.code.0.as_str(),
        subject.kind(),
        subject.namespace().unwrap_or_default(),
        subject.name(),
        uid,
        &episode,
        notice.turn.as_str(),
    ];
    let digest = Sha256::digest(words.join("\0"));
    let mut name = "csi-doctor.".to_owned();
    for byte in &digest[..16] {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// Cuts a text between two characters.
fn cut(text: &mut String, limit: usize) {
    if text.len() > limit {
        let end = text.floor_char_boundary(limit - "…".len());
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::model::names::ClaimRef;
    use crate::model::notice::Turn;
    use crate::model::sample;

    fn notice() -> Notice {
        let claim = Object::Claim(ClaimRef {
            namespace: "shop".into(),
            name: "orders-db".into(),
            uid: "u-1".into(),
        });
        Notice {
            on: claim.clone(),
            code: "StaleMount".into(),
            subject: claim,
            episode: sample::noon(),
            turn: Turn::Opened,
            is_warning: true,
            note: "It is stale.".to_owned(),
            at: sample::noon(),
        }
    }

    #[test]
    fn an_event_is_what_the_api_server_takes() {
        let event = serde_json::to_string_pretty(&event(&notice(), "collector-0")).unwrap();
        expect![[r#"
            {
              "apiVersion": "events.k8s.io/v1",
              "kind": "Event",
              "action": "Opened",
              "eventTime": "2026-11-25T12:00:00.000000Z",
              "metadata": {
                "name": "csi-doctor.899fd2ee615fcbd3482ee4e7f36faeaf",
                "namespace": "shop"
              },
              "note": "It is stale.",
              "reason": "StaleMount",
              "regarding": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": "orders-db",
                "namespace": "shop",
                "uid": "u-1"
              },
              "reportingController": "csi-doctor.io/collector",
              "reportingInstance": "collector-0",
              "type": "Warning"
            }"#]]
        .assert_eq(&event);
    }

    #[test]
    fn what_has_no_namespace_is_told_in_the_default_one() {
        let on_node = Notice {
            on: Object::Node("node-1".into()),
            ..notice()
        };
        let event = event(&on_node, "collector-0");
        assert_eq!(event.metadata.namespace.as_deref(), Some("default"));
        let regarding = event.regarding.unwrap();
        assert_eq!(regarding.namespace, None);
        assert_eq!(regarding.uid.as_deref(), Some("node-1"));
    }

    #[test]
    fn a_name_is_one_turn_of_one_episode() {
        let first = name(&notice());
        assert_eq!(
            first,
            name(&Notice {
                note: "In other words.".into(),
                ..notice()
            })
        );
        let later = sample::noon() + std::time::Duration::from_nanos(1);
        assert_ne!(
            first,
            name(&Notice {
                episode: later,
                ..notice()
            })
        );
        assert_ne!(
            first,
            name(&Notice {
                turn: Turn::Resolved,
                ..notice()
            })
        );
        assert_ne!(
            first,
            name(&Notice {
                code: "Other".into(),
                ..notice()
            })
        );
    }

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let long = Notice {
            note: "ä".repeat(600),
            ..notice()
        };
        let note = event(&long, "collector-0").note.unwrap();
        assert!(note.len() <= NOTE_LIMIT && note.ends_with("ä…"), "{note}");
    }
}
