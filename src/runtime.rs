//! What every daemon needs of its process: log lines on stdout, the signals that end it, a plain port.
//!
//! It knows no program and no finding.

pub mod plain;

use std::fmt;
use std::future::Future;
use std::io;
use std::str::FromStr;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For a person at a terminal.
    Text,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            other => Err(format!("the log format {other:?} is neither json nor text")),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Text => "text",
        })
    }
}

/// Sends log lines to stdout, from `info` up; `CSI_DOCTOR_LOG` takes other levels (`debug`,
/// `info,csi_doctor::collector=debug`). A second call changes nothing.
pub fn init_logging(format: LogFormat) {
    let filter =
        EnvFilter::try_from_env("CSI_DOCTOR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stdout);
    // An error means that logging is set up already, as in tests: then that one stays.
    let _ = match format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
        LogFormat::Text => lines.with_target(false).with_ansi(false).try_init(),
    };
}

/// Ready when SIGTERM or SIGINT came. The handlers are set at once, not when the future is first
/// polled; must be called inside a tokio runtime.
pub fn shutdown() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_and_written_alike() {
        for format in [LogFormat::Json, LogFormat::Text] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!(
            "xml".parse::<LogFormat>(),
            Err("the log format \"xml\" is neither json nor text".to_owned())
        );
    }
}
