//! Values → text that people and programs read. It fetches nothing and decides nothing.
//!
//! Texts carry ANSI styles; whoever prints them takes the styles out where nobody would see them.

#![deny(clippy::disallowed_methods)]

pub mod cause;
pub mod describe;
pub mod facts;
pub mod json;
pub mod lists;
mod name;
pub mod page;
pub mod report;
pub mod status;
mod table;
pub mod way;

use jiff::Timestamp;

pub use name::names;

/// How long ago, as kubectl tells ages: the two largest units at most.
fn age(at: Timestamp, then: Timestamp) -> String {
    let seconds = at.duration_since(then).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 != 0 => format!("{}m{}s", seconds / 60, seconds % 60),
        120..10_800 => format!("{}m", seconds / 60),
        10_800..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A moment, to the second.
fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
