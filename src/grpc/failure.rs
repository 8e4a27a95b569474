//! Why a call brought no answer, for a person.

use tonic::{Code, Status};

use crate::grpc::client::DEADLINE;
use crate::wire::WireError;

/// What went wrong with a call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be one.
    #[error("{address:?} is not an address of a collector, as 127.0.0.1:9470")]
    Address {
        /// As it was given.
        address: String,
    },
    /// Nobody answered.
    #[error("asking the collector at {address} for {what}: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// Which call.
        what: &'static str,
        /// The causes, from the nearest to the farthest.
        why: String,
    },
    /// The deadline passed.
    #[error("asking the collector at {address} for {what}: no answer within {} s", DEADLINE.as_secs())]
    TimedOut {
        /// Where.
        address: String,
        /// Which call.
        what: &'static str,
    },
    /// The collector does not want to.
    #[error("the collector at {address} refuses {what}: {message} ({code:?})")]
    Refused {
        /// Where.
        address: String,
        /// Which call.
        what: &'static str,
        /// Its code.
        code: Code,
        /// Its words.
        message: String,
    },
    /// What answers speaks another protocol.
    #[error(
        "what answers at {address} does not speak gRPC: it is something else than a collector, or another port of it"
    )]
    Foreign {
        /// Where.
        address: String,
    },
    /// It does not have this call.
    #[error(
        "the collector at {address} does not know {what}: it is older than this program; let both be of one version"
    )]
    Older {
        /// Where.
        address: String,
        /// Which call.
        what: &'static str,
    },
    /// The answer cannot be understood.
    #[error(
        "the collector at {address} answers {what} with something else; let both be of one version"
    )]
    Answer {
        /// Where.
        address: String,
        /// Which call.
        what: &'static str,
        /// What is wrong with it.
        source: WireError,
    },
}

impl Error {
    /// Whether the same message will be refused again, so that only another one helps.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Older { .. }
                | Self::Refused {
                    code: Code::InvalidArgument | Code::ResourceExhausted,
                    ..
                }
        )
    }

    /// What the status of a call to a collector says.
    pub(super) fn of(address: &str, what: &'static str, status: &Status) -> Self {
        let address = address.to_owned();
        match status.code() {
            // The deadline that a client sets itself comes back as Cancelled.
            Code::DeadlineExceeded | Code::Cancelled => Self::TimedOut { address, what },
            _ if is_foreign(status) => Self::Foreign { address },
            Code::Unavailable | Code::Unknown => Self::Unreachable {
                address,
                what,
                why: causes(status),
            },
            Code::Unimplemented => Self::Older { address, what },
            code => Self::Refused {
                address,
                what,
                code,
                message: status.message().to_owned(),
            },
        }
    }
}

/// Whether it answers in another language: not in HTTP/2, or in HTTP/2 without gRPC. By tonic's own words.
fn is_foreign(status: &Status) -> bool {
    let message = status.message();
    message.starts_with("h2 protocol error") || message.starts_with("grpc-status header missing")
}

/// The last cause says it ("Connection refused"); tonic's own words ("transport error") do not.
fn causes(status: &Status) -> String {
    let mut deepest = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        deepest = error.to_string();
        source = error.source();
    }
    deepest
}
