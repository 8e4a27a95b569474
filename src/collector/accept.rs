//! Scan → history → store → view: the one writer of what the collector knows.
//!
//! It knows no network. Readers get the view that it publishes, and never look into it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prost::bytes::Bytes;
use tokio::sync::{Notify, watch};

use crate::collector::metrics::Counts;
use crate::collector::source::{Moment, News, Source, contested, contradiction};
use crate::collector::tell;
use crate::fold::fold;
use crate::grpc::Refusal;
use crate::history::{Change, Statement};
use crate::model::facts::ClusterFacts;
use crate::model::names::NodeName;
use crate::model::observed::Listing;
use crate::model::scan::Scan;
use crate::model::view::{NodeView, View};
use crate::rules;
use crate::store::{Batch, Heard, Kept, KeptScan, Pending, Store};

/// Kubernetes itself is made for 5,000 nodes.
const MAX_NODES: usize = 20_000;

/// How often silence is looked for.
const LISTEN_EVERY: Duration = Duration::from_millis(250);

/// How often a view is made at least, so that silences and their ends show.
const PUBLISH_AT_LEAST: Duration = Duration::from_secs(10);

/// The source of what the collector itself says: no node has an empty name.
const CLUSTER: &str = "";

/// How often the rules of the cluster are asked while there is something to tell.
const CLUSTER_EVERY: Duration = Duration::from_secs(1);

/// What an operator set about lives of findings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) grace_scale: f64,
    pub(super) silent_after: u32,
    /// For how long a node is not heard until it is taken to be gone.
    pub(super) forget_after: Duration,
    /// How many reports of one node are taken a minute.
    pub(super) reports_a_minute: u32,
    /// A view is made at most so often, however many reports arrive.
    pub(super) publish_every: Duration,
}

/// Everything the collector knows.
#[derive(Debug)]
pub(super) struct Accept {
    settings: Settings,
    store: Store,
    known: Mutex<Known>,
    changed: Notify,
    counts: Counts,
}

#[derive(Debug)]
struct Known {
    sources: BTreeMap<NodeName, Source>,
    /// What the collector itself says of its nodes.
    cluster: Source,
    cluster_asked: Option<Instant>,
}

impl Known {
    fn source(&mut self, name: &NodeName) -> Option<&mut Source> {
        if name.as_str() == CLUSTER {
            Some(&mut self.cluster)
        } else {
            self.sources.get_mut(name)
        }
    }

    fn all(&self) -> impl Iterator<Item = &Source> {
        self.sources.values().chain([&self.cluster])
    }
}

/// What is done after the lock is released.
pub(super) struct Step {
    source: NodeName,
    pub(super) changes: Vec<Change>,
    pending: Pending,
}

