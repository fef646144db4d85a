//! What comes on a pad beside buffers: flushes, segments, gaps, metadata, and the end.
//!
//! Belongs here: what an event means to the stream. Does not belong here: its metadata ([`super::super::metadata`]).

use std::sync::Arc;

use gst::{prelude::*, subclass::prelude::*};

use super::{KvsSink, Running, Wait, lane};
use crate::{
    element::{imp::CAT, metadata, progress},
    producer::Stream,
};

impl KvsSink {
    /// An event came on this pad, and is done before BaseSink does its part.
    pub(in crate::element) fn heard(&self, pad: &gst::Pad, event: &gst::Event) {
        match event.view() {
            gst::EventView::FlushStart(_) => {
                self.gate.flush(&pad.name(), true, |on| self.interrupt(on));
                self.cancel_eos(pad);
            }
            gst::EventView::FlushStop(flush) => {
                self.begin_anew(pad, flush.resets_time());
                self.gate.flush(&pad.name(), false, |on| self.interrupt(on));
            }
            // Another source, or a seek: what follows does not refer to what was.
            gst::EventView::StreamStart(_) => {
                self.expect(pad);
                self.begin_anew(pad, false);
            }
            gst::EventView::Segment(segment) => {
                if let Some(lane) = lane(&mut self.state(), pad) {
                    lane.segment = segment.segment().clone();
                }
            }
            gst::EventView::Gap(gap) => {
                let (from, duration) = gap.get();
                self.gap(pad, from.saturating_add(duration.unwrap_or_default()));
            }
            gst::EventView::Eos(_) => self.ended(pad, event),
            gst::EventView::Tag(tag) => {
                if let Some((stream, wanted)) = self.wanted_tags() {
                    metadata::tags(&self.obj(), &stream, tag.tag(), &wanted);
                }
            }
            gst::EventView::CustomDownstream(_) | gst::EventView::CustomDownstreamOob(_) => {
                if let (Some(structure), Some(stream)) = (event.structure(), self.stream()) {
                    metadata::custom(&self.obj(), &stream, structure);
                }
            }
            _ => {}
        }
    }

    fn wanted_tags(&self) -> Option<(Arc<Stream>, Arc<[String]>)> {
        let state = self.state();
        let running = state.running.as_ref()?;
        (!running.wanted_tags.is_empty()).then(|| {
            (
                Arc::clone(&running.stream),
                Arc::clone(&running.wanted_tags),
            )
        })
    }

    /// Nothing comes on this pad before `until`, in the time of its segment.
    fn gap(&self, pad: &gst::Pad, until: gst::ClockTime) {
        let mut state = self.state();
        let Some(Running {
            stream,
            stamps,
            lanes,
            ..
        }) = &mut state.running
        else {
            return;
        };
        let Some(lane) = lanes.get(pad) else {
            return;
        };
        let until = lane
            .segment
            .downcast_ref::<gst::ClockTime>()
            .and_then(|segment| segment.to_running_time(until))
            .and_then(|at| i64::try_from(at.nseconds()).ok())
            .and_then(|at| stamps.peek(&lane.stamps, at));
        let (number, stream) = (lane.number, Arc::clone(stream));
        drop(state);
        if let Some(until) = until {
            stream.track_gap(number, until);
        }
    }

    fn begin_anew(&self, pad: &gst::Pad, time_too: bool) {
        self.cancel_eos(pad);
        let mut state = self.state();
        let Some(lane) = lane(&mut state, pad) else {
            return;
        };
        let went_on = std::mem::replace(&mut lane.started, true);
        let ended = std::mem::take(&mut lane.ended);
        let number = lane.number;
        if time_too {
            lane.stamps.restart();
            lane.segment = gst::FormattedSegment::<gst::ClockTime>::new().upcast();
        }
        let stream = state
            .running
            .as_ref()
            .map(|running| Arc::clone(&running.stream));
        drop(state);
        let Some(stream) = stream else { return };
        if ended && let Err(error) = stream.expect_track(number) {
            gst::warning!(CAT, obj = pad, "{error}");
        }
        if went_on {
            stream.end_fragment_of(number);
        }
    }

