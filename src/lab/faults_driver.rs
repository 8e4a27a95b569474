//! Faults of drivers: each is a manner that the plugin of the volume's driver is told, or the plugin's words
//! about this one volume. `manner` sets the same, and more.

use anyhow::{Context, bail};

use crate::lab::catalogue::Driver;
use crate::lab::faults::{Entry, Fault};
use crate::lab::kubelet;
use crate::lab::laboratory::Lab;
use crate::lab::plugin::{Of, Topic};

/// A fault, and what is set for it.
struct Told {
    fault: Fault,
    settings: &'static [(Topic, &'static str)],
}

const fn entry(fault: Fault, name: &'static str, code: &'static str, does: &'static str) -> Entry {
    Entry {
        fault,
        name,
        code,
        example: "",
        does,
        needs: "nothing",
    }
}

/// These faults.
pub(super) static FAULTS: [Entry; 12] = [
    entry(
        Fault::HangDriver,
        "hang-driver",
        "DriverUnreachable",
        "lets the plugin of the volume's driver take calls and answer none",
    ),
    entry(
        Fault::SlowDriver,
        "slow-driver",
        "DriverSlow",
        "lets each of its answers take more than a second",
    ),
    entry(
        Fault::NotReady,
        "not-ready",
        "DriverNotReady",
        "lets Probe answer that it is not ready",
    ),
    entry(
        Fault::FailingProbe,
        "failing-probe",
        "DriverNotReady",
        "lets Probe fail with FAILED_PRECONDITION",
    ),
    entry(
        Fault::NoRegistrar,
        "no-registrar",
        "DriverNotRegistered",
        "starts the plugin anew without a registrar",
    ),
    entry(
        Fault::OtherName,
        "other-name",
        "DriverNotRegistered",
        "starts it anew with a registrar that tells another name",
    ),
    entry(
        Fault::OtherNode,
        "other-node",
        "DriverNotRegistered",
        "starts it anew, unnoticed by the kubelet, with another node id",
    ),
    entry(
        Fault::RefusedNode,
        "refused-node",
        "DriverNotRegistered",
        "starts it anew with a NodeGetInfo that fails: the kubelet does not take it",
    ),
    entry(
        Fault::IllStorage,
        "ill-storage",
        "StorageBackendUnhealthy",
        "lets NodeGetStorageHealth (CSI 1.13) tell of a storage out of reach",
    ),
    entry(
        Fault::Abnormal,
        "abnormal",
        "VolumeConditionAbnormal",
        "lets NodeGetVolumeStats tell of an abnormal volume condition (CSI 1.12)",
    ),
    entry(
        Fault::DataLoss,
        "data-loss",
        "VolumeConditionAbnormal",
        "lets NodeGetVolumeHealth (CSI 1.13) tell of lost data",
    ),
    entry(
        Fault::UnknownHealth,
        "unknown-health",
        "VolumeConditionAbnormal",
        "lets NodeGetVolumeHealth tell a number that has no name yet",
    ),
];

static TOLD: [Told; 12] = [
    Told {
        fault: Fault::HangDriver,
        settings: &[(Topic::Answer, "hang")],
    },
    Told {
        fault: Fault::SlowDriver,
        settings: &[(Topic::Delay, "1300")],
    },
    Told {
        fault: Fault::NotReady,
        settings: &[(Topic::Probe, "false")],
    },
    Told {
        fault: Fault::FailingProbe,
        settings: &[(Topic::Probe, "FailedPrecondition")],
    },
    Told {
        fault: Fault::NoRegistrar,
        settings: &[(Topic::Registrar, "none")],
    },
    Told {
        fault: Fault::OtherName,
        settings: &[(Topic::Name, "renamed.csi-doctor.io")],
    },
    Told {
        fault: Fault::OtherNode,
        settings: &[(Topic::NodeInfo, "i-0123456789abcdef0")],
    },
    Told {
        fault: Fault::RefusedNode,
        settings: &[(Topic::NodeInfo, "Internal")],
    },
    Told {
        fault: Fault::IllStorage,
        settings: &[(Topic::Storage, "unreachable")],
    },
    Told {
        fault: Fault::Abnormal,
        settings: &[(Topic::Health, "abnormal")],
    },
    Told {
        fault: Fault::DataLoss,
        settings: &[(Topic::Dialect, "health"), (Topic::Health, "data-loss")],
    },
    Told {
        fault: Fault::UnknownHealth,
        settings: &[(Topic::Dialect, "health"), (Topic::Health, "7")],
    },
];

