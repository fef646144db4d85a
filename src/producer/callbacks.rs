//! [`StreamCallbacks`]: what a stream tells its application. Every method has a default, so implement what you need.

use std::time::Duration;

use crate::{
    fragment::DropReason,
    media::TrackNumber,
    session::{Ack, Event, Failure, Stats, StreamError},
    time::{Timecode, Timestamp},
};

/// Called on the producer's thread, in order, without a lock held. Do not block in them: the upload waits meanwhile.
/// What waits otherwise ([`super::Stream::put_frame`] offline, `drain`, `stop`) does not wait in them.
#[expect(
    unused_variables,
    reason = "the defaults do nothing; the names document"
)]
pub trait StreamCallbacks: Send + Sync + 'static {
    /// The stream exists, is ACTIVE, and its data endpoint is known. Once.
    fn ready(&self) {}
    /// The stream has another retention than its definition; it is changed only with
    /// [`update_retention`](crate::definition::StreamDefinition::update_retention).
    fn retention_differs(&self, has: Duration, wanted: Duration) {}
    /// The service acknowledged a fragment.
    fn ack(&self, ack: &Ack) {}
    /// The way to the service is lost; it is tried again. Once per outage.
    fn connection_lost(&self, cause: &Failure) {}
    /// A fragment is PERSISTED again (without acks: PutMedia is accepted again) after `outage`; the connection had to send
    /// `resending` fragments again.
    fn connection_restored(&self, outage: Duration, resending: u64) {}
    /// No ack came for `silence` although some were due: the connection is given up.
    fn connection_stale(&self, silence: Duration) {}
    /// The service refused a fragment twice with this error id: it is not sent again.
    fn fragment_skipped(&self, timecode: Timecode, error_id: u32, frames: u64) {}
    /// `bytes` of `storage` bytes are in use. Once, until it is half of it again.
    fn storage_pressure(&self, bytes: u64, storage: u64) {}
    /// Media of this duration is kept; at `buffer_duration` the oldest is dropped (realtime). Once, until it is half of it
    /// again.
    fn duration_pressure(&self, duration: Duration, buffer_duration: Duration) {}
    /// Media waits this long to be PERSISTED. Once, until it is half of `max_latency` again.
    fn latency_pressure(&self, latency: Duration) {}
    /// Frames between these presentation times were dropped.
    fn frames_dropped(&self, reason: DropReason, frames: u64, from: Timestamp, to: Timestamp) {}
    /// The device's clock is wrong: signatures go by the service's, which is so many milliseconds ahead (behind, if
    /// negative). 0: it is right again. Timestamps of frames are not changed.
    fn clock_offset(&self, millis: i64) {}
    /// Where the credentials are from, in words, never what they are; for a log. When they are used for the first time, and
    /// when it changes.
    fn credentials(&self, source: &str) {}
    /// The region, if it had to be found out. `assumed`: nothing names one, so it is the default. Once.
    fn region(&self, name: &str, assumed: bool) {}
    /// A track gives nothing: the others go on without it, and it is left out of the header. Once, until it is back.
    fn track_missing(&self, track: TrackNumber) {}
    /// A track that was missing is sent again.
    fn track_restored(&self, track: TrackNumber) {}
    /// Frames cannot be used until a key frame comes.
    fn key_frame_needed(&self) {}
    /// Everything that was put before the end was asked for ([`super::Stream::drain`],
    /// [`super::Stream::begin_drain`]) is PERSISTED, or was told as dropped; the stream may go on.
    fn drained(&self) {}
    /// The stream cannot go on. Once.
    fn error(&self, error: &StreamError) {}
    /// The stream has ended. Last call.
    fn closed(&self, stats: &Stats) {}
    /// The state of the session changed; for a log.
    fn state(&self, name: &'static str) {}
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
