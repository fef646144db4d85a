//! Media for tests: a header and clusters that the service takes, and ways to spoil them.

use super::mkv::{id, put, put_uint, tags};
use super::tags::END_OF_FRAGMENT;

/// avcC of a 160 × 120 picture by x264, with four bytes for a NAL unit's length.
pub(crate) const AVCC: &[u8] = &[
    0x01, 0x42, 0xC0, 0x0A, 0xFF, 0xE1, 0x00, 0x17, 0x67, 0x42, 0xC0, 0x0A, 0xD9, 0x02, 0x84, 0x7E,
    0x5C, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x05, 0x03, 0xC4, 0x89, 0x92, 0x01,
    0x00, 0x05, 0x68, 0xCB, 0x83, 0xCB, 0x20,
];

/// hvcC of a 178 × 98 picture by x265, as ffmpeg writes it.
#[rustfmt::skip]
pub(crate) const HVCC: &[u8] = &[
    0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1E, 0xF0, 0x00, 0xFC,
    0xFD, 0xF8, 0xF8, 0x00, 0x00, 0x0F, 0x03, 0x20, 0x00, 0x01, 0x00, 0x18, 0x40, 0x01, 0x0C, 0x01,
    0xFF, 0xFF, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00,
    0x1E, 0x95, 0x98, 0x09, 0x21, 0x00, 0x01, 0x00, 0x34, 0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00,
    0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x1E, 0xA0, 0x17, 0x20, 0x69, 0xC9,
    0x26, 0x59, 0x59, 0xA4, 0x93, 0x2B, 0xC0, 0x5A, 0x02, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00,
    0x03, 0x00, 0x32, 0xC0, 0x19, 0x2C, 0xBC, 0x00, 0xC3, 0x40, 0x03, 0x0D, 0x44, 0x22, 0x00, 0x01,
    0x00, 0x07, 0x44, 0x01, 0xC1, 0x72, 0xB4, 0x62, 0x40,
];

/// WAVEFORMATEX of A-law: one channel, 8,000 samples per second.
pub(crate) const ALAW: &[u8] = &[
    6, 0, 1, 0, 0x40, 0x1F, 0, 0, 0x40, 0x1F, 0, 0, 1, 0, 8, 0, 0, 0,
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

/// A TrackEntry; audio has two channels of 44,100 samples per second.
pub(crate) fn track(number: u64, kind: u64, codec: &str, private: &[u8]) -> Vec<u8> {
    audio_track(number, kind, codec, private, (44_100.0, 2))
}

fn audio_track(
    number: u64,
    kind: u64,
    codec: &str,
    private: &[u8],
    (rate, channels): (f64, u64),
) -> Vec<u8> {
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
        put(&mut audio, 0xB5, &rate.to_be_bytes());
        put_uint(&mut audio, 0x9F, channels);
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

/// An H.265 track.
pub(crate) fn hevc(number: u64) -> Vec<u8> {
    track(number, 1, "V_MPEGH/ISO/HEVC", HVCC)
}

/// An A-law track.
pub(crate) fn alaw(number: u64) -> Vec<u8> {
    audio_track(number, 2, "A_MS/ACM", ALAW, (8_000.0, 1))
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
