//! Whom the element trusts, and that it trusts nobody else.

use std::{fs, path::Path, process::Command};

use gst::prelude::*;
use gstkvssink::local::Local;
use tempfile::TempDir;
use test_case::test_case;

use super::support::{
    Pipeline, accounts,
    bus::{self, Heard, is_error},
    properties,
    scripts::{Ended, Process, with_service},
    service_with, test_source,
};

fn service() -> Local {
    let local = service_with(|options| options.tls = true);
    assert!(local.endpoint().starts_with("https://"));
    local
}

/// A directory with this CA, and with what else may lie there.
fn directory(ca: &Path) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(ca, dir.path().join("1.pem")).unwrap();
    fs::write(dir.path().join("README"), "CAs of this site\n").unwrap();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(dir.path().join("broken.pem"), broken).unwrap();
    fs::create_dir(dir.path().join("old")).unwrap();
    dir
}

/// All that is sent is persisted when the property names the service's CA, as a file, or as a directory that has it.
#[test_case(false; "as a file")]
#[test_case(true; "as a directory")]
fn the_property_names_a_ca(as_directory: bool) {
    let local = service();
    let file = local.ca_file().unwrap();
    let dir = directory(file);
    let ca = if as_directory { dir.path() } else { file };
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name=cam {} ca-file={}",
        test_source(50, 25, false),
        properties(&local),
        ca.display()
    ));
    pipeline.run().assert_clean();
    assert_eq!(accounts(&pipeline.stats("sink")), [50, 50, 0, 0]);
}

/// 50 frames by gst-launch-1.0, in this environment.
fn launch(local: &Local, more: &str, environment: &[(&str, &Path)]) -> Ended {
    let line = format!(
        "{} ! kvssink stream-name=cam stop-stream-timeout=30 {more}",
        test_source(50, 25, false)
    );
    let mut command = Command::new("gst-launch-1.0");
    command.args(line.split_whitespace());
    let mut command = with_service(command, local, "cam");
    command.envs(environment.iter().copied());
    Process::start(command).end()
}

/// The variable of the C++ element, and those of OpenSSL, name a CA, too; a file or a directory.
#[test_case("KVSSINK_CA_CERT_PATH", false; "as the C++ element's file")]
#[test_case("KVSSINK_CA_CERT_PATH", true; "as a directory")]
#[test_case("SSL_CERT_DIR", true; "as OpenSSL's directory")]
fn the_environment_names_a_ca(variable: &str, as_directory: bool) {
    let local = service();
    let file = local.ca_file().unwrap();
    let dir = directory(file);
    let ca = if as_directory { dir.path() } else { file };
    launch(&local, "", &[(variable, ca)]).assert_success();
    assert_eq!(local.session_files("cam").len(), 1);
}

/// The property beats `KVSSINK_CA_CERT_PATH`, which beats `SSL_CERT_FILE`.
#[test]
fn the_first_that_is_set_names_the_ca() {
    let (local, another) = (service(), service());
    let (right, wrong) = (local.ca_file().unwrap(), another.ca_file().unwrap());
    let environment = [("KVSSINK_CA_CERT_PATH", right), ("SSL_CERT_FILE", wrong)];
    launch(&local, "", &environment).assert_success();
    let property = format!("ca-file={}", right.display());
    let environment = [("KVSSINK_CA_CERT_PATH", wrong)];
    launch(&local, &property, &environment).assert_success();
    assert_eq!(local.session_files("cam").len(), 2);
}

/// Nothing goes to a service of another CA, and the warning says which CAs are trusted, and how to name it.
#[test]
fn another_ca_is_not_trusted() {
    let (local, another) = (service(), service());
    let ca = another.ca_file().unwrap();
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name=cam {} stop-stream-timeout=1 ca-file={}",
        test_source(50, 25, false),
        properties(&local),
        ca.display()
    ));
    let mut heard = Heard::of(&pipeline);
    let _ = pipeline.0.set_state(gst::State::Playing);
    heard.until(&pipeline, |message| is_error(message, "sink"));
    heard.stop(&pipeline);
    let [warning] = &heard.warnings("sink")[..] else {
        panic!("not one warning: {heard:#?}")
    };
    let text = bus::text(warning);
    let trusted = format!("its CA is not one of ca-file ({})", ca.display());
    assert!(text.contains(&trusted), "{text}");
    assert!(
        text.contains("ca-file, or SSL_CERT_FILE, can name it"),
        "{text}"
    );
    assert!(local.requests().is_empty(), "{:?}", local.requests());
}

/// A variable that names nothing fails the start, and the one line has its name, the path and what belongs there.
#[test]
fn a_variable_that_names_no_ca_is_told() {
    let local = service();
    let empty = tempfile::tempdir().unwrap();
    for (variable, path, said) in [
        (
            "KVSSINK_CA_CERT_PATH",
            Path::new("/nowhere/ca.pem"),
            "name a PEM file",
        ),
        (
            "SSL_CERT_FILE",
            Path::new("/nowhere/ca.pem"),
            "name a PEM file",
        ),
        (
            "KVSSINK_CA_CERT_PATH",
            empty.path(),
            "-----BEGIN CERTIFICATE-----",
        ),
        ("SSL_CERT_DIR", empty.path(), "-----BEGIN CERTIFICATE-----"),
    ] {
        let ended = launch(&local, "", &[(variable, path)]);
        assert!(!ended.status.unwrap().success(), "{ended:#?}");
        let errors: Vec<_> = ended
            .stderr
            .lines()
            .filter(|line| line.contains(variable))
            .collect();
        let [error] = errors[..] else {
            panic!("not one line: {ended:#?}")
        };
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(error.contains(said), "{error}");
    }
    assert!(local.requests().is_empty(), "{:?}", local.requests());
}

/// A pipe in the place of a CA does not hang the change of state.
#[test]
fn a_pipe_is_no_ca() {
    let local = service();
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("ca.pem");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for path in [&*pipe, dir.path()] {
        let pipeline = Pipeline::new(&format!(
            "{} ! kvssink name=sink stream-name=cam {} ca-file={}",
            test_source(5, 5, false),
            properties(&local),
            path.display()
        ));
        let mut heard = Heard::of(&pipeline);
        assert!(pipeline.0.set_state(gst::State::Playing).is_err());
        heard.until(&pipeline, |message| is_error(message, "sink"));
        heard.stop(&pipeline);
        let text = heard.the_error("sink").error().to_string();
        assert!(text.contains("ca-file"), "{text}");
        assert!(text.contains(&path.display().to_string()), "{text}");
    }
}
