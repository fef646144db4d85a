//! What runs between READY→PAUSED and PAUSED→READY: the stream, and the way of buffers and events into it.
//!
//! Belongs here: what happens to a buffer or an event, whichever pad it comes from. Does not belong here: how GStreamer
//! calls ([`super::imp`], [`super::pads`]), how a buffer becomes frames ([`super::lane`]).

mod events;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use gst::{prelude::*, subclass::prelude::*};

use super::{
    caps,
    imp::CAT,
    lane::{Lane, Taken},
    progress,
    properties::KvsSink,
    report::{self, Report},
    signals,
    stamp::{Moment, Stamps},
    stats,
};
use crate::{
    definition::{Invalid, StreamingType},
    media::TrackNumber,
    net::wall_now,
    producer::{Producer, Stream},
    session::Stats,
    time::Timestamp,
};

/// Two readings of clocks that are no further apart than this are of one moment.
const SAME_MOMENT: Duration = Duration::from_micros(100);
/// Most attempts to read them so.
const CLOCK_READINGS: u32 = 5;

/// What exists between READY→PAUSED and PAUSED→READY, and the numbers of the last time.
#[derive(Default)]
pub(super) struct State {
    running: Option<Running>,
    last: Stats,
}

struct Running {
    stream: Arc<Stream>,
    /// Its thread ends with its last stream.
    _producer: Producer,
    streaming_type: StreamingType,
    stamps: Stamps,
    /// By their pads.
    lanes: BTreeMap<gst::Pad, Lane>,
    /// Tags that become metadata.
    wanted_tags: Arc<[String]>,
    /// Each key frame emits the numbers.
    metrics: bool,
    /// The end of the stream was posted, and no frame came since.
    closed_posted: bool,
    /// Some pad ended, and on others no stream began.
    never_began: Option<Wait>,
}

/// A wait for a time. Who does not want it any more drops it: it would end what begins anew meanwhile.
struct Wait {
    id: gst::SingleShotClockId,
    _wanted: Arc<()>,
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.id.unschedule();
    }
}

impl Running {
    /// Video before audio: its key frames begin fragments.
    fn leads(&self, number: TrackNumber) -> bool {
        let video = |lane: &&Lane| lane.is_video() == Some(true);
        let numbers = |lanes: &mut dyn Iterator<Item = &Lane>| lanes.map(|lane| lane.number).min();
        let leader = numbers(&mut self.lanes.values().filter(video))
            .or_else(|| numbers(&mut self.lanes.values()));
        leader == Some(number)
    }

    /// A number that no other pad has: 1 is for video, or for audio alone ("Video playback track requirements").
    fn number(&self, is_video: bool, alone: bool) -> Option<TrackNumber> {
        let order: &[u8] = match (is_video, alone) {
            (true, _) | (false, true) => &[1, 3, 2],
            (false, false) => &[2, 3, 1],
        };
        order
            .iter()
            .filter_map(|number| TrackNumber::new(*number))
            .find(|number| self.lanes.values().all(|lane| lane.number != *number))
    }
}

impl KvsSink {
    pub(super) fn open(&self) -> Result<(), Invalid> {
        let settings = self.settings().clone();
        let (service, definition) = super::imp::parse(&settings)?;
        gst::info!(
            CAT,
            imp = self,
            "{definition:?}, region {:?}, endpoint {:?}",
            service.region,
            service.endpoint
        );
        if settings.unused.log_config.is_some() {
            report::post_log_config(&self.obj());
        }
        let streaming_type = definition.streaming_type;
        let live = streaming_type != StreamingType::Offline;
        let producer = Producer::builder()
            .name(self.obj().name())
            .service(service)
            .storage(definition.storage)
            .build()?;
        let stream = producer.create_stream_of(
            definition,
            Arc::new(Report::new(&self.obj())),
            !signals::are_heard(&self.obj()),
        )?;
        let stream = Arc::new(stream);
        self.state().running = Some(Running {
            stream,
            _producer: producer,
            streaming_type,
            stamps: Stamps::new(settings.timestamp_source(), live, settings.file_start()),
            lanes: BTreeMap::new(),
            wanted_tags: settings.metadata_from_tags().into(),
            metrics: settings.get_kvs_metrics,
            closed_posted: false,
            never_began: None,
        });
        for pad in self.obj().sink_pads() {
            if pad.is_linked() {
                self.expect(&pad);
            }
        }
        self.gate.open(|on| self.interrupt(on));
        if !live {
            self.progress.begin(&self.obj());
        }
        Ok(())
    }

