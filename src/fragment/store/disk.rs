//! Fragments of a [`Store`] whose bytes are in a file, too, or only there.
//!
//! Belongs here: which fragment has which file, which bytes are in memory. Does not belong here: when it is written and read
//! (`session`), how (`spool`).

use bytes::Bytes;

use super::{Block, Fragment, FragmentId, Store};
use crate::{
    fragment::Spooled,
    time::{Mono, Timestamp},
};

/// A file of the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpoolFile {
    /// Its number.
    pub(crate) number: u64,
    /// Its length.
    pub(crate) bytes: u64,
}

/// Chunks of a fragment that was read from its file begin with so many bytes.
const HEAD: usize = 64;
/// And have so many: what is on its way to the wire holds little of the store.
const PIECE: usize = 256 << 10;
/// Fragments that are to be sent next, and so are read, and stay in memory.
pub(crate) const NEXT: usize = 2;

/// The first id of a store that may get older fragments later: more than there will ever be files.
const ROOM_BEFORE: u64 = 1 << 32;

impl Store {
    /// An empty store that may get older fragments by [`Self::restore`].
    pub(crate) fn with_room_before() -> Self {
        Self {
            next: ROOM_BEFORE,
            from: ROOM_BEFORE,
            unwritten: ROOM_BEFORE,
            cursor: super::Cursor {
                fragment: ROOM_BEFORE,
                ..super::Cursor::default()
            },
            ..Self::default()
        }
    }

    /// Fragments of a run before this one, older than all that are here. Nothing was sent yet.
    pub(crate) fn restore(&mut self, now: Mono, fragments: Vec<(SpoolFile, u32, Spooled)>) {
        debug_assert!(self.cursor.fragment == self.base() && self.at_boundary());
        for (file, epoch, about) in fragments.into_iter().rev() {
            let Some(id) = self.base().checked_sub(1) else {
                return;
            };
            (self.from, self.cursor.fragment) = (id, id);
            self.on_disk += file.bytes;
            self.queue.push_front(Fragment {
                id: FragmentId(id),
                timecode: about.timecode,
                tracks: about.tracks,
                absent: 0,
                epoch,
                start: about.start,
                tags: Vec::new(),
                tail: Bytes::new(),
                blocks: Vec::new(),
                frames: about.frames,
                complete: true,
                cost: 0,
                first: about.first,
                earliest: about.earliest,
                last: about.last,
                began: now,
                arrived: now,
                refused: 0,
                sent: 0,
                file: Some(file),
                busy: false,
                away: true,
                restored: true,
            });
        }
    }

    /// Bytes of all files of fragments that are kept.
    pub(crate) fn on_disk(&self) -> u64 {
        self.on_disk
    }

    /// The fragment that comes next on the wire is in its file only, or is being read.
    pub(crate) fn awaits_disk(&self) -> bool {
        self.current().is_some_and(|fragment| fragment.away)
    }

    /// Fragments with a file.
    pub(crate) fn filed(&self) -> impl Iterator<Item = &Fragment> {
        self.pending().filter(|fragment| fragment.file.is_some())
    }

    /// All fragments before this one are settled, or have a file.
    pub(crate) fn is_filed(&self, before: FragmentId) -> bool {
        let mut those = self.pending().take_while(|fragment| fragment.id < before);
        those.all(|fragment| fragment.file.is_some())
    }

    /// The oldest of them that may be taken out: it is not half sent; rather one that was not sent than one whose ack may be on
    /// its way.
    pub(crate) fn oldest_filed_evictable(&self) -> Option<FragmentId> {
        let half_sent = (!self.at_boundary()).then_some(self.cursor.fragment);
        let mut ids = self.filed().map(|fragment| fragment.id);
        let first = ids.find(|id| Some(id.0) != half_sent)?;
        let unsent = |id: &FragmentId| !self.was_sent(*id) && Some(id.0) != half_sent;
        Some([first].into_iter().chain(ids).find(unsent).unwrap_or(first))
    }

    /// The oldest complete fragment without a file, of which none is being written.
    pub(crate) fn oldest_unfiled(&self) -> Option<&Fragment> {
        self.unfiled().find(|fragment| fragment.complete)
    }

    fn unfiled(&self) -> impl Iterator<Item = &Fragment> {
        let unwritten = self.pending_from(FragmentId(self.unwritten));
        unwritten.filter(|it| it.file.is_none() && !it.busy)
    }

    /// Bytes in memory of fragments without a file, and of which none is being written.
    pub(crate) fn unfiled_bytes(&self) -> u64 {
        self.unfiled().map(|fragment| fragment.cost).sum()
    }

