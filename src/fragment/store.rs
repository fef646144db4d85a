//! [`Store`]: the fragments that the service does not have for good yet, and what of them was sent.
//!
//! In: blocks in their fragments. Out: chunks in order ([`Store::next_chunk`]), again from the first fragment that is
//! not PERSISTED after [`Store::rewind`].
//! Belongs here: order, cursor, bytes held, what may be evicted. Does not belong here: when to evict, and acks (`session`).

mod cursor;
mod disk;

use std::collections::VecDeque;

use cursor::Cursor;
pub(crate) use disk::{NEXT, SpoolFile};

use super::{Block, Fragment, FragmentId, tag_cost};
use crate::{
    media::{Track, TrackNumber},
    mkv::{self, Tag},
    time::{Timecode, Timestamp},
};

/// Fragments in order, front = oldest. What is settled is not there any more, also where older ones are.
///
/// The cursor is at a fragment that is there, or at `next`. Only [`Self::rewind`] and [`Self::skip_to`] move it back; what it
/// has passed since then, from `from` on, was sent.
#[derive(Default)]
pub(crate) struct Store {
    queue: VecDeque<Fragment>,
    /// Id of the fragment that comes next.
    next: u64,
    /// Where the cursor began after the last [`Self::rewind`].
    from: u64,
    cursor: Cursor,
    /// Sum of the cost of all fragments.
    bytes: u64,
    /// Of those before the cursor's, also of those before `from`.
    sent: u64,
    /// Blocks of what was PERSISTED last.
    settled: Vec<Vec<Block>>,
    /// Bytes of the files of all fragments.
    on_disk: u64,
    /// Fragments that are in memory and have a file.
    twice: usize,
    /// The presentation time of the newest frame that was put in last.
    newest: Option<Timestamp>,
    /// All fragments before this one have a file, or get one: what is on disk is not looked through for each frame.
    unwritten: u64,
    /// Files of fragments that are not kept any more.
    useless: Vec<SpoolFile>,
}

/// Frames that were taken out of the store before they were PERSISTED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Eviction {
    pub(crate) timecode: Timecode,
    pub(crate) frames: u64,
    pub(crate) earliest: Timestamp,
    pub(crate) last: Timestamp,
}

impl Store {
    /// Bytes held, with their overhead.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of them that come next on the wire.
    pub(crate) fn unsent(&self) -> u64 {
        self.bytes - self.sent - self.cursor.sent
    }

    /// Frames that are not PERSISTED.
    pub(crate) fn frames(&self) -> u64 {
        self.queue.iter().map(|fragment| fragment.frames).sum()
    }

