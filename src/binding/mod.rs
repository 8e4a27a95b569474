//! What a claim waits for that is not bound: one reading by which rules and stages judge.
//!
//! It knows no patience. Sources: as in `fit.rs`, and external-provisioner.

#![deny(clippy::disallowed_methods)]

mod fit;
#[cfg(test)]
pub(crate) mod sample;
mod unbound;

pub use fit::{Misfit, Unfit};
pub use unbound::Unbound;

use std::sync::Arc;

use crate::binding::fit::{is_reserved, misfits, misfits_of_named};
use crate::model::binding::{Binding, User, Waiting};
use crate::model::objects::{Class, Event, PersistentVolume};
use crate::model::observed::{Gap, Observed, Why};
use crate::model::terms::{ClaimPhase, ClaimTerms, ClassTerms};

/// The provisioner of classes whose volumes are made by hand.
pub const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// Who only says that somebody else is to act.
const CONTROLLER: &str = "persistentvolume-controller";

/// What a claim waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Its volume is gone.
    Lost,
    /// It is being deleted.
    Leaving,
    /// It has no class, there is no default one, and no volume without a class fits.
    NoDefault,
    /// Its class is not there, and no volume names that class.
    NoClass(&'a str),
    /// It names a volume that is not there.
    NoSuchVolume(&'a str),
    /// It waits for a volume that is made by hand, and none fits, the nearest first. Volumes of other
    /// classes are left out where one could be meant.
    NoneFits(Vec<Unfit<'a>>),
    /// This one is its own; the controller is about to bind it.
    Fits(&'a PersistentVolume),
    /// Its class waits for a pod, and none names it.
    NoPod(&'a Class),
    /// Its class waits for a pod, and those that name it have no node yet.
    NoNode(&'a Class, &'a [User]),
    /// The provisioner of this class is to make a volume.
    Provisioning(&'a Class),
    /// It cannot be told.
    Unknown(&'a Gap),
}

/// What a claim waits for.
pub fn standing<'a>(binding: &'a Binding, one: &'a Waiting) -> Standing<'a> {
    let Some(terms) = one.claim.terms.as_deref() else {
        return Standing::Leaving;
    };
    if let Some(gap) = &binding.stale {
        return Standing::Unknown(gap);
    }
    if terms.deleting {
        return Standing::Leaving;
    }
    if terms.phase == ClaimPhase::Lost {
        return Standing::Lost;
    }
    if let Some(name) = &one.claim.volume {
        return match &one.named {
            Observed::Unknown(gap) => Standing::Unknown(gap),
            Observed::Known(None) => Standing::NoSuchVolume(name.as_str()),
            Observed::Known(Some(volume)) => {
                let misfits = misfits_of_named(&one.claim, terms, volume);
                if misfits.is_empty() {
                    return Standing::Fits(volume);
                }
                Standing::NoneFits(vec![Unfit { volume, misfits }])
            }
        };
    }
    by_class(binding, one, terms)
}

/// Of a claim that names no volume.
fn by_class<'a>(binding: &'a Binding, one: &'a Waiting, terms: &'a ClaimTerms) -> Standing<'a> {
    let free = &binding.free.items;
    let reserved = free.iter().filter(|volume| is_reserved(&one.claim, volume));
    let mut reserved = reserved.filter(|one_of| misfits(&one.claim, terms, "", one_of).is_empty());
    if let Some(reserved) = reserved.next() {
        return Standing::Fits(reserved);
    }
    let classes = &binding.classes;
    let found = match terms.class.as_deref() {
        Some("") => return by_hand(binding, one, terms, ""),
        Some(name) => classes
            .items
            .iter()
            .find(|class| class.name.as_str() == name)
            .map(Arc::as_ref),
        None => default_class(binding),
    };
    let name = terms.class.as_deref().unwrap_or_default();
    let Some(class) = found else {
        if let Some(gap) = classes.gaps.first() {
            return Standing::Unknown(gap);
        }
        let fits = by_hand(binding, one, terms, name);
        // A name that volumes have too is enough for those who make them by hand.
        let is_known = !name.is_empty() && free.iter().any(|volume| volume.class() == name);
        return match (fits, terms.class.as_deref()) {
            (fits @ (Standing::Fits(_) | Standing::Unknown(_)), _) => fits,
            (none, Some(_)) if is_known => none,
            (_, Some(name)) => Standing::NoClass(name),
            (_, None) => Standing::NoDefault,
        };
    };
    of_class(binding, one, terms, class)
}

fn of_class<'a>(
    binding: &'a Binding,
    one: &'a Waiting,
    terms: &'a ClaimTerms,
    class: &'a Class,
) -> Standing<'a> {
    let none = ClassTerms::default();
    let waits = class.terms.as_deref().unwrap_or(&none).waits_for_consumer;
    let users = match &one.users {
        Observed::Unknown(gap) if waits && terms.selected_node.is_none() => {
            return Standing::Unknown(gap);
        }
        users => users.known().map(Vec::as_slice).unwrap_or_default(),
    };
    if waits && terms.selected_node.is_none() && users.is_empty() {
        return Standing::NoPod(class);
    }
    let fits = by_hand(binding, one, terms, class.name.as_str());
    let is_made_by_hand = class.provisioner.as_str() == NO_PROVISIONER;
    match fits {
        none @ (Standing::NoneFits(_) | Standing::Unknown(_)) if is_made_by_hand => none,
        // Which volume it is to be is the scheduler's choice, with the node.
        _ if waits && terms.selected_node.is_none() => Standing::NoNode(class, users),
        fits @ Standing::Fits(_) => fits,
        _ => Standing::Provisioning(class),
    }
}

/// Of a claim whose volume is made by hand.
fn by_hand<'a>(
    binding: &'a Binding,
    one: &'a Waiting,
    terms: &'a ClaimTerms,
    class: &str,
) -> Standing<'a> {
    let mut unfit = Vec::new();
    for volume in &binding.free.items {
        let is_candidate = volume.phase() == "Available" || is_named(one, volume);
        if !is_candidate && !is_reserved(&one.claim, volume) {
            continue;
        }
        let misfits = misfits(&one.claim, terms, class, volume);
        if misfits.is_empty() {
            return Standing::Fits(volume);
        }
        unfit.push(Unfit { volume, misfits });
    }
    if let Some(gap) = binding.free.gaps.first() {
        return Standing::Unknown(gap);
    }
    let is_meant = |of: &Unfit<'_>| is_named(one, of.volume) || !of.is_of_other_class();
    if unfit.iter().any(is_meant) {
        unfit.retain(is_meant);
    }
    unfit.sort_by(|one_of, other| {
        let key = |of: &Unfit<'_>| (!is_named(one, of.volume), of.misfits.len());
        // Of as many misfits what fails at a later step is nearer.
        let later = || other.misfits.first().cmp(&one_of.misfits.first());
        let order = key(one_of).cmp(&key(other)).then_with(later);
        order.then_with(|| one_of.volume.name.cmp(&other.volume.name))
    });
    Standing::NoneFits(unfit)
}

