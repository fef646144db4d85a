//! The only clock of the local service.
//!
//! Belongs here: reading the time. Does not belong here: what is done with it; everything else takes
//! `now` as a parameter, so that tests can choose it.
#![expect(
    clippy::disallowed_methods,
    reason = "the local service reads the time here and nowhere else"
)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall time in milliseconds since 1970, shifted by a constant that tests may choose; and monotonic time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    offset_ms: i64,
    started: Instant,
}

impl Clock {
    /// A clock that runs `offset_ms` ahead of the machine's (behind it if negative).
    pub(crate) fn shifted_by(offset_ms: i64) -> Self {
        Self {
            offset_ms,
            started: Instant::now(),
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(self) -> u64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis())
            .unwrap_or(u64::MAX)
            .saturating_add_signed(self.offset_ms)
    }

    /// Milliseconds since the service was started; never goes back.
    pub(crate) fn uptime_ms(self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Nanoseconds of the clock that all processes of this machine share; none where there is no such clock.
#[cfg(target_os = "linux")]
pub(crate) fn monotonic_ns() -> Option<u64> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    Some(seconds.ok()? * 1_000_000_000 + nanos.ok()?)
}

/// Nanoseconds of the clock that all processes of this machine share; none where there is no such clock.
#[cfg(not(target_os = "linux"))]
pub(crate) fn monotonic_ns() -> Option<u64> {
    None
}

/// How much of `limit` is left since `start`; nothing when it is over.
pub(crate) fn left(start: Instant, limit: Duration) -> Option<Duration> {
    limit
        .checked_sub(start.elapsed())
        .filter(|left| !left.is_zero())
}

/// Now, for [`left`].
pub(crate) fn start() -> Instant {
    Instant::now()
}
