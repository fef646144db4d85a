//! [`Export`]: the numbers of a stream for the `metrics` facade, by which an application hands them to Prometheus or the
//! like.
//!
//! In: what the driver is about to do or to wait for. Out: counters, gauges and a histogram, each with the label `stream`.
//! The handles are made once, by the thread that makes the stream, with the recorder that is installed by then; without
//! one they do nothing.
//!
//! Counters grow by what came since, so those of several streams of one name, such as of an element that was stopped and
//! started, add up. Of their gauges the newest value stands.
//! Belongs here: names, units, when they are written. Does not belong here: what is counted (`session`).

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, Unit};

use super::Intake;
use crate::{
    definition::StreamName,
    fragment::DropReason,
    session::{Ack, AckKind, Event, Output, Stats},
    time::Mono,
};

/// Values are written at most so often, but for acks, which come a few times a second.
const EVERY: Duration = Duration::from_secs(1);

const LABEL: &str = "stream";
const DROPPED: &str = "kvs_frames_dropped_total";
const ACKS: &str = "kvs_acks_total";
const LATENCY: &str = "kvs_ack_latency_seconds";

/// Name, what it is, value.
type Counts = (&'static str, Unit, &'static str, fn(&Stats) -> u64);
type Gauges = (&'static str, Unit, &'static str, fn(&Stats) -> f64);

const COUNTERS: [Counts; 14] = [
    (
        "kvs_frames_total",
        Unit::Count,
        "Frames that came.",
        |stats| stats.frames_in,
    ),
    (
        "kvs_frames_persisted_total",
        Unit::Count,
        "Frames that the service has for good.",
        |stats| stats.frames_persisted,
    ),
    (
        "kvs_bytes_in_total",
        Unit::Bytes,
        "Payload that came.",
        |stats| stats.bytes_in,
    ),
    (
        "kvs_bytes_sent_total",
        Unit::Bytes,
        "Handed to the connection, with headers and with what was sent again.",
        |stats| stats.bytes_sent,
    ),
    (
        "kvs_fragments_persisted_total",
        Unit::Count,
        "Fragments that the service has for good.",
        |stats| stats.fragments_persisted,
    ),
    (
        "kvs_fragments_dropped_total",
        Unit::Count,
        "Fragments that were dropped as a whole.",
        |stats| stats.fragments_dropped,
    ),
    (
        "kvs_fragments_resent_total",
        Unit::Count,
        "Times that a fragment was begun to be sent again.",
        |stats| stats.fragments_resent,
    ),
    (
        "kvs_sessions_total",
        Unit::Count,
        "PutMedia sessions that were accepted.",
        |stats| stats.sessions,
    ),
    (
        "kvs_connection_attempts_total",
        Unit::Count,
        "Attempts to open a PutMedia session.",
        |stats| stats.connection_attempts,
    ),
    (
        "kvs_callbacks_left_out_total",
        Unit::Count,
        "Calls of callbacks that were left out, since callbacks were too slow.",
        |stats| stats.callbacks_left_out,
    ),
    (
        "kvs_callbacks_panicked_total",
        Unit::Count,
        "Calls of callbacks that panicked.",
        |stats| stats.callbacks_panicked,
    ),
    (
        "kvs_spool_frames_recovered_total",
        Unit::Count,
        "Frames that an earlier run has left on disk, and this one found.",
        |stats| stats.spool.frames_recovered,
    ),
    (
        "kvs_spool_frames_left_total",
        Unit::Count,
        "Frames that were left on disk to the next run.",
        |stats| stats.spool.frames_left,
    ),
    (
        "kvs_spool_failures_total",
        Unit::Count,
        "Times that the disk of the spool failed.",
        |stats| stats.spool.failures,
    ),
];

const GAUGES: [Gauges; 8] = [
    (
        "kvs_buffered_bytes",
        Unit::Bytes,
        "Media that is kept, with its overhead.",
        |stats| stats.bytes_buffered as f64,
    ),
    (
        "kvs_buffered_seconds",
        Unit::Seconds,
        "From the oldest media that is kept to the newest.",
        |stats| stats.buffered_duration.as_secs_f64(),
    ),
    (
        "kvs_frames_pending",
        Unit::Count,
        "Frames that are kept until they are PERSISTED.",
        |stats| stats.frames_pending as f64,
    ),
    (
        "kvs_frame_rate",
        Unit::CountPerSecond,
        "Frames that came a second, over the last five to six seconds.",
        |stats| stats.frame_rate,
    ),
    (
        "kvs_transfer_bytes_per_second",
        // The facade has no bytes a second.
        Unit::Bytes,
        "Bytes handed to the connection a second, over the last five to six seconds.",
        |stats| stats.transfer_rate,
    ),
    (
        "kvs_spool_bytes",
        Unit::Bytes,
        "Files of fragments on disk.",
        |stats| stats.spool.bytes as f64,
    ),
    (
        "kvs_spool_fragments",
        Unit::Count,
        "Fragments on disk.",
        |stats| stats.spool.fragments as f64,
    ),
    (
        "kvs_spool_age_seconds",
        Unit::Seconds,
        "From the oldest frame on disk to the newest of the stream.",
        |stats| stats.spool.age.as_secs_f64(),
    ),
];

