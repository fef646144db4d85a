//! The numbers of a stream, as an application exports them, and as it asks for them.

use std::collections::{BTreeMap, BTreeSet};

use ::metrics::{Unit, with_local_recorder};

use super::*;
use gstkvssink::producer::{SpoolDefinition, SpoolMode};

use crate::support::{recorder::Recorder, scripts::root};

/// A stream whose maker has this recorder.
fn recorded(recorder: &Recorder, producer: &Producer, media: &Media) -> Stream {
    with_local_recorder(recorder, || stream(producer, definition("cam"), media))
}

fn count(recorder: &Recorder, name: &str) -> u64 {
    recorder.counter(&format!("{name}{{stream=\"cam\"}}"))
}

fn gauge(recorder: &Recorder, name: &str) -> f64 {
    recorder.gauge(&format!("{name}{{stream=\"cam\"}}"))
}

/// At its end a stream has exported what its stats say: every counter, one latency for each ack of a fragment, and
/// nothing that is kept.
#[test]
fn what_is_exported_is_what_the_stats_say() {
    let local = service();
    let recorder = Recorder::default();
    let media = Media::test(45, 10);
    let stream = recorded(&recorder, &producer(&local), &media);
    put_all(&stream, media.frames(START_MS));
    stream.drop_frame(DropReason::NoTimestamp, Timestamp::ZERO);
    stream.stop().unwrap();
    let stats = stream.metrics();
    assert_eq!(accounts(&stats), [46, 45, 1, 0]);
    for (name, value) in [
        ("kvs_frames_total", stats.frames_in),
        ("kvs_frames_persisted_total", stats.frames_persisted),
        ("kvs_bytes_in_total", stats.bytes_in),
        ("kvs_bytes_sent_total", stats.bytes_sent),
        ("kvs_fragments_persisted_total", stats.fragments_persisted),
        ("kvs_fragments_dropped_total", stats.fragments_dropped),
        ("kvs_fragments_resent_total", stats.fragments_resent),
        ("kvs_sessions_total", stats.sessions),
        ("kvs_connection_attempts_total", stats.connection_attempts),
    ] {
        assert_eq!(count(&recorder, name), value, "{name}");
    }
    for reason in DropReason::ALL {
        let key = format!("kvs_frames_dropped_total{{stream=\"cam\",reason=\"{reason}\"}}");
        let dropped = stats.dropped.get(&reason).copied().unwrap_or_default();
        assert_eq!(recorder.counter(&key), dropped, "{reason}");
    }
    for kind in AckKind::ALL {
        let key = format!("kvs_acks_total{{stream=\"cam\",type=\"{kind}\"}}");
        let acks = stats.acks.get(kind).copied().unwrap_or_default();
        assert_eq!(recorder.counter(&key), acks, "{kind}");
    }
    for kind in AckKind::MEASURED {
        let key = format!("kvs_ack_latency_seconds{{stream=\"cam\",type=\"{kind}\"}}");
        let samples = recorder.histogram(&key);
        let summary = stats.ack_latency[kind];
        assert_eq!((samples.len(), summary.count), (5, 5), "{kind}");
        let longest = samples.iter().copied().fold(0.0, f64::max);
        assert_eq!(longest, summary.max.as_secs_f64(), "{kind}");
        assert!(summary.p50 <= summary.p99 && summary.p99 <= summary.max);
    }
    for name in [
        "kvs_buffered_bytes",
        "kvs_buffered_seconds",
        "kvs_frames_pending",
        "kvs_frame_rate",
        "kvs_transfer_bytes_per_second",
    ] {
        assert_eq!(gauge(&recorder, name), 0.0, "{name}");
    }
}

