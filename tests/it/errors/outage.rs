//! No server, a server that says nothing, one that comes later, one that goes away: it is tried again, announced once,
//! and nothing is lost that there is time for.

use gstkvssink::local::Local;

use crate::support::{
    PATIENCE, accounts,
    bus::{is_error, is_warning, tells},
    feed::{Clip, Fed, hashes},
    log::eventually,
    port::{Mute, Reserved},
    properties, service, stored,
};

/// Frames of the stored sessions of `cam`, in order.
fn stored_hashes(local: &Local) -> Vec<String> {
    let files = local.session_files("cam");
    files
        .iter()
        .flat_map(|file| hashes(&stored::frames(file)))
        .collect()
}

/// Puts a clip, waits for the WARNING and for `meanwhile`, then for the ERROR that EOS ends in; then NULL.
fn nobody_answers(properties: &str, meanwhile: impl FnOnce()) {
    let clip = Clip::test(30, 10);
    let mut fed = Fed::playing(
        &format!(
            "stream-name=cam stop-stream-timeout=1 connection-timeout=1 completion-timeout=1 {properties}"
        ),
        &clip,
    );
    fed.put_all(&clip.buffers);
    fed.until(is_warning);
    meanwhile();
    assert_eq!(accounts(&fed.stats()), [30, 0, 0, 30]);
    fed.eos();
    fed.until(|message| is_error(message, "sink"));
    let stats = fed.stats();
    assert_eq!(accounts(&stats), [30, 0, 30, 0]);
    let dropped = stats.get::<gst::Structure>("dropped").unwrap();
    assert_eq!(dropped.get::<u64>("unfinished").unwrap(), 30, "{stats}");
    fed.heard.stop(&fed.pipeline);
    assert_eq!(
        accounts(&fed.stats()),
        [30, 0, 30, 0],
        "the numbers of the last time"
    );

    let error = fed.heard.the_error("sink");
    assert!(
        error.error().matches(gst::ResourceError::Write),
        "{error:?}"
    );
    assert!(error.error().to_string().contains("30 frames"), "{error:?}");
    let missing = error.details().unwrap().get::<u64>("frames-missing");
    assert_eq!(missing.unwrap(), 30);
    let warnings = fed.heard.warnings("sink");
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(
        warnings[0].error().matches(gst::ResourceError::Write),
        "{warnings:?}"
    );
    assert_eq!(fed.heard.dropped("unfinished"), 30, "{:#?}", fed.heard);
    assert!(!fed.heard.eos(), "{:#?}", fed.heard);
}

/// No server: one WARNING, it keeps trying, and EOS gives an ERROR with the number of missing frames after
/// `stop-stream-timeout`. Nothing hangs, and nothing is left in the accounts.
#[test]
fn without_a_server_eos_is_an_error_that_says_how_many_frames_are_missing() {
    let port = Reserved::new();
    nobody_answers(&port.properties(), || ());
}

/// A server that takes connections and never answers is the same, and it is asked again and again.
#[test]
fn a_server_that_never_answers_is_as_none() {
    let mute = Mute::start();
    nobody_answers(&mute.properties(), || {
        for _ in 0..3 {
            mute.accepted.recv_timeout(PATIENCE).unwrap();
        }
    });
}

/// NULL in the middle of an outage, without EOS, returns, and says what is missing.
#[test]
fn null_returns_although_nobody_answers() {
    let clip = Clip::test(30, 10);
    let (port, mute) = (Reserved::new(), Mute::start());
    for properties in [port.properties(), mute.properties()] {
        for frames in [0, 1, 30] {
            let mut fed = Fed::playing(
                &format!("stream-name=cam stop-stream-timeout=1 {properties}"),
                &clip,
            );
            fed.put_all(&clip.buffers[..frames]);
            // A hang is ended by nextest.
            fed.heard.stop(&fed.pipeline);
            let frames = frames as u64;
            assert_eq!(accounts(&fed.stats()), [frames, 0, frames, 0]);
            let errors = fed.heard.errors("sink");
            assert_eq!(errors.len(), usize::from(frames > 0), "{errors:?}");
        }
    }
}

