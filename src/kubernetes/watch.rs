//! One list and one watch that keep an index: it relists when its place is lost, waits longer after
//! each failure, and keeps what it had meanwhile.
//!
//! kube's own `watcher` does not tell when a broken watch runs again while nothing changes, and one
//! object that cannot be read ends its list; both matter here.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use jiff::Timestamp;
use kube::Client;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Request;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::model::observed::Gap;

use super::ask::{self, PAGE};
use super::failure::{self, Verb};
use super::index::Index;
use super::kept::{Arrived, Kept};
use super::patience::{Patience, jittered};

/// A list, or the beginning of a watch, that takes longer is given up.
const ANSWER: Duration = Duration::from_secs(30);

/// A watch is asked to last so long at most; the end spreads watches over API servers.
const LASTS: Duration = Duration::from_mins(10);

/// The server sends a bookmark about every minute (`bookmarkFrequency`, apiserver
/// `storage/cacher`). After a longer silence the connection may be dead; asking anew costs little.
const SILENT: Duration = Duration::from_secs(100);

/// A watch that ended sooner is not begun anew at once: the server may be going away.
const WORTH_IT: Duration = Duration::from_secs(5);

/// How the first list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// From the server's memory, and whole, whatever page is asked for: for few objects and many who ask.
    Whole,
    /// Page by page: for so many objects that one answer with all of them would be a burden.
    InPages,
}

/// A watch, and the objects that it keeps. It ends when this is dropped.
pub(super) struct Watch<M> {
    index: Arc<Mutex<Index<M>>>,
    tried: tokio::sync::watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl<M: Kept> Watch<M> {
    /// Begins to watch the objects that a field selector takes; must be called inside a tokio runtime.
    pub(super) fn begin(client: Client, fields: Option<String>, first: First) -> Self {
        let index = Arc::new(Mutex::new(Index::default()));
        let (told, tried) = tokio::sync::watch::channel(false);
        let follower = Follower {
            client,
            fields,
            first,
            index: Arc::clone(&index),
            tried: told,
        };
        Self {
            index,
            tried,
            task: tokio::spawn(follower.run()),
        }
    }

    /// Ready when the first list has arrived or failed.
    pub(super) async fn first(&mut self) {
        // An error means that the task is gone: then there is nothing to wait for.
        let _ = self.tried.wait_for(|tried| *tried).await;
    }

    /// Whether the first list has arrived or failed.
    pub(super) fn is_tried(&self) -> bool {
        *self.tried.borrow()
    }

    /// What it has at this moment.
    pub(super) fn index(&self) -> MutexGuard<'_, Index<M>> {
        lock(&self.index)
    }
}

impl<M> Drop for Watch<M> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// No step of an index leaves it half done, so that a panic elsewhere does not spoil it.
fn lock<M>(index: &Mutex<Index<M>>) -> MutexGuard<'_, Index<M>> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a step ended.
enum End {
    /// The server ended the watch in its own time.
    Over,
    /// Our place in the history is lost.
    Expired,
    /// It failed; the server may have asked for a pause.
    Failed(Gap, Option<Duration>),
}

impl End {
    fn of<M: Kept>(verb: Verb, error: &kube::Error) -> Self {
        if failure::is_expired(error) {
            Self::Expired
        } else {
            Self::Failed(failure::gap::<M>(verb, error), failure::retry_after(error))
        }
    }

    fn late<M: Kept>(verb: Verb) -> Self {
        Self::Failed(failure::timed_out::<M>(verb), None)
    }
}

struct Follower<M> {
    client: Client,
    fields: Option<String>,
    first: First,
    index: Arc<Mutex<Index<M>>>,
    tried: tokio::sync::watch::Sender<bool>,
}

