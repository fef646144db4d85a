//! The body of an answer: known as a whole, or coming piece by piece.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::outbox::Parcel;

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Reply {
    /// All of it.
    Whole(Option<Bytes>),
    /// What comes through the channel, until it closes.
    Live(mpsc::Receiver<Parcel>),
}

impl Reply {
    /// All of it.
    pub(crate) fn whole(body: impl Into<Bytes>) -> Self {
        Self::Whole(Some(body.into()))
    }
}

impl Body for Reply {
    type Data = Parcel;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Parcel>, Infallible>>> {
        let bytes = match self.get_mut() {
            Self::Whole(body) => Poll::Ready(body.take().map(Parcel::from)),
            Self::Live(body) => body.poll_recv(context),
        };
        bytes.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64))
            }
            Self::Live(_) => SizeHint::default(),
        }
    }
}
