//! The region is found where an AWS user has put it.

use std::process::Command;

use gstkvssink::local::{CredentialSources, DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Fault, Local};
use test_case::test_case;

use super::World;
use crate::support::{
    PATIENCE,
    port::Reserved,
    scripts::{Ended, Process, with_plugin},
};

/// A short clip; in its log is the region.
fn run(world: &World, properties: &[String], environment: &[(&str, &str)]) -> Ended {
    let mut command = with_plugin(Command::new("gst-launch-1.0"));
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    let source = "videotestsrc num-buffers=10 ! x264enc ! h264parse ! kvssink stream-name=cam";
    command
        .args(source.split_whitespace())
        .arg(format!("endpoint={}", world.local.endpoint()))
        .args(properties)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            &world.sources().instance,
        )
        .env("GST_DEBUG", "GST_TRACER:7,kvssink:4")
        .envs(environment.iter().copied());
    Process::start(command).end()
}

/// The service takes only signatures of the region.
#[test_case("aws-region=eu-west-3", &[("AWS_REGION", "eu-west-1")], "eu-west-3"; "the property")]
#[test_case("", &[("AWS_REGION", "eu-west-3"), ("AWS_DEFAULT_REGION", "eu-west-1")], "eu-west-3"; "the variable of the SDKs")]
#[test_case("", &[("AWS_DEFAULT_REGION", "eu-west-3")], "eu-west-3"; "the variable of the C++ element")]
#[test_case("", &[("PROFILE", "eu-west-3")], "eu-west-3"; "the profile")]
#[test_case("aws-profile=cameras", &[("PROFILE", "eu-west-3")], "eu-west-1"; "the profile that is chosen")]
#[test_case("", &[], "eu-west-3"; "the instance")]
fn the_region_is_that_of(property: &str, environment: &[(&str, &str)], region: &str) {
    let world = World::with(|options| options.region = Some(region.into()));
    let config = world.sources().dir.join("config");
    let mut environment = environment.to_vec();
    let file = config.to_str().unwrap().to_owned();
    if let Some(at) = environment.iter().position(|(name, _)| *name == "PROFILE") {
        let (_, region) = environment.swap_remove(at);
        let keys = format!(
            "aws_access_key_id = {DEFAULT_ACCESS_KEY}\naws_secret_access_key = {DEFAULT_SECRET_KEY}\n"
        );
        let text = format!(
            "[default]\nregion = {region}\n{keys}[profile cameras]\nregion = eu-west-1\n{keys}"
        );
        std::fs::write(&config, text).unwrap();
        environment.push(("AWS_CONFIG_FILE", &file));
    }
    let properties: Vec<_> = [property]
        .iter()
        .filter(|one| !one.is_empty())
        .map(|&one| one.to_owned())
        .collect();
    run(&world, &properties, &environment).assert_success();
    assert_eq!(world.local.fragments("cam").len(), 1);
}

/// A camera has its credentials from elsewhere, and asks no instance.
#[test]
fn nobody_names_one_and_it_is_the_default_with_a_warning() {
    let world = World::with(|options| options.region = Some("us-west-2".into()));
    let properties = [
        format!("access-key={DEFAULT_ACCESS_KEY}"),
        format!("secret-key={DEFAULT_SECRET_KEY}"),
    ];
    let ended = run(&world, &properties, &[]);
    ended.assert_success();
    assert!(
        ended
            .stderr
            .contains("the region is us-west-2, since nothing names one: set aws-region"),
        "{ended:#?}"
    );
    let asked: Vec<_> = world
        .local
        .requests()
        .into_iter()
        .map(|record| record.api)
        .collect();
    assert!(
        asked.iter().all(|api| !api.contains("nstance")),
        "{asked:?}"
    );
}

/// An instance that has a network later than kvssink starts: nobody is asked in another region than its own meanwhile, and
/// it streams with its own credentials then.
#[test]
fn an_instance_without_its_network() {
    const REGION: &str = "eu-west-3";
    let (reserved, dir) = (Reserved::new(), tempfile::tempdir().unwrap());
    let mut command = with_plugin(Command::new("gst-launch-1.0"));
    let line = "-m -e videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 \
                ! x264enc tune=zerolatency key-int-max=10 ! h264parse ! kvssink stream-name=cam";
    command
        .args(line.split_whitespace())
        .arg(format!("endpoint={}", reserved.endpoint()))
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", reserved.endpoint());
    let mut process = Process::start(command);
    let told = loop {
        let line = process.line();
        if line.contains("kvs-connection-lost") {
            break line.replace('\\', "");
        }
    };
    for part in ["the instance", "AWS_EC2_METADATA_DISABLED"] {
        assert!(told.contains(part), "{told}");
    }
    let local = reserved.serve_with(dir.path(), |options| {
        options.region = Some(REGION.into());
        options.credential_sources = Some(CredentialSources::below(dir.path()));
    });
    assert!(local.wait_for(PATIENCE, |local| !local.fragments("cam").is_empty()));
    process.interrupt();
    process.end().assert_success();
    assert_own_region(&local, REGION);
}

/// The credentials are there, and the region is said at a later time only: nothing is created in another one.
#[test]
fn an_instance_that_says_its_region_later() {
    const REGION: &str = "eu-west-3";
    let world = World::with(|options| options.region = Some(REGION.into()));
    // What is asked first is the region.
    let fault: Fault = "http:InstanceMetadata:404".parse().unwrap();
    world.local.inject(fault);
    let ended = run(&world, &[], &[]);
    ended.assert_success();
    let said = "the instance's metadata give credentials, but no region: set aws-region";
    assert!(ended.stdout.contains(said), "{ended:#?}");
    assert_own_region(&world.local, REGION);
}

/// Nothing was signed for another region.
fn assert_own_region(local: &Local, region: &str) {
    let arn = local.describe("cam").unwrap();
    assert!(format!("{arn:?}").contains(region), "{arn:?}");
    for record in local.requests() {
        let refused = matches!(record.status, 401 | 403);
        assert!(!refused || record.api == "InstanceMetadata", "{record:?}");
    }
}
