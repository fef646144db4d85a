//! The end of a stream with a spool: what is not PERSISTED is on disk before it.
//!
//! Does not belong here: when the end is reached without it (`end`).

use super::{At, LEAVING, SpoolEvent};
use crate::{
    fragment::FragmentId,
    session::{Session, StreamError, state::State},
    time::Mono,
};

impl Session {
    /// Before the end: what is not PERSISTED is written. False: there is nothing to write, or it cannot be.
    pub(in crate::session) fn leaves(
        &mut self,
        now: Mono,
        outcome: &Result<(), StreamError>,
    ) -> bool {
        let is_open = self
            .spool
            .as_ref()
            .is_some_and(|spool| spool.at == At::Open);
        // One that has not answered for so long does not within a moment.
        let has_left = matches!(self.state, State::Leaving { .. });
        if !is_open || has_left || self.spool_hangs() {
            return false;
        }
        self.end_fragment();
        // Though it failed before: it is the last chance.
        if let Some(spool) = &mut self.spool {
            spool.paused = None;
        }
        if !self.is_writing() && self.store.oldest_unfiled().is_none() {
            return false;
        }
        self.drop_link();
        self.ending = None;
        self.enter(State::Leaving {
            until: now + LEAVING,
            outcome: Box::new(outcome.clone()),
        });
        true
    }

    fn is_writing(&self) -> bool {
        self.spool.as_ref().is_some_and(|spool| spool.writing > 0)
    }

    pub(super) fn leave_when_written(&mut self, now: Mono) {
        let State::Leaving { until, .. } = &self.state else {
            return;
        };
        // What could be written has been asked for.
        if !self.is_writing() || *until <= now {
            self.leave(now);
        }
    }

    /// The end, whether all is written or not.
    pub(in crate::session) fn leave(&mut self, now: Mono) {
        if let State::Leaving { outcome, .. } = &self.state {
            let outcome = (**outcome).clone();
            self.stop(now, outcome);
        }
    }

    /// After the end fragments that have a file stay there. How many frames they have.
    pub(in crate::session) fn leave_files(&mut self) -> u64 {
        self.tell_unwritten();
        let filed = self.store.filed().map(|fragment| fragment.id).collect();
        let left @ [_, frames, _] = self.leave_some_files(filed);
        self.tell_left_once(left);
        frames
    }

    /// These fragments stay in their files, for the next run: how many they are, their frames and bytes.
    pub(in crate::session) fn leave_some_files(&mut self, filed: Vec<FragmentId>) -> [u64; 3] {
        let fragments = filed.len() as u64;
        let (mut frames, mut bytes) = (0, 0);
        for id in filed {
            bytes += self.store.take_file(id).map_or(0, |file| file.bytes);
            frames += self.store.evict(id).map_or(0, |eviction| eviction.frames);
        }
        if let Some(spool) = &mut self.spool {
            spool.stats.frames_left += frames;
            spool.left += bytes;
        }
        [fragments, frames, bytes]
    }

    /// Nobody waits any longer for what is being written.
    fn tell_unwritten(&mut self) {
        let unwritten = || self.store.pending().filter(|it| it.file.is_none());
        if self.is_writing() && unwritten().any(|fragment| fragment.busy) {
            let (fragments, what) = (unwritten().count(), self.what_hangs(self.seen));
            self.tell_failing(format!(
                "{fragments} fragments are not kept at the end: {what}"
            ));
        }
    }

    /// An end that is not for good runs out of time: what is on disk is safe, so whoever waits may go on. False: not all is
    /// there. It has a moment more for it.
    pub(in crate::session) fn is_safe(&mut self, now: Mono, until: FragmentId) -> bool {
        if !self.spool_takes() {
            return false;
        }
        if let Some(ending) = &mut self.ending
            && !ending.flushed
        {
            (ending.flushed, ending.deadline) = (true, now + LEAVING);
            return true;
        }
        let is_safe = self.store.is_filed(until);
        if is_safe {
            let frames = self.store.filed().map(|fragment| fragment.frames).sum();
            let fragments = self.store.filed().count() as u64;
            self.tell_left_once([fragments, frames, self.store.on_disk()]);
        }
        is_safe
    }

    /// Ends may come one after the other.
    fn tell_left_once(&mut self, left @ [_, frames, _]: [u64; 3]) {
        if let Some(spool) = &mut self.spool
            && std::mem::replace(&mut spool.told_left, frames) != frames
        {
            self.tell_left(left);
        }
    }

    pub(in crate::session) fn tell_left(&mut self, [fragments, frames, bytes]: [u64; 3]) {
        if fragments > 0 {
            self.tell_spool(SpoolEvent::Left {
                fragments,
                frames,
                bytes,
            });
        }
    }
}
