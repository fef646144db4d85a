//! Somebody else's networking: [`ServiceCallbacks`] in place of the service, which fail wherever they may.

use std::{collections::BTreeMap, sync::atomic::AtomicUsize, sync::atomic::Ordering, thread};

use gstkvssink::producer::{
    AckKind, AckSender, Acks, Answer, Configured, Described, Keys, KinesisVideo, Media as Body,
    ServiceCallbacks, Timecode,
};

use super::*;
use crate::support::PATIENCE;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Method {
    Describe,
    Create,
    Tag,
    Retention,
    Endpoint,
    Credentials,
    PutMedia,
}

/// What a call does instead of what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It fails, and may be tried again.
    Lost,
    /// It fails for good.
    Refused,
    /// There are no credentials.
    NoCredentials,
    /// It says that there is no stream.
    NotFound,
    /// It panics.
    Panics,
    /// It never answers.
    Hangs,
    /// PutMedia is accepted, and then nothing is read of it, and nothing said.
    Deaf,
    /// PutMedia is accepted, and cut after so many chunks.
    Cut(usize),
    /// PutMedia is accepted, and its body dropped after so many chunks; the response goes on.
    DropsBody(usize),
    /// PutMedia is accepted, and fails.
    Fails,
    /// PutMedia is accepted, and refuses the first fragment.
    Poison,
}

const FAULTS: [Fault; 6] = [
    Fault::Lost,
    Fault::Refused,
    Fault::NoCredentials,
    Fault::NotFound,
    Fault::Panics,
    Fault::Hangs,
];

/// What was stored: whole fragments only, by their timecode.
type Stored = Arc<Mutex<BTreeMap<u64, Vec<u8>>>>;

/// A service in memory, or the real one where there is an endpoint; with one fault.
struct Own {
    stored: Stored,
    exists: Mutex<bool>,
    real: bool,
    calls: Mutex<BTreeMap<Method, usize>>,
    /// Which call of which method goes wrong, counted from 1.
    fault: Option<(Method, usize, Fault)>,
    struck: AtomicUsize,
}

impl Own {
    fn new(real: bool, fault: Option<(Method, usize, Fault)>) -> Arc<Self> {
        Arc::new(Self {
            stored: Stored::default(),
            exists: Mutex::new(false),
            real,
            calls: Mutex::default(),
            fault,
            struck: AtomicUsize::new(0),
        })
    }

    fn count(&self, method: Method) -> Option<Fault> {
        let mut calls = self.calls.lock().unwrap();
        let count = calls.entry(method).or_default();
        *count += 1;
        let (_, _, fault) = self
            .fault
            .filter(|(of, number, _)| (*of, *number) == (method, *count))?;
        self.struck.fetch_add(1, Ordering::SeqCst);
        Some(fault)
    }

    async fn or_fail<T>(
        &self,
        method: Method,
        answer: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match self.count(method) {
            Some(Fault::Refused) => Err(Failure::refused("it cannot work")),
            Some(Fault::NoCredentials) => Err(Failure::no_credentials("nobody has any")),
            Some(Fault::NotFound) => Err(Failure::not_found()),
            Some(Fault::Panics) => panic!("this call is meant to panic"),
            Some(Fault::Hangs) => std::future::pending().await,
            Some(_) => Err(Failure::lost("nobody answers")),
            None => answer.await,
        }
    }
}

/// Stores what comes, and says so as the service does.
fn store(
    mut media: Body,
    acks: &AckSender,
    stored: &Stored,
    fault: Option<Fault>,
) -> Result<(), gstkvssink::producer::Aborted> {
    let mut open: Option<(Timecode, Vec<u8>)> = None;
    let complete = |open: &mut Option<(Timecode, Vec<u8>)>| {
        let Some((timecode, bytes)) = open.take() else {
            return Ok(());
        };
        stored.lock().unwrap().insert(timecode.as_millis(), bytes);
        acks.blocking_send(Ack::of_fragment(AckKind::Received, timecode))?;
        acks.blocking_send(Ack::of_fragment(AckKind::Persisted, timecode))
    };
    let mut chunks = 0;
    while let Some(chunk) = media.blocking_next()? {
        chunks += 1;
        if fault == Some(Fault::Cut(chunks)) {
            return Ok(());
        }
        if let Some(timecode) = chunk.begins {
            if fault == Some(Fault::Poison) {
                acks.blocking_send(Ack::refusal(timecode, 4006))?;
                return Ok(());
            }
            complete(&mut open)?;
            acks.blocking_send(Ack::of_fragment(AckKind::Buffering, timecode))?;
            open = Some((timecode, Vec::new()));
        }
        if let Some((_, bytes)) = &mut open {
            bytes.extend_from_slice(&chunk.bytes);
        }
        if chunk.ends {
            complete(&mut open)?;
        }
    }
    complete(&mut open)
}

