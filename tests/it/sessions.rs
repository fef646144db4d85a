//! Streams and connections that are not as usual: that keep nothing, that live for seconds, that come late or go away.

use std::time::Duration;

use aws_sdk_kinesisvideo::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use gst::prelude::*;
use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Local, StreamStatus};
use test_case::test_case;

use super::support::{
    PATIENCE, Pipeline, accounts,
    bus::{Heard, is_eos, is_error, is_warning},
    feed::{Clip, Fed, hashes},
    media, properties, service, service_with,
    stored::{self, from_first},
    test_source,
};

/// The acks of this type that were told: timecode and error id of each.
fn acks(heard: &Heard, kind: &str) -> Vec<(u64, u32)> {
    heard
        .told("kvs-fragment-ack")
        .iter()
        .filter(|ack| ack.get::<&str>("type").unwrap() == kind)
        .map(|ack| (ack.get("timecode").unwrap(), ack.get("error-id").unwrap()))
        .collect()
}

/// Every frame that is stored in `cam`, in order.
fn stored_frames(local: &Local) -> Vec<media::AccessUnit> {
    let files = local.session_files("cam");
    files.iter().flat_map(|file| stored::frames(file)).collect()
}

/// What the service was asked for, with the status of the answer.
fn calls(local: &Local, api: &str) -> Vec<u16> {
    local
        .requests()
        .iter()
        .filter(|request| request.api == api)
        .map(|request| request.status)
        .collect()
}

/// A stream whose retention is 0 keeps nothing, so nothing is ever PERSISTED: RECEIVED is the last word on a fragment, and
/// EOS comes when it was said of all. The first round creates the stream, the second finds it.
#[test]
fn received_is_the_last_word_of_a_stream_that_keeps_nothing() {
    let local = service();
    let clip = Clip::test(30, 10);
    for round in 1..=2 {
        let properties = properties(&local);
        let mut fed = Fed::playing(
            &format!("stream-name=cam retention-period=0 {properties}"),
            &clip,
        );
        fed.put_all(&clip.buffers);
        fed.finish();
        assert_eq!(accounts(&fed.stats()), [30, 30, 0, 0], "{round}");
        assert_eq!(acks(&fed.heard, "RECEIVED").len(), 3, "{:#?}", fed.heard);
        assert_eq!(acks(&fed.heard, "PERSISTED"), []);
        assert!(fed.heard.errors("sink").is_empty(), "{:#?}", fed.heard);
        assert!(fed.heard.warnings("sink").is_empty(), "{:#?}", fed.heard);
        let fragments = local.fragments("cam");
        assert_eq!(fragments.len(), 3 * round);
        assert!(fragments.iter().all(|fragment| !fragment.persisted));
    }
    assert_eq!(local.describe("cam").unwrap().retention_hours, 0);
    assert_eq!(calls(&local, "CreateStream"), [200]);
    assert_eq!(calls(&local, "PutMedia"), [200, 200]);
}

