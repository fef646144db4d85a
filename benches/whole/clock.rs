//! The clocks of the benchmark.
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads clocks, here and nowhere else"
)]

use std::time::SystemTime;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of CLOCK_MONOTONIC, which all processes share.
pub(crate) fn monotonic_ns() -> u64 {
    read(ClockId::Monotonic)
}

/// Nanoseconds of CPU time, user's and the system's, of all threads of this process that are and that were.
pub(crate) fn cpu_ns() -> u64 {
    read(ClockId::ProcessCPUTime)
}

/// The time for signatures.
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// For timers of tokio.
pub(crate) fn tokio_now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let part = |value| u64::try_from(value).unwrap_or(0);
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}
