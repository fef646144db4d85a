//! Files: their time, how far their upload has come, and what of them is sent.

use gst::prelude::*;
use test_case::test_case;

use super::clips::{send, stored_frames};
use crate::support::{
    Pipeline, accounts,
    feed::{Clip, Fed, hash},
    media, properties, service,
};

/// The clip, and its duration.
fn file() -> (String, gst::ClockTime) {
    let source = format!(
        "filesrc location={} ! qtdemux ! h264parse",
        media::clip("carphone_pristine.mp4").display()
    );
    let pipeline = Pipeline::new(&format!("{source} ! fakesink name=end"));
    pipeline.0.set_state(gst::State::Paused).unwrap();
    let (changed, ..) = pipeline.0.state(gst::ClockTime::from_seconds(60));
    changed.unwrap();
    let duration = pipeline.0.query_duration::<gst::ClockTime>().unwrap();
    (source, duration)
}

fn now_ms() -> u64 {
    u64::try_from(gst::glib::real_time() / 1000).unwrap()
}

/// file-start-time is the time of the first frame; 0 stands for the file's own times, which count from its start.
#[test_case(1_600_000_000)]
#[test_case(0)]
fn a_file_begins_when_it_is_said_to(start_s: u64) {
    let local = service();
    let clip = Clip::test(40, 10);
    let how = format!("streaming-type=offline file-start-time={start_s}");
    send(&local, &how, &clip);
    let fragments = local.fragments("cam");
    let begins: Vec<_> = fragments
        .iter()
        .map(|fragment| fragment.producer_timestamp_ms)
        .collect();
    let start_ms = start_s * 1000;
    assert_eq!(begins, [0, 400, 800, 1200].map(|later| start_ms + later));
    assert_eq!(stored_frames(&local)[0].at_ms, start_ms);
}

/// The file's own times are kept when they do not begin at 0: a part of a recording, by segment and timestamps.
#[test]
fn a_files_own_times_may_begin_later() {
    let local = service();
    let clip = Clip::test(20, 10);
    let properties = properties(&local);
    let mut fed = Fed::new(&format!(
        "stream-name=cam streaming-type=offline file-start-time=0 {properties}"
    ));
    fed.begin(&clip);
    assert!(fed.event(clip.segment_at(gst::ClockTime::from_seconds(3600))));
    fed.put_all(&clip.buffers);
    fed.finish();
    let fragments = local.fragments("cam");
    let begins: Vec<_> = fragments
        .iter()
        .map(|fragment| fragment.timecode_ms)
        .collect();
    assert_eq!(begins, [3_600_000, 3_600_400]);
}

/// Unset: the file ends now, since the service takes no timestamps of the future.
#[test]
fn a_file_ends_now() {
    let local = service();
    let (source, duration) = file();
    let before = now_ms();
    let pipeline = Pipeline::new(&format!(
        "{source} ! kvssink stream-name=cam streaming-type=offline {}",
        properties(&local)
    ));
    pipeline.run().assert_clean();
    let begins = local.fragments("cam")[0].producer_timestamp_ms;
    let ends = begins + duration.mseconds();
    let after = now_ms();
    // A timestamp is of a whole millisecond.
    assert!(
        (before - 1..=after + 1).contains(&ends),
        "{before} {ends} {after}"
    );
}

/// While a file is sent, its progress is told; in the end all of it is done.
#[test]
fn the_progress_of_a_file_ends_with_all_of_it() {
    let local = service();
    let (source, duration) = file();
    let pipeline = Pipeline::new(&format!(
        "{source} ! kvssink name=sink stream-name=cam streaming-type=offline {}",
        properties(&local)
    ));
    let outcome = pipeline.run();
    outcome.assert_clean();
    let told = outcome.told("kvs-upload-progress");
    let numbers =
        |name: &str| -> Vec<u64> { told.iter().map(|told| told.get(name).unwrap()).collect() };
    let (bytes, media) = (numbers("bytes"), numbers("media-time"));
    assert!(bytes.is_sorted() && media.is_sorted(), "{told:?}");
    let stored: u64 = local
        .fragments("cam")
        .iter()
        .map(|fragment| fragment.bytes)
        .sum();
    assert!(bytes.last() >= Some(&stored), "{told:?}");
    assert_eq!(media.last(), Some(&duration.nseconds()));
    let shares: Vec<f64> = told.iter().map(|told| told.get("share").unwrap()).collect();
    assert!(shares.is_sorted(), "{shares:?}");
    assert_eq!(shares.last(), Some(&1.0));
}

/// Without a duration the share is told in the end only; live, no progress is told at all.
#[test_case("offline", 1)]
#[test_case("realtime", 0)]
fn progress_is_of_files(streaming_type: &str, last: usize) {
    let local = service();
    let clip = Clip::test(20, 10);
    let fed = send(&local, &format!("streaming-type={streaming_type}"), &clip);
    let told = fed.heard.told("kvs-upload-progress");
    let done: Vec<f64> = told
        .iter()
        .filter_map(|told| told.get("share").ok())
        .collect();
    assert_eq!(done, vec![1.0; last]);
    assert_eq!(told.is_empty(), last == 0);
}

/// With a limit all of it arrives, and more than a second's bytes take more than a second. (How fast it goes is tested in
/// virtual time, in `session`.)
#[test]
fn a_limit_of_the_upload_loses_nothing() {
    let local = service();
    let clip = Clip::test(40, 10);
    let fed = send(
        &local,
        "streaming-type=offline upload-bandwidth=400000",
        &clip,
    );
    assert_eq!(accounts(&fed.stats()), [40, 40, 0, 0]);
    let attempts = local.attempts("cam");
    assert_eq!(attempts.len(), 1, "{attempts:?}");
}

/// What lies outside of the segment is not sent; or it is, with disable-buffer-clipping.
#[test_case("", 20; "clipped")]
#[test_case("disable-buffer-clipping=true", 30; "not clipped")]
fn what_lies_outside_of_the_segment_is_clipped_if_that_is_wanted(how: &str, expected: usize) {
    let local = service();
    let clip = Clip::test(30, 10);
    let mut fed = Fed::new(&format!("stream-name=cam {how} {}", properties(&local)));
    fed.begin(&clip);
    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
    let at = |n: usize| clip.buffers[n].pts().unwrap();
    segment.set_start(at(0));
    segment.set_stop(at(20));
    assert!(fed.event(gst::event::Segment::new(&segment)));
    fed.put_all(&clip.buffers);
    fed.finish();
    let frames = expected as u64;
    assert_eq!(
        accounts(&fed.stats()),
        [frames, frames, 0, 0],
        "{:#?}",
        fed.heard
    );
    let stored: Vec<_> = stored_frames(&local)
        .iter()
        .map(|frame| media::sha256(&frame.data))
        .collect();
    let sent: Vec<_> = clip.buffers[..expected]
        .iter()
        .map(|buffer| hash(buffer))
        .collect();
    assert_eq!(stored, sent);
}
