//! The collector: keeps what agents say, gives findings a life, and answers questions.
//!
//! Wiring only. It never calls an agent, and an acknowledgement carries no instructions.

mod accept;
mod announce;
pub mod api;
mod args;
mod asked;
mod findings;
mod intake;
mod metrics;
mod notices;
pub mod objects;
mod packed;
mod pages;
mod refused;
#[cfg(test)]
mod replays;
mod source;
mod tell;
mod watches;

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::collector::accept::{Accept, Settings};
use crate::collector::args::Args;
use crate::collector::findings::FindingsService;
use crate::collector::intake::IntakeService;
use crate::collector::metrics::Counts;
use crate::collector::notices::Notices;
use crate::collector::objects::Source;
use crate::collector::pages::Pages;
use crate::collector::refused::Watched;
use crate::collector::source::Moment;
use crate::grpc::MESSAGE_LIMIT;
use crate::kubernetes::events::Events;
use crate::model::view::View;
use crate::program;
use crate::proto::DESCRIPTORS;
use crate::proto::v1::findings_server::FindingsServer;
use crate::proto::v1::intake_server::IntakeServer;
use crate::runtime::plain::{Pulse, Told};
use crate::runtime::{self, plain};
use crate::store::{Location, Store};

/// A request that takes longer is given up: its peer is slow or half open.
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// How long open connections may take to end at shutdown.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(5);

/// How many requests of one connection are under way at most.
const STREAMS: u32 = 32;

/// The view is made anew within seconds while the collector works at all.
const PULSE: Duration = Duration::from_mins(1);

/// Where it listens, and what it sees itself.
pub struct Edges {
    /// For agents and readers.
    pub grpc: TcpListener,
    /// For probes and metrics, and the path of the latter.
    pub plain: Option<(TcpListener, String)>,
    /// Where it takes the cluster's objects from.
    pub objects: Source,
    /// Where it tells of findings; nowhere when that is off.
    pub events: Option<Events>,
}

impl From<TcpListener> for Edges {
    fn from(grpc: TcpListener) -> Self {
        Self {
            grpc,
            plain: None,
            objects: Source::Nowhere,
            events: None,
        }
    }
}

/// What the operator set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where findings are kept.
    pub store: Location,
    /// Multiplies each rule's grace.
    pub grace_scale: f64,
    /// After how many intervals without a scan a node is silent.
    pub silent_after: u32,
    /// For how long a node is not heard until it is taken to be gone.
    pub forget_after: Duration,
    /// How many reports of one node are taken a minute.
    pub reports_a_minute: u32,
    /// A view is made at most so often.
    pub publish_every: Duration,
    /// Whether clients may ask which services and messages there are.
    pub reflection: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: Location::Memory,
            grace_scale: 1.0,
            silent_after: 3,
            forget_after: Duration::from_hours(24),
            reports_a_minute: 600,
            publish_every: Duration::from_millis(250),
            reflection: false,
        }
    }
}

