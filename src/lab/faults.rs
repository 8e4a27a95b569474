//! The faults: a table of what each does and what should be found, and how
//! each is made and undone. All are real: nothing tells the doctor.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, anyhow, bail};
use jiff::SignedDuration;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::statvfs;

use crate::lab::expansion::{Course, Step};
use crate::lab::laboratory::Lab;
use crate::lab::plugin::{Hold, Manner};
use crate::lab::volumes::{Kind, Use, Volume};
use crate::lab::{faults_driver, faults_node, faults_pod, kubelet, mounts, remove};

/// How old a claim's wait for the node is said to be: the objects of a cluster
/// in which it has been waiting, without the wait.
const WAITED: SignedDuration = SignedDuration::from_mins(12);

/// The file that fills a volume.
const FILLER: &str = "old-exports.bin";

/// In the order in which they must be undone: nothing can be asked of a dead
/// plugin, nor of one that was told to refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    KillPlugin,
    HangDriver,
    SlowDriver,
    NotReady,
    FailingProbe,
    NoRegistrar,
    OtherName,
    OtherNode,
    RefusedNode,
    IllStorage,
    Abnormal,
    DataLoss,
    UnknownHealth,
    RefuseMount,
    HangMount,
    NoAttach,
    NodeFull,
    ChangeOwner,
    EndJob,
    LeaveDirectory,
    DriverAlone,
    Hang,
    ReadOnly,
    Fill,
    Unmount,
    ExpandWaiting,
    ExpandLying,
    Queue,
    Die,
    Restart,
    FreezeIo,
    Emergency,
    CountErrors,
    ShutDown,
    Detach,
    Inodes,
    Stack,
    Swap,
    UnmountInside,
    Orphan,
    LeaveStage,
    StuckUnmount,
}

/// What a fault is called, does, needs and causes.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) fault: Fault,
    pub(crate) name: &'static str,
    /// The finding that it should cause.
    pub(crate) code: &'static str,
    /// The claim on which the demo makes it.
    pub(crate) example: &'static str,
    pub(super) does: &'static str,
    pub(super) needs: &'static str,
}

/// All faults, in the order in which the demo makes them.
pub(crate) static FAULTS: [Entry; 7] = [
    Entry {
        fault: Fault::Unmount,
        name: "unmount",
        code: "VolumeNotMounted",
        example: "invoices",
        does: "unmounts the pod's path behind the kubelet's back",
        needs: "nothing",
    },
    Entry {
        fault: Fault::ReadOnly,
        name: "read-only",
        code: "UnexpectedReadOnly",
        example: "orders-db",
        does: "remounts the filesystem read-only, as the kernel does after errors",
        needs: "a volume other than FUSE",
    },
    Entry {
        fault: Fault::Fill,
        name: "fill",
        code: "FilesystemNearlyFull",
        example: "cart-cache",
        does: "lets a file take all but 4 % of the volume",
        needs: "a writable volume other than FUSE",
    },
    Entry {
        fault: Fault::ExpandWaiting,
        name: "expand-waiting",
        code: "NodeExpansionPending",
        example: "search-index",
        does: "doubles claim, volume and device; the kubelet never does its half",
        needs: "a class that allows expansion",
    },
    Entry {
        fault: Fault::ExpandLying,
        name: "expand-lying",
        code: "FilesystemNotGrown",
        example: "session-store",
        does: "doubles claim, volume and device and reports success; the filesystem never grew",
        needs: "a class that allows expansion",
    },
    Entry {
        fault: Fault::Hang,
        name: "hang",
        code: "MountUnresponsive",
        example: "media",
        does: "lets the filesystem's daemon answer nothing any more",
        needs: "a FUSE volume, hence /dev/fuse",
    },
    Entry {
        fault: Fault::KillPlugin,
        name: "kill-plugin",
        code: "DriverUnreachable",
        example: "reports",
        does: "kills the plugin of the volume's driver; its sockets stay behind",
        needs: "nothing",
    },
];

impl Fault {
    fn entry(self) -> &'static Entry {
        // Every fault is in the table; a test says so.
        all()
            .find(|entry| entry.fault == self)
            .unwrap_or(&FAULTS[0])
    }
}

/// Those of the demo, and those of the node's layers, of pods and of drivers.
fn all() -> impl Iterator<Item = &'static Entry> {
    FAULTS
        .iter()
        .chain(&faults_node::FAULTS)
        .chain(&faults_pod::FAULTS)
        .chain(&faults_driver::FAULTS)
}

