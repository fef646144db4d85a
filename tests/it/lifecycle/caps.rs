//! Other media in mid-stream.

use crate::support::{
    Pipeline, accounts,
    feed::{Clip, Fed, hashes, record},
    properties, service, stored, test_source,
};

/// Another resolution in mid-stream ends the PutMedia session and begins one with its header; nothing is lost.
#[test]
fn another_resolution_is_another_session() {
    let local = service();
    let small = Clip::test(25, 10);
    let large =
        record(&test_source(25, 10, false).replace("width=320,height=240", "width=640,height=480"));
    assert_ne!(small.codec_data(), large.codec_data());
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &small);
    for (round, clip) in [&small, &large, &small].into_iter().enumerate() {
        assert!(fed.event(gst::event::Caps::new(&clip.caps())));
        let base = gst::ClockTime::from_seconds(round as u64);
        assert!(fed.event(clip.segment_at(base)));
        fed.put_all(&clip.buffers);
    }
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [75, 75, 0, 0]);
    let files = local.session_files("cam");
    assert_eq!(files.len(), 3, "{files:?}");
    for (file, clip) in files.iter().zip([&small, &large, &small]) {
        stored::assert_readable(file);
        assert_eq!(hashes(&stored::frames(file)), clip.hashes());
    }
    assert!(fed.heard.warnings("sink").is_empty(), "{:#?}", fed.heard);
}

/// Caps that change nothing of the header (the frame rate, or nothing at all) go on in the same session.
#[test]
fn caps_that_change_nothing_go_on() {
    let local = service();
    let clip = Clip::test(20, 10);
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip);
    fed.put_all(&clip.buffers[..15]);
    assert!(fed.event(gst::event::Caps::new(&clip.caps())));
    fed.put_all(&clip.buffers[15..]);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [20, 20, 0, 0]);
    assert_eq!(local.session_files("cam").len(), 1);
}

/// Two resolutions one after the other through `concat`, as an application would do it.
#[test]
fn two_sources_through_concat_arrive() {
    let local = service();
    let source = test_source(25, 10, false);
    let other = source.replace("width=320,height=240", "width=640,height=480");
    let pipeline = Pipeline::new(&format!(
        "concat name=c ! kvssink name=sink stream-name=cam {}  {source} ! queue ! c.  {other} ! queue ! c.",
        properties(&local)
    ));
    pipeline.run().assert_clean();
    assert_eq!(accounts(&pipeline.stats("sink")), [50, 50, 0, 0]);
    let files = local.session_files("cam");
    assert_eq!(files.len(), 2, "{files:?}");
    for file in &files {
        stored::assert_readable(file);
        assert_eq!(stored::frames(file).len(), 25);
    }
}
