//! Live media first, and the backlog with what the link has left (`spool-order=live-first`): in turns, since the service takes one
//! connection for each stream, and on it only timecodes that grow. Each turn is a session of its own.
//!
//! A turn of live media sends the complete fragments that came since the last one, as fast as the link takes them, and is over when
//! it has caught up. A turn of the backlog sends the oldest, for [`TURN`], and then until live media waits. Whoever is not behind for more
//! than [`BEHIND`] takes no turns: all is sent in its order.
//!
//! Belongs here: whose turn it is, and when it is over. Does not belong here: how a session ends (`link`).

use std::time::Duration;

use super::{Session, state::Link};
use crate::{
    definition::SpoolOrder,
    fragment::{Fragment, FragmentId},
    time::Mono,
};

/// How long a turn of the backlog is, and so how late live media is on a link that is much faster, but for the fragment under way and
/// the change itself. Each change costs the last ack of a session and the request of the next, a second or so: this keeps it near a
/// tenth of the link.
const TURN: Duration = Duration::from_secs(10);
/// What is later is not live any more: longer than a turn and two fragments of some seconds.
const BEHIND: Duration = Duration::from_secs(30);

/// Whose turn it is.
#[derive(Default)]
pub(super) struct Turns {
    /// The first fragment of the live media; what is kept and older is the backlog.
    live: FragmentId,
    /// This session is the backlog's.
    is_backlog: bool,
    /// Until then no live media ends that.
    until: Option<Mono>,
    /// Live media has caught up: the next session is the backlog's.
    caught_up: bool,
}

impl Session {
    fn takes_turns(&self) -> bool {
        let spool = self.definition.spool.as_ref();
        // An end waits for all: the oldest first.
        spool.is_some_and(|spool| spool.order == SpoolOrder::LiveFirst)
            && self.is_live()
            && self.ending.is_none()
            // Whose turn it is may not be had.
            && !self.spool_hangs()
    }

    /// Where the next session begins, which is to be opened now.
    pub(super) fn take_turn(&mut self, now: Mono) {
        (self.turns.is_backlog, self.turns.until) = (false, None);
        let caught_up = std::mem::take(&mut self.turns.caught_up);
        if !self.takes_turns() {
            return;
        }
        let live = match caught_up && self.has_backlog() {
            true => None,
            false => self.next_live(now),
        };
        if let Some(live) = live {
            self.turns.live = live;
            self.store.skip_to(live);
        } else {
            self.turns.is_backlog = self.has_backlog();
        }
    }

    fn has_backlog(&self) -> bool {
        !self.store.settled(self.turns.live)
    }

    /// The first fragment of the next turn of live media: that which follows the last turn, or, when that is behind, the newest.
    fn next_live(&self, now: Mono) -> Option<FragmentId> {
        let mut live = self.store.pending_from(self.turns.live);
        let first = live.find(|fragment| is_live(fragment))?;
        if !is_behind(first, now) {
            return Some(first.id);
        }
        self.store.newest_complete().map(|newest| newest.id)
    }

    /// This session is over though more could be sent in it: it is another's turn, or live media has fallen behind.
    pub(super) fn ends_turn(&self, next: Option<&Fragment>) -> bool {
        if !self.takes_turns() {
            return false;
        }
        match next.filter(|next| next.complete) {
            // The backlog's session may have come to live media: then it goes on with it.
            None => !self.turns.is_backlog && self.has_backlog(),
            Some(next) if self.is_of_backlog(next) => self.is_turn_of_live(),
            Some(next) => {
                let newest = self.store.newest_complete();
                (next.restored || is_behind(next, self.seen))
                    && newest.is_some_and(|newest| newest.id > next.id && is_live(newest))
            }
        }
    }

    fn is_of_backlog(&self, next: &Fragment) -> bool {
        self.turns.is_backlog && next.id < self.turns.live
    }

    fn is_turn_of_live(&self) -> bool {
        self.turns.until.is_some_and(|until| until <= self.seen)
            && self.next_live(self.seen).is_some()
    }

    /// The backlog's session has nothing but a header, since a disk is slow, and live media need not wait for that.
    pub(super) fn waits_in_vain(&self, link: &Link) -> bool {
        link.clusters == 0
            && self.takes_turns()
            && self.store.awaits_disk()
            && self.is_turn_of_live()
            && self
                .store
                .current()
                .is_some_and(|next| self.is_of_backlog(next))
    }

    /// A session comes to its end.
    pub(super) fn turn_ends(&mut self) {
        let next = self.store.current();
        self.turns.caught_up = !self.turns.is_backlog && next.is_none_or(|next| !next.complete);
    }

    /// The session may send from now on.
    pub(super) fn turn_begins(&mut self, now: Mono) {
        self.turns.until = self.turns.is_backlog.then(|| now + TURN);
    }

    /// When it is another's turn, unless it is already.
    pub(super) fn turn_due(&self) -> Option<Mono> {
        self.turns.until.filter(|until| *until > self.seen)
    }

    /// The session is lost.
    pub(super) fn turn_breaks(&mut self) {
        self.turns.caught_up = false;
    }
}

/// It is of this run, and whole: a turn does not wait for frames.
fn is_live(fragment: &Fragment) -> bool {
    fragment.complete && !fragment.restored
}

fn is_behind(fragment: &Fragment, now: Mono) -> bool {
    now.saturating_since(fragment.arrived) > BEHIND
}
