//! What a session tells: [`Event`]s as they happen, [`Stats`] at any moment.
//!
//! Belongs here: the facts and their words. Does not belong here: how they reach an application (`producer`, `element`).

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{Ack, AckKind, AckLatency, Failure, Fatal, SpoolEvent, SpoolStats};
use crate::{
    fragment::DropReason,
    media::TrackNumber,
    time::{Timecode, Timestamp},
};

/// Something that an application may want to know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The session is in another state; for the log.
    State(&'static str),
    /// The stream exists, is ACTIVE, and its data endpoint is known. Once.
    Ready,
    /// The stream exists and has another retention than its definition. Once, unless it changes.
    RetentionDiffers {
        /// That of the stream; whole hours.
        has: Duration,
        /// That of the definition; whole hours.
        wanted: Duration,
    },
    /// The service acknowledged a fragment.
    Ack(Ack),
    /// The connection, or the way to the service, is lost. Once per outage, which lasts until a fragment is PERSISTED.
    ConnectionLost(Failure),
    /// A fragment is PERSISTED again (without acks: PutMedia is accepted again).
    ConnectionRestored {
        /// Since the loss.
        outage: Duration,
        /// Fragments that were sent before, and by this connection again.
        resending: u64,
    },
    /// No ack came although some were due: the connection is given up.
    ConnectionStale {
        /// For how long.
        silence: Duration,
    },
    /// A fragment was refused twice, and is not sent again. Its frames are told as dropped, too.
    FragmentSkipped {
        /// Which.
        timecode: Timecode,
        /// The ERROR ack (kvs-facts §5).
        error_id: u32,
        /// Frames in it.
        frames: u64,
    },
    /// A fragment was taken out before it was PERSISTED. Its frames are told as dropped, too, gathered.
    FragmentDropped {
        /// Which.
        timecode: Timecode,
        /// Why.
        reason: DropReason,
        /// Frames in it.
        frames: u64,
    },
    /// No frame came for a while, and everything is sent: the connection is closed until there is something to send.
    Underflow,
    /// The media that is kept comes near `storage`. Once, until it is half of it again.
    StoragePressure {
        /// Bytes that are kept.
        bytes: u64,
        /// The bound.
        storage: u64,
    },
    /// The media that is kept comes near `buffer_duration`, where the oldest is dropped (realtime). Once, until it is half
    /// of it again.
    DurationPressure {
        /// From the oldest frame that is kept to the newest.
        duration: Duration,
        /// The bound.
        buffer_duration: Duration,
    },
    /// Media waits longer than `max_latency`. Once, until it is half of it again.
    LatencyPressure {
        /// From the oldest frame that is not PERSISTED to the newest.
        latency: Duration,
    },
    /// Frames were dropped; gathered over [`super::LOSS_WINDOW`].
    FramesDropped {
        /// Why.
        reason: DropReason,
        /// How many.
        frames: u64,
        /// Earliest presentation time of them; zero when they have none.
        from: Timestamp,
        /// Latest presentation time of them.
        to: Timestamp,
    },
    /// The device's clock is wrong, or right again: signatures go by the service's, which is so far ahead.
    ClockOffset {
        /// In milliseconds; negative: it is behind; 0: the clock is right again.
        millis: i64,
    },
    /// Where the credentials are from, in words; when they are used for the first time, and when it changes.
    Credentials {
        /// The source, never what it gave.
        source: String,
    },
    /// The region had to be found out. Once.
    Region {
        /// Which.
        name: String,
        /// Nothing names one: it is the default.
        assumed: bool,
    },
    /// A track gives nothing: the others go on without it, and it is left out of the next header. Once, until it is back.
    TrackMissing {
        /// Which.
        track: TrackNumber,
    },
    /// A track that was missing is sent again.
    TrackRestored {
        /// Which.
        track: TrackNumber,
    },
    /// Frames cannot be used until a key frame comes: the encoder may be asked for one.
    KeyFrameNeeded,
    /// What happened on disk.
    Spool(SpoolEvent),
    /// Everything that was put before the end was asked for is PERSISTED, told as dropped, or told as left on disk
    /// ([`SpoolEvent::Left`]); the stream may go on.
    Drained,
    /// The stream cannot go on. Once, and nothing but `Closed` comes after it.
    Failed(StreamError),
    /// The stream has ended; last event.
    Closed(Box<Stats>),
    /// So many events were not told, since callbacks are too slow. The session never says so.
    LeftOut {
        /// How many.
        calls: u64,
    },
}

