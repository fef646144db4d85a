//! The world of a session, simulated: the real [`Session`], a fake service, a bad link, a camera; virtual time.
//!
//! One seed decides everything that is left to chance; a failure prints it. The loop is that of `net::driver`: transmit
//! while there is room, poll until it waits, then whatever comes first.
//! Belongs here: the agenda and what must hold at every step. Does not belong here: the stories ([`scenarios`]), random
//! worlds ([`wild`]). A new fault is a field of [`Faults`], and its place in [`link`] or in [`World::connect`].

mod link;
mod reader;
mod scenarios;
mod service;
mod source;
mod wild;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;

use self::{
    link::{Connection, Ledger},
    service::{Faults, Say, Service, Stream, answer, transport},
    source::Source,
};
use super::{
    Ack, Call, Described, Event, Failure, Input, Output, Refused, Session, Stats, StreamError,
};
use crate::{
    definition::{StreamDefinition, StreamName, StreamingType},
    fragment::{DropReason, tests::tracks},
    media::Frame,
    time::Mono,
};

/// Something that will come.
enum Happening {
    /// The control plane answers a request.
    Answer(u64, Result<Option<Described>, Failure>),
    Opened(u64),
    /// A connection ends without a word, or is not made.
    Broken(u64, Failure),
    /// Media arrives at the service.
    Up(u64, Vec<u8>),
    BodyEnds(u64),
    /// The service notices that the connection is gone.
    Gone(u64),
    /// The service says this; the fragment whose last ack it is.
    Ack(u64, String, Option<u64>),
    Persist(u64, u64, Vec<u64>),
    /// Bytes of the response arrive.
    Down(u64, Vec<u8>),
    /// The service ends the response; what it says last.
    Closes(u64, String),
    /// The end of the response arrives.
    End(u64),
    Frame,
    Nothing,
}

/// What is under way at the driver: at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnderWay {
    Call(u64, Call),
    PutMedia(u64),
}

pub(super) struct World {
    seed: u64,
    random: fastrand::Rng,
    now: Mono,
    agenda: BTreeMap<(Mono, u64), Happening>,
    numbers: u64,
    session: Session,
    service: Service,
    faults: Faults,
    source: Source,
    /// Frames still to come; then the camera is off.
    frames_left: u64,
    bytes_per_second: u64,
    under_way: Option<UnderWay>,
    /// The connection whose body is open.
    body: Option<u64>,
    connections: BTreeMap<u64, Connection>,
    ledger: Ledger,
    /// Frames that were taken, and the one that waits for room.
    taken: BTreeSet<u64>,
    waiting: Option<Frame>,
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
    #[expect(clippy::print_stderr, reason = "a failure prints its seed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "the world of seed {} at {}: {}",
                self.seed,
                self.now,
                self.session.stats()
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
        session.set_tracks(&tracks(640));
        let mut world = Self {
            seed,
            random: fastrand::Rng::with_seed(seed),
            now: Mono::from_secs(10),
            agenda: BTreeMap::new(),
            numbers: 0,
            session,
            service: Service::new(),
            faults: Faults::default(),
            source: Source::new(),
            frames_left: u64::MAX,
            bytes_per_second: 1_000_000,
            under_way: None,
            body: None,
            connections: BTreeMap::new(),
            ledger: Ledger::default(),
            taken: BTreeSet::new(),
            waiting: None,
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
        let until = self.now + limit;
        self.run_while(until, |world| world.session.ended().is_none());
        self.session
            .ended()
            .cloned()
            .expect("the end is reached by its deadline")
    }

    pub(super) fn ask_for_end(&mut self, limit: Duration, stop: bool) {
        self.session.end(self.now, self.now + limit, stop);
        self.end_by = Some(self.now + limit);
    }

    /// The camera goes off, and everything that was taken is to arrive.
    pub(super) fn drain(&mut self) -> Result<(), StreamError> {
        let waits = self.waiting.is_some();
        self.frames_left = 0;
        if waits {
            let until = self.now + Duration::from_secs(600);
            self.run_while(until, |world| world.waiting.is_some());
            assert!(self.waiting.is_none(), "room is made at last");
        }
        self.end(Duration::from_secs(600), false)
    }

