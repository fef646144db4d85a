//! What a child is to do, and what it says of it.

use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{clock, process};

/// The variable by which a child is told.
pub(crate) const VARIABLE: &str = "KVSSINK_BENCH_TASK";
/// Frames of a camera in a second.
pub(crate) const FPS: u64 = 25;

/// What is run.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) enum Shape {
    /// The file is read and taken apart, and no more: what all others cost, too.
    Fakesink,
    /// It is put together as Matroska again, to /dev/null.
    Matroskamux,
    /// To another thread and into a socket, bare: the least that GStreamer itself needs for these buffers.
    Tcp,
    /// The same bytes by the HTTP client alone, a chunk for each frame, from memory.
    Upload,
    /// The element.
    Kvssink,
    /// The element, with each fragment on disk before it is PERSISTED.
    Spool,
}

impl Shape {
    /// It is the element.
    pub(crate) fn is_kvssink(self) -> bool {
        matches!(self, Self::Kvssink | Self::Spool)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fakesink => "fakesink",
            Self::Matroskamux => "matroskamux",
            Self::Tcp => "queue ! tcpclientsink",
            Self::Upload => "reqwest",
            Self::Kvssink => "kvssink",
            Self::Spool => "kvssink spool-mode=always",
        }
    }
}

/// Whom a child talks to.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Peer {
    pub(crate) endpoint: String,
    pub(crate) ca_file: Option<PathBuf>,
}

/// What a child is to do.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Task {
    pub(crate) shape: Shape,
    pub(crate) peer: Option<Peer>,
    /// What each sink gets.
    pub(crate) file: PathBuf,
    /// Frames of the file.
    pub(crate) frames: usize,
    /// How many in this process.
    pub(crate) sinks: usize,
    /// As a camera gives it, for so many seconds; or as fast as it is taken.
    pub(crate) realtime_s: Option<f64>,
    /// Of a realtime run: how long after PLAYING the first frame comes, in seconds.
    pub(crate) first_s: f64,
    /// Through which to reach the peer.
    pub(crate) proxy: Option<String>,
}

impl Task {
    /// The task, if this process is a child.
    pub(crate) fn of_this_process() -> anyhow::Result<Option<Self>> {
        let Some(text) = std::env::var_os(VARIABLE) else {
            return Ok(None);
        };
        let text = text.to_str().context("the task is not UTF-8")?;
        Ok(Some(serde_json::from_str(text)?))
    }

    /// When this sink begins, in seconds after PLAYING: cameras do not give their frames, nor their key frames,
    /// at the same moment.
    pub(crate) fn phase_s(&self, sink: usize) -> f64 {
        self.first_s + sink as f64 / self.sinks as f64 * PHASES_S
    }

    /// From where to where figures of a realtime run are taken, in seconds since its start: all sinks stream by then, and
    /// none has come to its end.
    pub(crate) fn window_s(&self) -> Option<[f64; 2]> {
        self.realtime_s.map(|end| [PHASES_S + 0.2, end - 0.2])
    }
}

/// The phases of cameras lie within this time.
const PHASES_S: f64 = 1.0;

/// What a child says.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Figures {
    /// Of all sinks together.
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// From NULL to NULL, as are the CPU times.
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: f64,
    /// NULL→PLAYING.
    pub(crate) start_s: f64,
    /// From EOS of all sinks, when everything is PERSISTED, to NULL.
    pub(crate) stop_s: f64,
    /// The most memory of the process, VmHWM.
    pub(crate) peak_kib: u64,
    /// Of a realtime run, its middle.
    pub(crate) window: Option<Window>,
    /// CLOCK_MONOTONIC in ns when each frame came to its sink, of a realtime run; by sink.
    pub(crate) rendered_ns: Vec<Vec<u64>>,
    /// And when the first BUFFERING ack was on the bus.
    pub(crate) buffering_ns: Option<u64>,
}

/// The middle of a realtime run.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Window {
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: f64,
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// Voluntary switches of all threads: how often one had to wait and was woken.
    pub(crate) wakes: u64,
}

/// The counts at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    at_ns: u64,
    cpu_ns: u64,
    frames: u64,
    bytes: u64,
    wakes: u64,
}

impl Moment {
    pub(crate) fn now(frames: u64, bytes: u64) -> Self {
        Self {
            at_ns: clock::monotonic_ns(),
            cpu_ns: clock::cpu_ns(),
            frames,
            bytes,
            wakes: process::voluntary_switches(),
        }
    }

    /// What there was from then to now.
    pub(crate) fn until(self, end: Self) -> Window {
        Window {
            wall_s: seconds(end.at_ns - self.at_ns),
            cpu_s: seconds(end.cpu_ns - self.cpu_ns),
            frames: end.frames - self.frames,
            bytes: end.bytes - self.bytes,
            wakes: end.wakes.saturating_sub(self.wakes),
        }
    }
}

pub(crate) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
