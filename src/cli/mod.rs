//! The cli.

use std::ffi::OsString;
use std::process::ExitCode;

/// Parses the arguments (program name first) and runs the cli to its end.
pub fn main(_args: impl Iterator<Item = OsString>) -> ExitCode {
    ExitCode::FAILURE
}