    /// Fragments that are not PERSISTED.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &Fragment> {
        self.queue.iter()
    }

    /// The presentation time of the newest frame, if any is kept.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        let last = self.queue.back()?.last;
        Some(self.newest.unwrap_or(last))
    }

    /// Everything that was put in is settled.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Every fragment before this one is settled.
    pub(crate) fn settled(&self, before: FragmentId) -> bool {
        before.0 <= self.base()
    }

    /// Id of the oldest fragment, or of the one that comes next.
    fn base(&self) -> u64 {
        self.queue.front().map_or(self.next, |oldest| oldest.id.0)
    }

    /// The id of the fragment that [`Self::begin`] takes next.
    pub(crate) fn next_id(&self) -> FragmentId {
        FragmentId(self.next)
    }

    /// Begins a fragment with the id [`Self::next_id`]; the one before is complete.
    pub(crate) fn begin(&mut self, fragment: Fragment) {
        debug_assert_eq!(fragment.id, self.next_id());
        debug_assert!(self.open().is_none());
        self.bytes += fragment.cost;
        self.next += 1;
        self.queue.push_back(fragment);
    }

    /// The fragment that frames go into.
    pub(crate) fn open(&self) -> Option<&Fragment> {
        self.queue.back().filter(|fragment| !fragment.complete)
    }

    /// Adds a block of this track to the open fragment; `at` is its producer timestamp. False when no fragment is open.
    pub(crate) fn push(
        &mut self,
        track: TrackNumber,
        block: Block,
        at: Timestamp,
        now: crate::time::Mono,
    ) -> bool {
        let Some(open) = self.queue.back_mut().filter(|fragment| !fragment.complete) else {
            return false;
        };
        if open.absent != 0
            && let Some(place) = place(open, track)
        {
            open.absent &= !(1 << place);
        }
        let cost = block.cost();
        open.cost += cost;
        open.earliest = open.earliest.min(at);
        open.last = open.last.max(at);
        open.arrived = now;
        open.blocks.push(block);
        open.frames += 1;
        self.newest = Some(open.last);
        self.bytes += cost;
        true
    }

    /// A tag for the open fragment. False when no fragment is open.
    pub(crate) fn tag(&mut self, tag: Tag) -> bool {
        let Some(open) = self.queue.back_mut().filter(|fragment| !fragment.complete) else {
            return false;
        };
        let cost = tag_cost(&tag);
        open.tags.push(tag);
        open.cost += cost;
        self.bytes += cost;
        true
    }

    /// A tag for the open fragment, in place of one of the same name.
    pub(crate) fn retag(&mut self, tag: Tag) {
        if let Some(open) = self.queue.back_mut().filter(|fragment| !fragment.complete) {
            let of_that_name = |other: &Tag| other.name() == tag.name();
            let before: u64 = open
                .tags
                .iter()
                .filter(|other| of_that_name(other))
                .map(tag_cost)
                .sum();
            open.tags.retain(|other| !of_that_name(other));
            open.cost -= before;
            self.bytes -= before;
        }
        self.tag(tag);
    }

    /// No frame follows in the open fragment. Its header declares the tracks that it has: those that are left out.
    pub(crate) fn complete(&mut self) -> Vec<TrackNumber> {
        let mut left_out = Vec::new();
        if let Some(last) = self.queue.back_mut().filter(|fragment| !fragment.complete) {
            for place in 0..last.tracks.len() {
                if last.absent & (1 << place) != 0 {
                    left_out.push(last.tracks[place].number());
                }
            }
            last.complete = true;
            last.tail = mkv::tags(&std::mem::take(&mut last.tags));
        }
        for track in &left_out {
            self.leave_out(*track, true);
        }
        self.skip_settled();
        left_out
    }

    /// The open fragment is not to wait for a frame of this track.
    pub(crate) fn forgo(&mut self, track: TrackNumber) {
        self.leave_out(track, false);
    }

    fn leave_out(&mut self, track: TrackNumber, complete: bool) {
        if let Some(last) = self.queue.back_mut()
            && last.absent != 0
            && last.complete == complete
            && let Some(place) = place(last, track)
            && last.absent & (1 << place) != 0
        {
            let others = last.tracks.iter().filter(|other| other.number() != track);
            last.tracks = others.cloned().collect();
            // The places behind it move up by one.
            let before = last.absent & ((1 << place) - 1);
            last.absent = before | ((last.absent >> (place + 1)) << place);
        }
    }

    /// Another track for the open fragment, which must not be settled; a frame of it follows.
    pub(crate) fn join(&mut self, track: Track) {
        let open = self.queue.back_mut();
        let Some(open) = open.filter(|fragment| !fragment.complete && !fragment.is_settled())
        else {
            return;
        };
        let number = track.number();
        let place = open.tracks.partition_point(|other| other.number() < number);
        let mut tracks = open.tracks.to_vec();
        tracks.insert(place, track);
        open.tracks = tracks.into();
        let before = open.absent & ((1 << place) - 1);
        open.absent = before | ((open.absent >> place) << (place + 1));
    }

    /// Fragments that are not PERSISTED, from this id on.
    pub(crate) fn pending_from(&self, id: FragmentId) -> impl Iterator<Item = &Fragment> + use<'_> {
        self.queue.range(self.position(id.0)..)
    }

    /// The newest fragment that is whole.
    pub(crate) fn newest_complete(&self) -> Option<&Fragment> {
        self.queue.iter().rev().find(|fragment| fragment.complete)
    }

    /// The fragment of this timecode that is not PERSISTED. Those of another epoch were sent on another connection.
    pub(crate) fn find(&self, epoch: u32, timecode: Timecode) -> Option<FragmentId> {
        let is_it = |fragment: &&Fragment| fragment.timecode == timecode && fragment.epoch == epoch;
        self.pending().find(is_it).map(|fragment| fragment.id)
    }

    /// This fragment, if it is kept.
    pub(crate) fn get(&self, id: FragmentId) -> Option<&Fragment> {
        self.at(id.0)
    }

    /// This fragment, if it is kept and was sent as a whole.
    pub(crate) fn get_sent(&self, id: FragmentId) -> Option<&Fragment> {
        self.get(id).filter(|_| self.was_sent(id))
    }

    /// The service has this fragment for good. Its frames, and when the newest arrived.
    pub(crate) fn persisted(&mut self, id: FragmentId) -> Option<(u64, crate::time::Mono)> {
        // Only what was sent as a whole can be acknowledged; anything else is a mistake of the other side.
        if !self.was_sent(id) {
            return None;
        }
        let fragment = self.remove(id)?;
        self.settled.push(fragment.blocks);
        Some((fragment.frames, fragment.arrived))
    }

    /// The blocks of what was PERSISTED since the last time: whoever takes them says when their memory is freed.
    pub(crate) fn take_settled(&mut self) -> Vec<Vec<Block>> {
        std::mem::take(&mut self.settled)
    }

    /// Counts a refusal of this fragment: how many it has had.
    pub(crate) fn refused(&mut self, id: FragmentId) -> Option<u32> {
        let fragment = self.pending_mut(id)?;
        fragment.refused += 1;
        Some(fragment.refused)
    }

    /// Takes this fragment out. What follows in it, if it is open, has no place any more.
    pub(crate) fn evict(&mut self, id: FragmentId) -> Option<Eviction> {
        let fragment = self.remove(id)?;
        Some(Eviction {
            timecode: fragment.timecode,
            frames: fragment.frames,
            earliest: fragment.earliest,
            last: fragment.last,
        })
    }

    fn pending_mut(&mut self, id: FragmentId) -> Option<&mut Fragment> {
        let index = self.index(id.0)?;
        self.queue.get_mut(index)
    }

    /// The oldest fragment that may be taken out of memory: complete, and not half sent.
    pub(crate) fn oldest_evictable(&self) -> Option<&Fragment> {
        self.pending().find(|fragment| {
            let half_sent = fragment.id.0 == self.cursor.fragment && !self.at_boundary();
            fragment.complete && !half_sent && fragment.file.is_none()
        })
    }

    fn at(&self, id: u64) -> Option<&Fragment> {
        self.queue.get(self.index(id)?)
    }

    fn index(&self, id: u64) -> Option<usize> {
        let position = self.position(id);
        let fragment = self.queue.get(position)?;
        (fragment.id.0 == id).then_some(position)
    }

    /// Where this fragment is, or the first one after it.
    fn position(&self, id: u64) -> usize {
        // Without gaps, which is nearly always.
        let offset = usize::try_from(id.saturating_sub(self.base())).unwrap_or(usize::MAX);
        match self.queue.get(offset) {
            Some(fragment) if fragment.id.0 == id => offset,
            _ => self.queue.partition_point(|fragment| fragment.id.0 < id),
        }
    }

    /// Takes a fragment out that is settled.
    fn remove(&mut self, id: FragmentId) -> Option<Fragment> {
        let fragment = self.queue.remove(self.index(id.0)?)?;
        self.bytes -= fragment.cost;
        if id.0 < self.cursor.fragment {
            self.sent -= fragment.cost;
        }
        self.twice -= usize::from(fragment.is_twice());
        if let Some(file) = fragment.file {
            self.on_disk -= file.bytes;
            self.useless.push(file);
        }
        self.skip_settled();
        Some(fragment)
    }
}

