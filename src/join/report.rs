//! Objects, and what nodes and rules know beside them → a storage report.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use crate::model::names::PersistentVolumeName;
use crate::model::objects::{Claim, Class, Objects, PersistentVolume, PodState, PodVolumeSource};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::report::{Beside, ClaimName, ClaimRow, ClassRow, Report, Total, VolumeRow};
use crate::model::sizes::Bytes;
use crate::model::terms::{ClaimPhase, ClaimTerms};

/// The report of a cluster, or of one namespace of it.
pub fn report(
    at: Timestamp,
    mut objects: Objects,
    beside: &Beside,
    namespace: Option<&str>,
) -> Report {
    let mut missing = objects.gaps();
    missing.extend(beside.on_nodes.gap().cloned());
    let is_asked = |of: &str| namespace.is_none_or(|one| one == of);
    objects
        .claims
        .items
        .retain(|one| is_asked(&one.claim.namespace));
    let names = |one: &PersistentVolume| one.claim.as_ref().map(|claim| claim.namespace.clone());
    objects
        .volumes
        .items
        .retain(|one| namespace.is_none() || names(one).is_some_and(|of| is_asked(&of)));
    let users = users(&objects);
    let persistent: HashMap<&PersistentVolumeName, &PersistentVolume> = objects
        .volumes
        .items
        .iter()
        .map(|one| (&one.name, one.as_ref()))
        .collect();
    let classes: HashMap<&str, &Class> = objects
        .classes
        .items
        .iter()
        .map(|one| (one.name.as_str(), one.as_ref()))
        .collect();
    let unlisted = objects.volumes.gaps.first();
    let unlisted_classes = objects.classes.gaps.first();
    let claims = objects.claims.items.iter().map(|claim| {
        let terms = claim.terms.as_deref().cloned().unwrap_or_default();
        let driver = driver(
            claim,
            &terms,
            &persistent,
            &classes,
            unlisted,
            unlisted_classes,
        );
        row(claim, terms, driver, &users, beside)
    });
    let mut claims: Vec<ClaimRow> = claims.collect();
    claims.sort_by_cached_key(urgency);
    let mut volumes: Vec<VolumeRow> = objects
        .volumes
        .items
        .iter()
        .map(|one| volume(one))
        .collect();
    volumes.sort_by_cached_key(|one| {
        let status = ["Failed", "Released", "Available"]
            .iter()
            .position(|status| *status == one.status);
        (status.unwrap_or(9), Reverse(one.capacity), one.name.clone())
    });
    let mut rows: Vec<ClassRow> = objects.classes.items.iter().map(|one| class(one)).collect();
    rows.sort_by_cached_key(|one| (!one.is_default, one.name.clone()));
    if beside.on_nodes.known().is_some() {
        let silent = claims.iter().filter(|one| one.usage.known().is_none());
        let silent = silent.count();
        if silent > 0 {
            missing.push(Gap::new(
                Why::NotFound,
                format!("used, inodes and node of {silent} claims: no node that is heard has them mounted with a size"),
            ));
        }
    }
    missing.extend(unjudged(&claims, beside, &missing));
    let sums = Sums {
        claims: &claims,
        volumes: &volumes,
        claims_gap: objects.claims.gaps.first(),
        volumes_gap: objects.volumes.gaps.first(),
    };
    Report {
        at,
        namespace: namespace.map(ToOwned::to_owned),
        by_class: sums.by(
            |claim| claim.class.clone().filter(|class| !class.is_empty()),
            |volume| Some(volume.class.clone()).filter(|class| !class.is_empty()),
        ),
        by_driver: sums.by(
            |claim| match &claim.driver {
                Observed::Known(driver) => driver.clone(),
                Observed::Unknown(_) => Some("(not known)".to_owned()),
            },
            |volume| volume.driver.clone(),
        ),
        classes: Listing {
            items: rows,
            gaps: objects.classes.gaps,
        },
        volumes: Listing {
            items: volumes,
            gaps: objects.volumes.gaps,
        },
        claims: Listing {
            items: claims,
            gaps: objects.claims.gaps,
        },
        missing,
    }
}

