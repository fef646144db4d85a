//! GStreamer sink and producer library for Amazon Kinesis Video Streams.

pub mod definition;
pub mod fragment;
pub mod media;
pub mod mkv;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "net")]
pub mod producer;
pub mod secret;
pub mod session;
pub mod time;
