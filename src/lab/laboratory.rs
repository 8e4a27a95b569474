//! A running lab: its volumes, its processes, and how it is brought up healthy.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::lab::catalogue::{DRIVERS, Driver, catalogue};
use crate::lab::objects::{About, Registered, Told};
use crate::lab::plugin::Backend;
use crate::lab::processes::Processes;
use crate::lab::site::{Abilities, NODE, PROBE_TIMEOUT, Program, Setup};
use crate::lab::volumes::{Use, Volume};
use crate::lab::{kubelet, manifests, objects};

/// One thing at a time is done to a lab.
pub(crate) type Shared = Arc<Mutex<Lab>>;

pub(crate) struct Lab {
    pub(crate) setup: Setup,
    pub(crate) volumes: Vec<Volume>,
    /// Volumes that this machine does not let us make, and why.
    pub(crate) missing: Vec<(&'static str, String)>,
    pub(crate) backend: Backend,
    pub(crate) processes: Processes,
    registered: Vec<Registered>,
}

impl Lab {
    /// Brings everything up: plugins, volumes, objects, and last the doctor.
    pub(crate) async fn start(setup: Setup) -> anyhow::Result<Self> {
        let (volumes, missing) = catalogue(&Abilities::read(), Timestamp::now());
        let mut lab = Self {
            backend: Backend::new(setup.images()),
            processes: Processes::new(setup.log()),
            registered: Vec::new(),
            setup,
            volumes,
            missing,
        };
        lab.start_kubelet()?;
        for driver in lab.drivers() {
            lab.write(&objects::storage_class(driver, Timestamp::now()))?;
            lab.write(&objects::csi_driver(driver, Timestamp::now()))?;
            lab.start_plugin(driver).await?;
        }
        for index in 0..lab.volumes.len() {
            lab.bring_up(index).await?;
        }
        if lab.setup.doctor {
            lab.start_collector()?;
            lab.start_agent()?;
        }
        Ok(lab)
    }

    /// The drivers that have a volume here.
    pub(crate) fn drivers(&self) -> Vec<&'static Driver> {
        DRIVERS
            .iter()
            .filter(|driver| self.volumes.iter().any(|volume| volume.driver == *driver))
            .collect()
    }

    /// How many volumes the doctor is to know.
    pub(crate) fn covered(&self) -> usize {
        let volumes = self.volumes.iter();
        volumes.filter(|volume| volume.used != Use::InTree).count()
    }

    /// From nothing to a volume that a running pod uses.
    async fn bring_up(&mut self, index: usize) -> anyhow::Result<()> {
        let volume = self.volumes[index].clone();
        if volume.used != Use::InTree {
            let record = volume.record();
            self.backend.provide(&volume.handle, &record).await?;
        }
        if volume.has_claim() {
            self.provision(index)?;
        }
        kubelet::mount(&self.setup, &volume).await?;
        self.write(&objects::pod(&volume))?;
        self.start_container(index).await?;
        if let Some(second) = volume.in_second_pod() {
            kubelet::publish(&self.setup, &second).await?;
            self.write(&objects::pod(&second))?;
            self.start_container_of(&second, index + 1).await?;
        }
        Ok(())
    }

    /// What the cluster says of a claim before its volume comes to a node.
    fn provision(&self, index: usize) -> anyhow::Result<()> {
        let volume = &self.volumes[index];
        self.write(&objects::persistent_volume(volume))?;
        self.write(&objects::claim(volume))?;
        let provisioner = format!("{}_{NODE}", volume.driver.name);
        let message = format!("Successfully provisioned volume {}", volume.pv());
        self.tell(
            index,
            About::Claim,
            &provisioner,
            "ProvisioningSucceeded",
            message,
        )?;
        if volume.driver.attach {
            self.write(&objects::attachment(volume))?;
            let message = format!(
                "AttachVolume.Attach succeeded for volume \"{}\" ",
                volume.pv()
            );
            let by = "attachdetach-controller";
            self.tell(index, About::Pod, by, "SuccessfulAttachVolume", message)?;
        }
        Ok(())
    }

