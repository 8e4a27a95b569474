//! An object's way as ordered steps, for a person to follow.

use jiff::Timestamp;

use crate::model::cause::Cause;
use crate::model::finding::{NextStep, Object};
use crate::model::names::PodRef;
use crate::model::observed::Gap;
use crate::model::stage::Stage;

/// All that is said when somebody asks about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// When.
    pub at: Timestamp,
    /// The ways, in the order in which they are gone.
    pub ways: Vec<Followed>,
    /// The one thing to do.
    pub next: Option<NextStep>,
    /// What was looked for in logs; nothing where nothing is stuck.
    pub logs: Option<Logs>,
    /// What could not be seen.
    pub unseen: Vec<Gap>,
}

/// A way, with the codes of what was found about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The way.
    pub way: Way,
    /// The codes, each with a page.
    pub codes: Vec<String>,
}

/// What logs say of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Logs {
    /// The lines that matter, by container and time.
    pub lines: Vec<LogLine>,
    /// The containers whose logs were read.
    pub read: Vec<String>,
    /// Why there may be more.
    pub gaps: Vec<Gap>,
    /// The command that shows what the kubelet of its node logged.
    pub kubelet: Option<String>,
}

/// A line of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Whose: pod and container, with what it does.
    pub by: String,
    /// When it was written.
    pub at: Option<Timestamp>,
    /// Its words, without secrets, cut.
    pub text: String,
    /// What they mean, where that is known.
    pub cause: Option<Cause>,
}

/// The way of one object, as one node or the objects alone show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Whose.
    pub object: Object,
    /// The pod that it is mounted in, and the pod's own name for it.
    pub mounted_in: Option<(PodRef, String)>,
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
    /// When that was, where it is known.
    pub at: Option<Timestamp>,
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
