//! Credentials that are missing, damaged or at their end: one ERROR, in one line that names the setting, the file and what
//! to do; and no secret.

use std::{fs, path::Path, time::Duration};

use gst::prelude::*;
use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Local};
use test_case::test_case;

use super::World;
use crate::support::{
    PATIENCE, Pipeline, alone,
    bus::{self, Heard, is_error},
    log::Lines,
    properties,
    scripts::Ended,
    test_source,
};

/// The text of the one ERROR that this ends in, before anything was taken.
pub(super) fn error_of(world: &World, properties: &str) -> String {
    let heard = run_into_error(world.local.endpoint(), properties);
    let error = heard.the_error("sink");
    assert!(
        error.error().matches(gst::ResourceError::NotAuthorized),
        "{error:?}"
    );
    let text = error.error().to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

pub(super) fn run_into_error(endpoint: &str, properties: &str) -> Heard {
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name=cam stop-stream-timeout=1 endpoint={endpoint} {properties}",
        test_source(500, 25, true),
    ));
    let mut heard = Heard::of(&pipeline);
    let _ = pipeline.0.set_state(gst::State::Playing);
    heard.until(&pipeline, |message| is_error(message, "sink"));
    heard.stop(&pipeline);
    heard
}

pub(super) fn iot(world: &World, cert: &Path, key: &Path, ca: &Path, alias: &str) -> String {
    let quoted = |path: &Path| format!("(string)\\\"{}\\\"", path.display());
    format!(
        "iot-certificate=\"iot-certificate,endpoint=(string)\\\"{}\\\",cert-path={},key-path={},ca-path={},role-aliases=(string)\\\"{alias}\\\"\"",
        world.sources().iot,
        quoted(cert),
        quoted(key),
        quoted(ca)
    )
}

/// PEM, and no certificate in it.
const NO_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

