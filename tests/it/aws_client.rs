//! An ordinary AWS client, with nothing of ours in it, finds what kvssink has stored.

use std::{path::Path, process::Command};

use gstkvssink::local::Local;
use test_case::test_case;

use super::support::{
    PATIENCE, media,
    scripts::{Process, root, script, with_service},
    service_with,
};

const STREAM: &str = "front-door";

/// boto3 describes, lists, tags and changes the stream that kvssink has created, reads back every frame that it sent, and
/// deletes the stream. (Most of what is expected stands in `tests/tools/aws_client.py`.)
#[test_case(false; "over http")]
#[test_case(true; "over TLS")]
fn an_aws_client_reads_back_what_was_sent(tls: bool) {
    // DELETING is to be seen.
    let local = service_with(|options| {
        options.tls = tls;
        options.activation_delay = std::time::Duration::from_secs(1);
    });
    // With B-frames: its order is not that of its times.
    let clip = media::clip("carphone_pristine.mp4");
    let mut upload = script("mp4-file");
    upload.arg(&clip);
    run(upload, &local).assert_success();
    let stream = local.describe(STREAM).unwrap();
    let fragments = local.fragments(STREAM);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("media.mkv");
    let mut client = Command::new("python3");
    client
        .arg(root().join("tests/tools/aws_client.py"))
        .args([local.endpoint(), STREAM])
        .arg(&file)
        .env("PYTHONPATH", packages())
        .env("NO_PROXY", "127.0.0.1")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let ended = run(client, &local);
    ended.assert_success();
    let said: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let expected = serde_json::json!({
        "StreamARN": stream.arn,
        "MediaType": "video/h264",
        "DataRetentionInHours": 2,
    });
    assert_eq!(said, expected);

    let source = format!("filesrc location={} ! qtdemux ! h264parse", clip.display());
    let sent: Vec<_> = media::access_units(&source)
        .into_iter()
        .map(|unit| unit.sha256)
        .collect();
    assert!(sent.len() > 30, "{}", sent.len());
    let bytes = std::fs::read(&file).unwrap();
    let documents = documents(&bytes);
    assert_eq!(documents.len(), fragments.len(), "one for each fragment");
    let mut read = Vec::new();
    for (number, (document, fragment)) in documents.iter().zip(&fragments).enumerate() {
        let part = dir.path().join(format!("{number}.mkv"));
        std::fs::write(&part, document).unwrap();
        let (tags, hashes) = probe(&part);
        assert_eq!(
            tags["AWS_KINESISVIDEO_FRAGMENT_NUMBER"],
            fragment.fragment_number.as_str()
        );
        assert_eq!(hashes.len(), fragment.frames as usize);
        read.extend(hashes);
    }
    assert_eq!(read, sent);

    assert!(local.wait_for(PATIENCE, |local| local.describe(STREAM).is_none()));
    assert!(local.describe("other-0").is_some());
    let refused: Vec<_> = local
        .requests()
        .into_iter()
        .filter(|request| request.status == 403)
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
}

/// Runs it in the environment that any AWS client understands.
fn run(command: Command, local: &Local) -> super::support::scripts::Ended {
    let mut command = with_service(command, local, STREAM);
    command
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    if let Some(ca) = local.ca_file() {
        command.env("SSL_CERT_FILE", ca).env("AWS_CA_BUNDLE", ca);
    }
    Process::start(command).end()
}

/// Where `scripts/media` puts the client.
fn packages() -> std::path::PathBuf {
    let packages = root().join("target/aws-client");
    assert!(
        packages.join("boto3").is_dir(),
        "{} is missing: run scripts/media, or make test",
        packages.display()
    );
    packages
}

/// GetMedia answers with one Matroska document after the other, each of unknown length: cut where one begins.
fn documents(bytes: &[u8]) -> Vec<&[u8]> {
    const EBML: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];
    let mut begins: Vec<_> = bytes
        .windows(EBML.len())
        .enumerate()
        .filter(|(_, window)| *window == EBML)
        .map(|(at, _)| at)
        .collect();
    assert_eq!(begins.first(), Some(&0));
    begins.push(bytes.len());
    begins
        .windows(2)
        .map(|pair| &bytes[pair[0]..pair[1]])
        .collect()
}

/// The tags of a file and the SHA-256 of each frame in it, as ffprobe sees them; it has nothing to say against the file.
fn probe(file: &Path) -> (serde_json::Value, Vec<String>) {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "warning",
            "-of",
            "json",
            "-show_format",
            "-show_packets",
        ])
        .args(["-show_data_hash", "sha256"])
        .arg(file)
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(complaints, "", "{}", file.display());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let hashes = json["packets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|packet| {
            let hash = packet["data_hash"].as_str().unwrap();
            hash.strip_prefix("SHA256:").unwrap().to_lowercase()
        })
        .collect();
    (json["format"]["tags"].clone(), hashes)
}
