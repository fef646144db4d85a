//! [`AckLatency`]: how long the service takes to acknowledge.
//!
//! In: the time from a fragment's frames to an ack of it. Out: a summary, made anew with each ack, so that asking for it
//! costs nothing.
//! Belongs here: what counts as the latency of an ack, and its distribution. Does not belong here: what an ack means for
//! the store (`link`).

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

use super::{Ack, AckKind, Session};
use crate::time::Mono;

/// Longest latency that the percentiles tell apart; a longer one counts as this one.
const LONGEST_MS: u64 = 60 * 60 * 1000;
/// Significant digits of the percentiles; 8 KiB for each kind of ack.
const DIGITS: u8 = 2;

/// Latencies of one kind of ack ([`AckKind`]), over the life of the stream: of BUFFERING since the first frame of its
/// fragment came, of RECEIVED and PERSISTED since the last one came. An ack of a fragment that is not kept any more has
/// none, and a fragment that is sent again has more than one, each since its frames came.
///
/// ```
/// use gstkvssink::producer::{AckKind, Stream};
///
/// # fn f(stream: Stream) {
/// if let Some(latency) = stream.metrics().ack_latency.get(&AckKind::Persisted) {
///     println!("PERSISTED after {:?}, at worst after {:?}", latency.p50, latency.max);
/// }
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AckLatency {
    /// Acks that were measured.
    pub count: u64,
    /// That of the newest one.
    pub last: Duration,
    /// The average.
    pub mean: Duration,
    /// Half of them took at most so long; like all percentiles in whole milliseconds, at most 1 % too long, and an hour at
    /// most.
    pub p50: Duration,
    /// Nine of ten took at most so long.
    pub p90: Duration,
    /// All but one of a hundred took at most so long.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// What a summary is made of.
#[derive(Default)]
pub(super) struct Latencies {
    of: BTreeMap<AckKind, Measured>,
}

#[derive(Default)]
struct Measured {
    /// In milliseconds. Made with the first ack: most kinds have none.
    histogram: Option<Histogram<u32>>,
    sum: Duration,
    summary: AckLatency,
}

impl Latencies {
    fn add(&mut self, kind: AckKind, latency: Duration) {
        self.of.entry(kind).or_default().add(latency);
    }

    /// By kind; those that never came are left out.
    pub(super) fn summaries(&self) -> BTreeMap<AckKind, AckLatency> {
        let summary = |(kind, measured): (&AckKind, &Measured)| (*kind, measured.summary);
        self.of.iter().map(summary).collect()
    }
}

impl Measured {
    fn add(&mut self, latency: Duration) {
        let count = self.summary.count + 1;
        self.sum = self.sum.saturating_add(latency);
        let max = self.summary.max.max(latency);
        self.summary = AckLatency {
            count,
            last: latency,
            mean: self.sum / u32::try_from(count).unwrap_or(u32::MAX),
            max,
            ..self.summary
        };
        if self.histogram.is_none() {
            // The bounds are valid, so it succeeds.
            self.histogram = Histogram::new_with_bounds(1, LONGEST_MS, DIGITS).ok();
        }
        let Some(histogram) = &mut self.histogram else {
            return;
        };
        histogram.saturating_record(u64::try_from(latency.as_millis()).unwrap_or(u64::MAX));
        let quantile = |quantile| {
            // The upper end of its bucket, which may be above all that is in it.
            Duration::from_millis(histogram.value_at_quantile(quantile)).min(max)
        };
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(quantile);
        self.summary = AckLatency {
            p50,
            p90,
            p99,
            ..self.summary
        };
    }
}

impl Session {
    /// Counts an ack, and how long it took if it is of a fragment that is kept. Before the ack settles that.
    pub(super) fn measure(&mut self, now: Mono, ack: &Ack) -> Option<Duration> {
        *self.stats.acks.entry(ack.kind).or_default() += 1;
        let link = self.state.link()?;
        let id = self.store.find(link.epoch, ack.timecode?)?;
        let since = match ack.kind {
            AckKind::Buffering => self.store.get(id)?.began,
            // What was not sent as a whole cannot have arrived: that is a mistake of the other side.
            AckKind::Received | AckKind::Persisted => self.store.get_sent(id)?.arrived,
            AckKind::Error | AckKind::Idle | AckKind::Unknown => return None,
        };
        let latency = now.saturating_since(since);
        self.latencies.add(ack.kind, latency);
        Some(latency)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn summary(millis: impl IntoIterator<Item = u64>) -> AckLatency {
        let mut latencies = Latencies::default();
        for ms in millis {
            latencies.add(AckKind::Persisted, Duration::from_millis(ms));
        }
        let summaries = latencies.summaries();
        assert_eq!(summaries.len(), 1);
        summaries[&AckKind::Persisted]
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_never_came_is_not_there() {
        assert!(Latencies::default().summaries().is_empty());
    }

    #[test]
    fn one_ack_is_all_of_its_summary() {
        let expected = AckLatency {
            count: 1,
            last: ms(1234),
            mean: ms(1234),
            p50: ms(1234),
            p90: ms(1234),
            p99: ms(1234),
            max: ms(1234),
        };
        assert_eq!(summary([1234]), expected);
    }

    #[test]
    fn the_percentiles_are_those_of_all_acks() {
        let all = summary(1..=1000);
        assert_eq!((all.count, all.last, all.max), (1000, ms(1000), ms(1000)));
        assert_eq!(all.mean, Duration::from_micros(500_500));
        for (shown, exact) in [(all.p50, 500), (all.p90, 900), (all.p99, 990)] {
            let most = ms(exact).mul_f64(1.01);
            assert!(ms(exact) <= shown && shown <= most, "{shown:?} for {exact}");
        }
    }

    #[test]
    fn what_is_too_long_counts_as_the_longest_and_nothing_fails() {
        let week = 7 * 24 * 3600 * 1000;
        let all = summary([0, week, u64::MAX]);
        assert_eq!((all.count, all.max), (3, ms(u64::MAX)));
        let hour = ms(LONGEST_MS);
        assert!(
            hour <= all.p99 && all.p99 <= hour.mul_f64(1.01),
            "{:?}",
            all.p99
        );
    }

    #[test]
    fn less_than_a_millisecond_is_nothing() {
        let all = summary([0, 0]);
        assert_eq!((all.p50, all.max), (Duration::ZERO, Duration::ZERO));
    }

    proptest! {
        /// Percentiles are in order, not less than the exact ones, at most 1 % and a millisecond more, and within the maximum.
        #[test]
        fn percentiles_are_near_the_exact_ones(
            mut latencies in proptest::collection::vec(0..LONGEST_MS, 1..200)
        ) {
            let all = summary(latencies.iter().copied());
            latencies.sort_unstable();
            let exact = |quantile: f64| {
                let rank = (quantile * latencies.len() as f64).ceil() as usize;
                ms(latencies[rank.max(1) - 1])
            };
            prop_assert_eq!(all.count, latencies.len() as u64);
            prop_assert_eq!(all.max, exact(1.0));
            prop_assert!(all.p50 <= all.p90 && all.p90 <= all.p99 && all.p99 <= all.max);
            for (shown, quantile) in [(all.p50, 0.5), (all.p90, 0.9), (all.p99, 0.99)] {
                let exact = exact(quantile);
                prop_assert!(exact <= shown && shown <= exact.mul_f64(1.01) + ms(1));
            }
        }
    }
}