enum Change {
    Remove(&'static str),
    Write(&'static str, &'static str),
    Cut(&'static str),
}

/// The files are called as their fields.
#[test_case(Change::Remove("cert-path"), "cert-path: there is no file"; "no certificate")]
#[test_case(Change::Remove("key-path"), "key-path: there is no file"; "no key")]
#[test_case(Change::Remove("ca-path"), "ca-path: there is no file"; "no CA")]
#[test_case(Change::Write("cert-path", "MIID"), "cert-path: {} has no certificate in PEM"; "a certificate that is none")]
#[test_case(Change::Write("key-path", "hush-hush"), "key-path: {} has no private key in PEM"; "a key that is none")]
#[test_case(Change::Write("key-path", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nhush\n-----END ENCRYPTED PRIVATE KEY-----\n"), "key-path: {} is encrypted"; "an encrypted key")]
#[test_case(Change::Write("key-path", "-----BEGIN PRIVATE KEY-----\nhush!\n-----END PRIVATE KEY-----\n"), "key-path: the private key in {} is damaged"; "a damaged key")]
#[test_case(Change::Write("ca-path", "CA"), "ca-path: {} has no certificate in PEM"; "a CA that is none")]
#[test_case(Change::Write("ca-path", NO_CERTIFICATE), "ca-path: the certificate in {} is damaged"; "a damaged CA")]
#[test_case(Change::Write("cert-path", NO_CERTIFICATE), "cert-path: the certificate in {} is damaged"; "a damaged certificate")]
#[test_case(Change::Cut("ca-path"), "ca-path: the certificate in {} is damaged"; "half a CA")]
#[test_case(Change::Cut("cert-path"), "cert-path: the certificate in {} is damaged"; "half a certificate")]
#[test_case(Change::Cut("key-path"), "key-path: the private key in {} is damaged"; "half a key")]
fn a_file_of_a_device(change: Change, expected: &str) {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    for (name, original) in [
        ("cert-path", "ec.pem"),
        ("key-path", "ec-sec1.key"),
        ("ca-path", "ca.pem"),
    ] {
        fs::write(dir.path().join(name), world.file(original)).unwrap();
    }
    let path = |name: &str| dir.path().join(name);
    let changed = match change {
        Change::Remove(name) => {
            fs::remove_file(path(name)).unwrap();
            path(name)
        }
        Change::Write(name, text) => {
            fs::write(path(name), text).unwrap();
            path(name)
        }
        Change::Cut(name) => {
            let text = fs::read(path(name)).unwrap();
            fs::write(path(name), &text[..text.len() / 2]).unwrap();
            path(name)
        }
    };
    let alias = &world.sources().role_alias;
    let text = error_of(
        &world,
        &iot(
            &world,
            &path("cert-path"),
            &path("key-path"),
            &path("ca-path"),
            alias,
        ),
    );
    let shown = changed.display().to_string();
    assert!(
        text.contains(&format!(
            "iot-certificate: {}",
            expected.replace("{}", &shown)
        )),
        "{text}"
    );
    assert!(text.contains(&shown) && !text.contains("hush"), "{text}");
    assert_eq!(world.local.issued(), []);
}

#[test]
fn a_key_of_another_certificate() {
    let world = World::new();
    let dir = &world.sources().dir;
    let alias = &world.sources().role_alias;
    let text = error_of(
        &world,
        &iot(
            &world,
            &dir.join("ec.pem"),
            &dir.join("other.key"),
            &dir.join("ca.pem"),
            alias,
        ),
    );
    let expected = format!(
        "iot-certificate: key-path: {} is not the key of cert-path {}",
        dir.join("other.key").display(),
        dir.join("ec.pem").display()
    );
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn an_alias_that_iot_does_not_know() {
    let world = World::new();
    let dir = &world.sources().dir;
    let text = error_of(
        &world,
        &iot(
            &world,
            &dir.join("ec.pem"),
            &dir.join("ec-sec1.key"),
            &dir.join("ca.pem"),
            "another",
        ),
    );
    assert!(
        text.contains("refuses another for the thing cam (HTTP 4"),
        "{text}"
    );
    assert!(text.contains("iot:AssumeRoleWithCertificate"), "{text}");
}

#[test_case(None, "there is no file"; "missing")]
#[test_case(Some("CREDENTIALS AKID 2030-01-02T03:04:05Z hush-hush"), "has 4 words"; "half written")]
#[test_case(Some("[default]\naws_secret_access_key = hush-hush\n"), "does not begin with the word CREDENTIALS"; "of another kind")]
fn a_credential_file(content: Option<&str>, expected: &str) {
    let world = World::new();
    let path = world.sources().dir.join("credential");
    if let Some(content) = content {
        fs::write(&path, content).unwrap();
    }
    let text = error_of(&world, &format!("credential-path={}", path.display()));
    assert!(
        text.contains("credential-path: ") && text.contains(path.to_str().unwrap()),
        "{text}"
    );
    assert!(text.contains(expected) && !text.contains("hush"), "{text}");
    assert_eq!(world.local.requests(), [], "nothing is sent");
}

/// Temporary credentials that are given once, and have ended.
#[test_case(false, "access-key and secret-key; set others"; "by properties")]
#[test_case(true, "whoever writes the file has to renew them"; "by a file")]
fn credentials_at_their_end(by_file: bool, remedy: &str) {
    let world = World::new();
    let issued = world.local.issue(Duration::ZERO);
    let expired = |local: &Local| local.has_expired(&issued.access_key);
    assert!(world.local.wait_for(PATIENCE, expired));
    let properties = if by_file {
        let path = world.sources().dir.join("credential");
        fs::write(&path, issued.line()).unwrap();
        format!("credential-path={}", path.display())
    } else {
        format!(
            "access-key={} secret-key=\"{}\" session-token=\"{}\"",
            issued.access_key, issued.secret_key, issued.session_token
        )
    };
    let text = error_of(&world, &properties);
    assert!(
        text.contains("ExpiredTokenException") && text.contains(remedy),
        "{text}"
    );
    assert!(
        !text.contains(&issued.secret_key) && !text.contains(&issued.session_token),
        "{text}"
    );
    assert_eq!(
        world.local.requests().len(),
        1,
        "what is refused is not asked again: {:?}",
        world.local.requests()
    );
}

#[test]
fn a_role_that_must_not_be_assumed() {
    let world = World::with(|options| {
        options.credential_sources.as_mut().unwrap().external_id = Some("1234".into());
    });
    let properties = format!(
        "access-key={DEFAULT_ACCESS_KEY} secret-key={DEFAULT_SECRET_KEY} role-arn={} role-external-id=4321",
        world.sources().role_arn
    );
    let environment = [("AWS_ENDPOINT_URL_STS", world.sources().sts.as_str())];
    in_process(&world, &properties, &environment, |text| {
        assert!(text.contains("role-arn: arn:aws:iam::"), "{text}");
        assert!(
            text.contains("see the role's trust policy and role-external-id"),
            "{text}"
        );
    });
}

/// The keys that are to assume the role are wrong: STS will not know them better later.
#[test]
fn keys_that_sts_does_not_know() {
    let world = World::new();
    let properties = format!(
        "access-key=AKIDNOBODY secret-key=nothing role-arn={}",
        world.sources().role_arn
    );
    let environment = [("AWS_ENDPOINT_URL_STS", world.sources().sts.as_str())];
    in_process(&world, &properties, &environment, |text| {
        assert!(text.contains("role-arn: arn:aws:iam::"), "{text}");
        assert!(
            text.contains("see the credentials that assume it"),
            "{text}"
        );
    });
}

#[test]
fn none_anywhere() {
    in_process(&World::new(), "", &[], |text| {
        assert!(text.contains("no credentials anywhere"), "{text}");
        assert!(
            text.contains("iot-certificate") && text.contains("credential-path"),
            "{text}"
        );
    });
}

#[test]
fn a_profile_that_is_not_there() {
    in_process(&World::new(), "aws-profile=nobody", &[], |text| {
        assert!(text.contains("aws-profile: nobody gives no"), "{text}");
        assert!(text.contains("AWS_CONFIG_FILE"), "{text}");
    });
}

/// The credentials of a file's upload stop: nobody waits for others, since nothing is lost by an ERROR.
#[test]
fn a_file_that_is_gone_ends_an_upload() {
    let world = World::new();
    let local = &world.local;
    let path = world.sources().dir.join("credential");
    local
        .write_credential_file(&path, Duration::from_secs(5))
        .unwrap();
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name=cam streaming-type=offline stop-stream-timeout=1 endpoint={} credential-path={}",
        test_source(100_000, 25, true),
        local.endpoint(),
        path.display()
    ));
    let mut heard = Heard::of(&pipeline);
    pipeline.0.set_state(gst::State::Playing).unwrap();
    heard.until(&pipeline, |message| bus::tells(message, "kvs-stream-ready"));
    assert!(local.wait_for(PATIENCE, |local| !local.fragments("cam").is_empty()));
    // Those at hand end, and a session with them is to be followed by another.
    fs::remove_file(&path).unwrap();
    heard.until(&pipeline, |message| is_error(message, "sink"));
    heard.stop(&pipeline);
    let error = heard.the_error("sink");
    assert!(
        error.error().matches(gst::ResourceError::NotAuthorized),
        "{error:?}"
    );
    let text = error.error().to_string();
    let said = format!("credential-path: there is no file {}", path.display());
    assert!(text.contains(&said), "{text}");
    let missing: u64 = error.details().unwrap().get("frames-missing").unwrap();
    assert!(missing > 0, "{error:?}");
    assert!(!local.requests().iter().any(|record| record.expired));
}

/// The device's clock is 20 minutes wrong: it streams all the same, and is told so, with what to do.
#[test_case(1_200_000; "behind")]
#[test_case(-1_200_000; "ahead")]
fn a_clock_that_is_wrong(ahead_ms: i64) {
    let world = World::new();
    let lines = Lines::listen();
    world
        .local
        .inject(format!("clock:{ahead_ms}").parse().unwrap());
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name=cam {}",
        test_source(50, 25, false),
        properties(&world.local)
    ));
    let outcome = pipeline.run();
    outcome.assert_clean();
    let [told] = outcome.told("kvs-clock-offset")[..] else {
        panic!("{outcome:?}")
    };
    let offset: i64 = told.get("offset").unwrap();
    assert!(offset.abs_diff(ahead_ms) < 60_000, "{offset}");
    let said = lines.so_far();
    let said: Vec<_> = said
        .iter()
        .filter(|line| line.contains("clock is wrong"))
        .collect();
    let [said] = said[..] else { panic!("{said:?}") };
    assert!(said.contains(&format!("{offset} ms ahead")), "{said}");
    assert!(said.contains("set it (NTP)"), "{said}");
}

