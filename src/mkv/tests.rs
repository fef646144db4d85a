//! What was written is read back by a demuxer that is not ours.
//!
//! It refuses unknown sizes, so the tests fill them in, as somebody who stores a stream in a file would do.

use std::io::Cursor;

use matroska_demuxer::MatroskaFile;
use proptest::prelude::*;

use super::*;
use crate::media::fixtures::{self, AVCC, video_track};
use crate::media::{Codec, Track, TrackKind, TrackNumber};
use crate::time::Timecode;

const TRACKS: [TrackNumber; 2] = [TrackNumber::VIDEO, TrackNumber::AUDIO];

#[derive(Clone, PartialEq, Debug)]
struct Block {
    track: TrackNumber,
    offset_ms: i16,
    key: bool,
    payload: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Cluster {
    timecode: Timecode,
    blocks: Vec<Block>,
    tags: Vec<Tag>,
}

/// Replaces the unknown size that stands at `at` by the number of bytes behind it.
fn fill_in_size(stream: &mut [u8], at: usize) {
    let (head, data) = stream.split_at_mut(at + 8);
    assert_eq!(head[at..], ebml::UNKNOWN_SIZE);
    let size = (1_u64 << 56 | data.len() as u64).to_be_bytes();
    head[at..].copy_from_slice(&size);
}

/// The stream as a file: all its sizes are known.
fn file(tracks: &[Track], clusters: &[Cluster]) -> Vec<u8> {
    let mut file = stream_header(tracks).to_vec();
    let segment = file
        .windows(4)
        .position(|id| id == ids::SEGMENT)
        .expect("a Segment");
    for cluster in clusters {
        let start = file.len();
        push_cluster_header(&mut file, cluster.timecode);
        for block in &cluster.blocks {
            let len = block.payload.len();
            push_simple_block_header(&mut file, block.track, block.offset_ms, block.key, len);
            file.extend(&block.payload);
        }
        fill_in_size(&mut file, start + ids::CLUSTER.len());
        file.extend(tags(&cluster.tags));
    }
    file.extend(end_of_fragment());
    fill_in_size(&mut file, segment + ids::SEGMENT.len());
    file
}

fn block() -> impl Strategy<Value = Block> {
    // Lengths around the steps of the size field: 4 bytes of the block count too.
    let len = prop_oneof![0..4_usize, 120..126_usize, 16_376..16_382_usize];
    (
        0..TRACKS.len(),
        // The reader takes the absolute value, so the least i16 overflows in it.
        -i16::MAX..=i16::MAX,
        any::<bool>(),
        len,
        any::<u8>(),
    )
        .prop_map(|(track, offset_ms, key, len, byte)| Block {
            track: TRACKS[track],
            offset_ms,
            key,
            payload: vec![byte; len],
        })
}

fn cluster() -> impl Strategy<Value = Cluster> {
    let tag = ("[a-z]{1,20}", "\\PC{0,40}")
        .prop_map(|(name, value)| Tag::new(name, value).expect("within the limits"));
    // The smallest timecode from which every offset can be subtracted; the largest is in the year 10889.
    let timecode = (32_768..1_u64 << 48).prop_map(Timecode::from_millis);
    (
        timecode,
        prop::collection::vec(block(), 1..8),
        prop::collection::vec(tag, 0..3),
    )
        .prop_map(|(timecode, blocks, tags)| Cluster {
            timecode,
            blocks,
            tags,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_demuxer_reads_the_frames_that_were_written(clusters in prop::collection::vec(cluster(), 1..5)) {
        let tracks = TRACKS.map(|number| video_track().with_number(number));
        let mut demuxer = MatroskaFile::open(Cursor::new(file(&tracks, &clusters))).unwrap();
        let mut frame = matroska_demuxer::Frame::default();
        for cluster in &clusters {
            for block in &cluster.blocks {
                prop_assert!(demuxer.next_frame(&mut frame).unwrap());
                let pts = cluster.timecode.as_millis().checked_add_signed(block.offset_ms.into());
                prop_assert_eq!(frame.track, u64::from(block.track.get()));
                prop_assert_eq!(Some(frame.timestamp), pts);
                prop_assert_eq!(frame.is_keyframe, Some(block.key));
                prop_assert_eq!(frame.is_invisible, false);
                prop_assert_eq!(&frame.data, &block.payload);
            }
        }
        prop_assert!(!demuxer.next_frame(&mut frame).unwrap());
    }
}

#[test]
fn a_demuxer_reads_the_track_that_was_written() {
    let track = video_track()
        .with_name("porch")
        .unwrap()
        .with_frame_duration(Some(std::time::Duration::from_millis(40)));
    let block = Block {
        track: TrackNumber::VIDEO,
        offset_ms: 0,
        key: true,
        payload: vec![1],
    };
    let cluster = Cluster {
        timecode: Timecode::ZERO,
        blocks: vec![block],
        tags: Vec::new(),
    };
    let demuxer = MatroskaFile::open(Cursor::new(file(&[track], &[cluster]))).unwrap();

    assert_eq!(demuxer.ebml_header().doc_type(), "matroska");
    assert_eq!(demuxer.info().timestamp_scale().get(), 1_000_000);
    let [entry] = demuxer.tracks() else {
        panic!("one track")
    };
    assert_eq!(
        (entry.track_number().get(), entry.track_uid().get()),
        (1, 1)
    );
    assert_eq!(entry.track_type(), matroska_demuxer::TrackType::Video);
    assert!(!entry.flag_lacing());
    assert_eq!(
        (entry.name(), entry.codec_id()),
        (Some("porch"), "V_MPEG4/ISO/AVC")
    );
    assert_eq!(entry.codec_private(), Some(AVCC));
    assert_eq!(entry.default_duration().map(u64::from), Some(40_000_000));
    let video = entry.video().unwrap();
    assert_eq!(
        (video.pixel_width().get(), video.pixel_height().get()),
        (178, 98)
    );
}

#[test]
fn a_demuxer_reads_the_tracks_of_each_codec() {
    let tracks = fixtures::tracks();
    for track in &tracks {
        let block = Block {
            track: track.number(),
            offset_ms: 0,
            key: true,
            payload: vec![1],
        };
        let cluster = Cluster {
            timecode: Timecode::ZERO,
            blocks: vec![block],
            tags: Vec::new(),
        };
        let bytes = file(std::slice::from_ref(track), &[cluster]);
        let demuxer = MatroskaFile::open(Cursor::new(bytes)).unwrap();
        let [entry] = demuxer.tracks() else {
            panic!("one track")
        };
        assert_eq!(entry.codec_id(), track.codec_id());
        assert_eq!(entry.codec_private(), Some(&track.codec_private()[..]));
        match track.kind() {
            TrackKind::Video { width, height, .. } => {
                let video = entry.video().unwrap();
                assert_eq!(entry.track_type(), matroska_demuxer::TrackType::Video);
                assert_eq!(video.pixel_width().get(), u64::from(width));
                assert_eq!(video.pixel_height().get(), u64::from(height));
            }
            TrackKind::Audio { rate, channels, .. } => {
                let audio = entry.audio().unwrap();
                assert_eq!(entry.track_type(), matroska_demuxer::TrackType::Audio);
                assert_eq!(audio.sampling_frequency(), f64::from(rate));
                assert_eq!(audio.channels().get(), u64::from(channels));
                let g711 = track.codec() != Codec::Aac;
                assert_eq!(audio.bit_depth().map(u64::from), g711.then_some(8));
            }
        }
    }
}
