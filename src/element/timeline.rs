//! [`Timeline`]: running time becomes producer timestamps.
//!
//! In: running times, and the wall clock at a new start. Out: timestamps with the distances of the running times.
//! Does not belong here: clocks (the wall clock is a parameter), timecodes (`fragment`).

use std::time::Duration;

use crate::time::Timestamp;

/// Frames are presented in another order than they come in, but never by more than this: further back, time jumped.
const REORDERED: Duration = Duration::from_secs(5);
/// A live frame that is further ahead of the one before and of the wall clock than this: time jumped. The service refuses
/// timestamps of the future (kvs-facts §5, 4007).
const AHEAD: Duration = Duration::from_secs(10);

/// Maps running times onto the wall clock.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// The timestamp of running time 0, in ns since the epoch. May be before it.
    zero: Option<i128>,
    /// The latest timestamp that was given.
    latest: Option<Timestamp>,
}

impl Timeline {
    /// The timestamp of a running time, in ns. The first one after a start is tied to the wall clock: to `wall_now`, less
    /// the `age` of the frame if that is known. Never before what was given before the start.
    pub(super) fn timestamp(
        &mut self,
        running_time: i64,
        wall_now: Timestamp,
        age: Option<Duration>,
    ) -> Timestamp {
        let zero = *self.zero.get_or_insert_with(|| {
            let first = wall_now.saturating_sub(age.unwrap_or_default());
            // A whole millisecond, so that timecodes round as the running times do.
            let first = match self.latest {
                Some(latest) if first <= latest => latest + Duration::from_millis(1),
                _ => first,
            };
            let first = first
                .as_nanos()
                .div_ceil(1_000_000)
                .saturating_mul(1_000_000);
            let rest = i128::from(running_time).rem_euclid(1_000_000);
            i128::from(first) + rest - i128::from(running_time)
        });
        let nanos = u64::try_from((zero + i128::from(running_time)).max(0)).unwrap_or(u64::MAX);
        let timestamp = Timestamp::from_nanos(nanos);
        self.latest = self.latest.max(Some(timestamp));
        timestamp
    }

    /// Running time jumped: a source began anew without a flush, or its clock was set. As it is, what follows would be
    /// refused as older than what was sent, or as of the future. `wall_now`: only for live media.
    pub(super) fn jumps(&self, running_time: i64, key: bool, wall_now: Option<Timestamp>) -> bool {
        let (Some(zero), Some(latest)) = (self.zero, self.latest) else {
            return false;
        };
        let at = zero + i128::from(running_time);
        let latest = i128::from(latest.as_nanos());
        // No frame that comes before a key frame is presented after it.
        let back = if key { 0 } else { REORDERED.as_nanos() as i128 };
        let ahead = AHEAD.as_nanos() as i128;
        at < latest - back
            || wall_now
                .is_some_and(|now| at > latest + ahead && at > i128::from(now.as_nanos()) + ahead)
    }

    /// The next running time will be tied to the wall clock.
    pub(super) fn is_unset(&self) -> bool {
        self.zero.is_none()
    }

    /// Running times begin anew: tie the next one to the wall clock again.
    pub(super) fn restart(&mut self) {
        self.zero = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_400_000);
    const MS: i64 = 1_000_000;

    #[test]
    fn distances_are_those_of_the_running_times() {
        let mut timeline = Timeline::default();
        let first = timeline.timestamp(33_366_667, NOW, None);
        let later = Timestamp::from_nanos(NOW.as_nanos() + 5_000_000_000);
        for running_time in [0, 66_733_333, 100_100_000, 20 * 1_000 * MS] {
            let timestamp = timeline.timestamp(running_time, later, None);
            assert_eq!(
                i128::from(timestamp.as_nanos()) - i128::from(first.as_nanos()),
                i128::from(running_time) - 33_366_667
            );
        }
    }

    #[test]
    fn a_jump_is_told_from_the_order_of_b_frames_and_from_a_pause() {
        const S: i64 = 1_000 * MS;
        let mut timeline = Timeline::default();
        assert!(!timeline.jumps(0, true, Some(NOW)), "the first");
        timeline.timestamp(10 * S, NOW, None);
        timeline.timestamp(12 * S, NOW, None);
        for (running_time, key, expected) in [
            (11 * S, false, false),
            (8 * S, false, false),
            (6 * S, false, true),
            (12 * S + 1, true, false),
            (11 * S, true, true),
            (20 * S, true, false),
            (3600 * S, true, true),
            (3600 * S, false, true),
        ] {
            let jumps = timeline.jumps(running_time, key, Some(NOW));
            assert_eq!(jumps, expected, "{running_time} {key}");
        }
        let later = NOW + Duration::from_secs(3600);
        assert!(!timeline.jumps(3600 * S, true, Some(later)), "a pause");
        assert!(!timeline.jumps(3600 * S, true, None), "a file");
    }

    #[test]
    fn milliseconds_round_as_those_of_the_running_times() {
        let mut timeline = Timeline::default();
        let first = timeline.timestamp(400_000, NOW, None).as_millis_rounded();
        for running_time in [600_000, 33_366_667, 40 * MS, 66_733_333] {
            let rounded = (u64::try_from(running_time).unwrap() + 500_000) / 1_000_000;
            assert_eq!(
                timeline
                    .timestamp(running_time, NOW, None)
                    .as_millis_rounded()
                    - first,
                rounded
            );
        }
    }

    #[test]
    fn a_live_frame_keeps_the_time_it_was_taken() {
        let timestamp = |age| Timeline::default().timestamp(0, NOW, age);
        assert_eq!(timestamp(None).as_millis_rounded(), 1_700_000_000_001);
        assert_eq!(
            timestamp(Some(Duration::from_millis(250))).as_millis_rounded(),
            1_699_999_999_751
        );
    }

    #[test]
    fn a_restart_never_steps_back() {
        let mut timeline = Timeline::default();
        let far = timeline.timestamp(3_600_000 * MS, NOW, None);
        let ahead = timeline.timestamp(7_200_000 * MS, NOW, None);
        timeline.restart();
        assert!(timeline.timestamp(0, NOW, None) > ahead && ahead > far);
    }

    #[test]
    fn odd_times_do_not_wrap() {
        let mut timeline = Timeline::default();
        timeline.timestamp(i64::MAX, Timestamp::ZERO, None);
        assert_eq!(
            timeline.timestamp(i64::MIN, Timestamp::ZERO, None),
            Timestamp::ZERO
        );
        timeline.restart();
        timeline.timestamp(0, Timestamp::from_nanos(u64::MAX), None);
        timeline.restart();
        let last = timeline.timestamp(i64::MAX, Timestamp::ZERO, None);
        assert!(last.as_nanos() >= u64::MAX - 1_000_000, "{last}");
    }
}
