//! What the producer tells becomes bus messages, log lines and errors in GStreamer's domains.
//!
//! The only place that makes a `gst::Message` or picks an error domain.

use std::time::Duration;

use gst::{glib, prelude::*, subclass::prelude::*};

use super::{KvsSink, imp::CAT, signals};
use crate::{
    definition::Invalid,
    fragment::DropReason,
    media::TrackNumber,
    producer::StreamCallbacks,
    session::{Ack, AckKind, Failure, Fatal, SpoolEvent, Stats, StreamError},
    time::{Timecode, Timestamp},
};

/// Tells the application of one element.
pub(super) struct Report(glib::WeakRef<KvsSink>);

impl Report {
    pub(super) fn new(element: &KvsSink) -> Self {
        Self(element.downgrade())
    }

    /// An element that is gone needs no report.
    fn to(&self, tell: impl FnOnce(&KvsSink)) {
        if let Some(element) = self.0.upgrade() {
            tell(&element);
        }
    }
}

impl StreamCallbacks for Report {
    fn ready(&self) {
        self.to(|element| {
            let name = element.stream_name().unwrap_or_default();
            gst::info!(CAT, obj = element, "stream {name} is ready");
            post(
                element,
                gst::Structure::builder("kvs-stream-ready")
                    .field("stream-name", name)
                    .build(),
            );
        });
    }

    fn retention_differs(&self, has: Duration, wanted: Duration) {
        self.to(|element| {
            let name = element.stream_name().unwrap_or_default();
            let [has, wanted] = [has, wanted].map(|time| time.as_secs() / 3600);
            gst::info!(
                CAT,
                obj = element,
                "stream {name} keeps {has} h, retention-period is {wanted} h; update-retention would change it"
            );
            let structure = gst::Structure::builder("kvs-retention-differs")
                .field("stream-name", name)
                .field("retention", has)
                .field("retention-period", wanted)
                .build();
            post(element, structure);
        });
    }

    fn ack(&self, ack: &Ack) {
        self.to(|element| {
            let Ack {
                kind,
                timecode,
                fragment_number,
                error_id,
                error_code,
                latency: _,
            } = ack;
            let number = fragment_number.as_deref().unwrap_or_default();
            match (kind, timecode) {
                (AckKind::Error, _) => {
                    gst::warning!(
                        CAT,
                        obj = element,
                        "ack {kind} {error_id:?} {error_code:?} {timecode:?} {number}"
                    );
                }
                (_, Some(timecode)) => {
                    gst::debug!(CAT, obj = element, "ack {kind} {timecode} {number}")
                }
                (_, None) => gst::debug!(CAT, obj = element, "ack {kind}"),
            }
            let structure = gst::Structure::builder("kvs-fragment-ack")
                .field("type", kind.as_str())
                .field(
                    "timecode",
                    timecode.map_or(0, |timecode| timecode.as_millis()),
                )
                .field("fragment-number", number)
                .field("error-id", error_id.unwrap_or_default())
                .field("error-code", error_code.as_deref().unwrap_or_default())
                .build();
            signals::fragment_ack(element, &structure);
            post(element, structure);
            if let (AckKind::Persisted, Some(timecode)) = (kind, timecode) {
                element.imp().progress.persisted(*timecode);
            }
        });
    }

    fn track_missing(&self, track: TrackNumber) {
        self.to(|element| {
            gst::warning!(
                CAT,
                obj = element,
                "track {track} gives nothing: the others go on without it"
            );
            post(element, track_message("kvs-track-missing", track));
        });
    }

    fn track_restored(&self, track: TrackNumber) {
        self.to(|element| {
            gst::info!(CAT, obj = element, "track {track} is back");
            post(element, track_message("kvs-track-restored", track));
        });
    }

    fn connection_lost(&self, cause: &Failure) {
        self.to(|element| {
            gst::element_warning!(
                element,
                gst::ResourceError::Write,
                ["Connection to Kinesis Video Streams lost, trying again: {cause}"]
            );
            let structure = gst::Structure::builder("kvs-connection-lost")
                .field("cause", cause.to_string())
                .build();
            post(element, structure);
        });
    }

    fn connection_restored(&self, outage: Duration, resending: u64) {
        self.to(|element| {
            gst::info!(
                CAT,
                obj = element,
                "connection restored after {outage:.1?}, sending {resending} fragments again"
            );
            let structure = gst::Structure::builder("kvs-connection-restored")
                .field("outage", millis(outage))
                .field("resending", resending)
                .build();
            post(element, structure);
        });
    }

