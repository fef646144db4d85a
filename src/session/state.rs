//! [`State`]: where a session stands, and what it owns there.
//!
//! ```text
//! New ─▶ Describing ─▶ Resolving ─▶ Ready ─▶ Opening ─▶ Streaming ─▶ Draining ─▶ Closing ─▶ Ready
//!           ▲  │            ▲                   │           │            │
//!           │  ▼            │                   └───────────┴─ lost ─────┘
//!     Unannounced ─▶ Creating ─▶ Describing                 ▼
//!     Activating ─▶ Describing ─▶ Tagging ─▶ Resolving  BackingOff ─▶ the step that is due
//! ```
//! New goes to Resolving at once without `describe_before_put`; Describing goes to Retaining, and on to Resolving, when the
//! retention is to be updated; Ready goes to Resolving when the data endpoint is old. Stopped is reached from everywhere, with a spool
//! by way of Leaving.

use bytes::Bytes;

use super::{AckReader, Call, StreamError};
use crate::{
    fragment::{Fragment, Tracks},
    time::Mono,
};

/// Where the session stands.
pub(super) enum State {
    /// Nothing was asked yet.
    New,
    /// A call of the control plane is under way: Describing, Creating, Tagging, Retaining, Resolving.
    Calling(Call),
    /// The stream is to be created, and its media type is not known before its tracks are.
    Unannounced,
    /// The stream is not ACTIVE yet: ask again then.
    Activating { again: Mono },
    /// The data endpoint is known and there is nothing to send.
    Ready,
    /// PutMedia was sent, its answer has not come.
    Opening(Link),
    /// Media goes out, acks come in.
    Streaming(Link),
    /// The end of the last fragment was sent; its acks are due.
    Draining(Link),
    /// The body has ended; the response has not.
    Closing { link: Link, since: Mono },
    /// Waiting before the next attempt.
    BackingOff { until: Mono, then: Step },
    /// It is over, once what is kept is on disk.
    Leaving {
        until: Mono,
        outcome: Box<Result<(), StreamError>>,
    },
    /// The end.
    Stopped,
}

/// What is due after a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Call(Call),
    /// PutMedia, when there is something to send.
    Open,
}

/// One PutMedia request, from its attempt to its end.
pub(super) struct Link {
    /// The tracks that its header declares.
    pub(super) tracks: Tracks,
    /// Which time its timecodes are of.
    pub(super) epoch: u32,
    /// The header, until it is sent.
    pub(super) header: Option<Bytes>,
    /// What is left of a chunk that is sent in pieces.
    pub(super) rest: Bytes,
    /// Clusters that were begun in it.
    pub(super) clusters: u64,
    /// When it was asked for.
    pub(super) opened: Mono,
    /// When another is to follow it.
    pub(super) rotation: Mono,
    /// The fragment that is open, or was sent last, is its last.
    pub(super) last: bool,
    /// Since when an ack is due that has not come.
    pub(super) due: Option<Mono>,
    pub(super) acks: AckReader,
}

impl Link {
    /// This fragment may follow in this session.
    pub(super) fn takes(&self, fragment: &Fragment) -> bool {
        fragment.epoch == self.epoch && fragment.tracks == self.tracks
    }
}

impl State {
    /// The names of all states, for tables.
    #[cfg(test)]
    pub(super) const NAMES: [&'static str; 16] = [
        "new",
        "unannounced",
        "describing",
        "creating",
        "activating",
        "tagging",
        "retaining",
        "resolving",
        "ready",
        "opening",
        "streaming",
        "draining",
        "closing",
        "backing-off",
        "leaving",
        "stopped",
    ];

    /// The word in `stats` and logs.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Calling(Call::Describe) => "describing",
            Self::Calling(Call::Create) => "creating",
            Self::Calling(Call::Tag) => "tagging",
            Self::Calling(Call::Retain) => "retaining",
            Self::Calling(Call::Resolve) => "resolving",
            Self::Calling(Call::Delete) => "deleting",
            Self::Unannounced => "unannounced",
            Self::Activating { .. } => "activating",
            Self::Ready => "ready",
            Self::Calling(Call::PutMedia) | Self::Opening(_) => "opening",
            Self::Streaming(_) => "streaming",
            Self::Draining(_) => "draining",
            Self::Closing { .. } => "closing",
            Self::BackingOff { .. } => "backing-off",
            Self::Leaving { .. } => "leaving",
            Self::Stopped => "stopped",
        }
    }

    /// The PutMedia request that is under way.
    pub(super) fn link(&self) -> Option<&Link> {
        match self {
            Self::Opening(link)
            | Self::Streaming(link)
            | Self::Draining(link)
            | Self::Closing { link, .. } => Some(link),
            _ => None,
        }
    }

    pub(super) fn link_mut(&mut self) -> Option<&mut Link> {
        match self {
            Self::Opening(link)
            | Self::Streaming(link)
            | Self::Draining(link)
            | Self::Closing { link, .. } => Some(link),
            _ => None,
        }
    }

    /// The call that an answer or a failure would be of.
    pub(super) fn call(&self) -> Option<Call> {
        match self {
            Self::Calling(call) => Some(*call),
            _ => self.link().map(|_| Call::PutMedia),
        }
    }
}
