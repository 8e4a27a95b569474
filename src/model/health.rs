//! Health as drivers and Kubernetes tell it, whichever dialect they speak.

use std::fmt;

/// How ill something is said to be, the worst last.
///
/// CSI 1.13 `VolumeHealthErrorType` and `StorageHealthErrorType`, Kubernetes 1.37 `healthConditions`
/// and `storageHealth`, and the one word of CSI ≤ 1.12, `VolumeCondition.abnormal`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Illness {
    /// A word or number that this version does not know: shown, and never taken for health.
    Other(String),
    /// It works, worse than it should.
    Degraded,
    /// Something is wrong, and no more is said.
    Abnormal,
    /// The storage behind it cannot be reached.
    Unreachable,
    /// It cannot be read or written.
    Inaccessible,
    /// Data is lost.
    DataLoss,
}

impl Illness {
    /// Those that have a word of their own.
    const NAMED: [Self; 5] = [
        Self::Degraded,
        Self::Abnormal,
        Self::Unreachable,
        Self::Inaccessible,
        Self::DataLoss,
    ];

    /// The word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(word) => word,
            Self::Degraded => "Degraded",
            Self::Abnormal => "Abnormal",
            Self::Unreachable => "Unreachable",
            Self::Inaccessible => "Inaccessible",
            Self::DataLoss => "DataLoss",
        }
    }

    /// What a word means, ours or Kubernetes'.
    pub fn of_word(word: &str) -> Self {
        let bare = word.strip_prefix("Storage").unwrap_or(word);
        let named = Self::NAMED.into_iter().find(|one| one.as_str() == bare);
        named.unwrap_or_else(|| Self::Other(word.to_owned()))
    }
}

impl fmt::Display for Illness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HealthEntry {
    /// How ill.
    pub illness: Illness,
    /// A word of the driver's own.
    pub reason: String,
    /// A sentence of the driver's own.
    pub message: String,
}

impl fmt::Display for HealthEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.illness {
            Illness::Other(word) => write!(f, "something that is not known here ({word})")?,
            known => f.write_str(known.as_str())?,
        }
        if !self.reason.is_empty() {
            write!(f, " ({})", self.reason)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_every_dialect() {
        for (word, illness) in [
            ("Degraded", Illness::Degraded),
            ("StorageDegraded", Illness::Degraded),
            ("StorageUnreachable", Illness::Unreachable),
            ("Inaccessible", Illness::Inaccessible),
            ("DataLoss", Illness::DataLoss),
            ("Haunted", Illness::Other("Haunted".to_owned())),
            ("", Illness::Other(String::new())),
        ] {
            assert_eq!(Illness::of_word(word), illness);
        }
        assert!(Illness::DataLoss > Illness::Degraded && Illness::Degraded > Illness::of_word("?"));
    }
}
