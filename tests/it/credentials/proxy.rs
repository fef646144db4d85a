//! The proxy of the tests lets ordinary clients through, and keeps them out, as a proxy does.

use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY};
use reqwest::{Certificate, Client, ClientBuilder, Identity, StatusCode};
use test_case::test_case;

use super::{World, chain::stream};
use crate::support::proxy::{Asked, PASSWORD, Proxy, USER};

fn through(uri: &str) -> ClientBuilder {
    Client::builder().proxy(reqwest::Proxy::all(uri).unwrap())
}

/// Gets credentials for a container, in plain HTTP.
async fn ask(world: &World, client: &Client) -> StatusCode {
    let request = client.get(&world.sources().container);
    request.send().await.unwrap().status()
}

fn asked(method: &str, authority: &str, refused: Option<u16>) -> Asked {
    Asked {
        method: method.into(),
        authority: authority.into(),
        refused,
    }
}

fn host(world: &World) -> &str {
    world.local.endpoint().strip_prefix("http://").unwrap()
}

#[tokio::test]
async fn plain_http_is_passed_on() {
    let (world, proxy) = (World::new(), Proxy::start());
    let client = through(&proxy.uri()).build().unwrap();
    for _ in 0..2 {
        assert_eq!(ask(&world, &client).await, StatusCode::OK);
    }
    assert_eq!(world.local.issued().len(), 2);
    let once = asked("GET", host(&world), None);
    assert_eq!(proxy.asked(), [once.clone(), once]);
    assert_eq!(proxy.connections(), 1, "the client keeps it");
}

#[tokio::test]
async fn tls_goes_through_a_tunnel() {
    let (world, proxy) = (World::new(), Proxy::start());
    let identity = [world.file("ec.pem"), world.file("ec-sec1.key")].concat();
    let client = through(&proxy.uri())
        .tls_certs_only([Certificate::from_pem(&world.file("ca.pem")).unwrap()])
        .identity(Identity::from_pem(&identity).unwrap())
        .build()
        .unwrap();
    let (iot, alias) = (&world.sources().iot, &world.sources().role_alias);
    let url = format!("https://{iot}/role-aliases/{alias}/credentials");
    let request = client.get(url).header("x-amzn-iot-thingname", "door");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.issued().holder, "door");
    assert_eq!(proxy.asked(), [asked("CONNECT", iot, None)]);
}

#[tokio::test]
async fn a_password_is_wanted() {
    let (world, proxy) = (World::new(), Proxy::with_password());
    let without = through(&proxy.uri()).build().unwrap();
    assert_eq!(
        ask(&world, &without).await,
        StatusCode::PROXY_AUTHENTICATION_REQUIRED
    );
    let wrong = reqwest::Proxy::all(proxy.uri()).unwrap();
    let wrong = wrong.basic_auth(USER, "another");
    let wrong = Client::builder().proxy(wrong).build().unwrap();
    assert_eq!(
        ask(&world, &wrong).await,
        StatusCode::PROXY_AUTHENTICATION_REQUIRED
    );
    assert_eq!(world.local.requests(), []);

    let right = reqwest::Proxy::all(proxy.uri()).unwrap();
    let right = right.basic_auth(USER, PASSWORD);
    let right = Client::builder().proxy(right).build().unwrap();
    assert_eq!(ask(&world, &right).await, StatusCode::OK);
    let in_uri = through(&proxy.uri_with_password()).build().unwrap();
    assert_eq!(ask(&world, &in_uri).await, StatusCode::OK);
    assert_eq!(world.local.issued().len(), 2);
    let refused: Vec<_> = proxy.asked().iter().map(|asked| asked.refused).collect();
    assert_eq!(refused, [Some(407), Some(407), None, None]);
}

#[test_case(403)]
#[test_case(502)]
#[tokio::test]
async fn it_refuses_until_it_is_told_otherwise(status: u16) {
    let (world, proxy) = (World::new(), Proxy::start());
    let client = through(&proxy.uri()).build().unwrap();
    proxy.refuse(Some(status));
    assert_eq!(ask(&world, &client).await.as_u16(), status);
    let iot = &world.sources().iot;
    let tunnel = client.get(format!("https://{iot}/")).send().await;
    assert!(tunnel.unwrap_err().is_connect());
    assert_eq!(world.local.requests(), []);
    assert_eq!(proxy.asked()[1], asked("CONNECT", iot, Some(status)));
    proxy.refuse(None);
    assert_eq!(ask(&world, &client).await, StatusCode::OK);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_bad_gateway() {
    let proxy = Proxy::start();
    let nobody = crate::support::port::Reserved::new();
    let client = through(&proxy.uri()).build().unwrap();
    let answer = client.get(nobody.endpoint()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_proxy_that_has_stopped_is_gone() {
    let (world, proxy) = (World::new(), Proxy::start());
    let client = through(&proxy.uri()).build().unwrap();
    assert_eq!(ask(&world, &client).await, StatusCode::OK);
    let address = proxy.uri().strip_prefix("http://").unwrap().to_owned();
    proxy.stop();
    std::net::TcpStream::connect(address).unwrap_err();
    let gone = client.get(&world.sources().container).send().await;
    gone.unwrap_err();
    assert_eq!(world.local.issued().len(), 1);
}

/// Acks come back while media are still on their way; kvssink gives the variable's user and password.
#[test_case(false; "as it is")]
#[test_case(true; "with a password")]
fn media_stream_through_it(with_password: bool) {
    let world = World::new();
    let (proxy, uri) = if with_password {
        let proxy = Proxy::with_password();
        let uri = proxy.uri_with_password();
        (proxy, uri)
    } else {
        let proxy = Proxy::start();
        let uri = proxy.uri();
        (proxy, uri)
    };
    stream(
        &world,
        &[
            ("http_proxy", &uri),
            ("AWS_ACCESS_KEY_ID", DEFAULT_ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", DEFAULT_SECRET_KEY),
        ],
    );
    let asked = proxy.asked();
    let calls = world.local.requests();
    assert_eq!(asked.len(), calls.len(), "{asked:?} {calls:?}");
    for one in asked {
        assert_eq!((one.authority.as_str(), one.refused), (host(&world), None));
    }
}
