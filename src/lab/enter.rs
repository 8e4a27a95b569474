//! `exec`: a command inside the running lab's namespaces.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use anyhow::Context;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::lab::site::Program;
use crate::lab::{control, namespace, outside};

/// Runs a command in the lab of this name and gives back its exit code.
pub(crate) fn run(name: &str, command: &[OsString]) -> anyhow::Result<ExitCode> {
    let (pid, setup) = control::hello(name)?;
    let directory = std::env::current_dir().ok();
    namespace::enter(pid)?;
    // Entering a mount namespace leads to its root; most directories of the
    // machine are there too.
    if let Some(directory) = directory {
        let _ = std::env::set_current_dir(directory);
    }
    let (word, arguments) = command.split_first().context("no command was given")?;
    let mut child = command_of(word);
    child.args(arguments).envs(setup.environment());
    outside::single_threaded()?.block_on(async {
        // Ctrl-C reaches the command too: it decides, and we say how it ended.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut child = child
            .spawn()
            .with_context(|| format!("could not run {}", word.display()))?;
        loop {
            tokio::select! {
                status = child.wait() => return Ok(outside::exit_code(status?)),
                _ = interrupt.recv() => {}
                // Sent to us alone; the command would stay behind in the lab.
                _ = terminate.recv() => child.start_kill()?,
            }
        }
    })
}

/// The doctor's programs are this binary under another name; everything else
/// is looked up in PATH.
fn command_of(word: &OsStr) -> Command {
    match Program::called(word) {
        Some(program) => {
            let mut command = Command::new("/proc/self/exe");
            command.arg0(program.name());
            command
        }
        None => Command::new(word),
    }
}