/// After a disconnect the upload goes on at the first fragment that is not PERSISTED: the service ends each connection
/// after two seconds, with 4003, in the middle of a fragment of a live stream. Each cut is one WARNING, the fragment that
/// it hit is stored once, by the next session, with the same timecode and the same bytes, and what is PERSISTED is not
/// sent again.
#[test]
fn a_live_stream_outlives_its_connections() {
    const CUTS: usize = 3;
    let local = service_with(|options| options.max_connection = Duration::from_secs(2));
    let pipeline = Pipeline::new(&format!(
        "{} ! kvssink name=sink stream-name=cam {}",
        test_source(1_000_000, 10, true),
        properties(&local)
    ));
    let came = media::watch(&pipeline.element("sink"));
    let mut heard = Heard::of(&pipeline);
    pipeline.0.set_state(gst::State::Playing).unwrap();
    let mut cut = 0;
    heard.until(&pipeline, |message| {
        let said = message.structure();
        let is_cut = said.is_some_and(|said| said.get::<u32>("error-id") == Ok(4003));
        cut += usize::from(is_cut);
        is_error(message, "sink") || cut == CUTS
    });
    assert!(pipeline.0.send_event(gst::event::Eos::new()));
    heard.until(&pipeline, |message| {
        is_eos(message) || is_error(message, "sink")
    });
    heard.stop(&pipeline);
    assert!(heard.eos() && heard.errors("sink").is_empty(), "{heard:#?}");

    let came: Vec<_> = came.try_iter().collect();
    let frames = came.len() as u64;
    let stats = pipeline.stats("sink");
    assert_eq!(accounts(&stats), [frames, frames, 0, 0], "{heard:#?}");
    assert_eq!(from_first(stored_frames(&local)), from_first(came));

    // One more may come while the rest is sent.
    let errors = acks(&heard, "ERROR");
    assert!(errors.len() >= CUTS, "{heard:#?}");
    assert!(errors.iter().all(|(_, id)| *id == 4003), "{errors:?}");
    assert_eq!(heard.warnings("sink").len(), errors.len(), "{heard:#?}");
    assert_eq!(
        stats.get::<u64>("sessions").unwrap(),
        errors.len() as u64 + 1
    );
    for file in local.session_files("cam") {
        stored::assert_readable(&file);
    }
    let fragments = local.fragments("cam");
    let persisted = acks(&heard, "PERSISTED");
    assert_eq!(persisted.len(), fragments.len(), "each once");
    for (timecode, _) in errors {
        let stored: Vec<_> = fragments
            .iter()
            .filter(|fragment| fragment.timecode_ms == timecode)
            .collect();
        assert_eq!(stored.len(), 1, "the one that was cut at {timecode}");
        let again = persisted.iter().filter(|(at, _)| *at == timecode).count();
        assert_eq!(again, 1, "{timecode}");
    }
    let begun = acks(&heard, "BUFFERING").len();
    assert!(begun > fragments.len(), "some began twice: {begun}");
    assert!(stats.get::<u64>("fragments-resent").unwrap() > 0, "{stats}");
}

/// One bad fragment does not end the stream: the service refuses the third one whenever it comes. It is sent once more, then
/// skipped, counted and announced; everything else is stored, and EOS is clean.
#[test_case(4001)]
#[test_case(4002)]
#[test_case(4004)]
#[test_case(4006)]
#[test_case(4009)]
fn one_bad_fragment_does_not_end_the_stream(id: u32) {
    let local = service();
    local.inject(format!("poison:{id}:3:always").parse().unwrap());
    let clip = Clip::test(60, 10);
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip);
    fed.put_all(&clip.buffers);
    fed.finish();
    let stats = fed.stats();
    assert_eq!(accounts(&stats), [60, 50, 10, 0], "{stats}");
    let errors = acks(&fed.heard, "ERROR");
    let [(timecode, _), ..] = errors[..] else {
        panic!("it was not refused: {:#?}", fed.heard)
    };
    assert_eq!(errors, [(timecode, id); 2], "{:#?}", fed.heard);
    // What came after it was skipped has lost its key frame.
    let (rejected, rest) = (
        fed.heard.dropped("rejected"),
        fed.heard.dropped("no-key-frame"),
    );
    assert!(rejected > 0, "{:#?}", fed.heard);
    assert_eq!(rejected + rest, 10, "{:#?}", fed.heard);
    let [skipped] = fed.heard.told("kvs-fragment-skipped")[..] else {
        panic!("it was not told: {:#?}", fed.heard)
    };
    assert_eq!(skipped.get::<u64>("timecode").unwrap(), timecode);
    assert_eq!(skipped.get::<u32>("error-id").unwrap(), id);
    assert_eq!(skipped.get::<u64>("frames").unwrap(), rejected);
    assert!(fed.heard.errors("sink").is_empty(), "{:#?}", fed.heard);
    let mut expected = clip.hashes();
    expected.drain(20..30);
    assert_eq!(hashes(&stored_frames(&local)), expected);
}

