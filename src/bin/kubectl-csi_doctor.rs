//! The command line, as a kubectl plugin.

use std::process::ExitCode;

fn main() -> ExitCode {
    csi_doctor::cli::main(std::env::args_os())
}
