//! The keyring: what it keeps, and when it asks again.

use std::fs;

use test_case::test_case;

use super::*;
use crate::{definition::StreamName, net::failure, secret::Secret, session::Call};

fn definition() -> StreamDefinition {
    StreamDefinition::new(StreamName::new("cam1").unwrap())
}

fn keyring(credentials: Credentials) -> Keyring {
    let service = Service {
        credentials,
        ..Service::new("us-west-2")
    };
    let http = Http::new(&service).unwrap();
    Keyring::new(
        &service,
        &definition(),
        &SigningClock::default(),
        &http,
        std::sync::Arc::new(()),
    )
}

fn given(token: Option<&str>) -> Credentials {
    Credentials::Static {
        access_key: "AKID".into(),
        secret_key: Secret::new("SECRET"),
        session_token: token.map(Secret::new),
    }
}

fn refused(call: Call, status: u16, code: &str) -> Failure {
    failure::refusal(call, status, code, None, Some("said"))
}

/// A line of a file whose credentials end in a thousand years.
fn line(key: &str) -> String {
    format!("CREDENTIALS {key} 3000-01-02T03:04:05Z s3cr3t t0k3n\n")
}

#[tokio::test]
async fn static_credentials_are_given_as_they_are() {
    let keyring = keyring(given(Some("TOKEN")));
    let keys = keyring.provider().provide_credentials().await.unwrap();
    assert_eq!(keys.access_key_id(), "AKID");
    assert_eq!(keys.secret_access_key(), "SECRET");
    assert_eq!(keys.session_token(), Some("TOKEN"));
    assert_eq!(keys.expiry(), None);
    assert_eq!(keyring.from().as_deref(), Some("access-key and secret-key"));
    for shown in [
        format!("{keys:?}"),
        format!("{keyring:?}"),
        format!("{:?}", keyring.provider()),
    ] {
        assert!(
            !shown.contains("SECRET") && !shown.contains("TOKEN"),
            "{shown}"
        );
    }
}

/// Not async: there is no runtime.
#[test]
fn nothing_is_asked_before_keys_are_wanted() {
    let keyring = keyring(Credentials::DefaultChain);
    assert_eq!((keyring.from(), keyring.found_region()), (None, None));
}

#[test_case(12, 0.0, 8; "the last third")]
#[test_case(12, 1.0, 9; "the last quarter")]
#[test_case(3600, 0.0, 3300; "five minutes")]
#[test_case(3600, 1.0, 3375; "a quarter less")]
fn keys_are_renewed_before_they_end(life_s: u64, jitter: f64, renewed_s: u64) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let secs = Duration::from_secs;
    let keys = SdkKeys::new("AKID", "SECRET", None, Some(now + secs(life_s)), "test");
    let held = Held::new(keys, now, jitter);
    let renewed = now + secs(renewed_s);
    assert!(held.is_fresh(renewed - Duration::from_millis(1)));
    assert!(!held.is_fresh(renewed));
    assert!(held.holds(renewed));
    assert!(!held.holds(now + secs(life_s)));
}

#[test_case(None; "without an end")]
#[test_case(Some(0); "ended long ago")]
fn others_are_asked_for_each_time(end_s: Option<u64>) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let end = end_s.map(|s| SystemTime::UNIX_EPOCH + Duration::from_secs(s));
    let held = Held::new(SdkKeys::new("AKID", "SECRET", None, end, "test"), now, 0.5);
    assert!(!held.is_fresh(now));
    assert!(!held.holds(now));
}

/// Who writes the file may be late, and whoever issues credentials away.
#[tokio::test]
async fn keys_that_cannot_be_renewed_are_used_until_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credential");
    fs::write(&path, line("ASIA1")).unwrap();
    let keyring = keyring(Credentials::File(path.clone()));
    keyring.keys().await.unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(keyring.keys().await.unwrap().access_key_id(), "ASIA1");
}

#[tokio::test]
async fn a_file_that_changes_is_noticed_although_its_keys_would_hold() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credential");
    fs::write(&path, line("ASIA1")).unwrap();
    let keyring = keyring(Credentials::File(path.clone()));
    assert_eq!(keyring.keys().await.unwrap().access_key_id(), "ASIA1");
    fs::write(&path, line("ASIA2")).unwrap();
    assert_eq!(keyring.keys().await.unwrap().access_key_id(), "ASIA2");
}

