//! The portal of SSO; and a login, as `aws sso login` leaves it.

use std::{fs, path::Path};

use gstkvssink::local::Source;
use reqwest::StatusCode;
use serde_json::{Value, json};
use test_case::test_case;

use super::{World, http};

/// `printf we | sha1sum`, the name of the session.
const CACHE: &str = ".aws/sso/cache/676e6f35cfc173f73fea9fe27699cf8185397f0c.json";

/// The profile `cameras`, for a role of the local service's account.
pub(super) fn profile(role: &str) -> String {
    format!(
        "[profile cameras]\nsso_session = we\nsso_account_id = 111122223333\nsso_role_name = {role}\n\
         [sso-session we]\nsso_region = eu-west-1\nsso_start_url = https://we.awsapps.com/start\n"
    )
}

/// Leaves a token in this home, as a login does. It cannot be renewed.
pub(super) fn log_in(home: &Path, token: &str) {
    let file = home.join(CACHE);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text = json!({ "accessToken": token, "expiresAt": "2999-01-02T03:04:05Z" });
    fs::write(file, text.to_string()).unwrap();
}

async fn ask(world: &World, query: &str, token: Option<&str>) -> (StatusCode, Value) {
    let url = format!("{}/federation/credentials{query}", world.sources().sso);
    let mut request = http().get(url);
    if let Some(token) = token {
        request = request.header("x-amz-sso_bearer_token", token);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    (
        status,
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
    )
}

const QUERY: &str = "?account_id=111122223333&role_name=kvs-local";

#[tokio::test]
async fn a_token_gives_credentials_of_a_role() {
    let world = World::new();
    let token = fs::read_to_string(&world.sources().sso_token_file).unwrap();
    let (status, answer) = ask(&world, QUERY, Some(&token)).await;
    assert_eq!(status, StatusCode::OK);
    let issued = world.issued();
    assert_eq!(issued.source, Source::Sso);
    let expected = json!({ "roleCredentials": {
        "accessKeyId": issued.access_key,
        "secretAccessKey": issued.secret_key,
        "sessionToken": issued.session_token,
        "expiration": issued.expires_ms,
    }});
    assert_eq!(answer, expected);
}

#[test_case(QUERY, None, 401; "no token")]
#[test_case(QUERY, Some("another"), 401; "another token")]
#[test_case("?account_id=111122223333", Some(""), 400; "no role")]
#[test_case("?account_id=111122223333&role_name=another", Some(""), 403; "another role")]
#[test_case("?account_id=444455556666&role_name=kvs-local", Some(""), 403; "another account")]
#[tokio::test]
async fn anybody_else_gets_none(query: &str, token: Option<&str>, status: u16) {
    let world = World::new();
    let right = fs::read_to_string(&world.sources().sso_token_file).unwrap();
    let token = token.map(|token| if token.is_empty() { &*right } else { token });
    assert_eq!(ask(&world, query, token).await.0.as_u16(), status);
    assert_eq!(world.local.issued(), []);
}
