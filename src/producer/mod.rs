//! The object model for applications: a [`Producer`] (service, credentials, a thread) makes [`Stream`]s that take frames.
//!
//! ```no_run
//! use std::sync::Arc;
//! use gstkvssink::producer::{
//!     Codec, Frame, Producer, Service, StreamDefinition, StreamName, Timestamp, Track, TrackNumber,
//! };
//! # fn encoder() -> (bytes::Bytes, Vec<(u64, bool, bytes::Bytes)>) { (bytes::Bytes::new(), Vec::new()) }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = Service {
//!     user_agent: "my-camera/1.0".into(),
//!     ..Service::new("eu-central-1")
//! };
//! let producer = Producer::new("my-camera", service)?;
//! let stream = producer.create_stream(StreamDefinition::new(StreamName::new("cam1")?), Arc::new(()))?;
//! let (avcc, frames) = encoder();
//! stream.set_tracks(&[Track::video(Codec::H264, avcc, 1280, 720)?])?;
//! for (millis, key, payload) in frames {
//!     let pts = Timestamp::from_millis(millis);
//!     stream.put_frame(Frame { track: TrackNumber::VIDEO, pts, dts: None, key, payload })?;
//! }
//! stream.stop()?; // returns when everything is PERSISTED, or with what is missing
//! # Ok(())
//! # }
//! ```
//! Belongs here: objects, callbacks, threads that may call. Does not belong here: GStreamer, the protocol.

mod callbacks;
mod metrics;

use std::{sync::Arc, time::Duration};

pub use callbacks::StreamCallbacks;
pub(crate) use callbacks::tell;
pub use metrics::ProducerMetrics;

pub use crate::{
    definition::{
        Fragmentation, Invalid, StreamDefinition, StreamName, StreamingType, TimecodeType,
    },
    fragment::DropReason,
    media::{
        AudioSpecificConfig, Avcc, Codec, Format, Frame, Hints, Hvcc, InvalidAccessUnit,
        InvalidAudioSpecificConfig, InvalidAvcc, InvalidFormat, InvalidHvcc, InvalidTrack,
        InvalidWaveFormat, MAX_CODEC_ID, MAX_CODEC_PRIVATE, MAX_TRACK_NAME, Malformed,
        ParameterSet, Reframed, Reframer, Track, TrackKind, TrackNumber, Unit, alaw_private,
        mulaw_private,
    },
    mkv::{InvalidTag, MAX_TAG_NAME, MAX_TAG_VALUE, MAX_TAGS_PER_FRAGMENT},
    net::{
        Credentials, DEFAULT_REGION, DEFAULT_USER_AGENT, DrainError, IotCertificate, PutError,
        Role, Service, wall_now,
    },
    secret::Secret,
    session::{
        Ack, AckKind, AckLatency, Call, Cause, EventMetadata, Failure, Fatal, InvalidMetadata,
        MAX_METADATA, Stats, StreamError,
    },
    time::{Timecode, Timestamp},
};
use crate::{
    net::{Clock, Driver, Intake, Patience, Runtime, SigningClock},
    session::Session,
};

/// After `stop_timeout` the driver needs a moment to count and to tell; then nobody waits for it any longer.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// A source of streams, with a thread of its own on which they are sent. Streams outlive it; the thread ends with the last.
pub struct Producer {
    runtime: Runtime,
    service: Service,
    signing: SigningClock,
}

impl Producer {
    /// Starts the thread, with this name (cut to 15 bytes on Linux). No network is touched.
    ///
    /// # Errors
    /// [`Invalid`] when the system gives no thread.
    pub fn new(thread_name: &str, service: Service) -> Result<Self, Invalid> {
        Ok(Self {
            runtime: Runtime::start(thread_name)?,
            service,
            signing: SigningClock::default(),
        })
    }

