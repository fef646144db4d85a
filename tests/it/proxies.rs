//! Through an HTTP proxy: the control plane and the upload itself, with a password or without; and what a refusal is.

use std::process::Command;

use gst::prelude::*;
use gstkvssink::local::Local;
use test_case::test_case;

use super::support::{
    Pipeline, accounts,
    bus::{self, Heard, is_error, tells},
    log::Lines,
    properties,
    proxy::{PASSWORD, Proxy},
    scripts::{Ended, Process, with_service},
    service_with, test_source,
};

fn service() -> Local {
    service_with(|options| options.tls = true)
}

/// A pipeline that trusts the service and goes through this proxy.
fn pipeline(local: &Local, source: &str, proxy: &str) -> Pipeline {
    Pipeline::new(&format!(
        "{source} ! kvssink name=sink stream-name=cam {} ca-file={} proxy={proxy}",
        properties(local),
        local.ca_file().unwrap().display()
    ))
}

/// Everything went through it: the control plane's connection and the upload's, each by CONNECT.
fn assert_went_through(local: &Local, proxy: &Proxy) {
    let host = local.endpoint().strip_prefix("https://").unwrap();
    let asked = proxy.asked();
    assert!(asked.len() > 1, "{asked:?}");
    for asked in asked {
        assert_eq!(asked.method, "CONNECT");
        assert_eq!(asked.authority, host);
        assert_eq!(asked.refused, None);
    }
    assert_eq!(local.session_files("cam").len(), 1);
}

/// The property is for everything, and gives the proxy its user and password.
#[test_case(false; "as it is")]
#[test_case(true; "with a password")]
fn everything_goes_through_the_proxy(with_password: bool) {
    let local = service();
    let (proxy, uri) = if with_password {
        let proxy = Proxy::with_password();
        let uri = proxy.uri_with_password();
        (proxy, uri)
    } else {
        let proxy = Proxy::start();
        let uri = proxy.uri();
        (proxy, uri)
    };
    let pipeline = pipeline(&local, &test_source(50, 25, false), &uri);
    pipeline.run().assert_clean();
    assert_eq!(accounts(&pipeline.stats("sink")), [50, 50, 0, 0]);
    assert_went_through(&local, &proxy);
}

/// 50 frames by gst-launch-1.0, in this environment.
fn launch(local: &Local, environment: &[(&str, &str)]) -> Ended {
    let line = format!(
        "{} ! kvssink stream-name=cam stop-stream-timeout=30",
        test_source(50, 25, false)
    );
    let mut command = Command::new("gst-launch-1.0");
    command.args(line.split_whitespace());
    let mut command = with_service(command, local, "cam");
    command.env("SSL_CERT_FILE", local.ca_file().unwrap());
    command.envs(environment.iter().copied());
    Process::start(command).end()
}

#[test_case("HTTPS_PROXY")]
#[test_case("https_proxy"; "in lower case")]
#[test_case("ALL_PROXY")]
fn the_environment_names_a_proxy(variable: &str) {
    let (local, proxy) = (service(), Proxy::with_password());
    launch(&local, &[(variable, &proxy.uri_with_password())]).assert_success();
    assert_went_through(&local, &proxy);
}

/// A host of `NO_PROXY` is reached directly, and so is one that only another scheme has a proxy for.
#[test]
fn a_host_of_no_proxy_is_reached_directly() {
    let proxy = Proxy::start();
    for environment in [
        [
            ("HTTPS_PROXY", proxy.uri()),
            ("NO_PROXY", "127.0.0.0/8".into()),
        ],
        [("HTTP_PROXY", proxy.uri()), ("NO_PROXY", String::new())],
    ] {
        let local = service();
        let environment = environment
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        launch(&local, &environment).assert_success();
        assert_eq!(local.session_files("cam").len(), 1);
    }
    assert_eq!(proxy.connections(), 0);
}

/// A proxy that wants a password, or another one, is one ERROR; it names the proxy and the property, and no password.
#[test_case(None; "none is given")]
#[test_case(Some("hush-hush-hush"); "it is wrong")]
fn a_password_that_is_wanted_is_an_error(password: Option<&str>) {
    let (local, proxy) = (service(), Proxy::with_password());
    let lines = Lines::listen();
    let uri = match password {
        None => proxy.uri(),
        Some(password) => proxy.uri().replace("//", &format!("//camera:{password}@")),
    };
    let pipeline = pipeline(&local, &test_source(50, 25, true), &uri);
    let mut heard = Heard::of(&pipeline);
    let _ = pipeline.0.set_state(gst::State::Playing);
    heard.until(&pipeline, |message| is_error(message, "sink"));
    heard.stop(&pipeline);
    let error = heard.the_error("sink");
    assert!(
        error.error().matches(gst::ResourceError::NotAuthorized),
        "{error:?}"
    );
    assert_eq!(error.details().unwrap().get::<u32>("http-status"), Ok(407));
    let text = error.error().to_string();
    let (named, remedy) = (
        format!("the proxy {} (proxy)", proxy.uri()),
        if password.is_some() {
            "refuses the user or the password"
        } else {
            "set proxy to http://user:password@"
        },
    );
    assert!(text.contains(&named) && text.contains(remedy), "{text}");
    assert!(!text.contains('\n'), "{text}");
    assert!(heard.warnings("sink").is_empty(), "{heard:#?}");
    for text in heard
        .0
        .iter()
        .map(|message| bus::text(message))
        .chain(lines.so_far())
    {
        for secret in ["hush-hush-hush", PASSWORD] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert!(local.requests().is_empty(), "{:?}", local.requests());
}

/// A proxy that does not let the connection through is an outage: one WARNING with the proxy's name, and it goes on when the
/// proxy has changed its mind.
#[test_case(403)]
#[test_case(502)]
fn a_refusal_is_an_outage(status: u16) {
    let (local, proxy) = (service(), Proxy::start());
    proxy.refuse(Some(status));
    let pipeline = pipeline(&local, &test_source(1_000_000, 10, true), &proxy.uri());
    let mut heard = Heard::of(&pipeline);
    pipeline.0.set_state(gst::State::Playing).unwrap();
    heard.until(&pipeline, |message| tells(message, "kvs-connection-lost"));
    proxy.refuse(None);
    heard.until(&pipeline, |message| {
        is_error(message, "sink") || tells(message, "kvs-connection-restored")
    });
    heard.stop(&pipeline);
    assert!(heard.errors("sink").is_empty(), "{heard:#?}");
    let [warning] = &heard.warnings("sink")[..] else {
        panic!("not one warning: {heard:#?}")
    };
    let text = bus::text(warning);
    let named = format!("the proxy {} (proxy) does not let it through", proxy.uri());
    assert!(text.contains(&named), "{text}");
}

/// What the proxy is cannot be read back: a password may be in it.
#[test]
fn the_proxy_cannot_be_read_back() {
    let (local, proxy) = (service(), Proxy::with_password());
    let lines = Lines::listen();
    let pipeline = pipeline(
        &local,
        &test_source(50, 25, false),
        &proxy.uri_with_password(),
    );
    let property = pipeline.element("sink").find_property("proxy").unwrap();
    assert!(!property.flags().contains(gst::glib::ParamFlags::READABLE));
    pipeline.run().assert_clean();
    for line in lines.so_far() {
        assert!(
            !line.contains("p%40ss") && !line.contains(PASSWORD),
            "{line}"
        );
    }
}
