//! What goes wrong is said once, in the right domain, with what to do; and it ends.

mod media;
mod outage;

use gst::prelude::*;
use gstkvssink::local::DEFAULT_SECRET_KEY;
use test_case::test_case;

use super::support::{
    Pipeline,
    bus::{self, Heard, is_error},
    log::Lines,
    properties, service, service_with, test_source,
};

/// What the element says must not have this in it.
const WRONG_SECRET: &str = "hush-hush-hush";

/// Runs until kvssink posts an ERROR, then to NULL.
fn run_into_error(launch: &str) -> Heard {
    let pipeline = Pipeline::new(launch);
    let mut heard = Heard::of(&pipeline);
    let _ = pipeline.0.set_state(gst::State::Playing);
    heard.until(&pipeline, |message| is_error(message, "sink"));
    heard.stop(&pipeline);
    heard
}

/// Wrong credentials end the pipeline with one ERROR that names the request of the service, and no secret gets out.
#[test_case("AKIDLOCAL", WRONG_SECRET; "a wrong secret key")]
#[test_case("AKIDUNKNOWN", WRONG_SECRET; "an unknown access key")]
#[test_case("AKIDUNKNOWN", DEFAULT_SECRET_KEY; "an unknown access key with a secret that is right")]
fn wrong_credentials_are_one_error(access_key: &str, secret_key: &str) {
    let local = service();
    let lines = Lines::listen();
    let heard = run_into_error(&format!(
        "{} ! kvssink name=sink stream-name=cam {} access-key={access_key} secret-key={secret_key}",
        test_source(500, 25, true),
        properties(&local)
    ));
    let error = heard.the_error("sink");
    assert!(
        error.error().matches(gst::ResourceError::NotAuthorized),
        "{error:?}"
    );
    let refused: Vec<_> = local
        .requests()
        .into_iter()
        .filter(|request| request.error.is_some())
        .collect();
    let [refused] = &refused[..] else {
        panic!("a refusal is not tried again: {refused:?}")
    };
    let details = error.details().unwrap();
    assert_eq!(
        details.get::<&str>("request-id").unwrap(),
        refused.request_id
    );
    assert_eq!(
        details.get::<u32>("http-status").unwrap(),
        u32::from(refused.status)
    );
    assert!(heard.warnings("sink").is_empty(), "{heard:#?}");
    assert!(!heard.eos(), "{heard:#?}");
    for message in &heard.0 {
        let text = bus::text(message);
        assert!(!text.contains(secret_key), "{text}");
    }
    let lines = lines.so_far();
    assert!(
        lines.iter().any(|line| line.contains("session:")),
        "{lines:?}"
    );
    assert!(
        !lines.iter().any(|line| line.contains(secret_key)),
        "{lines:?}"
    );
}

/// A wrong key is refused although the clock is wrong, too: the request is signed again by the service's clock, once, and
/// the second refusal is the ERROR.
#[test]
fn a_wrong_key_is_an_error_although_the_clock_is_wrong_too() {
    let local = service();
    local.inject("clock:600000".parse().unwrap());
    let heard = run_into_error(&format!(
        "{} ! kvssink name=sink stream-name=cam {} access-key=AKIDLOCAL secret-key={WRONG_SECRET}",
        test_source(500, 25, true),
        properties(&local)
    ));
    let error = heard.the_error("sink");
    assert!(
        error.error().matches(gst::ResourceError::NotAuthorized),
        "{error:?}"
    );
    assert_eq!(heard.told("kvs-clock-offset").len(), 1, "{heard:#?}");
    let [for_the_time, for_the_key] = &local.requests()[..] else {
        panic!("{:?}", local.requests())
    };
    assert_eq!((for_the_time.status, for_the_key.status), (403, 403));
    let request_id: String = error.details().unwrap().get("request-id").unwrap();
    assert_eq!(request_id, for_the_key.request_id);
}