/// The metrics of one stream.
pub(crate) struct Export {
    counters: [Growing; COUNTERS.len()],
    gauges: [Gauge; GAUGES.len()],
    dropped: [Growing; DropReason::ALL.len()],
    acks: Vec<Growing>,
    latencies: Vec<Histogram>,
    /// When they are written again, if there is anything new.
    due: Mono,
    /// The recorder panicked.
    failed: bool,
}

/// A counter, and what it has of this stream.
struct Growing {
    counter: Counter,
    told: u64,
}

impl Growing {
    fn new(counter: Counter) -> Self {
        Self { counter, told: 0 }
    }

    fn reach(&mut self, value: u64) {
        let before = std::mem::replace(&mut self.told, value);
        self.counter.increment(value.saturating_sub(before));
    }
}

impl Export {
    /// Describes the metrics to the recorder that is installed, and makes those of this stream.
    pub(crate) fn new(stream: &StreamName) -> Self {
        describe();
        let stream = || stream.as_str().to_owned();
        let counter = |(name, ..): Counts| Growing::new(metrics::counter!(name, LABEL => stream()));
        let gauge = |(name, ..): Gauges| metrics::gauge!(name, LABEL => stream());
        let dropped = |reason: DropReason| {
            let reason = reason.as_str();
            Growing::new(metrics::counter!(DROPPED, LABEL => stream(), "reason" => reason))
        };
        let acks = |kind: AckKind| {
            Growing::new(metrics::counter!(ACKS, LABEL => stream(), "type" => kind.as_str()))
        };
        let latency = |kind: AckKind| metrics::histogram!(LATENCY, LABEL => stream(), "type" => kind.as_str());
        Self {
            counters: COUNTERS.map(counter),
            gauges: GAUGES.map(gauge),
            dropped: DropReason::ALL.map(dropped),
            acks: AckKind::ALL.iter().copied().map(acks).collect(),
            latencies: AckKind::MEASURED.iter().copied().map(latency).collect(),
            due: Mono::ZERO,
            failed: false,
        }
    }

    /// Looks at what the driver does next, and gives it back; a wait may become shorter, so that what has changed is
    /// written, and the rates of a stream that nobody feeds fall.
    pub(crate) fn pass(&mut self, output: Output, intake: &Intake, now: Mono) -> Output {
        if self.failed {
            return output;
        }
        // The recorder is the application's: if it panics, media goes on without it.
        let exported = catch_unwind(AssertUnwindSafe(|| match &output {
            Output::Tell(event) => {
                self.tell(event, now);
                None
            }
            Output::Wait { .. } => self.refresh(intake, now),
            _ => None,
        }));
        self.failed = exported.is_err();
        match (output, exported) {
            (Output::Wait { at, .. }, Ok(Some(due))) if at.is_none_or(|at| due < at) => {
                Output::Wait {
                    at: Some(due),
                    why: "metrics",
                }
            }
            (output, _) => output,
        }
    }

    fn tell(&mut self, event: &Event, now: Mono) {
        match event {
            Event::Ack(Ack { kind, latency, .. }) => {
                let mut measured = AckKind::MEASURED.iter().zip(&self.latencies);
                if let Some(latency) = latency
                    && let Some((_, histogram)) = measured.find(|(other, _)| *other == kind)
                {
                    histogram.record(latency.as_secs_f64());
                }
                self.due = now;
            }
            // In a moment nobody waits any more.
            Event::Closed(stats) => self.write(stats),
            _ => {}
        }
    }

    /// Writes what is due. When that is again; `None`: not before something comes.
    fn refresh(&mut self, intake: &Intake, now: Mono) -> Option<Mono> {
        if now < self.due {
            return Some(self.due);
        }
        let stats = intake.stats();
        self.write(&stats);
        self.due = now + EVERY;
        let moves = stats.frame_rate > 0.0 || stats.transfer_rate > 0.0;
        moves.then_some(self.due)
    }

    fn write(&mut self, stats: &Stats) {
        for (growing, (.., value)) in self.counters.iter_mut().zip(COUNTERS) {
            growing.reach(value(stats));
        }
        for (gauge, (.., value)) in self.gauges.iter().zip(GAUGES) {
            gauge.set(value(stats));
        }
        for (growing, reason) in self.dropped.iter_mut().zip(DropReason::ALL) {
            growing.reach(stats.dropped.get(&reason).copied().unwrap_or_default());
        }
        for (growing, kind) in self.acks.iter_mut().zip(AckKind::ALL) {
            growing.reach(stats.acks.get(kind).copied().unwrap_or_default());
        }
    }
}

fn describe() {
    for (name, unit, text, _) in COUNTERS {
        metrics::describe_counter!(name, unit, text);
    }
    for (name, unit, text, _) in GAUGES {
        metrics::describe_gauge!(name, unit, text);
    }
    metrics::describe_counter!(DROPPED, Unit::Count, "Frames that were dropped.");
    metrics::describe_counter!(ACKS, Unit::Count, "Acks that came.");
    metrics::describe_histogram!(
        LATENCY,
        Unit::Seconds,
        "From the first frame of a fragment to its BUFFERING, and from its last frame to its RECEIVED and PERSISTED."
    );
}
