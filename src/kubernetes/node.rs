//! What one node needs of the API server: its own pods by a watch that the server can select by the
//! node's name, and the claims, volumes and attachments that they name, one by one.
//!
//! Nothing cluster-wide is ever listed or watched here. What was read stays while the server is not
//! heard, and says so when it is too old to be judged by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use jiff::Timestamp;
use kube::Client;
use kube::api::ListParams;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};

use crate::model::names::{NodeName, Uid};
use crate::model::objects::{
    Attachment, Claim, Class, CsiNode, CsiSource, Objects, PersistentVolume, Pod, PodState,
    PodVolumeSource, Stale,
};
use crate::model::observed::{Gap, Listing, Why};

use super::ask;
use super::cache::Cache;
use super::failure::{self, Verb};
use super::kept::{Arrived, Kept, Key, Said};
use super::watch::{First, Watch};

/// Objects under which nothing is under way are asked for anew after half of this to the whole of
/// it. The kubelet asks for each claim and volume about once a minute.
const REFRESH: Duration = Duration::from_mins(10);

/// The own CSINode changes when a driver comes or goes.
const REFRESH_CSI_NODE: Duration = Duration::from_mins(2);

/// So many requests are under way at once.
const AT_ONCE: usize = 4;

/// A pod that has not started after so long is stuck, for the kubelet mounts within seconds.
const STARTS: Duration = Duration::from_secs(20);

/// More than this is not said of one object within an hour.
const MOST_EVENTS: u32 = 100;

/// The API server as a node sees it.
pub struct Node {
    client: Client,
    name: NodeName,
    pods: Watch<Pod>,
    claims: Cache<Arc<Claim>>,
    volumes: Cache<Arc<PersistentVolume>>,
    attachments: Cache<Arc<Attachment>>,
    csi_nodes: Cache<CsiNode>,
    classes: Cache<Arc<Class>>,
    /// What was said of objects under expansion, by namespace and UID.
    said: Cache<Said>,
    /// The pods as they were last time: a change is a reason to look at their claims.
    before: BTreeMap<Uid, Pod>,
}

impl Node {
    /// Begins to watch the pods of this node; must be called inside a tokio runtime.
    pub fn watch(client: Client, name: NodeName) -> Self {
        let fields = format!("spec.nodeName={name}");
        Self {
            pods: Watch::begin(client.clone(), Some(fields), First::Whole),
            client,
            name,
            claims: Cache::new(REFRESH),
            volumes: Cache::new(REFRESH),
            attachments: Cache::new(REFRESH),
            csi_nodes: Cache::new(REFRESH_CSI_NODE),
            classes: Cache::new(REFRESH),
            said: Cache::new(REFRESH),
            before: BTreeMap::new(),
        }
    }

    /// All objects that matter here, as far as they are known within this time.
    pub async fn objects(&mut self, patience: Duration) -> Objects {
        let deadline = Instant::now() + patience;
        // Without an answer the index says so itself.
        let _ = timeout_at(deadline, self.pods.first()).await;
        let (pods, reachable, stale) = {
            let now = Timestamp::now();
            let index = self.pods.index();
            (index.listing(now), index.is_reachable(), index.stale(now))
        };
        self.name_claims(&pods.items);
        // One request that waits for the server's return is enough; the watch is that one.
        if reachable {
            self.ask(&pods.items, deadline).await;
        }
        self.put_together(pods, stale)
    }

    /// Which claims the pods name; those of new and changed pods are asked for anew.
    fn name_claims(&mut self, pods: &[Pod]) {
        let now = Instant::now();
        let named = pods.iter().flat_map(claims_of).collect();
        self.claims.name(&named, now);
        let own = BTreeSet::from([key("", self.name.as_str())]);
        self.csi_nodes.name(&own, now);
        let mut before = std::mem::take(&mut self.before);
        for pod in pods {
            if before.remove(&pod.pod.uid).as_ref() != Some(pod) {
                for claim in claims_of(pod) {
                    self.claims.doubt(&claim, now);
                }
            }
            self.before.insert(pod.pod.uid.clone(), pod.clone());
        }
    }

