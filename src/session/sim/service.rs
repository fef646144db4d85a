//! The service: its control plane, and the end of a PutMedia connection that reads media and acknowledges it.
//!
//! Strict: what the real one would refuse is an error here, except what a test asked for ([`Faults`]).
//! Belongs here: rules of the body, what is durable. Does not belong here: time on the wire ([`super::link`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    reader::{Element, Reader},
    source::number,
};
use crate::session::{Call, Cause, Described, Failure, StreamStatus};
use crate::time::Mono;

/// What goes wrong, and how often (0.0–1.0).
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// Calls and connections fail between these times, and connections are cut at the first.
    pub(super) away: Vec<(Mono, Mono)>,
    /// A call of the control plane, or the attempt to open, gets no answer but a reset.
    pub(super) call_lost: f64,
    /// … is throttled, or fails with a 503.
    pub(super) call_refused: f64,
    /// A connection is cut after some bytes, up or down.
    pub(super) cut: f64,
    /// A cut is not seen by the client: silence.
    pub(super) silent: f64,
    /// The service ends the connection after a while.
    pub(super) closes: f64,
    /// An ERROR ack that asks for another try, after a while.
    pub(super) error_ack: f64,
    /// An ERROR ack after which nothing can work, after a while.
    pub(super) fatal_ack: f64,
    /// Something that is no ack, after a while.
    pub(super) garbage: f64,
    /// A fragment is refused each time that it comes.
    pub(super) poison: f64,
    /// Acks may overtake each other: those of different fragments, and of one PERSISTED before RECEIVED.
    pub(super) reordered: bool,
    /// An ack never comes, and those after it do.
    pub(super) ack_lost: f64,
    /// An ack comes twice.
    pub(super) ack_twice: f64,
    /// For a while nothing passes on a connection; then all of it does.
    pub(super) stalls: f64,
    /// After some bytes the service reads no more, and still talks.
    pub(super) deaf: f64,
}

/// The stream at the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Missing,
    Creating { until: Mono },
    Active,
}

pub(super) struct Service {
    pub(super) stream: Stream,
    pub(super) retention: Duration,
    /// DescribeStream is denied by the policy of the account.
    pub(super) describe_denied: bool,
    /// Durable fragments: numbers of their frames in order, by timecode. A longer version replaces a shorter one.
    pub(super) archive: BTreeMap<u64, Vec<u64>>,
    /// Tags of the fragments that were complete, by timecode.
    pub(super) tags: BTreeMap<u64, Vec<(String, String)>>,
    /// Fragments that are refused each time.
    pub(super) poison: BTreeSet<u64>,
    /// Timecodes from here on are of the future.
    pub(super) future: u64,
    /// Requests with a start before this are refused for good.
    pub(super) earliest_start: u64,
    /// Timecodes in the order in which clusters began, a list for each connection that had media.
    pub(super) sessions: Vec<Vec<u64>>,
    /// Bodies that came to their end.
    pub(super) closed: u64,
    pub(super) calls: Vec<(Mono, Call)>,
}

/// One connection, at the service.
#[derive(Default)]
pub(super) struct Incoming {
    pub(super) reader: Reader,
    /// The numbers of the tracks that the header declares.
    header: Option<BTreeSet<u64>>,
    open: Option<Cluster>,
    greatest: Option<u64>,
    /// The last element was the end of a fragment.
    ended: bool,
    pub(super) clusters: Vec<u64>,
    /// An ERROR was answered, or the client is gone: nothing counts any more.
    pub(super) over: bool,
}

struct Cluster {
    timecode: u64,
    frames: Vec<u64>,
    /// The last frame of each track.
    last: BTreeMap<u64, u64>,
    tags: Vec<(String, String)>,
}

/// What the service has to say of a fragment.
#[derive(Clone, Debug)]
pub(super) enum Say {
    Buffering(u64),
    /// It is complete: RECEIVED, and after a while PERSISTED.
    Complete(u64, Vec<u64>, Vec<(String, String)>),
    /// It is refused, with this id.
    Refuse(u64, u32),
}

impl Service {
    pub(super) fn new() -> Self {
        Self {
            stream: Stream::Active,
            retention: Duration::from_secs(3600),
            describe_denied: false,
            archive: BTreeMap::new(),
            tags: BTreeMap::new(),
            poison: BTreeSet::new(),
            future: u64::MAX,
            earliest_start: 0,
            sessions: Vec::new(),
            closed: 0,
            calls: Vec::new(),
        }
    }

    /// The answer of the control plane, as it would be without faults.
    pub(super) fn call(&mut self, now: Mono, call: Call) -> Result<Option<Described>, Failure> {
        self.calls.push((now, call));
        if matches!(self.stream, Stream::Creating { until } if until <= now) {
            self.stream = Stream::Active;
        }
        match (call, self.stream) {
            (Call::Describe, _) if self.describe_denied => {
                Err(answer(call, 403, "AccessDeniedException"))
            }
            (Call::Create, Stream::Missing) => {
                self.stream = Stream::Creating {
                    until: now + Duration::from_secs(2),
                };
                Ok(None)
            }
            (Call::Create, _) => Err(answer(call, 400, "ResourceInUseException")),
            (_, Stream::Missing) => Err(answer(call, 404, "ResourceNotFoundException")),
            (Call::Describe, stream) => Ok(Some(Described {
                status: match stream {
                    Stream::Active => StreamStatus::Active,
                    _ => StreamStatus::Creating,
                },
                retention: self.retention,
            })),
            _ => Ok(None),
        }
    }

