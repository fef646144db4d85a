//! STS: the SDK's own clients, and what they would never send.

use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::{Credentials, provider, provider::ProvideCredentials};
use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Issued, Source};
use reqwest::StatusCode;
use test_case::test_case;

use super::{World, http, minutes};

fn static_pair() -> Credentials {
    Credentials::new(DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, None, None, "test")
}

/// As the issue's words go: a role, perhaps an external id.
struct Wish<'a> {
    credentials: Credentials,
    role: &'a str,
    external_id: Option<&'a str>,
}

impl<'a> Wish<'a> {
    fn of(world: &'a World) -> Self {
        Self {
            credentials: static_pair(),
            role: &world.sources().role_arn,
            external_id: None,
        }
    }

    async fn assume(&self, world: &World) -> provider::Result {
        let config = world.sdk(static_pair());
        let mut provider = AssumeRoleProvider::builder(self.role)
            .configure(&config)
            .session_name("front-door");
        if let Some(id) = self.external_id {
            provider = provider.external_id(id);
        }
        let provider = provider.build_from_provider(self.credentials.clone()).await;
        provider.provide_credentials().await
    }

    async fn refusal(&self, world: &World) -> String {
        let refused = self.assume(world).await.unwrap_err();
        assert_eq!(world.local.issued(), []);
        let record = world.local.requests().pop().unwrap();
        assert_eq!(record.api, "AssumeRole");
        // The SDK has read the name from the XML.
        let code = record.error.unwrap();
        assert!(format!("{refused:?}").contains(&code), "{refused:?}");
        code
    }
}

#[tokio::test]
async fn the_sdk_assumes_a_role_there() {
    let world = World::with(minutes);
    let got = Wish::of(&world).assume(&world).await.unwrap();
    let issued = world.issued();
    assert_eq!(
        (issued.source, issued.holder.as_str()),
        (Source::AssumeRole, "front-door")
    );
    let record = world.local.requests().remove(0);
    assert_eq!(record.access_key.as_deref(), Some(DEFAULT_ACCESS_KEY));
    world.assert_good(&got).await;
}

fn external(options: &mut gstkvssink::local::Options) {
    options.credential_sources.as_mut().unwrap().external_id = Some("a&b c".into());
}

#[test_case(None; "none")]
#[test_case(Some("another"); "a wrong one")]
#[tokio::test]
async fn an_external_id_that_is_wanted_must_be_right(id: Option<&str>) {
    let world = World::with(external);
    let mut wish = Wish::of(&world);
    wish.external_id = id;
    assert_eq!(wish.refusal(&world).await, "AccessDenied");
    wish.external_id = Some("a&b c");
    wish.assume(&world).await.unwrap();
    assert_eq!(world.local.issued().len(), 1);
}

#[tokio::test]
async fn another_role_is_denied() {
    let world = World::new();
    let wish = Wish {
        role: "arn:aws:iam::111122223333:role/another",
        ..Wish::of(&world)
    };
    assert_eq!(wish.refusal(&world).await, "AccessDenied");
}

#[test_case(Credentials::new("AKIDOTHER", DEFAULT_SECRET_KEY, None, None, "test"), "InvalidClientTokenId"; "an unknown key")]
#[test_case(Credentials::new(DEFAULT_ACCESS_KEY, "wrong", None, None, "test"), "SignatureDoesNotMatch"; "a wrong secret")]
#[tokio::test]
async fn who_assumes_a_role_must_be_known(credentials: Credentials, code: &str) {
    let world = World::new();
    let wish = Wish {
        credentials,
        ..Wish::of(&world)
    };
    assert_eq!(wish.refusal(&world).await, code);
}

#[tokio::test]
async fn a_role_is_not_assumed_with_expired_credentials() {
    let world = World::new();
    let Issued {
        access_key,
        secret_key,
        session_token,
        ..
    } = world.local.issue(Duration::from_secs(60));
    let wish = Wish {
        credentials: Credentials::new(access_key, secret_key, Some(session_token), None, "test"),
        ..Wish::of(&world)
    };
    world.local.inject("clock:61000".parse().unwrap());
    let refused = wish.assume(&world).await.unwrap_err();
    assert!(format!("{refused:?}").contains("ExpiredToken"));
    let record = world.local.requests().pop().unwrap();
    assert_eq!(record.error.as_deref(), Some("ExpiredToken"));
    assert!(record.expired);
    assert_eq!(world.local.issued().len(), 1);
}

/// A form, as a client posts it that the SDKs are not.
async fn post(world: &World, form: &[(&str, &str)]) -> (StatusCode, String) {
    let body: String = form_urlencoded(form);
    let answer = http()
        .post(&world.sources().sts)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .unwrap();
    (answer.status(), answer.text().await.unwrap())
}

