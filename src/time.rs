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
    #[cfg(any(test, fuzzing, feature = "internals"))]
    /// Later than every deadline.
    pub const MAX: Self = Self(Duration::MAX);

    /// The point `since_start` after the start of the producer.
    pub const fn new(since_start: Duration) -> Self {
        Self(since_start)
    }

    #[cfg(any(test, fuzzing, feature = "internals"))]
    /// The point `millis` milliseconds after the start of the producer.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    #[cfg(any(test, fuzzing, feature = "internals"))]
    /// The point `secs` seconds after the start of the producer.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    #[cfg(any(test, fuzzing, feature = "internals"))]
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

    /// The point `later` after this one; the end of the clock at most.
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
///
/// ```
/// use std::time::Duration;
/// use gstkvssink::producer::Timestamp;
///
/// let pts = Timestamp::from_millis(1_700_000_000_000) + Duration::from_millis(40);
/// assert_eq!(pts.to_string(), "1700000000.040");
/// ```
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The UNIX epoch.
    ///
    /// ```
    /// use gstkvssink::producer::Timestamp;
    ///
    /// assert_eq!(Timestamp::ZERO.as_nanos(), 0);
    /// ```
    pub const ZERO: Self = Self(0);

    /// `nanos` nanoseconds since the UNIX epoch.
    ///
    /// ```
    /// use gstkvssink::producer::Timestamp;
    ///
    /// assert_eq!(Timestamp::from_nanos(1_000_000), Timestamp::from_millis(1));
    /// ```
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// `millis` milliseconds since the UNIX epoch; times after the year 2554 become the last one.
    ///
    /// ```
    /// use gstkvssink::producer::Timestamp;
    ///
    /// assert_eq!(Timestamp::from_millis(1_700_000_000_000).to_string(), "1700000000.000");
    /// ```
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(NANOS_PER_MILLI))
    }

    /// Nanoseconds since the UNIX epoch.
    ///
    /// ```
    /// use gstkvssink::producer::Timestamp;
    ///
    /// assert_eq!(Timestamp::from_millis(2).as_nanos(), 2_000_000);
    /// ```
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Milliseconds since the UNIX epoch, rounded to the nearest one; half a millisecond goes up.
    ///
    /// Rounding each time by itself, not the distances between them, keeps the error of a long stream below half a
    /// millisecond.
    ///
    /// ```
    /// use gstkvssink::producer::Timestamp;
    ///
    /// assert_eq!(Timestamp::from_nanos(33_499_999).as_millis_rounded(), 33);
    /// assert_eq!(Timestamp::from_nanos(33_500_000).as_millis_rounded(), 34);
    /// ```
    pub const fn as_millis_rounded(self) -> u64 {
        let up = (self.0 % NANOS_PER_MILLI >= NANOS_PER_MILLI / 2) as u64;
        self.0 / NANOS_PER_MILLI + up
    }

    /// The same time as a [`Timecode`], see [`Timestamp::as_millis_rounded`].
    ///
    /// ```
    /// use gstkvssink::producer::{Timecode, Timestamp};
    ///
    /// assert_eq!(Timestamp::from_nanos(33_366_667).timecode(), Timecode::from_millis(33));
    /// ```
    pub const fn timecode(self) -> Timecode {
        Timecode(self.as_millis_rounded())
    }

    /// The time from `earlier` to `self`; zero when `earlier` is the later one.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gstkvssink::producer::Timestamp;
    ///
    /// let (first, last) = (Timestamp::from_millis(40), Timestamp::from_millis(120));
    /// assert_eq!(last.saturating_since(first), Duration::from_millis(80));
    /// assert_eq!(first.saturating_since(last), Duration::ZERO);
    /// ```
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The time `before` this one, the UNIX epoch at least.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gstkvssink::producer::Timestamp;
    ///
    /// let second = Duration::from_secs(1);
    /// assert_eq!(Timestamp::from_millis(1_500).saturating_sub(second), Timestamp::from_millis(500));
    /// assert_eq!(Timestamp::from_millis(500).saturating_sub(second), Timestamp::ZERO);
    /// ```
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
///
/// ```
/// use gstkvssink::producer::Timecode;
///
/// assert_eq!(Timecode::from_millis(1_700_000_000_007).to_string(), "1700000000.007");
/// ```
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timecode(u64);

