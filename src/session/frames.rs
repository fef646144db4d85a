//! Frames on their way into the store: placed, made into blocks, and the room that they need.

use std::mem;

use bytes::{Bytes, BytesMut};

use super::{Event, LOSS_WINDOW, Loss, Session};
use crate::{
    definition::StreamingType,
    fragment::{Block, DropReason, Fragment, FragmentId, Placed, is_video},
    media::{Frame, TrackNumber},
    mkv,
    time::{Mono, Timecode, Timestamp},
};

/// A frame that was not taken.
#[derive(Debug)]
pub enum Refused {
    /// There is no room (offline): try again when there is. The frame is given back; it was not counted.
    Full(Frame),
    /// The session is over, or is to be.
    Stopped,
}

/// There is no room (offline).
pub(super) struct Full;

/// Bytes of memory that heads share: a hundred of them. It is free when the last of them is.
const HEADS: usize = 1 << 10;
/// That of a fragment's first frame is 35 bytes at most.
const LONGEST_HEAD: usize = 64;

impl Session {
    /// The next frame must be a key frame: something between was lost, or the source is another.
    pub fn end_fragment(&mut self) {
        self.flush();
        self.cutter.end_fragment();
        self.complete();
        // What comes next is another frame than the one that waited for room, if any comes.
        (self.full, self.ahead) = (false, false);
    }

    /// A frame of this track and this many bytes needs not wait. Always true but offline.
    ///
    /// For those who must not wait when they put: they ask before, and then [`Self::take_frame`].
    pub fn has_room(&mut self, track: TrackNumber, bytes: u64, key: bool) -> bool {
        if self.is_live() || self.is_over() {
            return true;
        }
        if self.lanes.are_many() {
            return !self.must_wait(track, bytes);
        }
        let begins = key || !self.cutter.is_open();
        let fits = self.fits_offline(bytes + Block::OVERHEAD, begins);
        if begins && !fits {
            self.end_fragment();
        }
        self.full = !fits;
        self.feel_pressure();
        fits && !self.gets_ahead()
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
        if self.is_over() || self.ending.is_some_and(|ending| ending.stop) {
            return Err(Refused::Stopped);
        }
        self.seen = now;
        let bytes = frame.payload.len() as u64;
        if self.lanes.are_many() {
            self.queue(now, frame, anyway)?;
        } else {
            self.admit(now, &frame, anyway)
                .map_err(|Full| Refused::Full(frame))?;
        }
        self.stats.frames_in += 1;
        self.stats.bytes_in += bytes;
        self.frame_rate.add(now, 1);
        // Not before it is counted: what is told must add up.
        self.pump(now);
        self.feel_pressure();
        self.account();
        Ok(())
    }

    /// The frame whose turn it is finds its place, or is dropped and counted so.
    pub(super) fn admit(&mut self, now: Mono, frame: &Frame, anyway: bool) -> Result<(), Full> {
        let mut placed = self.place(frame);
        if let Some((block, timecode)) = block(&mut self.heads, frame, &placed) {
            // Ended in both, before the frame may be refused: whoever is refused may go on with another frame.
            if let Placed::Begins { .. } = placed {
                self.cutter.close();
                self.complete();
            }
            let cost = block.cost() + timecode.map_or(0, |_| self.labels.cost());
            match self.definition.streaming_type {
                StreamingType::Offline
                    if !anyway && !self.fits_offline(cost, timecode.is_some()) =>
                {
                    self.full = true;
                    self.feel_pressure();
                    return Err(Full);
                }
                StreamingType::Offline => {
                    self.full = false;
                    if anyway {
                        self.ahead = false;
                    } else if self.gets_ahead() {
                        return Err(Full);
                    }
                    self.keep(now, frame, block, timecode);
                }
                StreamingType::Realtime | StreamingType::NearRealtime => {
                    if self.definition.streaming_type == StreamingType::Realtime {
                        self.evict_aged(now, frame.pts);
                    }
                    if self.make_room(now, cost, timecode.is_some()) {
                        self.keep(now, frame, block, timecode);
                    } else {
                        placed = Placed::Dropped(DropReason::Storage);
                    }
                }
            }
        }
        self.cutter.put(frame, &placed);
        if self.cutter.wants_key_frame(frame.track, frame.pts) {
            self.tell(Event::KeyFrameNeeded);
        }
        if let Placed::Dropped(reason) = placed {
            if !self.cutter.is_open() {
                self.complete();
            }
            self.lose(now, reason, 1, frame.pts, frame.pts);
            // Sound comes before the first picture wherever there is a microphone, and that one is a key frame.
            let needs = reason == DropReason::NoKeyFrame
                && self.cutter.track(frame.track).is_some_and(is_video);
            if needs
                && let Some(loss) = self.losses.get_mut(&reason)
                && !mem::replace(&mut loss.asked, true)
            {
                self.tell(Event::KeyFrameNeeded);
            }
        }
        Ok(())
    }

