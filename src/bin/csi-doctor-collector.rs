//! The collector: keeps what the agents say, and answers questions.

use std::process::ExitCode;

/// It decodes a report of each node at each interval, for as long as it lives.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    csi_doctor::collector::main(std::env::args_os())
}
