use std::io::BufReader;

use matroska_demuxer::{Frame, MatroskaFile};
use test_case::test_case;

use super::super::ingest::{Ingest, Step, Timecodes};
use super::super::sample::{FRAME, cluster, some_tags, video_header};
use super::*;

fn fragments(parts: &[Vec<u8>]) -> (Header, Vec<Fragment>) {
    let mut ingest = Ingest::new(Timecodes::Absolute);
    ingest.feed(&parts.concat());
    let mut found = Vec::new();
    loop {
        match ingest.next(u64::MAX).unwrap() {
            Some(Step::Complete(fragment)) => found.push(fragment),
            Some(Step::Begun { .. }) => {}
            None => break,
        }
    }
    if let Some(Step::Complete(fragment)) = ingest.finish().unwrap() {
        found.push(fragment);
    }
    (ingest.header().clone(), found)
}

fn timestamps(path: &Path) -> Vec<u64> {
    let mut file = MatroskaFile::open(BufReader::new(File::open(path).unwrap())).unwrap();
    let mut frame = Frame::default();
    let mut found = Vec::new();
    while file.next_frame(&mut frame).unwrap() {
        assert_eq!(frame.data, FRAME);
        found.push(frame.timestamp);
    }
    found
}

#[test]
fn a_file_is_playable_after_every_fragment() {
    let dir = tempfile::tempdir().unwrap();
    let (header, fragments) = fragments(&[
        video_header(),
        cluster(1_000),
        some_tags(2),
        cluster(2_000),
        cluster(3_000),
    ]);
    let mut file = SessionFile::create(dir.path(), "cam1", &header).unwrap();
    let mut expected = Vec::new();
    for fragment in &fragments {
        file.append(fragment).unwrap();
        expected.extend((0..10).map(|n| fragment.timecode_ms + n * 100));
        assert_eq!(timestamps(file.path()), expected);
    }
    assert_eq!(session_files(dir.path(), "cam1"), [file.path()]);
}

#[test]
fn sessions_are_counted_and_nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let (header, _) = fragments(&[video_header(), cluster(1)]);
    let sessions = [1, 2, 3].map(|_| {
        SessionFile::create(dir.path(), "cam1", &header)
            .unwrap()
            .session()
    });
    assert_eq!(sessions, [1, 2, 3]);
    assert_eq!(session_files(dir.path(), "cam1").len(), 3);
}

#[test_case("cam1", "cam1"; "usual")]
#[test_case("..", "%2E%2E"; "the parent directory")]
#[test_case(".", "%2E"; "the directory itself")]
#[test_case("..a", "..a"; "dots and more")]
fn a_stream_stays_in_its_directory(stream: &str, dir: &str) {
    assert_eq!(
        stream_dir(Path::new("/d"), stream),
        Path::new("/d").join(dir)
    );
}

#[test]
fn long_names_have_directories_of_their_own() {
    let (a, b) = ("x".repeat(256), "x".repeat(255));
    let names = [&a, &b].map(|name| stream_dir(Path::new(""), name));
    assert_ne!(names[0], names[1]);
    assert!(names.iter().all(|name| name.as_os_str().len() < 256));
}
