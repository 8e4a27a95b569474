//! What an API server does with Events: a second one of a name is refused. On a socket, since
//! processes put them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path as At, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::running::PATIENCE;

/// What there is, and how often it was tried.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board {
    /// By namespace and name.
    pub(crate) events: BTreeMap<String, Value>,
    pub(crate) tries: usize,
    /// What the next ones are answered, before any is taken.
    pub(crate) answers: Vec<u16>,
}

pub(crate) struct EventServer {
    board: Arc<watch::Sender<Board>>,
    address: String,
}

impl EventServer {
    pub(crate) async fn start() -> Self {
        let board = Arc::new(watch::Sender::new(Board::default()));
        let path = "/apis/events.k8s.io/v1/namespaces/{namespace}/events";
        let router = Router::new()
            .route(path, post(put))
            .with_state(Arc::clone(&board));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { board, address }
    }

    /// A kubeconfig that leads here.
    pub(crate) fn kubeconfig(&self, folder: &Path) -> PathBuf {
        let path = folder.join("kubeconfig");
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": self.address}}],
            "users": [{"name": "here", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}]});
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Board)) {
        self.board.send_modify(change);
    }

    /// The board, when it is so.
    pub(crate) async fn wait(&self, is: impl Fn(&Board) -> bool) -> Board {
        let mut board = self.board.subscribe();
        let found = tokio::time::timeout(6 * PATIENCE, board.wait_for(is));
        found.await.unwrap().unwrap().clone()
    }
}

async fn put(
    State(board): State<Arc<watch::Sender<Board>>>,
    At(namespace): At<String>,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let event: Value = serde_json::from_slice(&body).unwrap();
    let name = event["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(event["metadata"]["namespace"], namespace.as_str());
    let mut answer = StatusCode::CREATED;
    board.send_modify(|board| {
        board.tries += 1;
        if !board.answers.is_empty() {
            answer = StatusCode::from_u16(board.answers.remove(0)).unwrap();
        } else if let Entry::Vacant(place) = board.events.entry(name) {
            place.insert(event.clone());
        } else {
            answer = StatusCode::CONFLICT;
        }
    });
    let body = if answer.is_success() {
        event
    } else {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no",
            "reason": "Other", "code": answer.as_u16()})
    };
    (answer, Json(body))
}
