//! One stream whose connections end, again and again.

use gst::prelude::*;
use test_case::test_case;

use super::{census::Rounds, measure, once, quiet, rounds, service::Service};
use crate::support::{accounts, alone, feed::Clip, log::eventually};

/// Frames of a fragment: longer than the fifth of a second that the service wants at least.
const FRAGMENT: u64 = 6;
const FRAME: gst::ClockTime = gst::ClockTime::from_mseconds(40);

/// A stream that loses its connection again and again, by RST or FIN, between fragments or in the middle of a frame,
/// leaves nothing of the old ones behind, and everything is PERSISTED. Each connection gets a fragment through, so the next
/// one is opened at once.
#[test_case("reset-at-fragment:3"; "by RST between fragments")]
#[test_case("close-mid-frame:14"; "by FIN in the middle of a frame")]
fn a_process_that_reconnects_again_and_again_does_not_grow(fault: &str) {
    if let Some(properties) = alone::task() {
        return reconnect(&properties);
    }
    let service = Service::start(Some(&format!("{fault}:always")));
    measure(&service.properties());
    service.stop();
}

fn reconnect(properties: &str) {
    let properties = format!("stream-name=cam streaming-type=offline {properties}");
    let clip = Clip::small(FRAGMENT as u32, FRAGMENT as u32);
    let fed = quiet(&properties);
    once(&fed, &clip);
    let mut rounds = Rounds::begin(rounds());
    fed.begin(&clip);
    let mut fragments = 0;
    let count = |name| fed.stats().get::<u64>(name).unwrap();
    while rounds.left() > 0 {
        // Two whole ones and one that goes on: as much as a connection needs to come to its end.
        let few = eventually(|| count("frames-pending") <= 2 * FRAGMENT);
        assert!(few, "{}", fed.stats());
        for buffer in &clip.buffers {
            let mut frame = buffer.copy();
            let inside = frame.get_mut().unwrap();
            let later = |at: gst::ClockTime| at + fragments * FRAGMENT * FRAME;
            inside.set_pts(buffer.pts().map(later));
            inside.set_dts(buffer.dts().map(later));
            fed.put(&frame).unwrap();
        }
        fragments += 1;
        if count("sessions") > 1 + rounds.done() {
            rounds.next();
        }
    }
    fed.eos();
    assert!(
        eventually(|| count("frames-pending") == 0),
        "{}",
        fed.stats()
    );
    let frames = fragments * FRAGMENT;
    assert_eq!(accounts(&fed.stats()), [frames, frames, 0, 0]);
    println!("{}", fed.stats());
    fed.pipeline.0.set_state(gst::State::Null).unwrap();
    rounds.assert_flat();
}
