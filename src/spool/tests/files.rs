//! The spool on the real file system.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::tempdir;

use super::*;
use crate::media::{Format, Hints, Reframer, fixtures};

const STREAM: &str = "front.door-1";

fn open(location: &Path) -> (Spool, Found) {
    Spool::open(location, STREAM, false).unwrap()
}

fn write(spool: &mut Spool, number: u64) -> SpoolId {
    let (about, body) = nth(number);
    spool.write(&about, &body).unwrap()
}

/// The files in a folder of the spool, without those that each spool has.
fn files(location: &Path, folder: &str) -> Vec<String> {
    let directory = location.join(format!("{STREAM}.spool")).join(folder);
    let entries = directory.read_dir().unwrap().map(|entry| entry.unwrap());
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    let own = ["layout", "lock", "next", "refused", "damaged"];
    let mut names: Vec<_> = names.filter(|name| !own.contains(&&**name)).collect();
    names.sort();
    names
}

#[test]
fn fragments_are_found_by_the_next_one() {
    let location = tempdir().unwrap();
    // It need not be there.
    let location = location.path().join("var/spool");
    let (mut spool, found) = open(&location);
    assert!(found.fragments.is_empty() && found.damaged.is_empty());
    let ids: Vec<_> = (0..5).map(|number| write(&mut spool, number)).collect();
    assert!(ids.is_sorted());
    assert_eq!(
        files(&location, "")[1],
        "00000000000000000001-1700000002000.mkv"
    );
    spool.remove(ids[1]).unwrap();
    spool.remove(ids[1]).unwrap();
    spool.set_aside(ids[3], Aside::Refused).unwrap();
    let bytes = spool.bytes();
    drop(spool);

    let (mut spool, found) = open(&location);
    assert_eq!(spool.bytes(), bytes);
    let lengths: u64 = found.fragments.iter().map(|(.., bytes)| bytes).sum();
    assert_eq!(lengths, bytes);
    let kept = [0, 2, 4];
    assert_eq!(found.fragments.len(), kept.len());
    for ((id, found, _), number) in found.fragments.iter().zip(kept) {
        let (about, body) = nth(number);
        assert_eq!((*id, found), (ids[number as usize], &about));
        assert_eq!(spool.read(*id).unwrap(), body.concat());
    }
    assert_eq!(files(&location, "refused").len(), 1);
    // Numbers are not used again, not even that of a file which is gone.
    let last = ids[4];
    for id in [ids[0], ids[2], last] {
        spool.remove(id).unwrap();
    }
    drop(spool);
    let (mut spool, _) = open(&location);
    assert!(write(&mut spool, 9) > last);
}

#[test]
fn one_directory_has_one_spool() {
    let location = tempdir().unwrap();
    let (spool, _) = open(location.path());
    let error = Spool::open(location.path(), STREAM, false).err().unwrap();
    assert!(matches!(error, SpoolError::InUse { .. }), "{error}");
    // Another stream may be beside it.
    let (_other, _) = Spool::open(location.path(), "back-door", false).unwrap();
    drop(spool);
    open(location.path());
}

/// 256 bytes are a name for the service, and none for a file system.
#[test]
fn long_names_of_streams_have_directories_of_their_own() {
    let location = tempdir().unwrap();
    let long = "x".repeat(256);
    let mut spools = Vec::new();
    for length in [1, 127, 128, 129, 255, 256] {
        let (mut spool, found) = Spool::open(location.path(), &long[..length], false).unwrap();
        assert!(found.fragments.is_empty());
        write(&mut spool, 1);
        spools.push(spool);
    }
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let location = tempdir().unwrap();
    let (mut spool, _) = open(location.path());
    let id = write(&mut spool, 1);
    drop(spool);
    let directory = location.path().join(format!("{STREAM}.spool"));
    for name in ["notes.txt", "7.mkv", "00000000000000000001-1 (copy).mkv"] {
        fs::write(directory.join(name), "mine").unwrap();
        fs::write(directory.join("damaged").join(name), "mine").unwrap();
    }
    fs::create_dir(directory.join("clips")).unwrap();
    let (_, found) = open(location.path());
    assert_eq!(found.fragments[0].0, id);
    assert!(found.damaged.is_empty(), "{found:?}");
    assert_eq!(files(location.path(), "").len(), 5);
    assert_eq!(files(location.path(), "damaged").len(), 3);
}

