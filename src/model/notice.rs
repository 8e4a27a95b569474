//! What is put on an object for people to see, once when a finding opens and once when it is over.
//! Kubernetes calls it an Event.

use jiff::Timestamp;

use crate::model::finding::{Code, Object};

/// One such word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is put on: a claim, a volume, a pod or a node.
    pub on: Object,
    /// What is wrong.
    pub code: Code,
    /// With what; the same as `on`, where that can carry one.
    pub subject: Object,
    /// When this life of the finding opened: a later life is another episode.
    pub episode: Timestamp,
    /// Which step of it this is.
    pub turn: Turn,
    /// Whether somebody has to do something.
    pub is_warning: bool,
    /// One or two sentences.
    pub note: String,
    /// When it happened.
    pub at: Timestamp,
}

/// The two steps that are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Turn {
    /// The finding counts from now on.
    Opened,
    /// It is over.
    Resolved,
}

impl Turn {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "Opened",
            Self::Resolved => "Resolved",
        }
    }
}
