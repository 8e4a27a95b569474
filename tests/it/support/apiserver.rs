//! An API server that is a router: the real client without a socket, or whoever asks over HTTP.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use super::running::PATIENCE;

/// What the server has, what it refuses, and what it was asked.
#[derive(Default)]
pub(crate) struct World {
    /// Single objects, by their paths.
    pub(crate) objects: BTreeMap<String, Value>,
    /// All objects of a kind, by the path of their list.
    pub(crate) lists: BTreeMap<&'static str, Vec<Value>>,
    /// Logs of containers, by the paths of their pods' logs and the container.
    pub(crate) logs: BTreeMap<String, String>,
    /// A list that asks for pages has so many objects in each.
    pub(crate) page: usize,
    /// Parts of `verb path`.
    pub(crate) refused: Vec<&'static str>,
    /// The status with which it answers everything, for a while.
    pub(crate) failing: Option<u16>,
    pub(crate) asked: Vec<String>,
}

/// What is sent to the watches of one path.
type Told = (&'static str, String);

#[derive(Clone)]
pub(crate) struct Server {
    world: Arc<Mutex<World>>,
    events: broadcast::Sender<Told>,
}

impl Server {
    pub(crate) fn new(world: World) -> Self {
        Self {
            world: Arc::new(Mutex::new(world)),
            events: broadcast::channel(64).0,
        }
    }

    pub(crate) fn client(&self) -> kube::Client {
        let router = Router::new().fallback(answer).with_state(self.clone());
        kube::Client::new(router, "default")
    }

    /// A kubeconfig by which it is asked over HTTP, as long as the test runs.
    pub(crate) async fn kubeconfig(&self, directory: &Path) -> PathBuf {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let path = directory.join("kubeconfig");
        let text = format!(
            r#"{{"apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{{"name": "a", "cluster": {{"server": "http://{address}"}}}}],
            "contexts": [{{"name": "a", "context": {{"cluster": "a", "user": "a", "namespace": "shop"}}}}],
            "users": [{{"name": "a", "user": {{}}}}]}}"#
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.lock().unwrap());
    }

    /// Sends an event to those who watch a list.
    pub(crate) fn tell(&self, path: &'static str, kind: &str, object: &Value) {
        let line = json!({"type": kind, "object": object});
        // Nobody may be watching.
        let _ = self.events.send((path, format!("{line}\n")));
    }

    /// What was asked since the last time, each request once and in order.
    pub(crate) fn asked(&self) -> String {
        let mut asked = std::mem::take(&mut self.world.lock().unwrap().asked);
        asked.sort();
        asked.join("\n")
    }

    /// Waits until so many watches run.
    pub(crate) async fn watched(&self, watches: usize) {
        let watched = async {
            while self.events.receiver_count() < watches {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, watched).await.unwrap();
    }
}

async fn answer(State(server): State<Server>, uri: Uri) -> Response {
    let query = uri.query().unwrap_or_default();
    let path = uri.path();
    let mut world = server.world.lock().unwrap();
    let shown = query
        .split('&')
        .filter(|one| one.starts_with("fieldSelector") || one.starts_with("watch"));
    let shown: Vec<&str> = shown.collect();
    world.asked.push(format!("{path}?{}", shown.join("&")));
    if path.ends_with("/log") {
        let container = query
            .split('&')
            .find_map(|one| one.strip_prefix("container="));
        let log = world
            .logs
            .get(&format!("{path} {}", container.unwrap_or_default()));
        let refused = world.refused.contains(&"pods/log");
        return match log {
            Some(log) if !refused => Response::new(Body::from(log.clone())),
            Some(_) => json_response(
                StatusCode::FORBIDDEN,
                &json!({"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no"}),
            ),
            None => json_response(
                StatusCode::NOT_FOUND,
                &json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"}),
            ),
        };
    }
    let list = world.lists.get_key_value(path);
    let list = list.map(|(path, items)| (*path, items.clone()));
    let verb = match &list {
        Some(_) if query.contains("watch=true") => "watch",
        Some(_) => "list",
        None => "get",
    };
    let request = format!("{verb} {path}");
    if world.refused.iter().any(|part| request.contains(part)) {
        return json_response(
            StatusCode::FORBIDDEN,
            &json!({"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no"}),
        );
    }
    if let Some(code) = world.failing {
        let status = json!({"kind": "Status", "code": code, "reason": "", "message": "later", "details": {"retryAfterSeconds": 1}});
        return json_response(StatusCode::from_u16(code).unwrap(), &status);
    }
    match (list, world.objects.get(path)) {
        (Some((path, _)), _) if verb == "watch" => watch(&server, path),
        (Some((_, items)), _) => json_response(StatusCode::OK, &page(items, query, world.page)),
        (None, Some(object)) => json_response(StatusCode::OK, object),
        (None, None) => json_response(
            StatusCode::NOT_FOUND,
            &json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"}),
        ),
    }
}

fn watch(server: &Server, path: &'static str) -> Response {
    let events = server.events.subscribe();
    let lines = futures::stream::unfold(events, move |mut events| async move {
        loop {
            let (of, line) = events.recv().await.ok()?;
            if of == path {
                return Some((Ok::<_, std::convert::Infallible>(line), events));
            }
        }
    });
    Response::new(Body::from_stream(lines))
}

fn page(mut items: Vec<Value>, query: &str, size: usize) -> Value {
    let of = |name: &str| query.split('&').find_map(|one| one.strip_prefix(name));
    let mut metadata = json!({"resourceVersion": "9"});
    if size > 0 && of("limit=").is_some() {
        let from: usize = of("continue=").map_or(0, |token| token.parse().unwrap());
        let rest = items.split_off(from.min(items.len()));
        items = rest.iter().take(size).cloned().collect();
        if rest.len() > size {
            metadata["continue"] = json!((from + size).to_string());
        }
    }
    json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items})
}

fn json_response(code: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = code;
    response
}
