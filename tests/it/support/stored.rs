//! What the local service stored, read by code that is not ours.

use std::{fs::File, io::BufReader, path::Path, process::Command};

use matroska_demuxer::{Frame, MatroskaFile, TrackEntry};

use super::media::{AccessUnit, sha256};

/// The frames of a stored session, in order.
pub(crate) fn frames(file: &Path) -> Vec<AccessUnit> {
    let mut demuxer = MatroskaFile::open(BufReader::new(File::open(file).unwrap())).unwrap();
    let mut frame = Frame::default();
    let mut frames = Vec::new();
    while demuxer.next_frame(&mut frame).unwrap() {
        frames.push(AccessUnit {
            sha256: sha256(&frame.data),
            pts_ms: frame.timestamp,
            key: frame.is_keyframe.unwrap_or_default(),
        });
    }
    frames
}

/// One frame of a stored session, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) track: u64,
    pub(crate) at_ms: u64,
    pub(crate) key: bool,
    pub(crate) data: Vec<u8>,
}

/// The frames of all tracks of a stored session, in order, with their bytes.
pub(crate) fn whole_frames(file: &Path) -> Vec<Stored> {
    let mut demuxer = MatroskaFile::open(BufReader::new(File::open(file).unwrap())).unwrap();
    let mut frame = Frame::default();
    let mut frames = Vec::new();
    while demuxer.next_frame(&mut frame).unwrap() {
        frames.push(Stored {
            track: frame.track,
            at_ms: frame.timestamp,
            key: frame.is_keyframe.unwrap_or_default(),
            data: std::mem::take(&mut frame.data),
        });
    }
    frames
}

/// The tracks that the header of a Matroska file declares.
pub(crate) fn tracks(file: &Path) -> Vec<TrackEntry> {
    let file = File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    MatroskaFile::open(BufReader::new(file))
        .unwrap()
        .tracks()
        .to_vec()
}

/// ffprobe and mkvinfo read the file without a word of warning, and ffmpeg decodes it without one.
pub(crate) fn assert_readable(file: &Path) {
    let file = file.to_str().unwrap();
    assert_eq!(
        run("ffmpeg", &["-v", "error", "-i", file, "-f", "null", "-"]),
        (String::new(), String::new())
    );
    assert_eq!(
        run("ffprobe", &["-v", "warning", file]),
        (String::new(), String::new())
    );
    let (out, err) = run("mkvinfo", &["-v", "-v", file]);
    let complaint = out.lines().find(|line| {
        ["warning", "error", "invalid"]
            .iter()
            .any(|word| line.to_lowercase().contains(word))
    });
    assert_eq!((complaint, err.as_str()), (None, ""), "{file}");
}

/// ffprobe finds so many frames of pictures in the file, and ffmpeg decodes it without a word.
pub(crate) fn assert_playable(file: &Path, frames: usize) {
    let file = file.to_str().unwrap();
    let count = "-v warning -count_packets -select_streams v -show_entries stream=nb_read_packets -of csv=p=0";
    let count: Vec<_> = count.split(' ').chain([file]).collect();
    let (out, err) = run("ffprobe", &count);
    assert_eq!((out.trim(), err.as_str()), (&*frames.to_string(), ""));
    let decode = ["-v", "error", "-i", file, "-f", "null", "-"];
    assert_eq!(run("ffmpeg", &decode), (String::new(), String::new()));
}

/// ffmpeg decodes the file without a word, where frames do not have the distances that their rate says: those of a camera,
/// which a jitter buffer has stretched. It counts in milliseconds here, as the file does, not in frames, and two frames may be
/// of the same one.
pub(crate) fn assert_decodes(file: &Path) {
    let file = file.to_str().unwrap();
    let decode = "-enc_time_base 1:1000 -fps_mode vfr -f null -".split(' ');
    let decode: Vec<_> = ["-v", "error", "-i", file]
        .into_iter()
        .chain(decode)
        .collect();
    assert_eq!(run("ffmpeg", &decode), (String::new(), String::new()));
}

/// What a program writes to its outputs when it ends well.
pub(crate) fn run(program: &str, arguments: &[&str]) -> (String, String) {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{program}: {}",
        text(&output.stderr)
    );
    (text(&output.stdout), text(&output.stderr))
}

/// The frames with times that count from the first one's.
pub(crate) fn from_first(mut frames: Vec<AccessUnit>) -> Vec<AccessUnit> {
    let first = frames.first().map_or(0, |frame| frame.pts_ms);
    for frame in &mut frames {
        frame.pts_ms = frame.pts_ms.wrapping_sub(first);
    }
    frames
}
