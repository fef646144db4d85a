//! A fragment on the wire: one Cluster of SimpleBlocks.
//!
//! In: timecodes, track numbers, payload lengths. Out: the bytes before the first block and before each payload.
//!
//! Does not belong here: payloads, the rule that timecodes must rise from cluster to cluster.

use bytes::BufMut;

use super::ebml::{push_size, push_uint, push_unknown_size};
use super::ids;
use crate::media::TrackNumber;
use crate::time::Timecode;

/// SimpleBlock flag: decoding may start here (RFC 9559 §10.2).
const FLAG_KEY: u8 = 0x80;
/// Track number (1 byte), relative timecode (2), flags (1).
const BLOCK_FIELDS: usize = 4;

/// The start of a fragment: a Cluster of unknown size with its timecode; 15 to 22 bytes.
///
/// `timecode` is what the service knows the fragment by; its acks repeat it.
pub fn push_cluster_header(out: &mut impl BufMut, timecode: Timecode) {
    push_unknown_size(out, ids::CLUSTER);
    push_uint(out, ids::TIMECODE, timecode.as_millis());
}

/// All bytes of a SimpleBlock before its payload of `payload_len` bytes; 6 to 13 bytes.
///
/// `relative_ms` is the frame's presentation time minus the cluster's timecode, see [`block_offset`]. Blocks stand in
/// decode order.
pub fn push_simple_block_header(
    out: &mut impl BufMut,
    track: TrackNumber,
    relative_ms: i16,
    key: bool,
    payload_len: usize,
) {
    out.put_slice(ids::SIMPLE_BLOCK);
    push_size(out, payload_len.saturating_add(BLOCK_FIELDS));
    // A variable-size integer of one byte: `TrackNumber` ends at 126.
    out.put_u8(0x80 | track.get());
    out.put_i16(relative_ms);
    out.put_u8(if key { FLAG_KEY } else { 0 });
}

/// The distance from the cluster's timecode to a frame's, in milliseconds.
///
/// `None` when a block cannot hold it: below -32.768 s or above 32.767 s. A fragment is at most 20 s long, so it
/// always fits unless the source jumped in time.
pub fn block_offset(cluster: Timecode, pts: Timecode) -> Option<i16> {
    let offset = i128::from(pts.as_millis()) - i128::from(cluster.as_millis());
    i16::try_from(offset).ok()
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::super::golden::assert_fields;
    use super::*;

    #[test]
    fn golden_cluster_of_two_blocks() {
        let (key, inter) = ([0xAA; 2], [0xBB; 300]);
        let mut cluster = Vec::new();
        push_cluster_header(&mut cluster, Timecode::from_millis(1_700_000_000_000));
        push_simple_block_header(&mut cluster, TrackNumber::VIDEO, 80, true, key.len());
        cluster.extend(key);
        push_simple_block_header(&mut cluster, TrackNumber::AUDIO, -40, false, inter.len());
        cluster.extend(inter);
        assert_fields(
            &cluster,
            &[
                ("1F43B675 01FFFFFFFFFFFFFF", "Cluster, unknown size"),
                ("E7 86 018BCFE56800", "Timecode 1,700,000,000,000"),
                ("A3 86", "SimpleBlock, 6 bytes"),
                ("81", "track 1"),
                ("0050", "80 ms after the cluster's timecode"),
                ("80", "key frame, no lacing"),
                ("AAAA", "payload"),
                ("A3 4130", "SimpleBlock, 304 bytes"),
                ("82", "track 2"),
                ("FFD8", "40 ms before the cluster's timecode"),
                ("00", "no key frame, no lacing"),
                (&"BB".repeat(300), "payload"),
            ],
        );
    }

    #[test_case(0 => 6)]
    #[test_case(122 => 6)]
    #[test_case(123 => 7)]
    #[test_case(50 * 1024 * 1024 => 9)]
    #[test_case(usize::MAX => 13; "no payload is too large to try")]
    fn a_block_header_is_short(payload_len: usize) -> usize {
        let mut header = Vec::new();
        push_simple_block_header(&mut header, TrackNumber::VIDEO, 0, true, payload_len);
        header.len()
    }

    #[test_case(1_000, 1_000 => Some(0))]
    #[test_case(1_000, 33_767 => Some(i16::MAX))]
    #[test_case(1_000, 33_768 => None)]
    #[test_case(40_000, 7_232 => Some(i16::MIN))]
    #[test_case(40_000, 7_231 => None)]
    #[test_case(0, u64::MAX => None; "far after")]
    #[test_case(u64::MAX, 0 => None; "far before")]
    fn a_block_reaches_as_far_as_its_field(cluster: u64, pts: u64) -> Option<i16> {
        block_offset(Timecode::from_millis(cluster), Timecode::from_millis(pts))
    }
}
