//! Every format of video in every shape: each frame arrives, with its bytes and its time.

use gstkvssink::local::Local;
use test_case::test_matrix;

use super::clips::{
    Format::{self, *},
    Picture, assert_never_refused, distances, stored_frames, units,
};
use crate::support::{
    accounts,
    feed::{Clip, Fed},
    properties, service, stored,
};

/// What is special of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    BFrames,
    OpenGop,
    AnotherSize,
    MissingPts,
    AllIntra,
    LongGop,
}
use Shape::*;

impl Shape {
    fn picture(self) -> Picture {
        let picture = Picture::default();
        match self {
            BFrames => Picture {
                bframes: 2,
                ..picture
            },
            // B-frames are left over in front of a key frame, which they refer to.
            OpenGop => Picture {
                bframes: 2,
                gop: 8,
                frames: 32,
                open_gop: true,
                ..picture
            },
            AnotherSize | MissingPts => picture,
            AllIntra => Picture { gop: 1, ..picture },
            LongGop => Picture {
                fps: 5,
                gop: 50,
                frames: 105,
                ..picture
            },
        }
    }
}

/// Every frame of every kind of stream arrives with its bytes (of a byte-stream: with its NAL units) and its time.
#[test_matrix(
    [Avc, Avc3, H264ByteStream, Hvc1, Hev1, H265ByteStream],
    [BFrames, OpenGop, AnotherSize, MissingPts, AllIntra, LongGop]
)]
fn every_frame_arrives(format: Format, shape: Shape) {
    let local = service();
    let picture = shape.picture();
    let (clip, units) = picture.clip(format);
    let mut expected = vec![(clip, units)];
    if shape == AnotherSize {
        expected.push(
            Picture {
                width: 192,
                ..picture
            }
            .clip(format),
        );
    }
    // Without a clock of its own it is a file: what has no time follows on the one before.
    let how = match shape {
        MissingPts | LongGop => "streaming-type=offline",
        _ => "",
    };
    let mut fed = Fed::new(&format!("stream-name=cam {how} {}", properties(&local)));
    fed.play();
    for (n, (clip, _)) in expected.iter().enumerate() {
        begin(&fed, clip, n, format);
        match shape {
            MissingPts => fed.put_all(&without_some_times(clip)),
            _ => fed.put_all(&clip.buffers),
        }
    }
    fed.finish();

    let frames: usize = expected.iter().map(|(clip, _)| clip.buffers.len()).sum();
    let frames = frames as u64;
    assert_eq!(
        accounts(&fed.stats()),
        [frames, frames, 0, 0],
        "{:#?}",
        fed.heard
    );
    assert!(fed.heard.warnings("sink").is_empty(), "{:#?}", fed.heard);
    assert_never_refused(&local, &fed.heard.told("kvs-fragment-ack"));
    assert_bytes(&local, format, &expected);
    assert_times(&local, &expected);
    assert_shape(&local, shape, &expected[0].0);
    assert_header(&local, format, shape);
}

/// The events of a clip, or those of one that follows on another: its segment, and its caps where they say what it is.
fn begin(fed: &Fed, clip: &Clip, n: usize, format: Format) {
    if n == 0 {
        for event in &clip.events {
            assert!(fed.event(event.clone()));
        }
        return;
    }
    // Of a byte-stream only the parameter sets in mid-stream say it.
    if !format.is_byte_stream() {
        assert!(fed.event(gst::event::Caps::new(&clip.caps())));
    }
    let base = gst::ClockTime::from_seconds(n as u64);
    assert!(fed.event(clip.segment_at(base)));
}

/// Each third buffer has no PTS, as from RTP by TCP; each seventh that is no key frame has neither, as from a file of NAL
/// units.
fn without_some_times(clip: &Clip) -> Vec<gst::Buffer> {
    let mut buffers = clip.buffers.clone();
    for (n, buffer) in buffers.iter_mut().enumerate() {
        let buffer = buffer.make_mut();
        let delta = buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        if n % 3 == 0 {
            buffer.set_pts(None);
        }
        if n % 7 == 6 && delta {
            buffer.set_pts(None);
            buffer.set_dts(None);
        }
    }
    buffers
}

fn assert_bytes(local: &Local, format: Format, expected: &[(Clip, Vec<Vec<Vec<u8>>>)]) {
    let frames = stored_frames(local);
    if format.is_byte_stream() {
        let stored = frames
            .iter()
            .map(|frame| units(&frame.data, format.is_h265()));
        let expected = expected.iter().flat_map(|(_, units)| units.clone());
        // Not with assert_eq: nobody can read that.
        let differs = stored
            .zip(expected)
            .position(|(is, expected)| is != expected);
        assert_eq!(differs, None);
    } else {
        let expected = expected.iter().flat_map(|(clip, _)| &clip.buffers);
        let differs = frames
            .iter()
            .zip(expected)
            .position(|(is, expected)| is.data != *expected.map_readable().unwrap());
        assert_eq!(differs, None);
    }
}

/// In each session the distances are those of the source.
fn assert_times(local: &Local, expected: &[(Clip, Vec<Vec<Vec<u8>>>)]) {
    let mut from = 0;
    for (clip, _) in expected {
        let expected = distances(clip);
        let frames = &stored_frames(local)[from..from + expected.len()];
        let times: Vec<_> = frames
            .iter()
            .map(|frame| frame.at_ms - frames[0].at_ms)
            .collect();
        assert_eq!(times, expected);
        from += expected.len();
    }
}

/// It was what it should be, and was cut where it should be.
fn assert_shape(local: &Local, shape: Shape, clip: &Clip) {
    let fragments = local.fragments("cam");
    let times = distances(clip);
    let descends = times.windows(2).any(|pair| pair[1] < pair[0]);
    assert_eq!(descends, matches!(shape, BFrames | OpenGop), "{times:?}");
    let frames = stored_frames(local);
    let keys = frames.iter().filter(|frame| frame.key).count();
    match shape {
        BFrames | MissingPts => assert_eq!((fragments.len(), keys), (3, 3)),
        OpenGop => {
            assert_eq!((fragments.len(), keys), (4, 4));
            let leading = frames
                .windows(2)
                .filter(|pair| pair[0].key && pair[1].at_ms < pair[0].at_ms);
            assert!(leading.count() > 0, "none is shown before its key frame");
        }
        AnotherSize => assert_eq!((fragments.len(), keys), (6, 6)),
        AllIntra => {
            assert_eq!(keys, frames.len());
            for six in fragments.windows(6) {
                assert!(six[5].timecode_ms - six[0].timecode_ms >= 1000, "{six:?}");
            }
        }
        LongGop => {
            let lengths: Vec<_> = fragments.iter().map(|fragment| fragment.frames).collect();
            assert_eq!(lengths, [50, 50, 5]);
            assert_eq!(fragments[0].duration_ms, 9_800);
        }
    }
}

/// One session of the right codec and size; of each size when there are several, and others can decode them.
fn assert_header(local: &Local, format: Format, shape: Shape) {
    let files = local.session_files("cam");
    let sizes: Vec<_> = files
        .iter()
        .map(|file| {
            let tracks = stored::tracks(file);
            let [track] = &tracks[..] else {
                panic!("{tracks:?}")
            };
            assert_eq!(track.codec_id(), format.codec_id());
            let video = track.video().unwrap();
            (video.pixel_width().get(), video.pixel_height().get())
        })
        .collect();
    match shape {
        AnotherSize => assert_eq!(sizes, [(160, 120), (192, 120)]),
        _ => assert_eq!(sizes, [(160, 120)]),
    }
    for file in &files {
        stored::assert_decodes(file);
    }
}
