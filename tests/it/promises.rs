//! The promises of docs/semantics.md that no other test carries; and that each of them has its tests.

mod documented;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use gst::prelude::*;
use proptest::{prelude::*, sample::Index};
use test_case::test_case;

use super::support::{
    accounts,
    bus::{self, is_warning},
    feed::{Clip, Fed},
    log::{Lines, eventually},
    port::Reserved,
    properties, service, service_with, stored,
};

/// Storage of 1 MiB, which every test here fills.
const STORAGE: usize = 1 << 20;

/// Every frame that was taken is PERSISTED by the service, or counted as dropped under one reason and announced: with media
/// that is wrong in several ways, more of it than the store holds, and a service that comes late. The accounts add up
/// whenever somebody looks, also while they change.
#[test]
fn every_frame_is_accounted_for_at_any_moment() {
    let port = Reserved::new();
    let dir = tempfile::tempdir().unwrap();
    let clip = Clip::large(150, 10);
    let properties = format!("stream-name=cam storage-size=1 {}", port.properties());
    let mut fed = Fed::playing(&properties, &clip);
    let done = AtomicBool::new(false);
    let sink = fed.pipeline.element("sink");
    let local = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut looks = 0_u64;
            while !done.load(Ordering::Relaxed) {
                let stats: gst::Structure = sink.property("stats");
                let [frames, persisted, dropped, pending] = accounts(&stats);
                assert_eq!(frames, persisted + dropped + pending, "{stats}");
                looks += 1;
            }
            looks
        });
        let feeding = scope.spawn(|| {
            // It begins in the middle of a group of pictures.
            fed.put_all(&clip.buffers[5..100]);
            let mut bare = gst::Buffer::from_slice([0, 0, 0, 1, 0x41]);
            fed.put(&bare).unwrap();
            bare.make_mut().set_pts(gst::ClockTime::ZERO);
            fed.put(&bare).unwrap();
            let mut empty = clip.buffers[101].copy();
            empty.get_mut().unwrap().remove_all_memory();
            fed.put(&empty).unwrap();
            fed.until(is_warning);
            let local = port.serve(dir.path());
            fed.put_all(&clip.buffers[100..]);
            fed.finish();
            local
        });
        let local = feeding.join();
        done.store(true, Ordering::Relaxed);
        assert!(watching.join().unwrap() > 0);
        local.unwrap()
    });
    let stats = fed.stats();
    let [frames, persisted, dropped, pending] = accounts(&stats);
    assert_eq!((frames, pending), (148, 0), "{stats}");
    let by_reason = stats.get::<gst::Structure>("dropped").unwrap();
    let mut sum = 0;
    for (reason, count) in by_reason.iter() {
        let count: u64 = count.get().unwrap();
        assert_eq!(fed.heard.dropped(reason), count, "{reason}: {stats}");
        sum += count;
    }
    assert_eq!(sum, dropped, "{stats}");
    for reason in ["no-key-frame", "malformed", "storage"] {
        assert!(
            by_reason.get::<u64>(reason).unwrap() > 0,
            "{reason}: {stats}"
        );
    }
    let stored: usize = local
        .session_files("cam")
        .iter()
        .map(|file| stored::frames(file).len())
        .sum();
    assert_eq!(stored as u64, persisted, "{stats}");
}

/// The bytes of a frame, counted as long as anybody holds them.
struct Counted {
    bytes: Vec<u8>,
    held: Arc<AtomicUsize>,
}

impl Counted {
    /// The same frame, with bytes that count.
    fn copy(buffer: &gst::Buffer, held: &Arc<AtomicUsize>) -> gst::Buffer {
        let bytes = buffer.map_readable().unwrap().to_vec();
        held.fetch_add(bytes.len(), Ordering::SeqCst);
        let held = Arc::clone(held);
        let mut counted = gst::Buffer::from_slice(Self { bytes, held });
        let flags = gst::BufferCopyFlags::FLAGS | gst::BufferCopyFlags::TIMESTAMPS;
        buffer
            .copy_into(counted.get_mut().unwrap(), flags, ..)
            .unwrap();
        counted
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes.len(), Ordering::SeqCst);
    }
}

