//! Times that are missing, odd or far away, and flags that say something of them.

use std::process::Command;

use test_case::test_case;

use super::{STREAM, changed, fed, from_first, presented, sent, stored};
use crate::support::{
    Pipeline, accounts, feed::Clip, media, properties, service, stored::assert_readable,
};

/// A camera that gives no DTS: the order is that in which frames come, and PTS say when they are shown.
#[test]
fn without_dts_the_order_is_that_of_arrival() {
    let local = service();
    let clip = Clip::test(40, 10);
    let buffers = changed(&clip.buffers, |_, buffer| {
        buffer.set_dts(gst::ClockTime::NONE);
    });
    let times = sent(&local, fed(&local, &clip, ""), &buffers);
    assert_eq!(times, presented(&clip.buffers));
    assert!(!times.is_sorted(), "B-frames");
    assert_readable(&local.session_files(STREAM)[0]);
}

/// Frames without PTS have their DTS for one; also if only some have none.
#[test_case(1; "none of them has one")]
#[test_case(3; "each third has none")]
fn without_pts_the_dts_counts(each: usize) {
    let local = service();
    let clip = Clip::test(40, 10);
    let buffers = changed(&clip.buffers, |n, buffer| {
        // Shown as they are decoded.
        buffer.set_pts(buffer.dts());
        if n % each == 0 {
            buffer.set_pts(gst::ClockTime::NONE);
        }
    });
    let times = sent(&local, fed(&local, &clip, ""), &buffers);
    let expected: Vec<_> = (0..40).map(|n| n * 40).collect();
    assert_eq!(times, expected);
}

/// Live frames without any time have that at which they come.
#[test]
fn live_frames_without_times_have_the_time_they_came() {
    let local = service();
    let clip = Clip::test(40, 10);
    let buffers = changed(&clip.buffers, |_, buffer| {
        buffer.set_pts(gst::ClockTime::NONE);
        buffer.set_dts(gst::ClockTime::NONE);
    });
    let times = sent(&local, fed(&local, &clip, ""), &buffers);
    assert!(times.is_sorted(), "{times:?}");
    let newest = local.fragments(STREAM).last().unwrap().clone();
    let off = newest
        .producer_timestamp_ms
        .abs_diff(newest.server_timestamp_ms);
    assert!(off < 600_000, "{off} ms from the service's clock");
}

/// Frames of a file without any time follow on each other by their durations, or by the rate that the caps say.
#[test_case(Some(20), 20; "durations of buffers")]
#[test_case(None, 40; "the rate of the caps")]
fn frames_of_a_file_without_times_have_those_of_their_durations(own: Option<u64>, step: i64) {
    let local = service();
    let clip = Clip::test(40, 10);
    let buffers = changed(&clip.buffers, |_, buffer| {
        buffer.set_pts(gst::ClockTime::NONE);
        buffer.set_dts(gst::ClockTime::NONE);
        buffer.set_duration(own.map(gst::ClockTime::from_mseconds));
    });
    let times = sent(
        &local,
        fed(&local, &clip, "streaming-type=offline"),
        &buffers,
    );
    assert_eq!(times, (0..40).map(|n| n * step).collect::<Vec<_>>());
}

/// A raw byte-stream, which has no times at all, as `filesrc ! h264parse` gives it.
#[test]
fn a_raw_byte_stream_arrives_whole() {
    let local = service();
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("clip.h264");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(media::clip("bikes.mp4"))
        .args(["-c", "copy"])
        .arg(&raw)
        .status()
        .unwrap();
    assert!(status.success());
    let pipeline = Pipeline::new(&format!(
        "filesrc location={} ! h264parse ! kvssink name=sink stream-name={STREAM} streaming-type=offline {}",
        raw.display(),
        properties(&local)
    ));
    pipeline.run().assert_clean();
    let stats = accounts(&pipeline.stats("sink"));
    assert_eq!(stats, [250, 250, 0, 0]);
    let times = from_first(&stored(&local));
    assert_eq!(times.len(), 250);
    assert_eq!(times.iter().max(), Some(&(249 * 40)), "{times:?}");
}

/// A camera whose DTS go back now and then: nothing moves but the DTS, which are not sent.
#[test]
fn dts_that_go_back_cost_nothing() {
    let local = service();
    let clip = Clip::test(40, 10);
    let buffers = changed(&clip.buffers, |n, buffer| {
        if n % 7 == 5 {
            let back = gst::ClockTime::from_mseconds(130);
            buffer.set_dts(buffer.dts().map(|dts| dts.saturating_sub(back)));
        }
    });
    let times = sent(&local, fed(&local, &clip, ""), &buffers);
    assert_eq!(times, presented(&clip.buffers));
}

/// A key frame with the flags HEADER and DISCONT and without DTS is a key frame, and arrives.
#[test]
fn a_key_frame_with_header_and_discont_arrives() {
    let local = service();
    let clip = Clip::test(40, 10);
    let buffers = changed(&clip.buffers, |n, buffer| {
        if n % 10 == 0 {
            buffer.set_flags(gst::BufferFlags::HEADER | gst::BufferFlags::DISCONT);
            buffer.set_dts(gst::ClockTime::NONE);
        }
    });
    let times = sent(&local, fed(&local, &clip, ""), &buffers);
    assert_eq!(times, presented(&clip.buffers));
    assert_eq!(local.fragments(STREAM).len(), 4);
}

/// Frames at any distances keep them.
#[test]
fn a_variable_frame_rate_is_kept() {
    let local = service();
    let clip = Clip::test(40, 10);
    let mut at = 0_i64;
    let mut expected = Vec::new();
    let buffers = changed(&clip.buffers, |n, buffer| {
        expected.push(at);
        let time = gst::ClockTime::from_mseconds(at.unsigned_abs());
        buffer.set_pts(time);
        buffer.set_dts(time);
        buffer.set_duration(gst::ClockTime::NONE);
        at += [17, 120, 33, 41, 1500, 8][n % 6];
    });
    let times = sent(&local, fed(&local, &clip, ""), &buffers);
    assert_eq!(times, expected);
}

/// The 33 bits of an MPEG transport stream's PTS wrap in the middle of the file, after 26.5 hours: times go on.
#[test]
fn the_pts_of_a_transport_stream_may_wrap() {
    let local = service();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clip.ts");
    // 2^33 at 90 kHz is 95443.7 s.
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(media::clip("bikes.mp4"))
        .args(["-c", "copy", "-output_ts_offset", "95438"])
        .arg(&file)
        .status()
        .unwrap();
    assert!(status.success());
    let source = format!("filesrc location={} ! tsdemux ! h264parse", file.display());
    let expected: Vec<_> = media::access_units(&source)
        .iter()
        .map(|unit| i64::try_from(unit.pts_ms).unwrap())
        .collect();
    let pipeline = Pipeline::new(&format!(
        "{source} ! kvssink name=sink stream-name={STREAM} streaming-type=offline {}",
        properties(&local)
    ));
    pipeline.run().assert_clean();
    assert_eq!(local.session_files(STREAM).len(), 1);
    assert_readable(&local.session_files(STREAM)[0]);
    let times = from_first(&stored(&local));
    let expected: Vec<_> = expected.iter().map(|at| at - expected[0]).collect();
    assert_eq!(times, expected);
    assert_eq!(
        times.iter().max(),
        Some(&(249 * 40 - times.iter().min().unwrap().abs()))
    );
}
