//! The virtual functions of the element: they convert and delegate.
//!
//! BaseSink calls `start` in NULL→READY and `stop` in READY→NULL only, so a stream lives from READY→PAUSED to
//! PAUSED→READY. No state change waits for the network but the last one, which lets the stream end.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use gst::{glib, prelude::*, subclass::prelude::*};
use gst_base::{prelude::*, subclass::prelude::*};

use super::{
    caps,
    convert::convert,
    properties::KvsSink,
    report::{self, Report},
    settings::Settings,
    timeline::Timeline,
};
use crate::{
    definition::{Invalid, StreamingType},
    media::{Frame, TrackNumber},
    net::wall_now,
    producer::{Producer, Stream},
    session::Stats,
};

/// A frame that is said to be older than this when it arrives comes from a file or a queue, not from a camera.
const OLDEST_LIVE: Duration = Duration::from_secs(10);

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "kvssink",
        gst::DebugColorFlags::empty(),
        Some("Amazon Kinesis Video Streams sink"),
    )
});

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
    timeline: Timeline,
    /// Running time stood still in a pause: tie it to the wall clock again at the next key frame.
    resumed: bool,
    /// The newest caps cannot be sent, and that was posted.
    caps_refused: bool,
    /// The end of the stream was posted, and no frame came since.
    closed_posted: bool,
}

#[glib::object_subclass]
impl ObjectSubclass for KvsSink {
    // Unnamed elements are called kvssink0 as those of C++, whose type is GstKvsSink: both may be loaded.
    const NAME: &'static str = "KvsSink";
    type Type = super::KvsSink;
    type ParentType = gst_base::BaseSink;
}

impl GstObjectImpl for KvsSink {}

impl ElementImpl for KvsSink {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Amazon Kinesis Video Streams sink",
                "Sink/Network",
                "Sends H.264 to Amazon Kinesis Video Streams",
                "kvssink authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let sink = gst::PadTemplate::new(
                "sink",
                gst::PadDirection::Sink,
                gst::PadPresence::Always,
                &caps::template(),
            );
            sink.into_iter().collect()
        });
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        // Wrong settings fail here, before anything flows; not in `start`, where BaseSink posts an error of its own, too.
        let checked = match transition {
            gst::StateChange::NullToReady => parse(&self.settings().clone()).map(|_| ()),
            gst::StateChange::ReadyToPaused => self.open(),
            _ => Ok(()),
        };
        checked.map_err(|error| {
            report::post_invalid(&self.obj(), &error);
            gst::StateChangeError
        })?;
        match transition {
            gst::StateChange::PlayingToPaused => self.eos.pause(),
            gst::StateChange::PausedToPlaying => self.resume(),
            _ => {}
        }
        let changed = self.parent_change_state(transition);
        // Not before BaseSink holds buffers back: what does not wait here would go on.
        if transition == gst::StateChange::PlayingToPaused {
            self.gate.play(false, |on| self.interrupt(on));
        }
        if transition == gst::StateChange::PausedToReady
            || (transition == gst::StateChange::ReadyToPaused && changed.is_err())
        {
            self.close();
        }
        changed
    }

    fn post_message(&self, message: gst::Message) -> bool {
        if message.type_() != gst::MessageType::Eos {
            return self.parent_post_message(message);
        }
        match self.eos.post(message) {
            Some(message) => self.parent_post_message(message),
            None => {
                gst::debug!(CAT, imp = self, "EOS waits for the last acks");
                true
            }
        }
    }
}

impl BaseSinkImpl for KvsSink {
    fn set_caps(&self, caps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let settings = self.settings().clone();
        let track = caps::track(caps, &settings).map_err(|reason| {
            // They are tried again with each buffer.
            let again = self
                .state()
                .running
                .as_mut()
                .is_some_and(|running| std::mem::replace(&mut running.caps_refused, true));
            if !again {
                report::post_caps_refused(&self.obj(), caps, &reason);
            }
            gst::loggable_error!(CAT, "cannot send {caps}: {reason}")
        })?;
        gst::info!(CAT, imp = self, "{track:?}");
        if let Some(running) = &mut self.state().running {
            running.caps_refused = false;
            running
                .stream
                .set_tracks(&[track])
                .map_err(|error| gst::loggable_error!(CAT, "{error}"))?;
        }
        Ok(())
    }

