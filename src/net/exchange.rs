//! What PutMedia takes and gives: [`Media`] and [`Acks`], for whoever does it, [`super::KinesisVideo`] or the networking of
//! an application.
//!
//! Does not belong here: HTTP ([`super::put_media`]), what an ack means ([`crate::session`]).

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::SystemTime,
};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::put_media::Response;
use crate::{
    session::{Ack, Failure},
    time::Timecode,
};

/// Acks between an application's networking and the session. Whoever sends more waits.
const ACKS_UNDER_WAY: usize = 64;

/// A part of the body of PutMedia: bytes of a Matroska stream, which shares them with what is kept.
///
/// ```
/// use bytes::Bytes;
/// use gstkvssink::producer::MediaChunk;
///
/// let header = MediaChunk::from(Bytes::from_static(&[0x1A, 0x45, 0xDF, 0xA3]));
/// assert_eq!(header.begins, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MediaChunk {
    /// The bytes. The first chunk of a body is the header of the stream; each fragment is one cluster, in several chunks.
    pub bytes: Bytes,
    /// These bytes begin the fragment of this timecode, which its acks are to name; the fragment before is complete.
    pub begins: Option<Timecode>,
    /// The last fragment of the body is complete with these bytes. Its acks are awaited before the body ends.
    pub ends: bool,
}

impl MediaChunk {
    pub(crate) fn new(bytes: Bytes, begins: Option<Timecode>, ends: bool) -> Self {
        Self {
            bytes,
            begins,
            ends,
        }
    }
}

impl From<Bytes> for MediaChunk {
    fn from(bytes: Bytes) -> Self {
        Self::new(bytes, None, false)
    }
}

/// The request was given up by the session: what was sent of the last fragment is not whole, and nobody waits for acks.
/// Whatever was not PERSISTED is sent again in another request.
///
/// ```
/// use gstkvssink::producer::Aborted;
///
/// assert_eq!(Aborted.to_string(), "PutMedia was given up");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("PutMedia was given up")]
pub struct Aborted;

/// The body of PutMedia, chunk by chunk, as it comes. Dropping it before its end tells the session that the connection is
/// lost, unless an ack or the end of the response says more within a second.
///
/// Until PutMedia is accepted ([`ServiceCallbacks::put_media`](crate::producer::ServiceCallbacks::put_media) gives [`Acks`]), nothing but the
/// header comes.
///
/// ```
/// use gstkvssink::producer::{Aborted, Media};
///
/// /// Bytes of a whole body.
/// async fn length(mut media: Media) -> Result<usize, Aborted> {
///     let mut bytes = 0;
///     while let Some(chunk) = media.next().await? {
///         bytes += chunk.bytes.len();
///     }
///     Ok(bytes)
/// }
/// ```
#[derive(Debug)]
pub struct Media {
    chunks: mpsc::Receiver<MediaChunk>,
    ended: Arc<AtomicBool>,
}

impl Media {
    /// A body, and where its chunks come from.
    pub(crate) fn channel(chunks: usize) -> (MediaSender, Self) {
        let (sender, receiver) = mpsc::channel(chunks);
        let ended = Arc::new(AtomicBool::new(false));
        let media = Self {
            chunks: receiver,
            ended: Arc::clone(&ended),
        };
        (MediaSender { sender, ended }, media)
    }

    /// The next chunk; `None` is the clean end, which comes when the acks of the last fragment have
    /// ([`MediaChunk::ends`]). Cancel safe: no chunk is lost.
    ///
    /// # Errors
    /// [`Aborted`] when the session has given the request up.
    ///
    /// ```
    /// # async fn f(mut media: gstkvssink::producer::Media) -> Result<(), gstkvssink::producer::Aborted> {
    /// let header = media.next().await?.map(|chunk| chunk.bytes);
    /// # Ok(()) }
    /// ```
    pub async fn next(&mut self) -> Result<Option<MediaChunk>, Aborted> {
        let chunk = self.chunks.recv().await;
        self.given(chunk)
    }

