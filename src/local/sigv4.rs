//! Verifies the Signature Version 4 of a request.
//!
//! In: method, path, headers, how the payload was hashed, `now`. Out: the region of the credential scope,
//! or the refusal that AWS answers. The signature is computed again by crate `aws-sigv4` from exactly the
//! headers that the request says it signed.
//!
//! No signature, key or token appears in a message.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SessionTokenMode, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use http::HeaderMap;
use http::request::Parts;

use super::keys::{Key, Keys};
use super::refused::Refused;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// How far a request's date may be from the service's clock.
const MAX_SKEW_MS: u64 = 5 * 60 * 1000;

/// What of the body is signed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Payload<'a> {
    /// The hash of the body.
    Whole(&'a [u8]),
    /// The hash of nothing, or `UNSIGNED-PAYLOAD` if the request says so: the body is still to come.
    Streaming,
}

/// For which region it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) region: String,
}

/// The access key that a request names, whether it is signed well or not.
pub(crate) fn access_key(headers: &HeaderMap) -> Option<&str> {
    let authorization = header(headers, "authorization").ok()??;
    Some(Claim::parse(authorization).ok()?.access_key)
}

/// Verifies a request to `service`, which is its name in credential scopes.
pub(crate) fn verify(
    keys: &Keys,
    service: &str,
    request: &Parts,
    payload: Payload<'_>,
    now_ms: u64,
) -> Result<Scope, Refused> {
    let authorization = header(&request.headers, "authorization")?.ok_or_else(|| {
        Refused::new(
            403,
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        )
    })?;
    let claim = Claim::parse(authorization)?;
    let date = header(&request.headers, "x-amz-date")?.ok_or_else(|| {
        incomplete("Authorization header requires existence of a 'X-Amz-Date' header.")
    })?;
    let time_ms =
        date_ms(date).ok_or_else(|| incomplete("Date must be in ISO-8601 'basic format'."))?;
    for required in ["host", "x-amz-date"] {
        if !claim.signed_headers.contains(&required) {
            return Err(Refused::signature(format!(
                "'{required}' must be a 'SignedHeader' in the AWS Authorization."
            )));
        }
    }
    claim.check_scope(keys, service, date)?;
    check_date(date, time_ms, now_ms)?;
    let key = keys
        .find(claim.access_key, now_ms)
        .ok_or_else(Refused::unrecognized)?;
    if header(&request.headers, "x-amz-security-token")? != key.session_token.as_deref() {
        return Err(Refused::unrecognized());
    }
    if key.has_expired {
        return Err(Refused::expired());
    }
    let expected = signature(&key, &claim, request, payload, time_ms)?;
    if expected != claim.signature {
        return Err(Refused::signature(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        ));
    }
    Ok(Scope {
        region: claim.region.to_owned(),
    })
}

fn incomplete(message: &str) -> Refused {
    Refused::new(403, "IncompleteSignatureException", message)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refused> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(incomplete(&format!("Header '{name}' is not ASCII."))),
        },
        _ => Err(incomplete(&format!(
            "Header '{name}' stands more than once."
        ))),
    }
}

