//! The volumes of bound claims as Kubernetes' objects alone know them, without any node's word.
//!
//! Each object is looked at once: a cluster has tens of thousands of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::join::declared::{asked_read_only, declared_sizes, untouched};
use crate::join::{add_new, binding, expansion, missing, stale};
use crate::model::facts::ClusterFacts;
use crate::model::finding::Object;
use crate::model::names::{ClaimRef, ClassName, HostPath, NodeName, PersistentVolumeName, Uid};
use crate::model::objects::{
    Claim, Class, Event, Objects, PersistentVolume, Pod, PodState, PodVolume, PodVolumeSource,
};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::state::KernelState;
use crate::model::volume::{Published, Volume};

/// The volumes of bound claims, as far as Kubernetes' objects tell. What pods have on `heard` nodes is
/// told by their agents too.
pub fn cluster(
    objects: &Objects,
    heard: &BTreeSet<NodeName>,
    observed_at: Timestamp,
) -> ClusterFacts {
    let binding = binding::binding(objects);
    let mut gaps = Vec::new();
    let lists = missing(&objects.claims).chain(missing(&objects.volumes));
    add_new(&mut gaps, lists.chain(missing(&objects.pods)).cloned());
    // One pod that cannot be read hides no other; pods that were not listed are all hidden.
    let mut unlisted = missing(&objects.pods).filter(|gap| gap.why != Why::Malformed);
    let unlisted = unlisted.next().cloned();
    let persistent = objects.volumes.items.iter();
    let persistent: HashMap<&PersistentVolumeName, &Arc<PersistentVolume>> =
        persistent.map(|one| (&one.name, one)).collect();
    let known = Known::of(objects);
    let mut items = Vec::new();
    let mut on_nodes = BTreeSet::new();
    for claim in &objects.claims.items {
        let Some(name) = &claim.volume else { continue };
        let users = known.users(&claim.claim);
        let is_heard = |pod: &Pod| pod.node.as_ref().is_some_and(|node| heard.contains(node));
        if users
            .iter()
            .any(|(pod, _)| is_heard(pod) && pod.state != PodState::Done)
        {
            on_nodes.insert(claim.claim.clone());
        }
        let found = persistent.get(name);
        // One that is nobody's yet was written by hand, perhaps.
        let found = found.filter(|one| is_of(one, &claim.claim) != Some(false));
        items.extend(found.and_then(|found| known.volume(claim, found)));
    }
    ClusterFacts {
        observed_at,
        volumes: Listing { items, gaps },
        on_nodes: match unlisted {
            Some(gap) => Observed::Unknown(gap),
            None => Observed::Known(on_nodes),
        },
        standing: standing(&objects.nodes),
        nodes: Listing::default(),
        binding,
    }
}

/// The nodes, where all of them are known.
fn standing(nodes: &Listing<NodeName>) -> Observed<BTreeSet<NodeName>> {
    if let Some(gap) = nodes.gaps.first() {
        return Observed::Unknown(gap.clone());
    }
    if nodes.items.is_empty() {
        let what = "the names of the nodes: there is no Node object";
        return Observed::Unknown(Gap::new(Why::NotFound, what));
    }
    Observed::Known(nodes.items.iter().cloned().collect())
}

/// Whether a volume is this claim's; nothing where it says no claim's name.
fn is_of(persistent: &PersistentVolume, claim: &ClaimRef) -> Option<bool> {
    let of = persistent.claim.as_ref()?;
    Some(of.namespace == claim.namespace && of.name == claim.name)
}

/// A claim, by namespace and name.
type Name<'a> = (&'a str, &'a str);

/// The objects around claims and volumes, by what they are looked for.
struct Known<'a> {
    objects: &'a Objects,
    users: HashMap<Name<'a>, Vec<(&'a Pod, &'a PodVolume)>>,
    pods: HashMap<&'a Uid, Vec<&'a Event>>,
    claims: HashMap<Name<'a>, Vec<&'a Event>>,
    /// When each speaker was last heard.
    spoken: HashMap<&'a str, Timestamp>,
    classes: HashMap<&'a ClassName, &'a Arc<Class>>,
}

