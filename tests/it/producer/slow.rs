//! Callbacks that are slow, block, or panic: the upload goes on.

use std::sync::mpsc;

use super::*;

/// Calls that were left out, and that panicked.
fn troubles(stream: &Stream) -> (u64, u64) {
    let stats = stream.metrics();
    (stats.callbacks_left_out, stats.callbacks_panicked)
}

/// A stream with these callbacks, and all of `media` put.
fn fed(local: &Local, callbacks: Arc<dyn StreamCallbacks>, media: &Media) -> Stream {
    let stream = producer(local).create_stream_with(definition("cam"), callbacks);
    let stream = stream.unwrap();
    stream
        .set_tracks(std::slice::from_ref(&media.track))
        .unwrap();
    put_all(&stream, media.frames(START_MS));
    stream
}

/// Blocks in its first ack, until it is let go.
struct Slow {
    let_go: Mutex<Option<mpsc::Receiver<()>>>,
    told: Mutex<Vec<&'static str>>,
}

impl Slow {
    fn new() -> (Arc<Self>, mpsc::Sender<()>) {
        let (let_go, receiver) = mpsc::channel();
        let slow = Self {
            let_go: Mutex::new(Some(receiver)),
            told: Mutex::default(),
        };
        (Arc::new(slow), let_go)
    }

    fn told(&self) -> Vec<&'static str> {
        self.told.lock().unwrap().clone()
    }
}

impl StreamCallbacks for Slow {
    fn ack(&self, _: &Ack) {
        let let_go = self.let_go.lock().unwrap().take();
        if let Some(let_go) = let_go {
            // The test may have ended.
            let _ = let_go.recv();
        }
        self.told.lock().unwrap().push("ack");
    }

    fn closed(&self, _: &Stats) {
        self.told.lock().unwrap().push("closed");
    }
}

/// While a callback blocks, frames are taken, sent and PERSISTED; when it is let go, the others follow in order, and closed
/// is the last, before `stop` returns.
#[test]
fn a_callback_that_blocks_delays_no_upload() {
    let local = service();
    let media = Media::test(40, 10);
    let (slow, let_go) = Slow::new();
    let callbacks: Arc<Slow> = Arc::clone(&slow);
    let stream = fed(&local, callbacks, &media);
    stream.end_fragment();
    assert!(eventually(|| stream.metrics().frames_persisted >= 30));
    assert!(slow.told().is_empty(), "the first ack is still being told");
    let_go.send(()).unwrap();
    stream.stop().unwrap();
    let told = slow.told();
    // BUFFERING, RECEIVED and PERSISTED of four fragments.
    assert_eq!(told.len(), 13, "{told:?}");
    assert_eq!(told.last(), Some(&"closed"));
    assert_eq!(troubles(&stream), (0, 0));
}

/// A callback that never returns delays `stop` by a moment only: what was put is PERSISTED, and that is what it says.
#[test]
fn stop_does_not_wait_for_a_callback_that_never_returns() {
    let local = service();
    let media = Media::test(40, 10);
    let (slow, _never) = Slow::new();
    let stream = fed(&local, slow, &media);
    stream.stop().unwrap();
    assert_eq!(accounts(&stream.metrics()), [40, 40, 0, 0]);
}

/// Nor does a drain: everything is PERSISTED, and that is what it says.
#[test]
fn a_drain_does_not_wait_for_a_callback_that_never_returns() {
    let local = service();
    let media = Media::test(40, 10);
    let (slow, _never) = Slow::new();
    let stream = fed(&local, slow, &media);
    stream.drain().unwrap();
    assert_eq!(accounts(&stream.metrics()), [40, 40, 0, 0]);
}

/// Panics whenever it is called.
struct Fragile;

impl StreamCallbacks for Fragile {
    fn ready(&self) {
        panic!("this callback is meant to panic");
    }

    fn ack(&self, _: &Ack) {
        panic!("this callback is meant to panic");
    }

    fn closed(&self, _: &Stats) {
        panic!("this callback is meant to panic");
    }
}

/// A panic of a callback is counted and goes no further.
#[test]
fn callbacks_that_panic_end_no_stream() {
    let local = service();
    let media = Media::test(40, 10);
    let stream = fed(&local, Arc::new(Fragile), &media);
    stream.stop().unwrap();
    assert_eq!(accounts(&stream.metrics()), [40, 40, 0, 0]);
    // Ready, three acks of four fragments, closed. `stop` waits for a moment only, and to say where it panicked takes longer.
    assert!(
        eventually(|| troubles(&stream) == (0, 14)),
        "{:?}",
        troubles(&stream)
    );
}