    /// Media arrives.
    pub(super) fn read(&self, from: &mut Incoming, bytes: &[u8]) -> Result<Vec<Say>, String> {
        let mut says = Vec::new();
        if from.over {
            return Ok(says);
        }
        for (element, _) in from.reader.feed(bytes)? {
            match element {
                Element::Header | Element::Tracks(_) if from.header.is_some() => {
                    return Err("a second header".into());
                }
                Element::Header => {}
                Element::Tracks(numbers) => from.header = Some(numbers.into_iter().collect()),
                Element::Tag(name, value) => from.tag(name, value)?,
                Element::Cluster(timecode) => {
                    says.extend(from.end_fragment()?);
                    from.begin(timecode)?;
                    says.push(Say::Buffering(timecode));
                }
                Element::Block {
                    track,
                    offset,
                    key,
                    payload,
                } => {
                    from.block(track, offset, key, &payload)?;
                    let timecode = from.clusters.last().copied().unwrap_or_default();
                    let error = match timecode {
                        _ if timecode >= self.future => Some(4007),
                        _ if self.poison.contains(&timecode) => Some(4006),
                        _ => None,
                    };
                    if let Some(error) = error {
                        from.over = true;
                        says.push(Say::Refuse(timecode, error));
                        return Ok(says);
                    }
                }
                Element::EndOfFragment => {
                    from.tag(String::new(), String::new())?;
                    says.extend(from.end_fragment()?);
                    from.ended = true;
                }
            }
        }
        Ok(says)
    }

    /// The body came to its end.
    pub(super) fn body_ended(&mut self, from: &mut Incoming) -> Result<(), String> {
        if from.clusters.is_empty() {
            return Err("a session without media".into());
        }
        if !from.ended {
            return Err("the body ended without the end of its last fragment".into());
        }
        self.closed += 1;
        Ok(())
    }

    /// What was sent as a whole is known with its tags.
    pub(super) fn note_tags(&mut self, timecode: u64, tags: Vec<(String, String)>) {
        self.tags.insert(timecode, tags);
    }

    /// A fragment is durable.
    pub(super) fn persist(&mut self, timecode: u64, frames: Vec<u64>) {
        let kept = self.archive.entry(timecode).or_default();
        if frames.len() >= kept.len() {
            *kept = frames;
        }
    }

    /// Numbers of all durable frames.
    pub(super) fn frames(&self) -> BTreeSet<u64> {
        self.archive.values().flatten().copied().collect()
    }
}

impl Incoming {
    fn begin(&mut self, timecode: u64) -> Result<(), String> {
        if self.header.is_none() {
            return Err("a cluster before the header".into());
        }
        if self.greatest.is_some_and(|greatest| timecode <= greatest) {
            return Err(format!(
                "cluster {timecode} is not after {:?}",
                self.greatest
            ));
        }
        self.clusters.push(timecode);
        self.greatest = Some(timecode);
        self.ended = false;
        self.open = Some(Cluster {
            timecode,
            frames: Vec::new(),
            last: BTreeMap::new(),
            tags: Vec::new(),
        });
        Ok(())
    }

    fn block(&mut self, track: u64, offset: i16, key: bool, payload: &[u8]) -> Result<(), String> {
        let open = self.open.as_mut().ok_or("a block in no cluster")?;
        if open.frames.is_empty() && !key {
            return Err(format!(
                "cluster {} begins with no key frame",
                open.timecode
            ));
        }
        if !self
            .header
            .as_ref()
            .is_some_and(|header| header.contains(&track))
        {
            return Err(format!("4010: track {track} was not announced"));
        }
        if !open.tags.is_empty() {
            return Err("a block behind tags".into());
        }
        let shown = open.timecode.saturating_add_signed(offset.into());
        if shown >= open.timecode + 20_000 {
            return Err(format!("cluster {} is too long", open.timecode));
        }
        self.greatest = self.greatest.max(Some(shown));
        let number = number(payload);
        let is_one_of_several = self.header.as_ref().is_some_and(|header| header.len() > 1);
        // Of video what follows refers to what was before; a frame of another track may be missing.
        let last = open.last.insert(track, number);
        let follows = |last: u64| match track {
            // Beside another that begins fragments, it may go on with a key frame.
            1 => last + 1 == number || (key && is_one_of_several),
            _ => last < number,
        };
        if last.is_some_and(|last| !follows(last)) {
            return Err(format!("frame {number} of track {track} after {last:?}"));
        }
        open.frames.push(number);
        Ok(())
    }

    fn tag(&mut self, name: String, value: String) -> Result<(), String> {
        let open = self.open.as_mut().ok_or("a tag of no fragment")?;
        open.tags.push((name, value));
        match open.tags.len() > 10 {
            true => Err(format!("4009: {} tags", open.tags.len())),
            false => Ok(()),
        }
    }

    fn end_fragment(&mut self) -> Result<Option<Say>, String> {
        let Some(open) = self.open.take() else {
            return Ok(None);
        };
        let Cluster {
            timecode,
            frames,
            last,
            mut tags,
        } = open;
        tags.retain(|(name, _)| !name.is_empty());
        let seen: BTreeSet<_> = last.into_keys().collect();
        if self.header.as_ref() != Some(&seen) {
            return Err(format!(
                "4011: {timecode} has {seen:?} of {:?}",
                self.header
            ));
        }
        Ok(Some(Say::Complete(timecode, frames, tags)))
    }
}

/// An answer that is no success.
pub(super) fn answer(call: Call, status: u16, code: &str) -> Failure {
    Failure {
        call,
        cause: Cause::Answer {
            status,
            code: code.into(),
            request_id: None,
        },
        message: "as the fake service wants it".into(),
    }
}

/// No answer.
pub(super) fn transport(call: Call) -> Failure {
    Failure {
        call,
        cause: Cause::Transport,
        message: "reset".into(),
    }
}
