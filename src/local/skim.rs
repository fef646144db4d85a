//! From the bytes of a `PutMedia` body to fragments, as fast as they can be read: for a service that only takes them.
//!
//! In: bytes in any chunking. Out: the same [`Step`]s as those of `ingest`, but nothing is checked beyond what is needed to
//! find them, and a [`Fragment`] has no bytes; when which frame was there to its end ([`Arrival`]). No I/O, no clock.
//!
//! Belongs here: where elements begin. Does not belong here: what may be in them (`ingest`).
//!
//! Of an element only the head is looked at, and of few the payload: nothing is copied but that. What begins a Cluster, its
//! parent or its child is not told apart: their ids are different ones.

use std::collections::VecDeque;

use super::ack::ErrorId;
use super::ebml::{Head, uint, vint};
use super::ingest::{Fragment, Refusal, Step, Timecodes};
use super::mkv::id;
use super::tags::FragmentTags;
use super::tracks;

/// Largest Info or Tags: these are kept as a whole.
const MAX_KEPT: u64 = 1 << 20;
/// Of a block so much is looked at: the number of its track, and its time.
const BLOCK_START: u64 = 8 + 2;
/// Before Info says otherwise.
const MILLISECOND_NS: u64 = 1_000_000;

/// Something of which the last byte has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The beginning of a fragment, with its timecode in milliseconds.
    Fragment { timecode_ms: u64 },
    /// A frame, with its own timecode in milliseconds.
    Frame { timecode_ms: u64 },
}

/// A fragment that is being received.
#[derive(Debug, Default)]
struct Open {
    /// In ticks; once it is known.
    timecode: Option<i64>,
    greatest: i64,
    frames: u32,
}

/// The machine; see the module's text.
#[derive(Debug)]
pub(crate) struct Skim {
    timecodes: Timecodes,
    /// The head of the element that is being read, and as much of its payload as is looked at.
    kept: Vec<u8>,
    /// Bytes of it that are still to come and are not looked at.
    skip: u64,
    /// It is a frame of this time, in ticks.
    frame: Option<i64>,
    begun: bool,
    scale_ns: u64,
    tags: FragmentTags,
    open: Option<Open>,
    completed: bool,
    steps: VecDeque<Step>,
    wrong: Option<Refusal>,
    arrivals: Vec<Arrival>,
    /// The timecode of the fragment that the last step was about, unless that completed it.
    current_ms: Option<u64>,
}

impl Skim {
    /// A new session.
    pub(crate) fn new(timecodes: Timecodes) -> Self {
        Self {
            timecodes,
            kept: Vec::new(),
            skip: 0,
            frame: None,
            begun: false,
            scale_ns: MILLISECOND_NS,
            tags: FragmentTags::default(),
            open: None,
            completed: false,
            steps: VecDeque::new(),
            wrong: None,
            arrivals: Vec::new(),
            current_ms: None,
        }
    }

    /// As [`Ingest::current_ms`](super::ingest::Ingest::current_ms).
    pub(crate) fn current_ms(&self) -> Option<u64> {
        self.current_ms
    }

