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
    /// Running time of the frame before, and its duration.
    last: Option<(i64, Duration)>,
    /// Running time begins anew with the next frame, or the next key frame.
    restart: Option<Restart>,
    /// The latest PTS that was given.
    latest: Option<Timestamp>,
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
}

impl Stamps {
    pub(super) fn new(source: TimestampSource, live: bool, file_start: Option<Timestamp>) -> Self {
        Self {
            source,
            live,
            file_start,
            timeline: Timeline::default(),
            referenced: None,
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
        lane.latest = match stamped.anew {
            true => Some(stamped.pts),
            false => lane.latest.max(Some(stamped.pts)),
        };
        Some(stamped)
    }

    fn by_running_time(
        &mut self,
        lane: &mut Lane,
        times: &Times,
        place: Place,
        moment: &Moment,
    ) -> Stamped {
        let pts = times.pts.or(times.dts).unwrap_or_else(|| {
            // It was taken now, or follows on the one before.
            let follows = || {
                lane.last.map_or(0, |(last, duration)| {
                    last.saturating_add(nanos(times.duration.unwrap_or(duration)))
                })
            };
            let clock = moment.clock.filter(|_| self.live);
            clock.unwrap_or_else(follows)
        });
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
        lane.last = Some((pts, times.duration.unwrap_or(FRAME)));
        if self.source == TimestampSource::ReferenceTimestamp {
            self.hear(lane, pts, times.reference, place);
            if let Some(zero) = self.referenced {
                let zero = lane.reference.unwrap_or(zero);
                stamped_pts = at(zero, pts);
                stamped_dts = times.dts.map(|dts| at(zero, dts));
            }
        }
        Stamped {
            pts: stamped_pts,
            dts: stamped_dts,
            anew: false,
            jumped,
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
            self.referenced = lane.reference.or(self.referenced);
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

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn at(zero: i128, running_time: i64) -> Timestamp {
    let nanos = u64::try_from((zero + i128::from(running_time)).max(0)).unwrap_or(u64::MAX);
    Timestamp::from_nanos(nanos)
}
