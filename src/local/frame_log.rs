//! When which frame was there: a file for those who measure the way of a frame.
//!
//! One line of CSV for each beginning of a fragment and for each frame, when its last byte was read. The clock is
//! CLOCK_MONOTONIC, which all processes of a machine share.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;

use anyhow::Context;

use super::clock;
use super::service::lock;
use super::skim::Arrival;

/// The file.
pub(crate) struct FrameLog(Mutex<BufWriter<File>>);

impl FrameLog {
    /// Begins a file, in place of what was there.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        // Where there is no such clock this fails at the start, and not later in silence.
        clock::monotonic_ns().context("a log of frames needs Linux")?;
        let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
        let mut file = BufWriter::new(file);
        writeln!(file, "stream,session,what,timecode_ms,arrived_ns")?;
        file.flush()?;
        Ok(Self(Mutex::new(file)))
    }

    /// Writes what has arrived by now.
    pub(crate) fn write(
        &self,
        stream: &str,
        session: u64,
        arrivals: impl Iterator<Item = Arrival>,
    ) {
        let now_ns = clock::monotonic_ns().unwrap_or_default();
        let mut file = lock(&self.0);
        for arrival in arrivals {
            let (what, timecode_ms) = match arrival {
                Arrival::Fragment { timecode_ms } => ("fragment", timecode_ms),
                Arrival::Frame { timecode_ms } => ("frame", timecode_ms),
            };
            // Who reads it misses what could not be written.
            let _ = writeln!(file, "{stream},{session},{what},{timecode_ms},{now_ns}");
        }
    }

    /// What was written is in the file.
    pub(crate) fn flush(&self) {
        let _ = lock(&self.0).flush();
    }
}
