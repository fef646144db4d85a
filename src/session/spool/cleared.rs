//! Files that could not be removed or set aside: the next run would send them again, and meanwhile they need their place.
//!
//! Belongs here: when it is tried again. Does not belong here: which files they are (`crate::spool`).

use super::{Task, news::pause};
use crate::{session::Session, time::Mono};

/// It is tried so often again, within some 20 minutes. What then stays, one file that nobody may remove or all of them, is left to
/// the next change, and to the next run.
const TRIES: u32 = 8;

#[derive(Clone, Copy, Debug)]
pub(super) struct Uncleared {
    /// When it is tried again; none: that is under way.
    until: Option<Mono>,
    times: u32,
}

impl Session {
    pub(super) fn clear_due(&self) -> Option<Mono> {
        self.spool.as_ref()?.uncleared?.until
    }

    pub(super) fn clear_again(&mut self, now: Mono) {
        if let Some(spool) = &mut self.spool
            && let Some(uncleared) = &mut spool.uncleared
            && uncleared.until.take_if(|until| *until <= now).is_some()
        {
            self.ask(Task::Clear);
        }
    }

    /// A file was removed or set aside; so many bytes of others are still to be.
    pub(super) fn cleared(&mut self, now: Mono, left_over: u64) {
        let Some(spool) = &mut self.spool else {
            return;
        };
        spool.left_over = left_over;
        if left_over == 0 {
            spool.uncleared = None;
        }
        // There may be room now.
        spool.paused = spool.paused.map(|until| until.min(now + pause(0)));
        self.tell_working();
    }

    /// One could not be.
    pub(super) fn not_cleared(&mut self, now: Mono, left_over: u64, reason: &str) {
        let Some(spool) = &mut self.spool else {
            return;
        };
        spool.left_over = left_over;
        let times = match spool.uncleared {
            None => Some(0),
            Some(Uncleared { until: None, times }) => Some(times),
            // Another one of those that are tried again.
            Some(Uncleared { until: Some(_), .. }) => None,
        };
        if let Some(times) = times {
            spool.uncleared = (times < TRIES).then(|| Uncleared {
                until: Some(now + pause(times)),
                times: times + 1,
            });
        }
        self.tell_failing(format!(
            "{reason}; as long as it is there it needs its place, and the next run sends it again"
        ));
    }
}