/// In a process with an environment of its own: what its one ERROR says.
pub(super) fn in_process(
    world: &World,
    properties: &str,
    environment: &[(&str, &str)],
    check: impl Fn(&str),
) -> Ended {
    told(world, properties, environment, |said| {
        let gst::MessageView::Error(error) = said.view() else {
            panic!("no ERROR: {said:?}")
        };
        let error = error.error();
        assert!(
            error.matches(gst::ResourceError::NotAuthorized),
            "{error:?}"
        );
        let text = error.to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        check(&text);
    })
}

/// In a process with an environment of its own: its first WARNING or ERROR. What the process said is given, also in its log.
pub(super) fn told(
    world: &World,
    properties: &str,
    environment: &[(&str, &str)],
    check: impl Fn(&gst::Message),
) -> Ended {
    if let Some(task) = alone::task() {
        let pipeline = Pipeline::new(&format!(
            "{} ! kvssink name=sink stream-name=cam stop-stream-timeout=0 {task}",
            test_source(500, 25, true),
        ));
        let mut heard = Heard::of(&pipeline);
        let _ = pipeline.0.set_state(gst::State::Playing);
        let said = heard.until(&pipeline, |message| {
            bus::is_warning(message) || is_error(message, "sink")
        });
        heard.stop(&pipeline);
        check(&said);
        return Ended::default();
    }
    let clean = [
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_REGION", "eu-central-1"),
        ("GST_DEBUG", "kvssink:9"),
    ];
    let task = format!("endpoint={} {properties}", world.local.endpoint());
    let mut command = alone::command(task);
    command.envs(clean.iter().chain(environment).copied());
    let ended = alone::end(command);
    ended.assert_success();
    let video = ["DescribeStream", "PutMedia"];
    let asked = world.local.requests();
    assert!(
        !asked
            .iter()
            .any(|record| video.contains(&record.api.as_str())),
        "{asked:?}"
    );
    ended
}
