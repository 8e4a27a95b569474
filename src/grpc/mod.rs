//! gRPC of our own protocol: the client's calls, and the one place where a refusal becomes a status.
//!
//! It knows neither what is done with a scan nor how an answer is shown.

pub mod client;
mod failure;
pub mod watch;

use tonic::{Code, Status};

use crate::wire::WireError;

/// The largest message that either side takes: a node with some ten thousand volumes.
pub const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;

/// Why a server does not do what it was asked. The variant decides whether the other side tries again.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The message cannot be understood; sending it again does not help.
    #[error("{what}: {why}")]
    Malformed {
        /// What was sent.
        what: &'static str,
        /// What is wrong with it.
        why: WireError,
    },
    /// The message contradicts itself; sending it again does not help.
    #[error("the {what} contradicts itself: {why}")]
    Contradiction {
        /// What was sent.
        what: &'static str,
        /// How.
        why: String,
    },
    /// The token is none of ours.
    #[error("the page token is not one that this server gave")]
    PageToken,
    /// The pages are of a view that is gone.
    #[error("the list has changed since its first page: start again")]
    PagesGone,
    /// Nobody has told of it.
    #[error("{0}")]
    NotFound(String),
    /// The reader does not take what it asked for.
    #[error("the reader is too slow: start again")]
    TooSlow,
    /// There are as many of these as one server can hold.
    #[error("{0}")]
    Full(String),
    /// Not now.
    #[error("{0}")]
    Unavailable(String),
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::Malformed { .. } | Refusal::Contradiction { .. } | Refusal::PageToken => {
                Code::InvalidArgument
            }
            Refusal::NotFound(_) => Code::NotFound,
            Refusal::PagesGone | Refusal::TooSlow => Code::Aborted,
            Refusal::Full(_) => Code::ResourceExhausted,
            Refusal::Unavailable(_) => Code::Unavailable,
        };
        Self::new(code, refusal.to_string())
    }
}
