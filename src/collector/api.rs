//! `/api/v1/`: the same answers as those of `Findings`, as JSON; the form is that of `-o json`.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tonic::{Code, Status};

use crate::collector::asked::{self, StoryFilter, VolumeFilter};
use crate::collector::pages::{Pages, Place};
use crate::grpc::Refusal;
use crate::model::finding::Severity;
use crate::model::view::{NodeView, Story};
use crate::render::json;

/// Every path, as `docs/api.md` lists them.
pub const PATHS: [&str; 6] = [
    "/api/v1/status",
    "/api/v1/findings",
    "/api/v1/volumes",
    "/api/v1/volumes/{name}",
    "/api/v1/nodes",
    "/api/v1/drivers",
];

type Asked<T> = Result<Query<T>, QueryRejection>;

/// The routes, and an answer for everything else that comes to this port.
pub(super) fn router(pages: Arc<Pages>) -> Router {
    let [
        status_path,
        findings_path,
        volumes_path,
        volume_path,
        nodes_path,
        drivers_path,
    ] = PATHS;
    Router::new()
        .route(status_path, get(status))
        .route(findings_path, get(findings))
        .route(volumes_path, get(volumes))
        .route(volume_path, get(volume))
        .route(nodes_path, get(nodes))
        .route(drivers_path, get(drivers))
        .fallback(nothing_there)
        .with_state(pages)
}

/// A refusal as HTTP words it.
struct Error(StatusCode, String);

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        let status = match Status::from(refusal).code() {
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Aborted => StatusCode::GONE,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, message)
    }
}

impl From<QueryRejection> for Error {
    fn from(rejection: QueryRejection) -> Self {
        Self(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let body = json::error(self.0.as_u16(), &self.1);
        (self.0, answer(body)).into_response()
    }
}

fn answer(body: String) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, body)
}

/// What is asked of a list of findings.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct AskedFindings {
    namespace: String,
    code: String,
    node: String,
    severity: Option<AskedSeverity>,
    counted: bool,
    limit: u32,
    page_token: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AskedSeverity {
    Critical,
    Warning,
    Info,
}

impl From<AskedSeverity> for Severity {
    fn from(asked: AskedSeverity) -> Self {
        match asked {
            AskedSeverity::Critical => Self::Critical,
            AskedSeverity::Warning => Self::Warning,
            AskedSeverity::Info => Self::Info,
        }
    }
}

/// What is asked of the other lists; which of these a list takes is in `docs/api.md`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct AskedList {
    namespace: String,
    name: String,
    limit: u32,
    page_token: String,
}

impl AskedList {
    fn place(&self, pages: &Pages) -> Result<Place, Refusal> {
        pages.place(&self.page_token, self.limit)
    }
}

/// Entries of JSON are bounded in number alone.
const ANY_SIZE: usize = usize::MAX;

async fn status(State(pages): State<Arc<Pages>>) -> impl IntoResponse {
    let view = pages.view();
    answer(json::status(view.at, &view.summary()))
}

async fn findings(
    State(pages): State<Arc<Pages>>,
    asked: Asked<AskedFindings>,
) -> Result<impl IntoResponse, Error> {
    let Query(asked) = asked?;
    let place = pages.place(&asked.page_token, asked.limit)?;
    let filter = StoryFilter {
        namespace: asked.namespace,
        code: asked.code,
        node: asked.node,
        severity: asked.severity.map(Into::into),
        counted: asked.counted,
    };
    let list = asked::stories(&place.view, &filter);
    let to = |story: &&Story| ((*story).clone(), 0);
    let (page, next) = pages.page(&place, &list, ANY_SIZE, to);
    Ok(answer(json::findings_page(place.view.at, &page, &next)))
}

async fn volumes(
    State(pages): State<Arc<Pages>>,
    asked: Asked<AskedList>,
) -> Result<impl IntoResponse, Error> {
    let Query(asked) = asked?;
    let place = asked.place(&pages)?;
    let filter = VolumeFilter {
        namespace: asked.namespace,
        name: asked.name,
    };
    let (page, next) = pages.volumes(&place, &filter, ANY_SIZE, |one| (one.clone(), 0));
    Ok(answer(json::volumes_page(place.view.at, &page, &next)))
}

async fn volume(
    State(pages): State<Arc<Pages>>,
    Path(name): Path<String>,
    asked: Asked<AskedList>,
) -> Result<impl IntoResponse, Error> {
    let Query(asked) = asked?;
    let view = pages.view();
    let filter = VolumeFilter {
        namespace: asked.namespace,
        name,
    };
    let volumes = asked::named(&view, &filter)?;
    let about = asked::about(&view, &volumes).into_iter();
    let stories: Vec<Story> = about.cloned().collect();
    Ok(answer(json::volume(view.at, &volumes, &stories)))
}

async fn nodes(
    State(pages): State<Arc<Pages>>,
    asked: Asked<AskedList>,
) -> Result<impl IntoResponse, Error> {
    let Query(asked) = asked?;
    let place = asked.place(&pages)?;
    let to = |node: &NodeView| (node.status(), 0);
    let (page, next) = pages.page(&place, &place.view.nodes, ANY_SIZE, to);
    Ok(answer(json::nodes_page(place.view.at, &page, &next)))
}

async fn drivers(
    State(pages): State<Arc<Pages>>,
    asked: Asked<AskedList>,
) -> Result<impl IntoResponse, Error> {
    let Query(asked) = asked?;
    let place = asked.place(&pages)?;
    let list = asked::drivers(&place.view, &asked.name);
    let (page, next) = pages.page(&place, &list, ANY_SIZE, |(node, driver)| {
        ((node.name.clone(), (*driver).clone()), 0)
    });
    Ok(answer(json::drivers_page(place.view.at, &page, &next)))
}

/// A gRPC client must be told in its own words, or it takes the answer for a broken message.
async fn nothing_there(headers: HeaderMap) -> Response {
    let grpc = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if grpc {
        return Status::unimplemented("no such service or method")
            .into_http::<axum::body::Body>()
            .into_response();
    }
    let paths = PATHS.join(", ");
    Error(
        StatusCode::NOT_FOUND,
        format!("nothing is there; the paths are {paths}"),
    )
    .into_response()
}