/// The element starts without a network and connects when there is one: what was put meanwhile arrives.
#[test]
fn a_server_that_comes_later_gets_everything() {
    let clip = Clip::test(60, 10);
    let dir = tempfile::tempdir().unwrap();
    let port = Reserved::new();
    let mut fed = Fed::playing(&format!("stream-name=cam {}", port.properties()), &clip);
    fed.put_all(&clip.buffers[..30]);
    fed.until(is_warning);
    let local = port.serve(dir.path());
    fed.put_all(&clip.buffers[30..]);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [60, 60, 0, 0]);
    assert_eq!(stored_hashes(&local), clip.hashes());
    assert_eq!(fed.heard.warnings("sink").len(), 1, "{:#?}", fed.heard);
    assert!(fed.heard.errors("sink").is_empty(), "{:#?}", fed.heard);
}

/// A service that goes away in the middle and comes back, with its media but without its streams, has everything at EOS.
/// Each outage is one WARNING.
#[test]
fn a_service_that_goes_away_and_comes_back_gets_everything() {
    const ROUND: usize = 30;
    let clip = Clip::test(90, 10);
    let dir = tempfile::tempdir().unwrap();
    let port = Reserved::new();
    let mut local = port.serve(dir.path());
    let mut fed = Fed::playing(&format!("stream-name=cam {}", port.properties()), &clip);
    for outage in 0..2 {
        fed.put_all(&clip.buffers[outage * ROUND..][..ROUND]);
        let stored = |local: &Local| local.fragments("cam").len() >= 2;
        assert!(local.wait_for(PATIENCE, stored), "{:?}", local.requests());
        local.stop();
        fed.until(is_warning);
        local = port.serve(dir.path());
    }
    fed.put_all(&clip.buffers[2 * ROUND..]);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [90, 90, 0, 0]);
    assert_eq!(fed.heard.warnings("sink").len(), 2, "{:#?}", fed.heard);
    assert!(fed.heard.errors("sink").is_empty(), "{:#?}", fed.heard);
    // What is PERSISTED is never sent again: each of the nine fragments has one such ack.
    let mut persisted: Vec<_> = fed
        .heard
        .told("kvs-fragment-ack")
        .iter()
        .filter(|ack| ack.get::<&str>("type").unwrap() == "PERSISTED")
        .map(|ack| ack.get::<u64>("timecode").unwrap())
        .collect();
    assert_eq!(persisted.len(), 9, "{persisted:?}");
    persisted.dedup();
    assert_eq!(persisted.len(), 9, "{persisted:?}");
    // What was on its way to an ack when the service went away is there twice.
    let stored = stored_hashes(&local);
    let mut once = stored.clone();
    let mut seen = std::collections::HashSet::new();
    once.retain(|hash| seen.insert(hash.clone()));
    assert_eq!(once, clip.hashes());
    let twice = stored.len() - once.len();
    assert!(twice <= 2 * ROUND, "{twice} frames came twice");
}

