//! A service that only takes media.

use super::*;

fn sink(frame_log: Option<PathBuf>) -> Local {
    let local = Local::start(Options {
        activation_delay: Duration::ZERO,
        sink: true,
        frame_log,
        ..Options::default()
    })
    .unwrap();
    let stream = json!({"StreamName": "cam1", "DataRetentionInHours": 2});
    assert_eq!(call(&local, "/createStream", &stream).0, 200);
    local
}

/// Each fragment is acknowledged with its own timecode and number, when it is due and in order, and nothing is stored.
#[test]
fn a_sink_acknowledges_what_it_takes_and_keeps_nothing() {
    let local = sink(None);
    let mut producer = Producer::start(&local);
    producer.send(&video_header());
    producer.send(&cluster_start(1_000));
    let buffering = producer.ack().unwrap();
    assert_eq!(
        (&buffering["EventType"], &buffering["FragmentTimecode"]),
        (&json!("BUFFERING"), &json!(1_000))
    );
    producer.send(&block(1, 0, true, FRAME));
    producer.send(&end_of_fragment());
    for kind in ["RECEIVED", "PERSISTED"] {
        let ack = producer.ack().unwrap();
        assert_eq!(ack["EventType"], kind);
        assert_eq!(ack["FragmentNumber"], buffering["FragmentNumber"]);
    }
    // In any pieces.
    for piece in [cluster(2_000), cluster(3_000)].concat().chunks(7) {
        producer.send(piece);
    }
    producer.end();
    assert_eq!(producer.summary(), kinds(&[2_000, 3_000]));
    assert_eq!(local.session_files("cam1"), [] as [PathBuf; 0]);
    assert!(local.fragments("cam1").is_empty());
    let entries = local.ledger("cam1");
    let taken: Vec<_> = entries
        .iter()
        .map(|entry| {
            let [reception] = &entry.receptions[..] else {
                panic!("{entry:?}")
            };
            (entry.timecode_ms, reception.frames, reception.persisted)
        })
        .collect();
    assert_eq!(
        taken,
        [(1_000, 1, true), (2_000, 10, true), (3_000, 10, true)]
    );
}

/// Faults strike a sink, too.
#[test]
fn a_sink_has_faults() {
    let local = sink(None);
    local.inject("error-ack:4001:2".parse().unwrap());
    let mut producer = Producer::start(&local);
    producer.send(
        &[
            video_header(),
            cluster(1_000),
            cluster(2_000),
            cluster(3_000),
        ]
        .concat(),
    );
    let mut expected = kinds(&[1_000]);
    expected.push(("BUFFERING".into(), 2_000));
    expected.push(("ERROR".into(), 4001));
    assert_eq!(producer.summary(), expected);
}

#[cfg(target_os = "linux")]
#[test]
fn a_sink_writes_when_each_frame_had_come() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let local = sink(Some(file.path().to_owned()));
    let before_ns = clock::monotonic_ns().unwrap();
    let mut producer = Producer::start(&local);
    producer.send(&[video_header(), cluster_start(1_000)].concat());
    producer.ack().unwrap();
    let begun_ns = clock::monotonic_ns().unwrap();
    producer.send(&[block(1, 0, true, FRAME), block(1, 40, false, FRAME)].concat());
    producer.end();
    assert_eq!(producer.summary()[0].0, "RECEIVED");
    let log = std::fs::read_to_string(file.path()).unwrap();
    let mut lines = log.lines();
    assert_eq!(
        lines.next(),
        Some("stream,session,what,timecode_ms,arrived_ns")
    );
    let lines: Vec<(&str, u64)> = lines
        .map(|line| {
            let (what, at) = line.rsplit_once(',').unwrap();
            (what, at.parse().unwrap())
        })
        .collect();
    let whats: Vec<&str> = lines.iter().map(|(what, _)| *what).collect();
    assert_eq!(
        whats,
        [
            "cam1,1,fragment,1000",
            "cam1,1,frame,1000",
            "cam1,1,frame,1040"
        ]
    );
    assert!((before_ns..=begun_ns).contains(&lines[0].1));
    assert!(lines[1].1 >= begun_ns && lines[2].1 >= lines[1].1);
}