    /// A frame that could not even be put: it is counted as come and as dropped.
    /// After the end it does not matter any more, like a frame that comes then.
    pub fn drop_frame(&mut self, now: Mono, reason: DropReason, at: Timestamp) {
        if self.is_over() {
            return;
        }
        self.stats.frames_in += 1;
        self.frame_rate.add(now, 1);
        self.lose(now, reason, 1, at, at);
    }

    fn keep(&mut self, now: Mono, frame: &Frame, block: Block, begins: Option<Timecode>) {
        self.last_frame = now;
        if let Some(timecode) = begins {
            let (tracks, absent) = self.header(frame);
            self.store.begin(Fragment {
                id: self.store.next_id(),
                timecode,
                tracks,
                absent,
                epoch: self.cutter.epoch(),
                start: self.cutter.start().unwrap_or(frame.pts),
                tags: Vec::new(),
                tail: Bytes::new(),
                blocks: Vec::new(),
                frames: 0,
                complete: false,
                cost: 0,
                first: frame.pts,
                earliest: frame.pts,
                last: frame.pts,
                began: now,
                arrived: now,
                refused: 0,
                sent: 0,
                file: None,
                busy: false,
                away: false,
                restored: false,
            });
            for tag in self.labels.begin() {
                self.store.tag(tag);
            }
        }
        let kept = self.store.push(frame.track, block, frame.pts, now);
        debug_assert!(kept, "the cutter and the store agree on what is open");
        if self.lanes.are_many() {
            self.is_back(frame.track);
        }
    }

    /// Offline: there is room, or waiting would never end. The service acknowledges a fragment when the next one
    /// begins, so one pending fragment never waits for room, and neither does the rest of one that was sent so far.
    /// Without acks the session ends for it ([`Self::ends`]). The bound is therefore `storage`, or one fragment if that is
    /// more, plus one fragment (50 MB at most each).
    fn fits_offline(&self, cost: u64, begins: bool) -> bool {
        self.bytes_kept() + cost <= self.storage_limit()
            || self.store.pending().nth(1).is_none()
            || (!begins && !self.store.has_unsent())
    }

    /// Most bytes that may be kept now: those of the definition, or fewer when other streams of the producer need them.
    pub(super) fn storage_limit(&self) -> u64 {
        self.share.limit(self.definition.storage)
    }

    /// Tells the other streams of the producer what is kept here. Realtime: gives back what is theirs.
    pub(super) fn account(&mut self) {
        self.share.hold(self.bytes_kept());
        if self.full {
            self.share.wait();
        }
    }

    /// Realtime: what is kept beyond the limit, since other streams of the producer need it, is dropped, oldest first.
    pub(super) fn give_back(&mut self, now: Mono) {
        // What is on its way to disk is given back when it is there.
        let writes = self.spool_takes() && self.bytes_kept() <= self.definition.storage;
        if self.is_live() && !writes && self.bytes_kept() > self.storage_limit() {
            self.evict_for(now, 0);
        }
        self.account();
    }

    /// Bytes that are kept, wherever they wait.
    pub(super) fn bytes_kept(&self) -> u64 {
        self.store.bytes() + self.lanes.bytes()
    }