    pub(crate) fn write(&self, object: &serde_json::Value) -> anyhow::Result<()> {
        manifests::write(&self.setup.manifests(), object)
    }

    /// Writes what a claim and its volume say down again.
    pub(crate) fn write_sizes(&self, index: usize) -> anyhow::Result<()> {
        let volume = &self.volumes[index];
        self.write(&objects::persistent_volume(volume))?;
        self.write(&objects::claim(volume))
    }

    /// Writes an ordinary event.
    pub(crate) fn tell(
        &self,
        index: usize,
        about: About,
        by: &str,
        reason: &str,
        message: String,
    ) -> anyhow::Result<()> {
        self.note(index, about, by, (false, reason), message)
    }

    /// Writes a warning.
    pub(crate) fn warn(
        &self,
        index: usize,
        about: About,
        by: &str,
        reason: &str,
        message: String,
    ) -> anyhow::Result<()> {
        self.note(index, about, by, (true, reason), message)
    }

    fn note(
        &self,
        index: usize,
        about: About,
        by: &str,
        (warning, reason): (bool, &str),
        message: String,
    ) -> anyhow::Result<()> {
        let told = Told {
            about,
            by: by.to_owned(),
            warning,
            reason,
            message,
            at: Timestamp::now(),
        };
        self.write(&objects::event(&self.volumes[index], &told))
    }

    /// The volume of a claim.
    pub(crate) fn find(&self, claim: &str) -> anyhow::Result<usize> {
        if let Some(index) = self.volumes.iter().position(|volume| volume.claim == claim) {
            return Ok(index);
        }
        if let Some((_, reason)) = self.missing.iter().find(|(name, _)| *name == claim) {
            bail!("the volume {claim} could not be made here: {reason}");
        }
        let names: Vec<&str> = self.volumes.iter().map(|volume| volume.claim).collect();
        bail!("there is no volume {claim}; there are {}", names.join(", "))
    }

    /// Starts a driver's plugin and registers it.
    pub(crate) async fn start_plugin(&mut self, driver: &'static Driver) -> anyhow::Result<i32> {
        let pid = self.launch_plugin(driver)?;
        self.register(driver).await?;
        Ok(pid)
    }

    /// Starts a driver's plugin alone.
    pub(crate) fn launch_plugin(&mut self, driver: &Driver) -> anyhow::Result<i32> {
        let arguments: Vec<OsString> = vec![
            "plugin".into(),
            "--driver".into(),
            driver.name.into(),
            "--node".into(),
            NODE.into(),
            "--kubelet-dir".into(),
            self.setup.kubelet().into(),
            "--images".into(),
            self.setup.images().into(),
        ];
        self.processes
            .start(driver.name, "csi-doctor-lab", arguments)
    }

    /// Registers a driver, as the kubelet does whenever a registrar's socket appears.
    pub(crate) async fn register(&mut self, driver: &'static Driver) -> anyhow::Result<()> {
        let registered = kubelet::register(&self.setup, driver)
            .await
            .with_context(|| format!("could not register {}", driver.name))?;
        self.note_registration(driver, Some(registered))
    }

    /// Writes down what the kubelet took, or that it did not take a driver.
    pub(crate) fn note_registration(
        &mut self,
        driver: &'static Driver,
        registered: Option<Registered>,
    ) -> anyhow::Result<()> {
        self.registered.retain(|known| known.driver != driver.name);
        self.registered.extend(registered);
        self.registered.sort_by_key(|known| known.driver);
        self.write_registrations()
    }

    /// Lets a driver allow so many volumes on the node.
    pub(crate) fn limit(&mut self, driver: &Driver, volumes: i64) -> anyhow::Result<()> {
        let known = self.registered.iter_mut();
        for known in known.filter(|known| known.driver == driver.name) {
            known.limit = Some(volumes);
        }
        self.write_registrations()
    }