impl<'a> Known<'a> {
    fn of(objects: &'a Objects) -> Self {
        let mut known = Self {
            objects,
            users: HashMap::new(),
            pods: HashMap::new(),
            claims: HashMap::new(),
            spoken: HashMap::new(),
            classes: HashMap::new(),
        };
        for pod in &objects.pods.items {
            for volume in &pod.volumes {
                if let PodVolumeSource::Claim(name) = &volume.source {
                    let name = (pod.pod.namespace.as_str(), name.as_str());
                    known.users.entry(name).or_default().push((pod, volume));
                }
            }
        }
        for event in &objects.events.items {
            match &event.about {
                Object::Claim(claim) => {
                    let name = (claim.namespace.as_str(), claim.name.as_str());
                    known.claims.entry(name).or_default().push(event);
                }
                Object::Pod(pod) => known.pods.entry(&pod.uid).or_default().push(event),
                _ => {}
            }
            if let Some(at) = event.at {
                let spoken = known.spoken.entry(event.by.as_str()).or_insert(at);
                *spoken = at.max(*spoken);
            }
        }
        let classes = objects.classes.items.iter();
        known.classes = classes.map(|class| (&class.name, class)).collect();
        known
    }

    fn users<'b>(&'b self, claim: &'b ClaimRef) -> &'b [(&'a Pod, &'a PodVolume)] {
        let name: Name<'b> = (claim.namespace.as_str(), claim.name.as_str());
        self.users.get(&name).map_or(&[], Vec::as_slice)
    }

    fn class(&self, claim: &Claim) -> Observed<Option<Arc<Class>>> {
        let Some(name) = &claim.class else {
            return Observed::Known(None);
        };
        match (self.classes.get(name), self.objects.classes.gaps.first()) {
            (Some(found), _) => Observed::Known(Some((*found).clone())),
            (None, None) => Observed::Known(None),
            (None, Some(gap)) => Observed::Unknown(gap.clone()),
        }
    }

    /// One of them; in-tree volumes are not covered.
    fn volume(&self, claim: &Arc<Claim>, persistent: &Arc<PersistentVolume>) -> Option<Volume> {
        let csi = persistent.csi.as_ref()?;
        let users = self.users(&claim.claim).iter();
        let published = users.map(|(pod, volume)| published(pod, volume, persistent));
        let mut sizes = declared_sizes(claim, Some(persistent));
        let no_node = || Gap::new(Why::NotAsked, "no node was asked");
        sizes.device = Observed::Unknown(no_node());
        sizes.filesystem = Observed::Unknown(no_node());
        sizes.driver = Observed::Unknown(no_node());
        let resizer = format!("external-resizer {}", csi.driver);
        let mut volume = Volume {
            spec_name: persistent.name.0.clone().into(),
            driver: csi.driver.clone(),
            handle: Observed::Known(csi.handle.clone()),
            attachment: Observed::Unknown(no_node()),
            class: self.class(claim),
            events: Listing::default(),
            resizer_seen: self.spoken.get(resizer.as_str()).copied(),
            mode: persistent.mode,
            staging: None,
            staged: Observed::Unknown(no_node()),
            published: published.collect(),
            stats: Observed::Unknown(no_node()),
            health: Observed::Unknown(no_node()),
            condition_promised: false,
            sizes,
            state: KernelState {
                device: Observed::Unknown(no_node()),
                errors: Observed::Unknown(no_node()),
                waiting: Observed::Unknown(no_node()),
            },
            claim: Some(claim.clone()),
            persistent: Observed::Known(Some(persistent.clone())),
        };
        self.put_said(&mut volume);
        stale::take_back(&mut volume, &self.objects.stale);
        Some(volume)
    }

    fn put_said(&self, volume: &mut Volume) {
        let Some(claim) = &volume.claim else { return };
        let name = (claim.claim.namespace.as_str(), claim.claim.name.as_str());
        let of_claim = self.claims.get(&name).into_iter().flatten();
        let pods: Vec<&Event> = volume
            .published
            .iter()
            .filter_map(|one| self.pods.get(&one.pod.uid))
            .flatten()
            .copied()
            .collect();
        let said: Vec<&Event> = of_claim.copied().chain(pods).collect();
        expansion::put_said(said, &self.objects.events.gaps, volume);
    }
}

fn published(pod: &Pod, volume: &PodVolume, persistent: &PersistentVolume) -> Published {
    Published {
        health: volume.health.clone(),
        pod: pod.pod.clone(),
        state: Observed::Known(pod.state),
        name: volume.name.clone(),
        started: pod.started,
        ended: pod.ended,
        stacked: 0,
        events: Listing::default(),
        target: HostPath::default(),
        mount: untouched(),
        usage: untouched(),
        asked_read_only: asked_read_only(volume, Observed::Known(persistent)),
        sub_paths: Vec::new(),
        device_node: false,
        live: untouched(),
        inside: untouched(),
        elsewhere: untouched(),
    }
}
