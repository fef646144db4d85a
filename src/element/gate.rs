//! [`Gate`]: when the streaming threads may go on, and when they may wait for room.
//!
//! In PLAYING, and not in a flush. In PAUSED BaseSink holds a buffer of its pad itself, so it is to have one: one only,
//! since it lets pass what comes in a PAUSED that follows too soon on a PLAYING. The other pads wait here for PLAYING. In
//! a flush the threads are wanted back.
//! Belongs here: whether. Does not belong here: what is waited for (`producer`).

use std::{
    collections::BTreeSet,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

#[derive(Default)]
pub(super) struct Gate {
    condition: Mutex<Condition>,
    changed: Condvar,
}

#[derive(Default)]
struct Condition {
    playing: bool,
    /// BaseSink has its buffer of this PAUSED.
    passed: bool,
    /// Pads between FLUSH_START and FLUSH_STOP.
    flushing: BTreeSet<String>,
    /// PAUSED→READY: nobody waits any more.
    closing: bool,
}

impl Condition {
    fn interrupted(&self) -> bool {
        self.closing || !self.flushing.is_empty() || !(self.playing || self.passed)
    }
}

impl Gate {
    /// READY→PAUSED: all begins anew.
    pub(super) fn open(&self, interrupt: impl FnOnce(bool)) {
        self.change(|condition| *condition = Condition::default(), interrupt);
    }

    /// PAUSED→READY, before the pads are deactivated.
    pub(super) fn close(&self, interrupt: impl FnOnce(bool)) {
        self.change(|condition| condition.closing = true, interrupt);
    }

    /// Before PLAYING, and after it. `interrupt` is told whether the streaming threads must not wait.
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
            interrupt(condition.interrupted());
        }
    }

    /// From FLUSH_START to FLUSH_STOP on the pad of this name.
    pub(super) fn flush(&self, pad: &str, on: bool, interrupt: impl FnOnce(bool)) {
        let change = |condition: &mut Condition| {
            if on {
                condition.flushing.insert(pad.to_owned());
            } else {
                condition.flushing.remove(pad);
            }
        };
        self.change(change, interrupt);
    }

    /// PAUSED→READY has begun: what was let go goes nowhere, though the pads do not flush yet.
    pub(super) fn is_closing(&self) -> bool {
        self.lock().closing
    }

    /// Waits for PLAYING; false when the thread of this pad is wanted back instead: a flush, a release, or READY. Woken by
    /// every change here, and a pad flushes before it is told so.
    pub(super) fn wait_for_playing(&self, pad: &str, flushing: impl Fn() -> bool) -> bool {
        let wanted = |condition: &Condition| {
            condition.closing || condition.flushing.contains(pad) || flushing()
        };
        let waits = |condition: &mut Condition| !condition.playing && !wanted(condition);
        let condition = self
            .changed
            .wait_while(self.lock(), waits)
            .unwrap_or_else(PoisonError::into_inner);
        condition.playing && !wanted(&condition)
    }

    fn change(&self, change: impl FnOnce(&mut Condition), interrupt: impl FnOnce(bool)) {
        let mut condition = self.lock();
        change(&mut condition);
        self.changed.notify_all();
        // Under the lock, so that two changes are told in their order.
        interrupt(condition.interrupted());
    }

    fn lock(&self) -> MutexGuard<'_, Condition> {
        self.condition
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
