//! The structure `application/x-kvssink-stats`: of the property `stats`, and of the signal `stream-client-metric`.
//!
//! In: [`Stats`]. Out: plain GLib types; durations in ms, rates a second.

use std::time::Duration;

use super::report::millis;
use crate::{
    fragment::DropReason,
    session::{AckKind, AckLatency, Stats},
};

/// The value of the property `stats`. Every field is always there, 0 until it is known.
pub(super) fn structure(stats: &Stats) -> gst::Structure {
    let dropped = fields("dropped", DropReason::ALL, |reason| {
        let count = stats.dropped.get(&reason).copied();
        (reason.as_str(), count.unwrap_or_default())
    });
    let acks = fields("acks", AckKind::ALL, |kind| {
        let count = stats.acks.get(kind).copied();
        (kind.as_str(), count.unwrap_or_default())
    });
    let ack_latency = fields("ack-latency", AckKind::MEASURED, |kind| {
        let measured = stats.ack_latency.get(kind).copied();
        (kind.as_str(), latency(measured.unwrap_or_default()))
    });
    gst::Structure::builder("application/x-kvssink-stats")
        .field("state", stats.state)
        .field("frames-in", stats.frames_in)
        .field("frames-persisted", stats.frames_persisted)
        .field("frames-dropped", stats.frames_dropped())
        .field("frames-pending", stats.frames_pending)
        .field("dropped", dropped)
        .field("bytes-in", stats.bytes_in)
        .field("bytes-sent", stats.bytes_sent)
        .field("bytes-buffered", stats.bytes_buffered)
        .field("buffered-duration", millis(stats.buffered_duration))
        .field("frame-rate", stats.frame_rate)
        .field("transfer-rate", stats.transfer_rate)
        .field("fragments-persisted", stats.fragments_persisted)
        .field("fragments-pending", stats.fragments_pending)
        .field("fragments-dropped", stats.fragments_dropped)
        .field("fragments-resent", stats.fragments_resent)
        .field("sessions", stats.sessions)
        .field("connection-attempts", stats.connection_attempts)
        .field("acks", acks)
        .field("ack-latency", ack_latency)
        .field(
            "persisted-latency",
            stats.persisted_latency.map_or(0, millis),
        )
        .field("callbacks-left-out", stats.callbacks_left_out)
        .field("callbacks-panicked", stats.callbacks_panicked)
        .field("clock-offset", stats.clock_offset_ms)
        .field("spool", super::spool::structure("spool", &stats.spool))
        .build()
}

fn latency(latency: AckLatency) -> gst::Structure {
    let AckLatency {
        count,
        last,
        mean,
        p50,
        p90,
        p99,
        max,
    } = latency;
    let times: [(&'static str, Duration); 6] = [
        ("last", last),
        ("mean", mean),
        ("p50", p50),
        ("p90", p90),
        ("p99", p99),
        ("max", max),
    ];
    let mut structure = fields("latency", times, |(name, time)| (name, millis(time)));
    structure.set("count", count);
    structure
}

/// A structure with one field for each of these.
fn fields<T, V: Into<gst::glib::Value> + Send>(
    name: &str,
    all: impl IntoIterator<Item = T>,
    field: impl Fn(T) -> (&'static str, V),
) -> gst::Structure {
    let mut structure = gst::Structure::new_empty(name);
    for (name, value) in all.into_iter().map(field) {
        structure.set(name, value);
    }
    structure
}
