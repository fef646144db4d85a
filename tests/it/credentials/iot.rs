//! The IoT credentials provider: who comes in, and with which files.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use gstkvssink::local::Source;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Response, StatusCode};
use serde_json::Value;
use test_case::test_case;

use super::{World, minutes};

/// A client that trusts the provider.
fn trusting(world: &World) -> ClientBuilder {
    let ca = Certificate::from_pem(&world.file("ca.pem")).unwrap();
    Client::builder().no_proxy().tls_certs_only([ca])
}

/// One that has a certificate, too.
fn device(world: &World, certificate: &str, key: &str) -> reqwest::Result<Client> {
    let identity = [world.file(certificate), world.file(key)].concat();
    trusting(world)
        .identity(Identity::from_pem(&identity)?)
        .build()
}

async fn ask(
    world: &World,
    client: &Client,
    alias: &str,
    thing: Option<&str>,
) -> reqwest::Result<Response> {
    let iot = &world.sources().iot;
    let url = format!("https://{iot}/role-aliases/{alias}/credentials");
    let mut request = client.get(url);
    if let Some(thing) = thing {
        request = request.header("x-amzn-iot-thingname", thing);
    }
    request.send().await
}

async fn json(answer: Response) -> Value {
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

#[test_case("rsa.pem", "rsa-pkcs8.key"; "RSA in PKCS 8")]
#[test_case("rsa.pem", "rsa-pkcs1.key"; "RSA in PKCS 1")]
#[test_case("ec.pem", "ec-pkcs8.key"; "EC in PKCS 8")]
#[test_case("ec.pem", "ec-sec1.key"; "EC in SEC 1")]
#[tokio::test]
async fn a_device_gets_credentials_with_any_form_of_key(certificate: &str, key: &str) {
    let world = World::with(minutes);
    let client = device(&world, certificate, key).unwrap();
    let alias = &world.sources().role_alias;
    let answer = ask(&world, &client, alias, Some("front-door")).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let credentials = json(answer).await["credentials"].take();
    let text = |name: &str| credentials[name].as_str().unwrap().to_owned();
    let issued = world.issued();
    assert_eq!(
        (issued.source, issued.holder.as_str()),
        (Source::Iot, "front-door")
    );
    assert_eq!(text("expiration"), issued.expiration());
    let got = Credentials::new(
        text("accessKeyId"),
        text("secretAccessKey"),
        Some(text("sessionToken")),
        Some(UNIX_EPOCH + Duration::from_millis(issued.expires_ms)),
        "test",
    );
    world.assert_good(&got).await;
}

/// The files are what they are called, and private.
#[test_case("rsa-pkcs8.key", "BEGIN PRIVATE KEY")]
#[test_case("rsa-pkcs1.key", "BEGIN RSA PRIVATE KEY")]
#[test_case("ec-pkcs8.key", "BEGIN PRIVATE KEY")]
#[test_case("ec-sec1.key", "BEGIN EC PRIVATE KEY")]
#[test_case("other.key", "BEGIN PRIVATE KEY")]
fn a_key_is_in_its_form(key: &str, head: &str) {
    let world = World::new();
    let pem = String::from_utf8(world.file(key)).unwrap();
    assert!(pem.starts_with(&format!("-----{head}-----\n")), "{key}");
    let path = world.sources().dir.join(key);
    let permissions = std::fs::metadata(path).unwrap().permissions();
    let mode = std::os::unix::fs::PermissionsExt::mode(&permissions);
    assert_eq!(mode & 0o077, 0, "only its owner may read {key}");
}

/// TLS ends it; nobody comes as far as HTTP.
#[test_case(None; "no certificate")]
#[test_case(Some(("stranger.pem", "stranger.key")); "one of another CA")]
#[tokio::test]
async fn a_stranger_does_not_come_in(files: Option<(&str, &str)>) {
    let world = World::new();
    let client = match files {
        None => trusting(&world).build().unwrap(),
        Some((certificate, key)) => device(&world, certificate, key).unwrap(),
    };
    let alias = &world.sources().role_alias;
    let refused = ask(&world, &client, alias, Some("front-door")).await;
    let refused = format!("{:?}", refused.unwrap_err());
    let alert = if files.is_none() {
        "CertificateRequired"
    } else {
        "UnknownCA"
    };
    assert!(refused.contains(alert), "{refused}");
    assert_eq!(world.local.issued(), []);
    assert_eq!(world.local.requests(), []);
}

#[test_case("rsa.pem"; "of another kind")]
#[test_case("ec.pem"; "of the same kind")]
#[tokio::test]
async fn a_key_that_does_not_match_is_of_no_use(certificate: &str) {
    let world = World::new();
    let result = match device(&world, certificate, "other.key") {
        Ok(client) => ask(&world, &client, "any", Some("front-door")).await,
        Err(e) => Err(e),
    };
    let refused = result.unwrap_err();
    assert!(!refused.is_timeout(), "{refused:?}");
    assert_eq!(world.local.requests(), []);
}

#[tokio::test]
async fn another_alias_does_not_exist() {
    let world = World::new();
    let client = device(&world, "ec.pem", "ec-sec1.key").unwrap();
    let answer = ask(&world, &client, "another", Some("front-door")).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let message = json(answer).await["message"].take();
    assert_eq!(message, "The role alias does not exist.");
    let record = world.local.requests().remove(0);
    assert_eq!(record.api, "IotCredentials");
    assert_eq!(record.error.as_deref(), Some("ResourceNotFoundException"));
    assert_eq!(world.local.issued(), []);
}

#[test_case(None; "none")]
#[test_case(Some(""); "an empty one")]
#[test_case(Some("front door"); "with a space")]
#[tokio::test]
async fn the_name_of_a_thing_must_be_given(thing: Option<&str>) {
    let world = World::new();
    let client = device(&world, "ec.pem", "ec-sec1.key").unwrap();
    let alias = &world.sources().role_alias;
    let answer = ask(&world, &client, alias, thing).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(world.local.issued(), []);
}

#[tokio::test]
async fn a_fault_by_its_name_refuses_it() {
    let world = World::new();
    let fault = "http:IotCredentials:403/AccessDeniedException";
    world.local.inject(fault.parse().unwrap());
    let client = device(&world, "ec.pem", "ec-sec1.key").unwrap();
    let alias = &world.sources().role_alias;
    let ask = || ask(&world, &client, alias, Some("front-door"));
    assert_eq!(ask().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(ask().await.unwrap().status(), StatusCode::OK);
}

/// A restart of the service is a new CA: a client that kept the old one does not trust it.
#[tokio::test]
async fn the_provider_is_trusted_by_its_own_ca_only() {
    let (world, another) = (World::new(), World::new());
    let client = device(&another, "ec.pem", "ec-sec1.key").unwrap();
    let refused = ask(&world, &client, "any", Some("front-door")).await;
    let refused = format!("{:?}", refused.unwrap_err());
    assert!(refused.contains("InvalidCertificate"), "{refused}");
}
