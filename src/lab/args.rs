//! The lab's command line, and the few decisions that are made before any
//! namespace exists: names, port, place.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};

use crate::lab::control;
use crate::lab::expansion::Step;
use crate::lab::life::Way;
use crate::lab::plugin::{self, Manner};
use crate::lab::site::{Setup, Task};

/// A storage node without a cluster, with real faults.
#[derive(Debug, Parser)]
#[command(name = "csi-doctor-lab", version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Let a node fall ill in several ways and show what the doctor says, then clean up
    Demo(Demo),
    /// Start a healthy node and keep it until Ctrl-C
    Up(Up),
    /// Run a command inside the running lab (the doctor's programs by name, others from PATH)
    Exec(Exec),
    /// Make a fault on a volume of the running lab
    Fault(Fault),
    /// Expand a volume step by step, with a driver that does or does not do its part
    Expand(Expand),
    /// Take a volume from its pod and bring it back, again and again
    Cycle(Cycle),
    /// Let a driver, or one volume of it, behave otherwise than well
    Manner(Manners),
    /// Let the pod of a volume live: all that is ordinary, and no fault
    Pod(Pod),
    /// Undo the faults of one volume, or of all
    Heal(Heal),
    /// List the faults: what each does and what it needs
    Faults,
    /// Kill the agent, the collector, the kubelet or a plugin of the running lab (SIGKILL)
    Stop(Part),
    /// Start the agent, the collector, the kubelet or a plugin of the running lab again
    Start(Part),
    #[command(flatten)]
    Hidden(Hidden),
}

