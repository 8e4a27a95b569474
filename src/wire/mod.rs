//! Model ↔ protobuf `csidoctor.v1`: the only converter, in both directions.
//!
//! Decoding refuses only what lacks a required field, and names the field. A word that this
//! version does not know becomes a gap or the careful choice, unknown fields are ignored, and a
//! fact that came with neither value nor reason is unknown: never ok. All text is data of
//! strangers: it is limited in length and freed of control characters here, once.
//!
//! It does not know who sends or asks, nor where bytes are kept.

#![deny(clippy::disallowed_methods)]

mod beside;
mod driver;
mod facts;
mod finding;
mod objects;
mod published;
mod reply;
mod state;
mod value;
mod weight;

#[cfg(test)]
pub(crate) mod strategies;

use prost::Message;
use prost::bytes::Bytes;
use prost::encoding::bytes::{encode, encoded_len};
use prost::encoding::{WireType, encode_key, encode_varint, message};

use crate::model::finding::{Finding, Subject};
use crate::model::scan::{Origin, Scan};
use crate::model::volume::Volume;
use crate::proto::{ScanVolumes, v1};
use crate::wire::value::{all, duration, milliseconds, name, required, word};

pub use crate::wire::reply::{at, at_ns, least_severity};
pub use crate::wire::weight::weigh_scan;

/// The numbers of fields that are written piece by piece (`proto/csidoctor/v1/scan.proto`).
const FACTS: u32 = 6;
const VERDICTS: u32 = 7;
const VOLUMES: u32 = 4;

/// Bytes of a volume with its pod, its claim and its sizes.
const USUAL_VOLUME: usize = 1536;

/// Bytes of a subject with the reason why it could not be judged.
const USUAL_UNKNOWN: usize = 256;

/// What could not be taken from the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The sender left out what a reader cannot do without.
    #[error("the required field {field} is missing")]
    Missing {
        /// Its path in the message.
        field: String,
    },
    /// The sender uses a word that this version cannot stand in for.
    #[error("the field {field} has the unknown word {word:?}")]
    Unknown {
        /// Its path in the message.
        field: String,
        /// The word.
        word: String,
    },
    /// It would take more room than any node needs.
    #[error("the scan would take more than {limit} MiB once it is decoded")]
    TooLarge {
        /// How much is taken.
        limit: usize,
    },
    /// The bytes are no such message.
    #[error("not a message of csidoctor.v1")]
    Undecodable(#[from] prost::DecodeError),
}

impl WireError {
    pub(crate) fn missing(field: &str) -> Self {
        Self::Missing {
            field: field.to_owned(),
        }
    }

    /// The same error, seen from the message around it.
    pub(crate) fn within(self, outer: &str) -> Self {
        match self {
            Self::Missing { field } => Self::Missing {
                field: format!("{outer}.{field}"),
            },
            Self::Unknown { field, word } => Self::Unknown {
                field: format!("{outer}.{field}"),
                word,
            },
            other @ (Self::Undecodable(_) | Self::TooLarge { .. }) => other,
        }
    }
}

impl TryFrom<v1::Scan> for Scan {
    type Error = WireError;

    fn try_from(scan: v1::Scan) -> Result<Self, WireError> {
        let facts = scan.facts.ok_or_else(|| WireError::missing("facts"))?;
        Ok(Self {
            origin: Origin {
                instance: name(required("instance", scan.instance)?),
                sequence: scan.sequence,
            },
            version: word(scan.version),
            interval: duration(scan.interval_ms),
            took: duration(scan.took_ms),
            facts: facts
                .try_into()
                .map_err(|error: WireError| error.within("facts"))?,
            verdicts: all("verdicts", scan.verdicts)?,
        })
    }
}

/// The bytes of a scan.
///
/// What there is much of is converted, written and dropped one after the other: made as a whole, the
/// message would take more memory than the scan itself.
pub fn encode_scan(scan: &Scan) -> Vec<u8> {
    let volumes = &scan.facts.volumes.items;
    let around = v1::Scan {
        instance: scan.origin.instance.clone(),
        sequence: scan.origin.sequence,
        version: scan.version.clone(),
        interval_ms: milliseconds(scan.interval),
        took_ms: milliseconds(scan.took),
        facts: Some(facts::without_volumes(&scan.facts)),
        verdicts: Vec::new(),
    };
    let mut bytes = around.encode_to_vec();
    let unknowns = scan.verdicts.iter().map(|one| one.unknowns.len());
    let unknowns: usize = unknowns.sum();
    bytes.reserve(volumes.len() * USUAL_VOLUME + unknowns * USUAL_UNKNOWN);
    // A message that comes in pieces is all of them together: here of facts with one volume each,
    // whose length is known once it is written.
    let mut one = Vec::with_capacity(USUAL_VOLUME);
    for volume in volumes {
        one.clear();
        v1::Volume::from(volume).encode_raw(&mut one);
        encode_key(FACTS, WireType::LengthDelimited, &mut bytes);
        encode_varint(encoded_len(VOLUMES, &one) as u64, &mut bytes);
        encode(VOLUMES, &one, &mut bytes);
    }
    for verdicts in &scan.verdicts {
        message::encode(VERDICTS, &v1::RuleVerdicts::from(verdicts), &mut bytes);
    }
    bytes
}

