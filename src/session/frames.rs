//! Frames on their way into the store: placed, made into blocks, and the room that they need.

use std::mem;

use bytes::BytesMut;

use super::{Event, LOSS_WINDOW, Loss, Session};
use crate::{
    definition::{Invalid, StreamingType},
    fragment::{Block, DropReason, Fragment, Placed, Tracks},
    media::{Frame, Track},
    mkv,
    time::{Mono, Timecode, Timestamp},
};

/// Most tracks of a stream ("Amazon Kinesis Video Streams service quotas", tracks).
const MAX_TRACKS: usize = 3;

/// A frame that was not taken.
#[derive(Debug)]
pub enum Refused {
    /// There is no room (offline): try again when there is. The frame is given back; it was not counted.
    Full(Frame),
    /// The session is over, or is to be.
    Stopped,
}

impl Session {
    /// The tracks of the frames that follow. Other tracks than before begin a new PutMedia session at the next key frame.
    ///
    /// # Errors
    /// [`Invalid`] when there are none or more than three, or two have the same number.
    pub fn set_tracks(&mut self, tracks: &[Track]) -> Result<(), Invalid> {
        if tracks.is_empty() || tracks.len() > MAX_TRACKS {
            let reason = format!("{} tracks: a stream has 1 to {MAX_TRACKS}", tracks.len());
            return Err(Invalid::new("tracks", reason));
        }
        let mut numbers = tracks.iter().map(Track::number);
        while let Some(number) = numbers.next() {
            if numbers.clone().any(|other| other == number) {
                return Err(Invalid::new(
                    "tracks",
                    format!("two have the number {number}"),
                ));
            }
        }
        if self.cutter.set_tracks(Tracks::from(tracks)) {
            self.store.complete();
        }
        Ok(())
    }

    /// The next frame must be a key frame: something between was lost, or the source is another.
    pub fn end_fragment(&mut self) {
        // What comes next is another frame than the one that waited for room, if any comes.
        self.full = false;
        if self.cutter.end_fragment() {
            self.store.complete();
        }
    }

    /// A frame of this many bytes needs not wait. Always true but offline.
    ///
    /// For those who must not wait when they put: they ask before, and then [`Self::take_frame`].
    pub fn has_room(&mut self, bytes: u64, key: bool) -> bool {
        if self.definition.streaming_type != StreamingType::Offline || self.is_stopped() {
            return true;
        }
        let begins = key || !self.cutter.is_open();
        let fits = self.fits_offline(bytes + Block::OVERHEAD, begins);
        if begins && !fits {
            self.end_fragment();
        }
        self.full = !fits;
        self.feel_pressure();
        fits
    }

    /// Takes a frame. It is kept until it is PERSISTED, or counted as dropped and told.
    ///
    /// # Errors
    /// [`Refused::Full`] only offline; [`Refused::Stopped`] after the end.
    pub fn put_frame(&mut self, now: Mono, frame: Frame) -> Result<(), Refused> {
        self.put(now, frame, false)
    }

    /// [`Self::put_frame`], but offline the frame is taken though there is no room.
    ///
    /// # Errors
    /// [`Refused::Stopped`] after the end.
    pub fn take_frame(&mut self, now: Mono, frame: Frame) -> Result<(), Refused> {
        self.put(now, frame, true)
    }

    fn put(&mut self, now: Mono, frame: Frame, anyway: bool) -> Result<(), Refused> {
        if self.is_stopped() || self.ending.is_some_and(|ending| ending.stop) {
            return Err(Refused::Stopped);
        }
        let mut placed = self.cutter.place(&frame);
        if let Some((block, timecode)) = block(&frame, &placed) {
            // Ended in both, before the frame may be refused: whoever is refused may go on with another frame.
            if let Placed::Begins { .. } = placed {
                self.end_fragment();
            }
            match self.definition.streaming_type {
                StreamingType::Offline
                    if !anyway && !self.fits_offline(block.cost(), timecode.is_some()) =>
                {
                    self.full = true;
                    self.feel_pressure();
                    return Err(Refused::Full(frame));
                }
                StreamingType::Offline => {
                    self.full = false;
                    self.keep(now, &frame, block, timecode);
                }
                StreamingType::Realtime | StreamingType::NearRealtime => {
                    if self.definition.streaming_type == StreamingType::Realtime {
                        self.evict_aged(now, frame.pts);
                    }
                    if self.make_room(now, &block, timecode.is_some()) {
                        self.keep(now, &frame, block, timecode);
                    } else {
                        placed = Placed::Dropped(DropReason::Storage);
                    }
                }
            }
        }
        self.stats.frames_in += 1;
        self.stats.bytes_in += frame.payload.len() as u64;
        self.cutter.put(&frame, &placed);
        self.feel_pressure();
        if self.cutter.wants_key_frame(frame.pts) {
            self.tell(Event::KeyFrameNeeded);
        }
        if let Placed::Dropped(reason) = placed {
            if !self.cutter.is_open() {
                self.store.complete();
            }
            let first_of_its_kind = !self.losses.contains_key(&reason);
            self.lose(now, reason, 1, frame.pts, frame.pts);
            if first_of_its_kind && reason == DropReason::NoKeyFrame {
                self.tell(Event::KeyFrameNeeded);
            }
        }
        Ok(())
    }

