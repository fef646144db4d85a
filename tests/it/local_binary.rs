//! `kvs-local` as a program: what it says, and how it ends.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY};
use test_case::test_case;

use super::support::{
    accounts,
    bus::{Heard, is_error, tells},
    feed::{Clip, Fed, hashes},
    scripts::{Ended, Process, Signal},
    stored,
};

/// `--help` ends with status 0 and names every option, with what it is for.
#[test]
fn help_names_every_option() {
    let ended = run(&["--help"]);
    ended.assert_success();
    let options: BTreeSet<_> = ended
        .stdout
        .lines()
        .filter(|line| line.trim_start().starts_with('-'))
        .filter_map(|line| line.split("--").nth(1))
        .filter_map(|option| option.split_whitespace().next())
        .collect();
    let expected = [
        "access-key",
        "activation-delay-ms",
        "clock-offset-ms",
        "container-token",
        "credential-life-s",
        "credential-sources",
        "dir",
        "external-id",
        "fault",
        "frame-log",
        "help",
        "idle-ms",
        "listen",
        "max-connection-s",
        "region",
        "secret-key",
        "session-token",
        "silence-ms",
        "sink",
        "tls",
        "version",
    ];
    assert_eq!(options, expected.into(), "{}", ended.stdout);
    for word in [
        DEFAULT_ACCESS_KEY,
        "Usage:",
        "127.0.0.1:0",
        "\"ready\":true",
    ] {
        assert!(ended.stdout.contains(word), "no {word} in {}", ended.stdout);
    }
    assert_eq!(ended.stderr, "");
}

/// What it does not understand ends it with status 2, before anything is ready, and is named.
#[test_case(&["--nonsense"], "--nonsense"; "an option that is none")]
#[test_case(&["--listen", "nowhere"], "nowhere"; "an address that is none")]
#[test_case(&["--idle-ms", "soon"], "soon"; "a number that is none")]
#[test_case(&["something"], "something"; "an argument")]
#[test_case(&["--container-token", "any"], "--credential-sources"; "a token of a container that is not there")]
fn a_wrong_option_ends_it_with_status_2(arguments: &[&str], named: &str) {
    let ended = run(arguments);
    assert_eq!(ended.status.unwrap().code(), Some(2), "{ended:#?}");
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains(named), "{ended:#?}");
}

/// An address that another program has, and a directory that cannot be made, end it with status 1 and a word about it.
#[test]
fn what_cannot_work_ends_it_with_status_1() {
    let (other, ready) = start(&[]);
    let taken = ready.endpoint.strip_prefix("http://").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let below_a_file = file.path().join("media");
    let below_a_file = below_a_file.to_str().unwrap();
    for (arguments, named) in [
        (["--listen", taken], taken),
        (["--dir", below_a_file], below_a_file),
    ] {
        let ended = run(&arguments);
        assert_eq!(ended.status.unwrap().code(), Some(1), "{ended:#?}");
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.contains(named), "{ended:#?}");
    }
    other.signal(Signal::Terminate);
    other.end().assert_success();
}

/// When it is ready it says so in one line of JSON, which has everything that a client needs, and nothing else comes on
/// the standard output. It takes a free port, and without a directory one of its own, which is gone at the end.
#[test_case(Signal::Interrupt; "until Ctrl C")]
#[test_case(Signal::Terminate; "until SIGTERM")]
fn the_ready_line_is_all_that_it_says(signal: Signal) {
    let (local, ready) = start(&["--listen", "127.0.0.1:0"]);
    let (another, other) = start(&["--listen", "127.0.0.1:0"]);
    let port = ready.endpoint.strip_prefix("http://127.0.0.1:").unwrap();
    assert_ne!(port.parse::<u16>().unwrap(), 0);
    assert_ne!(ready.endpoint, other.endpoint);
    assert_ne!(ready.dir, other.dir);
    assert!(Path::new(&ready.dir).is_dir());
    assert_eq!(ready.ca, None);
    assert!(ready.sources.is_null());
    for (process, ready) in [(local, ready), (another, other)] {
        process.signal(signal);
        let ended = process.end();
        ended.assert_success();
        assert_eq!(ended.stdout, format!("{}\n", ready.line));
        assert!(!Path::new(&ready.dir).exists());
    }
}

/// With `--tls` the endpoint is https, and `ca` is the file of a certificate in PEM, below the directory that was asked for.
#[test]
fn tls_writes_a_ca() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("made");
    let (local, ready) = start(&["--tls", "--dir", below.to_str().unwrap()]);
    assert!(ready.endpoint.starts_with("https://127.0.0.1:"));
    assert_eq!(Path::new(&ready.dir), below);
    let ca = ready.ca.unwrap();
    assert_eq!(Path::new(&ca).parent(), Some(&*below));
    let pem = fs::read_to_string(&ca).unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n"), "{pem}");
    assert!(
        pem.trim_end().ends_with("-----END CERTIFICATE-----"),
        "{pem}"
    );
    assert!(!pem.contains("PRIVATE KEY"));
    local.signal(Signal::Terminate);
    local.end().assert_success();
}