impl ServiceCallbacks for Own {
    fn describe_stream<'a>(&'a self, kvs: &'a KinesisVideo) -> Answer<'a, Described> {
        Box::pin(self.or_fail(Method::Describe, async {
            if self.real {
                return kvs.describe_stream().await;
            }
            match *self.exists.lock().unwrap() {
                true => Ok(Described::active(Duration::from_secs(3600))),
                false => Err(Failure::not_found()),
            }
        }))
    }

    fn create_stream<'a>(&'a self, kvs: &'a KinesisVideo, types: &'a str) -> Answer<'a, ()> {
        Box::pin(self.or_fail(Method::Create, async move {
            if self.real {
                return kvs.create_stream(types).await;
            }
            assert_eq!(types, "video/h264");
            *self.exists.lock().unwrap() = true;
            Ok(())
        }))
    }

    fn tag_stream<'a>(&'a self, kvs: &'a KinesisVideo) -> Answer<'a, ()> {
        Box::pin(self.or_fail(Method::Tag, async {
            match self.real {
                true => kvs.tag_stream().await,
                false => Ok(()),
            }
        }))
    }

    fn update_retention<'a>(&'a self, kvs: &'a KinesisVideo) -> Answer<'a, ()> {
        Box::pin(self.or_fail(Method::Retention, async {
            match self.real {
                true => kvs.update_retention().await,
                false => Ok(()),
            }
        }))
    }

    fn data_endpoint<'a>(&'a self, kvs: &'a KinesisVideo) -> Answer<'a, String> {
        Box::pin(self.or_fail(Method::Endpoint, async {
            match self.real {
                true => kvs.data_endpoint().await,
                false => Ok("memory".to_owned()),
            }
        }))
    }

    fn credentials<'a>(&'a self, configured: Configured<'a>) -> Answer<'a, Keys> {
        Box::pin(self.or_fail(Method::Credentials, configured.keys()))
    }

    fn put_media<'a>(
        &'a self,
        kvs: &'a KinesisVideo,
        endpoint: &'a str,
        start: Timestamp,
        media: Body,
    ) -> Answer<'a, Acks> {
        if self.real {
            let answer = kvs.put_media(endpoint, start, media);
            return Box::pin(self.or_fail(Method::PutMedia, answer));
        }
        let fault = self.count(Method::PutMedia);
        Box::pin(async move {
            assert_eq!(endpoint, "memory");
            match fault {
                None
                | Some(
                    Fault::Deaf
                    | Fault::Cut(_)
                    | Fault::DropsBody(_)
                    | Fault::Fails
                    | Fault::Poison,
                ) => {}
                Some(Fault::Refused) => return Err(Failure::refused("it cannot work")),
                Some(Fault::NoCredentials) => return Err(Failure::no_credentials("none")),
                Some(Fault::NotFound) => return Err(Failure::not_found()),
                Some(Fault::Panics) => panic!("this call is meant to panic"),
                Some(Fault::Hangs) => std::future::pending().await,
                Some(Fault::Lost) => return Err(Failure::lost("nobody answers")),
            }
            let (sender, acks) = Acks::channel();
            let stored = Arc::clone(&self.stored);
            thread::spawn(move || match fault {
                Some(Fault::Deaf) => {
                    let _media = media;
                    idle(&sender);
                }
                Some(Fault::DropsBody(chunks)) => {
                    let mut media = media;
                    for _ in 0..chunks {
                        let _ = media.blocking_next();
                    }
                    drop(media);
                    idle(&sender);
                }
                Some(Fault::Fails) => drop(sender.blocking_fail("the disk is full")),
                _ => drop(store(media, &sender, &stored, fault)),
            });
            Ok(acks)
        })
    }
}

/// Acks that say nothing, until the session gives the request up. At the pace of a service: they would fill the channel.
fn idle(acks: &AckSender) {
    while acks.blocking_send(Ack::idle()).is_ok() {
        thread::sleep(Duration::from_millis(10));
    }
}

