//! [`Cursor`]: what of a [`Store`] was sent on the connection that there is, and what comes next.
//!
//! Belongs here: the order of the chunks. Does not belong here: when a connection begins and ends (`session`).

use bytes::Bytes;

use super::Store;
use crate::fragment::{Fragment, FragmentId};

/// The chunk that is sent next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) fragment: u64,
    pub(super) block: usize,
    /// The head of the block was sent, its payload was not.
    pub(super) head_sent: bool,
    /// Cost of the blocks before.
    pub(super) sent: u64,
}

impl Store {
    /// The fragment that the next chunk is of, when it is at that fragment's first byte.
    pub(crate) fn at_boundary(&self) -> bool {
        self.cursor.block == 0 && !self.cursor.head_sent
    }

    /// The fragment that the next chunk is of, if any has begun that may be sent.
    pub(crate) fn current(&self) -> Option<&Fragment> {
        self.at(self.cursor.fragment)
            .filter(|fragment| fragment.is_settled())
    }

    /// There is a chunk that was not sent since the last [`Self::rewind`].
    pub(crate) fn has_unsent(&self) -> bool {
        self.current()
            .is_some_and(|fragment| !fragment.away && self.cursor.block < fragment.parts())
    }

    /// The next chunk, in order. `None`: all that arrived was sent.
    pub(crate) fn next_chunk(&mut self) -> Option<Bytes> {
        let index = self.index(self.cursor.fragment)?;
        let fragment = &mut self.queue[index];
        if !fragment.is_settled() || fragment.away {
            return None;
        }
        let Some(block) = fragment.blocks.get(self.cursor.block) else {
            let tail = (self.cursor.block < fragment.parts()).then(|| fragment.tail.clone())?;
            self.cursor.block += 1;
            self.skip_settled();
            return Some(tail);
        };
        let chunk = if self.cursor.head_sent {
            self.cursor = Cursor {
                block: self.cursor.block + 1,
                head_sent: false,
                sent: self.cursor.sent + block.cost(),
                ..self.cursor
            };
            block.payload.clone()
        } else {
            let head = block.head.clone();
            self.cursor.head_sent = true;
            if self.cursor.block == 0 {
                fragment.sent += 1;
            }
            head
        };
        self.skip_settled();
        Some(chunk)
    }

    /// Sends again from the first fragment that is not PERSISTED.
    pub(crate) fn rewind(&mut self) {
        self.skip_to(FragmentId(0));
    }

    /// Sends from this fragment on. What is before it waits for another [`Self::rewind`].
    pub(crate) fn skip_to(&mut self, id: FragmentId) {
        self.from = id.0;
        self.cursor = Cursor {
            fragment: id.0,
            ..Cursor::default()
        };
        let before = self.queue.range(..self.position(id.0));
        self.sent = before.map(|fragment| fragment.cost).sum();
        self.skip_settled();
    }

    /// This fragment was sent as a whole since the last [`Self::rewind`].
    pub(super) fn was_sent(&self, id: FragmentId) -> bool {
        (self.from..self.cursor.fragment).contains(&id.0)
    }

    /// A fragment that was sent as a whole, and is not PERSISTED.
    pub(crate) fn sent_pending(&self) -> impl Iterator<Item = &Fragment> {
        self.pending_from(FragmentId(self.from))
            .take_while(|fragment| fragment.id.0 < self.cursor.fragment)
    }

    /// The oldest that was, or is to be, sent since the last [`Self::rewind`].
    pub(crate) fn first_of_session(&self) -> Option<&Fragment> {
        self.pending_from(FragmentId(self.from)).next()
    }

    /// Moves the cursor past fragments that have nothing left to send.
    pub(super) fn skip_settled(&mut self) {
        loop {
            let fragment = self.queue.get(self.position(self.cursor.fragment));
            let there = fragment.map_or(self.next, |fragment| fragment.id.0);
            if there != self.cursor.fragment {
                self.cursor = Cursor {
                    fragment: there,
                    ..Cursor::default()
                };
            }
            let is_sent = |it: &Fragment| it.complete && self.cursor.block == it.parts();
            if !fragment.is_some_and(is_sent) {
                return;
            }
            self.pass();
        }
    }

    /// Moves the cursor to the next fragment.
    fn pass(&mut self) {
        self.sent += self
            .at(self.cursor.fragment)
            .map_or(0, |fragment| fragment.cost);
        self.cursor = Cursor {
            fragment: self.cursor.fragment + 1,
            ..Cursor::default()
        };
    }
}