    /// Realtime: takes out oldest fragments until so many bytes fit. When all that is left is being sent or grows, that one
    /// gives way: the open fragment is taken out, or, when a part of it is on the wire, ended.
    pub(super) fn make_room(&mut self, now: Mono, cost: u64, begins: bool) -> bool {
        if self.evict_for(now, cost) {
            return true;
        }
        if !begins && self.store.at_boundary() {
            let open = self.store.open().map(|fragment| fragment.id);
            if let Some(open) = open {
                self.evict(now, open, DropReason::Storage);
            }
        }
        false
    }

    /// Realtime: takes out oldest fragments until so many bytes fit.
    pub(super) fn evict_for(&mut self, now: Mono, cost: u64) -> bool {
        while self.bytes_kept() + cost > self.storage_limit() {
            if self.unload() {
                continue;
            }
            // What was read to be sent is on disk, too: nothing that is nowhere else goes for it.
            let read = self.store.read_to_send();
            if self.bytes_kept() + cost - read <= self.storage_limit() {
                return true;
            }
            let Some(oldest) = self.store.oldest_evictable().map(|fragment| fragment.id) else {
                return false;
            };
            self.evict(now, oldest, DropReason::Storage);
        }
        true
    }

    pub(super) fn evict_aged(&mut self, now: Mono, newest: Timestamp) {
        // What is old goes to disk, where it may be as old as `spool-max-age` says.
        while !self.spool_takes()
            && let Some(fragment) = self.store.oldest_evictable()
            && fragment.is_older(self.definition.buffer_duration, newest, now)
        {
            let id = fragment.id;
            self.evict(now, id, DropReason::Age);
        }
    }

    /// Takes a fragment out, counted and told: how many frames it had.
    pub(super) fn evict(&mut self, now: Mono, id: FragmentId, reason: DropReason) -> u64 {
        let was_open = self.store.open().is_some_and(|open| open.id == id);
        if let Some(eviction) = self.store.evict(id) {
            self.stats.fragments_dropped += 1;
            if was_open {
                self.cutter.close();
            }
            let frames = eviction.frames;
            self.lose(now, reason, frames, eviction.earliest, eviction.last);
            self.tell(Event::FragmentDropped {
                timecode: eviction.timecode,
                reason,
                frames,
            });
            return frames;
        }
        0
    }

    pub(super) fn lose(
        &mut self,
        now: Mono,
        reason: DropReason,
        frames: u64,
        from: Timestamp,
        to: Timestamp,
    ) {
        *self.stats.dropped.entry(reason).or_default() += frames;
        let loss = self.losses.entry(reason).or_insert(Loss {
            frames: 0,
            from,
            to,
            asked: false,
        });
        loss.frames += frames;
        loss.from = loss.from.min(from);
        loss.to = loss.to.max(to);
        self.losses_due.get_or_insert(now + LOSS_WINDOW);
    }

    pub(super) fn tell_losses(&mut self) {
        self.losses_due = None;
        for (reason, loss) in mem::take(&mut self.losses) {
            self.tell(Event::FramesDropped {
                reason,
                frames: loss.frames,
                from: loss.from,
                to: loss.to,
            });
        }
    }
}

/// The bytes of a frame in its place; with the timecode of the fragment that it begins. Heads share memory.
fn block(
    heads: &mut BytesMut,
    frame: &Frame,
    placed: &Placed,
) -> Option<(Block, Option<Timecode>)> {
    if heads.capacity() < LONGEST_HEAD {
        heads.reserve(HEADS);
    }
    let (track, length) = (frame.track, frame.payload.len());
    let begins = match placed {
        Placed::Dropped(_) => return None,
        Placed::Begins { timecode } => {
            mkv::push_cluster_header(heads, *timecode);
            mkv::push_simple_block_header(heads, track, 0, true, length);
            Some(*timecode)
        }
        Placed::Continues { offset_ms } => {
            mkv::push_simple_block_header(heads, track, *offset_ms, frame.key, length);
            None
        }
    };
    Some((
        Block {
            head: heads.split().freeze(),
            payload: frame.payload.clone(),
        },
        begins,
    ))
}