/// Of how many claims not all findings are known, and why, as far as nobody has said so yet.
fn unjudged(claims: &[ClaimRow], beside: &Beside, said: &[Gap]) -> Option<Gap> {
    let unjudged = &beside.findings.unjudged;
    let names = claims
        .iter()
        .map(|one| (one.claim.namespace.clone(), one.claim.name.clone()));
    let reasons: Vec<&Gap> = names.filter_map(|name| unjudged.get(&name)).collect();
    let mut what = match reasons.len() {
        0 => return None,
        1 => "findings of 1 claim: not all rules could judge it".to_owned(),
        many => format!("findings of {many} claims: not all rules could judge them"),
    };
    let mut unsaid: Vec<&str> = reasons
        .into_iter()
        .filter(|gap| !said.contains(gap))
        .map(|gap| gap.what.as_ref())
        .collect();
    unsaid.sort_unstable();
    unsaid.dedup();
    for (at, reason) in unsaid.iter().enumerate() {
        what.push_str(if at == 0 { ": " } else { "; " });
        what.push_str(reason);
    }
    Some(Gap::new(Why::NotFound, what))
}

/// The pods that name each claim and are not over.
fn users(objects: &Objects) -> Observed<HashMap<ClaimName, Vec<String>>> {
    // One pod that cannot be read hides no other; pods that were not listed are all hidden.
    let mut gaps = objects.pods.gaps.iter();
    if let Some(gap) = gaps.find(|gap| gap.why != Why::Malformed) {
        return Observed::Unknown(gap.clone());
    }
    let mut users: HashMap<ClaimName, Vec<String>> = HashMap::new();
    for pod in &objects.pods.items {
        if pod.state == PodState::Done {
            continue;
        }
        for volume in &pod.volumes {
            if let PodVolumeSource::Claim(claim) = &volume.source {
                let of = users
                    .entry((pod.pod.namespace.clone(), claim.as_str().into()))
                    .or_default();
                if !of.iter().any(|name| pod.pod.name == *name) {
                    of.push(String::from(&pod.pod.name));
                }
            }
        }
    }
    Observed::Known(users)
}

/// Whose volume it is: by the volume, or else by the class that will make it.
fn driver(
    claim: &Claim,
    terms: &ClaimTerms,
    persistent: &HashMap<&PersistentVolumeName, &PersistentVolume>,
    classes: &HashMap<&str, &Class>,
    unlisted: Option<&Gap>,
    unlisted_classes: Option<&Gap>,
) -> Observed<Option<String>> {
    let csi = |one: &&PersistentVolume| one.csi.as_ref().map(|csi| csi.driver.to_string());
    if let Some(name) = &claim.volume {
        return match (persistent.get(name), unlisted) {
            (Some(found), _) => Observed::Known(csi(found)),
            (None, Some(gap)) => Observed::Unknown(gap.clone()),
            (None, None) => Observed::Known(None),
        };
    }
    let name = terms.class.as_deref().filter(|class| !class.is_empty());
    match (name.and_then(|name| classes.get(name)), unlisted_classes) {
        (Some(class), _) => Observed::Known(Some(class.provisioner.to_string())),
        (None, Some(gap)) if name.is_some() => Observed::Unknown(gap.clone()),
        (None, _) => Observed::Known(None),
    }
}

fn row(
    claim: &Claim,
    terms: ClaimTerms,
    driver: Observed<Option<String>>,
    users: &Observed<HashMap<ClaimName, Vec<String>>>,
    beside: &Beside,
) -> ClaimRow {
    let name = (claim.claim.namespace.clone(), claim.claim.name.clone());
    let told = beside.on_nodes.as_ref().map(|told| told.get(&name));
    let nowhere = || Gap::new(Why::NotFound, "no node that is heard has it");
    let (usage, nodes) = match told {
        Observed::Unknown(gap) => (Observed::Unknown(gap.clone()), Observed::Unknown(gap)),
        Observed::Known(None) => (Observed::Unknown(nowhere()), Observed::Known(Vec::new())),
        Observed::Known(Some(told)) => (told.usage.clone(), Observed::Known(told.nodes.clone())),
    };
    ClaimRow {
        claim: claim.claim.clone(),
        phase: terms.phase,
        deleting: terms.deleting,
        request: claim.request,
        capacity: claim.capacity,
        access_modes: claim.access_modes.clone(),
        volume: claim.volume.as_ref().map(ToString::to_string),
        class: terms.class,
        driver,
        usage,
        nodes,
        pods: users
            .as_ref()
            .map(|users| users.get(&name).cloned().unwrap_or_default()),
        findings: match (
            beside.findings.codes.get(&name),
            beside.findings.unjudged.get(&name),
        ) {
            (Some(codes), _) => Observed::Known(codes.clone()),
            (None, Some(gap)) => Observed::Unknown(gap.clone()),
            (None, None) => Observed::Known(Vec::new()),
        },
        created: terms.created,
    }
}

