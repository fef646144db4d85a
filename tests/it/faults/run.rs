//! One case: frames on their way to the service, the fault in between, and what was said about it.

use std::{
    sync::{Arc, Once},
    time::Duration,
};

use gst::prelude::*;

use super::{
    cases::{Bound, Case, End, GOP, Type},
    course::{Course, STREAM},
    line::Line,
    verdict::{self, Loss},
};
use crate::support::{
    PATIENCE, Pipeline, accounts,
    bus::{self, Heard},
    media, properties,
};

/// For the end. What is read slowly takes its time.
const STOP: Duration = Duration::from_secs(120);

impl Type {
    /// Access units in the time that they take, or as fast as they are taken.
    fn source(self, case: &Case) -> String {
        let frames = case.frames;
        let (pattern, bitrate) = match case.end(self) {
            // A picture that does not compress.
            End::TooLong(Bound::Storage) => ("snow", 2500),
            _ => ("smpte", 2048),
        };
        match self {
            Self::Realtime => format!(
                "videotestsrc is-live=true pattern={pattern} num-buffers={frames} \
                 ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 \
                 ! x264enc threads=1 key-int-max={GOP} option-string=scenecut=0 speed-preset=ultrafast bframes=2 bitrate={bitrate} \
                 ! h264parse"
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
            // A key frame: a source that pauses for long has its fragment ended.
            Self::Realtime => 3 * GOP + 1,
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
    told: Vec<Loss>,
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
    let ended = play(&course, kind);
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
            End::TooLong(bound) => &[bound.reason()],
            _ => &[],
        };
        assert_eq!(reasons, expected);
        verdict::assert_times(local, STREAM, &state.sent, &missing, &ended.told);
        assert_eq!(state.restored.len(), state.outages);
    }
    for restored in &state.restored {
        let longest = restored.restored.saturating_sub(state.injected);
        assert!(
            restored.outage <= longest + TICK,
            "{restored:?} of {longest:?}"
        );
        if let Some(away) = case.away_for() {
            let back = state.injected + away;
            let shortest = back.saturating_sub(restored.lost);
            assert!(
                restored.outage + TICK >= shortest,
                "{restored:?} of {shortest:?}"
            );
        }
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

/// Times are told in whole milliseconds.
const TICK: Duration = Duration::from_millis(1);

/// The pipeline, from the first frame to NULL.
fn play(course: &Arc<Course>, kind: Type) -> Ended {
    let case = course.case;
    let (storage_mib, buffer_s) = match case.end(kind) {
        End::TooLong(Bound::Age) => (128, 2),
        End::TooLong(Bound::Storage) => (1, 120),
        _ => (128, 120),
    };
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name={STREAM} streaming-type={} completion-timeout={} storage-size={storage_mib} \
         buffer-duration={buffer_s} {} connection-staleness={} stop-stream-timeout={}",
        kind.source(case),
        kind.name(),
        if case.fault == "black-hole" { 3 } else { 30 },
        properties(&course.local),
        case.staleness_s,
        STOP.as_secs()
    ));
    let states = case.away_for().map(|_| listen(course, &pipeline));
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
    // Nothing is said in an outage of a minute.
    let patience = PATIENCE + case.away_for().unwrap_or_default();
    heard.until_within(patience, &pipeline, |message| {
        if bus::is_warning(message) {
            course.lost();
        } else if bus::tells(message, "kvs-connection-restored") {
            let told = message.structure().unwrap();
            course.restored(Duration::from_millis(told.get("outage").unwrap()));
        } else if bus::tells(message, "kvs-fragment-ack") {
            let ack = message.structure().unwrap();
            if ack.get::<&str>("type").unwrap() == "PERSISTED" {
                course.persisted(
                    ack.get("fragment-number").unwrap(),
                    ack.get("timecode").unwrap(),
                );
            }
        }
        bus::is_eos(message) || bus::is_error(message, "sink")
    });
    heard.stop(&pipeline);
    if let Some(states) = states {
        gst::log::remove_log_function(states);
    }
    let stats = pipeline.stats("sink");
    assert_eq!(
        heard.errors("sink").len(),
        usize::from(course.case.end(kind) == End::Error),
        "{heard:#?}"
    );
    for told in [
        heard.warnings("sink").len(),
        heard.told("kvs-connection-lost").len(),
    ] {
        assert_eq!(told, course.so_far().outages, "{heard:#?}");
    }
    let stale = heard.told("kvs-connection-stale");
    assert_eq!(!stale.is_empty(), case.is_stale(), "{heard:#?}");
    for told in stale {
        let silence: u64 = told.get("silence").unwrap();
        assert_eq!(silence, u64::from(case.staleness_s) * 1000);
    }
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
    let told = heard
        .told("kvs-frames-dropped")
        .into_iter()
        .map(|told| Loss {
            frames: told.get("frames").unwrap(),
            from: told.get("from").unwrap(),
            to: told.get("to").unwrap(),
        });
    Ended {
        eos: heard.eos(),
        accounts: accounts(&stats),
        told: told.collect(),
        dropped,
        attempts: stats.get("connection-attempts").unwrap(),
    }
}

/// Notes the states of the element's session, as its log has them: no message says them.
fn listen(course: &Arc<Course>, pipeline: &Pipeline) -> gst::log::DebugLogFunction {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::log::remove_default_log_function();
        gst::log::set_threshold_for_name("kvssink", gst::DebugLevel::Info);
    });
    let sink = pipeline.element("sink").as_ptr() as usize;
    let course = Arc::clone(course);
    gst::log::add_log_function(move |category, _, _, _, _, object, message| {
        let is_its = object.is_some_and(|object| object.as_ptr() as usize == sink);
        if category.name() == "kvssink"
            && is_its
            && let Some(said) = message.get()
            && let Some(state) = said.strip_prefix("session: ")
        {
            course.entered(state);
        }
    })
}
