//! [`Stamps`]: the producer timestamps of frames, from the source that `timestamp-source` names.
//!
//! In: the times of a buffer, and what clocks say. Out: timestamps, and whether they may be earlier than those before.
//! The policies stand in `docs/timestamps.md`.
//! Does not belong here: the mapping of running time to the wall clock ([`super::timeline`]), reading buffers
//! ([`super::convert`]).

use std::time::Duration;

use super::{
    TimestampSource,
    timeline::{self, Now, Timeline},
};
use crate::time::Timestamp;

/// A sender's clock that differs by less from what it was is corrected (RTCP sender reports, each a bit better than the one
/// before); by more, it was set.
const CORRECTION: i128 = 1_000_000_000;
/// A frame that is said to be older than this when it arrives comes from a file or a queue, not from a camera.
const OLDEST_LIVE: Duration = Duration::from_secs(10);
/// From a piece of sound to the next, where a clock was corrected backwards: a timecode.
const STEP: Duration = Duration::from_millis(1);
/// Between frames whose source says neither their times nor its rate.
const FRAME: Duration = Duration::from_millis(40);

/// The times of one buffer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    /// Running times, in ns; before the segment they are negative.
    pub(super) pts: Option<i64>,
    pub(super) dts: Option<i64>,
    /// The buffer's own PTS and DTS, in ns.
    pub(super) raw_pts: Option<u64>,
    pub(super) raw_dts: Option<u64>,
    /// When the frame was taken by the clock of the camera, if it says so.
    pub(super) reference: Option<Timestamp>,
    /// How long it lasts, if the source says so.
    pub(super) duration: Option<Duration>,
}

/// What is known when a frame comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Wall clock.
    pub(super) wall: Timestamp,
    /// The running time of now, in ns, if there is a clock.
    pub(super) clock: Option<i64>,
    /// The duration of the file, if it is one. It is asked for only for the first frame.
    pub(super) whole: Option<Duration>,
}

/// What is special of the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) key: bool,
    /// Earlier frames may follow, as B-frames do.
    pub(super) reorders: bool,
    /// It is played in the order in which it comes, as sound is.
    pub(super) in_order: bool,
    /// It is of the track whose key frames begin fragments.
    pub(super) lead: bool,
}

/// A frame's timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamped {
    pub(super) pts: Timestamp,
    pub(super) dts: Option<Timestamp>,
    /// Another clock counts from here on, and it may be behind the one before: a new session has to begin.
    pub(super) anew: bool,
    /// Running time jumped; for the log.
    pub(super) jumped: bool,
}

/// One track's times.
#[derive(Debug, Default)]
pub(super) struct Lane {
    timeline: timeline::Lane,
    /// Timestamp of running time 0 by the camera's clock.
    reference: Option<i128>,
    last: Option<Last>,
    /// Running time begins anew with the next frame, or the next key frame.
    restart: Option<Restart>,
    /// The latest PTS that was given, since time began anew for the `restarts`th time.
    latest: Option<Timestamp>,
    restarts: u64,
}

/// The frame before.
#[derive(Clone, Copy, Debug)]
struct Last {
    running_time: i64,
    duration: Duration,
    /// Its buffer said so.
    own: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restart {
    AtFrame,
    AtKeyFrame,
}

impl Lane {
    /// Running time begins anew: after a flush, or another segment that counts from 0.
    pub(super) fn restart(&mut self) {
        self.restart = Some(Restart::AtFrame);
    }

