//! The core alone: what a frame costs before any socket. `cargo bench --no-default-features --features internals`.
//!
//! The media is a camera of 8 Mbit/s: 25 frames of 40 kB a second, a key frame of 120 kB every two seconds. A payload is
//! shared, never copied, so `mux`, `store` and `session` do not depend on its length: their bytes a second are those of
//! the media that they carry.

#![allow(missing_docs, reason = "what criterion's macros make")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gstkvssink::internals::{
    self, Kept,
    definition::{StreamDefinition, StreamName},
    media::{Codec, Format, Frame, Hints, Reframer, Track, TrackNumber},
    mkv,
    session::{Call, Described, Input, Output, Session},
    time::{Mono, Timecode, Timestamp},
};

const GOP: u64 = 50;
const FRAME_MS: u64 = 40;
const KEY_BYTES: usize = 120_000;
const FRAME_BYTES: usize = 40_000;
/// Wall-clock time of the first frame.
const EPOCH_MS: u64 = 1_700_000_000_000;
/// High profile, with its parameter sets before each key frame.
const CLIP: &[u8] = include_bytes!("../src/media/fixtures/high.h264");
const AVCC: &[u8] = include_bytes!("../src/media/fixtures/high.avcC");

fn track() -> Track {
    Track::video(Codec::H264, Bytes::from_static(AVCC), 178, 98).expect("the fixture is valid")
}

/// What is no start code, nowhere, and no easier to look through than a picture.
fn picture(len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut bytes: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
    for n in 1..len {
        if bytes[n - 1] == 0 && bytes[n] == 0 {
            bytes[n] = 0xFF;
        }
    }
    bytes
}

/// The frames of a GOP, each a NAL unit.
fn payloads() -> Vec<Bytes> {
    let of = |bytes: usize| {
        let mut payload = picture(bytes);
        let unit = u32::try_from(bytes - 4).expect("it is short");
        payload[..4].copy_from_slice(&unit.to_be_bytes());
        payload[4] = 0x41;
        Bytes::from(payload)
    };
    let (key, other) = (of(KEY_BYTES), of(FRAME_BYTES));
    let others = std::iter::repeat_n(other, GOP as usize - 1);
    std::iter::once(key).chain(others).collect()
}

fn media_bytes(payloads: &[Bytes]) -> u64 {
    payloads.iter().map(|payload| payload.len() as u64).sum()
}

fn mux(c: &mut Criterion) {
    let payloads = payloads();
    let mut group = c.benchmark_group("mux");
    group.throughput(Throughput::Bytes(media_bytes(&payloads)));
    let mut heads = bytes::BytesMut::new();
    group.bench_function("fragment of 50 frames", |b| {
        b.iter(|| {
            let timecode = Timecode::from_millis(black_box(EPOCH_MS));
            mkv::push_cluster_header(&mut heads, timecode);
            for (payload, n) in payloads.iter().zip(0..) {
                let (at_ms, length) = (n * FRAME_MS as i16, payload.len());
                mkv::push_simple_block_header(
                    &mut heads,
                    TrackNumber::VIDEO,
                    at_ms,
                    n == 0,
                    length,
                );
                black_box(heads.split());
            }
        });
    });
    let track = track();
    group.throughput(Throughput::Elements(1));
    group.bench_function("stream header", |b| {
        b.iter(|| mkv::stream_header(std::slice::from_ref(black_box(&track))));
    });
    group.finish();
}

fn store(c: &mut Criterion) {
    let payloads = payloads();
    let mut group = c.benchmark_group("store");
    group.throughput(Throughput::Elements(GOP));
    let mut kept = Kept::new(track());
    let mut timecode = EPOCH_MS;
    group.bench_function("push, send and settle a fragment of 50 frames", |b| {
        b.iter(|| {
            kept.begin(timecode);
            timecode += GOP * FRAME_MS;
            for payload in &payloads {
                kept.push(payload.clone());
                while let Some(chunk) = kept.next_chunk() {
                    black_box(chunk);
                }
            }
            kept.persisted()
        });
    });
    group.finish();
}

fn ack_parser(c: &mut Criterion) {
    let number = "91343852333181432392682062607743920146264462853";
    let text: String = (0..1000)
        .flat_map(|n| {
            let timecode = EPOCH_MS + n * GOP * FRAME_MS;
            ["BUFFERING", "RECEIVED", "PERSISTED"].map(|kind| {
                format!(
                    "{{\"EventType\":\"{kind}\",\"FragmentTimecode\":{timecode},\"FragmentNumber\":\"{number}\"}}\n"
                )
            })
        })
        .collect();
    let mut group = c.benchmark_group("acks");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("one in a piece", |b| {
        b.iter(|| {
            let pieces = text.split_inclusive('\n').map(str::as_bytes);
            let read = internals::acks(pieces);
            assert_eq!((read.acks.len(), read.wrong_at), (3000, None));
        });
    });
    group.bench_function("in pieces of 100 bytes", |b| {
        b.iter(|| {
            let read = internals::acks(text.as_bytes().chunks(100));
            assert_eq!((read.acks.len(), read.wrong_at), (3000, None));
        });
    });
    group.finish();
}

