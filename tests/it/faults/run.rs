//! One case: frames on their way to the service, the fault in between, and what was said about it.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use gst::prelude::*;
use gstkvssink::{
    definition::{StreamDefinition, StreamName, StreamingType},
    fragment::DropReason,
    local::Options,
    media::{Codec, Frame, Track, TrackNumber},
    net::{Credentials, Service},
    producer::{Producer, Stream, StreamCallbacks},
    secret::Secret,
    time::Timestamp,
};

use super::{
    cases::{Case, End, Through, Type},
    course::{Course, STREAM},
    line::Line,
    verdict,
};
use crate::support::{
    Pipeline, accounts,
    bus::{self, Heard},
    media, properties,
};

/// For the end. What is read slowly takes its time.
const STOP: Duration = Duration::from_secs(120);
/// Of the producer's frames; it has nothing to do with now.
const START_MS: u64 = 1_600_000_000_000;

impl Type {
    /// Access units in the time that they take, or as fast as they are taken.
    fn source(self, frames: u32) -> String {
        match self {
            Self::Realtime => format!(
                "videotestsrc is-live=true num-buffers={frames} ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 \
                 ! x264enc threads=1 key-int-max=25 option-string=scenecut=0 speed-preset=ultrafast bframes=2 ! h264parse"
            ),
            Self::Offline => {
                let clip = media::clip("bikes.mp4");
                format!("filesrc location={} ! qtdemux ! h264parse", clip.display())
            }
        }
    }

    /// The frame at which what is injected in the middle is, and from which on the fault has struck.
    fn middle(self) -> usize {
        match self {
            Self::Realtime => 75,
            Self::Offline => 120,
        }
    }
}

/// How it ended.
struct Ended {
    eos: bool,
    /// In, persisted, dropped, pending.
    accounts: [u64; 4],
    dropped: Vec<(String, u64)>,
    attempts: u64,
}

/// Runs a case to its end and checks what came of it.
///
/// # Panics
/// If it is not what it must be.
pub(crate) fn run(case: &'static Case, kind: Type) -> Line {
    let course = Arc::new(Course::new(case));
    if case.when.is_start() {
        course.inject();
    }
    let ended = match case.through {
        Through::Element => by_element(&course, kind),
        Through::Producer => by_producer(&course, kind),
    };
    let state = course.so_far();
    let local = &course.local;
    assert_eq!(state.complaint, None);
    let verdict = verdict::of(local, STREAM, &state.persisted);
    let missing = verdict::missing(local, STREAM, &state.sent);
    let [frames_in, persisted, dropped, pending] = ended.accounts;
    assert_eq!((frames_in, pending), (persisted + dropped, 0));
    assert_eq!(state.outages, case.outages, "WARNINGs");
    assert_eq!(ended.eos, case.end(kind) != End::Error);
    if ended.eos {
        assert_eq!(frames_in, state.sent.len() as u64);
        assert_eq!(verdict.once + verdict.twice, persisted);
        assert_eq!(missing.len() as u64, dropped);
        let reasons: Vec<_> = ended.dropped.iter().map(|(name, _)| &**name).collect();
        let expected: &[&str] = match case.end(kind) {
            End::OneRejected => &["rejected"],
            End::TooLong => &["age"],
            _ => &[],
        };
        assert_eq!(reasons, expected);
    }
    Line {
        case,
        kind,
        frames_in,
        dropped: ended.dropped,
        outages: state.outages,
        once: verdict.once,
        twice: verdict.twice,
        attempts: ended.attempts,
        recovery: state.recovery,
        tries: state.tries.clone(),
        missing,
    }
}

