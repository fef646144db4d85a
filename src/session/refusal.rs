//! What the service refuses: a fragment by an ERROR ack, or a session because of its first fragment.
//!
//! Belongs here: which fragment is meant, what becomes of it. Does not belong here: what is done about the connection
//! (`policy`).

use super::{
    Ack, Call, Event, Failure, Fatal, Session,
    policy::{self, Action, Cause},
};
use crate::{
    fragment::{DropReason, FragmentId},
    time::Mono,
};

/// INVALID_PRODUCER_TIMESTAMP: of the future.
const FUTURE: u32 = 4007;

impl Session {
    /// An ERROR ack. A fragment that is refused twice is skipped; everything else is as the policy says.
    pub(super) fn refused(&mut self, now: Mono, ack: &Ack) {
        let error_id = ack.error_id.unwrap_or_default();
        let code = ack.error_code.as_deref().unwrap_or("no code");
        let failure = Failure::lost(match ack.timecode {
            Some(timecode) => {
                format!("ERROR ack {error_id} {code} for the fragment at {timecode}")
            }
            None => format!("ERROR ack {error_id} {code}"),
        });
        let id = match ack.timecode {
            Some(timecode) => self.sent_as(timecode),
            None => self.store.first_of_session().map(|first| first.id),
        };
        let action = match (policy::on_error_ack(error_id), id) {
            // No application changes what an earlier run has left: it would end each run at once.
            (Action::GiveUp(Fatal::Refused), Some(id)) if self.is_restored(id) => Action::Skip,
            (Action::RetrySlowly, Some(id)) if error_id == FUTURE && self.was_clock_set(id) => {
                Action::Skip
            }
            (action, _) => action,
        };
        if action == Action::Skip
            && let Some(id) = id
            && self.store.refused(id).is_some_and(|times| times > 1)
        {
            let those = match error_id {
                FUTURE => self.those_after(id),
                _ => vec![id],
            };
            for id in those {
                self.skip(now, id, error_id);
            }
        }
        self.act(now, action, &failure, ack.error_id);
    }

    fn skip(&mut self, now: Mono, id: FragmentId, error_id: u32) {
        let Some(timecode) = self.store.get(id).map(|fragment| fragment.timecode) else {
            return;
        };
        self.set_refused_aside(id, error_id);
        let frames = self.evict(now, id, DropReason::Rejected);
        self.tell(Event::FragmentSkipped {
            timecode,
            error_id,
            frames,
        });
    }

    fn is_restored(&self, id: FragmentId) -> bool {
        self.store.get(id).is_some_and(|fragment| fragment.restored)
    }

    /// The newest frame is earlier: the clock of this fragment was wrong, and it will be of the future for longer.
    fn was_clock_set(&self, id: FragmentId) -> bool {
        let fragment = self.store.get(id);
        let newest = self.store.newest();
        fragment.is_some_and(|fragment| newest.is_some_and(|newest| newest < fragment.first))
    }

    /// This fragment and those that are later by the same clock.
    fn those_after(&self, id: FragmentId) -> Vec<FragmentId> {
        let epoch = self.store.get(id).map(|fragment| fragment.epoch);
        let those = self.store.pending_from(id);
        let those = those.take_while(|it| Some(it.epoch) == epoch && it.complete);
        those.map(|fragment| fragment.id).collect()
    }

    /// PutMedia is refused for good. If that may be because of what an earlier run has left, since a request has the time of
    /// its first fragment, that stays on disk, for this run, once it was tried twice. What is to be done then.
    pub(super) fn turned_away(&mut self, failure: &Failure) -> Option<Action> {
        let is_answer = matches!(failure.cause, Cause::Answer { status: 400, .. });
        let first = self.store.current().filter(|first| first.restored);
        let first = first.filter(|_| is_answer && failure.call == Call::PutMedia)?;
        let id = first.id;
        // Who ends at the first failure would end at this one in each run.
        let restarts = self.definition.restart_on_error;
        if self.store.refused(id)? > 1 || !restarts {
            let those = self.those_after(id);
            let left = self.leave_some_files(those);
            self.tell_left(left);
        }
        Some(if restarts { Action::Skip } else { Action::GoOn })
    }
}
