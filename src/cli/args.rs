//! What the command line is told.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::cli::named::{Named, named};
use crate::kubernetes::around::Wanted;
use crate::model::finding::Severity;

/// Says what is wrong with the storage of a Kubernetes cluster, at which stage, on what evidence,
/// and what to do next.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-csi_doctor",
    bin_name = "kubectl csi-doctor",
    version,
    after_help = "Exit codes: 0 nothing found, 1 findings at or above --fail-on (warning), 2 could not ask."
)]
pub(super) struct Cli {
    /// The collector's address: 127.0.0.1:9470 after `kubectl -n csi-doctor port-forward
    /// deployment/csi-doctor-collector 9470`. That is taken when it is left out, but by `report` and
    /// `diagnose`, which ask a collector beside the API server, or beside files, where it is named.
    #[arg(
        long,
        global = true,
        env = "CSI_DOCTOR_COLLECTOR",
        value_name = "ADDRESS"
    )]
    pub(super) collector: Option<String>,

    /// The mildest severity that makes the exit code 1; `warning` when left out, but that `report` fails
    /// only where this is named. What settles does not count yet.
    #[arg(long, global = true, value_enum)]
    pub(super) fail_on: Option<FailOn>,

    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What stands before each step.
const LEGEND: &str = "\
Before each step: ✓ it is done; ▸ it stands here, and nothing is wrong so far: somebody is at work, or it waits on purpose; ✗ it stands here, because something is wrong or has taken too long; · still ahead, or not needed; ? could not be seen.";

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// One screen: nodes heard, volumes seen, findings by severity, verdicts of each rule.
    Status(OutputArgs),
    /// List findings, volumes, nodes or drivers.
    Get(GetArgs),
    /// Show one volume in full: sizes, mounts, findings with evidence and what to do; or what was found
    /// about one driver, pod or node.
    Describe(DescribeArgs),
    /// Follow a claim, a pod or a volume step by step: how it is bound, mounted and expanded, and the one
    /// thing to do. By the API server with your own rights or by files (--from); with a collector
    /// (--collector ADDRESS) also what nodes see.
    #[command(after_help = LEGEND)]
    Diagnose(DiagnoseArgs),
    /// List every class, volume and claim, how full they are, and what they sum up to: by the API server
    /// with your own rights or by files (--from); with a collector (--collector ADDRESS) also what
    /// nodes know.
    Report(ReportArgs),
    /// Explain a finding's code or a pasted error message; needs no collector.
    Explain(ExplainArgs),
    /// Print what makes a shell complete the commands and flags of `kubectl-csi_doctor`, as
    /// `source <(kubectl-csi_doctor completion bash)`. It completes the program's own name; for
    /// `kubectl csi-doctor` kubectl asks an executable `kubectl_complete-csi_doctor`, which there is not.
    Completion {
        /// Whose.
        shell: Shell,
    },
}

/// `get`.
#[derive(Debug, Args)]
pub(super) struct GetArgs {
    /// What to list.
    #[arg(value_enum)]
    pub(super) what: Kind,
    /// Go on printing what changes, until Ctrl-C; of findings alone.
    #[arg(short, long)]
    pub(super) watch: bool,
    /// A collector keeps no labels: this says so. `report` has it.
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(super) selector: Option<String>,
    /// Where to look.
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    /// How to print it.
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// `explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The code of a finding: its page of the handbook; or the name of a cause: what it means, how to tell it,
    /// what to do; or `handbook`: all of it, from what one sees. Without it and --message, the list of pages.
    #[arg(conflicts_with = "message")]
    pub(super) code: Option<String>,
    /// An error message as it stands in an event or a log: its cause. `-` reads standard input; with
    /// `-o json` that may be JSON Lines, one object a line with `message` and, where known, `reason`,
    /// `stage`, `driver`, `kind`.
    #[arg(long, value_name = "TEXT|-", allow_hyphen_values = true)]
    pub(super) message: Option<String>,
    /// How to print it.
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// `describe`.
#[derive(Debug, Args)]
pub(super) struct DescribeArgs {
    /// What to describe: `volume NAME` or `volume/NAME`; also driver, pod and node, and kubectl's words for
    /// claims and PersistentVolumes.
    #[arg(value_name = "volume|driver|pod|node")]
    pub(super) what: String,
    /// Its name; of a volume that of its claim, PersistentVolume or handle.
    pub(super) name: Option<String>,
    /// Where to look.
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    /// How to print it.
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// `diagnose`.
#[derive(Debug, Args)]
pub(super) struct DiagnoseArgs {
    /// What to follow: `pvc NAME` or `pvc/NAME`, and so `pod` and `pv`; kubectl's other words for them will do.
    #[arg(value_name = "pvc|pod|pv")]
    pub(super) what: String,
    /// Its name.
    pub(super) name: Option<String>,
    /// Whom to ask for objects.
    #[command(flatten)]
    pub(super) objects: ObjectsArgs,
    /// Where to look.
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    /// How to print it.
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

impl DiagnoseArgs {
    /// What to follow, however it was written.
    pub(super) fn wanted(&self) -> anyhow::Result<Wanted<'_>> {
        let kinds = ["pvc", "pod", "pv"];
        let Named { kind, name } = named("diagnose", &kinds, &self.what, self.name.as_deref())?;
        let wanted = match kind.to_ascii_lowercase().as_str() {
            "pvc" | "pvcs" | "claim" | "persistentvolumeclaim" | "persistentvolumeclaims" => {
                Wanted::Claim(name)
            }
            "pod" | "pods" | "po" => Wanted::Pod(name),
            "pv" | "pvs" | "volume" | "persistentvolume" | "persistentvolumes" => {
                Wanted::Volume(name)
            }
            _ => bail!("{kind} cannot be followed; pvc, pod and pv can"),
        };
        if let Some((namespace, name)) = name.split_once('/') {
            bail!("a name has no slash; the namespace is a flag: -n {namespace} {name}");
        }
        Ok(wanted)
    }
}

/// `report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// Only claims with such labels, as app=db, and their volumes.
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(super) selector: Option<String>,
    /// Whom to ask for objects.
    #[command(flatten)]
    pub(super) objects: ObjectsArgs,
    /// Where to look.
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    /// How to print it.
    #[arg(short, long, visible_alias = "format", value_enum, default_value_t = ReportForm::Table)]
    pub(super) output: ReportForm,
}

/// Whom to ask for objects.
#[derive(Debug, Args)]
pub(super) struct ObjectsArgs {
    /// A directory of objects as YAML or JSON, in place of the API server.
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["kubeconfig", "context"])]
    pub(super) from: Option<PathBuf>,
    /// A kubeconfig; the one that kubectl would take when left out.
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; the current one when left out.
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
}

