//! An object's way as ordered steps, for a person to follow.

use crate::model::finding::{NextStep, Object};
use crate::model::stage::Stage;

/// The way of one object, as one node or the objects alone show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Whose.
    pub object: Object,
    /// Who saw what only a node can see, for a person.
    pub seen_by: String,
    /// Whether it is under way, stuck or at its end: a sentence.
    pub state: String,
    /// The steps, in their order.
    pub steps: Vec<Step>,
    /// The one thing to do.
    pub next: Option<NextStep>,
}

/// One step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub stage: Stage,
    /// How far it is.
    pub mark: Mark,
    /// What says so, or why it is not known.
    pub evidence: String,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// It is done.
    Done,
    /// It is where the way is stuck, or stands at present.
    Stuck,
    /// It cannot be told.
    Unknown,
    /// It comes after the one that is stuck.
    Ahead,
}

impl Mark {
    /// The sign for it.
    pub fn sign(self) -> char {
        match self {
            Self::Done => '✓',
            Self::Stuck => '✗',
            Self::Unknown => '?',
            Self::Ahead => '·',
        }
    }
}
