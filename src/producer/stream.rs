//! [`Stream`]: where the frames of one stream are put, and how it ends.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    DropReason, EventMetadata, Fatal, Frame, Invalid, InvalidMetadata, PutError, Stats,
    StreamError, Timestamp, Track, TrackNumber, WaitError,
};
use crate::net::{Intake, Patience};

/// After `stop_timeout` the driver needs a moment to count and to tell; then nobody waits for it any longer.
const STOP_GRACE: Duration = Duration::from_millis(950);

/// One stream. All methods may be called from any thread, also from one that runs tokio tasks, and by several at a time.
/// Dropping it ends it at once ([`Self::stop_now`], without a wait).
///
/// ```
/// use gstkvssink::producer::{Frame, Stream};
///
/// fn send(stream: &Stream, frames: Vec<Frame>) -> Result<(), Box<dyn std::error::Error>> {
///     for frame in frames {
///         stream.put_frame(frame)?;
///     }
///     stream.stop()?;
///     Ok(())
/// }
/// ```
#[must_use = "a stream that is dropped ends at once"]
pub struct Stream {
    intake: Arc<Intake>,
    stop_timeout: Duration,
}

impl Stream {
    pub(super) fn new(intake: Arc<Intake>, stop_timeout: Duration) -> Self {
        Self {
            intake,
            stop_timeout,
        }
    }

    /// Waits until the stream exists, is ACTIVE, and its data endpoint is known; at most `limit`. Frames may be put before.
    /// A stream that is to be created is so when its tracks are known, unless its `content_type` is set.
    ///
    /// # Errors
    /// [`WaitError::Interrupted`] after `limit`, by [`Self::interrupt`], and in a callback; [`WaitError::Failed`] when the
    /// stream cannot work.
    ///
    /// ```
    /// # use gstkvssink::producer::{Stream, WaitError};
    /// # fn f(stream: Stream) -> Result<(), WaitError> {
    /// stream.wait_ready(std::time::Duration::from_secs(30))?;
    /// # Ok(()) }
    /// ```
    pub fn wait_ready(&self, limit: Duration) -> Result<(), WaitError> {
        self.intake.wait_ready(Patience::of(limit))
    }

    /// [`Self::wait_ready`] for tasks, without a limit. Cancel safe.
    ///
    /// # Errors
    /// As [`Self::wait_ready`].
    ///
    /// ```
    /// # use gstkvssink::producer::{Stream, WaitError};
    /// # async fn f(stream: Stream) -> Result<(), WaitError> {
    /// stream.wait_ready_in_task().await?;
    /// # Ok(()) }
    /// ```
    pub async fn wait_ready_in_task(&self) -> Result<(), WaitError> {
        self.intake.ready_in_task().await
    }

    /// The tracks of the frames that follow. Other tracks than before begin a new PutMedia session.
    ///
    /// # Errors
    /// [`Invalid`] when there are none or more than three, or two have the same number.
    ///
    /// ```
    /// # use gstkvssink::producer::{Codec, InvalidTrack, Stream, Track};
    /// # fn f(stream: Stream, avcc: bytes::Bytes) -> Result<(), Box<dyn std::error::Error>> {
    /// stream.set_tracks(&[Track::video(Codec::H264, avcc, 1280, 720)?])?;
    /// # Ok(()) }
    /// ```
    pub fn set_tracks(&self, tracks: &[Track]) -> Result<(), Invalid> {
        self.intake.set_tracks(tracks)
    }

