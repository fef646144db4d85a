//! What is between kvssink and whoever gives credentials: a proxy that does not let it through, a CA that nobody knows. The
//! message names it, and what to do, as that of a call to the service does.

use std::path::Path;

use gst::prelude::*;
use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Sources};
use test_case::test_case;

use super::{
    World,
    errors::{error_of, iot, told},
    sso,
};
use crate::support::{
    Pipeline,
    bus::{self, Heard, is_error, tells},
    proxy::{PASSWORD, Proxy},
    test_source,
};

fn device(world: &World) -> String {
    let Sources {
        dir, role_alias, ..
    } = world.sources();
    let [cert, key, ca] = ["ec.pem", "ec-sec1.key", "ca.pem"].map(|name| dir.join(name));
    iot(world, &cert, &key, &ca, role_alias)
}

/// A live stream with these properties, to its first WARNING; then `mend` is called, and it goes on.
fn warning_of(world: &World, properties: &str, mend: Option<&dyn Fn()>) -> String {
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name=cam stop-stream-timeout=1 endpoint={} {properties}",
        test_source(1_000_000, 25, true),
        world.local.endpoint(),
    ));
    let mut heard = Heard::of(&pipeline);
    pipeline.0.set_state(gst::State::Playing).unwrap();
    let said = heard.until(&pipeline, |message| {
        bus::is_warning(message) || is_error(message, "sink")
    });
    if let Some(mend) = mend {
        mend();
        heard.until(&pipeline, |message| {
            is_error(message, "sink") || tells(message, "kvs-connection-restored")
        });
        assert!(heard.errors("sink").is_empty(), "{heard:#?}");
    }
    heard.stop(&pipeline);
    let gst::MessageView::Warning(warning) = said.view() else {
        panic!("{heard:#?}")
    };
    let text = warning.debug().unwrap_or_default().to_string();
    let text = format!("{} {text}", warning.error());
    assert_eq!(text.matches("no answer from").count(), 1, "{text}");
    text
}

/// An outage, until the proxy lets it through.
#[test_case(403)]
#[test_case(502)]
fn a_proxy_that_refuses_aws_iot(status: u16) {
    let (world, proxy) = (World::new(), Proxy::start());
    proxy.refuse(Some(status));
    let properties = format!("{} proxy={}", device(&world), proxy.uri());
    let mend = || proxy.refuse(None);
    let text = warning_of(&world, &properties, Some(&mend));
    let iot = &world.sources().iot;
    assert!(
        text.contains(&format!("iot-certificate: no answer from {iot}: ")),
        "{text}"
    );
    let remedy = format!(
        "the proxy {} (proxy) does not let it through; it has to allow CONNECT to there, or NO_PROXY has to name the host",
        proxy.uri()
    );
    assert!(text.contains(&remedy), "{text}");
}

/// An ERROR: it will say the same for ever.
#[test_case(None, "wants a user and a password; set proxy to http://user:password@"; "none is given")]
#[test_case(Some("hush-hush-hush"), "refuses the user or the password"; "it is wrong")]
fn a_proxy_that_wants_a_password_of_aws_iot(password: Option<&str>, remedy: &str) {
    let (world, proxy) = (World::new(), Proxy::with_password());
    let uri = match password {
        None => proxy.uri(),
        Some(password) => proxy.uri().replace("//", &format!("//camera:{password}@")),
    };
    let text = error_of(&world, &format!("{} proxy={uri}", device(&world)));
    let named = format!("the proxy {} (proxy) {remedy}", proxy.uri());
    assert!(text.contains(&named), "{text}");
    for secret in ["hush-hush-hush", PASSWORD] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(world.local.requests(), []);
}

/// Its CA is not that of the file; or, where there is no file, none that the machine trusts.
#[test_case(true; "of a file")]
#[test_case(false; "of the machine")]
fn a_ca_that_is_not_the_one_of_aws_iot(of_file: bool) {
    let (world, another) = (World::new(), World::new());
    let ca = another.sources().dir.join("ca.pem");
    let device = device(&world);
    let named = format!(
        "ca-path=(string)\\\"{}\\\"",
        world.sources().dir.join("ca.pem").display()
    );
    assert!(device.contains(&named), "{device}");
    let properties = if of_file {
        device.replace(&named, &format!("ca-path=(string)\\\"{}\\\"", ca.display()))
    } else {
        device.replace(&format!("{named},"), "")
    };
    let text = warning_of(&world, &properties, None);
    let remedy = if of_file {
        format!("; ca-path {} is not its CA, which is", ca.display())
    } else {
        "; ca-file, or SSL_CERT_FILE, can name it, and so can ca-path".into()
    };
    assert!(text.contains(" its CA"), "{text}");
    assert!(text.contains(&remedy), "{text}");
}

