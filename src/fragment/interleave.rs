//! [`Lanes`]: frames of several tracks, in one order.
//!
//! In: frames, each in its lane and in decode order there. Out: the frames of all lanes in the order of their decode times
//! (else of presentation), as soon as no earlier one can come. A lane that gives nothing is not waited for for ever.
//! Does not belong here: what a frame or a track means to a fragment ([`super::Cutter`]), room (`session`).

use std::{collections::VecDeque, time::Duration};

use super::Block;
use crate::{
    media::{Frame, Track, TrackNumber},
    mkv::Tag,
    time::{Mono, Timestamp},
};

/// Most media that waits in the lanes, and longest time that a live frame does: lanes that are further apart do not belong
/// together, or one has a wrong clock.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);
/// Most tracks of a stream ("Amazon Kinesis Video Streams service quotas", tracks).
pub(crate) const MAX_TRACKS: usize = 3;
/// Headers of a cluster and of a block at their longest, in bytes: a frame costs no more in the store than it did here.
const HEAD: u64 = 35;

/// What takes effect when the frame leaves its lane, and before it does.
#[derive(Default)]
pub(crate) struct Before {
    /// The track is another from here on.
    pub(crate) track: Option<Track>,
    /// Something is missing here.
    pub(crate) hole: bool,
    /// For the fragment that is open then: each with whether it is persistent.
    pub(crate) tags: Vec<(Tag, bool)>,
}

/// A frame in its lane.
pub(crate) struct Entry {
    pub(crate) frame: Frame,
    pub(crate) before: Option<Box<Before>>,
    /// Never less than that of the frame before it in its lane.
    order: Timestamp,
    arrived: Mono,
}

impl Entry {
    /// What it costs while it waits, in bytes.
    fn cost(&self) -> u64 {
        cost_in_lane(self.frame.payload.len() as u64)
    }
}

/// What a frame of this many bytes costs while it waits, in bytes.
pub(crate) fn cost_in_lane(payload: u64) -> u64 {
    payload + Block::OVERHEAD + HEAD
}

struct Lane {
    number: TrackNumber,
    queue: VecDeque<Entry>,
    /// Nothing before this comes any more.
    reached: Option<Timestamp>,
    /// When it gave something last.
    heard: Mono,
    /// It was waited for long enough.
    silent: bool,
    ended: bool,
    /// Its first frame has to wait for another fragment, and nobody waits for it.
    held: bool,
    /// For its next frame.
    before: Option<Box<Before>>,
}

impl Lane {
    fn new(number: TrackNumber) -> Self {
        Self {
            number,
            queue: VecDeque::new(),
            reached: None,
            heard: Mono::ZERO,
            silent: false,
            ended: false,
            held: false,
            before: None,
        }
    }

    /// A frame before `order` may still come.
    fn may_precede(&self, order: Timestamp) -> bool {
        let is_awaited = self.queue.is_empty() && !self.ended && !self.silent && !self.held;
        is_awaited && self.reached.is_none_or(|reached| reached < order)
    }

    /// Media that waits in it.
    fn span(&self) -> Duration {
        let first = self.queue.front().map(|entry| entry.order);
        match (self.reached, first) {
            (Some(reached), Some(first)) => reached.saturating_since(first),
            _ => Duration::ZERO,
        }
    }
}

/// The lanes of a stream, in the order of its tracks: of frames at the same time the first goes first.
#[derive(Default)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    /// It left its lane, and there is no room for it yet: nothing overtakes it.
    stalled: Option<Entry>,
    frames: u64,
    bytes: u64,
    /// When somebody will have been waited for long enough.
    due: Option<Mono>,
    /// Lanes that were waited for long enough, to be told.
    fell_silent: Vec<TrackNumber>,
}

impl Lanes {
    /// There are several: frames wait for each other.
    pub(crate) fn are_many(&self) -> bool {
        self.lanes.len() > 1
    }

