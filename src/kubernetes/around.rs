//! What one caller may read around one object, once.
//!
//! Lists are of its namespace; what has no namespace is asked for by its name. Whatever the caller may not
//! read is a gap that names the verb, and the rest is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use kube::Client;

use crate::model::names::{DriverName, NodeName, Text};
use crate::model::objects::{
    Attachment, Claim, Class, CsiDriver, CsiNode, CsiSource, Event, Objects, PersistentVolume, Pod,
    PodState, PodVolumeSource,
};
use crate::model::observed::{Gap, Listing, Why};

use super::kept::{Key, PodInFull, Said};
use super::list::{ABOUT_CLAIMS, list, one, said};
use super::node::attachment_name;

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// The claims of a name.
    Claim(&'a str),
    /// The pods of a name.
    Pod(&'a str),
    /// The PersistentVolume of a name.
    Volume(&'a str),
}

/// What is around an object, in one namespace or in all.
pub async fn around(client: &Client, namespace: Option<&str>, wanted: Wanted<'_>) -> Objects {
    let namespace = namespace.unwrap_or_default();
    let mut objects = match wanted {
        Wanted::Claim(name) => {
            let claims: Listing<Arc<Claim>> = list(client, namespace, Some(&named(name))).await;
            around_claims(client, claims).await
        }
        Wanted::Pod(name) => around_pods(client, namespace, name).await,
        Wanted::Volume(name) => around_volume(client, name).await,
    };
    on_nodes(client, &mut objects).await;
    objects
}

fn named(name: &str) -> String {
    format!("metadata.name={name}")
}

fn none(name: &str) -> Key {
    (String::new(), name.to_owned())
}

fn nothing() -> Objects {
    Objects {
        drivers: Listing::unknown(Gap::new(
            Why::NotAsked,
            "what is attached needs no CSIDriver",
        )),
        nodes: Listing::unknown(Gap::new(Why::NotAsked, "a node with a CSINode is there")),
        ..Objects::default()
    }
}

/// Claims with what they name and who uses them.
async fn around_claims(client: &Client, claims: Listing<Arc<Claim>>) -> Objects {
    let mut objects = nothing();
    let around = claims.items.iter().map(|claim| of_claim(client, claim));
    for one in join_all(around).await {
        add(&mut objects.pods, one.pods);
        add(&mut objects.volumes, one.volumes);
        add(&mut objects.classes, one.classes);
        add(&mut objects.events, one.events);
    }
    objects.claims = claims;
    objects
}

async fn of_claim(client: &Client, claim: &Claim) -> Objects {
    let namespace = claim.claim.namespace.as_str();
    let (pods, about_claims, volumes, classes) = tokio::join!(
        pods(client, namespace, None),
        // Of all claims: a resizer that speaks of another one lives.
        list::<Said>(client, namespace, Some(ABOUT_CLAIMS)),
        volumes_of(client, claim),
        classes_of(client, claim),
    );
    let mut events = said(about_claims);
    for heard in join_all(resizers(claim, &volumes).map(|fields| heard(client, fields))).await {
        add(&mut events, heard);
    }
    let users = pods.items.iter().filter(|pod| pod.uses(&claim.claim));
    let users: Vec<&Pod> = users.collect();
    for about in join_all(users.iter().map(|pod| about(client, pod))).await {
        add(&mut events, said(about));
    }
    Objects {
        pods,
        volumes,
        classes,
        events,
        ..nothing()
    }
}

/// The pods of a name with all that they name.
async fn around_pods(client: &Client, namespace: &str, name: &str) -> Objects {
    let mut pods = pods(client, namespace, Some(&named(name))).await;
    let mut objects = nothing();
    let mut claims = Listing::<Arc<Claim>>::default();
    for pod in &pods.items {
        let about_claims = list::<Said>(client, &pod.pod.namespace, Some(ABOUT_CLAIMS));
        let keys = pod
            .volumes
            .iter()
            .filter_map(|volume| match &volume.source {
                PodVolumeSource::Claim(name) => {
                    Some((String::from(&pod.pod.namespace), name.clone()))
                }
                PodVolumeSource::InlineCsi(_) => None,
            });
        let keys: BTreeSet<Key> = keys.collect();
        let named = join_all(keys.into_iter().map(|key| one::<Arc<Claim>>(client, key)));
        let (about_claims, named, about) = tokio::join!(about_claims, named, about(client, pod));
        add(&mut objects.events, said(about_claims));
        add(&mut objects.events, said(about));
        for one in named {
            add(&mut claims, one);
        }
    }
    let around = claims.items.iter().map(|claim| async move {
        tokio::join!(volumes_of(client, claim), classes_of(client, claim))
    });
    for (volumes, classes) in join_all(around).await {
        add(&mut objects.volumes, volumes);
        add(&mut objects.classes, classes);
    }
    with_rivals(client, &mut pods, &claims).await;
    Objects {
        pods,
        claims,
        ..objects
    }
}

/// Takes in the pods that have the same claims as one that is starting: they may have them on another node.
async fn with_rivals(client: &Client, all: &mut Listing<Pod>, claims: &Listing<Arc<Claim>>) {
    let names_claim = |pod: &Pod| {
        let is_its = |claim: &Arc<Claim>| claim.bound && pod.uses(&claim.claim);
        claims.items.iter().any(is_its)
    };
    let waiting = all.items.iter();
    let waiting = waiting.filter(|pod| pod.state == PodState::Starting && pod.node.is_some());
    let namespaces: BTreeSet<Text> = waiting
        .filter(|pod| names_claim(pod))
        .map(|pod| pod.pod.namespace.clone())
        .collect();
    for namespace in namespaces {
        let mut more = pods(client, &namespace, None).await;
        more.items.retain(|pod| names_claim(pod));
        add(all, more);
    }
}

/// A volume with its claim and who uses that.
async fn around_volume(client: &Client, name: &str) -> Objects {
    let volumes: Listing<Arc<PersistentVolume>> = one(client, none(name)).await;
    let claim = volumes.items.first().and_then(|one| one.claim.as_ref());
    let mut objects = match claim {
        Some(claim) => {
            let key = (String::from(&claim.namespace), String::from(&claim.name));
            around_claims(client, one(client, key).await).await
        }
        None => nothing(),
    };
    if let Some(volume) = volumes.items.first() {
        // Events about what has no namespace are in the default one.
        let about = format!("involvedObject.uid={}", volume.uid);
        add(
            &mut objects.events,
            said(list(client, "default", Some(&about)).await),
        );
    }
    // The claim of that name may be another one by now, with a volume of its own.
    add(&mut objects.volumes, volumes);
    objects
}

async fn pods(client: &Client, namespace: &str, fields: Option<&str>) -> Listing<Pod> {
    let pods = list::<PodInFull>(client, namespace, fields).await;
    Listing {
        items: pods.items.into_iter().map(|pod| pod.0).collect(),
        gaps: pods.gaps,
    }
}

async fn about(client: &Client, pod: &Pod) -> Listing<Said> {
    let about = format!("involvedObject.uid={}", pod.pod.uid);
    list(client, &pod.pod.namespace, Some(&about)).await
}

/// What tells whether the resizer lives that a claim waits for, wherever it speaks.
fn resizers<'a>(
    claim: &'a Claim,
    volumes: &'a Listing<Arc<PersistentVolume>>,
) -> impl Iterator<Item = String> {
    let waits = claim.bound && claim.request > claim.capacity;
    let csi = volumes.items.iter().filter_map(|one| one.csi.as_ref());
    csi.filter(move |_| waits)
        .map(|csi| format!("{ABOUT_CLAIMS},source=external-resizer {}", csi.driver))
}

/// Beyond its namespace a caller may be allowed nothing, and then it is no gap: what was said of the
/// claim itself is there.
async fn heard(client: &Client, fields: String) -> Listing<Event> {
    let heard = list::<Said>(client, "", Some(&fields)).await;
    Listing::complete(said(heard).items)
}

/// The volume that is named; all of them for a claim that may get any.
async fn volumes_of(client: &Client, claim: &Claim) -> Listing<Arc<PersistentVolume>> {
    match &claim.volume {
        Some(name) => one(client, none(name.as_str())).await,
        None => list(client, "", None).await,
    }
}

/// The class that is named; all of them for a claim that is not bound: then a person wants to see which ones
/// there are.
async fn classes_of(client: &Client, claim: &Claim) -> Listing<Arc<Class>> {
    match &claim.class {
        Some(name) if claim.bound => one(client, none(name.as_str())).await,
        _ if claim.bound => Listing::default(),
        _ => list(client, "", None).await,
    }
}

/// What is said of the nodes that the pods are on: attachments and drivers.
async fn on_nodes(client: &Client, objects: &mut Objects) {
    let mut nodes = BTreeSet::<&NodeName>::new();
    let mut sources = BTreeSet::<String>::new();
    let mut names = BTreeSet::<&DriverName>::new();
    let mut full = false;
    for pod in objects.pods.items.iter().filter(|pod| is_up(pod)) {
        let Some(node) = &pod.node else { continue };
        let csi = sources_of(objects, pod);
        if csi.is_empty() && !has_inline(pod) {
            continue;
        }
        nodes.insert(node);
        full |= pod.state == PodState::Starting;
        names.extend(csi.iter().map(|csi| &csi.driver));
        sources.extend(csi.into_iter().map(|csi| attachment_name(csi, node)));
    }
    let named = sources
        .iter()
        .map(|name| one::<Arc<Attachment>>(client, none(name)));
    let csi_nodes = nodes
        .iter()
        .map(|node| one::<CsiNode>(client, none(node.as_str())));
    let (named, of_nodes) = tokio::join!(join_all(named), join_all(csi_nodes));
    let mut attachments = Listing::default();
    for one in named {
        add(&mut attachments, one);
    }
    let missing = sources.len() > attachments.items.len();
    let waits = attachments.items.iter().any(|one| !one.attached);
    if full && (missing || waits) && attachments.gaps.is_empty() {
        // A node that is full is told by all that is attached to it.
        add(&mut attachments, list(client, "", None).await);
    }
    let mut csi_nodes = Listing::default();
    for one in of_nodes {
        add(&mut csi_nodes, one);
    }
    if missing && full {
        // Whether there is to be an attachment at all.
        objects.drivers = csi_drivers(client, names).await;
    }
    if objects
        .pods
        .items
        .iter()
        .any(|pod| is_unheard_of(pod, &csi_nodes))
    {
        // All, so that whoever is not among them is not there.
        objects.nodes = list(client, "", None).await;
    }
    objects.attachments = attachments;
    objects.csi_nodes = csi_nodes;
}

async fn csi_drivers(client: &Client, names: BTreeSet<&DriverName>) -> Listing<CsiDriver> {
    let named = names
        .into_iter()
        .map(|name| one(client, none(name.as_str())));
    let mut drivers = Listing::default();
    for one in join_all(named).await {
        add(&mut drivers, one);
    }
    drivers
}

/// Whether a pod with storage is to start on a node of which no CSINode tells.
fn is_unheard_of(pod: &Pod, csi_nodes: &Listing<CsiNode>) -> bool {
    let mut heard = csi_nodes.items.iter();
    let is_unheard_of = |node: &NodeName| heard.all(|one| one.node != *node);
    pod.state == PodState::Starting
        && !pod.volumes.is_empty()
        && pod.node.as_ref().is_some_and(is_unheard_of)
}

fn is_up(pod: &Pod) -> bool {
    pod.state != PodState::Done
}

fn has_inline(pod: &Pod) -> bool {
    let is_inline = |source: &PodVolumeSource| matches!(source, PodVolumeSource::InlineCsi(_));
    pod.volumes.iter().any(|volume| is_inline(&volume.source))
}

/// What of the volumes that were read a pod uses.
fn sources_of<'a>(objects: &'a Objects, pod: &Pod) -> Vec<&'a CsiSource> {
    let claims = pod.volumes.iter().filter_map(|volume| {
        let PodVolumeSource::Claim(name) = &volume.source else {
            return None;
        };
        let mut claims = objects.claims.items.iter();
        claims.find(|one| one.claim.namespace == pod.pod.namespace && one.claim.name == *name)
    });
    let names = claims.filter_map(|claim| claim.volume.as_ref());
    let found = names.filter_map(|name| {
        let mut volumes = objects.volumes.items.iter();
        volumes.find(|volume| volume.name == *name)
    });
    found.filter_map(|volume| volume.csi.as_ref()).collect()
}

/// Takes in more of a kind; the same objects may be around several.
fn add<M: PartialEq>(listing: &mut Listing<M>, more: Listing<M>) {
    if listing.items.is_empty() {
        listing.items = more.items;
    } else {
        for item in more.items {
            if !listing.items.contains(&item) {
                listing.items.push(item);
            }
        }
    }
    for gap in more.gaps {
        if !listing.gaps.contains(&gap) {
            listing.gaps.push(gap);
        }
    }
}
