#![expect(
    clippy::unusual_byte_groupings,
    reason = "bits are grouped by the fields that they are"
)]

use proptest::prelude::*;
use test_case::test_case;

use super::*;
use crate::media::fixtures::*;
use crate::media::nal::{byte_stream_units, push_with_length};
use crate::media::{TrackKind, TrackNumber, h264};

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
#[test_case(H265, CRA, CRA_HVCC, (64, 64), &[0, 3]; "CRA")]
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

/// Start codes of three and four bytes, and zeros behind NAL units, say the same.
#[test]
fn zeros_around_start_codes_mean_nothing() {
    let units = &access_units(H264, HIGH)[0];
    let expected = with_lengths(units, 4);
    for (code, behind) in [
        (&[0, 0, 1][..], &[][..]),
        (&[0, 0, 0, 1], &[]),
        (&[0, 0, 0, 0, 0, 1], &[0, 0, 0]),
    ] {
        let stream = units.iter().map(|unit| [code, *unit, behind].concat());
        let stream = stream.collect::<Vec<_>>().concat();
        let (frame, _) = one(reframer(H264).take(stream.into(), true));
        assert_eq!(frame.payload, expected);
    }
}

/// With lengths, parameter sets in the access units or not: the bytes are those of the buffer, at the same place.
#[test_case(Format::Avc3, HIGH, HIGH_AVCC)]
#[test_case(Format::Hev1, MAIN, MAIN_HVCC)]
#[test_case(Format::Avc, HIGH, HIGH_AVCC)]
#[test_case(Format::Hvc1, MAIN, MAIN_HVCC)]
fn lengths_pass_without_a_copy(format: Format, clip: &'static [u8], record: &'static [u8]) {
    let in_band = matches!(format, Format::Avc3 | Format::Hev1);
    let record = Bytes::from_static(record);
    let data: &[_] = match in_band {
        true => &[None, Some(record.clone())],
        false => &[Some(record.clone())],
    };
    for data in data {
        let mut reframer = Reframer::new(format, data.clone(), Hints::default()).unwrap();
        let known = reframer.track().map(Track::codec_private).cloned();
        assert_eq!(known, *data, "the track is known from the start");
        for (index, units) in access_units(format, clip).iter().enumerate() {
            let payload = with_lengths(units, 4);
            let (frame, track) = one(reframer.take(payload.clone(), false));
            assert_eq!(frame.payload.as_ptr(), payload.as_ptr());
            assert_eq!(frame.payload, payload);
            assert_eq!(frame.key, index == 0);
            assert_eq!(track.is_some(), data.is_none() && index == 0);
        }
        assert_eq!(reframer.track().unwrap().codec_private(), &record);
        assert_eq!(size(reframer.track().unwrap()), (178, 98));
    }
}

/// avc3 with lengths of two bytes: the codec private data says so, with or without parameter sets in it.
#[test]
fn the_size_of_lengths_comes_from_the_caps_and_stays() {
    let mut full = HIGH_AVCC.to_vec();
    full[4] = 0xFD;
    let mut empty = full[..6].to_vec();
    empty[5] = 0xE0;
    empty.push(0);
    for (record, known) in [(full, true), (empty, false)] {
        let mut reframer =
            Reframer::new(Format::Avc3, Some(record.into()), Hints::default()).unwrap();
        assert_eq!(reframer.track().is_some(), known);
        let units = &access_units(H264, HIGH)[0];
        // The sets come alone first, so that the next frame is put together.
        let (sets, rest) = units.split_at(3);
        assert_eq!(
            reframer.take(with_lengths(sets, 2), true).unwrap().frames,
            []
        );
        let (frame, _) = one(reframer.take(with_lengths(rest, 2), true));
        assert_eq!(
            frame.payload,
            with_lengths(&units[1..], 2),
            "less the delimiter"
        );
        let track = reframer.track().unwrap();
        assert_eq!(track.codec_private()[4], 0xFD);
        assert_eq!(track.check_payload(&frame.payload), Ok(()));
    }
}

