//! A stream outlives its credentials: from each source, they expire three times while it runs, no frame is lost, and nothing
//! is signed with expired ones.

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Duration};

use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Local, Source};
use test_case::test_case;

use super::World;
use crate::support::{
    PATIENCE,
    scripts::{Process, with_plugin},
};

const STREAM: &str = "front-door";
/// Three of them in succession are over within 15 s.
const LIFE: Duration = Duration::from_secs(3);
/// How often credentials are to end.
const ENDS: usize = 3;

fn world() -> World {
    World::with(|options| {
        options.credential_life = LIFE;
        let sources = options.credential_sources.as_mut().unwrap();
        sources.external_id = Some("a&b c".into());
    })
}

/// A live picture with these properties and variables, and nothing of the machine's own settings.
fn start(world: &World, properties: &[String], environment: &[(&str, &str)]) -> Process {
    let mut command = with_plugin(Command::new("gst-launch-1.0"));
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    let source = "-e videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 \
                  ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 option-string=scenecut=0 ! h264parse";
    command
        .args(source.split_whitespace())
        .args([
            "!",
            "kvssink",
            "aws-region=eu-central-1",
            "stop-stream-timeout=30",
        ])
        .arg(format!("stream-name={STREAM}"))
        .arg(format!("endpoint={}", world.local.endpoint()))
        .args(properties)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("GST_DEBUG", "GST_TRACER:7,kvssink:4")
        .envs(environment.iter().copied());
    Process::start(command)
}

/// Those that sessions were begun with, and that have expired.
fn outlived(local: &Local) -> usize {
    let attempts = local.attempts(STREAM);
    let keys: BTreeSet<_> = attempts
        .iter()
        .filter_map(|attempt| attempt.access_key.as_deref())
        .collect();
    keys.into_iter()
        .filter(|key| local.has_expired(key))
        .count()
}

/// Lets it run until its credentials have ended three times, looking at `meanwhile` again and again, then a little longer,
/// so that it has used the last ones; then to its end. All that it took is there, and its log has the source.
fn assert_outlives(world: &World, process: Process, from: &str, mut meanwhile: impl FnMut()) {
    let local = &world.local;
    let done = local.wait_for(PATIENCE, |local| {
        meanwhile();
        outlived(local) >= ENDS
    });
    let told = || (local.requests(), local.issued());
    if !done {
        process.interrupt();
        panic!("{:#?} {:#?}", told(), process.end());
    }
    let sent = local.fragments(STREAM).len();
    assert!(local.wait_for(PATIENCE, |local| local.fragments(STREAM).len() > sent + 1));
    process.interrupt();
    let ended = process.end();
    ended.assert_success();
    let closed = ended
        .stderr
        .lines()
        .find_map(|line| line.split("stream closed. ").nth(1))
        .unwrap_or_else(|| panic!("{ended:#?}"));
    let frames: u32 = local
        .fragments(STREAM)
        .iter()
        .map(|fragment| fragment.frames)
        .sum();
    let all = format!("frames: {frames} in, {frames} persisted, 0 dropped, 0 pending;");
    assert!(closed.starts_with(&all), "{frames} frames; {closed}");
    assert!(closed.contains(" 0 resent;"), "{closed}");
    for record in local.requests() {
        assert!(
            !record.expired && record.error.is_none() || record.status == 404,
            "{record:?}"
        );
    }
    let source = format!("credentials: {from}");
    assert!(
        ended.stderr.contains(&source),
        "no {source:?}: {}",
        ended.stderr
    );
    for issued in local.issued() {
        for secret in [&issued.secret_key, &issued.session_token] {
            assert!(
                !ended.stderr.contains(secret.as_str()) && !ended.stdout.contains(secret.as_str())
            );
        }
    }
}

fn assert_issued_by(world: &World, source: Source) {
    let issued = world.local.issued();
    assert!(issued.len() > ENDS, "{issued:?}");
    assert!(issued.iter().all(|one| one.source == source), "{issued:?}");
}

#[test_case("rsa.pem", "rsa-pkcs8.key"; "RSA in PKCS 8")]
#[test_case("rsa.pem", "rsa-pkcs1.key"; "RSA in PKCS 1")]
#[test_case("ec.pem", "ec-pkcs8.key"; "EC in PKCS 8")]
#[test_case("ec.pem", "ec-sec1.key"; "EC in SEC 1")]
fn by_aws_iot(certificate: &str, key: &str) {
    let world = world();
    let sources = world.sources();
    let dir = sources.dir.display();
    let property = format!(
        "iot-certificate=iot-certificate,endpoint=(string)\"{}\",cert-path=(string)\"{dir}/{certificate}\",key-path=(string)\"{dir}/{key}\",\
         ca-path=(string)\"{dir}/ca.pem\",role-aliases=(string)\"{}\"",
        sources.iot, sources.role_alias
    );
    // Of all that is set, it is the first.
    let properties = [property, "access-key=AKID".into(), "secret-key=none".into()];
    let process = start(&world, &properties, &[]);
    assert_outlives(
        &world,
        process,
        "iot-certificate (kvs-local-alias as front-door)",
        || (),
    );
    assert_issued_by(&world, Source::Iot);
    // The thing is named like the stream.
    assert!(world.local.issued().iter().all(|one| one.holder == STREAM));
}