/// The forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportForm {
    /// Tables for a terminal.
    Table,
    /// The same with more columns.
    Wide,
    /// A documented, versioned promise (docs/json.md).
    Json,
    /// The same as YAML.
    Yaml,
    /// One table of all objects, for a spreadsheet.
    Csv,
    /// Tables for a page or a ticket.
    Markdown,
    /// One file for a browser, with a picture of used against requested.
    Html,
}

/// Where to look.
#[derive(Debug, Args)]
pub(super) struct ScopeArgs {
    /// Only this namespace; without it, all. `diagnose` by the API server looks in the context's, as kubectl
    /// does, unless -A is given.
    #[arg(short, long)]
    pub(super) namespace: Option<String>,
    /// All namespaces, as without -n.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub(super) all_namespaces: bool,
}

/// How to print it.
#[derive(Debug, Args)]
pub(super) struct OutputArgs {
    /// The form; a table when left out.
    #[arg(short, long, value_enum)]
    pub(super) output: Option<Output>,
}

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// What is wrong.
    #[value(alias = "finding")]
    Findings,
    /// Volumes on nodes.
    #[value(alias = "volume")]
    Volumes,
    /// Nodes with an agent.
    #[value(alias = "node")]
    Nodes,
    /// Drivers on nodes.
    #[value(alias = "driver")]
    Drivers,
}

impl DescribeArgs {
    /// What is to be described, however it was written, and its name.
    pub(super) fn named(&self) -> anyhow::Result<(Describable, &str)> {
        let kinds = ["pvc", "pv", "driver", "pod", "node"];
        let one = named("describe", &kinds, &self.what, self.name.as_deref())?;
        let kind = match one.kind.to_ascii_lowercase().as_str() {
            "volume"
            | "volumes"
            | "claim"
            | "claims"
            | "pvc"
            | "pvcs"
            | "persistentvolumeclaim"
            | "persistentvolumeclaims"
            | "pv"
            | "pvs"
            | "persistentvolume"
            | "persistentvolumes" => Describable::Volume,
            "driver" | "drivers" | "csidriver" | "csidrivers" => Describable::Driver,
            "pod" | "pods" | "po" => Describable::Pod,
            "node" | "nodes" | "no" => Describable::Node,
            kind => bail!("{kind} cannot be described; volume, pvc, pv, driver, pod and node can"),
        };
        Ok((kind, one.name))
    }
}

/// What can be described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Describable {
    /// A volume, by its claim, PersistentVolume or handle.
    Volume,
    /// What was found about a driver.
    Driver,
    /// What was found about a pod.
    Pod,
    /// What was found about a node.
    Node,
}

/// Other forms than a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// A table with more columns.
    Wide,
    /// A documented, versioned promise (docs/json.md).
    Json,
    /// The same as YAML.
    Yaml,
    /// Kind and name of each object, one a line; of `get`.
    Name,
}

/// Which findings make the exit code 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// Any.
    Info,
    /// Warnings and worse.
    Warning,
    /// Critical ones.
    Critical,
    /// None.
    Never,
}

impl FailOn {
    /// Whether a finding of this severity counts.
    pub(super) fn reached_by(self, severity: Severity) -> bool {
        match self {
            Self::Info => true,
            Self::Warning => severity >= Severity::Warning,
            Self::Critical => severity >= Severity::Critical,
            Self::Never => false,
        }
    }
}
