//! Which fragments are written to disk, read again and removed there, and what is done when the disk fails.
//!
//! In: the definition of the spool, what became of tasks ([`SpoolNews`]). Out: [`SpoolTask`]s, one after the other, and
//! [`SpoolEvent`]s.
//! Belongs here: when and what. Does not belong here: files (`crate::spool`), which bytes are in memory
//! (`crate::fragment::Store`).

mod cleared;
mod hung;
mod leave;
mod news;
mod told;

use std::time::Duration;

use cleared::Uncleared;
use hung::UnderWay;
pub use told::{SpoolEvent, SpoolStats, SpoolTask};
pub(crate) use told::{SpoolNews, Task};

use super::{Event, Output, Session, state::State};
use crate::{
    definition::{SpoolMode, SpoolPolicy, StreamingType},
    fragment::{DropReason, FragmentId, NEXT},
    time::Mono,
};

/// Writes that are under way at a time: one, and one that follows it.
const WRITES: usize = 2;
/// Reads that are.
const READS: usize = 2;
/// How often it is told how far the upload of what is on disk is.
///
/// ```
/// use gstkvssink::producer::SPOOL_PROGRESS;
///
/// assert_eq!(SPOOL_PROGRESS.as_secs(), 10);
/// ```
pub const SPOOL_PROGRESS: Duration = Duration::from_secs(10);
/// An end that takes longer has all that is not PERSISTED written, for whoever loses patience.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long an end may take longer so that all is written: NULL returns within a second after its limit.
const LEAVING: Duration = Duration::from_millis(400);
/// Nothing is sent before the directory was read, but for longer than this nobody waits for a disk.
const LONGEST_OPENING: Duration = Duration::from_secs(10);
/// What a file has beside its fragment, about: header of the stream and trailer.
const AROUND: u64 = 4096;

/// The spool of a session.
#[derive(Default)]
pub(super) struct Spooling {
    at: At,
    /// Nothing is written until then: the disk failed.
    paused: Option<Mono>,
    /// Nothing is read until then, and the fragment that could not be, how often.
    unread: Option<(Mono, FragmentId, u32)>,
    /// Failures since the last success.
    failed: u32,
    /// They were told, and nothing since.
    told_failed: bool,
    /// What was asked for and is not answered.
    under_way: UnderWay,
    /// Files that could not be removed or moved: when that is tried again.
    uncleared: Option<Uncleared>,
    /// Their bytes.
    left_over: u64,
    /// Bytes of files that stay where they are for the next run.
    left: u64,
    /// Frames that were told as left.
    told_left: u64,
    writing: usize,
    writing_bytes: u64,
    reading: usize,
    written: super::Rate,
    /// When progress is told.
    progress: Option<Mono>,
    stats: SpoolStats,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// Nobody asked for it yet.
    #[default]
    New,
    /// What is there is not known yet. Nothing is sent before, for the first time.
    Opening {
        since: Mono,
        first: bool,
    },
    Open,
    /// Tried again then.
    NotOpened {
        retry: Mono,
    },
    /// Nobody does what is asked for.
    Gone,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Open,
    Write,
    Read,
    Hang,
}

impl Session {
    /// What an earlier run has left is not known yet: nothing may be sent before it, and nothing is over.
    pub(super) fn spool_opens(&self) -> bool {
        match self.spool.as_ref().map(|spool| spool.at) {
            Some(At::New) => true,
            Some(At::Opening { since, first: true }) => since + LONGEST_OPENING > self.seen,
            _ => false,
        }
    }

    /// What memory does not hold goes to disk.
    pub(super) fn spool_takes(&self) -> bool {
        let spool = self.spool.as_ref();
        spool.is_some_and(|spool| spool.at == At::Open && spool.failed == 0)
    }

    /// Writes, reads and removes what is due.
    pub(super) fn keep_on_disk(&mut self, now: Mono) {
        self.notice_hang(now);
        let Some(spool) = &mut self.spool else {
            return;
        };
        let first = spool.at == At::New;
        let opens = match spool.at {
            _ if matches!(self.state, State::Stopped) => false,
            At::New => true,
            At::NotOpened { retry } => retry <= now,
            _ => false,
        };
        if opens {
            spool.at = At::Opening { since: now, first };
            self.ask(Task::Open);
        }
        self.remove_useless();
        if self.is_stopped() {
            return;
        }
        if self
            .spool
            .as_ref()
            .is_some_and(|spool| spool.at == At::Open)
        {
            // Nothing more waits for a disk that does not answer, and what memory has is all that can be sent.
            let answers = !self.spool_hangs();
            if answers {
                self.clear_again(now);
                self.write_some(now);
                self.unload_some();
            }
            self.drop_aged(now);
            if answers {
                self.read_some(now);
            }
            self.tell_progress(now);
        }
        self.leave_when_written(now);
    }

