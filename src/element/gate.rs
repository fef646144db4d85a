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
const MOMENTS: Duration = Duration::from_secs(3);

/// Who wants the lock.
#[derive(Default)]
pub(super) struct Gate {
    wanted: Mutex<Wanted>,
    resumed: Condvar,
}

/// Where the changes between PAUSED and PLAYING stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Playing,
    Paused,
    /// During the change to PLAYING.
    Resuming,
}

#[derive(Default)]
struct Wanted {
    /// Between `unlock` and `unlock_stop`.
    unlock: bool,
    phase: Phase,
}

impl Gate {
    /// `unlock` (true) and `unlock_stop`. `interrupt` is told whether the streaming thread must not wait.
    pub(super) fn unlock(&self, on: bool, interrupt: impl FnOnce(bool)) {
        self.change(|wanted| wanted.unlock = on, interrupt);
    }

    /// Before and after changes between PAUSED and PLAYING.
    pub(super) fn enter(&self, phase: Phase, interrupt: impl FnOnce(bool)) {
        self.change(|wanted| wanted.phase = phase, interrupt);
    }

    fn change(&self, change: impl FnOnce(&mut Wanted), interrupt: impl FnOnce(bool)) {
        let mut wanted = self.lock();
        change(&mut wanted);
        // Under the lock, so that two changes are told in their order.
        interrupt(wanted.unlock || wanted.phase != Phase::Playing);
        self.resumed.notify_all();
    }

    /// For the streaming thread, when it was interrupted: true when it must let go of the lock until PLAYING; false when
    /// PLAYING is there.
    pub(super) fn must_let_go(&self) -> bool {
        let wanted = self.lock();
        if wanted.unlock || wanted.phase == Phase::Paused {
            return true;
        }
        // Either the change has woken this thread and is about to end, or it waits for the lock that this thread holds.
        self.resumed
            .wait_timeout_while(wanted, MOMENTS, |wanted| {
                wanted.phase == Phase::Resuming && !wanted.unlock
            })
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
