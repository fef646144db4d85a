//! What fuzz targets (`fuzz/`) and benchmarks (`benches/`) call that is private to everybody else. Built by `cargo fuzz`
//! (`--cfg fuzzing`) and with the feature `internals` only; it may change with any release.
//!
//! In: bytes as they come from outside. Out: what the crate makes of them, for the targets to judge.
//! Does not belong here: assertions.

/// The core's modules, as their neighbours see them.
macro_rules! open {
    ($($name:ident),*) => { $(
        #[expect(missing_docs, reason = "see the module")]
        pub mod $name {
            pub use crate::$name::*;
        }
    )* };
}
open!(definition, media, mkv, secret, session, time);

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::{
    fragment::{Block, Fragment, FragmentId, SpoolFile, Spooled, Store, Tracks},
    media::Track,
    session::{
        Ack, AckReader, Call, Failure, Fatal, Session, SpoolNews, SpoolTask, Task, answer, policy,
    },
    time::{Mono, Timecode, Timestamp},
};

/// An answer of DescribeStream.
pub fn described(
    status: session::StreamStatus,
    retention: std::time::Duration,
) -> session::Described {
    session::Described { status, retention }
}

/// A failure of any kind.
pub fn failure(call: Call, cause: session::Cause, message: String) -> Failure {
    Failure {
        call,
        cause,
        message,
    }
}

/// What was read of a response.
#[derive(Debug, PartialEq, Eq)]
pub struct Acks {
    /// Whole acks before the end, or before the first place that cannot be read.
    pub acks: Vec<Ack>,
    /// That place.
    pub wrong_at: Option<u64>,
    /// Most bytes that were kept from one piece to the next.
    pub most_kept: usize,
}

/// Reads the response of PutMedia in these pieces.
pub fn acks<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Acks {
    let mut reader = AckReader::default();
    let mut read = Acks {
        acks: Vec::new(),
        wrong_at: None,
        most_kept: 0,
    };
    for piece in pieces {
        let (acks, end) = reader.feed(piece);
        read.acks.extend(acks);
        if let Err(error) = end {
            read.wrong_at = Some(error.position);
            break;
        }
        read.most_kept = read.most_kept.max(reader.kept());
    }
    read
}

/// An answer with this status, as `net` makes a failure of it: the code and the name of the request are headers.
pub fn refusal(
    call: Call,
    status: u16,
    code: Option<&str>,
    request_id: Option<&str>,
    body: &[u8],
) -> Failure {
    let (code_in_body, said) = answer::said_in(body);
    let code = code.or(code_in_body.as_deref()).unwrap_or_default();
    answer::refusal(call, status, code, request_id, said.as_deref())
}

/// Why the stream ends with this failure, if it does.
pub fn gives_up(failure: &Failure, streaming: bool) -> Option<Fatal> {
    let before = match streaming {
        true => policy::Before::Streaming,
        false => policy::Before::Nothing,
    };
    match policy::on_failure(failure, before) {
        policy::Action::GiveUp(fatal) => Some(fatal),
        _ => None,
    }
}

/// Longest text of the service that a failure repeats, in characters.
pub const MAX_SAID: usize = answer::MAX_SAID;

/// A disk in memory for the spool of a session. What is asked for is done in its order, when the target says so.
#[derive(Default)]
pub struct Disk {
    files: BTreeMap<u64, (Spooled, Bytes)>,
    todo: VecDeque<Task>,
    next: u64,
}

impl Disk {
    /// This is to be done.
    pub fn ask(&mut self, SpoolTask(task): SpoolTask) {
        self.todo.push_back(task);
    }

    /// Does the oldest task, or fails at it, and tells the session.
    pub fn answer(&mut self, session: &mut Session, now: Mono, fails: bool) {
        if let Some(task) = self.todo.pop_front() {
            let news = match fails {
                true => refuse(&task),
                false => self.perform(task),
            };
            session.handle_spool(now, &news);
        }
    }

    fn perform(&mut self, task: Task) -> SpoolNews {
        match task {
            Task::Open => SpoolNews::Opened {
                fragments: Vec::new(),
                damaged: Vec::new(),
            },
            Task::Write { id, about, body } => {
                let body = Bytes::from(body.concat());
                let (number, bytes) = (self.next, body.len() as u64);
                self.next += 1;
                self.files.insert(number, (about, body));
                let file = SpoolFile { number, bytes };
                SpoolNews::Written { id, file }
            }
            Task::Read { id, file } => {
                let body = self.files[&file].1.clone();
                SpoolNews::Read { id, body }
            }
            Task::Remove { file } | Task::SetAside { file, .. } => {
                self.files.remove(&file).expect("it is there");
                SpoolNews::Cleared { left_over: 0 }
            }
            Task::Clear => SpoolNews::Cleared { left_over: 0 },
        }
    }
}

fn refuse(task: &Task) -> SpoolNews {
    let reason = "EIO".to_owned();
    match *task {
        Task::Open => SpoolNews::NotOpened { reason },
        Task::Write { id, .. } => SpoolNews::NotWritten { id, reason },
        Task::Read { id, .. } => SpoolNews::NotRead {
            id,
            reason,
            is_damaged: false,
        },
        Task::Remove { .. } | Task::SetAside { .. } | Task::Clear => SpoolNews::NotCleared {
            left_over: 1,
            reason,
        },
    }
}

/// The store of a stream with one track, as a session that loses nothing works with it.
pub struct Kept {
    store: Store,
    heads: bytes::BytesMut,
    tracks: Tracks,
    at: Timestamp,
}

impl Kept {
    /// An empty one.
    pub fn new(track: Track) -> Self {
        Self {
            store: Store::default(),
            heads: bytes::BytesMut::new(),
            tracks: [track].into(),
            at: Timestamp::ZERO,
        }
    }

    /// Completes the fragment before, and begins one.
    pub fn begin(&mut self, timecode_ms: u64) {
        self.store.complete();
        self.at = Timestamp::from_millis(timecode_ms);
        self.store.begin(Fragment {
            id: self.store.next_id(),
            timecode: Timecode::from_millis(timecode_ms),
            tracks: self.tracks.clone(),
            absent: 1,
            epoch: 0,
            start: self.at,
            tags: Vec::new(),
            tail: Bytes::new(),
            blocks: Vec::new(),
            frames: 0,
            complete: false,
            cost: 0,
            first: self.at,
            earliest: self.at,
            last: self.at,
            began: Mono::ZERO,
            arrived: Mono::ZERO,
            refused: 0,
            sent: 0,
            file: None,
            busy: false,
            away: false,
            restored: false,
        });
    }

    /// A frame of the open fragment, with the header that it has.
    pub fn push(&mut self, payload: Bytes) {
        let track = self.tracks[0].number();
        crate::mkv::push_simple_block_header(&mut self.heads, track, 0, false, payload.len());
        let head = self.heads.split().freeze();
        let kept = self
            .store
            .push(track, Block { head, payload }, self.at, Mono::ZERO);
        debug_assert!(kept, "a fragment is open");
    }

    /// What is sent next.
    pub fn next_chunk(&mut self) -> Option<Bytes> {
        self.store.next_chunk()
    }

    /// All that was completed is PERSISTED: how many frames.
    pub fn persisted(&mut self) -> u64 {
        let ids: Vec<FragmentId> = self.store.sent_pending().map(|sent| sent.id).collect();
        ids.into_iter()
            .filter_map(|id| self.store.persisted(id))
            .map(|(frames, _)| frames)
            .sum()
    }
}
