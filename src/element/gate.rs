//! [`Gate`]: when the streaming thread may wait for room.
//!
//! In PLAYING, and not in a flush. In PAUSED BaseSink holds a buffer itself, so it is to have one: one only, since it lets
//! pass what comes in a PAUSED that follows too soon on a PLAYING. In a flush the thread is wanted back.
//! Belongs here: whether. Does not belong here: what is waited for (`producer`).

use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(super) struct Gate(Mutex<Condition>);

#[derive(Default)]
struct Condition {
    playing: bool,
    /// BaseSink has its buffer of this PAUSED.
    passed: bool,
    flushing: bool,
}

impl Gate {
    /// Before PLAYING, and after it. `interrupt` is told whether the streaming thread must not wait.
    pub(super) fn play(&self, on: bool, interrupt: impl FnOnce(bool)) {
        let change = |condition: &mut Condition| {
            condition.playing = on;
            condition.passed = false;
        };
        self.change(change, interrupt);
    }

    /// A buffer goes to BaseSink.
    pub(super) fn pass(&self, interrupt: impl FnOnce(bool)) {
        let mut condition = self.lock();
        if !condition.playing && !condition.passed {
            condition.passed = true;
            interrupt(condition.flushing);
        }
    }

    /// From FLUSH_START to FLUSH_STOP.
    pub(super) fn flush(&self, on: bool, interrupt: impl FnOnce(bool)) {
        self.change(|condition| condition.flushing = on, interrupt);
    }

    fn change(&self, change: impl FnOnce(&mut Condition), interrupt: impl FnOnce(bool)) {
        let mut condition = self.lock();
        change(&mut condition);
        // Under the lock, so that two changes are told in their order.
        interrupt(condition.flushing || !(condition.playing || condition.passed));
    }

    fn lock(&self) -> MutexGuard<'_, Condition> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
