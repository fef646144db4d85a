//! [`Spooled`]: what must be known of a fragment whose bytes are elsewhere.

use super::Tracks;
use crate::time::{Timecode, Timestamp};

/// All of a complete fragment that another process needs to send it, but for its bytes: cluster and tags as on the wire.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spooled {
    /// As on the wire.
    pub(crate) timecode: Timecode,
    /// Those of its header.
    pub(crate) tracks: Tracks,
    /// What its timecode counts from, when it is RELATIVE.
    pub(crate) start: Timestamp,
    /// Producer timestamps, as those of [`super::Fragment`].
    pub(crate) first: Timestamp,
    pub(crate) earliest: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) frames: u64,
    /// Bytes on the wire: cluster and tags, without the header of the stream.
    pub(crate) length: u64,
}
