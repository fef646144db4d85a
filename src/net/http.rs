//! [`Http`]: both HTTP clients, alike: whom they trust, through which proxy they go.
//!
//! In: the [`Service`]. Out: the client of the AWS SDK, and a builder of reqwest's for what no SDK does.
//! Both are rustls with TLS 1.2 or newer, and nothing turns its verification off.
//! Does not belong here: timeouts and what is asked ([`super::control`], [`super::put_media`]).

use std::{env, error::Error, ffi::OsString};

use aws_sdk_kinesisvideo::config::SharedHttpClient;
use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use reqwest::{ClientBuilder, tls};

pub(crate) use super::proxy::is_password_wanted;
use super::{Service, failure, proxy::Proxy, trust::Trust};
use crate::{
    definition::Invalid,
    session::{Call, Cause, Failure},
};

/// The settings that all clients of one service share, checked.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    trust: Trust,
    proxy: Proxy,
    /// The same for the SDK.
    proxy_config: ProxyOfSdk,
}

/// Its `Debug` would show the password.
#[derive(Clone)]
struct ProxyOfSdk(ProxyConfig);

impl std::fmt::Debug for ProxyOfSdk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Http {
    /// Reads the CAs that are given, by the settings or the environment; asks nobody.
    ///
    /// # Errors
    /// [`Invalid`] names the setting or the variable, and never the password of a proxy.
    pub(crate) fn new(service: &Service) -> Result<Self, Invalid> {
        Self::of(service, |name| env::var_os(name))
    }

