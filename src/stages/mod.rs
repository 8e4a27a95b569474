//! An object's way as ordered steps, each with its evidence, ending in the one thing to do.
//!
//! It judges by the same reading as the rules, and knows no patience. Where it is told by objects alone,
//! by nodes alone or by both, its steps are the same: what the source cannot know is unknown, with the reason.

#![deny(clippy::disallowed_methods)]

mod advice;
mod bind;
mod bound;
mod expand;
mod halt;
mod mount;
mod on_node;
mod place;
mod told;
mod volume;

pub use advice::kubelet_log;
pub use bind::bind;
pub use bound::{absent, bound};
pub use expand::expand;
pub use mount::mount;
pub use told::{NO_AGENT, OnNodes, Told};
pub use volume::volume;
