//! `kvs-spool` as a program, on spools that real producers have left, against the local service.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use bytes::Bytes;
use gstkvssink::{
    local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY},
    producer::{
        Codec, Credentials, Frame, Producer, Secret, Service, SpoolDefinition, SpoolDirectory,
        SpoolMode, Stream, StreamDefinition, StreamName, TimecodeType, Timestamp, Track,
        TrackNumber, wall_now,
    },
};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_case::test_case;

use super::support::{
    feed::{Clip, hashes},
    init,
    log::eventually,
    port::Reserved,
    scripts::{Ended, Process},
    service, stored,
};

/// 2020-09-13T12:26:40.123Z.
const START_MS: u64 = 1_600_000_000_123;
const FRAGMENTS: u64 = 3;
const FRAMES: u64 = 30;

/// A location in which `cam` has three fragments of ten frames.
struct Location {
    dir: TempDir,
    port: Reserved,
    clip: Clip,
}

impl Location {
    fn new() -> Self {
        Self::with(Timestamp::from_millis(START_MS), TimecodeType::Absolute)
    }

    fn with(start: Timestamp, timecodes: TimecodeType) -> Self {
        init();
        let location = Self {
            dir: tempfile::tempdir().unwrap(),
            port: Reserved::new(),
            clip: Clip::test(30, 10),
        };
        location.leave("cam", start, timecodes);
        location
    }

    fn path(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    fn spool(&self, stream: &str) -> SpoolDirectory {
        SpoolDirectory::of(self.dir.path(), &StreamName::new(stream).unwrap()).unwrap()
    }

    /// A stream whose frames are on disk, all of them, and that nobody takes.
    fn record(&self, name: &str, start: Timestamp, timecode_type: TimecodeType) -> Stream {
        let service = Service {
            endpoint: Some(self.port.endpoint()),
            credentials: Credentials::Static {
                access_key: DEFAULT_ACCESS_KEY.into(),
                secret_key: Secret::new(DEFAULT_SECRET_KEY),
                session_token: None,
            },
            ..Service::new("eu-central-1")
        };
        let producer = Producer::builder().service(service).build().unwrap();
        let mut spool = SpoolDefinition::new(self.dir.path());
        spool.mode = SpoolMode::Always;
        let stream = producer
            .create_stream(StreamDefinition {
                timecode_type,
                spool: Some(spool),
                ..StreamDefinition::new(StreamName::new(name).unwrap())
            })
            .unwrap();
        let avcc = self.clip.codec_data().into();
        let track = Track::video(Codec::H264, avcc, 320, 240).unwrap();
        stream.set_tracks(&[track]).unwrap();
        let buffers = &self.clip.buffers;
        let zero = buffers.iter().map(|buffer| buffer.pts().unwrap()).min();
        for buffer in buffers {
            let since = buffer.pts().unwrap() - zero.unwrap();
            let frame = Frame {
                track: TrackNumber::VIDEO,
                pts: start + Duration::from_nanos(since.nseconds()),
                dts: None,
                key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
                payload: Bytes::copy_from_slice(&buffer.map_readable().unwrap()),
            };
            stream.put_frame(frame).unwrap();
        }
        stream.end_fragment();
        let is_kept = || stream.metrics().spool.fragments_written == FRAGMENTS;
        assert!(eventually(is_kept), "{}", stream.metrics());
        stream
    }

    fn leave(&self, name: &str, start: Timestamp, timecodes: TimecodeType) {
        let stream = self.record(name, start, timecodes);
        stream.stop_now().unwrap();
        assert!(!self.spool(name).is_in_use().unwrap());
    }

    /// The files of fragments, oldest first.
    fn fragments(&self, stream: &str) -> Vec<PathBuf> {
        let spool = self.spool(stream);
        let files = spool.files().unwrap();
        let files = files.iter().filter(|file| !file.name.contains('/'));
        files.map(|file| spool.path().join(&file.name)).collect()
    }

    /// All names below, with the bytes of files.
    fn snapshot(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        fn look(path: &Path, into: &mut Vec<(PathBuf, Option<Vec<u8>>)>) {
            for entry in fs::read_dir(path).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    look(&path, into);
                }
                into.push((path.clone(), fs::read(&path).ok()));
            }
        }
        let mut found = Vec::new();
        look(self.dir.path(), &mut found);
        found.sort();
        found
    }

    fn run(&self, arguments: &str) -> Ended {
        run(&self.command(arguments))
    }

    /// `LOCATION` stands for this one.
    fn command(&self, arguments: &str) -> Vec<String> {
        let words = arguments.split_whitespace();
        words
            .map(|word| word.replace("LOCATION", self.path()))
            .collect()
    }

    fn list(&self, arguments: &str) -> Value {
        let ended = self.run(&format!("list LOCATION --json {arguments}"));
        ended.assert_success();
        serde_json::from_str(&ended.stdout).unwrap()
    }
}

