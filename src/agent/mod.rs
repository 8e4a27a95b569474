//! The agent.

use std::ffi::OsString;
use std::process::ExitCode;

/// Parses the arguments (program name first) and runs the agent to its end.
pub fn main(_args: impl Iterator<Item = OsString>) -> ExitCode {
    ExitCode::FAILURE
}