/// A stream that is CREATING for seconds is waited for, without a warning; what was put meanwhile arrives, and no media is
/// sent before it is ACTIVE.
#[test]
fn a_stream_that_takes_its_time_is_waited_for() {
    const DELAY: Duration = Duration::from_secs(3);
    let local = service_with(|options| options.activation_delay = DELAY);
    let clip = Clip::test(60, 10);
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip);
    let status = |local: &Local| local.describe("cam").map(|stream| stream.status);
    fed.put_all(&clip.buffers[..30]);
    assert!(local.wait_for(PATIENCE, |local| status(local)
        == Some(StreamStatus::Creating)));
    fed.put_all(&clip.buffers[30..]);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [60, 60, 0, 0]);
    assert_eq!(hashes(&stored_frames(&local)), clip.hashes());
    assert!(fed.heard.warnings("sink").is_empty(), "{:#?}", fed.heard);
    assert_eq!(fed.heard.told("kvs-stream-ready").len(), 1);
    let created = local.describe("cam").unwrap().creation_time_ms;
    let active = created + DELAY.as_millis() as u64;
    assert_eq!(calls(&local, "CreateStream"), [200]);
    assert_eq!(calls(&local, "PutMedia"), [200]);
    for fragment in local.fragments("cam") {
        assert!(fragment.server_timestamp_ms >= active, "{fragment:?}");
    }
    // Asked for while it was CREATING, and not as fast as it goes.
    let asked = calls(&local, "DescribeStream").len();
    assert!((2..=20).contains(&asked), "{asked} times");
}

/// A stream that somebody deletes between two runs of an element is created again by the second one, also if its name is
/// still taken by the old one, which is DELETING; if it must not be created, that is an error.
#[test]
fn a_stream_that_was_deleted_between_two_runs_is_created_again() {
    let local = service_with(|options| options.activation_delay = Duration::from_secs(1));
    let clip = Clip::test(20, 10);
    let mut fed = Fed::new(&format!("stream-name=cam {}", properties(&local)));
    let run = |fed: &mut Fed| {
        fed.heard.0.clear();
        fed.play();
        for event in &clip.events {
            assert!(fed.event(event.clone()));
        }
        fed.put_all(&clip.buffers);
        fed.finish();
        assert_eq!(accounts(&fed.stats()), [20, 20, 0, 0]);
        assert!(fed.heard.errors("sink").is_empty(), "{:#?}", fed.heard);
        assert_eq!(
            hashes(&stored::frames(local.session_files("cam").last().unwrap())),
            clip.hashes()
        );
        local.describe("cam").unwrap()
    };
    let first = run(&mut fed);
    delete(&local, &first.arn);
    assert!(local.wait_for(PATIENCE, |local| local.describe("cam").is_none()));
    let second = run(&mut fed);
    assert_ne!(first.arn, second.arn);
    assert_eq!(local.fragments("cam").len(), 2, "the old ones are gone");
    delete(&local, &second.arn);
    assert_eq!(
        local.describe("cam").unwrap().status,
        StreamStatus::Deleting
    );
    let third = run(&mut fed);
    assert_ne!(second.arn, third.arn);

    delete(&local, &third.arn);
    assert!(local.wait_for(PATIENCE, |local| local.describe("cam").is_none()));
    fed.heard.0.clear();
    let sink = fed.pipeline.element("sink");
    sink.set_property("allow-create-stream", false);
    fed.play();
    for event in &clip.events {
        assert!(fed.event(event.clone()));
    }
    fed.until(|message| is_error(message, "sink"));
    fed.heard.stop(&fed.pipeline);
    let error = fed.heard.the_error("sink");
    assert!(
        error.error().matches(gst::ResourceError::NotFound),
        "{error:?}"
    );
}

