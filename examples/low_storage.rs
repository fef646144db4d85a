//! A device with little memory shows what happens to its storage: `low_storage FILE STREAM`.
//!
//! What the producer tells goes through a channel to the main thread, which has the user interface: a bar of text. While the
//! storage is short only key frames are sent; an application with an encoder of its own would lower the bitrate.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

mod common;

use std::sync::{Arc, atomic::AtomicBool, atomic::Ordering, mpsc};
use std::{collections::BTreeMap, env, error::Error, thread};

use common::Camera;
use gstkvssink::producer::{
    ClientCallbacks, DropReason, Stream, StreamCallbacks, StreamDefinition, StreamName, Timestamp,
};

/// The least that is allowed: a second or so of a good picture. In bytes.
const STORAGE: u64 = 1 << 20;
const BAR: u64 = 30;

/// What the user interface shows.
enum News {
    Level(u64),
    Dropped(DropReason, u64),
}

/// Tells it, and the camera: callbacks must not wait, and these do not.
#[derive(Clone)]
struct Told {
    ui: mpsc::Sender<News>,
    only_keys: Arc<AtomicBool>,
}

impl Told {
    fn news(&self, news: News) {
        // The window may be closed already.
        let _ = self.ui.send(news);
    }
}

impl ClientCallbacks for Told {
    /// At nine tenths, before anything is dropped.
    fn storage_pressure(&self, bytes: u64, _storage: u64) {
        self.only_keys.store(true, Ordering::Relaxed);
        self.news(News::Level(bytes));
    }
}

impl StreamCallbacks for Told {
    fn frames_dropped(&self, reason: DropReason, frames: u64, _from: Timestamp, _to: Timestamp) {
        self.news(News::Dropped(reason, frames));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [file, name] = &arguments[..] else {
        return Err("usage: low_storage FILE STREAM".into());
    };
    let (ui, news) = mpsc::channel();
    let only_keys = Arc::default();
    let told = Told { ui, only_keys };
    let short = Arc::clone(&told.only_keys);
    let producer = common::producer("low-storage")
        .storage(STORAGE)
        .client_callbacks(Arc::new(told.clone()))
        .build()?;
    let definition = StreamDefinition::new(StreamName::new(name)?);
    let stream = producer.create_stream_with(definition, Arc::new(told.clone()))?;
    let camera = Camera::open(file)?;
    let sending = thread::spawn(move || send(&stream, camera, &told).map_err(|e| e.to_string()));

    drop(producer); // the stream outlives it; the news end with the last callback
    let mut dropped = BTreeMap::new();
    for news in news {
        match news {
            News::Level(bytes) => {
                let bar = "#".repeat((BAR * bytes / STORAGE) as usize);
                let frames = ["all frames", "key frames only"];
                let frames = frames[usize::from(short.load(Ordering::Relaxed))];
                println!("[{bar:<30}] {:>3} %  {frames}", 100 * bytes / STORAGE);
            }
            News::Dropped(reason, frames) => {
                *dropped.entry(reason.as_str()).or_insert(0) += frames;
                println!("dropped so far: {dropped:?}");
            }
        }
    }
    let sent = sending.join().map_err(|_| "the camera's thread panicked")?;
    println!("{}", sent?);
    Ok(())
}

/// Sends what the camera gives, to its end.
fn send(stream: &Stream, camera: Camera, told: &Told) -> Result<String, Box<dyn Error>> {
    let (mut skipping, mut left_out) = (false, 0);
    for (track, frame) in camera {
        track.map_or(Ok(()), |track| stream.format_changed(track))?;
        let bytes = stream.metrics().bytes_buffered;
        if frame.key {
            // Pressure is told again only when half of the storage was free in between.
            if bytes * 2 <= STORAGE {
                told.only_keys.store(false, Ordering::Relaxed);
            }
            told.news(News::Level(bytes));
        }
        // What follows a frame that was left out cannot be decoded, up to the next key frame.
        skipping = !frame.key && (skipping || told.only_keys.load(Ordering::Relaxed));
        match skipping {
            true => left_out += 1,
            false if stream.put_frame(frame).is_err() => break, // `stop` says why
            false => {}
        }
    }
    stream.stop()?;
    Ok(format!("{left_out} left out; {}", stream.metrics()))
}
