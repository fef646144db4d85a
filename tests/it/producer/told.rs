//! What is told and has no other test: a rest, fragments that are dropped; and that callbacks are not kept.

use std::sync::Weak;

use gstkvssink::producer::{ClientCallbacks, ServiceCallbacks, Timecode};

use super::*;

/// Writes down what rests and what is dropped.
#[derive(Default)]
struct Told {
    rests: Mutex<u64>,
    fragments: Mutex<Vec<(Timecode, DropReason, u64)>>,
    frames: Mutex<u64>,
}

impl StreamCallbacks for Told {
    fn underflow(&self) {
        *self.rests.lock().unwrap() += 1;
    }

    fn fragment_dropped(&self, timecode: Timecode, reason: DropReason, frames: u64) {
        let mut fragments = self.fragments.lock().unwrap();
        fragments.push((timecode, reason, frames));
    }

    fn frames_dropped(&self, _: DropReason, frames: u64, _: Timestamp, _: Timestamp) {
        *self.frames.lock().unwrap() += frames;
    }
}

fn told_stream(producer: &Producer, told: &Arc<Told>, media: &Media) -> Stream {
    let callbacks: Arc<Told> = Arc::clone(told);
    let stream = producer.create_stream_with(definition("cam"), callbacks);
    let stream = stream.unwrap();
    stream
        .set_tracks(std::slice::from_ref(&media.track))
        .unwrap();
    stream
}

/// A stream that gives nothing for ten seconds has all of it PERSISTED meanwhile, says so once, and goes on in another
/// session.
#[test]
fn a_stream_that_rests_is_told_once() {
    let local = service();
    let media = Media::test(20, 10);
    let told = Arc::new(Told::default());
    let stream = told_stream(&producer(&local), &told, &media);
    put_all(&stream, media.frames(START_MS));
    assert!(eventually(|| *told.rests.lock().unwrap() == 1));
    let is_persisted = || accounts(&stream.metrics()) == [20, 20, 0, 0];
    assert!(eventually(is_persisted), "{}", stream.metrics());
    put_all(&stream, media.frames(START_MS + 20_000));
    stream.stop().unwrap();
    assert_eq!(accounts(&stream.metrics()), [40, 40, 0, 0]);
    assert_eq!(local.session_files("cam").len(), 2);
    assert_eq!(*told.rests.lock().unwrap(), 1);
}

/// Without a service the storage fills: each fragment that is dropped is told, the oldest first, with all of its frames; at
/// the end what is left.
#[test]
fn each_fragment_that_is_dropped_is_told() {
    let port = Reserved::new();
    super::super::support::init();
    let media = Media::new(Clip::large(90, 10));
    let producer = Producer::builder()
        .service(service_at(&port.endpoint()))
        .storage(1 << 20)
        .build()
        .unwrap();
    let told = Arc::new(Told::default());
    let stream = told_stream(&producer, &told, &media);
    let frames = media.frames(START_MS);
    put_all(&stream, frames.clone());
    stream.stop_now().unwrap_err();
    let fragments = told.fragments.lock().unwrap().clone();
    let begins = frames.iter().filter(|frame| frame.key);
    let begins: Vec<_> = begins.map(|frame| frame.pts.timecode()).collect();
    let timecodes: Vec<_> = fragments.iter().map(|(timecode, ..)| *timecode).collect();
    assert_eq!(timecodes, begins);
    assert!(fragments.iter().all(|(.., frames)| *frames == 10));
    let reasons: Vec<_> = fragments.iter().map(|(_, reason, _)| *reason).collect();
    let live = reasons
        .iter()
        .position(|reason| *reason == DropReason::Unfinished);
    assert!(live.is_some_and(|at| at > 0), "{reasons:?}");
    let (dropped, left) = reasons.split_at(live.unwrap());
    assert!(dropped.iter().all(|reason| *reason == DropReason::Storage));
    assert!(left.iter().all(|reason| *reason == DropReason::Unfinished));
    assert_eq!(*told.frames.lock().unwrap(), 90);
    assert_eq!(accounts(&stream.metrics()), [90, 0, 90, 0]);
    assert_eq!(stream.metrics().fragments_dropped, 9);
}

/// Whatever was given to a producer and a stream is dropped when both are gone, and not before.
#[test]
fn callbacks_are_dropped_with_what_they_are_of() {
    struct Given;
    impl ServiceCallbacks for Given {}
    impl ClientCallbacks for Given {}
    impl StreamCallbacks for Given {}

    let local = service();
    let [networking, client, callbacks] = [(); 3].map(|()| Arc::new(Given));
    let given = [&networking, &client, &callbacks].map(Arc::downgrade);
    let are_there =
        |given: &[Weak<Given>]| given.iter().filter(|one| one.strong_count() > 0).count();
    let producer = Producer::builder()
        .service(service_at(local.endpoint()))
        .service_callbacks(networking)
        .client_callbacks(client)
        .build()
        .unwrap();
    let definition = StreamDefinition {
        content_type: Some("video/h264".into()),
        ..definition("cam")
    };
    let stream = producer.create_stream_with(definition, callbacks).unwrap();
    drop(producer);
    stream.wait_ready(PATIENCE).unwrap();
    assert_eq!(are_there(&given), 3);
    stream.stop().unwrap();
    drop(stream);
    assert!(eventually(|| are_there(&given) == 0));
}
