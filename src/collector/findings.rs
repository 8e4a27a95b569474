//! `Findings`: people and programs ask over gRPC. It reads the published view and nothing else.

use std::sync::Arc;

use futures::stream::BoxStream;
use prost::Message;
use tonic::{Request, Response, Status};

use crate::collector::asked::{self, StoryFilter, VolumeFilter};
use crate::collector::pages::Pages;
use crate::collector::watches::Watches;
use crate::model::view::{NodeView, Story};
use crate::proto::v1;
use crate::proto::v1::findings_server::Findings;
use crate::wire;

/// The most bytes of a page: half of what a client takes.
pub(super) const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// The service over the views.
pub(super) struct FindingsService {
    pages: Arc<Pages>,
    watches: Watches,
}

impl FindingsService {
    pub(super) fn new(pages: Arc<Pages>) -> Self {
        Self {
            watches: Watches::new(pages.views()),
            pages,
        }
    }
}

/// An entry of a page, with its size.
fn sized<P: Message>(message: P) -> (P, usize) {
    let size = message.encoded_len();
    (message, size)
}

#[tonic::async_trait]
impl Findings for FindingsService {
    type WatchFindingsStream = BoxStream<'static, Result<v1::WatchFindingsResponse, Status>>;

    async fn summary(
        &self,
        _request: Request<v1::SummaryRequest>,
    ) -> Result<Response<v1::SummaryResponse>, Status> {
        let view = self.pages.view();
        Ok(Response::new((view.at, &view.summary()).into()))
    }

    async fn list_findings(
        &self,
        request: Request<v1::ListFindingsRequest>,
    ) -> Result<Response<v1::ListFindingsResponse>, Status> {
        let asked = request.into_inner();
        let place = self.pages.place(&asked.page_token, asked.page_size)?;
        let filter = StoryFilter {
            namespace: asked.namespace,
            code: asked.code,
            node: asked.node,
            severity: wire::least_severity(asked.severity),
            counted: asked.counted,
        };
        let list = asked::stories(&place.view, &filter);
        let to = |story: &&Story| sized((*story).into());
        let (stories, next_page_token) = self.pages.page(&place, &list, PAGE_BYTES, to);
        Ok(Response::new(v1::ListFindingsResponse {
            at_ns: wire::at_ns(place.view.at),
            stories,
            next_page_token,
        }))
    }

    async fn watch_findings(
        &self,
        request: Request<v1::WatchFindingsRequest>,
    ) -> Result<Response<Self::WatchFindingsStream>, Status> {
        let asked = request.into_inner();
        let filter = StoryFilter {
            namespace: asked.namespace,
            code: asked.code,
            node: asked.node,
            severity: wire::least_severity(asked.severity),
            counted: asked.counted,
        };
        let stream = self.watches.watch(filter, &asked.resume_token)?;
        Ok(Response::new(stream))
    }

    async fn list_volumes(
        &self,
        request: Request<v1::ListVolumesRequest>,
    ) -> Result<Response<v1::ListVolumesResponse>, Status> {
        let asked = request.into_inner();
        let place = self.pages.place(&asked.page_token, asked.page_size)?;
        let filter = VolumeFilter {
            namespace: asked.namespace,
            name: asked.name,
        };
        let (volumes, next_page_token) = self.pages.volumes(&place, &filter, PAGE_BYTES, |one| {
            sized(v1::NodeVolume::from(one))
        });
        Ok(Response::new(v1::ListVolumesResponse {
            at_ns: wire::at_ns(place.view.at),
            volumes,
            next_page_token,
        }))
    }

    async fn get_volume(
        &self,
        request: Request<v1::GetVolumeRequest>,
    ) -> Result<Response<v1::GetVolumeResponse>, Status> {
        let asked = request.into_inner();
        let view = self.pages.view();
        let filter = VolumeFilter {
            namespace: asked.namespace,
            name: asked.name,
        };
        let volumes = asked::named(&view, &filter)?;
        let stories = asked::about(&view, &volumes);
        Ok(Response::new(v1::GetVolumeResponse {
            at_ns: wire::at_ns(view.at),
            volumes: volumes.iter().map(Into::into).collect(),
            stories: stories.into_iter().map(Into::into).collect(),
        }))
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let asked = request.into_inner();
        let place = self.pages.place(&asked.page_token, asked.page_size)?;
        let to = |node: &NodeView| sized(node.status().into());
        let list = &place.view.nodes;
        let (nodes, next_page_token) = self.pages.page(&place, list, PAGE_BYTES, to);
        Ok(Response::new(v1::ListNodesResponse {
            at_ns: wire::at_ns(place.view.at),
            nodes,
            next_page_token,
        }))
    }

    async fn list_drivers(
        &self,
        request: Request<v1::ListDriversRequest>,
    ) -> Result<Response<v1::ListDriversResponse>, Status> {
        let asked = request.into_inner();
        let place = self.pages.place(&asked.page_token, asked.page_size)?;
        let list = asked::drivers(&place.view, &asked.name);
        let (drivers, next_page_token) =
            self.pages
                .page(&place, &list, PAGE_BYTES, |(node, driver)| {
                    sized(v1::NodeDriver::of(node, driver))
                });
        Ok(Response::new(v1::ListDriversResponse {
            at_ns: wire::at_ns(place.view.at),
            drivers,
            next_page_token,
        }))
    }
}
