//! The sockets of CSI node plugins: which there are, who answers, and what they say of volumes.
//!
//! Only calls that change nothing are made here. This module knows neither mounts nor Kubernetes'
//! objects; it is the one place where CSI's own messages become values of the model.

pub mod client;
pub mod convert;
pub mod failure;
mod introduction;
mod patience;
pub mod plugins;
pub mod sockets;
mod text;

pub use plugins::Plugins;