/// The program, with the keys of the local service, and without anybody's settings.
fn command(arguments: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvs-spool"));
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        let is_setting = ["AWS_", "SSL_CERT_", "KVSSINK_CA_", "CONTROL_PLANE_"];
        if is_setting.iter().any(|prefix| shown.starts_with(prefix))
            || shown.to_ascii_lowercase().ends_with("_proxy")
        {
            command.env_remove(name);
        }
    }
    command
        .env("AWS_ACCESS_KEY_ID", DEFAULT_ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", DEFAULT_SECRET_KEY)
        .env("AWS_REGION", "eu-central-1");
    command
}

fn run(arguments: &[String]) -> Ended {
    Process::start(command(arguments)).end()
}

fn assert_status(ended: &Ended, status: i32) {
    assert_eq!(ended.status.unwrap().code(), Some(status), "{ended:#?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains(DEFAULT_SECRET_KEY), "{ended:#?}");
    }
}

/// `--help` of each command ends with status 0 and names its options.
#[test_case("list", &["fragments", "help", "json", "stream"])]
#[test_case("verify", &["help", "stream"])]
#[test_case("upload", &["ca-file", "endpoint", "help", "region", "stream", "timeout"])]
#[test_case("purge", &["all", "help", "older-than", "set-aside", "stream", "yes"])]
fn help_names_every_option(of: &str, expected: &[&str]) {
    let ended = run(&[of.to_owned(), "--help".to_owned()]);
    assert_status(&ended, 0);
    let options: BTreeSet<_> = ended
        .stdout
        .lines()
        .filter(|line| line.trim_start().starts_with('-'))
        .filter_map(|line| line.split("--").nth(1))
        .filter_map(|option| option.split_whitespace().next())
        .collect();
    let expected: BTreeSet<_> = expected.iter().copied().collect();
    assert_eq!(options, expected, "{}", ended.stdout);
    assert_eq!(ended.stderr, "");
}

/// What it does not understand, or cannot find, ends it with status 2, and is named.
#[test_case("list", "LOCATION"; "no location")]
#[test_case("list LOCATION --fragments", "--stream"; "files of which stream")]
#[test_case("list LOCATION/none", "LOCATION/none"; "a location that is not there")]
#[test_case("list LOCATION --stream front/door", "front/door"; "a name that is none")]
#[test_case("verify LOCATION --stream yard", "stream yard at LOCATION"; "a stream that has none")]
#[test_case("upload LOCATION", "--stream"; "upload of which stream")]
#[test_case("upload LOCATION --stream cam --timeout 0", "--timeout"; "no time")]
#[test_case("upload LOCATION --stream cam --endpoint nowhere", "endpoint"; "an endpoint that is none")]
#[test_case("purge LOCATION --stream cam --yes", "--older-than"; "purge of what")]
#[test_case("purge LOCATION --stream cam --all --set-aside", "--set-aside"; "purge of two things")]
#[test_case("purge LOCATION --stream cam --older-than 7", "36h"; "a number of what")]
#[test_case("purge LOCATION --stream cam --older-than 99999999999999999999d", "36h"; "a number too large")]
#[test_case("purge LOCATION --stream cam --older-than h", "36h"; "how many hours")]
fn what_cannot_be_done_ends_it_with_status_2(arguments: &str, named: &str) {
    let location = Location::new();
    let before = location.snapshot();
    let ended = location.run(arguments);
    assert_status(&ended, 2);
    assert_eq!(ended.stdout, "");
    let named = match arguments {
        // The word in the usage.
        "list" => named.to_owned(),
        _ => named.replace("LOCATION", location.path()),
    };
    assert!(ended.stderr.contains(&named), "{ended:#?}");
    assert_eq!(location.snapshot(), before);
}

/// Streams are listed with what they have, for people and as JSON, and nothing is changed by it; also those of the longest
/// names, and those whose timecodes have no date.
#[test]
fn streams_are_listed_with_what_they_have() {
    let location = Location::new();
    let long = "long".repeat(50);
    let start = Timestamp::from_millis(START_MS);
    location.leave(&long, start, TimecodeType::Absolute);
    location.leave("relative", start, TimecodeType::Relative);
    fs::create_dir(location.dir.path().join("others.spool.old")).unwrap();
    let before = location.snapshot();
    let ended = location.run("list LOCATION");
    assert_status(&ended, 0);
    assert_eq!(ended.stderr, "");
    let rows: Vec<Vec<_>> = ended
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let streams: Vec<_> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(streams, ["STREAM", "cam", &long, "relative"]);
    let bytes: u64 = location
        .fragments("cam")
        .iter()
        .map(|file| fs::metadata(file).unwrap().len())
        .sum();
    let text = bytes.to_string();
    let (from, to) = ("2020-09-13T12:26:40.123Z", "2020-09-13T12:26:41.283Z");
    assert_eq!(rows[1], ["cam", "3", "30", &text, from, to, "no", "0", "0"]);
    assert_eq!(rows[3][4..], ["-", "-", "no", "0", "0"]);

    let listed = location.list("--stream cam");
    assert_eq!(
        listed,
        json!([{
            "stream": "cam", "path": location.spool("cam").path(), "fragments": FRAGMENTS, "frames": FRAMES,
            "bytes": bytes, "from": from, "to": to, "in_use": false, "refused": 0, "damaged": 0, "unusable": [],
        }])
    );
    assert_eq!(location.list("").as_array().unwrap().len(), 3);

    let ended = location.run("list LOCATION --stream cam --fragments");
    assert_status(&ended, 0);
    let files: Vec<_> = ended.stdout.lines().skip(1).collect();
    assert_eq!(files.len(), 3, "{ended:#?}");
    let row: Vec<_> = files[1].split_whitespace().collect();
    assert!(row[0].ends_with("-1600000000523.mkv"), "{row:?}");
    assert_eq!(row[1..3], ["2020-09-13T12:26:40.523Z", "10"]);
    let ended = location.run("list LOCATION --stream relative --fragments");
    assert!(ended.stdout.contains(" +0.400 "), "{ended:#?}");
    assert_eq!(location.snapshot(), before, "nothing was changed");
}

/// A stream that runs is listed and verified, and goes on; it is neither uploaded nor purged.
#[test]
fn a_spool_in_use_is_only_looked_at() {
    let location = Location::new();
    let start = Timestamp::from_millis(START_MS);
    let running = location.record("yard", start, TimecodeType::Absolute);
    assert_eq!(location.list("--stream yard")[0]["in_use"], true);
    assert_eq!(location.list("--stream yard")[0]["frames"], FRAMES);
    assert_eq!(location.list("--stream cam")[0]["in_use"], false);
    let ended = location.run("verify LOCATION --stream yard");
    assert_status(&ended, 0);
    let before = location.snapshot();
    for arguments in [
        "upload LOCATION --stream yard --endpoint http://127.0.0.1:9",
        "purge LOCATION --stream yard --all",
        "purge LOCATION --stream yard --all --yes",
    ] {
        let ended = location.run(arguments);
        assert_status(&ended, 2);
        assert_eq!(ended.stdout, "");
        for named in ["in use by another process", "yard.spool"] {
            assert!(ended.stderr.contains(named), "{ended:#?}");
        }
    }
    assert_eq!(location.snapshot(), before);
    running.stop_now().unwrap();
    assert_eq!(location.list("--stream yard")[0]["in_use"], false);
}

/// Verify reads each byte: a flipped one is found wherever it is, and so is a file that is cut off; nothing is changed.
#[test]
fn a_flipped_byte_is_found() {
    let location = Location::new();
    let start = Timestamp::from_millis(START_MS);
    location.leave("yard", start, TimecodeType::Absolute);
    let ended = location.run("verify LOCATION");
    assert_status(&ended, 0);
    assert_eq!(ended.stdout.lines().count(), 2, "{ended:#?}");
    assert!(
        ended.stdout.starts_with("cam: 3 fragments are whole, 0 "),
        "{ended:#?}"
    );

    let file = &location.fragments("cam")[1];
    let name = file.file_name().unwrap().to_str().unwrap();
    let whole = fs::read(file).unwrap();
    let length = whole.len();
    for at in [0, 40, length / 2, length - 600, length - 100, length - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(file, flipped).unwrap();
        let before = location.snapshot();
        let ended = location.run("verify LOCATION");
        assert_status(&ended, 1);
        let found: Vec<_> = ended
            .stdout
            .lines()
            .filter(|line| line.starts_with(&format!("cam: {name}: ")))
            .collect();
        assert_eq!(found.len(), 1, "byte {at}: {ended:#?}");
        assert!(
            ended.stdout.contains("cam: 2 fragments are whole, 1 "),
            "{ended:#?}"
        );
        assert!(
            ended.stdout.contains("yard: 3 fragments are whole, 0 "),
            "{ended:#?}"
        );
        assert_status(&location.run("verify LOCATION --stream yard"), 0);
        assert_eq!(location.snapshot(), before);
    }
    fs::write(file, &whole[..length / 2]).unwrap();
    assert_status(&location.run("verify LOCATION --stream cam"), 1);
    let listed = location.list("--stream cam");
    assert_eq!(listed[0]["fragments"], 2);
    assert_eq!(listed[0]["unusable"][0]["file"], name);
    fs::write(file, &whole).unwrap();
    assert_status(&location.run("verify LOCATION --stream cam"), 0);
}

/// What a crash has left half written is told when nobody has the spool, and is no fragment.
#[test]
fn what_is_half_written_is_told() {
    let location = Location::new();
    let part = location
        .spool("cam")
        .path()
        .join("00000000000000000099.part");
    fs::write(&part, b"half").unwrap();
    let ended = location.run("verify LOCATION");
    assert_status(&ended, 1);
    assert!(
        ended
            .stdout
            .contains("cam: 00000000000000000099.part: it was being written"),
        "{ended:#?}"
    );
    let listed = location.list("");
    assert_eq!(listed[0]["fragments"], FRAGMENTS);
    assert_eq!(listed[0]["unusable"].as_array().unwrap().len(), 1);
    // The stream that runs is the one that writes it.
    let start = Timestamp::from_millis(START_MS);
    let running = location.record("yard", start, TimecodeType::Absolute);
    fs::write(
        location
            .spool("yard")
            .path()
            .join(part.file_name().unwrap()),
        b"half",
    )
    .unwrap();
    assert_status(&location.run("verify LOCATION --stream yard"), 0);
    drop(running);
}

/// What another version has written is left alone, and the other streams are looked at all the same.
#[test]
fn another_version_is_left_alone() {
    let location = Location::new();
    location.leave(
        "yard",
        Timestamp::from_millis(START_MS),
        TimecodeType::Absolute,
    );
    let layout = location.spool("cam").path().join("layout");
    fs::write(&layout, "kvssink-spool 99\n").unwrap();
    let before = location.snapshot();
    for (arguments, said) in [
        ("list LOCATION", "yard "),
        ("list LOCATION --json", "\"yard\""),
        ("verify LOCATION", "yard: 3 "),
        ("upload LOCATION --stream cam", ""),
        ("purge LOCATION --stream cam --all --yes", ""),
    ] {
        let ended = location.run(arguments);
        assert_status(&ended, 2);
        assert!(ended.stdout.contains(said), "{ended:#?}");
        for named in [layout.to_str().unwrap(), "kvssink-spool 99"] {
            assert!(ended.stderr.contains(named), "{ended:#?}");
        }
    }
    assert_eq!(location.snapshot(), before);
}

/// Both kinds of timecodes are not sent together: a stream would set those of one kind aside, and keep but a few.
#[test]
fn two_kinds_of_timecodes_are_not_uploaded() {
    let location = Location::new();
    location.leave(
        "relative",
        Timestamp::from_millis(START_MS),
        TimecodeType::Relative,
    );
    let other = location
        .spool("cam")
        .path()
        .join("00000000000000000099-0.mkv");
    fs::copy(&location.fragments("relative")[0], other).unwrap();
    let before = location.snapshot();
    let ended = location.run("upload LOCATION --stream cam --endpoint http://127.0.0.1:9");
    assert_status(&ended, 2);
    assert!(ended.stderr.contains("absolute and relative"), "{ended:#?}");
    assert_eq!(location.snapshot(), before);
}

/// What is uploaded is stored, frame for frame, in a stream that is created for it; then the spool is empty.
#[test_case(TimecodeType::Absolute; "absolute")]
#[test_case(TimecodeType::Relative; "relative")]
fn what_is_uploaded_is_stored(timecodes: TimecodeType) {
    let location = Location::with(Timestamp::from_millis(START_MS), timecodes);
    let local = service();
    let arguments = format!(
        "upload LOCATION --stream cam --timeout 60 --endpoint {}",
        local.endpoint()
    );
    let ended = location.run(&arguments);
    assert_status(&ended, 0);
    assert_eq!(ended.stdout, "");
    for said in [
        "3 fragments, 30 frames, ",
        "3 of 3 fragments are PERSISTED",
        "nothing is left",
    ] {
        assert!(ended.stderr.contains(said), "{said}: {ended:#?}");
    }
    let files = local.session_files("cam");
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    assert_eq!(hashes(&stored::frames(file)), location.clip.hashes());
    assert_eq!(local.fragments("cam").len(), 3);
    if timecodes == TimecodeType::Absolute {
        assert_eq!(local.fragments("cam")[0].producer_timestamp_ms, START_MS);
    }
    let listed = location.list("");
    assert_eq!(listed[0]["fragments"], 0);
    assert_eq!(listed[0]["refused"], 0);

    // Nobody is asked for nothing.
    drop(local);
    let ended = location.run(&arguments);
    assert_status(&ended, 0);
    assert!(
        ended.stderr.contains("there is nothing to send"),
        "{ended:#?}"
    );
}

/// What the service does not take in time, or from this user, is left, and said so.
#[test]
fn what_is_not_uploaded_is_left() {
    let location = Location::new();
    let before = location.fragments("cam");
    let endpoint = location.port.endpoint();
    let ended = location.run(&format!(
        "upload LOCATION --stream cam --timeout 1 --endpoint {endpoint}"
    ));
    assert_status(&ended, 1);
    for said in [
        "trying again: ",
        "3 fragments, 30 frames, ",
        " bytes are left in ",
    ] {
        assert!(ended.stderr.contains(said), "{said}: {ended:#?}");
    }
    let local = service();
    let mut other = command(&location.command(&format!(
        "upload LOCATION --stream cam --endpoint {}",
        local.endpoint()
    )));
    other.env("AWS_SECRET_ACCESS_KEY", "another-secret");
    let ended = Process::start(other).end();
    assert_status(&ended, 1);
    assert!(ended.stderr.contains("not authorized"), "{ended:#?}");
    assert!(!ended.stderr.contains("another-secret"), "{ended:#?}");
    assert_eq!(location.fragments("cam"), before);
    assert_status(&location.run("verify LOCATION"), 0);
}

/// A file that is damaged is not sent, but set aside; the others are.
#[test]
fn what_is_damaged_is_set_aside_by_an_upload() {
    let location = Location::new();
    let file = &location.fragments("cam")[1];
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
    let local = service();
    let ended = location.run(&format!(
        "upload LOCATION --stream cam --endpoint {}",
        local.endpoint()
    ));
    assert_status(&ended, 0);
    assert!(ended.stderr.contains(" is not sent: "), "{ended:#?}");
    assert_eq!(local.fragments("cam").len(), 2);
    let listed = location.list("");
    assert_eq!(
        (&listed[0]["fragments"], &listed[0]["damaged"]),
        (&json!(0), &json!(1))
    );
    // What was set aside is known.
    assert_status(&location.run("verify LOCATION"), 0);
}

/// Purge says what it would remove, and removes it when it is told to: what was set aside, what is old, or all.
#[test]
fn what_is_purged_is_gone() {
    // The last of the fragments is of just now.
    let recent = Timestamp::from_nanos(wall_now().as_nanos() - 1_200_000_000);
    let location = Location::with(recent, TimecodeType::Absolute);
    let start = Timestamp::from_millis(START_MS);
    location.leave("cam", start, TimecodeType::Absolute);
    let fragments = location.fragments("cam");
    assert_eq!(fragments.len(), 6);
    let spool = location.spool("cam");
    for (file, to) in [(0, "refused"), (3, "damaged")] {
        let name = fragments[file].file_name().unwrap();
        fs::rename(&fragments[file], spool.path().join(to).join(name)).unwrap();
    }
    fs::write(spool.path().join("note.txt"), "of a person").unwrap();
    let state = || {
        let listed = location.list("");
        ["fragments", "refused", "damaged"].map(|field| listed[0][field].as_u64().unwrap())
    };
    assert_eq!(state(), [4, 1, 1]);
    for (what, files, after) in [
        ("--set-aside", 2, [4, 0, 0]),
        ("--older-than 1h", 2, [2, 0, 0]),
        ("--older-than 7d", 0, [2, 0, 0]),
        ("--all", 2, [0, 0, 0]),
    ] {
        let before = location.snapshot();
        let arguments = format!("purge LOCATION --stream cam {what}");
        let ended = location.run(&arguments);
        assert_status(&ended, 0);
        assert_eq!(ended.stdout.lines().count(), files + 1, "{ended:#?}");
        assert!(ended.stdout.contains(" would be removed"), "{ended:#?}");
        assert_eq!(location.snapshot(), before, "{what}: nothing was removed");
        let said = ended.stdout;
        let ended = location.run(&format!("{arguments} --yes"));
        assert_status(&ended, 0);
        let names =
            |text: &str| -> Vec<String> { text.lines().take(files).map(str::to_owned).collect() };
        assert_eq!(names(&ended.stdout), names(&said));
        assert!(ended.stdout.contains(" removed\n"), "{ended:#?}");
        assert_eq!(state(), after, "{what}");
    }
    assert!(spool.path().join("note.txt").is_file());
    // The next stream goes on there.
    location.leave("cam", start, TimecodeType::Absolute);
    assert_eq!(state(), [3, 0, 0]);
}

/// Whoever reads its output may go, as `head` does: it ends as it would otherwise.
#[test_case("list LOCATION", 0)]
#[test_case("list LOCATION --stream cam --fragments", 0)]
#[test_case("list LOCATION --json", 0)]
#[test_case("verify LOCATION", 0)]
#[test_case("purge LOCATION --stream cam --all --yes", 0)]
fn nobody_need_read_it(arguments: &str, status: i32) {
    let location = Location::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(&location.command(arguments));
    let ended = command.stdout(writer).output().unwrap();
    assert_eq!(ended.status.code(), Some(status), "{ended:?}");
    assert_eq!(ended.stderr, b"");
    let left = location.fragments("cam").len();
    assert_eq!(left == 0, arguments.starts_with("purge"));
}