/// What the Authorization header says.
struct Claim<'a> {
    access_key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Claim<'a> {
    fn parse(authorization: &'a str) -> Result<Self, Refused> {
        let fields = authorization.strip_prefix(ALGORITHM).ok_or_else(|| {
            incomplete("The Authorization header must begin with 'AWS4-HMAC-SHA256'.")
        })?;
        let field = |name: &str| {
            fields
                .split(',')
                .filter_map(|field| field.trim().split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
                .ok_or_else(|| {
                    incomplete(&format!(
                        "Authorization header requires '{name}' parameter."
                    ))
                })
        };
        let scope: Vec<&str> = field("Credential")?.rsplitn(5, '/').collect();
        let [terminator, service, region, date, access_key] = scope[..] else {
            return Err(incomplete(
                "Credential must have exactly 5 slash-delimited elements.",
            ));
        };
        if terminator != "aws4_request" {
            return Err(Refused::signature(
                "Credential should be scoped with a valid terminator: 'aws4_request'.",
            ));
        }
        let signed_headers: Vec<&str> = field("SignedHeaders")?.split(';').collect();
        if !signed_headers.is_sorted() {
            return Err(Refused::signature("SignedHeaders must be sorted."));
        }
        Ok(Self {
            access_key,
            date,
            region,
            service,
            signed_headers,
            signature: field("Signature")?,
        })
    }

    fn check_scope(&self, keys: &Keys, service: &str, date: &str) -> Result<(), Refused> {
        if self.service != service {
            let message = format!("Credential should be scoped to correct service: '{service}'.");
            return Err(Refused::signature(message));
        }
        let regular = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let wanted = keys.region.as_deref().unwrap_or(self.region);
        if self.region.is_empty() || !self.region.chars().all(regular) || self.region != wanted {
            return Err(Refused::signature(
                "Credential should be scoped to a valid region.",
            ));
        }
        if !date.starts_with(self.date) || self.date.len() != 8 {
            return Err(Refused::signature(
                "Date in Credential scope does not match the day of 'X-Amz-Date'.",
            ));
        }
        Ok(())
    }
}

fn date_ms(date: &str) -> Option<u64> {
    // strptime alone would also take one-digit months.
    if date.len() != "20260101T000000Z".len() {
        return None;
    }
    let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
    let time = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    u64::try_from(time.timestamp().as_millisecond()).ok()
}

fn check_date(date: &str, time_ms: u64, now_ms: u64) -> Result<(), Refused> {
    if time_ms.saturating_add(MAX_SKEW_MS) < now_ms {
        return Err(Refused::signature(format!(
            "Signature expired: {date} is more than 5 min. ago."
        )));
    }
    if time_ms > now_ms.saturating_add(MAX_SKEW_MS) {
        let message = format!("Signature not yet current: {date} is more than 5 min. ahead.");
        return Err(Refused::signature(message));
    }
    Ok(())
}

/// The signature that the request should have.
fn signature(
    key: &Key,
    claim: &Claim<'_>,
    request: &Parts,
    payload: Payload<'_>,
    time_ms: u64,
) -> Result<String, Refused> {
    let unreadable = |_| Refused::signature("The request cannot be brought into canonical form.");
    let mut headers = Vec::new();
    for &name in &claim.signed_headers {
        let mut values = request.headers.get_all(name).iter().peekable();
        if values.peek().is_none() {
            return Err(Refused::signature(format!(
                "The signed header '{name}' is missing."
            )));
        }
        for value in values {
            let value = value.to_str().map_err(|_| {
                Refused::signature(format!("The signed header '{name}' is not ASCII."))
            })?;
            // The signer puts the date in itself.
            if name != "x-amz-date" {
                headers.push((name, value));
            }
        }
    }
    let body = match (payload, header(&request.headers, "x-amz-content-sha256")?) {
        (Payload::Streaming, Some(UNSIGNED)) => SignableBody::UnsignedPayload,
        (Payload::Streaming, _) => SignableBody::empty(),
        (Payload::Whole(body), _) => SignableBody::Bytes(body),
    };
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
    settings.session_token_mode = SessionTokenMode::Include;
    // What is signed is what the request says, user agent and transfer encoding included.
    settings.excluded_headers = None;
    let identity = Credentials::new(claim.access_key, &key.secret, None, None, "kvs-local").into();
    let time: SystemTime = UNIX_EPOCH + Duration::from_millis(time_ms);
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(claim.region)
        .name(claim.service)
        .time(time)
        .settings(settings)
        .build()
        .map_err(|_| Refused::signature("The credential scope is incomplete."))?
        .into();
    let path = request
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let url = format!("http://localhost{path}");
    let request = SignableRequest::new(request.method.as_str(), url, headers.into_iter(), body)
        .map_err(unreadable)?;
    let (_, signature) = sign(request, &parameters).map_err(unreadable)?.into_parts();
    Ok(signature)
}

#[cfg(test)]
#[path = "sigv4_tests.rs"]
mod tests;
