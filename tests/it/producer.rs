//! The object model without GStreamer: a producer, its streams, their frames, from any thread. GStreamer only makes the
//! access units.

mod builder;
mod callbacks;
mod ends;
mod metrics;
mod networking;
mod slow;
mod tasks;
mod told;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use gstkvssink::{
    local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Local},
    producer::{
        Ack, AckKind, Codec, Credentials, DropReason, Failure, Frame, Producer, PutError, Secret,
        Service, Stats, Stream, StreamCallbacks, StreamDefinition, StreamError, StreamName,
        StreamingType, Timestamp, Track, TrackNumber,
    },
};

use super::support::{
    PATIENCE,
    feed::{Clip, hashes},
    log::eventually,
    port::Reserved,
    service, stored,
};

/// The frames of a clip, and their track.
struct Media {
    track: Track,
    clip: Clip,
}

/// A time that has nothing to do with now: what is put is what arrives.
const START_MS: u64 = 1_600_000_000_123;

impl Media {
    fn new(clip: Clip) -> Self {
        let track = Track::video(Codec::H264, clip.codec_data().into(), 320, 240).unwrap();
        Self { track, clip }
    }

    fn test(frames: u32, gop: u32) -> Self {
        Self::new(Clip::test(frames, gop))
    }

    /// The frames in decode order, with times as an application has them: counted from `start_ms`.
    fn frames(&self, start_ms: u64) -> Vec<Frame> {
        let buffers = &self.clip.buffers;
        let zero = buffers.iter().map(|buffer| buffer.pts().unwrap()).min();
        buffers
            .iter()
            .map(|buffer| Frame {
                track: TrackNumber::VIDEO,
                pts: Timestamp::from_millis(
                    start_ms + (buffer.pts().unwrap() - zero.unwrap()).mseconds(),
                ),
                dts: None,
                key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
                payload: Bytes::copy_from_slice(&buffer.map_readable().unwrap()),
            })
            .collect()
    }
}

fn service_at(endpoint: &str) -> Service {
    Service {
        endpoint: Some(endpoint.into()),
        credentials: Credentials::Static {
            access_key: DEFAULT_ACCESS_KEY.into(),
            secret_key: Secret::new(DEFAULT_SECRET_KEY),
            session_token: None,
        },
        user_agent: "tests/1.0".into(),
        ..Service::new("eu-central-1")
    }
}

fn producer(local: &Local) -> Producer {
    Producer::builder()
        .name("test-producer")
        .service(service_at(local.endpoint()))
        .build()
        .unwrap()
}

fn producer_at(endpoint: &str) -> Producer {
    Producer::builder()
        .name("test-producer")
        .service(service_at(endpoint))
        .build()
        .unwrap()
}

fn definition(name: &str) -> StreamDefinition {
    StreamDefinition {
        stop_timeout: Duration::from_secs(30),
        ..StreamDefinition::new(StreamName::new(name).unwrap())
    }
}

/// A stream that takes frames of `media`.
fn stream(producer: &Producer, definition: StreamDefinition, media: &Media) -> Stream {
    let stream = producer.create_stream(definition).unwrap();
    stream
        .set_tracks(std::slice::from_ref(&media.track))
        .unwrap();
    stream
}

fn put_all(stream: &Stream, frames: Vec<Frame>) {
    for frame in frames {
        stream.put_frame(frame).unwrap();
    }
}

/// In, persisted, dropped, pending.
fn accounts(stats: &Stats) -> [u64; 4] {
    [
        stats.frames_in,
        stats.frames_persisted,
        stats.frames_dropped(),
        stats.frames_pending,
    ]
}

/// Frames with absolute timestamps arrive with these: the service's index has the times of the key frames as they were
/// put, the file has every frame.
#[test]
fn what_was_put_is_what_the_service_has() {
    let local = service();
    let media = Media::test(45, 10);
    let stream = stream(&producer(&local), definition("cam"), &media);
    let frames = media.frames(START_MS);
    put_all(&stream, frames.clone());
    stream.stop().unwrap();
    assert_eq!(accounts(&stream.metrics()), [45, 45, 0, 0]);
    let begins: Vec<_> = frames
        .iter()
        .filter(|frame| frame.key)
        .map(|frame| frame.pts.as_millis_rounded())
        .collect();
    let fragments = local.fragments("cam");
    let indexed: Vec<_> = fragments.iter().map(|f| f.producer_timestamp_ms).collect();
    assert_eq!(indexed, begins);
    assert_eq!(begins.len(), 5);
    let files = local.session_files("cam");
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    stored::assert_readable(file);
    let stored = stored::frames(file);
    assert_eq!(hashes(&stored), media.clip.hashes());
    let times: Vec<_> = stored
        .iter()
        .map(|unit| unit.pts_ms - stored[0].pts_ms)
        .collect();
    let put: Vec<_> = frames
        .iter()
        .map(|frame| frame.pts.as_millis_rounded() - begins[0])
        .collect();
    assert_eq!(times, put);
}

/// Plain threads, one per stream, share a producer; each stream has its own frames.
#[test]
fn several_streams_of_one_producer_are_fed_by_several_threads() {
    let local = service();
    let producer = producer(&local);
    let media = Media::test(40, 10);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (producer, media) = (&producer, &media);
            scope.spawn(move || {
                let stream = stream(producer, definition(&format!("cam{n}")), media);
                put_all(&stream, media.frames(START_MS + n));
                stream.stop().unwrap();
                assert_eq!(accounts(&stream.metrics()), [40, 40, 0, 0], "{n}");
            });
        }
    });
    for n in 0..8 {
        let fragments = local.fragments(&format!("cam{n}"));
        assert_eq!(fragments.iter().map(|f| f.frames).sum::<u32>(), 40, "{n}");
        assert_eq!(fragments[0].producer_timestamp_ms, START_MS + n);
    }
}

