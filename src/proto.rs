//! The code generated from `proto/`: the CSI messages that we use, the kubelet's
//! plugin registration, and our own protocol.
//!
//! Nothing here is written by hand but three messages, and the lints are silenced here
//! and nowhere else.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

/// `csi.v1`: a node plugin's services.
pub mod csi {
    tonic::include_proto!("csi.v1");
}

/// `pluginregistration`: how a plugin tells the kubelet of itself.
pub mod registration {
    tonic::include_proto!("pluginregistration");
}

/// `csidoctor.v1.ReportRequest`, its scan still in bytes: who takes it weighs it before it is
/// decoded, and keeps it as it came.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ReportRequest {
    /// A `csidoctor.v1.Scan`.
    #[prost(bytes = "bytes", tag = "1")]
    pub scan: prost::bytes::Bytes,
}

/// `csidoctor.v1.Scan`, of which only the volumes are wanted, and of these only some.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ScanVolumes {
    /// What was seen.
    #[prost(message, optional, tag = "6")]
    pub facts: Option<FactsVolumes>,
}

/// The same of `csidoctor.v1.NodeFacts`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FactsVolumes {
    /// Each a `csidoctor.v1.Volume`.
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub volumes: Vec<prost::bytes::Bytes>,
}

/// The descriptors of `csidoctor.v1`, for those who ask by reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/csidoctor.bin"));

/// `csidoctor.v1`: agent → collector → command line.
pub mod v1 {
    tonic::include_proto!("csidoctor.v1");
}