    /// Makes a stream and begins to prepare it (describe, create, data endpoint) on the producer's thread. Returns at
    /// once; what becomes of it is told to `callbacks`.
    ///
    /// # Errors
    /// [`Invalid`] when a setting cannot work.
    pub fn create_stream(
        &self,
        definition: StreamDefinition,
        callbacks: Arc<dyn StreamCallbacks>,
    ) -> Result<Stream, Invalid> {
        definition.check()?;
        let clock = Clock::start();
        let stop_timeout = definition.stop_timeout;
        let session = Session::new(definition.clone(), fastrand::u64(..));
        let intake = Arc::new(Intake::new(session, clock, self.runtime.thread()));
        let driver = Driver::new(
            &self.service,
            definition,
            Arc::clone(&intake),
            clock,
            self.signing.clone(),
            callbacks,
        )?;
        self.runtime.spawn(driver);
        Ok(Stream {
            intake,
            stop_timeout,
        })
    }
}

/// One stream. All methods may be called from any thread, also from one that runs tokio tasks.
pub struct Stream {
    intake: Arc<Intake>,
    stop_timeout: Duration,
}

impl Stream {
    /// The tracks of the frames that follow. Other tracks than before begin a new PutMedia session.
    ///
    /// # Errors
    /// [`Invalid`] when there are none or more than three, or two have the same number.
    pub fn set_tracks(&self, tracks: &[Track]) -> Result<(), Invalid> {
        self.intake.set_tracks(tracks)
    }

    /// A source of this track is there, and its [`Self::set_track`] is to come: the others wait for it, at most
    /// `track_timeout`.
    ///
    /// # Errors
    /// [`Invalid`] when the stream has three tracks already.
    pub fn expect_track(&self, track: TrackNumber) -> Result<(), Invalid> {
        self.intake.expect_track(track)
    }

    /// A track, or another one of the same number: for the frames of this track that follow. Nothing is lost by it: another
    /// header begins another PutMedia session at the next fragment. For sources whose tracks come one by one; where they
    /// are known together, [`Self::set_tracks`].
    ///
    /// # Errors
    /// [`Invalid`] when the stream has three others.
    pub fn set_track(&self, track: Track) -> Result<(), Invalid> {
        self.intake.set_track(track)
    }

    /// No frame of this track follows (unless one does): the others do not wait for it.
    pub fn end_track(&self, track: TrackNumber) {
        self.intake.end_track(track);
    }

    /// The track is gone, with what it was. What was put of it is sent.
    pub fn remove_track(&self, track: TrackNumber) {
        self.intake.remove_track(track);
    }

    /// No frame of this track comes before `until` (decode time): it is there, but silent, and the others need not wait.
    pub fn track_gap(&self, track: TrackNumber, until: Timestamp) {
        self.intake.track_gap(track, until);
    }

    /// Something of this track is missing before its next frame. Of video, what follows needs a key frame; of audio nothing
    /// does.
    pub fn end_fragment_of(&self, track: TrackNumber) {
        self.intake.end_fragment_of(track);
    }

    /// What follows may have earlier timestamps than what was sent, since the clock that they are of is another. The open
    /// fragment ends; the next key frame begins another PutMedia session, in which time may begin anew.
    pub fn restart_time(&self) {
        self.intake.restart_time();
    }

    /// A name and a value for the fragment that is open, or else the next one. A persistent one goes with each fragment from
    /// there on, until it is put with an empty value.
    ///
    /// # Errors
    /// [`InvalidMetadata`] names the limit of the service that it would break; then nothing was put.
    pub fn put_metadata(
        &self,
        name: &str,
        value: &str,
        persistent: bool,
    ) -> Result<(), InvalidMetadata> {
        self.intake.put_metadata(name, value, persistent)
    }

    /// Asks the service for an image of the fragment that is open (or else the next one), for a notification, or both. The
    /// stream must be configured for it (UpdateImageGenerationConfiguration, UpdateNotificationConfiguration).
    ///
    /// # Errors
    /// [`InvalidMetadata`] names the limit of the service that it would break; then nothing was put.
    pub fn put_event(&self, event: EventMetadata) -> Result<(), InvalidMetadata> {
        self.intake.put_event(event)
    }

    /// Takes a frame, in decode order of its track. Waits for room only when the stream is offline.
    ///
    /// # Errors
    /// [`PutError::Interrupted`] gives the frame back when [`Self::interrupt`] ended the wait; [`PutError::Stopped`]
    /// after the end.
    pub fn put_frame(&self, frame: Frame) -> Result<(), PutError> {
        self.intake.put_frame(frame)
    }

