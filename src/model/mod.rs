//! The nouns: plain values with public fields, no serialisation, no I/O, no clock.
//!
//! A type that can be serialised is a promise to somebody; the promises are made
//! by `wire` and `render::json`, which have types of their own.

#![deny(clippy::disallowed_methods)]

pub mod brief;
pub mod cause;
pub mod driver;
pub mod facts;
pub mod finding;
pub mod health;
pub mod kubelet;
pub mod leftover;
pub mod mount;
pub mod names;
pub mod notice;
pub mod objects;
pub mod observed;
pub mod scan;
pub mod seen;
pub mod sizes;
pub mod stage;
pub mod state;
pub mod view;
pub mod volume;
pub mod way;

#[doc(hidden)]
pub mod sample;
