//! Sends the frames of an H.264 file to a stream, prints the acks, and in the end the numbers.
//!
//! ```text
//! cargo run --example put_frame -- clip.h264 cam1         as fast as the network takes them; nothing is dropped
//! cargo run --example put_frame -- clip.h264 cam1 live    at the pace of a camera; never waits
//! ```
//!
//! The file is an H.264 byte stream with access unit delimiters and without B-frames, 25 frames a second; docs/guide.md says
//! how to make one. Credentials come from where the AWS SDKs look for them (environment, profile, container, instance), the
//! region from AWS_REGION or AWS_DEFAULT_REGION; CONTROL_PLANE_URI names a service such as kvs-local.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::{env, error::Error, fs, sync::Arc, thread, time::Duration};

use bytes::Bytes;
use gstkvssink::producer::{
    Ack, DropReason, Failure, Format, Frame, Hints, Producer, Reframer, StreamCallbacks,
    StreamDefinition, StreamError, StreamName, StreamingType, Timestamp, TrackNumber, wall_now,
};

const FRAME_DURATION: Duration = Duration::from_millis(40);

/// What the stream tells. All of it may be left out; called on a thread of its own, so printing holds up nothing.
struct Log;

impl StreamCallbacks for Log {
    fn ready(&self) {
        println!("ready");
    }

    fn ack(&self, ack: &Ack) {
        if let Some(timecode) = ack.timecode {
            let number = ack.fragment_number.as_deref().unwrap_or_default();
            println!("ack {} {timecode} {number}", ack.kind);
        }
    }

    fn frames_dropped(&self, reason: DropReason, frames: u64, from: Timestamp, to: Timestamp) {
        println!("dropped {frames} frames from {from} to {to}: {reason}");
    }

    fn connection_lost(&self, cause: &Failure) {
        println!("connection lost, trying again: {cause}");
    }

    fn connection_restored(&self, outage: Duration, resending: u64) {
        println!("connection restored after {outage:.1?}, {resending} fragments again");
    }

    fn error(&self, error: &StreamError) {
        println!("error: {error}");
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let (file, name, live) = match &arguments[..] {
        [file, name] => (file, name, false),
        [file, name, pace] if pace == "live" => (file, name, true),
        _ => return Err("usage: put_frame FILE STREAM [live]".into()),
    };
    let units = access_units(&fs::read(file)?.into());

    let mut builder = Producer::builder().name("put-frame");
    if let Ok(region) = env::var("AWS_REGION").or_else(|_| env::var("AWS_DEFAULT_REGION")) {
        builder = builder.region(region);
    }
    if let Ok(endpoint) = env::var("CONTROL_PLANE_URI") {
        builder = builder.endpoint(endpoint);
    }
    let producer = builder.build()?;

    // A live frame is of now; a file ends now, since the service takes no time of the future.
    let duration = FRAME_DURATION * u32::try_from(units.len())?;
    let (streaming_type, start) = match live {
        true => (StreamingType::Realtime, wall_now()),
        false => (StreamingType::Offline, wall_now().saturating_sub(duration)),
    };
    // The other defaults are those of the C++ producer; a stream that does not exist is created.
    let definition = StreamDefinition {
        streaming_type,
        ..StreamDefinition::new(StreamName::new(name)?)
    };
    let stream = producer.create_stream_with(definition, Arc::new(Log))?;
    let mut reframer = Reframer::new(Format::H264ByteStream, None, Hints::default())?;
    'file: for (number, unit) in (0..).zip(units) {
        let pts = start + FRAME_DURATION * number;
        thread::sleep(pts.saturating_since(wall_now()));
        let reframed = reframer.take(unit, false)?;
        if let Some(track) = reframed.track {
            stream.format_changed(track)?;
        }
        for unit in reframed.frames {
            let frame = Frame {
                track: TrackNumber::VIDEO,
                pts: pts + unit.offset,
                dts: None,
                key: unit.key,
                payload: unit.payload,
            };
            if stream.put_frame(frame).is_err() {
                break 'file; // it has ended, and `stop` says why
            }
        }
    }

    // Returns when everything is PERSISTED, or with what is missing.
    let ended = stream.stop();
    println!("{}", stream.metrics());
    Ok(ended?)
}

/// The access units of a byte stream: each begins with a delimiter (NAL unit type 9).
fn access_units(stream: &Bytes) -> Vec<Bytes> {
    let mut ends: Vec<_> = memchr::memmem::find_iter(stream, &[0, 0, 1, 9]).collect();
    ends.push(stream.len());
    let ranges = ends.windows(2).map(|ends| ends[0]..ends[1]);
    ranges.map(|range| stream.slice(range)).collect()
}
