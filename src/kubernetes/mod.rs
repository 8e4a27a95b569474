//! Kubernetes' objects: from the API server, or from a directory of manifests.
//!
//! It gives whatever objects it is given, for all nodes or for one; which of them matter where is
//! decided when they are joined. It knows neither mounts nor plugins.

pub mod around;
mod ask;
mod cache;
pub mod client;
pub mod cluster;
pub mod convert;
pub mod events;
mod failure;
mod index;
mod kept;
pub mod list;
pub mod logs;
pub mod manifests;
pub mod node;
pub mod parse;
mod patience;
pub mod quantity;
mod saved;
mod watch;
