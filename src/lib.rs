//! GStreamer sink and producer library for Amazon Kinesis Video Streams.
//!
//! The modules stand in the order in which a frame passes through them:
//!
//! ```text
//! GstBuffer ─▶ element/ ─▶ media/ ─▶ fragment/ ─▶ mkv/ ─▶ net/put_media ─▶ Kinesis Video Streams
//!              translate    Frame     cut, keep    bytes    one PutMedia body           │
//!              ▲                      ▲  trim / rewind                                  │
//!              └── signals, bus ◀── session/ (state, timers, acks, retry) ◀── acks ─────┘
//! ```
//!
//! Layers are features, so the compiler proves them: the core (no feature) knows no GStreamer, no tokio, no clock and no
//! socket; `net` adds HTTP, AWS and the threads; `plugin` (default) adds GStreamer. `local` is `kvs-local`, a strict local
//! service of the same wire protocol for development and tests, and knows nothing of the others.
//!
//! The public surface is [`producer`]: all that an application needs to send frames without GStreamer. GStreamer
//! applications call [`plugin_register_static`], or load the plugin. All the rest is private and may change.
//!
//! To add a codec, begin at `media::Codec`. The threads and locks are drawn in `docs/architecture.md`, the promises stand
//! in `docs/semantics.md`. `docs/guide.md` leads from nothing to stored video in three steps, and has a row for each callback
//! of AWS's C++ producer.

// Without `net` nobody uses the core: that build proves its layer only.
#![cfg_attr(not(feature = "net"), allow(dead_code, unused_imports))]

#[cfg(feature = "plugin")]
pub(crate) mod element;
#[cfg(feature = "net")]
pub mod producer;

pub(crate) mod definition;
pub(crate) mod media;

pub(crate) mod fragment;
pub(crate) mod mkv;

pub(crate) mod session;

#[cfg(any(feature = "net", test))]
pub(crate) mod spool;

#[cfg(feature = "net")]
pub(crate) mod net;

pub(crate) mod secret;
pub(crate) mod time;

#[cfg(feature = "local")]
pub mod local;

#[cfg(any(fuzzing, feature = "internals"))]
#[doc(hidden)]
pub mod internals;

/// The code in the README compiles.
#[cfg(all(doctest, feature = "net"))]
#[doc = include_str!("../README.md")]
mod readme {}

/// The code in the guide compiles.
#[cfg(all(doctest, feature = "plugin"))]
#[doc = include_str!("../docs/guide.md")]
mod guide {}

#[cfg(feature = "plugin")]
pub use plugin::plugin_register_static;

#[cfg(feature = "plugin")]
mod plugin {
    #![expect(missing_docs, reason = "what GStreamer's macro makes")]

    fn init(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
        crate::element::register(plugin)
    }

    gst::plugin_define!(
        kvssink,
        env!("CARGO_PKG_DESCRIPTION"),
        init,
        concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
        // As libgstreamer knows it; the SPDX name "Apache-2.0" is not in its list.
        "Apache 2.0",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_REPOSITORY"),
        env!("BUILD_REL_DATE")
    );
}
