//! A disk that does not answer, such as one of a server that is away. A fifo in the place of a file lets the system wait as long.

use std::{fs, process::Command};

use super::*;

/// What is on disk cannot be read, nor, behind that, what is in memory be written: NULL comes all the same, and says what is not kept.
#[test]
fn null_does_not_wait_for_a_disk_that_hangs() {
    let site = Site::new();
    let clip = Clip::large(100, 10);
    let properties =
        "streaming-type=offline storage-size=1 stop-stream-timeout=1 file-start-time=1600000000";
    let mut fed = Fed::playing(&site.properties(properties), &clip);
    fed.put_all(&clip.buffers);
    let files = site.files();
    assert!(files.len() >= 5, "{files:?}");
    for file in &files {
        fs::remove_file(file).unwrap();
        let made = Command::new("mkfifo").arg(file).status().unwrap();
        assert!(made.success());
    }
    let _local = site.serve();
    // The first one is to be sent as soon as there is a connection, for which it is read.
    assert!(eventually(
        || fed.stats().get::<&str>("state") == Ok("streaming")
    ));
    fed.heard.stop(&fed.pipeline);
    let warnings = fed.heard.warnings("sink");
    let texts: Vec<_> = warnings
        .iter()
        .filter_map(|warning| warning.debug())
        .collect();
    let expected = "fragments are not kept at the end: reading from the spool of cam in";
    assert!(
        texts.iter().any(|text| text.contains(expected)),
        "{texts:?}"
    );
    let [came, persisted, dropped, pending] = accounts(&fed.stats());
    assert_eq!((came, persisted, pending), (100, 0, 0));
    assert!(dropped > 0, "{}", fed.stats());
    assert_eq!(spool(&fed, "frames-left"), 100 - dropped);
    // Then the disk answers, also for the next read, and whoever comes next can have it.
    let answers = |file| fs::OpenOptions::new().read(true).write(true).open(file);
    let _answers: Vec<_> = files.iter().map(|file| answers(file).unwrap()).collect();
    let lock = fs::File::open(site.location().join("cam.spool").join("lock")).unwrap();
    assert!(eventually(|| lock.try_lock().is_ok()));
}
