//! Holes, segments and jumps of time: none of them costs a frame.

use test_case::test_case;

use crate::support::{
    accounts,
    feed::{Clip, Fed, hashes},
    properties, service, stored,
};

/// The buffers of the clip, later (or earlier) by so many milliseconds.
fn moved(buffers: &[gst::Buffer], by_ms: i64) -> Vec<gst::Buffer> {
    let add = |time: Option<gst::ClockTime>| {
        time.map(|time| {
            let by = gst::ClockTime::from_mseconds(by_ms.unsigned_abs());
            if by_ms < 0 { time - by } else { time + by }
        })
    };
    let mut buffers = buffers.to_vec();
    for buffer in &mut buffers {
        let buffer = buffer.make_mut();
        buffer.set_pts(add(buffer.pts()));
        buffer.set_dts(add(buffer.dts()));
    }
    buffers
}

/// The data is missing before the buffer, not in it: what came is sent. A GAP says that nothing came.
#[test]
fn discont_and_gap_cost_nothing() {
    let local = service();
    let clip = Clip::test(40, 10);
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip);
    for (n, buffer) in clip.buffers.iter().enumerate() {
        let mut buffer = buffer.clone();
        if n % 10 == 0 || n % 7 == 3 {
            buffer.make_mut().set_flags(gst::BufferFlags::DISCONT);
        }
        if n % 5 == 2 {
            let gap = gst::event::Gap::builder(buffer.pts().unwrap());
            assert!(fed.event(gap.duration(gst::ClockTime::from_mseconds(40)).build()));
        }
        fed.put(&buffer).unwrap();
    }
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [40, 40, 0, 0], "{:#?}", fed.heard);
    let files = local.session_files("cam");
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    assert_eq!(hashes(&stored::frames(file)), clip.hashes());
}

/// Another segment, as between two files in a row, keeps the running time: the distance of the frames is that.
#[test]
fn a_segment_that_goes_on_keeps_the_distances() {
    let local = service();
    let clip = Clip::test(20, 10);
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip);
    fed.put_all(&clip.buffers);
    // 20 frames of 40 ms.
    assert!(fed.event(clip.segment_at(gst::ClockTime::from_mseconds(800))));
    fed.put_all(&clip.buffers);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [40, 40, 0, 0], "{:#?}", fed.heard);
    let timecodes: Vec<_> = local
        .fragments("cam")
        .iter()
        .map(|f| f.timecode_ms)
        .collect();
    assert_eq!(timecodes.len(), 4);
    assert!(
        timecodes.windows(2).all(|pair| pair[1] == pair[0] + 400),
        "{timecodes:?}"
    );
}

/// Time jumps, by a segment or by the timestamps, at a key frame or between: no frame is lost, and timecodes go on where
/// the wall clock is, never backwards.
#[test_case(10, -600; "back by some frames at a key frame")]
#[test_case(10, -3_600_000; "back by an hour at a key frame")]
#[test_case(14, -3_600_000; "back by an hour in a GOP")]
#[test_case(10, 3_600_000; "ahead by an hour at a key frame")]
#[test_case(14, 3_600_000; "ahead by an hour in a GOP")]
fn a_jump_of_time_costs_nothing(at: usize, by_ms: i64) {
    let local = service();
    let clip = Clip::test(40, 10);
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip);
    // All of them lie in it, and their PTS are their running times.
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    assert!(fed.event(gst::event::Segment::new(&segment)));
    fed.put_all(&clip.buffers[..at]);
    fed.put_all(&moved(&clip.buffers[at..], by_ms));
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [40, 40, 0, 0], "{:#?}", fed.heard);
    let files = local.session_files("cam");
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    assert_eq!(hashes(&stored::frames(file)), clip.hashes());
    let timecodes: Vec<_> = local
        .fragments("cam")
        .iter()
        .map(|f| f.timecode_ms)
        .collect();
    let step = timecodes.windows(2).map(|pair| pair[1].abs_diff(pair[0]));
    assert!(timecodes.is_sorted(), "{timecodes:?}");
    assert!(
        step.max().is_some_and(|step| step < 10_000),
        "{timecodes:?}"
    );
}
