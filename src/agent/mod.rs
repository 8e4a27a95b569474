//! The node agent: scans its node again and again and reports, or scans once and prints.

mod args;
mod metrics;
pub mod objects;
pub mod scan;
mod told;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

use crate::agent::args::{Cli, Command, Output, RunArgs, ScanArgs};
use crate::agent::metrics::Counts;
use crate::agent::objects::Source;
use crate::agent::scan::{Scanner, Settings};
use crate::fold;
use crate::grpc::client::{Collector, Reporter};
use crate::history::{History, Statement};
use crate::model::brief::Brief;
use crate::model::facts::NodeFacts;
use crate::model::observed::Why;
use crate::model::scan::Scan;
use crate::model::view::{NodeView, View};
use crate::program;
use crate::render;
use crate::runtime::plain::{Pulse, Told};
use crate::runtime::{self, plain};

/// How long after SIGTERM the last report may take.
const LAST_REPORT: Duration = Duration::from_secs(3);

/// What a scan may take beside its intervals: each thing that it asks has a deadline.
const PULSE: Duration = Duration::from_mins(1);

/// After a round that a change woke, the next may be woken only after so many times as long as it took:
/// mounts that come without end must not keep a core busy.
pub const REST: u32 = 5;

/// Parses the arguments (program name first) and runs the agent to its end.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let command = match Cli::try_parse_from(args) {
        Ok(cli) => cli.command,
        Err(error) => return program::usage(&error),
    };
    let outcome = program::block_on(async {
        match command {
            Command::Run(args) => run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Scan(args) => scan_once(&args).await,
        }
    });
    program::exit("csi-doctor-agent", outcome)
}

/// Scans until it is told to stop, and keeps the newest scan on its way to the collector.
async fn run(args: RunArgs) -> anyhow::Result<()> {
    runtime::init_logging(args.log_format);
    let reporter = Collector::at(&args.collector)
        .context("--collector")?
        .reporter();
    let (newest, unsent) = watch::channel(None);
    let counts = Counts::default();
    let pulse = Pulse::within(args.interval.saturating_mul(3) + PULSE);
    if let Some(endpoint) = args.http_endpoint {
        let told = Told {
            metrics: metrics::registry(unsent.clone(), &counts),
            metrics_path: args.metrics_path.clone(),
            pulse: Arc::clone(&pulse),
        };
        serve_plain(endpoint, told).await?;
    }
    let reporting = tokio::spawn(report(reporter, unsent, counts.clone()));
    let objects = Source::open(&args.node).await?;
    if matches!(objects, Source::Nowhere) {
        tracing::warn!("no source of Kubernetes objects: only what lies on the node will be known");
    }
    let mut scanner = Scanner::new(Settings::from(&args.node), objects);
    let woken = Arc::new(Notify::new());
    let waker = Arc::clone(&woken);
    if let Err(gap) = scanner.watch(move || waker.notify_one()) {
        tracing::warn!(%gap, "no change of the mount table will be noticed before the next interval");
    }
    let mut rested = tokio::time::Instant::now();
    let mut ticks = tokio::time::interval(args.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tracing::info!(k8s.node.name = args.node.node_name, interval = ?args.interval, collector = args.collector, "agent started");
    let mut shutdown = std::pin::pin!(runtime::shutdown().context("listening for signals")?);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            _ = ticks.tick() => {}
            () = changed(&woken, rested) => {}
        }
        let scan = tokio::select! {
            () = &mut shutdown => break,
            scan = scanner.scan(args.interval) => scan,
        };
        tracing::debug!(sequence = scan.origin.sequence, took = ?scan.took, "scanned");
        rested = tokio::time::Instant::now() + scan.took * REST;
        counts.scans.inc();
        pulse.beat();
        newest.send_replace(Some(Arc::new(scan)));
    }
    tracing::info!("agent stops");
    // The watch ends with the scanner.
    drop(scanner);
    drop(newest);
    let _ = tokio::time::timeout(LAST_REPORT, reporting).await;
    Ok(())
}

