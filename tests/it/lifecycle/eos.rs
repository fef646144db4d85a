//! EOS means that everything is PERSISTED.

use std::sync::{
    Arc, Mutex,
    mpsc::{channel, sync_channel},
};

use gst::prelude::*;
use gstkvssink::local::Local;

use crate::support::{
    PATIENCE, accounts,
    bus::{self, is_error, is_warning},
    feed::{Clip, Fed, hashes},
    log::{Lines, eventually},
    port::Reserved,
    properties, service, stored,
};

/// What the service has of `cam`.
fn persisted_frames(local: &Local) -> u32 {
    let fragments = local.fragments("cam");
    assert!(fragments.iter().all(|fragment| fragment.persisted));
    fragments.iter().map(|fragment| fragment.frames).sum()
}

/// EOS reaches the bus only when everything is PERSISTED: looked at in the moment it is posted.
#[test]
fn eos_comes_when_everything_is_persisted() {
    let local = Arc::new(Mutex::new(service()));
    let clip = Clip::test(45, 10);
    let mut fed = {
        let local = local.lock().unwrap();
        Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip)
    };
    let (sender, at_eos) = channel();
    let sink = fed.pipeline.element("sink");
    {
        let local = Arc::clone(&local);
        let sink = sink.downgrade();
        fed.pipeline
            .0
            .bus()
            .unwrap()
            .set_sync_handler(move |_, message| {
                if bus::is_eos(message) {
                    let stats: gst::Structure = sink.upgrade().unwrap().property("stats");
                    let frames = persisted_frames(&local.lock().unwrap());
                    sender.send((frames, accounts(&stats))).unwrap();
                }
                gst::BusSyncReply::Pass
            });
    }
    fed.put_all(&clip.buffers);
    fed.finish();
    assert_eq!(
        at_eos.try_iter().collect::<Vec<_>>(),
        [(45, [45, 45, 0, 0])]
    );
}

/// A pause while EOS waits for the acks returns at once, and so does the way back; then EOS waits again, and everything
/// that comes back in time arrives.
#[test]
fn a_pause_while_eos_waits_does_not_wait_and_eos_comes_later() {
    let port = Reserved::new();
    let dir = tempfile::tempdir().unwrap();
    let clip = Clip::test(30, 10);
    let properties = format!(
        "stream-name=cam {} stop-stream-timeout=60",
        port.properties()
    );
    let lines = Lines::listen();
    let mut fed = Fed::playing(&properties, &clip);
    fed.put_all(&clip.buffers);
    fed.until(is_warning);
    fed.eos();
    lines.until_eos_waits();
    // Often: a PAUSED may come before the PLAYING in front of it was noticed.
    for _ in 0..200 {
        // The change of state is watched from here: it must not last as long as the wait for the acks may.
        let (done, paused) = sync_channel(0);
        let pipeline = fed.pipeline.0.clone();
        let changing = std::thread::spawn(move || {
            pipeline.set_state(gst::State::Paused).unwrap();
            pipeline.set_state(gst::State::Playing).unwrap();
            done.send(()).unwrap();
        });
        paused
            .recv_timeout(PATIENCE / 4)
            .expect("the change of state waits for the network");
        changing.join().unwrap();
    }
    // What was put is sent in PAUSED, too; EOS is for PLAYING.
    fed.pipeline.0.set_state(gst::State::Paused).unwrap();
    let local = port.serve(dir.path());
    assert!(local.wait_for(PATIENCE, |local| persisted_frames(local) == 30));
    fed.until(|message| bus::tells(message, "kvs-stream-closed"));
    assert!(!fed.heard.eos(), "{:#?}", fed.heard);
    fed.play();
    fed.until(|message| bus::is_eos(message) || is_error(message, "sink"));
    assert!(fed.heard.eos(), "{:#?}", fed.heard);
    fed.heard.stop(&fed.pipeline);
    assert_eq!(accounts(&fed.stats()), [30, 30, 0, 0]);
    assert_eq!(persisted_frames(&local), 30);
}

/// NULL while EOS waits for the acks returns within `stop-stream-timeout`, counted from NULL or before, and says what is
/// missing.
#[test]
fn null_while_eos_waits_returns() {
    let port = Reserved::new();
    let clip = Clip::test(30, 10);
    let properties = format!(
        "stream-name=cam {} stop-stream-timeout=1",
        port.properties()
    );
    let lines = Lines::listen();
    let mut fed = Fed::playing(&properties, &clip);
    fed.put_all(&clip.buffers);
    fed.eos();
    lines.until_eos_waits();
    fed.until(is_warning);
    fed.heard.stop(&fed.pipeline);
    assert_eq!(accounts(&fed.stats()), [30, 0, 30, 0]);
    assert_eq!(fed.heard.errors("sink").len(), 1, "{:#?}", fed.heard);
    assert!(!fed.heard.eos());
}

/// NULL returns, and says what is missing, while the session drains, too: everything was sent, and the service says nothing.
#[test]
fn null_while_the_session_drains_returns() {
    let local = service();
    local.inject("never-ack:always".parse().unwrap());
    let clip = Clip::test(30, 10);
    let properties = properties(&local);
    let mut fed = Fed::playing(
        &format!("stream-name=cam {properties} stop-stream-timeout=5"),
        &clip,
    );
    fed.put_all(&clip.buffers);
    fed.eos();
    let drains = eventually(|| fed.stats().get::<&str>("state").unwrap() == "draining");
    assert!(drains, "{}", fed.stats());
    fed.heard.stop(&fed.pipeline);
    assert_eq!(accounts(&fed.stats()), [30, 0, 30, 0]);
    let error = fed.heard.the_error("sink");
    assert!(error.error().to_string().contains("draining"), "{error:?}");
    let missing: u64 = error.details().unwrap().get("frames-missing").unwrap();
    assert_eq!((missing, fed.heard.dropped("unfinished")), (30, 30));
    assert!(!fed.heard.eos());
}

/// EOS without a single frame is EOS, with a service and with none.
#[test]
fn eos_without_frames_is_eos() {
    let local = service();
    let port = Reserved::new();
    let clip = Clip::test(1, 10);
    for properties in [properties(&local), port.properties()] {
        let mut fed = Fed::playing(&format!("stream-name=cam {properties}"), &clip);
        fed.finish();
        assert_eq!(accounts(&fed.stats()), [0; 4]);
        assert!(fed.heard.errors("sink").is_empty(), "{:#?}", fed.heard);
    }
}

/// After EOS a flush begins anew, as after a seek: the frames that follow go into the same stream.
#[test]
fn frames_after_eos_and_a_flush_arrive() {
    let local = service();
    let clip = Clip::test(20, 10);
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip);
    fed.put_all(&clip.buffers);
    fed.eos();
    fed.until(bus::is_eos);
    assert_eq!(persisted_frames(&local), 20);
    assert!(fed.event(gst::event::FlushStart::new()));
    assert!(fed.event(gst::event::FlushStop::new(true)));
    assert!(fed.event(clip.segment_at(gst::ClockTime::ZERO)));
    fed.put_all(&clip.buffers);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [40, 40, 0, 0]);
    let files = local.session_files("cam");
    assert_eq!(files.len(), 2, "the body of the first ended with EOS");
    for file in &files {
        assert_eq!(hashes(&stored::frames(file)), clip.hashes());
    }
}