/// The scan of these bytes.
pub fn decode_scan(bytes: &[u8]) -> Result<Scan, WireError> {
    v1::Scan::decode(bytes)?.try_into()
}

/// The volumes at these positions of the scan of these bytes, as far as there are any; what else it
/// says is passed over.
pub fn decode_volumes(bytes: Bytes, positions: &[u32]) -> Result<Vec<(u32, Volume)>, WireError> {
    let facts = ScanVolumes::decode(bytes)?.facts.unwrap_or_default();
    let mut volumes = Vec::with_capacity(positions.len());
    for position in positions {
        if let Some(bytes) = facts.volumes.get(*position as usize) {
            let volume = v1::Volume::decode(bytes.clone())?.try_into()?;
            volumes.push((*position, volume));
        }
    }
    Ok(volumes)
}

/// The bytes of a finding.
pub fn encode_finding(finding: &Finding) -> Vec<u8> {
    v1::Finding::from(finding).encode_to_vec()
}

/// The finding of these bytes.
pub fn decode_finding(bytes: &[u8]) -> Result<Finding, WireError> {
    v1::Finding::decode(bytes)?.try_into()
}

/// The bytes of a subject: equal subjects have equal bytes.
pub fn encode_subject(subject: &Subject) -> Vec<u8> {
    v1::Subject::from(subject).encode_to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::view::Story;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn a_scan_comes_back_as_it_went(scan in strategies::scan()) {
            prop_assert_eq!(decode_scan(&encode_scan(&scan)), Ok(scan));
        }

        #[test]
        fn some_volumes_are_those_of_the_whole(scan in strategies::scan()) {
            let bytes = Bytes::from(encode_scan(&scan));
            let volumes = scan.facts.volumes.items;
            let last = u32::try_from(volumes.len()).unwrap();
            let positions: Vec<u32> = (0..=last).rev().collect();
            let expected: Vec<_> = (0..).zip(volumes).collect::<Vec<_>>().into_iter().rev().collect();
            prop_assert_eq!(decode_volumes(bytes, &positions), Ok(expected));
        }

        #[test]
        fn a_story_comes_back_as_it_went(story in strategies::story()) {
            let message = v1::Story::from(&story);
            prop_assert_eq!(Story::try_from(message), Ok(story));
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_understood(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = decode_scan(&bytes);
            let _ = decode_finding(&bytes);
        }
    }

    #[test]
    fn what_is_required_is_named() {
        let mut scan = v1::Scan::default();
        assert_eq!(refusal(&scan), "the required field facts is missing");
        scan.facts = Some(v1::NodeFacts::default());
        assert_eq!(refusal(&scan), "the required field instance is missing");
        scan.instance = "a".into();
        assert_eq!(refusal(&scan), "the required field facts.node is missing");
        scan.facts = Some(v1::NodeFacts {
            node: "n".into(),
            volumes: vec![v1::Volume {
                spec_name: "pv-1".into(),
                driver: "d".into(),
                staged: Some(v1::Mount::default()),
                ..v1::Volume::default()
            }],
            ..v1::NodeFacts::default()
        });
        assert_eq!(
            refusal(&scan),
            "the required field facts.volumes[0].staged.target is missing"
        );
    }

    fn refusal(scan: &v1::Scan) -> String {
        Scan::try_from(scan.clone()).unwrap_err().to_string()
    }

    #[test]
    fn fields_of_a_newer_version_are_ignored() {
        let mut bytes = v1::Scan {
            instance: "a".into(),
            facts: Some(v1::NodeFacts {
                node: "n".into(),
                ..v1::NodeFacts::default()
            }),
            ..v1::Scan::default()
        }
        .encode_to_vec();
        // Field 900, length-delimited, "new".
        bytes.extend([0xa2, 0x38, 3, b'n', b'e', b'w']);
        assert_eq!(decode_scan(&bytes).unwrap().facts.node.as_str(), "n");
    }
}