    /// A source of this track is there, and its [`Self::format_changed`] is to come: the others wait for it, at most
    /// `track_timeout`.
    ///
    /// # Errors
    /// [`Invalid`] when the stream has three tracks already.
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) -> Result<(), gstkvssink::producer::Invalid> {
    /// stream.expect_track(gstkvssink::producer::TrackNumber::AUDIO)?;
    /// # Ok(()) }
    /// ```
    pub fn expect_track(&self, track: TrackNumber) -> Result<(), Invalid> {
        self.intake.expect_track(track)
    }

    /// A track, or another one of the same number: for the frames of this track that follow. Nothing is lost by it: another
    /// header begins another PutMedia session at the next fragment. For sources whose tracks come one by one; where they
    /// are known together, [`Self::set_tracks`].
    ///
    /// # Errors
    /// [`Invalid`] when the stream has three others.
    ///
    /// ```
    /// # use gstkvssink::producer::{Codec, Stream, Track};
    /// # fn f(stream: Stream, avcc: bytes::Bytes) -> Result<(), Box<dyn std::error::Error>> {
    /// stream.format_changed(Track::video(Codec::H264, avcc, 1920, 1080)?)?;
    /// # Ok(()) }
    /// ```
    pub fn format_changed(&self, track: Track) -> Result<(), Invalid> {
        self.intake.format_changed(track)
    }

    /// No frame of this track follows (unless one does): the others do not wait for it.
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) {
    /// stream.end_track(gstkvssink::producer::TrackNumber::AUDIO);
    /// # }
    /// ```
    pub fn end_track(&self, track: TrackNumber) {
        self.intake.end_track(track);
    }

    /// The track is gone, with what it was. What was put of it is sent.
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) {
    /// stream.remove_track(gstkvssink::producer::TrackNumber::AUDIO);
    /// # }
    /// ```
    pub fn remove_track(&self, track: TrackNumber) {
        self.intake.remove_track(track);
    }

    /// No frame of this track comes before `until` (decode time): it is there, but silent, and the others need not wait.
    ///
    /// ```
    /// # use gstkvssink::producer::{Stream, Timestamp, TrackNumber};
    /// # fn f(stream: Stream) {
    /// stream.track_gap(TrackNumber::AUDIO, Timestamp::from_millis(1_700_000_005_000));
    /// # }
    /// ```
    pub fn track_gap(&self, track: TrackNumber, until: Timestamp) {
        self.intake.track_gap(track, until);
    }

    /// Something of this track is missing before its next frame. Of video, what follows needs a key frame; of audio nothing
    /// does.
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) {
    /// stream.end_fragment_of(gstkvssink::producer::TrackNumber::VIDEO);
    /// # }
    /// ```
    pub fn end_fragment_of(&self, track: TrackNumber) {
        self.intake.end_fragment_of(track);
    }

    /// What follows may have earlier timestamps than what was sent, since the clock that they are of is another. The open
    /// fragment ends; the next key frame begins another PutMedia session, in which time may begin anew.
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) {
    /// stream.restart_time();
    /// # }
    /// ```
    pub fn restart_time(&self) {
        self.intake.restart_time();
    }

    /// A name and a value for the fragment that is open, or else the next one. A persistent one goes with each fragment from
    /// there on, until it is put with an empty value.
    ///
    /// # Errors
    /// [`InvalidMetadata`] names the limit of the service that it would break; then nothing was put.
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) -> Result<(), gstkvssink::producer::InvalidMetadata> {
    /// stream.put_fragment_metadata("gate", "open", false)?;
    /// # Ok(()) }
    /// ```
    pub fn put_fragment_metadata(
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
    ///
    /// ```
    /// # use gstkvssink::producer::{EventMetadata, InvalidMetadata, Stream};
    /// # fn f(stream: Stream) -> Result<(), InvalidMetadata> {
    /// stream.put_event_metadata(EventMetadata {
    ///     notification: true,
    ///     ..EventMetadata::default()
    /// })?;
    /// # Ok(()) }
    /// ```
    pub fn put_event_metadata(&self, event: EventMetadata) -> Result<(), InvalidMetadata> {
        self.intake.put_event(event)
    }

    /// Takes a frame, in decode order of its track. Waits for room only when the stream is offline.
    ///
    /// # Errors
    /// [`PutError::Interrupted`] gives the frame back when [`Self::interrupt`] ended the wait; [`PutError::Stopped`]
    /// after the end.
    ///
    /// ```
    /// # use gstkvssink::producer::{Frame, PutError, Stream};
    /// # fn f(stream: Stream, frame: Frame) -> Result<(), PutError> {
    /// stream.put_frame(frame)?;
    /// # Ok(()) }
    /// ```
    pub fn put_frame(&self, frame: Frame) -> Result<(), PutError> {
        self.intake.put_frame(frame)
    }

    /// [`Self::put_frame`] for tasks. Cancel safe: a frame whose future was dropped before it was taken is not counted.
    ///
    /// # Errors
    /// As [`Self::put_frame`].
    ///
    /// ```
    /// # use gstkvssink::producer::{Frame, PutError, Stream};
    /// # async fn f(stream: Stream, frame: Frame) -> Result<(), PutError> {
    /// stream.put_frame_in_task(frame).await?;
    /// # Ok(()) }
    /// ```
    pub async fn put_frame_in_task(&self, frame: Frame) -> Result<(), PutError> {
        self.intake.put_frame_in_task(frame).await
    }

    /// Waits until there is room for a frame of this track and this many bytes, and until the other tracks are not too far
    /// behind; only offline, and not while [interrupted](Self::interrupt), nor in a callback. For threads that must not wait
    /// when they put: this, then [`Self::take_frame`].
    ///
    /// ```
    /// # use gstkvssink::producer::{Frame, PutError, Stream};
    /// # fn f(stream: Stream, frame: Frame) -> Result<(), PutError> {
    /// stream.wait_for_room(frame.track, frame.payload.len() as u64, frame.key);
    /// stream.take_frame(frame)?;
    /// # Ok(()) }
    /// ```
    pub fn wait_for_room(&self, track: TrackNumber, bytes: u64, key: bool) {
        self.intake.wait_for_room(track, bytes, key);
    }

    /// [`Self::put_frame`] that never waits: offline a frame for which there is no room is taken, too.
    ///
    /// # Errors
    /// [`PutError::Stopped`] after the end.
    ///
    /// ```
    /// # use gstkvssink::producer::{Frame, PutError, Stream};
    /// # fn f(stream: Stream, frame: Frame) -> Result<(), PutError> {
    /// stream.take_frame(frame)?;
    /// # Ok(()) }
    /// ```
    pub fn take_frame(&self, frame: Frame) -> Result<(), PutError> {
        self.intake.take_frame(frame)
    }

    /// Counts and tells a frame that came but cannot be put.
    ///
    /// ```
    /// # use gstkvssink::producer::{DropReason, Stream, Timestamp};
    /// # fn f(stream: Stream) {
    /// stream.drop_frame(DropReason::Malformed, Timestamp::from_millis(1_700_000_000_000));
    /// # }
    /// ```
    pub fn drop_frame(&self, reason: DropReason, at: Timestamp) {
        self.intake.drop_frame(reason, at);
    }

    /// The open fragment is complete; the next frame must be a key frame. For a gap, a flush, another source.
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) {
    /// stream.end_fragment();
    /// # }
    /// ```
    pub fn end_fragment(&self) {
        self.intake.end_fragment();
    }

    /// While true, [`Self::put_frame`] does not wait for room, and [`Self::drain`] not for acks.
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) {
    /// stream.interrupt(true); // whoever waits comes back
    /// stream.interrupt(false);
    /// # }
    /// ```
    pub fn interrupt(&self, interrupted: bool) {
        self.intake.interrupt(interrupted);
    }

    /// Waits until everything that was put is PERSISTED, at most `stop_timeout`, and told; callbacks that are slow have half a
    /// second for it. After `Ok` a key frame may go on. Several threads may wait.
    ///
    /// # Errors
    /// [`WaitError::Interrupted`] by [`Self::interrupt`], and in a callback: the stream goes on; [`WaitError::Failed`] when
    /// the stream ended before, or the time was up.
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) -> Result<(), gstkvssink::producer::WaitError> {
    /// stream.drain()?;
    /// # Ok(()) }
    /// ```
    pub fn drain(&self) -> Result<(), WaitError> {
        self.intake.drain(self.stop_timeout)
    }

    /// [`Self::drain`] for tasks. Cancel safe: a drain whose future is dropped is forgotten, and the stream goes on.
    ///
    /// # Errors
    /// As [`Self::drain`].
    ///
    /// ```
    /// # use gstkvssink::producer::{Stream, WaitError};
    /// # async fn f(stream: Stream) -> Result<(), WaitError> {
    /// stream.drain_in_task().await?;
    /// # Ok(()) }
    /// ```
    pub async fn drain_in_task(&self) -> Result<(), WaitError> {
        self.intake.drain_in_task(self.stop_timeout).await
    }

    /// [`Self::drain`] without a wait: [`drained`](super::StreamCallbacks::drained) tells that it is over,
    /// [`error`](super::StreamCallbacks::error) that the time was up. [`Self::resume`] takes it back.
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) {
    /// stream.begin_drain();
    /// # }
    /// ```
    pub fn begin_drain(&self) {
        self.intake.begin_drain(self.stop_timeout);
    }

    /// Takes [`Self::begin_drain`] back: what was put is still sent, but its end is not told. Those who wait in
    /// [`Self::drain`] still do.
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) {
    /// stream.begin_drain();
    /// stream.resume();
    /// # }
    /// ```
    pub fn resume(&self) {
        self.intake.resume();
    }

    /// Ends the stream: waits until everything is PERSISTED, at most `stop_timeout`, and callbacks were told, which have half a
    /// second for it at the end. In a callback it does not wait.
    ///
    /// # Errors
    /// [`StreamError`] when the stream ended before; it says what is missing.
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) {
    /// if let Err(error) = stream.stop() {
    ///     eprintln!("{} frames are missing: {error}", error.missing);
    /// }
    /// # }
    /// ```
    pub fn stop(&self) -> Result<(), StreamError> {
        self.stop_within(self.stop_timeout)
    }

    /// [`Self::stop`] with another limit.
    ///
    /// # Errors
    /// As [`Self::stop`].
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) -> Result<(), gstkvssink::producer::StreamError> {
    /// stream.stop_within(std::time::Duration::from_secs(5))?;
    /// # Ok(()) }
    /// ```
    pub fn stop_within(&self, limit: Duration) -> Result<(), StreamError> {
        let patience = Patience::of(limit.saturating_add(STOP_GRACE));
        match self.intake.stop(limit, patience) {
            Ok(()) => Ok(()),
            Err(WaitError::Interrupted) => self.left_behind(),
            Err(WaitError::Failed(error)) => Err(error),
        }
    }

    /// [`Self::stop`] for tasks. Cancel safe: the stream ends all the same when the future is dropped.
    ///
    /// # Errors
    /// As [`Self::stop`].
    ///
    /// ```
    /// # use gstkvssink::producer::{Stream, StreamError};
    /// # async fn f(stream: Stream) -> Result<(), StreamError> {
    /// stream.stop_in_task().await?;
    /// # Ok(()) }
    /// ```
    pub async fn stop_in_task(&self) -> Result<(), StreamError> {
        match self.intake.stop_in_task(self.stop_timeout).await {
            Ok(()) => Ok(()),
            Err(WaitError::Interrupted) => self.left_behind(),
            Err(WaitError::Failed(error)) => Err(error),
        }
    }

    /// Ends the stream at once: what is not PERSISTED is dropped, counted and told. Waits for that only, not for the
    /// network.
    ///
    /// # Errors
    /// As [`Self::stop`].
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) {
    /// let missing = stream.stop_now().err().map_or(0, |error| error.missing);
    /// # }
    /// ```
    pub fn stop_now(&self) -> Result<(), StreamError> {
        self.stop_within(Duration::ZERO)
    }

    /// Gives the connection up and opens another, at once, also in a back-off: what is not PERSISTED is sent again, nothing
    /// is lost. For an application that knows that the network is another one now. Does not wait.
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) {
    /// stream.reset_connection();
    /// # }
    /// ```
    pub fn reset_connection(&self) {
        self.intake.reset_connection();
    }

    /// The driver does not come to the end: a callback blocks it, or is the caller.
    fn left_behind(&self) -> Result<(), StreamError> {
        let missing = self.metrics().frames_pending;
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
    ///
    /// ```
    /// # fn f(stream: gstkvssink::producer::Stream) {
    /// println!("{}", stream.metrics());
    /// # }
    /// ```
    pub fn metrics(&self) -> Stats {
        self.intake.stats()
    }
}

/// A stream that is dropped is stopped without a wait: what is not PERSISTED yet is lost.
impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self
            .intake
            .stop(Duration::ZERO, Patience::of(Duration::ZERO));
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}
