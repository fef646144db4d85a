//! [`Timeline`]: running times of all tracks become producer timestamps on the wall clock.
//!
//! In: running times, and what clocks say. Out: timestamps with the distances of the running times.
//! Tracks share an *era*: the same running time is the same timestamp in all of them. When time jumps in one track, or
//! begins anew, an era begins with it, and the others join it when theirs do.
//! Does not belong here: clocks (they are parameters), timestamps that a camera gives ([`super::stamp`]), timecodes
//! (`fragment`).

use std::time::Duration;

use crate::time::Timestamp;

/// Frames are presented in another order than they come in, but never by more than this: further back, time jumped.
const REORDERED: Duration = Duration::from_secs(5);
/// A live frame that is further ahead of the one before and of the wall clock than this: time jumped. The service refuses
/// timestamps of the future (kvs-facts §5, 4007).
const AHEAD: Duration = Duration::from_secs(10);
/// Clocks that differ by no more than this agree: less is noise of reading them.
const AGREE: i128 = 5_000_000;
/// Further ahead than this the wall clock was set, or the machine slept: no drift.
const SET: i128 = 2_000_000_000;
/// A drift is followed by so many nanoseconds for each of media, in parts: 500 ppm, which no ear and no player notices,
/// and more than a bad quartz is off.
const SLEW: i128 = 2000;

/// What the clocks say when a frame comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Wall clock.
    pub(super) wall: Timestamp,
    /// How long ago the frame was taken, if that is known: the pipeline's clock less the running time of a live frame.
    pub(super) age: Option<Duration>,
}

/// Maps running times onto the wall clock.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    era: Era,
    /// The latest timestamp that was given, in any track.
    latest: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Era {
    number: u64,
    /// The timestamp of running time 0, in ns since the epoch. May be before it.
    zero: Option<i128>,
    /// It is tied to the pipeline's clock, so a difference of the clocks is a drift.
    clocked: bool,
    /// Running time of the last look at the drift.
    looked: Option<i64>,
}

/// One track on the timeline.
#[derive(Debug, Default)]
pub(super) struct Lane {
    era: u64,
    /// Of an era that is over for others.
    zero: Option<i128>,
    latest: Option<Timestamp>,
}

impl Timeline {
    /// The timestamp of a running time, in ns. The first one of an era is tied to the wall clock: to its time, less the age
    /// of the frame if that is known. Never before what was given before.
    pub(super) fn timestamp(&mut self, lane: &mut Lane, running_time: i64, now: Now) -> Timestamp {
        let zero = self.zero(lane).unwrap_or_else(|| {
            let first = now.wall.saturating_sub(now.age.unwrap_or_default());
            let zero = self.begins(running_time, first);
            self.era.clocked = now.age.is_some();
            zero
        });
        lane.zero = Some(zero);
        let timestamp = at(zero, running_time);
        self.latest = self.latest.max(Some(timestamp));
        lane.latest = lane.latest.max(Some(timestamp));
        timestamp
    }

    /// Ties this running time to a wall-clock time that is given, whatever came before: that of a file.
    pub(super) fn tie(&mut self, running_time: i64, first: Timestamp) {
        self.era.zero = Some(i128::from(first.as_nanos()) - i128::from(running_time));
    }

    fn begins(&mut self, running_time: i64, first: Timestamp) -> i128 {
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
        let zero = i128::from(first) + rest - i128::from(running_time);
        self.era.zero = Some(zero);
        zero
    }

    fn zero(&self, lane: &Lane) -> Option<i128> {
        match lane.era == self.era.number {
            true => self.era.zero,
            false => lane.zero,
        }
    }

    /// Where a running time would be, if that is known. Nothing changes.
    pub(super) fn peek(&self, lane: &Lane, running_time: i64) -> Option<Timestamp> {
        self.zero(lane).map(|zero| at(zero, running_time))
    }