fn told(fault: Fault) -> Option<&'static Told> {
    TOLD.iter().find(|told| told.fault == fault)
}

/// Whether a fault is one of these.
pub(super) fn has(fault: Fault) -> bool {
    told(fault).is_some()
}

impl Lab {
    /// `manner`: sets how a driver or a volume behaves.
    pub(crate) async fn behave(&mut self, of: &str, settings: &[String]) -> anyhow::Result<String> {
        let driver = self.drivers().into_iter().find(|driver| driver.name == of);
        let (driver, handle) = if let Some(driver) = driver {
            (driver, None)
        } else {
            let volume = &self.volumes[self.find(of)?];
            (volume.driver, Some(volume.handle.clone()))
        };
        let mut wanted = Vec::new();
        for setting in settings {
            let (topic, value) = setting
                .split_once('=')
                .with_context(|| format!("{setting} is not TOPIC=HOW"))?;
            let topic: Topic = topic.parse()?;
            match (topic.of(), &handle) {
                (Of::Driver, Some(_)) => bail!("{topic} is a driver's, and {of} is a volume"),
                (Of::Volume, None) => bail!("{topic} is a volume's, and {of} is a driver"),
                _ => wanted.push((topic, value)),
            }
        }
        self.tell_driver(driver, handle.as_deref(), &wanted).await
    }

    pub(super) async fn fault_of_driver(
        &mut self,
        fault: Fault,
        index: usize,
    ) -> anyhow::Result<String> {
        let told = told(fault).context("it is not of these")?;
        let volume = &self.volumes[index];
        let (driver, handle) = (volume.driver, volume.handle.clone());
        self.tell_driver(driver, Some(&handle), told.settings).await
    }

    pub(super) async fn undo_of_driver(
        &mut self,
        fault: Fault,
        index: usize,
    ) -> anyhow::Result<String> {
        let told = told(fault).context("it is not of these")?;
        let volume = &self.volumes[index];
        let (driver, handle) = (volume.driver, volume.handle.clone());
        let well: Vec<(Topic, &str)> = told
            .settings
            .iter()
            .map(|(topic, _)| (*topic, "well"))
            .collect();
        self.tell_driver(driver, Some(&handle), &well).await
    }

    /// Sets topics of a driver and of one of its volumes, and starts the plugin anew where it must be.
    pub(super) async fn tell_driver(
        &mut self,
        driver: &'static Driver,
        handle: Option<&str>,
        settings: &[(Topic, &str)],
    ) -> anyhow::Result<String> {
        let mut did = Vec::new();
        for (topic, value) in settings {
            let of = match (topic.of(), handle) {
                (Of::Volume, Some(handle)) => handle,
                _ => driver.name,
            };
            self.backend.set(of, *topic, value)?;
            did.push(format!("{of}: {topic}={value}"));
        }
        let starts = settings.iter().any(|(topic, _)| topic.needs_start());
        if starts {
            did.push(self.restart_plugin(driver).await?);
        }
        Ok(did.join("; "))
    }

    /// Starts a plugin anew, with its registrar where it has one.
    async fn restart_plugin(&mut self, driver: &'static Driver) -> anyhow::Result<String> {
        if self.processes.pid(driver.name).is_some() {
            self.processes.kill(driver.name).await?;
        }
        let pid = self.launch_plugin(driver)?;
        kubelet::await_plugin(&self.setup, driver).await?;
        let how = if self.backend.set_to(driver.name, Topic::Registrar) == "none" {
            self.note_registration(driver, None)?;
            "no registrar".to_owned()
        } else if self.backend.names_node_anew(driver.name) {
            "the registrar and the kubelet did not notice".to_owned()
        } else {
            match self.register(driver).await {
                Ok(()) => "registered".to_owned(),
                Err(error) => {
                    self.note_registration(driver, None)?;
                    format!("{error:#}")
                }
            }
        };
        Ok(format!("started {} (process {pid}): {how}", driver.name))
    }
}
