//! What can keep a claim and a volume apart, in whose words.

use serde_json::{Value, json};

use Mismatch::{AccessModes, Attributes, Class, Deleting, Labels, Mode, OtherClaim, Size};

/// What does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mismatch {
    AccessModes,
    OtherClaim,
    Size,
    Mode,
    Attributes,
    Deleting,
    Labels,
    Class,
}

/// How claim and volume know of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// Not at all.
    Free,
    /// The claim names the volume.
    Named,
    /// The volume is reserved for the claim.
    Reserved,
}

impl Relation {
    /// What is looked at, in the order in which the controller looks.
    pub(super) fn looks_at(self) -> &'static [Mismatch] {
        match self {
            Self::Free => &[
                AccessModes,
                OtherClaim,
                Size,
                Mode,
                Attributes,
                Deleting,
                Labels,
                Class,
            ],
            Self::Named => &[
                OtherClaim,
                Deleting,
                Size,
                Class,
                Attributes,
                Mode,
                AccessModes,
            ],
            Self::Reserved => &[AccessModes, Size, Mode, Attributes, Deleting],
        }
    }

    /// What does not matter: the claim binds all the same.
    pub(super) fn overlooks(self) -> &'static [Mismatch] {
        match self {
            Self::Free => &[],
            Self::Named => &[Labels],
            Self::Reserved => &[Labels, Class],
        }
    }
}

impl Mismatch {
    /// How the doctor begins to say it.
    pub(super) fn said_by_doctor(self) -> &'static str {
        match self {
            AccessModes => "access modes: ",
            OtherClaim => "it is reserved for claim by-hand/somebody",
            Size => "size: ",
            Mode => "volume mode: ",
            Attributes => "volumeattributesclass: ",
            Deleting => "it is being deleted",
            Labels => "labels: ",
            Class => "class: ",
        }
    }

    /// What the controller says of a claim that names the volume.
    pub(super) fn said_by_controller(self) -> &'static str {
        match self {
            AccessModes => "incompatible accessMode",
            OtherClaim => "already bound to a different claim.",
            Size => "requested PV is too small",
            Mode => "incompatible volumeMode",
            Attributes => "volumeAttributesClassName does not match",
            Deleting => "the volume is marked for deletion",
            Labels => unreachable!("it overlooks labels"),
            Class => "storageClassName does not match",
        }
    }

    /// What changes a volume that has it; nothing where it has to be made anew.
    pub(super) fn mended(self) -> Option<Value> {
        Some(match self {
            AccessModes => json!({"spec": {"accessModes": ["ReadWriteOnce"]}}),
            OtherClaim => json!({"spec": {"claimRef": null}}),
            Size => json!({"spec": {"capacity": {"storage": "1Gi"}}}),
            Labels => json!({"metadata": {"labels": {"tier": "gold"}}}),
            Class => json!({"spec": {"storageClassName": ""}}),
            Mode | Attributes | Deleting => return None,
        })
    }
}
