//! The bytes of one manifest file to objects: YAML or JSON, one document or many, lists and typed lists.
//!
//! It does not know where the bytes come from.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use serde_saphyr::{DeserializeError as YamlError, UserMessageFormatter};

use crate::model::names::NodeName;
use crate::model::objects::{Attachment, Claim, Class, CsiNode, Objects, PersistentVolume, Stale};
use crate::model::observed::{Gap, Listing, Why};
use crate::model::terms::Requirement;

use super::kept::{Kept, PodInFull, Said};

/// The kinds of objects that are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Pod,
    Claim,
    Volume,
    Attachment,
    CsiNode,
    Node,
    Class,
    Event,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Pod,
        Self::Claim,
        Self::Volume,
        Self::Attachment,
        Self::CsiNode,
        Self::Node,
        Self::Class,
        Self::Event,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Claim => "PersistentVolumeClaim",
            Self::Volume => "PersistentVolume",
            Self::Attachment => "VolumeAttachment",
            Self::CsiNode => "CSINode",
            Self::Node => "Node",
            Self::Class => "StorageClass",
            Self::Event => "Event",
        }
    }

    fn api_version(self) -> &'static str {
        match self {
            Self::Pod | Self::Claim | Self::Volume | Self::Node | Self::Event => "v1",
            Self::Attachment | Self::CsiNode | Self::Class => "storage.k8s.io/v1",
        }
    }

    /// By what an object says of itself; other groups may have a kind of the same name.
    fn of(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|ours| ours.name() == kind && ours.api_version() == api_version)
    }
}

/// An object's namespace and name, by which a later one replaces an earlier one.
type Key = (String, String);

/// What is in a file, or in all of them.
#[derive(Debug, Default)]
pub struct Parsed {
    pods: BTreeMap<Key, PodInFull>,
    claims: BTreeMap<Key, Arc<Claim>>,
    volumes: BTreeMap<Key, Arc<PersistentVolume>>,
    attachments: BTreeMap<Key, Arc<Attachment>>,
    csi_nodes: BTreeMap<Key, CsiNode>,
    nodes: BTreeMap<Key, NodeName>,
    classes: BTreeMap<Key, Arc<Class>>,
    /// Nothing said for those about objects that are none of ours.
    events: BTreeMap<Key, Said>,
    gaps: BTreeMap<Kind, Vec<Gap>>,
    /// Labels that claims must have: others are left out.
    labels: Vec<Requirement>,
}

impl Parsed {
    /// Something is missing: of one kind, or of any.
    pub(super) fn miss(&mut self, kind: Option<Kind>, gap: &Gap) {
        for missing in Kind::ALL {
            if kind.is_none_or(|kind| kind == missing) {
                self.gaps.entry(missing).or_default().push(gap.clone());
            }
        }
    }

    /// Takes in what another file holds.
    pub(super) fn absorb(&mut self, more: &Self) {
        fn add<T: Clone>(all: &mut BTreeMap<Key, T>, more: &BTreeMap<Key, T>) {
            all.extend(
                more.iter()
                    .map(|(key, object)| (key.clone(), object.clone())),
            );
        }
        add(&mut self.pods, &more.pods);
        add(&mut self.claims, &more.claims);
        add(&mut self.volumes, &more.volumes);
        add(&mut self.attachments, &more.attachments);
        add(&mut self.csi_nodes, &more.csi_nodes);
        add(&mut self.nodes, &more.nodes);
        add(&mut self.classes, &more.classes);
        add(&mut self.events, &more.events);
        for (kind, gaps) in &more.gaps {
            self.gaps.entry(*kind).or_default().extend_from_slice(gaps);
        }
    }