    /// Running time stood still in a pause.
    pub(super) fn resume(&mut self) {
        self.restart.get_or_insert(Restart::AtKeyFrame);
    }
}

/// All tracks' times.
#[derive(Debug)]
pub(super) struct Stamps {
    source: TimestampSource,
    /// Frames come as they are taken, not as fast as they go.
    live: bool,
    /// When the first frame of a file was taken; zero: its own times count.
    file_start: Option<Timestamp>,
    timeline: Timeline,
    /// The camera's clock counts: the timestamp of running time 0 of the leading track.
    referenced: Option<i128>,
    /// The running time of the key frame from which on it does, or does after it was set.
    turn: Option<i64>,
    /// How often what follows could be earlier than what came before.
    restarts: u64,
}

impl Stamps {
    pub(super) fn new(source: TimestampSource, live: bool, file_start: Option<Timestamp>) -> Self {
        Self {
            source,
            live,
            file_start,
            timeline: Timeline::default(),
            referenced: None,
            turn: None,
            restarts: 0,
        }
    }

    /// No frame came yet.
    pub(super) fn is_unset(&self) -> bool {
        self.timeline.is_unset()
    }

    /// The timestamps of a frame; `None` when they cannot be known.
    pub(super) fn stamp(
        &mut self,
        lane: &mut Lane,
        times: &Times,
        place: Place,
        moment: &Moment,
    ) -> Option<Stamped> {
        let mut stamped = match self.source {
            TimestampSource::BufferPts => {
                let pts = Timestamp::from_nanos(times.raw_pts.or(times.raw_dts)?);
                Stamped {
                    pts,
                    dts: times.raw_dts.map(Timestamp::from_nanos),
                    anew: false,
                    jumped: !place.reorders && lane.latest.is_some_and(|latest| pts <= latest),
                }
            }
            TimestampSource::Arrival => Stamped {
                // Two frames may come at once, and the clock may be set back.
                pts: lane.latest.map_or(moment.wall, |latest| {
                    moment.wall.max(latest + Duration::from_micros(1))
                }),
                dts: None,
                anew: false,
                jumped: false,
            },
            TimestampSource::PipelineClock | TimestampSource::ReferenceTimestamp => {
                self.by_running_time(lane, times, place, moment)
            }
        };
        // A clock that is not ours may be set back; a session cannot (4004), but another one may begin earlier.
        let others = matches!(
            self.source,
            TimestampSource::ReferenceTimestamp | TimestampSource::BufferPts
        );
        let back = lane.latest.is_some_and(|latest| stamped.pts <= latest);
        stamped.anew = others && place.lead && place.key && back;
        self.restarts += u64::from(stamped.anew);
        if lane.restarts != self.restarts {
            (lane.latest, lane.restarts) = (None, self.restarts);
        }
        // A jitter buffer that learns from sender reports moves its stream, and some players stop at sound that goes back.
        if place.in_order
            && let Some(latest) = lane.latest
            && stamped.pts <= latest
            && nanos(latest.saturating_since(stamped.pts)) < CORRECTION as i64
        {
            stamped.pts = latest + STEP;
        }
        lane.latest = lane.latest.max(Some(stamped.pts));
        Some(stamped)
    }

    fn by_running_time(
        &mut self,
        lane: &mut Lane,
        times: &Times,
        place: Place,
        moment: &Moment,
    ) -> Stamped {
        let own = times.pts.or(times.dts);
        let pts = own.unwrap_or_else(|| self.guess(lane, moment));
        let now = Now {
            wall: moment.wall,
            age: self.age(pts, moment),
        };
        let jumped = self.follow(lane, pts, place, now);
        let mut stamp = |running_time| {
            self.timeline
                .timestamp(&mut lane.timeline, running_time, now)
        };
        let (mut stamped_pts, mut stamped_dts) = (stamp(pts), times.dts.map(&mut stamp));
        lane.last = Some(Last {
            running_time: pts,
            duration: times.duration.unwrap_or(FRAME),
            own: own.is_some(),
        });
        if self.source == TimestampSource::ReferenceTimestamp {
            self.hear(lane, pts, times.reference, place);
            if let Some(zero) = self.referenced {
                let zero = lane.reference.unwrap_or(zero);
                stamped_pts = at(zero, pts);
                stamped_dts = times.dts.map(|dts| at(zero, dts));
                // Its place is behind the key frame, though it is older: before that there is nothing that it fits.
                if let Some(turn) = self
                    .turn
                    .filter(|turn| !place.lead && is_before(pts, *turn))
                {
                    stamped_dts = Some(at(zero, turn));
                }
            }
        }
        Stamped {
            pts: stamped_pts,
            dts: stamped_dts,
            anew: false,
            jumped,
        }
    }