/// Whether a volume is for a claim of this name, of whatever life.
fn is_named(one: &Waiting, volume: &PersistentVolume) -> bool {
    volume.claim.as_ref().is_some_and(|of| {
        of.namespace == one.claim.claim.namespace && of.name == one.claim.claim.name
    })
}

/// The class that claims without one get: of several the newest, then by name.
pub fn default_class(binding: &Binding) -> Option<&Class> {
    let classes = binding.classes.items.iter().map(Arc::as_ref);
    let defaults = classes.filter(|one| one.terms.as_ref().is_some_and(|terms| terms.is_default));
    defaults.min_by_key(|one| {
        let created = one.terms.as_ref().and_then(|terms| terms.created);
        (std::cmp::Reverse(created), &one.name)
    })
}

/// Its last words about why it made no volume, unless it has made one since.
pub fn refusal(one: &Waiting) -> Option<&Event> {
    let last = one.events.items.iter().filter(|event| {
        matches!(
            event.reason.as_str(),
            "ProvisioningFailed" | "ProvisioningSucceeded"
        ) && event.by != CONTROLLER
    });
    last.max_by_key(|event| event.at)
        .filter(|event| event.reason == "ProvisioningFailed")
}

/// Whether somebody is at work on a claim's volume.
pub fn is_taken_up(one: &Waiting) -> bool {
    one.events
        .items
        .iter()
        .any(|event| event.by != CONTROLLER && event.reason.starts_with("Provisioning"))
}

/// Why nothing can be said of what nobody heard.
pub fn unheard(one: &Waiting, class: &Class) -> Option<Gap> {
    if class.provisioner.as_str().starts_with("kubernetes.io/") {
        let what = format!(
            "provisioner {} is Kubernetes' own or was replaced by a driver of another name",
            class.provisioner
        );
        return Some(Gap::new(Why::Unsupported, what));
    }
    one.events.gaps.first().cloned()
}