/// A session that streams: all that is asked of it was answered.
fn streaming() -> Session {
    let name = StreamName::new("cam").expect("it is a name");
    let mut session = Session::new(StreamDefinition::new(name), 7);
    session.set_tracks(&[track()]).expect("it is one track");
    let frame = frame(0, &Bytes::from_static(&[0, 0, 0, 1, 0x65]));
    session.put_frame(Mono::ZERO, frame).expect("it is begun");
    loop {
        let answer = match session.poll(Mono::ZERO) {
            Output::Call(Call::Describe) => Input::Described(Described::active(
                StreamDefinition::new(StreamName::new("cam").expect("a name")).retention,
            )),
            Output::Call(call) => Input::Done(call),
            Output::Open { .. } => {
                session.handle(Mono::ZERO, Input::Opened { until: None });
                while session.transmit(Mono::ZERO).is_some() {}
                return session;
            }
            Output::Wait { why, .. } => panic!("it waits for {why}"),
            _ => continue,
        };
        session.handle(Mono::ZERO, answer);
    }
}

fn frame(n: u64, payload: &Bytes) -> Frame {
    Frame {
        track: TrackNumber::VIDEO,
        pts: Timestamp::from_millis(EPOCH_MS + n * FRAME_MS),
        dts: None,
        key: n.is_multiple_of(GOP),
        payload: payload.clone(),
    }
}

fn session(c: &mut Criterion) {
    let payloads = payloads();
    let mut group = c.benchmark_group("session");
    group.throughput(Throughput::Elements(GOP));
    group.bench_function("put, send and settle a fragment of 50 frames", |b| {
        let mut session = streaming();
        // The fragment of the first frame ends with the first one here.
        let mut n = GOP;
        b.iter(|| {
            let before = n - GOP;
            // A millisecond for a fragment, or the connection would be too old before the benchmark is over.
            let now = Mono::from_millis(n / GOP);
            for payload in &payloads {
                session.put_frame(now, frame(n, payload)).expect("it goes on");
                n += 1;
                while !matches!(session.poll(now), Output::Wait { .. }) {}
                while let Some(chunk) = session.transmit(now) {
                    black_box(chunk);
                }
            }
            // All of the fragment before was there when this one began.
            let timecode = EPOCH_MS + before * FRAME_MS;
            for kind in ["BUFFERING", "RECEIVED", "PERSISTED"] {
                let ack = format!(
                    "{{\"EventType\":\"{kind}\",\"FragmentTimecode\":{timecode},\"FragmentNumber\":\"91\"}}\n"
                );
                session.handle(now, Input::Response(ack.as_bytes()));
            }
        });
        let stats = session.stats(Mono::ZERO);
        assert_eq!(stats.fragments_pending, 1, "{stats:?}");
    });
    group.finish();
}

fn reframe(c: &mut Criterion) {
    // A key frame as long as a camera's: the fixture, whose slice goes on.
    let mut key = CLIP.to_vec();
    key.extend(picture(KEY_BYTES));
    let key = Bytes::from(key);
    let mut other = vec![0, 0, 0, 1, 0x41, 0x9A];
    other.extend(picture(FRAME_BYTES));
    let other = Bytes::from(other);
    let mut group = c.benchmark_group("reframe");
    let bytes = key.len() + (GOP as usize - 1) * other.len();
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("byte-stream to avc, 50 access units", |b| {
        let new = || {
            Reframer::new(Format::H264ByteStream, None, Hints::default())
                .expect("the format needs nothing")
        };
        b.iter_batched_ref(
            new,
            |reframer| {
                let taken = reframer.take(key.clone(), true).expect("a key frame");
                assert!(taken.track.is_some() && !taken.frames.is_empty());
                for _ in 1..GOP {
                    black_box(reframer.take(other.clone(), false).expect("a frame"));
                }
            },
            BatchSize::SmallInput,
        );
    });
    // For comparison, what cannot be less: one copy.
    group.bench_function("one copy of the same", |b| {
        b.iter(|| {
            black_box(key.to_vec());
            for _ in 1..GOP {
                black_box(other.to_vec());
            }
        });
    });
    group.finish();
}

fn settings() -> Criterion {
    Criterion::default().sample_size(30)
}

criterion_group! {
    name = core;
    config = settings();
    targets = mux, store, ack_parser, session, reframe
}
criterion_main!(core);
