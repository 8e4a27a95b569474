//! Everything that is tested from outside the library, in one crate: each further one would link it again.

#![allow(
    clippy::unwrap_used,
    reason = "in a test a failed step is a failed test"
)]
#![allow(
    clippy::needless_raw_string_hashes,
    reason = "the goldens' library writes them so"
)]

mod csi;
mod kubernetes;
mod mounts;
mod scenarios;
mod support;
mod tidy;
