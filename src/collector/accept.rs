//! Scan → history → store → view: the one writer of what the collector knows.
//!
//! It knows no network. Readers get the view that it publishes, and never look into it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use prost::bytes::Bytes;
use tokio::sync::{Notify, watch};

use crate::collector::metrics::Counts;
use crate::collector::packed;
use crate::collector::source::{Moment, News, Source, contested, contradiction};
use crate::collector::tell;
use crate::fold::fold;
use crate::grpc::Refusal;
use crate::history::{Change, Statement};
use crate::model::brief::Brief;
use crate::model::facts::ClusterFacts;
use crate::model::finding::State;
use crate::model::names::NodeName;
use crate::model::observed::Listing;
use crate::model::scan::Scan;
use crate::model::view::{ClusterView, Ended, NodeView, View};
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

/// For how long it is remembered what ended, and how many at most.
const ENDED_FOR: SignedDuration = SignedDuration::from_hours(1);
const MAX_ENDED: usize = 10_000;

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
    /// What the collector itself says.
    cluster: Source,
    /// What it sees of the cluster, in short.
    view: Arc<ClusterView>,
    /// What was open and ended, the latest last.
    ended: VecDeque<Arc<Ended>>,
}

impl Known {
    fn source(&mut self, name: &NodeName) -> Option<&mut Source> {
        if name.as_str() == CLUSTER {
            Some(&mut self.cluster)
        } else {
            self.sources.get_mut(name)
        }
    }

    /// Remembers for a while what ends.
    fn note_ends(&mut self, changes: &[Change], now: Timestamp) {
        let is_old = |one: &Arc<Ended>| now.duration_since(one.at) > ENDED_FOR;
        while self.ended.front().is_some_and(is_old) {
            self.ended.pop_front();
        }
        for change in changes {
            let finding = &change.finding;
            if let (State::Resolved { at, how }, Some(_)) = (&finding.state, finding.opened) {
                if self.ended.len() == MAX_ENDED {
                    self.ended.pop_front();
                }
                self.ended.push_back(Arc::new(Ended {
                    key: finding.key.clone(),
                    at: *at,
                    how: *how,
                }));
            }
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
        let mut cluster = Source::default();
        for (name, findings) in kept.findings {
            if name == CLUSTER {
                cluster.remember(findings);
            } else {
                let source = sources.entry(NodeName::from(name)).or_default();
                source.remember(findings);
            }
        }
        for scan in kept.scans {
            let node = NodeName::from(scan.node.as_str());
            sources.entry(node).or_default().recall(&scan, moment);
        }
        for heard in kept.heard {
            let node = NodeName::from(heard.node.as_str());
            sources.entry(node).or_default().was_heard(heard);
        }
        let known = Known {
            sources,
            cluster,
            view: Arc::default(),
            ended: VecDeque::new(),
        };
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
        let step = self.apply(&scan, packed::pack(&bytes), moment)?;
        // Not kept while the store writes.
        drop((scan, bytes));
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
    pub(super) fn apply(
        &self,
        scan: &Scan,
        packed: Arc<[u8]>,
        moment: Moment,
    ) -> Result<Step, Refusal> {
        let node = scan.facts.node.clone();
        let mut brief = Brief::of(scan);
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
                packed: Arc::clone(&packed),
            });
            batch.changes = take(source, scan, news, moment, settings.grace_scale);
            if news == News::Contested {
                brief.gaps.insert(contested(&node));
            }
            source.heard(scan, brief, packed, moment);
            batch.whole = source.whole_if_lost();
            known.note_ends(&batch.changes, moment.at);
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

    /// Ready when all that was known when this was called is written, or cannot be.
    pub(super) async fn written(&self) {
        let nothing = Batch::of(CLUSTER, Timestamp::now());
        // One writer takes everything in its order; what it could not write is told elsewhere.
        let _ = self.store.submit(nothing).written().await;
    }

    /// A new view is due.
    pub(super) fn has_changed(&self) {
        self.changed.notify_one();
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
        let settings = &self.settings;
        let mut steps = Vec::new();
        known.sources.retain(|node, source| {
            let fell_silent = source.falls_silent(moment.clock, settings.silent_after);
            let gone = source.is_gone(moment.clock, settings.forget_after);
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
        for step in &steps {
            known.note_ends(&step.changes, moment.at);
        }
        steps
    }

    /// The nodes whose agents are heard.
    pub(super) fn heard_nodes(&self) -> BTreeSet<NodeName> {
        let known = self.known();
        let heard = known.sources.iter().filter(|(_, one)| !one.is_silent());
        heard.map(|(name, _)| name.clone()).collect()
    }

    /// Whether time alone may change what the collector itself says.
    pub(super) fn has_to_tell(&self) -> bool {
        let known = self.known();
        let own = &known.cluster;
        own.lost || !own.history.is_empty() || known.sources.values().any(Source::is_silent)
    }

    /// What the collector itself has to say of the cluster and of the nodes.
    pub(super) fn judge(
        &self,
        mut facts: ClusterFacts,
        view: ClusterView,
        moment: Moment,
    ) -> Option<Step> {
        let nodes = {
            let known = self.known();
            let nodes = known.sources.iter();
            nodes.map(|(name, source)| source.as_heard(name)).collect()
        };
        facts.nodes = Listing::complete(nodes);
        let statement = Statement {
            verdicts: &rules::diagnose_cluster(&facts),
            subjects: facts.subjects(),
            observed_at: None,
        };
        let mut known = self.known();
        for (name, source) in &mut known.sources {
            source.look_up(name, &facts.standing);
        }
        if *known.view != view {
            known.view = Arc::new(view);
            self.changed.notify_one();
        }
        let mut batch = Batch::of(CLUSTER, moment.at);
        let history = &mut known.cluster.history;
        batch.changes = history.apply(&statement, moment.at, self.settings.grace_scale);
        batch.whole = known.cluster.whole_if_lost();
        known.note_ends(&batch.changes, moment.at);
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
        View {
            ended: known.ended.iter().cloned().collect(),
            ..fold(moment.at, &nodes, &known.view, findings)
        }
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
    scan: &Scan,
    news: News,
    moment: Moment,
    grace_scale: f64,
) -> Vec<Change> {
    if news == News::Contested {
        let gap = contested(&scan.facts.node);
        source.history.silent(moment.at, &gap.what)
    } else {
        let statement = Statement::from(scan);
        source.history.apply(&statement, moment.at, grace_scale)
    }
}