/// Puts 40 frames in four fragments and three PutMedia sessions. What the callbacks were, and how the stream ended.
fn run(endpoint: &str, own: &Arc<Own>, media: &Clips) -> (Stats, Result<(), StreamError>) {
    let networking: Arc<Own> = Arc::clone(own);
    let producer = Producer::builder()
        .name("own-networking")
        .service(service_at(endpoint))
        .tag("site", "yard")
        .service_callbacks(networking)
        .build()
        .unwrap();
    // What hangs is to be noticed soon. Without a fault nothing may be tried twice, however busy the machine is.
    let (short, staleness) = match (own.fault, own.real) {
        (None, _) => (PATIENCE, PATIENCE),
        (_, false) => (Duration::from_millis(100), Duration::from_secs(1)),
        (_, true) => (Duration::from_secs(1), Duration::from_secs(1)),
    };
    let definition = StreamDefinition {
        update_retention: true,
        connection_timeout: short,
        completion_timeout: short,
        connection_staleness: staleness,
        ..definition("cam")
    };
    let stream = producer.create_stream(definition).unwrap();
    for (n, fragment) in media.frames.chunks(10).enumerate() {
        if n < 3 {
            // Another width each time: another session.
            let width = 320 + 16 * n as u32;
            let track = Track::video(Codec::H264, media.avcc.clone(), width, 240).unwrap();
            stream.set_tracks(&[track]).unwrap();
        }
        for frame in fragment {
            // After a failure for good the stream takes none.
            let _ = stream.put_frame(frame.clone());
        }
    }
    let outcome = stream.stop();
    (stream.metrics(), outcome)
}

struct Clips {
    avcc: Bytes,
    frames: Vec<Frame>,
}

fn four_fragments() -> Clips {
    let media = Media::test(40, 10);
    Clips {
        avcc: media.clip.codec_data().into(),
        frames: media.frames(START_MS),
    }
}

/// What was put and is not counted as dropped is stored, whole; and the accounts add up.
fn judge(own: &Own, media: &Clips, stats: &Stats, outcome: &Result<(), StreamError>, what: &str) {
    assert_eq!(stats.frames_pending, 0, "{what}");
    assert_eq!(
        stats.frames_in,
        stats.frames_persisted + stats.frames_dropped(),
        "{what}"
    );
    let stored = own.stored.lock().unwrap();
    let is_stored = |frame: &&Frame| {
        let mut bytes = stored.values();
        bytes.any(|bytes| memchr::memmem::find(bytes, &frame.payload).is_some())
    };
    let there = media.frames.iter().filter(is_stored).count() as u64;
    assert!(there >= stats.frames_persisted, "{what}: {there}, {stats}");
    match outcome {
        Ok(()) => {
            assert_eq!(stats.frames_in, 40, "{what}");
            let rejected = stats.dropped.get(&DropReason::Rejected).copied();
            assert_eq!(
                stats.frames_dropped(),
                rejected.unwrap_or_default(),
                "{what}"
            );
            assert_eq!(there + stats.frames_dropped(), 40, "{what}");
        }
        Err(error) => assert!(!error.message.is_empty(), "{what}"),
    }
}

/// All that a stream needs may be somebody else's: no socket is opened, and everything arrives.
#[test]
fn a_stream_needs_no_network_when_its_networking_is_replaced() {
    let media = four_fragments();
    let own = Own::new(false, None);
    let (stats, outcome) = run("http://127.0.0.1:9", &own, &media);
    judge(&own, &media, &stats, &outcome, "without a fault");
    assert_eq!(outcome, Ok(()));
    assert_eq!(accounts(&stats), [40, 40, 0, 0]);
    assert_eq!(own.stored.lock().unwrap().len(), 4);
    let calls = own.calls.lock().unwrap();
    assert_eq!(calls[&Method::PutMedia], 3, "{calls:?}");
    assert!(!calls.contains_key(&Method::Credentials), "{calls:?}");
    for method in [
        Method::Create,
        Method::Tag,
        Method::Describe,
        Method::Endpoint,
    ] {
        assert!(calls.contains_key(&method), "{method:?} {calls:?}");
    }
}

/// Each method fails at each of its calls, in each way: nothing hangs, and no frame is lost that is not counted.
#[test]
fn networking_that_fails_anywhere_loses_nothing_uncounted() {
    let media = four_fragments();
    // A stream that is there has its retention updated; one that is not is created.
    for exists in [false, true] {
        let clean = Own::new(false, None);
        *clean.exists.lock().unwrap() = exists;
        run("http://127.0.0.1:9", &clean, &media).1.unwrap();
        let calls = clean.calls.lock().unwrap().clone();
        assert_eq!(calls.contains_key(&Method::Retention), exists, "{calls:?}");
        let mut faults = Vec::new();
        for (method, count) in calls {
            let mut of_it = FAULTS.to_vec();
            if method == Method::PutMedia {
                of_it.extend([Fault::Deaf, Fault::Fails, Fault::Poison]);
                of_it.extend([1, 2, 5, 20].map(Fault::Cut));
                of_it.extend([0, 1, 5].map(Fault::DropsBody));
            }
            for number in 1..=count {
                faults.extend(of_it.iter().map(|fault| (method, number, *fault)));
            }
        }
        assert!(faults.len() > 40, "{faults:?}");
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    while let Some(fault) = faults.get(next.fetch_add(1, Ordering::SeqCst)) {
                        let own = Own::new(false, Some(*fault));
                        *own.exists.lock().unwrap() = exists;
                        let (stats, outcome) = run("http://127.0.0.1:9", &own, &media);
                        let what = format!("{fault:?}, exists: {exists}");
                        assert_eq!(own.struck.load(Ordering::SeqCst), 1, "{what}");
                        judge(&own, &media, &stats, &outcome, &what);
                        let for_good = matches!(fault.2, Fault::Refused | Fault::NoCredentials);
                        assert!(outcome.is_ok() || for_good, "{what}: {outcome:?}");
                    }
                });
            }
        });
    }
}

