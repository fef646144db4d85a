use proptest::prelude::*;
use test_case::test_case;

use super::*;
use crate::media::fixtures::{self, *};
use crate::media::nal::{byte_stream_units, push_with_length, units_with_lengths};
use crate::media::{TrackKind, TrackNumber, h264, h265};

/// Access units of a clip with one slice per picture: each ends with its slice.
fn access_units(format: Format, clip: &'static [u8]) -> Vec<Vec<&'static [u8]>> {
    let mut all = vec![Vec::new()];
    for unit in byte_stream_units(clip).unwrap() {
        all.last_mut().unwrap().push(unit);
        let ends = match format.codec() {
            Codec::H265 => unit[0] >> 1 < 32,
            _ => matches!(unit[0] & 0x1F, 1..=5),
        };
        if ends {
            all.push(Vec::new());
        }
    }
    assert_eq!(all.pop(), Some(Vec::new()), "the clip ends with a slice");
    all
}

fn with_start_codes(units: &[&[u8]]) -> Bytes {
    let units = units.iter().map(|unit| [&[0, 0, 0, 1], *unit].concat());
    units.collect::<Vec<_>>().concat().into()
}

fn with_lengths(units: &[&[u8]], size: u8) -> Bytes {
    let mut out = Vec::new();
    for unit in units {
        push_with_length(&mut out, unit, size).unwrap();
    }
    out.into()
}

fn reframer(format: Format) -> Reframer {
    Reframer::new(format, None, Hints::default()).unwrap()
}

/// The only frame of a buffer, and the track if it is another one.
fn one(reframed: Result<Reframed, Malformed>) -> (Unit, Option<Track>) {
    let reframed = reframed.unwrap();
    let [frame] = &reframed.frames[..] else {
        panic!("{reframed:?}")
    };
    assert_eq!(frame.offset, Duration::ZERO);
    (frame.clone(), reframed.track)
}

fn size(track: &Track) -> (u32, u32) {
    match track.kind() {
        TrackKind::Video { width, height, .. } => (width, height),
        other => panic!("{other:?}"),
    }
}

use Format::{H264ByteStream as H264, H265ByteStream as H265};

/// Field by field as ffmpeg's Matroska muxer writes it; key frames are those of the NAL units, whatever the flags say.
#[test_case(H264, HIGH, HIGH_AVCC, (178, 98), &[0]; "High, with VUI, HRD and delimiters")]
#[test_case(H264, HIGH422, HIGH422_AVCC, (64, 48), &[0]; "4:2:2, 10 bit, interlaced")]
#[test_case(H264, OPEN_GOP, OPEN_GOP_AVCC, (64, 48), &[0, 3]; "open GOP with recovery points")]
#[test_case(H264, REFRESH, REFRESH_AVCC, (64, 48), &[0, 4]; "intra refresh")]
#[test_case(H264, TWO_SETS, TWO_SETS_AVCC, (64, 48), &[0, 1]; "two SPS and PPS")]
#[test_case(H265, MAIN, MAIN_HVCC, (178, 98), &[0]; "Main, with HRD and delimiters")]
#[test_case(H265, MAIN10, MAIN10_HVCC, (64, 64), &[0]; "Main 10, high tier, temporal layers")]
#[test_case(H265, CRA, CRA_HVCC, (64, 64), &[0, 4]; "CRA")]
fn the_track_of_a_byte_stream_is_that_of_ffmpeg(
    format: Format,
    clip: &'static [u8],
    record: &[u8],
    pixels: (u32, u32),
    keys: &[usize],
) {
    for hint in [true, false] {
        let mut reframer = reframer(format);
        assert_eq!(reframer.track(), None);
        for (index, units) in access_units(format, clip).iter().enumerate() {
            let (frame, track) = one(reframer.take(with_start_codes(units), hint));
            if index == 0 {
                let track = track.expect("the first");
                assert_eq!(hex(track.codec_private()), hex(record));
                assert_eq!(size(&track), pixels);
                assert_eq!(track.codec(), format.codec());
            }
            assert_eq!(frame.payload, with_lengths(units, 4), "{index}");
            assert_eq!(frame.key, keys.contains(&index), "{index}, {hint}");
            let track = reframer.track().expect("it is known");
            assert_eq!(track.check_payload(&frame.payload), Ok(()));
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
