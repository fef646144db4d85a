//! What comes in a [`World`], and what it does to the session and the service.
//!
//! Belongs here: outputs of the session performed, answers, media and acks on their way. Does not belong here: time and
//! what must always hold ([`super`]).

use std::time::Duration;

use bytes::Bytes;

use super::{
    World,
    link::Connection,
    service::{Faults, Say, answer, transport},
};
use crate::{
    definition::TimecodeType,
    session::{Call, Described, Event, Failure, Input, Output},
    time::Mono,
};

/// Something that will come.
pub(super) enum Happening {
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
    /// Nothing may have come for so long that the service ends the connection.
    Silence(u64),
    /// The service says this; the fragment whose last ack it is.
    Ack(u64, String, Option<u64>),
    Persist(u64, u64, Vec<u64>),
    /// Bytes of the response arrive.
    Down(u64, Vec<u8>),
    /// The service ends the response; what it says last.
    Closes(u64, String),
    /// The end of the response arrives.
    End(u64),
    /// The disk has done something.
    Disk(crate::session::SpoolNews),
    Frame,
    /// It is the turn of the n-th other source.
    Other(usize),
    Nothing,
}

/// The service ends a connection that brings nothing for so long (kvs-facts §7).
const SILENCE: Duration = Duration::from_secs(30);

/// What is under way at the driver: at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnderWay {
    Call(u64, Call),
    PutMedia(u64),
}