    fn render(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let Some((stream, frame)) = self.frame(buffer)? else {
            return Ok(gst::FlowSuccess::Ok);
        };
        // It waited for room before, unless PAUSED came meanwhile. An error was posted when the stream ended.
        stream
            .take_frame(frame)
            .map(|()| gst::FlowSuccess::Ok)
            .map_err(|_| gst::FlowError::Error)
    }

    fn event(&self, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::Eos(_) => self.begin_drain(),
            gst::EventView::FlushStart(_) => {
                self.gate.flush(true, |on| self.interrupt(on));
                self.cancel_eos();
            }
            // Another source, or a seek: what follows does not refer to what was.
            gst::EventView::StreamStart(_) => self.begin_anew(false),
            gst::EventView::FlushStop(flush) => {
                self.begin_anew(flush.resets_time());
                self.gate.flush(false, |on| self.interrupt(on));
            }
            _ => {}
        }
        self.parent_event(event)
    }
}

impl KvsSink {
    fn open(&self) -> Result<(), Invalid> {
        let settings = self.settings().clone();
        let (service, definition) = parse(&settings)?;
        gst::info!(
            CAT,
            imp = self,
            "{definition:?}, region {:?}, endpoint {:?}",
            service.region,
            service.endpoint
        );
        let streaming_type = definition.streaming_type;
        let producer = Producer::new(&self.obj().name(), service)?;
        let stream =
            Arc::new(producer.create_stream(definition, Arc::new(Report::new(&self.obj())))?);
        self.state().running = Some(Running {
            stream,
            _producer: producer,
            streaming_type,
            timeline: Timeline::default(),
            resumed: false,
            caps_refused: false,
            closed_posted: false,
        });
        self.gate.play(false, |on| self.interrupt(on));
        self.gate.flush(false, |on| self.interrupt(on));
        Ok(())
    }

    /// BaseSink holds its preroll lock around `render`, and changes of state want it. So offline the wait for room is a
    /// probe, which is called before.
    pub(super) fn wait_in_front_of_base_sink(&self) {
        let element = self.downgrade();
        self.obj().sink_pad().add_probe(
            gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
            move |pad, info| {
                if let Some(element) = element.upgrade() {
                    element.wait_for_room(info);
                }
                if !pad.pad_flags().contains(gst::PadFlags::FLUSHING) {
                    return gst::PadProbeReturn::Ok;
                }
                // BaseSink would say EOS.
                info.data = None;
                info.flow_res = Err(gst::FlowError::Flushing);
                gst::PadProbeReturn::Handled
            },
        );
    }

