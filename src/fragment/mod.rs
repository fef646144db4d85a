//! Frames become fragments, and fragments are kept until they are PERSISTED.
//!
//! In: [`Frame`](crate::media::Frame)s in decode order. Out: chunks of bytes for the wire, in order, each fragment from its key frame.
//! Belongs here: where a fragment is cut and why ([`Cutter`]), what is kept and in which order it leaves ([`Store`]).
//! Does not belong here: acks and connections (`session`), the meaning of the bytes (`mkv`).

mod cutter;
mod interleave;
mod labels;
mod spooled;
mod store;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;

pub(crate) use cutter::{Cutter, Placed, is_video};
pub(crate) use interleave::{Before, Entry, Lanes, MAX_TRACKS, WINDOW, cost_in_lane};
pub(crate) use labels::Labels;
pub(crate) use spooled::Spooled;
pub(crate) use store::{NEXT, SpoolFile, Store};

use crate::{
    media::Track,
    mkv::Tag,
    time::{Mono, Timecode, Timestamp},
};

/// The tracks of a fragment. Two fragments of one PutMedia session have equal ones.
pub(crate) type Tracks = Arc<[Track]>;

/// The place of a fragment in the stream: 0, 1, 2 … without gaps, in the order of the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FragmentId(pub(crate) u64);

impl fmt::Display for FragmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Why a frame was not sent, or not known to be kept by the service. The words are those of `stats` and of the bus.
///
/// ```
/// use gstkvssink::producer::{DropReason, Stats};
///
/// let mut stats = Stats::default();
/// stats.dropped.insert(DropReason::Storage, 3); // as Stream::metrics gives it
/// for (reason, frames) in &stats.dropped {
///     assert_eq!(format!("{reason}: {frames}"), "storage: 3");
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// Before the first key frame, or after a loss until the next one: it could not be decoded.
    NoKeyFrame,
    /// It has no timestamp.
    NoTimestamp,
    /// Its timecode is not greater than what was sent before, or it does not fit into its fragment.
    Timecode,
    /// Its payload is empty, or not what its track announced.
    Malformed,
    /// It does not fit into a fragment of 50 MB.
    TooLarge,
    /// Its track was never announced, or was missing when its fragment began to be sent.
    NoTrack,
    /// `storage` was full.
    Storage,
    /// `spool-max-bytes` were on disk.
    Spool,
    /// It was older than `buffer-duration` before it could be sent.
    Age,
    /// It was sent longer than `replay_duration` before a connection was lost.
    Replay,
    /// The service refused its fragment.
    Rejected,
    /// The stream ended before it was PERSISTED.
    Unfinished,
}

impl DropReason {
    /// All of them, for tables.
    ///
    /// ```
    /// use gstkvssink::producer::DropReason;
    ///
    /// let words = DropReason::ALL.map(DropReason::as_str);
    /// assert!(words.contains(&"no-key-frame"));
    /// ```
    pub const ALL: [Self; 12] = [
        Self::NoKeyFrame,
        Self::NoTimestamp,
        Self::Timecode,
        Self::Malformed,
        Self::TooLarge,
        Self::NoTrack,
        Self::Storage,
        Self::Spool,
        Self::Age,
        Self::Replay,
        Self::Rejected,
        Self::Unfinished,
    ];

    /// The word for it in `stats` and messages.
    ///
    /// ```
    /// use gstkvssink::producer::DropReason;
    ///
    /// assert_eq!(DropReason::TooLarge.as_str(), "too-large");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoKeyFrame => "no-key-frame",
            Self::NoTimestamp => "no-timestamp",
            Self::Timecode => "timecode",
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::NoTrack => "no-track",
            Self::Storage => "storage",
            Self::Spool => "spool",
            Self::Age => "age",
            Self::Replay => "replay",
            Self::Rejected => "rejected",
            Self::Unfinished => "unfinished",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One frame as it goes onto the wire: `head`, then `payload`. Made once, so that what is resent is the same to the byte.
#[derive(Clone)]
pub(crate) struct Block {
    /// For the first block of a fragment the cluster header; always the SimpleBlock header.
    pub(crate) head: Bytes,
    pub(crate) payload: Bytes,
}

impl Block {
    /// What a block costs beside its bytes: two `Bytes`, their shared owner, the slot in the queue.
    pub(crate) const OVERHEAD: u64 = 192;

