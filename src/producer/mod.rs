//! The object model for applications: a [`Producer`] (service, credentials, a thread) makes [`Stream`]s that take frames.
//!
//! ```no_run
//! use gstkvssink::producer::{
//!     Codec, Frame, Producer, StreamDefinition, StreamName, Timestamp, Track, TrackNumber,
//! };
//! # fn encoder() -> (bytes::Bytes, Vec<(u64, bool, bytes::Bytes)>) { (bytes::Bytes::new(), Vec::new()) }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let producer = Producer::builder().name("my-camera").region("eu-central-1").build()?;
//! let stream = producer.create_stream(StreamDefinition::new(StreamName::new("cam1")?))?;
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
//!
//! What the streams tell comes by [`StreamCallbacks`], what concerns all of them by [`ClientCallbacks`]; what they ask of
//! the network goes by [`ServiceCallbacks`]. `docs/guide.md` has a row for each callback of AWS's C++ producer.
//!
//! **Threads.** All methods may be called from any thread, and from tasks of any runtime: nothing here needs or enters the
//! caller's. Each producer has one thread of its own, on which its streams are sent, and callbacks have another while there
//! are any. What waits says so, and has a form for tasks beside it, which is cancel safe: dropping its future gives the wait
//! up, and loses nothing that was taken. Called in a callback of the same stream, it does not wait.
//!
//! Belongs here: objects, callbacks, threads that may call. Does not belong here: GStreamer, the protocol.

mod builder;
mod callbacks;
mod dispatch;
mod metrics;
mod service;
mod stream;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc},
};

pub use builder::{DEFAULT_NAME, DEFAULT_STORAGE, ProducerBuilder};
pub use callbacks::{ClientCallbacks, StreamCallbacks};
pub(crate) use callbacks::{Shared, tell};
pub(crate) use dispatch::{Dispatch, Troubles, is_called_back};
pub use metrics::ProducerMetrics;
pub use service::{
    Aborted, AckSender, Acks, Answer, Configured, Keys, KinesisVideo, Media, MediaChunk,
    ServiceCallbacks,
};
pub use stream::Stream;

pub use crate::{
    definition::{
        Fragmentation, Invalid, MIN_SPOOL, SpoolDefinition, SpoolMode, SpoolOrder, SpoolPolicy,
        StreamDefinition, StreamName, StreamingType, TimecodeType,
    },
    fragment::DropReason,
    media::{
        Codec, Format, Frame, Hints, InvalidAccessUnit, InvalidAudioSpecificConfig, InvalidAvcc,
        InvalidFormat, InvalidHvcc, InvalidTrack, InvalidWaveFormat, MAX_CODEC_ID,
        MAX_CODEC_PRIVATE, MAX_TRACK_NAME, Malformed, ParameterSet, Reframed, Reframer, Track,
        TrackKind, TrackNumber, Unit, alaw_private, mulaw_private,
    },
    mkv::{InvalidTag, MAX_TAG_NAME, MAX_TAG_VALUE},
    net::{
        Credentials, DEFAULT_REGION, DEFAULT_USER_AGENT, IotCertificate, PutError, Role, Service,
        WaitError, wall_now,
    },
    secret::Secret,
    session::{
        Ack, AckKind, AckLatency, Call, Cause, Described, EventMetadata, Failure, Fatal,
        InvalidMetadata, MAX_METADATA, SPOOL_PROGRESS, SpoolEvent, SpoolStats, Stats, StreamError,
        StreamStatus,
    },
    spool::{
        inspect::SpoolDirectory,
        listed::{SpoolDirectoryError, SpooledFile, SpooledFragment, SpooledKind},
    },
    time::{Timecode, Timestamp},
};
use crate::{
    net::{Clock, Driver, Export, Intake, Runtime, SigningClock},
    session::{Event, Session},
};

/// A source of streams, with a thread of its own on which they are sent. Streams outlive it; the thread ends with the last.
///
/// ```
/// use gstkvssink::producer::Producer;
///
/// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
/// let producer = Producer::builder().name("my-camera").build()?;
/// # Ok(()) }
/// ```
pub struct Producer {
    runtime: Runtime,
    service: Service,
    signing: SigningClock,
    /// Of the device, for each stream that is created.
    tags: Vec<(String, String)>,
    /// `None`: the service itself.
    networking: Option<Arc<dyn ServiceCallbacks>>,
    shared: Shared,
    streams: Mutex<Vec<Weak<Intake>>>,
}

impl Producer {
    /// All that may be said of a producer before it is made; each of it has a default.
    ///
    /// ```
    /// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
    /// let producer = gstkvssink::producer::Producer::builder().region("eu-central-1").build()?;
    /// # Ok(()) }
    /// ```
    pub fn builder() -> ProducerBuilder {
        ProducerBuilder::default()
    }