    fn write_registrations(&self) -> anyhow::Result<()> {
        let now = Timestamp::now();
        self.write(&objects::csi_node(&self.registered, now))?;
        self.write(&objects::node(&self.volumes, &self.registered, now))
    }

    pub(crate) fn start_kubelet(&mut self) -> anyhow::Result<i32> {
        let arguments = vec!["kubelet".into()];
        self.processes.start("kubelet", "kubelet", arguments)
    }

    pub(crate) fn start_collector(&mut self) -> anyhow::Result<i32> {
        let arguments = vec![
            "--listen".into(),
            self.setup.collector().into(),
            "--store".into(),
            "memory".into(),
            "--grace-scale".into(),
            self.setup.scale.to_string().into(),
        ];
        let program = Program::Collector.name();
        self.processes.start("collector", program, arguments)
    }

    pub(crate) fn start_agent(&mut self) -> anyhow::Result<i32> {
        let arguments = vec![
            "run".into(),
            "--node-name".into(),
            NODE.into(),
            "--manifests".into(),
            self.setup.manifests().into(),
            "--kubelet-dir".into(),
            self.setup.kubelet().into(),
            "--collector".into(),
            self.setup.collector().into(),
            "--interval".into(),
            self.setup.interval_text().into(),
            "--probe-timeout".into(),
            PROBE_TIMEOUT.into(),
        ];
        let program = Program::Agent.name();
        self.processes.start("agent", program, arguments)
    }

    /// `cycle`: unpublishes and publishes a volume so often, as pods that come and go; fails at the first
    /// unmount that somebody else's look at the volume keeps from happening.
    pub(crate) async fn cycle(&mut self, claim: &str, times: u32) -> anyhow::Result<String> {
        let index = self.find(claim)?;
        self.stop_container(index).await?;
        let begun = Instant::now();
        let volume = &self.volumes[index];
        for round in 1..=times {
            kubelet::unpublish(&self.setup, volume)
                .await
                .with_context(|| format!("in round {round} of {times}"))?;
            kubelet::publish(&self.setup, volume).await?;
        }
        let took = begun.elapsed();
        self.start_container(index).await?;
        Ok(format!(
            "unpublished and published {claim} {times} times in {:.1} s, and nothing was busy",
            took.as_secs_f64()
        ))
    }

    /// `stop`: kills a part.
    pub(crate) async fn stop(&mut self, what: &str) -> anyhow::Result<String> {
        let name = match what {
            "agent" | "collector" | "kubelet" => what,
            what => self.driver(what)?.name,
        };
        let pid = self.processes.kill(name).await?;
        Ok(format!("kill -9 {pid} ({name})"))
    }

    /// `start`: starts a part that does not run.
    pub(crate) async fn start_part(&mut self, what: &str) -> anyhow::Result<String> {
        let (name, pid) = match what {
            "agent" => ("agent", self.start_agent()?),
            "collector" => ("collector", self.start_collector()?),
            "kubelet" => ("kubelet", self.start_kubelet()?),
            what => {
                let driver = self.driver(what)?;
                (driver.name, self.start_plugin(driver).await?)
            }
        };
        Ok(format!("started {name} (process {pid})"))
    }

    /// The driver that a person means by `plugin` or by its name.
    pub(crate) fn driver(&self, what: &str) -> anyhow::Result<&'static Driver> {
        let drivers = self.drivers();
        let found = drivers
            .iter()
            .find(|driver| driver.name == what || (what == "plugin" && **driver == &DRIVERS[0]));
        if let Some(driver) = found {
            return Ok(driver);
        }
        let names: Vec<&str> = drivers.iter().map(|driver| driver.name).collect();
        bail!(
            "there is no {what}; there are agent, collector, kubelet, plugin (the same as {}) and {}",
            DRIVERS[0].name,
            names.join(", ")
        )
    }
}
