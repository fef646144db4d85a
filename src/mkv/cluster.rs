//! A fragment on the wire: one Cluster of SimpleBlocks.
//!
//! In: timecodes, track numbers, payload lengths. Out: the bytes before the first block and before each payload.
//!
//! Does not belong here: payloads, the rule that timecodes must rise from cluster to cluster.

use bytes::Bytes;

use super::ebml::{push_size, push_uint, push_unknown_size};
use super::ids;
use crate::media::TrackNumber;
use crate::time::Timecode;

/// SimpleBlock flag: decoding may start here (RFC 9559 §10.2).
const FLAG_KEY: u8 = 0x80;
/// Track number (1 byte), relative timecode (2), flags (1).
const BLOCK_FIELDS: usize = 4;
/// Id (1 byte), the longest size (8) and the fields of a block.
const MAX_BLOCK_HEADER: usize = 1 + 8 + BLOCK_FIELDS;
/// Id (4 bytes) and unknown size (8) of the cluster; id (1), size (1) and the longest value (8) of the timecode.
const MAX_CLUSTER_HEADER: usize = 4 + 8 + 1 + 1 + 8;

/// The start of a fragment: a Cluster of unknown size with its timecode.
///
/// `timecode` is what the service knows the fragment by; its acks repeat it.
pub fn cluster_header(timecode: Timecode) -> Bytes {
    let mut out = Vec::with_capacity(MAX_CLUSTER_HEADER);
    push_unknown_size(&mut out, ids::CLUSTER);
    push_uint(&mut out, ids::TIMECODE, timecode.as_millis());
    out.into()
}

/// All bytes of a SimpleBlock before its payload of `payload_len` bytes; 7 to 13 bytes.
///
/// `relative_ms` is the frame's presentation time minus the cluster's timecode, see [`block_offset`]. Blocks stand in
/// decode order.
pub fn simple_block_header(
    track: TrackNumber,
    relative_ms: i16,
    key: bool,
    payload_len: usize,
) -> Bytes {
    let mut out = Vec::with_capacity(MAX_BLOCK_HEADER);
    out.extend_from_slice(ids::SIMPLE_BLOCK);
    push_size(&mut out, payload_len.saturating_add(BLOCK_FIELDS));
    // A variable-size integer of one byte: `TrackNumber` ends at 126.
    out.push(0x80 | track.get());
    out.extend_from_slice(&relative_ms.to_be_bytes());
    out.push(if key { FLAG_KEY } else { 0 });
    out.into()
}

/// The distance from the cluster's timecode to a frame's, in milliseconds.
///
/// `None` when a block cannot hold it: below -32.768 s or above 32.767 s. A fragment is at most 20 s long, so it
/// always fits unless the source jumped in time.
pub fn block_offset(cluster: Timecode, pts: Timecode) -> Option<i16> {
    let offset = i128::from(pts.as_millis()) - i128::from(cluster.as_millis());
    i16::try_from(offset).ok()
}
