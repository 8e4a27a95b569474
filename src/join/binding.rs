//! The claims that are not bound, with what could be theirs and who waits for them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::join::missing;
use crate::model::binding::{Absent, Binding, User, Waiting};
use crate::model::finding::Object;
use crate::model::names::{ClaimRef, PersistentVolumeName, Uid};
use crate::model::objects::{
    Claim, Event, Objects, PersistentVolume, Pod, PodState, PodVolumeSource,
};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::terms::ClaimPhase;

/// Who is no provisioner, though it says what provisioners say.
const CONTROLLER: &str = "persistentvolume-controller";

/// A claim, by namespace and name.
type Name<'a> = (&'a str, &'a str);

/// All that decides about binding.
pub(super) fn binding(objects: &Objects) -> Binding {
    let claims = objects.claims.items.iter().filter(|claim| waits(claim));
    let claims: Vec<&Arc<Claim>> = claims.collect();
    let names = claims.iter().filter_map(|claim| claim.volume.as_ref());
    let names: HashSet<&PersistentVolumeName> = names.collect();
    let volumes = objects.volumes.items.iter();
    let named = volumes.filter(|one| names.contains(&one.name));
    let around = Around {
        objects,
        named: named.map(|one| (&one.name, one)).collect(),
        users: users(objects),
        said: said(&objects.events.items),
    };
    let stale = &objects.stale;
    let stale = stale.claims.as_ref().or(stale.volumes.as_ref());
    Binding {
        claims: Listing {
            items: claims.into_iter().map(|one| around.waiting(one)).collect(),
            gaps: objects.claims.gaps.clone(),
        },
        free: Listing {
            items: objects
                .volumes
                .items
                .iter()
                .filter(|one| is_free(one))
                .cloned()
                .collect(),
            gaps: objects.volumes.gaps.clone(),
        },
        classes: objects.classes.clone(),
        absent: absent(objects, &around.users),
        stale: stale.or(objects.stale.pods.as_ref()).cloned(),
    }
}

fn waits(claim: &Claim) -> bool {
    let terms = claim.terms.as_ref();
    terms.is_some_and(|terms| terms.phase != ClaimPhase::Bound)
}

fn is_free(volume: &PersistentVolume) -> bool {
    let terms = volume.terms.as_ref();
    terms.is_some_and(|terms| terms.phase != "Bound")
}

/// The pods that name each claim and are not over.
fn users(objects: &Objects) -> HashMap<Name<'_>, Vec<&Pod>> {
    let mut users: HashMap<Name<'_>, Vec<&Pod>> = HashMap::new();
    for pod in &objects.pods.items {
        if pod.state == PodState::Done {
            continue;
        }
        for volume in &pod.volumes {
            if let PodVolumeSource::Claim(claim) = &volume.source {
                let name = (pod.pod.namespace.as_str(), claim.as_str());
                users.entry(name).or_default().push(pod);
            }
        }
    }
    users
}

/// What was said of each claim.
fn said(events: &[Event]) -> HashMap<Name<'_>, Vec<&Event>> {
    let mut said: HashMap<Name<'_>, Vec<&Event>> = HashMap::new();
    for event in events {
        if let Object::Claim(claim) = &event.about {
            let name = (claim.namespace.as_str(), claim.name.as_str());
            said.entry(name).or_default().push(event);
        }
    }
    said
}

/// Pods that were not listed are all hidden; one that cannot be read hides no other.
fn unlisted(objects: &Objects) -> Option<&Gap> {
    missing(&objects.pods).find(|gap| gap.why != Why::Malformed)
}

struct Around<'a> {
    objects: &'a Objects,
    named: HashMap<&'a PersistentVolumeName, &'a Arc<PersistentVolume>>,
    users: HashMap<Name<'a>, Vec<&'a Pod>>,
    said: HashMap<Name<'a>, Vec<&'a Event>>,
}

