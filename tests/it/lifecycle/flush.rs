//! Flushes: what waits is let go, what was put stays, what follows arrives.

use gst::prelude::*;

use crate::support::{
    PATIENCE, Pipeline, accounts,
    bus::{Heard, is_eos, is_error, is_warning, tells},
    feed::{Clip, Fed, hashes},
    log::{Lines, eventually},
    media,
    port::Reserved,
    properties, service, stored,
};

fn flush(fed: &Fed, clip: &Clip) {
    assert!(fed.event(gst::event::FlushStart::new()));
    assert!(fed.event(gst::event::FlushStop::new(true)));
    assert!(fed.event(clip.segment_at(gst::ClockTime::ZERO)));
}

/// A flush in mid-stream: what was put before arrives, and so does what follows, from its key frame on, later in time.
#[test]
fn frames_before_and_after_a_flush_arrive() {
    let local = service();
    let clip = Clip::test(30, 10);
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip);
    // In the middle of a fragment.
    fed.put_all(&clip.buffers[..15]);
    for _ in 0..3 {
        flush(&fed, &clip);
    }
    fed.put_all(&clip.buffers);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [45, 45, 0, 0]);
    let stored: Vec<_> = local
        .session_files("cam")
        .iter()
        .flat_map(|file| hashes(&stored::frames(file)))
        .collect();
    let mut expected = clip.hashes();
    expected.truncate(15);
    expected.extend(clip.hashes());
    assert_eq!(stored, expected);
}

/// What was put before a flush is PERSISTED though nothing follows: the fragment that the flush has cut is ended on the wire,
/// before the service ends the connection for want of media.
#[test]
fn frames_before_a_flush_are_persisted_though_nothing_follows() {
    let local = service();
    let clip = Clip::test(30, 10);
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip);
    fed.put_all(&clip.buffers[..15]);
    flush(&fed, &clip);
    let persisted = eventually(|| accounts(&fed.stats()) == [15, 15, 0, 0]);
    assert!(persisted, "{}", fed.stats());
    // What follows later, does so in another session.
    fed.put_all(&clip.buffers[..10]);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [25, 25, 0, 0]);
    assert_eq!(local.session_files("cam").len(), 2);
    assert!(fed.heard.warnings("sink").is_empty(), "{:#?}", fed.heard);
}

/// After a flush the next frame must be a key frame: others are dropped and told.
#[test]
fn frames_without_a_key_frame_after_a_flush_are_dropped() {
    let local = service();
    let clip = Clip::test(30, 10);
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip);
    fed.put_all(&clip.buffers[..15]);
    flush(&fed, &clip);
    fed.put_all(&clip.buffers[15..]);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [30, 25, 5, 0]);
    assert_eq!(fed.heard.dropped("no-key-frame"), 5, "{:#?}", fed.heard);
}

/// A flush while EOS waits for the acks takes it back; what was put is still sent, and what follows arrives, even after
/// the time that the drain had.
#[test]
fn a_flush_while_eos_waits_lets_it_go_and_the_end_is_forgotten() {
    let port = Reserved::new();
    let dir = tempfile::tempdir().unwrap();
    let clip = Clip::test(30, 10);
    let properties = format!(
        "stream-name=cam {} stop-stream-timeout=2",
        port.properties()
    );
    let lines = Lines::listen();
    let mut fed = Fed::playing(&properties, &clip);
    fed.put_all(&clip.buffers);
    fed.until(is_warning);
    fed.eos();
    lines.until_eos_waits();
    assert!(fed.event(gst::event::FlushStart::new()));
    assert!(fed.event(gst::event::FlushStop::new(true)));
    assert!(fed.event(clip.segment_at(gst::ClockTime::ZERO)));
    fed.put_all(&clip.buffers);
    // The deadline of the drain passes.
    let bus = fed.pipeline.0.bus().unwrap();
    let limit = gst::ClockTime::from_seconds(3);
    let error = bus.timed_pop_filtered(limit, &[gst::MessageType::Error]);
    assert!(error.is_none(), "{error:?}");
    let local = port.serve(dir.path());
    // The next attempt may be later than a drain may last.
    assert!(local.wait_for(PATIENCE, |local| local.fragments("cam").len() >= 5));
    assert!(!fed.heard.eos(), "the first EOS was flushed");
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [60, 60, 0, 0]);
    let frames: u32 = local.fragments("cam").iter().map(|f| f.frames).sum();
    assert_eq!(frames, 60);
}

/// Several STREAM_STARTs in a row, before and in the stream, are harmless.
#[test]
fn several_stream_starts_are_harmless() {
    let local = service();
    let clip = Clip::test(20, 10);
    let mut fed = Fed::new(&format!("stream-name=cam {}", properties(&local)));
    fed.play();
    let start_again = |fed: &Fed| {
        for id in ["a", "b", "c"] {
            assert!(fed.event(gst::event::StreamStart::new(id)));
        }
        for event in &clip.events[1..] {
            assert!(fed.event(event.clone()));
        }
    };
    start_again(&fed);
    fed.put_all(&clip.buffers[..10]);
    start_again(&fed);
    fed.put_all(&clip.buffers[10..]);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [20, 20, 0, 0]);
    let files = local.session_files("cam");
    let [file] = &files[..] else {
        panic!("the header did not change: {files:?}")
    };
    assert_eq!(hashes(&stored::frames(file)), clip.hashes());
    assert!(!fed.heard.0.iter().any(|message| is_error(message, "sink")));
}

/// A seek in mid-stream plays the file again into the same stream: nothing hangs, nothing is an error, and every frame that
/// came is accounted for.
#[test]
fn a_file_is_played_again_after_a_seek() {
    let local = service();
    let source = format!(
        "filesrc location={} ! qtdemux ! h264parse",
        media::clip("bikes.mp4").display()
    );
    let frames = media::access_units(&source).len() as u64;
    for streaming_type in ["realtime", "offline"] {
        let pipeline = Pipeline::new(&format!(
            "{source} ! kvssink name=sink stream-name={streaming_type} streaming-type={streaming_type} {}",
            properties(&local)
        ));
        let mut heard = Heard::of(&pipeline);
        pipeline.0.set_state(gst::State::Playing).unwrap();
        heard.until(&pipeline, |message| {
            tells(message, "kvs-fragment-ack") || is_error(message, "sink")
        });
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT;
        pipeline.0.seek_simple(flags, gst::ClockTime::ZERO).unwrap();
        // An EOS from before the seek was flushed, or is on the bus already.
        heard.until(&pipeline, |message| {
            let all = accounts(&pipeline.stats("sink"))[1] >= frames;
            is_error(message, "sink") || (is_eos(message) && all)
        });
        heard.stop(&pipeline);
        assert!(heard.errors("sink").is_empty(), "{heard:#?}");
        let [frames_in, persisted, dropped, pending] = accounts(&pipeline.stats("sink"));
        assert!(frames_in > frames, "{frames_in}");
        assert_eq!((frames_in, pending), (persisted + dropped, 0));
        assert_eq!(dropped, 0, "{heard:#?}");
        let stored: u32 = local
            .fragments(streaming_type)
            .iter()
            .map(|f| f.frames)
            .sum();
        assert_eq!(u64::from(stored), persisted);
    }
}