    /// EOS came on this pad. The stream ends with the last one; its message is posted when everything is PERSISTED. When
    /// that fails, an ERROR comes in its stead.
    fn ended(&self, pad: &gst::Pad, event: &gst::Event) {
        self.expect(pad);
        let mut state = self.state();
        let Some(lane) = lane(&mut state, pad) else {
            return;
        };
        lane.ended = true;
        let number = lane.number;
        let stream = state
            .running
            .as_ref()
            .map(|running| Arc::clone(&running.stream));
        drop(state);
        // BaseSink posts the message for its pad, however early that is.
        self.eos.begin(is_base_sinks(pad));
        if let Some(stream) = stream {
            stream.end_track(number);
        }
        if !self.drain_when_all_ended(Some(event.seqnum())) {
            self.wait_for_those_that_never_began(event.seqnum());
        }
    }

    /// A pad on which no stream ever began (a file without audio) does not hold the end up for longer than track-timeout.
    fn wait_for_those_that_never_began(&self, eos: gst::Seqnum) {
        let timeout = u64::from(self.settings().track_timeout_ms);
        let mut state = self.state();
        let Some(running) = &mut state.running else {
            return;
        };
        if running.lanes.values().all(|lane| lane.started) {
            return;
        }
        let clock = gst::SystemClock::obtain();
        let at = clock.time() + gst::ClockTime::from_mseconds(timeout);
        let id = clock.new_single_shot_id(at);
        let element = self.obj().downgrade();
        let wanted = Arc::new(());
        let still_wanted = Arc::downgrade(&wanted);
        let waits = id.wait_async(move |_, _, _| {
            let Some(element) = element.upgrade() else {
                return;
            };
            let sink = element.imp();
            if let Some(running) = &mut sink.state().running {
                if still_wanted.upgrade().is_none() {
                    return;
                }
                let others_ended = running
                    .lanes
                    .values()
                    .all(|lane| lane.ended || !lane.started);
                for lane in running.lanes.values_mut().filter(|lane| !lane.started) {
                    lane.ended |= others_ended;
                }
            }
            sink.drain_when_all_ended(Some(eos));
        });
        match waits {
            Ok(_) => {
                running.never_began = Some(Wait {
                    id,
                    _wanted: wanted,
                });
            }
            Err(error) => gst::warning!(CAT, imp = self, "the clock does not wait: {error:?}"),
        }
    }

    /// Whether it does. `eos`: the number of the event that is the last.
    pub(super) fn drain_when_all_ended(&self, eos: Option<gst::Seqnum>) -> bool {
        let mut state = self.state();
        let Some(running) = &mut state.running else {
            return true;
        };
        let ends = !running.lanes.is_empty() && running.lanes.values().all(|lane| lane.ended);
        if ends {
            running.never_began = None;
        }
        let mut lanes = running.lanes.iter();
        let base_sink_posts = lanes.any(|(pad, lane)| is_base_sinks(pad) && lane.started);
        let stream = Arc::clone(&running.stream);
        drop(state);
        if !ends {
            return false;
        }
        gst::debug!(CAT, imp = self, "waiting for the last acks");
        let obj = self.obj();
        if !base_sink_posts {
            // BaseSink knows nothing of it.
            let mut message = gst::message::Eos::builder().src(&*obj);
            if let Some(eos) = eos {
                message = message.seqnum(eos);
            }
            self.eos.keep(message.build());
        }
        stream.begin_drain();
        true
    }

    pub(in crate::element) fn drained(&self) {
        let Some(stream) = self.stream() else { return };
        let stats = stream.metrics();
        gst::info!(CAT, imp = self, "end of stream. {stats}");
        progress::tell(&self.obj().downgrade(), true);
        self.post_closed(&stats);
        if let Some(message) = self.eos.drained() {
            // It fails only without a bus: nobody wants to know.
            let _ = self.parent_post_message(message);
        }
    }

    fn cancel_eos(&self, pad: &gst::Pad) {
        if let Some(running) = &mut self.state().running {
            running.never_began = None;
        }
        let waited = self.eos.cancel(is_base_sinks(pad));
        if let Some(stream) = self.stream() {
            stream.resume();
            if waited {
                gst::debug!(CAT, imp = self, "EOS was taken back");
            }
        }
    }
}

/// BaseSink posts EOS for it.
fn is_base_sinks(pad: &gst::Pad) -> bool {
    pad.name() == "sink"
}
