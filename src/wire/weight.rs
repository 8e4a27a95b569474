//! How much room a scan takes once it is decoded, told from its bytes: an empty volume is two
//! bytes on the wire and some thousand in memory.
//!
//! Only the parts that can be many are known here. One that is missing weighs too little, and is
//! refused no more often for it.

use crate::wire::WireError;

/// A node with ten thousand volumes takes half of it.
const LIMIT: usize = 128 * 1024 * 1024;

/// A message, by what is looked for in it.
#[derive(Clone, Copy)]
enum Part {
    Scan,
    Facts,
    Volume,
    Published,
    Driver,
    Verdicts,
    Judged,
    Problem,
    /// Text, bytes or a message of a few of them.
    Leaf,
}

impl Part {
    /// The part in this field of it (`proto/csidoctor/v1/scan.proto`).
    fn field(self, number: u64) -> Self {
        match (self, number) {
            (Self::Scan, 6) => Self::Facts,
            (Self::Scan, 7) => Self::Verdicts,
            (Self::Facts, 4) => Self::Volume,
            (Self::Facts, 6) => Self::Driver,
            (Self::Volume, 14) => Self::Published,
            (Self::Verdicts, 6 | 7) => Self::Judged,
            (Self::Judged, 2) => Self::Problem,
            _ => Self::Leaf,
        }
    }

    /// Bytes of its struct, rounded up: twice, for the message and for what is made of it.
    fn weight(self) -> usize {
        match self {
            Self::Scan | Self::Facts => 0,
            Self::Volume => 3200,
            Self::Published => 1600,
            Self::Driver | Self::Verdicts | Self::Judged | Self::Problem => 800,
            Self::Leaf => 100,
        }
    }
}

/// Refuses the bytes of a scan that would take more room than any node needs. Bytes that are no
/// message are left to the decoder.
pub fn weigh_scan(bytes: &[u8]) -> Result<(), WireError> {
    let mut weight = 0;
    match weigh(Part::Scan, bytes, &mut weight) {
        Some(()) | None if weight <= LIMIT => Ok(()),
        _ => Err(WireError::TooLarge {
            limit: LIMIT / (1024 * 1024),
        }),
    }
}

/// `None` where the bytes end too early, or the weight is beyond the limit.
fn weigh(part: Part, mut bytes: &[u8], weight: &mut usize) -> Option<()> {
    const VARINT: u64 = 0;
    const EIGHT_BYTES: u64 = 1;
    const LENGTH: u64 = 2;
    const FOUR_BYTES: u64 = 5;
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        match key & 7 {
            VARINT => drop(varint(&mut bytes)?),
            EIGHT_BYTES => bytes = bytes.get(8..)?,
            FOUR_BYTES => bytes = bytes.get(4..)?,
            LENGTH => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (inner, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                let field = part.field(key >> 3);
                *weight = weight.saturating_add(field.weight());
                match field {
                    Part::Leaf => *weight = weight.saturating_add(length),
                    _ => weigh(field, inner, weight)?,
                }
                if *weight > LIMIT {
                    return None;
                }
            }
            _ => return None,
        }
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::model::sample;
    use crate::proto::v1;

    fn scan_of(volumes: Vec<v1::Volume>) -> Vec<u8> {
        v1::Scan {
            facts: Some(v1::NodeFacts {
                volumes,
                ..v1::NodeFacts::default()
            }),
            ..v1::Scan::default()
        }
        .encode_to_vec()
    }

    #[test]
    fn ten_thousand_volumes_are_taken() {
        let bytes = scan_of(vec![(&sample::volume()).into(); 10_000]);
        assert_eq!(weigh_scan(&bytes), Ok(()));
    }

    #[test]
    fn a_bomb_of_empty_volumes_is_refused() {
        let bytes = scan_of(vec![v1::Volume::default(); 100_000]);
        assert!(bytes.len() < 250_000);
        assert_eq!(
            weigh_scan(&bytes).unwrap_err().to_string(),
            "the scan would take more than 128 MiB once it is decoded"
        );
        let published = vec![v1::Published::default(); 100_000];
        let volume = v1::Volume {
            published,
            ..v1::Volume::default()
        };
        assert!(weigh_scan(&scan_of(vec![volume])).is_err());
    }

    #[test]
    fn what_is_no_message_is_left_to_the_decoder() {
        for bytes in [&[0xff; 64][..], &[0x32, 0x05, 0x01], &[0x0b]] {
            assert_eq!(weigh_scan(bytes), Ok(()));
        }
    }
}