/// Another SPS: another track, from the next key frame on. The same again: none.
#[test_case(H264, OPEN_GOP, OPEN_GOP_AVCC, HIGH; "H264")]
#[test_case(H265, CRA, CRA_HVCC, MAIN; "H265")]
fn another_sps_makes_another_track(
    format: Format,
    clip: &'static [u8],
    record: &[u8],
    before: &'static [u8],
) {
    let mut reframer = reframer(format);
    for units in access_units(format, before) {
        reframer.take(with_start_codes(&units), false).unwrap();
    }
    let mut changes = 0;
    for round in 0..2 {
        for (index, units) in access_units(format, clip).iter().enumerate() {
            let (frame, track) = one(reframer.take(with_start_codes(units), false));
            if let Some(track) = track {
                assert_eq!((round, index), (0, 0));
                assert!(frame.key, "a session may begin with it");
                // Its PPS has the id of the one before, and so takes its place.
                assert_eq!(hex(track.codec_private()), hex(record));
                changes += 1;
            }
        }
    }
    assert_eq!(changes, 1, "its sets are repeated, and make no other");
}

/// A stream that goes over to a size it announced before.
#[test]
fn another_active_sps_is_another_size() {
    let mut reframer = reframer(H264);
    let mut sizes = Vec::new();
    for units in access_units(H264, TWO_SETS) {
        let (_, track) = one(reframer.take(with_start_codes(&units), false));
        sizes.push(track.as_ref().map(size));
        assert_eq!(reframer.track().unwrap().codec_private(), TWO_SETS_AVCC);
    }
    assert_eq!(sizes, [Some((64, 48)), Some((96, 64))]);
}

/// Decoders find it in the stream; only a fragment that begins without it needs it in the header.
#[test]
fn another_pps_matters_once_a_key_frame_comes_without_it() {
    let [sps, pps, idr] = access_units(H264, OPEN_GOP)[0][..] else {
        panic!("SPS, PPS, IDR")
    };
    let other = &[0x68, 0xEE, 0x3C, 0x80][..];
    assert_eq!(h264::sets::pps(other), h264::sets::pps(pps));
    let mut reframer = reframer(H264);
    let mut take = |units: &[&[u8]]| {
        let (_, track) = one(reframer.take(with_start_codes(units), true));
        track.map(|track| {
            track
                .codec_private()
                .ends_with(&[other, &[0xFD, 0xF8, 0xF8, 0][..]].concat())
        })
    };
    assert_eq!(take(&[sps, pps, idr]), Some(false));
    assert_eq!(take(&[sps, other, idr]), None);
    assert_eq!(take(&[sps, idr]), Some(true));
    assert_eq!(take(&[idr]), None);
    assert_eq!(take(&[sps, other, idr]), None);
}

/// An SPS before a picture that is no key frame: the track changes when a session can begin.
#[test]
fn sets_before_other_pictures_wait_for_the_key_frame() {
    let clip = access_units(H264, OPEN_GOP);
    let mut reframer = reframer(H264);
    one(reframer.take(with_start_codes(&access_units(H264, HIGH)[0]), false));
    let [sps, pps, idr] = clip[0][..] else {
        panic!("SPS, PPS, IDR")
    };
    let (frame, track) = one(reframer.take(with_start_codes(&[sps, pps, clip[1][0]]), false));
    assert_eq!((frame.key, track), (false, None));
    let (frame, track) = one(reframer.take(with_start_codes(&[idr]), false));
    assert!(frame.key);
    assert_eq!(size(&track.unwrap()), (64, 48));
}

/// Between two slices, behind a SEI message, twice: wherever they stand, they stay there.
#[test]
fn parameter_sets_may_stand_anywhere_in_an_access_unit() {
    let [sps, pps, idr] = access_units(H264, OPEN_GOP)[0][..] else {
        panic!("SPS, PPS, IDR")
    };
    let sei = &[6, 0xFF, 0x01, 1, 0x42, 0x80][..];
    let units = [sei, idr, sps, idr, pps, pps, idr];
    let (frame, track) = one(reframer(H264).take(with_start_codes(&units), false));
    assert_eq!(frame.payload, with_lengths(&units, 4));
    assert_eq!(hex(track.unwrap().codec_private()), hex(OPEN_GOP_AVCC));
}

