//! Tracks come back as they were.

use std::time::Duration;

use test_case::test_case;

use super::{super::file, *};
use crate::media::{Codec, Track, TrackKind, fixtures};

fn of_avcc(avcc: &'static [u8]) -> Track {
    Track::video(Codec::H264, Bytes::from_static(avcc), 178, 98).unwrap()
}

fn of_hvcc(hvcc: &'static [u8]) -> Track {
    Track::video(Codec::H265, Bytes::from_static(hvcc), 7_680, 4_320).unwrap()
}

fn each_track() -> Vec<Track> {
    let sbr = Bytes::from_static(&[0x2B, 0x92, 0x08, 0x00]);
    // USAC (42), whose own description says the channels.
    let usac = Bytes::from_static(&[0xF9, 0x46, 0x00]);
    let mut tracks = vec![
        of_avcc(fixtures::HIGH_AVCC),
        of_avcc(fixtures::HIGH422_AVCC),
        of_avcc(fixtures::OPEN_GOP_AVCC),
        of_avcc(fixtures::REFRESH_AVCC),
        of_avcc(fixtures::TWO_SETS_AVCC),
        of_hvcc(fixtures::MAIN10_HVCC),
        of_hvcc(fixtures::CRA_HVCC),
        Track::audio(Codec::Aac, sbr, 44_100, 2).unwrap(),
        Track::audio(Codec::Aac, usac, 48_000, 6).unwrap(),
    ];
    tracks.extend(fixtures::tracks());
    let others = tracks.clone().into_iter().map(|track| {
        let track = track.with_name("Tür 1 \"hinten\"").unwrap();
        let track = track.with_codec_id("X_OTHER").unwrap();
        let track = track.with_frame_duration(Some(Duration::from_nanos(33_366_667)));
        track.with_number(TrackNumber::new(126).unwrap())
    });
    let others: Vec<_> = others.collect();
    tracks.extend(others);
    tracks
}

/// The tracks of a file with these, and its header.
fn written_and_found(tracks: &[Track]) -> (Tracks, Bytes) {
    let (about, body) = fragment(1, tracks.into());
    let around = file::around(&about, false, &body);
    let whole = [&[around.header], &body[..], &[around.trailer.into()]]
        .concat()
        .concat();
    let found = file::find(whole.len() as u64, |from, length| {
        Ok(whole[from as usize..][..length].to_vec())
    });
    let found = found.unwrap();
    assert_eq!(found.known, around.known);
    assert_eq!(found.about, about);
    (found.about.tracks, found.header)
}

fn assert_same(tracks: &[Track]) {
    let (found, header) = written_and_found(tracks);
    assert_eq!(*found, *tracks);
    assert_eq!(mkv::stream_header(&found), header);
    assert_eq!(mkv::stream_header(&found), mkv::stream_header(tracks));
    for (found, track) in found.iter().zip(tracks) {
        // Equal ones may differ in the time of a frame.
        assert_eq!(found.kind(), track.kind());
        assert_eq!(found.codec(), track.codec());
        assert_eq!(found.codec_private(), track.codec_private());
    }
}

#[test]
fn each_track_comes_back() {
    for track in each_track() {
        assert_same(&[track]);
    }
}

#[test]
fn pairs_and_triples_of_tracks_come_back() {
    let tracks = each_track();
    for (first, second) in tracks.iter().zip(&tracks[1..]) {
        let number = |number| TrackNumber::new(number).unwrap();
        let pair = [
            first.clone().with_number(number(1)),
            second.clone().with_number(number(2)),
        ];
        assert_same(&pair);
        let [first, second] = pair;
        assert_same(&[second.clone().with_number(number(3)), first, second]);
    }
}

#[test]
fn a_frame_of_centuries_has_no_duration() {
    let track = fixtures::video_track().with_frame_duration(Some(Duration::MAX));
    let (found, header) = written_and_found(std::slice::from_ref(&track));
    assert_eq!(mkv::stream_header(&[track]), header);
    let duration = |track: &Track| match track.kind() {
        TrackKind::Video { frame_duration, .. } => frame_duration,
        TrackKind::Audio { .. } => None,
    };
    assert_eq!(duration(&found[0]), None);
}

#[test_case(0; "1970")]
#[test_case(u64::MAX; "the end of time")]
fn any_time_comes_back(nanos: u64) {
    let (mut about, body) = nth(7);
    let time = Timestamp::from_nanos(nanos);
    (about.start, about.first, about.earliest, about.last) = (time, time, time, time);
    (about.timecode, about.frames) = (Timecode::from_millis(nanos), nanos);
    let mut disk = super::super::simulated::Simulated::new(0);
    let (mut spool, _) = Spool::with(&mut disk, true).unwrap();
    spool.write(&about, &body).unwrap();
    let (_, found) = Spool::with(&mut disk, true).unwrap();
    assert_eq!(found.fragments[0].1, about);
}

/// Most fragments have the same tracks: they are in memory once.
#[test]
fn equal_tracks_are_shared() {
    let mut disk = super::super::simulated::Simulated::new(0);
    let (mut spool, _) = Spool::with(&mut disk, true).unwrap();
    for number in 4..8 {
        let (about, body) = nth(number);
        spool.write(&about, &body).unwrap();
    }
    let (_, found) = Spool::with(&mut disk, true).unwrap();
    let [four, five, six, seven] = &found.fragments[..] else {
        panic!("{found:?}")
    };
    let same = |one: &Spooled, other: &Spooled| std::sync::Arc::ptr_eq(&one.tracks, &other.tracks);
    assert!(!same(&four.1, &five.1) && !same(&five.1, &six.1));
    assert!(same(&six.1, &seven.1));
}