/// A stream that does not exist and must not be created is one ERROR that names it and what to do.
#[test]
fn an_unknown_stream_that_must_not_be_created_is_named() {
    let local = service();
    let heard = run_into_error(&format!(
        "{} ! kvssink name=sink stream-name=nobodys-cam allow-create-stream=false {}",
        test_source(500, 25, true),
        properties(&local)
    ));
    let error = heard.the_error("sink");
    assert!(
        error.error().matches(gst::ResourceError::NotFound),
        "{error:?}"
    );
    let text = error.error().to_string();
    assert!(
        text.contains("nobodys-cam") && text.contains("allow-create-stream"),
        "{text}"
    );
    let request_id = error
        .details()
        .unwrap()
        .get::<String>("request-id")
        .unwrap();
    assert!(
        local
            .requests()
            .iter()
            .any(|request| request.request_id == request_id && request.status == 404)
    );
    assert!(local.describe("nobodys-cam").is_none());
    assert!(
        local
            .requests()
            .iter()
            .all(|request| request.api != "CreateStream")
    );
}

/// Signatures for another region than the service's are one ERROR, which names both and the property.
#[test]
fn a_wrong_region_is_one_error() {
    let local = service_with(|options| options.region = Some("eu-central-1".into()));
    let heard = run_into_error(&format!(
        "{} ! kvssink name=sink stream-name=cam {} aws-region=eu-west-1",
        test_source(500, 25, true),
        properties(&local)
    ));
    let error = heard.the_error("sink");
    assert!(
        error.error().matches(gst::ResourceError::NotAuthorized),
        "{error:?}"
    );
    let text = error.error().to_string();
    for said in ["eu-west-1", "set aws-region"] {
        assert!(text.contains(said), "{text}");
    }
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(heard.warnings("sink").is_empty(), "{heard:#?}");
}

/// A setting that cannot work fails the change to READY, with one ERROR that names the property.
#[test_case("stream-name=\"\"", "stream-name"; "no stream name")]
#[test_case("stream-name=\"front door\"", "stream-name"; "a stream name with a space")]
#[test_case("content-type=h264", "content-type"; "a content type that is none")]
#[test_case("access-key=AKID", "secret-key"; "an access key alone")]
#[test_case("secret-key=hush-hush-hush", "access-key"; "a secret key alone")]
#[test_case("endpoint=nonsense", "endpoint"; "an endpoint that is no URI")]
#[test_case("endpoint=ftp://127.0.0.1", "endpoint"; "an endpoint of another scheme")]
#[test_case("endpoint=https://", "endpoint"; "an endpoint without a host")]
#[test_case("endpoint=http://127.0.0.1 use-fips=true", "use-fips"; "FIPS of an endpoint that nobody knows")]
#[test_case("ca-file=/nowhere/ca.pem", "ca-file"; "a CA file that is not there")]
#[test_case("ca-file=Cargo.toml", "ca-file"; "a CA file that is none")]
#[test_case("ca-file=src/net", "ca-file"; "a directory without a CA")]
#[test_case("proxy=socks5://hush-hush-hush@127.0.0.1:1080", "proxy"; "a proxy of another kind")]
#[test_case("proxy=http://user:hush-hush-hush@", "proxy"; "a proxy without a host")]
#[test_case("aws-region=\"eu west\"", "aws-region"; "a region with a space")]
#[test_case("user-agent=\"ü\"", "user-agent"; "a user agent that cannot be a header")]
#[test_case(&format!("track-name={}", "x".repeat(33)), "track-name"; "a track name that is too long")]
#[test_case(&format!("codec-id={}", "x".repeat(33)), "codec-id"; "a codec id that is too long")]
fn a_wrong_setting_fails_ready(setting: &str, property: &str) {
    let pipeline = Pipeline::new(&format!(
        "videotestsrc ! x264enc ! h264parse ! kvssink name=sink {setting}"
    ));
    let mut heard = Heard::of(&pipeline);
    let sink = pipeline.element("sink");
    assert!(sink.set_state(gst::State::Ready).is_err());
    heard.stop(&pipeline);
    assert_settings(&heard, property);
}

fn assert_settings(heard: &Heard, property: &str) {
    let error = heard.the_error("sink");
    assert!(
        error.error().matches(gst::ResourceError::Settings),
        "{error:?}"
    );
    let text = error.error().to_string();
    assert!(text.starts_with(&format!("{property}: ")), "{text}");
    assert!(!bus::text(error).contains(WRONG_SECRET), "{error:?}");
}