/// They are no frame: the service would store a picture without a slice.
#[test_case(H264, HIGH, 1)]
#[test_case(H265, MAIN, 1)]
#[test_case(H264, OPEN_GOP, 0)]
fn parameter_sets_that_come_alone_go_with_the_next_frame(
    format: Format,
    clip: &'static [u8],
    delimiters: usize,
) {
    let units = &access_units(format, clip)[0];
    let mut reframer = reframer(format);
    let (last, sets) = units.split_last().unwrap();
    for unit in sets {
        let reframed = reframer.take(with_start_codes(&[unit]), false).unwrap();
        assert_eq!((reframed.track, reframed.frames), (None, Vec::new()));
    }
    let (frame, track) = one(reframer.take(with_start_codes(&[last]), false));
    assert_eq!(frame.payload, with_lengths(&units[delimiters..], 4));
    assert!(track.is_some());
    let (frame, _) = one(reframer.take(with_start_codes(&[last]), false));
    assert_eq!(frame.payload, with_lengths(&[last], 4), "once");
}

#[test]
fn what_waits_for_a_picture_stands_behind_its_delimiter_and_is_bounded() {
    let [delimiter, sps, pps, .., idr] = access_units(H264, HIGH)[0][..] else {
        panic!("a delimiter, sets, a picture")
    };
    let mut reframer = reframer(H264);
    for _ in 0..100_000 {
        reframer
            .take(with_start_codes(&[delimiter, sps, pps]), false)
            .unwrap();
    }
    let (frame, _) = one(reframer.take(with_start_codes(&[delimiter, idr]), false));
    let head = with_lengths(&[delimiter, sps, pps], 4);
    assert!(frame.payload.starts_with(&head));
    assert!(frame.payload.len() <= crate::media::MAX_CODEC_PRIVATE + 1_000);
}

#[test_case(H264, OPEN_GOP)]
#[test_case(H265, CRA)]
fn frames_before_the_parameter_sets_are_refused_and_the_next_ones_are_not(
    format: Format,
    clip: &'static [u8],
) {
    let clip = access_units(format, clip);
    let mut reframer = reframer(format);
    let began = clip[1..].iter().position(|units| {
        let reframed = reframer.take(with_start_codes(units), true);
        assert!(reframed.is_ok() || reframed == Err(Malformed::NoParameterSets));
        reframed.is_ok()
    });
    assert_eq!(began, Some(2), "with the sets of the second key frame");
    // Without the VPS or the SPS it is too little.
    let mut reframer = self::reframer(format);
    let without = reframer.take(with_start_codes(&clip[0][1..]), true);
    assert_eq!(without, Err(Malformed::NoParameterSets));
}

