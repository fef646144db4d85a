//! `storage-size` bounds what the process needs.

use std::path::Path;

use gst::prelude::*;
use test_case::test_case;

use super::{census::peak_kib, measure, service::Service};
use crate::support::{
    Pipeline, alone,
    feed::{Clip, Fed, large_source, record},
    log::eventually,
};

/// Ten minutes of a second of 8 Mbit/s, again and again.
const SECONDS: u64 = 600;
const STORAGE_MIB: u64 = 8;
/// For all that is not media: the runtime, the HTTP client, and what is on its way.
const BESIDES_MIB: u64 = 24;
const MIB: u64 = 1 << 20;

/// With `storage-size=8`, against a service that stops reading, the process needs at its most what it needs with a
/// `fakesink`, 8 MiB of media, and 24 MiB for all the rest: when media comes as fast as it can be made and the oldest is
/// dropped; and when it has to wait, until it stands still.
#[test_case("realtime", 1_000_000)]
#[test_case("offline", 100_000_000)]
fn memory_stays_within_the_storage(streaming_type: &str, stops_at: u64) {
    if let Some(task) = alone::task() {
        let (clip, sink) = task.split_once('\n').unwrap();
        return feed(Path::new(clip), sink, stops_at);
    }
    let service = Service::start(Some(&format!("stop-reading-at-byte:{stops_at}:always")));
    let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    let clip = file.path().to_str().unwrap();
    let line = format!(
        "{} ! mp4mux ! filesink location={clip}",
        large_source(25, 25)
    );
    assert!(Pipeline::new(&line).run().eos);
    let peak_with = |sink: &str| {
        let ended = measure(&format!("{clip}\n{sink}"));
        let peak = ended
            .stdout
            .lines()
            .find_map(|line| Some(line.split_once("peak ")?.1));
        peak.unwrap().parse::<u64>().unwrap()
    };
    let fakesink = peak_with("fakesink name=sink sync=false");
    let kvssink = peak_with(&format!(
        "kvssink name=sink stream-name=cam storage-size={STORAGE_MIB} streaming-type={streaming_type} \
         stop-stream-timeout=1 {}",
        service.properties()
    ));
    let limit = fakesink + (STORAGE_MIB + BESIDES_MIB) * 1024;
    println!("{streaming_type}: {kvssink} KiB, {fakesink} KiB with fakesink; {limit} KiB allowed");
    assert!(kvssink <= limit);
    service.stop();
}

/// In a process of its own: the media of `clip` for ten minutes into `sink`, as fast as it takes them, and the peak.
fn feed(clip: &Path, sink: &str, stops_at: u64) {
    let mut clip = record(&format!(
        "filesrc location={} ! qtdemux ! h264parse",
        clip.display()
    ));
    let second: usize = clip.buffers.iter().map(|buffer| buffer.size()).sum();
    assert!(second >= 1_000_000, "{second} bytes in a second");
    // That of the file ends after a second.
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    clip.events.pop();
    clip.events.push(gst::event::Segment::new(&segment));
    let fed = Fed::into(sink);
    fed.begin(&clip);
    std::thread::scope(|scope| {
        put(&fed, &clip, 0).unwrap();
        let (measures, waits) = (sink.starts_with("kvssink"), sink.contains("offline"));
        let count = |name| fed.stats().get::<u64>(name).unwrap();
        if measures {
            // From here on media comes and goes at the same time.
            let goes = eventually(|| count("bytes-sent") >= second as u64);
            assert!(goes, "{}", fed.stats());
        }
        let feeding = scope.spawn(|| (1..SECONDS).try_for_each(|second| put(&fed, &clip, second)));
        // Until it stands still: the service takes nothing more, and everything is full.
        let is_over = eventually(|| {
            let is_full = || {
                count("bytes-sent") > stops_at
                    && count("bytes-buffered") > STORAGE_MIB * MIB - second as u64
            };
            (waits || feeding.is_finished()) && (!measures || is_full())
        });
        assert!(is_over && feeding.is_finished() != waits);
        println!("peak {}", peak_kib());
        if measures {
            println!("{}", fed.stats());
        }
        fed.pipeline.0.set_state(gst::State::Null).unwrap();
        let outcome = if waits {
            Err(gst::FlowError::Flushing)
        } else {
            Ok(())
        };
        assert_eq!(feeding.join().unwrap(), outcome);
    });
}

fn put(fed: &Fed, clip: &Clip, second: u64) -> Result<(), gst::FlowError> {
    for buffer in &clip.buffers {
        // With bytes of its own: what is kept is counted.
        let mut frame = buffer.copy_deep().unwrap();
        let inside = frame.get_mut().unwrap();
        let later = |at: gst::ClockTime| at + gst::ClockTime::from_seconds(second);
        inside.set_pts(buffer.pts().map(later));
        inside.set_dts(buffer.dts().map(later));
        fed.put(&frame)?;
    }
    Ok(())
}
