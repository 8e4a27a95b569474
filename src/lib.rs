//! csi-doctor: a storage doctor for Kubernetes.
//!
//! The modules in reading order, lower layers first. A module imports strictly lower layers;
//! `tests/it/tidy.rs` checks it.
//!
//! ```text
//!         bin ─► agent | collector | cli | lab              (3: each alone; the lab starts the others)
//!                  │
//!                  ▼
//!    mounts  csi  kubernetes  grpc  store  runtime  program (2: never each other)
//!                  │
//!                  ▼
//!         rules  stages  history  fold                      (1b: never each other, pure)
//!                  │
//!                  ▼
//!         causes cleanup expansion health join mounting render wire
//!                                                           (1a: never each other, pure)
//!                  │
//!                  ▼
//!               model   proto                               (0)
//! ```

pub mod model;
pub mod proto;

pub mod causes;
pub mod cleanup;
pub mod expansion;
pub mod health;
pub mod join;
pub mod mounting;
pub mod render;
pub mod wire;

pub mod fold;
pub mod history;
pub mod rules;
pub mod stages;

pub mod csi;
pub mod grpc;
pub mod kubernetes;
pub mod mounts;
pub mod program;
pub mod runtime;
pub mod store;

pub mod agent;
pub mod cli;
pub mod collector;
pub mod lab;