    /// Running time jumped: a source began anew without a flush, or its clock was set. As it is, what follows would be
    /// refused as older than what was sent, or as of the future. `reorders`: earlier frames may follow, as B-frames do.
    /// `wall`: only for live media.
    pub(super) fn jumps(
        &self,
        lane: &Lane,
        running_time: i64,
        reorders: bool,
        wall: Option<Timestamp>,
    ) -> bool {
        let (Some(zero), Some(latest)) = (self.zero(lane), lane.latest) else {
            return false;
        };
        let at = zero + i128::from(running_time);
        let latest = i128::from(latest.as_nanos());
        let back = if reorders {
            REORDERED.as_nanos() as i128
        } else {
            0
        };
        let ahead = AHEAD.as_nanos() as i128;
        at < latest - back
            || wall
                .is_some_and(|now| at > latest + ahead && at > i128::from(now.as_nanos()) + ahead)
    }

    /// Running times of this track begin anew with this one. When another track did so before, its era is joined, if this
    /// running time is of about now in it.
    pub(super) fn restart(&mut self, lane: &mut Lane, running_time: i64) {
        let joins = lane.era != self.era.number
            && self.peek_era(running_time).is_some_and(|at| {
                let latest = self.latest.unwrap_or_default();
                at + REORDERED >= latest && at <= latest + AHEAD
            });
        if !joins {
            self.era = Era {
                number: self.era.number + 1,
                ..Era::default()
            };
        }
        lane.era = self.era.number;
        lane.zero = None;
        lane.latest = None;
    }

    fn peek_era(&self, running_time: i64) -> Option<Timestamp> {
        self.era.zero.map(|zero| at(zero, running_time))
    }

    /// Nothing is tied to the wall clock yet.
    pub(super) fn is_unset(&self) -> bool {
        self.era.zero.is_none()
    }

    /// Compares the clocks at a live frame, and follows a drift of the pipeline's slowly, so that neither order nor
    /// distances suffer. True when the wall clock is far ahead: it was set, or the machine slept. It is not followed when it
    /// is set back: timestamps never go back.
    pub(super) fn drifts(&mut self, lane: &Lane, running_time: i64, now: Now) -> bool {
        let (Some(zero), Some(age)) = (self.era.zero, now.age) else {
            return false;
        };
        if lane.era != self.era.number || !self.era.clocked {
            return false;
        }
        let taken = i128::from(now.wall.as_nanos()) - age.as_nanos() as i128;
        let behind = taken - (zero + i128::from(running_time));
        if behind > SET {
            return true;
        }
        let looked = *self.era.looked.get_or_insert(running_time);
        let passed = i128::from(running_time) - i128::from(looked);
        if passed <= 0 || behind.abs() <= AGREE || behind < -SET {
            return false;
        }
        self.era.looked = Some(running_time);
        let most = passed / SLEW;
        self.era.zero = Some(zero + behind.clamp(-most, most));
        false
    }
}