    /// The running time of a frame that says none. The second field of a picture, or what else a parser has split, follows
    /// on the first; when a live source never says it, a frame was taken when it came.
    fn guess(&self, lane: &Lane, moment: &Moment) -> i64 {
        let follows = |last: Last| last.running_time.saturating_add(nanos(last.duration));
        let clock = moment.clock.filter(|_| self.live);
        match (lane.last, clock) {
            (Some(last), Some(_)) if last.own => follows(last),
            (_, Some(clock)) => clock,
            (Some(last), None) => follows(last),
            (None, None) => 0,
        }
    }

    /// How long ago the frame at this running time was taken, when that is to be known. A live frame: what the clock says,
    /// unless it is so old that it comes from a file. Of a file that is sent offline, however fast, the last frame is of
    /// now: a producer timestamp must not lie in the future (kvs-facts §5, 4007).
    fn age(&self, running_time: i64, moment: &Moment) -> Option<Duration> {
        if self.is_unset() && !self.live {
            return moment.whole;
        }
        let age = u64::try_from(moment.clock?.checked_sub(running_time)?).ok()?;
        Some(Duration::from_nanos(age)).filter(|age| *age <= OLDEST_LIVE)
    }

    /// Ties the running time to the wall clock where it is not, or not any more. True when it jumped.
    fn follow(&mut self, lane: &mut Lane, pts: i64, place: Place, now: Now) -> bool {
        if self.is_unset()
            && let Some(start) = self.file_start
        {
            // Zero: the file's own times.
            let first = if start == Timestamp::ZERO { 0 } else { pts };
            self.timeline.tie(first, start);
        }
        let wall = self.live.then_some(now.wall);
        let jumped = self
            .timeline
            .jumps(&lane.timeline, pts, place.reorders, wall);
        let restarts = match lane.restart {
            Some(Restart::AtFrame) => true,
            Some(Restart::AtKeyFrame) => place.key,
            None => false,
        };
        // What a file says of its time is kept, whatever the clocks do.
        let set =
            self.live && place.lead && place.key && self.timeline.drifts(&lane.timeline, pts, now);
        if jumped || restarts || set {
            lane.restart = None;
            lane.reference = None;
            self.turn = None;
            self.timeline.restart(&mut lane.timeline, pts);
        }
        jumped
    }

    /// The camera's clock: it counts from a key frame of the leading track on, and when it was set, from the next one.
    fn hear(&mut self, lane: &mut Lane, pts: i64, reference: Option<Timestamp>, place: Place) {
        let heard = reference.map(|at| i128::from(at.as_nanos()) - i128::from(pts));
        let turns = place.lead && place.key;
        lane.reference = match (lane.reference, heard) {
            (Some(known), Some(heard)) => {
                let corrects = (heard - known).abs() < CORRECTION;
                // The other tracks go with the leading one.
                let closer = self
                    .referenced
                    .is_some_and(|lead| (heard - lead).abs() < (known - lead).abs());
                Some(if corrects || turns || (!place.lead && closer) {
                    heard
                } else {
                    known
                })
            }
            (known, heard) => known.or(heard),
        };
        if turns || (place.lead && self.referenced.is_some()) {
            let before = self.referenced;
            self.referenced = lane.reference.or(before);
            let is_other = match (before, self.referenced) {
                (Some(before), Some(now)) => (now - before).abs() >= CORRECTION,
                (before, now) => before != now,
            };
            if is_other {
                self.turn = Some(pts);
            }
        }
    }