/// How the lab runs itself again.
#[derive(Debug, Subcommand)]
pub(crate) enum Hidden {
    /// The first process of the lab's namespaces
    #[command(hide = true)]
    Inside { setup: Setup },
    /// The process that does the lab's work
    #[command(hide = true)]
    Worker { setup: Setup },
    /// A CSI node plugin
    #[command(hide = true)]
    Plugin(Plugin),
    /// The daemon of one FUSE volume
    #[command(hide = true)]
    FuseVolume(FuseVolume),
    /// The daemon that a device's backing file lies behind
    #[command(hide = true)]
    FuseImage(FuseImage),
    /// The process that holds a device
    #[command(hide = true)]
    HoldDevice,
    /// The process by which the doctor sees that a kubelet runs
    #[command(hide = true)]
    Kubelet,
    /// The process of a pod's container
    #[command(hide = true)]
    Container(Container),
    /// Unmounts something in a container
    #[command(hide = true)]
    UnmountInside(UnmountInside),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Factor for the ordinary intervals and graces
    #[arg(long, default_value_t = 0.1, env = "CSI_DOCTOR_LAB_SCALE")]
    scale: f64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    #[command(flatten)]
    lab: Named,
    /// Port of the collector on the loopback interface; a free one if not given
    #[arg(long)]
    collector_port: Option<u16>,
    /// Factor for the ordinary intervals and graces
    #[arg(long, default_value_t = 0.1, env = "CSI_DOCTOR_LAB_SCALE")]
    scale: f64,
    /// Start neither agent nor collector
    #[arg(long)]
    no_doctor: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// Which lab: several can run side by side under different names
    #[arg(long, default_value = "lab", env = "CSI_DOCTOR_LAB_NAME")]
    pub(crate) name: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) lab: Named,
    /// The command and its arguments, after --
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Fault {
    #[command(flatten)]
    pub(crate) lab: Named,
    /// A name that `faults` lists
    #[arg(value_name = "NAME")]
    pub(crate) what: String,
    /// The claim of the volume, as `up` prints it
    pub(crate) volume: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Expand {
    #[command(flatten)]
    pub(crate) lab: Named,
    /// The claim of the volume, as `up` prints it
    pub(crate) volume: String,
    /// The last step to take; `heal` lets it go on
    #[arg(long, value_enum, default_value_t = Step::FilesystemGrown)]
    pub(crate) until: Step,
    /// How the driver's controller behaves: well, lie, hang, offline, or a gRPC code such as Unavailable
    #[arg(long, default_value = "well", value_name = "MANNER")]
    pub(crate) controller: Manner,
    /// How the driver behaves on the node: well, lie, hang, offline, or a gRPC code such as Internal
    #[arg(long, default_value = "well", value_name = "MANNER")]
    pub(crate) node: Manner,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Cycle {
    #[command(flatten)]
    pub(crate) lab: Named,
    /// The claim of the volume, as `up` prints it
    pub(crate) volume: String,
    /// How often
    #[arg(long, default_value_t = 1000)]
    pub(crate) times: u32,
}

#[derive(Debug, clap::Args)]
#[command(after_help = plugin::topics())]
pub(crate) struct Manners {
    #[command(flatten)]
    pub(crate) lab: Named,
    /// A driver's name, or a claim
    pub(crate) of: String,
    /// Which topic, and how: well, hang or a gRPC code such as `NotFound`, or a word of the topic below
    #[arg(value_name = "TOPIC=HOW", required = true)]
    pub(crate) settings: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Pod {
    #[command(flatten)]
    pub(crate) lab: Named,
    /// The claim of the volume, as `up` prints it
    pub(crate) volume: String,
    /// What happens to it
    #[arg(value_enum)]
    pub(crate) way: Way,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Heal {
    #[command(flatten)]
    pub(crate) lab: Named,
    /// The claim of the volume; all volumes if not given
    pub(crate) volume: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Part {
    #[command(flatten)]
    pub(crate) lab: Named,
    /// agent, collector, kubelet, plugin (the first driver's) or a driver's name
    pub(crate) what: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Plugin {
    #[arg(long)]
    pub(crate) driver: String,
    #[arg(long)]
    pub(crate) node: String,
    #[arg(long)]
    pub(crate) kubelet_dir: PathBuf,
    #[arg(long)]
    pub(crate) images: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FuseVolume {
    #[arg(long)]
    pub(crate) images: PathBuf,
    #[arg(long)]
    pub(crate) handle: String,
    #[arg(long)]
    pub(crate) at: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FuseImage {
    #[arg(long)]
    pub(crate) image: PathBuf,
    #[arg(long)]
    pub(crate) hold: PathBuf,
    #[arg(long)]
    pub(crate) at: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Container {
    #[arg(long)]
    pub(crate) root: PathBuf,
    #[arg(long)]
    pub(crate) place: PathBuf,
    #[arg(long)]
    pub(crate) volume: Option<PathBuf>,
    #[arg(long)]
    pub(crate) read_only: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UnmountInside {
    #[arg(long)]
    pub(crate) process: i32,
    #[arg(long)]
    pub(crate) at: PathBuf,
}

impl Demo {
    /// The demo has a name of its own, so that it never meets another lab.
    pub(crate) fn setup(self, program: &str) -> anyhow::Result<Setup> {
        let name = format!("demo-{}", std::process::id());
        setup(Task::Demo, name, None, self.scale, true, program)
    }
}

impl Up {
    pub(crate) fn setup(self, program: &str) -> anyhow::Result<Setup> {
        let name = self.lab.name;
        if name.is_empty() || name.len() > 60 {
            bail!("a lab's name has 1 to 60 characters");
        }
        if control::answers(&name) {
            bail!("a lab named {name:?} already runs; end it, or choose another --name");
        }
        setup(
            Task::Up,
            name,
            self.collector_port,
            self.scale,
            !self.no_doctor,
            program,
        )
    }
}

fn setup(
    task: Task,
    name: String,
    port: Option<u16>,
    scale: f64,
    doctor: bool,
    program: &str,
) -> anyhow::Result<Setup> {
    if !(0.01..=10.0).contains(&scale) {
        bail!("--scale {scale} is not between 0.01 and 10");
    }
    Ok(Setup {
        task,
        socket: control::socket_name(&name),
        name,
        collector_port: port.map_or_else(free_port, Ok)?,
        scale,
        doctor,
        base: place()?,
        invocation: invocation(program),
    })
}

/// A port that is free now. It is chosen once, so that a collector that is
/// started again has the address it had before.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("could not find a free port")?;
    Ok(listener.local_addr()?.port())
}

/// The directory that the lab's tmpfs will cover, seen from inside only: an
/// empty mount point by convention, and none that hides the person's own
/// working directory or this program.
fn place() -> anyhow::Result<PathBuf> {
    let precious: Vec<PathBuf> = [std::env::current_dir(), std::env::current_exe()]
        .into_iter()
        .flatten()
        .collect();
    ["/mnt", "/media", "/srv"]
        .into_iter()
        .map(Path::new)
        .find(|place| place.is_dir() && !precious.iter().any(|path| path.starts_with(place)))
        .map(Path::to_path_buf)
        .context("none of /mnt, /media and /srv can be covered by the lab's tmpfs: make one of them, or work from another directory")
}

/// How the person can call this program again.
fn invocation(program: &str) -> String {
    if std::env::var_os("CARGO").is_some() {
        "cargo run --".to_owned()
    } else {
        program.to_owned()
    }
}
