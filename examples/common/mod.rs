//! What several examples use: a producer by the environment, and a file that stands in for a camera. `put_frame.rs` has both
//! written out.

#![allow(dead_code, reason = "not every example needs everything")]

use std::{env, error::Error, fs, thread, time::Duration};

use bytes::Bytes;
use gstkvssink::producer::{
    Format, Frame, Hints, Producer, ProducerBuilder, Reframer, Timestamp, Track, TrackNumber,
    wall_now,
};

pub const FRAMES_PER_SECOND: u32 = 25;

/// Credentials come from where the AWS SDKs look for them.
pub fn producer(name: &str) -> ProducerBuilder {
    let mut builder = Producer::builder().name(name);
    if let Ok(region) = env::var("AWS_REGION").or_else(|_| env::var("AWS_DEFAULT_REGION")) {
        builder = builder.region(region);
    }
    if let Ok(endpoint) = env::var("CONTROL_PLANE_URI") {
        builder = builder.endpoint(endpoint);
    }
    builder
}

/// A camera whose pictures are in a file: an H.264 byte stream with access unit delimiters, without B-frames. Gives a frame
/// when it is due, with the track whenever it is another one.
pub struct Camera {
    units: std::vec::IntoIter<Bytes>,
    reframer: Reframer,
    next: Timestamp,
}

impl Camera {
    pub fn open(file: &str) -> Result<Self, Box<dyn Error>> {
        let stream = Bytes::from(fs::read(file)?);
        let mut ends: Vec<_> = memchr::memmem::find_iter(&stream, &[0, 0, 1, 9]).collect();
        ends.push(stream.len());
        let ranges = ends.windows(2).map(|ends| ends[0]..ends[1]);
        let units: Vec<_> = ranges.map(|range| stream.slice(range)).collect();
        Ok(Self {
            units: units.into_iter(),
            reframer: Reframer::new(Format::H264ByteStream, None, Hints::default())?,
            next: wall_now(),
        })
    }
}

impl Iterator for Camera {
    type Item = (Option<Track>, Frame);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let unit = self.units.next()?;
            let pts = self.next;
            self.next = pts + Duration::from_secs(1) / FRAMES_PER_SECOND;
            thread::sleep(pts.saturating_since(wall_now()));
            // A real application counts what is malformed: `Stream::drop_frame`.
            let Ok(reframed) = self.reframer.take(unit, false) else {
                continue;
            };
            let Some(unit) = reframed.frames.into_iter().next() else {
                continue;
            };
            let frame = Frame {
                track: TrackNumber::VIDEO,
                pts,
                dts: None,
                key: unit.key,
                payload: unit.payload,
            };
            return Some((reframed.track, frame));
        }
    }
}