    /// A frame that could not even be put: it is counted as come and as dropped.
    /// After the end it does not matter any more, like a frame that comes then.
    pub fn drop_frame(&mut self, now: Mono, reason: DropReason, at: Timestamp) {
        if self.is_stopped() {
            return;
        }
        self.stats.frames_in += 1;
        self.lose(now, reason, 1, at, at);
    }

    fn keep(&mut self, now: Mono, frame: &Frame, block: Block, begins: Option<Timecode>) {
        self.last_frame = now;
        if let Some(timecode) = begins
            && let Some(tracks) = self.cutter.tracks().cloned()
        {
            self.store.begin(Fragment {
                id: self.store.next_id(),
                timecode,
                tracks,
                blocks: Vec::new(),
                complete: false,
                cost: 0,
                first: frame.pts,
                earliest: frame.pts,
                last: frame.pts,
                arrived: now,
                persisted: false,
                refused: 0,
                sent: 0,
            });
        }
        let kept = self.store.push(block, frame.pts, now);
        debug_assert!(kept, "the cutter and the store agree on what is open");
    }

    /// Offline: there is room, or waiting would never end. The service acknowledges a fragment when the next one
    /// begins, so one pending fragment never waits for room, and neither does the rest of one that was sent so far.
    /// Without acks the session ends for it ([`Self::ends`]). The bound is therefore `storage`, or one fragment if that is
    /// more, plus one fragment (50 MB at most each).
    fn fits_offline(&self, cost: u64, begins: bool) -> bool {
        self.store.bytes() + cost <= self.definition.storage
            || self.store.pending().nth(1).is_none()
            || (!begins && !self.store.has_unsent())
    }

    /// Realtime: takes out oldest fragments until the block fits. When all that is left is being sent or grows, that one
    /// gives way: the open fragment is taken out, or, when a part of it is on the wire, ended.
    fn make_room(&mut self, now: Mono, block: &Block, begins: bool) -> bool {
        let fits =
            |session: &Self| session.store.bytes() + block.cost() <= session.definition.storage;
        while !fits(self) {
            let Some(oldest) = self
                .store
                .oldest_evictable()
                .map(|fragment| fragment.timecode)
            else {
                break;
            };
            self.evict(now, oldest, DropReason::Storage);
        }
        if fits(self) {
            return true;
        }
        if !begins && self.store.at_boundary() {
            let open = self.store.open().map(|fragment| fragment.timecode);
            if let Some(open) = open {
                self.evict(now, open, DropReason::Storage);
            }
        }
        false
    }

    fn evict_aged(&mut self, now: Mono, newest: Timestamp) {
        while let Some(fragment) = self.store.oldest_evictable()
            && fragment.is_older(self.definition.buffer_duration, newest, now)
        {
            let timecode = fragment.timecode;
            self.evict(now, timecode, DropReason::Age);
        }
    }

    /// Takes a fragment out, counted and told: how many frames it had.
    pub(super) fn evict(&mut self, now: Mono, timecode: Timecode, reason: DropReason) -> u64 {
        let was_open = self
            .store
            .open()
            .is_some_and(|open| open.timecode == timecode);
        if let Some(eviction) = self.store.evict(timecode) {
            if was_open {
                self.cutter.end_fragment();
            }
            self.lose(
                now,
                reason,
                eviction.frames,
                eviction.earliest,
                eviction.last,
            );
            return eviction.frames;
        }
        0
    }

    fn lose(&mut self, now: Mono, reason: DropReason, frames: u64, from: Timestamp, to: Timestamp) {
        *self.stats.dropped.entry(reason).or_default() += frames;
        let loss = self.losses.entry(reason).or_insert(Loss {
            frames: 0,
            from,
            to,
        });
        loss.frames += frames;
        loss.from = loss.from.min(from);
        loss.to = loss.to.max(to);
        self.losses_due.get_or_insert(now + LOSS_WINDOW);
    }

    pub(super) fn tell_losses(&mut self) {
        self.losses_due = None;
        for (reason, Loss { frames, from, to }) in mem::take(&mut self.losses) {
            self.tell(Event::FramesDropped {
                reason,
                frames,
                from,
                to,
            });
        }
    }
}

/// The bytes of a frame in its place; with the timecode of the fragment that it begins.
fn block(frame: &Frame, placed: &Placed) -> Option<(Block, Option<Timecode>)> {
    let length = frame.payload.len();
    let (head, begins) = match placed {
        Placed::Dropped(_) => return None,
        Placed::Begins { timecode } => {
            let mut head = BytesMut::from(&mkv::cluster_header(*timecode)[..]);
            head.extend_from_slice(&mkv::simple_block_header(frame.track, 0, frame.key, length));
            (head.freeze(), Some(*timecode))
        }
        Placed::Continues { offset_ms } => (
            mkv::simple_block_header(frame.track, *offset_ms, frame.key, length),
            None,
        ),
    };
    Some((
        Block {
            head,
            payload: frame.payload.clone(),
        },
        begins,
    ))
}
