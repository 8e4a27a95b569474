//! The integration tests, one crate: each edge against something real at its address.

mod csi;
mod kubernetes;
mod mounts;
mod support;
