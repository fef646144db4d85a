//! The world of a session, simulated: the real [`Session`], a fake service, a bad link, a camera; virtual time.
//!
//! One seed decides everything that is left to chance; a failure prints it. The loop is that of `net::driver`: transmit
//! while there is room, poll until it waits, then whatever comes first.
//! Belongs here: the agenda and what must hold at every step. Does not belong here: the stories ([`scenarios`], [`bounds`]), random
//! worlds ([`wild`]). A new fault is a field of [`Faults`], and its place in [`link`] or in [`World::connect`].

#![allow(
    clippy::single_range_in_vec_init,
    reason = "a list of ranges, of which there may be one"
)]

mod agenda;
mod bounds;
mod disk;
mod disk_troubles;
mod link;
mod metrics;
mod order;
mod others;
mod reader;
mod reset;
mod scenarios;
mod service;
mod source;
mod tracks;
mod wild;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use self::{
    agenda::{Happening, UnderWay},
    disk::Disk,
    link::{Connection, Ledger},
    others::Other,
    service::{Faults, Service, Stream},
    source::Source,
};
use super::{Ack, Call, Event, Input, Output, Refused, Session, Stats, StreamError};
use crate::{
    definition::{StreamDefinition, StreamName, StreamingType},
    fragment::{DropReason, tests::tracks},
    media::Frame,
    time::{Mono, Timestamp},
};

pub(super) struct World {
    seed: u64,
    random: fastrand::Rng,
    now: Mono,
    agenda: BTreeMap<(Mono, u64), Happening>,
    numbers: u64,
    session: Session,
    service: Service,
    disk: Disk,
    faults: Faults,
    source: Source,
    /// Sources of other tracks.
    others: Vec<Other>,
    /// The camera's clock, as it was set: so many ms on, or back.
    shift: i64,
    /// All sources are off.
    off: bool,
    /// Frames still to come; then the camera is off.
    frames_left: u64,
    bytes_per_second: u64,
    /// A peer that takes nothing for so long is given up (TCP_USER_TIMEOUT).
    kernel_patience: Option<Duration>,
    /// Credentials end so long after they were given, and connections with them. They are renewed in their last quarter.
    key_life: Option<Duration>,
    keys_end: Mono,
    under_way: Option<UnderWay>,
    /// The connection whose body is open.
    body: Option<u64>,
    connections: BTreeMap<u64, Connection>,
    ledger: Ledger,
    /// Frames that were taken, and the one that waits for room.
    taken: BTreeSet<u64>,
    /// When they are shown.
    shown: BTreeMap<u64, Timestamp>,
    waiting: Option<Frame>,
    /// Pauses of the camera before a frame.
    pauses: BTreeMap<u64, Duration>,
    longest_wait: Duration,
    waits_since: Mono,
    told: Vec<(Mono, Event)>,
    wake: Option<Mono>,
    /// When the wire is looked at again.
    room_at: Option<Mono>,
    /// By when the end that was asked for must be over.
    end_by: Option<Mono>,
    /// Requests of the last second.
    attempts: VecDeque<Mono>,
    most_attempts: usize,
    /// Fragments that came to be durable in the last second: each allows a retry at once.
    successes: VecDeque<Mono>,
    largest_fragment: u64,
    steps_now: u32,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "the world of seed {} at {}: {}",
                self.seed,
                self.now,
                self.session.stats(self.now)
            );
            for (at, event) in self.told.iter().rev().take(20).rev() {
                eprintln!("  {at} {event:?}");
            }
        }
    }
}

impl World {
    /// A world without faults: a camera of 10 frames a second, fragments of 2 s, an ACTIVE stream.
    pub(super) fn seeded(seed: u64) -> Self {
        Self::with(seed, |_| {})
    }

    pub(super) fn with(seed: u64, change: impl FnOnce(&mut StreamDefinition)) -> Self {
        let mut definition = StreamDefinition::new(StreamName::new("cam1").unwrap());
        change(&mut definition);
        let mut session = Session::new(definition, seed);
        session.set_tracks(&tracks(640)).unwrap();
        let mut world = Self {
            seed,
            random: fastrand::Rng::with_seed(seed),
            now: Mono::from_secs(10),
            agenda: BTreeMap::new(),
            numbers: 0,
            session,
            service: Service::new(),
            disk: Disk::default(),
            faults: Faults::default(),
            source: Source::new(),
            others: Vec::new(),
            shift: 0,
            off: false,
            frames_left: u64::MAX,
            bytes_per_second: 1_000_000,
            kernel_patience: None,
            key_life: None,
            keys_end: Mono::ZERO,
            under_way: None,
            body: None,
            connections: BTreeMap::new(),
            ledger: Ledger::default(),
            taken: BTreeSet::new(),
            shown: BTreeMap::new(),
            waiting: None,
            pauses: BTreeMap::new(),
            longest_wait: Duration::ZERO,
            waits_since: Mono::ZERO,
            told: Vec::new(),
            wake: None,
            room_at: None,
            end_by: None,
            attempts: VecDeque::new(),
            most_attempts: 0,
            successes: VecDeque::new(),
            largest_fragment: 0,
            steps_now: 0,
        };
        world.ledger.widths.insert(0, 640);
        world.plan(Duration::ZERO, Happening::Frame);
        world
    }

