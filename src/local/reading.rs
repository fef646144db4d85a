//! How bodies are read: strictly, or only taken.
//!
//! Does not belong here: either way of reading (`ingest`, `skim`).

use super::ingest::{Header, Ingest, Refusal, Step, Timecodes};
use super::skim::{Arrival, Skim};

/// The reader of a body.
#[derive(Debug)]
pub(crate) enum Reading {
    /// Everything is checked and kept.
    Strict(Box<Ingest>),
    /// Fragments are found, and nothing else.
    Sink(Box<Skim>),
}

impl Reading {
    /// A new session, of a service that is a sink or not.
    pub(crate) fn new(timecodes: Timecodes, sink: bool) -> Self {
        if sink {
            Self::Sink(Box::new(Skim::new(timecodes)))
        } else {
            Self::Strict(Box::new(Ingest::new(timecodes)))
        }
    }

    /// The timecode of the fragment that is being received, for an ERROR ack about it.
    pub(crate) fn current_ms(&self) -> Option<u64> {
        match self {
            Self::Strict(ingest) => ingest.current_ms(),
            Self::Sink(skim) => skim.current_ms(),
        }
    }

    /// The session's header, of a service that keeps it.
    pub(crate) fn header(&self) -> Option<&Header> {
        match self {
            Self::Strict(ingest) => Some(ingest.header()),
            Self::Sink(_) => None,
        }
    }

    /// The media type of the tracks, where they are looked at.
    pub(crate) fn media_type(&self) -> Option<String> {
        match self {
            Self::Strict(ingest) => ingest.media_type(),
            Self::Sink(_) => None,
        }
    }

    /// The number of the frame, from 1 on, of which half the payload has come and no more; never in a sink.
    pub(crate) fn frame_half_received(&self) -> Option<u64> {
        match self {
            Self::Strict(ingest) => ingest.frame_half_received(),
            Self::Sink(_) => None,
        }
    }

    /// Takes the next bytes of the body.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        match self {
            Self::Strict(ingest) => ingest.feed(bytes),
            Self::Sink(skim) => skim.feed(bytes),
        }
    }

    /// What has come to its end with the bytes so far; of a sink only.
    pub(crate) fn arrivals(&mut self) -> impl Iterator<Item = Arrival> + '_ {
        let skim = match self {
            Self::Strict(_) => None,
            Self::Sink(skim) => Some(&mut **skim),
        };
        skim.into_iter().flat_map(Skim::arrivals)
    }

    /// The next step, or nothing until more bytes have come.
    pub(crate) fn next(&mut self, now_ms: u64) -> Result<Option<Step>, Refusal> {
        match self {
            Self::Strict(ingest) => ingest.next(now_ms),
            Self::Sink(skim) => skim.next(),
        }
    }

    /// The body has ended as it should; gives the last fragment.
    pub(crate) fn finish(&mut self) -> Result<Option<Step>, Refusal> {
        match self {
            Self::Strict(ingest) => ingest.finish(),
            Self::Sink(skim) => skim.finish(),
        }
    }
}