    /// Frames that wait.
    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// Bytes that wait, with their overhead.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// When [`Self::pop`] may give something though nothing comes.
    pub(crate) fn due(&self) -> Option<Mono> {
        self.due
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = TrackNumber> {
        self.lanes.iter().map(|lane| lane.number)
    }

    pub(crate) fn contains(&self, number: TrackNumber) -> bool {
        self.lane(number).is_some()
    }

    /// Nothing of this track waits.
    pub(crate) fn is_empty(&self, number: TrackNumber) -> bool {
        let stalled = self.stalled.as_ref().map(|entry| entry.frame.track);
        stalled != Some(number) && self.lane(number).is_none_or(|lane| lane.queue.is_empty())
    }

    /// It ended, and nothing of it waits.
    pub(crate) fn is_over(&self, number: TrackNumber) -> bool {
        self.lane(number).is_none_or(|lane| lane.ended) && self.is_empty(number)
    }

    /// It was waited for long enough, and has given nothing since.
    pub(crate) fn is_silent(&self, number: TrackNumber) -> bool {
        self.lane(number).is_some_and(|lane| lane.silent)
    }

    /// Another lane, unless there are as many as a stream may have. One that ended is awaited again.
    pub(crate) fn add(&mut self, number: TrackNumber) -> bool {
        if let Some(lane) = self.lane_mut(number) {
            lane.ended = false;
        } else {
            if self.lanes.len() >= MAX_TRACKS {
                return false;
            }
            let place = self.lanes.partition_point(|lane| lane.number < number);
            self.lanes.insert(place, Lane::new(number));
        }
        true
    }

    /// Keeps only these, and adds those that are new. Nothing may wait.
    pub(crate) fn set(&mut self, numbers: impl Iterator<Item = TrackNumber> + Clone) {
        debug_assert_eq!(self.frames, 0);
        self.due = None;
        self.lanes
            .retain(|lane| numbers.clone().any(|number| number == lane.number));
        for number in numbers {
            self.add(number);
        }
    }

    /// Time begins anew: what was reached is no more.
    pub(crate) fn restart(&mut self) {
        for lane in &mut self.lanes {
            lane.reached = None;
        }
    }

    /// The machine was suspended: nobody could give anything meanwhile.
    pub(crate) fn suspended(&mut self, time: Duration) {
        for lane in &mut self.lanes {
            lane.heard = lane.heard + time;
            for entry in &mut lane.queue {
                entry.arrived = entry.arrived + time;
            }
        }
        self.due = self.due.map(|due| due + time);
    }

    /// What is to take effect before the next frame of this lane.
    pub(crate) fn before(&mut self, number: TrackNumber) -> Option<&mut Before> {
        let lane = self.lane_mut(number)?;
        Some(lane.before.get_or_insert_default())
    }

    /// Tags that take effect with frames to come.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &Tag> {
        let befores = self.lanes.iter().flat_map(|lane| {
            let queued = lane.queue.iter().filter_map(|entry| entry.before.as_ref());
            queued.chain(&lane.before)
        });
        befores.flat_map(|before| before.tags.iter().map(|(tag, _)| tag))
    }

    /// What was to take effect before a frame that did not come.
    pub(crate) fn take_before(&mut self) -> Option<(TrackNumber, Before)> {
        self.lanes
            .iter_mut()
            .find_map(|lane| Some((lane.number, *lane.before.take()?)))
    }

    /// What would take effect with the first frame that waits in this lane.
    pub(crate) fn take_next_track(&mut self, number: TrackNumber) -> Option<Track> {
        let lane = self.lane_mut(number)?;
        lane.held = false;
        lane.queue.front_mut()?.before.as_mut()?.track.take()
    }

    /// Takes a frame of one of the lanes.
    pub(crate) fn push(&mut self, now: Mono, frame: Frame) {
        let Some(lane) = self
            .lanes
            .iter_mut()
            .find(|lane| lane.number == frame.track)
        else {
            return;
        };
        let order = lane
            .reached
            .unwrap_or_default()
            .max(frame.dts.unwrap_or(frame.pts));
        lane.reached = Some(order);
        (lane.heard, lane.silent, lane.ended) = (now, false, false);
        let entry = Entry {
            frame,
            before: lane.before.take(),
            order,
            arrived: now,
        };
        self.frames += 1;
        self.bytes += entry.cost();
        lane.queue.push_back(entry);
    }

