//! What a matcher is: a general statement about how a kind of software words a kind of error.
//!
//! Rows are constants; the words they speak of are sought all at once by `needles`. Knows nothing
//! of any particular software: the rows are in the files named after who words the error.

use crate::causes::layers::Phase;
use crate::model::cause::{CauseId, Confidence, GrpcCode};

/// How much a wording is worth against others in the same text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// Words that any software may use in that place; heard when nothing else speaks.
    Weak,
    /// Words of the kernel, of libc, of gRPC: true everywhere, but seldom the whole story.
    General,
    /// Words by which one kind of software says one kind of thing.
    Specific,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matcher {
    /// Words that must all be there, in this order.
    pub(super) all: &'static [&'static str],
    /// Words of which one must be there, if any are given.
    pub(super) any: &'static [&'static str],
    /// A second choice of which one must be there, if any are given.
    pub(super) with: &'static [&'static str],
    /// Whether a word of the first choice and one of the second must stand near each other.
    pub(super) near: bool,
    /// Words of which none may be there.
    pub(super) none: &'static [&'static str],
    /// The stages in which the words mean this; empty for all, known or not.
    pub(super) phases: &'static [Phase],
    /// The gRPC codes, innermost, with which the words mean this; empty for all.
    pub(super) codes: &'static [GrpcCode],
    pub(super) cause: CauseId,
    pub(super) confidence: Confidence,
    pub(super) strength: Strength,
    /// What else such words may come from, if the cause is only likely.
    pub(super) others: &'static [CauseId],
}

const NOTHING: Matcher = Matcher {
    all: &[],
    any: &[],
    with: &[],
    near: false,
    none: &[],
    phases: &[],
    codes: &[],
    cause: CauseId::TransientRetry,
    confidence: Confidence::Likely,
    strength: Strength::Specific,
    others: &[],
};

/// A row that asks for all of these words, in this order.
pub(super) const fn says(all: &'static [&'static str]) -> Matcher {
    Matcher { all, ..NOTHING }
}

/// A row that asks for one of these words.
pub(super) const fn says_any(any: &'static [&'static str]) -> Matcher {
    Matcher { any, ..NOTHING }
}

impl Matcher {
    pub(super) const fn with(mut self, with: &'static [&'static str]) -> Matcher {
        self.with = with;
        self
    }

    /// One of these must stand near one of the words asked for first, before or after it.
    pub(super) const fn near(mut self, with: &'static [&'static str]) -> Matcher {
        self.with = with;
        self.near = true;
        self
    }

    pub(super) const fn but_not(mut self, none: &'static [&'static str]) -> Matcher {
        self.none = none;
        self
    }

    pub(super) const fn at(mut self, phases: &'static [Phase]) -> Matcher {
        self.phases = phases;
        self
    }

    pub(super) const fn code(mut self, codes: &'static [GrpcCode]) -> Matcher {
        self.codes = codes;
        self
    }

    pub(super) const fn general(mut self) -> Matcher {
        self.strength = Strength::General;
        self
    }

    pub(super) const fn weak(mut self) -> Matcher {
        self.strength = Strength::Weak;
        self
    }

    /// The text itself says this cause.
    pub(super) const fn states(mut self, cause: CauseId) -> Matcher {
        self.cause = cause;
        self.confidence = Confidence::Stated;
        self
    }

    /// Such words usually come from this cause, else from one of the others.
    pub(super) const fn likely(mut self, cause: CauseId, others: &'static [CauseId]) -> Matcher {
        self.cause = cause;
        self.confidence = Confidence::Likely;
        self.others = others;
        self
    }
}
