//! Calls signed with credentials that the service has issued.

use super::*;

fn keys(issued: &Issued) -> Credentials {
    Credentials::new(
        &issued.access_key,
        &issued.secret_key,
        Some(issued.session_token.clone()),
        None,
        "test",
    )
}

fn list(local: &Local, issued: &Issued) -> (u16, Value) {
    call_as(&keys(issued), local, "/listStreams", &json!({}))
}

#[test]
fn a_record_tells_which_key_signed_and_whether_it_had_expired() {
    let local = local();
    let issued = local.issue(Duration::from_secs(1));
    let renewed = local.issue(Duration::from_secs(3600));
    assert_eq!(list(&local, &issued).0, 200);
    let is_over = |local: &Local| local.has_expired(&issued.access_key);
    assert!(local.wait_for(LIMIT, is_over));
    let (status, answer) = list(&local, &issued);
    assert_eq!(status, 403);
    assert_eq!(
        answer,
        json!({"message": "The security token included in the request is expired."})
    );
    assert_eq!(list(&local, &renewed).0, 200);
    let records: Vec<_> = local
        .requests()
        .into_iter()
        .map(|record| (record.access_key.unwrap(), record.error, record.expired))
        .collect();
    let expired = Some("ExpiredTokenException".to_owned());
    assert_eq!(
        records,
        [
            (issued.access_key.clone(), None, false),
            (issued.access_key.clone(), expired, true),
            (renewed.access_key.clone(), None, false),
        ]
    );
    assert_eq!(local.issued(), [issued, renewed]);
}

/// The service issues, and checks, by the same clock: if that is wrong, issued credentials are good for as long as ever, but
/// what was issued before a jump is not.
#[test]
fn credentials_expire_by_the_clock_of_the_service() {
    let local = local();
    let before = local.issue(Duration::from_secs(60));
    local.inject("clock:600000".parse().unwrap());
    assert!(local.has_expired(&before.access_key));
    let after = local.issue(Duration::from_secs(60));
    assert!(after.issued_ms >= before.issued_ms + 600_000);
    assert!(!local.has_expired(&after.access_key));
    local.clear_faults();
    assert!(!local.has_expired(&before.access_key));
}

#[test]
fn an_attempt_to_put_media_tells_it_too() {
    let local = local_with_stream();
    let issued = local.issue(Duration::ZERO);
    assert!(local.wait_for(LIMIT, |local| local.has_expired(&issued.access_key)));
    let headers = [
        ("transfer-encoding", "chunked"),
        ("x-amzn-stream-name", "cam1"),
    ];
    let mut wire = Wire::open_as(&keys(&issued), &local, "/putMedia", &headers, b"");
    assert_eq!(wire.head().0, 403);
    let attempt = local.attempts("cam1").remove(0);
    assert_eq!(attempt.error.as_deref(), Some("ExpiredTokenException"));
    assert_eq!(attempt.access_key, Some(issued.access_key));
    assert!(attempt.expired);
}

#[test]
fn a_credential_file_is_whole_or_half() {
    let local = local();
    let path = local.dir().join("credential");
    let words = || {
        let text = std::fs::read_to_string(&path).unwrap();
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let life = Duration::from_secs(60);
    let half = local.write_half_a_credential_file(&path, life).unwrap();
    let found = words();
    assert_eq!(found[..2], ["CREDENTIALS", &half.access_key]);
    assert_eq!(found[2..4], [half.expiration(), half.secret_key.clone()]);
    assert_eq!(found.len(), 5);
    assert!(half.session_token.starts_with(&found[4]) && half.session_token != found[4]);

    let whole = local.write_credential_file(&path, life).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), whole.line());
    assert_eq!(list(&local, &whole).0, 200);
    let beside = std::fs::read_dir(local.dir()).unwrap().count();
    assert_eq!(beside, 1, "nothing is left beside it");
}