fn form_urlencoded(form: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://localhost/").unwrap();
    url.query_pairs_mut().extend_pairs(form);
    url.query().unwrap().to_owned()
}

fn web_identity<'a>(world: &'a World, token: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", &world.sources().role_arn),
        ("RoleSessionName", "front-door"),
        ("WebIdentityToken", token),
    ]
}

fn with<'a>(
    mut form: Vec<(&'static str, &'a str)>,
    name: &'static str,
    value: &'a str,
) -> Vec<(&'static str, &'a str)> {
    form.retain(|(other, _)| *other != name);
    form.push((name, value));
    form
}

fn token(world: &World) -> String {
    std::fs::read_to_string(&world.sources().web_identity_token_file).unwrap()
}

/// That the SDK gets credentials by it is proven in `chain`.
#[tokio::test]
async fn a_web_identity_needs_no_signature_but_its_token() {
    let world = World::new();
    let token = token(&world);
    let (status, xml) = post(&world, &web_identity(&world, &token)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(world.issued().source, Source::WebIdentity);
    let key = format!("<AccessKeyId>{}</AccessKeyId>", world.issued().access_key);
    assert!(xml.contains(&key), "{xml}");
}

#[test_case("WebIdentityToken", "another", 400, "InvalidIdentityToken"; "a token that is not its own")]
#[test_case("WebIdentityToken", "", 400, "ValidationError"; "no token")]
#[test_case("RoleArn", "arn:aws:iam::111122223333:role/another", 403, "AccessDenied"; "another role")]
#[test_case("RoleArn", "kvs-local", 400, "ValidationError"; "a role that is no ARN")]
#[test_case("RoleSessionName", "a<b>", 400, "ValidationError"; "a session name with other characters")]
#[test_case("RoleSessionName", "a", 400, "ValidationError"; "a session name that is too short")]
#[test_case("DurationSeconds", "899", 400, "ValidationError"; "too short")]
#[test_case("DurationSeconds", "43201", 400, "ValidationError"; "too long")]
#[test_case("Version", "2011-06-16", 400, "InvalidAction"; "another version")]
#[test_case("Action", "GetCallerIdentity", 400, "InvalidAction"; "another action")]
#[test_case("Action", "AssumeRole", 403, "MissingAuthenticationToken"; "a role without a signature")]
#[tokio::test]
async fn a_wrong_parameter_is_refused(name: &'static str, value: &str, status: u16, code: &str) {
    let world = World::new();
    let token = token(&world);
    let form = with(web_identity(&world, &token), name, value);
    let (got, xml) = post(&world, &form).await;
    assert_eq!(got.as_u16(), status, "{xml}");
    assert!(xml.contains(&format!("<Code>{code}</Code>")), "{xml}");
    assert_eq!(world.local.issued(), []);
}

/// What a caller has chosen does not break the XML.
#[tokio::test]
async fn a_message_is_escaped() {
    let world = World::new();
    let now = world.local.issue(Duration::ZERO).expiration();
    let date = now.replace(['-', ':'], "");
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={DEFAULT_ACCESS_KEY}/{}/eu-central-1/sts/aws4_request, \
         SignedHeaders=host;x-amz-date;x<y&z, Signature=00",
        &date[..8]
    );
    let request = http()
        .post(&world.sources().sts)
        .header("x-amz-date", date)
        .header("authorization", authorization)
        .body("Action=AssumeRole&Version=2011-06-15");
    let xml = request.send().await.unwrap().text().await.unwrap();
    assert!(xml.contains("<Code>SignatureDoesNotMatch</Code>"), "{xml}");
    assert!(xml.contains("'x&lt;y&amp;z'"), "{xml}");
}

#[tokio::test]
async fn a_parameter_twice_is_refused() {
    let world = World::new();
    let token = token(&world);
    let mut form = web_identity(&world, &token);
    form.push(("RoleSessionName", "another"));
    let (status, xml) = post(&world, &form).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(xml.contains("<Code>MalformedQueryString</Code>"), "{xml}");
}

/// Whatever duration is asked for, credentials live no longer than the service gives them.
#[test_case(Some("900"), 3600, 900; "shorter than usual")]
#[test_case(Some("7200"), 60, 60; "longer than usual")]
#[test_case(None, 60, 60; "as usual")]
#[tokio::test]
async fn a_duration_can_only_be_shorter(asked: Option<&str>, usual: u64, seconds: u64) {
    let world = World::with(|options| options.credential_life = Duration::from_secs(usual));
    let token = token(&world);
    let mut form = web_identity(&world, &token);
    form.extend(asked.map(|asked| ("DurationSeconds", asked)));
    assert_eq!(post(&world, &form).await.0, StatusCode::OK);
    let issued = world.issued();
    let life_ms = issued.expires_ms - issued.issued_ms;
    assert!((seconds * 1000..seconds * 1000 + 1000).contains(&life_ms));
}
