//! HTTP: the way of a request.
//!
//! Does not belong here: connections (`listen`), the shape of an answer (`reply`), what a call means (`control`, `session`, `get_media`).
//!
//! Every call of an API passes [`Entry::admit`], the single place where it is let in or refused.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use tokio::sync::mpsc;

use super::api::Api;
use super::connection::Connection;
use super::control::{self, Call, Target};
use super::fault::FaultKind;
use super::fault_control;
use super::faults::Occasion;
use super::get_media;
use super::line::Hangup;
use super::put_media::{self, PutMedia};
use super::record::RequestRecord;
use super::refused::Refused;
use super::reply::{Reply, insert, json, refusal, reply};
use super::service::Service;
use super::session::Session;
use super::sigv4::{self, Payload, Scope};

/// The name of the service in credential scopes.
const SERVICE: &str = "kinesisvideo";
/// Largest body of a call other than `PutMedia`.
const MAX_BODY: usize = 1 << 20;
/// Longest name or user agent in a record: that of the longest stream name.
const MAX_RECORDED: usize = 256;

/// Answers a request of `peer`; `hangup` ends its connection.
pub(crate) async fn answer(
    service: Arc<Service>,
    request: Request<Incoming>,
    peer: SocketAddr,
    hangup: Arc<Hangup>,
) -> Result<Response<Reply>, Infallible> {
    let (parts, body) = request.into_parts();
    if parts.uri.path() == fault_control::PATH {
        let answer = fault_control::answer(&service, &parts.method, peer, body).await;
        return Ok(answer.map_or_else(|refused| refusal(&refused), |answer| json(&answer)));
    }
    let request_id = request_id();
    let offset_ms = clock_offset(&service);
    let wall_ms = || service.clock.now_ms().saturating_add_signed(offset_ms);
    let api = Api::at(parts.uri.path()).filter(|_| parts.method == Method::POST);
    let mut stream = None;
    let now_ms = wall_ms();
    let signer = Signer::of(&service, &parts.headers, now_ms);
    let result = match api {
        None => Err(Refused::new(
            404,
            "UnknownOperationException",
            "There is no such API.",
        )),
        Some(api) => {
            let entry = Entry {
                api,
                service: &service,
                parts: &parts,
                now_ms,
                signer: &signer,
            };
            match api {
                Api::PutMedia => put_media(&entry, body, hangup, &mut stream).await,
                _ => other(&entry, body, &mut stream).await,
            }
        }
    };
    let (mut response, error) = match result {
        Ok(response) => (response, None),
        Err(refused) => (refusal(&refused), Some(refused.kind.to_owned())),
    };
    let headers = response.headers_mut();
    insert(headers, "x-amzn-requestid", &request_id);
    insert(headers, "date", &http_date(wall_ms()));
    let user_agent = parts
        .headers
        .get("user-agent")
        .and_then(|agent| agent.to_str().ok());
    service.record(RequestRecord {
        at_ms: service.clock.now_ms(),
        api: api.map_or_else(|| short(parts.uri.path()), |api| format!("{api:?}")),
        stream: stream.as_deref().map(short),
        status: response.status().as_u16(),
        error,
        request_id,
        user_agent: user_agent.map(short),
        access_key: signer.access_key,
        expired: signer.expired,
    });
    Ok(response)
}

/// How wrong the clock of this call is, if a fault says so.
fn clock_offset(service: &Service) -> i64 {
    let occasion = Occasion {
        stream: None,
        session: None,
    };
    service
        .strike(occasion, FaultKind::clock_offset_ms)
        .unwrap_or(0)
}

/// Who says to have signed a call.
struct Signer {
    access_key: Option<String>,
    /// Whether those credentials have expired.
    expired: bool,
}

impl Signer {
    fn of(service: &Service, headers: &HeaderMap, now_ms: u64) -> Self {
        let access_key = sigv4::access_key(headers);
        let expired = |key| service.keys.has_expired(key, now_ms);
        Self {
            access_key: access_key.map(short),
            expired: access_key.is_some_and(expired),
        }
    }
}

/// A call at the door.
struct Entry<'a> {
    api: Api,
    service: &'a Arc<Service>,
    parts: &'a Parts,
    /// The time that its signature must have.
    now_ms: u64,
    signer: &'a Signer,
}