    /// Makes a stream and begins to prepare it (describe, create, data endpoint) on the producer's thread. Returns at once;
    /// [`Stream::wait_ready`] and [`Stream::wait_ready_in_task`] wait.
    ///
    /// # Errors
    /// [`Invalid`] when a setting cannot work.
    ///
    /// ```
    /// use gstkvssink::producer::{Producer, StreamDefinition, StreamName};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
    /// # let producer = Producer::builder().endpoint("http://127.0.0.1:9").build()?;
    /// let stream = producer.create_stream(StreamDefinition::new(StreamName::new("cam1")?))?;
    /// # Ok(()) }
    /// ```
    pub fn create_stream(&self, definition: StreamDefinition) -> Result<Stream, Invalid> {
        self.create_stream_with(definition, Arc::new(()))
    }

    /// [`Self::create_stream`], with callbacks for what becomes of it.
    ///
    /// # Errors
    /// As [`Self::create_stream`].
    ///
    /// ```
    /// use std::sync::Arc;
    /// use gstkvssink::producer::{Producer, StreamCallbacks, StreamDefinition, StreamName};
    ///
    /// struct Log;
    /// impl StreamCallbacks for Log {
    ///     fn ready(&self) {
    ///         println!("ready");
    ///     }
    /// }
    /// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
    /// # let producer = Producer::builder().endpoint("http://127.0.0.1:9").build()?;
    /// let definition = StreamDefinition::new(StreamName::new("cam1")?);
    /// let stream = producer.create_stream_with(definition, Arc::new(Log))?;
    /// # Ok(()) }
    /// ```
    pub fn create_stream_with(
        &self,
        definition: StreamDefinition,
        callbacks: Arc<dyn StreamCallbacks>,
    ) -> Result<Stream, Invalid> {
        self.open(definition, |id, intake| {
            let waiting = Arc::downgrade(intake);
            let idle = move || {
                if let Some(intake) = waiting.upgrade() {
                    intake.wake_driver();
                }
            };
            let call = told(callbacks, intake);
            Dispatch::queued(id, intake.troubles(), call, idle)
        })
    }

    /// [`Self::create_stream_with`]. `inline`: the callbacks neither wait nor call what belongs to somebody else, and are
    /// called on the producer's thread itself, so that there need not be another.
    #[cfg(feature = "plugin")]
    pub(crate) fn create_stream_of(
        &self,
        definition: StreamDefinition,
        callbacks: Arc<dyn StreamCallbacks>,
        inline: bool,
    ) -> Result<Stream, Invalid> {
        if !inline {
            return self.create_stream_with(definition, callbacks);
        }
        self.open(definition, |id, intake| {
            Dispatch::inline(id, intake.troubles(), told(callbacks, intake))
        })
    }

    fn open(
        &self,
        mut definition: StreamDefinition,
        callbacks: impl FnOnce(u64, &Arc<Intake>) -> Dispatch<Event>,
    ) -> Result<Stream, Invalid> {
        for (name, value) in &self.tags {
            let tags = &mut definition.tags;
            tags.entry(name.clone()).or_insert_with(|| value.clone());
        }
        definition.check()?;
        let kvs = self.kinesis_video(definition.clone())?;
        let (clock, id) = (Clock::start(), dispatch::new_id());
        let stop_timeout = definition.stop_timeout;
        let export = Export::new(&definition.name);
        let share = self.shared.storage.share();
        let share_id = share.id();
        let session = Session::with_share(definition, share, fastrand::u64(..));
        let (thread, troubles) = (self.runtime.thread(), Arc::default());
        let intake = Arc::new(Intake::new(session, clock, thread, id, troubles));
        let needed = Arc::downgrade(&intake);
        self.shared.storage.on_need(share_id, move || {
            if let Some(intake) = needed.upgrade() {
                intake.wake_driver();
            }
        });
        let driver = Driver {
            callbacks: callbacks(id, &intake),
            intake: Arc::clone(&intake),
            clock,
            service: self.networking(),
            kvs,
            signing: self.signing.clone(),
            storage: self.shared.clone(),
            export,
            state: Default::default(),
        };
        self.streams().push(Arc::downgrade(&intake));
        self.runtime.spawn(driver.run());
        Ok(Stream::new(intake, stop_timeout))
    }

