//! `timestamp-source`, and the C++ element's properties that mean the same.

use std::time::Duration;

use test_case::test_case;

use super::{STREAM, changed, fed, presented, sent, stored};
use crate::support::{accounts, feed::Clip, service, stored::assert_readable};

fn now() -> Duration {
    Duration::from_micros(u64::try_from(gst::glib::real_time()).unwrap())
}

/// What buffers say does not matter: frames have the time at which they come.
#[test_case("timestamp-source=arrival")]
#[test_case("frame-timecodes=false"; "as the C++ element says it")]
fn frames_have_the_time_of_their_arrival(property: &str) {
    let local = service();
    let clip = Clip::test(40, 10);
    let odd = changed(&clip.buffers, |n, buffer| {
        let odd = gst::ClockTime::from_seconds(1_000_000 * (n as u64 % 3));
        buffer.set_pts(odd);
        buffer.set_dts(odd);
    });
    let before = now();
    let times = sent(&local, fed(&local, &clip, property), &odd);
    let after = now();
    assert!(times.is_sorted(), "{times:?}");
    let stored = stored(&local);
    let within = before.as_millis() as u64 - 1..=after.as_millis() as u64 + 1;
    for packet in stored {
        assert!(within.contains(&packet.ms), "{packet:?} not in {within:?}");
    }
}

/// PTS are times since 1970, whatever the segment and the clock say; an hour ago is an hour ago.
#[test_case("timestamp-source=buffer-pts")]
#[test_case("use-original-pts=true"; "as the C++ element says it")]
fn frames_have_the_times_of_their_pts(property: &str) {
    let local = service();
    let clip = Clip::test(40, 10);
    let base = now() - Duration::from_secs(3600);
    let base = gst::ClockTime::from_mseconds(base.as_millis() as u64);
    let buffers = since_1970(&clip.buffers, base);
    let times = sent(&local, fed(&local, &clip, property), &buffers);
    assert_eq!(times, presented(&clip.buffers));
    assert_eq!(
        stored(&local)[0].ms,
        buffers[0].pts().unwrap().mseconds(),
        "to the millisecond"
    );
}

/// When the clock that gave the PTS is set back, the next key frame begins another session: nothing is lost.
#[test]
fn pts_that_go_back_begin_another_session() {
    let local = service();
    let clip = Clip::test(20, 10);
    let hour = Duration::from_secs(3600);
    let at = |ago: Duration| gst::ClockTime::from_mseconds((now() - ago).as_millis() as u64);
    let mut buffers = since_1970(&clip.buffers, at(hour));
    buffers.extend(since_1970(&clip.buffers, at(hour * 2)));
    let mut fed = fed(&local, &clip, "timestamp-source=buffer-pts");
    fed.put_all(&buffers);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [40, 40, 0, 0], "{:#?}", fed.heard);
    let files = local.session_files(STREAM);
    assert_eq!(files.len(), 2, "{files:?}");
    for file in &files {
        assert_readable(file);
    }
    let stored = stored(&local);
    let ms: Vec<_> = stored.iter().map(|packet| packet.ms).collect();
    let expected: Vec<_> = buffers.iter().map(|b| rounded(b.pts().unwrap())).collect();
    assert_eq!(ms, expected);
}

/// A file begins when it is said to, and without that ends now; 0 keeps its own times.
#[test_case("file-start-time=1600000000", Some(1_600_000_000_000); "a time that is given")]
#[test_case("file-start-time=0", Some(0); "its own")]
#[test_case("", None; "now")]
fn a_file_has_the_time_it_is_given(property: &str, expected: Option<u64>) {
    let local = service();
    let clip = Clip::test(40, 10);
    // Its PTS begin where x264enc has them: far from 0.
    let first = rounded(clip.buffers[0].pts().unwrap());
    let zero = changed(&clip.buffers, |_, buffer| {
        let earlier = gst::ClockTime::from_mseconds(first) - gst::ClockTime::from_mseconds(200);
        buffer.set_pts(buffer.pts().map(|pts| pts - earlier));
        buffer.set_dts(buffer.dts().map(|dts| dts - earlier));
    });
    let more = format!("streaming-type=offline {property}");
    let before = now();
    let times = sent(&local, fed(&local, &clip, &more), &zero);
    assert_eq!(times, presented(&clip.buffers));
    let begin = stored(&local)[0].ms;
    match expected {
        Some(0) => assert_eq!(begin, 200),
        Some(expected) => assert_eq!(begin, expected),
        None => assert!(begin >= before.as_millis() as u64),
    }
}

fn since_1970(buffers: &[gst::Buffer], base: gst::ClockTime) -> Vec<gst::Buffer> {
    let first = buffers[0].dts().unwrap();
    changed(buffers, |_, buffer| {
        buffer.set_pts(buffer.pts().map(|pts| pts - first + base));
        buffer.set_dts(buffer.dts().map(|dts| dts - first + base));
    })
}

fn rounded(time: gst::ClockTime) -> u64 {
    (time.nseconds() + 500_000) / 1_000_000
}
