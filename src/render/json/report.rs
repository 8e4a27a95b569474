//! A storage report, as a `Report`.

use serde::Serialize;

use crate::model::names::NodeName;
use crate::model::observed::Observed;
use crate::model::report::{self, Report};
use crate::model::sizes::Bytes;
use crate::render::json::{API_VERSION, GapItem, print};

/// A report. What is not known is left out, and `missing` says why.
pub fn report(report: &Report) -> String {
    print(&ReportItem {
        api_version: API_VERSION,
        kind: "Report",
        at: report.at.to_string(),
        namespace: report.namespace.as_deref(),
        storage_classes: report.classes.items.iter().map(class).collect(),
        volumes: report.volumes.items.iter().map(volume).collect(),
        claims: report.claims.items.iter().map(claim).collect(),
        by_class: report.by_class.iter().map(total).collect(),
        by_driver: report.by_driver.iter().map(total).collect(),
        missing: report.missing.iter().map(GapItem::from).collect(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportItem<'a> {
    api_version: &'static str,
    kind: &'static str,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    storage_classes: Vec<ClassItem<'a>>,
    volumes: Vec<VolumeItem<'a>>,
    claims: Vec<ClaimItem<'a>>,
    by_class: Vec<TotalItem<'a>>,
    by_driver: Vec<TotalItem<'a>>,
    missing: Vec<GapItem>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClassItem<'a> {
    name: &'a str,
    provisioner: &'a str,
    reclaim_policy: &'a str,
    binding_mode: &'a str,
    expandable: bool,
    default: bool,
}

fn class(one: &report::ClassRow) -> ClassItem<'_> {
    ClassItem {
        name: &one.name,
        provisioner: &one.provisioner,
        reclaim_policy: &one.reclaim,
        binding_mode: one.binding_mode,
        expandable: one.expandable,
        default: one.is_default,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VolumeItem<'a> {
    name: &'a str,
    status: &'a str,
    deleting: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity_bytes: Option<u64>,
    access_modes: &'a [String],
    reclaim_policy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<ClaimName<'a>>,
    class: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
}

#[derive(Serialize)]
struct ClaimName<'a> {
    namespace: &'a str,
    name: &'a str,
}

fn volume(one: &report::VolumeRow) -> VolumeItem<'_> {
    VolumeItem {
        name: &one.name,
        status: &one.status,
        deleting: one.deleting,
        capacity_bytes: one.capacity.map(|bytes| bytes.0),
        access_modes: &one.access_modes,
        reclaim_policy: &one.reclaim,
        claim: one.claim.as_ref().map(|claim| ClaimName {
            namespace: &claim.namespace,
            name: &claim.name,
        }),
        class: &one.class,
        driver: one.driver.as_deref(),
        created: one.created.map(|at| at.to_string()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClaimItem<'a> {
    namespace: &'a str,
    name: &'a str,
    status: &'static str,
    deleting: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity_bytes: Option<u64>,
    access_modes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pods: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UsageItem {
    total_bytes: u64,
    used_bytes: u64,
    available_bytes: u64,
    total_inodes: u64,
    used_inodes: u64,
}

fn claim(one: &report::ClaimRow) -> ClaimItem<'_> {
    ClaimItem {
        namespace: &one.claim.namespace,
        name: &one.claim.name,
        status: one.phase.as_str(),
        deleting: one.deleting,
        request_bytes: one.request.map(|bytes| bytes.0),
        capacity_bytes: one.capacity.map(|bytes| bytes.0),
        access_modes: &one.access_modes,
        volume: one.volume.as_deref(),
        class: one.class.as_deref(),
        driver: one.driver.known().and_then(Option::as_deref),
        usage: one.usage.known().map(|usage| UsageItem {
            total_bytes: usage.total_bytes,
            used_bytes: usage.used_bytes,
            available_bytes: usage.available_bytes,
            total_inodes: usage.total_inodes,
            used_inodes: usage.used_inodes,
        }),
        nodes: one
            .nodes
            .known()
            .map(|nodes| nodes.iter().map(NodeName::as_str).collect()),
        pods: one.pods.known().map(Vec::as_slice),
        findings: one.findings.known().map(Vec::as_slice),
        created: one.created.map(|at| at.to_string()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TotalItem<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volumes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provisioned_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used_bytes: Option<u64>,
    used_of_claims: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    reclaimable_bytes: Option<u64>,
}

fn total(one: &report::Total) -> TotalItem<'_> {
    let known = |sum: &Observed<Bytes>| sum.known().map(|bytes| bytes.0);
    TotalItem {
        of: one.of.as_deref(),
        claims: one.claims.known().copied(),
        volumes: one.volumes.known().copied(),
        requested_bytes: known(&one.requested),
        provisioned_bytes: known(&one.provisioned),
        used_bytes: known(&one.used),
        used_of_claims: one.used_of,
        reclaimable_bytes: known(&one.reclaimable),
    }
}
