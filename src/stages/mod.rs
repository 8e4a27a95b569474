//! An object's way as ordered steps, each with its evidence, ending in the one thing to do.
//!
//! It judges by the same reading as the rules, and knows no patience.

#![deny(clippy::disallowed_methods)]

mod bind;
mod expand;

pub use bind::bind;
pub use expand::expand;

use crate::model::stage::Stage;

/// Whether it is a step of an expansion.
pub fn is_expansion(stage: Stage) -> bool {
    matches!(stage, Stage::Expand(_))
}
