//! What the collector is told: flags, each also from the environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser};

use crate::runtime::{LogFormat, plain};
use crate::store::Location;

/// Keeps what the agents say, and answers questions.
#[derive(Debug, Parser)]
#[command(name = "csi-doctor-collector", version)]
pub(super) struct Args {
    /// Where agents report and people ask: an address of the loopback and a port
    #[arg(long, env = "CSI_DOCTOR_LISTEN", default_value = "127.0.0.1:9470", value_parser = address)]
    listen: SocketAddr,

    /// Take an address that can be reached from elsewhere, without TLS and without identity: who
    /// reaches it can report and read
    #[arg(long, env = "CSI_DOCTOR_INSECURE_LISTEN")]
    insecure_listen: bool,

    /// Where findings are kept: "memory", or a file
    #[arg(
        long,
        env = "CSI_DOCTOR_STORE",
        default_value = "memory",
        value_name = "memory|PATH"
    )]
    pub(super) store: Location,

    /// A kubeconfig whose current context names the API server. Without it and outside of a pod only
    /// what agents tell is known
    #[arg(long, env = "CSI_DOCTOR_KUBECONFIG", conflicts_with = "manifests")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// A directory of Kubernetes objects as YAML or JSON, in place of the API server
    #[arg(long, env = "CSI_DOCTOR_MANIFESTS")]
    pub(super) manifests: Option<PathBuf>,

    /// Whether an Event is put on the claim, pod or node when a finding opens and when it is over; never
    /// without an API server
    #[arg(long, env = "CSI_DOCTOR_EVENTS", default_value_t = true, action = ArgAction::Set)]
    pub(super) events: bool,

    /// Multiplies the time for which a problem must last before it counts: below 1 for drills
    #[arg(long, env = "CSI_DOCTOR_GRACE_SCALE", default_value_t = 1.0, value_parser = scale)]
    pub(super) grace_scale: f64,

    /// After how many intervals without a scan a node is silent
    #[arg(long, env = "CSI_DOCTOR_SILENT_AFTER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) silent_after: u32,

    /// For how long a node is not heard until it is taken to be gone, with all its findings
    #[arg(long, env = "CSI_DOCTOR_FORGET_AFTER", default_value = "24h", value_parser = duration)]
    pub(super) forget_after: Duration,

    /// How many reports of one node are taken a minute, and at once
    #[arg(long, env = "CSI_DOCTOR_REPORTS_PER_MINUTE", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) reports_per_minute: u32,

    /// Whether gRPC clients may ask which services and messages there are
    #[arg(long, env = "CSI_DOCTOR_GRPC_REFLECTION")]
    pub(super) grpc_reflection: bool,

    /// Where metrics and probes are served over plain HTTP, as ":9471"; nowhere when left out
    #[arg(long, env = "CSI_DOCTOR_HTTP_ENDPOINT", value_parser = plain::endpoint)]
    pub(super) http_endpoint: Option<SocketAddr>,

    /// Where on it metrics are
    #[arg(long, env = "CSI_DOCTOR_METRICS_PATH", default_value = "/metrics", value_parser = plain::metrics_path)]
    pub(super) metrics_path: String,

    /// How log lines are written: "json" or "text"
    #[arg(long, env = "CSI_DOCTOR_LOG_FORMAT", default_value_t = LogFormat::Json)]
    pub(super) log_format: LogFormat,
}

impl Args {
    /// Where to listen: on the loopback, or where it was said by name that anybody may come.
    pub(super) fn listen(&self) -> anyhow::Result<SocketAddr> {
        anyhow::ensure!(
            self.insecure_listen || self.listen.ip().is_loopback(),
            "--listen: {} can be reached from elsewhere, and TLS and identity do not exist yet: \
             only an address of the loopback is taken, as 127.0.0.1:9470, unless --insecure-listen is given",
            self.listen.ip()
        );
        Ok(self.listen)
    }
}

fn address(word: &str) -> Result<SocketAddr, String> {
    word.parse()
        .map_err(|_| "not an address and a port, as 127.0.0.1:9470".to_owned())
}

/// A duration as people and Kubernetes write it: `30s`, `24h`.
fn duration(word: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = word.parse().map_err(|error| format!("{error}"))?;
    match Duration::try_from(span) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("not a duration of more than nothing, as 24h".to_owned()),
    }
}

fn scale(word: &str) -> Result<f64, String> {
    match word.parse::<f64>() {
        Ok(scale) if scale.is_finite() && scale >= 0.0 => Ok(scale),
        _ => Err("not a number of 0 or more".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(arguments: &[&str]) -> String {
        let arguments = ["csi-doctor-collector"].iter().chain(arguments);
        Args::try_parse_from(arguments).unwrap_err().to_string()
    }

    #[test]
    fn only_the_loopback_is_listened_on() {
        assert!(refusal(&["--listen", "here"]).contains("not an address and a port"));
        let listen = |arguments: &[&str]| {
            let arguments = ["csi-doctor-collector", "--listen"].iter().chain(arguments);
            let listen = Args::try_parse_from(arguments).unwrap().listen();
            listen.map_or_else(|error| error.to_string(), |address| address.to_string())
        };
        assert!(listen(&["0.0.0.0:9470"]).contains("TLS and identity do not exist yet"));
        assert_eq!(listen(&["[::1]:0"]), "[::1]:0");
        assert_eq!(
            listen(&["0.0.0.0:9470", "--insecure-listen"]),
            "0.0.0.0:9470"
        );
    }

    #[test]
    fn grace_is_scaled_by_a_number() {
        for bad in ["-1", "NaN", "inf", "much"] {
            assert!(
                refusal(&[&format!("--grace-scale={bad}")]).contains("not a number of 0 or more")
            );
        }
    }
}
