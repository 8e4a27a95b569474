//! The beginning and the end of every program: arguments that are refused, the runtime, what is
//! printed, and the exit code.

use std::future::Future;
use std::io::IsTerminal as _;
use std::process::ExitCode;

/// Could not do what was asked; 1 says that something was found.
pub const COULD_NOT: u8 = 2;

/// Prints help, version, or why arguments are refused.
pub fn usage(error: &clap::Error) -> ExitCode {
    // Nothing is left to be done when the terminal is gone.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::from(COULD_NOT)
    } else {
        ExitCode::SUCCESS
    }
}

/// Runs to the end on tokio. A thread that hangs on a sick filesystem holds nobody up.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(future);
    runtime.shutdown_background();
    outcome
}

/// An error and its causes, each once: some name theirs themselves.
fn chain(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .fold(String::new(), |all, cause| match all.is_empty() {
            _ if all.ends_with(&cause) => all,
            true => cause,
            false => format!("{all}: {cause}"),
        })
}

/// Lets nobody be forced to colours by `CLICOLOR_FORCE=0`, which the library takes for a wish.
pub fn unforce_colours() {
    let is_zero = std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value == "0");
    if is_zero && !std::io::stdout().is_terminal() {
        anstream::ColorChoice::Never.write_global();
    }
}

/// Prints an answer; styles are taken out where it does not go to a terminal.
pub fn print(text: &str) {
    anstream::print!("{text}");
}

/// The exit code of an outcome; an error is told in one line, causes included.
pub fn exit(program: &str, outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        let words = chain(&error);
        // Some libraries draw pictures of what is wrong.
        let line = words.lines().next().unwrap_or_default();
        anstream::eprintln!("{program}: {line}");
        ExitCode::from(COULD_NOT)
    })
}