    /// As the model has it: objects by namespace and name.
    pub(super) fn into_objects(mut self) -> Objects {
        fn listing<T>(objects: BTreeMap<Key, T>, gaps: Option<Vec<Gap>>) -> Listing<T> {
            Listing {
                items: objects.into_values().collect(),
                gaps: gaps.unwrap_or_default(),
            }
        }
        Objects {
            pods: Listing {
                items: self.pods.into_values().map(|pod| pod.0).collect(),
                gaps: self.gaps.remove(&Kind::Pod).unwrap_or_default(),
            },
            claims: listing(self.claims, self.gaps.remove(&Kind::Claim)),
            volumes: listing(self.volumes, self.gaps.remove(&Kind::Volume)),
            attachments: listing(self.attachments, self.gaps.remove(&Kind::Attachment)),
            csi_nodes: listing(self.csi_nodes, self.gaps.remove(&Kind::CsiNode)),
            nodes: listing(self.nodes, self.gaps.remove(&Kind::Node)),
            classes: listing(self.classes, self.gaps.remove(&Kind::Class)),
            events: Listing {
                items: self.events.into_values().flat_map(|said| said.0).collect(),
                gaps: self.gaps.remove(&Kind::Event).unwrap_or_default(),
            },
            stale: Stale::default(),
        }
    }

    /// Takes in one document: an object, a list of them, or something that is none of ours.
    fn take_document(&mut self, at: &str, mut document: Value) {
        if document.is_null() {
            return;
        }
        let (api_version, kind) = identity(&document);
        let Some(kind) = kind else {
            let what = format!("read manifest {at}: it has no kind");
            return self.miss(None, &Gap::new(Why::Malformed, what));
        };
        let api_version = api_version.unwrap_or_default();
        let of_items = match kind.strip_suffix("List") {
            // Its items say themselves what they are.
            Some("") => None,
            // Its items need not, as the API server sends them.
            Some(item) => match Kind::of(&api_version, item) {
                Some(ours) => Some(ours),
                None => return,
            },
            None => return self.take_object(at, Kind::of(&api_version, &kind), document),
        };
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => {
                for (index, item) in items.into_iter().enumerate() {
                    self.take_item(&format!("{at}, item {}", index + 1), of_items, item);
                }
            }
            None | Some(Value::Null) => {}
            Some(_) => {
                let what = format!("read manifest {at}: the items of the {kind} are no list");
                self.miss(of_items, &Gap::new(Why::Malformed, what));
            }
        }
    }

    fn take_item(&mut self, at: &str, of_list: Option<Kind>, item: Value) {
        if of_list.is_some() {
            return self.take_object(at, of_list, item);
        }
        let (api_version, kind) = identity(&item);
        let Some(kind) = kind else {
            let what = format!("read manifest {at}: it has no kind");
            return self.miss(None, &Gap::new(Why::Malformed, what));
        };
        let kind = Kind::of(&api_version.unwrap_or_default(), &kind);
        self.take_object(at, kind, item);
    }

    /// Whether a claim has the labels that it must have.
    fn wants(&self, object: &Value) -> bool {
        let found = labels(object);
        let mut wanted = self.labels.iter();
        wanted.all(|one| one.takes(&found) == Some(true))
    }

    fn take_object(&mut self, at: &str, kind: Option<Kind>, object: Value) {
        let Some(kind) = kind else {
            return;
        };
        let namespace = text_at(&object, "/metadata/namespace").unwrap_or_default();
        let name = text_at(&object, "/metadata/name").unwrap_or_default();
        let key = (namespace, name);
        if kind == Kind::Claim && !self.wants(&object) {
            return;
        }
        let taken = match kind {
            Kind::Pod => keep(&mut self.pods, &key, object),
            Kind::Claim => keep(&mut self.claims, &key, object),
            Kind::Volume => keep(&mut self.volumes, &key, object),
            Kind::Attachment => keep(&mut self.attachments, &key, object),
            Kind::CsiNode => keep(&mut self.csi_nodes, &key, object),
            Kind::Node => keep(&mut self.nodes, &key, object),
            Kind::Class => keep(&mut self.classes, &key, object),
            Kind::Event => keep(&mut self.events, &key, object),
        };
        if let Err(fault) = taken {
            let (namespace, name) = key;
            let whose = if namespace.is_empty() {
                format!("{} {name}", kind.name())
            } else {
                format!("{} {namespace}/{name}", kind.name())
            };
            let what = format!("read manifest {at}, {}: {fault}", plain(&whose));
            self.miss(Some(kind), &Gap::new(Why::Malformed, what));
        }
    }
}