    /// [`Self::next`] for a thread of its own; not for one that runs tokio tasks, where it panics.
    ///
    /// # Errors
    /// As [`Self::next`].
    ///
    /// ```
    /// # fn f(mut media: gstkvssink::producer::Media) -> Result<(), gstkvssink::producer::Aborted> {
    /// while let Some(chunk) = media.blocking_next()? {
    ///     println!("{} bytes", chunk.bytes.len());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn blocking_next(&mut self) -> Result<Option<MediaChunk>, Aborted> {
        let chunk = self.chunks.blocking_recv();
        self.given(chunk)
    }

    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<MediaChunk>, Aborted>> {
        self.chunks.poll_recv(cx).map(|chunk| self.given(chunk))
    }

    fn given(&self, chunk: Option<MediaChunk>) -> Result<Option<MediaChunk>, Aborted> {
        match chunk {
            None if !self.ended.load(Ordering::Acquire) => Err(Aborted),
            chunk => Ok(chunk),
        }
    }
}

/// The driver's end of a [`Media`]. Dropping it aborts the request; [`Self::end`] ends it well.
#[derive(Debug)]
pub(crate) struct MediaSender {
    sender: mpsc::Sender<MediaChunk>,
    ended: Arc<AtomicBool>,
}

impl MediaSender {
    /// Chunks that there is room for now. Only [`Self::send`] makes it less.
    pub(crate) fn room(&self) -> usize {
        match self.sender.is_closed() {
            true => 0,
            false => self.sender.capacity(),
        }
    }

    /// Sends a chunk that there is room for. When the body was dropped meanwhile, the chunk is, too, as are all in it.
    pub(crate) fn send(&self, chunk: MediaChunk) {
        let sent = self.sender.try_send(chunk);
        debug_assert!(!matches!(sent, Err(mpsc::error::TrySendError::Full(_))));
    }

    /// Waits for room. False: the body is dropped. Cancel safe.
    pub(crate) async fn has_room(&self) -> bool {
        self.sender.reserve().await.is_ok()
    }

    /// All was sent.
    pub(crate) fn end(self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Until the body is dropped.
    #[cfg(test)]
    pub(super) async fn closed(&self) {
        self.sender.closed().await;
    }

    #[cfg(test)]
    pub(super) async fn put(&self, bytes: Bytes) -> Result<(), Aborted> {
        self.sender.send(bytes.into()).await.map_err(|_| Aborted)
    }
}

/// The acks of PutMedia, as they come. Its end is the end of the response.
///
/// ```
/// use gstkvssink::producer::{Ack, Acks, AckKind, Timecode};
///
/// let (sender, acks) = Acks::channel();
/// let ack = Ack::of_fragment(AckKind::Persisted, Timecode::from_millis(1_700_000_000_000));
/// # fn f(sender: gstkvssink::producer::AckSender, ack: Ack) {
/// sender.blocking_send(ack).ok();
/// # }
/// ```
pub struct Acks {
    source: Source,
    until: Option<SystemTime>,
}

enum Source {
    Http(Response),
    Told(mpsc::Receiver<Result<Ack, Failure>>),
}

/// What came of a response.
pub(crate) enum News {
    Bytes(Bytes),
    Ack(Ack),
    End,
}

impl Acks {
    /// Acks of an application's own networking, and where it puts them. At most 64 wait.
    ///
    /// ```
    /// let (sender, acks) = gstkvssink::producer::Acks::channel();
    /// ```
    pub fn channel() -> (AckSender, Self) {
        let (sender, receiver) = mpsc::channel(ACKS_UNDER_WAY);
        let acks = Self {
            source: Source::Told(receiver),
            until: None,
        };
        (AckSender(sender), acks)
    }

    /// The request is good until then, when the credentials end that it was made with: another is opened before.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// # use gstkvssink::producer::Acks;
    /// # let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    /// let (sender, acks) = Acks::channel();
    /// let acks = acks.with_end(end);
    /// ```
    #[must_use]
    pub fn with_end(mut self, end: SystemTime) -> Self {
        self.until = Some(end);
        self
    }

    pub(super) fn of(response: Response) -> Self {
        Self {
            until: response.until(),
            source: Source::Http(response),
        }
    }

    /// When the credentials end that the request was made with.
    pub(crate) fn until(&self) -> Option<SystemTime> {
        self.until
    }

    /// What comes next. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<News, Failure> {
        match &mut self.source {
            Source::Http(response) => Ok(response.chunk().await?.map_or(News::End, News::Bytes)),
            Source::Told(acks) => match acks.recv().await {
                Some(ack) => Ok(News::Ack(ack?)),
                None => Ok(News::End),
            },
        }
    }
}

impl fmt::Debug for Acks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acks").finish_non_exhaustive()
    }
}

