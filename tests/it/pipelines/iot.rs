//! A device whose credentials come from AWS IoT, with a certificate.

use gstkvssink::local::{CredentialSources, Source};
use test_case::test_case;

use super::{STREAM, run, script};
use crate::support::{service_with, stored};

/// iot-test-source: the files of a device and the names are all that it needs.
#[test_case("rsa.pem", "rsa-pkcs8.key"; "RSA")]
#[test_case("ec.pem", "ec-sec1.key"; "EC")]
fn iot_test_source_sends_with_the_credentials_of_a_thing(certificate: &str, key: &str) {
    let folder = tempfile::tempdir().unwrap();
    let local = service_with(|options| {
        options.credential_sources = Some(CredentialSources::below(folder.path()));
    });
    let sources = local.sources().unwrap();
    let mut command = script("iot-test-source");
    for file in [certificate, key, "ca.pem"] {
        command.arg(sources.dir.join(file));
    }
    command
        .arg("50")
        .env("IOT_ENDPOINT", &sources.iot)
        .env("IOT_ROLE_ALIAS", &sources.role_alias);
    run(command, &local).assert_success();
    let issued = local.issued();
    let [issued] = &issued[..] else {
        panic!("{issued:?}")
    };
    assert_eq!(
        (issued.source, issued.holder.as_str()),
        (Source::Iot, STREAM)
    );
    let files = local.session_files(STREAM);
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    stored::assert_readable(file);
    assert_eq!(stored::frames(file).len(), 50);
}