    fn plan(&mut self, after: Duration, what: Happening) {
        self.plan_at(self.now + after, what);
    }

    fn plan_at(&mut self, at: Mono, what: Happening) {
        self.numbers += 1;
        self.agenda.insert((at, self.numbers), what);
    }

    fn chance(&mut self, of: f64) -> bool {
        self.random.f64() < of
    }

    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.u64(range))
    }

    fn is_away(&self) -> bool {
        let away = |(from, to): &(Mono, Mono)| (*from..*to).contains(&self.now);
        self.faults.away.iter().any(away)
    }

    /// Lets the time pass.
    pub(super) fn run_for(&mut self, time: Duration) -> &mut Self {
        let until = self.now + time;
        self.run_while(until, |_| true)
    }

    /// … as long as it holds.
    pub(super) fn run_while(&mut self, until: Mono, holds: impl Fn(&Self) -> bool) -> &mut Self {
        self.turn();
        while holds(self) {
            let next = self.agenda.keys().next().map(|(at, _)| *at);
            let at = [next, self.wake].into_iter().flatten().min();
            let Some(at) = at.filter(|at| *at <= until) else {
                self.now = until;
                self.turn();
                break;
            };
            self.steps_now = if at > self.now { 0 } else { self.steps_now + 1 };
            assert!(self.steps_now < 20_000, "the driver would spin at {at}");
            self.now = self.now.max(at);
            if next == Some(at)
                && let Some((_, what)) = self.agenda.pop_first()
            {
                self.happen(what);
            }
            self.turn();
        }
        self
    }

    /// Asks for the end, and runs until it is reached.
    pub(super) fn end(&mut self, limit: Duration, stop: bool) -> Result<(), StreamError> {
        self.ask_for_end(limit, stop);
        let until = self.now + limit + self.leave();
        self.run_while(until, |world| world.session.ended().is_none());
        self.session
            .ended()
            .cloned()
            .expect("the end is reached by its deadline")
    }

    pub(super) fn ask_for_end(&mut self, limit: Duration, stop: bool) {
        self.session.end(self.now, self.now + limit, stop);
        self.end_by = Some(self.now + limit + self.leave());
    }

    /// What is not PERSISTED by then is written to disk.
    fn leave(&self) -> Duration {
        let spool = self.session.definition.spool.as_ref();
        spool.map_or(Duration::ZERO, |_| Duration::from_millis(701))
    }

    /// The machine is suspended: the time passes at once. What was to come meanwhile comes after it; first of all a frame, if
    /// that is what wakes the driver.
    fn suspend(&mut self, time: Duration, frame_first: bool) {
        self.now = self.now + time;
        self.end_by = self.end_by.map(|by| by + time);
        self.session.handle(self.now, Input::Suspended(time));
        let frame = |(_, what): &(&_, &Happening)| matches!(what, Happening::Frame);
        let frame = self.agenda.iter().find(frame).map(|(at, _)| *at);
        if let Some(frame) = frame.filter(|_| frame_first)
            && let Some(frame) = self.agenda.remove(&frame)
        {
            self.happen(frame);
        }
        self.turn();
    }

    /// The camera goes off, and everything that was taken is to arrive.
    pub(super) fn drain(&mut self) -> Result<(), StreamError> {
        (self.frames_left, self.off) = (0, true);
        if self.waits() {
            let until = self.now + Duration::from_secs(600);
            self.run_while(until, Self::waits);
            assert!(!self.waits(), "room is made at last");
        }
        self.end(Duration::from_secs(600), false)
    }

    /// A frame waits for room, of whatever track.
    fn waits(&self) -> bool {
        self.waiting.is_some() || self.others.iter().any(|other| other.waiting.is_some())
    }

    pub(super) fn stats(&self) -> Stats {
        self.session.stats(self.now)
    }

    /// What the driver does between two waits.
    fn turn(&mut self) {
        loop {
            self.offer();
            while let Some(id) = self.body
                && self.connections[&id].has_room(self.now)
                && let Some(chunk) = self.session.transmit(self.now)
            {
                self.sent(id, &chunk);
            }
            loop {
                match self.session.poll(self.now) {
                    Output::Wait { at, .. } => {
                        self.wake = at;
                        break;
                    }
                    output => self.perform(output),
                }
            }
            let room = self.body.map(|id| &self.connections[&id]);
            match room {
                Some(link) if self.session.wants_transmit() => {
                    if link.has_room(self.now) {
                        self.steps_now += 1;
                        assert!(
                            self.steps_now < 20_000,
                            "it wants to transmit and has nothing"
                        );
                        continue;
                    }
                    if let Some(at) = link.room_at()
                        && self.room_at.is_none_or(|planned| planned <= self.now)
                    {
                        self.room_at = Some(at);
                        self.plan_at(at, Happening::Nothing);
                    }
                }
                _ => {}
            }
            break;
        }
        self.check();
    }

    /// What holds at every step.
    fn check(&mut self) {
        let costs = self.session.store.pending().map(|fragment| fragment.cost);
        let largest = costs.max().unwrap_or(0);
        self.largest_fragment = self.largest_fragment.max(largest);
        let stats = self.session.stats(self.now);
        assert_eq!(
            stats.frames_in + stats.spool.frames_recovered,
            stats.frames_persisted
                + stats.frames_dropped()
                + stats.frames_pending
                + stats.spool.frames_left,
            "{stats}"
        );
        let definition = &self.session.definition;
        let bound = match definition.streaming_type {
            StreamingType::Offline => {
                definition.storage.max(self.largest_fragment) + self.largest_fragment
            }
            // What is read again to be sent is whole.
            _ if definition.spool.is_some() => definition.storage.max(self.largest_fragment),
            _ => definition.storage,
        };
        // Half of the storage may wait in the lanes, and a frame in each.
        let lanes = match definition.streaming_type {
            StreamingType::Offline if !self.others.is_empty() => {
                definition.storage / 2 + 3 * 11_000
            }
            _ => 0,
        };
        let read = definition
            .spool
            .as_ref()
            .map_or(0, |_| self.largest_fragment);
        let bound = bound + lanes + read;
        assert!(
            stats.bytes_buffered <= bound,
            "{} > {bound} bytes",
            stats.bytes_buffered
        );
        if self.session.ended().is_some() {
            self.end_by = None;
        }
        assert!(
            self.end_by.is_none_or(|by| self.now < by),
            "the end is overdue"
        );
        let second = Duration::from_secs(1);
        for list in [&mut self.attempts, &mut self.successes] {
            while list.front().is_some_and(|at| *at + second <= self.now) {
                list.pop_front();
            }
        }
        self.most_attempts = self.most_attempts.max(self.attempts.len());
        assert!(
            self.attempts.len() <= 16 + 3 * self.successes.len(),
            "{} attempts in a second",
            self.attempts.len()
        );
    }

    fn frame_comes(&mut self) {
        if self.frames_left == 0 || self.session.is_stopped() {
            return;
        }
        self.frames_left -= 1;
        if let Some(width) = self.ledger.widths.get(&self.source.next) {
            if self.others.is_empty() {
                self.session.set_tracks(&tracks(*width)).unwrap();
            } else {
                self.session.set_track(tracks(*width)[0].clone()).unwrap();
            }
        }
        let mut frame = self.source.frame();
        frame.pts = self.shifted(frame.pts);
        self.waiting = Some(frame);
        self.waits_since = self.now;
        self.offer();
    }

    /// A time as the camera's clock has it.
    fn shifted(&self, time: Timestamp) -> Timestamp {
        Timestamp::from_nanos(
            time.as_nanos()
                .saturating_add_signed(self.shift * 1_000_000),
        )
    }

    /// The frames that wait are offered to the session; when one is taken, the next comes.
    fn offer(&mut self) {
        self.offer_others();
        let Some(frame) = self.waiting.take() else {
            return;
        };
        let number = source::number(&frame.payload);
        self.shown.insert(number, frame.pts);
        match self.session.put_frame(self.now, frame) {
            Ok(()) => {
                self.taken.insert(number);
                let waited = self.now.saturating_since(self.waits_since);
                self.longest_wait = self.longest_wait.max(waited);
                let pace = match self.session.definition.streaming_type {
                    StreamingType::Offline => self.source.pace() / 2,
                    _ => self.source.pace(),
                };
                let pause = self.pauses.get(&self.source.next).copied();
                self.plan(pace + pause.unwrap_or_default(), Happening::Frame);
            }
            Err(Refused::Full(frame)) => self.waiting = Some(frame),
            Err(Refused::Stopped) => {}
        }
    }
}

/// What tests ask a world.
impl World {
    fn told_times(&self, which: impl Fn(&Event) -> bool) -> usize {
        self.told.iter().filter(|(_, event)| which(event)).count()
    }

    fn acks(&self, kind: super::AckKind) -> impl Iterator<Item = &Ack> {
        self.told.iter().filter_map(move |(_, event)| match event {
            Event::Ack(ack) if ack.kind == kind => Some(ack),
            _ => None,
        })
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.stats()
            .dropped
            .get(&reason)
            .copied()
            .unwrap_or_default()
    }

    /// Frames that were taken and are not durable.
    fn missing(&self) -> Vec<u64> {
        let durable = self.service.frames();
        self.taken.difference(&durable).copied().collect()
    }
}
