//! The first process of the lab's PID namespace: it makes the mounts, starts
//! the worker and reaps whatever is left to it. When it ends, the kernel kills
//! everything in the namespace, and the mounts and loop devices go with it.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, anyhow};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::lab::namespace::REFUSED;
use crate::lab::site::Setup;
use crate::lab::terminal;

/// Runs until the worker ends or the process outside is gone.
pub(crate) fn run(setup: &Setup) -> anyhow::Result<ExitCode> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("could not ask to die with the parent")?;
    // The signal is missed if the parent died before it was asked for, or is
    // not the one that started us; the pipe is not.
    std::thread::spawn(await_end);
    make_mounts(setup)?;
    let worker = Command::new("/proc/self/exe")
        .arg0("csi-doctor-lab")
        .arg("worker")
        .arg(setup.to_json()?)
        .stdin(Stdio::null())
        .spawn()
        .context("could not start the lab's worker")?;
    reap_until(worker.id())
}

#[allow(
    clippy::exit,
    reason = "the main thread waits for children; the end of this process is the end of the lab"
)]
fn await_end() {
    let mut byte = [0_u8];
    while let Ok(1..) = std::io::stdin().read(&mut byte) {}
    std::process::exit(0);
}

fn reap_until(worker: u32) -> anyhow::Result<ExitCode> {
    loop {
        let (pid, code) = match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, code),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(error) => return Err(error).context("could not wait for the lab's worker"),
        };
        if i32::try_from(worker).is_ok_and(|worker| pid == Pid::from_raw(worker)) {
            return Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)));
        }
    }
}

fn make_mounts(setup: &Setup) -> anyhow::Result<()> {
    let none: Option<&Path> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|error| anyhow!("could not make the mounts private: {error}: {REFUSED}"))?;
    let proc_flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    if let Err(error) = mount(Some("proc"), "/proc", Some("proc"), proc_flags, none) {
        // In some containers /proc is partly covered, and the kernel then
        // shows no other one. The machine's has all that is needed.
        terminal::complain(&format!(
            "csi-doctor-lab: could not mount a /proc of its own ({error}); going on with the machine's"
        ));
    }
    // As on a node: requests that wait for FUSE daemons are counted there. Only root of the machine may.
    let fusectl = "/sys/fs/fuse/connections";
    let _ = mount(Some("fusectl"), fusectl, Some("fusectl"), proc_flags, none);
    let base = setup.base.as_path();
    // Sparse files and little data: the size is only a bound for accidents.
    let options = Some("mode=0755,size=1g");
    mount(
        Some("csi-doctor-lab"),
        base,
        Some("tmpfs"),
        MsFlags::MS_NOSUID,
        options,
    )
    .map_err(|error| anyhow!("could not mount a tmpfs on {}: {error}", base.display()))?;
    // As on a node: the kubelet's directory is shared, so that mounts made
    // later reach containers that were started before.
    mount(none, base, none, MsFlags::MS_SHARED, none)
        .with_context(|| format!("could not share {}", base.display()))?;
    for directory in [
        setup.kubelet().join("pods"),
        setup.kubelet().join("plugins"),
        setup.kubelet().join("plugins_registry"),
        setup.manifests(),
        setup.images(),
        setup.log(),
        setup.containers(),
    ] {
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("could not make {}", directory.display()))?;
    }
    Ok(())
}
