//! The node agent: one scan after another, or one alone.

use std::process::ExitCode;

/// A scan makes and drops thousands of small values, and the system's allocators (glibc's gives memory
/// back after every scan, musl's is slower still) cost as much of it as all joining.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    csi_doctor::agent::main(std::env::args_os())
}
