//! The process that a person started: it makes the namespaces, starts their
//! first process and waits. Whatever ends it ends the lab.
//!
//! It must stay single-threaded: while its children go to another PID
//! namespace than its own, the kernel gives it no threads.

use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use crate::lab::namespace;
use crate::lab::site::Setup;

/// How long the lab may take to end before it is killed.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs a lab to its end.
pub(crate) fn run(setup: &Setup) -> anyhow::Result<ExitCode> {
    namespace::separate()?;
    single_threaded()?.block_on(watch(setup))
}

/// A runtime that makes no thread.
pub(crate) fn single_threaded() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .context("could not start the runtime")
}

async fn watch(setup: &Setup) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut inside = Command::new("/proc/self/exe")
        .arg0("csi-doctor-lab")
        .arg("inside")
        .arg(setup.to_json()?)
        // The lab reads its end from this pipe: it closes when we are gone,
        // however we go.
        .stdin(Stdio::piped())
        // A Ctrl-C at the terminal is for us; we end the lab in order.
        .process_group(0)
        .spawn()
        .context("could not start the lab's first process")?;
    let lifeline = inside.stdin.take();
    let code = tokio::select! {
        status = inside.wait() => return Ok(exit_code(status?)),
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
        _ = hangup.recv() => 129,
    };
    drop(lifeline);
    end(&mut inside).await?;
    Ok(ExitCode::from(code))
}

async fn end(inside: &mut Child) -> anyhow::Result<()> {
    if timeout(FAREWELL, inside.wait()).await.is_err() {
        inside.start_kill().context("could not kill the lab")?;
        timeout(FAREWELL, inside.wait())
            .await
            .context("the lab did not end, even killed")??;
    }
    Ok(())
}

/// What a shell would report for a process that ended so.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(u8::MAX))
}