/// The table as `faults` prints it.
pub(crate) fn table() -> String {
    let mut text = format!(
        "{:<16}{:<25}{:<34}{}\n",
        "FAULT", "CAUSES", "NEEDS", "WHAT IT DOES"
    );
    for entry in all() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<16}{:<25}{:<34}{}",
            entry.name, entry.code, entry.needs, entry.does
        );
    }
    text.push_str(
        "\nMake one with `fault NAME VOLUME`, undo it with `heal VOLUME` or all with `heal`.",
    );
    text
}

impl Lab {
    /// Takes steps of an expansion; it goes on to its end when the volume is healed.
    pub(crate) async fn grow(&mut self, claim: &str, course: &Course) -> anyhow::Result<String> {
        let index = self.find(claim)?;
        let did = self.expand(index, course).await?;
        self.volumes[index].faults.insert(Fault::ExpandWaiting);
        Ok(did)
    }

    /// Makes a fault and says what was really done.
    pub(crate) async fn fault(&mut self, name: &str, claim: &str) -> anyhow::Result<String> {
        let entry = all().find(|entry| entry.name == name).ok_or_else(|| {
            let names: Vec<&str> = all().map(|entry| entry.name).collect();
            anyhow!("there is no fault {name}; there are {}", names.join(", "))
        })?;
        let index = self.find(claim)?;
        let volume = &self.volumes[index];
        refuse(entry, volume)?;
        let did = match entry.fault {
            Fault::Unmount => {
                let target = volume.target(&self.setup);
                if mounts::find(&target).is_none() {
                    bail!("{} is not mounted", target.display());
                }
                mounts::unmount(&target)?;
                format!("umount {}", target.display())
            }
            Fault::ReadOnly => {
                let staging = volume.staging(&self.setup);
                mounts::remount(&staging, true, None)?;
                format!("mount -o remount,ro {}", staging.display())
            }
            Fault::Fill => self.fill(volume)?,
            Fault::Hang => {
                let hold = self.backend.hold(&volume.handle, Hold::Volume);
                std::fs::write(&hold, "")
                    .with_context(|| format!("could not write {}", hold.display()))?;
                "the FUSE daemon stopped answering".to_owned()
            }
            Fault::KillPlugin => self.stop(volume.driver.name).await?,
            Fault::ExpandWaiting => {
                let course = Course {
                    ago: WAITED,
                    ..Course::well(Step::CapacityRaised)
                };
                format!(
                    "{}; NodeExpandVolume was never called, and the claim says that it has waited for {} minutes",
                    self.expand(index, &course).await?,
                    WAITED.as_mins()
                )
            }
            Fault::ExpandLying => {
                let course = Course {
                    node: Manner::Lie,
                    ..Course::well(Step::FilesystemGrown)
                };
                self.expand(index, &course).await?
            }
            fault if faults_driver::has(fault) => self.fault_of_driver(fault, index).await?,
            fault if faults_pod::has(fault) => self.fault_of_pod(fault, index).await?,
            fault => self.fault_of_node(fault, index).await?,
        };
        self.volumes[index].faults.insert(entry.fault);
        Ok(did)
    }

