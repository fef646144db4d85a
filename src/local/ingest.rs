//! From the bytes of a `PutMedia` body to fragments, by the service's rules.
//!
//! In: bytes in any chunking. Out: [`Step`]s: a fragment has begun, a fragment is complete; or a
//! [`Refusal`], after which the session is over. No I/O, no clock: `now` is a parameter.
//!
//! Belongs here: the order of elements, limits of a fragment, timecodes.
//! Does not belong here: elements (`ebml`), codecs (`tracks`), what tags say (`tags`), acks (`session`), files (`archive`).
//!
//! One Cluster is one fragment. It is complete at the next Cluster, at the tag
//! [`END_OF_FRAGMENT`](super::tags::END_OF_FRAGMENT) or at the end of the body. Tags belong to the Cluster before them; those before the
//! first Cluster, or after an [`END_OF_FRAGMENT`](super::tags::END_OF_FRAGMENT), to the next one.

use bytes::Bytes;

use super::ack::ErrorId;
use super::ebml::{Element, Event, Reader, Wrong, children, vint};
use super::mkv::{self, id};
use super::tags::FragmentTags;
use super::tracks::{self, Refused, Track};

const MAX_FRAGMENT_BYTES: u64 = 50_000_000;
const MAX_FRAGMENT_MS: u64 = 20_000;
/// How far ahead of the service's clock a producer timestamp may be. [inf: the limit is not documented]
const MAX_FUTURE_MS: u64 = 10 * 60 * 1000;

/// How the producer counts time (`x-amzn-fragment-timecode-type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timecodes {
    /// Timecodes are milliseconds since 1970.
    Absolute,
    /// Timecodes are milliseconds since the start of the recording.
    Relative { start_ms: u64 },
}

impl Timecodes {
    /// Milliseconds since 1970 by the producer's clock.
    pub(crate) fn producer_timestamp(self, timecode_ms: u64) -> u64 {
        match self {
            Self::Absolute => timecode_ms,
            Self::Relative { start_ms } => start_ms.saturating_add(timecode_ms),
        }
    }
}

/// Why the session is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) id: ErrorId,
    /// For the log.
    pub(crate) what: String,
}

impl From<Refused> for Refusal {
    fn from((id, what): Refused) -> Self {
        Self { id, what }
    }
}

impl From<Wrong> for Refusal {
    fn from(wrong: Wrong) -> Self {
        let id = match wrong {
            Wrong::Malformed { .. } => ErrorId::InvalidMkvData,
            Wrong::TooLarge { .. } => ErrorId::MaxFragmentSizeReached,
        };
        Self {
            id,
            what: wrong.to_string(),
        }
    }
}

fn refuse<T>(id: ErrorId, what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        id,
        what: what.into(),
    })
}

fn invalid<T>(what: impl Into<String>) -> Result<T, Refusal> {
    refuse(ErrorId::InvalidMkvData, what)
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A fragment has begun.
    Begun { timecode_ms: u64 },
    /// A fragment is complete.
    Complete(Fragment),
}

/// A complete fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// The Cluster's timecode as on the wire, in milliseconds.
    pub(crate) timecode_ms: u64,
    pub(crate) producer_timestamp_ms: u64,
    /// From the Cluster's timecode to its greatest frame.
    pub(crate) duration_ms: u64,
    pub(crate) frames: u32,
    /// The Cluster's payload: timecode and blocks as they came.
    pub(crate) cluster: Vec<u8>,
    /// All tags but [`END_OF_FRAGMENT`](super::tags::END_OF_FRAGMENT).
    pub(crate) tags: Vec<(String, String)>,
}

/// The session's header as it came, for the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) ebml: Bytes,
    pub(crate) info: Bytes,
    pub(crate) tracks: Bytes,
}

/// A fragment that is being received.
#[derive(Debug, Default)]
struct Open {
    /// Ticks of the Cluster's timecode, once it is known.
    timecode: Option<i64>,
    greatest: i64,
    frames: u32,
    /// By index in `tracks`: whether a frame has come.
    seen: [bool; tracks::MAX_TRACKS],
    cluster: Vec<u8>,
}

/// The machine; see the module's text.
#[derive(Debug)]
pub(crate) struct Ingest {
    reader: Reader,
    timecodes: Timecodes,
    header: Header,
    scale_ns: u64,
    tracks: Vec<Track>,
    open: Option<Open>,
    tags: FragmentTags,
    /// The greatest frame timecode so far, in ticks: the next Cluster must be later.
    greatest: Option<i64>,
    completed: bool,
    /// Frames of all fragments so far.
    frames: u64,
    /// The timecode of the fragment that is being received.
    current_ms: Option<u64>,
}