    fn of(
        service: &Service,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Invalid> {
        let plain = |uri: &String| uri.starts_with("http:");
        let proxy = Proxy::of(service.proxy.as_ref(), &environment)?;
        let trust = Trust::of(service.ca_file.as_deref(), environment)?;
        Ok(Self {
            trust,
            proxy_config: ProxyOfSdk(proxy.config(service.endpoint.as_ref().is_some_and(plain))?),
            proxy,
        })
    }

    /// For the clients of the AWS SDK. One that needs no `https` trusts nobody: to read CAs takes longer than to ask.
    pub(crate) fn sdk_client(&self, https: bool) -> SharedHttpClient {
        let trust = (https || self.proxy.is_https()).then(|| self.trust.clone());
        let ProxyOfSdk(proxy) = self.proxy_config.clone();
        // What `Builder::build_https` does, but for the proxy, which it does not take.
        Builder::new().build_with_connector_fn(move |settings, components| {
            let mut connector = Connector::builder();
            connector.set_connector_settings(settings.cloned());
            connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
            connector
                .proxy_config(proxy.clone())
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                .tls_context(tls_context(trust.as_ref()))
                .build()
        })
    }

    /// For everything else. The first of a process may have to read the CAs of the platform, which takes a while.
    ///
    /// # Errors
    /// [`Invalid`] when it cannot go through the proxy.
    pub(crate) fn client_builder(&self) -> Result<ClientBuilder, Invalid> {
        Ok(self
            .distrustful()?
            .tls_certs_only(self.trust.certificates()?))
    }

    /// The same for a client that need not trust the platform, because it is told whom to trust; those that were given count
    /// all the same.
    ///
    /// # Errors
    /// As [`Self::client_builder`].
    pub(crate) fn without_platform(&self) -> Result<ClientBuilder, Invalid> {
        match &self.trust {
            Trust::Platform => self.distrustful(),
            Trust::Given(_) => self.client_builder(),
        }
    }

    /// The same for plain `http`: where there is no TLS on the way, nobody has to be trusted.
    ///
    /// # Errors
    /// As [`Self::client_builder`].
    pub(crate) fn plain_client_builder(&self) -> Result<ClientBuilder, Invalid> {
        match self.proxy.is_https() {
            true => self.client_builder(),
            false => self.distrustful(),
        }
    }

    /// A client that trusts nobody.
    fn distrustful(&self) -> Result<ClientBuilder, Invalid> {
        let builder = self.proxy.apply(reqwest::Client::builder())?;
        let builder = builder.tls_version_min(tls::Version::TLS_1_2);
        Ok(builder.tls_certs_only([]))
    }

    /// No answer: what happened on the way to `place`, and what can be done about it.
    pub(crate) fn failure(
        &self,
        call: Call,
        place: &str,
        error: &(dyn Error + 'static),
    ) -> Failure {
        let mut failure = failure::transport(call, place, error);
        let message = &mut failure.message;
        let remedy = self.remedy(message);
        if is_password_wanted(message) {
            failure.cause = Cause::Answer {
                status: 407,
                code: String::new(),
                request_id: None,
            };
        }
        if let Some(remedy) = remedy {
            *message += &format!(" ({remedy})");
        }
        failure
    }

    /// What can be done about a failure on the way, if it is the proxy's or that of a CA; `said` is all that is known of it.
    pub(crate) fn remedy(&self, said: &str) -> Option<String> {
        if is_of_ca(said) {
            Some(self.trust.remedy())
        } else {
            self.proxy.remedy(said)
        }
    }

    /// An answer of a proxy, with more than its status.
    pub(crate) fn explained(&self, mut failure: Failure) -> Failure {
        if let Cause::Answer { status: 407, .. } = failure.cause
            && let Some(remedy) = self.proxy.wants_password()
        {
            failure.message += &format!(" ({remedy})");
        }
        failure
    }
}

/// Whom the SDK trusts. Called with its first connection.
fn tls_context(trust: Option<&Trust>) -> TlsContext {
    let store = match trust {
        Some(Trust::Given(roots)) => {
            let pems = roots.pems().unwrap_or_default().iter();
            pems.fold(TrustStore::empty(), |store, pem| {
                store.with_pem_certificate(pem.as_bytes())
            })
        }
        // The SDK takes it for a mistake of ours when the platform trusts nobody.
        Some(platform) if platform.certificates().is_ok() => TrustStore::default(),
        _ => TrustStore::empty(),
    };
    let context = TlsContext::builder().with_trust_store(store);
    context.build().expect("it is all given")
}

/// Nobody who is trusted has signed the server's certificate, in the words of rustls; the second are of a CA that has the
/// name of one that is trusted, and another key.
pub(crate) fn is_of_ca(said: &str) -> bool {
    ["UnknownIssuer", "peer certificate: BadSignature"]
        .iter()
        .any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;
    use tokio::net::TcpListener;

    use super::*;
    use crate::{
        definition::{StreamDefinition, StreamName},
        net::{
            Credentials, Media, SigningClock,
            control::ControlPlane,
            credentials::Keyring,
            endpoints::DataEndpoint,
            put_media::{PutMedia, peer},
            sign::check,
        },
        secret::Secret,
        time::Timestamp,
    };

    fn keyring(service: &Service, clock: &SigningClock, http: &Http) -> Keyring {
        let service = Service {
            credentials: Credentials::Static {
                access_key: "AKID".into(),
                secret_key: Secret::new("SECRET"),
                session_token: None,
            },
            ..service.clone()
        };
        Keyring::new(
            &service,
            &definition(),
            clock,
            http,
            std::sync::Arc::new(()),
        )
    }

    fn definition() -> StreamDefinition {
        StreamDefinition::new(StreamName::new("cam1").unwrap())
    }

    /// A proxy that reads one request and gives this answer.
    async fn proxy(listener: TcpListener, answer: &str) -> String {
        let (mut socket, _) = listener.accept().await.unwrap();
        let head = peer::head(&mut socket).await;
        peer::say(&mut socket, answer).await;
        head
    }

    /// What the control plane's client says of a proxy that answers so, and what the proxy was asked.
    async fn described(change: impl FnOnce(&mut Service, &str), answer: &str) -> (Failure, String) {
        let (listener, address) = peer::listen().await;
        let mut service = Service {
            proxy: Some(Secret::new(format!("http://{address}"))),
            ..Service::new("us-west-2")
        };
        change(&mut service, &address);
        let http = Http::of(&service, |_| None).unwrap();
        let clock = SigningClock::default();
        let keyring = keyring(&service, &clock, &http);
        let control = ControlPlane::new(&service, &definition(), keyring, clock, &http).unwrap();
        let (failure, head) = tokio::join!(control.describe(), proxy(listener, answer));
        (failure.unwrap_err(), head)
    }

    /// The same of PutMedia's.
    async fn opened(change: impl FnOnce(&mut Service, &str), answer: &str) -> (Failure, String) {
        let (listener, address) = peer::listen().await;
        let mut service = Service {
            proxy: Some(Secret::new(format!("http://{address}"))),
            ..Service::new("us-west-2")
        };
        change(&mut service, &address);
        let http = Http::of(&service, |_| None).unwrap();
        let clock = SigningClock::default();
        let keyring = keyring(&service, &clock, &http);
        let put_media = PutMedia::new(&service, &definition(), keyring, clock, &http).unwrap();
        let endpoint = DataEndpoint::parse("https://s-1.kinesisvideo.invalid", false).unwrap();
        let (_sender, body) = Media::channel(1);
        let open = put_media.open(&endpoint, Timestamp::ZERO, body);
        let (failure, head) = tokio::join!(open, proxy(listener, answer));
        (failure.unwrap_err(), head)
    }

    const NO_ENTRY: &str = "HTTP/1.1 403 Forbidden\r\n\r\n";
    const PASSWORD: &str = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";

    /// The rules of the SDK, by region and switches: the host that the proxy is asked for.
    #[test_case("us-west-2", false, false, "kinesisvideo.us-west-2.amazonaws.com")]
    #[test_case("us-west-2", true, false, "kinesisvideo-fips.us-west-2.amazonaws.com")]
    #[test_case("us-west-2", false, true, "kinesisvideo.us-west-2.api.aws")]
    #[test_case("us-west-2", true, true, "kinesisvideo-fips.us-west-2.api.aws")]
    #[test_case(
        "eu-central-1",
        false,
        false,
        "kinesisvideo.eu-central-1.amazonaws.com"
    )]
    #[test_case("cn-north-1", false, false, "kinesisvideo.cn-north-1.amazonaws.com.cn")]
    #[test_case(
        "cn-north-1",
        false,
        true,
        "kinesisvideo.cn-north-1.api.amazonwebservices.com.cn"
    )]
    #[test_case(
        "us-gov-west-1",
        false,
        false,
        "kinesisvideo-fips.us-gov-west-1.amazonaws.com"
    )]
    #[test_case(
        "us-gov-west-1",
        true,
        false,
        "kinesisvideo-fips.us-gov-west-1.amazonaws.com"
    )]
    #[test_case(
        "us-gov-east-1",
        false,
        true,
        "kinesisvideo-fips.us-gov-east-1.api.aws"
    )]
    #[test_case("us-iso-east-1", false, false, "kinesisvideo.us-iso-east-1.c2s.ic.gov")]
    #[test_case(
        "us-isob-east-1",
        false,
        false,
        "kinesisvideo.us-isob-east-1.sc2s.sgov.gov"
    )]
    #[tokio::test]
    async fn each_region_has_its_host(region: &str, fips: bool, dual_stack: bool, host: &str) {
        let change = |service: &mut Service, _: &str| {
            service.region = Some(region.into());
            service.use_fips = fips;
            service.use_dual_stack = dual_stack;
        };
        let (_, head) = described(change, NO_ENTRY).await;
        let connect = format!("CONNECT {host}:443 HTTP/1.1");
        assert_eq!(head.lines().next(), Some(connect.as_str()));
    }

    #[tokio::test]
    async fn both_clients_give_the_proxy_user_and_password() {
        let with_password = |service: &mut Service, address: &str| {
            let text = format!("http://us%40er:p%3Ass@{address}");
            service.proxy = Some(Secret::new(text));
        };
        let heads = [
            described(with_password, NO_ENTRY).await,
            opened(with_password, NO_ENTRY).await,
        ];
        for (failure, head) in heads {
            // base64 of us@er:p:ss
            let expected = "Basic dXNAZXI6cDpzcw==";
            assert_eq!(check::header(&head, "proxy-authorization"), Some(expected));
            assert!(!failure.message.contains("ss@"), "{failure}");
        }
    }

    #[tokio::test]
    async fn a_proxy_that_wants_a_password_is_told() {
        let none = |_: &mut Service, _: &str| ();
        let wrong = |service: &mut Service, address: &str| {
            service.proxy = Some(Secret::new(format!("http://user:hush@{address}")));
        };
        for (failures, words) in [
            (
                [
                    described(none, PASSWORD).await,
                    opened(none, PASSWORD).await,
                ],
                "(proxy) wants a user and a password; set proxy to http://user",
            ),
            (
                [
                    described(wrong, PASSWORD).await,
                    opened(wrong, PASSWORD).await,
                ],
                "(proxy) refuses the user or the password",
            ),
        ] {
            for (failure, _) in failures {
                let Cause::Answer { status: 407, .. } = failure.cause else {
                    panic!("{failure:?}")
                };
                assert!(failure.message.contains(words), "{failure}");
                assert!(!failure.message.contains("hush"), "{failure}");
            }
        }
    }

    #[tokio::test]
    async fn a_proxy_that_refuses_is_told() {
        let none = |_: &mut Service, _: &str| ();
        for answer in [NO_ENTRY, "HTTP/1.1 502 Bad Gateway\r\n\r\n"] {
            for (failure, _) in [described(none, answer).await, opened(none, answer).await] {
                assert_eq!(failure.cause, Cause::Transport);
                let words = "(proxy) does not let it through; it has to allow CONNECT";
                assert!(failure.message.contains(words), "{failure}");
                assert!(
                    failure.message.contains("proxy http://127.0.0.1:"),
                    "{failure}"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_plain_control_plane_is_asked_through_the_proxy_too() {
        let plain = |service: &mut Service, _: &str| {
            service.endpoint = Some("http://kinesisvideo.invalid".into());
        };
        let answer = "HTTP/1.1 407 -\r\ncontent-length: 0\r\n\r\n";
        let (failure, head) = described(plain, answer).await;
        let first = "POST http://kinesisvideo.invalid/describeStream HTTP/1.1";
        assert_eq!(head.lines().next(), Some(first));
        assert!(failure.message.contains("wants a user"), "{failure}");
    }

    /// Not asked: the proxy of a host in NO_PROXY. The host itself is not there either, which is told without a proxy.
    #[test_case(&["NO_PROXY"])]
    #[test_case(&["no_proxy"])]
    #[tokio::test]
    async fn a_host_of_no_proxy_is_reached_directly(names: &[&str]) {
        let (listener, address) = peer::listen().await;
        drop(listener);
        let service = Service {
            endpoint: Some(format!("https://{address}")),
            proxy: Some(Secret::new("http://proxy.invalid:3128")),
            ..Service::new("us-west-2")
        };
        let environment = |name: &str| {
            names
                .contains(&name)
                .then(|| OsString::from("a, 127.0.0.1"))
        };
        let http = Http::of(&service, environment).unwrap();
        let clock = SigningClock::default();
        let keyring = keyring(&service, &clock, &http);
        let control = ControlPlane::new(&service, &definition(), keyring, clock, &http).unwrap();
        let failure = control.describe().await.unwrap_err();
        assert!(failure.message.contains("Connection refused"), "{failure}");
        assert!(!failure.message.contains("proxy"), "{failure}");
    }

    #[test_case(&[("HTTPS_PROXY", "http://a:1"), ("ALL_PROXY", "http://b:2")], "proxy http://a:1 (HTTPS_PROXY)")]
    #[test_case(&[("https_proxy", "a:1")], "proxy http://a:1 (https_proxy)"; "without a scheme")]
    #[test_case(&[("all_proxy", "http://u:p@b:2/")], "proxy http://b:2 (all_proxy)")]
    #[test_case(&[("HTTPS_PROXY", ""), ("all_proxy", "http://b:2")], "proxy http://b:2 (all_proxy)"; "an empty one is none")]
    fn the_environment_names_a_proxy(environment: &[(&str, &str)], expected: &str) {
        let environment = |name: &str| {
            let (_, value) = environment.iter().find(|(key, _)| *key == name)?;
            Some(OsString::from(value))
        };
        let http = Http::of(&Service::new("us-west-2"), environment).unwrap();
        let said = http.proxy.remedy("tunnel error: unsuccessful").unwrap();
        assert!(said.contains(expected), "{said}");
        let shown = format!("{http:?}");
        assert!(
            shown.contains(expected) && !shown.contains("u:p"),
            "{shown}"
        );
    }

    #[test_case("ftp://hush@a:1"; "another scheme")]
    #[test_case("socks5://hush@a:1"; "socks")]
    #[test_case("http://"; "no host")]
    #[test_case("http://hush:hush"; "a port that is none")]
    #[test_case("http://hush@a:1/path"; "a path")]
    fn a_proxy_that_is_none_is_refused_by_name_and_not_repeated(text: &str) {
        for service in [
            (Some(Secret::new(text)), None),
            (None, Some(OsString::from(text))),
        ] {
            let (proxy, variable) = service;
            let setting = if proxy.is_some() {
                "proxy"
            } else {
                "HTTPS_PROXY"
            };
            let service = Service {
                proxy,
                ..Service::new("us-west-2")
            };
            let environment = |name: &str| variable.clone().filter(|_| name == "HTTPS_PROXY");
            let invalid = Http::of(&service, environment).unwrap_err();
            assert_eq!(invalid.setting, setting);
            assert!(!invalid.reason.contains("hush"), "{invalid}");
            assert!(
                invalid.reason.contains("http://[user:password@]host:port"),
                "{invalid}"
            );
        }
    }
}