/// Probes and metrics, until the program ends.
async fn serve_plain(endpoint: SocketAddr, told: Told) -> anyhow::Result<()> {
    let listener = TcpListener::bind(endpoint)
        .await
        .with_context(|| format!("listening on {endpoint} for --http-endpoint"))?;
    let address = listener.local_addr().context("reading the own address")?;
    tracing::info!(%address, "serving metrics and probes");
    tokio::spawn(async move {
        if let Err(error) = plain::serve(listener, told).await {
            tracing::error!(%error, "metrics and probes are no longer served");
        }
    });
    Ok(())
}

/// Waits for a change, and for the rest after the last round.
async fn changed(woken: &Notify, rested: tokio::time::Instant) {
    tokio::time::sleep_until(rested).await;
    woken.notified().await;
}

/// Sends the newest unsent scan; what was overtaken meanwhile is not worth sending.
async fn report(
    mut reporter: Reporter,
    mut unsent: watch::Receiver<Option<Arc<Scan>>>,
    counts: Counts,
) {
    let mut heard = true;
    while unsent.changed().await.is_ok() {
        let Some(scan) = unsent.borrow_and_update().clone() else {
            continue;
        };
        let outcome = reporter.report(&scan).await;
        counts.reported(outcome.is_ok());
        match &outcome {
            Ok(()) if !heard => tracing::info!("the collector answers again"),
            Ok(()) => {}
            Err(error) if heard => {
                tracing::warn!(error = %error, "report failed; the next scan is sent in its place");
            }
            Err(error) => tracing::debug!(error = %error, "report failed again"),
        }
        heard = outcome.is_ok();
    }
}

/// Scans once and prints it, as the collector would show it after one report.
async fn scan_once(args: &ScanArgs) -> anyhow::Result<ExitCode> {
    let objects = Source::open(&args.node).await?;
    let mut scanner = Scanner::new(Settings::from(&args.node), objects);
    let scan = scanner.scan(Duration::from_secs(30)).await;
    let facts = render::facts::facts(&scan.facts);
    let blind = saw_nothing(&scan.facts);
    let view = view_of(&scan);
    let text = match args.output {
        Output::Table => {
            let mut text = render::status::status(view.at, &view.summary());
            if !view.stories.is_empty() {
                text.push('\n');
                text.push_str(&render::lists::findings(view.at, &view.stories, false));
            }
            for story in &view.stories {
                text.push('\n');
                text.push_str(&render::describe::story(view.at, story));
            }
            text
        }
        Output::Facts => facts,
        Output::Json => render::json::findings(view.at, &view.stories),
    };
    program::print(&text);
    Ok(match (view.stories.is_empty(), blind) {
        (false, _) => ExitCode::from(1),
        (true, true) => ExitCode::from(2),
        (true, false) => ExitCode::SUCCESS,
    })
}

/// Whether there is a reason why no volume was seen.
fn saw_nothing(facts: &NodeFacts) -> bool {
    let volumes = &facts.volumes;
    let mut gaps = volumes.gaps.iter().chain(&facts.gaps);
    volumes.items.is_empty() && gaps.any(|gap| gap.why != Why::NotAsked)
}

/// What one scan alone shows: the same life and the same folding as in the collector, begun anew.
fn view_of(scan: &Scan) -> View {
    let now = Timestamp::now();
    let mut history = History::default();
    history.apply(&Statement::from(scan), now, 1.0);
    let mut brief = Brief::of(scan);
    brief.judge(scan, history.findings(), &[]);
    let node = NodeView {
        name: scan.facts.node.clone(),
        heard: now,
        silent: false,
        brief: Arc::new(brief),
        packed: Arc::default(),
    };
    fold::fold(now, &[node], &Arc::default(), history.findings())
}
