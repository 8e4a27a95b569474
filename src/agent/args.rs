//! What the agent is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::agent::scan::Settings;
use crate::model::facts::Thresholds;
use crate::model::names::HostPath;
use crate::runtime::{LogFormat, plain};

/// The node agent of csi-doctor: looks at the mounts, plugins and volumes of its node, says what
/// is wrong, and reports to the collector. It changes nothing.
#[derive(Debug, Parser)]
#[command(name = "csi-doctor-agent", version)]
pub(super) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Scan again and again, and report each scan to the collector.
    Run(RunArgs),
    /// Scan once, print it, and exit: 0 nothing found, 1 findings, 2 could not look.
    ///
    /// A finding that might go by itself counts: one scan cannot wait for that.
    Scan(ScanArgs),
}

/// Where to look.
#[derive(Debug, Args)]
pub(super) struct NodeArgs {
    /// The name of this node's Node object.
    #[arg(long, env = "CSI_DOCTOR_NODE_NAME")]
    pub(super) node_name: String,

    /// Where the host's root directory is seen from here.
    #[arg(long, env = "CSI_DOCTOR_HOST_ROOT", default_value = "/")]
    pub(super) host_root: PathBuf,

    /// The kubelet's root directory, as the host sees it; found by itself when left out.
    #[arg(long, env = "CSI_DOCTOR_KUBELET_DIR")]
    pub(super) kubelet_dir: Option<PathBuf>,

    /// A kubeconfig whose current context names the API server. Without it and outside of a pod only
    /// what lies on the node is known.
    #[arg(long, env = "CSI_DOCTOR_KUBECONFIG", conflicts_with = "manifests")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// A directory of Kubernetes objects as YAML or JSON, in place of the API server.
    #[arg(long, env = "CSI_DOCTOR_MANIFESTS")]
    pub(super) manifests: Option<PathBuf>,

    /// How long a filesystem or a plugin may take to answer.
    #[arg(long, env = "CSI_DOCTOR_PROBE_TIMEOUT", default_value = "5s", value_parser = duration)]
    pub(super) probe_timeout: Duration,

    /// Percent of a filesystem's space or inodes in use from which it is nearly full.
    #[arg(long, env = "CSI_DOCTOR_NEARLY_FULL_PERCENT", default_value_t = 90, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(super) nearly_full_percent: u8,
}

impl From<&NodeArgs> for Settings {
    fn from(args: &NodeArgs) -> Self {
        Self {
            node: args.node_name.as_str().into(),
            host_root: args.host_root.clone(),
            kubelet: args.kubelet_dir.clone().map(HostPath::from),
            probe_timeout: args.probe_timeout,
            thresholds: Thresholds {
                nearly_full_percent: args.nearly_full_percent,
            },
        }
    }
}

/// `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Where to look.
    #[command(flatten)]
    pub(super) node: NodeArgs,

    /// The collector's address.
    #[arg(long, env = "CSI_DOCTOR_COLLECTOR", default_value = "127.0.0.1:9470")]
    pub(super) collector: String,

    /// Time between two scans.
    #[arg(long, env = "CSI_DOCTOR_INTERVAL", default_value = "30s", value_parser = duration)]
    pub(super) interval: Duration,

    /// Where metrics and probes are served over plain HTTP, as ":9471"; nowhere when left out.
    #[arg(long, env = "CSI_DOCTOR_HTTP_ENDPOINT", value_parser = plain::endpoint)]
    pub(super) http_endpoint: Option<SocketAddr>,

    /// Where on it metrics are.
    #[arg(long, env = "CSI_DOCTOR_METRICS_PATH", default_value = "/metrics", value_parser = plain::metrics_path)]
    pub(super) metrics_path: String,

    /// How to write logs.
    #[arg(long, env = "CSI_DOCTOR_LOG_FORMAT", default_value_t = LogFormat::Json)]
    pub(super) log_format: LogFormat,
}

/// `scan`.
#[derive(Debug, Args)]
pub(super) struct ScanArgs {
    /// Where to look.
    #[command(flatten)]
    pub(super) node: NodeArgs,

    /// Scan once and exit; the only way so far.
    #[arg(long, required = true)]
    pub(super) once: bool,

    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub(super) output: Output,
}

/// How to print a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For a person.
    Table,
    /// The findings as JSON (docs/json.md).
    Json,
    /// All that was seen of each volume, for a person; its form is no promise.
    Facts,
}

/// A duration as people and Kubernetes write it: `30s`, `500ms`, `2m`, `1h30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    let duration =
        Duration::try_from(span).map_err(|_| "a duration cannot be negative".to_owned())?;
    if duration.is_zero() {
        return Err("a duration cannot be zero".to_owned());
    }
    Ok(duration)
}
