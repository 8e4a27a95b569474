//! Three answers, never two: a fact is known, or it is unknown for a reason.

use std::fmt;

use jiff::Timestamp;

use crate::model::names::Text;

/// A fact that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed<T> {
    /// It was seen.
    Known(T),
    /// It could not be seen.
    Unknown(Gap),
}

impl<T> Observed<T> {
    /// The fact, if it was seen.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(fact) => Some(fact),
            Self::Unknown(_) => None,
        }
    }

    /// The reason why it was not seen.
    pub fn gap(&self) -> Option<&Gap> {
        match self {
            Self::Known(_) => None,
            Self::Unknown(gap) => Some(gap),
        }
    }

    /// Another fact that follows from this one.
    pub fn map<U>(self, then: impl FnOnce(T) -> U) -> Observed<U> {
        match self {
            Self::Known(fact) => Observed::Known(then(fact)),
            Self::Unknown(gap) => Observed::Unknown(gap),
        }
    }

    /// The fact by reference.
    pub fn as_ref(&self) -> Observed<&T> {
        match self {
            Self::Known(fact) => Observed::Known(fact),
            Self::Unknown(gap) => Observed::Unknown(gap.clone()),
        }
    }
}

/// A fact that could not be observed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// The kind of reason; rules decide by it.
    pub why: Why,
    /// What was attempted, on what, and what came back: for a person.
    pub what: Text,
    /// Since when it is so, where that is known.
    pub since: Option<Timestamp>,
}

impl Gap {
    /// A gap of unknown age.
    pub fn new(why: Why, what: impl Into<Text>) -> Self {
        Self {
            why,
            what: what.into(),
            since: None,
        }
    }

    /// The same gap, with its age.
    #[must_use]
    pub fn since(self, since: Timestamp) -> Self {
        Self {
            since: Some(since),
            ..self
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.why)
    }
}

/// Why a fact could not be observed. A reason can be the symptom itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// No answer before the deadline.
    TimedOut,
    /// The kernel has the mount, what is behind it is gone (`ESTALE`, `ENOTCONN`, `EIO` of a shut-down filesystem).
    Stale,
    /// The right to look is missing.
    Denied,
    /// There is nothing at that place.
    NotFound,
    /// Who could answer is not there, or refuses.
    Unavailable,
    /// Who was asked cannot tell, by design.
    Unsupported,
    /// What came back could not be understood.
    Malformed,
    /// Nobody looked: the source is not configured, or was left alone on purpose.
    NotAsked,
}

impl Why {
    /// Every reason, in the order of the list in `docs/json.md`.
    pub const ALL: [Self; 8] = [
        Self::TimedOut,
        Self::Stale,
        Self::Denied,
        Self::NotFound,
        Self::Unavailable,
        Self::Unsupported,
        Self::Malformed,
        Self::NotAsked,
    ];

    /// The reason as one CamelCase word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TimedOut => "TimedOut",
            Self::Stale => "Stale",
            Self::Denied => "Denied",
            Self::NotFound => "NotFound",
            Self::Unavailable => "Unavailable",
            Self::Unsupported => "Unsupported",
            Self::Malformed => "Malformed",
            Self::NotAsked => "NotAsked",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A list, with what may be missing from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// What was found.
    pub items: Vec<T>,
    /// Why the list may be incomplete; empty when it is complete.
    pub gaps: Vec<Gap>,
}

impl<T> Listing<T> {
    /// A list from which nothing is missing.
    pub fn complete(items: Vec<T>) -> Self {
        Self {
            items,
            gaps: Vec::new(),
        }
    }

    /// Nothing could be listed.
    pub fn unknown(gap: Gap) -> Self {
        Self {
            items: Vec::new(),
            gaps: vec![gap],
        }
    }

    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self::complete(Vec::new())
    }
}
