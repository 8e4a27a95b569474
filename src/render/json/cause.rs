//! What an error text means.

use serde::Serialize;

use crate::model::cause::{Classification, GrpcCode, Layer, Other};

/// The cause of one message as one line of JSON.
pub fn cause(told: &Classification) -> String {
    let item = CauseItem {
        cause: told.cause.map_or("unknown", |cause| cause.id.as_str()),
        confidence: told.cause.map(|cause| cause.confidence.as_str()),
        layers: told.layers.iter().map(LayerItem::from).collect(),
        next: told.next,
        others: told.others.iter().map(OtherItem::from).collect(),
    };
    line(&item)
}

/// A line that could not be read, as one line of JSON in its place.
pub fn unread(error: &str) -> String {
    line(&UnreadItem { error })
}

fn line(item: &impl Serialize) -> String {
    let mut text = serde_json::to_string(item).expect("plain structs of text always serialise");
    text.push('\n');
    text
}

#[derive(Serialize)]
struct CauseItem {
    cause: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<&'static str>,
    layers: Vec<LayerItem>,
    next: &'static str,
    others: Vec<OtherItem>,
}

#[derive(Serialize)]
struct LayerItem {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

impl From<&Layer> for LayerItem {
    fn from(layer: &Layer) -> Self {
        Self {
            text: layer.text.clone(),
            speaker: layer.speaker,
            code: layer.code.map(GrpcCode::as_str),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OtherItem {
    cause: &'static str,
    how_to_tell: &'static str,
}

impl From<&Other> for OtherItem {
    fn from(other: &Other) -> Self {
        Self {
            cause: other.cause.as_str(),
            how_to_tell: other.how_to_tell,
        }
    }
}

#[derive(Serialize)]
struct UnreadItem<'a> {
    error: &'a str,
}