impl World {
    pub(super) fn perform(&mut self, output: Output) {
        match output {
            Output::Call(call) => {
                assert_eq!(self.under_way, None, "{call} while something is under way");
                self.attempts.push_back(self.now);
                self.call(call);
            }
            Output::Open { start } => {
                assert_eq!(
                    self.under_way, None,
                    "PutMedia while something is under way"
                );
                self.attempts.push_back(self.now);
                let zero_ms = match self.session.definition.timecode_type {
                    TimecodeType::Absolute => 0,
                    TimecodeType::Relative => start.as_millis_rounded(),
                };
                let is_early = start.as_millis_rounded() < self.service.earliest_start;
                self.connect(zero_ms, is_early);
            }
            Output::CloseBody => {
                let id = self.body.take().expect("a body to close");
                let link = &self.connections[&id];
                let at = link.arrival();
                if !link.cut && !link.stuck {
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
            Output::Spool(task) => self.on_disk(task.0),
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

    fn connect(&mut self, zero_ms: u64, is_early: bool) {
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
        )
        .counting_from(zero_ms);
        self.connections.insert(id, link);
        let after = self.millis(2..400);
        if self.is_away() || self.chance(self.faults.call_lost) {
            return self.break_off(id, after, transport(Call::PutMedia));
        }
        if self.chance(self.faults.call_refused) {
            let code = "ConnectionLimitExceededException";
            return self.break_off(id, after, answer(Call::PutMedia, 400, code));
        }
        if is_early {
            let code = "InvalidArgumentException";
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
            fatal_ack,
            garbage,
            ..
        } = self.faults;
        let after = self.millis(0..15_000) + Duration::from_millis(400);
        if self.chance(closes) {
            self.plan(after, Happening::Closes(id, String::new()));
        } else if self.chance(error_ack) {
            let error = [4000, 4003, 4007, 4008, 4500, 5000, 5001][self.random.usize(0..7)];
            self.plan(after, Happening::Closes(id, error_ack_of(error)));
        } else if self.chance(fatal_ack) {
            let error = [4005, 4010, 4012][self.random.usize(0..3)];
            self.plan(after, Happening::Closes(id, error_ack_of(error)));
        } else if self.chance(garbage) {
            self.plan(after, Happening::Closes(id, "<html>502</html>".into()));
        }
    }

    fn keys_end(&mut self) -> Option<Mono> {
        let life = self.key_life?;
        if self.keys_end.saturating_since(self.now) <= life / 4 {
            self.keys_end = self.now + life;
        }
        Some(self.keys_end)
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

    pub(super) fn sent(&mut self, id: u64, chunk: &Bytes) {
        let link = self.connections.get_mut(&id).unwrap();
        link.tap.see(chunk, &mut self.ledger);
        let led_nowhere = link.cut || link.stuck;
        let (passes, at) = link.up(self.now, chunk.len());
        let breaks = passes < chunk.len() && !led_nowhere;
        link.stuck |= breaks && link.deaf;
        let breaks = breaks && !link.deaf;
        let given_up = passes < chunk.len() && !link.given_up;
        link.given_up |= given_up;
        if passes > 0 {
            self.plan_at(at, Happening::Up(id, chunk[..passes].to_vec()));
        }
        if let Some(patience) = self.kernel_patience.filter(|_| given_up) {
            let failure = transport(Call::PutMedia);
            self.plan(patience, Happening::Broken(id, failure));
        }
        if breaks {
            let after = at.saturating_since(self.now) + self.millis(1..300);
            self.break_off(id, after, transport(Call::PutMedia));
        }
    }

    pub(super) fn happen(&mut self, what: Happening) {
        let media = |id| self.under_way == Some(UnderWay::PutMedia(id));
        match what {
            Happening::Disk(news) => self.session.handle_spool(self.now, &news),
            Happening::Nothing => {}
            Happening::Frame => self.frame_comes(),
            Happening::Other(which) => self.other_comes(which),
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
                let until = self.keys_end();
                if let Some(end) = until {
                    self.plan_at(end, Happening::Broken(id, transport(Call::PutMedia)));
                }
                self.session.handle(self.now, Input::Opened { until });
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
                for timecode in settled {
                    if self.ledger.settled.insert(timecode) {
                        self.successes.push_back(self.now);
                    }
                }
            }
            Happening::Up(id, bytes) => {
                self.plan(SILENCE, Happening::Silence(id));
                let link = self.connections.get_mut(&id).unwrap();
                link.heard = self.now;
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
            Happening::Silence(id) => {
                let link = &self.connections[&id];
                if link.heard + SILENCE <= self.now && !link.incoming.over {
                    self.break_off(id, Duration::ZERO, transport(Call::PutMedia));
                }
            }
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
        let acks = self.session.definition.fragment_acks;
        match say {
            Say::Buffering(timecode) => {
                let fresh = !self.service.archive.contains_key(&timecode);
                if acks && fresh && self.chance(faults.poison) {
                    self.service.poison.insert(timecode);
                }
                self.ack(id, "BUFFERING", timecode, false);
            }
            Say::Complete(timecode, frames, tags) => {
                self.service.note_tags(timecode, tags);
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
            Say::Refuse(timecode, error) => {
                let timecode = timecode - self.connections[&id].zero_ms;
                let ack = format!(
                    r#"{{"EventType":"ERROR","FragmentTimecode":{timecode},"ErrorId":{error},"ErrorCode":"X"}}"#
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
        if self.session.definition.fragment_acks
            && !(kind == "PERSISTED" && self.service.retention.is_zero())
        {
            let sent_as = timecode - self.connections[&id].zero_ms;
            let text = format!(
                "{{\"EventType\":\"{kind}\",\"FragmentTimecode\":{sent_as},\"FragmentNumber\":\"9134385\"}}\n"
            );
            let Faults {
                ack_lost,
                ack_twice,
                reordered,
                ..
            } = self.faults;
            let copies = match (self.chance(ack_lost), self.chance(ack_twice)) {
                (true, _) => 0,
                (_, twice) => 1 + usize::from(twice),
            };
            for _ in 0..copies {
                let after = match reordered {
                    true => self.millis(0..300),
                    false => Duration::ZERO,
                };
                let settles = last.then_some(timecode);
                self.plan(after, Happening::Ack(id, text.clone(), settles));
            }
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
}

/// An ERROR ack that names no fragment.
fn error_ack_of(id: u32) -> String {
    format!(r#"{{"EventType":"ERROR","ErrorId":{id},"ErrorCode":"X"}}"#)
}
