//! What one caller may read, once: for the command line with the API server alone.
//!
//! Around one claim lists are of its namespace; what has no namespace is asked for by its name. Whatever the
//! caller may not read is a gap that names the verb, and the rest is there.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use kube::Client;
use kube::api::ListParams;
use tokio::time::timeout;

use crate::model::objects::{
    Attachment, Claim, Class, Event, Objects, PersistentVolume, Pod, PodVolumeSource, Stale,
};
use crate::model::observed::{Gap, Listing, Why};

use super::ask::{self, PAGE};
use super::failure::{self, Verb};
use super::index::unreadable;
use super::kept::{Kept, Key, PodInShort, Said};

/// An API server that takes longer for one answer is not waited for.
const ANSWER: Duration = Duration::from_secs(20);

/// Events are asked for about claims alone.
const ABOUT_CLAIMS: &str = "involvedObject.kind=PersistentVolumeClaim";

/// Is told how many objects more of a resource have come.
pub type Told<'a> = &'a (dyn Fn(usize) + Sync);

/// All storage of the cluster, or all that is in one namespace and what has none.
pub async fn everything(client: &Client, namespace: Option<&str>, told: Told<'_>) -> Objects {
    let namespace = namespace.unwrap_or_default();
    let (pods, claims, volumes, classes, events) = tokio::join!(
        pages::<PodInShort>(client, namespace, None, told),
        pages::<Claim>(client, namespace, None, told),
        pages::<PersistentVolume>(client, "", None, told),
        pages::<Class>(client, "", None, told),
        pages::<Said>(client, namespace, Some(ABOUT_CLAIMS), told),
    );
    let unasked = || Gap::new(Why::NotAsked, "of no use for a report");
    Objects {
        pods: Listing {
            items: pods.items.into_iter().map(|pod| pod.0).collect(),
            gaps: pods.gaps,
        },
        claims,
        volumes,
        attachments: Listing::<Attachment>::unknown(unasked()),
        csi_nodes: Listing::unknown(unasked()),
        nodes: Listing::unknown(unasked()),
        classes,
        events: said(events),
        stale: Stale::default(),
    }
}

/// The claims of a name, in one namespace or in all, with what they name and who uses them.
pub async fn around_claim(client: &Client, namespace: Option<&str>, name: &str) -> Objects {
    let by_name = format!("metadata.name={name}");
    let claims: Listing<Claim> = list(client, namespace.unwrap_or_default(), Some(&by_name)).await;
    let around = claims.items.iter().map(|claim| around(client, claim));
    let mut objects = Objects {
        claims: Listing::default(),
        ..Objects::unknown(&Gap::new(Why::NotAsked, "asked for beside no claim"))
    };
    for (index, one) in join_all(around).await.into_iter().enumerate() {
        if index == 0 {
            objects = one;
            continue;
        }
        add(&mut objects.pods, one.pods);
        add(&mut objects.volumes, one.volumes);
        add(&mut objects.classes, one.classes);
        add(&mut objects.events, one.events);
    }
    objects.claims = claims;
    objects
}

/// What is around one claim.
async fn around(client: &Client, claim: &Claim) -> Objects {
    let namespace = claim.claim.namespace.as_str();
    let volume = claim.volume.as_ref().map(ToString::to_string);
    // What is not bound may lack its class: then a person wants to see which ones there are.
    let class = claim.class.as_ref().filter(|_| claim.bound);
    let class = class.map(ToString::to_string);
    let (pods, about_claims, volumes, classes) = tokio::join!(
        list::<Pod>(client, namespace, None),
        // Of all claims: a resizer that speaks of another one lives.
        list::<Said>(client, namespace, Some(ABOUT_CLAIMS)),
        volumes(client, volume),
        classes(client, class),
    );
    let mut events = said(about_claims);
    let uses = |pod: &&Pod| {
        let is_its = |source: &PodVolumeSource| matches!(source, PodVolumeSource::Claim(name) if *name == claim.claim.name);
        pod.volumes.iter().any(|volume| is_its(&volume.source))
    };
    let users = pods.items.iter().filter(uses).map(|pod| async move {
        let about = format!("involvedObject.uid={}", pod.pod.uid);
        list::<Said>(client, namespace, Some(&about)).await
    });
    for about in join_all(users).await {
        add(&mut events, said(about));
    }
    let unasked = || Gap::new(Why::NotAsked, "of no use for one claim");
    Objects {
        pods,
        claims: Listing::default(),
        volumes,
        attachments: Listing::<Attachment>::unknown(unasked()),
        csi_nodes: Listing::unknown(unasked()),
        nodes: Listing::unknown(unasked()),
        classes,
        events,
        stale: Stale::default(),
    }
}

/// All objects that a field selector takes, page by page; of all namespaces where none is named.
async fn list<M: Kept>(client: &Client, namespace: &str, fields: Option<&str>) -> Listing<M> {
    pages(client, namespace, fields, &|_| {}).await
}

/// The same, telling of each page.
async fn pages<M: Kept>(
    client: &Client,
    namespace: &str,
    fields: Option<&str>,
    told: Told<'_>,
) -> Listing<M> {
    let mut found = BTreeMap::<Key, M>::new();
    let mut faults = BTreeMap::<Key, String>::new();
    let mut params = ListParams {
        field_selector: fields.map(ToOwned::to_owned),
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

/// The volume that is named; all of them for a claim that may get any.
async fn volumes(client: &Client, name: Option<String>) -> Listing<PersistentVolume> {
    match name {
        Some(_) => named(client, name).await,
        None => list(client, "", None).await,
    }
}

/// The class that is named; all of them for a claim that may get the default one.
async fn classes(client: &Client, name: Option<String>) -> Listing<Class> {
    match name {
        Some(_) => named(client, name).await,
        None => list(client, "", None).await,
    }
}

/// One object without a namespace, if it is named and there is one.
async fn named<M: Kept>(client: &Client, name: Option<String>) -> Listing<M> {
    let Some(name) = name else {
        return Listing::default();
    };
    let key = (String::new(), name);
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

fn said(listing: Listing<Said>) -> Listing<Event> {
    Listing {
        items: listing.items.into_iter().flat_map(|said| said.0).collect(),
        gaps: listing.gaps,
    }
}

fn add<M>(listing: &mut Listing<M>, more: Listing<M>) {
    listing.items.extend(more.items);
    for gap in more.gaps {
        if !listing.gaps.contains(&gap) {
            listing.gaps.push(gap);
        }
    }
}
