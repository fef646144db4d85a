//! The spool on a disk that forgets and fails, on one with other bytes, and on the real one.

mod faults;
mod files;
mod ledger;
mod mutations;
mod tracks;
mod worlds;

use bytes::Bytes;

use super::*;
use crate::{
    fragment::{Tracks, tests::tracks},
    media::TrackNumber,
    mkv,
    time::{Timecode, Timestamp},
};

/// A fragment that no other `nth` has: two frames and a tag.
fn fragment(nth: u64, tracks: Tracks) -> (Spooled, Vec<Bytes>) {
    let timecode = Timecode::from_millis(1_700_000_000_000 + nth * 2_000);
    let mut body = Vec::new();
    let mut head = Vec::new();
    mkv::push_cluster_header(&mut head, timecode);
    for frame in 0..2_u8 {
        let mut payload = nth.to_be_bytes().to_vec();
        payload.resize(8 + (nth % 40) as usize, frame);
        let offset = i16::from(frame) * 40;
        mkv::push_simple_block_header(
            &mut head,
            TrackNumber::VIDEO,
            offset,
            frame == 0,
            payload.len(),
        );
        body.extend([Bytes::from(std::mem::take(&mut head)), payload.into()]);
    }
    let tag = mkv::Tag::new("nth", nth.to_string()).unwrap();
    body.push(mkv::tags(&[tag]));
    let first = Timestamp::from_millis(timecode.as_millis());
    let about = Spooled {
        timecode,
        tracks,
        start: Timestamp::from_nanos(nth),
        first,
        earliest: Timestamp::from_nanos(first.as_nanos() - 1),
        last: Timestamp::from_nanos(first.as_nanos() + 40_000_001),
        frames: 2,
        length: body.iter().map(|bytes| bytes.len() as u64).sum(),
    };
    (about, body)
}

/// The same with tracks of which there are two kinds.
fn nth(nth: u64) -> (Spooled, Vec<Bytes>) {
    fragment(nth, tracks(if nth.is_multiple_of(5) { 178 } else { 180 }))
}
