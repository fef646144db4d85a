//! The chain of the AWS SDK in a process of its own, set up by the environment: kvssink streams with what it finds.

use std::process::Command;
use std::time::Duration;

use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Source};

use super::World;
use crate::support::scripts::{Process, script, with_plugin};

const STREAM: &str = "front-door";
const FRAMES: usize = 60;

/// A world whose credentials are good for seconds.
fn world() -> World {
    World::with(|options| {
        options.credential_life = Duration::from_secs(5);
        let sources = options.credential_sources.as_mut().unwrap();
        sources.container_token = Some("Basic secret".into());
        sources.external_id = Some("a&b c".into());
    })
}

/// The test picture, by the environment alone; nothing of the machine's own settings.
pub(super) fn stream(world: &World, environment: &[(&str, &str)]) {
    let mut command = with_plugin(script("test-source"));
    clean(&mut command)
        .arg(FRAMES.to_string())
        .env("STREAM_NAME", STREAM)
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .env("CONTROL_PLANE_URI", world.local.endpoint())
        .envs(environment.iter().copied());
    let ended = Process::start(command).end();
    ended.assert_success();
    let frames: u32 = world
        .local
        .fragments(STREAM)
        .iter()
        .map(|fragment| fragment.frames)
        .sum();
    assert_eq!(frames as usize, FRAMES, "{ended:#?}");
}

fn clean(command: &mut Command) -> &mut Command {
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
}

/// Whatever was called of video was signed with credentials of this source, and not with expired ones.
fn assert_signed_by(world: &World, source: Source) {
    let issued = world.local.issued();
    assert!(issued.iter().all(|one| one.source == source), "{issued:?}");
    let video = [
        "DescribeStream",
        "CreateStream",
        "TagStream",
        "GetDataEndpoint",
        "PutMedia",
    ];
    let mut calls = 0;
    for record in world.local.requests() {
        if !video.contains(&record.api.as_str()) {
            continue;
        }
        calls += 1;
        let signer = issued
            .iter()
            .find(|one| record.access_key.as_ref() == Some(&one.access_key));
        assert!(signer.is_some() && !record.expired, "{record:?}");
    }
    assert!(calls > 2, "{:?}", world.local.requests());
}

#[test]
fn a_container() {
    let world = world();
    let uri = &world.sources().container;
    stream(
        &world,
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic secret"),
        ],
    );
    assert_signed_by(&world, Source::Container);
}

#[test]
fn an_instance() {
    let world = world();
    let endpoint = &world.sources().instance;
    stream(
        &world,
        &[
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint),
            ("AWS_EC2_METADATA_DISABLED", "false"),
        ],
    );
    assert_signed_by(&world, Source::Instance);
}

#[test]
fn a_web_identity() {
    let world = world();
    let sources = world.sources();
    stream(
        &world,
        &[
            ("AWS_ENDPOINT_URL_STS", &sources.sts),
            ("AWS_ROLE_ARN", &sources.role_arn),
            (
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                sources.web_identity_token_file.to_str().unwrap(),
            ),
        ],
    );
    assert_signed_by(&world, Source::WebIdentity);
}

#[test]
fn a_role_of_a_profile() {
    let world = world();
    let sources = world.sources();
    let config = sources.dir.join("config");
    let text = format!(
        "[default]\nrole_arn = {}\nsource_profile = base\nexternal_id = a&b c\n\
         [profile base]\naws_access_key_id = {DEFAULT_ACCESS_KEY}\naws_secret_access_key = {DEFAULT_SECRET_KEY}\n",
        sources.role_arn
    );
    std::fs::write(&config, text).unwrap();
    stream(
        &world,
        &[
            ("AWS_ENDPOINT_URL_STS", &sources.sts),
            ("AWS_CONFIG_FILE", config.to_str().unwrap()),
        ],
    );
    assert_signed_by(&world, Source::AssumeRole);
}
