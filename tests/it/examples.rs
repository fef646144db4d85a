//! The programs of `examples/`, run as their comments say. What they sent is at the service, picture for picture.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Local};
use test_case::test_case;

use super::support::{
    Pipeline,
    feed::large_source,
    port::Reserved,
    scripts::{Ended, Process, root, with_plugin},
    service, stored, test_source,
};

/// The service of a test is `kvs-local`, so its keys are the made-up ones.
fn environment(command: Command, endpoint: &str) -> Command {
    let mut command = with_plugin(command);
    command
        .env("AWS_ACCESS_KEY_ID", DEFAULT_ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", DEFAULT_SECRET_KEY)
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .env("CONTROL_PLANE_URI", endpoint);
    command
}

/// An example as Cargo has built it, beside the folder of this test.
fn example(name: &str, endpoint: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(
        program.is_file(),
        "{} is missing: cargo build --features local --examples",
        program.display()
    );
    environment(Command::new(program), endpoint)
}

fn run(name: &str, local: &Local, arguments: &[&str]) -> Ended {
    let mut command = example(name, local.endpoint());
    command.args(arguments);
    let ended = Process::start(command).end();
    ended.assert_success();
    ended
}

/// A file as the examples want it.
struct Clip {
    file: PathBuf,
    _dir: tempfile::TempDir,
}

impl Clip {
    /// A key frame each second.
    fn of_seconds(seconds: u32) -> Self {
        let source = test_source(25 * seconds, 25, false).replace("bframes=2", "bframes=0");
        Self::record(&source)
    }

    fn record(source: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("clip.h264");
        let launch = format!(
            "{source} ! video/x-h264,stream-format=byte-stream,alignment=au ! filesink location={}",
            file.display()
        );
        Pipeline::new(&launch).run().assert_clean();
        Self { file, _dir: dir }
    }

    fn path(&self) -> &str {
        self.file.to_str().unwrap()
    }

    fn pictures(&self) -> Vec<String> {
        pictures(&self.file)
    }
}

/// Hashes of the decoded pictures, in order.
fn pictures(file: &Path) -> Vec<String> {
    let file = file.to_str().unwrap();
    let arguments = ["-v", "error", "-i", file, "-vsync", "passthrough"];
    let (hashes, complaint) = stored::run(
        "ffmpeg",
        &[&arguments[..], &["-f", "framemd5", "-"]].concat(),
    );
    assert_eq!(complaint, "", "{file}");
    let hashes = hashes.lines().filter(|line| !line.starts_with('#'));
    hashes
        .map(|line| line.rsplit(',').next().unwrap().trim().to_owned())
        .collect()
}

/// The pictures of all sessions of a stream; the files can be read, and the service has counted as many.
fn at_service(local: &Local, stream: &str) -> Vec<String> {
    let files = local.session_files(stream);
    files.iter().for_each(|file| stored::assert_readable(file));
    let stored: Vec<_> = files.iter().flat_map(|file| pictures(file)).collect();
    let fragments = local.fragments(stream);
    assert!(fragments.iter().all(|fragment| fragment.persisted));
    let frames: u32 = fragments.iter().map(|fragment| fragment.frames).sum();
    assert_eq!(frames as usize, stored.len());
    stored
}

/// What comes before the last line, and the last line.
fn split_last(ended: &Ended) -> (Vec<&str>, &str) {
    let mut lines: Vec<_> = ended.stdout.lines().collect();
    let last = lines.pop().unwrap();
    (lines, last)
}

/// A number that stands before a word: `100` of `100 in, 75 persisted`.
fn number_before(line: &str, word: &str) -> u64 {
    let words: Vec<_> = line.split(&[' ', ',', ';'][..]).collect();
    let at = words.iter().position(|each| *each == word).unwrap();
    words[at - 1].parse().unwrap()
}

/// `100 in, 100 persisted, 0 dropped, 0 pending` of a line of numbers.
fn accounts(line: &str) -> [u64; 4] {
    ["in", "persisted", "dropped", "pending"].map(|word| number_before(line, word))
}

/// An example that is added gets a test here, and all of them but the demo can be read at once: less than 120 lines.
#[test]
fn each_example_has_a_test_and_is_short() {
    let tested = [
        "custom_networking.rs",
        "gst_application.py",
        "gst_application.rs",
        "intermittent.rs",
        "low_storage.rs",
        "multi_stream.rs",
        "put_frame.rs",
    ];
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name == "demo.rs" || entry.file_type().unwrap().is_dir() {
            continue;
        }
        let lines = fs::read_to_string(entry.path()).unwrap().lines().count();
        assert!(lines < 120, "{name} has {lines} lines");
        there.insert(name);
    }
    assert_eq!(there, tested.map(str::to_owned).into());
}

