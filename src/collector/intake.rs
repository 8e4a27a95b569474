//! `Intake`: agents report.

use std::sync::Arc;

use prost::Message;
use tonic::{Request, Response, Status};

use crate::collector::accept::Accept;
use crate::grpc::Refusal;
use crate::model::scan::Scan;
use crate::proto::v1;
use crate::proto::v1::intake_server::Intake;
use crate::wire::WireError;

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
        request: Request<v1::ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        let malformed = |why| Refusal::Malformed {
            what: "report",
            why,
        };
        let scan = request.into_inner().scan.ok_or_else(|| {
            malformed(WireError::Missing {
                field: "scan".to_owned(),
            })
        })?;
        let bytes = scan.encode_to_vec();
        let scan = Scan::try_from(scan).map_err(malformed)?;
        self.accept.accept(scan, bytes).await?;
        Ok(Response::new(v1::ReportResponse {}))
    }
}
