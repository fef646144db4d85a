//! State changes, again and again.

use gst::prelude::*;

use crate::support::{
    PATIENCE, Pipeline, accounts,
    bus::{self, Heard},
    feed::{Clip, Fed, hash, hashes},
    log::{eventually, threads},
    port::Reserved,
    properties, service, stored, test_source,
};

/// Five rounds from `rest` to PLAYING, EOS, and back; the stream of each round has its own name.
fn five_rounds(rest: gst::State) {
    let local = service();
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink {}",
        test_source(30, 10, false),
        properties(&local)
    ));
    let sink = pipeline.element("sink");
    let mut heard = Heard::of(&pipeline);
    for round in 1..=5 {
        pipeline.0.set_state(rest).unwrap();
        // Also that what is set in READY counts.
        let name = format!("cam{round}");
        sink.set_property("stream-name", &name);
        pipeline.0.set_state(gst::State::Playing).unwrap();
        heard.until(&pipeline, |message| {
            bus::is_eos(message) || bus::is_error(message, "sink")
        });
        assert!(heard.errors("sink").is_empty(), "{round}: {heard:#?}");
        assert_eq!(accounts(&pipeline.stats("sink")), [30, 30, 0, 0], "{round}");
        let frames: u32 = local.fragments(&name).iter().map(|f| f.frames).sum();
        assert_eq!(frames, 30, "{name}");
    }
    heard.stop(&pipeline);
    assert_eq!(heard.told("kvs-stream-ready").len(), 5, "{heard:#?}");
    assert_eq!(heard.told("kvs-stream-closed").len(), 5, "{heard:#?}");
}

/// NULL→PLAYING→NULL, five times: each uploads.
#[test]
fn each_round_from_null_uploads() {
    five_rounds(gst::State::Null);
}

/// READY↔PLAYING, five times: each uploads, and a property that changed in READY takes effect.
#[test]
fn each_round_from_ready_uploads() {
    five_rounds(gst::State::Ready);
}

/// Five rounds into one stream: what comes later has later timecodes, so the service takes it.
#[test]
fn each_round_into_one_stream_uploads() {
    let local = service();
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name=cam {}",
        test_source(10, 10, true),
        properties(&local)
    ));
    for round in 1..=5 {
        pipeline.run().assert_clean();
        let frames: u32 = local.fragments("cam").iter().map(|f| f.frames).sum();
        assert_eq!(frames, round * 10);
    }
    let timecodes: Vec<_> = local
        .fragments("cam")
        .iter()
        .map(|f| f.timecode_ms)
        .collect();
    assert!(timecodes.is_sorted_by(|a, b| a < b), "{timecodes:?}");
}

/// A pause in mid-stream loses nothing: the frames after it follow those before it in the same session.
#[test]
fn a_pause_in_mid_stream_loses_nothing() {
    let local = service();
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name=cam {}",
        test_source(60, 10, true),
        properties(&local)
    ));
    // A live source makes a frame less for each pause; what counts is what came to the sink.
    let (sender, came) = std::sync::mpsc::channel();
    let pad = pipeline.element("sink").static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        sender.send(hash(info.buffer().unwrap())).unwrap();
        gst::PadProbeReturn::Ok
    });
    let mut heard = Heard::of(&pipeline);
    pipeline.0.set_state(gst::State::Playing).unwrap();
    for pause in 1..=3 {
        let persisted = |message: &gst::Message| {
            bus::tells(message, "kvs-fragment-ack")
                && message.structure().unwrap().get::<&str>("type").unwrap() == "PERSISTED"
        };
        heard.until(&pipeline, persisted);
        pipeline.0.set_state(gst::State::Paused).unwrap();
        let (_, state, _) = pipeline
            .0
            .state(gst::ClockTime::from_seconds(PATIENCE.as_secs()));
        assert_eq!(state, gst::State::Paused, "{pause}");
        pipeline.0.set_state(gst::State::Playing).unwrap();
    }
    heard.until(&pipeline, |message| {
        bus::is_eos(message) || bus::is_error(message, "sink")
    });
    assert!(heard.errors("sink").is_empty(), "{heard:#?}");
    let came: Vec<_> = came.try_iter().collect();
    let frames = came.len() as u64;
    assert!(frames > 40, "{frames}");
    assert_eq!(accounts(&pipeline.stats("sink")), [frames, frames, 0, 0]);
    heard.stop(&pipeline);
    let files = local.session_files("cam");
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    assert_eq!(hashes(&stored::frames(file)), came);
}

