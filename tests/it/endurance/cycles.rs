//! An element that starts and stops, again and again.

use gst::prelude::*;

use super::{census::Rounds, measure, once, quiet, rounds, service::Service};
use crate::support::{accounts, alone, feed::Clip, log::eventually};

/// An element that uploads and stops leaves nothing behind: one that is used again and again, and one that is new each time;
/// by EOS and NULL, and by NULL alone.
#[test]
fn a_process_that_starts_and_stops_again_and_again_does_not_grow() {
    if let Some(properties) = alone::task() {
        return start_and_stop(&properties);
    }
    let service = Service::start(None);
    measure(&service.properties());
    service.stop();
}

fn start_and_stop(properties: &str) {
    let properties = format!("stream-name=cam {properties}");
    let clip = Clip::small(6, 3);
    let again = quiet(&properties);
    once(&again, &clip);
    let mut rounds = Rounds::begin(rounds());
    while rounds.left() > 0 {
        let round = rounds.done();
        let new;
        let fed = if round.is_multiple_of(2) {
            &again
        } else {
            new = quiet(&properties);
            &new
        };
        fed.begin(&clip);
        fed.put_all(&clip.buffers);
        if round % 4 < 2 {
            fed.eos();
            let pending = || fed.stats().get::<u64>("frames-pending").unwrap();
            assert!(eventually(|| pending() == 0), "{round}");
        }
        fed.pipeline.0.set_state(gst::State::Null).unwrap();
        assert_eq!(accounts(&fed.stats()), [6, 6, 0, 0], "{round}");
        rounds.next();
    }
    rounds.assert_flat();
}