/// The end of an outage is told with its length, and with how many fragments were sent before and come again.
#[test]
fn the_end_of_an_outage_says_how_long_it_was_and_what_is_sent_again() {
    let local = service();
    let clip = Clip::test(60, 10);
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip);
    fed.put_all(&clip.buffers[..25]);
    // Two of three are PERSISTED, of the third a part is there.
    fed.until_acks(&[("BUFFERING", 3), ("PERSISTED", 2)]);
    let before = local.uptime();
    local.inject("end-after:1".parse().unwrap());
    fed.until(|message| tells(message, "kvs-connection-lost"));
    let lost = local.uptime();
    fed.put_all(&clip.buffers[25..]);
    fed.until(|message| tells(message, "kvs-connection-restored"));
    let longest = local.uptime() - before;
    assert!(lost >= before);
    fed.finish();
    let [restored] = fed.heard.told("kvs-connection-restored")[..] else {
        panic!("{:#?}", fed.heard)
    };
    assert_eq!(restored.get::<u64>("resending").unwrap(), 1);
    let outage: u64 = restored.get("outage").unwrap();
    assert!(
        u128::from(outage) <= longest.as_millis() + 1,
        "{outage} of {longest:?}"
    );
    let stats = fed.stats();
    assert_eq!(accounts(&stats), [60, 60, 0, 0]);
    assert_eq!(stats.get::<u64>("fragments-resent").unwrap(), 1);
}

/// With `restart-on-error=false` the first cut is the end: one ERROR that says how many frames are missing, no WARNING, and
/// no second attempt.
#[test]
fn a_stream_that_must_not_restart_ends_with_the_first_cut() {
    let local = service();
    let clip = Clip::test(30, 10);
    let properties = properties(&local);
    let mut fed = Fed::playing(
        &format!("stream-name=cam restart-on-error=false {properties}"),
        &clip,
    );
    fed.put_all(&clip.buffers[..25]);
    fed.until_acks(&[("BUFFERING", 3), ("PERSISTED", 2)]);
    local.inject("end-after:1".parse().unwrap());
    fed.until(|message| is_error(message, "sink"));
    assert!(fed.put(&clip.buffers[25]).is_err());
    fed.heard.stop(&fed.pipeline);
    let stats = fed.stats();
    assert_eq!(accounts(&stats), [25, 20, 5, 0]);
    assert_eq!(stats.get::<u64>("connection-attempts").unwrap(), 1);
    let error = fed.heard.the_error("sink");
    assert!(
        error.error().matches(gst::ResourceError::Write),
        "{error:?}"
    );
    let missing: u64 = error.details().unwrap().get("frames-missing").unwrap();
    assert_eq!((missing, fed.heard.dropped("unfinished")), (5, 5));
    assert!(fed.heard.warnings("sink").is_empty(), "{:#?}", fed.heard);
    for never in ["kvs-connection-lost", "kvs-connection-restored"] {
        assert_eq!(fed.heard.told(never).len(), 0, "{never}");
    }
    assert!(!fed.heard.eos());
}

/// Each bound is announced before it is reached, once an episode: storage, duration, latency.
#[test]
fn each_pressure_is_told_once() {
    let port = Reserved::new();
    let dir = tempfile::tempdir().unwrap();
    let clip = Clip::large(150, 10);
    let mut fed = Fed::playing(
        &format!(
            "stream-name=cam storage-size=3 buffer-duration=3 max-latency=2 stop-stream-timeout=1 {}",
            port.properties()
        ),
        &clip,
    );
    let names = [
        "kvs-latency-pressure",
        "kvs-duration-pressure",
        "kvs-storage-pressure",
    ];
    let told = |fed: &Fed| {
        names.map(|name| {
            fed.heard
                .0
                .iter()
                .filter(|message| tells(message, name))
                .count()
        })
    };
    for round in 1..=2 {
        // 6 s of some 1 MB each: more than is kept, of each.
        let shift = gst::ClockTime::from_seconds(6 * (round - 1));
        assert!(fed.event(clip.segment_at(shift)));
        fed.put_all(&clip.buffers);
        fed.until(|message| tells(message, "kvs-frames-dropped"));
        assert_eq!(told(&fed), [round as usize; 3], "{:#?}", fed.heard);
        if round == 1 {
            // The episode ends when it is sent.
            let local = port.serve(dir.path());
            let sent = eventually(|| fed.stats().get::<u64>("fragments-pending").unwrap() <= 1);
            assert!(sent, "{}", fed.stats());
            drop(local);
        }
    }
    fed.heard.stop(&fed.pipeline);
}
