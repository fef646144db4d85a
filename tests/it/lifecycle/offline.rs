//! Media comes faster than it leaves: offline waits, realtime drops.

use std::thread::JoinHandle;

use gst::prelude::*;
use test_case::test_case;

use crate::support::{
    accounts,
    bus::{is_error, is_warning},
    feed::{Clip, Fed, hashes},
    log::eventually,
    port::Reserved,
    stored,
};

type Putting = JoinHandle<Result<gst::FlowSuccess, gst::FlowError>>;

/// An offline element without a server, whose streaming thread waits for room, and the clip that it does not get rid of.
fn waiting_for_room(port: &Reserved, stop_timeout_s: u32) -> (Fed, Clip, Putting) {
    let clip = Clip::large(90, 10);
    let properties = format!(
        "stream-name=cam streaming-type=offline storage-size=1 stop-stream-timeout={stop_timeout_s} {}",
        port.properties()
    );
    let mut fed = Fed::playing(&properties, &clip);
    let putting = fed.put_aside(clip.buffers.clone());
    fed.until(is_warning);
    // It waits when a quarter of the storage was not sent.
    let full = eventually(|| {
        let bytes: u64 = fed.stats().get("bytes-buffered").unwrap();
        bytes > (1 << 20) / 4
    });
    assert!(full && !putting.is_finished(), "{}", fed.stats());
    (fed, clip, putting)
}

/// A flush lets the streaming thread go that waits for room, and what follows waits anew.
#[test]
fn a_flush_ends_the_wait_for_room() {
    let port = Reserved::new();
    let (mut fed, _clip, putting) = waiting_for_room(&port, 1);
    assert!(fed.event(gst::event::FlushStart::new()));
    assert_eq!(putting.join().unwrap(), Err(gst::FlowError::Flushing));
    assert!(fed.event(gst::event::FlushStop::new(true)));
    fed.heard.stop(&fed.pipeline);
    let [frames_in, persisted, dropped, pending] = accounts(&fed.stats());
    assert_eq!((persisted, pending), (0, 0));
    assert_eq!(frames_in, dropped);
    assert_eq!(
        fed.heard.dropped("storage"),
        0,
        "offline drops nothing for room"
    );
}

/// NULL lets it go, too, and says what is missing.
#[test]
fn null_ends_the_wait_for_room() {
    let port = Reserved::new();
    let (mut fed, _clip, putting) = waiting_for_room(&port, 1);
    fed.heard.stop(&fed.pipeline);
    assert_eq!(putting.join().unwrap(), Err(gst::FlowError::Flushing));
    let [frames_in, persisted, dropped, pending] = accounts(&fed.stats());
    assert_eq!((persisted, pending), (0, 0));
    assert_eq!(frames_in, dropped);
    assert_eq!(fed.heard.errors("sink").len(), 1, "{:#?}", fed.heard);
}

/// Offline drops nothing: the streaming thread waits for room. A pause meanwhile returns; after it the same frame goes on,
/// and with a service everything arrives once and in order.
#[test]
fn a_pause_while_waiting_for_room_loses_nothing() {
    let port = Reserved::new();
    let dir = tempfile::tempdir().unwrap();
    const PAUSES: u64 = 40;
    let (mut fed, clip, putting) = waiting_for_room(&port, 60);
    let before: u64 = fed.stats().get("frames-in").unwrap();
    // Several: a PAUSED may come before the PLAYING in front of it was noticed. Each may let a frame in.
    for _ in 0..PAUSES {
        fed.pipeline.0.set_state(gst::State::Paused).unwrap();
        fed.pipeline.0.set_state(gst::State::Playing).unwrap();
        if putting.is_finished() {
            panic!("{:?} {}", putting.join().unwrap(), fed.stats());
        }
    }
    let frames_in: u64 = fed.stats().get("frames-in").unwrap();
    assert!(
        frames_in <= before + PAUSES,
        "{before} before {PAUSES} pauses, then {frames_in}"
    );
    let local = port.serve(dir.path());
    assert_eq!(putting.join().unwrap(), Ok(gst::FlowSuccess::Ok));
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [90, 90, 0, 0]);
    let files = local.session_files("cam");
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    assert_eq!(hashes(&stored::frames(file)), clip.hashes());
}

/// Realtime and near-realtime never wait for the network: without a server all frames are taken, the oldest fragments that
/// do not fit are dropped and told, and memory stays within the storage.
#[test_case("realtime")]
#[test_case("near-realtime")]
fn realtime_never_waits_for_room(streaming_type: &str) {
    let port = Reserved::new();
    let clip = Clip::large(300, 10);
    let mut fed = Fed::playing(
        &format!(
            "stream-name=cam storage-size=1 stop-stream-timeout=1 streaming-type={streaming_type} {}",
            port.properties()
        ),
        &clip,
    );
    for buffer in &clip.buffers {
        fed.put(buffer).unwrap();
        let bytes: u64 = fed.stats().get("bytes-buffered").unwrap();
        assert!(bytes <= 1 << 20, "{bytes}");
    }
    let [frames_in, persisted, dropped, pending] = accounts(&fed.stats());
    assert_eq!((frames_in, persisted), (300, 0));
    assert_eq!(dropped + pending, 300);
    fed.eos();
    fed.until(|message| is_error(message, "sink"));
    assert!(!fed.heard.eos());
    fed.heard.stop(&fed.pipeline);
    let stats = fed.stats();
    assert_eq!(accounts(&stats), [300, 0, 300, 0]);
    let by_reason = stats.get::<gst::Structure>("dropped").unwrap();
    let [storage, unfinished, no_key_frame] = ["storage", "unfinished", "no-key-frame"]
        .map(|reason| by_reason.get::<u64>(reason).unwrap());
    assert!(storage > 0, "{stats}");
    assert_eq!((unfinished, no_key_frame), (pending, 0), "{stats}");
    assert_eq!(fed.heard.dropped("storage"), storage, "{:#?}", fed.heard);
    assert_eq!(
        fed.heard.dropped("unfinished"),
        unfinished,
        "{:#?}",
        fed.heard
    );
}
