//! What becomes of the tasks of the spool: fragments that are found, written, read; a disk that fails.
//!
//! Does not belong here: which tasks (`spool`).

use std::time::Duration;

use super::{At, SpoolEvent, SpoolNews, Spooling, Task, Trouble, UnderWay};
use crate::{
    definition::TimecodeType,
    fragment::{DropReason, FragmentId, SpoolFile, Spooled},
    session::{Session, state::State},
    time::Mono,
};

/// A file that cannot be read is tried so often again, each time after twice the time.
const PATIENT_READS: u32 = 3;
const READ_PAUSE: Duration = Duration::from_millis(500);
/// After another failure of the disk, until it is tried again: so long, twice as long each time, at most [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// After so many failures, until the next try.
pub(super) fn pause(failures: u32) -> Duration {
    (PAUSE * (1 << failures.min(6))).min(LONGEST_PAUSE)
}

impl Session {
    /// What became of a task.
    pub(in crate::session) fn spool_news(&mut self, now: Mono, news: &SpoolNews) {
        let hung = self.answered(now);
        self.came_of_it(now, news);
        let works = |spool: &Spooling| spool.paused.is_none() && spool.unread.is_none();
        if hung && !news.is_failure() && self.spool.as_ref().is_some_and(works) {
            self.works_again();
        }
    }

    fn came_of_it(&mut self, now: Mono, news: &SpoolNews) {
        let Some(spool) = &mut self.spool else {
            return;
        };
        match news {
            SpoolNews::Opened { fragments, damaged } => {
                spool.at = At::Open;
                self.works_again();
                self.recover(now, fragments);
                for (what, reason) in damaged {
                    self.set_aside(what.clone(), reason.clone());
                }
            }
            SpoolNews::Gone { .. } if spool.at == At::Gone => {}
            SpoolNews::Gone { reason } => {
                (spool.at, spool.writing, spool.reading) = (At::Gone, 0, 0);
                spool.under_way = UnderWay::default();
                spool.failed += 1;
                spool.told_failed = false;
                self.tell_failing(reason.clone());
                // What is only there, only the next run can send.
                self.leave_files();
            }
            SpoolNews::NotOpened { reason } => self.spool_failed(now, reason, Trouble::Open),
            SpoolNews::Written { id, file } => {
                spool.writing = spool.writing.saturating_sub(1);
                spool.writing_bytes = match spool.writing {
                    0 => 0,
                    _ => spool.writing_bytes.saturating_sub(file.bytes),
                };
                spool.stats.fragments_written += 1;
                spool.written.add(now, file.bytes);
                // Not one that was under way when another one failed.
                if spool.paused.is_none() {
                    self.works_again();
                }
                if !self.store.written(*id, *file) {
                    return self.ask(Task::Remove { file: file.number });
                }
                if let Some(fragment) = self.store.get(*id) {
                    let kept = SpoolEvent::Kept {
                        timecode: fragment.timecode,
                        frames: fragment.frames,
                        bytes: file.bytes,
                    };
                    self.tell_spool(kept);
                }
            }
            SpoolNews::NotWritten { id, reason } => {
                spool.writing = spool.writing.saturating_sub(1);
                if spool.writing == 0 {
                    spool.writing_bytes = 0;
                }
                self.store.let_be(*id);
                self.spool_failed(now, reason, Trouble::Write);
            }
            SpoolNews::Read { id, body } => {
                spool.reading = spool.reading.saturating_sub(1);
                if spool.unread.take_if(|(_, which, _)| which == id).is_some() {
                    self.works_again();
                }
                self.store.read(*id, body.clone());
            }
            SpoolNews::NotRead {
                id,
                reason,
                is_damaged,
            } => {
                spool.reading = spool.reading.saturating_sub(1);
                let times = match spool.unread {
                    Some((_, which, times)) if which == *id => times,
                    _ => 0,
                };
                if !is_damaged && times < PATIENT_READS {
                    self.store.let_be(*id);
                    return self.unread(now, *id, times, reason);
                }
                spool.unread = None;
                // It stays where it is, or is set aside: nothing waits for it.
                if let Some(SpoolFile {
                    number: file,
                    bytes,
                }) = self.store.take_file(*id)
                {
                    if let Some(spool) = &mut self.spool
                        && !is_damaged
                    {
                        spool.left += bytes;
                    }
                    if *is_damaged {
                        self.ask(Task::SetAside {
                            file,
                            refused: false,
                        });
                    }
                    let what = self.store.get(*id).map(|fragment| fragment.timecode);
                    let what = what.map_or(String::new(), |timecode| timecode.to_string());
                    self.evict(now, *id, DropReason::Spool);
                    self.set_aside(what, reason.clone());
                }
            }
            SpoolNews::Cleared { left_over } => self.cleared(now, *left_over),
            SpoolNews::NotCleared { left_over, reason } => {
                self.not_cleared(now, *left_over, reason);
            }
        }
    }