impl Ingest {
    /// A new session.
    pub(crate) fn new(timecodes: Timecodes) -> Self {
        Self {
            reader: Reader::new(MAX_FRAGMENT_BYTES),
            timecodes,
            header: Header::default(),
            scale_ns: 0,
            tracks: Vec::new(),
            open: None,
            tags: FragmentTags::default(),
            greatest: None,
            completed: false,
            frames: 0,
            current_ms: None,
        }
    }

    /// The timecode of the fragment that is being received, for an ERROR ack about it.
    pub(crate) fn current_ms(&self) -> Option<u64> {
        self.current_ms
    }

    /// The session's header; complete as soon as a fragment has begun.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The media type that the tracks make together, in their order; `None` when the service knows none for a codec.
    pub(crate) fn media_type(&self) -> Option<String> {
        let types: Option<Vec<_>> = self.tracks.iter().map(|track| track.media_type).collect();
        Some(types?.join(","))
    }

    /// The number of the frame, from 1 on, of which half the payload has come and no more.
    pub(crate) fn frame_half_received(&self) -> Option<u64> {
        let (id, have, size) = self.reader.partial()?;
        let half = matches!(id, id::SIMPLE_BLOCK | id::BLOCK_GROUP) && have >= size / 2;
        half.then_some(self.frames + 1)
    }

