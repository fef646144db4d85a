//! [`Gate`]: when the streaming thread must let go of BaseSink's lock.
//!
//! BaseSink holds its preroll lock around `render` and `event`, and a change of state takes it. Before a change to PAUSED
//! and before a flush it calls `unlock`; before a change to PLAYING it does not, since the thread then waits inside of
//! `wait_preroll`. It may not: woken by PLAYING, it may run only after another PAUSED, and BaseSink's wait does not ask
//! again. So a change to PLAYING interrupts, too.
//! Belongs here: who wants the lock. Does not belong here: what is waited for (`producer`).

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The change to PLAYING needs only moments once it has the lock. One that lasts longer is waiting for the lock.
const MOMENTS: Duration = Duration::from_millis(250);

/// Who wants the lock.
#[derive(Default)]
pub(super) struct Gate {
    wanted: Mutex<Wanted>,
    resumed: Condvar,
}

#[derive(Default)]
struct Wanted {
    /// Between `unlock` and `unlock_stop`.
    unlock: bool,
    /// During the change to PLAYING.
    resume: bool,
}

impl Gate {
    /// `unlock` (true) and `unlock_stop`. `interrupt` is told whether anybody wants the lock.
    pub(super) fn unlock(&self, on: bool, interrupt: impl FnOnce(bool)) {
        let mut wanted = self.lock();
        wanted.unlock = on;
        // Under the lock, so that two changes are told in their order.
        interrupt(wanted.unlock || wanted.resume);
        self.resumed.notify_all();
    }

    /// Begin (true) and end of the change to PLAYING.
    pub(super) fn resume(&self, on: bool, interrupt: impl FnOnce(bool)) {
        let mut wanted = self.lock();
        wanted.resume = on;
        interrupt(wanted.unlock || wanted.resume);
        self.resumed.notify_all();
    }

    /// For the streaming thread, when it was interrupted: true when it must let go of the lock until PLAYING; false when
    /// PLAYING is there.
    pub(super) fn must_let_go(&self) -> bool {
        let wanted = self.lock();
        if wanted.unlock || !wanted.resume {
            return true;
        }
        // Either the change has woken this thread and is about to end, or it waits for the lock that this thread holds.
        self.resumed
            .wait_timeout_while(wanted, MOMENTS, |wanted| wanted.resume && !wanted.unlock)
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