/// Without arguments an example says how it is called.
#[test_case("custom_networking", "FILE STREAM DIRECTORY")]
#[test_case("gst_application", "STREAM [frames]")]
#[test_case("intermittent", "FILE STREAM [seconds of motion] [seconds of rest]")]
#[test_case("low_storage", "FILE STREAM")]
#[test_case("multi_stream", "FILE STREAM…")]
#[test_case("put_frame", "FILE STREAM [live]")]
fn an_example_says_how_it_is_called(name: &str, arguments: &str) {
    let ended = Process::start(example(name, "http://127.0.0.1:9")).end();
    assert_eq!(ended.status.unwrap().code(), Some(1), "{ended:#?}");
    assert_eq!(
        (ended.stdout, ended.stderr),
        (
            String::new(),
            format!("Error: \"usage: {name} {arguments}\"\n")
        )
    );
}

/// put_frame: each picture of the file arrives, live or not, and the acks that it prints are those of the service. The
/// library itself prints nothing.
#[test_case(&[]; "as fast as it goes")]
#[test_case(&["live"]; "live")]
fn put_frame_sends_each_frame(pace: &[&str]) {
    let local = service();
    let clip = Clip::of_seconds(2);
    let arguments = [&[clip.path(), "cam"], pace].concat();
    let ended = run("put_frame", &local, &arguments);
    assert_eq!(at_service(&local, "cam"), clip.pictures());

    let (lines, last) = split_last(&ended);
    assert_eq!(accounts(last), [50, 50, 0, 0]);
    assert_eq!(ended.stderr, "");
    let expected: Vec<_> = local
        .fragments("cam")
        .iter()
        .flat_map(|fragment| {
            let (seconds, millis) = (fragment.timecode_ms / 1000, fragment.timecode_ms % 1000);
            let number = &fragment.fragment_number;
            ["BUFFERING", "RECEIVED", "PERSISTED"]
                .map(|kind| format!("ack {kind} {seconds}.{millis:03} {number}"))
        })
        .collect();
    assert_eq!(lines[0], "ready");
    // The service may tell of the next fragment before it has written one.
    let sorted = |lines: &[String]| lines.iter().cloned().collect::<BTreeSet<_>>();
    let acks: Vec<_> = lines[1..].iter().map(|&line| line.to_owned()).collect();
    assert_eq!(sorted(&acks), sorted(&expected));
    assert_eq!(acks.len(), expected.len());
}

/// put_frame: a service that does not answer is told as a loss of the connection, once, and what was put arrives later.
#[test]
fn put_frame_tells_of_an_outage() {
    let port = Reserved::new();
    let dir = tempfile::tempdir().unwrap();
    let clip = Clip::of_seconds(2);
    let mut command = example("put_frame", &port.endpoint());
    command.args([clip.path(), "cam"]);
    let mut process = Process::start(command);
    let line = process.line();
    assert!(
        line.starts_with("connection lost, trying again: "),
        "{line}"
    );
    let local = port.serve(dir.path());
    let ended = process.end();
    ended.assert_success();
    assert_eq!(at_service(&local, "cam"), clip.pictures());
    let (lines, last) = split_last(&ended);
    assert_eq!(accounts(last), [50, 50, 0, 0]);
    let told = |begin: &str| lines.iter().filter(|line| line.starts_with(begin)).count();
    assert_eq!(
        (told("connection lost"), told("connection restored")),
        (1, 1)
    );
}

