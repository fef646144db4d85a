//! PutMedia: one request whose body and response flow at the same time.
//!
//! In: the data endpoint and the chunks of the body. Out: the bytes of the response, which are acks, or a [`Failure`].
//! Belongs here: the head, its signature, the life of the connection. Does not belong here: what the bytes mean
//! ([`crate::session`], [`crate::mkv`]), when to open and to close.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use bytes::Bytes;
use futures_core::Stream;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{HOST, TRANSFER_ENCODING, USER_AGENT},
};
use reqwest::{Body, Client, redirect};
use tokio::sync::{mpsc, oneshot};

use super::{
    Service,
    control::DataEndpoint,
    failure,
    sign::{self, wall_now},
};
use crate::{
    definition::{Invalid, StreamDefinition, TimecodeType},
    session::{Call, Failure},
    time::Timestamp,
};

/// Most of an error's body that is read.
const MAX_ERROR_BODY: usize = 64 << 10;
/// A peer that is gone is noticed after three probes of this distance, also while nothing is sent.
const KEEPALIVE: Duration = Duration::from_secs(15);

const STREAM_NAME: HeaderName = HeaderName::from_static("x-amzn-stream-name");
const START_TIMESTAMP: HeaderName = HeaderName::from_static("x-amzn-producer-start-timestamp");
const TIMECODE_TYPE: HeaderName = HeaderName::from_static("x-amzn-fragment-timecode-type");
const ACKS_REQUIRED: HeaderName =
    HeaderName::from_static("x-amzn-fragment-acknowledgment-required");

/// The client of PutMedia, for one stream.
#[derive(Debug)]
pub(crate) struct PutMedia {
    client: Client,
    credentials: SharedCredentialsProvider,
    region: String,
    /// All headers that do not change: all but those of the time, the host and the signature.
    headers: HeaderMap,
    patience: Duration,
}

impl PutMedia {
    /// A client that has not connected yet. Reads the certificates of the platform (`SSL_CERT_FILE` instead of them, if
    /// set) and the proxies of the environment. Needs no runtime.
    ///
    /// # Errors
    /// [`Invalid`] when the user agent cannot be a header, or there are no certificates.
    pub(crate) fn new(
        service: &Service,
        definition: &StreamDefinition,
        credentials: SharedCredentialsProvider,
    ) -> Result<Self, Invalid> {
        Ok(Self {
            client: client(service, definition)?,
            credentials,
            region: service.region.clone(),
            headers: headers(service, definition)?,
            patience: definition.completion_timeout,
        })
    }

    /// Connects, sends the head, and waits for that of the response. `body` goes out meanwhile and afterwards: each chunk
    /// at once, and the terminating one when its sender is dropped. Dropping this future, or the [`Response`], aborts the
    /// connection: the body then has no terminating chunk, and its receiver is dropped.
    pub(crate) async fn open(
        &self,
        endpoint: &DataEndpoint,
        start: Timestamp,
        body: mpsc::Receiver<Bytes>,
    ) -> Result<Response, Failure> {
        let keys = tokio::time::timeout(self.patience, self.credentials.provide_credentials());
        let keys = keys
            .await
            .map_err(|error| failure::credentials(Call::PutMedia, &error))?
            .map_err(|error| failure::credentials(Call::PutMedia, &error))?;
        let url = endpoint.url("putMedia");
        let headers = self
            .signed(&url, &endpoint.host(), start, &keys, wall_now())
            .map_err(|error| failure::request(Call::PutMedia, failure::chain(&*error)))?;
        let (guard, aborted) = oneshot::channel();
        let body = MediaBody {
            media: body,
            aborted: Some(aborted),
        };
        let request = self.client.post(&url).headers(headers);
        let request = request.body(Body::wrap_stream(body)).send();
        let head = Box::pin(request).await.map_err(|error| {
            if error.is_builder() {
                failure::request(Call::PutMedia, failure::chain(&error))
            } else {
                failure::transport(Call::PutMedia, &url, &error)
            }
        })?;
        let response = Response {
            head,
            url,
            _guard: guard,
        };
        if response.head.status() == http::StatusCode::OK {
            Ok(response)
        } else {
            Err(response.into_failure(self.patience).await)
        }
    }

    fn signed(
        &self,
        url: &str,
        host: &str,
        start: Timestamp,
        keys: &Credentials,
        now: SystemTime,
    ) -> Result<HeaderMap, sign::Unsigned> {
        let mut headers = self.headers.clone();
        headers.insert(HOST, HeaderValue::from_str(host)?);
        headers.insert(START_TIMESTAMP, HeaderValue::from_str(&start.to_string())?);
        sign::sign(url, &mut headers, keys, &self.region, now)?;
        Ok(headers)
    }
}

