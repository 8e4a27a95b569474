//! What one caller may read, once: for the command line with the API server alone.
//!
//! Whatever the caller may not read is a gap that names the verb, and the rest is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::api::ListParams;
use tokio::time::timeout;

use crate::model::objects::{Attachment, Claim, Class, Event, Objects, PersistentVolume, Stale};
use crate::model::observed::{Gap, Listing, Why};

use super::ask::{self, PAGE};
use super::failure::{self, Verb};
use super::index::unreadable;
use super::kept::{Kept, Key, PodInShort, Said};

/// An API server that takes longer for one answer is not waited for.
const ANSWER: Duration = Duration::from_secs(20);

/// Events are asked for about claims alone.
pub(super) const ABOUT_CLAIMS: &str = "involvedObject.kind=PersistentVolumeClaim";

/// Is told how many objects more of a resource have come.
pub type Told<'a> = &'a (dyn Fn(usize) + Sync);

/// Which objects of a list are wanted: all, but for what is named here.
#[derive(Debug, Clone, Copy, Default)]
struct Selection<'a> {
    fields: Option<&'a str>,
    labels: Option<&'a str>,
}

impl<'a> Selection<'a> {
    fn of_fields(fields: Option<&'a str>) -> Self {
        Self {
            fields,
            labels: None,
        }
    }
}

/// All storage of the cluster, or all that is in one namespace and what has none; of claims those with
/// such labels, where some are named.
pub async fn everything(
    client: &Client,
    namespace: Option<&str>,
    labels: Option<&str>,
    told: Told<'_>,
) -> Objects {
    let labels = Selection {
        labels,
        ..Selection::default()
    };
    let about_claims = Selection::of_fields(Some(ABOUT_CLAIMS));
    let all = Selection::default();
    let namespace = namespace.unwrap_or_default();
    let (pods, claims, volumes, classes, events) = tokio::join!(
        pages::<PodInShort>(client, namespace, all, told),
        pages::<Arc<Claim>>(client, namespace, labels, told),
        pages::<Arc<PersistentVolume>>(client, "", all, told),
        pages::<Arc<Class>>(client, "", all, told),
        pages::<Said>(client, namespace, about_claims, told),
    );
    let unasked = || Gap::new(Why::NotAsked, "of no use for a report");
    Objects {
        pods: Listing {
            items: pods.items.into_iter().map(|pod| pod.0).collect(),
            gaps: pods.gaps,
        },
        claims,
        volumes,
        attachments: Listing::<Arc<Attachment>>::unknown(unasked()),
        csi_nodes: Listing::unknown(unasked()),
        nodes: Listing::unknown(unasked()),
        classes,
        events: said(events),
        stale: Stale::default(),
    }
}

/// All objects that a field selector takes, page by page; of all namespaces where none is named.
pub(super) async fn list<M: Kept>(
    client: &Client,
    namespace: &str,
    fields: Option<&str>,
) -> Listing<M> {
    pages(client, namespace, Selection::of_fields(fields), &|_| {}).await
}

/// The same, telling of each page.
async fn pages<M: Kept>(
    client: &Client,
    namespace: &str,
    of: Selection<'_>,
    told: Told<'_>,
) -> Listing<M> {
    let mut found = BTreeMap::<Key, M>::new();
    let mut faults = BTreeMap::<Key, String>::new();
    let mut params = ListParams {
        field_selector: of.fields.map(ToOwned::to_owned),
        label_selector: of.labels.map(ToOwned::to_owned),
        limit: Some(PAGE),
        ..ListParams::default()
    };
    let end = loop {
        let page = match timeout(ANSWER, ask::page::<M>(client, namespace, &params)).await {
            Ok(Ok(page)) => page,
            Ok(Err(error)) => break Some(failure::gap::<M>(Verb::List, &error)),
            Err(_) => break Some(failure::timed_out::<M>(Verb::List)),
        };
        let items = page.items.unwrap_or_default();
        told(items.len());
        for arrived in items {
            match arrived.object {
                Ok(object) if !object.matters() => {}
                Ok(object) => drop(found.insert(arrived.key, object)),
                Err(fault) => drop(faults.insert(arrived.key, fault)),
            }
        }
        let more = page.metadata.continue_.filter(|token| !token.is_empty());
        if more.is_none() {
            break None;
        }
        params.continue_token = more;
    };
    let mut gaps: Vec<Gap> = end.into_iter().collect();
    gaps.extend(unreadable::<M>(faults.iter()));
    Listing {
        items: found.into_values().collect(),
        gaps,
    }
}

/// One object, if there is one of that namespace and name.
pub(super) async fn one<M: Kept>(client: &Client, key: Key) -> Listing<M> {
    let answer = timeout(ANSWER, ask::get::<M>(client, &key, None)).await;
    match answer.unwrap_or_else(|_| Err(failure::timed_out::<M>(Verb::Get))) {
        Ok(None) => Listing::default(),
        Ok(Some(arrived)) => match arrived.object {
            Ok(object) => Listing::complete(vec![object]),
            Err(fault) => Listing {
                items: Vec::new(),
                gaps: unreadable::<M>(BTreeMap::from([(arrived.key, fault)]).iter()),
            },
        },
        Err(gap) => Listing::unknown(gap),
    }
}

pub(super) fn said(listing: Listing<Said>) -> Listing<Event> {
    Listing {
        items: listing.items.into_iter().flat_map(|said| said.0).collect(),
        gaps: listing.gaps,
    }
}
