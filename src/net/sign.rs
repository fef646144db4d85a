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

/// The other side of a signature, by no code of AWS: as "Create a signed AWS API request" tells it.
#[cfg(test)]
pub(super) mod check {
    use sha2::{Digest, Sha256};

    /// One header of a request head as it was on the wire.
    pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The names of the signed headers, separated by `;`.
    pub(crate) fn signed_headers(head: &str) -> &str {
        part(head, "SignedHeaders=")
    }

    /// The signature that a request head has.
    pub(crate) fn signature(head: &str) -> &str {
        part(head, "Signature=")
    }

    /// The signature that it should have.
    pub(crate) fn expected(head: &str, secret: &str) -> String {
        let request = head.lines().next().unwrap();
        let [method, path, _] = request.split(' ').collect::<Vec<_>>()[..] else {
            panic!("no request line: {request}");
        };
        let headers: String = signed_headers(head)
            .split(';')
            .map(|name| format!("{name}:{}\n", header(head, name).unwrap()))
            .collect();
        let canonical = format!(
            "{method}\n{path}\n\n{headers}\n{}\n{}",
            signed_headers(head),
            hex(&Sha256::digest(b""))
        );
        let scope = part(head, "Credential=").split_once('/').unwrap().1;
        let text = format!(
            "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
            header(head, "x-amz-date").unwrap(),
            hex(&Sha256::digest(&canonical))
        );
        let key = scope
            .split('/')
            .fold(format!("AWS4{secret}").into_bytes(), |key, step| {
                hmac(&key, step.as_bytes())
            });
        hex(&hmac(&key, text.as_bytes()))
    }

    fn part<'a>(head: &'a str, name: &str) -> &'a str {
        let authorization = header(head, "authorization").unwrap();
        let from = authorization.find(name).unwrap() + name.len();
        authorization[from..].split(',').next().unwrap()
    }

    /// RFC 2104; keys here are shorter than a block.
    fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
        let pad = |with: u8| {
            let mut block = [with; 64];
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
            block
        };
        let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text);
        let outer = Sha256::new()
            .chain_update(pad(0x5c))
            .chain_update(inner.finalize());
        outer.finalize().to_vec()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn signed(token: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "s-1.kinesisvideo.us-west-2.amazonaws.com"),
            ("user-agent", "kvssink/0.1.0"),
            ("transfer-encoding", "chunked"),
            ("x-amzn-stream-name", "cam1"),
            ("x-amzn-producer-start-timestamp", "1700000000.007"),
            ("x-amzn-fragment-timecode-type", "ABSOLUTE"),
            ("x-amzn-fragment-acknowledgment-required", "1"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let keys = Credentials::new("AKID", "SECRET", token.map(Into::into), None, "test");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let url = "https://s-1.kinesisvideo.us-west-2.amazonaws.com/putMedia";
        sign(url, &mut headers, &keys, "us-west-2", now).unwrap();
        assert!(headers["authorization"].is_sensitive());
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()))
            .collect();
        format!("POST /putMedia HTTP/1.1\r\n{lines}\r\n")
    }

    /// The stored signature was made by Python's `hmac` and `hashlib` from the same canonical request.
    #[test]
    fn the_signature_is_that_of_signature_version_4() {
        let head = signed(None);
        assert_eq!(check::header(&head, "x-amz-date"), Some("20231114T221320Z"));
        assert_eq!(
            check::signed_headers(&head),
            "host;transfer-encoding;user-agent;x-amz-date;x-amzn-fragment-acknowledgment-required;\
             x-amzn-fragment-timecode-type;x-amzn-producer-start-timestamp;x-amzn-stream-name"
        );
        assert!(check::header(&head, "authorization").unwrap().starts_with(
            "AWS4-HMAC-SHA256 Credential=AKID/20231114/us-west-2/kinesisvideo/aws4_request, "
        ));
        assert_eq!(check::signature(&head), check::expected(&head, "SECRET"));
        assert_eq!(
            check::signature(&head),
            "9ae0b883c9efa6a0917b02e9db8cd4c72b0ff1080619af687288c664bd006399"
        );
        assert_eq!(check::header(&head, "x-amz-content-sha256"), None);
        assert_eq!(check::header(&head, "x-amz-security-token"), None);
    }

    #[test]
    fn a_token_is_sent_and_not_signed() {
        let head = signed(Some("TOKEN"));
        assert_eq!(check::header(&head, "x-amz-security-token"), Some("TOKEN"));
        assert_eq!(check::signature(&head), check::signature(&signed(None)));
    }
}