    /// Waits until there is room for a frame of this track and this many bytes, and until the other tracks are not too far
    /// behind; only offline, and not while [interrupted](Self::interrupt), nor in a callback. For threads that must not wait
    /// when they put: this, then [`Self::take_frame`].
    pub fn wait_for_room(&self, track: TrackNumber, bytes: u64, key: bool) {
        self.intake.wait_for_room(track, bytes, key);
    }

    /// [`Self::put_frame`] that never waits: offline a frame for which there is no room is taken, too.
    ///
    /// # Errors
    /// [`PutError::Stopped`] after the end.
    pub fn take_frame(&self, frame: Frame) -> Result<(), PutError> {
        self.intake.take_frame(frame)
    }

    /// Counts and tells a frame that came but cannot be put.
    pub fn drop_frame(&self, reason: DropReason, at: Timestamp) {
        self.intake.drop_frame(reason, at);
    }

    /// The open fragment is complete; the next frame must be a key frame. For a gap, a flush, another source.
    pub fn end_fragment(&self) {
        self.intake.end_fragment();
    }

    /// While true, [`Self::put_frame`] does not wait for room, and [`Self::drain`] not for acks.
    pub fn interrupt(&self, interrupted: bool) {
        self.intake.interrupt(interrupted);
    }

    /// Waits until everything that was put is PERSISTED, at most `stop_timeout`. After `Ok` a key frame may go on.
    /// `go_on` is asked when it begins to wait, after [`Self::wake`], and now and then.
    ///
    /// # Errors
    /// [`DrainError::Interrupted`] when `go_on` says false, by [`Self::interrupt`], and in a callback: the stream goes on;
    /// [`DrainError::Failed`] when the stream ended before.
    pub fn drain(&self, go_on: impl FnMut() -> bool) -> Result<(), DrainError> {
        self.intake.end(self.stop_timeout, false, go_on)
    }

    /// [`Self::drain`] without a wait: [`StreamCallbacks::drained`] tells that it is over, [`StreamCallbacks::error`] that
    /// the time was up. [`Self::resume`] takes it back.
    pub fn begin_drain(&self) {
        self.intake.begin_drain(self.stop_timeout);
    }

    /// Takes [`Self::begin_drain`] back: what was put is still sent, but nobody waits for its end.
    pub fn resume(&self) {
        self.intake.resume();
    }

    /// Wakes [`Self::drain`], so that it asks its `go_on` again.
    pub fn wake(&self) {
        self.intake.wake();
    }

    /// Ends the stream: waits until everything is PERSISTED, at most `stop_timeout`. In a callback it does not wait.
    ///
    /// # Errors
    /// [`StreamError`] when the stream ended before; it says what is missing.
    pub fn stop(&self) -> Result<(), StreamError> {
        self.stop_within(self.stop_timeout)
    }

    /// [`Self::stop`] with another limit.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub fn stop_within(&self, limit: Duration) -> Result<(), StreamError> {
        let patience = Patience::of(limit + STOP_GRACE);
        match self.intake.end(limit, true, || patience.lasts()) {
            Ok(()) => Ok(()),
            Err(DrainError::Interrupted) => self.left_behind(),
            Err(DrainError::Failed(error)) => Err(error),
        }
    }

    /// The driver does not come to the end: a callback blocks it, or is the caller.
    fn left_behind(&self) -> Result<(), StreamError> {
        let missing = self.stats().frames_pending;
        if missing == 0 || self.intake.called_back() {
            return Ok(());
        }
        let message = format!("a callback blocks the producer; {missing} frames are not PERSISTED");
        Err(StreamError {
            fatal: Fatal::Internal,
            message,
            status: None,
            request_id: None,
            error_id: None,
            missing,
        })
    }

    /// The numbers, now.
    pub fn stats(&self) -> Stats {
        self.intake.stats()
    }
}

/// A stream that is dropped is stopped without a wait: what is not PERSISTED yet is lost.
impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.intake.end(Duration::ZERO, true, || false);
    }
}