impl<M: Kept> Follower<M> {
    async fn run(self) {
        let mut patience = Patience::default();
        // The first list may come from the server's memory; a later one must not go back in time.
        let mut first = (self.first == First::Whole).then(|| "0".to_owned());
        let mut place: Option<String> = None;
        loop {
            let begun = Instant::now();
            let ended = match &mut place {
                None => match self.list(first.take()).await {
                    Ok(version) => {
                        patience.reset();
                        place = Some(version);
                        continue;
                    }
                    Err(end) => end,
                },
                Some(version) => self.follow(version, &mut patience).await,
            };
            let pause = match ended {
                End::Over if begun.elapsed() > WORTH_IT => continue,
                End::Over => patience.pause(None),
                End::Expired => {
                    tracing::debug!(resource = %M::resource(), "the watch lost its place; listing anew");
                    place = None;
                    patience.pause(None)
                }
                End::Failed(gap, asked) => {
                    tracing::debug!(resource = %M::resource(), %gap, "watching failed");
                    lock(&self.index).lose(Timestamp::now(), gap);
                    patience.pause(asked)
                }
            };
            self.tried.send_replace(true);
            tokio::time::sleep(pause).await;
        }
    }

    /// Lists all pages into the index; gives the version from which to watch.
    async fn list(&self, version: Option<String>) -> Result<String, End> {
        let failed = |error: kube::Error| End::of::<M>(Verb::List, &error);
        lock(&self.index).begin_list();
        let mut params = ListParams {
            field_selector: self.fields.clone(),
            limit: version.is_none().then_some(PAGE),
            resource_version: version,
            ..ListParams::default()
        };
        loop {
            let page = timeout(ANSWER, ask::page::<M>(&self.client, "", &params))
                .await
                .map_err(|_| End::late::<M>(Verb::List))?
                .map_err(failed)?;
            let more = page.metadata.continue_.filter(|token| !token.is_empty());
            let mut index = lock(&self.index);
            for arrived in page.items.unwrap_or_default() {
                index.apply(arrived);
            }
            if more.is_none() {
                index.end_list();
                self.tried.send_replace(true);
                return Ok(page.metadata.resource_version.unwrap_or_default());
            }
            params.continue_token = more;
        }
    }

    /// Follows changes from a version on, and moves it along.
    async fn follow(&self, version: &mut String, patience: &mut Patience) -> End {
        let failed = |error: kube::Error| End::of::<M>(Verb::Watch, &error);
        let params = WatchParams {
            field_selector: self.fields.clone(),
            timeout: u32::try_from(jittered(LASTS).as_secs()).ok(),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request = Request::new(M::path(""));
        let request = if M::METADATA_ONLY {
            request.watch_metadata(&params, version)
        } else {
            request.watch(&params, version)
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => return failed(kube::Error::BuildRequest(error)),
        };
        let begun = timeout(ANSWER, self.client.request_events::<Arrived<M>>(request)).await;
        let events = match begun {
            Ok(Ok(events)) => events,
            Ok(Err(error)) => return failed(error),
            Err(_) => return End::late::<M>(Verb::Watch),
        };
        let mut events = pin!(events);
        lock(&self.index).hear();
        loop {
            let event = match timeout(SILENT, events.try_next()).await {
                Ok(Ok(Some(event))) => event,
                // Silence is no failure, but no sign of life either: the next beginning tells.
                Ok(Ok(None)) | Err(_) => return End::Over,
                Ok(Err(error)) => return failed(error),
            };
            match self.take(event) {
                Ok(moved) if moved.is_empty() => {}
                Ok(moved) => *version = moved,
                Err(error) => return failed(error),
            }
            patience.reset();
        }
    }

    /// Takes in one event; gives the version after it.
    fn take(&self, event: WatchEvent<Arrived<M>>) -> Result<String, kube::Error> {
        let mut index = lock(&self.index);
        Ok(match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let version = object.version.clone();
                index.apply(object);
                version
            }
            WatchEvent::Deleted(object) => {
                index.delete(&object.key);
                object.version
            }
            WatchEvent::Bookmark(bookmark) => bookmark.metadata.resource_version,
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        })
    }
}