    /// Asks for what is due: claims first, since they name volumes, and volumes name attachments.
    async fn ask(&mut self, pods: &[Pod], deadline: Instant) {
        let own = fetch(&self.client, &mut self.csi_nodes, deadline);
        let claims = fetch(&self.client, &mut self.claims, deadline);
        let (_, asked) = tokio::join!(own, claims);

        let now = Instant::now();
        let named = pods.iter().flat_map(claims_of);
        let bound = named.filter_map(|claim| Some((volume_of(self.claims.get(&claim)?)?, claim)));
        let bound: Vec<(Key, Key)> = bound.collect();
        self.volumes.name(
            &bound.iter().map(|(volume, _)| volume.clone()).collect(),
            now,
        );
        for (volume, _) in bound.iter().filter(|(_, claim)| asked.contains(claim)) {
            // Sizes of both are compared: they must be of one time.
            self.volumes.doubt(volume, now);
        }
        self.name_said(pods, now);
        let said = fetch_said(&self.client, &mut self.said, deadline);
        let classes = fetch(&self.client, &mut self.classes, deadline);
        let volumes = fetch(&self.client, &mut self.volumes, deadline);
        tokio::join!(said, classes, volumes);

        let now = Instant::now();
        let sources = bound.iter().filter_map(|(volume, claim)| {
            let source = self.volumes.get(volume)?.csi.as_ref()?;
            Some((key("", &attachment_name(source, &self.name)), claim))
        });
        let sources: Vec<(Key, &Key)> = sources.collect();
        self.attachments
            .name(&sources.iter().map(|(name, _)| name.clone()).collect(), now);
        for (name, _) in sources.iter().filter(|(_, claim)| asked.contains(*claim)) {
            self.attachments.doubt(name, now);
        }
        fetch(&self.client, &mut self.attachments, deadline).await;
        self.rest_unattached(pods, &sources);
    }

    /// Which classes the claims name; and of which objects events are asked for: claims under
    /// expansion and their pods, and pods that should have started by now, only while it is so.
    fn name_said(&mut self, pods: &[Pod], now: Instant) {
        let mut classes = BTreeSet::new();
        let mut said = BTreeSet::new();
        let late = Timestamp::now() - STARTS;
        for pod in pods {
            if pod.state == PodState::Starting && pod.started.is_none_or(|since| since < late) {
                said.insert(key(&pod.pod.namespace, pod.pod.uid.as_str()));
            }
            for claim in claims_of(pod).filter_map(|claim| self.claims.get(&claim)) {
                classes.extend(claim.class.as_ref().map(|class| key("", class.as_str())));
                if claim.bound && !claim.is_settled() {
                    let of = [&claim.claim.uid, &pod.pod.uid];
                    said.extend(of.map(|uid| key(&pod.pod.namespace, uid.as_str())));
                }
            }
        }
        self.classes.name(&classes, now);
        self.said.name(&said, now);
    }

    /// Many drivers have no attachments: those of pods that run are not waited for.
    fn rest_unattached(&mut self, pods: &[Pod], sources: &[(Key, &Key)]) {
        let starting = pods.iter().filter(|pod| pod.state == PodState::Starting);
        let waited_for: BTreeSet<Key> = starting.flat_map(claims_of).collect();
        let now = Instant::now();
        for (name, claim) in sources {
            if self.attachments.get(name).is_none() && !waited_for.contains(*claim) {
                self.attachments.rest(name, now);
            }
        }
    }

    fn put_together(&self, pods: Listing<Pod>, silent: Option<Gap>) -> Objects {
        let now = Timestamp::now();
        // While the server is not heard nothing is asked for, and so nothing else grows old by itself.
        let unheard = silent.clone().filter(|_| !self.pods.index().is_reachable());
        let or_unheard = |stale: Option<Gap>| stale.or_else(|| unheard.clone());
        let stale = Stale {
            claims: or_unheard(self.claims.stale(now)),
            volumes: or_unheard(self.volumes.stale(now)),
            attachments: or_unheard(self.attachments.stale(now)),
            pods: silent,
        };
        let csi_nodes = match or_unheard(self.csi_nodes.stale(now)) {
            // Who expects a driver is not told by what may have changed.
            Some(gap) => Listing::unknown(gap),
            None => self.csi_nodes.listing(now),
        };
        let said = self.said.listing(now);
        Objects {
            pods,
            claims: with(self.claims.listing(now), stale.claims.as_ref()),
            volumes: with(self.volumes.listing(now), stale.volumes.as_ref()),
            attachments: with(self.attachments.listing(now), stale.attachments.as_ref()),
            csi_nodes,
            nodes: Listing::unknown(Gap::new(Why::NotAsked, "a node knows itself")),
            classes: self.classes.listing(now),
            events: Listing {
                items: said.items.into_iter().flat_map(|said| said.0).collect(),
                gaps: said.gaps,
            },
            stale,
        }
    }
}

