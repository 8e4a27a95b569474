//! Claims that are bound to nothing that is there, and what could be theirs.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::finding::{Object, Subject};
use crate::model::names::{ClaimRef, NodeName, PodRef};
use crate::model::objects::{Claim, Class, Event, PersistentVolume};
use crate::model::observed::{Gap, Listing, Observed};

/// All that decides about binding, without any node's word.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Binding {
    /// Claims that wait, and claims that are lost.
    pub claims: Listing<Waiting>,
    /// PersistentVolumes that are not bound.
    pub free: Listing<Arc<PersistentVolume>>,
    /// StorageClasses.
    pub classes: Listing<Arc<Class>>,
    /// Claims that pods name and that do not exist.
    pub absent: Listing<Absent>,
    /// Why all of these may have changed since they were read.
    pub stale: Option<Gap>,
}

/// A claim that is not bound, or has lost its volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The claim.
    pub claim: Arc<Claim>,
    /// The PersistentVolume that it names, where there is one of that name.
    pub named: Observed<Option<Arc<PersistentVolume>>>,
    /// The pods that name it and are not over.
    pub users: Observed<Vec<User>>,
    /// What was said of it.
    pub events: Listing<Event>,
    /// When the provisioner of its class spoke last of any claim.
    pub provisioner_seen: Option<Timestamp>,
}

/// A pod that names a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The pod.
    pub pod: PodRef,
    /// Where it was scheduled.
    pub node: Option<NodeName>,
}

/// A claim that is named and does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// Its name; it has no UID.
    pub claim: ClaimRef,
    /// The pods that wait for it.
    pub pods: Vec<PodRef>,
}

impl Waiting {
    /// What findings about it are about.
    pub fn subject(&self) -> Subject {
        subject(&self.claim.claim)
    }
}

impl Absent {
    /// What findings about it are about.
    pub fn subject(&self) -> Subject {
        subject(&self.claim)
    }
}

fn subject(claim: &ClaimRef) -> Subject {
    Subject {
        object: Object::Claim(claim.clone()),
        node: None,
    }
}

impl Binding {
    /// Nothing of it is known, for one reason.
    pub fn unknown(gap: &Gap) -> Self {
        Self {
            claims: Listing::unknown(gap.clone()),
            free: Listing::unknown(gap.clone()),
            classes: Listing::unknown(gap.clone()),
            absent: Listing::unknown(gap.clone()),
            stale: None,
        }
    }
}