    /// Takes blocks until 4 % are left, with a file as a pod would write it.
    fn fill(&self, volume: &Volume) -> anyhow::Result<String> {
        let path = volume.target(&self.setup).join(FILLER);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("could not write {}", path.display()))?;
        let usage = statvfs(&volume.target(&self.setup))?;
        let keep = usage.blocks() / 25;
        let blocks = usage.blocks_available().saturating_sub(keep);
        let bytes = i64::try_from(blocks * usage.fragment_size())?;
        let already = i64::try_from(file.metadata()?.len())?;
        fallocate(&file, FallocateFlags::empty(), already, bytes.max(1))
            .with_context(|| format!("could not make {} large", path.display()))?;
        Ok(format!("{} takes {bytes} bytes", path.display()))
    }

    /// Undoes all faults of one volume.
    pub(crate) async fn heal(&mut self, claim: &str) -> anyhow::Result<Vec<String>> {
        let index = self.find(claim)?;
        let faults = self.volumes[index].faults.clone();
        if faults.is_empty() {
            return Ok(vec![format!("{claim} has no fault that was made here")]);
        }
        let mut did = Vec::new();
        for fault in faults {
            let how = self
                .undo(index, fault)
                .await
                .with_context(|| format!("could not undo {} on {claim}", fault.entry().name))?;
            self.volumes[index].faults.remove(&fault);
            did.push(format!("{claim}: {how}"));
        }
        Ok(did)
    }

    /// Undoes the faults of all volumes; one that resists does not keep the
    /// others from it.
    pub(crate) async fn heal_all(&mut self) -> anyhow::Result<Vec<String>> {
        let mut claims: Vec<(bool, &'static str)> = self
            .volumes
            .iter()
            .filter(|volume| !volume.faults.is_empty())
            .map(|volume| {
                let stops = [Fault::KillPlugin, Fault::HangDriver, Fault::FreezeIo];
                let stops_others = stops.iter().any(|fault| volume.faults.contains(fault));
                (!stops_others, volume.claim)
            })
            .collect();
        // First what others may need: plugins, and devices that let every look at devices wait.
        claims.sort_by_key(|(later, _)| *later);
        let (mut did, mut failed) = (Vec::new(), Vec::new());
        for (_, claim) in claims {
            match self.heal(claim).await {
                Ok(lines) => did.extend(lines),
                Err(error) => failed.push(format!("{error:#}")),
            }
        }
        if !failed.is_empty() {
            did.append(&mut failed);
            bail!("{}", did.join("\n"));
        }
        if did.is_empty() {
            did.push("there is no fault".to_owned());
        }
        Ok(did)
    }

    /// Undoes one fault. A person may have undone it by hand already.
    async fn undo(&mut self, index: usize, fault: Fault) -> anyhow::Result<String> {
        let volume = &self.volumes[index];
        match fault {
            Fault::Unmount => {
                kubelet::publish(&self.setup, volume).await?;
                Ok("called NodePublishVolume again".to_owned())
            }
            Fault::ReadOnly => {
                let staging = volume.staging(&self.setup);
                mounts::remount(&staging, false, None)?;
                Ok(format!("mount -o remount,rw {}", staging.display()))
            }
            Fault::Fill => {
                let path = volume.staging(&self.setup).join(FILLER);
                remove(&path)?;
                Ok("removed the file that filled it".to_owned())
            }
            Fault::Hang => {
                remove(&self.backend.hold(&volume.handle, Hold::Volume))?;
                Ok("the FUSE daemon answers again".to_owned())
            }
            Fault::KillPlugin => {
                let driver = volume.driver;
                match self.processes.pid(driver.name) {
                    Some(pid) => Ok(format!("{} runs already (process {pid})", driver.name)),
                    None => self.start_part(driver.name).await,
                }
            }
            Fault::ExpandWaiting | Fault::ExpandLying => self.let_go_on(index).await,
            fault if faults_driver::has(fault) => self.undo_of_driver(fault, index).await,
            fault if faults_pod::has(fault) => self.undo_of_pod(fault, index).await,
            fault => self.undo_of_node(fault, index).await,
        }
    }
}

/// Says why a fault cannot be made on a volume.
fn refuse(entry: &Entry, volume: &Volume) -> anyhow::Result<()> {
    let claim = volume.claim;
    if volume.faults.contains(&entry.fault) {
        bail!(
            "{claim} has the fault {} already; heal it first",
            entry.name
        );
    }
    if volume.used != Use::Alone || volume.kind == Kind::Directory {
        bail!("{claim} is there to be healthy in a way of its own: no fault is made on it");
    }
    let fuse = volume.kind == Kind::Fuse;
    let growing = |fault| matches!(fault, Fault::ExpandWaiting | Fault::ExpandLying);
    match entry.fault {
        Fault::Unmount | Fault::KillPlugin | Fault::ExpandWaiting | Fault::RefuseMount
            if volume.kind == Kind::Block => {}
        fault if faults_driver::has(fault) => {}
        _ if volume.kind == Kind::Block => {
            bail!("{claim} is a device without a filesystem: that cannot happen to it")
        }
        Fault::Hang if !fuse => bail!("{claim} is no FUSE volume: only those can hang"),
        Fault::ReadOnly | Fault::Fill if fuse => bail!("{claim} is a FUSE volume without data"),
        Fault::ReadOnly | Fault::Fill if volume.read_only => {
            bail!("{claim} is read-only in its pod by intention")
        }
        fault if growing(fault) && volume.faults.iter().any(|other| growing(*other)) => {
            bail!("{claim} is growing already; heal it first")
        }
        fault if faults_pod::has(fault) => faults_pod::refuse(fault, volume)?,
        fault => faults_node::refuse(fault, volume)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_in_the_table_once_and_names_a_code() {
        for entry in all() {
            assert_eq!(entry.fault.entry().name, entry.name);
            let mut codes = crate::rules::RULES.iter().map(|rule| rule.code);
            assert!(codes.any(|code| code == entry.code), "{}", entry.code);
        }
    }
}
