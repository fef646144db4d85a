//! Several cameras, one producer: `multi_stream FILE STREAM…`, such as `multi_stream clip.h264 front-door yard gate`.
//!
//! The streams share the producer's storage and its one thread. Each is fed by a thread of its own here; one thread, or the
//! tasks of a runtime, would do as well. What one of them loses, or waits for, is no concern of the others.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

mod common;

use std::{env, error::Error, sync::Arc, thread};

use common::Camera;
use gstkvssink::producer::{
    Ack, AckKind, ClientCallbacks, Producer, StreamCallbacks, StreamDefinition, StreamError,
    StreamName,
};

/// For all streams together, in bytes. Each may use what the others leave.
const STORAGE: u64 = 64 << 20;

/// Of all streams.
struct OfProducer;

impl ClientCallbacks for OfProducer {
    fn storage_pressure(&self, bytes: u64, storage: u64) {
        println!(
            "{} % of the storage of all streams are in use",
            100 * bytes / storage
        );
    }
}

/// Of one stream, which it knows by its name.
struct OfStream(String);

impl StreamCallbacks for OfStream {
    fn ready(&self) {
        println!("{}: ready", self.0);
    }

    fn ack(&self, ack: &Ack) {
        if let (AckKind::Persisted, Some(timecode)) = (ack.kind, ack.timecode) {
            println!("{}: persisted {timecode}", self.0);
        }
    }

    fn error(&self, error: &StreamError) {
        println!("{}: {error}", self.0);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let (file, names) = match &arguments[..] {
        [file, names @ ..] if !names.is_empty() => (file, names),
        _ => return Err("usage: multi_stream FILE STREAM…".into()),
    };
    let producer = common::producer("multi-stream")
        .storage(STORAGE)
        .tag("made-by", "multi_stream") // of each stream that is created
        .client_callbacks(Arc::new(OfProducer))
        .build()?;

    let failed = thread::scope(|scope| {
        let threads: Vec<_> = names
            .iter()
            .map(|name| (name, scope.spawn(|| send(&producer, file, name))))
            .collect();
        let mut failed = 0;
        for (name, thread) in threads {
            let outcome = match thread.join() {
                Ok(outcome) => outcome,
                Err(_) => Err("its thread panicked".to_owned()),
            };
            match outcome {
                Ok(numbers) => println!("{name}: {numbers}"),
                Err(error) => {
                    failed += 1;
                    println!("{name}: failed: {error}");
                }
            }
        }
        failed
    });
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} of {} streams failed", names.len()).into()),
    }
}

/// Sends a camera to a stream, to its end. One that fails leaves the others as they are.
fn send(producer: &Producer, file: &str, name: &str) -> Result<String, String> {
    let sent = || -> Result<String, Box<dyn Error>> {
        let definition = StreamDefinition::new(StreamName::new(name)?);
        let callbacks = Arc::new(OfStream(name.to_owned()));
        let stream = producer.create_stream_with(definition, callbacks)?;
        for (track, frame) in Camera::open(file)? {
            if let Some(track) = track {
                stream.format_changed(track)?;
            }
            if stream.put_frame(frame).is_err() {
                break; // it has ended, and `stop` says why
            }
        }
        stream.stop()?;
        Ok(stream.metrics().to_string())
    };
    sent().map_err(|error| error.to_string())
}
