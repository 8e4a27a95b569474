//! An object's way as ordered steps, for a person to follow.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::cause::Cause;
use crate::model::finding::{NextStep, Object};
use crate::model::names::{PodRef, Text};
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
    /// Those that do not count yet, and how long they still have to last.
    pub settling: Vec<(String, Duration)>,
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
    pub mounted_in: Option<(PodRef, Text)>,
    /// Who saw what only a node can see, for a person.
    pub seen_by: String,
    /// Whether it is under way, stuck or at its end: a sentence.
    pub state: String,
    /// The steps, in their order.
    pub steps: Vec<Step>,
    /// The one thing to do.
    pub next: Option<NextStep>,
}

impl Way {
    /// The step where it stands.
    pub fn here(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.mark.is_here())
    }

    /// The same for who knows that it has waited for too long.
    #[must_use]
    pub fn overdue(mut self) -> Self {
        let waits = self.steps.iter_mut();
        for step in waits.filter(|step| step.mark == Mark::Waiting) {
            let says_so = self.state == step.stands();
            step.mark = Mark::Stuck;
            if says_so {
                self.state = step.stands();
            }
        }
        self
    }
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

impl Step {
    /// That the way stands here, as a sentence.
    pub fn stands(&self) -> String {
        let name = self.stage.step();
        match self.mark {
            Mark::Waiting => format!("It waits at: {name}. Nothing is wrong so far."),
            _ => format!("It stands at: {name}."),
        }
    }
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// It is done.
    Done,
    /// It is where the way stands at present, with nothing wrong so far: somebody is at work, or it waits on
    /// purpose.
    Waiting,
    /// It is where the way stands because something is wrong.
    Stuck,
    /// It cannot be told.
    Unknown,
    /// It comes after the one where the way stands, or nobody asked for it.
    Ahead,
}

impl Mark {
    /// Whether the way stands here, for whatever reason.
    pub fn is_here(self) -> bool {
        matches!(self, Self::Waiting | Self::Stuck)
    }

    /// The sign for it.
    pub fn sign(self) -> char {
        match self {
            Self::Done => '✓',
            Self::Waiting => '▸',
            Self::Stuck => '✗',
            Self::Unknown => '?',
            Self::Ahead => '·',
        }
    }
}
