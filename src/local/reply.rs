//! The shape of an answer; its body is known as a whole, or comes piece by piece.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::outbox::Parcel;
use super::refused::Refused;

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

/// The answer to a call that is refused, as the service's own APIs have it.
pub(crate) fn refusal(refused: &Refused) -> Response<Reply> {
    let mut response = reply(
        refused.status,
        "application/json",
        Reply::whole(refused.json()),
    );
    insert(response.headers_mut(), "x-amzn-errortype", refused.kind);
    response
}

/// An answer in JSON.
pub(crate) fn json(answer: &serde_json::Value) -> Response<Reply> {
    reply(200, "application/json", Reply::whole(answer.to_string()))
}

/// An answer.
pub(crate) fn reply(status: u16, content_type: &'static str, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    insert(response.headers_mut(), "content-type", content_type);
    response
}

/// Sets a header; what cannot be one is left out.
pub(crate) fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
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