    /// Takes the next bytes of the body.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if self.wrong.is_none() {
            self.wrong = self.read(bytes).err();
        }
    }

    /// What has come to its end with the bytes so far, and was not given yet.
    pub(crate) fn arrivals(&mut self) -> impl Iterator<Item = Arrival> + '_ {
        self.arrivals.drain(..)
    }

    /// The next step, or nothing until more bytes have come.
    pub(crate) fn next(&mut self) -> Result<Option<Step>, Refusal> {
        let Some(step) = self.steps.pop_front() else {
            return self.wrong.clone().map_or(Ok(None), Err);
        };
        self.current_ms = match &step {
            Step::Begun { timecode_ms } => Some(*timecode_ms),
            Step::Complete(_) => None,
        };
        Ok(Some(step))
    }

    /// The body has ended as it should; gives the last fragment.
    pub(crate) fn finish(&mut self) -> Result<Option<Step>, Refusal> {
        if !self.kept.is_empty() || self.skip > 0 {
            return invalid("the body ends inside an element");
        }
        self.complete()?;
        if !self.completed {
            return invalid("a session without a fragment");
        }
        self.next()
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<(), Refusal> {
        loop {
            let skipped = usize::try_from(self.skip).map_or(bytes.len(), |n| n.min(bytes.len()));
            bytes = &bytes[skipped..];
            self.skip -= skipped as u64;
            if self.skip > 0 {
                return Ok(());
            }
            self.end_frame();
            let Some(head) = Head::parse(&self.kept).or_else(invalid)? else {
                let Some((byte, rest)) = bytes.split_first() else {
                    return Ok(());
                };
                self.kept.push(*byte);
                bytes = rest;
                continue;
            };
            let wanted = wanted(head)?;
            // Not more than has been kept so far, or `wanted` plus a head: it fits.
            let missing = (head.len as u64 + wanted) as usize - self.kept.len();
            let (some, rest) = bytes.split_at(missing.min(bytes.len()));
            self.kept.extend_from_slice(some);
            if some.len() < missing {
                return Ok(());
            }
            bytes = rest;
            let kept = std::mem::take(&mut self.kept);
            self.element(head, &kept[head.len..])?;
            self.skip = head.size.filter(|_| !is_entered(head.id)).unwrap_or(0) - wanted;
            self.kept = kept;
            self.kept.clear();
        }
    }

    /// An element begins; `payload` is as much of it as is wanted.
    fn element(&mut self, head: Head, payload: &[u8]) -> Result<(), Refusal> {
        if !std::mem::replace(&mut self.begun, true) && head.id != id::EBML {
            return invalid("no EBML header");
        }
        match head.id {
            id::INFO => self.scale_ns = tracks::timecode_scale(payload)?,
            id::TAGS => return self.tags(payload),
            id::CLUSTER => {
                self.complete()?;
                self.open = Some(Open::default());
            }
            id::TIMECODE => return self.timecode(payload),
            id::SIMPLE_BLOCK | id::BLOCK => return self.block(payload),
            _ => {}
        }
        Ok(())
    }

    fn tags(&mut self, payload: &[u8]) -> Result<(), Refusal> {
        match self.tags.add(payload)? {
            true => self.complete(),
            false => Ok(()),
        }
    }

    fn timecode(&mut self, payload: &[u8]) -> Result<(), Refusal> {
        let ticks = uint(payload).or_else(invalid)?;
        let Some(timecode) = i64::try_from(ticks).ok().filter(|t| *t < i64::MAX / 2) else {
            return invalid("a timecode beyond all times");
        };
        let timecode_ms = self.milliseconds(timecode);
        let Some(open) = self.open.as_mut().filter(|open| open.timecode.is_none()) else {
            return invalid("a Timecode that is no Cluster's");
        };
        open.timecode = Some(timecode);
        open.greatest = timecode;
        self.steps.push_back(Step::Begun { timecode_ms });
        self.arrivals.push(Arrival::Fragment { timecode_ms });
        Ok(())
    }

    fn block(&mut self, payload: &[u8]) -> Result<(), Refusal> {
        let Some(open) = &mut self.open else {
            return invalid("a block outside of a Cluster");
        };
        let Some(cluster) = open.timecode else {
            return invalid("a block before the Timecode");
        };
        let number = vint(payload).or_else(invalid)?;
        let time = number.and_then(|(_, len)| payload[len..].first_chunk::<2>());
        let Some(time) = time else {
            return invalid("a block that is cut off");
        };
        let time = cluster + i64::from(i16::from_be_bytes(*time));
        open.frames += 1;
        open.greatest = open.greatest.max(time);
        self.frame = Some(time);
        Ok(())
    }

    /// The last byte of an element has come: of a frame, if it was one.
    fn end_frame(&mut self) {
        if let Some(time) = self.frame.take() {
            let timecode_ms = self.milliseconds(time);
            self.arrivals.push(Arrival::Frame { timecode_ms });
        }
    }

    /// Ends the open fragment, if there is one.
    fn complete(&mut self) -> Result<(), Refusal> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let Some(timecode) = open.timecode else {
            return invalid("a Cluster without Timecode");
        };
        let timecode_ms = self.milliseconds(timecode);
        self.completed = true;
        self.steps.push_back(Step::Complete(Fragment {
            timecode_ms,
            producer_timestamp_ms: self.timecodes.producer_timestamp(timecode_ms),
            duration_ms: self.milliseconds(open.greatest) - timecode_ms,
            frames: open.frames,
            cluster: Vec::new(),
            tags: self.tags.take(),
        }));
        Ok(())
    }

    fn milliseconds(&self, ticks: i64) -> u64 {
        let nanoseconds = u128::from(ticks.max(0).unsigned_abs()) * u128::from(self.scale_ns);
        u64::try_from(nanoseconds / 1_000_000).unwrap_or(u64::MAX)
    }
}

