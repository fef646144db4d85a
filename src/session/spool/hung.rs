//! A disk that does not answer: since when, what is said of it, and what is sent meanwhile.
//!
//! Belongs here: what is under way, and what holds until it comes to its end. Does not belong here: a disk that says that it
//! fails (`news`).

use std::{collections::VecDeque, time::Duration};

use super::{At, Task, Trouble};
use crate::{session::Session, time::Mono};

/// A task that takes longer hangs. A drive that sleeps needs some 10 s to be awake, a card that cleans up a few, and 50 MB, the
/// largest fragment, 13 s at 4 MB/s, the rate of the slowest cards. It is half of the 30 s after which the service ends a
/// connection that brings nothing, since the fragment that comes next may wait for it.
const LONGEST_TASK: Duration = Duration::from_secs(15);

/// What was asked for and is not answered. All is done in order, so the first of it is what the disk is at.
#[derive(Default)]
pub(super) struct UnderWay {
    /// What is done to the spool.
    tasks: VecDeque<&'static str>,
    /// When the first of them began.
    since: Mono,
    hangs: bool,
    /// What is on disk was passed over for it.
    passed: bool,
}

impl UnderWay {
    pub(super) fn begins(&mut self, now: Mono, task: &Task) {
        if self.tasks.is_empty() {
            self.since = now;
        }
        self.tasks.push_back(match task {
            Task::Open => "opening",
            Task::Write { .. } => "writing to",
            Task::Read { .. } => "reading from",
            Task::Remove { .. } | Task::Clear => "removing from",
            Task::SetAside { .. } => "moving in",
        });
    }
}

impl Session {
    /// The disk does not answer: nothing is asked of it, and what only it has is passed over.
    pub(in crate::session) fn spool_hangs(&self) -> bool {
        let spool = self.spool.as_ref();
        spool.is_some_and(|spool| spool.under_way.hangs)
    }

    pub(super) fn hang_due(&self) -> Option<Mono> {
        let spool = self.spool.as_ref().filter(|spool| spool.at != At::Gone)?;
        let waits = !spool.under_way.tasks.is_empty() && !spool.under_way.hangs;
        waits.then(|| spool.under_way.since + LONGEST_TASK)
    }

    /// A disk that has not answered for long is one that fails.
    pub(super) fn notice_hang(&mut self, now: Mono) {
        if self.is_stopped() || self.hang_due().is_none_or(|due| due > now) {
            return;
        }
        if let Some(spool) = &mut self.spool {
            spool.under_way.hangs = true;
        }
        let reason = self.what_hangs(now);
        self.spool_failed(now, &reason, Trouble::Hang);
        // If nobody is there any more to do it, this says so.
        self.ask(Task::Clear);
        // What memory has need not wait.
        self.advance(now);
    }

    /// What takes so long, where, and what to do.
    pub(super) fn what_hangs(&self, now: Mono) -> String {
        let (Some(spool), Some(definition)) = (&self.spool, &self.definition.spool) else {
            return String::new();
        };
        let UnderWay { tasks, since, .. } = &spool.under_way;
        format!(
            "{} the spool of {} in {} takes longer than {:.1?}: see whether that disk, or the server that has it, answers; all goes on \
             by itself when it does",
            tasks.front().copied().unwrap_or_default(),
            self.definition.name,
            definition.location.display(),
            now.saturating_since(*since),
        )
    }

    /// Before a session is opened: it begins with what memory has.
    pub(in crate::session) fn pass_over_hung(&mut self) {
        if !self.spool_hangs() || self.state.link().is_some() || !self.store.awaits_disk() {
            return;
        }
        let here = self.store.pending().find(|fragment| !fragment.away);
        let here = here.map_or_else(|| self.store.next_id(), |fragment| fragment.id);
        self.store.skip_to(here);
        if let Some(spool) = &mut self.spool {
            spool.under_way.passed = true;
        }
    }

    /// A task has come to its end, whichever. True: the disk hung in it. What was passed over is sent next.
    pub(super) fn answered(&mut self, now: Mono) -> bool {
        let Some(UnderWay {
            tasks,
            since,
            hangs,
            passed,
        }) = self.spool.as_mut().map(|spool| &mut spool.under_way)
        else {
            return false;
        };
        tasks.pop_front();
        *since = now;
        let hung = std::mem::take(hangs);
        if std::mem::take(passed) {
            match self.state.link_mut() {
                // Only another session may go back.
                Some(link) => link.last = true,
                None => self.store.rewind(),
            }
        }
        hung
    }

    /// A disk cannot answer in a suspend.
    pub(in crate::session) fn spool_suspended(&mut self, time: Duration) {
        if let Some(spool) = &mut self.spool {
            spool.under_way.since = spool.under_way.since + time;
            if let At::Opening { since, .. } = &mut spool.at {
                *since = *since + time;
            }
        }
    }
}