/// The credentials that the service is asked with are the application's, at each call; when they fail, nothing hangs.
#[test]
fn credentials_of_the_application_may_fail_at_each_call() {
    let media = four_fragments();
    let local = service();
    let clean = Own::new(true, None);
    run(local.endpoint(), &clean, &media).1.unwrap();
    let asked = clean.calls.lock().unwrap()[&Method::Credentials];
    assert!(asked >= 6, "{asked}: each request has its own");
    drop(local);
    for number in 1..=asked {
        for fault in [
            Fault::Lost,
            Fault::NoCredentials,
            Fault::Panics,
            Fault::Hangs,
        ] {
            let local = service();
            let own = Own::new(true, Some((Method::Credentials, number, fault)));
            let (stats, outcome) = run(local.endpoint(), &own, &media);
            let what = format!("{fault:?} at {number}");
            assert_eq!(
                stats.frames_in,
                stats.frames_persisted + stats.frames_dropped(),
                "{what}"
            );
            let frames: u32 = local.fragments("cam").iter().map(|f| f.frames).sum();
            assert!(u64::from(frames) >= stats.frames_persisted, "{what}");
            let for_good = fault == Fault::NoCredentials;
            assert!(outcome.is_ok() || for_good, "{what}: {outcome:?}");
            if outcome.is_ok() {
                assert_eq!(accounts(&stats), [40, 40, 0, 0], "{what}");
            }
        }
    }
}

/// Keys that an application gives sign the requests.
#[test]
fn an_application_may_have_its_own_credentials() {
    struct Mine;
    impl ServiceCallbacks for Mine {
        fn credentials<'a>(&'a self, _: Configured<'a>) -> Answer<'a, Keys> {
            let secret = Secret::new(DEFAULT_SECRET_KEY);
            Box::pin(async { Ok(Keys::new(DEFAULT_ACCESS_KEY, secret)) })
        }
    }
    let local = service();
    let media = Media::test(20, 10);
    let wrong = Service {
        credentials: Credentials::File("/nowhere/credential".into()),
        ..service_at(local.endpoint())
    };
    let producer = Producer::builder()
        .service(wrong)
        .service_callbacks(Arc::new(Mine))
        .build()
        .unwrap();
    let stream = stream(&producer, definition("cam"), &media);
    put_all(&stream, media.frames(START_MS));
    stream.stop().unwrap();
    assert_eq!(accounts(&stream.metrics()), [20, 20, 0, 0]);
}

/// Deletes no stream, each time in another way.
struct Keeps(Mutex<Vec<Fault>>);

impl ServiceCallbacks for Keeps {
    fn delete_stream<'a>(&'a self, _: &'a KinesisVideo) -> Answer<'a, ()> {
        let fault = self.0.lock().unwrap().pop();
        Box::pin(async move {
            match fault {
                Some(Fault::Panics) => panic!("this call is meant to panic"),
                Some(Fault::Refused) => Err(Failure::refused("it cannot work")),
                Some(Fault::NotFound) => Err(Failure::not_found()),
                Some(_) => Err(Failure::lost("nobody answers")),
                None => Ok(()),
            }
        })
    }
}

/// A stream that could not be deleted is told so, once for each attempt; nothing hangs, and the next attempt may succeed.
#[test]
fn a_deletion_that_fails_says_so() {
    let faults = [Fault::Panics, Fault::Refused, Fault::NotFound, Fault::Lost];
    let keeps = Keeps(Mutex::new(faults.to_vec()));
    let producer = Producer::builder()
        .service_callbacks(Arc::new(keeps))
        .build()
        .unwrap();
    let name = StreamName::new("cam").unwrap();
    for _ in faults {
        let failure = producer.delete_stream(&name).unwrap_err();
        assert!(
            failure.to_string().starts_with("DeleteStream: "),
            "{failure}"
        );
    }
    producer.delete_stream(&name).unwrap();
}
