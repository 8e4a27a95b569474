//! Whether a PersistentVolume is a claim's, as the PersistentVolume controller judges it.
//!
//! Sources: Kubernetes `pkg/controller/volume/persistentvolume/{index,pv_controller}.go`,
//! component-helpers `storage/volume/pv_helpers.go` (`FindMatchingVolume`).

use std::fmt;

use crate::model::names::ClaimRef;
use crate::model::objects::{Claim, PersistentVolume, VolumeMode};
use crate::model::sizes::Bytes;
use crate::model::terms::{ClaimTerms, Requirement, VolumeTerms};

/// One thing that does not fit; the order is that in which the controller looks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Misfit {
    /// It offers fewer access modes.
    AccessModes {
        /// What it offers.
        offers: Vec<String>,
        /// What is wanted.
        wants: Vec<String>,
    },
    /// It is for another claim.
    OtherClaim(ClaimRef),
    /// It is too small.
    Size {
        /// What it has.
        has: Bytes,
        /// What is wanted.
        wants: Bytes,
    },
    /// One is a block device, the other a filesystem.
    Mode {
        /// What it is.
        is: &'static str,
        /// What is wanted.
        wants: &'static str,
    },
    /// The `VolumeAttributesClass` is another.
    AttributesClass {
        /// What it has.
        has: String,
        /// What is wanted.
        wants: String,
    },
    /// It is being deleted.
    Deleting,
    /// It is not available.
    Phase(String),
    /// The claim's selector does not take its labels.
    Selector(String),
    /// The class is another.
    Class {
        /// What it has.
        has: String,
        /// What is wanted.
        wants: String,
    },
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |name: &str| {
            if name.is_empty() {
                "none".to_owned()
            } else {
                name.to_owned()
            }
        };
        match self {
            Self::AccessModes { offers, wants } => write!(
                f,
                "access modes: it offers {}, not all of {}",
                named(&offers.join(",")),
                wants.join(",")
            ),
            Self::OtherClaim(claim) if claim.uid.as_str().is_empty() => {
                write!(f, "it is reserved for claim {claim}")
            }
            Self::OtherClaim(claim) => {
                write!(f, "it is for claim {claim} with UID {}", claim.uid)
            }
            Self::Size { has, wants } => write!(f, "size: it has {has}, less than {wants}"),
            Self::Mode { is, wants } => write!(f, "volume mode: it is {is}, not {wants}"),
            Self::AttributesClass { has, wants } => write!(
                f,
                "volumeattributesclass: it has {}, not {}",
                named(has),
                named(wants)
            ),
            Self::Deleting => f.write_str("it is being deleted"),
            Self::Phase(phase) => write!(f, "it is not Available but {}", named(phase)),
            Self::Selector(requirement) => write!(f, "labels: the claim asks for {requirement}"),
            Self::Class { has, wants } => {
                write!(f, "class: it has {}, not {}", named(has), named(wants))
            }
        }
    }
}

/// Both sides of a match.
struct Pair<'a> {
    claim: &'a Claim,
    wants: &'a ClaimTerms,
    volume: &'a PersistentVolume,
    offers: &'a VolumeTerms,
}

/// Whether a volume is reserved for this claim: named by it, and no other life of it.
pub(super) fn is_reserved(claim: &Claim, volume: &PersistentVolume) -> bool {
    volume.claim.as_ref().is_some_and(|of| {
        of.namespace == claim.claim.namespace
            && of.name == claim.claim.name
            && (of.uid.as_str().is_empty() || of.uid == claim.claim.uid)
    })
}

/// A volume that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit<'a> {
    /// Which.
    pub volume: &'a PersistentVolume,
    /// All that does not fit, never nothing; first what the controller sees first.
    pub misfits: Vec<Misfit>,
}

impl Unfit<'_> {
    /// Whether it has another class than is wanted.
    pub(super) fn is_of_other_class(&self) -> bool {
        let mut misfits = self.misfits.iter();
        misfits.any(|one| matches!(one, Misfit::Class { .. }))
    }

    /// Whether it is for another claim, or another life of this one.
    pub fn taken_by(&self) -> Option<&ClaimRef> {
        self.misfits.iter().find_map(|one| match one {
            Misfit::OtherClaim(claim) => Some(claim),
            _ => None,
        })
    }
}