    /// Media will come from this pad: the others wait for it, a bounded time.
    fn expect(&self, pad: &gst::Pad) {
        let is_video = is_video(pad);
        let alone = self.linked().iter().all(|other| other == pad);
        let mut state = self.state();
        let Some(running) = &mut state.running else {
            return;
        };
        if running.lanes.contains_key(pad) {
            return;
        }
        let Some(number) = running.number(is_video, alone) else {
            return;
        };
        running.lanes.insert(pad.clone(), Lane::new(number));
        let stream = Arc::clone(&running.stream);
        drop(state);
        if let Err(error) = stream.expect_track(number) {
            gst::warning!(CAT, obj = pad, "{error}");
        }
    }

    fn linked(&self) -> Vec<gst::Pad> {
        let pads = self.obj().sink_pads();
        pads.into_iter().filter(|pad| pad.is_linked()).collect()
    }

    /// The pad is released.
    pub(super) fn forget(&self, pad: &gst::Pad) {
        let mut state = self.state();
        let Some(running) = &mut state.running else {
            return;
        };
        let lane = running.lanes.remove(pad);
        let stream = Arc::clone(&running.stream);
        drop(state);
        if let Some(lane) = lane {
            stream.remove_track(lane.number);
            self.drain_when_all_ended(None);
        }
    }

    pub(super) fn set_caps_of(
        &self,
        pad: &gst::Pad,
        caps: &gst::CapsRef,
    ) -> Result<(), gst::LoggableError> {
        self.expect(pad);
        let refused = |reason: &str| {
            // They are tried again with each buffer.
            let mut state = self.state();
            let lane = lane(&mut state, pad);
            let again = lane.is_some_and(|lane| std::mem::replace(&mut lane.caps_refused, true));
            drop(state);
            if !again {
                report::post_caps_refused(&self.obj(), caps, reason);
            }
            gst::loggable_error!(CAT, "cannot send {caps}: {reason}")
        };
        let settings = self.settings().clone();
        let said = caps::said(caps).map_err(|reason| refused(&reason))?;
        let is_video = said.format.codec().is_video();
        let alone = self.linked().iter().all(|other| other == pad);
        let mut state = self.state();
        let Some(running) = &mut state.running else {
            return Ok(());
        };
        let stream = Arc::clone(&running.stream);
        // What it was taken for before its caps were known may have been wrong.
        let expected = running.lanes.remove(pad);
        let guess = expected.as_ref().map(|lane| (lane.number, lane.is_video()));
        let number = match guess {
            Some((number, Some(was))) if was == is_video => Some(number),
            _ => running.number(is_video, alone),
        };
        let Some(number) = number else {
            drop(state);
            return Err(refused("a stream has three tracks at most"));
        };
        let mut lane = expected.unwrap_or_else(|| Lane::new(number));
        lane.number = number;
        let track = lane.set_caps(said);
        lane.caps_refused &= track.is_err();
        running.lanes.insert(pad.clone(), lane);
        drop(state);
        let track = track.map_err(|reason| refused(&reason))?;
        if let Some((was, _)) = guess
            && was != number
        {
            stream.remove_track(was);
            let expected = stream.expect_track(number);
            expected.map_err(|error| refused(&error.to_string()))?;
        }
        let Some(track) = track else { return Ok(()) };
        gst::info!(CAT, obj = pad, "{track:?}");
        let track = caps::named(track, number, &settings).map_err(|reason| refused(&reason))?;
        stream
            .format_changed(track)
            .map_err(|error| refused(&error.to_string()))
    }