/// The place of a track in the header of a fragment.
fn place(fragment: &Fragment, track: TrackNumber) -> Option<usize> {
    let mut tracks = fragment.tracks.iter();
    tracks.position(|other| other.number() == track)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{fragment::tests::tracks, time::Mono};

    impl Store {
        fn add(&mut self, ms: u64, frames: usize, complete: bool) {
            let at = Timestamp::from_millis(ms);
            self.complete();
            self.begin(Fragment {
                id: self.next_id(),
                timecode: Timecode::from_millis(ms),
                tracks: tracks(640),
                absent: 0,
                epoch: 0,
                start: Timestamp::ZERO,
                tags: Vec::new(),
                tail: Bytes::new(),
                blocks: Vec::new(),
                frames: 0,
                complete: false,
                cost: 0,
                first: at,
                earliest: at,
                last: at,
                began: Mono::default(),
                arrived: Mono::default(),
                refused: 0,
                sent: 0,
                file: None,
                busy: false,
                away: false,
                restored: false,
            });
            for n in 0..frames {
                self.push(TrackNumber::VIDEO, block(ms, n), at, Mono::default());
            }
            if complete {
                self.complete();
            }
        }

        fn of(&self, ms: u64) -> FragmentId {
            self.find(0, tc(ms)).unwrap_or(FragmentId(u64::MAX))
        }

        fn drain(&mut self) -> Vec<String> {
            std::iter::from_fn(|| self.next_chunk())
                .map(|chunk| String::from_utf8(chunk.to_vec()).unwrap())
                .collect()
        }
    }

    fn block(ms: u64, n: usize) -> Block {
        Block {
            head: Bytes::from(format!("{ms}.{n}h")),
            payload: Bytes::from(format!("{ms}.{n}p")),
        }
    }

    fn tc(ms: u64) -> Timecode {
        Timecode::from_millis(ms)
    }

    #[test]
    fn a_fragment_leaves_while_it_grows() {
        let mut store = Store::default();
        store.add(0, 1, false);
        assert_eq!(store.drain(), ["0.0h", "0.0p"]);
        store.push(
            TrackNumber::VIDEO,
            block(0, 1),
            Timestamp::from_millis(40),
            Mono::default(),
        );
        assert_eq!(store.drain(), ["0.1h", "0.1p"]);
        assert_eq!(store.current().map(|f| f.id), Some(FragmentId(0)));
        store.complete();
        assert!(store.current().is_none() && store.at_boundary());
    }

    /// Three video tracks, as those of one fragment.
    fn three() -> Vec<Track> {
        let track = |number: u8| {
            let number = TrackNumber::new(number).unwrap();
            tracks(640)[0].clone().with_number(number)
        };
        [1, 2, 3].map(track).into()
    }

    fn of_track(store: &mut Store, number: u8) {
        let number = TrackNumber::new(number).unwrap();
        store.push(number, block(0, 0), Timestamp::ZERO, Mono::default());
    }

    fn numbers(tracks: &[Track]) -> Vec<u8> {
        tracks.iter().map(|track| track.number().get()).collect()
    }

    #[test]
    fn a_fragment_waits_for_a_frame_of_each_of_its_tracks() {
        let mut store = Store::default();
        store.add(0, 0, false);
        let open = store.queue.back_mut().unwrap();
        (open.tracks, open.absent) = (three().into(), 0b111);
        of_track(&mut store, 1);
        of_track(&mut store, 3);
        assert!(!store.has_unsent() && store.next_chunk().is_none());
        of_track(&mut store, 2);
        assert_eq!(store.drain().len(), 6);
        assert_eq!(numbers(&store.open().unwrap().tracks), [1, 2, 3]);
    }

    #[test]
    fn a_fragment_declares_the_tracks_that_it_has() {
        let mut store = Store::default();
        store.add(0, 0, false);
        let open = store.queue.back_mut().unwrap();
        (open.tracks, open.absent) = (three().into(), 0b111);
        of_track(&mut store, 2);
        store.forgo(TrackNumber::VIDEO);
        assert_eq!(store.open().unwrap().absent, 0b10);
        store.join(three()[0].clone());
        assert_eq!(store.open().unwrap().absent, 0b100);
        of_track(&mut store, 1);
        assert_eq!(store.complete(), [TrackNumber::new(3).unwrap()]);
        assert_eq!(numbers(&store.current().unwrap().tracks), [1, 2]);
        assert_eq!(store.drain().len(), 4);
    }

    #[test]
    fn tags_are_sent_behind_the_blocks_and_again_with_them() {
        let mut store = Store::default();
        let tag = |name: &str, value: &str| Tag::new(name, value).unwrap();
        store.add(0, 1, false);
        assert!(store.tag(tag("door", "open")) && store.tag(tag("site", "yard")));
        store.retag(tag("site", "gate"));
        assert_eq!(store.drain().len(), 2);
        assert!(!store.has_unsent());
        store.complete();
        let tags = mkv::tags(&[tag("door", "open"), tag("site", "gate")]);
        assert!(store.has_unsent() && !store.at_boundary());
        assert_eq!(store.next_chunk(), Some(tags.clone()));
        assert!(store.at_boundary() && store.next_chunk().is_none());
        store.rewind();
        assert_eq!(std::iter::from_fn(|| store.next_chunk()).count(), 3);
        assert!(!store.tag(tag("late", "")), "no fragment is open");
        assert!(store.bytes() > tags.len() as u64);
        store.persisted(store.of(0));
        assert_eq!(store.bytes(), 0);
    }

    #[test]
    fn fragments_of_two_times_may_have_one_timecode() {
        let mut store = Store::default();
        store.add(0, 1, true);
        store.add(0, 1, true);
        store.queue.back_mut().unwrap().epoch = 1;
        assert_eq!(store.find(0, tc(0)), Some(FragmentId(0)));
        assert_eq!(store.find(1, tc(0)), Some(FragmentId(1)));
    }

    #[test]
    fn a_rewind_sends_the_same_bytes_from_the_first_fragment_that_is_not_persisted() {
        let mut store = Store::default();
        for n in 0..3 {
            store.add(n * 1000, 2, true);
        }
        let all = store.drain();
        assert_eq!(store.persisted(store.of(0)), Some((2, Mono::default())));
        store.rewind();
        assert_eq!(store.drain(), all[4..]);
    }

    #[test]
    fn what_is_persisted_out_of_order_is_not_sent_again() {
        let mut store = Store::default();
        for n in 0..3 {
            store.add(n * 1000, 1, true);
        }
        store.drain();
        store.persisted(store.of(1000));
        assert_eq!(store.frames(), 2);
        store.rewind();
        assert_eq!(store.drain(), ["0.0h", "0.0p", "2000.0h", "2000.0p"]);
        store.persisted(store.of(0));
        store.persisted(store.of(2000));
        assert!(store.is_empty());
        assert_eq!(store.bytes(), 0);
    }

    #[test]
    fn what_is_skipped_waits_for_the_next_rewind_and_no_ack_means_it() {
        let mut store = Store::default();
        for n in 0..4 {
            store.add(n * 1000, 1, n < 3);
        }
        let all = store.drain();
        store.skip_to(store.of(2000));
        assert_eq!(store.drain(), all[4..]);
        assert_eq!(store.sent_pending().count(), 1);
        assert_eq!(store.persisted(store.of(1000)), None, "of another session");
        assert_eq!(store.persisted(store.of(2000)), Some((1, Mono::default())));
        assert!(!store.settled(store.of(3000)) && store.next_chunk().is_none());
        assert_eq!(store.newest_complete().map(|f| f.timecode), Some(tc(1000)));
        store.rewind();
        let rest = [&all[..4], &all[6..]].concat();
        assert_eq!(store.drain(), rest);
    }

    #[test]
    fn an_ack_for_what_was_not_sent_changes_nothing() {
        let mut store = Store::default();
        store.add(0, 1, false);
        store.next_chunk();
        assert_eq!(store.persisted(store.of(0)), None, "half sent");
        assert_eq!(store.persisted(store.of(7)), None, "unknown");
        assert_eq!(store.frames(), 1);
    }

    #[test]
    fn a_fragment_that_is_being_sent_is_not_evicted() {
        let mut store = Store::default();
        store.add(0, 1, true);
        store.add(1000, 1, true);
        store.add(2000, 1, false);
        store.next_chunk();
        assert_eq!(store.oldest_evictable().map(|f| f.timecode), Some(tc(1000)));
        assert_eq!(store.evict(store.of(1000)).map(|e| e.frames), Some(1));
        assert_eq!(
            store.oldest_evictable().map(|f| f.timecode),
            None,
            "one half sent, one open"
        );
        assert_eq!(store.drain(), ["0.0p", "2000.0h", "2000.0p"]);
    }

    #[test]
    fn evicting_the_open_fragment_closes_it() {
        let mut store = Store::default();
        store.add(0, 2, false);
        store.drain();
        assert_eq!(store.evict(store.of(0)).map(|e| e.frames), Some(2));
        assert!(!store.push(
            TrackNumber::VIDEO,
            block(0, 2),
            Timestamp::from_millis(80),
            Mono::default()
        ));
        store.add(1000, 1, true);
        assert_eq!(store.drain(), ["1000.0h", "1000.0p"]);
    }

    #[test]
    fn an_eviction_spans_the_times_of_all_its_frames() {
        let mut store = Store::default();
        store.add(1000, 1, false);
        for ms in [960, 1080, 1040] {
            let at = Timestamp::from_millis(ms);
            store.push(TrackNumber::VIDEO, block(1000, 1), at, Mono::default());
        }
        let eviction = store.evict(store.of(1000)).unwrap();
        assert_eq!(eviction.earliest, Timestamp::from_millis(960));
        assert_eq!(eviction.last, Timestamp::from_millis(1080));
    }

    #[derive(Clone, Debug)]
    enum Operation {
        Begin,
        Push,
        Complete,
        Send(usize),
        Persist(usize),
        Evict,
        Rewind,
        Skip(usize),
        Write,
        Unload(usize),
        /// A file begins to be read; one that is being read, is.
        Read,
        HasRead(usize),
        /// Its file stays, whatever becomes of it.
        Leave,
        EvictFile,
    }

    /// What a file has.
    const READ: &str = "read";

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            2 => Just(Operation::Begin),
            4 => Just(Operation::Push),
            1 => Just(Operation::Complete),
            4 => (1..6_usize).prop_map(Operation::Send),
            3 => (0..8_usize).prop_map(Operation::Persist),
            1 => Just(Operation::Evict),
            1 => Just(Operation::Rewind),
            1 => (0..8_usize).prop_map(Operation::Skip),
            3 => Just(Operation::Write),
            2 => (0..3_usize).prop_map(Operation::Unload),
            3 => Just(Operation::Read),
            3 => (0..4_usize).prop_map(Operation::HasRead),
            1 => Just(Operation::Leave),
            1 => Just(Operation::EvictFile),
        ]
    }

    proptest! {
        /// Whatever happens: bytes and frames are those that are kept, chunks of one fragment come in order from its
        /// first, and nothing that is settled is sent.
        #[test]
        fn the_store_keeps_its_books(operations in proptest::collection::vec(operation(), 1..200)) {
            let mut store = Store::default();
            let (mut taken, mut settled, mut next_ms) = (0, 0, 0_u64);
            let mut gone = std::collections::HashSet::new();
            let mut expected: Option<(String, usize)> = None;
            let mut reads = Vec::new();
            for operation in operations {
                match operation {
                    Operation::Begin => {
                        next_ms += 1000;
                        store.add(next_ms, 1, false);
                        taken += 1;
                    }
                    Operation::Push => {
                        let n = store.open().map(|f| f.blocks.len());
                        if let Some(n) = n {
                            store.push(TrackNumber::VIDEO, block(next_ms, n), Timestamp::from_millis(next_ms), Mono::default());
                            taken += 1;
                        }
                    }
                    Operation::Complete => drop(store.complete()),
                    Operation::Send(count) => for _ in 0..count {
                        let Some(chunk) = store.next_chunk() else { break };
                        let text = String::from_utf8(chunk.to_vec()).unwrap();
                        // Nothing is behind the head of what was read: it is short.
                        let Some((fragment, part)) = text.split_once('.') else { continue };
                        if part == READ {
                            prop_assert!(!gone.contains(fragment), "{text} was settled");
                            expected = None;
                            continue;
                        }
                        prop_assert!(!gone.contains(fragment), "{text} was settled");
                        let part = 2 * part[..part.len() - 1].parse::<usize>().unwrap() + usize::from(part.ends_with('p'));
                        match &expected {
                            Some((current, next)) if current == fragment => prop_assert_eq!(part, *next),
                            _ => prop_assert_eq!(part, 0, "{} does not begin", text),
                        }
                        expected = Some((fragment.to_owned(), part + 1));
                    },
                    Operation::Persist(index) => {
                        let timecode = store.sent_pending().nth(index).map(|f| f.timecode);
                        if let Some((frames, _)) = timecode.and_then(|timecode| store.persisted(store.of(timecode.as_millis()))) {
                            settled += frames;
                            gone.extend(timecode.map(|t| t.as_millis().to_string()));
                        }
                    }
                    Operation::Evict => {
                        let timecode = store.oldest_evictable().map(|f| f.timecode);
                        if let Some(eviction) = timecode.and_then(|timecode| store.evict(store.of(timecode.as_millis()))) {
                            settled += eviction.frames;
                            gone.insert(eviction.timecode.as_millis().to_string());
                        }
                    }
                    Operation::Rewind => {
                        store.rewind();
                        expected = None;
                    }
                    Operation::Write => {
                        let id = store.oldest_unfiled().map(|f| f.id);
                        if let Some(id) = id {
                            store.write(id).unwrap();
                            let file = SpoolFile { number: id.0, bytes: 7 };
                            prop_assert!(store.written(id, file));
                        }
                    }
                    Operation::Unload(spared) => drop(store.unload(spared)),
                    Operation::Read => reads.extend(store.next_to_read(u64::MAX)),
                    Operation::HasRead(index) => if index < reads.len() {
                        let (id, _) = reads.swap_remove(index);
                        let name = store.get(id).map(|f| f.timecode.as_millis());
                        store.read(id, format!("{}.{READ}", name.unwrap_or(0)).into());
                    }
                    Operation::Leave | Operation::EvictFile => {
                        if let Some(id) = store.oldest_filed_evictable() {
                            if matches!(operation, Operation::Leave) {
                                prop_assert!(store.take_file(id).is_some());
                            }
                            let eviction = store.evict(id).unwrap();
                            settled += eviction.frames;
                            gone.insert(eviction.timecode.as_millis().to_string());
                        }
                    }
                    Operation::Skip(index) => {
                        let id = store.pending().nth(index).map(|f| f.id);
                        if let Some(id) = id {
                            store.skip_to(id);
                            prop_assert_eq!(store.cursor.fragment, id.0);
                            expected = None;
                        }
                    }
                }
                prop_assert_eq!(taken, settled + store.frames());
                prop_assert_eq!(store.bytes(), store.pending().flat_map(|f| &f.blocks).map(Block::cost).sum::<u64>());
                let files = store.pending().filter_map(|f| f.file).map(|file| file.bytes);
                prop_assert_eq!(store.on_disk(), files.sum::<u64>());
                prop_assert_eq!(store.twice, store.pending().filter(|f| f.is_twice()).count());
                let later = |f: &&Fragment| f.id.0 >= store.cursor.fragment;
                let unsent = store.pending().filter(later).flat_map(|f| {
                    let sent = if f.id.0 == store.cursor.fragment { store.cursor.block } else { 0 };
                    f.blocks.iter().skip(sent)
                });
                prop_assert_eq!(store.unsent(), unsent.map(Block::cost).sum::<u64>());
            }
        }
    }
}