/// Parses the arguments (program name first) and runs the collector to its end.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => return program::usage(&error),
    };
    runtime::init_logging(args.log_format);
    let result = tokio::runtime::Runtime::new()
        .context("starting the async runtime")
        .and_then(|runtime| runtime.block_on(run(args)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the collector ends: {error:#}");
            ExitCode::from(program::COULD_NOT)
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let shutdown = runtime::shutdown().context("waiting for signals")?;
    let listen = args.listen()?;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listening on {listen}"))?;
    let (objects, events) = Source::open(&args).await?;
    let plain = match args.http_endpoint {
        Some(endpoint) => {
            let listener = TcpListener::bind(endpoint)
                .await
                .with_context(|| format!("listening on {endpoint} for --http-endpoint"))?;
            Some((listener, args.metrics_path))
        }
        None => None,
    };
    let edges = Edges {
        grpc: listener,
        plain,
        objects,
        events,
    };
    let config = Config {
        store: args.store,
        grace_scale: args.grace_scale,
        silent_after: args.silent_after,
        forget_after: args.forget_after,
        reports_a_minute: args.reports_per_minute,
        reflection: args.grpc_reflection,
        ..Config::default()
    };
    serve(edges, config, shutdown).await
}

/// Serves at these edges until told to stop; then finishes what is under way.
pub async fn serve(
    edges: impl Into<Edges>,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let Edges {
        grpc: listener,
        plain,
        objects,
        events,
    } = edges.into();
    let address = listener.local_addr().context("reading the own address")?;
    let (store, kept, writer) = Store::open(&config.store)?;
    let settings = Settings {
        grace_scale: config.grace_scale,
        silent_after: config.silent_after,
        forget_after: config.forget_after,
        reports_a_minute: config.reports_a_minute,
        publish_every: config.publish_every,
    };
    let remembers = !kept.heard.is_empty() || !kept.findings.is_empty();
    let notices = Notices::new(Timestamp::now(), remembers);
    let accept = Arc::new(Accept::new(settings, store, kept));
    let (views, view) = watch::channel(Arc::new(accept.view(Moment::now())));
    tracing::info!(%address, store = %config.store, "listening");
    tracing::warn!(
        "there is neither TLS nor identity: whoever reaches this address can report and read"
    );

    if matches!(objects, Source::Nowhere) {
        tracing::warn!("no source of Kubernetes objects: only what agents tell will be known");
    }
    let announced = view.clone();
    let beside = beside(plain, view.clone(), accept.counts())?;

    let (health_reporter, health) = tonic_health::server::health_reporter();
    let intake = IntakeServer::new(IntakeService::new(Arc::clone(&accept)))
        .max_decoding_message_size(MESSAGE_LIMIT);
    let pages = Arc::new(Pages::new(view));
    let findings = FindingsServer::new(FindingsService::new(Arc::clone(&pages)))
        .max_encoding_message_size(MESSAGE_LIMIT);
    health_reporter
        .set_serving::<IntakeServer<IntakeService>>()
        .await;
    health_reporter
        .set_serving::<FindingsServer<FindingsService>>()
        .await;

    let stopping = Notify::new();
    let routes = Routes::from(api::router(pages))
        .add_service(Watched::new(intake, accept.counts().clone()))
        .add_service(findings)
        .add_service(health);
    let routes = if config.reflection {
        reflect(routes)?
    } else {
        routes
    };
    let server = Server::builder()
        .accept_http1(true)
        .timeout(REQUEST_DEADLINE)
        .max_concurrent_streams(STREAMS)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            async {
                shutdown.await;
                stopping.notify_one();
            },
        );
    let too_long = async {
        stopping.notified().await;
        tokio::time::sleep(SHUTDOWN_DEADLINE).await;
    };
    tokio::select! {
        result = server => result.context("serving")?,
        () = accept.publish(&views) => {}
        () = accept.listen_for_silence() => {}
        () = announce::announce(events, announced, Arc::clone(&accept), notices) => {}
        result = objects::judge(Arc::clone(&accept), objects) => result?,
        result = beside => result.context("serving metrics and probes")?,
        () = too_long => tracing::warn!("ending with connections still open"),
    }
    drop(accept);
    let written = tokio::task::spawn_blocking(|| writer.finish());
    if tokio::time::timeout(SHUTDOWN_DEADLINE, written)
        .await
        .is_err()
    {
        tracing::warn!("ending before the store has written everything");
    }
    tracing::info!("the collector has ended");
    Ok(())
}

/// With the service that tells of all services, in both versions that clients ask for.
fn reflect(routes: Routes) -> anyhow::Result<Routes> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let newest = builder().build_v1().context("describing the services")?;
    let before = builder()
        .build_v1alpha()
        .context("describing the services")?;
    Ok(routes.add_service(newest).add_service(before))
}

/// For ever: the plain port, if there is one.
fn beside(
    plain: Option<(TcpListener, String)>,
    mut view: watch::Receiver<Arc<View>>,
    counts: &Counts,
) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + use<>> {
    let pulse = Pulse::within(PULSE);
    let serving = match plain {
        Some((listener, metrics_path)) => {
            let address = listener.local_addr().context("reading the own address")?;
            tracing::info!(%address, "serving metrics and probes");
            let told = Told {
                metrics: metrics::registry(view.clone(), counts),
                metrics_path,
                pulse: Arc::clone(&pulse),
            };
            plain::serve(listener, told).left_future()
        }
        None => std::future::pending().right_future(),
    };
    pulse.beat();
    let beating = async move {
        while view.changed().await.is_ok() {
            pulse.beat();
        }
        std::future::pending::<()>().await;
    };
    Ok(async move {
        tokio::select! {
            result = serving => Ok(result?),
            () = beating => Ok(()),
        }
    })
}
