//! `Intake`: agents report.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::collector::accept::Accept;
use crate::collector::source::Moment;
use crate::grpc::Refusal;
use crate::proto::v1::intake_server::Intake;
use crate::proto::{ReportRequest, v1};
use crate::wire::{self, WireError};

/// The service over what the collector accepts.
pub(super) struct IntakeService {
    accept: Arc<Accept>,
}

impl IntakeService {
    pub(super) fn new(accept: Arc<Accept>) -> Self {
        Self { accept }
    }
}

#[tonic::async_trait]
impl Intake for IntakeService {
    async fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        let malformed = |why| Refusal::Malformed {
            what: "report",
            why,
        };
        let bytes = request.into_inner().scan;
        if bytes.is_empty() {
            return Err(malformed(WireError::Missing {
                field: "scan".to_owned(),
            })
            .into());
        }
        wire::weigh_scan(&bytes).map_err(malformed)?;
        let scan = wire::decode_scan(&bytes).map_err(malformed)?;
        self.accept.accept(scan, bytes, Moment::now()).await?;
        Ok(Response::new(v1::ReportResponse {}))
    }
}
