//! Media for tests: a header and clusters that the service takes, and ways to spoil them.

use super::mkv::{id, put, put_uint, tags};
use super::tags::END_OF_FRAGMENT;

/// avcC of a 160 × 120 picture by x264, with four bytes for a NAL unit's length.
pub(crate) const AVCC: &[u8] = &[
    0x01, 0x42, 0xC0, 0x0A, 0xFF, 0xE1, 0x00, 0x17, 0x67, 0x42, 0xC0, 0x0A, 0xD9, 0x02, 0x84, 0x7E,
    0x5C, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x05, 0x03, 0xC4, 0x89, 0x92, 0x01,
    0x00, 0x05, 0x68, 0xCB, 0x83, 0xCB, 0x20,
];

/// A frame of one NAL unit.
pub(crate) const FRAME: &[u8] = &[0, 0, 0, 3, 0x65, 0x88, 0x84];

fn unknown(id: u32) -> Vec<u8> {
    [
        &id.to_be_bytes()[..],
        &[0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
    ]
    .concat()
}

fn element(id: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, id, payload);
    out
}

/// EBML header, Segment, Info.
pub(crate) fn start() -> Vec<u8> {
    let mut ebml = element(id::DOC_TYPE, b"matroska");
    put_uint(&mut ebml, 0x4287, 2);
    put_uint(&mut ebml, id::DOC_TYPE_READ_VERSION, 2);
    let mut scale = Vec::new();
    put_uint(&mut scale, id::TIMECODE_SCALE, 1_000_000);
    put(&mut scale, 0x4D80, b"sample");
    put(&mut scale, 0x5741, b"sample");
    [
        element(id::EBML, &ebml),
        unknown(id::SEGMENT),
        element(id::INFO, &scale),
    ]
    .concat()
}

/// A TrackEntry.
pub(crate) fn track(number: u64, kind: u64, codec: &str, private: &[u8]) -> Vec<u8> {
    let mut entry = Vec::new();
    put_uint(&mut entry, id::TRACK_NUMBER, number);
    put_uint(&mut entry, id::TRACK_UID, number);
    put_uint(&mut entry, id::TRACK_TYPE, kind);
    put(&mut entry, id::CODEC_ID, codec.as_bytes());
    if !private.is_empty() {
        put(&mut entry, id::CODEC_PRIVATE, private);
    }
    if kind == 1 {
        let mut video = Vec::new();
        put_uint(&mut video, 0xB0, 160);
        put_uint(&mut video, 0xBA, 120);
        put(&mut entry, 0xE0, &video);
    } else {
        let mut audio = Vec::new();
        put(&mut audio, 0xB5, &44_100_f64.to_be_bytes());
        put_uint(&mut audio, 0x9F, 2);
        put(&mut entry, 0xE1, &audio);
    }
    element(id::TRACK_ENTRY, &entry)
}

/// The H.264 track.
pub(crate) fn video() -> Vec<u8> {
    track(1, 1, "V_MPEG4/ISO/AVC", AVCC)
}

/// An AAC track.
pub(crate) fn audio(number: u64) -> Vec<u8> {
    track(number, 2, "A_AAC", &[0x12, 0x10])
}

/// Header of a session with these tracks.
pub(crate) fn header(tracks: &[Vec<u8>]) -> Vec<u8> {
    [start(), element(id::TRACKS, &tracks.concat())].concat()
}

/// Header of a session with the H.264 track alone.
pub(crate) fn video_header() -> Vec<u8> {
    header(&[video()])
}

/// A SimpleBlock.
pub(crate) fn block(track: u8, relative: i16, key: bool, frame: &[u8]) -> Vec<u8> {
    let [high, low] = relative.to_be_bytes();
    let head = [0x80 | track, high, low, if key { 0x80 } else { 0 }];
    element(id::SIMPLE_BLOCK, &[&head, frame].concat())
}

/// The start of a Cluster of unknown size.
pub(crate) fn cluster_start(timecode: u64) -> Vec<u8> {
    let mut out = unknown(id::CLUSTER);
    put_uint(&mut out, id::TIMECODE, timecode);
    out
}

/// A Cluster of ten frames, 100 ms apart.
pub(crate) fn cluster(timecode: u64) -> Vec<u8> {
    let mut out = cluster_start(timecode);
    for frame in 0..10 {
        out.extend(block(1, frame * 100, frame == 0, FRAME));
    }
    out
}

/// Tags of that many names.
pub(crate) fn some_tags(count: usize) -> Vec<u8> {
    let names: Vec<String> = (0..count).map(|n| format!("name{n}")).collect();
    tags(names.iter().map(|name| (name.as_str(), "value")))
}

/// The tag that ends a fragment.
pub(crate) fn end_of_fragment() -> Vec<u8> {
    tags([(END_OF_FRAGMENT, "")])
}
