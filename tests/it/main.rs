//! Everything that is tested from outside the library, in one crate: each further one would link it again.

mod csi;
mod kubernetes;
mod mounts;
mod scenarios;
mod support;
mod tidy;
