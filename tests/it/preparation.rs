//! What is asked of the control plane before media flows, and what is left of a stream after it.

use std::process::Command;

use gstkvssink::local::Local;

use super::support::{
    Outcome, Pipeline, accounts, properties,
    scripts::{Process, with_service},
    service, test_source,
};

const FRAMES: u64 = 50;

/// Sends [`FRAMES`] to `cam`, with these properties besides.
fn send(local: &Local, more: &str) -> Outcome {
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name=cam {} {more}",
        test_source(50, 25, false),
        properties(local)
    ));
    let outcome = pipeline.run();
    assert!(outcome.eos && outcome.errors.is_empty(), "{outcome:?}");
    assert_eq!(accounts(&pipeline.stats("sink")), [FRAMES, FRAMES, 0, 0]);
    outcome
}

/// The same in a process of its own, so that this one knows nothing of the stream.
fn send_elsewhere(local: &Local, more: &str) {
    let line = format!(
        "{} ! kvssink stream-name=cam {more}",
        test_source(50, 25, false)
    );
    let mut command = Command::new("gst-launch-1.0");
    command.args(line.split_whitespace());
    Process::start(with_service(command, local, "cam"))
        .end()
        .assert_success();
}

/// The calls from the one of this number on, each once in a row.
fn calls(local: &Local, from: usize) -> Vec<String> {
    let requests = local.requests();
    let mut calls: Vec<_> = requests[from..]
        .iter()
        .map(|request| request.api.clone())
        .collect();
    calls.dedup();
    calls
}

/// A stream that is created has the KMS key and the tags of the properties.
#[test]
fn a_created_stream_has_its_key_and_its_tags() {
    let local = service();
    send(
        &local,
        "kms-key-id=alias/cam stream-tags=\"tags,site=north-yard,floor=(int)3,indoor=true\"",
    )
    .assert_clean();
    let stream = local.describe("cam").unwrap();
    assert_eq!(stream.kms_key_id.as_deref(), Some("alias/cam"));
    let tags: Vec<_> = stream
        .tags
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(tags, ["floor=3", "indoor=true", "site=north-yard"]);
}

/// A stream with another retention is told once, and left as it is; with `update-retention` it gets that of the property,
/// more or less than before.
#[test]
fn another_retention_is_told_and_only_updated_if_wanted() {
    let local = service();
    let created = send(&local, "");
    assert!(
        created.told("kvs-retention-differs").is_empty(),
        "{created:?}"
    );
    for (more, has, wanted, after) in [
        ("retention-period=5", 2, 5, 2),
        ("retention-period=5 update-retention=true", 2, 5, 5),
        ("retention-period=1 update-retention=true", 5, 1, 1),
    ] {
        let outcome = send(&local, more);
        let [told] = outcome.told("kvs-retention-differs")[..] else {
            panic!("{more}: {outcome:?}")
        };
        assert_eq!(told.get::<&str>("stream-name"), Ok("cam"));
        assert_eq!(told.get::<u64>("retention"), Ok(has), "{more}");
        assert_eq!(told.get::<u64>("retention-period"), Ok(wanted), "{more}");
        assert!(outcome.warnings.is_empty(), "{outcome:?}");
        assert_eq!(local.describe("cam").unwrap().retention_hours, after);
    }
    let same = send(&local, "retention-period=1 update-retention=true");
    assert!(same.told("kvs-retention-differs").is_empty(), "{same:?}");
    let updates = local.requests();
    let updates = updates
        .iter()
        .filter(|request| request.api == "UpdateDataRetention");
    assert_eq!(updates.count(), 2);
}

/// Somebody changes the stream between the description and the update: it is described again, and updated then.
#[test]
fn a_version_that_has_changed_meanwhile_is_asked_for_again() {
    let local = service();
    send_elsewhere(&local, "");
    let fault = "http:UpdateDataRetention:400/VersionMismatchException";
    local.inject(fault.parse().unwrap());
    let before = local.requests().len();
    send(&local, "retention-period=5 update-retention=true");
    assert_eq!(local.describe("cam").unwrap().retention_hours, 5);
    let expected = [
        "DescribeStream",
        "UpdateDataRetention",
        "DescribeStream",
        "UpdateDataRetention",
        "GetDataEndpoint",
        "PutMedia",
    ];
    assert_eq!(calls(&local, before), expected);
}

/// Who may not update the retention sends all the same.
#[test]
fn a_retention_that_must_not_be_updated_holds_nobody_up() {
    let local = service();
    send_elsewhere(&local, "");
    let fault = "http:UpdateDataRetention:400/AccessDeniedException";
    local.inject(fault.parse().unwrap());
    let outcome = send(&local, "retention-period=5 update-retention=true");
    assert!(outcome.warnings.is_empty(), "{outcome:?}");
    assert_eq!(local.describe("cam").unwrap().retention_hours, 2);
}

/// With `describe-before-put=false` a start is one call of the control plane; a stream that is not there is created all the
/// same.
#[test]
fn a_start_need_not_describe() {
    let local = service();
    send_elsewhere(&local, "describe-before-put=false");
    let created = [
        "GetDataEndpoint",
        "CreateStream",
        "DescribeStream",
        "GetDataEndpoint",
        "PutMedia",
    ];
    assert_eq!(calls(&local, 0), created);
    let before = local.requests().len();
    send_elsewhere(&local, "describe-before-put=false");
    assert_eq!(calls(&local, before), ["GetDataEndpoint", "PutMedia"]);
    let before = local.requests().len();
    send_elsewhere(&local, "");
    assert_eq!(
        calls(&local, before),
        ["DescribeStream", "GetDataEndpoint", "PutMedia"]
    );
}

/// The data endpoint is known to the whole process, until it fails.
#[test]
fn a_data_endpoint_is_asked_for_once_in_a_process() {
    let local = service();
    send(&local, "");
    let before = local.requests().len();
    send(&local, "");
    assert_eq!(calls(&local, before), ["DescribeStream", "PutMedia"]);
    let before = local.requests().len();
    local.inject(
        "http:PutMedia:400/InvalidEndpointException"
            .parse()
            .unwrap(),
    );
    send(&local, "");
    assert_eq!(
        calls(&local, before),
        ["DescribeStream", "PutMedia", "GetDataEndpoint", "PutMedia"]
    );
}
