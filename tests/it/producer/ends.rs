//! How a stream ends, and goes on.

use gstkvssink::producer::{Fatal, WaitError};

use super::*;

/// After a drain everything is PERSISTED, and the stream goes on with a key frame, in a session of its own.
#[test]
fn a_stream_goes_on_after_a_drain() {
    let local = service();
    let media = Media::test(20, 10);
    let stream = stream(&producer(&local), definition("cam"), &media);
    for round in 1..=3 {
        put_all(&stream, media.frames(START_MS + round * 60_000));
        stream.drain().unwrap();
        let fragments = local.fragments("cam");
        let frames: u32 = fragments.iter().map(|f| f.frames).sum();
        assert_eq!(u64::from(frames), round * 20);
        assert_eq!(accounts(&stream.metrics()), [round * 20, round * 20, 0, 0]);
    }
    stream.stop().unwrap();
    assert_eq!(local.session_files("cam").len(), 3);
    assert!(matches!(
        stream.put_frame(media.frames(START_MS).remove(0)),
        Err(PutError::Stopped)
    ));
    stream.stop().unwrap();
}

/// What follows a drain without a key frame is dropped, since it refers to what is over.
#[test]
fn only_a_key_frame_goes_on_after_a_drain() {
    let local = service();
    let media = Media::test(20, 10);
    let stream = stream(&producer(&local), definition("cam"), &media);
    let mut frames = media.frames(START_MS);
    let rest = frames.split_off(5);
    put_all(&stream, frames);
    stream.drain().unwrap();
    put_all(&stream, rest);
    stream.stop().unwrap();
    let stats = stream.metrics();
    assert_eq!(accounts(&stats), [20, 15, 5, 0]);
    assert_eq!(stats.dropped[&DropReason::NoKeyFrame], 5);
}

/// A drain that an interrupt ends is forgotten: the stream goes on.
#[test]
fn a_drain_that_is_given_up_is_forgotten() {
    let port = Reserved::new();
    let dir = tempfile::tempdir().unwrap();
    let media = Media::test(20, 10);
    let stream = stream(&producer_at(&port.endpoint()), definition("cam"), &media);
    put_all(&stream, media.frames(START_MS));
    stream.interrupt(true);
    assert_eq!(stream.drain(), Err(WaitError::Interrupted));
    stream.interrupt(false);
    std::thread::scope(|scope| {
        // The waiter may come to its wait only after the interrupt, hence again.
        let draining = scope.spawn(|| stream.drain());
        while !draining.is_finished() {
            stream.interrupt(true);
            std::thread::yield_now();
            stream.interrupt(false);
        }
        assert_eq!(draining.join().unwrap(), Err(WaitError::Interrupted));
    });
    put_all(&stream, media.frames(START_MS + 60_000));
    assert_eq!(accounts(&stream.metrics()), [40, 0, 0, 40]);
    let local = port.serve(dir.path());
    stream.stop().unwrap();
    assert_eq!(accounts(&stream.metrics()), [40, 40, 0, 0]);
    let frames: u32 = local.fragments("cam").iter().map(|f| f.frames).sum();
    assert_eq!(frames, 40);
}

/// Several threads drain, and one that does not wait takes its own drain back: whoever waits comes back when everything is
/// PERSISTED.
#[test]
fn several_drains_do_not_disturb_each_other() {
    let port = Reserved::new();
    let dir = tempfile::tempdir().unwrap();
    let media = Media::test(20, 10);
    let stream = stream(&producer_at(&port.endpoint()), definition("cam"), &media);
    put_all(&stream, media.frames(START_MS));
    std::thread::scope(|scope| {
        let draining = [(); 3].map(|()| scope.spawn(|| stream.drain()));
        for _ in 0..100 {
            stream.begin_drain();
            stream.resume();
            std::thread::yield_now();
        }
        let _local = port.serve(dir.path());
        for draining in draining {
            assert_eq!(draining.join().unwrap(), Ok(()));
        }
    });
    assert_eq!(accounts(&stream.metrics()), [20, 20, 0, 0]);
}

/// Tells on a channel that everything is PERSISTED.
struct Drained(Mutex<std::sync::mpsc::Sender<()>>);

impl StreamCallbacks for Drained {
    fn drained(&self) {
        // The test may have ended.
        let _ = self.0.lock().unwrap().send(());
    }
}