/// Where an application's networking puts the acks of [`Acks::channel`]. Dropping it is the end of the response: right
/// after the body has ended, a lost connection before.
///
/// ```
/// use gstkvssink::producer::{Aborted, Ack, AckKind, AckSender, Timecode};
///
/// /// All that the service says of a fragment that it takes.
/// async fn take(acks: &AckSender, fragment: Timecode) -> Result<(), Aborted> {
///     for kind in [AckKind::Buffering, AckKind::Received, AckKind::Persisted] {
///         acks.send(Ack::of_fragment(kind, fragment)).await?;
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct AckSender(mpsc::Sender<Result<Ack, Failure>>);

impl AckSender {
    /// Sends an ack; waits while 64 others wait.
    ///
    /// # Errors
    /// [`Aborted`] when the session has given the request up.
    ///
    /// ```
    /// # use gstkvssink::producer::{Aborted, Ack, AckKind, AckSender, Timecode};
    /// # async fn f(acks: AckSender, fragment: Timecode) -> Result<(), Aborted> {
    /// acks.send(Ack::of_fragment(AckKind::Persisted, fragment)).await?;
    /// # Ok(()) }
    /// ```
    pub async fn send(&self, ack: Ack) -> Result<(), Aborted> {
        self.0.send(Ok(ack)).await.map_err(|_| Aborted)
    }

    /// [`Self::send`] for a thread of its own; not for one that runs tokio tasks, where it panics.
    ///
    /// # Errors
    /// As [`Self::send`].
    ///
    /// ```
    /// # use gstkvssink::producer::{Aborted, Ack, AckKind, AckSender, Timecode};
    /// # fn f(acks: AckSender, fragment: Timecode) -> Result<(), Aborted> {
    /// acks.blocking_send(Ack::of_fragment(AckKind::Received, fragment))?;
    /// # Ok(()) }
    /// ```
    pub fn blocking_send(&self, ack: Ack) -> Result<(), Aborted> {
        self.0.blocking_send(Ok(ack)).map_err(|_| Aborted)
    }

    /// Ends the request with a failure: the session tries again after a back-off. Waits as [`Self::send`] does.
    ///
    /// # Errors
    /// As [`Self::send`].
    ///
    /// ```
    /// # use gstkvssink::producer::{Aborted, AckSender};
    /// # async fn f(acks: AckSender) -> Result<(), Aborted> {
    /// acks.fail("the disk is full").await?;
    /// # Ok(()) }
    /// ```
    pub async fn fail(&self, message: impl Into<String>) -> Result<(), Aborted> {
        let failure = Failure::lost(message);
        self.0.send(Err(failure)).await.map_err(|_| Aborted)
    }

    /// [`Self::fail`] for a thread of its own; not for one that runs tokio tasks, where it panics.
    ///
    /// # Errors
    /// As [`Self::send`].
    ///
    /// ```
    /// # use gstkvssink::producer::{Aborted, AckSender};
    /// # fn f(acks: AckSender) -> Result<(), Aborted> {
    /// acks.blocking_fail("the disk is full")?;
    /// # Ok(()) }
    /// ```
    pub fn blocking_fail(&self, message: impl Into<String>) -> Result<(), Aborted> {
        let failure = Failure::lost(message);
        self.0.blocking_send(Err(failure)).map_err(|_| Aborted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_is_not_ended_was_aborted() {
        for ends in [true, false] {
            let (sender, mut media) = Media::channel(2);
            sender.put(Bytes::from_static(b"abc")).await.unwrap();
            match ends {
                true => sender.end(),
                false => drop(sender),
            }
            let chunk = media.next().await.unwrap().unwrap();
            assert_eq!(chunk, Bytes::from_static(b"abc").into());
            let expected = if ends { Ok(None) } else { Err(Aborted) };
            assert_eq!(media.next().await, expected);
        }
    }

    #[tokio::test]
    async fn acks_come_as_they_were_sent_and_end_with_their_sender() {
        let (sender, mut acks) = Acks::channel();
        let ack = Ack::of_fragment(crate::session::AckKind::Received, Timecode::from_millis(5));
        sender.send(ack.clone()).await.unwrap();
        assert!(matches!(acks.next().await, Ok(News::Ack(came)) if came == ack));
        drop(sender);
        assert!(matches!(acks.next().await, Ok(News::End)));
        let (sender, acks) = Acks::channel();
        drop(acks);
        assert_eq!(sender.send(ack).await, Err(Aborted));
    }
}
