//! Signed requests of the benchmark's own client.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::clock;

/// Headers of `POST url`, with its signature.
pub(crate) fn signed(
    url: &str,
    headers: &[(&'static str, &str)],
    body: &[u8],
) -> anyhow::Result<HeaderMap> {
    let keys = Credentials::new(DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, None, None, "bench");
    let identity = keys.into();
    let mut settings = SigningSettings::default();
    settings.excluded_headers = None;
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-west-2")
        .name("kinesisvideo")
        .time(clock::wall())
        .settings(settings)
        .build()?
        .into();
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    let all: Vec<(&str, &str)> = [("host", host)]
        .into_iter()
        .chain(headers.iter().copied())
        .collect();
    let request =
        SignableRequest::new("POST", url, all.iter().copied(), SignableBody::Bytes(body))?;
    let (instructions, _) = sign(request, &parameters)?.into_parts();
    let mut signed = HeaderMap::new();
    for (name, value) in all.into_iter().chain(instructions.headers()) {
        signed.insert(
            HeaderName::from_bytes(name.as_bytes())?,
            HeaderValue::from_str(value)?,
        );
    }
    Ok(signed)
}

/// A client as that of `net::put_media` (see there).
pub(crate) fn client(ca: Option<&[u8]>) -> anyhow::Result<reqwest::Client> {
    let trusted = ca.map(reqwest::Certificate::from_pem).transpose()?;
    Ok(reqwest::Client::builder()
        .no_proxy()
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
        .tls_certs_only(trusted)
        .http1_only()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()?)
}
