//! The element `kvssink`: translates GStreamer into the producer's words, and back.
//!
//! In: caps, buffers and events on the pad `sink`; properties. Out: [`Frame`](crate::media::Frame)s into a
//! [`Stream`](crate::producer::Stream); messages on the bus. The only folder that says `gst`.
//! Does not belong here: HTTP, MKV, retry rules.

mod caps;
mod convert;
mod eos;
mod flow;
mod gate;
mod imp;
mod iot_certificate;
mod lane;
mod metadata;
mod pads;
mod progress;
mod properties;
mod report;
mod settings;
mod signals;
mod spool;
mod stamp;
mod stats;
mod timeline;

use gst::{glib, prelude::*};

glib::wrapper! {
    /// Sends H.264 to Amazon Kinesis Video Streams.
    pub struct KvsSink(ObjectSubclass<properties::KvsSink>)
        @extends gst_base::BaseSink, gst::Element, gst::Object;
}

/// What happens when media arrives faster than it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstKvsSinkStreamingType")]
#[non_exhaustive]
pub enum StreamingType {
    /// Never wait; the oldest fragments that do not fit are dropped.
    #[default]
    #[enum_value(
        name = "Never wait; drop the oldest fragments that do not fit",
        nick = "realtime"
    )]
    Realtime = 0,
    /// As realtime.
    #[enum_value(name = "As realtime, with more tolerance", nick = "near-realtime")]
    NearRealtime = 1,
    /// Wait for room; drop nothing.
    #[enum_value(name = "Wait for room; drop nothing", nick = "offline")]
    Offline = 2,
}

/// Where producer timestamps come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstKvsSinkTimestampSource")]
#[non_exhaustive]
pub enum TimestampSource {
    /// Running time, tied to the wall clock at the start; a drift of the clocks is followed slowly.
    #[default]
    #[enum_value(
        name = "Running time, tied to the wall clock, whose drift is followed slowly",
        nick = "pipeline-clock"
    )]
    PipelineClock = 0,
    /// The camera's own clock, by `GstReferenceTimestampMeta` (NTP, UNIX or PTP time); the pipeline's until there is one.
    #[enum_value(
        name = "The camera's clock (GstReferenceTimestampMeta), once it is known",
        nick = "reference-timestamp"
    )]
    ReferenceTimestamp = 1,
    /// The wall clock when the buffer arrives.
    #[enum_value(name = "When the buffer arrives", nick = "arrival")]
    Arrival = 2,
    /// The buffer's PTS, which is UNIX time in nanoseconds.
    #[enum_value(name = "The PTS of the buffer, as UNIX time", nick = "buffer-pts")]
    BufferPts = 3,
}

/// Registers the element under the name of the C++ element, and under one of its own for where both are installed.
///
/// # Errors
/// When GStreamer refuses the registration.
pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    for name in ["kvssink", "rskvssink"] {
        gst::Element::register(Some(plugin), name, gst::Rank::NONE, KvsSink::static_type())?;
    }
    Ok(())
}
