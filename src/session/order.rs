//! Live media first, and the backlog with what the link has left (`spool-order=live-first`): in turns, since the service takes one
//! connection for each stream, and on it only timecodes that grow. Each turn is a session of its own.
//!
//! A turn of live media sends the complete fragments that came since the last one, as fast as the link takes them, and is over when
//! it has caught up. A turn of the backlog sends the oldest, for [`TURN`]. Whoever is not behind for more than [`BEHIND`] takes no
//! turns: all is sent in its order.
//!
//! Belongs here: whose turn it is, and when it is over. Does not belong here: how a session ends (`link`).

use std::time::Duration;

use super::Session;
use crate::{
    definition::SpoolOrder,
    fragment::{Fragment, FragmentId},
    time::Mono,
};

/// How long a turn of the backlog is, and so how late live media is at most on a link that is much faster. Each change costs
/// the last ack of a session and the first of the next, a second or so: this keeps it near a tenth of the link.
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
        self.turns.is_backlog = false;
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

    /// This session is over though more could be sent in it: it is the backlog's turn, or live media has fallen behind.
    pub(super) fn ends_turn(&self, next: Option<&Fragment>) -> bool {
        if !self.takes_turns() || self.turns.is_backlog {
            return false;
        }
        match next.filter(|next| next.complete) {
            None => self.has_backlog(),
            Some(next) => {
                let newest = self.store.newest_complete();
                (next.restored || is_behind(next, self.seen))
                    && newest.is_some_and(|newest| newest.id > next.id && is_live(newest))
            }
        }
    }

    /// A session comes to its end.
    pub(super) fn turn_ends(&mut self) {
        let next = self.store.current();
        self.turns.caught_up = !self.turns.is_backlog && next.is_none_or(|next| !next.complete);
    }

    /// When this session, which may send from now on, is over for live media's sake.
    pub(super) fn end_of_turn(&self, now: Mono) -> Option<Mono> {
        self.turns.is_backlog.then(|| now + TURN)
    }
}

/// It is of this run, and whole: a turn does not wait for frames.
fn is_live(fragment: &Fragment) -> bool {
    fragment.complete && !fragment.restored
}

fn is_behind(fragment: &Fragment, now: Mono) -> bool {
    now.saturating_since(fragment.arrived) > BEHIND
}
