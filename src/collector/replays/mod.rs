//! Days in the life of a cluster, told to the collector's real intake by a clock that is given:
//! what is open at every moment, and that nothing is left behind.

mod kubelet;
mod lives;
mod year;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::collector::accept::{Accept, Settings};
use crate::collector::objects::nothing;
use crate::collector::source::Moment;
use crate::model::facts::NodeFacts;
use crate::model::mount::Mount;
use crate::model::names::NodeName;
use crate::model::objects::PodState;
use crate::model::observed::{Gap, Observed, Why};
use crate::model::sample;
use crate::model::scan::{Origin, Scan};
use crate::model::view::{ClusterView, View};
use crate::rules;
use crate::store::{Kept, Location, Store};

const INTERVAL: i64 = 30;

/// A collector, and the agents that speak to it.
struct Cluster {
    accept: Accept,
    begun: Moment,
    sequences: BTreeMap<String, u64>,
    /// The time of day, in seconds.
    second: i64,
    /// The nodes that the API server has, where it is asked.
    standing: Option<BTreeSet<NodeName>>,
}

impl Cluster {
    fn new() -> Self {
        let settings = Settings {
            grace_scale: 1.0,
            silent_after: 3,
            forget_after: Duration::from_hours(24),
            reports_a_minute: 600,
            publish_every: Duration::ZERO,
        };
        let (store, _, _) = Store::open(&Location::Memory).unwrap();
        Self {
            accept: Accept::new(settings, store, Kept::default()),
            begun: Moment {
                at: sample::noon(),
                clock: Instant::now(),
            },
            sequences: BTreeMap::new(),
            second: 0,
            standing: None,
        }
    }

    fn now(&self) -> Moment {
        Moment {
            at: self.begun.at + SignedDuration::from_secs(self.second),
            clock: self.begun.clock + Duration::from_secs(self.second.unsigned_abs()),
        }
    }

    fn report(&mut self, life: &str, facts: NodeFacts) {
        let sequence = self.sequences.entry(life.to_owned()).or_default();
        *sequence += 1;
        let scan = Scan {
            origin: Origin {
                instance: life.to_owned(),
                sequence: *sequence,
            },
            version: "0".into(),
            interval: Duration::from_secs(INTERVAL.unsigned_abs()),
            took: Duration::ZERO,
            verdicts: rules::diagnose_node(&facts),
            facts,
        };
        let now = self.now();
        drop(self.accept.apply(&scan, Arc::default(), now).unwrap());
    }

    /// Until this second, with all that time alone changes.
    fn wait(&mut self, second: i64) {
        while self.second < second {
            self.second = second.min(self.second + 10);
            drop(self.accept.tick(self.now()));
            let mut facts = nothing(self.now().at);
            if let Some(standing) = &self.standing {
                facts.standing = Observed::Known(standing.clone());
            }
            let view = ClusterView::default();
            drop(self.accept.judge(facts, view, self.now()));
        }
    }

    fn view(&self) -> View {
        self.accept.view(self.now())
    }

    /// The stories that count, one line each.
    fn counted(&self) -> String {
        let mut text = String::new();
        for story in self.view().stories.iter().filter(|story| story.counts()) {
            let key = &story.finding.key;
            let state = story.finding.state.as_str();
            let (places, explains) = (story.places.len(), story.explains.len());
            let _ = writeln!(
                text,
                "{state} {}: {}, {places} nodes, {explains} explained",
                key.code, key.subject.object
            );
        }
        text
    }

    fn is_quiet(&self) {
        assert_eq!(self.counted(), "", "at {} s", self.second);
    }

    fn is_as_if_nothing_had_been(&self) {
        assert_eq!(self.view().stories, [], "at {} s", self.second);
    }
}

/// The sample node under this name, seen now.
fn node(name: &str, at: Timestamp) -> NodeFacts {
    let mut facts = sample::node();
    facts.node = name.into();
    facts.observed_at = at;
    facts
}

/// Its driver does not answer.
fn without_driver(mut facts: NodeFacts) -> NodeFacts {
    let gap = Gap::new(Why::Unavailable, "connection refused");
    facts.drivers.items[0].plugin = Observed::Unknown(gap.clone());
    facts.volumes.items[0].stats = Observed::Unknown(gap);
    facts
}

/// Its pod comes up, and nothing is mounted yet.
fn with_starting_pod(mut facts: NodeFacts) -> NodeFacts {
    let volume = &mut facts.volumes.items[0];
    volume.staged = Observed::Known(None);
    let published = &mut volume.published[0];
    published.state = Observed::Known(PodState::Starting);
    published.mount = Observed::Known(None);
    let gap = Gap::new(Why::NotFound, "nothing is mounted there");
    published.usage = Observed::Unknown(gap);
    facts
}

