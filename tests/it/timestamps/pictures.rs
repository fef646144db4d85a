//! How pictures refer to each other, and what that means to fragments.

use std::process::Command;

use test_case::test_case;

use super::{STREAM, changed, fed, presented, sent};
use crate::support::{
    accounts,
    feed::{Clip, record},
    service,
    stored::assert_readable,
};

/// The picture of a few bytes by x264enc with other options.
fn encoded(frames: u32, encoder: &str) -> Clip {
    record(&format!(
        "videotestsrc pattern=ball num-buffers={frames} ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 \
         ! x264enc speed-preset=ultrafast {encoder} ! h264parse"
    ))
}

fn keys(clip: &Clip) -> Vec<usize> {
    let is_key = |n: &usize| {
        !clip.buffers[*n]
            .flags()
            .contains(gst::BufferFlags::DELTA_UNIT)
    };
    (0..clip.buffers.len()).filter(is_key).collect()
}

fn frames_of_fragments(local: &gstkvssink::local::Local) -> Vec<u32> {
    local.fragments(STREAM).iter().map(|f| f.frames).collect()
}

/// A source that is joined in the middle of a GOP: what cannot be decoded is dropped and told, and a key frame is asked for.
#[test]
fn what_comes_before_the_first_key_frame_is_dropped_and_told() {
    let local = service();
    let clip = Clip::test(40, 10);
    let mut fed = fed(&local, &clip, "");
    fed.put_all(&clip.buffers[6..]);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [34, 30, 4, 0]);
    assert_eq!(fed.heard.dropped("no-key-frame"), 4, "{:#?}", fed.heard);
    assert_readable(&local.session_files(STREAM)[0]);
}

/// Each frame is a key frame: five fragments a second, and all frames.
#[test]
fn all_key_frames_make_five_fragments_a_second() {
    let local = service();
    let clip = encoded(100, "key-int-max=1");
    assert_eq!(keys(&clip).len(), 100);
    let times = sent(&local, fed(&local, &clip, ""), &clip.buffers);
    assert_eq!(times, presented(&clip.buffers));
    assert_eq!(frames_of_fragments(&local), [5; 20]);
}

/// A key frame each ten seconds: fragments of ten seconds.
#[test]
fn a_gop_of_ten_seconds_is_a_fragment() {
    let local = service();
    let clip = encoded(600, "key-int-max=250 option-string=scenecut=0 bframes=2");
    assert_eq!(keys(&clip), [0, 250, 500]);
    let times = sent(&local, fed(&local, &clip, ""), &clip.buffers);
    assert_eq!(times, presented(&clip.buffers));
    assert_eq!(frames_of_fragments(&local), [250, 250, 100]);
}

/// Frames that are shown before their key frame refer to the GOP before: they stand in the fragment of the key frame that
/// they follow in decode order, with times before its own.
#[test]
fn an_open_gop_is_kept_whole() {
    let local = service();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("open.mkv");
    let status = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=160x120:rate=25:duration=4",
        ])
        .args([
            "-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "veryfast",
        ])
        .args([
            "-x264-params",
            "open-gop=1:keyint=26:bframes=3:b-adapt=0:scenecut=0",
        ])
        .arg(&file)
        .status()
        .unwrap();
    assert!(status.success());
    let clip = record(&format!(
        "filesrc location={} ! matroskademux ! h264parse",
        file.display()
    ));
    let keys = keys(&clip);
    let leading = |n: &&usize| {
        clip.buffers
            .get(**n + 1)
            .is_some_and(|b| b.pts() < clip.buffers[**n].pts())
    };
    assert!(
        keys.iter().filter(leading).count() > 1,
        "{keys:?} are not open"
    );
    let times = sent(&local, fed(&local, &clip, ""), &clip.buffers);
    assert_eq!(times, presented(&clip.buffers));
    assert_eq!(local.session_files(STREAM).len(), 1);
    assert_readable(&local.session_files(STREAM)[0]);
}

/// Interlaced pictures: as one buffer a frame, and as one a field, of which the second has a time of its own or none.
#[test_case(true; "with a time of its own")]
#[test_case(false; "without one")]
fn interlaced_fields_are_kept(timed: bool) {
    let local = service();
    let clip = encoded(40, "key-int-max=20 interlaced=true bframes=0");
    // As if each second buffer were the second field of the one before.
    let buffers = changed(&clip.buffers, |n, buffer| {
        let at = gst::ClockTime::from_mseconds(n as u64 * 20);
        let second = n % 2 == 1 && !timed;
        buffer.set_pts((!second).then_some(at));
        buffer.set_dts((!second).then_some(at));
        buffer.set_duration(gst::ClockTime::from_mseconds(20));
    });
    let times = sent(&local, fed(&local, &clip, ""), &buffers);
    assert_eq!(times, (0..40).map(|n| n * 20).collect::<Vec<_>>());
}