    /// Nothing of this track comes before `until`.
    pub(crate) fn gap(&mut self, now: Mono, number: TrackNumber, until: Timestamp) {
        if let Some(lane) = self.lane_mut(number) {
            lane.reached = lane.reached.max(Some(until));
            (lane.heard, lane.silent, lane.ended) = (now, false, false);
        }
    }

    /// Nothing of this track comes any more.
    pub(crate) fn end(&mut self, number: TrackNumber) {
        if let Some(lane) = self.lane_mut(number) {
            lane.ended = true;
        }
    }

    /// The next frame, when nothing comes before it any more: each other lane has something later, has ended, or was waited
    /// for as long as `timeout`. `window`: frames that wait longer, or are further behind the newest, are not kept for
    /// others either.
    pub(crate) fn pop(
        &mut self,
        now: Mono,
        timeout: Duration,
        window: Option<Duration>,
    ) -> Option<Entry> {
        self.due = None;
        if self.stalled.is_some() {
            // Nobody had to give anything while there was no room.
            for lane in &mut self.lanes {
                lane.heard = now;
            }
            return self.take_stalled();
        }
        let first = self.first(|lane| !lane.held)?;
        let head = self.lanes[first].queue.front()?;
        let (order, arrived) = (head.order, head.arrived);
        let is_blocked = self.lanes.iter().any(|lane| lane.may_precede(order));
        if is_blocked && !window.is_some_and(|window| self.exceeds(now, order, arrived, window)) {
            let mut due = window.map(|window| arrived + window);
            let mut blocked = false;
            for lane in &mut self.lanes {
                if !lane.may_precede(order) {
                    continue;
                }
                let until = lane.heard.max(arrived) + timeout;
                if until <= now {
                    lane.silent = true;
                    self.fell_silent.push(lane.number);
                } else {
                    blocked = true;
                    due = Some(due.map_or(until, |due| due.min(until)));
                }
            }
            if blocked {
                self.due = due;
                return None;
            }
        }
        self.take(first)
    }

    fn exceeds(&self, now: Mono, order: Timestamp, arrived: Mono, window: Duration) -> bool {
        let newest = self.lanes.iter().filter_map(|lane| lane.reached).max();
        newest.is_some_and(|newest| newest.saturating_since(order) >= window)
            || now.saturating_since(arrived) >= window
    }

    /// The next frame, whoever may still come. Those that have to wait for another fragment come last.
    pub(crate) fn pop_any(&mut self) -> Option<Entry> {
        self.due = None;
        if self.stalled.is_some() {
            return self.take_stalled();
        }
        let first = self
            .first(|lane| !lane.held)
            .or_else(|| self.first(|_| true))?;
        self.take(first)
    }

    /// Lanes that were waited for long enough since this was asked last.
    pub(crate) fn take_silent(&mut self) -> Vec<TrackNumber> {
        std::mem::take(&mut self.fell_silent)
    }

    /// There is no room for it: it comes first when there is.
    pub(crate) fn stall(&mut self, entry: Entry) {
        self.frames += 1;
        self.bytes += entry.cost();
        self.stalled = Some(entry);
    }

    /// It has to wait for another fragment, and what follows in its lane with it.
    pub(crate) fn hold(&mut self, entry: Entry) {
        self.frames += 1;
        self.bytes += entry.cost();
        if let Some(lane) = self.lane_mut(entry.frame.track) {
            lane.held = true;
            lane.queue.push_front(entry);
        }
    }

    /// What was held goes on.
    pub(crate) fn release(&mut self) {
        for lane in &mut self.lanes {
            lane.held = false;
        }
    }

    /// Offline: whoever gives frames of this track has to wait, for room or until the others come. Never when nothing of it
    /// waits already, so that nobody waits for one who waits.
    pub(crate) fn must_wait(&self, number: TrackNumber, payload: u64, limit: u64) -> bool {
        let Some(lane) = self.lane(number) else {
            return false;
        };
        if self.is_empty(number) {
            return false;
        }
        self.stalled.is_some()
            || lane.span() >= WINDOW
            || self.bytes.saturating_add(cost_in_lane(payload)) > limit
    }

