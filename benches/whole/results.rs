//! What was measured: each figure as median, least and most of its runs.

use std::collections::BTreeMap;

use super::first_ack::FirstAck;
use super::latency::Latency;
use super::recovery::Recovery;
use super::size::Size;
use super::task::{Figures, Shape};

/// One cell of the comparison.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Case {
    pub(crate) realtime: bool,
    pub(crate) sinks: usize,
    pub(crate) shape: Shape,
    /// Of what has a network; none of what has not.
    pub(crate) tls: Option<bool>,
}

impl Case {
    /// The shape and its scheme.
    pub(crate) fn name(self) -> String {
        let shape = self.shape.name();
        match self.tls {
            None => shape.to_owned(),
            Some(false) => format!("{shape}, http"),
            Some(true) => format!("{shape}, https"),
        }
    }

    /// What it is to be compared with.
    pub(crate) fn fakesink(self) -> Self {
        Self {
            shape: Shape::Fakesink,
            tls: None,
            ..self
        }
    }
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) figures: Figures,
    /// Most threads that were seen.
    pub(crate) threads: u64,
    /// CPU time of the service meanwhile, in seconds.
    pub(crate) service_cpu_s: f64,
}

/// Median, least and most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of these; none of nothing.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            (values[middle - 1] + values[middle]) / 2.0
        };
        Some(Self { median, min, max })
    }
}

/// Everything.
pub(crate) struct Results {
    pub(crate) quick: bool,
    pub(crate) runs: BTreeMap<Case, Vec<Run>>,
    pub(crate) latencies: BTreeMap<Case, Vec<Latency>>,
    pub(crate) recoveries: Vec<Recovery>,
    pub(crate) first_acks: Vec<FirstAck>,
    pub(crate) size: Option<Size>,
    /// Load average before and after, of the last minute.
    pub(crate) load: [f64; 2],
    pub(crate) took_s: f64,
}

impl Results {
    /// The spread of a figure of a case.
    pub(crate) fn spread(&self, case: Case, figure: impl Fn(&Run) -> f64) -> Option<Spread> {
        Spread::of(self.runs.get(&case)?.iter().map(figure))
    }

    /// CPU seconds for a GB. Of realtime runs, in the window.
    pub(crate) fn cpu_per_gb(&self, case: Case) -> Option<Spread> {
        self.spread(case, cpu_per_gb)
    }

    /// The same, less the median of fakesink; an upload has no pipeline, so it is net as it is.
    pub(crate) fn net_per_gb(&self, case: Case) -> Option<Spread> {
        let without = match case.shape {
            Shape::Upload => 0.0,
            _ => self.cpu_per_gb(case.fakesink())?.median,
        };
        self.spread(case, |run| cpu_per_gb(run) - without)
    }

    /// Wake-ups for each frame of a realtime case, less those of fakesink.
    pub(crate) fn wakes_per_frame(&self, case: Case) -> Option<Spread> {
        let of = |run: &Run| {
            let window = run.figures.window.unwrap_or_default();
            window.wakes as f64 / (window.frames as f64).max(1.0)
        };
        let without = match case.shape {
            Shape::Upload => 0.0,
            _ => self.spread(case.fakesink(), of)?.median,
        };
        self.spread(case, |run| of(run) - without)
    }
}

fn cpu_per_gb(run: &Run) -> f64 {
    let (cpu_s, bytes) = match run.figures.window {
        Some(window) => (window.cpu_s, window.bytes),
        None => (run.figures.cpu_s, run.figures.bytes),
    };
    cpu_s / (bytes as f64 / 1e9).max(f64::MIN_POSITIVE)
}
