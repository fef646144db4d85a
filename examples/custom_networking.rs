//! Uploads into a directory instead of to the service: `custom_networking FILE STREAM DIRECTORY`.
//!
//! Whoever answers all calls himself needs neither a network nor an account. Each PutMedia session becomes a file that plays;
//! a fragment is PERSISTED when it is on the disk. What was not is sent again after a failure, as with the service.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

mod common;

use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::{env, error::Error, fs, fs::File, sync::Arc, thread, time::Duration};

use common::Camera;
use gstkvssink::producer::{
    Ack, AckKind, AckSender, Acks, Answer, Described, Failure, KinesisVideo, Media, Producer,
    ServiceCallbacks, StreamDefinition, StreamName, Timecode, Timestamp,
};

/// Streams are folders in this directory.
struct Folder(PathBuf);

impl Folder {
    fn of(&self, kvs: &KinesisVideo) -> PathBuf {
        self.0.join(kvs.definition().name.as_str())
    }
}

impl ServiceCallbacks for Folder {
    fn describe_stream<'a>(&'a self, kvs: &'a KinesisVideo) -> Answer<'a, Described> {
        Box::pin(async {
            let retention = Duration::from_secs(24 * 3600); // 0: nothing is ever PERSISTED
            let exists = self.of(kvs).is_dir();
            let described = exists.then(|| Described::active(retention));
            described.ok_or_else(Failure::not_found)
        })
    }

    fn create_stream<'a>(&'a self, kvs: &'a KinesisVideo, _media_type: &'a str) -> Answer<'a, ()> {
        let made = fs::create_dir_all(self.of(kvs));
        Box::pin(async { made.map_err(|error| Failure::refused(error.to_string())) })
    }

    fn data_endpoint<'a>(&'a self, kvs: &'a KinesisVideo) -> Answer<'a, String> {
        let folder = self.of(kvs).to_string_lossy().into_owned();
        Box::pin(async { Ok(folder) })
    }

    fn put_media<'a>(
        &'a self,
        _kvs: &'a KinesisVideo,
        endpoint: &'a str,
        start: Timestamp,
        media: Media,
    ) -> Answer<'a, Acks> {
        // A disk blocks, so it has a thread: here is the producer's, which must not wait.
        let path = Path::new(endpoint).join(format!("session-{}.mkv", start.as_millis_rounded()));
        let (sender, acks) = Acks::channel();
        thread::spawn(move || {
            if let Err(error) = write(media, &path, &sender) {
                // The session tries again later, with what was not PERSISTED. Nobody listens any more if it gave up itself.
                let _ = sender.blocking_fail(format!("{}: {error}", path.display()));
            }
        });
        Box::pin(async { Ok(acks) })
    }
}

/// Writes a session, and says of each fragment when it is on the disk.
fn write(mut media: Media, path: &Path, acks: &AckSender) -> Result<(), Box<dyn Error>> {
    let mut file = File::create(path)?;
    let (mut whole, mut fragment) = (0, None);
    while let Ok(Some(chunk)) = media.blocking_next() {
        // A fragment is whole when another begins, the last one with its last bytes.
        if chunk.begins.is_some() {
            whole = persist(&mut file, fragment, acks)?;
            fragment = chunk.begins;
        }
        file.write_all(&chunk.bytes)?;
        if chunk.ends {
            whole = persist(&mut file, fragment, acks)?;
        }
    }
    // The session may have given it up in the middle of a fragment: a file that plays ends with a whole one.
    Ok(file.set_len(whole)?)
}

fn persist(
    file: &mut File,
    fragment: Option<Timecode>,
    acks: &AckSender,
) -> Result<u64, Box<dyn Error>> {
    file.sync_data()?;
    if let Some(timecode) = fragment {
        acks.blocking_send(Ack::of_fragment(AckKind::Persisted, timecode))?;
        println!("persisted {timecode}");
    }
    Ok(file.stream_position()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [file, name, folder] = &arguments[..] else {
        return Err("usage: custom_networking FILE STREAM DIRECTORY".into());
    };
    let networking = Arc::new(Folder(folder.into()));
    let producer = Producer::builder().service_callbacks(networking).build()?;
    let stream = producer.create_stream(StreamDefinition::new(StreamName::new(name)?))?;
    for (track, frame) in Camera::open(file)? {
        track.map_or(Ok(()), |track| stream.format_changed(track))?;
        if stream.put_frame(frame).is_err() {
            break; // it has ended, and `stop` says why
        }
    }
    let ended = stream.stop();
    println!("{}", stream.metrics());
    Ok(ended?)
}
