//! [`Rate`]: how much came a second, lately.
//!
//! In: amounts and when they came. Out: their rate at any moment, also when nothing came since.
//! Belongs here: the window. Does not belong here: what is counted (`frames`, `link`).

use crate::time::Mono;

/// The whole seconds that a rate looks back on, beside the one that goes on: short enough to show a change, long enough
/// that a fragment which is sent at once, such as each two seconds, does not make it jump.
const WINDOW: u64 = 5;
/// With the second that goes on.
const BUCKETS: usize = WINDOW as usize + 1;

/// A sum over a sliding window of one-second buckets. Takes no memory but its own, and a few instructions to add.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    /// When the first amount came.
    began: Option<Mono>,
    /// The whole second of the clock that the newest bucket is of.
    newest: u64,
    /// Bucket n is of the newest second that is n modulo their number.
    buckets: [u64; BUCKETS],
}

impl Rate {
    /// So much came now. A `now` before the newest one counts as that.
    pub(super) fn add(&mut self, now: Mono, amount: u64) {
        self.began.get_or_insert(now);
        let second = second(now).max(self.newest);
        // Those that were passed over had nothing, and what they had before is too old.
        for passed in (self.newest + 1..=second).rev().take(BUCKETS) {
            self.buckets[place(passed)] = 0;
        }
        self.newest = second;
        let bucket = &mut self.buckets[place(second)];
        *bucket = bucket.saturating_add(amount);
    }

    /// A second, over the last five to six seconds; while less has passed since the first amount, over that time, but not
    /// over less than a second. 0 when nothing came within the window.
    pub(super) fn per_second(&self, now: Mono) -> f64 {
        let Some(began) = self.began else { return 0.0 };
        let age = now.saturating_since(began);
        let part = f64::from(now.saturating_since(Mono::ZERO).subsec_nanos()) / 1e9;
        let over = (WINDOW as f64 + part).min(age.as_secs_f64()).max(1.0);
        self.sum(now) as f64 / over
    }

    /// All that came within the window.
    fn sum(&self, now: Mono) -> u64 {
        let second = second(now).max(self.newest);
        let oldest = second.saturating_sub(WINDOW);
        // Each bucket is of one of the seconds up to the newest.
        let kept = oldest..=self.newest;
        kept.map(|second| self.buckets[place(second)])
            .fold(0, u64::saturating_add)
    }
}

fn second(now: Mono) -> u64 {
    now.saturating_since(Mono::ZERO).as_secs()
}

fn place(second: u64) -> usize {
    (second % BUCKETS as u64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(rate: &Rate, ms: u64) -> f64 {
        rate.per_second(Mono::from_millis(ms))
    }

    #[test]
    fn a_steady_stream_has_its_rate_from_the_first_second_on() {
        let mut rate = Rate::default();
        assert_eq!(at(&rate, 0), 0.0);
        for n in 0..1000 {
            let ms = 700 + n * 40;
            rate.add(Mono::from_millis(ms), 1);
            if n >= 25 {
                let shown = at(&rate, ms);
                assert!((24.5..=26.5).contains(&shown), "{shown} at {ms} ms");
            }
        }
    }

    #[test]
    fn one_frame_is_no_infinite_rate() {
        let mut rate = Rate::default();
        rate.add(Mono::from_millis(1234), 1);
        assert_eq!(at(&rate, 1234), 1.0);
    }

    #[test]
    fn the_rate_of_an_idle_stream_falls_to_nothing() {
        let mut rate = Rate::default();
        for n in 0..250 {
            rate.add(Mono::from_millis(n * 40), 1);
        }
        let shown: Vec<_> = (10..17).map(|s| at(&rate, s * 1000)).collect();
        assert!(shown.is_sorted_by(|a, b| a >= b), "{shown:?}");
        assert_eq!(shown[0], 25.0);
        assert_eq!(shown[6], 0.0);
        rate.add(Mono::from_secs(3600), 10);
        assert_eq!(at(&rate, 3_600_000), 2.0, "over the five seconds before it");
    }

    #[test]
    fn a_time_that_goes_back_loses_nothing() {
        let mut rate = Rate::default();
        rate.add(Mono::from_secs(10), 3);
        rate.add(Mono::from_secs(2), 4);
        assert_eq!(rate.sum(Mono::from_secs(10)), 7);
        assert_eq!(rate.sum(Mono::from_secs(1)), 7);
    }

    proptest! {
        /// The window has what was put in during its seconds, and nothing else.
        #[test]
        fn the_sum_is_what_was_put_in(
            steps in proptest::collection::vec((0..9000_u64, 0..1000_u64), 1..100),
            later in 0..9000_u64,
        ) {
            let mut rate = Rate::default();
            let mut now = 0;
            let mut put = Vec::new();
            for (step, amount) in steps {
                now += step;
                rate.add(Mono::from_millis(now), amount);
                put.push((now / 1000, amount));
            }
            now += later;
            let kept = put.iter().filter(|(second, _)| second + WINDOW >= now / 1000);
            let expected: u64 = kept.map(|(_, amount)| amount).sum();
            prop_assert_eq!(rate.sum(Mono::from_millis(now)), expected);
            let shown = rate.per_second(Mono::from_millis(now));
            prop_assert!(shown >= 0.0 && shown <= expected as f64);
        }
    }
}
