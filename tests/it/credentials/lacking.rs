//! Each part of the AWS chain, when it gives no credentials: one ERROR before media was taken, which says what is missing,
//! where, and what to do; and nothing that a program has printed.

use std::{fs, path::PathBuf};

use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY};
use test_case::test_case;

use super::{
    World,
    errors::{in_process, told},
    sso,
};
use crate::support::bus;

/// A configuration file with this in it, and a home without anything.
fn configured(world: &World, text: &str) -> (PathBuf, PathBuf) {
    let dir = &world.sources().dir;
    let config = dir.join("config");
    fs::write(&config, text).unwrap();
    (config, dir.join("home"))
}

/// Its profile is `cameras`.
#[test_case("aws-profile=cameras", "", "aws-profile: cameras gives no credentials"; "by the property")]
#[test_case("", "cameras", "the profile cameras (AWS_PROFILE) gives no credentials"; "by the variable")]
fn a_login_by_sso(property: &str, variable: &str, named: &str) {
    let world = World::new();
    let (config, home) = configured(&world, &sso::profile("kvs-local"));
    let environment = [
        ("AWS_PROFILE", variable),
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
        ("HOME", home.to_str().unwrap()),
    ];
    in_process(&world, property, &environment, |text| {
        assert!(text.contains(named), "{text}");
        assert!(
            text.contains("; `aws sso login --profile cameras` renews it"),
            "{text}"
        );
    });
}

/// Whoever has logged in may not have this role, or not any more.
#[test_case("another", true, "see sso_account_id and sso_role_name"; "another role")]
#[test_case("kvs-local", false, "`aws sso login --profile cameras` renews it"; "a token that is not taken")]
fn what_sso_refuses(role: &str, right: bool, remedy: &str) {
    let world = World::new();
    let (config, home) = configured(&world, &sso::profile(role));
    let token = fs::read_to_string(&world.sources().sso_token_file).unwrap();
    sso::log_in(&home, if right { &token } else { "hush-hush" });
    let environment = [
        ("AWS_ENDPOINT_URL_SSO", world.sources().sso.as_str()),
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
        ("HOME", home.to_str().unwrap()),
    ];
    let ended = in_process(&world, "aws-profile=cameras", &environment, |text| {
        assert!(text.contains("aws-profile: cameras gives no"), "{text}");
        assert!(text.contains(remedy), "{text}");
    });
    assert!(!ended.stderr.contains("hush") && !ended.stderr.contains(&token));
}

/// It is not in the file, or there is no file at all.
#[test_case(""; "without a file")]
#[test_case("[profile another]\nregion = eu-west-1\n"; "not in the file")]
fn a_profile_of_the_variable(text: &str) {
    let world = World::new();
    let (config, _) = configured(&world, text);
    let environment = [
        ("AWS_PROFILE", "nobody"),
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
    ];
    in_process(&world, "", &environment, |text| {
        let named = "the profile nobody (AWS_PROFILE) gives no credentials: ";
        assert!(text.contains(named), "{text}");
        assert!(
            text.contains("AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE"),
            "{text}"
        );
        assert!(text.contains("nor in the environment, "), "{text}");
    });
}

/// The default profile goes by another one, which is not there.
#[test]
fn a_source_profile() {
    let world = World::new();
    let arn = &world.sources().role_arn;
    let text = format!("[default]\nrole_arn = {arn}\nsource_profile = base\n");
    let (config, _) = configured(&world, &text);
    let environment = [("AWS_CONFIG_FILE", config.to_str().unwrap())];
    in_process(&world, "", &environment, |text| {
        assert!(
            text.contains("the profile gives no credentials: "),
            "{text}"
        );
        assert!(text.contains("source profile base"), "{text}");
        assert!(text.contains("AWS_CONFIG_FILE"), "{text}");
    });
}

/// A role that its keys may not have.
#[test]
fn a_role_of_a_profile() {
    let world = World::with(|options| {
        options.credential_sources.as_mut().unwrap().external_id = Some("1234".into());
    });
    let sources = world.sources();
    let text = format!(
        "[profile cameras]\nrole_arn = {}\nsource_profile = base\n\
         [profile base]\naws_access_key_id = {DEFAULT_ACCESS_KEY}\naws_secret_access_key = {DEFAULT_SECRET_KEY}\n",
        sources.role_arn
    );
    let (config, _) = configured(&world, &text);
    let environment = [
        ("AWS_PROFILE", "cameras"),
        ("AWS_ENDPOINT_URL_STS", &sources.sts),
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
    ];
    in_process(&world, "", &environment, |text| {
        assert!(text.contains("the profile cameras (AWS_PROFILE)"), "{text}");
        assert!(text.contains("allow sts:AssumeRole"), "{text}");
        assert!(text.contains("external_id"), "{text}");
    });
}

