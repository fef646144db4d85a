//! HTTP: the way of a request, the shape of an answer.
//!
//! Does not belong here: connections (`listen`), what a call means (`control`, `session`, `get_media`).
//!
//! Every call of an API passes [`admit`], the single place where it is let in or refused.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use tokio::sync::{Notify, mpsc};

use super::ack::AckWriter;
use super::api::Api;
use super::control::{self, Call, Target};
use super::get_media;
use super::put_media::{self, PutMedia};
use super::record::RequestRecord;
use super::refused::Refused;
use super::reply::Reply;
use super::service::Service;
use super::session::{Connection, Session};
use super::sigv4::{self, Payload, Scope};

/// Largest body of a call other than `PutMedia`.
const MAX_BODY: usize = 1 << 20;
/// Longest name or user agent in a record: that of the longest stream name.
const MAX_RECORDED: usize = 256;

/// Answers a request; `close` asks for the end of its connection.
pub(crate) async fn answer(
    service: Arc<Service>,
    request: Request<Incoming>,
    close: Arc<Notify>,
) -> Result<Response<Reply>, Infallible> {
    let (parts, body) = request.into_parts();
    let request_id = request_id();
    let api = Api::at(parts.uri.path()).filter(|_| parts.method == Method::POST);
    let mut stream = None;
    let result = match api {
        None => Err(Refused::new(
            404,
            "UnknownOperationException",
            "There is no such API.",
        )),
        Some(Api::PutMedia) => put_media(&service, &parts, body, close, &mut stream).await,
        Some(api) => other(api, &service, &parts, body, &mut stream).await,
    };
    let (mut response, error) = match result {
        Ok(response) => (response, None),
        Err(refused) => (refusal(&refused), Some(refused.kind.to_owned())),
    };
    let headers = response.headers_mut();
    insert(headers, "x-amzn-requestid", &request_id);
    insert(headers, "date", &http_date(service.clock.now_ms()));
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
    });
    Ok(response)
}

/// Lets a request in, or not.
fn admit(service: &Service, parts: &Parts, payload: Payload<'_>) -> Result<Scope, Refused> {
    sigv4::verify(&service.keys, parts, payload, service.clock.now_ms())
}

async fn other(
    api: Api,
    service: &Arc<Service>,
    parts: &Parts,
    body: Incoming,
    stream: &mut Option<String>,
) -> Result<Response<Reply>, Refused> {
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
    let scope = admit(service, parts, Payload::Whole(&body))?;
    let body = control::parse(&body)?;
    *stream = control::read::<Target>(&body)
        .ok()
        .and_then(|target| target.label());
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
    Ok(reply(
        200,
        "application/json",
        Reply::whole(answer.to_string()),
    ))
}

async fn put_media(
    service: &Arc<Service>,
    parts: &Parts,
    mut body: Incoming,
    close: Arc<Notify>,
    stream: &mut Option<String>,
) -> Result<Response<Reply>, Refused> {
    *stream = put_media::target(&parts.headers).label();
    admit(service, parts, Payload::Streaming)?;
    let call = PutMedia::parse(&parts.headers)?;
    let connection = Connection::open(service, &call.target)?;
    let (response, acks) = mpsc::channel(64);
    let session = Session::new(connection, &call, AckWriter::new(call.acks, response));
    let first = begin(&mut body).await;
    tokio::spawn(async move {
        if !session.run(body, first).await {
            close.notify_one();
        }
    });
    Ok(reply(200, "application/json", Reply::Live(acks)))
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

fn refusal(refused: &Refused) -> Response<Reply> {
    let mut response = reply(
        refused.status,
        "application/json",
        Reply::whole(refused.json()),
    );
    insert(response.headers_mut(), "x-amzn-errortype", refused.kind);
    response
}

fn reply(status: u16, content_type: &'static str, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    insert(response.headers_mut(), "content-type", content_type);
    response
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
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
