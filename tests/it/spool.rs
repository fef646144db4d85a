//! Media on disk: what memory cannot hold, and what an end, a kill or a failing disk leaves.

mod full;
mod hung;
mod killed;

use std::path::{Path, PathBuf};

use gst::prelude::*;
use gstkvssink::local::Local;
use tempfile::TempDir;

use super::support::{
    accounts,
    bus::{is_eos, is_warning, tells},
    feed::{Clip, Fed, hash, hashes},
    log::eventually,
    port::Reserved,
    stored,
};

/// A disk, a service that keeps its media there, too, and where it may be reached.
struct Site {
    dir: TempDir,
    port: Reserved,
}

impl Site {
    fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            port: Reserved::new(),
        }
    }

    fn location(&self) -> PathBuf {
        self.dir.path().join("spool")
    }

    fn serve(&self) -> Local {
        self.port.serve(&self.dir.path().join("service"))
    }

    fn properties(&self, more: &str) -> String {
        format!(
            "stream-name=cam spool-location={} {} {more}",
            self.location().display(),
            self.port.properties()
        )
    }

    /// Files of fragments.
    fn files(&self) -> Vec<PathBuf> {
        media_files(&self.location().join("cam.spool"))
    }
}

fn media_files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "mkv"))
        .collect();
    files.sort();
    files
}

/// Frames that the service stored, in the order of the sessions.
fn stored_hashes(local: &Local) -> Vec<String> {
    let files = local.session_files("cam");
    files
        .iter()
        .flat_map(|file| hashes(&stored::frames(file)))
        .collect()
}

fn spool(fed: &Fed, field: &str) -> u64 {
    let spool = fed.stats().get::<gst::Structure>("spool").unwrap();
    spool.get::<u64>(field).unwrap()
}

/// An outage of media that is four times as much as memory: it waits on disk, one playable file for each fragment, and when
/// the service is there, all of it arrives in its order, and nothing stays on disk.
#[test]
fn an_outage_that_memory_cannot_hold_is_kept_on_disk_and_sent() {
    let site = Site::new();
    let clip = Clip::large(100, 10);
    let properties = "streaming-type=offline storage-size=1 file-start-time=1600000000";
    let mut fed = Fed::playing(&site.properties(properties), &clip);
    fed.put_all(&clip.buffers);
    assert_eq!(accounts(&fed.stats()), [100, 0, 0, 100]);
    assert!(spool(&fed, "fragments") >= 5, "{}", fed.stats());
    assert!(fed.stats().get::<u64>("bytes-buffered").unwrap() <= 2 << 20);
    let files = site.files();
    assert!(files.len() >= 5, "{files:?}");
    stored::assert_playable(&files[0], 10);

    let local = site.serve();
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [100, 100, 0, 0]);
    assert_eq!(stored_hashes(&local), clip.hashes());
    assert_eq!(site.files(), Vec::<PathBuf>::new());
}

/// NULL while nobody answers is no loss: it is told, and the next run sends it, with its own timecodes, before what is new.
#[test]
fn what_an_end_leaves_the_next_run_sends() {
    for mode in ["overflow", "always"] {
        let site = Site::new();
        let clip = Clip::large(40, 10);
        let properties = site.properties(&format!("spool-mode={mode} stop-stream-timeout=1"));
        let mut fed = Fed::playing(&properties, &clip);
        fed.put_all(&clip.buffers[..30]);
        fed.eos();
        // Not an error: late is not lost.
        fed.until(is_eos);
        assert!(!fed.heard.told("kvs-spool").is_empty());
        fed.heard.stop(&fed.pipeline);
        assert_eq!(fed.heard.errors("sink").len(), 0, "{:#?}", fed.heard);
        assert_eq!(accounts(&fed.stats()), [30, 0, 0, 0]);
        assert_eq!(spool(&fed, "frames-left"), 30);
        assert_eq!(site.files().len(), 3);

        let local = site.serve();
        let mut next = Fed::playing(&properties.replace("timeout=1", "timeout=60"), &clip);
        next.put_all(&clip.buffers[30..]);
        next.finish();
        assert_eq!(spool(&next, "frames-recovered"), 30);
        assert_eq!(next.stats().get::<u64>("frames-persisted").unwrap(), 40);
        assert_eq!(stored_hashes(&local), clip.hashes(), "{mode}");
        assert_eq!(site.files(), Vec::<PathBuf>::new());
    }
}