fn at(zero: i128, running_time: i64) -> Timestamp {
    let nanos = u64::try_from((zero + i128::from(running_time)).max(0)).unwrap_or(u64::MAX);
    Timestamp::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_400_000);
    const MS: i64 = 1_000_000;
    const S: i64 = 1_000 * MS;

    fn came(wall: Timestamp) -> Now {
        Now { wall, age: None }
    }

    fn taken(wall: Timestamp, age_ms: u64) -> Now {
        let age = Some(Duration::from_millis(age_ms));
        Now { wall, age }
    }

    /// One track.
    #[derive(Default)]
    struct Single(Timeline, Lane);

    impl Single {
        fn timestamp(&mut self, running_time: i64, now: Now) -> Timestamp {
            self.0.timestamp(&mut self.1, running_time, now)
        }

        fn restart(&mut self, running_time: i64) {
            self.0.restart(&mut self.1, running_time);
        }
    }

    #[test]
    fn distances_are_those_of_the_running_times() {
        let mut timeline = Single::default();
        let first = timeline.timestamp(33_366_667, came(NOW));
        let later = came(NOW + Duration::from_secs(5));
        for running_time in [0, 66_733_333, 100_100_000, 20 * S] {
            let timestamp = timeline.timestamp(running_time, later);
            assert_eq!(
                i128::from(timestamp.as_nanos()) - i128::from(first.as_nanos()),
                i128::from(running_time) - 33_366_667
            );
        }
    }

    #[test]
    fn a_jump_is_told_from_the_order_of_b_frames_and_from_a_pause() {
        let mut timeline = Single::default();
        assert!(
            !timeline.0.jumps(&timeline.1, 0, false, Some(NOW)),
            "the first"
        );
        timeline.timestamp(10 * S, came(NOW));
        timeline.timestamp(12 * S, came(NOW));
        for (running_time, reorders, expected) in [
            (11 * S, true, false),
            (8 * S, true, false),
            (6 * S, true, true),
            (12 * S + 1, false, false),
            (11 * S, false, true),
            (20 * S, false, false),
            (3600 * S, false, true),
            (3600 * S, true, true),
        ] {
            let jumps = timeline
                .0
                .jumps(&timeline.1, running_time, reorders, Some(NOW));
            assert_eq!(jumps, expected, "{running_time} {reorders}");
        }
        let later = NOW + Duration::from_secs(3600);
        let jumps = |wall| timeline.0.jumps(&timeline.1, 3600 * S, false, wall);
        assert!(!jumps(Some(later)), "a pause");
        assert!(!jumps(None), "a file");
    }

    #[test]
    fn milliseconds_round_as_those_of_the_running_times() {
        let mut timeline = Single::default();
        let first = timeline.timestamp(400_000, came(NOW)).as_millis_rounded();
        for running_time in [600_000, 33_366_667, 40 * MS, 66_733_333] {
            let rounded = (u64::try_from(running_time).unwrap() + 500_000) / 1_000_000;
            assert_eq!(
                timeline
                    .timestamp(running_time, came(NOW))
                    .as_millis_rounded()
                    - first,
                rounded
            );
        }
    }

    #[test_case(came(NOW), 1_700_000_000_001)]
    #[test_case(taken(NOW, 250), 1_699_999_999_751)]
    fn a_live_frame_keeps_the_time_it_was_taken(now: Now, expected: u64) {
        let timestamp = Single::default().timestamp(0, now);
        assert_eq!(timestamp.as_millis_rounded(), expected);
    }

    #[test]
    fn a_restart_never_steps_back() {
        let mut timeline = Single::default();
        let far = timeline.timestamp(3600 * S, came(NOW));
        let ahead = timeline.timestamp(7200 * S, came(NOW));
        timeline.restart(0);
        assert!(timeline.timestamp(0, came(NOW)) > ahead && ahead > far);
    }

    #[test]
    fn odd_times_do_not_wrap() {
        let zero = came(Timestamp::ZERO);
        let mut timeline = Single::default();
        timeline.timestamp(i64::MAX, zero);
        assert_eq!(timeline.timestamp(i64::MIN, zero), Timestamp::ZERO);
        timeline.restart(0);
        timeline.timestamp(0, came(Timestamp::from_nanos(u64::MAX)));
        timeline.restart(i64::MAX);
        let last = timeline.timestamp(i64::MAX, zero);
        assert!(last.as_nanos() >= u64::MAX - 1_000_000, "{last}");
    }

    #[test]
    fn tracks_share_their_time() {
        let mut timeline = Timeline::default();
        let (mut video, mut audio) = (Lane::default(), Lane::default());
        let first = timeline.timestamp(&mut video, 40 * MS, taken(NOW, 100));
        // However late it comes.
        let later = came(NOW + Duration::from_secs(3));
        assert_eq!(timeline.timestamp(&mut audio, 40 * MS, later), first);
    }

    #[test]
    fn a_track_joins_the_era_that_another_began() {
        let mut timeline = Timeline::default();
        let (mut video, mut audio) = (Lane::default(), Lane::default());
        for ms in 0..1000 {
            timeline.timestamp(&mut video, ms * MS, taken(NOW, 0));
            timeline.timestamp(&mut audio, ms * MS, taken(NOW, 0));
        }
        // The source begins anew: video first, while audio of before still comes.
        timeline.restart(&mut video, 0);
        let later = taken(NOW + Duration::from_secs(1), 0);
        let video_zero = timeline.timestamp(&mut video, 0, later);
        let old = timeline.timestamp(&mut audio, 1000 * MS, later);
        assert!(old.as_nanos().abs_diff(NOW.as_nanos() + S as u64) < 2 * MS as u64);
        timeline.restart(&mut audio, 20 * MS);
        assert_eq!(
            timeline.timestamp(&mut audio, 20 * MS, later),
            video_zero + Duration::from_millis(20)
        );
    }

    #[test]
    fn a_track_that_jumps_alone_begins_an_era_of_its_own() {
        let mut timeline = Timeline::default();
        let (mut video, mut audio) = (Lane::default(), Lane::default());
        timeline.timestamp(&mut video, 0, taken(NOW, 0));
        timeline.timestamp(&mut audio, 0, taken(NOW, 0));
        timeline.restart(&mut video, 0);
        let ahead = timeline.timestamp(&mut video, 0, taken(NOW, 0));
        timeline.restart(&mut audio, 7200 * S);
        let audio_at = timeline.timestamp(&mut audio, 7200 * S, taken(NOW, 0));
        assert!(audio_at < ahead + Duration::from_secs(1), "{audio_at}");
    }

    /// Looks at the clocks every two seconds; the wall clock goes that much faster.
    fn after_hours(hours: i64, ppm: i64) -> (i64, bool) {
        let mut timeline = Single::default();
        timeline.timestamp(0, taken(NOW, 0));
        let mut before = Timestamp::ZERO;
        let mut set = false;
        let mut off = 0;
        for n in 1..hours * 1800 {
            let running_time = n * 2 * S;
            let gained = running_time / 1_000_000 * ppm;
            let wall = u64::try_from(NOW.as_nanos() as i64 + running_time + gained).unwrap();
            let now = taken(Timestamp::from_nanos(wall), 0);
            set |= timeline.0.drifts(&timeline.1, running_time, now);
            let timestamp = timeline.timestamp(running_time, now);
            assert!(timestamp > before, "never back");
            before = timestamp;
            off = timestamp.as_nanos() as i64 - wall as i64;
        }
        (off, set)
    }

    #[test_case(100; "a quartz that is slow")]
    #[test_case(-100; "a quartz that is fast")]
    #[test_case(0)]
    fn a_drift_of_the_clocks_is_followed_within_milliseconds(ppm: i64) {
        let (off, set) = after_hours(24, ppm);
        assert!(off.abs() <= 7 * MS && !set, "{off} ns after a day");
    }

    #[test]
    fn a_wall_clock_that_is_set_ahead_is_told_and_one_that_is_set_back_is_not_followed() {
        let mut timeline = Single::default();
        let first = timeline.timestamp(0, taken(NOW, 0));
        let drifts =
            |timeline: &mut Single, wall| timeline.0.drifts(&timeline.1, 2 * S, taken(wall, 0));
        let minute = Duration::from_secs(60);
        assert!(!drifts(&mut timeline, NOW.saturating_sub(minute)));
        assert!(drifts(&mut timeline, NOW + minute));
        let next = timeline.timestamp(2 * S, came(NOW));
        assert_eq!(next, first + Duration::from_secs(2));
    }

    #[test]
    fn what_is_not_tied_to_a_clock_does_not_drift() {
        let mut timeline = Single::default();
        timeline.timestamp(0, came(NOW));
        let much = taken(NOW + Duration::from_secs(3600), 0);
        assert!(!timeline.0.drifts(&timeline.1, 2 * S, much));
    }

    #[test]
    fn a_file_begins_when_it_is_said_to() {
        let mut timeline = Single::default();
        let begin = Timestamp::from_millis(1_600_000_000_000);
        timeline.0.tie(80 * MS, begin);
        assert_eq!(timeline.timestamp(80 * MS, came(NOW)), begin);
        assert_eq!(
            timeline.timestamp(0, came(NOW)),
            begin.saturating_sub(Duration::from_millis(80))
        );
    }
}
