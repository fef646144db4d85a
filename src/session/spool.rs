//! Which fragments are written to disk, read again and removed there, and what is done when the disk fails.
//!
//! In: the definition of the spool, what became of tasks ([`SpoolNews`]). Out: [`SpoolTask`]s, one after the other, and
//! [`SpoolEvent`]s.
//! Belongs here: when and what. Does not belong here: files (`crate::spool`), which bytes are in memory
//! (`crate::fragment::Store`).

use std::time::Duration;

use bytes::Bytes;

use super::{Event, Output, Session, state::State};
use crate::{
    definition::{SpoolMode, SpoolPolicy, StreamingType, TimecodeType},
    fragment::{DropReason, FragmentId, NEXT, SpoolFile, Spooled},
    time::{Mono, Timecode},
};

/// Writes that are under way at a time: one, and one that follows it.
const WRITES: usize = 2;
/// Reads that are.
const READS: usize = 2;
/// After a failure of the disk, until it is tried again: so long, twice as long each time, at most [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How often it is told how far the upload of what is on disk is.
pub const SPOOL_PROGRESS: Duration = Duration::from_secs(10);
/// An end that takes longer has all that is not PERSISTED written, for whoever loses patience.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long an end may take longer so that all is written: NULL returns within a second after its limit.
const LEAVING: Duration = Duration::from_millis(700);
/// What a file has beside its fragment, about: header of the stream and trailer.
const AROUND: u64 = 4096;

/// Something to do with files. They are done in order, and each but the removals is answered by [`SpoolNews`].
#[derive(Clone, Debug, PartialEq)]
pub struct SpoolTask(pub(crate) Task);

/// What.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Task {
    /// Open the directory, and look what is there.
    Open,
    /// Write a fragment, so that it outlives a power cut.
    Write {
        id: FragmentId,
        about: Spooled,
        body: Vec<Bytes>,
    },
    /// Read a fragment.
    Read { id: FragmentId, file: u64 },
    /// It is PERSISTED, or dropped.
    Remove { file: u64 },
    /// The service refused it: it is kept for somebody to look at.
    SetAside { file: u64 },
}

/// What became of a task.
#[derive(Clone, Debug)]
pub(crate) enum SpoolNews {
    /// The directory is open, with what was found, and what of it is damaged: file and reason.
    Opened {
        fragments: Vec<(SpoolFile, Spooled)>,
        damaged: Vec<(String, String)>,
    },
    /// It cannot be opened.
    NotOpened { reason: String },
    /// It is in this file.
    Written { id: FragmentId, file: SpoolFile },
    /// It is not on disk.
    NotWritten { id: FragmentId, reason: String },
    /// Its bytes.
    Read { id: FragmentId, body: Bytes },
    /// Its file is damaged, or cannot be read, and was set aside as far as possible.
    NotRead { id: FragmentId, reason: String },
}

/// What happened with the spool.
///
/// ```
/// use gstkvssink::producer::{SpoolEvent, StreamCallbacks};
///
/// struct Log;
/// impl StreamCallbacks for Log {
///     fn spool(&self, event: &SpoolEvent) {
///         if let SpoolEvent::Failed { reason } = event {
///             eprintln!("only memory is left: {reason}");
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SpoolEvent {
    /// The directory is open. Fragments of an earlier run are in it, which are sent first; or none.
    Opened {
        /// How many.
        fragments: u64,
        /// Frames in them.
        frames: u64,
        /// Their files.
        bytes: u64,
    },
    /// A fragment is on disk: it outlives a power cut.
    Kept {
        /// Which.
        timecode: Timecode,
        /// Frames in it.
        frames: u64,
        /// Its file.
        bytes: u64,
    },
    /// A file is not sent: it is kept apart, below the spool's directory, for somebody to look at.
    SetAside {
        /// Its name, or the timecode of its fragment.
        what: String,
        /// Why.
        reason: String,
    },
    /// The disk does not take, or give, what it should: memory goes on alone. Once, until it works again.
    Failed {
        /// What, where, and what to do.
        reason: String,
    },
    /// The disk works again.
    Restored,
    /// How far the upload of what is on disk is; every ten seconds while there is something.
    Progress(SpoolStats),
    /// The stream has ended, and so much is on disk: the next one of this name and location sends it.
    Left {
        /// How many.
        fragments: u64,
        /// Frames in them.
        frames: u64,
        /// Their files.
        bytes: u64,
    },
}

