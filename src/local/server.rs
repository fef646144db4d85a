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
use http::{Method, Request, Response};
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
use super::refused::Refused;
use super::reply::{Reply, json, refusal, reply};
use super::service::Service;
use super::session::Session;
use super::sigv4::{self, Payload, Scope};
use super::sources::{self, Place};
use super::visit::{Said, Visit, short};

/// The name of the service in credential scopes.
const SERVICE: &str = "kinesisvideo";
/// Largest body of a call other than `PutMedia`.
const MAX_BODY: usize = 1 << 20;

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
    let visit = Visit::begin(&service, &parts.headers);
    let issuer = service.issuer.as_ref();
    let said = match issuer.zip(Place::at(parts.uri.path())) {
        Some((issuer, place)) => {
            let call = sources::Call::new(&service, issuer, &visit, &parts);
            sources::answer(place, &call, body).await
        }
        None => video(&service, &visit, &parts, body, hangup).await,
    };
    Ok(visit.end(&service, &parts, said))
}

/// Answers a call of an API of video.
async fn video(
    service: &Arc<Service>,
    visit: &Visit,
    parts: &Parts,
    body: Incoming,
    hangup: Arc<Hangup>,
) -> Said {
    let api = Api::at(parts.uri.path()).filter(|_| parts.method == Method::POST);
    let mut stream = None;
    let result = match api {
        None => Err(Refused::new(
            404,
            "UnknownOperationException",
            "There is no such API.",
        )),
        Some(api) => {
            let entry = Entry {
                api,
                service,
                visit,
                parts,
            };
            match api {
                Api::PutMedia => put_media(&entry, body, hangup, &mut stream).await,
                _ => other(&entry, body, &mut stream).await,
            }
        }
    };
    let (response, error) = match result {
        Ok(response) => (response, None),
        Err(refused) => (refusal(&refused), Some(refused.kind)),
    };
    Said {
        api: api.map_or_else(|| short(parts.uri.path()), |api| format!("{api:?}")),
        stream,
        response,
        error,
    }
}

/// A call at the door.
struct Entry<'a> {
    api: Api,
    service: &'a Arc<Service>,
    visit: &'a Visit,
    parts: &'a Parts,
}

impl Entry<'_> {
    /// Lets the call in, or not.
    fn admit(&self, payload: Payload<'_>, stream: Option<&str>) -> Result<Scope, Refused> {
        let scope = sigv4::verify(
            &self.service.keys,
            SERVICE,
            self.parts,
            payload,
            self.visit.now_ms,
        )?;
        let fault = self.strike(stream, |kind| match kind {
            FaultKind::Http {
                api,
                status,
                exception,
            } if api.is_none_or(|api| api == self.api) => {
                Some(Refused::injected(status, exception))
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
            attempt
                .access_key
                .clone_from(&entry.visit.signer.access_key);
            attempt.expired = entry.visit.signer.expired;
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
