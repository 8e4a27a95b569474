//! What the whole cluster has of storage: one list and one watch of each kind, for the one program
//! that looks at all of it.
//!
//! Nothing is said of it before each kind has answered once or failed, so that what is late is not
//! taken for what is missing.

use std::sync::Arc;

use jiff::Timestamp;
use kube::Client;

use crate::model::names::NodeName;
use crate::model::objects::{Attachment, Claim, Class, Objects, PersistentVolume, Stale};
use crate::model::observed::{Gap, Listing, Why};

use super::kept::{Kept, PodInShort, Said};
use super::list::ABOUT_CLAIMS;
use super::watch::{First, Watch};

/// The API server as the collector sees it.
pub struct Cluster {
    pods: Watch<PodInShort>,
    claims: Watch<Arc<Claim>>,
    volumes: Watch<Arc<PersistentVolume>>,
    attachments: Watch<Arc<Attachment>>,
    classes: Watch<Arc<Class>>,
    nodes: Watch<NodeName>,
    events: Watch<Said>,
}

impl Cluster {
    /// Begins to watch; must be called inside a tokio runtime.
    pub fn watch(client: &Client) -> Self {
        fn all<M: Kept>(client: &Client) -> Watch<M> {
            Watch::begin(client.clone(), None, First::InPages)
        }
        // Those of pods are many, and their nodes' agents hear them.
        let about = Some(ABOUT_CLAIMS.to_owned());
        Self {
            pods: all(client),
            claims: all(client),
            volumes: all(client),
            attachments: all(client),
            classes: all(client),
            nodes: all(client),
            events: Watch::begin(client.clone(), about, First::InPages),
        }
    }

    /// Another number whenever objects may be other ones than before; time alone makes them stale.
    pub fn revision(&self) -> u64 {
        // Each only grows, and so does their sum. Nodes are written all the time, and are asked about
        // only while one is silent.
        [
            self.pods.index().revision(),
            self.claims.index().revision(),
            self.volumes.index().revision(),
            self.attachments.index().revision(),
            self.classes.index().revision(),
            self.events.index().revision(),
        ]
        .iter()
        .sum()
    }

    /// Whether each kind has answered once, or failed.
    pub fn is_ready(&self) -> bool {
        [
            self.pods.is_tried(),
            self.claims.is_tried(),
            self.volumes.is_tried(),
            self.attachments.is_tried(),
            self.classes.is_tried(),
            self.nodes.is_tried(),
            self.events.is_tried(),
        ]
        .iter()
        .all(|tried| *tried)
    }

    /// All objects at this moment.
    pub fn objects(&self) -> Objects {
        if !self.is_ready() {
            let what = "list the cluster's objects: no answer yet";
            return Objects::unknown(&Gap::new(Why::TimedOut, what));
        }
        let now = Timestamp::now();
        let (pods, claims, volumes) =
            (self.pods.index(), self.claims.index(), self.volumes.index());
        let attachments = self.attachments.index();
        let stale = Stale {
            pods: pods.stale(now),
            claims: claims.stale(now),
            volumes: volumes.stale(now),
            attachments: attachments.stale(now),
        };
        let what = "CSINodes are not watched for the whole cluster: each agent reads its own";
        Objects {
            pods: each(pods.listing(now), |pod| [pod.0]),
            claims: claims.listing(now),
            volumes: volumes.listing(now),
            attachments: attachments.listing(now),
            csi_nodes: Listing::unknown(Gap::new(Why::NotAsked, what)),
            nodes: self.nodes.index().listing(now),
            classes: self.classes.index().listing(now),
            events: each(self.events.index().listing(now), |said| said.0),
            stale,
        }
    }
}

/// What is in each item of a list.
fn each<M, I, T>(listing: Listing<M>, inside: impl Fn(M) -> I) -> Listing<T>
where
    I: IntoIterator<Item = T>,
{
    Listing {
        items: listing.items.into_iter().flat_map(inside).collect(),
        gaps: listing.gaps,
    }
}
