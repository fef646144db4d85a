//! The virtual functions of the element: they convert and delegate.
//!
//! BaseSink calls `start` in NULL→READY and `stop` in READY→NULL only, so a stream lives from READY→PAUSED to
//! PAUSED→READY. No state change waits for the network but the last one, which lets the stream end.

use std::sync::LazyLock;

use gst::{glib, prelude::*, subclass::prelude::*};
use gst_base::{prelude::*, subclass::prelude::*};

use super::{pads, properties::KvsSink, report, settings::Settings};
use crate::definition::Invalid;

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "kvssink",
        gst::DebugColorFlags::empty(),
        Some("Amazon Kinesis Video Streams sink"),
    )
});

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
                "Sends H.264, H.265, AAC and G.711 to Amazon Kinesis Video Streams",
                "kvssink authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        pads::templates()
    }

    fn request_new_pad(
        &self,
        template: &gst::PadTemplate,
        name: Option<&str>,
        _caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        self.request(template, name)
    }

    fn release_pad(&self, pad: &gst::Pad) {
        self.release(pad);
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
            gst::StateChange::PausedToReady => self.gate.close(|on| self.interrupt(on)),
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
        self.set_caps_of(self.obj().sink_pad(), caps)
    }

    fn render(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.take(self.obj().sink_pad(), buffer)
    }

    fn event(&self, event: gst::Event) -> bool {
        self.heard(self.obj().sink_pad(), &event);
        self.parent_event(event)
    }
}

impl KvsSink {
    /// BaseSink holds its preroll lock around `render`, and changes of state want it. So offline the wait for room is a
    /// probe, which is called before.
    pub(super) fn wait_in_front_of_base_sink(&self) {
        let element = self.downgrade();
        self.obj().sink_pad().add_probe(
            gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
            move |pad, info| {
                let mut closing = false;
                if let Some(element) = element.upgrade() {
                    element.wait_in_probe(pad, info);
                    closing = element.gate.is_closing();
                    if let Some(flow) = element.take_what_is_clipped(pad, info) {
                        info.data = None;
                        info.flow_res = flow;
                        return gst::PadProbeReturn::Handled;
                    }
                }
                if !closing && !pad.pad_flags().contains(gst::PadFlags::FLUSHING) {
                    return gst::PadProbeReturn::Ok;
                }
                // BaseSink would say EOS.
                info.data = None;
                info.flow_res = Err(gst::FlowError::Flushing);
                gst::PadProbeReturn::Handled
            },
        );
    }

    fn wait_in_probe(&self, pad: &gst::Pad, info: &gst::PadProbeInfo<'_>) {
        let (first, bytes) = match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => (Some(&**buffer), buffer.size()),
            Some(gst::PadProbeData::BufferList(list)) => (list.get(0), list.calculate_size()),
            _ => return,
        };
        if let Some(first) = first {
            self.wait_for_room(pad, first, bytes);
            self.gate.pass(|on| self.interrupt(on));
        }
    }

    /// BaseSink drops what lies outside of its segment. Where that is not wanted it does not see it.
    fn take_what_is_clipped(
        &self,
        pad: &gst::Pad,
        info: &gst::PadProbeInfo<'_>,
    ) -> Option<Result<gst::FlowSuccess, gst::FlowError>> {
        let Some(gst::PadProbeData::Buffer(buffer)) = &info.data else {
            return None;
        };
        if !self.settings().disable_buffer_clipping || !self.is_clipped(pad, buffer) {
            return None;
        }
        let flushing = || pad.pad_flags().contains(gst::PadFlags::FLUSHING);
        Some(match self.gate.wait_for_playing(&pad.name(), flushing) {
            true => self.take(pad, buffer),
            false => Err(gst::FlowError::Flushing),
        })
    }
}

pub(super) fn parse(
    settings: &Settings,
) -> Result<(crate::net::Service, crate::definition::StreamDefinition), Invalid> {
    settings.parse(|name| std::env::var(name).ok())
}
