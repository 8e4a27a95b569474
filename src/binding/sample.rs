//! A claim of the sample that waits, for tests to degrade.

use std::sync::Arc;

use crate::model::binding::{Binding, User, Waiting};
use crate::model::facts::ClusterFacts;
use crate::model::finding::Object;
use crate::model::names::PodRef;
use crate::model::objects::{Class, Event, PersistentVolume};
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::sample;
use crate::model::terms::{ClaimTerms, ClassTerms, VolumeTerms};

/// A claim of class `fast`, which does not wait for a pod; nobody has said anything of it yet.
pub(crate) fn waiting(
    change: impl FnOnce(&mut Waiting, &mut ClaimTerms, &mut Binding),
) -> ClusterFacts {
    let mut claim = sample::claim();
    claim.bound = false;
    claim.volume = None;
    claim.capacity = None;
    let mut terms = ClaimTerms {
        class: Some("fast".to_owned()),
        created: Some(sample::noon()),
        ..ClaimTerms::default()
    };
    let mut one = Waiting {
        claim: Arc::new(claim),
        named: Observed::Known(None),
        users: Observed::Known(Vec::new()),
        events: Listing::default(),
        provisioner_seen: None,
    };
    let mut binding = Binding {
        classes: Listing::complete(vec![class("fast", "disk.example.com", false)]),
        ..Binding::default()
    };
    change(&mut one, &mut terms, &mut binding);
    Arc::make_mut(&mut one.claim).terms = Some(Box::new(terms));
    binding.claims = Listing::complete(vec![one]);
    let nothing = Gap::new(Why::NotAsked, "bound claims");
    ClusterFacts {
        binding,
        ..ClusterFacts::unknown(sample::noon(), nothing)
    }
}

/// A class.
pub(crate) fn class(name: &str, provisioner: &str, waits_for_consumer: bool) -> Arc<Class> {
    Arc::new(Class {
        name: name.into(),
        provisioner: provisioner.into(),
        expandable: true,
        terms: Some(Box::new(ClassTerms {
            waits_for_consumer,
            ..ClassTerms::default()
        })),
    })
}

/// An Available volume of class `fast` that fits but for what is changed.
pub(crate) fn free(
    name: &str,
    change: impl FnOnce(&mut PersistentVolume, &mut VolumeTerms),
) -> Arc<PersistentVolume> {
    let mut volume = sample::persistent();
    volume.name = name.into();
    volume.claim = None;
    let mut terms = VolumeTerms {
        phase: "Available".to_owned(),
        class: "fast".to_owned(),
        ..VolumeTerms::default()
    };
    change(&mut volume, &mut terms);
    volume.terms = Some(Box::new(terms));
    Arc::new(volume)
}

/// A pod that names the claim, without a node.
pub(crate) fn user() -> User {
    User {
        pod: PodRef {
            namespace: "shop".into(),
            name: "orders-0".into(),
            uid: "pod-uid-0".into(),
        },
        node: None,
    }
}

/// What somebody said of the claim.
pub(crate) fn said(by: &str, reason: &str, message: &str) -> Event {
    Event {
        about: Object::Claim(sample::claim_ref()),
        by: by.to_owned(),
        warning: reason.ends_with("Failed"),
        reason: reason.to_owned(),
        message: message.to_owned(),
        at: Some(sample::noon()),
    }
}