#[test]
fn halves_are_moved_away_and_told() {
    let location = tempdir().unwrap();
    let (mut spool, _) = open(location.path());
    for number in 0..4 {
        write(&mut spool, number);
    }
    drop(spool);
    let directory = location.path().join(format!("{STREAM}.spool"));
    let paths: Vec<_> = files(location.path(), "")
        .into_iter()
        .map(|name| directory.join(name))
        .collect();
    let whole = fs::read(&paths[0]).unwrap();
    fs::write(&paths[0], &whole[..whole.len() - 1]).unwrap();
    fs::write(&paths[1], "").unwrap();
    fs::write(directory.join("00000000000000000017.part"), &whole[..99]).unwrap();
    fs::write(directory.join("00000000000000000018.part"), "").unwrap();
    // A fragment of the same number: only a person does so.
    fs::copy(&paths[2], directory.join("00000000000000000003-5.mkv")).unwrap();
    // A directory where a fragment should be.
    fs::create_dir(directory.join("00000000000000000019-5.mkv")).unwrap();
    let (mut spool, found) = open(location.path());
    let told: Vec<_> = found
        .damaged
        .iter()
        .map(|Damaged { file, reason }| format!("{file}: {reason}"))
        .collect();
    assert_eq!(
        told[..5],
        [
            "00000000000000000000-1700000000000.mkv: it has no end: it is cut off, or bytes were changed; it was moved to damaged/",
            "00000000000000000001-1700000002000.mkv: it is empty; it was moved to damaged/",
            "00000000000000000003-5.mkv: another file is spooled #3, too; it was moved to damaged/",
            "00000000000000000017.part: it was being written when the process or the machine stopped; it was moved to damaged/",
            "00000000000000000018.part: it was being written when the process or the machine stopped; it was empty, and removed",
        ]
    );
    assert!(told[5].contains("it cannot be read: "), "{}", told[5]);
    assert_eq!(found.fragments.len(), 2);
    assert_eq!(files(location.path(), "").len(), 3);
    assert_eq!(files(location.path(), "damaged").len(), 4);
    assert!(write(&mut spool, 9) > SpoolId(19));
}

#[test]
fn other_timecodes_are_refused() {
    let location = tempdir().unwrap();
    let (mut spool, _) = open(location.path());
    write(&mut spool, 1);
    drop(spool);
    let (spool, found) = Spool::open(location.path(), STREAM, true).unwrap();
    assert!(found.fragments.is_empty());
    assert_eq!(spool.bytes(), 0);
    assert_eq!(
        found.damaged[0].reason,
        "its timecode is absolute, and those of the stream are relative now; it was moved to refused/"
    );
    assert_eq!(files(location.path(), "refused").len(), 1);
}

#[test]
fn the_folders_keep_the_newest() {
    let location = tempdir().unwrap();
    let (mut spool, _) = open(location.path());
    let directory = location.path().join(format!("{STREAM}.spool"));
    for number in 0..20 {
        let id = write(&mut spool, number);
        spool.set_aside(id, Aside::Damaged).unwrap();
        spool.set_aside(id, Aside::Damaged).unwrap();
    }
    let kept = files(location.path(), "damaged");
    assert_eq!(kept.len(), aside::MAX_FILES);
    assert_eq!(Some(&kept[0][..20]), Some("00000000000000000004"));
    drop(spool);
    // Long ones count more; also those that were there before.
    let sparse = fs::File::options()
        .write(true)
        .open(directory.join("damaged").join(&kept[15]));
    sparse.unwrap().set_len(aside::MAX_BYTES).unwrap();
    let (mut spool, _) = open(location.path());
    let id = write(&mut spool, 20);
    spool.set_aside(id, Aside::Damaged).unwrap();
    assert_eq!(files(location.path(), "damaged").len(), 1);
}