#[tokio::test]
async fn a_refusal_of_keys_has_them_fetched_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credential");
    fs::write(&path, line("ASIA1")).unwrap();
    let keyring = keyring(Credentials::File(path.clone()));
    keyring.keys().await.unwrap();
    let expired = refused(Call::PutMedia, 403, "ExpiredTokenException");
    assert!(!keyring.renewed(&expired).await, "they are the same");
    let explained = keyring.explained(expired.clone()).message;
    assert!(explained.contains(path.to_str().unwrap()), "{explained}");
    assert!(explained.contains("has to renew"), "{explained}");
    fs::write(&path, line("ASIA2")).unwrap();
    let throttled = refused(Call::PutMedia, 400, "ThrottlingException");
    assert!(
        !keyring.renewed(&throttled).await,
        "it was for something else"
    );
    assert!(keyring.renewed(&expired).await);
    assert_eq!(keyring.keys().await.unwrap().access_key_id(), "ASIA2");
    assert!(!keyring.renewed(&expired).await, "not these again");
}

#[tokio::test]
async fn static_keys_cannot_be_renewed() {
    let keyring = keyring(given(None));
    keyring.keys().await.unwrap();
    for code in ["ExpiredTokenException", "InvalidSignatureException"] {
        assert!(!keyring.renewed(&refused(Call::Resolve, 403, code)).await);
    }
    let expired = refused(Call::Resolve, 403, "ExpiredTokenException");
    assert_eq!(
        keyring.explained(expired).message,
        "said (credentials of access-key and secret-key; set others, with session-token if they are temporary)"
    );
    let denied = refused(Call::Resolve, 403, "AccessDeniedException");
    assert_eq!(keyring.explained(denied).message, "said");
}

/// Where the service's time is not believed, since anybody on the way could have said it.
#[tokio::test]
async fn a_clock_that_is_wrong_is_to_be_set() {
    let keyring = keyring(given(None));
    keyring.region_for(Call::Describe).await.unwrap();
    for (said, expected) in [
        (
            "Signature expired: 20260102T030405Z is now earlier than 20260102T031905Z",
            "(the device's clock is wrong: set it, by NTP)",
        ),
        (
            "Signature not yet current: 20260102T032405Z is still later than 20260102T030905Z",
            "(the device's clock is wrong: set it, by NTP)",
        ),
        (
            "The signature does not match.",
            "(signed for region us-west-2: set aws-region if the stream is in another; otherwise the secret key is wrong)",
        ),
    ] {
        let refused = failure::refusal(
            Call::Describe,
            403,
            "InvalidSignatureException",
            None,
            Some(said),
        );
        let told = keyring.explained(refused).message;
        assert_eq!(told, format!("{said} {expected}"));
    }
}

#[test_case(Call::PutMedia, 403, "ExpiredTokenException", true)]
#[test_case(Call::PutMedia, 403, "AccessDeniedException", true)]
#[test_case(Call::Describe, 403, "AccessDeniedException", false; "a minimal policy")]
#[test_case(Call::Describe, 400, "UnrecognizedClientException", true)]
#[test_case(Call::Resolve, 401, "NotAuthorizedException", true)]
#[test_case(Call::PutMedia, 403, "", false; "a proxy")]
#[test_case(Call::PutMedia, 404, "ResourceNotFoundException", false)]
fn a_refusal_is_about_keys_or_not(call: Call, status: u16, code: &str, expected: bool) {
    assert_eq!(is_about_keys(&refused(call, status, code)), expected);
}

#[tokio::test]
async fn a_file_that_was_there_once_is_not_replaced_by_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credential");
    fs::write(&path, "CREDENTIALS AKID s3cr3t").unwrap();
    let keyring = keyring(Credentials::FileElseChain(path.clone()));
    keyring.keys().await.unwrap();
    fs::remove_file(&path).unwrap();
    let error = failure::credentials(Call::Describe, &keyring.keys().await.unwrap_err());
    assert!(error.message.starts_with("credential-path: "), "{error}");
}

#[tokio::test]
async fn a_region_that_is_set_is_not_looked_for() {
    let keyring = keyring(Credentials::DefaultChain);
    assert_eq!(keyring.region_for(Call::Describe).await, Ok("us-west-2"));
    assert_eq!(keyring.found_region(), None);
}