    /// Takes the next bytes of the body.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.reader.feed(bytes);
    }

    /// The next step, or nothing until more bytes have come.
    pub(crate) fn next(&mut self, now_ms: u64) -> Result<Option<Step>, Refusal> {
        while let Some(event) = self.reader.next()? {
            let step = match event {
                Event::EbmlHeader(element) => self.ebml_header(element)?,
                Event::Segment | Event::ClusterEnd => None,
                Event::Element(element) => self.element(element)?,
                Event::Cluster => self.cluster()?,
                Event::Child(element) => self.child(&element, now_ms)?,
            };
            if step.is_some() {
                return Ok(step);
            }
        }
        Ok(None)
    }

    /// The body has ended as it should; gives the last fragment.
    pub(crate) fn finish(&mut self) -> Result<Option<Step>, Refusal> {
        if !self.reader.may_end() {
            return invalid("the body ends inside an element");
        }
        let last = self.complete()?;
        if !self.completed {
            return invalid("a session without a fragment");
        }
        Ok(last)
    }

    fn ebml_header(&mut self, element: Element) -> Result<Option<Step>, Refusal> {
        tracks::check_ebml_header(element.payload())?;
        self.header.ebml = element.raw;
        Ok(None)
    }

    fn element(&mut self, element: Element) -> Result<Option<Step>, Refusal> {
        match element.id {
            id::INFO if !self.header.info.is_empty() => return invalid("a second Info"),
            id::TRACKS if !self.header.tracks.is_empty() => return invalid("a second Tracks"),
            id::INFO => {
                self.scale_ns = tracks::timecode_scale(element.payload())?;
                self.header.info = element.raw;
            }
            id::TRACKS => {
                self.tracks = tracks::parse(element.payload())?;
                self.header.tracks = element.raw;
            }
            id::TAGS => return self.tags(element.payload()),
            _ => {}
        }
        Ok(None)
    }

    fn cluster(&mut self) -> Result<Option<Step>, Refusal> {
        if self.header.info.is_empty() || self.header.tracks.is_empty() {
            return invalid("a Cluster before Info and Tracks");
        }
        let before = self.complete()?;
        self.open = Some(Open::default());
        Ok(before)
    }

    /// Ends the open fragment, if there is one.
    fn complete(&mut self) -> Result<Option<Step>, Refusal> {
        let Some(open) = self.open.take() else {
            return Ok(None);
        };
        let Some(timecode) = open.timecode else {
            return invalid("a Cluster without Timecode");
        };
        if let Some((_, track)) = open.seen.iter().zip(&self.tracks).find(|(seen, _)| !**seen) {
            let what = format!("no frame of track {}", track.number);
            return refuse(ErrorId::FramesMissingForTrack, what);
        }
        let timecode_ms = self.milliseconds(timecode);
        self.greatest = Some(open.greatest);
        self.completed = true;
        self.current_ms = None;
        Ok(Some(Step::Complete(Fragment {
            timecode_ms,
            producer_timestamp_ms: self.timecodes.producer_timestamp(timecode_ms),
            duration_ms: self.milliseconds(open.greatest) - timecode_ms,
            frames: open.frames,
            cluster: open.cluster,
            tags: self.tags.take(),
        })))
    }

    fn child(&mut self, element: &Element, now_ms: u64) -> Result<Option<Step>, Refusal> {
        match element.id {
            id::TIMECODE => self.timecode(element.payload(), now_ms),
            id::SIMPLE_BLOCK => {
                let flags = element.payload();
                self.block(flags, None)?;
                self.keep(element);
                Ok(None)
            }
            id::BLOCK_GROUP => {
                let parts = children(element.payload()).or_else(invalid)?;
                let mut blocks = parts.iter().filter(|(id, _)| *id == id::BLOCK);
                let (Some((_, block)), None) = (blocks.next(), blocks.next()) else {
                    return invalid("a BlockGroup without one Block");
                };
                let key = !parts.iter().any(|(id, _)| *id == id::REFERENCE_BLOCK);
                self.block(block, Some(key))?;
                self.keep(element);
                Ok(None)
            }
            // Position and PrevSize would be wrong in the file.
            _ => Ok(None),
        }
    }

    fn keep(&mut self, element: &Element) {
        if let Some(open) = &mut self.open {
            open.cluster.extend_from_slice(&element.raw);
        }
    }

    fn timecode(&mut self, payload: &[u8], now_ms: u64) -> Result<Option<Step>, Refusal> {
        let ticks = super::ebml::uint(payload).or_else(invalid)?;
        let Some(timecode) = i64::try_from(ticks)
            .ok()
            .filter(|ticks| *ticks < i64::MAX / 2)
        else {
            return refuse(
                ErrorId::InvalidProducerTimestamp,
                "a timecode beyond all times",
            );
        };
        let timecode_ms = self.milliseconds(timecode);
        let producer_ms = self.timecodes.producer_timestamp(timecode_ms);
        let (greatest, future) = (self.greatest, now_ms.saturating_add(MAX_FUTURE_MS));
        let Some(open) = self.open.as_mut() else {
            return Ok(None);
        };
        if open.timecode.is_some() {
            return invalid("a second Timecode in a Cluster");
        }
        self.current_ms = Some(timecode_ms);
        open.timecode = Some(timecode);
        open.greatest = timecode;
        mkv::put_uint(&mut open.cluster, id::TIMECODE, ticks);
        if let Some(greatest) = greatest.filter(|greatest| timecode <= *greatest) {
            let what = format!("timecode {timecode} after a frame at {greatest}");
            return refuse(ErrorId::FragmentTimecodeLesserThanPrevious, what);
        }
        if producer_ms > future {
            let what = format!("producer timestamp {producer_ms} while it is {now_ms}");
            return refuse(ErrorId::InvalidProducerTimestamp, what);
        }
        Ok(Some(Step::Begun { timecode_ms }))
    }

    /// Checks a block; `key` is known from its group, or in the block's flags.
    fn block(&mut self, payload: &[u8], key: Option<bool>) -> Result<(), Refusal> {
        let Some(open) = self.open.as_mut() else {
            return Ok(());
        };
        let Some(cluster) = open.timecode else {
            return invalid("a block before the Timecode");
        };
        let Some((Some(number), len)) = vint(payload).or_else(invalid)? else {
            return invalid("a block without track number");
        };
        let Some(([high, low, flags], frame)) = payload[len..].split_first_chunk::<3>() else {
            return invalid("a block that is cut off");
        };
        if flags & 0b0110 != 0 {
            return invalid("a laced block");
        }
        let Some(index) = self.tracks.iter().position(|track| track.number == number) else {
            let what = format!("a block of track {number}, which is not declared");
            return refuse(ErrorId::TrackNumberMismatch, what);
        };
        let track = &self.tracks[index];
        let key = key.unwrap_or(flags & 0x80 != 0);
        if track.video && !open.seen[index] && !key {
            return invalid("the first video frame is no key frame");
        }
        track.check_frame(frame)?;
        open.seen[index] = true;
        open.frames += 1;
        self.frames += 1;
        let timecode = cluster + i64::from(i16::from_be_bytes([*high, *low]));
        open.greatest = open.greatest.max(timecode);
        let (first, last) = (self.milliseconds(cluster), self.milliseconds(timecode));
        if last.saturating_sub(first) > MAX_FRAGMENT_MS {
            return refuse(ErrorId::MaxFragmentDurationReached, "more than 20 s");
        }
        Ok(())
    }

    fn tags(&mut self, payload: &[u8]) -> Result<Option<Step>, Refusal> {
        if !self.tags.add(payload)? {
            return Ok(None);
        }
        if self.open.is_none() {
            return invalid("an end of fragment without a fragment");
        }
        self.complete()
    }

    fn milliseconds(&self, ticks: i64) -> u64 {
        let nanoseconds = u128::from(ticks.max(0).unsigned_abs()) * u128::from(self.scale_ns);
        u64::try_from(nanoseconds / 1_000_000).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;