    /// What is to be written of this fragment, from now on: all of it.
    pub(crate) fn write(&mut self, id: FragmentId) -> Option<(Spooled, Vec<Bytes>)> {
        let fragment = self.pending_mut(id)?;
        fragment.busy = true;
        let fragment = self.get(id)?;
        let mut body = Vec::with_capacity(fragment.blocks.len() * 2 + 1);
        for block in &fragment.blocks {
            body.extend([block.head.clone(), block.payload.clone()]);
        }
        if !fragment.tail.is_empty() {
            body.push(fragment.tail.clone());
        }
        let about = Spooled {
            timecode: fragment.timecode,
            tracks: fragment.tracks.clone(),
            start: fragment.start,
            first: fragment.first,
            earliest: fragment.earliest,
            last: fragment.last,
            frames: fragment.frames,
            length: body.iter().map(|bytes| bytes.len() as u64).sum(),
        };
        if self.oldest_unfiled().is_none_or(|other| other.id > id) {
            self.unwritten = self.unwritten.max(id.0 + 1);
        }
        Some((about, body))
    }

    /// It has this file. False: it is not kept any more, so the file has no use.
    pub(crate) fn written(&mut self, id: FragmentId, file: SpoolFile) -> bool {
        let Some(fragment) = self.pending_mut(id) else {
            return false;
        };
        fragment.busy = false;
        fragment.file = Some(file);
        self.twice += 1;
        self.on_disk += file.bytes;
        true
    }

    /// It was neither written nor read.
    pub(crate) fn let_be(&mut self, id: FragmentId) {
        if let Some(fragment) = self.pending_mut(id) {
            fragment.busy = false;
            self.unwritten = self.unwritten.min(id.0);
        }
    }

    /// The next fragment to read: the one that comes next on the wire, or the one after it if it is not larger than `room`.
    pub(crate) fn next_to_read(&mut self, room: u64) -> Option<(FragmentId, SpoolFile)> {
        let first = self.position(self.cursor.fragment);
        for (index, fragment) in self.queue.range_mut(first..).take(NEXT).enumerate() {
            let fits = |file: &SpoolFile| index == 0 || file.bytes <= room;
            let file = fragment.file.filter(fits);
            if let Some(file) = file.filter(|_| fragment.away && !fragment.busy) {
                fragment.busy = true;
                return Some((fragment.id, file));
            }
        }
        None
    }

    /// Its bytes are here again.
    pub(crate) fn read(&mut self, id: FragmentId, mut body: Bytes) {
        let Some(fragment) = self.pending_mut(id).filter(|fragment| fragment.away) else {
            return;
        };
        fragment.busy = false;
        fragment.away = false;
        while !body.is_empty() {
            let mut payload = body.split_to(body.len().min(PIECE));
            let head = payload.split_to(payload.len().min(HEAD));
            fragment.blocks.push(Block { head, payload });
        }
        fragment.cost = fragment.blocks.iter().map(Block::cost).sum();
        let cost = fragment.cost;
        self.bytes += cost;
        self.twice += 1;
        // The cursor may have gone elsewhere meanwhile.
        if id.0 < self.cursor.fragment {
            self.sent += cost;
        }
    }

    /// Bytes in memory of the fragment that comes next on the wire, if they are in its file, too.
    pub(crate) fn read_to_send(&self) -> u64 {
        let next = self.at(self.cursor.fragment);
        let next = next.filter(|fragment| fragment.is_twice());
        next.map_or(0, |fragment| fragment.cost)
    }

    /// Takes the bytes of a fragment out of memory that are in its file, too: of the newest that is not half sent, nor one of
    /// the first so many that come next on the wire. False: there is none.
    pub(crate) fn unload(&mut self, spared: usize) -> bool {
        let half_sent = usize::from(!self.at_boundary());
        let first = self.position(self.cursor.fragment);
        let next = first..first + spared.max(half_sent);
        let is_twice = |fragment: &&Fragment| fragment.is_twice();
        let spared = self.queue.range(first..).take(next.len()).filter(is_twice);
        // Those that are away are not looked through for nothing: they may be thousands.
        if spared.count() == self.twice {
            return false;
        }
        let mut fragments = self.queue.iter_mut().enumerate().rev();
        let newest = fragments.find(|(at, fragment)| fragment.is_twice() && !next.contains(at));
        let Some((_, fragment)) = newest else {
            return false;
        };
        self.twice -= 1;
        let cost = std::mem::take(&mut fragment.cost);
        let sent = fragment.id.0 < self.cursor.fragment;
        self.settled.push(std::mem::take(&mut fragment.blocks));
        fragment.tail = Bytes::new();
        fragment.away = true;
        self.bytes -= cost;
        if sent {
            self.sent -= cost;
        }
        true
    }

    /// Takes its file from a fragment: it stays on disk, whatever becomes of the fragment.
    pub(crate) fn take_file(&mut self, id: FragmentId) -> Option<SpoolFile> {
        let fragment = self.pending_mut(id)?;
        let was_twice = fragment.is_twice();
        let file = fragment.file.take()?;
        self.twice -= usize::from(was_twice);
        self.on_disk -= file.bytes;
        Some(file)
    }

    /// Files of fragments that are not kept any more, since the last time.
    pub(crate) fn take_useless_files(&mut self) -> Vec<SpoolFile> {
        std::mem::take(&mut self.useless)
    }

    /// The presentation time of the oldest frame that is on disk.
    pub(crate) fn oldest_filed(&self) -> Option<Timestamp> {
        self.filed().map(|fragment| fragment.first).next()
    }
}
