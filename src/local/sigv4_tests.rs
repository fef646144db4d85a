use std::sync::Mutex;

use http::{HeaderValue, Request};
use test_case::test_case;

use super::*;
use crate::local::keys::{Issued, Source};

const SERVICE: &str = "kinesisvideo";
/// 2026-01-02T03:04:05Z.
const NOW: u64 = 1_767_323_045_000;

fn keys() -> Keys {
    Keys {
        access_key: "AKIDLOCAL".into(),
        secret_key: "local-secret".into(),
        session_token: None,
        region: None,
        issued: Mutex::default(),
    }
}

/// A request signed by crate `aws-sigv4`, as a producer signs it.
fn signed(keys: &Keys, body: SignableBody<'_>, settings: SigningSettings) -> Parts {
    let identity = Credentials::new(
        &keys.access_key,
        &keys.secret_key,
        keys.session_token.clone(),
        None,
        "test",
    )
    .into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-west-1")
        .name(SERVICE)
        .time(UNIX_EPOCH + Duration::from_millis(NOW))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let headers = [
        ("host", "127.0.0.1:1234"),
        ("x-amzn-stream-name", "cam1"),
        ("user-agent", "a  b"),
    ];
    let url = "http://127.0.0.1:1234/putMedia";
    let signable = SignableRequest::new("POST", url, headers.into_iter(), body).unwrap();
    let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
    let mut request = Request::post("/putMedia");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut request = request.body(()).unwrap();
    instructions.apply_to_request_http1x(&mut request);
    request.into_parts().0
}

fn usual(keys: &Keys) -> Parts {
    signed(keys, SignableBody::Bytes(b"{}"), SigningSettings::default())
}

fn refused(request: &Parts, now_ms: u64) -> &'static str {
    verify(&keys(), SERVICE, request, Payload::Whole(b"{}"), now_ms)
        .unwrap_err()
        .kind
}

#[test]
fn a_right_signature_is_taken_and_gives_the_region() {
    let scope = verify(
        &keys(),
        SERVICE,
        &usual(&keys()),
        Payload::Whole(b"{}"),
        NOW,
    );
    assert_eq!(
        scope,
        Ok(Scope {
            region: "eu-west-1".into()
        })
    );
}

#[test]
fn whatever_headers_are_signed_are_verified() {
    let mut settings = SigningSettings::default();
    settings.excluded_headers = None;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let mut request = signed(&keys(), SignableBody::Bytes(b"{}"), settings);
    verify(&keys(), SERVICE, &request, Payload::Whole(b"{}"), NOW).unwrap();
    request
        .headers
        .insert("user-agent", HeaderValue::from_static("other"));
    assert_eq!(refused(&request, NOW), "InvalidSignatureException");
}

#[test]
fn a_body_to_come_is_signed_as_empty_or_not_at_all() {
    let empty = signed(&keys(), SignableBody::empty(), SigningSettings::default());
    verify(&keys(), SERVICE, &empty, Payload::Streaming, NOW).unwrap();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let unsigned = signed(&keys(), SignableBody::UnsignedPayload, settings);
    verify(&keys(), SERVICE, &unsigned, Payload::Streaming, NOW).unwrap();
    let unannounced = signed(
        &keys(),
        SignableBody::UnsignedPayload,
        SigningSettings::default(),
    );
    assert!(verify(&keys(), SERVICE, &unannounced, Payload::Streaming, NOW).is_err());
}

#[test_case(SessionTokenMode::Include; "signed")]
#[test_case(SessionTokenMode::Exclude; "sent only")]
fn a_session_token_is_compared(mode: SessionTokenMode) {
    let with_token = Keys {
        session_token: Some("token".into()),
        ..keys()
    };
    let mut settings = SigningSettings::default();
    settings.session_token_mode = mode;
    let request = signed(&with_token, SignableBody::Bytes(b"{}"), settings);
    verify(&with_token, SERVICE, &request, Payload::Whole(b"{}"), NOW).unwrap();
    assert_eq!(refused(&request, NOW), "UnrecognizedClientException");
    let missing = verify(
        &with_token,
        SERVICE,
        &usual(&keys()),
        Payload::Whole(b"{}"),
        NOW,
    )
    .unwrap_err();
    assert_eq!(missing.kind, "UnrecognizedClientException");
}

#[test]
fn a_wrong_secret_is_refused_and_not_told() {
    let wrong = Keys {
        secret_key: "wrong-secret".into(),
        ..keys()
    };
    let refused = verify(&keys(), SERVICE, &usual(&wrong), Payload::Whole(b"{}"), NOW).unwrap_err();
    assert_eq!(
        (refused.status, refused.kind),
        (403, "InvalidSignatureException")
    );
    assert!(!refused.message.contains("secret-") && !refused.message.contains("local-secret"));
}

#[test]
fn an_unknown_access_key_is_refused() {
    let other = Keys {
        access_key: "AKIDOTHER".into(),
        ..keys()
    };
    assert_eq!(refused(&usual(&other), NOW), "UnrecognizedClientException");
}

#[test]
fn an_altered_header_is_refused() {
    let mut request = usual(&keys());
    request
        .headers
        .insert("x-amzn-stream-name", HeaderValue::from_static("cam2"));
    assert_eq!(refused(&request, NOW), "InvalidSignatureException");
}

#[test]
fn an_altered_body_is_refused() {
    let refused = verify(
        &keys(),
        SERVICE,
        &usual(&keys()),
        Payload::Whole(b"{ }"),
        NOW,
    )
    .unwrap_err();
    assert_eq!(refused.kind, "InvalidSignatureException");
}