/// `begin_drain` returns at once, `drained` is called once when everything is PERSISTED; taken back, it is not called, and
/// its time limit ends nothing.
#[test]
fn a_drain_without_a_wait_is_told_and_can_be_taken_back() {
    let port = Reserved::new();
    let dir = tempfile::tempdir().unwrap();
    let media = Media::test(20, 10);
    let producer = Producer::builder()
        .name("test-producer")
        .service(service_at(&port.endpoint()))
        .build()
        .unwrap();
    let definition = StreamDefinition {
        stop_timeout: Duration::from_secs(1),
        ..definition("cam")
    };
    let (sender, drained) = std::sync::mpsc::channel();
    let callbacks = Arc::new(Drained(Mutex::new(sender)));
    let stream = producer.create_stream_with(definition, callbacks).unwrap();
    stream
        .set_tracks(std::slice::from_ref(&media.track))
        .unwrap();
    put_all(&stream, media.frames(START_MS));
    stream.begin_drain();
    stream.resume();
    put_all(&stream, media.frames(START_MS + 60_000));
    // Longer than the drain may last.
    assert!(drained.recv_timeout(Duration::from_millis(1500)).is_err());
    assert_eq!(accounts(&stream.metrics()), [40, 0, 0, 40]);
    let local = port.serve(dir.path());
    assert!(local.wait_for(PATIENCE, |local| local.fragments("cam").len() >= 3));
    stream.begin_drain();
    drained.recv_timeout(PATIENCE).unwrap();
    assert_eq!(accounts(&stream.metrics()), [40, 40, 0, 0]);
    put_all(&stream, media.frames(START_MS + 120_000));
    stream.stop().unwrap();
    assert_eq!(accounts(&stream.metrics()), [60, 60, 0, 0]);
    assert!(drained.try_recv().is_err(), "once");
}

/// `stop` gives up after its limit and says how many frames are missing; the accounts add up, and a second `stop` says
/// the same.
#[test]
fn stop_says_what_is_missing() {
    let port = Reserved::new();
    let media = Media::test(20, 10);
    let producer = Producer::builder()
        .name("test-producer")
        .service(service_at(&port.endpoint()))
        .build()
        .unwrap();
    let stream = stream(&producer, definition("cam"), &media);
    put_all(&stream, media.frames(START_MS));
    let error = stream.stop_within(Duration::from_secs(1)).unwrap_err();
    assert_eq!((error.fatal, error.missing), (Fatal::Unfinished, 20));
    assert!(error.message.contains("20 frames"), "{error}");
    let stats = stream.metrics();
    assert_eq!(accounts(&stats), [20, 0, 20, 0]);
    assert_eq!(stats.dropped[&DropReason::Unfinished], 20);
    assert_eq!(stream.stop().unwrap_err(), error);
    assert_eq!(stream.drain(), Err(WaitError::Failed(error)));
    assert!(matches!(
        stream.put_frame(media.frames(START_MS).remove(0)),
        Err(PutError::Stopped)
    ));
}

/// Tells on a channel that the stream has ended.
struct Ended(Mutex<std::sync::mpsc::Sender<[u64; 4]>>);

impl StreamCallbacks for Ended {
    fn closed(&self, stats: &Stats) {
        self.0.lock().unwrap().send(accounts(stats)).unwrap();
    }
}

/// A stream that is dropped, in whatever state, does not wait, and ends: with a service and without, with frames and
/// without, inside of tokio too.
#[test]
fn a_stream_that_is_dropped_ends_without_a_wait() {
    let local = service();
    let port = Reserved::new();
    let media = Media::test(20, 10);
    let mut round = 0;
    let mut drop_one = |endpoint: &str, frames: usize| {
        round += 1;
        let (sender, ended) = std::sync::mpsc::channel();
        let producer = Producer::builder()
            .name("test-producer")
            .service(service_at(endpoint))
            .build()
            .unwrap();
        let definition = StreamDefinition {
            stop_timeout: 2 * PATIENCE,
            ..definition(&format!("cam{round}"))
        };
        let callbacks = Arc::new(Ended(Mutex::new(sender)));
        let stream = producer.create_stream_with(definition, callbacks).unwrap();
        stream
            .set_tracks(std::slice::from_ref(&media.track))
            .unwrap();
        put_all(
            &stream,
            media.frames(START_MS).into_iter().take(frames).collect(),
        );
        drop(stream);
        let [frames_in, persisted, dropped, pending] = ended.recv_timeout(PATIENCE).unwrap();
        assert_eq!((frames_in, pending), (frames as u64, 0));
        assert_eq!(persisted + dropped, frames_in);
    };
    for endpoint in [local.endpoint(), &port.endpoint()] {
        for frames in [0, 1, 20] {
            drop_one(endpoint, frames);
        }
    }
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(async { drop_one(local.endpoint(), 20) });
}

/// A definition that cannot work makes no stream.
#[test]
fn a_wrong_definition_makes_no_stream() {
    let local = service();
    let wrong = StreamDefinition {
        storage: 0,
        ..definition("cam")
    };
    let refused = producer(&local).create_stream_with(wrong, Arc::new(()));
    assert_eq!(refused.err().unwrap().setting, "storage-size");
    let producer = Producer::builder()
        .name("test-producer")
        .service(service_at("ftp://127.0.0.1"))
        .build()
        .unwrap();
    let refused = producer.create_stream_with(definition("cam"), Arc::new(()));
    assert_eq!(refused.err().unwrap().setting, "endpoint");
    assert!(local.requests().is_empty());
}