fn client(service: &Service, definition: &StreamDefinition) -> Result<Client, Invalid> {
    // No time limit over all: a session lasts for 45 minutes. That unacknowledged bytes end it after 30 s is reqwest's
    // default (TCP_USER_TIMEOUT), and it frees a connection that was aborted while the peer did not read.
    let builder = || {
        Client::builder()
            .http1_only()
            .connect_timeout(definition.connection_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(KEEPALIVE)
            .tcp_keepalive_interval(KEEPALIVE)
            .tcp_keepalive_retries(3)
            .pool_max_idle_per_host(0)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
    };
    let plain = |endpoint: &String| endpoint.starts_with("http:");
    builder()
        .build()
        .or_else(|error| match &service.endpoint {
            // A machine without certificates can still talk to a local service.
            Some(endpoint) if plain(endpoint) => builder().tls_certs_only([]).build(),
            _ => Err(error),
        })
        .map_err(|error| {
            let why = failure::chain(&error);
            Invalid::new("endpoint", format!("no TLS for https: {why}"))
        })
}

fn headers(service: &Service, definition: &StreamDefinition) -> Result<HeaderMap, Invalid> {
    let text = |setting: &str, value: &str| {
        HeaderValue::from_str(value)
            .ok()
            .filter(|value| value.to_str().is_ok_and(|text| !text.trim().is_empty()))
            .ok_or_else(|| Invalid::new(setting, format!("{value:?} cannot be a header")))
    };
    Ok(HeaderMap::from_iter([
        (USER_AGENT, text("user-agent", &service.user_agent)?),
        (STREAM_NAME, text("stream-name", definition.name.as_str())?),
        // As the HTTP client would add it: what is sent is what is signed.
        (TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
        (
            TIMECODE_TYPE,
            HeaderValue::from_static(match definition.timecode_type {
                TimecodeType::Absolute => "ABSOLUTE",
                TimecodeType::Relative => "RELATIVE",
            }),
        ),
        (
            ACKS_REQUIRED,
            HeaderValue::from_static(if definition.fragment_acks { "1" } else { "0" }),
        ),
    ]))
}

/// The response, while the body may still be sent. Dropping it aborts the connection, unless both have ended.
#[derive(Debug)]
pub(crate) struct Response {
    head: reqwest::Response,
    url: String,
    /// The body waits for the end of this.
    _guard: oneshot::Sender<Infallible>,
}

impl Response {
    /// The next bytes; `None` is the clean end. Cancel safe.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        self.head
            .chunk()
            .await
            .map_err(|error| failure::transport(Call::PutMedia, &self.url, &error))
    }

    /// A refusal, with as much of its body as comes in time.
    async fn into_failure(mut self, patience: Duration) -> Failure {
        let mut body = Vec::new();
        let read = async {
            while let Ok(Some(chunk)) = self.chunk().await {
                let room = MAX_ERROR_BODY - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if body.len() == MAX_ERROR_BODY {
                    break;
                }
            }
        };
        // What came until then is enough: the status says the most.
        let _ = tokio::time::timeout(patience, read).await;
        let headers = self.head.headers();
        let header = |names: [&str; 2]| {
            names
                .iter()
                .find_map(|name| headers.get(*name)?.to_str().ok())
        };
        let (code, said) = failure::said_in(&body);
        failure::refusal(
            Call::PutMedia,
            self.head.status().as_u16(),
            header(["x-amzn-errortype", "x-amz-errortype"])
                .or(code.as_deref())
                .unwrap_or_default(),
            header(["x-amzn-requestid", "x-amz-request-id"]),
            said.as_deref(),
        )
    }
}

/// The body. It ends with the sender of `media`, unless the connection is aborted before: then it fails, because a clean
/// end would tell the service that the last fragment is whole.
struct MediaBody {
    media: mpsc::Receiver<Bytes>,
    /// `None` when it is aborted.
    aborted: Option<oneshot::Receiver<Infallible>>,
}

impl Stream for MediaBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let pending = match &mut self.aborted {
            Some(aborted) => Pin::new(aborted).poll(cx).is_pending(),
            None => false,
        };
        if pending {
            return self.media.poll_recv(cx).map(|chunk| chunk.map(Ok));
        }
        self.aborted = None;
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
    }
}