/// A certificate that AWS IoT does not know.
#[test]
fn a_stranger_at_aws_iot() {
    let world = World::new();
    let Sources {
        dir, role_alias, ..
    } = world.sources();
    let file = |name: &str| dir.join(name);
    let properties = iot(
        &world,
        &file("stranger.pem"),
        &file("stranger.key"),
        &file("ca.pem"),
        role_alias,
    );
    let text = warning_of(&world, &properties, None);
    let remedy = format!(
        "; it does not take cert-path {}: see that it is registered with AWS IoT",
        file("stranger.pem").display()
    );
    assert!(text.contains(&remedy), "{text}");
    assert_eq!(world.local.issued(), []);
}

/// Who gives credentials, other than AWS IoT, over TLS: properties, environment, and how the message begins.
#[derive(Clone, Copy, Debug)]
enum Giver {
    Role,
    WebIdentity,
    Sso,
}

impl Giver {
    fn begins(self) -> &'static str {
        match self {
            Self::Role => "role-arn: arn:aws:iam::111122223333:role/kvs-local cannot be assumed: ",
            Self::WebIdentity => "web identity gives no credentials: ",
            Self::Sso => "aws-profile: cameras gives no credentials: ",
        }
    }

    /// In a process of its own, with these properties besides: what it says first.
    fn told(self, world: &World, more: &str, check: impl Fn(&gst::Message)) {
        let sources = world.sources();
        let config = sources.dir.join("config");
        std::fs::write(&config, sso::profile("kvs-local")).unwrap();
        let token = std::fs::read_to_string(&sources.sso_token_file).unwrap();
        sso::log_in(&sources.dir, &token);
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let (mut properties, mut environment) = (more.to_owned(), Vec::new());
        match self {
            Self::Role => {
                environment.push(("AWS_ENDPOINT_URL_STS", sources.sts.clone()));
                properties += &format!(
                    " access-key={DEFAULT_ACCESS_KEY} secret-key={DEFAULT_SECRET_KEY} role-arn={}",
                    sources.role_arn
                );
            }
            Self::WebIdentity => environment.extend([
                ("AWS_ENDPOINT_URL_STS", sources.sts.clone()),
                ("AWS_ROLE_ARN", sources.role_arn.clone()),
                (
                    "AWS_WEB_IDENTITY_TOKEN_FILE",
                    text(&sources.web_identity_token_file),
                ),
            ]),
            Self::Sso => {
                environment.extend([
                    ("AWS_ENDPOINT_URL_SSO", sources.sso.clone()),
                    ("AWS_CONFIG_FILE", text(&config)),
                    ("HOME", text(&sources.dir)),
                ]);
                properties += " aws-profile=cameras";
            }
        }
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        told(world, &properties, &environment, check);
    }
}

fn tls() -> World {
    World::with(|options| options.tls = true)
}

/// The same for whoever is asked by the AWS SDK.
#[test_case(Giver::Role)]
#[test_case(Giver::WebIdentity)]
#[test_case(Giver::Sso)]
fn a_proxy_that_refuses(giver: Giver) {
    let (world, proxy) = (tls(), Proxy::start());
    proxy.refuse(Some(403));
    giver.told(&world, &format!("proxy={}", proxy.uri()), |said| {
        assert!(bus::is_warning(said), "{said:?}");
        let text = bus::text(said);
        assert!(text.contains(giver.begins()), "{text}");
        assert!(text.contains("; the proxy http://127.0.0.1:"), "{text}");
        assert!(
            text.contains(" (proxy) does not let it through; it has to allow CONNECT"),
            "{text}"
        );
    });
}

#[test_case(Giver::Role)]
#[test_case(Giver::WebIdentity)]
#[test_case(Giver::Sso)]
fn a_proxy_that_wants_a_password(giver: Giver) {
    let (world, proxy) = (tls(), Proxy::with_password());
    giver.told(&world, &format!("proxy={}", proxy.uri()), |said| {
        assert!(is_error(said, "sink"), "{said:?}");
        let text = bus::text(said);
        assert!(text.contains(giver.begins()), "{text}");
        assert!(
            text.contains(" (proxy) wants a user and a password; set proxy to"),
            "{text}"
        );
    });
}

#[test_case(Giver::Role)]
#[test_case(Giver::WebIdentity)]
#[test_case(Giver::Sso)]
fn a_ca_that_nobody_knows(giver: Giver) {
    giver.told(&tls(), "", |said| {
        assert!(bus::is_warning(said), "{said:?}");
        let text = bus::text(said);
        assert!(text.contains(giver.begins()), "{text}");
        assert!(text.contains("; its CA is not one "), "{text}");
        assert!(
            text.contains("; ca-file, or SSL_CERT_FILE, can name it"),
            "{text}"
        );
    });
}
