//! The endpoint of a container. That the AWS SDK gets credentials there is proven in `chain`.

use aws_credential_types::Credentials;
use gstkvssink::local::Source;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use test_case::test_case;

use super::{World, http, minutes};

const TOKEN: &str = "Bearer of-a-container";

#[tokio::test]
async fn it_answers_as_ecs_does() {
    let world = World::with(minutes);
    let answer = http().get(&world.sources().container).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(answer["RoleArn"], world.sources().role_arn);
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    let issued = world.issued();
    assert_eq!(issued.source, Source::Container);
    assert_eq!(text("Expiration"), issued.expiration());
    let expiry = std::time::UNIX_EPOCH + std::time::Duration::from_millis(issued.expires_ms);
    let got = Credentials::new(
        text("AccessKeyId"),
        text("SecretAccessKey"),
        Some(text("Token")),
        Some(expiry),
        "test",
    );
    world.assert_good(&got).await;
}

#[test_case(None; "none")]
#[test_case(Some("Bearer of-another"); "a wrong one")]
#[test_case(Some("of-a-container"); "without its scheme")]
#[tokio::test]
async fn a_wrong_token_is_not_authorized(token: Option<&str>) {
    let world = World::with(|options| {
        options.credential_sources.as_mut().unwrap().container_token = Some(TOKEN.into());
    });
    let ask = |token: Option<&str>| {
        let mut request = http().get(&world.sources().container);
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        request.send()
    };
    assert_eq!(ask(token).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(world.local.issued(), []);
    assert_eq!(ask(Some(TOKEN)).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.local.issued().len(), 1);
}

#[tokio::test]
async fn only_get_is_allowed() {
    let world = World::new();
    let request = http().request(Method::POST, &world.sources().container);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(world.local.issued(), []);
}

#[tokio::test]
async fn a_fault_by_its_name_refuses_it() {
    let world = World::new();
    let fault = "http:ContainerCredentials:503".parse().unwrap();
    world.local.inject(fault);
    let ask = || http().get(&world.sources().container).send();
    let refused = ask().await.unwrap().status();
    assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask().await.unwrap().status(), StatusCode::OK);
    let records: Vec<_> = world
        .local
        .requests()
        .into_iter()
        .map(|record| (record.api, record.status))
        .collect();
    let api = || "ContainerCredentials".to_owned();
    assert_eq!(records, [(api(), 503), (api(), 200)]);
}

#[tokio::test]
async fn without_sources_there_is_no_such_place() {
    let world = World::with(|options| options.credential_sources = None);
    for path in ["/v2/credentials/kvs-local", "/latest/meta-data/", "/"] {
        let url = format!("{}{path}", world.local.endpoint());
        let answer = http().get(url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
}