    pub(super) fn set_aside(&mut self, what: String, reason: String) {
        if let Some(spool) = &mut self.spool {
            spool.stats.set_aside += 1;
        }
        self.tell_spool(SpoolEvent::SetAside { what, reason });
    }

    /// It may be read a moment later.
    fn unread(&mut self, now: Mono, id: FragmentId, times: u32, reason: &str) {
        self.spool_failed(now, reason, Trouble::Read);
        if let Some(spool) = &mut self.spool {
            spool.unread = Some((now + READ_PAUSE * (1 << times), id, times + 1));
        }
    }

    fn works_again(&mut self) {
        if let Some(spool) = &mut self.spool {
            spool.failed = 0;
        }
        self.tell_working();
    }

    /// A failure that was told is over, when all of them are.
    pub(super) fn tell_working(&mut self) {
        if let Some(spool) = &mut self.spool
            && spool.failed == 0
            && spool.uncleared.is_none()
            && std::mem::take(&mut spool.told_failed)
        {
            self.tell_spool(SpoolEvent::Restored);
        }
    }

    /// Each failure is counted; the first one is told.
    pub(super) fn tell_failing(&mut self, reason: String) {
        if let Some(spool) = &mut self.spool {
            spool.stats.failures += 1;
            if !std::mem::replace(&mut spool.told_failed, true) {
                self.tell_spool(SpoolEvent::Failed { reason });
            }
        }
    }

    pub(super) fn spool_failed(&mut self, now: Mono, reason: &str, trouble: Trouble) {
        let Some(spool) = &mut self.spool else {
            return;
        };
        let retry = now + pause(spool.failed);
        match trouble {
            Trouble::Open => spool.at = At::NotOpened { retry },
            // Of two that were under way one is enough.
            Trouble::Write if spool.paused.is_some() => {
                return self.tell_failing(reason.to_owned());
            }
            Trouble::Write => spool.paused = Some(retry),
            Trouble::Read | Trouble::Hang => {}
        }
        spool.failed += 1;
        self.tell_failing(reason.to_owned());
    }

    /// What an earlier run has left is sent first.
    fn recover(&mut self, now: Mono, found: &[(SpoolFile, Spooled)]) {
        if self.is_over() {
            return;
        }
        if !found.is_empty() && self.state.link().is_some() {
            self.drop_link();
            self.enter(State::Ready);
        }
        // Another epoch where time does not go on: its timecodes need a session of their own. Those of this run count from 0.
        let is_relative = self.definition.timecode_type == TimecodeType::Relative;
        let mut epoch = u32::MAX;
        let mut before: Option<&Spooled> = None;
        let fragments: Vec<_> = found
            .iter()
            .map(|(file, about)| {
                if let Some(before) = before
                    && (about.timecode <= before.timecode
                        || (is_relative && about.start != before.start))
                {
                    epoch -= 1;
                }
                before = Some(about);
                (*file, epoch, about.clone())
            })
            .collect();
        let frames = found.iter().map(|(_, about)| about.frames).sum();
        let bytes = found.iter().map(|(file, _)| file.bytes).sum();
        if !fragments.is_empty() {
            self.store.restore(now, fragments);
        }
        if let Some(spool) = &mut self.spool {
            spool.stats.frames_recovered += frames;
        }
        self.tell_spool(SpoolEvent::Opened {
            fragments: found.len() as u64,
            frames,
            bytes,
        });
    }
}