#[test]
fn a_node_that_reboots_is_no_finding() {
    for down in [120, 540] {
        let mut cluster = Cluster::new();
        let healthy = |cluster: &Cluster| node("n1", cluster.now().at);
        for second in [0, 30, 60] {
            cluster.wait(second);
            let facts = healthy(&cluster);
            cluster.report("before", facts);
            cluster.is_quiet();
        }
        cluster.wait(90);
        let facts = without_driver(healthy(&cluster));
        cluster.report("before", facts);
        for second in (90..90 + down).step_by(10) {
            cluster.wait(second);
            cluster.is_quiet();
        }
        let boots = 90 + down;
        for second in (boots..boots + 90).step_by(30) {
            cluster.wait(second);
            let facts = with_starting_pod(without_driver(healthy(&cluster)));
            cluster.report("after", facts);
            cluster.is_quiet();
        }
        cluster.wait(boots + 90);
        let facts = healthy(&cluster);
        cluster.report("after", facts);
        cluster.is_as_if_nothing_had_been();
        cluster.wait(boots + 170);
        cluster.is_as_if_nothing_had_been();
    }
}

#[test]
fn a_driver_that_rolls_out_is_no_finding() {
    let mut cluster = Cluster::new();
    // Node after node is without its plugin for two minutes; then all of it again, backwards.
    let without = |second: i64| usize::try_from(second / 120).unwrap_or(0) % 10;
    for second in (0..2400).step_by(30) {
        cluster.wait(second);
        for index in 0..10 {
            let facts = node(&format!("n{index}"), cluster.now().at);
            let away = if second < 1200 {
                without(second) == index
            } else {
                9 - without(second) == index
            };
            let facts = if away { without_driver(facts) } else { facts };
            cluster.report(&format!("life-{index}"), facts);
            cluster.is_quiet();
        }
    }
    cluster.wait(2400);
    for index in 0..10 {
        let facts = node(&format!("n{index}"), cluster.now().at);
        cluster.report(&format!("life-{index}"), facts);
    }
    cluster.is_as_if_nothing_had_been();
}

const NODES: usize = 50;
const PODS: usize = 8;

/// A node of an NFS server, each pod with a claim of its own; `hang` of its mounts do not answer.
fn nfs_node(index: usize, hang: usize, since: Timestamp, at: Timestamp) -> NodeFacts {
    let mut facts = node(&format!("n{index:02}"), at);
    let healthy = facts.volumes.items.remove(0);
    for pod in 0..PODS {
        let mut volume = healthy.clone();
        let claim = Arc::make_mut(volume.claim.as_mut().unwrap());
        claim.claim.name = format!("data-{index}-{pod}").into();
        claim.claim.uid = format!("uid-{index}-{pod}").into();
        let mount = |mount: &mut Observed<Option<Mount>>| {
            if let Observed::Known(Some(mount)) = mount {
                mount.fs_type = "nfs4".into();
                mount.source = format!("nfs-1.example.com:/data/{index}/{pod}").into();
                mount.device.major = 0;
            }
        };
        volume.staged = Observed::Known(None);
        mount(&mut volume.published[0].mount);
        if pod < hang {
            let gap = Gap::new(Why::TimedOut, "no answer within 5s").since(since);
            volume.published[0].usage = Observed::Unknown(gap.clone());
            volume.stats = Observed::Unknown(gap);
        }
        facts.volumes.items.push(volume);
    }
    facts
}

#[test]
fn an_outage_seen_by_fifty_nodes_is_one_finding() {
    let mut cluster = Cluster::new();
    let (begins, ends) = (60, 600);
    let mut opened = None;
    for second in 0..800 {
        cluster.wait(second);
        // Each node has its own beat.
        let beat = usize::try_from(second % INTERVAL).unwrap();
        for index in (0..NODES).filter(|index| index % 30 == beat) {
            let now = cluster.now().at;
            let since = cluster.begun.at + SignedDuration::from_secs(begins);
            // Not all mounts are touched at once, and not all come back at once.
            let hang = match second {
                second if second < begins => 0,
                second if second < begins + 30 => 3,
                second if second < ends => PODS,
                second if second < ends + 30 => 2,
                _ => 0,
            };
            cluster.report(&format!("life-{index}"), nfs_node(index, hang, since, now));
        }
        // Every third moment: a view of all this takes a while where nothing is optimised.
        if second % 3 != 0 {
            continue;
        }
        let view = cluster.view();
        let counted: Vec<_> = view.stories.iter().filter(|one| one.counts()).collect();
        if counted.is_empty() {
            assert!(second < begins + 60 || second >= ends, "at {second} s");
            continue;
        }
        assert_eq!(counted.len(), 1, "at {second} s: {}", cluster.counted());
        let key = &counted[0].finding.key;
        if key.subject.object.kind() == "server" {
            // It stays the same story from its first moment to its last.
            assert_eq!(key.subject.object.name(), "nfs-1.example.com");
            let first = *opened.get_or_insert(counted[0].finding.opened);
            assert!(counted[0].finding.opened >= first);
        }
        if second == 300 {
            assert_eq!(counted[0].places.len(), NODES);
            assert_eq!(counted[0].explains.len(), NODES * PODS);
        }
    }
    cluster.is_as_if_nothing_had_been();
}