#[test]
fn a_file_that_changes_is_damaged_and_one_that_is_gone_is_lost() {
    let location = tempdir().unwrap();
    let (mut spool, _) = open(location.path());
    let [changed, longer, shorter, gone] = [1, 2, 3, 4].map(|number| write(&mut spool, number));
    let directory = location.path().join(format!("{STREAM}.spool"));
    let paths: Vec<PathBuf> = files(location.path(), "")
        .into_iter()
        .map(|name| directory.join(name))
        .collect();
    let mut bytes = fs::read(&paths[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&paths[0], bytes).unwrap();
    let append = fs::File::options().append(true).open(&paths[1]).unwrap();
    append.set_len(1 << 40).unwrap();
    fs::write(&paths[2], "").unwrap();
    fs::remove_file(&paths[3]).unwrap();
    for (id, reason) in [
        (changed, "its checksum is another"),
        (longer, "bytes, not "),
        (shorter, "it has 0 bytes"),
        (gone, "it is gone"),
        (SpoolId(99), "there is no file of spooled #99"),
    ] {
        let error = spool.read(id).unwrap_err();
        assert!(matches!(error, SpoolError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        spool.set_aside(id, Aside::Damaged).unwrap();
    }
    assert_eq!(spool.bytes(), 0);
}

#[cfg(unix)]
#[test]
fn video_of_people_is_for_one_user() {
    use std::os::unix::fs::PermissionsExt;

    let location = tempdir().unwrap();
    let (mut spool, _) = open(location.path());
    write(&mut spool, 1);
    let directory = location.path().join(format!("{STREAM}.spool"));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join(&files(location.path(), "")[0])), 0o600);
}

/// The pictures of a camera, each with the delimiter that begins it.
fn pictures() -> Vec<Bytes> {
    const DELIMITER: [u8; 5] = [0, 0, 0, 1, 9];
    let mut starts: Vec<_> = memchr::memmem::find_iter(fixtures::HIGH, &DELIMITER).collect();
    starts.push(fixtures::HIGH.len());
    let pictures = starts
        .windows(2)
        .map(|at| Bytes::from_static(&fixtures::HIGH[at[0]..at[1]]));
    pictures.collect()
}

/// A fragment of a camera, that can be played.
fn camera() -> (Spooled, Vec<Bytes>) {
    let mut reframer = Reframer::new(Format::H264ByteStream, None, Hints::default()).unwrap();
    let (mut about, _) = nth(1);
    let mut body = Vec::new();
    let mut head = Vec::new();
    mkv::push_cluster_header(&mut head, about.timecode);
    about.frames = 0;
    for picture in pictures() {
        for frame in reframer.take(picture, about.frames == 0).unwrap().frames {
            let offset = 40 * about.frames as i16;
            let length = frame.payload.len();
            mkv::push_simple_block_header(&mut head, TrackNumber::VIDEO, offset, frame.key, length);
            body.extend([std::mem::take(&mut head).into(), frame.payload]);
            about.frames += 1;
        }
    }
    body.push(mkv::tags(&[mkv::Tag::new("door", "front").unwrap()]));
    about.tracks = [reframer.track().unwrap().clone()].into();
    about.length = body.iter().map(|bytes| bytes.len() as u64).sum();
    (about, body)
}

/// The ids and sizes of the elements, and of those in a Segment and a Cluster of unknown size.
fn elements(mut bytes: &[u8]) -> Vec<(u64, Option<usize>)> {
    let mut found = Vec::new();
    let vint = |bytes: &mut &[u8], with_marker: bool| {
        let length = bytes[0].leading_zeros() as usize + 1;
        let (number, rest) = bytes.split_at(length);
        *bytes = rest;
        let number = number
            .iter()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        let marker = 1 << (7 * length);
        (
            if with_marker { number } else { number ^ marker },
            number + 1 == marker << 1,
        )
    };
    while !bytes.is_empty() {
        let (id, _) = vint(&mut bytes, true);
        let (size, is_unknown) = vint(&mut bytes, false);
        found.push((id, (!is_unknown).then_some(size as usize)));
        if !is_unknown {
            bytes = &bytes[size as usize..];
        }
    }
    found
}

/// By hand: `ffprobe` 5.1, `mkvinfo` 74 and the `matroskademux` of GStreamer 1.22 read it, too, also without tags.
#[test]
fn a_file_is_matroska_from_its_first_byte_to_its_last() {
    let location = tempdir().unwrap();
    let (mut spool, _) = open(location.path());
    let (about, body) = camera();
    let id = spool.write(&about, &body).unwrap();
    let path = location
        .path()
        .join(format!("{STREAM}.spool"))
        .join(&files(location.path(), "")[0]);
    let bytes = fs::read(path).unwrap();
    let elements = elements(&bytes);
    let ids: Vec<_> = elements.iter().map(|(id, _)| *id).collect();
    let frames = vec![0xA3; about.frames as usize];
    assert!(!frames.is_empty());
    assert_eq!(
        ids,
        [
            // EBML, Segment, Info, Tracks
            &[0x1A45_DFA3, 0x1853_8067, 0x1549_A966, 0x1654_AE6B][..],
            // Cluster, its Timecode, its SimpleBlocks
            &[0x1F43_B675, 0xE7],
            &frames,
            // Tags, Void
            &[0x1254_C367, 0xEC],
        ]
        .concat()
    );
    let unknown = |id| elements.contains(&(id, None));
    assert!(unknown(0x1853_8067) && unknown(0x1F43_B675));
    assert_eq!(
        elements.iter().filter(|(_, size)| size.is_none()).count(),
        2
    );
    assert_eq!(spool.read(id).unwrap(), body.concat());
}
