//! The body of PutMedia, between its sender and the connection.
//!
//! In: the chunks of the body. Out: a [`Stream`] of them, which ends cleanly with its sender only, and which can be sent
//! again by another connection until one was accepted.
//! Does not belong here: HTTP ([`super::put_media`]), what the chunks mean.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures_core::Stream;

use super::exchange::{Aborted, Media};

/// The body on its way from its sender to the connection.
#[derive(Debug)]
struct Flow {
    /// `None` when the connection is aborted.
    media: Option<Sending>,
    /// The connection, when it waits for media.
    waiting: Option<Waker>,
}

/// What is to be sent.
#[derive(Debug)]
pub(super) struct Sending {
    media: Media,
    /// What goes before it: it was taken by a connection that was refused.
    before: VecDeque<Bytes>,
    /// What was taken so far, until the request is accepted. The session gives no more than a header before that.
    taken: Option<VecDeque<Bytes>>,
}

impl Sending {
    pub(super) fn new(media: Media) -> Self {
        Self {
            media,
            before: VecDeque::new(),
            taken: Some(VecDeque::new()),
        }
    }

    /// For another connection.
    pub(super) fn rewound(mut self) -> Self {
        let taken = self.taken.get_or_insert_default();
        taken.append(&mut self.before);
        std::mem::swap(taken, &mut self.before);
        self
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Aborted>> {
        let chunk = match self.before.pop_front() {
            Some(chunk) => Poll::Ready(Ok(Some(chunk))),
            None => self
                .media
                .poll_next(cx)
                .map_ok(|chunk| chunk.map(|chunk| chunk.bytes)),
        };
        if let (Poll::Ready(Ok(Some(chunk))), Some(taken)) = (&chunk, &mut self.taken) {
            taken.push_back(chunk.clone());
        }
        chunk
    }
}

fn lock(flow: &Mutex<Flow>) -> MutexGuard<'_, Flow> {
    flow.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The interest in the connection. Dropping it frees the body at once; the connection itself may still be stuck with
/// what it has taken, when the peer does not read.
#[derive(Debug)]
pub(super) struct Link(Arc<Mutex<Flow>>);

impl Link {
    /// The interest in a connection, and what the connection is to send.
    pub(super) fn new(media: Sending) -> (Self, MediaBody) {
        let flow = Arc::new(Mutex::new(Flow {
            media: Some(media),
            waiting: None,
        }));
        (Self(Arc::clone(&flow)), MediaBody(flow))
    }

    /// Nothing has to be sent again.
    pub(super) fn accepted(&self) {
        if let Some(media) = &mut lock(&self.0).media {
            media.taken = None;
        }
    }

    /// Aborts the connection: what it was to send.
    pub(super) fn cut(&self) -> Option<Sending> {
        let mut flow = lock(&self.0);
        let (media, waiting) = (flow.media.take(), flow.waiting.take());
        drop(flow);
        if let Some(connection) = waiting {
            connection.wake();
        }
        media
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(self.cut());
    }
}

/// The connection's end of the body. It ends with the sender of the media, unless the [`Link`] is dropped before: then it
/// fails, because a clean end would tell the service that the last fragment is whole.
pub(super) struct MediaBody(Arc<Mutex<Flow>>);

impl Stream for MediaBody {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut flow = lock(&self.0);
        let Some(media) = &mut flow.media else {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        };
        let chunk = media.poll_next(cx);
        flow.waiting = chunk.is_pending().then(|| cx.waker().clone());
        chunk.map(|chunk| match chunk {
            Ok(chunk) => chunk.map(Ok),
            Err(Aborted) => Some(Err(io::ErrorKind::ConnectionAborted.into())),
        })
    }
}
