//! How a driver behaves when it is to expand a volume: well, or as it was told to.

use std::fmt;
use std::str::FromStr;

use anyhow::anyhow;
use tonic::Code;

/// How a driver behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It does what it is asked to.
    Well,
    /// It says that it did.
    Lie,
    /// It does not answer.
    Hang,
    /// It expands only what nobody uses.
    Offline,
    /// It answers with this code.
    Refuse(Code),
}

/// The codes with their names, as Go's gRPC spells them.
const CODES: [Code; 16] = [
    Code::Cancelled,
    Code::Unknown,
    Code::InvalidArgument,
    Code::DeadlineExceeded,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::ResourceExhausted,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::OutOfRange,
    Code::Unimplemented,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
    Code::Unauthenticated,
];

/// Go spells one of them differently.
pub(crate) fn name(code: Code) -> String {
    match code {
        Code::Cancelled => "Canceled".to_owned(),
        code => format!("{code:?}"),
    }
}

impl Manner {
    /// What a caller is answered, in Go's words; nothing where it is told that all is well.
    pub(crate) fn error(&self) -> Option<String> {
        let (code, words) = match self {
            Self::Well | Self::Lie => return None,
            Self::Hang => (Code::DeadlineExceeded, "context deadline exceeded"),
            Self::Offline => (Code::FailedPrecondition, "the volume is in use"),
            Self::Refuse(code) => (*code, "the driver was told to refuse"),
        };
        Some(format!("rpc error: code = {} desc = {words}", name(code)))
    }

    /// Whether the resizer takes the answer for the last word of this try.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Refuse(code) => !matches!(
                code,
                Code::Cancelled
                    | Code::DeadlineExceeded
                    | Code::Unavailable
                    | Code::ResourceExhausted
                    | Code::Aborted
            ),
            Self::Offline => true,
            Self::Well | Self::Lie | Self::Hang => false,
        }
    }

    /// Whether nobody asks again for the same size.
    pub(crate) fn is_infeasible(&self) -> bool {
        matches!(
            self,
            Self::Refuse(Code::InvalidArgument | Code::OutOfRange | Code::NotFound)
        )
    }
}

impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well => f.write_str("well"),
            Self::Lie => f.write_str("lie"),
            Self::Hang => f.write_str("hang"),
            Self::Offline => f.write_str("offline"),
            Self::Refuse(code) => f.write_str(&name(*code)),
        }
    }
}

impl FromStr for Manner {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "well" => Self::Well,
            "lie" => Self::Lie,
            "hang" => Self::Hang,
            "offline" => Self::Offline,
            _ => {
                let code = CODES.into_iter().find(|code| name(*code) == text);
                Self::Refuse(code.ok_or_else(|| {
                    let names: Vec<String> = CODES.into_iter().map(name).collect();
                    anyhow!(
                        "{text} is none of well, lie, hang, offline and the codes {}",
                        names.join(", ")
                    )
                })?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manner_is_read_as_it_is_written() {
        for text in ["well", "lie", "hang", "offline", "OutOfRange", "Canceled"] {
            assert_eq!(text.parse::<Manner>().unwrap().to_string(), text);
        }
        assert!("rudely".parse::<Manner>().is_err());
    }
}
