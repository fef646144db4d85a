//! Signature Version 4 of PutMedia, which is in no AWS SDK.
//!
//! In: the headers of the request, credentials, region, time. Out: the headers `x-amz-date`, `authorization` and
//! `x-amz-security-token`. The body is not signed: its hash is that of the empty one (kvs-facts §3, §3b).
//! Belongs here: what is signed and how. Does not belong here: the control plane (its SDK signs itself).

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{self, SessionTokenMode, SignableBody, SignableRequest, SigningSettings},
    sign::v4,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Name of the service in the scope of the signature.
const SERVICE: &str = "kinesisvideo";

/// Error of a signature that cannot be made.
pub(crate) type Unsigned = Box<dyn std::error::Error + Send + Sync>;

/// Signs `POST url` with all of `headers`, and adds the headers of the signature to them.
pub(crate) fn sign(
    url: &str,
    headers: &mut HeaderMap,
    credentials: &Credentials,
    region: &str,
    now: SystemTime,
) -> Result<(), Unsigned> {
    let mut settings = SigningSettings::default();
    // What the service's own client signs: `transfer-encoding` and `user-agent` too, the token not. An answer to a wrong
    // signature repeats what should have been signed, so the token does not come back in it either.
    settings.excluded_headers = None;
    settings.session_token_mode = SessionTokenMode::Exclude;
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(now)
        .settings(settings)
        .build()?
        .into();
    let signed = headers
        .iter()
        .map(|(name, value)| Ok((name.as_str(), value.to_str()?)))
        .collect::<Result<Vec<_>, http::header::ToStrError>>()?;
    let request = SignableRequest::new("POST", url, signed.into_iter(), SignableBody::Bytes(b""))?;
    let (instructions, _) = http_request::sign(request, &params)?.into_parts();
    for (name, value) in instructions.headers() {
        let mut value = HeaderValue::from_str(value)?;
        value.set_sensitive(name != "x-amz-date");
        headers.insert(HeaderName::from_bytes(name.as_bytes())?, value);
    }
    Ok(())
}

/// The wall clock, for signatures and the end of credentials. The only place of the clients that reads it.
pub(crate) fn wall_now() -> SystemTime {
    SystemTime::now()
}