    /// Waits for room, if the stream is offline.
    pub(super) fn wait_for_room(&self, pad: &gst::Pad, first: &gst::BufferRef, bytes: usize) {
        let state = self.state();
        let waits = |running: &&Running| running.streaming_type == StreamingType::Offline;
        let Some(running) = state.running.as_ref().filter(waits) else {
            return;
        };
        let number = running.lanes.get(pad).map(|lane| lane.number);
        let stream = Arc::clone(&running.stream);
        drop(state);
        if let Some(number) = number {
            let key = !first.flags().contains(gst::BufferFlags::DELTA_UNIT);
            stream.wait_for_room(number, bytes as u64, key);
        }
    }

    /// All of the buffer lies outside of the segment.
    pub(super) fn is_clipped(&self, pad: &gst::Pad, buffer: &gst::BufferRef) -> bool {
        let mut state = self.state();
        let segment =
            lane(&mut state, pad).and_then(|lane| lane.segment.downcast_ref::<gst::ClockTime>());
        let (Some(segment), Some(start)) = (segment, buffer.pts()) else {
            return false;
        };
        let end = buffer
            .duration()
            .map(|duration| start.saturating_add(duration));
        segment.clip(start, end).is_none()
    }

    /// Takes a buffer: its frames go to the producer, or are dropped, counted and told.
    pub(super) fn take(
        &self,
        pad: &gst::Pad,
        buffer: &gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let moment = self.moment();
        let mut state = self.state();
        let running = state.running.as_mut().ok_or(gst::FlowError::Flushing)?;
        let stream = Arc::clone(&running.stream);
        let number = match running.lanes.get(pad) {
            Some(lane) => lane.number,
            None => return Err(gst::FlowError::NotNegotiated),
        };
        let leads = running.leads(number);
        running.closed_posted = false;
        let metrics = running.metrics;
        let Running { stamps, lanes, .. } = running;
        let Some(lane) = lanes.get_mut(pad) else {
            return Err(gst::FlowError::NotNegotiated);
        };
        let taken = lane.take(buffer, stamps, &moment, leads);
        drop(state);
        let taken = match taken {
            Ok(taken) => taken,
            Err((reason, text)) => {
                gst::warning!(CAT, obj = pad, "dropping {buffer:?}: {text}");
                stream.drop_frame(reason, moment.wall);
                if !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) {
                    // What refers to a key frame that is missing does not belong to the fragment before it.
                    stream.end_fragment_of(number);
                }
                return Ok(gst::FlowSuccess::Ok);
            }
        };
        if taken.jumped {
            gst::warning!(CAT, obj = pad, "time jumps at {buffer:?}");
        }
        let key = leads && taken.frames.iter().any(|frame| frame.key);
        self.put(pad, number, &stream, taken)?;
        if metrics && key {
            signals::stream_client_metric(&self.obj(), &stats::structure(&stream.metrics()));
        }
        Ok(gst::FlowSuccess::Ok)
    }

    fn put(
        &self,
        pad: &gst::Pad,
        number: TrackNumber,
        stream: &Stream,
        taken: Taken,
    ) -> Result<(), gst::FlowError> {
        if taken.anew {
            gst::info!(CAT, obj = pad, "another clock counts from here on");
            stream.restart_time();
        }
        if let Some(track) = taken.track {
            gst::info!(CAT, obj = pad, "{track:?}");
            let named = caps::named(track, number, &self.settings().clone());
            let set =
                named.and_then(|track| stream.format_changed(track).map_err(|e| e.to_string()));
            if let Err(reason) = set {
                report::post_track_refused(&self.obj(), &reason);
                return Err(gst::FlowError::NotNegotiated);
            }
        }
        for frame in taken.frames {
            gst::trace!(CAT, obj = pad, "{frame:?}");
            // It waited for room before, unless PAUSED came meanwhile. An error was posted when the stream ended.
            stream
                .take_frame(frame)
                .map_err(|_| gst::FlowError::Error)?;
        }
        Ok(())
    }

    fn moment(&self) -> Moment {
        let begins = self.state().running.as_ref().is_some_and(|running| {
            running.stamps.is_unset() && running.streaming_type == StreamingType::Offline
        });
        let obj = self.obj();
        // Without a lock: the query runs through the elements in front.
        let whole = begins.then(|| progress::duration(&obj)).flatten();
        let (wall, clock) = clocks(&obj);
        Moment {
            wall,
            clock,
            whole: whole.map(Into::into),
        }
    }

    /// PLAYING: after a pause, whose running time stood still, the next key frames are tied to the wall clock again.
    pub(super) fn resume(&self) {
        if let Some(running) = &mut self.state().running
            && running.streaming_type != StreamingType::Offline
        {
            for lane in running.lanes.values_mut() {
                lane.stamps.resume();
            }
        }
        self.gate.play(true, |on| self.interrupt(on));
    }

    pub(super) fn interrupt(&self, on: bool) {
        if let Some(stream) = self.stream() {
            stream.interrupt(on);
        }
    }

    /// Lets the stream end, within stop-stream-timeout. What goes wrong was told by the stream itself.
    pub(super) fn close(&self) {
        self.eos.cancel(true);
        let Some(stream) = self.stream() else { return };
        let outcome = stream.stop();
        gst::debug!(CAT, imp = self, "stopped: {outcome:?}");
        self.progress.end();
        let mut state = self.state();
        state.last = stream.metrics();
        state.running = None;
    }

    pub(super) fn stream(&self) -> Option<Arc<Stream>> {
        self.state()
            .running
            .as_ref()
            .map(|running| Arc::clone(&running.stream))
    }

    pub(super) fn stats_structure(&self) -> gst::Structure {
        let stats = self
            .stream()
            .map_or_else(|| self.state().last.clone(), |stream| stream.metrics());
        stats::structure(&stats)
    }

    /// Posts that the stream is closed, unless that was posted and no frame came since.
    pub(super) fn post_closed(&self, stats: &Stats) {
        let posted = self
            .state()
            .running
            .as_mut()
            .is_some_and(|running| std::mem::replace(&mut running.closed_posted, true));
        if !posted {
            report::post_closed(&self.obj(), stats);
        }
    }
}