    fn connection_stale(&self, silence: Duration) {
        self.to(|element| {
            gst::warning!(CAT, obj = element, "no ack for {silence:?}");
            let structure = gst::Structure::builder("kvs-connection-stale")
                .field("silence", millis(silence))
                .build();
            post(element, structure);
        });
    }

    fn fragment_skipped(&self, timecode: Timecode, error_id: u32, frames: u64) {
        self.to(|element| {
            gst::warning!(
                CAT,
                obj = element,
                "fragment at {timecode} skipped: error {error_id}, {frames} frames"
            );
            let structure = gst::Structure::builder("kvs-fragment-skipped")
                .field("timecode", timecode.as_millis())
                .field("error-id", error_id)
                .field("frames", frames)
                .build();
            post(element, structure);
        });
    }

    fn storage_pressure(&self, bytes: u64, storage: u64) {
        self.to(|element| {
            gst::warning!(
                CAT,
                obj = element,
                "{bytes} of {storage} bytes of storage-size are in use"
            );
            let structure = gst::Structure::builder("kvs-storage-pressure")
                .field("bytes", bytes)
                .field("storage-size", storage)
                .build();
            post(element, structure);
        });
    }

    fn duration_pressure(&self, duration: Duration, buffer_duration: Duration) {
        self.to(|element| {
            gst::warning!(
                CAT,
                obj = element,
                "{duration:.1?} of {buffer_duration:?} of buffer-duration are in use"
            );
            let structure = gst::Structure::builder("kvs-duration-pressure")
                .field("duration", millis(duration))
                .field("buffer-duration", millis(buffer_duration))
                .build();
            post(element, structure);
        });
    }

    fn latency_pressure(&self, latency: Duration) {
        self.to(|element| {
            gst::warning!(
                CAT,
                obj = element,
                "media waits for {latency:.1?} to be persisted"
            );
            let structure = gst::Structure::builder("kvs-latency-pressure")
                .field("latency", millis(latency))
                .build();
            post(element, structure);
        });
    }

    fn frames_dropped(&self, reason: DropReason, frames: u64, from: Timestamp, to: Timestamp) {
        self.to(|element| {
            gst::warning!(
                CAT,
                obj = element,
                "{frames} frames dropped ({reason}) from {from} to {to}"
            );
            let structure = gst::Structure::builder("kvs-frames-dropped")
                .field("reason", reason.as_str())
                .field("frames", frames)
                .field("from", from.as_nanos())
                .field("to", to.as_nanos())
                .build();
            post(element, structure);
        });
    }

    fn spool(&self, event: &SpoolEvent) {
        self.to(|element| super::spool::report(element, event));
    }

    fn clock_offset(&self, millis: i64) {
        self.to(|element| {
            match millis {
                0 => gst::info!(CAT, obj = element, "the device's clock is right again"),
                _ => gst::warning!(
                    CAT,
                    obj = element,
                    "the device's clock is wrong: the service's is {millis} ms ahead, and signatures go by that: set it (NTP), since timestamps go by the device's"
                ),
            }
            let structure = gst::Structure::builder("kvs-clock-offset")
                .field("offset", millis)
                .build();
            post(element, structure);
        });
    }

    fn credentials(&self, source: &str) {
        self.to(|element| gst::info!(CAT, obj = element, "credentials: {source}"));
    }

    fn region(&self, name: &str, assumed: bool) {
        self.to(|element| {
            if assumed {
                gst::warning!(
                    CAT,
                    obj = element,
                    "the region is {name}, since nothing names one: set aws-region, AWS_REGION or that of the profile"
                );
            } else {
                gst::info!(CAT, obj = element, "region: {name}");
            }
        });
    }

    fn key_frame_needed(&self) {
        self.to(|element| {
            // Not on the producer's thread: the event runs through the elements in front.
            element.call_async(|element| {
                let event = gst_video::UpstreamForceKeyUnitEvent::builder()
                    .all_headers(true)
                    .build();
                // Of the video track, whichever pad it has; no audio encoder listens.
                let asked = element
                    .sink_pads()
                    .iter()
                    .any(|pad| pad.is_linked() && pad.push_event(event.clone()));
                gst::debug!(
                    CAT,
                    obj = element,
                    "asked for a key frame; somebody listened: {asked}"
                );
            });
        });
    }

    fn drained(&self) {
        self.to(|element| element.imp().drained());
    }