impl Timecode {
    /// The base itself: the UNIX epoch, or the start of the stream.
    ///
    /// ```
    /// use gstkvssink::producer::Timecode;
    ///
    /// assert_eq!(Timecode::ZERO.to_string(), "0.000");
    /// ```
    pub const ZERO: Self = Self(0);

    /// `millis` milliseconds since the base.
    ///
    /// ```
    /// use gstkvssink::producer::Timecode;
    ///
    /// assert!(Timecode::from_millis(40) > Timecode::ZERO);
    /// ```
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the base.
    ///
    /// ```
    /// use gstkvssink::producer::Timecode;
    ///
    /// assert_eq!(Timecode::from_millis(40).as_millis(), 40);
    /// ```
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This absolute timecode as one relative to `start`; `None` when it lies before `start`.
    ///
    /// ```
    /// use gstkvssink::producer::Timecode;
    ///
    /// let start = Timecode::from_millis(1_700_000_000_000);
    /// let later = Timecode::from_millis(1_700_000_000_040);
    /// assert_eq!(later.relative_to(start), Some(Timecode::from_millis(40)));
    /// assert_eq!(start.relative_to(later), None);
    /// ```
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    #[test_case(0 => 0)]
    #[test_case(499_999 => 0; "just below the half goes down")]
    #[test_case(500_000 => 1; "the half goes up")]
    #[test_case(1_499_999 => 1)]
    #[test_case(1_700_000_000_123_499_999 => 1_700_000_000_123)]
    #[test_case(1_700_000_000_999_500_000 => 1_700_000_001_000; "carries into the second")]
    #[test_case(u64::MAX => 18_446_744_073_710; "the last one does not overflow")]
    fn timestamps_round_to_the_nearest_millisecond(nanos: u64) -> u64 {
        Timestamp::from_nanos(nanos).as_millis_rounded()
    }

    #[test]
    fn arithmetic_stops_at_both_ends() {
        let last = Timestamp::from_nanos(u64::MAX);
        assert_eq!(Timestamp::from_millis(u64::MAX), last);
        assert_eq!(last + Duration::MAX, last);
        assert_eq!(last.saturating_sub(Duration::MAX), Timestamp::ZERO);
        assert_eq!(Timestamp::ZERO.saturating_since(last), Duration::ZERO);
        assert_eq!(Mono::from_secs(1) + Duration::MAX, Mono::MAX);
        assert_eq!(Mono::ZERO.saturating_since(Mono::MAX), Duration::ZERO);
        assert_eq!(
            Timecode::from_millis(1).relative_to(Timecode::from_millis(2)),
            None
        );
    }

    #[test]
    fn times_print_as_seconds_with_three_digits() {
        assert_eq!(Mono::from_millis(12_345).to_string(), "12.345s");
        assert_eq!(
            Mono::new(Duration::from_nanos(7_999_999)).to_string(),
            "0.007s"
        );
        assert_eq!(
            Timecode::from_millis(1_700_000_000_007).to_string(),
            "1700000000.007"
        );
        assert_eq!(Timestamp::from_nanos(1_999_999_999).to_string(), "2.000");
    }

    proptest! {
        #[test]
        fn rounding_keeps_the_order_and_errs_by_half_a_millisecond(a: u64, b: u64) {
            let (first, second) = (Timestamp::from_nanos(a.min(b)), Timestamp::from_nanos(a.max(b)));
            prop_assert!(first.timecode() <= second.timecode());
            let error = i128::from(first.as_millis_rounded()) * 1_000_000 - i128::from(first.as_nanos());
            prop_assert!((-499_999..=500_000).contains(&error), "{error} ns");
        }

        #[test]
        fn what_was_added_is_the_distance(start in 0..u64::MAX / 2, later in 0..u64::MAX / 2) {
            let (start, later) = (Timestamp::from_nanos(start), Duration::from_nanos(later));
            prop_assert_eq!((start + later).saturating_since(start), later);
            prop_assert_eq!((start + later).saturating_sub(later), start);
        }

        #[test]
        fn a_relative_timecode_and_its_start_make_the_absolute_one(start: u32, later: u32) {
            let absolute = Timecode::from_millis(u64::from(start) + u64::from(later));
            let relative = absolute.relative_to(Timecode::from_millis(start.into()));
            prop_assert_eq!(relative, Some(Timecode::from_millis(later.into())));
        }
    }
}