fn volume(one: &PersistentVolume) -> VolumeRow {
    let terms = one.terms.as_deref().cloned().unwrap_or_default();
    VolumeRow {
        name: one.name.to_string(),
        capacity: one.capacity,
        access_modes: one.access_modes.clone(),
        reclaim: terms.reclaim,
        status: terms.phase,
        deleting: terms.deleting,
        claim: one.claim.clone(),
        class: terms.class,
        driver: one.csi.as_ref().map(|csi| csi.driver.to_string()),
        created: terms.created,
    }
}

fn class(one: &Class) -> ClassRow {
    let terms = one.terms.as_deref().cloned().unwrap_or_default();
    ClassRow {
        name: one.name.to_string(),
        provisioner: one.provisioner.to_string(),
        binding_mode: terms.binding_mode(),
        reclaim: terms.reclaim,
        expandable: one.expandable,
        is_default: terms.is_default,
    }
}

/// What is found and what is lost first, then what waits, then what is fullest.
fn urgency(one: &ClaimRow) -> impl Ord + use<> {
    let found = one.findings.known().is_some_and(|found| !found.is_empty());
    let phase = match one.phase {
        ClaimPhase::Lost => 0,
        ClaimPhase::Pending => 1,
        ClaimPhase::Bound => 2,
    };
    let full = one
        .usage
        .known()
        .map(|usage| usage.percent_used().max(usage.percent_inodes()));
    let name = (one.claim.namespace.clone(), one.claim.name.clone());
    (phase, !found, Reverse(full), name)
}

/// What sums are made of.
struct Sums<'a> {
    claims: &'a [ClaimRow],
    volumes: &'a [VolumeRow],
    claims_gap: Option<&'a Gap>,
    volumes_gap: Option<&'a Gap>,
}

/// Sums that grow.
#[derive(Default)]
struct Sum {
    claims: usize,
    volumes: usize,
    requested: u64,
    provisioned: u64,
    used: u64,
    used_of: usize,
    reclaimable: u64,
}

impl Sums<'_> {
    fn by(
        &self,
        of_claim: impl Fn(&ClaimRow) -> Option<String>,
        of_volume: impl Fn(&VolumeRow) -> Option<String>,
    ) -> Vec<Total> {
        let mut sums: BTreeMap<Option<String>, Sum> = BTreeMap::new();
        let mut unused = HashSet::new();
        for claim in self.claims {
            let sum = sums.entry(of_claim(claim)).or_default();
            sum.claims += 1;
            sum.requested += claim.request.unwrap_or_default().0;
            if let Observed::Known(usage) = &claim.usage {
                sum.used += usage.used_bytes;
                sum.used_of += 1;
            }
            let pods = claim.pods.known();
            if claim.phase == ClaimPhase::Bound && pods.is_some_and(Vec::is_empty) {
                let name = (claim.claim.namespace.as_str(), claim.claim.name.as_str());
                unused.insert(name);
            }
        }
        for volume in self.volumes {
            let sum = sums.entry(of_volume(volume)).or_default();
            let capacity = volume.capacity.unwrap_or_default().0;
            sum.volumes += 1;
            sum.provisioned += capacity;
            let idle = volume.claim.as_ref().is_some_and(|claim| {
                unused.contains(&(claim.namespace.as_str(), claim.name.as_str()))
            });
            if volume.status == "Released" || (volume.status == "Bound" && idle) {
                sum.reclaimable += capacity;
            }
        }
        sums.into_iter()
            .map(|(of, sum)| self.total(of, &sum))
            .collect()
    }

    fn total(&self, of: Option<String>, sum: &Sum) -> Total {
        let known = |gap: Option<&Gap>, bytes: u64| match gap {
            Some(gap) => Observed::Unknown(gap.clone()),
            None => Observed::Known(Bytes(bytes)),
        };
        let count = |gap: Option<&Gap>, count: usize| match gap {
            Some(gap) => Observed::Unknown(gap.clone()),
            None => Observed::Known(count),
        };
        let pods_gap = self.claims.iter().find_map(|claim| claim.pods.gap());
        let usage_gap = self.claims.iter().find_map(|claim| claim.usage.gap());
        Total {
            of,
            claims: count(self.claims_gap, sum.claims),
            volumes: count(self.volumes_gap, sum.volumes),
            requested: known(self.claims_gap, sum.requested),
            provisioned: known(self.volumes_gap, sum.provisioned),
            // Nobody told of any of them: that is not 0.
            used: known(usage_gap.filter(|_| sum.used_of == 0), sum.used),
            used_of: sum.used_of,
            reclaimable: known(
                self.volumes_gap.or(self.claims_gap).or(pods_gap),
                sum.reclaimable,
            ),
        }
    }
}
