//! `WatchFindings`: the findings as they are, then what changes.
//!
//! A watcher is told of states, not of events: who reads slowly gets the difference to the newest
//! view, and who does not read at all is told to start again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::collector::asked::{StoryFilter, stories};
use crate::collector::findings::PAGE_BYTES;
use crate::grpc::Refusal;
use crate::model::finding::{Code, Finding, Object};
use crate::model::view::{Story, View};
use crate::proto::v1;
use crate::wire;

/// How many may watch at once.
const WATCHERS: usize = 256;

/// How many views are kept for watchers that come back: most of each is shared.
const KEPT_VIEWS: usize = 8;

/// How long a watcher may let its messages lie.
const PATIENCE: Duration = Duration::from_secs(15);

/// Those who watch.
pub(super) struct Watches {
    views: watch::Receiver<Arc<View>>,
    kept: Arc<Kept>,
    places: Arc<Semaphore>,
}

/// The latest views of which a watcher has been told.
#[derive(Default)]
struct Kept(Mutex<VecDeque<Arc<View>>>);

impl Kept {
    fn keep(&self, view: &Arc<View>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.iter().any(|one| Arc::ptr_eq(one, view)) {
            if kept.len() == KEPT_VIEWS {
                kept.pop_front();
            }
            kept.push_back(Arc::clone(view));
        }
    }

    fn find(&self, token: &str) -> Option<Arc<View>> {
        let at: i64 = token.parse().ok()?;
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let view = kept.iter().find(|view| wire::at_ns(view.at) == at)?;
        Some(Arc::clone(view))
    }
}

impl Watches {
    pub(super) fn new(views: watch::Receiver<Arc<View>>) -> Self {
        Self {
            views,
            kept: Arc::default(),
            places: Arc::new(Semaphore::new(WATCHERS)),
        }
    }

    /// The messages for one watcher.
    pub(super) fn watch(
        &self,
        filter: StoryFilter,
        resume_token: &str,
    ) -> Result<BoxStream<'static, Result<v1::WatchFindingsResponse, Status>>, Refusal> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Refusal::Full(format!("{WATCHERS} readers watch already")))?;
        let (messages, stream) = mpsc::channel(1);
        let watcher = Watcher {
            before: self.kept.find(resume_token),
            kept: Arc::clone(&self.kept),
            views: self.views.clone(),
            filter,
            messages,
            _place: place,
        };
        tokio::spawn(watcher.run());
        Ok(ReceiverStream::new(stream).boxed())
    }
}

struct Watcher {
    before: Option<Arc<View>>,
    kept: Arc<Kept>,
    views: watch::Receiver<Arc<View>>,
    filter: StoryFilter,
    messages: mpsc::Sender<Result<v1::WatchFindingsResponse, Status>>,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    async fn run(mut self) {
        loop {
            let view = Arc::clone(&self.views.borrow_and_update());
            let changes = changes(self.before.as_deref(), &view, &self.filter);
            if !changes.is_empty() {
                self.kept.keep(&view);
                for message in changes {
                    if !self.send(Ok(message)).await {
                        return;
                    }
                }
            }
            self.before = Some(view);
            tokio::select! {
                changed = self.views.changed() => if changed.is_err() {
                    return;
                },
                () = self.messages.closed() => return,
            }
        }
    }

    /// Whether the watcher still reads.
    async fn send(&self, message: Result<v1::WatchFindingsResponse, Status>) -> bool {
        if let Ok(sent) = tokio::time::timeout(PATIENCE, self.messages.send(message)).await {
            return sent.is_ok();
        }
        // Its channel is full; the last word waits in a task of its own, not for ever.
        let messages = self.messages.clone();
        tokio::spawn(async move {
            let last = messages.send(Err(Refusal::TooSlow.into()));
            let _ = tokio::time::timeout(PATIENCE, last).await;
        });
        false
    }
}

/// What to tell a watcher who knows this view, or none. Nothing, when nothing differs.
fn changes(
    before: Option<&View>,
    now: &View,
    filter: &StoryFilter,
) -> Vec<v1::WatchFindingsResponse> {
    let old = before.map(|view| by_key(view, filter)).unwrap_or_default();
    let new = stories(now, filter);
    let differs = |story: &&&Story| {
        let known = old.get(&key(story));
        known.is_none_or(|known| !is_same(known, story))
    };
    let changed: Vec<v1::Story> = new
        .iter()
        .filter(differs)
        .map(|story| (*story).into())
        .collect();
    let now_known: BTreeSet<_> = new.iter().map(|story| key(story)).collect();
    let gone: Vec<v1::StoryKey> = old
        .iter()
        .filter(|(key, _)| !now_known.contains(*key))
        .map(|(_, story)| (*story).into())
        .collect();
    if before.is_some() && changed.is_empty() && gone.is_empty() {
        return Vec::new();
    }
    let mut messages = vec![v1::WatchFindingsResponse {
        at_ns: wire::at_ns(now.at),
        full: before.is_none(),
        gone,
        ..v1::WatchFindingsResponse::default()
    }];
    let mut bytes = 0;
    for story in changed {
        let size = story.encoded_len();
        bytes += size;
        if bytes > PAGE_BYTES {
            bytes = size;
            messages.push(v1::WatchFindingsResponse {
                at_ns: wire::at_ns(now.at),
                ..v1::WatchFindingsResponse::default()
            });
        }
        if let Some(message) = messages.last_mut() {
            message.changed.push(story);
        }
    }
    if let Some(message) = messages.last_mut() {
        message.resume_token = wire::at_ns(now.at).to_string();
    }
    messages
}

fn by_key<'a>(view: &'a View, filter: &StoryFilter) -> BTreeMap<(&'a Code, &'a Object), &'a Story> {
    let stories = stories(view, filter).into_iter();
    stories.map(|story| (key(story), story)).collect()
}

fn key(story: &Story) -> (&Code, &Object) {
    let key = &story.finding.key;
    (&key.code, &key.subject.object)
}

/// Whether nothing differs but the times of the last confirmation.
fn is_same(one: &Story, other: &Story) -> bool {
    let same = |one: &Finding, other: &Finding| {
        one.key == other.key
            && one.state == other.state
            && one.severity == other.severity
            && one.opened == other.opened
            && one.flaps == other.flaps
            && one.problem == other.problem
    };
    one.places == other.places
        && one.silenced == other.silenced
        && one.explains.len() == other.explains.len()
        && same(&one.finding, &other.finding)
        && one
            .explains
            .iter()
            .zip(&other.explains)
            .all(|(one, other)| same(one, other))
}
