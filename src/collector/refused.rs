//! What a service refuses: counted, told once a peer and minute, and called by the right status.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, Status};

use crate::collector::metrics::Counts;

/// A broken agent must not fill the log.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// How many peers are remembered for that.
const MAX_PEERS: usize = 10_000;

/// A service, watched.
#[derive(Debug, Clone)]
pub(super) struct Watched<S> {
    service: S,
    refused: Arc<Refused>,
}

#[derive(Debug, Default)]
struct Refused {
    counts: Counts,
    told: Mutex<BTreeMap<IpAddr, Instant>>,
}

impl<S> Watched<S> {
    pub(super) fn new(service: S, counts: Counts) -> Self {
        let refused = Refused {
            counts,
            ..Refused::default()
        };
        Self {
            service,
            refused: Arc::new(refused),
        }
    }
}

impl<S: NamedService> NamedService for Watched<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B, R> Service<http::Request<B>> for Watched<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<S::Response, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let peer = request
            .extensions()
            .get::<TcpConnectInfo>()
            .and_then(TcpConnectInfo::remote_addr)
            .map(|address| address.ip());
        let refused = Arc::clone(&self.refused);
        let answer = self.service.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            // A refusal has its status in the headers; what is done has it behind the message.
            let Some(status) = Status::from_header_map(answer.headers()) else {
                return Ok(answer);
            };
            if status.code() != Code::Ok {
                let code = usual(status.code());
                refused.tell(peer, code, status.message());
                let code = http::HeaderValue::from(code as i32);
                answer.headers_mut().insert(Status::GRPC_STATUS, code);
            }
            Ok(answer)
        })
    }
}

/// The status that clients expect: tonic has words of its own for messages that it does not even
/// hand to the service.
fn usual(code: Code) -> Code {
    match code {
        // Larger than the limit.
        Code::OutOfRange => Code::ResourceExhausted,
        // Not a message.
        Code::Internal => Code::InvalidArgument,
        other => other,
    }
}

impl Refused {
    fn tell(&self, peer: Option<IpAddr>, code: Code, why: &str) {
        let refused = self.counts.refused(code);
        if peer.is_some_and(|peer| self.was_told(peer)) {
            return;
        }
        tracing::warn!(
            client.address = peer.map(|peer| peer.to_string()),
            rpc.response.status_code = ?code,
            refused,
            "a report is refused: {why}"
        );
    }

    /// Whether something about this peer was told a short time ago; it is told now, if not.
    fn was_told(&self, peer: IpAddr) -> bool {
        let now = Instant::now();
        let recent = |at: &Instant| now.duration_since(*at) < TELL_EVERY;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(&peer).is_some_and(recent) {
            return true;
        }
        if told.len() >= MAX_PEERS {
            told.retain(|_, at| recent(at));
        }
        if told.len() < MAX_PEERS {
            told.insert(peer, now);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_told_of_once_a_minute() {
        let refused = Refused::default();
        let [one, other] = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])];
        assert!(!refused.was_told(one));
        assert!(refused.was_told(one));
        assert!(!refused.was_told(other));
    }
}
