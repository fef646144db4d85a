//! What the element says of its spool: the bus message `kvs-spool`, a WARNING when the disk fails, a part of `stats`.
//!
//! Belongs here: words and fields. Does not belong here: when it is told (`session`), the properties (`properties`).

use gst::glib;

use super::{
    KvsSink,
    imp::CAT,
    report::{self, millis},
};
use crate::session::{SpoolEvent, SpoolStats};

/// What goes to disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstKvsSinkSpoolMode")]
#[non_exhaustive]
pub enum SpoolMode {
    /// What memory cannot hold, and at the end what is not persisted.
    #[default]
    #[enum_value(
        name = "What memory cannot hold, and at the end all that is not persisted",
        nick = "overflow"
    )]
    Overflow = 0,
    /// Each fragment.
    #[enum_value(name = "Each fragment, as soon as it is complete", nick = "always")]
    Always = 1,
}

/// What happens when the spool is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstKvsSinkSpoolPolicy")]
#[non_exhaustive]
pub enum SpoolPolicy {
    /// The oldest fragments go.
    #[default]
    #[enum_value(
        name = "Drop the oldest fragments; an offline source waits",
        nick = "drop-oldest"
    )]
    DropOldest = 0,
    /// What is on disk stays; offline sources wait.
    #[enum_value(name = "Keep what is on disk; an offline source waits", nick = "block")]
    Block = 1,
}

/// What is sent first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstKvsSinkSpoolOrder")]
#[non_exhaustive]
pub enum SpoolOrder {
    /// All in the order of its frames.
    #[default]
    #[enum_value(name = "All in its order", nick = "oldest-first")]
    OldestFirst = 0,
    /// Live media, and the backlog in turns with it.
    #[enum_value(
        name = "Live media, and the backlog in turns with it",
        nick = "live-first"
    )]
    LiveFirst = 1,
}

/// The gauges and counters, for `stats` and `kvs-spool`.
pub(super) fn structure(name: &str, stats: &SpoolStats) -> gst::Structure {
    gst::Structure::builder(name)
        .field("state", stats.state)
        .field("fragments", stats.fragments)
        .field("frames", stats.frames)
        .field("bytes", stats.bytes)
        .field("age", millis(stats.age))
        .field("write-rate", stats.write_rate)
        .field("fragments-written", stats.fragments_written)
        .field("frames-recovered", stats.frames_recovered)
        .field("frames-left", stats.frames_left)
        .field("set-aside", stats.set_aside)
        .field("failures", stats.failures)
        .build()
}

/// To the log and the bus: for each event a message `kvs-spool`, whose field `what` says which.
pub(super) fn report(element: &KvsSink, event: &SpoolEvent) {
    let message = |what: &str| gst::Structure::builder("kvs-spool").field("what", what);
    let counted = |what: &str, [fragments, frames, bytes]: [u64; 3]| {
        message(what)
            .field("fragments", fragments)
            .field("frames", frames)
            .field("bytes", bytes)
            .build()
    };
    let structure = match event {
        SpoolEvent::Opened {
            fragments,
            frames,
            bytes,
        } => {
            gst::info!(
                CAT,
                obj = element,
                "the spool is open: {fragments} fragments ({frames} frames, {bytes} bytes) of an earlier run are sent first"
            );
            counted("opened", [*fragments, *frames, *bytes])
        }
        SpoolEvent::Kept {
            timecode,
            frames,
            bytes,
        } => {
            gst::debug!(CAT, obj = element, "fragment at {timecode} is on disk");
            message("kept")
                .field("timecode", timecode.as_millis())
                .field("frames", frames)
                .field("bytes", bytes)
                .build()
        }
        SpoolEvent::SetAside { what, reason } => {
            gst::warning!(CAT, obj = element, "{what} is set aside: {reason}");
            message("set-aside")
                .field("file", what)
                .field("reason", reason)
                .build()
        }
        SpoolEvent::Failed { reason } => {
            gst::element_warning!(
                element,
                gst::ResourceError::OpenWrite,
                ["The spool does not work as it should, memory keeps what it can: {reason}"]
            );
            message("failed").field("reason", reason).build()
        }
        SpoolEvent::Restored => {
            gst::info!(CAT, obj = element, "the spool works again");
            message("restored").build()
        }
        SpoolEvent::Progress(stats) => {
            gst::info!(
                CAT,
                obj = element,
                "{} fragments ({} bytes) on disk are to be sent, the oldest is {:.0?} old",
                stats.fragments,
                stats.bytes,
                stats.age
            );
            let mut structure = structure("kvs-spool", stats);
            structure.set("what", "progress");
            structure
        }
        SpoolEvent::Left {
            fragments,
            frames,
            bytes,
        } => {
            gst::element_warning!(
                element,
                gst::ResourceError::Write,
                [
                    "{fragments} fragments ({frames} frames, {bytes} bytes) are not persisted yet: they are in the spool, and sent by the next stream of this name"
                ]
            );
            counted("left", [*fragments, *frames, *bytes])
        }
    };
    report::post(element, structure);
}
