//! What the service can be told to do wrong.
//!
//! A [`Fault`] is what goes wrong ([`FaultKind`]), how often, and for which stream. Its text form is that of the
//! command line, of the control call and of logs:
//!
//! ```text
//! KIND[:ARGUMENT]…[:TIMES][@STREAM]        http:PutMedia:503:3     reset-at-byte:10000@cam1
//! ```
//!
//! Belongs here: the model. Does not belong here: its text (`fault_text`, `fault_forms`), which fault is due (`faults`), doing it
//! (`server`, `listen`, `session`, `outbox`).

use std::time::Duration;

use super::ack::ErrorId;
use super::api::Api;

/// Something that the service does wrong, on demand.
///
/// From text by [`str::parse`]; [`Fault::FORMS`] lists all of them. A kind alone is a fault that strikes once
/// ([`FaultKind::Clock`]: until it is cleared).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// For how many calls, connections or sessions; without a number until it is cleared.
    pub times: Option<u64>,
    /// For which stream; without a name for any.
    pub stream: Option<String>,
}

/// What goes wrong.
///
/// Fragments and frames are counted in their `PutMedia` session, from 1; bytes are those of the MKV body. A fault
/// that comes when the session has passed its point strikes at the next occasion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// A call with a right signature is refused with this status.
    Http {
        /// Which; any of video, if none.
        api: Option<Api>,
        /// The status, from 400 to 599.
        status: u16,
        /// `x-amzn-ErrorType`.
        exception: &'static str,
    },
    /// `PutMedia` is refused as if there were a connection already.
    ConnectionLimit,
    /// The head of the answer to `PutMedia` comes late.
    SlowOpen {
        /// How late.
        delay: Duration,
    },
    /// The port is closed: connections are refused; those that exist live on.
    Refuse {
        /// For how long; until cleared, if there is no time.
        period: Option<Duration>,
    },
    /// The port is closed and every connection with it, as while a process is started again; no state is lost.
    Away {
        /// For how long; until cleared, if there is no time.
        period: Option<Duration>,
    },
    /// A connection is accepted, and nothing is ever answered on it.
    BlackHole,
    /// The clock of signatures and of the `Date` header is wrong.
    Clock {
        /// By so many milliseconds; negative: it is behind.
        offset_ms: i64,
    },
    /// The connection is reset (RST) after so many bytes.
    ResetAtByte {
        /// Of the body.
        byte: u64,
    },
    /// The connection is closed (FIN) after so many bytes.
    CloseAtByte {
        /// Of the body.
        byte: u64,
    },
    /// The connection is closed (FIN) in the middle of a frame.
    CloseMidFrame {
        /// Which.
        frame: u64,
    },
    /// The connection is closed (FIN) when a fragment begins.
    CloseAtFragment {
        /// Which.
        fragment: u64,
    },
    /// The connection is reset (RST) when a fragment begins.
    ResetAtFragment {
        /// Which.
        fragment: u64,
    },
    /// Nothing more is read after so many bytes; the connection stays open until the fault is cleared, then it is
    /// reset. The stream takes another connection meanwhile.
    StopReadingAtByte {
        /// Of the body.
        byte: u64,
    },
    /// The body is read slowly.
    ReadSlowly {
        /// How slowly.
        bytes_per_second: u64,
    },
    /// The answer and the connection end in good order after this time, without an ERROR ack.
    EndAfter {
        /// Since the session began.
        period: Duration,
    },
    /// The answer ends after the first fragment's acks; what still comes is read and forgotten.
    HalfClose,
    /// No ack is sent; fragments are stored.
    NeverAck,
    /// Every ack comes late.
    DelayAcks {
        /// How late.
        delay: Duration,
    },
    /// A complete fragment is refused with an ERROR ack and not stored.
    ErrorAck {
        /// With this number.
        id: ErrorId,
        /// Which.
        fragment: u64,
    },
    /// As [`Self::ErrorAck`], and the same fragment again whenever it comes again.
    Poison {
        /// With this number.
        id: ErrorId,
        /// Which.
        fragment: u64,
    },
    /// Lines that are no acks come before the first one.
    GarbageAcks {
        /// How many.
        lines: u64,
    },
    /// The first fragment is stored, and the connection closed (FIN) instead of saying so.
    LoseAcks,
    /// An IDLE comes before every BUFFERING.
    IdleAck,
    /// Every ack comes twice.
    DuplicateAcks,
    /// Acks come in pieces, each in a packet of its own.
    AckSplit {
        /// Size of a piece.
        bytes: usize,
    },
}

/// How a kind is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultForm {
    /// `reset-at-byte:BYTE[:TIMES][@STREAM]`
    pub form: &'static str,
    /// One of them: `reset-at-byte:10000`.
    pub example: &'static str,
    /// In words.
    pub what: &'static str,
}

impl Fault {
    /// Every kind, with its form, an example and what it does.
    pub const FORMS: &[FaultForm] = super::fault_forms::FORMS;

    /// One of every kind.
    pub fn examples() -> impl Iterator<Item = Self> {
        Self::FORMS
            .iter()
            .filter_map(|form| form.example.parse().ok())
    }

    /// The same so many times.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// The same until it is cleared.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// The same for one stream only.
    #[must_use]
    pub fn on(mut self, stream: impl Into<String>) -> Self {
        self.stream = Some(stream.into());
        self
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self {
            kind,
            times: kind.usual_times(),
            stream: None,
        }
    }
}

impl FaultKind {
    /// How often it strikes if nothing is said: once; a wrong clock does not become right by being looked at.
    pub(crate) fn usual_times(self) -> Option<u64> {
        (!matches!(self, Self::Clock { .. })).then_some(1)
    }

    /// How wrong it makes the clock of calls.
    pub(crate) fn clock_offset_ms(self) -> Option<i64> {
        match self {
            Self::Clock { offset_ms } => Some(offset_ms),
            _ => None,
        }
    }

    /// Whether it is about the port rather than about calls, which could be counted.
    pub(crate) fn is_port(self) -> bool {
        matches!(self, Self::Refuse { .. } | Self::Away { .. })
    }

    /// Whether it can be about one stream: below HTTP none is known yet.
    pub(crate) fn knows_streams(self) -> bool {
        !self.is_port() && !matches!(self, Self::BlackHole | Self::Clock { .. })
    }
}
