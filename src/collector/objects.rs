//! What the collector sees itself: the cluster's objects, judged when they change.
//!
//! Each agent knows its node; what no pod uses, and what no node can tell, is known here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::time::MissedTickBehavior;

use crate::collector::accept::Accept;
use crate::collector::args::Args;
use crate::collector::source::Moment;
use crate::join;
use crate::kubernetes::client;
use crate::kubernetes::cluster::Cluster;
use crate::kubernetes::events::Events;
use crate::kubernetes::manifests::Directory;
use crate::model::facts::ClusterFacts;
use crate::model::observed::{Gap, Why};
use crate::model::view::ClusterView;

/// How often it is looked whether anything has changed.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often the rules are asked while there is something to tell: problems grow old.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How often they are asked at least: objects grow old without a sign.
const ASK_AT_LEAST: Duration = Duration::from_secs(10);

/// After changes the rules rest for so many times as long as they took, and otherwise for so many:
/// a large cluster that never stands still must not keep a core busy.
const REST: [u32; 2] = [5, 50];

/// Where the cluster's objects come from.
pub enum Source {
    /// The API server.
    Api(Box<Cluster>),
    /// Files, and how often they have changed.
    Manifests(Directory, u64),
    /// Nowhere: only what agents tell is known.
    Nowhere,
}

impl Source {
    /// The source that the arguments name; without a name the API server of the pod that we are in,
    /// with Events unless they are off.
    pub(super) async fn open(args: &Args) -> anyhow::Result<(Self, Option<Events>)> {
        if let Some(directory) = &args.manifests {
            return Ok((directory.clone().into(), None));
        }
        if args.kubeconfig.is_none() && !client::is_in_cluster() {
            return Ok((Self::Nowhere, None));
        }
        let client = client::connect(args.kubeconfig.as_deref(), "csi-doctor-collector")
            .await
            .context("finding the API server")?;
        let objects = Self::Api(Box::new(Cluster::watch(&client)));
        let events = args.events.then(|| Events::new(client, &instance()));
        Ok((objects, events))
    }

    /// Another number when objects may be other ones than before.
    fn revision(&mut self) -> u64 {
        match self {
            Self::Api(cluster) => cluster.revision(),
            Self::Manifests(directory, changes) => {
                *changes += u64::from(directory.read_if_changed().is_some());
                *changes
            }
            Self::Nowhere => 0,
        }
    }

    /// The facts of this moment, and what is shown of them. It takes a while.
    fn facts(&mut self, accept: &Accept) -> (ClusterFacts, ClusterView) {
        let now = Timestamp::now();
        let objects = match self {
            Self::Api(cluster) => cluster.objects(),
            Self::Manifests(directory, _) => directory.read(),
            Self::Nowhere => return (nothing(now), ClusterView::default()),
        };
        let mut view = ClusterView {
            objects: objects.counts(),
            gaps: objects.gaps(),
            silences: Vec::new(),
        };
        let facts = join::cluster(&objects, &accept.heard_nodes(), now);
        let claims = facts.volumes.items.iter();
        let claims = claims.filter_map(|volume| volume.claim.as_ref());
        let waiting = facts.binding.claims.items.iter();
        let claims = claims.chain(waiting.map(|one| &one.claim));
        view.silences = claims
            .filter_map(|claim| Some((claim.claim.clone(), claim.silence.clone()?)))
            .collect();
        (facts, view)
    }
}

/// Which of the collectors this is: its pod, or its machine.
fn instance() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    if host.is_empty() {
        "csi-doctor-collector".to_owned()
    } else {
        host
    }
}

impl From<PathBuf> for Source {
    fn from(directory: PathBuf) -> Self {
        Self::Manifests(Directory::new(directory), 0)
    }
}

/// What is known of objects from nowhere: what was said of them in an earlier life stays uncertain.
pub(super) fn nothing(at: Timestamp) -> ClusterFacts {
    let what = "no source of the cluster's objects is configured: neither --kubeconfig nor --manifests is given, and this is no pod";
    ClusterFacts::unknown(at, Gap::new(Why::NotAsked, what))
}

/// When the rules were asked last, and how long that took.
struct Asked {
    revision: u64,
    at: Instant,
    took: Duration,
}

impl Asked {
    /// Whether they are to be asked again.
    fn is_due(&self, revision: u64, anything: bool) -> bool {
        let [changed, unchanged] = REST.map(|times| self.took * times);
        let pause = match (revision != self.revision, anything) {
            (true, _) => changed,
            (false, true) => unchanged.max(ASK_EVERY),
            (false, false) => unchanged.max(ASK_AT_LEAST),
        };
        self.at.elapsed() >= pause
    }
}

/// For ever: has the cluster judged when its objects change, and while there is something to tell.
pub(super) async fn judge(accept: Arc<Accept>, mut source: Source) -> anyhow::Result<()> {
    let mut asked: Option<Asked> = None;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let revision = source.revision();
        let anything = accept.has_to_tell();
        let due = asked
            .as_ref()
            .is_none_or(|asked| asked.is_due(revision, anything));
        let nothing_to_see = matches!(source, Source::Nowhere) && !anything;
        if !due || nothing_to_see {
            continue;
        }
        let at = Instant::now();
        let own = Arc::clone(&accept);
        // Tens of thousands of objects take long enough to hold up what else this thread does.
        let judged = tokio::task::spawn_blocking(move || {
            let (facts, view) = source.facts(&own);
            (own.judge(facts, view, Moment::now()), source)
        });
        let (step, returned) = judged.await.context("judging the cluster")?;
        source = returned;
        if let Some(step) = step {
            accept.finish(step).await;
            accept.has_changed();
        }
        asked = Some(Asked {
            revision,
            at: Instant::now(),
            took: at.elapsed(),
        });
    }
}
