//! Scan → history → store → view: the one writer of what the collector knows.
//!
//! It knows no network. Readers get the view that it publishes, and never look into it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::collector::source::{Source, contradiction};
use crate::collector::tell;
use crate::fold::fold;
use crate::grpc::Refusal;
use crate::history::{Change, Statement};
use crate::model::names::NodeName;
use crate::model::scan::Scan;
use crate::model::view::{NodeView, View};
use crate::store::{Batch, Kept, KeptScan, Pending, Store};

/// Kubernetes itself is made for 5,000 nodes.
const MAX_NODES: usize = 20_000;

/// How often silence is looked for.
const LISTEN_EVERY: Duration = Duration::from_millis(250);

/// How often a view is made at least, so that silences and their ends show.
const PUBLISH_AT_LEAST: Duration = Duration::from_secs(10);

/// What an operator set about lives of findings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) grace_scale: f64,
    pub(super) silent_after: u32,
    /// A view is made at most so often, however many reports arrive.
    pub(super) publish_every: Duration,
}

/// Everything the collector knows.
#[derive(Debug)]
pub(super) struct Accept {
    settings: Settings,
    store: Store,
    sources: Mutex<BTreeMap<NodeName, Source>>,
    changed: Notify,
    /// Batches that could not be written since the last one that could.
    lost: AtomicU64,
}

/// What is done after the lock is released.
struct Step {
    node: NodeName,
    changes: Vec<Change>,
    pending: Pending,
}

impl Accept {
    /// Goes on where an earlier life ended: nodes are silent when they are not heard in time from now.
    pub(super) fn new(settings: Settings, store: Store, kept: Kept) -> Self {
        let mut sources: BTreeMap<NodeName, Source> = BTreeMap::new();
        for scan in kept.scans {
            if let Some(source) = Source::from_scan(&scan) {
                sources.insert(scan.node.into(), source);
            }
        }
        for (name, findings) in kept.findings {
            let source = sources.entry(NodeName(name)).or_default();
            source.remember(findings);
        }
        Self {
            settings,
            store,
            sources: Mutex::new(sources),
            changed: Notify::new(),
            lost: AtomicU64::new(0),
        }
    }

    fn sources(&self) -> MutexGuard<'_, BTreeMap<NodeName, Source>> {
        // A panic while it was held left nothing half done that the next scan does not mend.
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a scan, with its bytes; ready when what it says is kept.
    pub(super) async fn accept(
        self: &Arc<Self>,
        scan: Scan,
        bytes: Vec<u8>,
    ) -> Result<(), Refusal> {
        contradiction(&scan)?;
        let step = self.apply(scan, bytes)?;
        // A task of its own: when the peer gives up, what was begun is finished all the same.
        let own = Arc::clone(self);
        let finished = tokio::spawn(async move {
            own.finish(step).await;
            own.changed.notify_one();
        });
        finished
            .await
            .map_err(|_| Refusal::Unavailable("the collector is ending".to_owned()))
    }

    /// The part under the lock: batches of a source are handed to the store in their order.
    fn apply(&self, scan: Scan, bytes: Vec<u8>) -> Result<Step, Refusal> {
        let now = Timestamp::now();
        let node = scan.facts.node.clone();
        let mut sources = self.sources();
        if !sources.contains_key(&node) && sources.len() >= MAX_NODES {
            return Err(Refusal::Full(format!(
                "this collector knows {MAX_NODES} nodes already"
            )));
        }
        let source = sources.entry(node.clone()).or_default();
        let mut batch = Batch {
            source: node.as_str().to_owned(),
            at: now,
            changes: Vec::new(),
            whole: None,
            scan: None,
        };
        // One that is not newer still waits for the commit: what it says may be under way.
        if source.is_news(&node, &scan.origin) {
            let statement = Statement::from(&scan);
            batch.changes = source
                .history
                .apply(&statement, now, self.settings.grace_scale);
            batch.whole = source.whole_if_lost();
            batch.scan = Some(KeptScan {
                node: node.as_str().to_owned(),
                received: now,
                bytes,
            });
            source.heard(scan, now);
        }
        let changes = batch.changes.clone();
        let pending = self.store.submit(batch);
        Ok(Step {
            node,
            changes,
            pending,
        })
    }

    /// Waits for the store. What cannot be written is kept in memory, and written whole when the
    /// store can be written again: a full disk must not blind the collector.
    async fn finish(&self, step: Step) {
        match step.pending.written().await {
            Ok(()) => {
                if self.lost.load(Ordering::Relaxed) > 0 && !self.any_lost() {
                    let lost = self.lost.swap(0, Ordering::Relaxed);
                    tracing::warn!(lost, "the store is written again");
                }
            }
            Err(error) => {
                if let Some(source) = self.sources().get_mut(&step.node) {
                    source.lost = true;
                }
                if self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::error!(
                        %error,
                        "findings are kept in memory only, and are lost if the collector ends now"
                    );
                }
            }
        }
        for change in &step.changes {
            tell::change(change);
        }
    }

    fn any_lost(&self) -> bool {
        self.sources().values().any(|source| source.lost)
    }

    /// For ever: marks the nodes that are not heard in time, and writes again what was lost.
    pub(super) async fn listen_for_silence(&self) {
        let mut tick = tokio::time::interval(LISTEN_EVERY);
        loop {
            tick.tick().await;
            let steps = self.silence();
            let any = !steps.is_empty();
            for step in steps {
                self.finish(step).await;
            }
            if any {
                self.changed.notify_one();
            }
        }
    }

    fn silence(&self) -> Vec<Step> {
        let now = Timestamp::now();
        let clock = Instant::now();
        let mut steps = Vec::new();
        for (node, source) in self.sources().iter_mut() {
            let fell_silent = source.falls_silent(clock, self.settings.silent_after);
            if !fell_silent && !source.lost {
                continue;
            }
            let changes = if fell_silent {
                tell::silent(node, source.last_heard);
                source.history.silent(now, &source.why_silent(node))
            } else {
                Vec::new()
            };
            let pending = self.store.submit(Batch {
                source: node.as_str().to_owned(),
                at: now,
                changes: changes.clone(),
                whole: source.whole_if_lost(),
                scan: None,
            });
            steps.push(Step {
                node: node.clone(),
                changes,
                pending,
            });
        }
        steps
    }

    /// The view of this moment.
    pub(super) fn view(&self) -> View {
        let sources = self.sources();
        let nodes: Vec<NodeView> = sources
            .iter()
            .filter_map(|(name, source)| source.view(name))
            .collect();
        let findings = sources
            .values()
            .flat_map(|source| source.history.findings());
        fold(Timestamp::now(), &nodes, findings)
    }

    /// For ever: makes a view when something has changed, at most so often as was set.
    pub(super) async fn publish(&self, views: &watch::Sender<Arc<View>>) {
        loop {
            // Either way a new view is due.
            let _ = tokio::time::timeout(PUBLISH_AT_LEAST, self.changed.notified()).await;
            views.send_replace(Arc::new(self.view()));
            tokio::time::sleep(self.settings.publish_every).await;
        }
    }
}
