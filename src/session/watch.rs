//! What those who wait for a session, and those who drive it, have to be told.
//!
//! Belongs here: which changes matter to whom. Does not belong here: how they are told (`net::intake`).

use super::Session;
use crate::time::Mono;

/// What a wait for room depends on, beside [`Session::room`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Bytes that wait for other tracks.
    in_lanes: u64,
    /// Not all that is kept was sent.
    unsent: bool,
    /// Too much of it was not.
    ahead: bool,
    /// A frame was refused for want of storage.
    full: bool,
}

/// What whoever drives is about to do: as long as it stays so, it need not be told of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// It has something to send, waits for room at most, and polls afterwards.
    sends: bool,
    /// It polls then in any case.
    due: Option<Mono>,
    /// Something waits to be written to disk.
    unwritten: bool,
}

impl Plan {
    /// Whoever does this does not miss anything of `after`. What is due already may have been missed: timers stand still in
    /// a suspend.
    pub(crate) fn covers(self, after: Self, now: Mono) -> bool {
        let is_earlier = match (after.due, self.due) {
            (Some(after), Some(before)) => after < before,
            (after, _) => after.is_some(),
        };
        let is_late = after.due.is_some_and(|due| due <= now);
        let is_to_write = after.unwritten && !self.unwritten;
        self.sends && after.sends && !is_earlier && !is_late && !is_to_write
    }
}

impl Session {
    /// Bytes that there is room for.
    pub(crate) fn room(&self) -> u64 {
        self.storage_limit().saturating_sub(self.bytes_kept())
    }

    /// What a wait for room depends on beside [`Self::room`].
    pub(crate) fn waiting(&self) -> Waiting {
        Waiting {
            in_lanes: self.lanes.bytes(),
            unsent: self.store.has_unsent(),
            ahead: self.is_ahead(),
            full: self.full,
        }
    }

    /// What whoever drives is about to do.
    pub(crate) fn plan(&self) -> Plan {
        Plan {
            sends: self.outputs.is_empty() && self.wants_transmit(),
            due: self.due().map(|(at, _)| at),
            unwritten: self.spool_takes() && self.store.oldest_unfiled().is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_sends_anyway_need_not_be_told_unless_something_is_due_earlier() {
        let at = |secs| Some(Mono::from_secs(secs));
        let plan = |sends, due| Plan {
            sends,
            due,
            unwritten: false,
        };
        for (before, now, covered) in [
            (plan(true, at(5)), plan(true, at(5)), true),
            (plan(true, at(5)), plan(true, at(6)), true),
            (plan(true, at(5)), plan(true, None), true),
            (plan(true, None), plan(true, None), true),
            (plan(true, at(5)), plan(true, at(4)), false),
            (plan(true, at(2)), plan(true, at(2)), false),
            (plan(true, None), plan(true, at(9)), false),
            (plan(false, at(5)), plan(true, at(5)), false),
            (plan(true, at(5)), plan(false, at(5)), false),
            (plan(false, None), plan(false, None), false),
        ] {
            assert_eq!(
                before.covers(now, Mono::from_secs(2)),
                covered,
                "{before:?} {now:?}"
            );
        }
    }
}