/// Counters and gauges of the spool of a stream; all are 0 without one.
///
/// ```
/// use gstkvssink::producer::Stats;
///
/// let stats = Stats::default(); // or Stream::metrics
/// assert_eq!(stats.spool.fragments, 0);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SpoolStats {
    /// `opening`, `open`, `failing`; empty without a spool.
    pub state: &'static str,
    /// Fragments that are on disk now.
    pub fragments: u64,
    /// Frames in them.
    pub frames: u64,
    /// Their files.
    pub bytes: u64,
    /// From the oldest frame on disk to the newest frame of the stream.
    pub age: Duration,
    /// Bytes that were written a second, over the last five to six seconds.
    pub write_rate: f64,
    /// Fragments that were written.
    pub fragments_written: u64,
    /// Frames that an earlier run has left, and this one found.
    pub frames_recovered: u64,
    /// Frames that are on disk, after the end.
    pub frames_left: u64,
    /// Files that were set aside.
    pub set_aside: u64,
    /// Times that the disk failed.
    pub failures: u64,
}

/// The spool of a session.
pub(super) struct Spooling {
    at: At,
    /// Failures since the last success.
    failed: u32,
    writing: usize,
    writing_bytes: u64,
    reading: usize,
    written: super::Rate,
    /// When progress is told.
    progress: Option<Mono>,
    stats: SpoolStats,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Nobody asked for it yet.
    New,
    /// What is there is not known yet. Nothing is sent before.
    Opening,
    Open,
    /// Tried again then.
    Failing {
        retry: Mono,
        was_open: bool,
    },
}

impl Default for Spooling {
    fn default() -> Self {
        Self {
            at: At::New,
            failed: 0,
            writing: 0,
            writing_bytes: 0,
            reading: 0,
            written: super::Rate::default(),
            progress: None,
            stats: SpoolStats::default(),
        }
    }
}

impl Session {
    /// What an earlier run has left is not known yet: nothing may be sent before it, and nothing is over.
    pub(super) fn spool_opens(&self) -> bool {
        let at = self.spool.as_ref().map(|spool| spool.at);
        matches!(at, Some(At::New | At::Opening))
    }

    /// What memory does not hold goes to disk.
    pub(super) fn spool_takes(&self) -> bool {
        let spool = self.spool.as_ref();
        spool.is_some_and(|spool| spool.at == At::Open && spool.failed == 0)
    }

    /// Writes, reads and removes what is due.
    pub(super) fn keep_on_disk(&mut self, now: Mono) {
        let Some(spool) = &mut self.spool else {
            return;
        };
        let useless = self.store.take_useless_files();
        match spool.at {
            _ if matches!(self.state, State::Stopped) => {}
            At::New => {
                spool.at = At::Opening;
                self.ask(Task::Open);
            }
            At::Failing { retry, was_open } if retry <= now => {
                spool.at = if was_open { At::Open } else { At::Opening };
                if !was_open {
                    self.ask(Task::Open);
                }
            }
            _ => {}
        }
        for file in useless {
            self.ask(Task::Remove { file: file.number });
        }
        if self.is_stopped() {
            return;
        }
        if self
            .spool
            .as_ref()
            .is_some_and(|spool| spool.at == At::Open)
        {
            self.write_some(now);
            self.unload_some();
            self.drop_aged(now);
            self.read_some();
            self.tell_progress(now);
        }
        self.leave_when_written(now);
    }