    /// When the spool is to be looked at again, whatever else happens.
    pub(super) fn spool_due(&self) -> Option<(Mono, &'static str)> {
        let spool = self.spool.as_ref().filter(|_| !self.is_stopped())?;
        let unread = spool.unread.map(|(until, ..)| until);
        let retry = match spool.at {
            At::NotOpened { retry } => Some(retry),
            At::Open => [spool.paused, unread, self.clear_due()]
                .into_iter()
                .flatten()
                .filter(|at| *at > self.seen)
                .min(),
            At::Opening { since, first: true } => Some(since + LONGEST_OPENING),
            _ => None,
        };
        let retry = retry.filter(|at| *at > self.seen);
        let retry = retry.map(|at| (at, "spool, after a failure"));
        let flush = self.ending.map(|ending| ending.asked + PATIENCE);
        let flush = flush.filter(|at| *at > self.seen && spool.at == At::Open);
        let progress = spool.progress.filter(|_| spool.at == At::Open);
        let progress = progress.map(|at| (at, "progress of the spool"));
        let flush = flush.map(|at| (at, "spool, at the end"));
        let hang = self.hang_due().map(|at| (at, "answer of the disk"));
        [retry, flush, progress, hang]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    fn ask(&mut self, task: Task) {
        if let Some(spool) = &mut self.spool {
            spool.under_way.begins(self.seen, &task);
        }
        self.outputs.push_back(Output::Spool(SpoolTask(task)));
    }

    fn tell_spool(&mut self, event: SpoolEvent) {
        self.tell(Event::Spool(event));
    }

    /// All that is kept is written: the end takes too long, or nothing follows.
    fn flushes(&self, now: Mono) -> bool {
        matches!(self.state, State::Leaving { .. })
            || self.ending.is_some_and(|ending| {
                // Whoever has a connection may well be done before.
                self.state.link().is_none() || ending.asked + PATIENCE <= now
            })
    }

    fn write_some(&mut self, now: Mono) {
        let Some(definition) = &self.definition.spool else {
            return;
        };
        let (max, policy, mode) = (definition.max_bytes, definition.policy, definition.mode);
        // Who can wait loses nothing.
        let blocks = policy == SpoolPolicy::Block || !self.is_live();
        let all = mode == SpoolMode::Always || self.flushes(now);
        if let Some(spool) = &mut self.spool
            && spool.paused.is_some_and(|until| until <= now)
        {
            spool.paused = None;
        }
        while let Some(spool) = &self.spool
            && spool.paused.is_none()
            // After a failure one shows whether it works again, whether memory needs it or not.
            && spool.writing < if spool.failed > 0 { 1 } else { WRITES }
            && (all || spool.failed > 0 || self.is_more_than_half())
            && let Some(oldest) = self.store.oldest_unfiled()
        {
            let (id, size) = (oldest.id, oldest.cost + AROUND);
            let before = self.store.on_disk() + spool.writing_bytes + spool.left_over + spool.left;
            if before + size > max {
                // Where nothing can be removed, a loss makes no room.
                let may_drop = !blocks && spool.uncleared.is_none();
                match self.store.oldest_filed_evictable() {
                    Some(oldest) if may_drop => {
                        self.evict(now, oldest, DropReason::Spool);
                        continue;
                    }
                    _ => return,
                }
            }
            // In their order, so that there is room.
            self.remove_useless();
            let Some((about, body)) = self.store.write(id) else {
                return;
            };
            if let Some(spool) = &mut self.spool {
                spool.writing += 1;
                spool.writing_bytes += size;
            }
            self.ask(Task::Write { id, about, body });
        }
    }

    /// Half of the storage is for what comes, and for what is to be sent next.
    fn unload_some(&mut self) {
        let spared = match self.sends() {
            true => NEXT,
            false => 0,
        };
        while self.bytes_kept() > self.storage_limit() / 2 && self.store.unload(spared) {}
    }

    pub(super) fn sends(&self) -> bool {
        matches!(self.state, State::Opening(_) | State::Streaming(_))
    }

    /// Room at any price but that of a loss. False: nothing in memory is on disk, too.
    pub(super) fn unload(&mut self) -> bool {
        // While it is sent, it would be read again at once.
        self.store.unload(NEXT) || self.store.unload(usize::from(self.sends()))
    }

    fn is_more_than_half(&self) -> bool {
        let half = self.storage_limit() / 2;
        self.bytes_kept() > half && self.store.unfiled_bytes() > half
    }

    fn drop_aged(&mut self, now: Mono) {
        let limit = self.definition.spool.as_ref().map(|spool| spool.max_age);
        let Some(limit) = limit.filter(|limit| !limit.is_zero()) else {
            return;
        };
        let Some(newest) = self.store.newest() else {
            return;
        };
        while let Some(id) = self.store.oldest_filed_evictable()
            && let Some(oldest) = self.store.get(id)
            // How long ago an earlier run took it, only its timestamps say.
            && (oldest.is_older(limit, newest, now)
                || (oldest.restored && newest.saturating_since(oldest.last) > limit))
        {
            self.evict(now, id, DropReason::Age);
        }
    }

    fn read_some(&mut self, now: Mono) {
        if let Some(spool) = &mut self.spool
            && spool.unread.is_some_and(|(until, ..)| until > now)
        {
            return;
        }
        if !self.sends() {
            return;
        }
        // The one that is sent now, whatever memory says; and the next one, if it has room.
        let room = (self.storage_limit() / 4 * 3).saturating_sub(self.bytes_kept());
        while let Some(spool) = &mut self.spool
            && spool.reading < READS
            && let Some((id, file)) = self.store.next_to_read(room)
        {
            spool.reading += 1;
            self.ask(Task::Read {
                id,
                file: file.number,
            });
        }
    }

    fn tell_progress(&mut self, now: Mono) {
        let any = self.store.filed().next().is_some();
        let sends = self.sends();
        let Some(spool) = &mut self.spool else {
            return;
        };
        match spool.progress {
            None if any => spool.progress = Some(now + SPOOL_PROGRESS),
            Some(_) if !any => spool.progress = None,
            Some(at) if at <= now => {
                spool.progress = Some(now + SPOOL_PROGRESS);
                let stats = self.spool_stats(now);
                if sends && stats.fragments <= NEXT as u64 {
                    // It is not behind: what is there waits for its ack.
                    return;
                }
                self.tell_spool(SpoolEvent::Progress(stats));
            }
            _ => {}
        }
    }

    /// The numbers, now.
    pub(super) fn spool_stats(&self, now: Mono) -> SpoolStats {
        let Some(spool) = &self.spool else {
            return SpoolStats::default();
        };
        let oldest = self.store.oldest_filed().unwrap_or_default();
        let newest = self.store.newest().unwrap_or_default();
        SpoolStats {
            state: match spool.at {
                _ if self.spool_hangs() => "failing",
                At::New | At::Opening { .. } => "opening",
                At::Open if !spool.told_failed => "open",
                _ => "failing",
            },
            fragments: self.store.filed().count() as u64,
            frames: self.store.filed().map(|fragment| fragment.frames).sum(),
            bytes: self.store.on_disk(),
            age: newest.saturating_since(oldest),
            write_rate: if self.is_stopped() {
                0.0
            } else {
                spool.written.per_second(now)
            },
            ..spool.stats.clone()
        }
    }

    /// A refused fragment keeps its file, apart from the others.
    pub(super) fn set_refused_aside(&mut self, id: FragmentId, error_id: u32) {
        if let Some(file) = self.store.take_file(id) {
            let timecode = self.store.get(id).map(|fragment| fragment.timecode);
            let what = timecode.map_or(String::new(), |timecode| timecode.to_string());
            let file = file.number;
            self.ask(Task::SetAside {
                file,
                refused: true,
            });
            self.set_aside(what, format!("the service refused it twice ({error_id})"));
        }
    }

    fn remove_useless(&mut self) {
        let useless = self.store.take_useless_files();
        if self.spool.as_ref().is_none_or(|spool| spool.at == At::Gone) {
            return;
        }
        for file in useless {
            self.ask(Task::Remove { file: file.number });
        }
    }

    /// Whether a live stream keeps on disk what memory cannot hold, or its age would drop.
    pub(super) fn is_live(&self) -> bool {
        self.definition.streaming_type != StreamingType::Offline
    }
}
