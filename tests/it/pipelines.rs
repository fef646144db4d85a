//! The scripts of `pipelines/`, run as they are written, with the environment that their comments name.

mod cameras;
mod files;
mod iot;

use std::{
    collections::BTreeSet,
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Command, Stdio},
};

use gstkvssink::local::Local;
use test_case::test_case;

use super::support::{
    PATIENCE,
    media::{self, AccessUnit},
    scripts::{Ended, Process, root, script, with_service},
    service,
    stored::{self, from_first},
};

/// A script that is added gets a test here.
#[test]
fn each_script_has_a_test() {
    let tested = [
        "camera-microphone",
        "iot-test-source",
        "libcamera-camera",
        "mkv-file",
        "mp4-file",
        "mp4-file-audio",
        "rtsp-camera",
        "rtsp-camera-audio",
        "test-source",
        "test-source-no-parser",
        "ts-file",
        "v4l2-camera",
    ];
    let there: BTreeSet<_> = std::fs::read_dir(root().join("pipelines"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(there, tested.map(str::to_owned).into());
}

/// Three lines of comment, with how to call it; and without STREAM_NAME the stream is called as the script.
#[test]
fn each_script_says_how_it_is_called() {
    for entry in std::fs::read_dir(root().join("pipelines")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let text = std::fs::read_to_string(root().join("pipelines").join(&name)).unwrap();
        let comment: Vec<_> = text.lines().skip(1).take(3).collect();
        assert!(comment.iter().all(|line| line.starts_with('#')), "{name}");
        assert!(comment[1].contains(&format!("pipelines/{name}")), "{name}");
        let stream = format!("stream-name=\"${{STREAM_NAME:-{name}}}\"");
        assert!(text.contains(&stream), "{name}");
    }
}

/// mp4-file: a real clip arrives frame for frame.
#[test]
fn mp4_file_sends_all_of_a_file() {
    let local = service();
    let clip = media::clip("bikes.mp4");
    let mut command = script("mp4-file");
    command.arg(&clip);
    run(command, &local).assert_success();
    stored::assert_readable(&only_file(&local));
    let source = format!("filesrc location={} ! qtdemux ! h264parse", clip.display());
    assert_eq!(
        from_first(frames(&local)),
        from_first(media::access_units(&source))
    );
}

/// Scripts that need an argument say so.
#[test_case("iot-test-source")]
#[test_case("mkv-file")]
#[test_case("mp4-file")]
#[test_case("mp4-file-audio")]
#[test_case("rtsp-camera")]
#[test_case("rtsp-camera-audio")]
#[test_case("ts-file")]
fn a_missing_argument_is_asked_for(name: &str) {
    let local = service();
    let ended = run(script(name), &local);
    assert!(!ended.status.unwrap().success(), "{ended:#?}");
    let usage = format!("usage: pipelines/{name}");
    assert!(ended.stderr.contains(&usage), "{ended:#?}");
    assert!(local.requests().is_empty());
}

/// test-source: so many frames, 25 a second; also straight from the encoder, without a parser.
#[test_case("test-source")]
#[test_case("test-source-no-parser")]
fn test_source_sends_so_many_frames(name: &str) {
    let local = service();
    let mut command = script(name);
    command.arg("60");
    run(command, &local).assert_success();
    stored::assert_readable(&only_file(&local));
    let frames = frames(&local);
    let (times, keys): (Vec<_>, Vec<_>) = from_first(frames)
        .into_iter()
        .map(|frame| (frame.pts_ms, frame.key))
        .unzip();
    assert_eq!(times, (0..60).map(|frame| frame * 40).collect::<Vec<_>>());
    let expected: Vec<_> = (0..60).map(|frame| frame % 50 == 0).collect();
    assert_eq!(keys, expected);
}

/// test-source without a number goes on until Ctrl-C, and what it has sent until then is stored to the last frame.
#[test]
fn test_source_ends_at_ctrl_c_after_the_upload() {
    let local = service();
    let script = Process::start(with_service(script("test-source"), &local, STREAM));
    // The second fragment has begun when the first one is complete.
    assert!(local.wait_for(PATIENCE, |local| !local.fragments(STREAM).is_empty()));
    script.interrupt();
    script.end().assert_success();
    let frames = frames(&local);
    assert!(frames.len() > 50, "{} frames", frames.len());
    let fragments = local.fragments(STREAM);
    let stored: usize = fragments
        .iter()
        .map(|fragment| fragment.frames as usize)
        .sum();
    assert_eq!(stored, frames.len());
}

const STREAM: &str = "script";

fn run(command: Command, local: &Local) -> Ended {
    Process::start(with_service(command, local, STREAM)).end()
}

/// What was stored, in the one session.
fn frames(local: &Local) -> Vec<AccessUnit> {
    stored::frames(&only_file(local))
}

fn only_file(local: &Local) -> PathBuf {
    let files = local.session_files(STREAM);
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    file.clone()
}

/// The launch line of a script, as `gst-launch-1.0` would get it: another program of this name writes its arguments.
fn launch_line(name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    symlink("/bin/echo", folder.path().join("gst-launch-1.0")).unwrap();
    let path = std::env::var("PATH").unwrap();
    let output = script(name)
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env_remove("STREAM_NAME")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    // `echo` takes the option -e for one of its own, and drops it.
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
