//! The one place of the library that reads clocks.
#![expect(
    clippy::disallowed_methods,
    reason = "the clocks of the whole library are read here and handed on as parameters"
)]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Mono, Timestamp};

/// A monotonic clock that counts from its making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Mono {
        Mono::new(self.0.elapsed())
    }
}

/// Wall-clock time as the AWS crates want it.
pub(crate) fn system_now() -> SystemTime {
    SystemTime::now()
}

/// Wall-clock time; zero when the clock is set before 1970.
pub fn wall_now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_nanos(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}
