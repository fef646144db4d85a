//! The cases of docs/timestamps.md: what becomes of the times that sources give.

mod buffers;
mod cameras;
mod documented;
mod pictures;
mod sources;
mod tracks;

use gstkvssink::local::Local;

use super::support::{
    accounts,
    feed::{Clip, Fed},
    packets::{self, Packet},
    properties,
};

const STREAM: &str = "times";

/// A playing sink that waits for the buffers of `clip`, and whose segment has all times that there are.
fn fed(local: &Local, clip: &Clip, more: &str) -> Fed {
    let fed = Fed::playing(
        &format!("stream-name={STREAM} {} {more}", properties(local)),
        clip,
    );
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    assert!(fed.event(gst::event::Segment::new(&segment)));
    fed
}

/// Puts all of it, and waits for its end: every frame is stored, in order and with its bytes. The times that they have, in
/// ms from the first one's.
fn sent(local: &Local, mut fed: Fed, buffers: &[gst::Buffer]) -> Vec<i64> {
    fed.put_all(buffers);
    fed.finish();
    let all = buffers.len() as u64;
    assert_eq!(accounts(&fed.stats()), [all, all, 0, 0], "{:#?}", fed.heard);
    let stored = stored(local);
    let came = buffers
        .iter()
        .map(|buffer| packets::hash(&buffer.map_readable().unwrap(), true));
    let hashes: Vec<_> = stored.iter().map(|packet| packet.hash.clone()).collect();
    assert_eq!(hashes, came.collect::<Vec<_>>());
    from_first(&stored)
}

/// Everything that is stored, session after session.
fn stored(local: &Local) -> Vec<Packet> {
    let files = local.session_files(STREAM);
    files
        .iter()
        .flat_map(|file| packets::stored(file))
        .collect()
}

/// Times in ms from the first one's.
fn from_first(packets: &[Packet]) -> Vec<i64> {
    let ms = |packet: &Packet| i64::try_from(packet.ms).unwrap();
    let first = packets.first().map_or(0, ms);
    packets.iter().map(|packet| ms(packet) - first).collect()
}

/// The same of buffers.
fn presented(buffers: &[gst::Buffer]) -> Vec<i64> {
    let ms = |buffer: &gst::Buffer| {
        let pts = buffer.pts().unwrap().nseconds();
        i64::try_from((pts + 500_000) / 1_000_000).unwrap()
    };
    let first = buffers.first().map_or(0, ms);
    buffers.iter().map(|buffer| ms(buffer) - first).collect()
}

/// The buffers, each changed by `change`, which is told which one it is.
fn changed(
    buffers: &[gst::Buffer],
    mut change: impl FnMut(usize, &mut gst::BufferRef),
) -> Vec<gst::Buffer> {
    let mut buffers = buffers.to_vec();
    for (n, buffer) in buffers.iter_mut().enumerate() {
        change(n, buffer.make_mut());
    }
    buffers
}