/// Memory is bounded by the storage, offline by it and one fragment: counted by the media themselves, which are dropped
/// when nobody holds them, not by the element. Without a server; and nothing is held when one has come, and all was sent.
#[test_case("realtime")]
#[test_case("near-realtime")]
#[test_case("offline")]
fn memory_is_bounded(streaming_type: &str) {
    let port = Reserved::new();
    let dir = tempfile::tempdir().unwrap();
    let clip = Clip::large(90, 10);
    let group = |frames: &[gst::Buffer]| frames.iter().map(|buffer| buffer.size()).sum::<usize>();
    let fragment = clip.buffers.chunks(10).map(group).max().unwrap();
    assert!(group(&clip.buffers) > 2 * STORAGE);
    let held = Arc::new(AtomicUsize::new(0));
    let properties = format!(
        "stream-name=cam storage-size=1 streaming-type={streaming_type} {}",
        port.properties()
    );
    let mut fed = Fed::playing(&properties, &clip);
    let limit = STORAGE
        + if streaming_type == "offline" {
            fragment
        } else {
            0
        };
    let most = AtomicUsize::new(0);
    let local = std::thread::scope(|scope| {
        let putting = scope.spawn(|| {
            for buffer in &clip.buffers {
                fed.put(&Counted::copy(buffer, &held)).unwrap();
                let now = held.load(Ordering::SeqCst);
                assert!(now <= limit, "{now} bytes are held, {limit} allowed");
                most.fetch_max(now, Ordering::SeqCst);
            }
        });
        // Offline it waits when a quarter was not sent.
        let enough = if streaming_type == "offline" {
            STORAGE / 4
        } else {
            STORAGE / 2
        };
        let kept = eventually(|| most.load(Ordering::SeqCst) > enough);
        assert!(kept, "{most:?} bytes at most: nothing was kept");
        if streaming_type != "offline" {
            putting.join().unwrap();
        }
        // Waits for those that put.
        port.serve(dir.path())
    });
    fed.finish();
    assert_eq!(held.load(Ordering::SeqCst), 0, "all is given back");
    let [frames, persisted, dropped, pending] = accounts(&fed.stats());
    assert_eq!((frames, pending), (90, 0));
    assert!(!local.fragments("cam").is_empty());
    assert_eq!(
        dropped > 0,
        streaming_type != "offline",
        "{persisted} persisted"
    );
}

/// No secret is in a log line, a message, the numbers or a picture of the pipeline when all goes well, with a session token
/// and through an outage: what the service checks is right, so it was there. (Errors have a test of their own.)
#[test]
fn no_secret_gets_out_when_all_goes_well() {
    const SECRETS: [&str; 3] = ["AKIDHUSH", "hush-secret", "hush-token"];
    let local = service_with(|options| {
        let [access_key, secret_key, token] = SECRETS.map(str::to_owned);
        options.access_key = access_key;
        options.secret_key = secret_key;
        options.session_token = Some(token);
        // Another connection after a second.
        options.max_connection = Duration::from_secs(1);
    });
    let lines = Lines::listen();
    let clip = Clip::test(30, 10);
    let [access_key, secret_key, token] = SECRETS;
    let mut fed = Fed::playing(
        &format!(
            "stream-name=cam {} access-key={access_key} secret-key={secret_key} session-token={token}",
            properties(&local)
        ),
        &clip,
    );
    fed.put_all(&clip.buffers);
    fed.until(is_warning);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [30, 30, 0, 0]);
    let mut said = lines.so_far();
    assert!(
        said.iter().any(|line| line.contains("ack PERSISTED")),
        "{said:?}"
    );
    said.extend(fed.heard.0.iter().map(|message| bus::text(message)));
    said.push(fed.stats().to_string());
    let all = gst::DebugGraphDetails::VERBOSE;
    said.push(fed.pipeline.0.debug_to_dot_data(all).to_string());
    for text in &said {
        // The access key is the public half; it is not shown either.
        let secret = SECRETS.iter().find(|secret| text.contains(**secret));
        assert_eq!(secret, None, "{text}");
    }
}