/// A script that tells everything it does, with its keys, and fails; and one that prints them otherwise than it should.
#[test_case("set -x; AWS_SECRET_ACCESS_KEY=hush-hush; exit 3", "exited with code exit status: 3"; "it fails")]
#[test_case("echo hush-hush", "it is not as it should be"; "it prints something else")]
#[test_case("echo '{\"Version\": 1, \"AccessKeyId\": \"hush-hush\"}'", "it has no SecretAccessKey"; "it prints half of it")]
#[test_case("exec /nowhere/hush-hush", "exited with code exit status: 127"; "it is not there")]
fn a_program_of_a_profile(script: &str, expected: &str) {
    let world = World::new();
    let program = world.sources().dir.join("program");
    fs::write(&program, script).unwrap();
    let text = format!(
        "[profile cameras]\ncredential_process = sh {}\n",
        program.display()
    );
    let (config, _) = configured(&world, &text);
    let environment = [("AWS_CONFIG_FILE", config.to_str().unwrap())];
    let ended = in_process(&world, "aws-profile=cameras", &environment, |text| {
        assert!(text.contains("aws-profile: cameras gives no"), "{text}");
        assert!(text.contains(expected), "{text}");
        assert!(
            text.contains("run the program of credential_process"),
            "{text}"
        );
    });
    // Neither on the bus, whose messages are in the log, nor in the log.
    if ended.status.is_some() {
        assert!(ended.stderr.contains("gives no credentials"), "{ended:?}");
    }
    for text in [&ended.stderr, &ended.stdout] {
        assert!(!text.contains("hush"), "{text}");
    }
}

/// `aws login` is newer than the profiles that others can use.
#[test]
fn a_session_of_aws_login() {
    let world = World::new();
    let text = "[profile cameras]\nlogin_session = arn:aws:iam::111122223333:user/admin\n";
    let (config, _) = configured(&world, text);
    let environment = [
        ("AWS_PROFILE", "cameras"),
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
    ];
    in_process(&world, "", &environment, |text| {
        assert!(
            text.contains("cannot use a session of `aws login`"),
            "{text}"
        );
        assert!(
            text.contains("credential_process = aws configure export-credentials --profile cameras --format process"),
            "{text}"
        );
        assert!(!text.contains("cargo"), "{text}");
    });
}

#[test_case(None, "AWS_WEB_IDENTITY_TOKEN_FILE has to name the file"; "no file")]
#[test_case(Some("hush-hush"), "the token in AWS_WEB_IDENTITY_TOKEN_FILE"; "another token")]
fn a_web_identity(token: Option<&str>, remedy: &str) {
    let world = World::new();
    let sources = world.sources();
    let file = sources.dir.join("token");
    if let Some(token) = token {
        fs::write(&file, token).unwrap();
    }
    let environment = [
        ("AWS_ENDPOINT_URL_STS", sources.sts.as_str()),
        ("AWS_ROLE_ARN", &sources.role_arn),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
    ];
    let ended = in_process(&world, "", &environment, |text| {
        assert!(
            text.contains("web identity gives no credentials: "),
            "{text}"
        );
        assert!(text.contains(remedy), "{text}");
    });
    assert!(!ended.stderr.contains("hush"), "{}", ended.stderr);
}

#[test_case("Bearer hush-hush"; "another token")]
fn a_container(token: &str) {
    let world = World::with(|options| {
        let sources = options.credential_sources.as_mut().unwrap();
        sources.container_token = Some("Bearer of-a-container".into());
    });
    let environment = [
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            world.sources().container.as_str(),
        ),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token),
    ];
    let ended = in_process(&world, "", &environment, |text| {
        assert!(text.contains("the container's endpoint gives no"), "{text}");
        assert!(text.contains("AWS_CONTAINER_AUTHORIZATION_TOKEN"), "{text}");
    });
    assert!(!ended.stderr.contains("hush"), "{}", ended.stderr);
}

/// What is said here passes: a WARNING, which names the place and the remedy, too.
#[test]
fn a_container_that_has_none_just_now() {
    let world = World::new();
    let fault = "http:ContainerCredentials:503".parse();
    world
        .local
        .inject(Result::<gstkvssink::local::Fault, _>::unwrap(fault).always());
    let uri = world.sources().container.as_str();
    let environment = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri)];
    told(&world, "", &environment, |said| {
        assert!(bus::is_warning(said), "{said:?}");
        let text = bus::text(said);
        assert!(text.contains("the container's endpoint gives no"), "{text}");
        assert!(
            text.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
            "{text}"
        );
    });
}

/// Its metadata are shut off.
#[test]
fn an_instance() {
    let world = World::new();
    let fault = "http:InstanceMetadata:403".parse();
    world
        .local
        .inject(Result::<gstkvssink::local::Fault, _>::unwrap(fault).always());
    let endpoint = world.sources().instance.as_str();
    let environment = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint),
        ("AWS_EC2_METADATA_DISABLED", "false"),
    ];
    in_process(&world, "", &environment, |text| {
        assert!(text.contains("the instance's metadata gives no"), "{text}");
        assert!(text.contains("AWS_EC2_METADATA_DISABLED=true"), "{text}");
    });
}