/// `spool-order=live-first`: a slow link sends what is new before what an earlier run has left, and then that.
#[test]
fn live_media_overtakes_what_an_earlier_run_has_left() {
    let site = Site::new();
    let clip = Clip::large(70, 10);
    let (before, live) = clip.buffers.split_at(50);
    let mut fed = Fed::playing(&site.properties("stop-stream-timeout=1"), &clip);
    fed.put_all(before);
    fed.eos();
    fed.until(is_eos);
    fed.heard.stop(&fed.pipeline);
    let left = site.files();
    assert_eq!(left.len(), 5);
    // Its name ends with its timecode.
    let newest = left[4].file_stem().unwrap().to_str().unwrap();
    let newest: u64 = newest.split_once('-').unwrap().1.parse().unwrap();

    let local = site.serve();
    let slow = "spool-order=live-first upload-bandwidth=3000000";
    let mut next = Fed::playing(&site.properties(slow), &clip);
    next.put_all(live);
    next.until(|message| {
        let said = message.structure();
        let acked = said.filter(|said| said.get("type") == Ok("PERSISTED"));
        acked.is_some_and(|said| said.get::<u64>("timecode").unwrap() > newest)
    });
    next.finish();
    let stored = stored_hashes(&local);
    let place = |buffer: &gst::Buffer| {
        let wanted = hash(buffer);
        stored.iter().position(|hash| *hash == wanted).unwrap()
    };
    assert!(place(&live[0]) < place(&before[49]), "it was not held up");
    assert!(place(&before[0]) < place(&before[49]));
    let every = |mut hashes: Vec<String>| {
        hashes.sort();
        hashes
    };
    assert_eq!(every(stored.clone()), every(clip.hashes()));
    assert_eq!(accounts(&next.stats())[2..], [0, 0]);
    assert_eq!(site.files(), Vec::<PathBuf>::new());
}

fn says(message: &gst::Message, what: &str) -> bool {
    let structure = message.structure();
    structure.is_some_and(|structure| structure.get("what") == Ok(what))
}

/// A location where nothing can be kept is one WARNING, and memory does what it did without one.
#[test]
fn a_location_that_is_no_directory_is_a_warning() {
    let site = Site::new();
    std::fs::write(site.location(), "a file").unwrap();
    let local = site.serve();
    let clip = Clip::test(30, 10);
    let mut fed = Fed::playing(&site.properties("spool-mode=always"), &clip);
    fed.until(is_warning);
    fed.put_all(&clip.buffers);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [30, 30, 0, 0]);
    let warnings = fed.heard.warnings("sink");
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    let text = warnings[0].debug().unwrap();
    assert!(text.contains("cam.spool"), "{text}");
    assert_eq!(stored_hashes(&local), clip.hashes());
}

/// The disk goes away in the middle: one WARNING, the pipeline goes on with memory, and what is on the lost disk is counted and
/// told when its turn comes.
#[test]
fn a_disk_that_goes_away_costs_what_was_on_it_and_no_more() {
    let site = Site::new();
    let clip = Clip::test(60, 10);
    let mut fed = Fed::playing(&site.properties("spool-mode=always"), &clip);
    fed.put_all(&clip.buffers[..30]);
    assert!(eventually(|| site.files().len() == 2));
    std::fs::remove_dir_all(site.location()).unwrap();
    fed.put_all(&clip.buffers[30..]);
    fed.until(|message| tells(message, "kvs-spool") && says(message, "failed"));
    let local = site.serve();
    fed.finish();
    // What is on disk is in memory, too, as long as there is room.
    assert_eq!(accounts(&fed.stats()), [60, 60, 0, 0]);
    assert_eq!(stored_hashes(&local), clip.hashes());
    let failures = fed.heard.told("kvs-spool");
    let failures = failures
        .iter()
        .filter(|said| said.get("what") == Ok("failed"));
    assert_eq!(failures.count(), 1);
}

/// Two elements of one stream and location: the second says that the directory is in use, and goes on with memory.
#[test]
fn a_directory_has_one_element_at_a_time() {
    let site = Site::new();
    let clip = Clip::test(10, 10);
    let mode = "spool-mode=always stop-stream-timeout=1";
    let first = Fed::playing(&site.properties(mode), &clip);
    first.put_all(&clip.buffers);
    assert!(eventually(|| spool_state(&first) == "open"));
    let mut second = Fed::playing(&site.properties(mode), &clip);
    second.until(|message| tells(message, "kvs-spool") && says(message, "failed"));
    let failed = second.heard.told("kvs-spool");
    let reason: String = failed[0].get("reason").unwrap();
    assert!(reason.contains("in use"), "{reason}");
    // Another stream has its own.
    let other = site
        .properties("spool-mode=always")
        .replace("=cam", "=cam2");
    let other = Fed::playing(&other, &clip);
    assert!(eventually(|| spool_state(&other) == "open"));
    for fed in [first, second, other] {
        fed.pipeline.0.set_state(gst::State::Null).unwrap();
    }
}

fn spool_state(fed: &Fed) -> String {
    let spool = fed.stats().get::<gst::Structure>("spool").unwrap();
    spool.get("state").unwrap()
}

/// READY and PLAYING again in one process: the directory is free for the next run at once.
#[test]
fn the_directory_is_free_when_null_is_reached() {
    let site = Site::new();
    let _local = site.serve();
    let clip = Clip::test(10, 10);
    for _ in 0..3 {
        let mut fed = Fed::playing(&site.properties("spool-mode=always"), &clip);
        fed.put_all(&clip.buffers);
        fed.finish();
        let lock = site.location().join("cam.spool").join("lock");
        let lock = std::fs::File::open(lock).unwrap();
        lock.try_lock().unwrap();
    }
}
