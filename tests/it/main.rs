//! Everything that is tested from outside the library, in one crate: each further one would link it again.

mod collector;
mod csi;
mod kubernetes;
mod mounts;
mod scenarios;
mod store;
mod support;
mod tidy;
mod wire;
