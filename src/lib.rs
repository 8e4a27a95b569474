//! csi-doctor: a storage doctor for Kubernetes.

pub mod proto;

pub mod agent;
pub mod cli;
pub mod collector;
pub mod lab;
