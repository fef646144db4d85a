//! A camera that sends only while something moves: `intermittent FILE STREAM [seconds of motion] [seconds of rest]`.
//!
//! Motion is made up here: it comes and goes by the clock. Each episode begins with a key frame and an event, for which the
//! service makes an image and tells by SNS (if the stream is configured for it), and ends its fragment. When nothing came for
//! ten seconds the connection is closed, and the next episode opens another: nothing is to be done for either.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

mod common;

use std::{env, error::Error, sync::Arc, time::Duration};

use common::{Camera, FRAMES_PER_SECOND};
use gstkvssink::producer::{
    Ack, AckKind, EventMetadata, Failure, StreamCallbacks, StreamDefinition, StreamName,
};

struct Log;

impl StreamCallbacks for Log {
    fn ack(&self, ack: &Ack) {
        if let (AckKind::Persisted, Some(timecode)) = (ack.kind, ack.timecode) {
            println!("persisted {timecode}");
        }
    }

    fn underflow(&self) {
        println!("nothing to send: the connection is closed until something moves");
    }

    fn connection_lost(&self, cause: &Failure) {
        println!("connection lost, trying again: {cause}");
    }

    fn connection_restored(&self, outage: Duration, _resending: u64) {
        println!("connection restored after {outage:.1?}");
    }
}

/// Stands in for what looks at the pictures, or for a sensor at the door.
struct Motion {
    frames: u32,
    motion: u32,
    rest: u32,
}

impl Motion {
    fn is_there(&mut self) -> bool {
        let second = self.frames / FRAMES_PER_SECOND;
        self.frames += 1;
        second % (self.motion + self.rest) < self.motion
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [file, name, times @ ..] = &arguments[..] else {
        return Err("usage: intermittent FILE STREAM [seconds of motion] [seconds of rest]".into());
    };
    let seconds = |at: usize, otherwise| times.get(at).map_or(Ok(otherwise), |time| time.parse());
    let mut motion = Motion {
        frames: 0,
        motion: seconds(0, 5)?,
        rest: seconds(1, 15)?,
    };
    if motion.motion + motion.rest == 0 {
        return Err("there must be a second of motion or of rest".into());
    }

    let producer = common::producer("intermittent").build()?;
    let definition = StreamDefinition::new(StreamName::new(name)?);
    let stream = producer.create_stream_with(definition, Arc::new(Log))?;
    let mut episodes = 0;
    let mut sending = false;
    for (track, frame) in Camera::open(file)? {
        // Also while nothing moves: it is for the frames that follow.
        if let Some(track) = track {
            stream.format_changed(track)?;
        }
        match motion.is_there() {
            // The first frame that can be decoded. Ask an encoder of your own for it.
            true if !sending && frame.key => {
                sending = true;
                episodes += 1;
                stream.put_event_metadata(EventMetadata {
                    image: true,
                    notification: true,
                    image_prefix: Some("motion".into()),
                    pairs: vec![("episode".into(), episodes.to_string())],
                })?;
                println!("episode {episodes} begins at {}", frame.pts);
            }
            false if sending => {
                sending = false;
                stream.end_fragment();
                println!("episode {episodes} ends at {}", frame.pts);
            }
            _ => {}
        }
        if sending && stream.put_frame(frame).is_err() {
            break; // it has ended, and `stop` says why
        }
    }

    let ended = stream.stop();
    println!("{episodes} episodes; {}", stream.metrics());
    Ok(ended?)
}
