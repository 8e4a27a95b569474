//! The storage report of a cluster: every class, volume and claim, and what they sum up to.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::mount::Usage;
use crate::model::names::{ClaimRef, NodeName, Text};
use crate::model::observed::{Gap, Listing, Observed};
use crate::model::sizes::Bytes;
use crate::model::terms::ClaimPhase;

/// A storage report. What its sources could not know is unknown, and never 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// When it was made.
    pub at: Timestamp,
    /// Only what belongs to this namespace.
    pub namespace: Option<String>,
    /// The StorageClasses, the default one first.
    pub classes: Listing<ClassRow>,
    /// The PersistentVolumes, those that somebody must see to first.
    pub volumes: Listing<VolumeRow>,
    /// The claims, in the same order.
    pub claims: Listing<ClaimRow>,
    /// Sums by class.
    pub by_class: Vec<Total>,
    /// Sums by driver.
    pub by_driver: Vec<Total>,
    /// What is missing, each reason once: what it is about and why.
    pub missing: Vec<Gap>,
}

/// A StorageClass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassRow {
    /// Its name.
    pub name: String,
    /// Who makes its volumes.
    pub provisioner: String,
    /// What becomes of a volume whose claim is gone.
    pub reclaim: String,
    /// When it binds.
    pub binding_mode: &'static str,
    /// Whether its volumes can be enlarged.
    pub expandable: bool,
    /// Whether claims without a class get it.
    pub is_default: bool,
}

/// A PersistentVolume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeRow {
    /// Its name.
    pub name: String,
    /// Its capacity.
    pub capacity: Option<Bytes>,
    /// Its access modes.
    pub access_modes: Vec<String>,
    /// What becomes of it when its claim is gone.
    pub reclaim: String,
    /// `status.phase`.
    pub status: String,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// The claim that it is for.
    pub claim: Option<ClaimRef>,
    /// Its class.
    pub class: String,
    /// Its driver; nothing for what is no CSI volume.
    pub driver: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
}

impl VolumeRow {
    /// The status as kubectl shows it.
    pub fn shown(&self) -> &str {
        shown(self.deleting, &self.status)
    }
}

/// A claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRow {
    /// Which.
    pub claim: ClaimRef,
    /// `status.phase`.
    pub phase: ClaimPhase,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// What it asks for.
    pub request: Option<Bytes>,
    /// What it has.
    pub capacity: Option<Bytes>,
    /// Its access modes.
    pub access_modes: Vec<String>,
    /// The PersistentVolume that it is bound to, or asks for.
    pub volume: Option<String>,
    /// Its class; nothing where it takes the default one, empty where it wants none.
    pub class: Option<String>,
    /// Its driver; nothing for what is no CSI volume, or not known to be made by anybody yet.
    pub driver: Observed<Option<String>>,
    /// What is in it.
    pub usage: Observed<Usage>,
    /// The nodes that have it.
    pub nodes: Observed<Vec<NodeName>>,
    /// The pods that name it and are not over.
    pub pods: Observed<Vec<String>>,
    /// Codes of what was found about it; unknown where nothing was, and not everything could be judged.
    pub findings: Observed<Vec<String>>,
    /// When it was made.
    pub created: Option<Timestamp>,
}

impl ClaimRow {
    /// The status as kubectl shows it.
    pub fn shown(&self) -> &str {
        shown(self.deleting, self.phase.as_str())
    }
}

/// What is being deleted has no other status for kubectl (`pkg/printers/internalversion`).
fn shown(deleting: bool, phase: &str) -> &str {
    if deleting { "Terminating" } else { phase }
}

/// What volumes and claims of one kind sum up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// The class or the driver; nothing for what has none.
    pub of: Option<String>,
    /// How many claims.
    pub claims: Observed<usize>,
    /// How many volumes.
    pub volumes: Observed<usize>,
    /// What claims ask for.
    pub requested: Observed<Bytes>,
    /// What volumes have.
    pub provisioned: Observed<Bytes>,
    /// What is in them, of the claims whose bytes a node tells.
    pub used: Observed<Bytes>,
    /// Of so many claims.
    pub used_of: usize,
    /// Volumes that are released, and bound ones whose claim no pod names.
    pub reclaimable: Observed<Bytes>,
}

/// Namespace and name of a claim, whichever life of it.
pub type ClaimName = (Text, Text);

/// What nodes and rules know of claims beside the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// What is in volumes, and where they are, by claim.
    pub on_nodes: Observed<BTreeMap<ClaimName, OnNodes>>,
    /// Findings about claims.
    pub findings: Findings,
}

/// What is found about claims.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// The codes of what was found.
    pub codes: BTreeMap<ClaimName, Vec<String>>,
    /// Claims that not all rules could judge, and why: that nothing was found says nothing of these.
    pub unjudged: BTreeMap<ClaimName, Gap>,
}

/// What nodes tell of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnNodes {
    /// The nodes that have it.
    pub nodes: Vec<NodeName>,
    /// What is in it.
    pub usage: Observed<Usage>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_deleted_is_terminating_as_for_kubectl() {
        assert_eq!(shown(true, "Bound"), "Terminating");
        assert_eq!(shown(false, "Bound"), "Bound");
    }
}