    pub(super) fn stats(&self) -> Stats {
        self.session.stats()
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
        let stats = self.session.stats();
        assert_eq!(
            stats.frames_in,
            stats.frames_persisted + stats.frames_dropped() + stats.frames_pending,
            "{stats}"
        );
        let definition = self.session.definition();
        let bound = match definition.streaming_type {
            StreamingType::Offline => {
                definition.storage.max(self.largest_fragment) + self.largest_fragment
            }
            _ => definition.storage,
        };
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

    fn perform(&mut self, output: Output) {
        match output {
            Output::Call(call) => {
                assert_eq!(self.under_way, None, "{call} while something is under way");
                self.attempts.push_back(self.now);
                self.call(call);
            }
            Output::Open { .. } => {
                assert_eq!(
                    self.under_way, None,
                    "PutMedia while something is under way"
                );
                self.attempts.push_back(self.now);
                self.connect();
            }
            Output::CloseBody => {
                let id = self.body.take().expect("a body to close");
                let link = &self.connections[&id];
                let at = link.arrival();
                if !link.cut {
                    self.plan_at(at, Happening::BodyEnds(id));
                }
            }
            Output::Abort => {
                self.body = None;
                if let Some(UnderWay::PutMedia(id)) = self.under_way.take() {
                    let after = self.millis(1..50);
                    self.plan(after, Happening::Gone(id));
                }
            }
            Output::Tell(event) => {
                if let Some((_, Event::Closed(_))) = self.told.last() {
                    panic!("{event:?} after Closed");
                }
                if let Some((_, Event::Failed(_))) = self.told.last() {
                    assert!(matches!(event, Event::Closed(_)), "{event:?} after Failed");
                }
                self.told.push((self.now, event));
            }
            Output::Wait { .. } => {}
        }
    }

    fn call(&mut self, call: Call) {
        self.numbers += 1;
        let id = self.numbers;
        self.under_way = Some(UnderWay::Call(id, call));
        let after = self.millis(2..200);
        let answer = if self.is_away() || self.chance(self.faults.call_lost) {
            Err(transport(call))
        } else if self.chance(self.faults.call_refused) {
            Err(match self.random.bool() {
                true => answer(call, 400, "ClientLimitExceededException"),
                false => answer(call, 503, ""),
            })
        } else {
            self.service.call(self.now, call)
        };
        self.plan(after, Happening::Answer(id, answer));
    }

    fn connect(&mut self) {
        self.numbers += 1;
        let id = self.numbers;
        self.under_way = Some(UnderWay::PutMedia(id));
        self.body = Some(id);
        self.service.calls.push((self.now, Call::PutMedia));
        let link = Connection::new(
            self.now,
            self.bytes_per_second,
            &self.faults,
            &mut self.random,
        );
        self.connections.insert(id, link);
        let after = self.millis(2..400);
        if self.is_away() || self.chance(self.faults.call_lost) {
            return self.break_off(id, after, transport(Call::PutMedia));
        }
        if self.chance(self.faults.call_refused) {
            let code = "ConnectionLimitExceededException";
            return self.break_off(id, after, answer(Call::PutMedia, 400, code));
        }
        self.plan(after, Happening::Opened(id));
        let cut_at = self
            .faults
            .away
            .iter()
            .map(|(from, _)| *from)
            .find(|from| *from > self.now);
        if let Some(at) = cut_at {
            self.plan_at(at, Happening::Broken(id, transport(Call::PutMedia)));
        }
        let Faults {
            closes,
            error_ack,
            garbage,
            ..
        } = self.faults;
        let after = self.millis(0..15_000) + Duration::from_millis(400);
        if self.chance(closes) {
            self.plan(after, Happening::Closes(id, String::new()));
        } else if self.chance(error_ack) {
            let error = [4000, 4003, 4007, 4008, 4500, 5000, 5001][self.random.usize(0..7)];
            let ack = format!(r#"{{"EventType":"ERROR","ErrorId":{error},"ErrorCode":"X"}}"#);
            self.plan(after, Happening::Closes(id, ack));
        } else if self.chance(garbage) {
            self.plan(after, Happening::Closes(id, "<html>502</html>".into()));
        }
    }

    /// The link is of no use from now on; the client learns it later, or never.
    fn break_off(&mut self, id: u64, after: Duration, failure: Failure) {
        let link = self.connections.get_mut(&id).unwrap();
        link.cut = true;
        if !link.silent {
            self.plan(after, Happening::Broken(id, failure));
        }
        self.plan(after, Happening::Gone(id));
    }

    fn sent(&mut self, id: u64, chunk: &Bytes) {
        let link = self.connections.get_mut(&id).unwrap();
        link.tap.see(chunk, &mut self.ledger);
        let was_cut = link.cut;
        let (passes, at) = link.up(self.now, chunk.len());
        if passes > 0 {
            self.plan_at(at, Happening::Up(id, chunk[..passes].to_vec()));
        }
        if passes < chunk.len() && !was_cut {
            let after = at.saturating_since(self.now) + self.millis(1..300);
            self.break_off(id, after, transport(Call::PutMedia));
        }
    }

    fn happen(&mut self, what: Happening) {
        let media = |id| self.under_way == Some(UnderWay::PutMedia(id));
        match what {
            Happening::Nothing => {}
            Happening::Frame => self.frame_comes(),
            Happening::Answer(id, answer) => {
                let Some(UnderWay::Call(current, call)) = self.under_way else {
                    return;
                };
                if current == id {
                    self.under_way = None;
                    match answer {
                        Ok(Some(described)) => {
                            self.session.handle(self.now, Input::Described(described))
                        }
                        Ok(None) => self.session.handle(self.now, Input::Done(call)),
                        Err(failure) => self.session.handle(self.now, Input::Failed(&failure)),
                    }
                }
            }
            Happening::Opened(id) if media(id) && !self.connections[&id].cut => {
                self.session.handle(self.now, Input::Opened);
            }
            Happening::Broken(id, failure) if media(id) => {
                (self.under_way, self.body) = (None, None);
                self.plan(Duration::ZERO, Happening::Gone(id));
                self.session.handle(self.now, Input::Failed(&failure));
            }
            Happening::End(id) if media(id) => {
                (self.under_way, self.body) = (None, None);
                self.session.handle(self.now, Input::Closed);
            }
            Happening::Down(id, bytes) if media(id) => {
                let settled = self.connections.get_mut(&id).unwrap().read(bytes.len());
                self.session.handle(self.now, Input::Response(&bytes));
                self.successes.extend(settled.iter().map(|_| self.now));
                self.ledger.settled.extend(settled);
            }
            Happening::Up(id, bytes) => {
                let link = self.connections.get_mut(&id).unwrap();
                let before = link.incoming.clusters.len();
                let says = self.service.read(&mut link.incoming, &bytes).unwrap();
                let clusters = &link.incoming.clusters;
                if before == 0 && !clusters.is_empty() {
                    self.service.sessions.push(clusters.clone());
                } else if before < clusters.len() {
                    *self.service.sessions.last_mut().unwrap() = clusters.clone();
                }
                says.into_iter().for_each(|say| self.say(id, say));
            }
            Happening::BodyEnds(id) => {
                let link = self.connections.get_mut(&id).unwrap();
                if !link.incoming.over && !link.cut {
                    self.service.body_ended(&mut link.incoming).unwrap();
                    let after = self.millis(600..900);
                    self.plan(after, Happening::Closes(id, String::new()));
                }
            }
            Happening::Gone(id) => self.connections.get_mut(&id).unwrap().incoming.over = true,
            Happening::Ack(id, text, settles) => self.respond(id, &text, settles),
            Happening::Persist(id, timecode, frames) => {
                let link = &self.connections[&id];
                if !(link.incoming.over && link.forgets) {
                    self.service.persist(timecode, frames);
                    let last = !self.service.retention.is_zero();
                    self.ack(id, "PERSISTED", timecode, last);
                }
            }
            Happening::Closes(id, last_words) => {
                if !last_words.is_empty() {
                    self.respond(id, &last_words, None);
                }
                let link = self.connections.get_mut(&id).unwrap();
                link.incoming.over = true;
                if !link.cut {
                    let at = link.down_arrival(self.now, Duration::from_millis(1));
                    self.plan_at(at, Happening::End(id));
                }
            }
            _ => {}
        }
    }

    fn say(&mut self, id: u64, say: Say) {
        let faults = self.faults.clone();
        let acks = self.session.definition().fragment_acks;
        match say {
            Say::Buffering(timecode) => {
                let fresh = !self.service.archive.contains_key(&timecode);
                if acks && fresh && self.chance(faults.poison) {
                    self.service.poison.insert(timecode);
                }
                self.ack(id, "BUFFERING", timecode, false);
            }
            Say::Complete(timecode, frames) => {
                if self.service.retention.is_zero() {
                    self.service.persist(timecode, frames.clone());
                }
                self.ack(id, "RECEIVED", timecode, self.service.retention.is_zero());
                let after = match faults.reordered {
                    true => self.millis(0..500),
                    false => Duration::from_millis(300),
                };
                self.plan(after, Happening::Persist(id, timecode, frames));
            }
            Say::Poison(timecode) => {
                let ack = format!(
                    r#"{{"EventType":"ERROR","FragmentTimecode":{timecode},"ErrorId":4006,"ErrorCode":"INVALID_MKV_DATA"}}"#
                );
                let after = match faults.reordered {
                    true => Duration::from_millis(1),
                    false => Duration::from_millis(400),
                };
                self.plan(after, Happening::Closes(id, ack));
            }
        }
    }

    fn ack(&mut self, id: u64, kind: &str, timecode: u64, last: bool) {
        if self.session.definition().fragment_acks
            && !(kind == "PERSISTED" && self.service.retention.is_zero())
        {
            let text = format!(
                "{{\"EventType\":\"{kind}\",\"FragmentTimecode\":{timecode},\"FragmentNumber\":\"9134385\"}}\n"
            );
            self.plan(
                Duration::ZERO,
                Happening::Ack(id, text, last.then_some(timecode)),
            );
        }
    }

    /// Bytes of the response leave, in pieces.
    fn respond(&mut self, id: u64, text: &str, settles: Option<u64>) {
        let piece = self.random.usize(0..=text.len());
        let pause = self.millis(0..40);
        let link = self.connections.get_mut(&id).unwrap();
        if link.cut {
            return;
        }
        let passes = link.down(text.len(), settles);
        let (head, tail) = text.as_bytes()[..passes].split_at(piece.min(passes));
        let at = link.down_arrival(self.now, Duration::ZERO);
        let then = link.down_arrival(self.now, pause);
        for (at, bytes) in [(at, head), (then, tail)] {
            if !bytes.is_empty() {
                self.plan_at(at, Happening::Down(id, bytes.to_vec()));
            }
        }
        if passes < text.len() {
            let after = then.saturating_since(self.now) + Duration::from_millis(1);
            self.break_off(id, after, transport(Call::PutMedia));
        }
    }

    fn frame_comes(&mut self) {
        if self.frames_left == 0 || self.session.is_stopped() {
            return;
        }
        self.frames_left -= 1;
        if let Some(width) = self.ledger.widths.get(&self.source.next) {
            self.session.set_tracks(&tracks(*width));
        }
        let frame = self.source.frame();
        self.waiting = Some(frame);
        self.waits_since = self.now;
        self.offer();
    }

    /// The frame that waits is offered to the session; when it is taken, the next comes.
    fn offer(&mut self) {
        let Some(frame) = self.waiting.take() else {
            return;
        };
        let number = source::number(&frame.payload);
        match self.session.put_frame(self.now, frame) {
            Ok(()) => {
                self.taken.insert(number);
                let grown = self.session.store.pending().last().map(|last| last.cost);
                self.largest_fragment = self.largest_fragment.max(grown.unwrap_or(0));
                let waited = self.now.saturating_since(self.waits_since);
                self.longest_wait = self.longest_wait.max(waited);
                let pace = match self.session.definition().streaming_type {
                    StreamingType::Offline => self.source.pace() / 2,
                    _ => self.source.pace(),
                };
                self.plan(pace, Happening::Frame);
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
