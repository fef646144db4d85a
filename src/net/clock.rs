//! The one place of the library that reads clocks.
#![expect(
    clippy::disallowed_methods,
    reason = "the clocks of the whole library are read here and handed on as parameters"
)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Mono, Timestamp};

/// A monotonic clock that counts from its making. On Linux it goes on while the machine is suspended, so that whatever was
/// due meanwhile is noticed at the first look after it; elsewhere it may stand still.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Started,
    awake: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            started: Started::now(),
            awake: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Mono {
        Mono::new(self.started.elapsed())
    }

    /// Of a machine that was suspended since the start, for so long.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn after_suspend_of(time: Duration) -> Self {
        let Self { started, awake } = Self::start();
        let started = Started(started.0.saturating_sub(time));
        Self { started, awake }
    }

    /// For how long of it the machine was suspended; by a moment wrong, since two clocks are read one after the other.
    pub(crate) fn suspended(self) -> Duration {
        let awake = self.awake.elapsed();
        self.started.elapsed().saturating_sub(awake)
    }
}

/// The time since the machine was started.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug)]
struct Started(Duration);

#[cfg(target_os = "linux")]
impl Started {
    fn now() -> Self {
        // `Instant` is CLOCK_MONOTONIC, which stands still in a suspend. This one is there on every Linux that Rust runs on.
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // It is never negative.
        Self(Duration::try_from(now).unwrap_or_default())
    }

    fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

#[cfg(not(target_os = "linux"))]
use std::time::Instant as Started;

/// Patience with another thread. It counts the time that the machine was awake, since the other one slept with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    since: Instant,
    limit: Duration,
}

impl Patience {
    /// From now on.
    pub(crate) fn of(limit: Duration) -> Self {
        Self {
            since: Instant::now(),
            limit,
        }
    }

    /// How much is left.
    pub(crate) fn left(self) -> Duration {
        self.limit.saturating_sub(self.since.elapsed())
    }

    /// There never was any.
    pub(crate) fn is_none(self) -> bool {
        self.limit.is_zero()
    }

    /// There is some left.
    pub(crate) fn lasts(self) -> bool {
        self.since.elapsed() < self.limit
    }
}

/// Wall-clock time as the AWS crates want it.
pub(crate) fn system_now() -> SystemTime {
    SystemTime::now()
}

/// Wall-clock time; zero when the clock is set before 1970.
///
/// ```
/// use gstkvssink::producer::{Frame, TrackNumber, wall_now};
///
/// let (track, payload) = (TrackNumber::AUDIO, vec![0xD5; 160].into());
/// let frame = Frame { track, pts: wall_now(), dts: None, key: true, payload };
/// ```
pub fn wall_now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_nanos(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends() {
        assert!(Patience::of(Duration::MAX).lasts());
        assert!(!Patience::of(Duration::ZERO).lasts());
    }

    #[test]
    fn the_clock_counts_from_its_start_and_never_back() {
        let clock = Clock::start();
        let mut before = Mono::ZERO;
        for _ in 0..1000 {
            let now = clock.now();
            assert!(now >= before);
            before = now;
        }
        assert!(before > Mono::ZERO && before < Mono::from_secs(600));
    }
}
