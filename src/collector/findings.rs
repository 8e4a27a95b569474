//! `Findings`: people ask. It reads the published view and nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::grpc::Refusal;
use crate::model::names::VolumeHandle;
use crate::model::view::{NodeView, Story, View};
use crate::model::volume::Volume;
use crate::proto::v1;
use crate::proto::v1::findings_server::Findings;
use crate::wire;

/// The most entries of a page.
const PAGE: usize = 500;

/// The most bytes of a page: half of what a client takes.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// How many views are kept for readers who are between two pages; most of each is shared.
const PAGED_VIEWS: usize = 4;

/// The service over the views.
pub(super) struct FindingsService {
    views: watch::Receiver<Arc<View>>,
    /// Views of which somebody has read a page and not the last one.
    paged: Mutex<VecDeque<Arc<View>>>,
}

impl FindingsService {
    pub(super) fn new(views: watch::Receiver<Arc<View>>) -> Self {
        Self {
            views,
            paged: Mutex::new(VecDeque::new()),
        }
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(&self.views.borrow())
    }

    /// The view that a page is of, and where the page begins.
    fn place(&self, token: &str) -> Result<(Arc<View>, usize), Refusal> {
        if token.is_empty() {
            return Ok((self.view(), 0));
        }
        let (at, offset) = token.split_once('.').ok_or(Refusal::PageToken)?;
        let at: i64 = at.parse().map_err(|_| Refusal::PageToken)?;
        let offset = offset.parse().map_err(|_| Refusal::PageToken)?;
        let paged = self.paged.lock().unwrap_or_else(PoisonError::into_inner);
        let view = paged.iter().find(|view| wire::at_ns(view.at) == at);
        view.map(|view| (Arc::clone(view), offset))
            .ok_or(Refusal::PagesGone)
    }

    /// The token of the next page; the view is kept for it.
    fn token(&self, view: &Arc<View>, offset: usize) -> String {
        let mut paged = self.paged.lock().unwrap_or_else(PoisonError::into_inner);
        if !paged.iter().any(|kept| Arc::ptr_eq(kept, view)) {
            if paged.len() == PAGED_VIEWS {
                paged.pop_front();
            }
            paged.push_back(Arc::clone(view));
        }
        format!("{}.{offset}", wire::at_ns(view.at))
    }

    /// One page of a list.
    fn page<T, P: Message>(
        &self,
        view: &Arc<View>,
        list: &[T],
        offset: usize,
        size: u32,
        to: impl Fn(&T) -> P,
    ) -> (Vec<P>, String) {
        let size = match usize::try_from(size) {
            Ok(0) | Err(_) => PAGE,
            Ok(size) => size.min(PAGE),
        };
        let mut bytes = 0;
        let mut page = Vec::new();
        for item in list.iter().skip(offset).take(size) {
            let item = to(item);
            bytes += item.encoded_len();
            if bytes > PAGE_BYTES && !page.is_empty() {
                break;
            }
            page.push(item);
        }
        let next = offset.saturating_add(page.len());
        let token = if next < list.len() {
            self.token(view, next)
        } else {
            String::new()
        };
        (page, token)
    }
}

#[tonic::async_trait]
impl Findings for FindingsService {
    async fn summary(
        &self,
        _request: Request<v1::SummaryRequest>,
    ) -> Result<Response<v1::SummaryResponse>, Status> {
        let view = self.view();
        Ok(Response::new((view.at, &view.summary()).into()))
    }

    async fn list_findings(
        &self,
        request: Request<v1::ListFindingsRequest>,
    ) -> Result<Response<v1::ListFindingsResponse>, Status> {
        let asked = request.into_inner();
        let (view, offset) = self.place(&asked.page_token)?;
        let list: Vec<&Story> = view
            .stories
            .iter()
            .filter(|story| is_asked(story, &asked))
            .collect();
        let (stories, next_page_token) =
            self.page(&view, &list, offset, asked.page_size, |story| {
                (*story).into()
            });
        Ok(Response::new(v1::ListFindingsResponse {
            at_ns: wire::at_ns(view.at),
            stories,
            next_page_token,
        }))
    }

    async fn list_volumes(
        &self,
        request: Request<v1::ListVolumesRequest>,
    ) -> Result<Response<v1::ListVolumesResponse>, Status> {
        let asked = request.into_inner();
        let (view, offset) = self.place(&asked.page_token)?;
        let list = volumes(&view, &asked);
        let (volumes, next_page_token) =
            self.page(&view, &list, offset, asked.page_size, |(node, volume)| {
                v1::NodeVolume::of(node, volume)
            });
        Ok(Response::new(v1::ListVolumesResponse {
            at_ns: wire::at_ns(view.at),
            volumes,
            next_page_token,
        }))
    }

    async fn list_nodes(
        &self,
        _request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let view = self.view();
        Ok(Response::new(v1::ListNodesResponse {
            at_ns: wire::at_ns(view.at),
            nodes: view.nodes.iter().map(|node| node.status().into()).collect(),
        }))
    }
}

fn is_asked(story: &Story, asked: &v1::ListFindingsRequest) -> bool {
    let key = &story.finding.key;
    (asked.namespace.is_empty() || key.subject.object.namespace() == Some(&asked.namespace))
        && (asked.code.is_empty() || key.code.0.eq_ignore_ascii_case(&asked.code))
}

/// The volumes that are asked for, by namespace, name and node.
fn volumes<'a>(view: &'a View, asked: &v1::ListVolumesRequest) -> Vec<(&'a NodeView, &'a Volume)> {
    let mut list: Vec<_> = view
        .nodes
        .iter()
        .flat_map(|node| {
            let volumes = &node.scan.facts.volumes.items;
            volumes.iter().map(move |volume| (node, volume))
        })
        .filter(|(_, volume)| {
            (asked.namespace.is_empty() || namespaces(volume).any(|one| one == asked.namespace))
                && (asked.name.is_empty() || names(volume).any(|one| one == asked.name))
        })
        .collect();
    list.sort_by_key(|(node, volume)| {
        (
            namespaces(volume).next(),
            names(volume).next(),
            node.name.as_str(),
        )
    });
    list
}

/// The namespaces of its claim, else of its pods.
fn namespaces(volume: &Volume) -> impl Iterator<Item = &str> {
    let claim = volume.claim.as_ref().map(|claim| &claim.claim.namespace);
    let pods = volume.published.iter().map(|one| &one.pod.namespace);
    let pods = pods.filter(move |_| claim.is_none());
    claim.into_iter().chain(pods).map(String::as_str)
}

/// The names that it goes by: claim, persistent volume, directory, handle.
fn names(volume: &Volume) -> impl Iterator<Item = &str> {
    let claim = volume.claim.as_ref().map(|claim| claim.claim.name.as_str());
    let persistent = volume.persistent.known().and_then(Option::as_ref);
    let handle = volume.handle.known().map(VolumeHandle::as_str);
    claim
        .into_iter()
        .chain(persistent.map(|persistent| persistent.name.as_str()))
        .chain([volume.spec_name.as_str()])
        .chain(handle)
}