    fn first(&self, which: impl Fn(&Lane) -> bool) -> Option<usize> {
        let heads = self.lanes.iter().enumerate().filter_map(|(index, lane)| {
            let head = lane.queue.front().filter(|_| which(lane))?;
            Some((head.order, index))
        });
        heads.min().map(|(_, index)| index)
    }

    fn take(&mut self, lane: usize) -> Option<Entry> {
        let entry = self.lanes[lane].queue.pop_front()?;
        self.forget(&entry);
        Some(entry)
    }

    fn take_stalled(&mut self) -> Option<Entry> {
        let entry = self.stalled.take()?;
        self.forget(&entry);
        Some(entry)
    }

    fn forget(&mut self, entry: &Entry) {
        self.frames -= 1;
        self.bytes -= entry.cost();
    }

    fn lane(&self, number: TrackNumber) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.number == number)
    }

    fn lane_mut(&mut self, number: TrackNumber) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.number == number)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn number(number: u8) -> TrackNumber {
        TrackNumber::new(number).unwrap()
    }

    fn lanes(count: u8) -> Lanes {
        let mut lanes = Lanes::default();
        for lane in 1..=count {
            assert!(lanes.add(number(lane)));
        }
        lanes
    }

    fn frame(lane: u8, ms: u64) -> Frame {
        Frame {
            track: number(lane),
            pts: Timestamp::from_millis(ms),
            dts: None,
            key: true,
            payload: Bytes::from_static(&[0; 8]),
        }
    }

    fn popped(lanes: &mut Lanes, now: Mono) -> Vec<(u8, u64)> {
        let next = || lanes.pop(now, TIMEOUT, Some(WINDOW));
        std::iter::from_fn(next)
            .map(|entry| (entry.frame.track.get(), entry.frame.pts.as_millis_rounded()))
            .collect()
    }

    #[test]
    fn a_frame_leaves_when_nothing_earlier_can_come() {
        let (mut lanes, now) = (lanes(2), Mono::ZERO);
        lanes.push(now, frame(1, 40));
        lanes.push(now, frame(1, 80));
        assert_eq!(popped(&mut lanes, now), []);
        lanes.push(now, frame(2, 50));
        assert_eq!(popped(&mut lanes, now), [(1, 40), (2, 50)]);
        lanes.push(now, frame(2, 80));
        assert_eq!(popped(&mut lanes, now), [(1, 80), (2, 80)]);
        assert_eq!((lanes.frames(), lanes.bytes()), (0, 0));
    }

    #[test]
    fn the_times_of_decoding_make_the_order() {
        let (mut lanes, now) = (lanes(2), Mono::ZERO);
        let key = Frame {
            dts: Some(Timestamp::from_millis(0)),
            ..frame(1, 200)
        };
        lanes.push(now, key);
        lanes.push(now, frame(2, 100));
        assert_eq!(popped(&mut lanes, now), [(1, 200)]);
    }

    #[test]
    fn a_gap_is_as_good_as_a_frame_and_an_end_as_good_as_a_gap() {
        let (mut lanes, now) = (lanes(3), Mono::ZERO);
        lanes.push(now, frame(1, 40));
        lanes.gap(now, number(2), Timestamp::from_millis(39));
        lanes.end(number(3));
        assert_eq!(popped(&mut lanes, now), []);
        lanes.gap(now, number(2), Timestamp::from_millis(40));
        assert_eq!(popped(&mut lanes, now), [(1, 40)]);
    }

    #[test]
    fn a_silent_lane_is_waited_for_once_and_told_once() {
        let mut lanes = lanes(2);
        let mut now = Mono::from_secs(100);
        lanes.push(now, frame(1, 0));
        assert_eq!(popped(&mut lanes, now), []);
        assert_eq!(lanes.due(), Some(now + TIMEOUT));
        now = now + TIMEOUT;
        assert_eq!(popped(&mut lanes, now), [(1, 0)]);
        assert_eq!(lanes.take_silent(), [number(2)]);
        lanes.push(now, frame(1, 40));
        assert_eq!(popped(&mut lanes, now), [(1, 40)]);
        assert_eq!((lanes.take_silent(), lanes.due()), (vec![], None));
        lanes.push(now, frame(2, 10));
        lanes.push(now, frame(1, 80));
        assert_eq!(
            popped(&mut lanes, now),
            [(2, 10)],
            "late, and it is there again"
        );
    }

    #[test]
    fn a_pause_of_all_lanes_makes_none_silent() {
        let mut lanes = lanes(2);
        lanes.push(Mono::ZERO, frame(1, 0));
        lanes.push(Mono::ZERO, frame(2, 0));
        popped(&mut lanes, Mono::ZERO);
        let later = Mono::from_secs(3600);
        lanes.push(later, frame(1, 40));
        assert_eq!(popped(&mut lanes, later), []);
        lanes.suspended(Duration::from_secs(3600));
        let later = later + Duration::from_secs(3600);
        assert_eq!(popped(&mut lanes, later), []);
        assert!(lanes.take_silent().is_empty());
    }

    #[test]
    fn a_wait_for_room_makes_no_lane_silent() {
        let (mut lanes, now) = (lanes(2), Mono::ZERO);
        lanes.push(now, frame(1, 0));
        lanes.push(now, frame(2, 40));
        let entry = lanes.pop(now, TIMEOUT, None).unwrap();
        lanes.stall(entry);
        assert!(lanes.must_wait(number(1), 8, u64::MAX));
        let later = Mono::from_secs(60);
        assert!(lanes.pop(later, TIMEOUT, None).is_some());
        assert!(lanes.pop(later, TIMEOUT, None).is_none());
        assert!(lanes.take_silent().is_empty());
    }

    #[test]
    fn lanes_that_are_too_far_apart_do_not_wait_for_each_other() {
        let (mut lanes, now) = (lanes(2), Mono::ZERO);
        lanes.gap(now, number(2), Timestamp::ZERO);
        for second in 0..15 {
            lanes.push(now, frame(1, 1000 + second * 1000));
        }
        let out = popped(&mut lanes, now);
        assert_eq!(out.len(), 5, "{out:?}");
        assert!(lanes.take_silent().is_empty(), "it is slow, not silent");
    }

    #[test]
    fn a_lane_that_has_to_wait_for_another_fragment_holds_nobody_up() {
        let (mut lanes, now) = (lanes(2), Mono::ZERO);
        lanes.push(now, frame(2, 0));
        lanes.push(now, frame(1, 0));
        popped(&mut lanes, now);
        lanes.push(now, frame(2, 20));
        lanes.push(now, frame(1, 40));
        let entry = lanes.pop(now, TIMEOUT, None).unwrap();
        lanes.hold(entry);
        lanes.push(now, frame(1, 80));
        assert_eq!(popped(&mut lanes, now), [(1, 40), (1, 80)]);
        lanes.release();
        lanes.push(now, frame(1, 120));
        assert_eq!(popped(&mut lanes, now), [(2, 20)]);
    }

    proptest! {
        /// As long as nobody is given up, frames leave in the order of their times, each lane's in its own order; a flush
        /// gives the rest; and what is counted is what waits.
        #[test]
        fn the_order_is_that_of_the_times(steps in proptest::collection::vec((1..=3_u8, 0..400_u64), 1..200)) {
            let (mut lanes, now) = (lanes(3), Mono::ZERO);
            let (mut at, mut put, mut out) = ([0; 4], Vec::new(), Vec::new());
            for (lane, later) in steps {
                let time = &mut at[usize::from(lane)];
                *time += later;
                put.push((lane, *time));
                lanes.push(now, frame(lane, *time));
                while let Some(entry) = lanes.pop(now, TIMEOUT, None) {
                    out.push((entry.frame.track.get(), entry.frame.pts.as_millis_rounded()));
                }
                prop_assert_eq!(lanes.frames(), (put.len() - out.len()) as u64);
            }
            while let Some(entry) = lanes.pop_any() {
                out.push((entry.frame.track.get(), entry.frame.pts.as_millis_rounded()));
            }
            prop_assert_eq!((lanes.frames(), lanes.bytes()), (0, 0));
            prop_assert!(out.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{:?}", out);
            for lane in 1..=3 {
                let of = |frames: &[(u8, u64)]| frames.iter().filter(|(other, _)| *other == lane).copied().collect::<Vec<_>>();
                prop_assert_eq!(of(&put), of(&out));
            }
        }
    }
}