#[test]
fn what_is_no_access_unit_is_named_and_the_next_one_is_taken() {
    let clip = access_units(H264, HIGH);
    let mut stream = reframer(H264);
    let mut lengths = reframer(Format::Avc3);
    let cases: [(&mut Reframer, &[u8], &str); 8] = [
        (&mut stream.clone(), b"", "the access unit is empty"),
        (
            &mut stream.clone(),
            &[0, 0, 0, 1],
            "the access unit is empty",
        ),
        (
            &mut stream.clone(),
            &[0, 0, 0, 4, 0x65, 1, 2, 3],
            "no start code",
        ),
        (
            &mut stream.clone(),
            &[7, 0, 0, 1, 0x65],
            "1 bytes stand before the first start code",
        ),
        (
            &mut stream.clone(),
            &[0, 0, 1, 0x67],
            "the SPS in this access unit is broken",
        ),
        (
            &mut stream.clone(),
            &[0, 0, 1, 0x68],
            "the PPS in this access unit is broken",
        ),
        (
            &mut lengths.clone(),
            &[0, 0, 0, 9, 0x65],
            "has the length 9, but only 1 bytes follow",
        ),
        (
            &mut lengths.clone(),
            &[0, 0, 0, 1, 0x65, 0],
            "1 bytes are left at byte 5",
        ),
    ];
    for (reframer, payload, expected) in cases {
        let error = reframer
            .take(Bytes::from_static(payload), true)
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    for garbage in [
        &b"\0\0\x01\x67garbage"[..],
        &[0, 0, 1, 0x67, 0xFF, 0xFF, 0xFF, 0xFF],
    ] {
        assert!(stream.take(Bytes::from_static(garbage), true).is_err());
        assert!(lengths.take(Bytes::from_static(garbage), true).is_err());
    }
    assert!(stream.take(with_start_codes(&clip[0]), true).is_ok());
    assert!(lengths.take(with_lengths(&clip[0], 4), true).is_ok());
    // A broken set takes its access unit along; what is known stays.
    let broken = [&[0x67, 0x64][..], clip[1].last().unwrap()];
    assert!(stream.take(with_start_codes(&broken), true).is_err());
    assert!(stream.take(with_start_codes(&clip[1]), true).is_ok());
}

/// A slice that says it needs others is no key frame, even of a source that flags nothing; an intra one of a source that
/// says so is (all-intra streams); without the slice's word the source's counts.
#[test_case(H264, HIGH, &[&[0x41, 0b1_00110_1_1]], Some(false); "H264 P")]
#[test_case(H264, HIGH, &[&[0x41, 0b1_0001000, 0b1_0000000]], None; "H264 I")]
#[test_case(H264, HIGH, &[&[0x41, 0b1_0001000, 0b1_0000000], &[0x41, 0b1_00110_1_1]], Some(false); "H264 I and P")]
#[test_case(H264, HIGH, &[&[0x41]], None; "H264 unreadable")]
#[test_case(H265, MAIN, &[&[2, 1, 0b1_1_011_1_00]], None; "H265 I")]
#[test_case(H265, MAIN, &[&[2, 1, 0b1_1_010_1_00]], Some(false); "H265 P")]
#[test_case(H265, MAIN, &[&[2, 1, 0b1_0000001, 0xFF, 0xFF]], None; "H265 with an unknown PPS")]
#[test_case(H265, MAIN, &[&[0x4E, 1, 6, 1, 0x80, 0x80], &[2, 1, 0b1_1_010_1_00]], Some(true); "H265 recovery point")]
#[test_case(H264, HIGH, &[&[6, 5, 1, 0xAA, 6, 1, 0x80, 0x80], &[0x41, 0b1_00110_1_1]], Some(true); "H264 recovery point as the second message")]
fn key_frames_are_those_of_the_nal_units_else_of_the_source(
    format: Format,
    clip: &'static [u8],
    units: &[&[u8]],
    expected: Option<bool>,
) {
    let mut reframer = reframer(format);
    one(reframer.take(with_start_codes(&access_units(format, clip)[0]), true));
    for hint in [true, false] {
        let (frame, _) = one(reframer.take(with_start_codes(units), hint));
        assert_eq!(frame.key, expected.unwrap_or(hint), "{hint}");
    }
}

#[test]
fn the_size_is_that_of_the_sps_or_the_hint() {
    let hints = Hints {
        width: Some(640),
        height: Some(480),
        frame_duration: Some(Duration::from_millis(40)),
        ..Hints::default()
    };
    let units = with_start_codes(&access_units(H264, HIGH)[0]);
    let mut reframer = Reframer::new(H264, None, hints).unwrap();
    reframer.take(units.clone(), true).unwrap();
    assert_eq!(
        reframer.track().unwrap().kind(),
        TrackKind::Video {
            width: 178,
            height: 98,
            frame_duration: hints.frame_duration
        }
    );
    // An SPS of a macroblock, that crops 16 pixels away: of the rest, nobody knows more than the source.
    let sps = [
        0x67,
        66,
        0,
        10,
        0b1_1_011_1_0_1,
        0b1_1_1_1_0001,
        0b001_1_1_1_0_1,
    ];
    let pps = [0x68, 0xEE, 0x3C, 0x80];
    let units = with_start_codes(&[&sps, &pps, &[0x65, 0b1_0001000, 0b1_0000000]]);
    let mut reframer = Reframer::new(H264, None, hints).unwrap();
    let (_, track) = one(reframer.take(units.clone(), true));
    assert_eq!(size(&track.unwrap()), (640, 480));
    let error = self::reframer(H264).take(units, true).unwrap_err();
    assert_eq!(error, Malformed::NoSize);
}

/// A source that puts the headers of its byte-stream into the caps, as it is or as a record.
#[test]
fn the_track_of_a_byte_stream_may_be_known_from_the_caps() {
    let [sps, pps, idr] = access_units(H264, OPEN_GOP)[0][..] else {
        panic!("SPS, PPS, IDR")
    };
    for data in [
        with_start_codes(&[sps, pps]),
        Bytes::from_static(OPEN_GOP_AVCC),
    ] {
        let mut reframer = Reframer::new(H264, Some(data), Hints::default()).unwrap();
        assert_eq!(reframer.track().unwrap().codec_private(), OPEN_GOP_AVCC);
        let (_, track) = one(reframer.take(with_start_codes(&[idr]), false));
        assert_eq!(track, None);
    }
    let garbage = Bytes::from_static(b"garbage");
    assert_eq!(
        Reframer::new(H264, Some(garbage), Hints::default())
            .unwrap()
            .track(),
        None
    );
}

#[test]
fn what_a_format_cannot_do_without_is_asked_for() {
    for format in [Format::Avc, Format::Hvc1, Format::AacRaw] {
        let codec = format.codec();
        let error = Reframer::new(format, None, Hints::default()).unwrap_err();
        assert_eq!(error, InvalidFormat::NoCodecData { codec });
        let parser = ["h264parse", "h265parse", "aacparse"];
        let named = parser
            .iter()
            .filter(|name| error.to_string().contains(*name));
        assert_eq!(named.count(), 1, "{error}");
    }
    for (format, data) in [
        (Format::Avc, &[1][..]),
        (Format::Avc3, &[1]),
        (Format::Avc3, &[0, 0, 0, 1, 0x67]),
        (Format::Hvc1, HIGH_AVCC),
        (Format::Hev1, HIGH_AVCC),
        (Format::AacRaw, &[]),
    ] {
        let data = Some(Bytes::from_static(data));
        let error = Reframer::new(format, data, Hints::default());
        assert!(error.is_err(), "{format:?}");
    }
    assert_eq!(
        Reframer::new(Format::Alaw, None, Hints::default())
            .unwrap_err()
            .to_string(),
        "G.711 A-law without rate and channels"
    );
}

#[test]
fn a_broken_set_is_named_unless_the_frames_may_bring_another() {
    let mut garbage = crate::media::fixtures::AVCC.to_vec();
    // Behind the SPS's length and NAL header.
    garbage[9..32].fill(0);
    let hints = Hints {
        width: Some(178),
        height: Some(98),
        ..Hints::default()
    };
    let new = |format| Reframer::new(format, Some(garbage.clone().into()), hints);
    let kind = ParameterSet::Sequence;
    let error = new(Format::Avc).unwrap_err();
    assert_eq!(error, InvalidFormat::ParameterSet { kind });
    assert!(
        error.to_string().starts_with("codec_data: the SPS"),
        "{error}"
    );
    assert!(new(Format::Avc3).is_ok());
}

/// ADTS frames of a clip.
fn adts_frames(mut clip: &'static [u8]) -> Vec<&'static [u8]> {
    let mut frames = Vec::new();
    while let &[_, _, _, a, b, c, ..] = clip {
        let len = usize::from(a & 3) << 11 | usize::from(b) << 3 | usize::from(c) >> 5;
        let (frame, rest) = clip.split_at(len);
        frames.push(frame);
        clip = rest;
    }
    frames
}

/// The AudioSpecificConfigs of ffmpeg's Matroska muxer, and of aacparse where it knows the channels.
#[test_case(STEREO_ADTS, "1190", 48_000, 2)]
#[test_case(SURROUND_ADTS, "11b0", 48_000, 6; "five and a low one")]
#[test_case(MONO22_ADTS, "1388", 22_050, 1)]
#[test_case(QUAD_ADTS, "118004c4040021100d4c61766335392e33372e313030", 48_000, 4; "a program config element")]
fn the_track_of_adts_is_that_of_ffmpeg(clip: &'static [u8], config: &str, rate: u32, channels: u8) {
    let frames = adts_frames(clip);
    assert!(frames.len() > 1);
    let mut reframer = reframer(Format::AacAdts);
    let buffer = Bytes::from_static(clip);
    let reframed = reframer.take(buffer.clone(), false).unwrap();
    let track = reframed.track.unwrap();
    assert_eq!(hex(track.codec_private()), config);
    let kind = TrackKind::Audio {
        rate,
        output_rate: None,
        channels,
    };
    assert_eq!((track.kind(), track.number()), (kind, TrackNumber::AUDIO));
    assert_eq!(reframed.frames.len(), frames.len());
    for (index, (is, frame)) in reframed.frames.iter().zip(&frames).enumerate() {
        assert_eq!(is.payload, frame[7..]);
        assert_eq!(is.payload.as_ptr(), frame[7..].as_ptr(), "not copied");
        assert!(is.key);
        let offset = index as u128 * 1024 * 1_000_000_000 / u128::from(rate);
        assert_eq!(is.offset.as_nanos(), offset);
    }
    // One by one they say the same.
    for frame in frames {
        let (unit, track) = one(reframer.take(Bytes::from_static(frame), false));
        assert_eq!((&unit.payload[..], track), (&frame[7..], None));
    }
}

#[test]
fn the_crc_of_an_adts_frame_goes_with_its_header() {
    let frame = adts_frames(STEREO_ADTS)[0];
    let mut protected = frame.to_vec();
    protected[1] &= !1;
    protected.splice(7..7, [0xAB, 0xCD]);
    let len = protected.len();
    protected[4] = (len >> 3) as u8;
    protected[5] = protected[5] & 0x1F | (len << 5) as u8;
    let (unit, _) = one(reframer(Format::AacAdts).take(protected.into(), true));
    assert_eq!(unit.payload, frame[7..]);
}

#[test]
fn another_config_of_adts_makes_another_track() {
    let mut reframer = reframer(Format::AacAdts);
    let configs = [
        STEREO_ADTS,
        STEREO_ADTS,
        SURROUND_ADTS,
        MONO22_ADTS,
        STEREO_ADTS,
    ]
    .map(|clip| {
        let track = reframer.take(Bytes::from_static(clip), true).unwrap().track;
        track.map(|track| hex(track.codec_private()))
    });
    let configs = configs.each_ref().map(Option::as_deref);
    assert_eq!(
        configs,
        [Some("1190"), None, Some("11b0"), Some("1388"), Some("1190")]
    );
}

#[test]
fn what_is_no_adts_is_named_and_the_next_buffer_is_taken() {
    let [first, second] = [STEREO_ADTS, MONO22_ADTS].map(|clip| adts_frames(clip)[1]);
    let mut blocks = first.to_vec();
    blocks[6] |= 1;
    let mut rate = first.to_vec();
    rate[2] |= 0x3C;
    let mut channels = first.to_vec();
    (channels[2], channels[3]) = (channels[2] & 0xFE, channels[3] & 0x3F);
    let mut short = first.to_vec();
    (short[3], short[4], short[5]) = (short[3] & 0xFC, 0, 0x40);
    let mut nothing = short.clone();
    nothing[5] = 0xE0;
    nothing.truncate(7);
    let mut reframer = reframer(Format::AacAdts);
    for (buffer, expected) in [
        (Vec::new(), "empty"),
        (nothing, "empty"),
        (first[..4].to_vec(), "byte 0: it is cut off"),
        (first[..first.len() - 1].to_vec(), "the frame is cut off"),
        ([first, b"garbage"].concat(), "there is no sync word"),
        (
            [first, second].concat(),
            "it is another stream's than the one before",
        ),
        (blocks, "several raw data blocks"),
        (rate, "reserved"),
        (channels, "channels are described elsewhere"),
        (short, "shorter than its header"),
    ] {
        let error = reframer.take(buffer.into(), true).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(reframer.track(), None);
    assert!(reframer.take(Bytes::from_static(first), true).is_ok());
}

/// Configs that only decoders need to understand pass as they are.
#[test_case(&[0x11, 0x90], (48_000, None, 2); "LC")]
#[test_case(&[0x11, 0xB0], (48_000, None, 6); "five and a low one")]
#[test_case(&[0x2B, 0x92, 0x08, 0x00], (22_050, Some(44_100), 2); "SBR, announced")]
#[test_case(&[0xEB, 0x8A, 0x08, 0x00], (22_050, Some(44_100), 1); "parametric stereo")]
#[test_case(&[0x13, 0x90, 0x56, 0xE5, 0xA0], (22_050, Some(44_100), 2); "SBR, announced behind the end")]
#[test_case(&[0x17, 0x80, 0x5D, 0xC0, 0x10], (48_000, None, 2); "a rate in full")]
fn aac_passes_as_it_is(config: &'static [u8], kind: (u32, Option<u32>, u8)) {
    let config = Bytes::from_static(config);
    // What the caps say of SBR is another rate: decoders believe the config.
    let hints = Hints {
        rate: Some(96_000),
        channels: Some(7),
        ..Hints::default()
    };
    let mut reframer = Reframer::new(Format::AacRaw, Some(config.clone()), hints).unwrap();
    let track = reframer.track().unwrap();
    let (rate, output_rate, channels) = kind;
    let kind = TrackKind::Audio {
        rate,
        output_rate,
        channels,
    };
    assert_eq!((track.kind(), track.codec_private()), (kind, &config));
    let payload = Bytes::from_static(&[0x21, 0x10, 0x05]);
    let (unit, track) = one(reframer.take(payload.clone(), false));
    assert_eq!(
        (unit.payload.as_ptr(), unit.key, track),
        (payload.as_ptr(), true, None)
    );
    assert!(reframer.take(Bytes::new(), false).is_err());
}

#[test]
fn g711_passes_as_it_is() {
    let hints = Hints {
        rate: Some(8_000),
        channels: Some(1),
        ..Hints::default()
    };
    for format in [Format::Alaw, Format::Mulaw] {
        let mut reframer = Reframer::new(format, None, hints).unwrap();
        let payload = Bytes::from_static(&[0xD5; 160]);
        let (unit, _) = one(reframer.take(payload.clone(), false));
        assert_eq!((unit.payload.as_ptr(), unit.key), (payload.as_ptr(), true));
        assert!(reframer.take(Bytes::new(), true).is_err());
        assert_eq!(reframer.track().unwrap().codec(), format.codec());
    }
}

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever comes: no panic, and what goes on is what its track announces.
    #[test]
    fn what_is_taken_is_what_the_track_announces(
        format in prop::sample::select(&FORMATS[..]),
        clip in prop::sample::select(&[HIGH, OPEN_GOP, TWO_SETS, MAIN, MAIN10, CRA, STEREO_ADTS, QUAD_ADTS][..]),
        data in prop::option::of(prop::sample::select(&[HIGH_AVCC, MAIN_HVCC, &[0x11, 0x90], &[]][..])),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        lengths in any::<bool>(),
        hint in any::<bool>(),
    ) {
        let hints = Hints { rate: Some(8_000), channels: Some(1), ..Hints::default() };
        let Ok(mut reframer) = Reframer::new(format, data.map(Bytes::from_static), hints) else {
            return Ok(());
        };
        let mut bytes = clip.to_vec();
        if lengths && let Ok(units) = byte_stream_units(clip) {
            bytes = with_lengths(&units, 4).to_vec();
        }
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let bytes = Bytes::from(bytes);
        for piece in cuts.windows(2) {
            let before = reframer.track().cloned();
            let Ok(reframed) = reframer.take(bytes.slice(piece[0]..piece[1]), hint) else {
                continue;
            };
            match reframed.track {
                Some(track) => {
                    prop_assert_eq!(Some(&track), reframer.track());
                    prop_assert_ne!(Some(track), before);
                }
                None => prop_assert_eq!(before.as_ref(), reframer.track()),
            }
            for frame in &reframed.frames {
                let track = reframer.track().unwrap();
                prop_assert_eq!(track.check_payload(&frame.payload), Ok(()));
                prop_assert!(frame.key || track.codec().is_video());
            }
        }
    }
}
