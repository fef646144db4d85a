//! The tables of docs/guide.md: each callback of the C++ headers has a row with tests that are there, and what is said to be
//! ours is ours.

use std::{collections::BTreeSet, fs, path::Path};

use super::support::{documents::Named, scripts::root};

/// The callbacks of the C++ producer and of the layers below it: accessors of `CallbackProvider`, `ClientCallbackProvider`,
/// `StreamCallbackProvider` and `CredentialProvider`, and the members of their structs that have none.
const THEIRS: [&str; 54] = [
    // service: calls
    "getCreateDeviceCallback",
    "getCreateStreamCallback",
    "getDescribeStreamCallback",
    "getStreamingEndpointCallback",
    "getPutStreamCallback",
    "getTagResourceCallback",
    "freeApiCallbacksFn",
    // service: credentials
    "getSecurityTokenCallback",
    "getDeviceCertificateCallback",
    "getDeviceFingerprintCallback",
    "getDeviceFingerPrintCallback",
    "getDeviceCertToTokenCallback",
    "deviceCertToTokenCallback",
    "getStreamingTokenCallback",
    "freeAuthCallbacksFn",
    // service: retries
    "createRetryStrategyFn",
    "freeRetryStrategyFn",
    "executeRetryStrategyFn",
    "getCurrentRetryAttemptNumberFn",
    // platform
    "getCurrentTimeCallback",
    "getRandomNumberCallback",
    "getCreateMutexCallback",
    "getLockMutexCallback",
    "getUnlockMutexCallback",
    "getTryLockMutexCallback",
    "getFreeMutexCallback",
    "getCreateConditionVariableCallback",
    "getSignalConditionVariableCallback",
    "getBroadcastConditionVariableCallback",
    "getWaitConditionVariableCallback",
    "getFreeConditionVariableCallback",
    "getLogPrintCallback",
    "freePlatformCallbacksFn",
    // client
    "getCallbackCustomData",
    "getClientReadyCallback",
    "getStorageOverflowPressureCallback",
    "getClientShutdownCallback",
    "CallbackProvider::shutdown",
    "freeProducerCallbacksFn",
    // stream
    "getStreamUnderflowReportCallback",
    "getBufferDurationOverflowPressureCallback",
    "getBufferDurationOverFlowCallback",
    "getStreamLatencyPressureCallback",
    "getStreamConnectionStaleCallback",
    "getDroppedFrameReportCallback",
    "getDroppedFragmentReportCallback",
    "getStreamErrorReportCallback",
    "getFragmentAckReceivedCallback",
    "getStreamDataAvailableCallback",
    "getStreamReadyCallback",
    "getStreamClosedCallback",
    "getStreamShutdownCallback",
    "CallbackProvider::shutdownStream",
    "freeStreamCallbacksFn",
];

fn guide() -> String {
    fs::read_to_string(root().join("docs/guide.md")).unwrap()
}

/// The section of this title.
fn section<'a>(guide: &'a str, title: &str) -> &'a str {
    let (_, section) = guide.split_once(&format!("\n## {title}\n")).unwrap();
    section.split("\n## ").next().unwrap()
}

/// The cells of the rows of all tables in a text, without their heads.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let tables = text.lines().filter(|line| line.starts_with('|'));
    let rows = tables.filter(|line| !line.starts_with("|---") && !line.starts_with("| theirs |"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// What stands in backquotes.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Each row says what is ours, what happens by default, and which tests show it; each of these tests exists.
#[test]
fn each_row_of_a_callback_has_its_tests() {
    let guide = guide();
    let rows = rows(section(&guide, "Their callbacks, and ours"));
    assert!(rows.len() > 30, "{}", rows.len());
    for row in rows {
        let [theirs, ours, _default, tests] = row[..] else {
            panic!("{row:?}")
        };
        assert!(!theirs.is_empty() && !ours.is_empty(), "{row:?}");
        let tests = Named::in_text(tests);
        assert!(!tests.is_empty(), "{row:?}");
        for test in tests {
            assert!(test.comment().is_some(), "{theirs}: no test {test:?}");
        }
    }
}

/// No callback of theirs is left out, and none of ours.
#[test]
fn each_callback_has_a_row() {
    let guide = guide();
    let section = section(&guide, "Their callbacks, and ours");
    let rows = rows(section);
    let theirs: BTreeSet<_> = rows.iter().flat_map(|row| quoted(row[0])).collect();
    assert_eq!(theirs, THEIRS.into());

    let ours: BTreeSet<_> = quoted(section);
    for file in ["callbacks.rs", "service.rs"] {
        let source = fs::read_to_string(root().join("src/producer").join(file)).unwrap();
        for (name, body) in traits(&source) {
            for method in methods(body) {
                let row = format!("{name}::{method}");
                assert!(ours.contains(&*row), "no row has {row}");
            }
        }
    }
}

/// `Type::name` that the guide says is ours is a method, a field or a variant in the sources.
#[test]
fn what_is_said_to_be_ours_is_there() {
    let guide = guide();
    let mut sources = String::new();
    for folder in [
        "src/producer",
        "src/net",
        "src/session",
        "src/media/reframe",
    ] {
        read(&root().join(folder), &mut sources);
    }
    sources.push_str(&fs::read_to_string(root().join("src/definition.rs")).unwrap());
    let mut checked = 0;
    for title in [
        "Their callbacks, and ours",
        "Their methods, and ours",
        "Their metrics, and ours",
    ] {
        for row in rows(section(&guide, title)) {
            let names = row[1..].iter().flat_map(|cell| quoted(cell));
            for (of, name) in names.filter_map(|name| name.split_once("::")) {
                if of.ends_with(".rs") {
                    continue;
                }
                let declared = [
                    format!("fn {name}("),
                    format!("fn {name}<"),
                    format!("pub {name}: "),
                    format!("    {name}("),
                ];
                assert!(
                    declared.iter().any(|declared| sources.contains(declared)),
                    "{of}::{name}"
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "{checked}");
}

/// Name and body of each public trait.
fn traits(source: &str) -> Vec<(&str, &str)> {
    let parts = source.split("\npub trait ").skip(1);
    parts
        .map(|part| {
            let (name, _) = part.split_once(':').unwrap();
            let (body, _) = part.split_once("\n}\n").unwrap();
            (name, body)
        })
        .collect()
}

fn methods(body: &str) -> Vec<&str> {
    let lines = body.lines().filter_map(|line| line.strip_prefix("    fn "));
    lines
        .map(|line| line.split(['(', '<']).next().unwrap())
        .collect()
}

fn read(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => read(&path, into),
            false => into.push_str(&fs::read_to_string(&path).unwrap()),
        }
    }
}
