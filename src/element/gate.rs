//! [`Gate`]: when the streaming thread may wait for room.
//!
//! In PLAYING, and not in a flush. In PAUSED BaseSink holds the buffer itself, so it is to have it; in a flush the thread is
//! wanted back.
//! Belongs here: whether. Does not belong here: what is waited for (`producer`).

use std::sync::{Mutex, PoisonError};

#[derive(Default)]
pub(super) struct Gate(Mutex<Condition>);

#[derive(Default)]
struct Condition {
    playing: bool,
    flushing: bool,
}

impl Gate {
    /// Before PLAYING, and after it. `interrupt` is told whether the streaming thread must not wait.
    pub(super) fn play(&self, on: bool, interrupt: impl FnOnce(bool)) {
        self.change(|condition| condition.playing = on, interrupt);
    }

    /// From FLUSH_START to FLUSH_STOP.
    pub(super) fn flush(&self, on: bool, interrupt: impl FnOnce(bool)) {
        self.change(|condition| condition.flushing = on, interrupt);
    }

    fn change(&self, change: impl FnOnce(&mut Condition), interrupt: impl FnOnce(bool)) {
        let mut condition = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut condition);
        // Under the lock, so that two changes are told in their order.
        interrupt(condition.flushing || !condition.playing);
    }
}
