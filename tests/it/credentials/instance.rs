//! The metadata of an instance.

use aws_config::imds::{Client, credentials::ImdsCredentialsProvider, region::ImdsRegionProvider};
use aws_credential_types::provider::ProvideCredentials;
use gstkvssink::local::Source;
use reqwest::{RequestBuilder, StatusCode};
use test_case::test_case;

use super::{World, http, minutes};

const TOKEN: &str = "/latest/api/token";
const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

fn client(world: &World) -> Client {
    let endpoint = &world.sources().instance;
    Client::builder()
        .endpoint(endpoint)
        .unwrap()
        .max_attempts(1)
        .build()
}

fn get(world: &World, path: &str) -> RequestBuilder {
    http().get(format!("{}{path}", world.sources().instance))
}

fn put(world: &World, ttl: &str) -> RequestBuilder {
    http()
        .put(format!("{}{TOKEN}", world.sources().instance))
        .header(TTL_HEADER, ttl)
}

async fn token(world: &World, ttl: &str) -> String {
    let answer = put(world, ttl).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[TTL_HEADER], ttl);
    answer.text().await.unwrap()
}

#[tokio::test]
async fn the_sdk_gets_credentials_there() {
    let world = World::with(minutes);
    let provider = ImdsCredentialsProvider::builder()
        .imds_client(client(&world))
        .build();
    let got = provider.provide_credentials().await.unwrap();
    assert_eq!(world.issued().source, Source::Instance);
    world.assert_good(&got).await;
}

#[test_case(None, "us-west-2"; "any region is taken")]
#[test_case(Some("eu-west-1"), "eu-west-1"; "one region is taken")]
#[tokio::test]
async fn the_sdk_finds_the_region_there(taken: Option<&str>, found: &str) {
    let world = World::with(|options| options.region = taken.map(str::to_owned));
    let provider = ImdsRegionProvider::builder()
        .imds_client(client(&world))
        .build();
    let region = aws_config::meta::region::ProvideRegion::region(&provider).await;
    assert_eq!(region.unwrap().as_ref(), found);
}

/// Version 1 has no tokens, and is refused.
#[test_case(None; "none")]
#[test_case(Some("invented"); "none that was given")]
#[tokio::test]
async fn nothing_is_told_without_a_token(token: Option<&str>) {
    let world = World::new();
    for path in [ROLES, "/latest/meta-data/placement/region"] {
        let mut request = get(&world, path);
        if let Some(token) = token {
            request = request.header("x-aws-ec2-metadata-token", token);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    let role = get(&world, &format!("{ROLES}kvs-local"));
    assert_eq!(
        role.send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(world.local.issued(), []);
}

#[tokio::test]
async fn a_token_ends() {
    let world = World::new();
    let token = token(&world, "60").await;
    let ask = || async {
        let request = get(&world, ROLES).header("x-aws-ec2-metadata-token", &token);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    assert_eq!(ask().await, (StatusCode::OK, "kvs-local".to_owned()));
    world.local.inject("clock:60000".parse().unwrap());
    assert_eq!(ask().await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn another_role_is_not_found() {
    let world = World::new();
    let token = token(&world, "60").await;
    let request = get(&world, &format!("{ROLES}another"));
    let request = request.header("x-aws-ec2-metadata-token", &token);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(world.local.issued(), []);
}

#[test_case("0"; "zero")]
#[test_case("21601"; "more than six hours")]
#[test_case("soon"; "no number")]
#[tokio::test]
async fn a_token_lives_for_a_second_up_to_six_hours(ttl: &str) {
    let world = World::new();
    let answer = put(&world, ttl).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_token_does_not_go_through_a_proxy() {
    let world = World::new();
    let request = put(&world, "60").header("x-forwarded-for", "10.0.0.1");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_is_put_for() {
    let world = World::new();
    let answer = get(&world, TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
}