/// intermittent: what moved arrives and nothing else; each episode is a fragment of its own, with an event.
#[test]
fn intermittent_sends_only_while_something_moves() {
    let local = service();
    let clip = Clip::of_seconds(4);
    let ended = run("intermittent", &local, &[clip.path(), "cam", "1", "1"]);
    let pictures = clip.pictures();
    assert_eq!(
        at_service(&local, "cam"),
        [&pictures[..25], &pictures[50..75]].concat()
    );
    let (lines, last) = split_last(&ended);
    assert!(last.starts_with("2 episodes"), "{last}");
    assert_eq!(accounts(last), [50, 50, 0, 0]);
    let fragments = local.fragments("cam");
    assert_eq!(fragments.len(), 2);
    for (number, fragment) in (1..).zip(&fragments) {
        let tags: Vec<_> = fragment.tags.iter().map(|(name, _)| &**name).collect();
        assert_eq!(
            tags,
            [
                "AWS_KINESISVIDEO_IMAGE_GENERATION",
                "AWS_KINESISVIDEO_NOTIFICATION",
                "AWS_KINESISVIDEO_IMAGE_PREFIX",
                "episode",
            ]
        );
        assert_eq!(fragment.tags[3].1, number.to_string());
        for what in ["begins", "ends"] {
            let begin = format!("episode {number} {what} at ");
            assert!(lines.iter().any(|line| line.starts_with(&begin)), "{begin}");
        }
    }
}

/// multi_stream: each stream has all of it, and the tag of the producer.
#[test]
fn multi_stream_sends_to_all_streams() {
    let local = service();
    let clip = Clip::of_seconds(2);
    let names = ["front-door", "yard", "gate"];
    let ended = run(
        "multi_stream",
        &local,
        &[&[clip.path()], &names[..]].concat(),
    );
    for name in names {
        assert_eq!(at_service(&local, name), clip.pictures(), "{name}");
        let line = format!("{name}: frames: ");
        let line = ended.stdout.lines().find(|each| each.starts_with(&line));
        assert_eq!(accounts(line.unwrap()), [50, 50, 0, 0]);
        let description = local.describe(name).unwrap();
        assert_eq!(description.tags["made-by"], "multi_stream");
    }
}

/// multi_stream: a stream that cannot be is named, and the others are sent.
#[test]
fn multi_stream_goes_on_without_a_stream_that_fails() {
    let local = service();
    let clip = Clip::of_seconds(1);
    let mut command = example("multi_stream", local.endpoint());
    command.args([clip.path(), "front door", "yard"]);
    let ended = Process::start(command).end();
    assert_eq!(ended.status.unwrap().code(), Some(1), "{ended:#?}");
    assert!(
        ended.stdout.contains("front door: failed: stream-name: "),
        "{ended:#?}"
    );
    assert_eq!(at_service(&local, "yard"), clip.pictures());
}