impl fmt::Display for Unfit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, misfit) in self.misfits.iter().enumerate() {
            let between = if index == 0 { "" } else { "; " };
            write!(f, "{between}{misfit}")?;
        }
        Ok(())
    }
}

/// What keeps a volume from a claim that names none.
pub(super) fn misfits(
    claim: &Claim,
    wants: &ClaimTerms,
    class: &str,
    volume: &PersistentVolume,
) -> Vec<Misfit> {
    let none = VolumeTerms::default();
    let pair = Pair {
        claim,
        wants,
        volume,
        offers: volume.terms.as_deref().unwrap_or(&none),
    };
    let always = [
        pair.access_modes(),
        pair.other_claim(),
        pair.size(),
        pair.mode(),
        pair.attributes(),
        pair.deleting(),
    ];
    // What is reserved for it is its own, whatever class and labels say.
    // One that is another's is not Available either: said once.
    let phase = || pair.phase().filter(|_| always[1].is_none());
    let of_others = || [phase(), pair.selector(), pair.class(class)];
    let of_others = (!is_reserved(claim, volume)).then(of_others);
    let all = always.into_iter().chain(of_others.into_iter().flatten());
    all.flatten().collect()
}

/// What keeps a claim from the volume that it names.
pub(super) fn misfits_of_named(
    claim: &Claim,
    wants: &ClaimTerms,
    volume: &PersistentVolume,
) -> Vec<Misfit> {
    let none = VolumeTerms::default();
    let pair = Pair {
        claim,
        wants,
        volume,
        offers: volume.terms.as_deref().unwrap_or(&none),
    };
    if is_reserved(claim, volume) {
        return Vec::new();
    }
    let class = wants.class.as_deref().unwrap_or_default();
    let all = [
        pair.other_claim(),
        pair.deleting(),
        pair.size(),
        pair.class(class),
        pair.attributes(),
        pair.mode(),
        pair.access_modes(),
    ];
    all.into_iter().flatten().collect()
}

impl Pair<'_> {
    fn access_modes(&self) -> Option<Misfit> {
        let offers = &self.volume.access_modes;
        let all = self
            .claim
            .access_modes
            .iter()
            .all(|mode| offers.contains(mode));
        (!all).then(|| Misfit::AccessModes {
            offers: offers.clone(),
            wants: self.claim.access_modes.clone(),
        })
    }

    fn other_claim(&self) -> Option<Misfit> {
        let of = self.volume.claim.as_ref()?;
        (!is_reserved(self.claim, self.volume)).then(|| Misfit::OtherClaim(of.clone()))
    }

    fn size(&self) -> Option<Misfit> {
        let has = self.volume.capacity.unwrap_or_default();
        let wants = self.claim.request.unwrap_or_default();
        (has < wants).then_some(Misfit::Size { has, wants })
    }

    fn mode(&self) -> Option<Misfit> {
        let word = |mode| match mode {
            VolumeMode::Filesystem => "Filesystem",
            VolumeMode::Block => "Block",
        };
        (self.volume.mode != self.wants.mode).then(|| Misfit::Mode {
            is: word(self.volume.mode),
            wants: word(self.wants.mode),
        })
    }

    fn attributes(&self) -> Option<Misfit> {
        let (has, wants) = (&self.offers.attributes_class, &self.wants.attributes_class);
        (has != wants).then(|| Misfit::AttributesClass {
            has: has.clone().unwrap_or_default(),
            wants: wants.clone().unwrap_or_default(),
        })
    }

    fn deleting(&self) -> Option<Misfit> {
        self.offers.deleting.then_some(Misfit::Deleting)
    }

    fn phase(&self) -> Option<Misfit> {
        (self.offers.phase != "Available").then(|| Misfit::Phase(self.offers.phase.clone()))
    }

    fn selector(&self) -> Option<Misfit> {
        let refuses = |one: &&Requirement| one.takes(&self.offers.labels) == Some(false);
        let mut requirements = self.wants.selector.iter().flatten();
        let refusing = requirements.find(refuses)?;
        Some(Misfit::Selector(refusing.to_string()))
    }

    fn class(&self, wants: &str) -> Option<Misfit> {
        (self.offers.class != wants).then(|| Misfit::Class {
            has: self.offers.class.clone(),
            wants: wants.to_owned(),
        })
    }
}
