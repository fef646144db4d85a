//! The three kinds of time, so that none is taken for another.
//!
//! In: numbers from outside (a monotonic clock, a frame's wall-clock time, the wire). Out: values that compare,
//! print and never overflow.
//!
//! Belongs here: the types, their arithmetic and rounding.
//! Does not belong here: reading a clock (the caller does), date and time zone, GStreamer's clock time.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

const NANOS_PER_MILLI: u64 = 1_000_000;

/// A point on the monotonic clock, as time since the producer started.
///
/// Passed into the session as `now`. It is not [`std::time::Instant`], because it prints and compares the same in
/// every run of a test.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Mono(Duration);

impl Mono {
    /// The moment the producer started.
    pub const ZERO: Self = Self(Duration::ZERO);
    /// Later than every deadline.
    pub const MAX: Self = Self(Duration::MAX);

    /// The point `since_start` after the start of the producer.
    pub const fn new(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// The point `millis` milliseconds after the start of the producer.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The point `secs` seconds after the start of the producer.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// The time since the producer started.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// How long ago `earlier` was at `self`; zero when it is still to come.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Mono {
    type Output = Self;

    /// The point `later` after this one, [`Mono::MAX`] at most.
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}

impl fmt::Display for Mono {
    /// Seconds with three digits, rounded down: `12.345s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.0.as_secs(), self.0.subsec_millis())
    }
}

/// Wall-clock time: nanoseconds since the UNIX epoch. A frame's producer timestamp.
///
/// Range: 1970 to the year 2554 (`u64` nanoseconds); arithmetic stops at both ends.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The UNIX epoch.
    pub const ZERO: Self = Self(0);

    /// `nanos` nanoseconds since the UNIX epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// `millis` milliseconds since the UNIX epoch; times after the year 2554 become the last one.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(NANOS_PER_MILLI))
    }

    /// Nanoseconds since the UNIX epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Milliseconds since the UNIX epoch, rounded to the nearest one; half a millisecond goes up.
    ///
    /// Rounding each time by itself, not the distances between them, keeps the error of a long stream below half a
    /// millisecond.
    pub const fn as_millis_rounded(self) -> u64 {
        let up = (self.0 % NANOS_PER_MILLI >= NANOS_PER_MILLI / 2) as u64;
        self.0 / NANOS_PER_MILLI + up
    }

    /// The same time as a [`Timecode`], see [`Timestamp::as_millis_rounded`].
    pub const fn timecode(self) -> Timecode {
        Timecode(self.as_millis_rounded())
    }

    /// The time from `earlier` to `self`; zero when `earlier` is the later one.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The time `before` this one, the UNIX epoch at least.
    pub fn saturating_sub(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(saturating_nanos(before)))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// The time `later` after this one, the last one (year 2554) at most.
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(saturating_nanos(later)))
    }
}

impl fmt::Display for Timestamp {
    /// Seconds since the UNIX epoch with three digits, rounded to the nearest millisecond: `1700000000.123`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timecode().fmt(f)
    }
}

/// A time as on the wire: milliseconds, since the UNIX epoch (absolute) or since the start of the stream (relative).
///
/// The millisecond is the TimecodeScale that [`crate::mkv::stream_header`] declares. Which of the two bases holds is
/// a property of the session, not of the value.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timecode(u64);

impl Timecode {
    /// The base itself: the UNIX epoch, or the start of the stream.
    pub const ZERO: Self = Self(0);

    /// `millis` milliseconds since the base.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the base.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This absolute timecode as one relative to `start`; `None` when it lies before `start`.
    pub const fn relative_to(self, start: Self) -> Option<Self> {
        match self.0.checked_sub(start.0) {
            Some(millis) => Some(Self(millis)),
            None => None,
        }
    }
}

impl fmt::Display for Timecode {
    /// Seconds with three digits, zero-padded as the header `x-amzn-producer-start-timestamp` wants them:
    /// `1700000000.007`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

fn saturating_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