    /// DeleteStream: a stream of this name, and all that is stored of it. One attempt. Waits for the answer, at most four
    /// times `connection_timeout` and `completion_timeout` of a [`StreamDefinition`]; not for tasks.
    ///
    /// # Errors
    /// [`Failure`]: it was refused, there was no answer, a setting cannot work, or the caller is a method of
    /// [`ServiceCallbacks`].
    ///
    /// ```no_run
    /// use gstkvssink::producer::{Producer, StreamName};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let producer = Producer::builder().build()?;
    /// producer.delete_stream(&StreamName::new("cam1")?)?;
    /// # Ok(()) }
    /// ```
    pub fn delete_stream(&self, name: &StreamName) -> Result<(), Failure> {
        if std::thread::current().id() == self.runtime.thread() {
            let message = "it would wait for itself: use delete_stream_in_task";
            return Err(Failure {
                call: Call::Delete,
                ..Failure::lost(message)
            });
        }
        let (answer, answered) = mpsc::channel();
        // Nobody waits for it any more: not an error.
        self.delete(name, move |outcome| drop(answer.send(outcome)))?;
        answered.recv().unwrap_or_else(|_| Err(gone()))
    }

    /// [`Self::delete_stream`] for tasks. Cancel safe: what was asked for goes on when the future is dropped.
    ///
    /// # Errors
    /// As [`Self::delete_stream`].
    ///
    /// ```
    /// # use gstkvssink::producer::{Failure, Producer, StreamName};
    /// # async fn f(producer: Producer, name: StreamName) -> Result<(), Failure> {
    /// producer.delete_stream_in_task(&name).await?;
    /// # Ok(()) }
    /// ```
    pub async fn delete_stream_in_task(&self, name: &StreamName) -> Result<(), Failure> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.delete(name, move |outcome| drop(answer.send(outcome)))?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    fn delete(
        &self,
        name: &StreamName,
        answer: impl FnOnce(Result<(), Failure>) + Send + 'static,
    ) -> Result<(), Failure> {
        let call = Call::Delete;
        let of_it = move |failure: Failure| Failure { call, ..failure };
        let kvs = self
            .kinesis_video(StreamDefinition::new(name.clone()))
            .map_err(|invalid| of_it(Failure::refused(invalid.to_string())))?;
        let service = self.networking();
        self.runtime.spawn(async move {
            let deleted = crate::net::in_time(&kvs, service.delete_stream(&kvs)).await;
            answer(deleted.map_err(of_it));
        });
        Ok(())
    }

    /// The numbers of all its streams that are still there, now. Does not wait.
    ///
    /// ```
    /// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
    /// # let producer = gstkvssink::producer::Producer::builder().build()?;
    /// let metrics = producer.metrics();
    /// println!("{} of {} bytes in use", metrics.storage_used, metrics.storage);
    /// # Ok(()) }
    /// ```
    pub fn metrics(&self) -> ProducerMetrics {
        let streams: Vec<_> = self.streams().iter().filter_map(Weak::upgrade).collect();
        let stats = streams.iter().map(|intake| intake.stats());
        ProducerMetrics::of(stats, self.shared.storage.limit())
    }

    fn networking(&self) -> Arc<dyn ServiceCallbacks> {
        self.networking.clone().unwrap_or_else(|| Arc::new(()))
    }

    fn kinesis_video(&self, definition: StreamDefinition) -> Result<Arc<KinesisVideo>, Invalid> {
        let (service, signing) = (self.service.clone(), self.signing.clone());
        let kvs = KinesisVideo::new(service, definition, signing, self.networking());
        // What stands in for the service may need none of what would be checked here.
        if self.networking.is_none() {
            kvs.check()?;
        }
        Ok(Arc::new(kvs))
    }

    /// The streams that there are, without those that are gone.
    fn streams(&self) -> MutexGuard<'_, Vec<Weak<Intake>>> {
        let streams = self.streams.lock();
        let mut streams = streams.unwrap_or_else(PoisonError::into_inner);
        streams.retain(|stream| stream.strong_count() > 0);
        streams
    }
}

/// Calls these callbacks, and says when a drain was told.
fn told(
    callbacks: Arc<dyn StreamCallbacks>,
    intake: &Arc<Intake>,
) -> impl Fn(&Event) + Send + Sync + 'static {
    let intake = Arc::downgrade(intake);
    move |event| {
        // Also when it panics.
        let _told = matches!(event, Event::Drained).then(|| Told(intake.clone()));
        tell(&*callbacks, event);
    }
}

struct Told(Weak<Intake>);

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(intake) = self.0.upgrade() {
            intake.drain_told();
        }
    }
}

/// The call has panicked.
fn gone() -> Failure {
    Failure {
        call: Call::Delete,
        ..Failure::lost("the request ended: it panicked")
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("service", &self.service)
            .field("storage", &self.shared.storage)
            .finish_non_exhaustive()
    }
}