/// A stream outlives its producer: it ends well after the producer was dropped.
#[test]
fn a_stream_outlives_its_producer() {
    let local = service();
    let media = Media::test(20, 10);
    let producer = producer(&local);
    let stream = stream(&producer, definition("cam"), &media);
    drop(producer);
    put_all(&stream, media.frames(START_MS));
    stream.stop().unwrap();
    assert_eq!(accounts(&stream.metrics()), [20, 20, 0, 0]);
}

/// An application that runs tokio makes, feeds, drains, stops and drops a stream in its tasks.
#[test]
fn a_stream_is_driven_inside_tokio() {
    let local = service();
    let media = Media::test(20, 10);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let producer = producer(&local);
            let stream = stream(&producer, definition("cam"), &media);
            for frame in media.frames(START_MS) {
                stream.put_frame(frame).unwrap();
                tokio::task::yield_now().await;
            }
            stream.drain().unwrap();
            put_all(&stream, media.frames(START_MS + 10_000));
            stream.stop().unwrap();
            assert_eq!(accounts(&stream.metrics()), [40, 40, 0, 0]);
        });
}

/// `wait_for_room` and `take_frame` are `put_frame` in two steps: the first waits, the second never does.
#[test]
fn a_frame_is_taken_though_there_is_no_room() {
    let port = Reserved::new();
    let dir = tempfile::tempdir().unwrap();
    super::support::init();
    let media = Media::new(Clip::large(90, 10));
    let producer = Producer::builder()
        .name("test-producer")
        .service(service_at(&port.endpoint()))
        .build()
        .unwrap();
    let definition = StreamDefinition {
        streaming_type: StreamingType::Offline,
        storage: 1 << 20,
        ..definition("cam")
    };
    let stream = stream(&producer, definition, &media);
    let frames = media.frames(START_MS);
    let bytes = |frame: &Frame| frame.payload.len() as u64;
    stream.interrupt(true);
    for frame in &frames[..80] {
        stream.wait_for_room(frame.track, bytes(frame), frame.key);
        stream.take_frame(frame.clone()).unwrap();
    }
    let stats = stream.metrics();
    assert_eq!(accounts(&stats), [80, 0, 0, 80]);
    assert!(stats.bytes_buffered > 1 << 20, "{stats}");
    stream.interrupt(false);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            for frame in &frames[80..] {
                stream.wait_for_room(frame.track, bytes(frame), frame.key);
                // Only the second fragment is incomplete: there is room again.
                assert!(stream.metrics().frames_persisted > 0);
                stream.take_frame(frame.clone()).unwrap();
            }
        });
        let local = port.serve(dir.path());
        waiting.join().unwrap();
        stream.stop().unwrap();
        assert_eq!(accounts(&stream.metrics()), [90, 90, 0, 0]);
        let files = local.session_files("cam");
        let [file] = &files[..] else {
            panic!("{files:?}")
        };
        assert_eq!(hashes(&stored::frames(file)), media.clip.hashes());
    });
}

/// Offline, `put_frame` waits for room; `interrupt` gives the frame back, and put again when there is a service, it and
/// all others arrive once and in order.
#[test]
fn offline_waits_for_room_and_an_interrupt_gives_the_frame_back() {
    let port = Reserved::new();
    let dir = tempfile::tempdir().unwrap();
    super::support::init();
    let media = Media::new(Clip::large(90, 10));
    let producer = Producer::builder()
        .name("test-producer")
        .service(service_at(&port.endpoint()))
        .build()
        .unwrap();
    let definition = StreamDefinition {
        streaming_type: StreamingType::Offline,
        storage: 1 << 20,
        ..definition("cam")
    };
    let stream = stream(&producer, definition, &media);
    let mut frames = media.frames(START_MS).into_iter();
    // Nobody waits from the start: a frame that does not fit comes back.
    stream.interrupt(true);
    let back = frames
        .by_ref()
        .find_map(|frame| match stream.put_frame(frame) {
            Ok(()) => None,
            Err(PutError::Interrupted(frame)) => Some(frame),
            Err(error) => panic!("{error}"),
        });
    let back = back.expect("90 frames of this size do not fit into 1 MiB");
    let [taken, _, dropped, pending] = accounts(&stream.metrics());
    assert_eq!(
        (pending, dropped),
        (taken, 0),
        "what came back is not counted"
    );
    stream.interrupt(false);
    std::thread::scope(|scope| {
        // An interrupt ends a wait that is under way. The waiter may come to its wait only after it, hence again.
        let waiting = scope.spawn(|| stream.put_frame(back));
        while !waiting.is_finished() {
            stream.interrupt(true);
            std::thread::yield_now();
            stream.interrupt(false);
        }
        let Err(PutError::Interrupted(back)) = waiting.join().unwrap() else {
            panic!("there is no room")
        };
        let waiting = scope.spawn(|| {
            stream.put_frame(back)?;
            frames.try_for_each(|frame| stream.put_frame(frame))
        });
        let local = port.serve(dir.path());
        waiting.join().unwrap().unwrap();
        stream.stop().unwrap();
        assert_eq!(accounts(&stream.metrics()), [90, 90, 0, 0]);
        let files = local.session_files("cam");
        let [file] = &files[..] else {
            panic!("{files:?}")
        };
        assert_eq!(hashes(&stored::frames(file)), media.clip.hashes());
    });
}