/// The labels of an object.
fn labels(object: &Value) -> BTreeMap<String, String> {
    let labels = object
        .pointer("/metadata/labels")
        .and_then(Value::as_object);
    let labels = labels.into_iter().flatten();
    labels
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// Converts an object and keeps it, or says what is wrong with it.
fn keep<M: Kept>(objects: &mut BTreeMap<Key, M>, key: &Key, object: Value) -> Result<(), String> {
    let ours = M::read(object).map_err(|error| first_line(&error))?;
    objects.insert(key.clone(), ours);
    Ok(())
}

/// All that is in a file, of claims those with such labels. Its name says whether it is JSON, and stands in
/// the gaps.
pub fn parse_file(name: &str, bytes: &[u8], labels: &[Requirement]) -> Parsed {
    let mut parsed = Parsed {
        labels: labels.to_vec(),
        ..Parsed::default()
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        let what = format!("read manifest {}: it is not UTF-8", plain(name));
        parsed.miss(None, &Gap::new(Why::Malformed, what));
        return parsed;
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_json = Path::new(name).extension().is_some_and(|end| end == "json");
    let documents = if is_json {
        json_documents(text)
    } else {
        yaml_documents(text)
    };
    let several = documents.len() > 1;
    for (index, document) in documents.into_iter().enumerate() {
        let at = if several {
            format!("{}, document {}", plain(name), index + 1)
        } else {
            plain(name)
        };
        match document {
            Ok(document) => parsed.take_document(&at, document),
            Err(fault) => {
                let what = format!("read manifest {at}: {fault}");
                parsed.miss(None, &Gap::new(Why::Malformed, what));
            }
        }
    }
    parsed
}

/// JSON values one after the other; what follows a broken one cannot be found.
fn json_documents(text: &str) -> Vec<Result<Value, String>> {
    serde_json::Deserializer::from_str(text)
        .into_iter()
        .map(|document| document.map_err(|error| first_line(&error)))
        .collect()
}

/// YAML documents, each parsed alone, so that a broken one does not take the others along.
fn yaml_documents(text: &str) -> Vec<Result<Value, String>> {
    split_documents(text)
        .into_iter()
        .map(|document| {
            let options = serde_saphyr::options! {
                with_snippet: false,
                // A list of all pods of a cluster is one document. What aliases may blow up has limits of its own.
                budget: serde_saphyr::budget! {
                    max_events: 100_000_000,
                    max_nodes: 50_000_000,
                    max_total_scalar_bytes: 512 * 1024 * 1024,
                },
            };
            serde_saphyr::from_str_with_options(document, options).map_err(|error: YamlError| {
                first_line(&error.render_with_formatter(&UserMessageFormatter))
            })
        })
        .collect()
}

/// The documents of a YAML stream.
///
/// A line that begins with `---` ends a document wherever it stands, in a block of text too
/// (YAML 1.2.2, 9.1.2), so that lines are enough to see.
fn split_documents(text: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let is_marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if is_marker && at > 0 {
            documents.push(&text[start..at]);
            start = at;
        }
        at += line.len();
    }
    documents.push(&text[start..]);
    documents.retain(|document| has_content(document));
    documents
}

/// Whether there is anything but comments and markers.
fn has_content(document: &str) -> bool {
    document
        .lines()
        .map(str::trim)
        .any(|line| !(line.is_empty() || line.starts_with('#') || line == "---" || line == "..."))
}

/// What a value says it is.
fn identity(value: &Value) -> (Option<String>, Option<String>) {
    (text_at(value, "/apiVersion"), text_at(value, "/kind"))
}

fn text_at(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(ToOwned::to_owned)
}

/// The first line of an error: the others are for a terminal.
fn first_line(error: &dyn std::fmt::Display) -> String {
    plain(error.to_string().lines().next().unwrap_or_default())
}

/// Words of a file, short and without control characters.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
