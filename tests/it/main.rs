//! Everything that is tested from outside the library, in one crate: each further one would link it again.

#![allow(
    clippy::unwrap_used,
    reason = "in a test a failed step is a failed test; the lint knows tests, and not the functions that they share"
)]

mod agent;
mod answers;
mod api;
mod apiserver;
mod binding;
mod causes;
mod cli;
mod cluster;
mod collector;
mod coverage;
mod csi;
mod diagnose;
mod events;
mod garbage;
mod killed;
mod kubernetes;
mod mounts;
mod newer;
mod report;
mod scenarios;
mod store;
mod support;
mod terminal;
mod tidy;
mod told;
mod wire;
