//! The node agent: one scan after another, or one alone.

use std::process::ExitCode;

fn main() -> ExitCode {
    csi_doctor::agent::main(std::env::args_os())
}