/// Somebody rewrites the file before what is in it ends; each second time not at once.
#[test]
fn by_a_file_that_is_rewritten() {
    const LIFE: Duration = Duration::from_secs(6);
    const REWRITTEN: Duration = Duration::from_secs(2);
    let world = world();
    let path = world.sources().dir.join("credential");
    let local = &world.local;
    local.write_credential_file(&path, LIFE).unwrap();
    let mut written = local.uptime();
    let mut half = false;
    let property = format!("credential-path={}", path.display());
    let process = start(&world, &[property], &[]);
    let rewrite = || {
        if local.uptime() < written + REWRITTEN {
            return;
        }
        half = !half;
        if half {
            local.write_half_a_credential_file(&path, LIFE).unwrap();
        }
        local.write_credential_file(&path, LIFE).unwrap();
        written = local.uptime();
    };
    let from = format!("credential-path {}", path.display());
    assert_outlives(&world, process, &from, rewrite);
}

#[test]
fn by_a_container() {
    let world = world();
    let uri = &world.sources().container;
    let process = start(&world, &[], &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri)]);
    assert_outlives(&world, process, "the container's endpoint", || ());
    assert_issued_by(&world, Source::Container);
}

#[test]
fn by_an_instance() {
    let world = world();
    let endpoint = &world.sources().instance;
    let environment = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "false"),
    ];
    let process = start(&world, &[], &environment);
    assert_outlives(&world, process, "the instance's metadata", || ());
    assert_issued_by(&world, Source::Instance);
}

#[test]
fn by_web_identity() {
    let world = world();
    let sources = world.sources();
    let environment = [
        ("AWS_ENDPOINT_URL_STS", sources.sts.as_str()),
        ("AWS_ROLE_ARN", &sources.role_arn),
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            sources.web_identity_token_file.to_str().unwrap(),
        ),
    ];
    let process = start(&world, &[], &environment);
    assert_outlives(&world, process, "web identity", || ());
    assert_issued_by(&world, Source::WebIdentity);
}

/// A program that prints credentials: it asks for those of the container. `aws-profile` beats the environment.
#[test]
fn by_a_process_of_a_profile() {
    let world = world();
    let sources = world.sources();
    let config = sources.dir.join("config");
    let program = sources.dir.join("credentials.py");
    let text = format!(
        "import json, urllib.request\n\
         got = json.load(urllib.request.urlopen({:?}))\n\
         got['SessionToken'] = got.pop('Token')\n\
         print(json.dumps(got | {{'Version': 1}}))\n",
        sources.container
    );
    fs::write(&program, text).unwrap();
    profile(
        &config,
        &format!("credential_process = python3 {}\n", program.display()),
    );
    let environment = [
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
        ("AWS_ACCESS_KEY_ID", "AKIDANOTHER"),
        ("AWS_SECRET_ACCESS_KEY", "none"),
    ];
    let process = start(&world, &["aws-profile=cameras".into()], &environment);
    assert_outlives(&world, process, "aws-profile cameras", || ());
    assert_issued_by(&world, Source::Container);
}

fn profile(config: &Path, text: &str) {
    fs::write(
        config,
        format!("[profile cameras]\nregion = eu-west-1\n{text}"),
    )
    .unwrap();
}

/// A role on top of keys that may do nothing else.
#[test]
fn by_a_role() {
    let world = world();
    let sources = world.sources();
    let properties = [
        format!("access-key={DEFAULT_ACCESS_KEY}"),
        format!("secret-key={DEFAULT_SECRET_KEY}"),
        format!("role-arn={}", sources.role_arn),
        "role-external-id=a&b c".to_owned(),
        "role-session-name=cam-7".to_owned(),
    ];
    let process = start(
        &world,
        &properties,
        &[("AWS_ENDPOINT_URL_STS", &sources.sts)],
    );
    let from = format!(
        "role-arn {} on top of access-key and secret-key",
        sources.role_arn
    );
    assert_outlives(&world, process, &from, || ());
    assert_issued_by(&world, Source::AssumeRole);
    assert!(world.local.issued().iter().all(|one| one.holder == "cam-7"));
}
