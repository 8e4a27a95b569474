//! The collector: keeps what the agents say, and answers questions.

use std::process::ExitCode;

fn main() -> ExitCode {
    csi_doctor::collector::main(std::env::args_os())
}
