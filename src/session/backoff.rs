//! [`Backoff`]: how long to wait before the next attempt.

use std::time::Duration;

/// Grows from here …
const FIRST: Duration = Duration::from_millis(500);
/// … to here, so that a service that is back is found soon and a fleet does not storm it.
const LONGEST: Duration = Duration::from_secs(10);
/// Never less, whatever the dice say: bounds the attempts per second.
const SHORTEST: Duration = Duration::from_millis(200);

/// Exponential back-off with full jitter. The first attempt after a success is at once, since most cuts are short.
pub(crate) struct Backoff {
    random: fastrand::Rng,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            failures: 0,
        }
    }

    /// An attempt failed: the wait before the next one.
    pub(crate) fn next(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            return Duration::ZERO;
        }
        self.wait(self.failures - 2)
    }

    /// The service asked for patience, or an attempt at once makes no sense.
    pub(crate) fn next_slow(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1).max(2);
        self.wait(self.failures - 2)
    }

    /// Media got through.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    fn wait(&mut self, doublings: u32) -> Duration {
        let ceiling = FIRST.saturating_mul(1 << doublings.min(10)).min(LONGEST);
        ceiling.mul_f64(self.random.f64()).max(SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_retry_is_at_once_and_the_rest_is_bounded_and_grows() {
        for seed in 0..100 {
            let mut backoff = Backoff::new(seed);
            assert_eq!(backoff.next(), Duration::ZERO);
            let waits: Vec<_> = (0..20).map(|_| backoff.next()).collect();
            assert!(
                waits.iter().all(|wait| (SHORTEST..=LONGEST).contains(wait)),
                "{waits:?}"
            );
            assert!(waits[0] <= FIRST && waits[1] <= 2 * FIRST);
            backoff.reset();
            assert_eq!(backoff.next(), Duration::ZERO);
            backoff.reset();
            assert!(backoff.next_slow() >= SHORTEST);
        }
    }

    /// A service that refuses at once is asked at most 8 times in the first 2 s, and 30 times in the first minute.
    #[test]
    fn attempts_are_bounded_whatever_the_dice_say() {
        for seed in 0..100_000 {
            let mut backoff = Backoff::new(seed);
            let mut elapsed = Duration::ZERO;
            let attempts = std::iter::repeat_with(|| {
                elapsed += backoff.next();
                elapsed
            });
            let minute = Duration::from_secs(60);
            let attempts: Vec<_> = attempts.take_while(|at| *at <= minute).collect();
            let first = attempts.partition_point(|at| *at <= Duration::from_secs(2));
            assert!(first <= 8 && attempts.len() <= 30, "{seed}: {attempts:?}");
        }
    }

    #[test]
    fn two_elements_do_not_wait_alike() {
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..8).map(|_| backoff.next()).collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
