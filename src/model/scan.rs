//! What one agent says at one moment: a complete statement about its node.

use std::time::Duration;

use crate::model::facts::NodeFacts;
use crate::model::finding::RuleVerdicts;

/// One gather–diagnose round of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Which agent, and which of its scans: the order of scans, whatever the clocks say.
    pub origin: Origin,
    /// The agent's version.
    pub version: String,
    /// When the next one is to be expected.
    pub interval: Duration,
    /// How long the gathering took.
    pub took: Duration,
    /// What was seen.
    pub facts: NodeFacts,
    /// What the rules say of it.
    pub verdicts: Vec<RuleVerdicts>,
}

/// Which agent, and which of its scans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// One life of one agent; later lives sort after earlier ones of the same clock, but are
    /// only ever compared for equality.
    pub instance: String,
    /// Counts up within that life.
    pub sequence: u64,
}
