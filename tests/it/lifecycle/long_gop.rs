//! A source whose key frames are further apart than a fragment may be long.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use gst::prelude::*;
use test_case::test_case;

use crate::support::{
    Pipeline, accounts,
    bus::{self, Heard},
    log::Lines,
    media, properties, service, stored,
};

/// 45 s, at 25 a second.
const FRAMES: u32 = 45 * 25;
/// A fragment is shorter than 20 s.
const LONGEST: usize = 20 * 25;
/// Later than a key frame is asked for.
const ASKED: gst::ClockTime = gst::ClockTime::from_seconds(16);

/// A key frame every `gop` frames, and where one is asked for.
fn source(gop: u32) -> String {
    format!(
        "videotestsrc pattern=ball num-buffers={FRAMES} ! video/x-raw,format=I420,width=64,height=64,framerate=25/1 \
         ! x264enc name=encoder tune=zerolatency key-int-max={gop} option-string=scenecut=0 speed-preset=ultrafast \
         ! h264parse"
    )
}

/// Requests for a key frame that come to the encoder, and what becomes of them there.
fn requests(pipeline: &Pipeline, become_: gst::PadProbeReturn) -> Arc<AtomicU32> {
    let requests = Arc::new(AtomicU32::new(0));
    let pad = pipeline.element("encoder").static_pad("src").unwrap();
    let counted = Arc::clone(&requests);
    pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
        let is_request = info.event().is_some_and(|event| {
            event
                .structure()
                .is_some_and(|said| said.name() == "GstForceKeyUnit")
        });
        if !is_request {
            return gst::PadProbeReturn::Ok;
        }
        counted.fetch_add(1, Ordering::SeqCst);
        become_
    });
    requests
}

fn run(pipeline: &Pipeline) -> Heard {
    let mut heard = Heard::of(pipeline);
    pipeline.0.set_state(gst::State::Playing).unwrap();
    heard.until(pipeline, |message| {
        bus::is_eos(message) || bus::is_error(message, "sink")
    });
    heard.stop(pipeline);
    assert!(heard.eos() && heard.errors("sink").is_empty(), "{heard:#?}");
    assert!(heard.warnings("sink").is_empty(), "{heard:#?}");
    heard
}

/// A source that makes a key frame only when it is asked for one is asked in time: no fragment is too long, and nothing is
/// dropped.
#[test_case("realtime")]
#[test_case("offline")]
fn a_key_frame_is_asked_for_before_a_fragment_is_too_long(streaming_type: &str) {
    let local = service();
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name=cam streaming-type={streaming_type} {}",
        source(10_000),
        properties(&local)
    ));
    let requests = requests(&pipeline, gst::PadProbeReturn::Ok);
    // This media is faster than a request, which goes back on a thread of its own: so it waits until that is done.
    let lines = Mutex::new((Lines::listen(), None));
    let pad = pipeline.element("sink").static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let mut lines = lines.lock().unwrap();
        let (lines, begun) = &mut *lines;
        if let Some(buffer) = info.buffer()
            && let Some(pts) = buffer.pts()
        {
            if !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) {
                *begun = Some(pts);
            }
            if begun.is_some_and(|begun| pts >= begun + ASKED) {
                *begun = None;
                lines.hears("asked for a key frame");
            }
        }
        gst::PadProbeReturn::Ok
    });
    let heard = run(&pipeline);
    let frames = u64::from(FRAMES);
    assert_eq!(
        accounts(&pipeline.stats("sink")),
        [frames, frames, 0, 0],
        "{heard:#?}"
    );
    let fragments = local.fragments("cam");
    assert!(
        fragments
            .iter()
            .all(|fragment| (fragment.frames as usize) < LONGEST)
    );
    let requests = requests.load(Ordering::SeqCst) as usize;
    assert!(requests >= 2, "{requests}");
    assert_eq!(fragments.len(), 1 + requests, "each began one");
}

/// A source that does not listen loses what does not fit into a fragment, announced, and goes on with its next key frame.
#[test]
fn without_a_key_frame_the_rest_is_dropped_up_to_the_next_one() {
    const GOP: usize = 25 * 25;
    let local = service();
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name=cam {}",
        source(GOP as u32),
        properties(&local)
    ));
    let requests = requests(&pipeline, gst::PadProbeReturn::Handled);
    let came = media::watch(&pipeline.element("sink"));
    let heard = run(&pipeline);
    assert!(requests.load(Ordering::SeqCst) > 0);
    let dropped = (GOP - LONGEST) as u64;
    let frames = u64::from(FRAMES);
    assert_eq!(
        accounts(&pipeline.stats("sink")),
        [frames, frames - dropped, dropped, 0]
    );
    let told = ["timecode", "no-key-frame"].map(|reason| heard.dropped(reason));
    assert_eq!(told, [1, dropped - 1], "{heard:#?}");
    let mut came: Vec<_> = came.try_iter().collect();
    came.drain(LONGEST..GOP);
    let files = local.session_files("cam");
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    assert_eq!(
        stored::from_first(stored::frames(file)),
        stored::from_first(came)
    );
}
