//! From the buffer at the element to the last byte of the frame at the service.

use anyhow::ensure;

use super::service::{Arrived, stream_name};
use super::task::Figures;

/// The latencies of a run, in ms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// The part of frames that had arrived when the next one of the same camera came.
    pub(crate) before_next: f64,
}

/// Frames of the beginning wait for the connection: they are not counted.
const SETTLED_NS: u64 = 1_000_000_000;

/// Joins what came to the sinks with what came to the service: both in order, nothing lost, nothing twice.
pub(crate) fn of(figures: &Figures, arrived: &[Arrived]) -> anyhow::Result<Latency> {
    let mut all_ns = Vec::new();
    let mut before_next = (0, 0);
    for (n, rendered) in figures.rendered_ns.iter().enumerate() {
        let name = stream_name(n);
        let arrived: Vec<u64> = arrived
            .iter()
            .filter(|line| line.is_frame && line.stream == name)
            .map(|line| line.at_ns)
            .collect();
        ensure!(
            arrived.len() == rendered.len(),
            "{name}: {} frames of {}",
            arrived.len(),
            rendered.len()
        );
        let begin = rendered.first().map_or(0, |first| first + SETTLED_NS);
        let frames = rendered.iter().zip(&arrived).zip(rendered.iter().skip(1));
        for ((rendered, arrived), next) in frames.filter(|((rendered, _), _)| **rendered > begin) {
            all_ns.push(arrived.saturating_sub(*rendered));
            before_next.0 += usize::from(arrived < next);
            before_next.1 += 1;
        }
    }
    ensure!(!all_ns.is_empty(), "no frame to look at");
    all_ns.sort_unstable();
    let at = |part: f64| {
        let place = (all_ns.len() as f64 * part) as usize;
        all_ns[place.min(all_ns.len() - 1)] as f64 / 1e6
    };
    Ok(Latency {
        p50_ms: at(0.50),
        p99_ms: at(0.99),
        max_ms: at(1.0),
        before_next: f64::from(before_next.0 as u32) / f64::from(before_next.1),
    })
}
