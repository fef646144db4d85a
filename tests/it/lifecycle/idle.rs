//! A source that gives nothing for a while.

use gst::prelude::*;

use crate::support::{
    Pipeline, accounts,
    bus::{self, Heard},
    log::eventually,
    properties, service, stored, test_source,
};

/// A pause that is longer than a session waits ends it: all that came is PERSISTED meanwhile. PLAYING begins another with a key
/// frame, which the encoder is asked for. There is no third session without media, and nothing to warn of.
#[test]
fn a_long_pause_ends_the_session_and_playing_begins_another() {
    let local = service();
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name=cam {}",
        test_source(1_000_000, 25, true),
        properties(&local)
    ));
    let mut heard = Heard::of(&pipeline);
    let is_persisted = |message: &gst::Message| {
        let said = message.structure();
        said.is_some_and(|said| said.get::<&str>("type") == Ok("PERSISTED"))
            || bus::is_error(message, "sink")
    };
    pipeline.0.set_state(gst::State::Playing).unwrap();
    heard.until(&pipeline, is_persisted);
    pipeline.0.set_state(gst::State::Paused).unwrap();
    let stats = || pipeline.stats("sink");
    let is_idle = || stats().get::<&str>("state").unwrap() == "ready";
    assert!(eventually(is_idle), "{}", stats());
    let [frames, persisted, ..] = accounts(&stats());
    assert_eq!(accounts(&stats()), [frames, frames, 0, 0]);
    assert_eq!(local.session_files("cam").len(), 1);

    pipeline.0.set_state(gst::State::Playing).unwrap();
    let goes_on = || accounts(&stats())[1] > persisted;
    assert!(eventually(goes_on), "{}", stats());
    assert!(pipeline.0.send_event(gst::event::Eos::new()));
    heard.until(&pipeline, |message| {
        bus::is_eos(message) || bus::is_error(message, "sink")
    });
    heard.stop(&pipeline);
    assert!(heard.eos() && heard.errors("sink").is_empty(), "{heard:#?}");
    assert!(heard.warnings("sink").is_empty(), "{heard:#?}");

    let [frames, persisted, dropped, pending] = accounts(&stats());
    assert_eq!((frames, pending), (persisted + dropped, 0));
    assert_eq!(dropped, heard.dropped("no-key-frame"), "{heard:#?}");
    let sessions: u64 = stats().get("sessions").unwrap();
    assert_eq!((sessions, local.session_files("cam").len()), (2, 2));
    let stored: Vec<_> = local
        .session_files("cam")
        .iter()
        .map(|file| stored::frames(file))
        .collect();
    assert!(stored.iter().all(|frames| frames[0].key));
    assert_eq!(stored.concat().len() as u64, persisted);
}
