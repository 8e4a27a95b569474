//! The plain port of a daemon: `/livez`, `/readyz` and its metrics, over HTTP.
//!
//! Probes speak of the program itself only: neither findings, nor a plugin, nor the other program
//! make it unready, since a sick disk must not restart the doctor.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

/// What Prometheus asks for by name.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// That the work of a daemon has begun, and still turns.
#[derive(Debug)]
pub struct Pulse {
    within: Duration,
    last: Mutex<Instant>,
    ready: AtomicBool,
}

impl Pulse {
    /// A pulse that is to beat at least so often.
    pub fn within(within: Duration) -> Arc<Self> {
        Arc::new(Self {
            within,
            last: Mutex::new(Instant::now()),
            ready: AtomicBool::new(false),
        })
    }

    /// A round is done; the first makes the program ready.
    pub fn beat(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.ready.store(true, Ordering::Relaxed);
    }

    fn live(&self, now: Instant) -> Result<(), String> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(last);
        if passed <= self.within {
            return Ok(());
        }
        Err(format!(
            "no round has ended for {} s; the limit is {} s",
            passed.as_secs(),
            self.within.as_secs()
        ))
    }

    fn ready(&self) -> Result<(), String> {
        let ready = self.ready.load(Ordering::Relaxed);
        ready
            .then_some(())
            .ok_or_else(|| "the first round has not ended".to_owned())
    }
}

/// What is told on the plain port.
pub struct Told {
    /// Its metrics.
    pub metrics: Registry,
    /// Where they are asked for.
    pub metrics_path: String,
    /// Whether its work turns.
    pub pulse: Arc<Pulse>,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told")
            .field("metrics_path", &self.metrics_path)
            .field("pulse", &self.pulse)
            .finish_non_exhaustive()
    }
}

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, told: Told) -> io::Result<()> {
    let path = told.metrics_path.clone();
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route(&path, get(metrics))
        .with_state(Arc::new(told));
    axum::serve(listener, router).await
}

async fn livez(State(told): State<Arc<Told>>) -> Response {
    probe(told.pulse.live(Instant::now()))
}

async fn readyz(State(told): State<Arc<Told>>) -> Response {
    probe(told.pulse.ready())
}

fn probe(answer: Result<(), String>) -> Response {
    match answer {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
    .into_response()
}

async fn metrics(State(told): State<Arc<Told>>) -> Response {
    let mut text = String::new();
    if encode(&mut text, &told.metrics).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response()
}

/// Reads `--http-endpoint`.
pub fn endpoint(word: &str) -> Result<SocketAddr, String> {
    // As the sidecars have it: a port alone is one of every address.
    let address = match word.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => word.to_owned(),
    };
    address
        .parse()
        .map_err(|_| "not an address and a port, as 0.0.0.0:9471 or :9471".to_owned())
}

/// Reads `--metrics-path`.
pub fn metrics_path(word: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    if !word.starts_with('/') || !word.bytes().all(plain) {
        return Err("not a path, as /metrics".to_owned());
    }
    if ["/livez", "/readyz"].contains(&word) {
        return Err("the path of a probe".to_owned());
    }
    Ok(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_that_stops_is_told() {
        let pulse = Pulse::within(Duration::from_mins(1));
        assert_eq!(
            pulse.ready(),
            Err("the first round has not ended".to_owned())
        );
        pulse.beat();
        assert_eq!(pulse.ready(), Ok(()));
        assert_eq!(pulse.live(Instant::now()), Ok(()));
        let later = Instant::now() + Duration::from_secs(90);
        assert_eq!(
            pulse.live(later),
            Err("no round has ended for 90 s; the limit is 60 s".to_owned())
        );
    }

    #[test]
    fn words_are_read_as_the_sidecars_do() {
        assert_eq!(endpoint(":9471"), Ok(SocketAddr::from(([0; 4], 9471))));
        assert!(endpoint("here").is_err());
        assert_eq!(metrics_path("/metrics"), Ok("/metrics".to_owned()));
        for bad in ["metrics", "/{x}", "/livez"] {
            assert!(metrics_path(bad).is_err(), "{bad}");
        }
    }
}
