//! The lab's child processes: each a process of its own, started from this
//! binary, with its output in a file of its own. None is started again by
//! itself: a process that is gone is something for the doctor to notice.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a killed process may take to be gone.
const GONE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Running {
    pid: i32,
    ended: JoinHandle<()>,
}

/// All children by name.
#[derive(Debug)]
pub(crate) struct Processes {
    log: PathBuf,
    running: BTreeMap<String, Running>,
}

impl Processes {
    pub(crate) fn new(log: PathBuf) -> Self {
        Self {
            log,
            running: BTreeMap::new(),
        }
    }

    /// The process of this name, if it lives.
    pub(crate) fn pid(&self, name: &str) -> Option<i32> {
        self.running
            .get(name)
            .filter(|running| !running.ended.is_finished())
            .map(|running| running.pid)
    }

    /// Starts this binary again, as the program that `argv0` names.
    pub(crate) fn start(
        &mut self,
        name: &str,
        argv0: &str,
        arguments: Vec<OsString>,
    ) -> anyhow::Result<i32> {
        if let Some(pid) = self.pid(name) {
            bail!("{name} already runs (process {pid})");
        }
        let path = self.log.join(format!("{name}.log"));
        let log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("could not open {}", path.display()))?;
        let mut child = Command::new("/proc/self/exe")
            .arg0(argv0)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .with_context(|| format!("{name} ended at once"))?;
        let ended = tokio::spawn(async move {
            // Waited for, so that it leaves no zombie.
            let _ = child.wait().await;
        });
        self.running.insert(name.to_owned(), Running { pid, ended });
        Ok(pid)
    }

    /// Kills a process the hard way and waits until it is gone.
    pub(crate) async fn kill(&mut self, name: &str) -> anyhow::Result<i32> {
        let pid = self
            .pid(name)
            .ok_or_else(|| anyhow!("{name} does not run"))?;
        kill(Pid::from_raw(pid), Signal::SIGKILL)
            .with_context(|| format!("could not kill {name} (process {pid})"))?;
        if let Some(running) = self.running.remove(name) {
            timeout(GONE, running.ended)
                .await
                .map_err(|_| anyhow!("{name} (process {pid}) did not end"))??;
        }
        Ok(pid)
    }
}