/// What may come to a sink.
#[derive(Clone, Debug)]
enum Arrival {
    Caps(Vec<u8>, i32, String),
    Frame(Index),
    Bytes(Vec<u8>, Option<u64>, Option<u64>, bool),
    Damaged(Index, Index, u8),
    Flush,
    Segment(u64, f64),
    OtherSegment,
    Gap(u64),
    Unknown(String),
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        (bytes(), any::<i32>(), ".{0,8}").prop_map(|(a, b, c)| Arrival::Caps(
            a,
            b,
            c.replace('\0', "")
        )),
        any::<Index>().prop_map(Arrival::Frame),
        (
            bytes(),
            any::<Option<u64>>(),
            any::<Option<u64>>(),
            any::<bool>()
        )
            .prop_map(|(a, b, c, d)| Arrival::Bytes(a, b, c, d)),
        (any::<Index>(), any::<Index>(), any::<u8>())
            .prop_map(|(a, b, c)| Arrival::Damaged(a, b, c)),
        Just(Arrival::Flush),
        (
            any::<u64>(),
            prop_oneof![Just(1.0), Just(-1.0), Just(1000.0)]
        )
            .prop_map(|(a, b)| Arrival::Segment(a, b)),
        Just(Arrival::OtherSegment),
        any::<u64>().prop_map(Arrival::Gap),
        "[a-z]{1,8}".prop_map(Arrival::Unknown),
    ]
}

/// Clock times below that which stands for none.
fn time(ns: u64) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(ns.min(u64::MAX - 1))
}

fn arrive(fed: &Fed, clip: &Clip, arrival: Arrival) {
    let frame = |at: Index| at.get(&clip.buffers);
    // Whether it is taken does not matter here.
    match arrival {
        Arrival::Caps(codec_data, width, name) => {
            let caps = gst::Caps::builder("video/x-h264")
                .field("stream-format", "avc")
                .field("alignment", "au")
                .field("width", width)
                .field("height", width)
                .field("codec_data", gst::Buffer::from_slice(codec_data))
                .field("title", name)
                .build();
            fed.event(gst::event::Caps::new(&caps));
            // Those that can be sent, again.
            fed.event(gst::event::Caps::new(&clip.caps()));
        }
        Arrival::Frame(at) => {
            let _ = fed.put(frame(at));
        }
        Arrival::Bytes(bytes, pts, dts, delta) => {
            let mut buffer = gst::Buffer::from_slice(bytes);
            let inside = buffer.get_mut().unwrap();
            inside.set_pts(pts.map(time));
            inside.set_dts(dts.map(time));
            if delta {
                inside.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
            let _ = fed.put(&buffer);
        }
        Arrival::Damaged(at, place, with) => {
            let mut buffer = frame(at).copy_deep().unwrap();
            let inside = buffer.get_mut().unwrap();
            let mut bytes = inside.map_writable().unwrap();
            *place.get_mut(&mut bytes) = with;
            drop(bytes);
            let _ = fed.put(&buffer);
        }
        Arrival::Flush => {
            fed.event(gst::event::FlushStart::new());
            fed.event(gst::event::FlushStop::new(true));
            fed.event(clip.segment_at(gst::ClockTime::ZERO));
        }
        Arrival::Segment(at, rate) => {
            let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
            if rate > 0.0 {
                segment.set_start(time(at));
            } else {
                // Backwards from there; without an end BaseSink itself complains.
                segment.set_stop(time(at));
            }
            segment.set_base(time(at / 2));
            segment.set_rate(rate);
            fed.event(gst::event::Segment::new(&segment));
        }
        Arrival::OtherSegment => {
            let segment = gst::FormattedSegment::<gst::format::Bytes>::new();
            fed.event(gst::event::Segment::new(&segment));
        }
        Arrival::Gap(at) => {
            fed.event(gst::event::Gap::builder(time(at)).build());
        }
        Arrival::Unknown(name) => {
            let said = gst::Structure::new_empty(name);
            fed.event(gst::event::CustomDownstream::new(said));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing that arrives can panic the process: random buffers, damaged frames, caps, segments and other events in any
    /// order. No panic is caught either, the accounts add up at the end, and NULL returns.
    #[test]
    fn nothing_that_comes_to_the_sink_panics(arrivals in proptest::collection::vec(arrival(), 1..40)) {
        let local = service();
        let clip = Clip::test(20, 5);
        let mut fed = Fed::playing(&format!("stream-name=cam {} stop-stream-timeout=1", properties(&local)), &clip);
        for arrival in arrivals {
            arrive(&fed, &clip, arrival);
        }
        fed.heard.stop(&fed.pipeline);
        let [frames, persisted, dropped, pending] = accounts(&fed.stats());
        prop_assert_eq!((frames, pending), (persisted + dropped, 0));
        for message in &fed.heard.0 {
            let text = bus::text(message);
            prop_assert!(!text.to_lowercase().contains("panic"), "{}", text);
        }
    }
}
