//! Buffers as encoders, parsers and demuxers give them, in each format: what becomes of them for Matroska.
//!
//! The input is a byte for the format, one for what the source says beside ([`CODEC_DATA`] and so on), and pieces with
//! [`BETWEEN`] between them: so a clip is an input. Nothing panics; a track is told when it changes, and
//! only then; frames are what their track announces, and no bytes but those of the buffers; and the header with the track
//! is one that `kvs-local` takes.
#![no_main]

use gstkvssink::internals::{
    media::{Codec, Format, Hints, Reframer, Track, TrackKind},
    mkv,
};
use libfuzzer_sys::fuzz_target;

use self::service::{ebml::children, mkv::id, tracks};

#[path = "../service.rs"]
mod service;

const FORMATS: [Format; 10] = [
    Format::Avc,
    Format::Avc3,
    Format::H264ByteStream,
    Format::Hvc1,
    Format::Hev1,
    Format::H265ByteStream,
    Format::AacRaw,
    Format::AacAdts,
    Format::Alaw,
    Format::Mulaw,
];

/// The first piece is the codec private data.
const CODEC_DATA: u8 = 1;
/// The source says width and height.
const SIZE: u8 = 2;
/// The source says rate and channels.
const SOUND: u8 = 4;
/// The source says that decoding may start anywhere.
const KEY: u8 = 8;
/// Stands between the pieces.
const BETWEEN: &[u8] = b"\xFE|next|";

fuzz_target!(|input: &[u8]| {
    let &[format, says, ref rest @ ..] = input else {
        return;
    };
    let format = FORMATS[usize::from(format) % FORMATS.len()];
    let said = |flag| says & flag != 0;
    let hints = Hints {
        width: said(SIZE).then_some(640),
        height: said(SIZE).then_some(480),
        frame_duration: None,
        rate: said(SOUND).then_some(8_000),
        channels: said(SOUND).then_some(1),
    };
    let mut pieces = pieces(rest).into_iter();
    let codec_data = match said(CODEC_DATA) {
        true => pieces.next(),
        false => None,
    };
    let codec_data = codec_data.map(|data| data.to_vec().into());
    let Ok(mut reframer) = Reframer::new(format, codec_data, hints) else {
        return;
    };
    let mut bytes_in = 0;
    let mut bytes_out = 0;
    if let Some(track) = reframer.track() {
        check(format, track);
    }
    for buffer in pieces {
        let before = reframer.track().cloned();
        bytes_in += buffer.len();
        let Ok(reframed) = reframer.take(buffer.to_vec().into(), said(KEY)) else {
            continue;
        };
        assert_eq!(
            reframed.track.is_some(),
            reframer.track() != before.as_ref()
        );
        if let Some(track) = &reframed.track {
            assert_eq!(Some(track), reframer.track());
            check(format, track);
        }
        for frame in &reframed.frames {
            let track = reframer.track().expect("frames have one");
            assert_eq!(track.check_payload(&frame.payload), Ok(()));
            assert!(frame.key || format.codec().is_video());
            bytes_out += frame.payload.len();
        }
    }
    // A start code has three bytes, and a length four: at most a byte more for each four.
    assert!(
        bytes_out <= bytes_in + bytes_in / 4 + 1,
        "{bytes_out} of {bytes_in}"
    );
});

fn pieces(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some(at) = bytes
        .windows(BETWEEN.len())
        .position(|window| window == BETWEEN)
    {
        pieces.push(&bytes[..at]);
        bytes = &bytes[at + BETWEEN.len()..];
    }
    pieces.push(bytes);
    pieces
}

/// The header with this track is what a strict reader takes, where it reads all that decoders read.
fn check(format: Format, track: &Track) {
    assert_eq!(track.codec(), format.codec());
    let header = mkv::stream_header(std::slice::from_ref(track));
    let at = header
        .windows(4)
        .position(|id| id == [0x16, 0x54, 0xAE, 0x6B]);
    let found = children(&header[at.expect("Tracks")..]).expect("it is EBML");
    let (id, payload) = found[0];
    assert_eq!(id, id::TRACKS);
    let read = tracks::parse(payload);
    match track.kind() {
        // What is malformed inside of parameter sets is for decoders to judge.
        TrackKind::Video { .. } => {}
        // Object types that say their channels themselves are read by decoders only.
        TrackKind::Audio { .. } if track.codec() == Codec::Aac => {}
        _ => assert_eq!(
            read.expect("it is taken")[0].media_type,
            Some(track.codec().content_type())
        ),
    }
}
