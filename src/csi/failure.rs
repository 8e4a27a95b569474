//! Why a call to a plugin failed, as a gap.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use tonic::{Code, Status};

use crate::model::names::HostPath;
use crate::model::observed::{Gap, Why};

use super::text;

/// What tonic's own deadline says, with the code `Cancelled`.
const TIMED_OUT: &str = "Timeout expired";

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket could not be connected to.
    #[error("connect to {socket}")]
    Connect {
        /// The socket.
        socket: HostPath,
        /// What the transport says.
        source: tonic::transport::Error,
    },
    /// The address cannot be used at all.
    #[error("connect to {socket}")]
    Address {
        /// The socket.
        socket: HostPath,
        /// What the kernel says of its directory.
        source: io::Error,
    },
    /// The plugin, or the transport, answered an error.
    #[error("call {call} at {socket}")]
    Call {
        /// The call.
        call: String,
        /// The socket.
        socket: HostPath,
        /// The answer.
        source: Box<Status>,
    },
    /// Nothing came back in time.
    #[error("call {call} at {socket}: no answer within {deadline:?}")]
    Silent {
        /// The call.
        call: String,
        /// The socket.
        socket: HostPath,
        /// How long was waited.
        deadline: Duration,
    },
}

impl Error {
    /// Whether the connection may be of no more use, so that a new one is worth a try.
    pub(super) fn is_broken_connection(&self) -> bool {
        match self {
            Self::Call { source, .. } => source.source().is_some(),
            Self::Connect { .. } | Self::Address { .. } | Self::Silent { .. } => false,
        }
    }

    /// The gap that it leaves.
    pub fn into_gap(self) -> Gap {
        match &self {
            Self::Silent { .. } => Gap::new(Why::TimedOut, self.to_string()),
            Self::Address { source, .. } => {
                Gap::new(why_of_io(source), format!("{self}: {source}"))
            }
            Self::Connect { source, .. } => match io_cause(source) {
                Some(cause) => Gap::new(why_of_io(cause), format!("{self}: {}", in_words(cause))),
                None => Gap::new(Why::Unavailable, format!("{self}: {}", last_cause(source))),
            },
            Self::Call { source, .. } => Self::gap_of_status(&self, source),
        }
    }

    fn gap_of_status(&self, status: &Status) -> Gap {
        // Failures of the transport hide behind `Unknown` and `Unavailable`.
        if let Some(source) = status.source() {
            return match io_cause(source) {
                Some(cause) => Gap::new(why_of_io(cause), format!("{self}: {}", in_words(cause))),
                None if status.message() == TIMED_OUT => self.timed_out(),
                None => {
                    let cause = last_cause(source);
                    let what = format!("{self}: the connection broke: {cause}");
                    Gap::new(Why::Unavailable, what)
                }
            };
        }
        let why = match status.code() {
            // The plugin's own: somebody behind it did not answer.
            Code::DeadlineExceeded => Why::TimedOut,
            Code::Cancelled if status.message() == TIMED_OUT => return self.timed_out(),
            Code::Unimplemented => Why::Unsupported,
            Code::NotFound => Why::NotFound,
            Code::PermissionDenied | Code::Unauthenticated => Why::Denied,
            Code::Aborted => {
                let words = "busy: the kubelet or a sidecar has a call for it under way";
                return Gap::new(Why::Unavailable, format!("{self}: {words}"));
            }
            Code::Internal if is_codec(status.message()) => Why::Malformed,
            _ => Why::Unavailable,
        };
        let words = text::clean(status.message());
        // The code as the plugins' own logs spell it.
        Gap::new(why, format!("{self}: {:?}: {words}", status.code()))
    }

    fn timed_out(&self) -> Gap {
        Gap::new(Why::TimedOut, format!("{self}: no answer in time"))
    }
}

/// Words of the codec, not of a plugin.
fn is_codec(message: &str) -> bool {
    message.contains("decode Protobuf") || message.contains("invalid compression flag")
}

/// The kernel's error at the end of a chain, if there is one.
fn io_cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        next = error.source();
    }
    None
}

fn last_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    text::clean(&last.to_string())
}

/// What the kernel says of a socket, as a reason.
fn why_of_io(error: &io::Error) -> Why {
    match error.kind() {
        io::ErrorKind::NotFound => Why::NotFound,
        io::ErrorKind::PermissionDenied => Why::Denied,
        // The backlog is full: nobody has accepted a connection for long.
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Why::TimedOut,
        _ => Why::Unavailable,
    }
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "connection refused: nobody listens at this socket".to_owned()
        }
        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::WouldBlock => "nobody accepts connections, and no more can wait".to_owned(),
        _ => text::clean(&error.to_string()),
    }
}