/// What waits for a service is seen while it waits; and a stream of the same name that follows goes on counting.
#[test]
fn gauges_follow_and_counters_of_one_name_add_up() {
    let port = Reserved::new();
    let dir = tempfile::tempdir().unwrap();
    crate::support::init();
    let recorder = Recorder::default();
    let media = Media::test(30, 10);
    let producer = Producer::builder()
        .name("test-producer")
        .service(service_at(&port.endpoint()))
        .storage(1 << 20)
        .build()
        .unwrap();
    let first = recorded(&recorder, &producer, &media);
    put_all(&first, media.frames(START_MS));
    let all_wait = || gauge(&recorder, "kvs_frames_pending") == 30.0;
    assert!(eventually(all_wait), "{}", first.metrics());
    let stats = first.metrics();
    let bytes = gauge(&recorder, "kvs_buffered_bytes");
    assert_eq!(bytes, stats.bytes_buffered as f64);
    let seconds = gauge(&recorder, "kvs_buffered_seconds");
    assert_eq!(seconds, stats.buffered_duration.as_secs_f64());
    assert!(stats.buffered_duration > Duration::from_secs(1));
    assert_eq!(count(&recorder, "kvs_frames_persisted_total"), 0);
    // Without media its rate falls, though nobody does anything.
    assert!(eventually(|| gauge(&recorder, "kvs_frame_rate") == 0.0));
    let _local = port.serve(dir.path());
    first.stop().unwrap();
    assert_eq!(count(&recorder, "kvs_frames_persisted_total"), 30);
    let second = recorded(&recorder, &producer, &media);
    put_all(&second, media.frames(START_MS + 10_000));
    second.stop().unwrap();
    assert_eq!(count(&recorder, "kvs_frames_total"), 60);
    assert_eq!(count(&recorder, "kvs_frames_persisted_total"), 60);
    let all = producer.metrics();
    assert_eq!((all.streams, all.frames_persisted), (2, 60));
    assert_eq!((all.storage_used, all.storage_available), (0, 1 << 20));
}

/// What is on disk is seen from outside, too, and so is what an end leaves there.
#[test]
fn the_spool_has_its_metrics() {
    let recorder = Recorder::default();
    let media = Media::test(30, 10);
    let dir = tempfile::tempdir().unwrap();
    let port = Reserved::new();
    let producer = Producer::builder()
        .name("test-producer")
        .service(service_at(&port.endpoint()))
        .build()
        .unwrap();
    let mut definition = definition("cam");
    let mut spool = SpoolDefinition::new(dir.path().join("spool"));
    spool.mode = SpoolMode::Always;
    definition.spool = Some(spool);
    definition.stop_timeout = Duration::from_millis(200);
    let stream = with_local_recorder(&recorder, || stream(&producer, definition, &media));
    put_all(&stream, media.frames(START_MS));
    let on_disk = || gauge(&recorder, "kvs_spool_fragments") == 2.0;
    assert!(eventually(on_disk), "{}", stream.metrics());
    let stats = stream.metrics().spool;
    assert_eq!(gauge(&recorder, "kvs_spool_bytes"), stats.bytes as f64);
    let age = gauge(&recorder, "kvs_spool_age_seconds");
    assert_eq!(age, stats.age.as_secs_f64());
    assert_eq!(producer.metrics().spool_bytes, stats.bytes);
    stream.stop().unwrap();
    assert_eq!(count(&recorder, "kvs_spool_frames_left_total"), 30);
    assert_eq!(gauge(&recorder, "kvs_spool_fragments"), 0.0);
}

/// The README's table has each metric, and no other; their names say what they are, as Prometheus wants it.
#[test]
fn the_readme_names_each_metric() {
    let local = service();
    let recorder = Recorder::default();
    let stream = recorded(&recorder, &producer(&local), &Media::test(10, 10));
    let names: BTreeMap<String, Option<Unit>> = recorder.names();
    drop(stream);
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, table) = text.split_once("\n### Metrics\n").unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|'));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let documented: BTreeSet<_> = quoted.map(str::to_owned).collect();
    assert_eq!(names.keys().cloned().collect::<BTreeSet<_>>(), documented);
    for (name, unit) in &names {
        assert!(unit.is_some(), "{name} has no unit");
        let bytes = name.contains("bytes");
        assert_eq!(bytes, *unit == Some(Unit::Bytes), "{name}: {unit:?}");
        let seconds = name.ends_with("_seconds");
        assert_eq!(seconds, *unit == Some(Unit::Seconds), "{name}: {unit:?}");
    }
}