    fn wait_for_room(&self, info: &gst::PadProbeInfo<'_>) {
        let (first, bytes) = match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => (Some(&**buffer), buffer.size()),
            Some(gst::PadProbeData::BufferList(list)) => (list.get(0), list.calculate_size()),
            _ => return,
        };
        if let (Some(first), Some(stream)) = (first, self.stream()) {
            let key = !first.flags().contains(gst::BufferFlags::DELTA_UNIT);
            stream.wait_for_room(TrackNumber::VIDEO, bytes as u64, key);
            self.gate.pass(|on| stream.interrupt(on));
        }
    }

    fn resume(&self) {
        if let Some(running) = &mut self.state().running {
            running.resumed = running.streaming_type != StreamingType::Offline;
        }
        self.gate.play(true, |on| self.interrupt(on));
    }

    fn interrupt(&self, on: bool) {
        if let Some(stream) = self.stream() {
            stream.interrupt(on);
        }
    }

    /// Lets the stream end, within stop-stream-timeout. What goes wrong was told by the stream itself.
    fn close(&self) {
        self.eos.cancel();
        let Some(stream) = self.stream() else { return };
        let outcome = stream.stop();
        gst::debug!(CAT, imp = self, "stopped: {outcome:?}");
        let mut state = self.state();
        state.last = stream.stats();
        state.running = None;
    }

    fn stream(&self) -> Option<Arc<Stream>> {
        self.state()
            .running
            .as_ref()
            .map(|running| Arc::clone(&running.stream))
    }

    pub(super) fn stats_structure(&self) -> gst::Structure {
        let stats = self
            .stream()
            .map_or_else(|| self.state().last.clone(), |stream| stream.stats());
        report::structure(&stats)
    }

    /// The frame of a buffer; `None` when it was dropped, counted and told.
    fn frame(&self, buffer: &gst::Buffer) -> Result<Option<(Arc<Stream>, Frame)>, gst::FlowError> {
        let stream = self.stream().ok_or(gst::FlowError::Flushing)?;
        let converted = match convert(buffer, &self.obj().segment()) {
            Ok(converted) => converted,
            Err((reason, text)) => {
                gst::warning!(CAT, imp = self, "dropping {buffer:?}: {text}");
                stream.drop_frame(reason, wall_now());
                if !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) {
                    // What refers to a key frame that is missing does not belong to the fragment before it.
                    stream.end_fragment();
                }
                return Ok(None);
            }
        };
        let age = self.age(converted.pts);
        let mut state = self.state();
        let running = state.running.as_mut().ok_or(gst::FlowError::Flushing)?;
        running.closed_posted = false;
        let live = running.streaming_type != StreamingType::Offline;
        let wall = live.then(wall_now);
        if running.timeline.jumps(converted.pts, converted.key, wall) {
            gst::warning!(CAT, imp = self, "time jumps at {buffer:?}");
            running.timeline.restart();
        } else if converted.key && std::mem::take(&mut running.resumed) {
            running.timeline.restart();
        }
        let pts = running.timeline.timestamp(converted.pts, wall_now(), age);
        let dts = converted
            .dts
            .map(|dts| running.timeline.timestamp(dts, wall_now(), age));
        let frame = Frame {
            track: TrackNumber::VIDEO,
            pts,
            dts,
            key: converted.key,
            payload: converted.payload,
        };
        drop(state);
        gst::trace!(CAT, imp = self, "{frame:?}");
        Ok(Some((stream, frame)))
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

    /// How long ago the frame at this running time was taken, when that is to be known. A live frame: what the clock says,
    /// unless it is so old that it comes from a file. Of a file that is sent offline, however fast, the last frame is of
    /// now: a producer timestamp must not lie in the future (kvs-facts §5, 4007).
    fn age(&self, running_time: i64) -> Option<Duration> {
        let begins = self.state().running.as_ref().is_some_and(|running| {
            running.timeline.is_unset() && running.streaming_type == StreamingType::Offline
        });
        let obj = self.obj();
        if begins {
            let duration = obj.sink_pad().peer_query_duration::<gst::ClockTime>()?;
            return Some(Duration::from_nanos(duration.nseconds()));
        }
        let now = obj.current_running_time()?.nseconds();
        let age = now.checked_sub(u64::try_from(running_time).ok()?)?;
        Some(Duration::from_nanos(age)).filter(|age| *age <= OLDEST_LIVE)
    }

    fn begin_anew(&self, time_too: bool) {
        self.cancel_eos();
        if let Some(running) = &mut self.state().running {
            running.stream.end_fragment();
            if time_too {
                running.timeline.restart();
            }
        }
    }

    /// EOS came: its message is posted when everything is PERSISTED. When that fails, an ERROR comes in its stead.
    fn begin_drain(&self) {
        if let Some(stream) = self.stream() {
            gst::debug!(CAT, imp = self, "waiting for the last acks");
            self.eos.begin();
            stream.begin_drain();
        }
    }

    pub(super) fn drained(&self) {
        let Some(stream) = self.stream() else { return };
        let stats = stream.stats();
        gst::info!(CAT, imp = self, "end of stream. {stats}");
        self.post_closed(&stats);
        if let Some(message) = self.eos.drained() {
            // It fails only without a bus: nobody wants to know.
            let _ = self.parent_post_message(message);
        }
    }

    fn cancel_eos(&self) {
        if self.eos.cancel()
            && let Some(stream) = self.stream()
        {
            gst::debug!(CAT, imp = self, "EOS was taken back");
            stream.resume();
        }
    }
}

fn parse(
    settings: &Settings,
) -> Result<(crate::net::Service, crate::definition::StreamDefinition), Invalid> {
    settings.parse(|name| std::env::var(name).ok())
}
