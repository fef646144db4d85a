//! One connection over a bad link: bytes take time, both ways, and may stop at any byte.
//!
//! Belongs here: latency, bandwidth, cuts, and the tap that checks what the session sends at the moment it does.
//! Does not belong here: what the bytes mean to the service ([`super::service`]).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use super::{
    others::other_of,
    reader::{Element, Reader, children},
    service::{Faults, Incoming},
    source::number,
};
use crate::{fragment::tests::tracks, media::Track, mkv, time::Mono};

/// Media that the wire holds before it takes no more.
const SLACK: Duration = Duration::from_millis(50);
/// What goes into a wire that leads nowhere any more.
const SWALLOWED: u64 = 64 << 10;

pub(super) struct Connection {
    pub(super) incoming: Incoming,
    pub(super) tap: Tap,
    /// What its timecodes count from: the world knows fragments by their time.
    pub(super) zero_ms: u64,
    latency: Duration,
    bytes_per_second: u64,
    busy_until: Mono,
    /// When media came to the service.
    pub(super) heard: Mono,
    down_free: Mono,
    /// Bytes until it is cut.
    up_left: Option<u64>,
    down_left: Option<u64>,
    swallowed: u64,
    /// Nothing passes from here, to there.
    stall: Option<(Mono, Mono)>,
    /// Nothing passes any more.
    pub(super) cut: bool,
    /// When its bytes are used up it is stuck in place of cut.
    pub(super) deaf: bool,
    /// The service reads no more.
    pub(super) stuck: bool,
    /// The kernel will give it up.
    pub(super) given_up: bool,
    /// The client will not be told of the cut.
    pub(super) silent: bool,
    /// What is complete but not durable when the connection ends is lost.
    pub(super) forgets: bool,
    /// Last acks of fragments on their way: where they end in the response, and of which fragment.
    acks: VecDeque<(u64, u64)>,
    down_sent: u64,
    down_read: u64,
}

impl Connection {
    pub(super) fn new(now: Mono, rate: u64, faults: &Faults, random: &mut fastrand::Rng) -> Self {
        let cut = random.f64() < faults.cut;
        let (up, down) = (random.u64(0..30_000), random.u64(0..3000));
        let upwards = random.bool();
        let deaf = random.f64() < faults.deaf;
        let stalls = random.f64() < faults.stalls;
        let stall = now + Duration::from_millis(random.u64(0..15_000));
        let until = stall + Duration::from_millis(random.u64(100..40_000));
        Self {
            incoming: Incoming::default(),
            tap: Tap::default(),
            zero_ms: 0,
            latency: Duration::from_millis(random.u64(2..60)),
            bytes_per_second: rate,
            busy_until: now,
            heard: now,
            down_free: now,
            up_left: (deaf || (cut && upwards)).then_some(up),
            down_left: (cut && !upwards).then_some(down),
            swallowed: 0,
            stall: stalls.then_some((stall, until)),
            cut: false,
            deaf,
            stuck: false,
            given_up: false,
            silent: random.f64() < faults.silent,
            forgets: random.bool(),
            acks: VecDeque::new(),
            down_sent: 0,
            down_read: 0,
        }
    }

    pub(super) fn counting_from(mut self, zero_ms: u64) -> Self {
        self.zero_ms = zero_ms;
        self.incoming.reader.zero_ms = zero_ms;
        self.tap.reader.zero_ms = zero_ms;
        self
    }

    pub(super) fn has_room(&self, now: Mono) -> bool {
        self.busy_until <= now + SLACK && self.swallowed < SWALLOWED
    }

    /// When it has room again, unless it never will.
    pub(super) fn room_at(&self) -> Option<Mono> {
        (self.swallowed < SWALLOWED)
            .then(|| Mono::new(self.busy_until.since_start().saturating_sub(SLACK)))
    }

    /// A chunk goes out: how much of it arrives, and when. Less than all of it: the link is cut there.
    pub(super) fn up(&mut self, now: Mono, length: usize) -> (usize, Mono) {
        let took = Duration::from_secs_f64(length as f64 / self.bytes_per_second as f64);
        self.busy_until = self.after_stall(self.busy_until.max(now) + took);
        if self.cut || self.stuck {
            self.swallowed += length as u64;
            return (0, self.arrival());
        }
        let passes = match &mut self.up_left {
            Some(left) if (length as u64) > *left => *left as usize,
            Some(left) => {
                *left -= length as u64;
                length
            }
            None => length,
        };
        (passes, self.arrival())
    }

    /// When the next thing that is sent now would arrive.
    pub(super) fn arrival(&self) -> Mono {
        self.busy_until + self.latency
    }

    /// The same for the response.
    pub(super) fn down_arrival(&mut self, now: Mono, extra: Duration) -> Mono {
        self.down_free = self.after_stall(self.down_free.max(now + self.latency + extra));
        self.down_free
    }