/// A list with one more gap, unless it is there.
fn with<M>(mut listing: Listing<M>, gap: Option<&Gap>) -> Listing<M> {
    if let Some(gap) = gap.filter(|gap| !listing.gaps.contains(gap)) {
        listing.gaps.push(gap.clone());
    }
    listing
}

/// Asks for all that is due, some at once, none beyond the deadline; gives what was answered.
async fn fetch<M: Kept>(client: &Client, cache: &mut Cache<M>, deadline: Instant) -> BTreeSet<Key> {
    let due = cache.due(Instant::now());
    let answers = stream::iter(due).map(|(key, version)| async move {
        let answer = timeout_at(deadline, ask::get::<M>(client, &key, version)).await;
        (
            key,
            answer.unwrap_or_else(|_| Err(failure::timed_out::<M>(Verb::Get))),
        )
    });
    let answers: Vec<_> = answers.buffer_unordered(AT_ONCE).collect().await;
    let now = (Timestamp::now(), Instant::now());
    let mut answered = BTreeSet::new();
    for (key, answer) in answers {
        cache.put(&key, answer, now);
        answered.insert(key);
    }
    answered
}

/// The same for events: a list of those about one object, in its namespace.
async fn fetch_said(client: &Client, cache: &mut Cache<Said>, deadline: Instant) {
    let answers = stream::iter(cache.due(Instant::now())).map(|(key, _)| async move {
        let answer = timeout_at(deadline, said(client, &key)).await;
        let late = |_| Err(failure::timed_out::<Said>(Verb::List));
        (key, answer.unwrap_or_else(late))
    });
    let answers: Vec<_> = answers.buffer_unordered(AT_ONCE).collect().await;
    let now = (Timestamp::now(), Instant::now());
    for (key, answer) in answers {
        cache.put(&key, answer, now);
    }
}

/// What was said of one object; what cannot be read of it is left out.
async fn said(client: &Client, (namespace, uid): &Key) -> Result<Option<Arrived<Said>>, Gap> {
    let params = ListParams::default()
        .fields(&format!("involvedObject.uid={uid}"))
        .limit(MOST_EVENTS);
    let page = ask::page::<Said>(client, namespace, &params).await;
    let page = page.map_err(|error| failure::gap::<Said>(Verb::List, &error))?;
    let events = page.items.unwrap_or_default().into_iter();
    let events = events.filter_map(|event| event.object.ok());
    Ok(Some(Arrived {
        key: key(namespace, uid),
        version: String::new(),
        object: Ok(Said(events.flat_map(|said| said.0).collect())),
    }))
}

fn key(namespace: &str, name: &str) -> Key {
    (namespace.to_owned(), name.to_owned())
}

fn claims_of(pod: &Pod) -> impl Iterator<Item = Key> {
    pod.volumes
        .iter()
        .filter_map(|volume| match &volume.source {
            PodVolumeSource::Claim(name) => Some(key(&pod.pod.namespace, name)),
            PodVolumeSource::InlineCsi(_) => None,
        })
}

fn volume_of(claim: &Claim) -> Option<Key> {
    claim.volume.as_ref().map(|volume| key("", volume.as_str()))
}

/// The name that the attach controller and the kubelet compute alike (`getAttachmentName`,
/// `pkg/volume/csi/csi_attacher.go`).
pub(super) fn attachment_name(source: &CsiSource, node: &NodeName) -> String {
    let named = format!("{}{}{node}", source.handle, source.driver);
    format!("csi-{:x}", Sha256::digest(named))
}