    fn error(&self, error: &StreamError) {
        self.to(|element| {
            let status = error.error_id.or_else(|| error.status.map(u32::from));
            signals::stream_error(element, status.unwrap_or_default().into());
            fail(element, error);
        });
    }

    fn closed(&self, stats: &Stats) {
        self.to(|element| {
            gst::info!(CAT, obj = element, "stream closed. {stats}");
            element.imp().post_closed(stats);
        });
    }

    fn state(&self, name: &'static str) {
        self.to(|element| gst::info!(CAT, obj = element, "session: {name}"));
    }
}

/// Posts the one ERROR of a stream.
fn fail(element: &KvsSink, error: &StreamError) {
    let details = gst::Structure::builder("kvs-error")
        .field("http-status", u32::from(error.status.unwrap_or_default()))
        .field(
            "request-id",
            error.request_id.as_deref().unwrap_or_default(),
        )
        .field("error-id", error.error_id.unwrap_or_default())
        .field("frames-missing", error.missing)
        .build();
    let text = error.to_string();
    match error.fatal {
        Fatal::Settings => {
            gst::element_error!(element, gst::ResourceError::Settings, ("{text}"), details: details);
        }
        Fatal::NotAuthorized => {
            gst::element_error!(element, gst::ResourceError::NotAuthorized, ("{text}"), details: details);
        }
        Fatal::NotFound => {
            gst::element_error!(element, gst::ResourceError::NotFound, ("{text}"), details: details);
        }
        Fatal::Internal => {
            gst::element_error!(element, gst::LibraryError::Failed, ("{text}"), details: details);
        }
        Fatal::Refused | Fatal::Lost | Fatal::Unfinished => {
            gst::element_error!(element, gst::ResourceError::Write, ("{text}"), details: details);
        }
    }
}

/// Posts that a setting cannot work.
pub(super) fn post_invalid(element: &KvsSink, error: &Invalid) {
    gst::element_error!(element, gst::ResourceError::Settings, ("{error}"));
}

/// Posts that caps cannot be sent.
pub(super) fn post_caps_refused(element: &KvsSink, caps: &gst::CapsRef, reason: &str) {
    gst::element_error!(
        element,
        gst::StreamError::Format,
        ("Cannot send this media: {reason}"),
        ["{caps}"]
    );
}

/// Posts that parameter sets or headers in mid-stream make no track.
pub(super) fn post_track_refused(element: &KvsSink, reason: &str) {
    gst::element_error!(
        element,
        gst::StreamError::Format,
        ("Cannot send this media: {reason}")
    );
}

/// Posts that metadata cannot be sent; the media goes on.
pub(super) fn post_metadata_refused(element: &KvsSink, what: &str, reason: &str) {
    gst::element_warning!(
        element,
        gst::StreamError::Encode,
        ("Metadata {what} is not sent: {reason}")
    );
}

/// Posts that the logs are elsewhere.
pub(super) fn post_log_config(element: &KvsSink) {
    gst::element_warning!(
        element,
        gst::ResourceError::Settings,
        ("log-config has no effect: the log is GST_DEBUG=kvssink:5")
    );
}

/// Posts how far the upload of a file has come: media that is PERSISTED, and its share of the file if that is known.
pub(super) fn post_progress(element: &KvsSink, media: gst::ClockTime, share: Option<f64>) {
    let stats: gst::Structure = element.imp().stats_structure();
    let bytes = stats.get::<u64>("bytes-sent").unwrap_or_default();
    let mut structure = gst::Structure::builder("kvs-upload-progress")
        .field("bytes", bytes)
        .field("media-time", media.nseconds())
        .build();
    if let Some(share) = share {
        structure.set("share", share);
    }
    post(element, structure);
}

fn track_message(name: &str, track: TrackNumber) -> gst::Structure {
    gst::Structure::builder(name)
        .field("track", u32::from(track.get()))
        .build()
}

/// The message that everything is persisted and the connection closed.
pub(super) fn post_closed(element: &KvsSink, stats: &Stats) {
    let structure = gst::Structure::builder("kvs-stream-closed")
        .field("frames-in", stats.frames_in)
        .field("frames-persisted", stats.frames_persisted)
        .field("frames-dropped", stats.frames_dropped())
        .build();
    post(element, structure);
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn post(element: &KvsSink, structure: gst::Structure) {
    // It fails only without a bus: nobody wants to know.
    let _ = element.post_message(
        gst::message::Element::builder(structure)
            .src(element)
            .build(),
    );
}
