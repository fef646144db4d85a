//! What every call has, whoever answers it: a time, an id, someone who signed it, and a record.
//!
//! Does not belong here: what the call means (`server`, `sources`).

use http::request::Parts;
use http::{HeaderMap, Response};

use super::api::Api;
use super::fault::FaultKind;
use super::faults::Occasion;
use super::record::RequestRecord;
use super::reply::{Reply, insert};
use super::service::Service;
use super::sigv4;

/// Longest name or user agent in a record: that of the longest stream name.
const MAX_RECORDED: usize = 256;

/// A call from its head to its answer.
pub(crate) struct Visit {
    pub(crate) request_id: String,
    /// When it came, by a clock that a fault may have made wrong.
    pub(crate) now_ms: u64,
    pub(crate) signer: Signer,
    offset_ms: i64,
}

/// Who says to have signed a call.
pub(crate) struct Signer {
    pub(crate) access_key: Option<String>,
    /// Whether those credentials had expired when it came.
    pub(crate) expired: bool,
}

/// What is said to a call.
pub(crate) struct Said {
    /// What it was.
    pub(crate) api: String,
    pub(crate) stream: Option<String>,
    pub(crate) response: Response<Reply>,
    /// The error's name, if it was refused.
    pub(crate) error: Option<&'static str>,
}

impl Said {
    /// The answer of an API that knows no streams.
    pub(crate) fn of(api: Api, response: Response<Reply>, error: Option<&'static str>) -> Self {
        Self {
            api: format!("{api:?}"),
            stream: None,
            response,
            error,
        }
    }
}

impl Visit {
    /// A call has come.
    pub(crate) fn begin(service: &Service, headers: &HeaderMap) -> Self {
        let offset_ms = clock_offset(service);
        let now_ms = service.clock.now_ms().saturating_add_signed(offset_ms);
        let access_key = sigv4::access_key(headers);
        let expired = |key| service.keys.has_expired(key, now_ms);
        Self {
            request_id: request_id(),
            now_ms,
            signer: Signer {
                access_key: access_key.map(short),
                expired: access_key.is_some_and(expired),
            },
            offset_ms,
        }
    }

    /// It is answered: completes the answer, and remembers it.
    pub(crate) fn end(self, service: &Service, parts: &Parts, said: Said) -> Response<Reply> {
        let mut response = said.response;
        let at_ms = service.clock.now_ms();
        let date = http_date(at_ms.saturating_add_signed(self.offset_ms));
        insert(response.headers_mut(), "x-amzn-requestid", &self.request_id);
        insert(response.headers_mut(), "date", &date);
        let user_agent = parts
            .headers
            .get("user-agent")
            .and_then(|agent| agent.to_str().ok());
        service.record(RequestRecord {
            at_ms,
            api: said.api,
            stream: said.stream.as_deref().map(short),
            status: response.status().as_u16(),
            error: said.error.map(str::to_owned),
            request_id: self.request_id,
            user_agent: user_agent.map(short),
            access_key: self.signer.access_key,
            expired: self.signer.expired,
        });
        response
    }
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

/// What callers choose is cut for the records, of which many are kept.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(MAX_RECORDED).collect()
}

/// The `Date` header by the service's own clock, which tests may shift.
fn http_date(now_ms: u64) -> String {
    i64::try_from(now_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map(|now| now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .unwrap_or_default()
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
