//! Scans as they lie in memory and in the store: the bytes that were received, compressed.
//!
//! A decoded scan takes five times as much room as its bytes, and these seven times as much as packed
//! (`docs/decisions/0012-scans-are-kept-packed.md`).

use std::cell::RefCell;
use std::sync::Arc;

use prost::bytes::Bytes;
use zstd::bulk::{Compressor, decompress};

use crate::grpc::MESSAGE_LIMIT;
use crate::model::scan::Scan;
use crate::model::view::NodeView;
use crate::model::volume::Volume;
use crate::wire;

/// The fastest one that still finds what a hundred volumes have in common.
const LEVEL: i32 = 1;

thread_local! {
    /// Making one takes as long as using it.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// The bytes of a scan, packed.
pub(super) fn pack(bytes: &[u8]) -> Arc<[u8]> {
    COMPRESSOR.with_borrow_mut(|compressor| {
        if compressor.is_none() {
            *compressor = Compressor::new(LEVEL).ok();
        }
        let packed = compressor.as_mut().map(|one| one.compress(bytes));
        // It fails where there is no memory, and so does everything else.
        packed.and_then(Result::ok).unwrap_or_default().into()
    })
}

fn unpack(packed: &[u8]) -> Option<Bytes> {
    Some(decompress(packed, MESSAGE_LIMIT).ok()?.into())
}

/// The whole scan; none where it is of a form that is no longer read.
pub(super) fn scan(packed: &[u8]) -> Option<Scan> {
    wire::decode_scan(&unpack(packed)?).ok()
}

/// The volumes at these positions of what a node said last.
pub(super) fn volumes(node: &NodeView, positions: &[u32]) -> Vec<(u32, Volume)> {
    // What was taken once can be decoded again: nothing is left out here.
    let bytes = unpack(&node.packed).unwrap_or_default();
    wire::decode_volumes(bytes, positions).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::sample;
    use crate::model::scan::Origin;

    #[test]
    fn a_scan_comes_back_as_it_was_received() {
        let given = Scan {
            origin: Origin {
                instance: "a".into(),
                sequence: 1,
            },
            version: "0".into(),
            interval: Duration::from_mins(1),
            took: Duration::ZERO,
            facts: sample::node(),
            verdicts: Vec::new(),
        };
        let packed = pack(&wire::encode_scan(&given));
        assert_eq!(scan(&packed), Some(given));
    }

    #[test]
    fn what_nobody_packed_is_no_scan() {
        assert_eq!(scan(&[]), None);
        assert_eq!(scan(b"of an earlier form"), None);
    }
}
