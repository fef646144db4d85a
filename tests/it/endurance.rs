//! Long runs of a process that streams: what it keeps of memory, threads and file descriptors.
//!
//! Each is measured in a process of its own, with the service in another. `make test` runs a part of the cycles and
//! reconnects, `make endurance` (`ENDURANCE=1`) all of them, by the same rule, and shows the figures.

#![allow(clippy::print_stdout, reason = "the figures")]

mod census;
mod cycles;
mod memory;
mod reconnects;
mod service;

use gst::prelude::*;

use crate::support::{
    alone,
    feed::{Clip, Fed},
    scripts::Ended,
};

/// How many of something that is done again and again.
fn rounds() -> usize {
    if std::env::var_os("ENDURANCE").is_some() {
        1000
    } else {
        200
    }
}

/// A sink whose bus nobody reads: messages that wait there are memory, too.
fn quiet(properties: &str) -> Fed {
    let fed = Fed::new(properties);
    let bus = fed.pipeline.0.bus().unwrap();
    bus.set_sync_handler(|_, _| gst::BusSyncReply::Drop);
    fed
}

/// Starts, sends and stops: a process makes some things when they are needed first, and keeps them (GStreamer its clock,
/// tokio its sockets for signals).
fn once(fed: &Fed, clip: &Clip) {
    fed.begin(clip);
    fed.put_all(&clip.buffers);
    fed.eos();
    fed.pipeline.0.set_state(gst::State::Null).unwrap();
}

/// Measures in a process of its own, and shows what came of it.
fn measure(task: &str) -> Ended {
    let ended = alone::run(task);
    ended.assert_success();
    print!("{}", ended.stdout);
    ended
}