/// A pipeline that ends in `kvssink`.
fn by_element(course: &Arc<Course>, kind: Type) -> Ended {
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name={STREAM} streaming-type={} completion-timeout={} buffer-duration={} {} \
         connection-staleness={} stop-stream-timeout={}",
        kind.source(course.case.frames),
        kind.name(),
        if course.case.fault == "black-hole" {
            3
        } else {
            30
        },
        if course.case.end(kind) == End::TooLong {
            2
        } else {
            120
        },
        properties(&course.local),
        course.case.staleness_s,
        STOP.as_secs()
    ));
    let pad = pipeline.element("sink").static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, {
        let course = Arc::clone(course);
        move |_, info| {
            if let Some(buffer) = info.buffer() {
                course.frame(buffer, kind.middle());
            }
            gst::PadProbeReturn::Ok
        }
    });
    let mut heard = Heard::of(&pipeline);
    // A state change that fails posts why.
    let _ = pipeline.0.set_state(gst::State::Playing);
    heard.until(&pipeline, |message| {
        if bus::is_warning(message) {
            course.lost();
        } else if bus::tells(message, "kvs-fragment-ack") {
            let ack = message.structure().unwrap();
            if ack.get::<&str>("type").unwrap() == "PERSISTED" {
                course.persisted(ack.get("fragment-number").unwrap());
            }
        }
        bus::is_eos(message) || bus::is_error(message, "sink")
    });
    heard.stop(&pipeline);
    let stats = pipeline.stats("sink");
    assert_eq!(
        heard.errors("sink").len(),
        usize::from(course.case.end(kind) == End::Error),
        "{heard:#?}"
    );
    assert_eq!(
        heard.warnings("sink").len(),
        course.so_far().outages,
        "{heard:#?}"
    );
    let reasons = stats.get::<gst::Structure>("dropped").unwrap();
    let dropped: Vec<_> = reasons
        .iter()
        .map(|(reason, frames)| (reason.to_string(), frames.get::<u64>().unwrap()))
        .filter(|(_, frames)| *frames > 0)
        .collect();
    for (reason, frames) in &dropped {
        assert_eq!(heard.dropped(reason), *frames, "told: {heard:#?}");
    }
    for error in heard.errors("sink") {
        let missing: u64 = error.details().unwrap().get("frames-missing").unwrap();
        assert_eq!(
            missing,
            reasons.get::<u64>("unfinished").unwrap(),
            "{heard:#?}"
        );
    }
    Ended {
        eos: heard.eos(),
        accounts: accounts(&stats),
        dropped,
        attempts: stats.get("connection-attempts").unwrap(),
    }
}

/// A pipeline whose frames are put into a stream of the Rust API.
fn by_producer(course: &Arc<Course>, kind: Type) -> Ended {
    let Options {
        access_key,
        secret_key,
        ..
    } = Options::default();
    let service = Service {
        endpoint: Some(course.local.endpoint().into()),
        credentials: Credentials::Static {
            access_key,
            secret_key: Secret::new(secret_key),
            session_token: None,
        },
        user_agent: "tests/1.0".into(),
        ..Service::new("eu-central-1")
    };
    let definition = StreamDefinition {
        streaming_type: match kind {
            Type::Realtime => StreamingType::Realtime,
            Type::Offline => StreamingType::Offline,
        },
        stop_timeout: STOP,
        ..StreamDefinition::new(StreamName::new(STREAM).unwrap())
    };
    let producer = Producer::new("test-producer", service).unwrap();
    let stream = producer
        .create_stream(definition, Arc::clone(course) as Arc<dyn StreamCallbacks>)
        .unwrap();
    let stream = Arc::new(stream);
    let pipeline = Pipeline::new(&format!(
        "{} ! video/x-h264,stream-format=avc,alignment=au ! fakesink name=sink sync=false",
        kind.source(course.case.frames)
    ));
    let pad = pipeline.element("sink").static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::DATA_DOWNSTREAM, {
        let (course, stream) = (Arc::clone(course), Arc::clone(&stream));
        let zero = OnceLock::new();
        move |_, info| {
            match &info.data {
                Some(gst::PadProbeData::Event(event)) => set_tracks(&stream, event),
                Some(gst::PadProbeData::Buffer(buffer)) => {
                    course.frame(buffer, kind.middle());
                    let pts = buffer.pts().unwrap();
                    let since = pts - *zero.get_or_init(|| pts);
                    let frame = Frame {
                        track: TrackNumber::VIDEO,
                        pts: Timestamp::from_millis(START_MS + since.mseconds()),
                        dts: None,
                        key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
                        payload: Bytes::copy_from_slice(&buffer.map_readable().unwrap()),
                    };
                    stream.put_frame(frame).unwrap();
                }
                _ => {}
            }
            gst::PadProbeReturn::Ok
        }
    });
    assert!(pipeline.run().eos);
    let ended = stream.stop();
    let stats = stream.stats();
    Ended {
        eos: ended.is_ok(),
        accounts: [
            stats.frames_in,
            stats.frames_persisted,
            stats.frames_dropped(),
            stats.frames_pending,
        ],
        dropped: stats
            .dropped
            .iter()
            .map(|(reason, frames): (&DropReason, _)| (reason.as_str().to_owned(), *frames))
            .filter(|(_, frames)| *frames > 0)
            .collect(),
        attempts: stats.connection_attempts,
    }
}

fn set_tracks(stream: &Stream, event: &gst::EventRef) {
    let gst::EventView::Caps(caps) = event.view() else {
        return;
    };
    let caps = caps.caps().structure(0).unwrap();
    let private = caps.get::<gst::Buffer>("codec_data").unwrap();
    let private = Bytes::copy_from_slice(&private.map_readable().unwrap());
    let size = |name| u32::try_from(caps.get::<i32>(name).unwrap()).unwrap();
    let track = Track::video(Codec::H264, private, size("width"), size("height"));
    stream.set_tracks(&[track.unwrap()]).unwrap();
}
