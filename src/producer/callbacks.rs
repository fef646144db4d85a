//! [`StreamCallbacks`] and [`ClientCallbacks`]: what a stream, and a producer, tell their application. Every method has a
//! default, so implement what you need.

use std::{sync::Arc, time::Duration};

use super::{
    Dispatch,
    dispatch::{Told, Weight},
};
use crate::{
    fragment::DropReason,
    media::TrackNumber,
    session::{Ack, Event, Failure, SpoolEvent, Stats, Storage, StreamError},
    time::{Timecode, Timestamp},
};

/// What a stream tells.
///
/// Called one at a time and in order, without a lock held, on a thread that is there for it: a slow callback delays those
/// after it, never the upload. At most 1024 calls wait; then they are left out, counted, and told
/// ([`Self::calls_left_out`]). A panic is counted (`callbacks_panicked` in [`Stats`]) and goes no further. What waits otherwise
/// ([`super::Stream::put_frame`] offline, `drain`, `stop`) does not wait in a callback of the same stream.
///
/// ```
/// use gstkvssink::producer::{Failure, StreamCallbacks};
///
/// struct Log;
///
/// impl StreamCallbacks for Log {
///     fn connection_lost(&self, cause: &Failure) {
///         eprintln!("trying again: {cause}");
///     }
/// }
/// ```
#[expect(
    unused_variables,
    reason = "the defaults do nothing; the names document"
)]
pub trait StreamCallbacks: Send + Sync + 'static {
    /// The stream exists, is ACTIVE, and its data endpoint is known. Once.
    ///
    /// ```
    /// use gstkvssink::producer::StreamCallbacks;
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn ready(&self) {
    ///         println!("ready");
    ///     }
    /// }
    /// ```
    fn ready(&self) {}

    /// The stream has another retention than its definition; it is changed only with
    /// [`update_retention`](crate::definition::StreamDefinition::update_retention).
    ///
    /// ```
    /// use std::time::Duration;
    /// use gstkvssink::producer::StreamCallbacks;
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn retention_differs(&self, has: Duration, wanted: Duration) {
    ///         println!("it keeps {} h, not {} h", has.as_secs() / 3600, wanted.as_secs() / 3600);
    ///     }
    /// }
    /// ```
    fn retention_differs(&self, has: Duration, wanted: Duration) {}

    /// The service acknowledged a fragment.
    ///
    /// ```
    /// use gstkvssink::producer::{Ack, StreamCallbacks};
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn ack(&self, ack: &Ack) {
    ///         println!("{} {:?}", ack.kind, ack.timecode);
    ///     }
    /// }
    /// ```
    fn ack(&self, ack: &Ack) {}

    /// The way to the service is lost; it is tried again. Once per outage.
    ///
    /// ```
    /// use gstkvssink::producer::{Failure, StreamCallbacks};
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn connection_lost(&self, cause: &Failure) {
    ///         println!("lost, trying again: {cause}");
    ///     }
    /// }
    /// ```
    fn connection_lost(&self, cause: &Failure) {}

    /// A fragment is PERSISTED again (without acks: PutMedia is accepted again) after `outage`; the connection had to send
    /// `resending` fragments again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gstkvssink::producer::StreamCallbacks;
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn connection_restored(&self, outage: Duration, resending: u64) {
    ///         println!("back after {outage:?}, {resending} fragments again");
    ///     }
    /// }
    /// ```
    fn connection_restored(&self, outage: Duration, resending: u64) {}

    /// No ack came for `silence` although some were due: the connection is given up.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gstkvssink::producer::StreamCallbacks;
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn connection_stale(&self, silence: Duration) {
    ///         println!("no ack for {silence:?}");
    ///     }
    /// }
    /// ```
    fn connection_stale(&self, silence: Duration) {}

    /// Something happened on disk.
    ///
    /// ```
    /// use gstkvssink::producer::{SpoolEvent, StreamCallbacks};
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn spool(&self, event: &SpoolEvent) {
    ///         if let SpoolEvent::Left { frames, .. } = event {
    ///             println!("{frames} frames are sent next time");
    ///         }
    ///     }
    /// }
    /// ```
    fn spool(&self, event: &SpoolEvent) {}

    /// The service refused a fragment twice with this error id: it is not sent again.
    ///
    /// ```
    /// use gstkvssink::producer::{StreamCallbacks, Timecode};
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn fragment_skipped(&self, timecode: Timecode, error_id: u32, frames: u64) {
    ///         println!("{timecode} was refused: {error_id}, {frames} frames");
    ///     }
    /// }
    /// ```
    fn fragment_skipped(&self, timecode: Timecode, error_id: u32, frames: u64) {}

    /// A fragment was dropped before it was PERSISTED, since the media is live and there was no room, or time, for it; or the
    /// service refused it. Its frames are in [`Self::frames_dropped`], too. Each fragment, at most some five a second.
    ///
    /// ```
    /// use gstkvssink::producer::{DropReason, StreamCallbacks, Timecode};
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn fragment_dropped(&self, timecode: Timecode, reason: DropReason, frames: u64) {
    ///         println!("{timecode}: {frames} frames, {reason}");
    ///     }
    /// }
    /// ```
    fn fragment_dropped(&self, timecode: Timecode, reason: DropReason, frames: u64) {}

    /// No frame came for 10 s, and everything is sent: its last acks are awaited, then the connection is closed until there is
    /// something to send.
    ///
    /// ```
    /// use gstkvssink::producer::StreamCallbacks;
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn underflow(&self) {
    ///         println!("nothing to send");
    ///     }
    /// }
    /// ```
    fn underflow(&self) {}

    /// `bytes` of `storage` bytes are in use. Once, until it is half of it again.
    ///
    /// ```
    /// use gstkvssink::producer::StreamCallbacks;
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn storage_pressure(&self, bytes: u64, storage: u64) {
    ///         println!("{} %", 100 * bytes / storage);
    ///     }
    /// }
    /// ```
    fn storage_pressure(&self, bytes: u64, storage: u64) {}

    /// Media of this duration is kept; at `buffer_duration` the oldest is dropped (realtime). Once, until it is half of it
    /// again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gstkvssink::producer::StreamCallbacks;
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn duration_pressure(&self, duration: Duration, buffer_duration: Duration) {
    ///         println!("{duration:?} of {buffer_duration:?}");
    ///     }
    /// }
    /// ```
    fn duration_pressure(&self, duration: Duration, buffer_duration: Duration) {}

    /// Media waits this long to be PERSISTED. Once, until it is half of `max_latency` again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gstkvssink::producer::StreamCallbacks;
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn latency_pressure(&self, latency: Duration) {
    ///         println!("{latency:?} behind");
    ///     }
    /// }
    /// ```
    fn latency_pressure(&self, latency: Duration) {}

    /// Frames between these presentation times were dropped.
    ///
    /// ```
    /// use gstkvssink::producer::{DropReason, StreamCallbacks, Timestamp};
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn frames_dropped(&self, reason: DropReason, frames: u64, from: Timestamp, to: Timestamp) {
    ///         println!("{frames} frames from {from} to {to}: {reason}");
    ///     }
    /// }
    /// ```
    fn frames_dropped(&self, reason: DropReason, frames: u64, from: Timestamp, to: Timestamp) {}

    /// The device's clock is wrong: signatures go by the service's, which is so many milliseconds ahead (behind, if
    /// negative). 0: it is right again. Timestamps of frames are not changed.
    ///
    /// ```
    /// use gstkvssink::producer::StreamCallbacks;
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn clock_offset(&self, millis: i64) {
    ///         println!("set the clock: {millis} ms");
    ///     }
    /// }
    /// ```
    fn clock_offset(&self, millis: i64) {}

    /// Where the credentials are from, in words, never what they are; for a log. When they are used for the first time, and
    /// when it changes.
    ///
    /// ```
    /// use gstkvssink::producer::StreamCallbacks;
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn credentials(&self, source: &str) {
    ///         println!("credentials: {source}");
    ///     }
    /// }
    /// ```
    fn credentials(&self, source: &str) {}

    /// The region, if it had to be found out. `assumed`: nothing names one, so it is the default. Once.
    ///
    /// ```
    /// use gstkvssink::producer::StreamCallbacks;
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn region(&self, name: &str, assumed: bool) {
    ///         println!("region {name}, assumed: {assumed}");
    ///     }
    /// }
    /// ```
    fn region(&self, name: &str, assumed: bool) {}

    /// A track gives nothing: the others go on without it, and it is left out of the header. Once, until it is back.
    ///
    /// ```
    /// use gstkvssink::producer::{StreamCallbacks, TrackNumber};
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn track_missing(&self, track: TrackNumber) {
    ///         println!("track {track} is silent");
    ///     }
    /// }
    /// ```
    fn track_missing(&self, track: TrackNumber) {}

    /// A track that was missing is sent again.
    ///
    /// ```
    /// use gstkvssink::producer::{StreamCallbacks, TrackNumber};
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn track_restored(&self, track: TrackNumber) {
    ///         println!("track {track} is back");
    ///     }
    /// }
    /// ```
    fn track_restored(&self, track: TrackNumber) {}

    /// Frames cannot be used until a key frame comes.
    ///
    /// ```
    /// use gstkvssink::producer::StreamCallbacks;
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn key_frame_needed(&self) {
    ///         println!("the encoder is asked for a key frame");
    ///     }
    /// }
    /// ```
    fn key_frame_needed(&self) {}

    /// Everything that was put before the end was asked for ([`super::Stream::drain`],
    /// [`super::Stream::begin_drain`]) is PERSISTED, or was told as dropped; the stream may go on.
    ///
    /// ```
    /// use gstkvssink::producer::StreamCallbacks;
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn drained(&self) {
    ///         println!("everything is PERSISTED");
    ///     }
    /// }
    /// ```
    fn drained(&self) {}

    /// The stream cannot go on. Once.
    ///
    /// ```
    /// use gstkvssink::producer::{StreamCallbacks, StreamError};
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn error(&self, error: &StreamError) {
    ///         println!("{error}; {} frames are missing", error.missing);
    ///     }
    /// }
    /// ```
    fn error(&self, error: &StreamError) {}

    /// The stream has ended. Last call; before [`super::Stream::stop`] returns, unless callbacks take more than half a second
    /// then.
    ///
    /// ```
    /// use gstkvssink::producer::{Stats, StreamCallbacks};
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn closed(&self, stats: &Stats) {
    ///         println!("{stats}");
    ///     }
    /// }
    /// ```
    fn closed(&self, stats: &Stats) {}

    /// The state of the session changed; for a log.
    ///
    /// ```
    /// use gstkvssink::producer::StreamCallbacks;
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn state(&self, name: &'static str) {
    ///         println!("{name}");
    ///     }
    /// }
    /// ```
    fn state(&self, name: &'static str) {}

    /// So many calls were left out, since these callbacks are too slow: more than 1024 waited. Acks and states go first, an
    /// error and the end are never left out.
    ///
    /// ```
    /// use gstkvssink::producer::StreamCallbacks;
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn calls_left_out(&self, calls: u64) {
    ///         println!("{calls} calls were left out");
    ///     }
    /// }
    /// ```
    fn calls_left_out(&self, calls: u64) {}
}

/// Callbacks that do nothing.
impl StreamCallbacks for () {}

/// Calls the method for `event`.
pub(crate) fn tell(callbacks: &dyn StreamCallbacks, event: &Event) {
    match event {
        Event::State(name) => callbacks.state(name),
        Event::Ready => callbacks.ready(),
        Event::RetentionDiffers { has, wanted } => callbacks.retention_differs(*has, *wanted),
        Event::Ack(ack) => callbacks.ack(ack),
        Event::ConnectionLost(failure) => callbacks.connection_lost(failure),
        Event::ConnectionRestored { outage, resending } => {
            callbacks.connection_restored(*outage, *resending)
        }
        Event::FramesDropped {
            reason,
            frames,
            from,
            to,
        } => callbacks.frames_dropped(*reason, *frames, *from, *to),
        Event::FragmentDropped {
            timecode,
            reason,
            frames,
        } => callbacks.fragment_dropped(*timecode, *reason, *frames),
        Event::Underflow => callbacks.underflow(),
        Event::LeftOut { calls } => callbacks.calls_left_out(*calls),
        Event::ConnectionStale { silence } => callbacks.connection_stale(*silence),
        Event::FragmentSkipped {
            timecode,
            error_id,
            frames,
        } => {
            callbacks.fragment_skipped(*timecode, *error_id, *frames);
        }
        Event::StoragePressure { bytes, storage } => callbacks.storage_pressure(*bytes, *storage),
        Event::DurationPressure {
            duration,
            buffer_duration,
        } => callbacks.duration_pressure(*duration, *buffer_duration),
        Event::LatencyPressure { latency } => callbacks.latency_pressure(*latency),
        Event::Spool(event) => callbacks.spool(event),
        Event::ClockOffset { millis } => callbacks.clock_offset(*millis),
        Event::Credentials { source } => callbacks.credentials(source),
        Event::Region { name, assumed } => callbacks.region(name, *assumed),
        Event::TrackMissing { track } => callbacks.track_missing(*track),
        Event::TrackRestored { track } => callbacks.track_restored(*track),
        Event::KeyFrameNeeded => callbacks.key_frame_needed(),
        Event::Drained => callbacks.drained(),
        Event::Failed(error) => callbacks.error(error),
        Event::Closed(stats) => callbacks.closed(stats),
    }
}

impl Told for Event {
    fn left_out(calls: u64) -> Self {
        Self::LeftOut { calls }
    }

    fn weight(&self) -> Weight {
        match self {
            Self::Ack(_)
            | Self::State(_)
            | Self::FragmentDropped { .. }
            | Self::Spool(SpoolEvent::Kept { .. }) => Weight::Light,
            Self::Failed(_) | Self::Closed(_) | Self::Drained | Self::Ready => Weight::Last,
            _ => Weight::Heavy,
        }
    }
}

/// What concerns all streams of a producer.
///
/// Called as [`StreamCallbacks`] are, on another thread. There are so few of them that those that panic or are left out are
/// not counted.
///
/// ```
/// use gstkvssink::producer::ClientCallbacks;
///
/// struct Log;
///
/// impl ClientCallbacks for Log {
///     fn storage_pressure(&self, bytes: u64, storage: u64) {
///         eprintln!("{} % of the storage are in use", 100 * bytes / storage);
///     }
/// }
/// ```
#[expect(
    unused_variables,
    reason = "the defaults do nothing; the names document"
)]
pub trait ClientCallbacks: Send + Sync + 'static {
    /// The producer's thread runs: streams can be made. Once.
    ///
    /// ```
    /// use gstkvssink::producer::ClientCallbacks;
    ///
    /// struct Log;
    /// impl ClientCallbacks for Log {
    ///     fn ready(&self) {
    ///         println!("ready");
    ///     }
    /// }
    /// ```
    fn ready(&self) {}

    /// All streams together hold `bytes` of `storage` bytes: nine tenths at least. Once, until it is half of it again.
    ///
    /// ```
    /// use gstkvssink::producer::ClientCallbacks;
    ///
    /// struct Log;
    /// impl ClientCallbacks for Log {
    ///     fn storage_pressure(&self, bytes: u64, storage: u64) {
    ///         println!("{bytes} of {storage} bytes");
    ///     }
    /// }
    /// ```
    fn storage_pressure(&self, bytes: u64, storage: u64) {}

    /// The producer and its last stream are gone. Last call.
    ///
    /// ```
    /// use gstkvssink::producer::ClientCallbacks;
    ///
    /// struct Log;
    /// impl ClientCallbacks for Log {
    ///     fn closed(&self) {
    ///         println!("closed");
    ///     }
    /// }
    /// ```
    fn closed(&self) {}
}

/// Callbacks that do nothing.
impl ClientCallbacks for () {}

/// What a producer tells.
#[derive(Clone, Copy, Debug)]
enum OfClient {
    Ready,
    StoragePressure { bytes: u64, storage: u64 },
    Closed,
    LeftOut,
}

impl Told for OfClient {
    fn left_out(_: u64) -> Self {
        Self::LeftOut
    }

    fn weight(&self) -> Weight {
        match self {
            Self::Ready | Self::Closed => Weight::Last,
            Self::StoragePressure { .. } | Self::LeftOut => Weight::Light,
        }
    }
}

/// What the streams of a producer share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(super) storage: Storage,
    /// `None`: nobody wants to be told, and no thread is begun for it.
    client: Option<Arc<Client>>,
}

struct Client(Dispatch<OfClient>);

impl Shared {
    pub(super) fn new(storage: Storage, callbacks: Option<Arc<dyn ClientCallbacks>>) -> Self {
        let client = callbacks.map(|callbacks| Arc::new(Client::new(callbacks)));
        Self { storage, client }
    }

    /// For a driver: what it did may have brought the storage near its bound.
    pub(crate) fn look(&self) {
        if let Some(Client(dispatch)) = self.client.as_deref()
            && self.storage.pressure_begins()
        {
            dispatch.tell(OfClient::StoragePressure {
                bytes: self.storage.held(),
                storage: self.storage.limit(),
            });
        }
    }
}

impl Client {
    fn new(callbacks: Arc<dyn ClientCallbacks>) -> Self {
        let call = move |told: &OfClient| match *told {
            OfClient::Ready => callbacks.ready(),
            OfClient::StoragePressure { bytes, storage } => {
                callbacks.storage_pressure(bytes, storage)
            }
            OfClient::Closed => callbacks.closed(),
            OfClient::LeftOut => {}
        };
        let dispatch = Dispatch::queued(0, Arc::default(), call, || ());
        dispatch.tell(OfClient::Ready);
        Self(dispatch)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.tell(OfClient::Closed);
    }
}