    /// Where a running time is, once a frame of the track came.
    pub(super) fn peek(&self, lane: &Lane, running_time: i64) -> Option<Timestamp> {
        match self.source {
            TimestampSource::PipelineClock => self.timeline.peek(&lane.timeline, running_time),
            TimestampSource::ReferenceTimestamp => match self.referenced {
                Some(zero) => Some(at(lane.reference.unwrap_or(zero), running_time)),
                None => self.timeline.peek(&lane.timeline, running_time),
            },
            TimestampSource::Arrival | TimestampSource::BufferPts => None,
        }
    }
}

/// Tracks come together, but for the latency of an encoder or a jitter buffer: what is further back is of another time.
fn is_before(running_time: i64, turn: i64) -> bool {
    (turn.saturating_sub(nanos(OLDEST_LIVE))..turn).contains(&running_time)
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn at(zero: i128, running_time: i64) -> Timestamp {
    let nanos = u64::try_from((zero + i128::from(running_time)).max(0)).unwrap_or(u64::MAX);
    Timestamp::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const MS: i64 = 1_000_000;
    const S: i64 = 1_000 * MS;
    const KEY: Place = Place {
        key: true,
        reorders: false,
        in_order: false,
        lead: true,
    };
    const DELTA: Place = Place {
        key: false,
        reorders: true,
        in_order: false,
        lead: true,
    };
    const SOUND: Place = Place {
        key: true,
        reorders: true,
        in_order: true,
        lead: false,
    };

    fn stamps(source: TimestampSource) -> Stamps {
        Stamps::new(source, true, None)
    }

    fn offline(file_start: Option<Timestamp>) -> Stamps {
        Stamps::new(TimestampSource::PipelineClock, false, file_start)
    }

    /// A frame of this running time, which is its own PTS, too.
    fn at_ms(ms: i64) -> Times {
        Times {
            pts: Some(ms * MS),
            raw_pts: u64::try_from(ms * MS).ok(),
            ..Times::default()
        }
    }

    /// The same, taken at `camera` by the camera's clock.
    fn of_camera(ms: i64, camera: Timestamp) -> Times {
        Times {
            reference: Some(camera),
            ..at_ms(ms)
        }
    }

    /// The moment at which the clock of the pipeline says so, `NOW` being 0.
    fn moment(ms: i64) -> Moment {
        Moment {
            wall: later(NOW, ms),
            clock: Some(ms * MS),
            whole: None,
        }
    }

    fn later(at: Timestamp, ms: i64) -> Timestamp {
        let by = Duration::from_millis(ms.unsigned_abs());
        if ms < 0 {
            at.saturating_sub(by)
        } else {
            at + by
        }
    }

    /// A frame that comes when it was taken.
    fn stamp(stamps: &mut Stamps, lane: &mut Lane, times: Times, place: Place) -> Stamped {
        let ms = times.pts.or(times.dts).unwrap_or_default() / MS;
        stamps.stamp(lane, &times, place, &moment(ms)).unwrap()
    }

    #[test]
    fn by_the_pipelines_clock_a_live_frame_has_the_time_it_was_taken() {
        let mut stamps = stamps(TimestampSource::PipelineClock);
        let mut lane = Lane::default();
        let times = Times {
            dts: Some(20 * MS),
            ..at_ms(60)
        };
        let stamped = stamps.stamp(&mut lane, &times, KEY, &moment(200)).unwrap();
        assert_eq!(stamped.pts, later(NOW, 60));
        assert_eq!(stamped.dts, Some(later(NOW, 20)));
        assert!(!stamped.anew && !stamped.jumped);
        // However late it comes.
        let late = stamps.stamp(&mut lane, &at_ms(100), DELTA, &moment(3000));
        assert_eq!(late.unwrap().pts, later(NOW, 100));
    }

    #[test]
    fn without_pts_dts_counts() {
        let mut stamps = stamps(TimestampSource::PipelineClock);
        let times = Times {
            dts: Some(40 * MS),
            ..Times::default()
        };
        let stamped = stamp(&mut stamps, &mut Lane::default(), times, KEY);
        assert_eq!(stamped.pts, later(NOW, 40));
    }

    #[test]
    fn a_second_field_follows_on_the_first_and_what_never_has_a_time_has_that_of_its_arrival() {
        let mut stamps = stamps(TimestampSource::PipelineClock);
        let mut lane = Lane::default();
        let first = Times {
            duration: Some(Duration::from_millis(20)),
            ..at_ms(1000)
        };
        stamp(&mut stamps, &mut lane, first, KEY);
        let mut put = |ms| stamps.stamp(&mut lane, &Times::default(), DELTA, &moment(ms));
        assert_eq!(put(1300).unwrap().pts, later(NOW, 1020), "the second field");
        assert_eq!(put(1310).unwrap().pts, later(NOW, 1310), "nobody says it");
        assert_eq!(put(1350).unwrap().pts, later(NOW, 1350));
    }

    #[test]
    fn frames_of_a_file_follow_by_their_durations() {
        let mut stamps = offline(Some(NOW));
        let mut lane = Lane::default();
        let of = |ms| Times {
            duration: ms,
            ..Times::default()
        };
        let mut put = |duration: Option<u64>| {
            let times = of(duration.map(Duration::from_millis));
            stamps
                .stamp(&mut lane, &times, DELTA, &moment(7))
                .unwrap()
                .pts
        };
        assert_eq!(put(Some(20)), NOW);
        assert_eq!(put(None), later(NOW, 20));
        assert_eq!(put(Some(10)), later(NOW, 60), "nobody says it: 25 a second");
        assert_eq!(put(Some(10)), later(NOW, 70));
    }

    #[test_case(Some(NOW), 300, NOW; "begins when it is said to")]
    #[test_case(Some(Timestamp::ZERO), 300, Timestamp::from_millis(300); "keeps its own times")]
    fn a_file_is_given_its_time(start: Option<Timestamp>, ms: i64, expected: Timestamp) {
        let stamped = stamp(&mut offline(start), &mut Lane::default(), at_ms(ms), KEY);
        assert_eq!(stamped.pts, expected);
    }

    #[test]
    fn a_file_ends_now_as_far_as_its_duration_is_known() {
        let moment = Moment {
            whole: Some(Duration::from_secs(60)),
            ..moment(0)
        };
        let first = offline(None).stamp(&mut Lane::default(), &at_ms(0), KEY, &moment);
        assert_eq!(first.unwrap().pts, later(NOW, -60_000));
    }

    #[test]
    fn by_arrival_times_rise_whatever_buffers_and_clocks_say() {
        let mut stamps = stamps(TimestampSource::Arrival);
        let mut lane = Lane::default();
        let mut put = |ms, times: Times| {
            let stamped = stamps.stamp(&mut lane, &times, KEY, &moment(ms)).unwrap();
            assert!(stamped.dts.is_none() && !stamped.anew);
            stamped.pts
        };
        assert_eq!(put(100, at_ms(5_000_000)), later(NOW, 100));
        let tick = Duration::from_micros(1);
        assert_eq!(put(100, Times::default()), later(NOW, 100) + tick);
        assert_eq!(put(-9000, at_ms(0)), later(NOW, 100) + tick * 2);
        assert_eq!(put(140, at_ms(0)), later(NOW, 140));
    }

    #[test]
    fn by_buffer_pts_a_clock_that_goes_back_is_another_one() {
        let mut stamps = stamps(TimestampSource::BufferPts);
        let mut lane = Lane::default();
        let mut put = |ms, place| stamp(&mut stamps, &mut lane, at_ms(ms), place);
        assert_eq!(put(5000, KEY).pts, Timestamp::from_millis(5000));
        assert!(!put(5040, DELTA).anew);
        assert!(
            !put(4000, DELTA).anew,
            "a B-frame, or it waits for a key frame"
        );
        assert!(put(4040, KEY).anew);
        assert!(!put(5000, KEY).anew, "it goes on from there");
        let none = stamps.stamp(&mut lane, &Times::default(), KEY, &moment(0));
        assert_eq!(none, None, "it cannot be known");
    }

    const CAMERA: Timestamp = Timestamp::from_millis(1_600_000_000_000);

    #[test]
    fn the_cameras_clock_counts_from_a_key_frame_on() {
        let mut stamps = stamps(TimestampSource::ReferenceTimestamp);
        let mut lane = Lane::default();
        assert_eq!(stamp(&mut stamps, &mut lane, at_ms(0), KEY).pts, NOW);
        // In the middle of a GOP nothing turns.
        let said = stamp(&mut stamps, &mut lane, of_camera(40, CAMERA), DELTA);
        assert_eq!(said.pts, later(NOW, 40));
        let key = stamp(
            &mut stamps,
            &mut lane,
            of_camera(80, later(CAMERA, 40)),
            KEY,
        );
        assert_eq!((key.pts, key.anew), (later(CAMERA, 40), true));
        // One that says nothing goes on from there.
        let next = stamp(&mut stamps, &mut lane, at_ms(120), DELTA);
        assert_eq!((next.pts, next.anew), (later(CAMERA, 80), false));
    }

    #[test]
    fn a_cameras_clock_that_is_ahead_needs_no_other_session() {
        let mut stamps = stamps(TimestampSource::ReferenceTimestamp);
        let mut lane = Lane::default();
        stamp(&mut stamps, &mut lane, at_ms(0), KEY);
        let ahead = later(NOW, 3_600_000);
        let key = stamp(&mut stamps, &mut lane, of_camera(40, ahead), KEY);
        assert_eq!((key.pts, key.anew), (ahead, false));
    }

    #[test]
    fn sender_reports_correct_a_little_at_once_and_much_at_a_key_frame() {
        let mut stamps = stamps(TimestampSource::ReferenceTimestamp);
        let mut lane = Lane::default();
        let mut put =
            |ms, camera, place| stamp(&mut stamps, &mut lane, of_camera(ms, camera), place);
        put(0, CAMERA, KEY);
        let corrected = put(40, later(CAMERA, 47), DELTA);
        assert_eq!((corrected.pts, corrected.anew), (later(CAMERA, 47), false));
        // The clock was set back by a minute.
        let back = later(CAMERA, -60_000);
        assert_eq!(put(80, back, DELTA).pts, later(CAMERA, 87));
        let key = put(120, later(back, 40), KEY);
        assert_eq!((key.pts, key.anew), (later(back, 40), true));
    }

    #[test]
    fn sound_turns_with_the_picture_and_what_is_late_stands_behind_the_key_frame() {
        let mut stamps = stamps(TimestampSource::ReferenceTimestamp);
        let (mut picture, mut sound) = (Lane::default(), Lane::default());
        stamp(&mut stamps, &mut picture, at_ms(0), KEY);
        // It knows the camera's clock before the picture does.
        let early = stamp(
            &mut stamps,
            &mut sound,
            of_camera(900, later(CAMERA, 900)),
            SOUND,
        );
        assert_eq!(early.pts, later(NOW, 900));
        stamp(
            &mut stamps,
            &mut picture,
            of_camera(1000, later(CAMERA, 1000)),
            KEY,
        );
        let late = stamp(&mut stamps, &mut sound, at_ms(940), SOUND);
        assert_eq!(late.pts, later(CAMERA, 940));
        assert_eq!(late.dts, Some(later(CAMERA, 1000)));
        let next = stamp(&mut stamps, &mut sound, at_ms(1000), SOUND);
        assert_eq!((next.pts, next.dts), (later(CAMERA, 1000), None));
    }

    #[test]
    fn sound_is_corrected_without_going_back() {
        let mut stamps = stamps(TimestampSource::PipelineClock);
        let mut sound = Lane::default();
        let mut put = |ms| stamp(&mut stamps, &mut sound, at_ms(ms), SOUND).pts;
        assert_eq!(put(1000), later(NOW, 1000));
        assert_eq!(put(970), later(NOW, 1001), "the jitter buffer has moved it");
        assert_eq!(put(990), later(NOW, 1002));
        assert_eq!(put(1010), later(NOW, 1010));
    }

    #[test]
    fn sound_of_another_session_may_be_earlier() {
        let mut stamps = stamps(TimestampSource::BufferPts);
        let (mut picture, mut sound) = (Lane::default(), Lane::default());
        stamp(&mut stamps, &mut picture, at_ms(1000), KEY);
        stamp(&mut stamps, &mut sound, at_ms(1000), SOUND);
        assert!(stamp(&mut stamps, &mut picture, at_ms(800), KEY).anew);
        let next = stamp(&mut stamps, &mut sound, at_ms(820), SOUND);
        assert_eq!(next.pts, Timestamp::from_millis(820));
    }

    #[test]
    fn after_a_flush_nothing_is_late() {
        let mut stamps = stamps(TimestampSource::ReferenceTimestamp);
        let (mut picture, mut sound) = (Lane::default(), Lane::default());
        stamp(
            &mut stamps,
            &mut picture,
            of_camera(9000, later(CAMERA, 9000)),
            KEY,
        );
        stamp(&mut stamps, &mut sound, at_ms(9000), SOUND);
        picture.restart();
        sound.restart();
        stamp(
            &mut stamps,
            &mut picture,
            of_camera(0, later(CAMERA, 12_000)),
            KEY,
        );
        let first = stamp(
            &mut stamps,
            &mut sound,
            of_camera(20, later(CAMERA, 12_020)),
            SOUND,
        );
        assert_eq!((first.pts, first.dts), (later(CAMERA, 12_020), None));
    }

    #[test]
    fn a_pause_ties_the_next_key_frame_to_the_clock_again() {
        let mut stamps = stamps(TimestampSource::PipelineClock);
        let mut lane = Lane::default();
        stamp(&mut stamps, &mut lane, at_ms(0), KEY);
        stamp(&mut stamps, &mut lane, at_ms(40), DELTA);
        lane.resume();
        let after = |ms| Moment {
            wall: later(NOW, ms + 60_000),
            ..moment(ms)
        };
        let mut put = |ms, place| {
            stamps
                .stamp(&mut lane, &at_ms(ms), place, &after(ms))
                .unwrap()
        };
        assert_eq!(
            put(80, DELTA).pts,
            later(NOW, 80),
            "it belongs to the frames before"
        );
        assert_eq!(put(120, KEY).pts, later(NOW, 60_120));
    }

    #[test]
    fn a_jump_goes_on_where_the_wall_clock_is() {
        let mut stamps = stamps(TimestampSource::PipelineClock);
        let mut lane = Lane::default();
        stamp(&mut stamps, &mut lane, at_ms(95_443_000), KEY);
        // 33 bits at 90 kHz wrap, and nobody in front has noticed.
        let wrapped = stamps
            .stamp(&mut lane, &at_ms(0), KEY, &moment(95_443_040))
            .unwrap();
        assert!(wrapped.jumped && !wrapped.anew);
        assert_eq!(wrapped.pts, later(NOW, 95_443_040));
    }

    #[test]
    fn where_a_running_time_is_can_be_asked_once_a_frame_came() {
        let mut stamps = stamps(TimestampSource::ReferenceTimestamp);
        let mut lane = Lane::default();
        assert_eq!(stamps.peek(&lane, 0), None);
        stamp(&mut stamps, &mut lane, at_ms(0), KEY);
        assert_eq!(stamps.peek(&lane, S), Some(later(NOW, 1000)));
        stamp(&mut stamps, &mut lane, of_camera(40, CAMERA), KEY);
        assert_eq!(stamps.peek(&lane, S), Some(later(CAMERA, 960)));
    }
}