    /// What the block costs in the store, in bytes.
    pub(crate) fn cost(&self) -> u64 {
        (self.head.len() + self.payload.len()) as u64 + Self::OVERHEAD
    }
}

/// One cluster: the unit that the service acknowledges.
pub(crate) struct Fragment {
    pub(crate) id: FragmentId,
    /// Of its first frame, as on the wire.
    pub(crate) timecode: Timecode,
    /// Those that its header is to declare, each with a frame in it. Until it is [`Self::is_settled`] they may become fewer
    /// or more.
    pub(crate) tracks: Tracks,
    /// Those of `tracks` that have no frame in it yet, by their place: bit 0 is the first.
    pub(crate) absent: u8,
    /// Which time its timecode is of ([`Cutter::epoch`]); another one needs another session.
    pub(crate) epoch: u32,
    /// What its timecode counts from, when it is RELATIVE.
    pub(crate) start: Timestamp,
    /// What goes with it, while it is open.
    pub(crate) tags: Vec<Tag>,
    /// The same as bytes, when it is complete. They are sent behind its blocks.
    pub(crate) tail: Bytes,
    /// Never empty while the fragment is kept, unless it is [`Self::away`].
    pub(crate) blocks: Vec<Block>,
    /// Frames in it that are not yet known to be kept.
    pub(crate) frames: u64,
    /// No frame follows.
    pub(crate) complete: bool,
    /// Sum of [`Block::cost`], and of [`tag_cost`].
    pub(crate) cost: u64,
    /// Producer timestamps: of its first frame, of the one that is shown first (a B-frame may come before the key frame, and
    /// a clock may be set), and of the one that is shown last.
    pub(crate) first: Timestamp,
    pub(crate) earliest: Timestamp,
    pub(crate) last: Timestamp,
    /// When its first frame arrived.
    pub(crate) began: Mono,
    /// When its newest frame arrived.
    pub(crate) arrived: Mono,
    /// How often the service refused it.
    pub(crate) refused: u32,
    /// Sessions in which its first byte was sent.
    pub(crate) sent: u32,
    /// Where it is on disk, for good.
    pub(crate) file: Option<SpoolFile>,
    /// It is being written, or read.
    pub(crate) busy: bool,
    /// Its bytes are in its file only.
    pub(crate) away: bool,
    /// It is of a run before this one.
    pub(crate) restored: bool,
}

impl Fragment {
    /// Each of its tracks has a frame in it: it may be sent, since the service refuses one without (4011).
    pub(crate) fn is_settled(&self) -> bool {
        self.absent == 0
    }

    /// Chunks of it that exist so far: two for each block, and its tags.
    pub(crate) fn parts(&self) -> usize {
        // What is away is not over.
        self.blocks.len() + usize::from(!self.tail.is_empty() || self.away)
    }

    /// Its bytes are in memory and in its file.
    fn is_twice(&self) -> bool {
        self.file.is_some() && !self.away
    }

    /// More than `limit` before these times. By both: a timestamp jumps when somebody sets a clock, and the other time goes
    /// on while nothing can be sent, in a suspend.
    pub(crate) fn is_older(&self, limit: Duration, timestamp: Timestamp, now: Mono) -> bool {
        timestamp.saturating_since(self.last) > limit && now.saturating_since(self.arrived) > limit
    }
}

/// What a tag costs in the store, in bytes: its text, the elements around it, and what keeps it.
pub(crate) fn tag_cost(tag: &Tag) -> u64 {
    (tag.name().len() + tag.value().len()) as u64 + Block::OVERHEAD
}

impl fmt::Debug for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            timecode,
            complete,
            cost,
            ..
        } = self;
        write!(
            f,
            "Fragment({id} @{timecode}, {} frames, {cost} bytes, complete: {complete})",
            self.frames
        )
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One video track; another width is another track.
    pub(crate) fn tracks(width: u32) -> Tracks {
        use crate::media::{Codec, Track, fixtures::AVCC};
        [Track::video(Codec::H264, Bytes::from_static(AVCC), width, 98).unwrap()].into()
    }
}