fn invalid<T>(what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        id: ErrorId::InvalidMkvData,
        what: what.into(),
    })
}

/// Elements whose children are read as if they stood beside them.
fn is_entered(id: u32) -> bool {
    matches!(id, id::SEGMENT | id::CLUSTER | id::BLOCK_GROUP)
}

/// Bytes of the payload that are looked at.
fn wanted(head: Head) -> Result<u64, Refusal> {
    if is_entered(head.id) {
        return Ok(0);
    }
    let Some(size) = head.size else {
        return invalid(format!("element {:X} of unknown size", head.id));
    };
    match head.id {
        id::INFO | id::TAGS | id::TIMECODE if size > MAX_KEPT => {
            invalid(format!("element {:X} of {size} bytes", head.id))
        }
        id::INFO | id::TAGS | id::TIMECODE => Ok(size),
        id::SIMPLE_BLOCK | id::BLOCK => Ok(size.min(BLOCK_START)),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ingest::Ingest;
    use super::super::mkv::put;
    use super::super::sample::{
        FRAME, block, cluster, cluster_start, end_of_fragment, some_tags, video_header,
    };
    use super::*;

    /// What `next` gives until it needs more bytes, without the bytes of fragments.
    fn steps(mut next: impl FnMut() -> Result<Option<Step>, Refusal>) -> Vec<Step> {
        std::iter::from_fn(|| next().unwrap())
            .map(|step| match step {
                Step::Complete(fragment) => Step::Complete(Fragment {
                    cluster: Vec::new(),
                    ..fragment
                }),
                begun @ Step::Begun { .. } => begun,
            })
            .collect()
    }

    fn skimmed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Step>, Vec<Arrival>) {
        let mut skim = Skim::new(Timecodes::Relative { start_ms: 7 });
        let (mut found, mut arrivals) = (Vec::new(), Vec::new());
        for piece in pieces {
            skim.feed(piece);
            arrivals.extend(skim.arrivals());
            found.extend(steps(|| skim.next()));
        }
        let last = skim.finish().unwrap();
        found.extend(last);
        (found, arrivals)
    }

    fn body() -> Vec<u8> {
        let mut group = Vec::new();
        put(&mut group, id::BLOCK, &[0x81, 0x01, 0x00, 0, 0xFF]);
        let mut grouped = Vec::new();
        put(&mut grouped, id::BLOCK_GROUP, &group);
        [
            video_header(),
            cluster(1_000),
            some_tags(2),
            end_of_fragment(),
            some_tags(1),
            cluster(3_000),
            cluster_start(5_000),
            block(1, 0, true, &[0xA3; 300]),
            grouped,
        ]
        .concat()
    }

    #[test]
    fn it_finds_what_the_strict_reader_finds() {
        let body = [video_header(), cluster(1_000), some_tags(2), cluster(3_000)].concat();
        let mut strict = Ingest::new(Timecodes::Relative { start_ms: 7 });
        strict.feed(&body);
        let mut expected = steps(|| strict.next(u64::MAX));
        expected.extend(steps(|| {
            if strict.current_ms().is_some() {
                strict.finish()
            } else {
                Ok(None)
            }
        }));
        assert_eq!(skimmed([&body[..]]).0, expected);
        assert_eq!(expected.len(), 4);
    }

    #[test]
    fn any_chunking_gives_the_same() {
        let body = body();
        let whole = skimmed([&body[..]]);
        for cut in 0..=body.len() {
            let (before, behind) = body.split_at(cut);
            assert_eq!(skimmed([before, behind]), whole, "cut at {cut}");
        }
        assert_eq!(skimmed(body.chunks(1)), whole);
        let frames = |step: &Step| match step {
            Step::Complete(fragment) => Some((fragment.timecode_ms, fragment.frames)),
            Step::Begun { .. } => None,
        };
        let found: Vec<_> = whole.0.iter().filter_map(frames).collect();
        assert_eq!(found, [(1_000, 10), (3_000, 10), (5_000, 2)]);
        assert_eq!(whole.1.len(), 3 + 22);
    }

    /// A chunk that ends with the last byte of something is all that is needed to know of it.
    #[test]
    fn what_has_come_is_told_at_its_last_byte() {
        let mut skim = Skim::new(Timecodes::Absolute);
        skim.feed(&video_header());
        let start = cluster_start(2_000);
        skim.feed(&start[..start.len() - 1]);
        assert_eq!(skim.next(), Ok(None));
        skim.feed(&start[start.len() - 1..]);
        let timecode_ms = 2_000;
        assert_eq!(skim.next(), Ok(Some(Step::Begun { timecode_ms })));
        assert_eq!(skim.current_ms(), Some(timecode_ms));
        let frame = block(1, 40, true, FRAME);
        skim.feed(&frame[..frame.len() - 1]);
        let begun = Arrival::Fragment { timecode_ms };
        assert_eq!(skim.arrivals().collect::<Vec<_>>(), [begun]);
        skim.feed(&frame[frame.len() - 1..]);
        let timecode_ms = 2_040;
        let arrived = Arrival::Frame { timecode_ms };
        assert_eq!(skim.arrivals().collect::<Vec<_>>(), [arrived]);
        skim.feed(&end_of_fragment());
        let Ok(Some(Step::Complete(fragment))) = skim.next() else {
            panic!("it is complete")
        };
        assert_eq!((fragment.timecode_ms, fragment.frames), (2_000, 1));
        assert_eq!(skim.current_ms(), None);
    }

    #[test]
    fn what_is_no_such_body_is_refused() {
        let unknown = [&[0xA3, 0xFF][..], &[0; 20]].concat();
        for (body, why) in [
            (b"<html></html>".to_vec(), "no EBML header"),
            (vec![0; 20], "an element id of more than four bytes"),
            ([video_header(), unknown].concat(), "of unknown size"),
            (
                [video_header(), block(1, 0, true, FRAME)].concat(),
                "a block outside of a Cluster",
            ),
        ] {
            let mut skim = Skim::new(Timecodes::Absolute);
            skim.feed(&body);
            let refusal = skim.next().unwrap_err();
            assert_eq!(refusal.id, ErrorId::InvalidMkvData);
            assert!(refusal.what.contains(why), "{}", refusal.what);
        }
    }

    #[test]
    fn a_body_that_ends_too_early_is_refused() {
        let mut body = body();
        body.pop();
        let mut skim = Skim::new(Timecodes::Absolute);
        skim.feed(&body);
        assert!(skim.finish().is_err());
        let mut skim = Skim::new(Timecodes::Absolute);
        skim.feed(&video_header());
        assert!(skim.finish().is_err());
    }
}