/// NULL in mid-stream, without EOS, lets what was put arrive.
#[test]
fn null_without_eos_drains_what_was_put() {
    let local = service();
    let clip = Clip::test(25, 10);
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip);
    fed.put_all(&clip.buffers);
    fed.heard.stop(&fed.pipeline);
    assert_eq!(accounts(&fed.stats()), [25, 25, 0, 0]);
    assert_eq!(
        fed.heard.told("kvs-stream-closed").len(),
        1,
        "{:#?}",
        fed.heard
    );
    let files = local.session_files("cam");
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    assert_eq!(hashes(&stored::frames(file)), clip.hashes());
}

/// `stats` can be read in every state; in NULL it tells of the last time.
#[test]
fn stats_can_be_read_in_every_state() {
    let local = service();
    let clip = Clip::test(10, 10);
    let mut fed = Fed::new(&format!("stream-name=cam {}", properties(&local)));
    assert_eq!(accounts(&fed.stats()), [0; 4]);
    fed.play();
    assert_eq!(accounts(&fed.stats()), [0; 4]);
    for event in &clip.events {
        fed.event(event.clone());
    }
    fed.put_all(&clip.buffers);
    let [frames_in, ..] = accounts(&fed.stats());
    assert_eq!(frames_in, 10);
    fed.finish();
    let stats = fed.stats();
    assert_eq!(accounts(&stats), [10, 10, 0, 0]);
    assert_eq!(stats.get::<&str>("state").unwrap(), "stopped");
    assert_eq!(stats.get::<u64>("sessions").unwrap(), 1);
}

/// Secrets go in and never come out: the properties cannot be read, and neither the element's description nor a graph of
/// the pipeline has them.
#[test]
fn secrets_cannot_be_read_back() {
    let port = Reserved::new();
    let mut fed = Fed::new(&format!(
        "{} secret-key=hush-hush session-token=hush-token",
        port.properties()
    ));
    fed.play();
    let sink = fed.pipeline.element("sink");
    for name in ["access-key", "secret-key", "session-token"] {
        let property = sink.find_property(name).unwrap();
        assert!(
            !property.flags().contains(gst::glib::ParamFlags::READABLE),
            "{name}"
        );
    }
    let graph = fed
        .pipeline
        .0
        .debug_to_dot_data(gst::DebugGraphDetails::VERBOSE);
    assert!(
        graph.contains("kvssink") || graph.contains("KvsSink"),
        "{graph}"
    );
    assert!(!graph.contains("hush"), "{graph}");
    fed.heard.stop(&fed.pipeline);
}

/// The element has one thread, named after it, while it runs, and none after NULL: with a service, and without.
#[test]
fn no_thread_is_left_after_null() {
    let local = service();
    let port = Reserved::new();
    let clip = Clip::test(10, 10);
    for properties in [properties(&local), port.properties()] {
        let properties = format!("stream-name=cam {properties} stop-stream-timeout=1");
        let fed = Fed::playing(&properties, &clip);
        let running = threads();
        let callbacks = running.iter().any(|name| name == "kvs-callbacks");
        assert!(!callbacks, "nobody wants to be called: {running:?}");
        fed.put_all(&clip.buffers);
        let named = |threads: &[String]| threads.iter().filter(|name| *name == "sink").count();
        assert!(eventually(|| named(&threads()) == 1), "{:?}", threads());
        fed.pipeline.0.set_state(gst::State::Null).unwrap();
        // It ends on its own after NULL has returned; a thread that stays is found by the limit.
        let gone = eventually(|| named(&threads()) == 0);
        assert!(gone, "{:?}", threads());
    }
}