/// custom_networking: no service is asked; the directory has a file that plays, with each picture, and each fragment was
/// acknowledged.
#[test]
fn custom_networking_uploads_into_a_directory() {
    let local = service();
    let clip = Clip::of_seconds(2);
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let ended = run("custom_networking", &local, &[clip.path(), "cam", folder]);
    assert!(local.requests().is_empty());
    let files: Vec<_> = fs::read_dir(dir.path().join("cam"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    stored::assert_readable(file);
    assert_eq!(pictures(file), clip.pictures());
    let (lines, last) = split_last(&ended);
    assert_eq!(accounts(last), [50, 50, 0, 0]);
    let persisted = lines.iter().filter(|line| line.starts_with("persisted "));
    assert_eq!(persisted.count(), 2);
}

/// custom_networking: a directory that cannot be is the error of the stream, with what is missing.
#[test]
fn custom_networking_that_cannot_work_is_an_error() {
    let clip = Clip::of_seconds(1);
    let mut command = example("custom_networking", "http://127.0.0.1:9");
    // Below a file.
    command.args([clip.path(), "cam", &format!("{}/media", clip.path())]);
    let ended = Process::start(command).end();
    assert_eq!(ended.status.unwrap().code(), Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("Not a directory"), "{ended:#?}");
}

/// low_storage: without a service the storage fills, which is told before a frame is lost; then there are key frames only,
/// what is lost is told with its reason, and the rest arrives when there is a service.
#[test]
fn low_storage_shows_what_is_dropped() {
    let port = Reserved::new();
    let dir = tempfile::tempdir().unwrap();
    let clip = Clip::record(&large_source(150, 10));
    let mut command = example("low_storage", &port.endpoint());
    command.args([clip.path(), "cam"]);
    let mut process = Process::start(command);
    let mut lines = Vec::new();
    while !lines
        .last()
        .is_some_and(|line: &String| line.starts_with("dropped so far: "))
    {
        lines.push(process.line());
    }
    let pressure = lines
        .iter()
        .position(|line| line.ends_with(" %  key frames only"));
    assert!(
        pressure.is_some_and(|at| at < lines.len() - 1),
        "{lines:#?}"
    );
    assert!(
        lines.last().unwrap().contains("\"storage\": "),
        "{lines:#?}"
    );
    let local = port.serve(dir.path());
    let ended = process.end();
    ended.assert_success();

    let (_, last) = split_last(&ended);
    let [frames, persisted, dropped, pending] = accounts(last);
    assert_eq!((frames, pending), (persisted + dropped, 0), "{last}");
    assert_eq!(frames + number_before(last, "left"), 150, "{last}");
    let told = ended
        .stdout
        .lines()
        .rfind(|line| line.starts_with("dropped so far: "));
    let told = told.unwrap().split_once(": ").unwrap().1;
    let told: BTreeMap<String, u64> = serde_json::from_str(told).unwrap();
    assert_eq!(told.values().sum::<u64>(), dropped, "{told:?}");
    // Frames that were left out make other distances than the rate says.
    local
        .session_files("cam")
        .iter()
        .for_each(|file| stored::assert_decodes(file));
    let fragments = local.fragments("cam");
    let stored: u64 = fragments.iter().map(|each| u64::from(each.frames)).sum();
    // A fragment that was sent may make room before its PERSISTED comes: it is stored, and counted as dropped.
    assert!((persisted..=frames).contains(&stored), "{stored}: {last}");
}

/// gst_application, in Rust: the acks that come on the bus are those of the service, and `stats` accounts for each frame.
#[test]
fn a_gstreamer_application_in_rust_reads_acks_and_stats() {
    let local = service();
    let ended = run("gst_application", &local, &["cam", "50"]);
    assert_eq!(at_service(&local, "cam").len(), 50);
    assert_acks(&local, &ended);
    for line in [
        "ready cam",
        "frames-in 50",
        "frames-persisted 50",
        "frames-dropped 0",
        "dropped 0 storage",
    ] {
        assert!(
            ended.stdout.lines().any(|each| each == line),
            "{line}: {ended:#?}"
        );
    }
}

/// gst_application, in Python: acks with their types and timecodes, and stats, as values of Python.
#[test]
fn a_gstreamer_application_in_python_reads_acks_and_stats() {
    let local = service();
    // Debian's, which has python3-gi; another one on the path may not.
    let mut command = Command::new("/usr/bin/python3");
    command
        .arg(root().join("examples/gst_application.py"))
        .args(["cam", "50"]);
    let ended = Process::start(environment(command, local.endpoint())).end();
    ended.assert_success();
    assert_eq!(at_service(&local, "cam").len(), 50);
    assert_acks(&local, &ended);
    for line in [
        "kvs-stream-ready stream-name=cam",
        "stats frames-in 50",
        "stats frames-persisted 50",
        "stats frames-dropped 0",
        "stats fragments-persisted 2",
    ] {
        assert!(
            ended.stdout.lines().any(|each| each == line),
            "{line}: {ended:#?}"
        );
    }
    let dropped = ended
        .stdout
        .lines()
        .find(|line| line.starts_with("stats dropped {"));
    assert!(dropped.unwrap().contains("'storage': 0"), "{ended:#?}");
    // What is no plain value shows itself like that.
    assert!(!ended.stdout.contains("<gi."), "{ended:#?}");
    assert!(!ended.stdout.contains("Gst.Structure"), "{ended:#?}");
}

/// `ack TYPE TIMECODE NUMBER` for each type and fragment.
fn assert_acks(local: &Local, ended: &Ended) {
    let said: BTreeSet<_> = ended
        .stdout
        .lines()
        .filter(|line| line.starts_with("ack ") && !line.starts_with("ack IDLE"))
        .map(str::to_owned)
        .collect();
    let fragments = local.fragments("cam");
    assert_eq!(fragments.len(), 2);
    let expected = fragments.iter().flat_map(|fragment| {
        let (timecode, number) = (fragment.timecode_ms, &fragment.fragment_number);
        ["BUFFERING", "RECEIVED", "PERSISTED"].map(|kind| format!("ack {kind} {timecode} {number}"))
    });
    assert_eq!(said, expected.collect());
}