    fn after_stall(&self, at: Mono) -> Mono {
        match self.stall {
            Some((from, to)) if from <= at && at < to => to,
            _ => at,
        }
    }

    /// Bytes of the response that pass; `settles` is the fragment that they are the last ack of.
    pub(super) fn down(&mut self, length: usize, settles: Option<u64>) -> usize {
        let passes = match &mut self.down_left {
            Some(left) if (length as u64) > *left => *left as usize,
            Some(left) => {
                *left -= length as u64;
                length
            }
            None => length,
        };
        self.down_sent += length as u64;
        if let Some(timecode) = settles {
            self.acks.push_back((self.down_sent, timecode));
        }
        passes
    }

    /// The client reads so much of the response: fragments whose last ack is whole with it.
    pub(super) fn read(&mut self, length: usize) -> Vec<u64> {
        self.down_read += length as u64;
        let whole = self.acks.partition_point(|(end, _)| *end <= self.down_read);
        self.acks
            .drain(..whole)
            .map(|(_, timecode)| timecode)
            .collect()
    }
}

/// Reads along what the session sends.
#[derive(Default)]
pub(super) struct Tap {
    reader: Reader,
    tracks: Vec<u8>,
    /// Tracks that `tracks` were found to declare.
    declared: Vec<Track>,
    timecode: Option<u64>,
    bytes: Vec<u8>,
    /// So many of `bytes` are those of the ledger.
    compared: usize,
}

/// What was ever sent, over all connections.
#[derive(Default)]
pub(super) struct Ledger {
    /// Bytes of each fragment, by timecode: the longest version.
    fragments: BTreeMap<u64, Vec<u8>>,
    /// Numbers of the frames of each fragment, by timecode.
    pub(super) frames: BTreeMap<u64, BTreeSet<u64>>,
    /// Fragments whose last ack the session has.
    pub(super) settled: BTreeSet<u64>,
    /// Width of the tracks from this frame on.
    pub(super) widths: BTreeMap<u64, u32>,
    /// Other tracks from this frame on.
    pub(super) others: BTreeMap<u64, Track>,
}

impl Ledger {
    /// What the track of this frame is.
    pub(super) fn track(&self, number: u64) -> Track {
        match other_of(number) {
            Some(_) => self.others.range(..=number).next_back().unwrap().1.clone(),
            None => tracks(*self.widths.range(..=number).next_back().unwrap().1)[0].clone(),
        }
    }
}

/// The entry of a track in the header.
fn entry(track: &Track) -> Vec<u8> {
    let header = mkv::stream_header(std::slice::from_ref(track));
    let place = header
        .windows(4)
        .position(|id| id == [0x16, 0x54, 0xAE, 0x6B]);
    let all = children(&header[place.unwrap()..]).unwrap();
    all[0].1.to_vec()
}

impl Tap {
    /// Checks the chunk: nothing that is settled, the same bytes as before, under the header of its tracks.
    pub(super) fn see(&mut self, chunk: &[u8], ledger: &mut Ledger) {
        for (element, raw) in self.reader.feed(chunk).unwrap() {
            match &element {
                Element::Header => {}
                Element::Tracks(_) => (self.tracks, self.declared) = (raw, Vec::new()),
                Element::Cluster(timecode) => {
                    assert!(
                        !ledger.settled.contains(timecode),
                        "{timecode} is sent again though its last ack came"
                    );
                    self.timecode = Some(*timecode);
                    (self.bytes, self.compared) = (raw, 0);
                }
                Element::Block { payload, .. } => {
                    let number = number(payload);
                    let track = ledger.track(number);
                    if !self.declared.contains(&track) {
                        let entry = entry(&track);
                        assert!(
                            self.tracks.windows(entry.len()).any(|other| other == entry),
                            "frame {number:x} under the header of other tracks"
                        );
                        self.declared.push(track);
                    }
                    let timecode = self.timecode.unwrap();
                    ledger.frames.entry(timecode).or_default().insert(number);
                    self.remember(&raw, ledger);
                }
                Element::Tag(..) => self.remember(&raw, ledger),
                Element::EndOfFragment => {}
            }
        }
    }

    /// The bytes of a fragment are those that were sent before.
    fn remember(&mut self, raw: &[u8], ledger: &mut Ledger) {
        self.bytes.extend_from_slice(raw);
        let before = ledger.fragments.entry(self.timecode.unwrap()).or_default();
        let same = before.len().min(self.bytes.len());
        assert!(
            before[self.compared..same] == self.bytes[self.compared..same],
            "{:?} has other bytes than before",
            self.timecode
        );
        before.extend_from_slice(&self.bytes[same..]);
        self.compared = self.bytes.len();
    }
}
