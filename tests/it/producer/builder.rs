//! What a producer is made of, and what its streams share.

use std::sync::atomic::{AtomicU64, Ordering};

use gstkvssink::{
    local::StreamStatus,
    producer::{Cause, ClientCallbacks, WaitError},
};

use super::*;

/// A setting that cannot work makes no producer, and is named.
#[test]
fn a_producer_that_cannot_work_is_not_made() {
    let refused = Producer::builder().storage(1000).build();
    assert_eq!(refused.unwrap_err().setting, "storage");
    let refused = Producer::builder().tag("", "value").build();
    assert_eq!(refused.unwrap_err().setting, "stream-tags");
}

/// The tags of the device are those of each stream that is created, unless it has its own.
#[test]
fn a_stream_that_is_created_has_the_tags_of_the_device() {
    let local = service();
    let media = Media::test(20, 10);
    let producer = Producer::builder()
        .service(service_at(local.endpoint()))
        .tag("site", "yard")
        .tag("lens", "wide")
        .build()
        .unwrap();
    let definition = StreamDefinition {
        tags: [("lens".to_owned(), "tele".to_owned())].into(),
        ..definition("cam")
    };
    let stream = stream(&producer, definition, &media);
    stream.wait_ready(PATIENCE).unwrap();
    put_all(&stream, media.frames(START_MS));
    stream.stop().unwrap();
    let tags = local.describe("cam").unwrap().tags;
    let expected = [("lens", "tele"), ("site", "yard")];
    assert_eq!(
        tags,
        expected.map(|(n, v)| (n.to_owned(), v.to_owned())).into()
    );
}

/// A stream is deleted, from a thread and from a task; one that does not exist is not.
#[test]
fn a_stream_is_deleted() {
    let local = service();
    let media = Media::test(20, 10);
    let producer = producer(&local);
    for name in ["one", "two"] {
        let stream = stream(&producer, definition(name), &media);
        put_all(&stream, media.frames(START_MS));
        stream.stop().unwrap();
        assert!(local.describe(name).is_some());
    }
    let name = |name: &str| StreamName::new(name).unwrap();
    let is_gone = |name: &str| {
        let stream = local.describe(name);
        stream.is_none_or(|stream| stream.status == StreamStatus::Deleting)
    };
    producer.delete_stream(&name("one")).unwrap();
    assert!(is_gone("one") && !is_gone("two"));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let two = name("two");
    let deleted = producer.delete_stream_in_task(&two);
    runtime.unwrap().block_on(deleted).unwrap();
    assert!(is_gone("two"));
    let failure = producer.delete_stream(&name("three")).unwrap_err();
    assert!(
        matches!(&failure.cause, Cause::Answer { status: 404, .. }),
        "{failure:?}"
    );
}

/// What was told of all streams.
#[derive(Default)]
struct Client(Mutex<Vec<String>>, AtomicU64);

impl ClientCallbacks for Client {
    fn ready(&self) {
        self.0.lock().unwrap().push("ready".into());
    }

    fn storage_pressure(&self, bytes: u64, storage: u64) {
        assert!(bytes * 10 >= storage * 9, "{bytes} of {storage}");
        self.0.lock().unwrap().push("pressure".into());
    }

    fn closed(&self) {
        self.0.lock().unwrap().push("closed".into());
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

/// Two streams without a service fill the storage of their producer: neither has more than what the other leaves, the
/// pressure is told once, and when all are gone, that is told.
#[test]
fn streams_share_the_storage_of_their_producer() {
    const STORAGE: u64 = 4 << 20;
    let port = Reserved::new();
    super::super::support::init();
    let media = Media::new(Clip::large(300, 10));
    let client = Arc::new(Client::default());
    let callbacks: Arc<Client> = Arc::clone(&client);
    let producer = Producer::builder()
        .service(service_at(&port.endpoint()))
        .storage(STORAGE)
        .client_callbacks(callbacks)
        .build()
        .unwrap();
    let streams = ["one", "two"].map(|name| stream(&producer, definition(name), &media));
    for stream in &streams {
        put_all(stream, media.frames(START_MS));
    }
    let held = |n: usize| streams[n].metrics().bytes_buffered;
    assert!(
        eventually(|| held(0) + held(1) <= STORAGE),
        "{} + {}",
        held(0),
        held(1)
    );
    for n in [0, 1] {
        assert!(held(n) > STORAGE / 4, "{} + {}", held(0), held(1));
        let stats = streams[n].metrics();
        let dropped = stats.dropped[&DropReason::Storage];
        assert_eq!(stats.frames_in, stats.frames_pending + dropped);
    }
    drop(producer);
    drop(streams);
    assert!(eventually(|| client.1.load(Ordering::SeqCst) == 1));
    assert_eq!(*client.0.lock().unwrap(), ["ready", "pressure", "closed"]);
}

/// The application gives a connection up: another goes on with what is not PERSISTED.
#[test]
fn a_connection_is_reset() {
    let local = service();
    let media = Media::test(40, 10);
    let stream = stream(&producer(&local), definition("cam"), &media);
    let mut frames = media.frames(START_MS);
    let rest = frames.split_off(25);
    put_all(&stream, frames);
    assert!(eventually(|| stream.metrics().frames_persisted == 20));
    stream.reset_connection();
    assert!(eventually(|| stream.metrics().sessions == 2));
    put_all(&stream, rest);
    stream.stop().unwrap();
    assert_eq!(accounts(&stream.metrics()), [40, 40, 0, 0]);
    assert_eq!(local.session_files("cam").len(), 2);
}

/// A stream that nobody can reach is not ready, and says so when the time is up.
#[test]
fn a_stream_is_not_ready_without_a_service() {
    let port = Reserved::new();
    let producer = Producer::builder()
        .service(service_at(&port.endpoint()))
        .build()
        .unwrap();
    let stream = producer.create_stream(definition("cam")).unwrap();
    let waited = stream.wait_ready(Duration::from_millis(200));
    assert_eq!(waited, Err(WaitError::Interrupted));
    stream.stop_now().unwrap();
}
