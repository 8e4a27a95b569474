//! Volumes, with their sizes, their use and their mounts.

use serde::Serialize;

use crate::model::finding::Object;
use crate::model::objects::VolumeMode;
use crate::model::observed::Observed;
use crate::model::sizes::{Bytes, SOURCES};
use crate::model::view::NodeVolume;
use crate::render::json::GapItem;
use crate::render::json::finding::{ObjectItem, SubjectItem, object, subject};

/// A size in bytes; `gap` where it is not known; neither where the volume has no such size.
#[derive(Serialize)]
pub(super) struct SizeItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<GapItem>,
    source: &'static str,
}

fn size(source: &'static str, size: &Observed<Option<Bytes>>) -> SizeItem {
    SizeItem {
        bytes: size.known().copied().flatten().map(|size| size.0),
        gap: size.gap().map(GapItem::from),
        source,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VolumeItem {
    name: String,
    subject: SubjectItem,
    driver: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    handle: Option<String>,
    node: String,
    observed_at: String,
    node_silent: bool,
    mode: &'static str,
    sizes: SizesItem,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_gap: Option<GapItem>,
    pods: Vec<PublishedItem>,
}

#[derive(Serialize)]
pub(super) struct SizesItem {
    request: SizeItem,
    allocated: SizeItem,
    capacity: SizeItem,
    device: SizeItem,
    #[serde(rename = "filesystemAtLeast")]
    filesystem_at_least: SizeItem,
    #[serde(rename = "filesystemAtMost")]
    filesystem_at_most: SizeItem,
    status: SizeItem,
    driver: SizeItem,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageItem {
    total_bytes: u64,
    used_bytes: u64,
    available_bytes: u64,
    total_inodes: u64,
    used_inodes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PublishedItem {
    pod: ObjectItem,
    target_path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mounted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mount_gap: Option<GapItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only_asked_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only_gap: Option<GapItem>,
}

pub(super) fn volume(one: &NodeVolume) -> VolumeItem {
    let volume = &one.volume;
    let sizes = &volume.sizes;
    let usage = volume.usage();
    VolumeItem {
        name: volume.spec_name.to_string(),
        subject: subject(&volume.subject(&one.node)),
        driver: volume.driver.to_string(),
        handle: volume.handle.known().map(ToString::to_string),
        node: one.node.to_string(),
        observed_at: one.observed_at.to_string(),
        node_silent: one.silent,
        mode: match volume.mode {
            VolumeMode::Filesystem => "Filesystem",
            VolumeMode::Block => "Block",
        },
        sizes: SizesItem {
            request: size(SOURCES[0], &sizes.request),
            allocated: size(SOURCES[1], &sizes.allocated),
            capacity: size(SOURCES[2], &sizes.capacity),
            device: size(SOURCES[3], &sizes.device),
            filesystem_at_least: size(
                SOURCES[4],
                &sizes
                    .filesystem
                    .as_ref()
                    .map(|size| size.map(|size| size.at_least)),
            ),
            filesystem_at_most: size(
                SOURCES[4],
                &sizes
                    .filesystem
                    .as_ref()
                    .map(|size| size.map(|size| size.at_most)),
            ),
            status: size(SOURCES[5], &sizes.status),
            driver: size(SOURCES[6], &sizes.driver),
        },
        usage: usage.known().map(|usage| UsageItem {
            total_bytes: usage.total_bytes,
            used_bytes: usage.used_bytes,
            available_bytes: usage.available_bytes,
            total_inodes: usage.total_inodes,
            used_inodes: usage.used_inodes,
        }),
        usage_gap: usage.gap().map(GapItem::from),
        pods: volume
            .published
            .iter()
            .map(|published| PublishedItem {
                pod: object(&Object::Pod(published.pod.clone())),
                target_path: published.target.to_string(),
                mounted: published.mount.known().map(Option::is_some),
                mount_gap: published.mount.gap().map(GapItem::from),
                read_only_asked_by: published.asked_read_only.known().cloned().flatten(),
                read_only_gap: published.asked_read_only.gap().map(GapItem::from),
            })
            .collect(),
    }
}