/// Why a stream ended before everything was PERSISTED.
///
/// ```
/// use gstkvssink::producer::{Fatal, Stream};
///
/// # fn f(stream: Stream) {
/// if let Err(error) = stream.stop() {
///     eprintln!("{} frames are missing: {error}", error.missing);
///     if error.fatal == Fatal::NotAuthorized {
///         eprintln!("tell AWS's support of request {:?}", error.request_id);
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct StreamError {
    /// What kind.
    pub fatal: Fatal,
    /// What, where, and what to do; never with a secret.
    pub message: String,
    /// HTTP status of the answer that decided it.
    pub status: Option<u16>,
    /// The service's name of the request.
    pub request_id: Option<String>,
    /// The ERROR ack that decided it (kvs-facts §5).
    pub error_id: Option<u32>,
    /// Frames that were accepted and are not PERSISTED.
    pub missing: u64,
}

/// Counters and gauges of a stream. `frames_in = frames_persisted + dropped + frames_pending`, always; with a spool
/// `frames_in + spool.frames_recovered = frames_persisted + dropped + frames_pending + spool.frames_left`.
///
/// ```
/// use gstkvssink::producer::Stats;
///
/// let stats = Stats::default(); // or Stream::metrics
/// let told_of = stats.frames_persisted + stats.frames_dropped() + stats.frames_pending;
/// assert_eq!(stats.frames_in, told_of);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// State of the session.
    pub state: &'static str,
    /// Frames that came.
    pub frames_in: u64,
    /// Frames that the service has for good.
    pub frames_persisted: u64,
    /// Frames that are kept, and will be sent, are being sent, or wait for their ack.
    pub frames_pending: u64,
    /// Frames that were dropped, by reason.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Payload bytes that came.
    pub bytes_in: u64,
    /// Bytes handed to the connection, with headers and with what was sent again.
    pub bytes_sent: u64,
    /// Bytes that are kept, with their overhead.
    pub bytes_buffered: u64,
    /// From the first frame of the oldest fragment that is kept to the newest frame, by their timestamps; what waits for
    /// other tracks is not in it.
    pub buffered_duration: Duration,
    /// Frames that came a second, dropped ones and those of all tracks included, over the last five to six seconds. 0 after
    /// the end.
    pub frame_rate: f64,
    /// Bytes handed to the connection a second (as `bytes_sent`), over the same time. 0 after the end.
    pub transfer_rate: f64,
    /// Fragments that the service has for good.
    pub fragments_persisted: u64,
    /// Fragments that are kept.
    pub fragments_pending: u64,
    /// Fragments that were begun and dropped as a whole, for whatever reason.
    pub fragments_dropped: u64,
    /// Times that a fragment was begun to be sent again.
    pub fragments_resent: u64,
    /// PutMedia sessions that were accepted.
    pub sessions: u64,
    /// Attempts to open one.
    pub connection_attempts: u64,
    /// Acks that came, by kind; those that never came are left out.
    pub acks: BTreeMap<AckKind, u64>,
    /// How long they took, of those whose latency is measured; those that never came are left out.
    pub ack_latency: BTreeMap<AckKind, AckLatency>,
    /// From the arrival of a fragment's last frame to its PERSISTED ack (without acks: to the end of its session), of the
    /// newest one.
    pub persisted_latency: Option<Duration>,
    /// Calls of callbacks that were left out, since callbacks were too slow.
    pub callbacks_left_out: u64,
    /// Calls of callbacks that panicked.
    pub callbacks_panicked: u64,
    /// How far the service's clock is ahead of the device's, in ms, when signatures have to go by it; else 0.
    pub clock_offset_ms: i64,
    /// What is on disk.
    pub spool: SpoolStats,
}

impl Stats {
    /// Dropped frames of all reasons.
    ///
    /// ```
    /// use gstkvssink::producer::{DropReason, Stats};
    ///
    /// let mut stats = Stats::default();
    /// stats.dropped = [(DropReason::Age, 2), (DropReason::Storage, 3)].into();
    /// assert_eq!(stats.frames_dropped(), 5);
    /// ```
    pub fn frames_dropped(&self) -> u64 {
        self.dropped.values().sum()
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "frames: {} in, {} persisted, {} dropped, {} pending; fragments: {} persisted, {} pending, {} resent; {} sessions in {} attempts",
            self.frames_in,
            self.frames_persisted,
            self.frames_dropped(),
            self.frames_pending,
            self.fragments_persisted,
            self.fragments_pending,
            self.fragments_resent,
            self.sessions,
            self.connection_attempts
        )
    }
}
