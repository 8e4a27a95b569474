//! Kubernetes' objects, from a directory of manifests.
//!
//! It gives whatever objects it is given, for all nodes; which of them matter where is decided when
//! they are joined. It knows neither mounts nor plugins.

pub mod convert;
pub mod manifests;
pub mod parse;
pub mod quantity;
