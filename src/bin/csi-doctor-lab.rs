//! The lab: a storage node without a cluster, with real faults.

use std::process::ExitCode;

fn main() -> ExitCode {
    csi_doctor::lab::main(std::env::args_os())
}