/// A stream that somebody deletes while it is being sent to is created again, too: what was not PERSISTED in the old one is
/// in the new one.
#[test]
fn a_stream_that_is_deleted_in_mid_stream_is_created_again() {
    let local = service_with(|options| options.activation_delay = Duration::from_secs(1));
    let clip = Clip::test(60, 10);
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip);
    fed.put_all(&clip.buffers[..25]);
    assert!(local.wait_for(PATIENCE, |local| local.fragments("cam").len() == 2));
    let old = local.describe("cam").unwrap();
    delete(&local, &old.arn);
    fed.put_all(&clip.buffers[25..]);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [60, 60, 0, 0], "{:#?}", fed.heard);
    assert!(fed.heard.errors("sink").is_empty(), "{:#?}", fed.heard);
    assert_eq!(fed.heard.warnings("sink").len(), 1, "{:#?}", fed.heard);
    assert_ne!(local.describe("cam").unwrap().arn, old.arn);
    assert_eq!(hashes(&stored_frames(&local)), clip.hashes());
    assert_eq!(local.fragments("cam").len(), 4, "of the new stream");
}

/// Deletes a stream, as an application of AWS does it.
fn delete(local: &Local, arn: &str) {
    let credentials = Credentials::new(DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, None, None, "test");
    let config = aws_sdk_kinesisvideo::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(local.endpoint())
        .region(Region::new("eu-central-1"))
        .credentials_provider(credentials)
        .build();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(
            Client::from_conf(config)
                .delete_stream()
                .stream_arn(arn)
                .send(),
        )
        .unwrap();
}

/// A device whose clock is ten minutes wrong, either way, streams: each change of the difference is told once, by a message
/// and in `stats`, without a WARNING. When the clock is set right in mid-stream, the next connection notices. Timestamps
/// stay what the device says all the while.
#[test_case(600_000; "the device is behind")]
#[test_case(-600_000; "the device is ahead")]
fn a_wrong_clock_is_noticed_and_so_is_its_correction(ahead_ms: i64) {
    let local = service();
    local.inject(format!("clock:{ahead_ms}").parse().unwrap());
    let offsets = |heard: &Heard| -> Vec<i64> {
        let told = heard.told("kvs-clock-offset").into_iter();
        told.map(|told| told.get("offset").unwrap()).collect()
    };
    let offset = |fed: &Fed| fed.stats().get::<i64>("clock-offset").unwrap();
    let clip = Clip::test(60, 10);
    let mut fed = Fed::playing(&format!("stream-name=cam {}", properties(&local)), &clip);
    fed.put_all(&clip.buffers[..30]);
    assert!(local.wait_for(PATIENCE, |local| local.fragments("cam").len() >= 2));
    let learnt = offset(&fed);
    // By as much as the test takes from the service's answer to here, and by the second that a Date is rounded down.
    assert!(learnt.abs_diff(ahead_ms) < 60_000, "{learnt}");
    local.clear_faults();
    local.inject("end-after:1".parse().unwrap());
    fed.until(|message| is_warning(message) || is_error(message, "sink"));
    fed.put_all(&clip.buffers[30..]);
    fed.finish();
    assert_eq!(offset(&fed), 0);
    assert_eq!(offsets(&fed.heard), [learnt, 0]);
    assert_eq!(accounts(&fed.stats()), [60, 60, 0, 0]);
    assert_eq!(hashes(&stored_frames(&local)), clip.hashes());
    assert!(fed.heard.errors("sink").is_empty(), "{:#?}", fed.heard);
    assert_eq!(fed.heard.warnings("sink").len(), 1, "the cut");
    // One refusal for each change; each call after it is right at once.
    let refused = local
        .requests()
        .into_iter()
        .filter(|request| request.status == 403);
    assert_eq!(refused.count(), 2);
    let fragments = local.fragments("cam");
    for fragment in fragments {
        let late = fragment
            .server_timestamp_ms
            .abs_diff(fragment.producer_timestamp_ms);
        assert!(
            late < 300_000,
            "the timestamps were shifted, too: {fragment:?}"
        );
    }
}
