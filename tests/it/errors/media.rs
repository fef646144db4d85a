//! Media that cannot be sent: what is wrong is dropped and told, what is right arrives.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use gst::prelude::*;

use test_case::test_case;

use crate::support::{
    Pipeline, accounts,
    bus::{Heard, is_eos, is_error, tells},
    feed::{Clip, Fed, hashes},
    properties, service, stored, test_source,
};

/// Caps without codec data cannot be sent: STREAM/FORMAT, with the remedy.
#[test]
fn caps_without_codec_data_name_h264parse() {
    let local = service();
    let mut fed = Fed::new(&format!("stream-name=cam {}", properties(&local)));
    fed.play();
    let caps = gst::Caps::builder("video/x-h264")
        .field("stream-format", "avc")
        .field("alignment", "au")
        .field("width", 320)
        .field("height", 240)
        .build();
    assert!(fed.event(gst::event::StreamStart::new("x")));
    // A sticky event is tried again with the next buffer, and that fails.
    fed.event(gst::event::Caps::new(&caps));
    fed.until(|message| is_error(message, "sink"));
    assert!(fed.event(gst::event::Segment::new(&gst::FormattedSegment::<
        gst::ClockTime,
    >::new())));
    let flow = fed.put(&gst::Buffer::new());
    assert_eq!(flow, Err(gst::FlowError::NotNegotiated));
    fed.heard.stop(&fed.pipeline);
    let error = fed.heard.the_error("sink");
    assert!(error.error().matches(gst::StreamError::Format), "{error:?}");
    assert!(error.error().to_string().contains("h264parse"), "{error:?}");
}

/// A pipeline with such caps ends: the source is told that nothing can flow.
#[test]
fn a_pipeline_with_caps_that_cannot_be_sent_ends() {
    let local = service();
    let pipeline = Pipeline::new(&format!(
        "videotestsrc ! x264enc ! video/x-h264,stream-format=avc,alignment=au ! capssetter replace=true \
         caps=video/x-h264,stream-format=avc,alignment=au,width=320,height=240 ! kvssink name=sink stream-name=cam {}",
        properties(&local)
    ));
    let mut heard = Heard::of(&pipeline);
    pipeline.0.set_state(gst::State::Playing).unwrap();
    heard.until(&pipeline, |message| is_error(message, "sink"));
    // The source says that it stops.
    heard.until(&pipeline, |message| {
        message.type_() == gst::MessageType::Error && !is_error(message, "sink")
    });
    heard.stop(&pipeline);
    let error = heard.the_error("sink");
    assert!(error.error().matches(gst::StreamError::Format), "{error:?}");
}

/// The clip with the buffer at `index` changed by `change` arrives without that one, which is dropped for `reason`.
fn one_is_dropped(index: usize, reason: &str, change: impl FnOnce(&mut gst::Buffer)) {
    let local = service();
    let clip = Clip::test(30, 10);
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip);
    let mut buffers = clip.buffers.clone();
    change(&mut buffers[index]);
    fed.put_all(&buffers);
    fed.finish();
    let stats = fed.stats();
    assert_eq!(accounts(&stats), [30, 29, 1, 0]);
    let dropped = stats.get::<gst::Structure>("dropped").unwrap();
    assert_eq!(dropped.get::<u64>(reason).unwrap(), 1, "{stats}");
    assert_eq!(fed.heard.dropped(reason), 1, "{:#?}", fed.heard);
    assert!(fed.heard.errors("sink").is_empty(), "{:#?}", fed.heard);
    let mut expected = clip.hashes();
    expected.remove(index);
    let files = local.session_files("cam");
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    assert_eq!(hashes(&stored::frames(file)), expected);
}

/// A buffer whose NAL lengths do not add up is dropped, announced, and the rest arrives.
#[test]
fn a_buffer_with_broken_nal_lengths_is_dropped_and_the_rest_arrives() {
    one_is_dropped(15, "malformed", |buffer| {
        let mut broken = buffer.map_readable().unwrap().to_vec();
        broken.truncate(broken.len() - 1);
        let mut replaced = gst::Buffer::from_slice(broken);
        buffer
            .copy_into(
                replaced.get_mut().unwrap(),
                gst::BufferCopyFlags::FLAGS | gst::BufferCopyFlags::TIMESTAMPS,
                ..,
            )
            .unwrap();
        *buffer = replaced;
    });
}

/// A buffer without a timestamp is sent with the time it came. Where its PTS is to be its time, it is dropped and announced.
#[test_case("", 30; "it has the time it came")]
#[test_case("timestamp-source=buffer-pts", 29; "its time was to be in it")]
fn a_buffer_without_timestamps_is_sent_if_its_time_can_be_known(how: &str, expected: usize) {
    let local = service();
    let clip = Clip::test(30, 10);
    let properties = format!("stream-name=cam {how} {}", properties(&local));
    let mut fed = Fed::playing(&properties, &clip);
    let mut buffers = clip.buffers.clone();
    let bare = buffers[15].make_mut();
    bare.set_pts(None);
    bare.set_dts(None);
    fed.put_all(&buffers);
    fed.finish();
    let persisted = expected as u64;
    assert_eq!(accounts(&fed.stats()), [30, persisted, 30 - persisted, 0]);
    assert_eq!(fed.heard.dropped("no-timestamp"), 30 - persisted);
    let files = local.session_files("cam");
    let stored: usize = files.iter().map(|file| stored::frames(file).len()).sum();
    assert_eq!(stored, expected);
}

/// A stream that begins in the middle of a group of pictures is dropped up to the key frame that the encoder was asked
/// for; from there on everything arrives. The encoder makes no other key frame.
#[test]
fn a_start_between_key_frames_asks_for_one() {
    let local = service();
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name=cam {}",
        test_source(75, 1000, true),
        properties(&local)
    ));
    let pad = pipeline.element("sink").static_pad("sink").unwrap();
    let asked = Arc::new(AtomicU64::new(0));
    let first = AtomicBool::new(true);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        if first.swap(false, Ordering::Relaxed) {
            // Not `Drop`: gstreamer-rs 0.25 makes GStreamer unref the buffer that it has dropped itself.
            gst::PadProbeReturn::Handled
        } else {
            gst::PadProbeReturn::Ok
        }
    });
    {
        let asked = Arc::clone(&asked);
        pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
            if info.event().is_some_and(|event| {
                event
                    .structure()
                    .is_some_and(|structure| structure.name() == "GstForceKeyUnit")
            }) {
                asked.fetch_add(1, Ordering::Relaxed);
            }
            gst::PadProbeReturn::Ok
        });
    }
    let mut heard = Heard::of(&pipeline);
    pipeline.0.set_state(gst::State::Playing).unwrap();
    heard.until(&pipeline, |message| {
        is_eos(message) || is_error(message, "sink")
    });
    assert!(heard.eos(), "{heard:#?}");
    let [frames_in, persisted, dropped, pending] = accounts(&pipeline.stats("sink"));
    heard.stop(&pipeline);
    assert_eq!((frames_in, pending), (74, 0));
    assert!(
        persisted > 0 && dropped > 0,
        "{persisted} persisted, {dropped} dropped"
    );
    assert_eq!(heard.dropped("no-key-frame"), dropped);
    assert!(asked.load(Ordering::Relaxed) > 0);
    assert!(
        heard
            .0
            .iter()
            .any(|message| tells(message, "kvs-frames-dropped"))
    );
    let files = local.session_files("cam");
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    let stored = stored::frames(file);
    assert_eq!(stored.len() as u64, persisted);
    assert!(stored[0].key);
}
