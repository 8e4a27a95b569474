//! Everything that is tested from outside the library, in one crate: each further one would link it again.

mod collector;
mod store;
mod tidy;
mod wire;
