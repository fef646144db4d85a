//! What an application is told, in which order, and what it may do meanwhile.

use std::sync::OnceLock;

use super::*;

/// Writes down what was told, in order.
#[derive(Default)]
struct Diary(Mutex<Vec<Told>>);

#[derive(Clone, Debug, PartialEq)]
enum Told {
    Ready,
    Ack(AckKind, Option<u64>),
    Lost,
    Dropped(DropReason, u64),
    KeyFrameNeeded,
    Error(u64),
    Closed([u64; 4]),
}

impl Diary {
    fn write(&self, told: Told) {
        self.0.lock().unwrap().push(told);
    }

    fn read(&self) -> Vec<Told> {
        self.0.lock().unwrap().clone()
    }
}

impl StreamCallbacks for Diary {
    fn ready(&self) {
        self.write(Told::Ready);
    }

    fn ack(&self, ack: &Ack) {
        let timecode = ack.timecode.map(|timecode| timecode.as_millis());
        self.write(Told::Ack(ack.kind, timecode));
    }

    fn connection_lost(&self, _: &Failure) {
        self.write(Told::Lost);
    }

    fn frames_dropped(&self, reason: DropReason, frames: u64, _: Timestamp, _: Timestamp) {
        self.write(Told::Dropped(reason, frames));
    }

    fn key_frame_needed(&self) {
        self.write(Told::KeyFrameNeeded);
    }

    fn error(&self, error: &StreamError) {
        self.write(Told::Error(error.missing));
    }

    fn closed(&self, stats: &Stats) {
        self.write(Told::Closed(accounts(stats)));
    }
}

fn told_stream(producer: &Producer, diary: &Arc<Diary>, media: &Media) -> Stream {
    let callbacks = Arc::clone(diary);
    let definition = StreamDefinition {
        stop_timeout: Duration::from_secs(1),
        ..definition("cam")
    };
    let stream = producer.create_stream_with(definition, callbacks).unwrap();
    stream
        .set_tracks(std::slice::from_ref(&media.track))
        .unwrap();
    stream
}

/// Ready comes first and once, then the acks of each fragment in the order of the service, and closed comes last, before
/// `stop` returns.
#[test]
fn ready_comes_first_then_acks_then_closed() {
    let local = service();
    let media = Media::test(30, 10);
    let diary = Arc::new(Diary::default());
    let stream = told_stream(&producer(&local), &diary, &media);
    put_all(&stream, media.frames(START_MS));
    stream.stop_within(PATIENCE).unwrap();
    let told = diary.read();
    assert_eq!(told.first(), Some(&Told::Ready));
    assert_eq!(told.last(), Some(&Told::Closed([30, 30, 0, 0])));
    let acks = &told[1..told.len() - 1];
    for timecode in local.fragments("cam").iter().map(|f| f.timecode_ms) {
        let of_it: Vec<_> = acks
            .iter()
            .filter_map(|told| match told {
                Told::Ack(kind, Some(at)) if *at == timecode => Some(*kind),
                _ => None,
            })
            .collect();
        assert_eq!(
            of_it,
            [AckKind::Buffering, AckKind::Received, AckKind::Persisted],
            "{timecode}"
        );
    }
    assert!(
        acks.iter().all(|told| matches!(told, Told::Ack(..))),
        "{told:?}"
    );
}

/// Without a service: one loss of the connection, what is missing as an error, and closed last, all before `stop` returns.
#[test]
fn an_error_comes_once_and_closed_after_it() {
    let port = Reserved::new();
    let media = Media::test(30, 10);
    let diary = Arc::new(Diary::default());
    let producer = Producer::builder()
        .name("test-producer")
        .service(service_at(&port.endpoint()))
        .build()
        .unwrap();
    let stream = told_stream(&producer, &diary, &media);
    put_all(&stream, media.frames(START_MS));
    assert!(
        eventually(|| diary.read() == [Told::Lost]),
        "{:?}",
        diary.read()
    );
    let error = stream.stop().unwrap_err();
    assert_eq!(error.missing, 30);
    let told = diary.read();
    assert_eq!(
        told,
        [
            Told::Lost,
            Told::Dropped(DropReason::Unfinished, 30),
            Told::Error(30),
            Told::Closed([30, 0, 30, 0])
        ]
    );
}

/// A frame that has no key frame before it is told once, with the wish for one; those that follow are told together.
#[test]
fn a_missing_key_frame_is_asked_for_once() {
    let local = service();
    let media = Media::test(20, 10);
    let diary = Arc::new(Diary::default());
    let stream = told_stream(&producer(&local), &diary, &media);
    put_all(&stream, media.frames(START_MS).split_off(1));
    stream.stop_within(PATIENCE).unwrap();
    let told = diary.read();
    let count = |told: &[Told], what: fn(&Told) -> bool| told.iter().filter(|t| what(t)).count();
    assert_eq!(
        count(&told, |told| *told == Told::KeyFrameNeeded),
        1,
        "{told:?}"
    );
    let dropped: u64 = told
        .iter()
        .map(|told| match told {
            Told::Dropped(DropReason::NoKeyFrame, frames) => *frames,
            _ => 0,
        })
        .sum();
    assert_eq!(dropped, 9, "{told:?}");
    assert_eq!(told.last(), Some(&Told::Closed([19, 10, 9, 0])));
}

/// Stops its own stream, and asks everything else of it, when it is told that the stream is ready.
#[derive(Default)]
struct Meddler {
    stream: OnceLock<Arc<Stream>>,
    closed: Mutex<Option<[u64; 4]>>,
}

impl StreamCallbacks for Meddler {
    fn ack(&self, ack: &Ack) {
        if ack.kind != AckKind::Persisted {
            return;
        }
        let stream = self.stream.wait();
        stream.drain().unwrap_err();
        stream.metrics();
        // It asks for the end, and does not wait for what only this thread can do.
        stream.stop().unwrap();
        stream.drain().unwrap_err();
    }

    fn closed(&self, stats: &Stats) {
        *self.closed.lock().unwrap() = Some(accounts(stats));
    }
}

/// A callback that stops its stream does not wait for itself: the stream ends, and what was put arrives.
#[test]
fn a_callback_may_stop_its_stream() {
    let local = service();
    let media = Media::test(30, 10);
    let meddler = Arc::new(Meddler::default());
    let callbacks = Arc::clone(&meddler);
    let stream = producer(&local).create_stream_with(definition("cam"), callbacks);
    let stream = Arc::new(stream.unwrap());
    stream
        .set_tracks(std::slice::from_ref(&media.track))
        .unwrap();
    put_all(&stream, media.frames(START_MS));
    let _ = meddler.stream.set(Arc::clone(&stream));
    // The second fragment tells the service that the first is over; the stop in its ack ends the rest.
    stream.stop_within(PATIENCE).unwrap();
    assert_eq!(*meddler.closed.lock().unwrap(), Some([30, 30, 0, 0]));
}
