//! `Intake`: agents report.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use prost::Message;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;
use tonic::{Code, Request, Response, Status};

use crate::collector::accept::Accept;
use crate::grpc::Refusal;
use crate::model::scan::Scan;
use crate::proto::v1;
use crate::proto::v1::intake_server::Intake;
use crate::wire::WireError;

/// One line a peer and minute about what is refused: a broken agent must not fill the log.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How many peers are remembered for that.
const MAX_PEERS: usize = 10_000;

/// The service over what the collector accepts.
pub(super) struct IntakeService {
    accept: Arc<Accept>,
    refused: AtomicU64,
    told: Mutex<BTreeMap<IpAddr, Instant>>,
}

impl IntakeService {
    pub(super) fn new(accept: Arc<Accept>) -> Self {
        Self {
            accept,
            refused: AtomicU64::new(0),
            told: Mutex::new(BTreeMap::new()),
        }
    }

    async fn take(&self, request: v1::ReportRequest) -> Result<(), Refusal> {
        let malformed = |why| Refusal::Malformed {
            what: "report",
            why,
        };
        let scan = request.scan.ok_or_else(|| {
            malformed(WireError::Missing {
                field: "scan".to_owned(),
            })
        })?;
        let bytes = scan.encode_to_vec();
        let scan = Scan::try_from(scan).map_err(malformed)?;
        self.accept.accept(scan, bytes).await
    }

    fn tell(&self, peer: Option<IpAddr>, refusal: &Refusal) {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        let now = Instant::now();
        if let Some(peer) = peer {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let recent = |at: &Instant| now.duration_since(*at) < TELL_EVERY;
            if told.get(&peer).is_some_and(recent) {
                return;
            }
            if told.len() >= MAX_PEERS {
                told.retain(|_, at| recent(at));
            }
            told.insert(peer, now);
        }
        tracing::warn!(
            peer = peer.map(|peer| peer.to_string()),
            refused,
            "a report is refused: {refusal}"
        );
    }
}

#[tonic::async_trait]
impl Intake for IntakeService {
    async fn report(
        &self,
        request: Request<v1::ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        let peer = request.remote_addr().map(|address| address.ip());
        match self.take(request.into_inner()).await {
            Ok(()) => Ok(Response::new(v1::ReportResponse {})),
            Err(refusal) => {
                self.tell(peer, &refusal);
                Err(refusal.into())
            }
        }
    }
}

/// A service whose messages are limited. tonic calls one that is too large `OUT_OF_RANGE`; clients
/// expect `RESOURCE_EXHAUSTED`.
#[derive(Debug, Clone)]
pub(super) struct Limited<S>(pub(super) S);

impl<S: NamedService> NamedService for Limited<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B, R> Service<http::Request<B>> for Limited<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<S::Response, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            let status = answer.headers_mut().get_mut(Status::GRPC_STATUS);
            if let Some(status) = status
                && Code::from_bytes(status.as_bytes()) == Code::OutOfRange
            {
                *status = http::HeaderValue::from(Code::ResourceExhausted as i32);
            }
            Ok(answer)
        })
    }
}