/// The wall clock and the running time, at the same moment: a thread that is held up between the two reads again, or they
/// would seem to drift.
fn clocks(element: &super::KvsSink) -> (Timestamp, Option<i64>) {
    let read = || {
        let before = wall_now();
        let running = element.current_running_time();
        let after = wall_now();
        let running = running.and_then(|now| i64::try_from(now.nseconds()).ok());
        (after.saturating_since(before), before, running)
    };
    let mut best = read();
    for _ in 1..CLOCK_READINGS {
        if best.0 <= SAME_MOMENT {
            break;
        }
        let again = read();
        if again.0 < best.0 {
            best = again;
        }
    }
    let (_, wall, running) = best;
    (wall, running)
}

fn lane<'a>(state: &'a mut State, pad: &gst::Pad) -> Option<&'a mut Lane> {
    state.running.as_mut()?.lanes.get_mut(pad)
}

/// What will come, as far as its name or the elements in front say it; else video.
fn is_video(pad: &gst::Pad) -> bool {
    let caps = pad.current_caps().or_else(|| {
        pad.peer()
            .map(|peer| peer.query_caps(Some(&pad.pad_template_caps())))
    });
    let Some(caps) = caps.filter(|caps| !caps.is_empty() && !caps.is_any()) else {
        return !pad.name().starts_with("audio");
    };
    caps.iter()
        .any(|structure| structure.name().starts_with("video/"))
}