impl Around<'_> {
    fn waiting(&self, claim: &Arc<Claim>) -> Waiting {
        let name = (claim.claim.namespace.as_str(), claim.claim.name.as_str());
        let of_its_life = |event: &&&Event| {
            let uid = event.about.uid();
            uid.is_none_or(|uid| claim.claim.uid.as_str().is_empty() || *uid == claim.claim.uid)
        };
        let events = self.said.get(&name).into_iter().flatten();
        Waiting {
            named: self.named(claim),
            users: match unlisted(self.objects) {
                Some(gap) => Observed::Unknown(gap.clone()),
                None => Observed::Known(self.users_of(name)),
            },
            events: Listing {
                items: events
                    .filter(of_its_life)
                    .map(|event| (*event).clone())
                    .collect(),
                gaps: self.objects.events.gaps.clone(),
            },
            provisioner_seen: self.provisioner_seen(claim),
            claim: claim.clone(),
        }
    }

    fn named(&self, claim: &Claim) -> Observed<Option<Arc<PersistentVolume>>> {
        let Some(name) = &claim.volume else {
            return Observed::Known(None);
        };
        match (self.named.get(name), self.objects.volumes.gaps.first()) {
            (Some(found), _) => Observed::Known(Some((*found).clone())),
            (None, Some(gap)) => Observed::Unknown(gap.clone()),
            (None, None) => Observed::Known(None),
        }
    }

    fn users_of(&self, name: Name<'_>) -> Vec<User> {
        let mut users: Vec<User> = Vec::new();
        for pod in self.users.get(&name).into_iter().flatten() {
            if users.iter().all(|user| user.pod != pod.pod) {
                users.push(User {
                    pod: pod.pod.clone(),
                    node: pod.node.clone(),
                });
            }
        }
        users
    }

    /// A provisioner speaks as `<driver>_<host>_<uuid>` (external-provisioner, `cmd/csi-provisioner`).
    fn provisioner_seen(&self, claim: &Claim) -> Option<Timestamp> {
        let mut classes = self.objects.classes.items.iter();
        let class = classes.find(|class| Some(&class.name) == claim.class.as_ref())?;
        let prefix = format!("{}_", class.provisioner);
        let events = self.objects.events.items.iter();
        events
            .filter(|event| event.by.starts_with(&prefix) && event.by != CONTROLLER)
            .filter_map(|event| event.at)
            .max()
    }
}

/// Claims that starting pods name and that do not exist.
fn absent(objects: &Objects, users: &HashMap<Name<'_>, Vec<&Pod>>) -> Listing<Absent> {
    let there: HashSet<Name<'_>> = objects
        .claims
        .items
        .iter()
        .map(|one| (one.claim.namespace.as_str(), one.claim.name.as_str()))
        .collect();
    let lists = missing(&objects.claims).chain(unlisted(objects));
    let gaps: Vec<Gap> = lists.cloned().collect();
    // Of claims that were not all listed nothing can be said to be absent.
    let all_listed = objects.claims.gaps.is_empty();
    let mut absent: BTreeMap<Name<'_>, Vec<&Pod>> = BTreeMap::new();
    for (name, pods) in users.iter().filter(|_| all_listed) {
        let starting = pods.iter().filter(|pod| pod.state == PodState::Starting);
        let starting: Vec<&Pod> = starting.copied().collect();
        if !there.contains(name) && !starting.is_empty() {
            absent.insert(*name, starting);
        }
    }
    let items = absent.into_iter().map(|((namespace, name), pods)| {
        let mut pods: Vec<_> = pods.into_iter().map(|pod| pod.pod.clone()).collect();
        pods.sort();
        pods.dedup();
        Absent {
            claim: ClaimRef {
                namespace: namespace.into(),
                name: name.into(),
                uid: Uid::default(),
            },
            pods,
        }
    });
    Listing {
        items: items.collect(),
        gaps,
    }
}