/// With `--credential-sources` it says where clients get credentials, by the names that AWS and our properties have for it,
/// and has written the files that they need.
#[test]
fn sources_of_credentials_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("made");
    let (local, ready) = start(&["--credential-sources", below.to_str().unwrap()]);
    let Ready {
        endpoint, sources, ..
    } = &ready;
    let container = format!("{endpoint}/v2/credentials/kvs-local");
    assert_eq!(sources["container"], container.as_str());
    assert_eq!(sources["instance"], endpoint.as_str());
    assert_eq!(sources["sts"], endpoint.as_str());
    assert_eq!(sources["sso"], endpoint.as_str());
    let iot = sources["iot"].as_str().unwrap();
    assert_ne!(Some(iot), endpoint.strip_prefix("http://"));
    std::net::TcpStream::connect(iot).unwrap();
    assert_eq!(
        sources["role_arn"],
        "arn:aws:iam::111122223333:role/kvs-local"
    );
    assert_eq!(sources["role_alias"], "kvs-local-alias");
    assert_eq!(sources["dir"], below.to_str().unwrap());
    let token = sources["web_identity_token_file"].as_str().unwrap();
    let login = sources["sso_token_file"].as_str().unwrap();
    for file in [
        Path::new(token),
        Path::new(login),
        &below.join("ca.pem"),
        &below.join("rsa.pem"),
    ] {
        assert!(file.is_file(), "{}", file.display());
    }
    local.signal(Signal::Terminate);
    local.end().assert_success();
}

/// A signal in the middle of an upload ends it with status 0; what it acknowledged as PERSISTED is in the session file,
/// which others can read, and in the index, and what was on its way is not.
#[test_case(Signal::Interrupt; "Ctrl C")]
#[test_case(Signal::Terminate; "SIGTERM")]
fn a_signal_in_the_middle_of_an_upload_leaves_files_that_can_be_read(signal: Signal) {
    let dir = tempfile::tempdir().unwrap();
    let (local, ready) = start(&["--dir", dir.path().to_str().unwrap()]);
    let clip = Clip::test(25, 10);
    let mut fed = Fed::playing(
        &format!(
            "stream-name=cam stop-stream-timeout=1 endpoint={} access-key={DEFAULT_ACCESS_KEY} \
             secret-key={DEFAULT_SECRET_KEY}",
            ready.endpoint
        ),
        &clip,
    );
    fed.put_all(&clip.buffers);
    // Two fragments are complete, and the third one goes on.
    for _ in 0..2 {
        fed.until(|message| is_error(message, "sink") || is_persisted(message));
    }
    local.signal(signal);
    let ended = local.end();
    ended.assert_success();
    assert_eq!(ended.stdout, format!("{}\n", ready.line));
    assert!(ended.stderr.contains("PutMedia"), "{}", ended.stderr);
    assert!(
        !ended.stderr.contains(DEFAULT_SECRET_KEY),
        "{}",
        ended.stderr
    );

    let file = dir.path().join("cam/session-0001.mkv");
    stored::assert_readable(&file);
    assert_eq!(hashes(&stored::frames(&file)), clip.hashes()[..20]);
    let index = fs::read_to_string(dir.path().join("cam/index.jsonl")).unwrap();
    let frames: Vec<_> = index
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["frames"].clone())
        .collect();
    assert_eq!(frames, [10, 10]);

    fed.heard.stop(&fed.pipeline);
    assert_eq!(accounts(&fed.stats()), [25, 20, 5, 0]);
    assert_eq!(persisted(&fed.heard), 2, "{:#?}", fed.heard);
}

fn is_persisted(message: &gst::Message) -> bool {
    tells(message, "kvs-fragment-ack")
        && message.structure().unwrap().get::<&str>("type").unwrap() == "PERSISTED"
}

fn persisted(heard: &Heard) -> usize {
    heard
        .0
        .iter()
        .filter(|message| is_persisted(message))
        .count()
}

/// What it says when it is ready.
struct Ready {
    line: String,
    endpoint: String,
    dir: String,
    ca: Option<String>,
    sources: serde_json::Value,
}

/// The program, without anybody's settings.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvs-local"));
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KVS_LOCAL_") {
            command.env_remove(name);
        }
    }
    command
}

fn run(arguments: &[&str]) -> Ended {
    Process::start(command(arguments)).end()
}

/// Starts it and waits until it is ready.
fn start(arguments: &[&str]) -> (Process, Ready) {
    let mut process = Process::start(command(arguments));
    let line = process.line();
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    let mut fields: Vec<_> = json.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["ca", "dir", "endpoint", "ready", "sources"]);
    assert_eq!(json["ready"], true);
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let ready = Ready {
        endpoint: text("endpoint").unwrap(),
        dir: text("dir").unwrap(),
        ca: text("ca"),
        sources: json["sources"].clone(),
        line,
    };
    assert!(json["ca"].is_null() || ready.ca.is_some(), "{}", ready.line);
    (process, ready)
}
