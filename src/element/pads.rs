//! The pads: `sink` of BaseSink, and those that are requested for further tracks.
//!
//! BaseSink calls the virtual functions in `imp` for its own pad; the others have functions here that do the same.
//! Belongs here: templates, requests, what GStreamer asks of a pad. Does not belong here: what buffers and events mean
//! ([`super::flow`]).

use std::sync::LazyLock;

use gst::{prelude::*, subclass::prelude::*};

use super::{caps, imp::CAT, properties::KvsSink};
use crate::fragment::MAX_TRACKS;

/// In this order: a launch line takes the first that fits, and an always template in front makes `… ! queue ! sink.` fail.
pub(super) fn templates() -> &'static [gst::PadTemplate] {
    static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
        let template = |name, presence, caps| {
            gst::PadTemplate::new(name, gst::PadDirection::Sink, presence, &caps)
        };
        [
            template(
                "audio_%u",
                gst::PadPresence::Request,
                caps::audio_template(),
            ),
            template(
                "video_%u",
                gst::PadPresence::Request,
                caps::video_template(),
            ),
            template("sink", gst::PadPresence::Always, caps::template()),
        ]
        .into_iter()
        .flatten()
        .collect()
    });
    &TEMPLATES
}

impl KvsSink {
    /// A pad for another track, by the name that is asked for, or the next one that is free.
    pub(super) fn request(
        &self,
        template: &gst::PadTemplate,
        name: Option<&str>,
    ) -> Option<gst::Pad> {
        let obj = self.obj();
        let most = MAX_TRACKS;
        let taken = obj.sink_pads();
        // `sink` is always there, and need not be linked.
        if taken.len() > most {
            gst::warning!(CAT, imp = self, "a stream has {most} tracks at most");
            return None;
        }
        let base = template.name_template().trim_end_matches("%u").to_owned();
        let free = || {
            (0..)
                .map(|n| format!("{base}{n}"))
                .find(|name| taken.iter().all(|pad| pad.name() != name.as_str()))
        };
        let name = name.map(str::to_owned).or_else(free)?;
        let pad = gst::Pad::builder_from_template(template)
            .name(name)
            .chain_function(|pad, parent, buffer| {
                Self::catch_panic_pad_function(
                    parent,
                    || Err(gst::FlowError::Error),
                    |sink| sink.chain(pad, &buffer),
                )
            })
            .event_function(|pad, parent, event| {
                Self::catch_panic_pad_function(parent, || false, |sink| sink.pad_event(pad, event))
            })
            .build();
        obj.add_pad(&pad).ok()?;
        Some(pad)
    }

    pub(super) fn release(&self, pad: &gst::Pad) {
        // Whoever waits in its chain function goes first.
        self.gate.flush(&pad.name(), true, |on| self.interrupt(on));
        let _ = pad.set_active(false);
        self.forget(pad);
        let _ = self.obj().remove_pad(pad);
        self.gate.flush(&pad.name(), false, |on| self.interrupt(on));
    }

    /// As BaseSink does it: in PAUSED a buffer waits for PLAYING, and an error before is an error again.
    fn chain(
        &self,
        pad: &gst::Pad,
        buffer: &gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        if pad_ended(pad) {
            return Err(gst::FlowError::Eos);
        }
        let flushing = || pad.pad_flags().contains(gst::PadFlags::FLUSHING);
        if !self.gate.wait_for_playing(&pad.name(), flushing) {
            return Err(gst::FlowError::Flushing);
        }
        self.wait_for_room(pad, buffer, buffer.size());
        if flushing() || self.gate.is_closing() {
            return Err(gst::FlowError::Flushing);
        }
        if !self.settings().disable_buffer_clipping && self.is_clipped(pad, buffer) {
            gst::debug!(CAT, obj = pad, "{buffer:?} lies outside of the segment");
            return Ok(gst::FlowSuccess::Ok);
        }
        self.take(pad, buffer)
    }

    fn pad_event(&self, pad: &gst::Pad, event: gst::Event) -> bool {
        gst::log!(CAT, obj = pad, "{event:?}");
        if let gst::EventView::Caps(caps) = event.view() {
            return match self.set_caps_of(pad, caps.caps()) {
                Ok(()) => true,
                Err(error) => {
                    error.log();
                    false
                }
            };
        }
        self.heard(pad, &event);
        true
    }
}

fn pad_ended(pad: &gst::Pad) -> bool {
    pad.pad_flags().contains(gst::PadFlags::EOS)
}