    /// When the spool is to be looked at again, whatever else happens.
    pub(super) fn spool_due(&self) -> Option<(Mono, &'static str)> {
        let spool = self.spool.as_ref().filter(|_| !self.is_stopped())?;
        let retry = match spool.at {
            At::Failing { retry, .. } => Some((retry, "spool, after a failure")),
            _ => None,
        };
        let flush = self.ending.map(|ending| ending.asked + PATIENCE);
        let flush = flush.filter(|at| *at > self.seen && spool.at == At::Open);
        let progress = spool.progress.filter(|_| spool.at == At::Open);
        let progress = progress.map(|at| (at, "progress of the spool"));
        let flush = flush.map(|at| (at, "spool, at the end"));
        [retry, flush, progress]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    fn ask(&mut self, task: Task) {
        self.outputs.push_back(Output::Spool(SpoolTask(task)));
    }

    fn tell_spool(&mut self, event: SpoolEvent) {
        self.tell(Event::Spool(event));
    }

    /// All that is kept is written: the end takes too long, or nothing follows.
    fn flushes(&self, now: Mono) -> bool {
        matches!(self.state, State::Leaving { .. })
            || self
                .ending
                .is_some_and(|ending| ending.asked + PATIENCE <= now)
    }

    fn write_some(&mut self, now: Mono) {
        let Some(definition) = &self.definition.spool else {
            return;
        };
        let (max, policy, mode) = (definition.max_bytes, definition.policy, definition.mode);
        let blocks = policy == SpoolPolicy::Block;
        let all = mode == SpoolMode::Always || self.flushes(now);
        while let Some(spool) = &self.spool
            && spool.writing < WRITES
            && (all || self.is_more_than_half())
            && let Some(oldest) = self.store.oldest_unfiled()
        {
            let (id, size) = (oldest.id, oldest.cost + AROUND);
            if self.store.on_disk() + spool.writing_bytes + size > max {
                match self.store.oldest_filed_evictable() {
                    Some(oldest) if !blocks => {
                        self.evict(now, oldest, DropReason::Spool);
                        continue;
                    }
                    _ => return,
                }
            }
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

    fn sends(&self) -> bool {
        matches!(self.state, State::Opening(_) | State::Streaming(_))
    }

    /// Room at any price but that of a loss. False: nothing in memory is on disk, too.
    pub(super) fn unload(&mut self) -> bool {
        // While it is sent, it would be read again at once.
        self.store.unload(NEXT) || self.store.unload(u64::from(self.sends()))
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

    fn read_some(&mut self) {
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
        let Some(spool) = &mut self.spool else {
            return;
        };
        match spool.progress {
            None if any => spool.progress = Some(now + SPOOL_PROGRESS),
            Some(_) if !any => spool.progress = None,
            Some(at) if at <= now => {
                spool.progress = Some(now + SPOOL_PROGRESS);
                let stats = self.spool_stats(now);
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
                At::New | At::Opening => "opening",
                At::Open if spool.failed == 0 => "open",
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

    /// What became of a task.
    pub(super) fn spool_news(&mut self, now: Mono, news: &SpoolNews) {
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
            SpoolNews::NotOpened { reason } => self.spool_failed(now, reason, false),
            SpoolNews::Written { id, file } => {
                spool.writing = spool.writing.saturating_sub(1);
                spool.writing_bytes = match spool.writing {
                    0 => 0,
                    _ => spool.writing_bytes.saturating_sub(file.bytes),
                };
                spool.stats.fragments_written += 1;
                spool.written.add(now, file.bytes);
                self.works_again();
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
                self.spool_failed(now, reason, true);
            }
            SpoolNews::Read { id, body } => {
                spool.reading = spool.reading.saturating_sub(1);
                self.store.read(*id, body.clone());
            }
            SpoolNews::NotRead { id, reason } => {
                spool.reading = spool.reading.saturating_sub(1);
                // It stays where it is, or was set aside: nothing waits for it.
                if self.store.take_file(*id).is_some() {
                    let what = self.store.get(*id).map(|fragment| fragment.timecode);
                    let what = what.map_or(String::new(), |timecode| timecode.to_string());
                    self.evict(now, *id, DropReason::Spool);
                    self.set_aside(what, reason.clone());
                }
            }
        }
    }

    fn set_aside(&mut self, what: String, reason: String) {
        if let Some(spool) = &mut self.spool {
            spool.stats.set_aside += 1;
        }
        self.tell_spool(SpoolEvent::SetAside { what, reason });
    }

    fn works_again(&mut self) {
        if let Some(spool) = &mut self.spool
            && std::mem::take(&mut spool.failed) > 0
        {
            self.tell_spool(SpoolEvent::Restored);
        }
    }

    fn spool_failed(&mut self, now: Mono, reason: &str, was_open: bool) {
        let Some(spool) = &mut self.spool else {
            return;
        };
        let pause = PAUSE.saturating_mul(1 << spool.failed.min(6));
        spool.at = At::Failing {
            retry: now + pause.min(LONGEST_PAUSE),
            was_open,
        };
        spool.failed += 1;
        spool.stats.failures += 1;
        if spool.failed == 1 {
            let reason = reason.to_owned();
            self.tell_spool(SpoolEvent::Failed { reason });
        }
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

    /// A refused fragment keeps its file, apart from the others.
    pub(super) fn set_refused_aside(&mut self, id: FragmentId, error_id: u32) {
        if let Some(file) = self.store.take_file(id) {
            let timecode = self.store.get(id).map(|fragment| fragment.timecode);
            let what = timecode.map_or(String::new(), |timecode| timecode.to_string());
            self.ask(Task::SetAside { file: file.number });
            self.set_aside(what, format!("the service refused it twice ({error_id})"));
        }
    }

    /// Before the end: what is not PERSISTED is written. False: there is nothing to write, or it cannot be.
    pub(super) fn leaves(&mut self, now: Mono, outcome: &Result<(), super::StreamError>) -> bool {
        if !self.spool_takes() || matches!(self.state, State::Leaving { .. }) {
            return false;
        }
        self.end_fragment();
        if !self.is_writing() && self.store.oldest_unfiled().is_none() {
            return false;
        }
        self.drop_link();
        self.ending = None;
        self.enter(State::Leaving {
            until: now + LEAVING,
            outcome: Box::new(outcome.clone()),
        });
        true
    }

    fn is_writing(&self) -> bool {
        self.spool.as_ref().is_some_and(|spool| spool.writing > 0)
    }

    fn leave_when_written(&mut self, now: Mono) {
        let State::Leaving { until, .. } = &self.state else {
            return;
        };
        let is_done = !self.is_writing() && self.store.oldest_unfiled().is_none();
        if is_done || *until <= now || !self.spool_takes() {
            self.leave(now);
        }
    }

    /// The end, whether all is written or not.
    pub(super) fn leave(&mut self, now: Mono) {
        if let State::Leaving { outcome, .. } = &self.state {
            let outcome = (**outcome).clone();
            self.stop(now, outcome);
        }
    }

    /// After the end fragments that have a file stay there. How many frames they have.
    pub(super) fn leave_files(&mut self) -> u64 {
        let filed: Vec<_> = self.store.filed().map(|fragment| fragment.id).collect();
        let fragments = filed.len() as u64;
        let (mut frames, mut bytes) = (0, 0);
        for id in filed {
            bytes += self.store.take_file(id).map_or(0, |file| file.bytes);
            frames += self.store.evict(id).map_or(0, |eviction| eviction.frames);
        }
        if let Some(spool) = &mut self.spool {
            spool.stats.frames_left += frames;
        }
        if fragments > 0 {
            self.tell_spool(SpoolEvent::Left {
                fragments,
                frames,
                bytes,
            });
        }
        frames
    }

    /// Whether a live stream keeps on disk what memory cannot hold, or its age would drop.
    pub(super) fn is_live(&self) -> bool {
        self.definition.streaming_type != StreamingType::Offline
    }
}