impl Entry<'_> {
    /// Lets the call in, or not.
    fn admit(&self, payload: Payload<'_>, stream: Option<&str>) -> Result<Scope, Refused> {
        let scope = sigv4::verify(
            &self.service.keys,
            SERVICE,
            self.parts,
            payload,
            self.now_ms,
        )?;
        let fault = self.strike(stream, |kind| match kind {
            FaultKind::Http {
                api,
                status,
                exception,
            } if api.is_none_or(|api| api == self.api) => {
                Some(Refused::new(status, exception, "An injected fault."))
            }
            FaultKind::ConnectionLimit if self.api == Api::PutMedia => {
                Some(Refused::connection_limit())
            }
            _ => None,
        });
        fault.map_or(Ok(scope), Err)
    }

    fn strike<T>(&self, stream: Option<&str>, pick: impl Fn(FaultKind) -> Option<T>) -> Option<T> {
        let session = None;
        self.service.strike(Occasion { stream, session }, pick)
    }
}

async fn other(
    entry: &Entry<'_>,
    body: Incoming,
    stream: &mut Option<String>,
) -> Result<Response<Reply>, Refused> {
    let Entry { api, service, .. } = *entry;
    let body = Limited::new(body, MAX_BODY)
        .collect()
        .await
        .map_err(|_| {
            Refused::new(
                413,
                "RequestEntityTooLargeException",
                "The body is too large or broken off.",
            )
        })?
        .to_bytes();
    let parsed = control::parse(&body);
    *stream = parsed
        .as_ref()
        .ok()
        .and_then(|body| control::read::<Target>(body).ok()?.label());
    let scope = entry.admit(Payload::Whole(&body), stream.as_deref())?;
    let body = parsed?;
    if api == Api::GetMedia {
        let media = get_media::answer(service, &body)?;
        return Ok(reply(200, "video/webm", Reply::Live(media)));
    }
    let answer = service.with_account(|account, now_ms| {
        let call = Call {
            now_ms,
            region: &scope.region,
            endpoint: &service.endpoint,
        };
        control::answer(api, &body, &call, account)
    })?;
    Ok(json(&answer))
}

async fn put_media(
    entry: &Entry<'_>,
    body: Incoming,
    hangup: Arc<Hangup>,
    stream: &mut Option<String>,
) -> Result<Response<Reply>, Refused> {
    *stream = put_media::target(&entry.parts.headers).label();
    let service = entry.service;
    let named = stream.as_deref().map(short);
    let attempt = service.with_ledger(|ledger, now_ms| {
        let attempt = ledger.attempt(named, now_ms);
        ledger.amend(attempt, |attempt| {
            attempt.access_key.clone_from(&entry.signer.access_key);
            attempt.expired = entry.signer.expired;
        });
        attempt
    });
    let opened = open(entry, body, hangup, stream.as_deref()).await;
    service.with_ledger(|ledger, _| {
        ledger.amend(attempt, |attempt| match &opened {
            Ok((session, _)) => {
                attempt.status = Some(200);
                attempt.session = Some(*session);
            }
            Err(refused) => {
                attempt.status = Some(refused.status);
                attempt.error = Some(refused.kind.to_owned());
            }
        });
    });
    opened.map(|(_, response)| response)
}

/// Begins a session; gives its number and the answer.
async fn open(
    entry: &Entry<'_>,
    mut body: Incoming,
    hangup: Arc<Hangup>,
    stream: Option<&str>,
) -> Result<(u64, Response<Reply>), Refused> {
    entry.admit(Payload::Streaming, stream)?;
    let call = PutMedia::parse(&entry.parts.headers)?;
    let delay = entry.strike(stream, |kind| match kind {
        FaultKind::SlowOpen { delay } => Some(delay),
        _ => None,
    });
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    let connection = Connection::open(entry.service, &call.target)?;
    let (response, acks) = mpsc::channel(64);
    let session = Session::new(connection, &call, response);
    let number = session.number();
    let first = begin(&mut body).await;
    tokio::spawn(session.run(body, first, hangup));
    Ok((number, reply(200, "application/json", Reply::Live(acks))))
}

/// Asks for the body once, so that hyper answers `Expect: 100-continue` before it sends our head.
async fn begin(body: &mut Incoming) -> Option<Bytes> {
    let mut asked = false;
    std::future::poll_fn(|context| match Pin::new(&mut *body).poll_frame(context) {
        Poll::Ready(Some(Ok(frame))) => Poll::Ready(frame.into_data().ok()),
        // The session meets an end or an error again.
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending if asked => Poll::Ready(None),
        Poll::Pending => {
            asked = true;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// The `Date` header by the service's own clock, which tests may shift.
fn http_date(now_ms: u64) -> String {
    i64::try_from(now_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map(|now| now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .unwrap_or_default()
}

/// What callers choose is cut for the records, of which many are kept.
fn short(text: &str) -> String {
    text.chars().take(MAX_RECORDED).collect()
}

fn request_id() -> String {
    let hex = format!("{:032x}", fastrand::u128(..));
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
