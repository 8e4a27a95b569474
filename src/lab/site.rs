//! What is decided once per lab and told to all its processes: names, address,
//! places, and what this machine lets us do.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// The name of the only node.
pub(crate) const NODE: &str = "lab-node-1";

/// How long a filesystem or a plugin may take to answer: less than ordinarily, and more than a driver that is
/// only slow takes.
pub(crate) const PROBE_TIMEOUT: &str = "2s";

/// How long the agent waits between two scans where nothing is scaled.
const INTERVAL: Duration = Duration::from_secs(30);

/// What the lab was started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Task {
    Up,
    Demo,
}

/// All that is decided outside; it travels inside as one JSON argument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) task: Task,
    pub(crate) name: String,
    /// Name of the abstract socket on which the lab can be asked.
    pub(crate) socket: String,
    pub(crate) collector_port: u16,
    /// Factor for intervals and graces.
    pub(crate) scale: f64,
    /// Whether agent and collector are started.
    pub(crate) doctor: bool,
    /// The directory that the lab's tmpfs covers.
    pub(crate) base: PathBuf,
    /// How a person calls this program: `cargo run --`.
    pub(crate) invocation: String,
}

impl Setup {
    pub(crate) fn to_json(&self) -> anyhow::Result<String> {
        serde_json::to_string(self).context("could not write the lab's setup down")
    }

    pub(crate) fn kubelet(&self) -> PathBuf {
        self.base.join("kubelet")
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.base.join("manifests")
    }

    /// Backing files and the storage backend's own records.
    pub(crate) fn images(&self) -> PathBuf {
        self.base.join("images")
    }

    /// The roots of the containers.
    pub(crate) fn containers(&self) -> PathBuf {
        self.base.join("containers")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.base.join("log")
    }

    pub(crate) fn collector(&self) -> String {
        format!("127.0.0.1:{}", self.collector_port)
    }

    pub(crate) fn interval(&self) -> Duration {
        INTERVAL.mul_f64(self.scale)
    }

    /// The interval as a flag takes it.
    pub(crate) fn interval_text(&self) -> String {
        let interval = self.interval();
        if interval.subsec_millis() == 0 {
            format!("{}s", interval.as_secs())
        } else {
            format!("{}ms", interval.as_millis())
        }
    }

    /// The environment from which the doctor's programs know this lab.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("CSI_DOCTOR_NODE_NAME", NODE.into()),
            ("CSI_DOCTOR_MANIFESTS", self.manifests().into()),
            ("CSI_DOCTOR_KUBELET_DIR", self.kubelet().into()),
            ("CSI_DOCTOR_COLLECTOR", self.collector().into()),
            // It is no cluster, and nobody is to ask the one of whoever runs it.
            ("KUBECONFIG", "/dev/null".into()),
            ("CSI_DOCTOR_INTERVAL", self.interval_text().into()),
            ("CSI_DOCTOR_PROBE_TIMEOUT", PROBE_TIMEOUT.into()),
            ("CSI_DOCTOR_LAB_NAME", self.name.as_str().into()),
        ]
    }
}

impl FromStr for Setup {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text).context("could not read the lab's setup")
    }
}

/// A program of the doctor, which this binary becomes under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Agent,
    Collector,
    CommandLine,
}

impl Program {
    /// Whether a program name, with or without a directory, is the doctor's.
    pub(crate) fn called(name: &OsStr) -> Option<Self> {
        [Self::Agent, Self::Collector, Self::CommandLine]
            .into_iter()
            .find(|program| Path::new(name).file_name() == Some(OsStr::new(program.name())))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Agent => "csi-doctor-agent",
            Self::Collector => "csi-doctor-collector",
            Self::CommandLine => "kubectl-csi_doctor",
        }
    }

    /// Runs the program in this process.
    pub(crate) fn main(self, args: impl Iterator<Item = OsString>) -> ExitCode {
        match self {
            Self::Agent => crate::agent::main(args),
            Self::Collector => crate::collector::main(args),
            Self::CommandLine => crate::cli::main(args),
        }
    }
}

/// What this machine lets the lab make; a reason where it does not.
#[derive(Debug, Clone)]
pub(crate) struct Abilities {
    pub(crate) loops: Result<(), String>,
    pub(crate) xfs: Result<(), String>,
    pub(crate) btrfs: Result<(), String>,
    pub(crate) fuse: Result<(), String>,
}

impl Abilities {
    /// Looks, from inside the lab's namespaces.
    pub(crate) fn read() -> Self {
        let loops = if whole_machine() {
            openable("/dev/loop-control").and_then(|()| installed("mkfs.ext4"))
        } else {
            Err("loop devices need root on the machine itself".to_owned())
        };
        let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
        let btrfs = loops
            .clone()
            .and_then(|()| installed("mkfs.btrfs"))
            .and_then(|()| {
                let there = known.contains("btrfs");
                there
                    .then_some(())
                    .ok_or_else(|| "the kernel has no btrfs".to_owned())
            });
        let xfs = loops.clone().and_then(|()| installed("mkfs.xfs"));
        Self {
            loops,
            xfs,
            btrfs,
            fuse: openable("/dev/fuse"),
        }
    }
}

/// Whether root here is root of the machine, not of a user namespace.
fn whole_machine() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]))
}

fn openable(device: &str) -> Result<(), String> {
    match OpenOptions::new().read(true).write(true).open(device) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{device} cannot be opened: {error}")),
    }
}

fn installed(program: &str) -> Result<(), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(program).is_file());
    if found {
        Ok(())
    } else {
        Err(format!("{program} is not installed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_name_alone() {
        let called = |name: &str| Program::called(OsStr::new(name));
        assert_eq!(called("csi-doctor-agent"), Some(Program::Agent));
        assert_eq!(
            called("/usr/bin/kubectl-csi_doctor"),
            Some(Program::CommandLine)
        );
        assert_eq!(called("csi-doctor-lab"), None);
        assert_eq!(called(""), None);
    }
}
