//! Files with picture and sound, as fast as the network takes them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use test_case::test_case;

use super::{only_file, run, script};
use crate::support::{media, packets, service, stored};

/// mp4-file-audio, ts-file and mkv-file: a real clip arrives with picture and sound, to the last packet, and the two are as
/// far apart as in the file.
#[test_case("mp4-file-audio", "a.mp4"; "MP4 with B-frames")]
#[test_case("mp4-file-audio", "bigbuckbunny.mp4"; "MP4 with sound around")]
#[test_case("ts-file", "a.ts"; "a transport stream with B-frames")]
#[test_case("ts-file", "bigbuckbunny.ts"; "a transport stream with sound around")]
#[test_case("mkv-file", "a.mkv"; "Matroska with B-frames")]
fn a_file_arrives_with_picture_and_sound_in_sync(name: &str, clip: &str) {
    let local = service();
    let folder = tempfile::tempdir().unwrap();
    let clip = remuxed(clip, folder.path());
    let mut command = script(name);
    command.arg(&clip);
    run(command, &local).assert_success();
    let file = only_file(&local);
    stored::assert_readable(&file);
    let (source, stored) = (packets::times(&clip), packets::times(&file));
    assert_eq!(source[0].len(), stored[0].len(), "pictures");
    let lost = source[1].len() - stored[1].len();
    assert!(lost <= 2, "{lost} pieces of sound before the first picture");
    let off = packets::out_of_sync(&source, &stored);
    assert!(off <= 2_000, "{off} µs");
}

/// A file without sound ends as one with it does.
#[test]
fn a_file_without_sound_arrives_too() {
    let local = service();
    let clip = media::clip("bikes.mp4");
    let mut command = script("mp4-file-audio");
    command.arg(&clip);
    run(command, &local).assert_success();
    let file = only_file(&local);
    stored::assert_readable(&file);
    assert_eq!(packets::times(&file)[0].len(), 250);
}

/// The clip in another container, not encoded again.
fn remuxed(name: &str, folder: &Path) -> PathBuf {
    let (base, extension) = name.split_once('.').unwrap();
    let clip = media::clip(&format!("{base}.mp4"));
    if extension == "mp4" {
        return clip;
    }
    let file = folder.join(name);
    let mut command = if extension == "mkv" {
        let mut command = Command::new("mkvmerge");
        command.args(["--quiet", "--output"]).arg(&file).arg(clip);
        command
    } else {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-i"]).arg(clip);
        command.args(["-map", "0:v:0", "-map", "0:a:0", "-c", "copy"]);
        command.arg(&file);
        command
    };
    assert!(command.status().unwrap().success());
    file
}