impl Accept {
    /// Goes on where an earlier life ended: nodes are silent when they are not heard in time from now.
    pub(super) fn new(settings: Settings, store: Store, kept: Kept) -> Self {
        let moment = Moment::now();
        let mut sources: BTreeMap<NodeName, Source> = BTreeMap::new();
        for scan in kept.scans {
            if let Some(source) = Source::from_scan(&scan, moment) {
                sources.insert(scan.node.into(), source);
            }
        }
        for heard in kept.heard {
            let node = NodeName::from(heard.node.as_str());
            sources.entry(node).or_default().was_heard(heard);
        }
        let mut known = Known {
            sources,
            cluster: Source::default(),
            cluster_asked: None,
        };
        for (name, findings) in kept.findings {
            if name == CLUSTER {
                known.cluster.remember(findings);
            } else {
                let source = known.sources.entry(NodeName::from(name)).or_default();
                source.remember(findings);
            }
        }
        Self {
            settings,
            store,
            known: Mutex::new(known),
            changed: Notify::new(),
            counts: Counts::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A panic while it was held left nothing half done that the next scan does not mend.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many groups of findings are in memory only, since the store cannot be written.
    pub(super) fn lost(&self) -> u64 {
        self.counts.unwritten.get()
    }

    /// What is counted as it happens.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Takes a scan, with its bytes; ready when what it says is kept.
    pub(super) async fn accept(
        self: &Arc<Self>,
        scan: Scan,
        bytes: Bytes,
        moment: Moment,
    ) -> Result<(), Refusal> {
        contradiction(&scan)?;
        let step = self.apply(scan, bytes, moment)?;
        // A task of its own: when the peer gives up, what was begun is finished all the same.
        let own = Arc::clone(self);
        let finished = tokio::spawn(async move {
            own.finish(step).await;
            own.changed.notify_one();
        });
        finished
            .await
            .map_err(|_| Refusal::Unavailable("the collector is ending".to_owned()))?;
        self.counts.reports.inc();
        Ok(())
    }

    /// The part under the lock: batches of a source are handed to the store in their order.
    pub(super) fn apply(&self, scan: Scan, bytes: Bytes, moment: Moment) -> Result<Step, Refusal> {
        let node = scan.facts.node.clone();
        let settings = &self.settings;
        let mut known = self.known();
        if !known.sources.contains_key(&node) && known.sources.len() >= MAX_NODES {
            return Err(Refusal::Full(format!(
                "this collector knows {MAX_NODES} nodes already"
            )));
        }
        let source = known.sources.entry(node.clone()).or_default();
        if !source.may_report(moment.clock, settings.reports_a_minute) {
            return Err(Refusal::Full(format!(
                "node {node} reports more than {} times a minute",
                settings.reports_a_minute
            )));
        }
        let mut batch = Batch::of(node.as_str(), moment.at);
        // One that is not newer still waits for the commit: what it says may be under way.
        let news = source.news(&scan.origin, moment, settings.silent_after);
        if news != News::Old {
            batch.heard = Some(Heard {
                node: node.as_str().to_owned(),
                received: moment.at,
                origin: scan.origin.clone(),
            });
            batch.scan = source.is_to_be_kept(moment.clock).then(|| KeptScan {
                node: node.as_str().to_owned(),
                received: moment.at,
                bytes,
            });
            batch.changes = take(source, scan, news, moment, settings.grace_scale);
            batch.whole = source.whole_if_lost();
        }
        Ok(self.submit(batch))
    }

    fn submit(&self, batch: Batch) -> Step {
        Step {
            source: NodeName(batch.source.clone().into()),
            changes: batch.changes.clone(),
            pending: self.store.submit(batch),
        }
    }

    /// Waits for the store. What cannot be written is kept in memory, and written whole when the
    /// store can be written again: a full disk must not blind the collector.
    pub(super) async fn finish(&self, step: Step) {
        match step.pending.written().await {
            Ok(()) => {
                if self.lost() > 0 && !self.any_lost() {
                    let lost = self.counts.unwritten.set(0);
                    tracing::warn!(lost, "the store is written again");
                }
            }
            Err(error) => {
                if let Some(source) = self.known().source(&step.source) {
                    source.lost = true;
                }
                if self.counts.unwritten.inc() == 0 {
                    tracing::error!(
                        %error,
                        "findings are kept in memory only, and are lost if the collector ends now"
                    );
                }
            }
        }
        for change in &step.changes {
            self.counts.changed(change);
            tell::change(change);
        }
    }

    fn any_lost(&self) -> bool {
        self.known().all().any(|source| source.lost)
    }

    /// For ever: marks the nodes that are not heard in time, and writes again what was lost.
    pub(super) async fn listen_for_silence(&self) {
        let mut tick = tokio::time::interval(LISTEN_EVERY);
        loop {
            tick.tick().await;
            let steps = self.tick(Moment::now());
            let any = !steps.is_empty();
            for step in steps {
                self.finish(step).await;
            }
            if any {
                self.changed.notify_one();
            }
        }
    }

    /// What time alone changes.
    pub(super) fn tick(&self, moment: Moment) -> Vec<Step> {
        let mut known = self.known();
        let mut steps = self.silence(&mut known, moment);
        steps.extend(self.judge_cluster(&mut known, moment));
        steps
    }

    fn silence(&self, known: &mut Known, moment: Moment) -> Vec<Step> {
        let settings = &self.settings;
        let mut steps = Vec::new();
        known.sources.retain(|node, source| {
            let fell_silent = source.falls_silent(moment.clock, settings.silent_after);
            let gone = source.unheard_for(moment.clock) > settings.forget_after;
            if !fell_silent && !gone && !source.lost {
                return true;
            }
            let mut batch = Batch::of(node.as_str(), moment.at);
            if gone {
                tell::gone(node, source.last_heard);
                batch.changes = source.history.end(moment.at);
                batch.gone = true;
            } else if fell_silent {
                tell::silent(node, source.last_heard);
                let why = source.why_silent(node);
                batch.changes = source.history.silent(moment.at, &why);
            }
            batch.whole = source.whole_if_lost();
            steps.push(self.submit(batch));
            !gone
        });
        steps
    }

    /// What the collector itself has to say; nothing is asked while every node is heard.
    fn judge_cluster(&self, known: &mut Known, moment: Moment) -> Option<Step> {
        let recent = |at: Instant| moment.clock.saturating_duration_since(at) < CLUSTER_EVERY;
        let silent = known.sources.values().any(Source::is_silent);
        let anything = silent || known.cluster.lost || !known.cluster.history.is_empty();
        if !anything || known.cluster_asked.is_some_and(recent) {
            return None;
        }
        known.cluster_asked = Some(moment.clock);
        let nodes = known.sources.iter();
        let facts = ClusterFacts {
            observed_at: moment.at,
            volumes: Listing::default(),
            nodes: Listing::complete(nodes.map(|(name, source)| source.as_heard(name)).collect()),
        };
        let statement = Statement {
            verdicts: &rules::diagnose_cluster(&facts),
            subjects: facts.subjects(),
            observed_at: None,
        };
        let mut batch = Batch::of(CLUSTER, moment.at);
        let history = &mut known.cluster.history;
        batch.changes = history.apply(&statement, moment.at, self.settings.grace_scale);
        batch.whole = known.cluster.whole_if_lost();
        let nothing = batch.changes.is_empty() && batch.whole.is_none();
        (!nothing).then(|| self.submit(batch))
    }

    /// The view of this moment.
    pub(super) fn view(&self, moment: Moment) -> View {
        let known = self.known();
        let nodes: Vec<NodeView> = known
            .sources
            .iter()
            .filter_map(|(name, source)| source.view(name))
            .collect();
        let findings = known.all().flat_map(|source| source.history.findings());
        fold(moment.at, &nodes, findings)
    }

    /// For ever: makes a view when something has changed, at most so often as was set.
    pub(super) async fn publish(&self, views: &watch::Sender<Arc<View>>) {
        loop {
            // Either way a new view is due.
            let _ = tokio::time::timeout(PUBLISH_AT_LEAST, self.changed.notified()).await;
            views.send_replace(Arc::new(self.view(Moment::now())));
            tokio::time::sleep(self.settings.publish_every).await;
        }
    }
}

/// What a scan changes. One of two agents that speak by turns makes everything uncertain.
fn take(
    source: &mut Source,
    mut scan: Scan,
    news: News,
    moment: Moment,
    grace_scale: f64,
) -> Vec<Change> {
    let changes = if news == News::Contested {
        let gap = contested(&scan.facts.node);
        let changes = source.history.silent(moment.at, &gap.what);
        scan.facts.gaps.push(gap);
        changes
    } else {
        let statement = Statement::from(&scan);
        source.history.apply(&statement, moment.at, grace_scale)
    };
    source.heard(scan, moment);
    changes
}