#[test]
fn an_altered_path_is_refused() {
    let mut request = usual(&keys());
    request.uri = "/getMedia".parse().unwrap();
    assert_eq!(refused(&request, NOW), "InvalidSignatureException");
}

#[test_case(NOW + 5 * 60 * 1000 + 1; "too old")]
#[test_case(NOW - 5 * 60 * 1000 - 1; "from the future")]
fn a_date_too_far_away_is_refused(now_ms: u64) {
    assert_eq!(
        refused(&usual(&keys()), now_ms),
        "InvalidSignatureException"
    );
}

#[test_case(NOW + 5 * 60 * 1000; "behind")]
#[test_case(NOW - 5 * 60 * 1000; "ahead")]
fn five_minutes_are_allowed(now_ms: u64) {
    verify(
        &keys(),
        SERVICE,
        &usual(&keys()),
        Payload::Whole(b"{}"),
        now_ms,
    )
    .unwrap();
}

#[test]
fn another_region_is_refused_if_one_is_wanted() {
    let keys = Keys {
        region: Some("us-east-1".into()),
        ..keys()
    };
    assert!(verify(&keys, SERVICE, &usual(&keys), Payload::Whole(b"{}"), NOW).is_err());
}

#[test_case(None, "MissingAuthenticationTokenException"; "none")]
#[test_case(Some("Bearer x"), "IncompleteSignatureException"; "another scheme")]
#[test_case(Some("AWS4-HMAC-SHA256"), "IncompleteSignatureException"; "no fields")]
#[test_case(
    Some("AWS4-HMAC-SHA256 Credential=AKIDLOCAL/20260102/eu-west-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"),
    "InvalidSignatureException"; "another service")]
#[test_case(
    Some("AWS4-HMAC-SHA256 Credential=AKIDLOCAL/20260103/eu-west-1/kinesisvideo/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"),
    "InvalidSignatureException"; "another day")]
#[test_case(
    Some("AWS4-HMAC-SHA256 Credential=AKIDLOCAL/20260102/eu-west-1/kinesisvideo/aws4_request, SignedHeaders=x-amz-date, Signature=00"),
    "InvalidSignatureException"; "host not signed")]
#[test_case(
    Some("AWS4-HMAC-SHA256 Credential=AKIDLOCAL/20260102/eu-west-1/kinesisvideo/aws4_request, SignedHeaders=host;x-amz-date;x-nowhere, Signature=00"),
    "InvalidSignatureException"; "a signed header that is missing")]
fn an_authorization_must_be_whole(authorization: Option<&'static str>, kind: &str) {
    let mut request = usual(&keys());
    request.headers.remove("authorization");
    if let Some(authorization) = authorization {
        request
            .headers
            .insert("authorization", HeaderValue::from_static(authorization));
    }
    assert_eq!(refused(&request, NOW), kind);
}

#[test_case("20260102T030405Z", Some(NOW))]
#[test_case("2026102T030405Z", None; "short")]
#[test_case("2026-01-02T03:04", None; "extended")]
#[test_case("20261302T030405Z", None; "month 13")]
fn dates_are_in_basic_format(date: &str, ms: Option<u64>) {
    assert_eq!(date_ms(date), ms);
}

fn issued(keys: &Keys) -> Issued {
    keys.issue(Source::Local, "test", Duration::from_secs(60), NOW)
}

/// A request signed with credentials that may have been altered.
fn signed_with(issued: &Issued) -> Parts {
    usual(&Keys {
        access_key: issued.access_key.clone(),
        secret_key: issued.secret_key.clone(),
        session_token: Some(issued.session_token.clone()),
        ..keys()
    })
}

#[test]
fn issued_credentials_are_taken_until_they_expire() {
    let keys = keys();
    let request = signed_with(&issued(&keys));
    let at = |now_ms| verify(&keys, SERVICE, &request, Payload::Whole(b"{}"), now_ms);
    at(NOW).unwrap();
    at(NOW + 59_999).unwrap();
    let expired = at(NOW + 60_000).unwrap_err();
    assert_eq!(
        (expired.status, expired.kind),
        (403, "ExpiredTokenException")
    );
}

#[test]
fn issued_credentials_need_their_own_token_and_secret() {
    let keys = keys();
    let (one, other) = (issued(&keys), issued(&keys));
    let refused = |request: &Parts| {
        verify(&keys, SERVICE, request, Payload::Whole(b"{}"), NOW)
            .unwrap_err()
            .kind
    };
    let mut mixed = one.clone();
    mixed.session_token = other.session_token.clone();
    assert_eq!(refused(&signed_with(&mixed)), "UnrecognizedClientException");
    let mut without = signed_with(&one);
    without.headers.remove("x-amz-security-token");
    assert_eq!(refused(&without), "UnrecognizedClientException");
    let mut wrong = one;
    wrong.secret_key = other.secret_key;
    assert_eq!(refused(&signed_with(&wrong)), "InvalidSignatureException");
}

#[test]
fn the_static_pair_stands_beside_issued_credentials() {
    let keys = keys();
    issued(&keys);
    verify(&keys, SERVICE, &usual(&keys), Payload::Whole(b"{}"), NOW).unwrap();
}

#[test]
fn a_request_for_another_service_is_refused() {
    let refused = verify(&keys(), "sts", &usual(&keys()), Payload::Whole(b"{}"), NOW).unwrap_err();
    assert_eq!(refused.kind, "InvalidSignatureException");
}

#[test]
fn the_access_key_is_known_however_the_request_is_signed() {
    let mut request = usual(&keys());
    assert_eq!(access_key(&request.headers), Some("AKIDLOCAL"));
    request
        .headers
        .insert("authorization", HeaderValue::from_static("token"));
    assert_eq!(access_key(&request.headers), None);
}
